//! A producer's buffer as GStreamer takes it: caps, memory, planes.

use gstreamer_allocators::DmaBufAllocator;
use gstreamer_video as video;
use scanout_core::buffer::{BufferKey, CacheBudget, DmaBuf, ImportCache, Layout};
use scanout_core::color::ColorSpec;
use scanout_core::encoder::{Codec, StageError};
use scanout_core::format::{self, Family, FormatInfo, Modifier};

use super::Unfit;
use crate::frame;
use crate::sys;

/// How caps tell the format of a dma-buf. Always as text, so that one binary
/// serves both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `format=BGRx`: up to 1.22, linear by silence.
    Format,
    /// `format=DMA_DRM, drm-format="XR24:0x..."`: from 1.24.
    DmaDrm,
}

impl Form {
    /// What the GStreamer that runs speaks.
    pub(super) fn here() -> Self {
        let (major, minor, ..) = gstreamer::version();
        if (major, minor) >= (1, 24) {
            Self::DmaDrm
        } else {
            Self::Format
        }
    }
}

/// `XR24` for linear, `XR24:0x0100000000000002` for anything else: GStreamer
/// compares the text.
fn drm_format(layout: &Layout) -> String {
    if layout.modifier.is_linear() {
        layout.fourcc.to_string()
    } else {
        format!("{}:0x{:016x}", layout.fourcc, layout.modifier.0)
    }
}

/// Caps of buffers of `layout`; `None` where `form` has no word for them.
/// `feature` is the caps feature of dma-bufs; without one, they are described as
/// ordinary memory.
pub(super) fn caps(
    layout: &Layout,
    feature: Option<&str>,
    form: Form,
    color: ColorSpec,
) -> Option<gstreamer::Caps> {
    let info = format::info(layout.fourcc)?;
    let side = |side: u32| i32::try_from(side).unwrap_or(i32::MAX);
    let mut caps = gstreamer::Caps::builder("video/x-raw");
    caps = match (form, feature) {
        (Form::DmaDrm, Some(_)) => caps
            .field("format", "DMA_DRM")
            .field("drm-format", drm_format(layout)),
        _ if layout.modifier.is_linear() => caps.field("format", gst_name(info)?),
        _ => return None,
    };
    caps = caps
        .field("width", side(layout.size.width))
        .field("height", side(layout.size.height))
        .field("framerate", gstreamer::Fraction::new(0, 1))
        .field("pixel-aspect-ratio", gstreamer::Fraction::new(1, 1))
        .field("interlace-mode", "progressive");
    caps = if info.family == Family::Rgb {
        caps.field("colorimetry", "sRGB")
    } else {
        // Nobody says what a YUV source means: it is taken for what the
        // pictures shall be, as the CPU's conversion does.
        caps.field(
            "colorimetry",
            frame::colorimetry(color, Codec::H264).to_string(),
        )
        .field("chroma-site", frame::chroma_site(color))
    };
    Some(match feature {
        Some(feature) => caps.features([feature]).build(),
        None => caps.build(),
    })
}

/// A name that every GStreamer from 1.22 on knows.
fn gst_name(info: &FormatInfo) -> Option<&'static str> {
    info.gst_name_1_22()
}

/// What is said of a layout that has no caps.
pub(super) fn no_caps(layout: &Layout) -> StageError {
    let (major, minor, ..) = gstreamer::version();
    let tiled = layout.modifier != Modifier::LINEAR;
    Unfit::NoCaps {
        layout: layout.to_string(),
        major,
        minor,
        hint: if tiled && Form::here() == Form::Format {
            " (modifiers need 1.24)"
        } else {
            ""
        },
    }
    .stage()
}

/// GStreamer's memories of the buffers seen lately. Converters keep what they
/// made of a memory with it, so each has to be the same from frame to frame.
#[derive(Debug)]
pub(super) struct Imports {
    allocator: DmaBufAllocator,
    cache: ImportCache<Vec<gstreamer::Memory>>,
}

impl Imports {
    pub(super) fn new() -> Self {
        Self {
            allocator: DmaBufAllocator::new(),
            cache: ImportCache::new(CacheBudget::default()),
        }
    }

    /// Gives up the memories of a buffer, and with them what converters keep there.
    pub(super) fn retire(&mut self, buffer: &BufferKey) {
        self.cache.retire(buffer);
    }

    /// `buffer` as a GStreamer buffer: one memory per object, and the planes
    /// with offsets counted through all of them.
    pub(super) fn wrap(&mut self, buffer: &DmaBuf) -> Result<gstreamer::Buffer, StageError> {
        let layout = buffer.layout();
        let own = buffer.format().planes.len();
        if layout.planes.len() != own {
            let planes = layout.planes.len();
            return Err(Unfit::Planes { planes, own }.stage());
        }
        let backend = |what: &str, cause: gstreamer::glib::BoolError| StageError::Backend {
            what: what.to_owned(),
            cause: cause.into(),
        };
        let length =
            |bytes: u64| usize::try_from(bytes).map_err(|_| Unfit::Length { bytes }.stage());
        let allocator = &self.allocator;
        let memories = self
            .cache
            .get_or_try_insert(buffer.key(), buffer.bytes(), || {
                let mut memories = Vec::with_capacity(buffer.objects().len());
                for (object, fd) in buffer.objects().iter().zip(buffer.fds()) {
                    let own = fd
                        .try_clone_to_owned()
                        .map_err(|cause| StageError::Backend {
                            what: "duplicating a dma-buf".to_owned(),
                            cause: cause.into(),
                        })?;
                    let memory = sys::dma_buf_memory(allocator, own, length(object.size())?)
                        .map_err(|cause| backend("wrapping a dma-buf", cause))?;
                    memories.push(memory);
                }
                Ok::<_, StageError>(memories)
            })?;

        let mut starts = Vec::with_capacity(memories.len());
        let mut end = 0u64;
        for object in buffer.objects() {
            starts.push(end);
            end = end.saturating_add(object.size());
        }
        let mut offsets = Vec::with_capacity(own);
        let mut strides = Vec::with_capacity(own);
        for plane in &layout.planes {
            let start = starts.get(usize::from(plane.object)).copied();
            let at = start
                .unwrap_or(u64::MAX)
                .saturating_add(plane.offset.into());
            offsets.push(length(at)?);
            strides.push(i32::try_from(plane.stride).map_err(|_| {
                Unfit::Length {
                    bytes: plane.stride.into(),
                }
                .stage()
            })?);
        }
        let format = gst_name(buffer.format())
            .and_then(|name| name.parse::<video::VideoFormat>().ok())
            .ok_or_else(|| no_caps(layout))?;
        let mut wrapped = gstreamer::Buffer::new();
        let writable = wrapped.make_mut();
        for memory in memories.iter() {
            writable.append_memory(memory.clone());
        }
        video::VideoMeta::add_full(
            writable,
            video::VideoFrameFlags::empty(),
            format,
            layout.size.width,
            layout.size.height,
            &offsets,
            &strides,
        )
        .map_err(|cause| backend("describing a dma-buf", cause))?;
        Ok(wrapped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scanout_core::format::Fourcc;
    use scanout_core::geometry::Size;

    fn layout(modifier: Modifier) -> Layout {
        let size = Size::new(1920, 1080);
        let (mut layout, _) = Layout::packed(Fourcc::XRGB8888, size, 256).unwrap();
        layout.modifier = modifier;
        layout
    }

    fn said(modifier: Modifier, form: Form) -> Option<String> {
        gstreamer::init().unwrap();
        caps(
            &layout(modifier),
            Some("memory:DMABuf"),
            form,
            ColorSpec::DESKTOP,
        )
        .map(|caps| caps.to_string())
    }

    #[test]
    fn a_linear_dma_buf_is_named_by_its_format_before_1_24() {
        let said = said(Modifier::LINEAR, Form::Format).unwrap();
        assert!(said.starts_with("video/x-raw(memory:DMABuf), format=(string)BGRx, width=(int)1920, height=(int)1080,"), "{said}");
        assert!(said.contains("colorimetry=(string)sRGB"), "{said}");
    }

    #[test]
    fn a_tiled_dma_buf_has_no_name_before_1_24() {
        assert_eq!(said(Modifier::INTEL_X_TILED, Form::Format), None);
    }

    #[test]
    fn from_1_24_the_modifier_stands_in_the_drm_format_unless_it_is_linear() {
        let linear = said(Modifier::LINEAR, Form::DmaDrm).unwrap();
        assert!(
            linear.contains("format=(string)DMA_DRM, drm-format=(string)XR24, width"),
            "{linear}"
        );
        let tiled = said(Modifier::INTEL_X_TILED, Form::DmaDrm).unwrap();
        assert!(
            tiled.contains("drm-format=(string)XR24:0x0100000000000001,"),
            "{tiled}"
        );
    }
}
