//! A picture in host memory as a GStreamer buffer, without a copy.

use crate::gpu::GstSurface;
use gstreamer_video as video;
use scanout_core::color::{ChromaSite, ColorSpec, Matrix, Primaries, Range, Transfer};
use scanout_core::convert::{PictureFormat, PictureLayout};
use scanout_core::encoder::{Codec, FrameRate, HostSurface, Picture};
use scanout_core::geometry::Size;
use video::{VideoColorMatrix, VideoColorPrimaries, VideoColorRange, VideoTransferFunction};

/// Keeps a picture alive while GStreamer reads its bytes.
struct Held(Picture);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        // An empty slice where the surface is another backend's: `wrap` has
        // made sure that it is not.
        self.0
            .surface::<HostSurface>()
            .map_or(&[], HostSurface::bytes)
    }
}

/// The name of `format` in caps.
pub(crate) const fn video_format(format: PictureFormat) -> Option<video::VideoFormat> {
    match format {
        PictureFormat::Nv12 => Some(video::VideoFormat::Nv12),
        PictureFormat::I420 => Some(video::VideoFormat::I420),
        PictureFormat::I444 => Some(video::VideoFormat::Y444),
        _ => None,
    }
}

/// The size that an encoder of `codec` is told: the visible one where the
/// bitstream can carry it, else the coded one.
pub(crate) fn told_size(layout: &PictureLayout, codec: Codec) -> Size {
    if codec.carries_odd_sizes() {
        layout.visible()
    } else {
        layout.coded()
    }
}

/// What GStreamer calls `color`, as an encoder of `codec` is told.
///
/// VP9 headers know the matrix and the range only, and vp9enc writes them only
/// where all of it is a standard that it knows: it is told the transfer of the
/// matrix's own standard.
pub(crate) fn colorimetry(color: ColorSpec, codec: Codec) -> video::VideoColorimetry {
    let range = match color.range {
        Range::Full => VideoColorRange::Range0_255,
        Range::Limited => VideoColorRange::Range16_235,
    };
    let matrix = match color.matrix {
        Matrix::Bt601 => VideoColorMatrix::Bt601,
        _ => VideoColorMatrix::Bt709,
    };
    let transfer = match color.transfer {
        _ if codec == Codec::Vp9 && color.matrix == Matrix::Bt601 => VideoTransferFunction::Bt601,
        _ if codec == Codec::Vp9 => VideoTransferFunction::Bt709,
        Transfer::Srgb => VideoTransferFunction::Srgb,
        Transfer::Bt601 => VideoTransferFunction::Bt601,
        _ => VideoTransferFunction::Bt709,
    };
    let primaries = match color.primaries {
        Primaries::Bt601 => VideoColorPrimaries::Smpte170m,
        Primaries::Bt2020 => VideoColorPrimaries::Bt2020,
        _ => VideoColorPrimaries::Bt709,
    };
    video::VideoColorimetry::new(range, matrix, transfer, primaries)
}

/// What GStreamer calls the position of `color`'s chroma.
pub(crate) const fn chroma_site(color: ColorSpec) -> &'static str {
    match color.chroma_site {
        ChromaSite::Left => "mpeg2",
        ChromaSite::Center => "jpeg",
    }
}

/// Caps of raw pictures in memory with the caps feature `feature`, at any rate
/// where none is given; `None` for a picture format that GStreamer has not.
pub(crate) fn caps(
    layout: &PictureLayout,
    size: Size,
    color: ColorSpec,
    codec: Codec,
    rate: Option<FrameRate>,
    feature: Option<&str>,
) -> Option<gstreamer::Caps> {
    let side = |side: u32| i32::try_from(side).unwrap_or(i32::MAX);
    let fraction = |n: std::num::NonZeroU32| i32::try_from(n.get()).unwrap_or(i32::MAX);
    let mut caps = gstreamer::Caps::builder("video/x-raw")
        .field("format", video_format(layout.format())?.to_str().as_str())
        .field("width", side(size.width))
        .field("height", side(size.height))
        .field("pixel-aspect-ratio", gstreamer::Fraction::new(1, 1))
        .field("interlace-mode", "progressive")
        .field("colorimetry", colorimetry(color, codec).to_string());
    if let Some(rate) = rate {
        let rate = gstreamer::Fraction::new(fraction(rate.num), fraction(rate.den));
        caps = caps.field("framerate", rate);
    }
    if layout.format().is_subsampled() {
        caps = caps.field("chroma-site", chroma_site(color));
    }
    Some(match feature {
        Some(feature) => caps.features([feature]).build(),
        None => caps.build(),
    })
}

/// A picture that is not in host memory, or not laid out as expected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WrapError {
    #[error("it is not in host memory")]
    NotHost,
    #[error("its surface is empty")]
    Empty,
    #[error("it is {seen:?} of {seen_size}, not {expected:?} of {expected_size}")]
    Layout {
        seen: PictureFormat,
        seen_size: Size,
        expected: PictureFormat,
        expected_size: Size,
    },
    #[error("GStreamer refuses its layout: {0}")]
    Refused(gstreamer::glib::BoolError),
}

/// The picture as a buffer of its own for one encoder, in the memory in which
/// it lies, kept until the buffer is gone.
pub(crate) fn wrap(
    picture: &Picture,
    expected: &PictureLayout,
    size: Size,
) -> Result<gstreamer::Buffer, WrapError> {
    match picture.surface::<GstSurface>() {
        Some(surface) => share(surface.buffer.as_ref().ok_or(WrapError::Empty)?),
        None => wrap_host(picture, expected, size),
    }
}

/// A second buffer over the same memory. No copy of the buffer: that would copy
/// what may not be shared between buffers, which va surfaces are marked as.
fn share(original: &gstreamer::Buffer) -> Result<gstreamer::Buffer, WrapError> {
    let mut buffer = gstreamer::Buffer::new();
    let writable = buffer.make_mut();
    for memory in original.iter_memories_owned() {
        writable.append_memory(memory);
    }
    if let Some(meta) = original.meta::<video::VideoMeta>() {
        video::VideoMeta::add_full(
            writable,
            video::VideoFrameFlags::empty(),
            meta.format(),
            meta.width(),
            meta.height(),
            meta.offset(),
            meta.stride(),
        )
        .map_err(WrapError::Refused)?;
    }
    // Its pool may not take the memory back while this one is read.
    gstreamer::ParentBufferMeta::add(writable, original);
    Ok(buffer)
}

/// The picture's own bytes as a buffer of `size`.
fn wrap_host(
    picture: &Picture,
    expected: &PictureLayout,
    size: Size,
) -> Result<gstreamer::Buffer, WrapError> {
    let layout = *picture
        .surface::<HostSurface>()
        .ok_or(WrapError::NotHost)?
        .layout();
    let mismatch = || WrapError::Layout {
        seen: layout.format(),
        seen_size: layout.visible(),
        expected: expected.format(),
        expected_size: expected.visible(),
    };
    if layout != *expected {
        return Err(mismatch());
    }
    let format = video_format(layout.format()).ok_or_else(mismatch)?;
    let mut offsets = [0; 3];
    let mut strides = [0; 3];
    for (plane, (offset, stride)) in layout
        .planes()
        .iter()
        .zip(offsets.iter_mut().zip(&mut strides))
    {
        *offset = plane.offset;
        *stride = i32::try_from(plane.stride).unwrap_or(i32::MAX);
    }
    let count = layout.planes().len().min(offsets.len());
    let mut buffer = gstreamer::Buffer::from_slice(Held(picture.clone()));
    let writable = buffer.make_mut();
    video::VideoMeta::add_full(
        writable,
        video::VideoFrameFlags::empty(),
        format,
        size.width,
        size.height,
        &offsets[..count],
        &strides[..count],
    )
    .map_err(WrapError::Refused)?;
    Ok(buffer)
}
