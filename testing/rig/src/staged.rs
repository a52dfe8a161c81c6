//! What staging makes of a picture of [`drawing`].

use std::time::{Duration, Instant};

use scanout_core::color::ColorSpec;
use scanout_core::convert::{
    ConvertError, Converter, PictureFormat, PictureLayout, PlaneView, Source,
};
use scanout_core::encoder::{
    Frame, HostSurface, PathClass, Picture, StageConfig, StageError, StageEvent,
};
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Size};
use scanout_core::staging::CpuStaging;

use crate::drawing;

/// Staging into NV12 that waits for fences no longer than `acquire_limit`.
pub fn staging(
    size: Size,
    acquire_limit: Duration,
) -> Result<CpuStaging, scanout_core::encoder::OpenError> {
    let mut config = StageConfig::new(size);
    config.acquire_limit = acquire_limit;
    CpuStaging::new(&config, PictureFormat::Nv12, PathClass::Software)
}

/// Picture `seed` in NV12, converted from memory of our own that no layout applies to.
pub fn expected(fourcc: Fourcc, size: Size, seed: u32) -> Result<Vec<u8>, ConvertError> {
    let layout = PictureLayout::new(PictureFormat::Nv12, size)?;
    let extents = drawing::extents(fourcc, size);
    let planes: Vec<Vec<u8>> = (0..extents.len())
        .map(|plane| drawing::plane(fourcc, size, plane, seed))
        .collect();
    let views = planes.iter().zip(&extents);
    let views = views.map(|(bytes, (row, _))| PlaneView::new(bytes, *row));
    let mut out = vec![0; layout.total_bytes()];
    Converter::new(fourcc, size, layout, ColorSpec::DESKTOP)?.convert(
        &Source::new(fourcc, size, views),
        &mut out,
        &Damage::full(size),
    )?;
    Ok(out)
}

/// The bytes of a picture in host memory; none of another.
pub fn bytes(picture: &Picture) -> &[u8] {
    picture
        .surface::<HostSurface>()
        .map_or(&[], HostSurface::bytes)
}

/// Stages one frame to its end.
///
/// # Panics
///
/// When nothing comes of it within 20 s, or its picture before its source is free.
pub fn stage(staging: &mut CpuStaging, frame: Frame) -> Result<Picture, StageError> {
    let ticket = staging.stage(frame)?;
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut freed = false;
    loop {
        match staging.poll()? {
            Some(StageEvent::SourceFree(seen, _)) if seen == ticket => freed = true,
            Some(StageEvent::Ready(seen, picture)) if seen == ticket => {
                assert!(freed, "a picture before its source was free");
                return Ok(picture);
            }
            Some(StageEvent::Failed(seen, error)) if seen == ticket => return Err(error),
            Some(other) => panic!("unexpected {other:?}"),
            None => {
                assert!(Instant::now() < deadline, "staging did not answer");
                std::thread::sleep(Duration::from_micros(20));
            }
        }
    }
}
