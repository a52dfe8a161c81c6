//! The synchronous form: a buffer in, its release on the calling thread, bytes out.
//!
//! [`SyncEncoder`] is made for a caller that encodes in its own loop and must have its
//! buffer back before it goes on, as spice-server's display thread does: its
//! `VideoEncoder::encode_dmabuf` maps to [`SyncEncoder::encode_dmabuf`] one to one. Drivers
//! are called on a thread of the encoder's own, so that no call takes longer than
//! [`SyncConfig::limit`], whatever a driver does; the caller sees none of it.

mod config;
mod encoder;
mod pump;
mod rate;

pub use config::{SyncConfig, SyncEncoderError};
pub use encoder::{DmabufFrame, Outcome, SyncEncoder, VideoBytes};
