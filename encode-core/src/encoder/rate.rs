use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

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

/// Lowest and highest quantiser, in the codec's own scale (H.264 and HEVC 0 to
/// 51, VP8 and VP9 0 to 63, AV1 0 to 63 as its encoders' command lines count,
/// MJPEG 0 to 100: what a quality of libjpeg lacks to 100).
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
}
