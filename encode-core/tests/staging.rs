//! CPU staging with real pixels: what arrives in the picture, and what is said
//! of sources that cannot be staged.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use scanout_core::buffer::alloc::Provider;
use scanout_core::buffer::{DmaBuf, ImportPolicy, Layout, MemoryImage, Orientation, SourceBuffer};
use scanout_core::color::ColorSpec;
use scanout_core::convert::{Converter, PictureFormat, PictureLayout, PlaneView, Source};
use scanout_core::encoder::{
    Frame, HostSurface, OpenError, PathClass, Picture, StageConfig, StageError, StageEvent,
};
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Rect, Size};
use scanout_core::staging::CpuStaging;
use scanout_core::sync::{Acquire, SyncFile};

const SIZE: Size = Size::new(98, 51);

fn staging() -> CpuStaging {
    let config = StageConfig::new(SIZE);
    CpuStaging::new(&config, PictureFormat::Nv12, PathClass::Software).unwrap()
}

fn pixels(bytes: usize, seed: u8) -> Vec<u8> {
    (0..bytes)
        .map(|i| (i as u32).wrapping_mul(2654435761).to_le_bytes()[3] ^ seed)
        .collect()
}

fn frame(number: u64, buffer: impl Into<SourceBuffer>, damage: Damage) -> Frame {
    Frame::new(number, buffer.into(), damage, Duration::ZERO)
}

fn stage(staging: &mut CpuStaging, frame: Frame) -> Result<Picture, StageError> {
    let ticket = staging.stage(frame)?;
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut freed = false;
    loop {
        assert!(Instant::now() < deadline, "no answer");
        match staging.poll()? {
            Some(StageEvent::SourceFree(t, None)) if t == ticket => freed = true,
            Some(StageEvent::Ready(t, picture)) if t == ticket => {
                assert!(freed, "ready before the source was free");
                return Ok(picture);
            }
            Some(StageEvent::Failed(t, error)) if t == ticket => return Err(error),
            Some(other) => panic!("{other:?}"),
            None => std::thread::sleep(Duration::from_micros(50)),
        }
    }
}

/// What a conversion of all of `bytes` gives.
fn converted(bytes: &[u8], stride: usize, flip: bool) -> Vec<u8> {
    let layout = PictureLayout::new(PictureFormat::Nv12, SIZE).unwrap();
    let mut out = vec![0; layout.total_bytes()];
    let mut source = Source::packed(Fourcc::XRGB8888, SIZE, PlaneView::new(bytes, stride));
    if flip {
        source = source.flipped();
    }
    Converter::new(Fourcc::XRGB8888, SIZE, layout, ColorSpec::DESKTOP)
        .unwrap()
        .convert(&source, &mut out, &Damage::full(SIZE))
        .unwrap();
    out
}

fn bytes_of(picture: &Picture) -> &[u8] {
    picture.surface::<HostSurface>().unwrap().bytes()
}

#[test]
fn a_part_of_a_larger_scanout_upside_down_is_staged_right() {
    let whole = Size::new(130, 80);
    let (layout, bytes) = Layout::packed(Fourcc::XRGB8888, whole, 64).unwrap();
    let stride = layout.planes[0].stride as usize;
    let pixels = pixels(bytes as usize, 3);
    let content = Rect::new(31, 29, SIZE.width, SIZE.height);
    for orientation in [Orientation::TopDown, Orientation::BottomUp] {
        let image = MemoryImage::new(Arc::new(pixels.clone()), layout.clone())
            .unwrap()
            .with_content(content)
            .unwrap()
            .with_orientation(orientation);
        let picture = stage(&mut staging(), frame(0, image, Damage::full(SIZE))).unwrap();
        let flip = orientation == Orientation::BottomUp;
        let expected = converted(&pixels[29 * stride + 31 * 4..], stride, flip);
        assert!(bytes_of(&picture) == expected, "{orientation:?}");
        assert_eq!(picture.info().color, ColorSpec::DESKTOP);
    }
}

/// The pool's surfaces are as many frames old as pictures are held; each must
/// still end up equal to its frame.
#[test]
fn damage_limited_staging_equals_full_staging_while_pictures_circulate() {
    let mut staging = staging();
    let (layout, bytes) = Layout::packed(Fourcc::XRGB8888, SIZE, 4).unwrap();
    let stride = layout.planes[0].stride as usize;
    let mut pixels = pixels(bytes as usize, 0);
    let mut held: Vec<Picture> = Vec::new();
    for number in 0..300u64 {
        let random = |salt: u64, below: u32| {
            ((number * 31 + salt).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33) as u32 % below
        };
        let rect = Rect::new(
            random(1, 98),
            random(2, 51),
            1 + random(3, 40),
            1 + random(4, 20),
        )
        .clip(SIZE);
        for y in rect.y..rect.bottom() {
            for x in rect.x..rect.right() {
                let at = y as usize * stride + x as usize * 4;
                pixels[at..at + 3].copy_from_slice(&[number as u8, y as u8, x as u8]);
            }
        }
        let image = MemoryImage::new(Arc::new(pixels.clone()), layout.clone()).unwrap();
        let damage = if number == 0 {
            Damage::full(SIZE)
        } else {
            rect.into()
        };
        let picture = stage(&mut staging, frame(number, image, damage)).unwrap();
        assert!(
            bytes_of(&picture) == converted(&pixels, stride, false),
            "frame {number}"
        );
        held.push(picture);
        if held.len() > random(5, 3) as usize {
            held.remove(random(6, held.len() as u32) as usize);
        }
    }
}

#[test]
fn a_failed_frame_passes_its_damage_on() {
    let mut staging = staging();
    let (layout, bytes) = Layout::packed(Fourcc::XRGB8888, SIZE, 4).unwrap();
    let stride = layout.planes[0].stride as usize;
    let image = |seed| {
        let image = MemoryImage::new(Arc::new(pixels(bytes as usize, seed)), layout.clone());
        image.unwrap()
    };
    for number in 0..4 {
        let _ = stage(&mut staging, frame(number, image(0), Damage::full(SIZE))).unwrap();
    }
    let mut broken = frame(4, image(1), Damage::full(SIZE));
    let not_a_fence = std::fs::File::open("/dev/null").unwrap().into();
    broken.acquire = Acquire::SyncFile(SyncFile::new(not_a_fence));
    let error = stage(&mut staging, broken).unwrap_err();
    assert!(matches!(error, StageError::Acquire(_)), "{error}");
    let one = Damage::from(Rect::new(0, 0, 1, 1));
    let picture = stage(&mut staging, frame(5, image(1), one)).unwrap();
    let expected = converted(&pixels(bytes as usize, 1), stride, false);
    assert!(bytes_of(&picture) == expected);
    assert!(picture.info().damage.covers(SIZE));
}

#[test]
fn a_memfd_is_staged_and_freed() {
    let (layout, bytes) = Layout::packed(Fourcc::XRGB8888, SIZE, 256).unwrap();
    let mut canvas = Provider::Memfd
        .allocate(bytes)
        .unwrap()
        .into_canvas()
        .unwrap();
    let content = pixels(bytes as usize, 9);
    canvas
        .draw(|memory| memory[..content.len()].copy_from_slice(&content))
        .unwrap();
    let policy = ImportPolicy::default().with_memfd();
    let buffer = DmaBuf::import(&[canvas.as_fd()], &layout, &policy).unwrap();
    let picture = stage(&mut staging(), frame(0, buffer, Damage::full(SIZE))).unwrap();
    let stride = layout.planes[0].stride as usize;
    assert!(bytes_of(&picture) == converted(&content, stride, false));
}

#[test]
fn refusals_say_what_was_seen_and_what_is_allowed() {
    let mut staging = staging();
    let (layout, bytes) = Layout::packed(Fourcc::XRGB8888, Size::new(64, 64), 4).unwrap();
    let image = MemoryImage::new(Arc::new(vec![0u8; bytes as usize]), layout).unwrap();
    let error = staging.stage(frame(0, image, Damage::none())).unwrap_err();
    assert_eq!(error.to_string(), "a frame of 64x64 for a stager of 98x51");

    let (layout, bytes) = Layout::packed(Fourcc::NV12, Size::new(130, 80), 4).unwrap();
    let image = MemoryImage::new(Arc::new(vec![0u8; bytes as usize]), layout).unwrap();
    let odd = Rect::new(1, 0, SIZE.width, SIZE.height);
    if let Ok(image) = image.with_content(odd) {
        let error = stage(&mut staging, frame(1, image, Damage::none())).unwrap_err();
        assert!(error.to_string().contains("multiple of 2x2"), "{error}");
    }

    let mut config = StageConfig::new(SIZE);
    config.max_path = PathClass::GpuCopy;
    let refused = CpuStaging::new(&config, PictureFormat::Nv12, PathClass::Software);
    assert!(matches!(refused, Err(OpenError::Path { .. })));
    let config = StageConfig::new(Size::new(0, 5));
    assert!(CpuStaging::new(&config, PictureFormat::Nv12, PathClass::Software).is_err());
}

#[test]
fn while_all_pictures_are_held_there_is_no_room() {
    let mut staging = staging();
    let (layout, bytes) = Layout::packed(Fourcc::XRGB8888, SIZE, 4).unwrap();
    let image = MemoryImage::new(Arc::new(vec![0u8; bytes as usize]), layout).unwrap();
    let mut held = Vec::new();
    while staging.room() > 0 {
        let number = held.len() as u64;
        held.push(
            stage(
                &mut staging,
                frame(number, image.clone(), Damage::full(SIZE)),
            )
            .unwrap(),
        );
    }
    assert_eq!(held.len(), StageConfig::new(SIZE).pictures);
    let error = staging.stage(frame(9, image, Damage::none())).unwrap_err();
    assert!(error.is_retryable(), "{error}");
    while staging.poll().unwrap().is_some() {}
    held.pop();
    assert_eq!(staging.room(), 1);
    let mut fds = [rustix::event::PollFd::from_borrowed_fd(
        staging.wake(),
        rustix::event::PollFlags::IN,
    )];
    let none = rustix::event::Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    assert_eq!(
        rustix::event::poll(&mut fds, Some(&none)).unwrap(),
        1,
        "and the owner is woken"
    );
}
