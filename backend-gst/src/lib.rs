//! GStreamer backend of Scanout.
//!
//! [`GstBackend`] finds the encoder elements of the installed GStreamer (1.22
//! and newer) and drives them: `x264enc`, `openh264enc`, `x265enc`, `svtav1enc`,
//! `av1enc`, `rav1enc`, `vp8enc`, `vp9enc`, `jpegenc` on the CPU, and the elements of va,
//! msdk, qsv, nvcodec, v4l2 and vulkan on hardware. Each encoder is a pipeline of
//! its own, `appsrc ! element ! appsink`, whose pictures are read in place and
//! whose packets come out one per picture, without delay. Pictures come from the
//! CPU's conversion or, for va elements, from a converter on the device; see
//! [`GstBackend`].
//!
//! **No hardware element has ever run here.** Their pipelines are tested with
//! software elements in their places; see `docs/hardware.md`.
//!
//! What each element calls a setting stands in one table ([`elements`]); what
//! it lacks is said in `StreamInfo::not_applied` and `EncoderCaps::notes`.
//! [`mux`] writes packets into files, [`Decoder`] checks them.
//!
//! ```no_run
//! use scanout_core::encoder::{Backend, Codec, EncoderConfig, StageConfig};
//! use scanout_core::geometry::Size;
//! use scanout_gst::GstBackend;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let backend = GstBackend::new()?;
//! let devices = backend.devices()?;
//! let cpu = devices.iter().find(|d| d.id == "cpu").ok_or("no software encoders")?;
//! let stager = backend.open(cpu, &StageConfig::new(Size::new(1920, 1080)))?;
//! let encoder = stager.encoder(&EncoderConfig::new(Codec::H264))?;
//! println!("{}", encoder.stream().encoder);
//! # Ok(())
//! # }
//! ```
#![deny(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used))]

#[cfg(test)]
extern crate self as scanout_gst;

mod backend;
mod contexts;
mod decode;
pub mod elements;
mod encoder;
mod frame;
mod gpu;
mod headers;
pub mod mux;
mod offer;
mod pipeline;
mod property;
pub mod reaper;
mod settings;
mod stager;
#[cfg(test)]
mod stand_in;
// What the tests of the whole crate use, for those inside of it as well.
#[cfg(test)]
#[path = "../tests/support/mod.rs"]
mod support;
mod sys;

pub use backend::GstBackend;
pub use decode::{DecodeError, DecodedFrame, Decoder};
pub use pipeline::ElementError;
