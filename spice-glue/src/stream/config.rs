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

/// Sizes on both sides of where clients change their guess of VP8's colour.
const LARGE: Size = Size::new(1920, 1080);
const SMALL: Size = Size::new(640, 480);

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
    /// The meaning of their numbers. VP8 cannot say it, and clients guess by the size: where
    /// this is what they take VP8 for at some size, it follows the size.
    pub color: ColorSpec,
    /// The dearest way that a frame's pixels may take to it.
    pub max_path: PathClass,
}

impl EncoderChoice {
    /// 4:2:0 in the colour that clients take the codec for, by any path.
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
            color: codec.preferred_color(LARGE),
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
        if self.follows_size(&choice, spec) {
            config.color = Codec::Vp8.preferred_color(size);
        }
        config.max_path = choice.max_path;
        config.find_damage = self.find_damage;
        // Being staged, newest, and per encoder one that it codes while another waits
        // for room; two encoders (a codec more, or a lower tier) are the usual most.
        config.pictures = 6;
        Some((choice, config))
    }

    /// VP8 is among what is coded from such pictures, in a colour that clients guess. What
    /// shares the stage says in its headers what it is.
    fn follows_size(&self, choice: &EncoderChoice, spec: &StageSpec) -> bool {
        let guesses = [SMALL, LARGE].map(|size| Codec::Vp8.preferred_color(size));
        guesses.contains(&spec.color)
            && self.encoders.iter().any(|other| {
                other.codec == Codec::Vp8
                    && other.shares_stage_with(choice)
                    && (other.chroma, other.color) == (spec.chroma, spec.color)
            })
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

#[cfg(test)]
mod tests {
    use super::*;
    use scanout_core::encoder::DeviceKind;
    use scanout_core::noop::NoopBackend;

    fn config(codecs: &[Codec]) -> GlStreamConfig {
        let backend: Arc<dyn Backend> = Arc::new(NoopBackend::default());
        let choice = |codec: &Codec| {
            let device = Device::new("none", "no device", DeviceKind::Cpu);
            EncoderChoice::new(Arc::clone(&backend), device, "noop", *codec)
        };
        GlStreamConfig::new(codecs.iter().map(choice).collect())
    }

    #[test]
    fn choices_that_stage_alike_share_a_stage() {
        let offers = config(&[Codec::H264, Codec::Vp9, Codec::Mjpeg])
            .offers()
            .unwrap();
        assert_eq!(offers[0].stage, offers[1].stage);
        assert_ne!(
            offers[0].stage, offers[2].stage,
            "JPEG has a colour of its own"
        );

        let mut two = config(&[Codec::H264, Codec::Vp9]);
        two.encoders[1].backend = Arc::new(NoopBackend::default());
        let offers = two.offers().unwrap();
        assert_ne!(
            offers[0].stage, offers[1].stage,
            "another backend's pictures"
        );
    }

    #[test]
    fn a_stream_needs_an_encoder_that_spice_has() {
        assert!(matches!(
            config(&[]).offers(),
            Err(GlStreamError::NoEncoders)
        ));
        let refused = config(&[Codec::H264, Codec::Av1]).offers();
        assert!(matches!(
            refused,
            Err(GlStreamError::Codec {
                codec: Codec::Av1,
                ..
            })
        ));
    }

    #[test]
    fn pictures_have_the_colour_that_clients_take_vp8_for() {
        let color = |config: &GlStreamConfig, size| {
            let spec = config.offers().unwrap()[0].stage;
            config.stage(size, &spec).unwrap().1.color
        };
        for size in [SMALL, LARGE] {
            let guess = Codec::Vp8.preferred_color(size);
            assert_eq!(color(&config(&[Codec::Vp8]), size), guess);
            assert_eq!(color(&config(&[Codec::H264, Codec::Vp8]), size), guess);
            assert_eq!(color(&config(&[Codec::H264]), size), ColorSpec::DESKTOP);
            assert_eq!(color(&config(&[Codec::Mjpeg]), size), ColorSpec::JFIF);
            let mut asked = config(&[Codec::Vp8]);
            asked.encoders[0].color = ColorSpec::JFIF;
            assert_eq!(color(&asked, size), ColorSpec::JFIF, "as it was asked for");
        }
    }
}
