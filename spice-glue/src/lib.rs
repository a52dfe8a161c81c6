//! SPICE for Scanout: `gl_scanout`/`gl_draw` streams to stock remote clients.
//!
//! | module | what |
//! |---|---|
//! | [`gl`] | what to stage, code and send when: a state machine without sockets, threads or clocks |
//! | [`stream`] | a thread around it that owns sources and encoders |
//! | [`server`] | sockets, tickets, TLS and the channels of stock clients |
//! | [`sync_encoder`] | a buffer in, bytes out, on the calling thread: for a C ABI |
//! | [`wire`] | the messages of the protocol, encoded and decoded |
//!
//! # A screen of one's own
//!
//! A program that has scanouts and draws gives them to a [`GlStream`](stream::GlStream),
//! and the stream's [`Viewers`](stream::Viewers) to a `server::Console`. Each draw's
//! [`Release`](scanout_core::sync::Release) says when it may draw again.
//!
//! ```
//! use std::sync::Arc;
//! use std::sync::mpsc::{Sender, channel};
//! use std::time::Duration;
//!
//! use scanout_core::buffer::{Layout, MemoryImage};
//! use scanout_core::encoder::{Backend, Codec};
//! use scanout_core::format::Fourcc;
//! use scanout_core::geometry::{Damage, Size};
//! use scanout_core::sync::{Acquire, Release, ReleaseSink, SyncFile};
//! use scanout_spice::stream::{EncoderChoice, GlStream, GlStreamConfig};
//!
//! struct Answers(Sender<u64>);
//!
//! impl ReleaseSink for Answers {
//!     fn released(&self, draw: u64, _fence: Option<SyncFile>) {
//!         let _ = self.0.send(draw);
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Any backend will do: one of GStreamer codes for real.
//! let backend = Arc::new(scanout_core::noop::NoopBackend::default());
//! let device = backend.devices()?.remove(0);
//! let choice = EncoderChoice::new(backend, device, "noop", Codec::H264);
//! let stream = GlStream::start(GlStreamConfig::new(vec![choice]))?;
//!
//! // A producer of dma-bufs has `DmaBuf::import` in place of this.
//! let size = Size::new(320, 180);
//! let (layout, bytes) = Layout::packed(Fourcc::XRGB8888, size, 64).ok_or("no layout")?;
//! let grey = Arc::new(vec![80; bytes as usize]);
//! stream.scanout(MemoryImage::new(grey, layout)?.into());
//!
//! let (sender, answers) = channel();
//! let owner: Arc<dyn ReleaseSink> = Arc::new(Answers(sender));
//! for draw in 0..3 {
//!     let release = Release::new(Arc::clone(&owner), draw);
//!     stream.draw(Damage::full(size), Acquire::Ready, release);
//!     assert_eq!(answers.recv_timeout(Duration::from_secs(5))?, draw);
//! }
//!
//! // Nobody watched: nothing was staged, no encoder opened.
//! let stats = stream.stop(Duration::from_secs(5))?;
//! assert_eq!((stats.draws, stats.staged), (3, 0));
//! # Ok(())
//! # }
//! ```
//!
//! `examples/gl_stream.rs` is a program of that kind that serves what it draws.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used))]

pub mod gl;
#[cfg(feature = "server")]
pub mod server;
pub mod stream;
pub mod sync_encoder;
pub mod wire;
