use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use scanout_core::color::ColorSpec;
use scanout_core::encoder::{
    Backend, Bitrate, Chroma, Codec, Device, Effort, EncoderConfig, FrameRate, PathClass,
    RateControl, StageConfig,
};
use scanout_core::geometry::Size;

use crate::gl::{Offer, StageSpec, VideoCodec};

/// One encoder that a stream may use: what a ranking of a probe's candidates gives.
#[derive(Clone)]
#[non_exhaustive]
pub struct EncoderChoice {
    /// How to reach it.
    pub backend: Arc<dyn Backend>,
    /// Which of the backend's devices.
    pub device: Device,
    /// The backend's name for it.
    pub encoder: String,
    /// What it codes.
    pub codec: Codec,
    /// From pictures of which chroma.
    pub chroma: Chroma,
    /// The meaning of their numbers.
    pub color: ColorSpec,
    /// The dearest way that a frame's pixels may take to it.
    pub max_path: PathClass,
}

impl EncoderChoice {
    /// 4:2:0 with the desktop's colour, by any path.
    pub fn new(
        backend: Arc<dyn Backend>,
        device: Device,
        encoder: impl Into<String>,
        codec: Codec,
    ) -> Self {
        Self {
            backend,
            device,
            encoder: encoder.into(),
            codec,
            chroma: Chroma::C420,
            color: ColorSpec::DESKTOP,
            max_path: PathClass::Software,
        }
    }

    /// Pictures of these two may come from one stager. Two backends of one name may be
    /// two configurations, so that the object itself counts.
    fn shares_stage_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.backend, &other.backend)
            && self.device == other.device
            && self.max_path == other.max_path
    }
}

impl fmt::Debug for EncoderChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} on {} of {}",
            self.encoder,
            self.chroma,
            self.device.id,
            self.backend.name()
        )
    }
}

/// How a [`GlStream`](super::GlStream) runs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GlStreamConfig {
    /// Encoders in order of preference; a viewer gets the first whose codec it shows
    /// (in its own order of codecs, where it has said one). One whose codec SPICE has
    /// not is an error.
    pub encoders: Vec<EncoderChoice>,
    /// Rate of each encoder at its best; a slow network lowers it. 8 Mbit/s by default.
    pub bitrate: Bitrate,
    /// A source's draws are answered at most so often: 60 a second.
    pub max_fps: NonZeroU32,
    /// A draw is answered after so long, whatever drivers do: 250 ms, long for a
    /// conversion and short for a guest that waits.
    pub hold_limit: Duration,
    /// Where the producer's damage is the whole picture, find what really changed.
    pub find_damage: bool,
    /// Viewers of the console at a time, at most: 64.
    pub max_viewers: usize,
    /// Time that encoders spend per picture.
    pub effort: Effort,
    /// Threads of each software encoder; `None` leaves it to the encoder.
    pub threads: Option<NonZeroU32>,
}

impl GlStreamConfig {
    /// `encoders` with everything else as its field says.
    pub fn new(encoders: Vec<EncoderChoice>) -> Self {
        Self {
            encoders,
            bitrate: Bitrate::kbps(8000),
            max_fps: NonZeroU32::MIN.saturating_add(59),
            hold_limit: Duration::from_millis(250),
            find_damage: true,
            max_viewers: 64,
            effort: Effort::Fastest,
            threads: None,
        }
    }

    /// What the machine may choose from. A stage spec's device is the index of the first
    /// choice that stages the same way.
    pub(super) fn offers(&self) -> Result<Vec<Offer>, GlStreamError> {
        if self.encoders.is_empty() {
            return Err(GlStreamError::NoEncoders);
        }
        self.encoders
            .iter()
            .map(|choice| {
                let codec = VideoCodec::of(choice.codec).ok_or_else(|| GlStreamError::Codec {
                    encoder: choice.encoder.clone(),
                    codec: choice.codec,
                })?;
                let mut all = self.encoders.iter();
                let device = all.position(|c| c.shares_stage_with(choice)).unwrap_or(0);
                Ok(Offer {
                    codec,
                    stage: StageSpec {
                        device,
                        chroma: choice.chroma,
                        color: choice.color,
                    },
                })
            })
            .collect()
    }

    /// What to open for pictures of `size`, with the choice whose backend opens it.
    pub(super) fn stage(
        &self,
        size: Size,
        spec: &StageSpec,
    ) -> Option<(EncoderChoice, StageConfig)> {
        let choice = self.encoders.get(spec.device)?.clone();
        let mut config = StageConfig::new(size);
        config.chroma = spec.chroma;
        config.color = spec.color;
        config.max_path = choice.max_path;
        // Being staged, newest, and per encoder one that it codes while another waits
        // for room; two encoders (a codec more, or a lower tier) are the usual most.
        config.pictures = 6;
        Some((choice, config))
    }

    /// What to open for the encoder at `index` of the choices.
    pub(super) fn coder(&self, index: usize, bitrate: Bitrate) -> Option<EncoderConfig> {
        let choice = self.encoders.get(index)?;
        let mut config = EncoderConfig::new(choice.codec);
        config.encoder = Some(choice.encoder.clone());
        config.rate = RateControl::constant(bitrate);
        config.bitrate_ceiling = Some(self.bitrate.max(bitrate));
        config.frame_rate = FrameRate::whole(self.max_fps.get());
        config.effort = self.effort;
        config.threads = self.threads;
        Some(config)
    }
}

/// A stream cannot start, or did not stop.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GlStreamError {
    /// Nothing to code with.
    #[error("no encoder was given: a stream needs at least 1")]
    NoEncoders,
    /// A codec that SPICE has no number for.
    #[error("{encoder} codes {codec}, and SPICE has MJPEG, VP8, H.264, VP9 and H.265 only")]
    Codec {
        /// The encoder.
        encoder: String,
        /// Its codec.
        codec: Codec,
    },
    /// The operating system refused a thread.
    #[error("starting the stream's thread: {0}")]
    Thread(#[source] std::io::Error),
    /// Drivers did not come back. All sources are released.
    #[error(
        "{left} of the stream's threads did not end within {limit:?}: a driver call does not come back"
    )]
    StopTimedOut {
        /// The limit.
        limit: Duration,
        /// Threads left behind.
        left: usize,
    },
    /// The stream's thread panicked: a defect of ours, or of an outlet. All sources are released.
    #[error("the stream's thread panicked")]
    Panicked,
}
