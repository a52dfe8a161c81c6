use std::num::NonZeroU32;
use std::time::Duration;

use scanout_core::buffer::ImportPolicy;
use scanout_core::encoder::{Bitrate, Codec};

use crate::stream::EncoderChoice;

/// How a [`SyncEncoder`](super::SyncEncoder) works.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SyncConfig {
    /// What codes.
    pub encoder: EncoderChoice,
    /// The rate to begin with, and the most: 8 Mbit/s.
    pub bitrate: Bitrate,
    /// Frames a second that rate control counts with: 60.
    pub fps: NonZeroU32,
    /// The longest that a call takes: 250 ms.
    pub limit: Duration,
    /// What buffers are taken.
    pub policy: ImportPolicy,
}

impl SyncConfig {
    /// `encoder` with everything else as its field says.
    pub fn new(encoder: EncoderChoice) -> Self {
        Self {
            encoder,
            bitrate: Bitrate::kbps(8000),
            fps: NonZeroU32::MIN.saturating_add(59),
            limit: Duration::from_millis(250),
            policy: ImportPolicy::default(),
        }
    }
}

/// An encoder cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SyncEncoderError {
    /// A codec that SPICE has no number for.
    #[error("{encoder} codes {codec}, and SPICE has MJPEG, VP8, H.264, VP9 and H.265 only")]
    Codec {
        /// The encoder.
        encoder: String,
        /// Its codec.
        codec: Codec,
    },
}
