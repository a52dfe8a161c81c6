//! Scanout turns the frames of a Linux display (dma-bufs) into an encoded
//! video stream, on whatever encoder the machine has, and hands the source
//! buffer back as soon as it was read.
//!
//! This package is the front door: it brings the core and every backend
//! together. [`core`] says what a frame is and what an encoder owes; a backend
//! (cargo feature `gst`: GStreamer) reaches the encoders; [`backends`] names all
//! that this build has. The `scanout` program is made from the same parts.
//!
//! # Encode a few frames
//!
//! Probe what the machine has, take the best for H.264, and give a session some
//! frames of memory. A producer of dma-bufs does the same with
//! [`DmaBuf::import`](core::buffer::DmaBuf::import), and learns from a
//! [`ReleaseSink`](core::sync::ReleaseSink) when it may draw again.
//!
//! ```
//! use std::sync::mpsc::{self, Sender};
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use scanout::core::buffer::{Layout, MemoryImage};
//! use scanout::core::encoder::{
//!     BoxedError, Codec, EncoderConfig, Frame, Packet, StageConfig, StreamInfo,
//! };
//! use scanout::core::format::Fourcc;
//! use scanout::core::geometry::{Damage, Size};
//! use scanout::core::probe::{ProbeOptions, probe};
//! use scanout::core::select::{Wish, rank};
//! use scanout::core::session::{PacketSink, Session, SessionConfig, StreamError};
//! use scanout::core::sync::Release;
//!
//! struct Packets(Sender<Vec<u8>>);
//!
//! impl PacketSink for Packets {
//!     fn packet(&mut self, _: &StreamInfo, packet: &Packet) -> Result<(), BoxedError> {
//!         Ok(self.0.send(packet.bytes.to_vec())?)
//!     }
//!     fn ended(&mut self, _: Result<(), StreamError>) {}
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let backends = scanout::backends();
//! let report = probe(&backends, &ProbeOptions::default(), &mut |_| {});
//! let mut wish = Wish::default();
//! wish.codec = Some(Codec::H264);
//! let ranking = rank(&report, &wish);
//! let Some(best) = ranking.ranked.first() else {
//!     println!("no H.264 encoder on this machine");
//!     return Ok(());
//! };
//! println!("{}: {}", best.candidate.advertised.name, best.why);
//!
//! let size = Size::new(320, 180);
//! let backend = backends
//!     .iter()
//!     .find(|backend| backend.name() == best.candidate.backend)
//!     .ok_or("the backend is gone")?;
//! let stager = backend.open(&best.candidate.device, &StageConfig::new(size))?;
//! let session = Session::start(stager, SessionConfig::every_frame())?;
//! let (packets, coded) = mpsc::channel();
//! let mut config = EncoderConfig::new(Codec::H264);
//! config.encoder = Some(best.candidate.advertised.name.clone());
//! session.add_stream(config, Box::new(Packets(packets)))?;
//!
//! for number in 0..3u8 {
//!     let (layout, bytes) = Layout::packed(Fourcc::XRGB8888, size, 64).ok_or("no layout")?;
//!     let grey = Arc::new(vec![80 * number; bytes as usize]);
//!     let image = MemoryImage::new(grey, layout)?;
//!     let time = Duration::from_millis(16) * number.into();
//!     let frame = Frame::new(number.into(), image.into(), Damage::full(size), time);
//!     session.submit(frame, Release::noop())?;
//! }
//! let stats = session.finish(Duration::from_secs(10))?;
//! assert_eq!(coded.iter().count(), 3);
//! assert_eq!(stats.streams[0].coded, 3);
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used))]

pub use scanout_core as core;
#[cfg(feature = "gst")]
pub use scanout_gst as gst;
#[cfg(feature = "spice")]
pub use scanout_spice as spice;

use scanout_core::encoder::Backend;

/// Every backend that this build has, each behind its cargo feature.
///
/// A backend whose library is not there or does not start is among them: it
/// has no devices, and says why when it is asked for them.
pub fn backends() -> Vec<Box<dyn Backend>> {
    vec![
        #[cfg(feature = "gst")]
        gstreamer(),
    ]
}

#[cfg(feature = "gst")]
fn gstreamer() -> Box<dyn Backend> {
    use scanout_core::encoder::BackendName;
    match scanout_gst::GstBackend::new() {
        Ok(backend) => Box::new(backend),
        Err(error) => Box::new(absent::Absent::new(BackendName("gst"), &error)),
    }
}

#[cfg(feature = "gst")]
mod absent {
    use scanout_core::encoder::{
        Backend, BackendError, BackendName, Capabilities, Device, OpenError, StageConfig, Stager,
    };

    /// Stands for a backend that did not start.
    #[derive(Debug)]
    pub(super) struct Absent {
        name: BackendName,
        why: String,
    }

    impl Absent {
        pub(super) fn new(name: BackendName, error: &BackendError) -> Self {
            Self {
                name,
                why: error.to_string(),
            }
        }

        fn error(&self) -> BackendError {
            BackendError::Unavailable {
                library: self.name.to_string(),
                cause: self.why.clone().into(),
            }
        }
    }

    impl Backend for Absent {
        fn name(&self) -> BackendName {
            self.name
        }

        fn devices(&self) -> Result<Vec<Device>, BackendError> {
            Err(self.error())
        }

        fn capabilities(&self, _: &Device) -> Result<Capabilities, BackendError> {
            Err(self.error())
        }

        fn open(&self, _: &Device, _: &StageConfig) -> Result<Box<dyn Stager>, OpenError> {
            Err(OpenError::Backend {
                what: format!("opening backend {}", self.name),
                cause: self.why.clone().into(),
            })
        }
    }
}

/// The guide's code, compiled and run with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/guide.md")]
struct Guide;
