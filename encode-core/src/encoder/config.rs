use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::PathClass;
use crate::color::ColorSpec;
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
}

impl Codec {
    /// All codecs, in the order in which they are tried.
    pub const ALL: [Self; 5] = [Self::H264, Self::H265, Self::Av1, Self::Vp9, Self::Vp8];

    /// The name that [`Display`](fmt::Display) writes and [`FromStr`] reads.
    pub const fn name(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::H265 => "h265",
            Self::Vp8 => "vp8",
            Self::Vp9 => "vp9",
            Self::Av1 => "av1",
        }
    }

    /// True where the bitstream itself can say any visible size in 4:2:0.
    /// H.264 and HEVC crop 4:2:0 in steps of two luma samples, so that an odd
    /// size must travel out of band.
    pub const fn carries_odd_sizes(self) -> bool {
        matches!(self, Self::Vp8 | Self::Vp9 | Self::Av1)
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

/// Bits per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bitrate(u64);

impl Bitrate {
    /// A rate in bits per second.
    pub const fn bps(bps: u64) -> Self {
        Self(bps)
    }

    /// A rate in units of 1000 bits per second.
    pub const fn kbps(kbps: u32) -> Self {
        Self(kbps as u64 * 1000)
    }

    /// Bits per second.
    pub const fn as_bps(self) -> u64 {
        self.0
    }

    /// In units of 1000 bits per second, rounded to nearest, at least 1.
    pub const fn as_kbps(self) -> u64 {
        let kbps = self.0.saturating_add(500) / 1000;
        if kbps == 0 { 1 } else { kbps }
    }
}

impl fmt::Display for Bitrate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0..1_000 => write!(f, "{} bit/s", self.0),
            1_000..1_000_000 => write!(f, "{:.0} kbit/s", self.0 as f64 / 1e3),
            _ => write!(f, "{:.2} Mbit/s", self.0 as f64 / 1e6),
        }
    }
}

/// The text is no bit rate.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "{0:?} is no bit rate: write bits per second, or a number with k or M, for example 8M or 2500k (1k to 1000M)"
)]
pub struct ParseBitrateError(String);

impl FromStr for Bitrate {
    type Err = ParseBitrateError;

    /// Reads `8M`, `2500k`, `1.5M` or plain bits per second, within 1k to 1000M.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || ParseBitrateError(text.to_owned());
        let (number, unit) = match text.as_bytes().last() {
            Some(b'k' | b'K') => (&text[..text.len() - 1], 1e3),
            Some(b'M' | b'm') => (&text[..text.len() - 1], 1e6),
            Some(_) => (text, 1.0),
            None => return Err(bad()),
        };
        let plain = number.bytes().all(|c| c.is_ascii_digit() || c == b'.');
        let value: f64 = number.parse().map_err(|_| bad())?;
        let bps = (value * unit).round();
        if !plain || !(1e3..=1e9).contains(&bps) {
            return Err(bad());
        }
        Ok(Self(bps as u64))
    }
}

/// Frames per second as a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FrameRate {
    /// Frames ...
    pub num: NonZeroU32,
    /// ... in so many seconds.
    pub den: NonZeroU32,
}

impl FrameRate {
    /// `fps` whole frames per second; zero counts as one.
    pub const fn whole(fps: u32) -> Self {
        Self {
            num: match NonZeroU32::new(fps) {
                Some(fps) => fps,
                None => NonZeroU32::MIN,
            },
            den: NonZeroU32::MIN,
        }
    }

    /// Frames per second.
    pub fn as_f64(self) -> f64 {
        f64::from(self.num.get()) / f64::from(self.den.get())
    }

    /// The time of one frame.
    pub fn interval(self) -> Duration {
        Duration::from_secs_f64(f64::from(self.den.get()) / f64::from(self.num.get()))
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

/// Lowest and highest quantiser, in the codec's own scale (H.264 and HEVC 0 to
/// 51, VP8 and VP9 0 to 63, AV1 0 to 63 as its encoders' command lines count).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct QpBounds {
    /// Best quality allowed.
    pub min: u8,
    /// Worst quality allowed.
    pub max: u8,
}

/// What an encoder holds constant.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RateControl {
    /// One quantiser for all pictures.
    ConstantQp {
        /// In the codec's own scale, see [`QpBounds`].
        qp: u8,
    },
    /// A bit rate held over `window`.
    Constant {
        /// The rate.
        bitrate: Bitrate,
        /// Length of the rate buffer (VBV, CPB).
        window: Duration,
        /// Bounds of the quantiser, where the caller has an opinion.
        qp: Option<QpBounds>,
    },
    /// A target on average, a peak over `window`.
    Variable {
        /// Average.
        target: Bitrate,
        /// Peak.
        peak: Bitrate,
        /// Length of the rate buffer (VBV, CPB).
        window: Duration,
        /// Bounds of the quantiser, where the caller has an opinion.
        qp: Option<QpBounds>,
    },
}

impl RateControl {
    /// `bitrate` held over a quarter of a second: remote desktop's usual trade
    /// between latency peaks and quality.
    pub const fn constant(bitrate: Bitrate) -> Self {
        Self::Constant {
            bitrate,
            window: Duration::from_millis(250),
            qp: None,
        }
    }

    /// The rate asked for, where there is one.
    pub const fn bitrate(&self) -> Option<Bitrate> {
        match self {
            Self::ConstantQp { .. } => None,
            Self::Constant { bitrate, .. } => Some(*bitrate),
            Self::Variable { target, .. } => Some(*target),
        }
    }

    /// The bounds asked for, where there are any.
    pub const fn qp_bounds(&self) -> Option<QpBounds> {
        match self {
            Self::ConstantQp { .. } => None,
            Self::Constant { qp, .. } | Self::Variable { qp, .. } => *qp,
        }
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
    /// Longest wait for a source's fence: 200 ms, more than a frame takes on a
    /// GPU that works, and below the limit of a session's watchdog.
    pub acquire_limit: Duration,
}

impl StageConfig {
    /// 4:2:0 pictures of `size` with the desktop's colour, any path, four pictures.
    pub const fn new(size: Size) -> Self {
        Self {
            size,
            chroma: Chroma::C420,
            color: ColorSpec::DESKTOP,
            max_path: PathClass::Software,
            pictures: 4,
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
    fn bitrates_read_with_units_and_bounds() {
        assert_eq!("8M".parse::<Bitrate>().unwrap().as_bps(), 8_000_000);
        assert_eq!("2500k".parse::<Bitrate>().unwrap().as_bps(), 2_500_000);
        assert_eq!("1.5M".parse::<Bitrate>().unwrap().as_bps(), 1_500_000);
        assert_eq!("64000".parse::<Bitrate>().unwrap().as_bps(), 64_000);
        for bad in [
            "", "M", "0", "-8M", "nan", "inf", "1e9M", "9999M", "8 M", "8MM", "é",
        ] {
            assert!(bad.parse::<Bitrate>().is_err(), "{bad}");
        }
    }

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
