//! GStreamer backend of Scanout.
//!
//! [`GstBackend`] finds the encoder elements of the installed GStreamer (1.22
//! and newer) and drives the software ones: `x264enc`, `openh264enc`,
//! `x265enc`, `svtav1enc`, `av1enc`, `rav1enc`, `vp8enc`, `vp9enc`. Each encoder
//! is a pipeline of its own, `appsrc ! element ! appsink`, whose pictures are
//! read in place and whose packets come out one per picture, without delay.
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
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used))]

mod backend;
mod decode;
pub mod elements;
mod encoder;
mod frame;
mod headers;
pub mod mux;
mod pipeline;
mod property;
pub mod reaper;
mod settings;
mod stager;

pub use backend::GstBackend;
pub use decode::{DecodeError, DecodedFrame, Decoder};
pub use pipeline::ElementError;
