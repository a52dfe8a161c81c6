//! Dma-bufs converted on the device into surfaces of the device.
//!
//! A converter pipeline, `appsrc ! vapostproc ! appsink`, makes the pictures;
//! each encoder has a pipeline of its own that takes them where they are. Both
//! use one device context.
//!
//! **When a source is free.** A buffer that leaves `vapostproc` is not a
//! finished read: the element submits its work and hands the surface on. So each
//! picture is mapped for reading before its source is let go, which in the va
//! plug-in means `vaSyncSurface` on the surface that the conversion writes; the
//! conversion is over then, and with it the read. The price is what the driver
//! needs to show the surface to the CPU (nothing that is copied where it can
//! derive an image, a download of the NV12 picture where it cannot).
//!
//! Nothing here has ever run with a GPU.

mod converter;
mod source;
mod thread;

pub(crate) use converter::Converter;

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, mpsc};

use scanout_core::buffer::{BufferKey, SourceBuffer};
use scanout_core::convert::{PictureFormat, PictureLayout};
use scanout_core::encoder::{
    Chroma, Encoder, EncoderConfig, Frame, OpenError, PathClass, StageConfig, StageError,
    StageEvent, Stager, Surface, Ticket,
};

use crate::encoder::{GstEncoder, Input, Memory};
use crate::offer::Offer;
use crate::pipeline::Around;
use thread::{Converting, Job, Shared};

/// A picture in whatever memory the converter's output lies in.
#[derive(Debug, Default)]
pub(crate) struct GstSurface {
    /// Empty while nobody has a picture in it.
    pub(crate) buffer: Option<gstreamer::Buffer>,
}

impl Surface for GstSurface {}

/// Why a frame does not go through a converter.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    #[error(
        "the content {content} is a part of a buffer of {size}, and the converter is not told to crop"
    )]
    Content {
        content: scanout_core::geometry::Rect,
        size: scanout_core::geometry::Size,
    },
    #[error("GStreamer {major}.{minor} has no caps for {layout} in a dma-buf{hint}")]
    NoCaps {
        layout: String,
        major: u32,
        minor: u32,
        hint: &'static str,
    },
    #[error(
        "{planes} planes, of which the format itself has {own}: compression data is not imported"
    )]
    Planes { planes: usize, own: usize },
    #[error("it is {bytes} bytes long, more than this machine can address")]
    Length { bytes: u64 },
    #[error("{0} does not turn pictures over on this device")]
    NoFlip(String),
}

impl Unfit {
    fn stage(self) -> StageError {
        StageError::Backend {
            what: "a dma-buf for the converter".to_owned(),
            cause: self.into(),
        }
    }
}

/// Converts on the device; feeds any number of its elements.
#[derive(Debug)]
pub(crate) struct GpuStager {
    shared: Arc<Shared>,
    jobs: mpsc::Sender<Job>,
    layout: PictureLayout,
    config: StageConfig,
    offer: Offer,
    around: Around,
    /// Caps feature of the pictures.
    memory: Option<&'static str>,
    any_memory: bool,
    next: u64,
}

impl GpuStager {
    pub(crate) fn new(
        config: &StageConfig,
        offer: Offer,
        converter: &Converter,
        niceness: i32,
    ) -> Result<Self, OpenError> {
        let unsupported = |what, detail| OpenError::Unsupported {
            encoder: converter.name(),
            what,
            detail,
        };
        if PathClass::GpuCopy > config.max_path {
            return Err(OpenError::Path {
                path: PathClass::GpuCopy,
                ceiling: config.max_path,
            });
        }
        if config.chroma != Chroma::C420 || !offer.takes(config.chroma) {
            return Err(unsupported("that chroma format", config.chroma.to_string()));
        }
        let layout = PictureLayout::new(PictureFormat::Nv12, config.size)?;
        if layout.coded() != layout.visible() {
            // It would scale to the even size where the edge has to be repeated.
            let detail = format!("{}, where both sides have to be even", config.size);
            return Err(unsupported("that size", detail));
        }
        let around = Around {
            niceness,
            ..Around::default()
        };
        let shared = Arc::new(Shared::new(config)?);
        let converting = Converting::new(config, &layout, converter, &around)?;
        let jobs = thread::start(Arc::clone(&shared), converting)?;
        Ok(Self {
            shared,
            jobs,
            layout,
            config: config.clone(),
            offer,
            around,
            memory: converter.memory,
            any_memory: converter.any_memory,
            next: 0,
        })
    }

    fn check(&self, frame: &Frame) -> Result<(), StageError> {
        let view = frame.buffer.view();
        if view.content.size() != self.config.size {
            return Err(StageError::Size {
                seen: view.content.size(),
                expected: self.config.size,
            });
        }
        let importable = match &frame.buffer {
            SourceBuffer::DmaBuf(buffer) => self.any_memory || buffer.is_dma_buf(),
            _ => false,
        };
        if !importable {
            // No driver imports it; the CPU would have to read it.
            return Err(StageError::Path {
                path: PathClass::CpuUpload,
                ceiling: PathClass::GpuCopy,
            });
        }
        let size = frame.buffer.layout().size;
        if size != view.content.size() {
            let content = view.content;
            return Err(Unfit::Content { content, size }.stage());
        }
        Ok(())
    }
}

impl Stager for GpuStager {
    fn room(&self) -> usize {
        self.shared.room()
    }

    fn stage(&mut self, frame: Frame) -> Result<Ticket, StageError> {
        self.check(&frame)?;
        self.shared.claim()?;
        let ticket = Ticket(self.next);
        self.next += 1;
        if self.jobs.send(Job::Convert(ticket, frame)).is_err() {
            return Err(StageError::Ended {
                reason: "the converter's thread is gone".to_owned(),
            });
        }
        Ok(ticket)
    }

    fn poll(&mut self) -> Result<Option<StageEvent>, StageError> {
        self.shared.poll()
    }

    fn retire(&mut self, buffer: &BufferKey) {
        // Where the thread is gone, so is what it kept.
        let _ = self.jobs.send(Job::Retire(buffer.clone()));
    }

    fn encoder(&self, config: &EncoderConfig) -> Result<Box<dyn Encoder>, OpenError> {
        let chroma = self.config.chroma;
        let (row, name) = self
            .offer
            .choose(config.codec, config.encoder.as_deref(), chroma)?;
        let input = Input {
            layout: self.layout,
            color: self.config.color,
            chroma,
            memory: Memory::Device {
                feature: self.memory,
            },
            around: self.around.clone(),
        };
        Ok(Box::new(GstEncoder::open(row, &name, config, input)?))
    }

    fn wake(&self) -> BorrowedFd<'_> {
        self.shared.event.as_fd()
    }
}

#[cfg(test)]
mod tests;
