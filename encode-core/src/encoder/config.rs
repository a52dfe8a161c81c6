use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Bitrate, FrameRate, PathClass, QpBounds, RateControl};
use crate::color::{ColorSpec, Matrix};
use crate::geometry::Size;

/// A video coding format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Codec {
    /// ITU-T H.264, Annex-B byte stream.
    H264,
    /// ITU-T H.265, Annex-B byte stream.
    H265,
    /// VP8 frames.
    Vp8,
    /// VP9 frames (no superframe index across access units).
    Vp9,
    /// AV1 temporal units of low-overhead OBUs.
    Av1,
    /// Motion JPEG: each packet is one JFIF picture, and a keyframe.
    Mjpeg,
}

impl Codec {
    /// All codecs, in the order in which they are tried.
    pub const ALL: [Self; 6] = [
        Self::H264,
        Self::H265,
        Self::Av1,
        Self::Vp9,
        Self::Vp8,
        Self::Mjpeg,
    ];

    /// The name that [`Display`](fmt::Display) writes and [`FromStr`] reads.
    pub const fn name(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::H265 => "h265",
            Self::Vp8 => "vp8",
            Self::Vp9 => "vp9",
            Self::Av1 => "av1",
            Self::Mjpeg => "mjpeg",
        }
    }

    /// True where the bitstream itself can say any visible size in 4:2:0.
    /// H.264 and HEVC crop 4:2:0 in steps of two luma samples, so that an odd
    /// size must travel out of band.
    pub const fn carries_odd_sizes(self) -> bool {
        matches!(self, Self::Vp8 | Self::Vp9 | Self::Av1 | Self::Mjpeg)
    }

    /// True where every picture is a keyframe, asked for or not.
    pub const fn is_intra_only(self) -> bool {
        matches!(self, Self::Mjpeg)
    }

    /// The colour that every decoder takes this codec's pictures for, where its
    /// headers have no place for another. Matrix and range must be these, or the
    /// encoder is refused.
    pub const fn required_color(self) -> Option<ColorSpec> {
        match self {
            Self::Mjpeg => Some(ColorSpec::JFIF),
            _ => None,
        }
    }

    /// The colour in which a stock client shows this codec's pictures of `size` as
    /// they are: [`required_color`](Self::required_color), or what its headers carry,
    /// or what players guess where they carry none. Encoders that share a stager
    /// share its colour, so that those that differ here need one each.
    ///
    /// Measured with GStreamer 1.22 as the client (the decoder of its choice, then
    /// `videoconvert` to BGRx) on a chart of 125 colours: the mean error of a
    /// component in steps of 255. Most of what is left in limited range is the
    /// client's own conversion.
    ///
    /// | codec | in headers | preferred | error | in BT.601, limited | in BT.709, full |
    /// |---|---|---|---|---|---|
    /// | H.264, H.265 | all of it | [`DESKTOP`](ColorSpec::DESKTOP) | 2.1 | 2.1 | 0.7 |
    /// | VP9 | matrix, range | `DESKTOP` | 2.1 | 6.8 above 576 rows | 0.7 |
    /// | VP8, above 576 rows | nothing | `DESKTOP` | 2.1 | 6.8 | 3.9 |
    /// | VP8, up to 576 rows | nothing | `DESKTOP` with BT.601's matrix | 2.1 | 2.1 | 6.6 |
    /// | MJPEG | the JFIF marker | [`JFIF`](ColorSpec::JFIF) | 0.8 | refused | refused |
    ///
    /// Full range loses least, and is not preferred all the same: a decoder or an
    /// overlay that passes the flag over shows every grey wrong.
    pub const fn preferred_color(self, size: Size) -> ColorSpec {
        match (self, self.required_color()) {
            (_, Some(only)) => only,
            // What analogue television had is taken for its colour.
            (Self::Vp8, _) if size.height <= 576 => ColorSpec {
                matrix: Matrix::Bt601,
                ..ColorSpec::DESKTOP
            },
            _ => ColorSpec::DESKTOP,
        }
    }

    /// True where packets are NAL units in Annex-B form.
    pub const fn is_annex_b(self) -> bool {
        matches!(self, Self::H264 | Self::H265)
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Codec {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = match text {
            "hevc" => "h265",
            "avc" => "h264",
            "jpeg" => "mjpeg",
            other => other,
        };
        ParseNameError::look_up("codec", text, Self::ALL.iter().map(|c| (c.name(), *c)))
    }
}

/// A name that is not in a list of names.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{seen:?} is no {what}: one of {allowed}")]
pub struct ParseNameError {
    what: &'static str,
    seen: String,
    allowed: String,
}

impl ParseNameError {
    pub(crate) fn look_up<T>(
        what: &'static str,
        seen: &str,
        names: impl Iterator<Item = (&'static str, T)>,
    ) -> Result<T, Self> {
        let mut allowed = String::new();
        for (name, value) in names {
            if name == seen {
                return Ok(value);
            }
            if !allowed.is_empty() {
                allowed.push_str(", ");
            }
            allowed.push_str(name);
        }
        Err(Self {
            what,
            seen: seen.to_owned(),
            allowed,
        })
    }
}

/// Chroma resolution of coded pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Chroma {
    /// 4:2:0, what every decoder takes.
    #[default]
    #[serde(rename = "420")]
    C420,
    /// 4:4:4: coloured text stays sharp; few decoders in hardware take it.
    #[serde(rename = "444")]
    C444,
}

impl Chroma {
    /// The name that [`Display`](fmt::Display) writes and [`FromStr`] reads.
    pub const fn name(self) -> &'static str {
        match self {
            Self::C420 => "420",
            Self::C444 => "444",
        }
    }
}

impl fmt::Display for Chroma {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Chroma {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        ParseNameError::look_up(
            "chroma format",
            text,
            [Self::C420, Self::C444].into_iter().map(|c| (c.name(), c)),
        )
    }
}

/// How much work an encoder may spend on a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Effort {
    /// The least latency and load (x264 ultrafast and its like).
    #[default]
    Fastest,
    /// Some compression for some time (x264 veryfast).
    Balanced,
    /// Compression first, still without delay (x264 medium).
    Quality,
}

impl Effort {
    /// The name that [`Display`](fmt::Display) writes and [`FromStr`] reads.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fastest => "fastest",
            Self::Balanced => "balanced",
            Self::Quality => "quality",
        }
    }
}

impl fmt::Display for Effort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Effort {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        ParseNameError::look_up(
            "effort",
            text,
            [Self::Fastest, Self::Balanced, Self::Quality]
                .into_iter()
                .map(|e| (e.name(), e)),
        )
    }
}

/// When an encoder makes a keyframe by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Keyframes {
    /// The first picture, then only when a [`PictureRequest`](super::PictureRequest) asks.
    #[default]
    OnRequest,
    /// At least one in so many pictures.
    Every(NonZeroU32),
}

/// What a [`Stager`](super::Stager) makes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StageConfig {
    /// Visible size of the pictures: that of the source's content.
    pub size: Size,
    /// Chroma of the pictures.
    pub chroma: Chroma,
    /// The meaning that the pictures' numbers shall have.
    pub color: ColorSpec,
    /// The dearest way that a frame may take; opening or staging fails beyond.
    pub max_path: PathClass,
    /// Pictures in circulation: one coded, one pending, one being staged, and
    /// one more for each further picture that encoders hold at a time.
    pub pictures: usize,
    /// Find out by comparison what really changed, within the damage that the
    /// producer names: for producers whose damage is always the whole frame. A frame
    /// without a change gives no picture but
    /// [`StageEvent::Unchanged`](super::StageEvent::Unchanged), whatever a session's
    /// configuration says of unchanged frames.
    ///
    /// For packed RGB that the CPU converts; of other sources the producer's word is
    /// taken. Costs a copy of the frame in memory, and of a conversion of the
    /// whole frame about a fifth where nothing and a third where all has changed. The
    /// source is let go before the conversion, which reads the copy.
    pub find_damage: bool,
    /// Longest wait for a source's fence: 200 ms, more than a frame takes on a
    /// GPU that works, and below the limit of a session's watchdog.
    pub acquire_limit: Duration,
}

impl StageConfig {
    /// 4:2:0 pictures of `size` with the desktop's colour, any path, four pictures,
    /// the damage that producers name.
    pub const fn new(size: Size) -> Self {
        Self {
            size,
            chroma: Chroma::C420,
            color: ColorSpec::DESKTOP,
            max_path: PathClass::Software,
            pictures: 4,
            find_damage: false,
            acquire_limit: Duration::from_millis(200),
        }
    }
}

/// What an [`Encoder`](super::Encoder) makes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EncoderConfig {
    /// Coding format.
    pub codec: Codec,
    /// A backend's own name for one of its encoders (a GStreamer element, say);
    /// `None` takes the backend's best.
    pub encoder: Option<String>,
    /// What is held constant.
    pub rate: RateControl,
    /// The highest rate that [`Adjustment`]s will ask for: level, buffers and
    /// HRD are chosen by it. `None`: twice the rate asked for.
    pub bitrate_ceiling: Option<Bitrate>,
    /// Frame rate that rate control counts with.
    pub frame_rate: FrameRate,
    /// Keyframes made unasked.
    pub keyframes: Keyframes,
    /// Time spent per picture.
    pub effort: Effort,
    /// Threads of a software encoder; `None` leaves it to the encoder.
    pub threads: Option<NonZeroU32>,
}

impl EncoderConfig {
    /// `codec` at 8 Mbit/s and 60 frames per second, keyframes on request.
    pub const fn new(codec: Codec) -> Self {
        Self {
            codec,
            encoder: None,
            rate: RateControl::constant(Bitrate::kbps(8000)),
            bitrate_ceiling: None,
            frame_rate: FrameRate::whole(60),
            keyframes: Keyframes::OnRequest,
            effort: Effort::Fastest,
            threads: None,
        }
    }
}

/// A change to a running encoder; `None` leaves a value as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Adjustment {
    /// New rate (average, where the mode has a peak too).
    pub bitrate: Option<Bitrate>,
    /// New frame rate for rate control.
    pub frame_rate: Option<FrameRate>,
    /// New quantiser bounds.
    pub qp: Option<QpBounds>,
}

impl Adjustment {
    /// Another rate.
    pub const fn bitrate(bitrate: Bitrate) -> Self {
        Self {
            bitrate: Some(bitrate),
            frame_rate: None,
            qp: None,
        }
    }

    /// Other quantiser bounds.
    pub const fn qp(qp: QpBounds) -> Self {
        Self {
            bitrate: None,
            frame_rate: None,
            qp: Some(qp),
        }
    }
}

/// How an [`Adjustment`] took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Applied {
    /// From the next picture on, the stream goes on as it was.
    InPlace,
    /// The next picture is a keyframe.
    WithKeyframe,
    /// The encoder was opened anew: new parameter sets and a keyframe.
    Reopened,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_as_written() {
        for codec in Codec::ALL {
            assert_eq!(codec.to_string().parse::<Codec>().unwrap(), codec);
        }
        for path in PathClass::ALL {
            assert_eq!(path.to_string().parse::<PathClass>().unwrap(), path);
        }
        let error = "mpeg2".parse::<Codec>().unwrap_err().to_string();
        assert!(error.contains("mpeg2") && error.contains("h264"), "{error}");
    }
}
