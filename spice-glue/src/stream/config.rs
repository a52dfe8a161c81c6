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
    /// The meaning of their numbers. `None`, the default, is the codec's
    /// [preferred colour](Codec::preferred_color) of the size at hand; where VP8 shares the
    /// pictures it is VP8's, which clients guess by the size, while the others say in their
    /// headers what it is.
    pub color: Option<ColorSpec>,
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
            color: None,
            max_path: PathClass::Software,
        }
    }

    /// The colour that it has at every size; `None` where it follows that.
    fn fixed_color(&self) -> Option<ColorSpec> {
        self.color.or(self.codec.required_color())
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
                        color: choice.fixed_color(),
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
        config.color = spec
            .color
            .or_else(|| self.color_by_size(size, &choice, spec.chroma))
            .unwrap_or(config.color);
        config.max_path = choice.max_path;
        config.find_damage = self.find_damage;
        // Being staged, newest, and per encoder one that it codes while another waits
        // for room; two encoders (a codec more, or a lower tier) are the usual most.
        config.pictures = 6;
        Some((choice, config))
    }

    /// The colour of pictures of `size` for all that share a stage with `choice` and have
    /// none of their own.
    fn color_by_size(
        &self,
        size: Size,
        choice: &EncoderChoice,
        chroma: Chroma,
    ) -> Option<ColorSpec> {
        let sharing = self.encoders.iter().filter(|other| {
            other.shares_stage_with(choice)
                && other.chroma == chroma
                && other.fixed_color().is_none()
        });
        // VP8 first: it cannot say what it is.
        let codec = sharing.map(|c| c.codec).max_by_key(|c| *c == Codec::Vp8)?;
        Some(codec.preferred_color(size))
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
    fn pictures_have_the_colour_that_clients_take_their_codec_for_at_each_size() {
        let color = |config: &GlStreamConfig, offer: usize, size| {
            let spec = config.offers().unwrap()[offer].stage;
            config.stage(size, &spec).unwrap().1.color
        };
        // On both sides of where clients change their guess of VP8's.
        let sizes = [Size::new(640, 480), Size::new(1920, 1080)];
        let guesses = sizes.map(|size| Codec::Vp8.preferred_color(size));
        assert_ne!(guesses[0], guesses[1]);
        for (size, guess) in sizes.into_iter().zip(guesses) {
            assert_eq!(color(&config(&[Codec::Vp8]), 0, size), guess);
            let both = config(&[Codec::Mjpeg, Codec::H264, Codec::Vp8]);
            assert_eq!(color(&both, 0, size), ColorSpec::JFIF);
            assert_eq!(color(&both, 1, size), guess, "H.264 shares VP8's");
            assert_eq!(color(&both, 2, size), guess);
            assert_eq!(color(&config(&[Codec::H264]), 0, size), ColorSpec::DESKTOP);
            assert_eq!(color(&config(&[Codec::Mjpeg]), 0, size), ColorSpec::JFIF);

            // As it was asked for, which is then not shared.
            for asked in [ColorSpec::JFIF, ColorSpec::DESKTOP] {
                let mut two = config(&[Codec::Vp8, Codec::H264]);
                two.encoders[1].color = Some(asked);
                assert_eq!(color(&two, 0, size), guess);
                assert_eq!(color(&two, 1, size), asked);
                two.encoders[0].color = Some(asked);
                assert_eq!(color(&two, 0, size), asked);
            }
        }
    }
}
