//! A bit rate held by the quality of each picture, for elements that hold none.

use std::time::Duration;

use scanout_core::encoder::{EncoderConfig, QpBounds, RateControl};

/// Bits of a pixel at quality 75, before any picture was coded: a desktop with
/// windows and some text.
const PRIOR_BITS_PER_PIXEL: f64 = 1.0;

/// A picture's bits go with this power of its quantiser's scale. Between 0.6 for
/// photographs and 0.75 for drawings; a wrong one only takes a picture more to
/// arrive.
const EXPONENT: f64 = 0.65;

/// The part of the free rate buffer that one picture may fill. Below 1, so that
/// one whose size was guessed wrong still fits.
const SHARE: f64 = 0.75;

/// How libjpeg scales its tables at `quality`, in percent.
fn scale(quality: u8) -> f64 {
    let quality = f64::from(quality.clamp(1, 100));
    if quality < 50.0 {
        5000.0 / quality
    } else {
        // Tables of all ones at quality 100.
        (200.0 - 2.0 * quality).max(1.0)
    }
}

/// The best quality whose tables are at least as coarse as `scale` percent.
fn quality(scale: f64) -> u8 {
    let quality = if scale > 100.0 {
        5000.0 / scale
    } else {
        100.0 - scale / 2.0
    };
    quality.clamp(1.0, 100.0) as u8
}

/// Qualities that `bounds` allow: a quantiser is what a quality lacks to 100.
fn allowed(bounds: QpBounds) -> (u8, u8) {
    let quality = |qp: u8| 100u8.saturating_sub(qp);
    let (best, worst) = (quality(bounds.min), quality(bounds.max));
    (worst.min(best), best)
}

/// What was decided for one picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decided {
    /// For the element.
    pub(super) quality: u8,
    /// Bits that it is thought to take.
    expected: f64,
}

/// A leaky bucket of the configuration's rate and window. Each picture gets the
/// quality at which it is thought to fill what is free: the more time went by
/// since the one before, the better it is.
#[derive(Debug)]
pub(super) struct QualityControl {
    /// Bits of a picture at a scale of 1 percent, as the last one had.
    detail: f64,
    /// Bits in the bucket at time `at`.
    level: f64,
    at: Duration,
}

impl QualityControl {
    /// For pictures of so many pixels.
    pub(super) fn new(pixels: u64) -> Self {
        Self {
            detail: pixels as f64 * PRIOR_BITS_PER_PIXEL * scale(75).powf(EXPONENT),
            level: 0.0,
            at: Duration::ZERO,
        }
    }

    /// The quality of the next picture, shown at `time`; `None` where it is not
    /// a matter of the rate.
    pub(super) fn decide(
        &mut self,
        config: &EncoderConfig,
        bounds: QpBounds,
        time: Duration,
    ) -> Option<Decided> {
        let (RateControl::Constant {
            bitrate, window, ..
        }
        | RateControl::Variable {
            target: bitrate,
            window,
            ..
        }) = config.rate
        else {
            return None;
        };
        let rate = bitrate.as_bps() as f64;
        let per_picture = rate / config.frame_rate.as_f64();
        // A window of less than a picture holds one all the same.
        let size = (rate * window.as_secs_f64()).max(2.0 * per_picture);
        self.level = (self.level - rate * time.saturating_sub(self.at).as_secs_f64()).max(0.0);
        self.at = self.at.max(time);
        // With a full bucket the next picture is a small one, not none.
        let target = ((size - self.level) * SHARE).max(per_picture / 8.0);
        let (worst, best) = allowed(bounds);
        let wanted = (self.detail / target).powf(1.0 / EXPONENT);
        let quality = quality(wanted).clamp(worst, best);
        let expected = self.detail / scale(quality).powf(EXPONENT);
        self.level += expected;
        Some(Decided { quality, expected })
    }

    /// The picture of `decided` took so many bytes.
    pub(super) fn coded(&mut self, decided: Decided, bytes: usize) {
        let bits = bytes as f64 * 8.0;
        self.level = (self.level + bits - decided.expected).max(0.0);
        self.detail = (bits * scale(decided.quality).powf(EXPONENT)).max(1.0);
    }
}

#[cfg(test)]
mod tests {
    use scanout_core::encoder::{Bitrate, Codec};

    use super::*;

    const BOUNDS: QpBounds = QpBounds { min: 10, max: 70 };

    fn config(kbps: u32) -> EncoderConfig {
        let mut config = EncoderConfig::new(Codec::Mjpeg);
        config.rate = RateControl::constant(Bitrate::kbps(kbps));
        config
    }

    /// Bits of a 1080p picture whose content has so many bits at quality 75.
    fn bits(content: f64, quality: u8) -> f64 {
        content * (scale(75) / scale(quality)).powf(0.72) + 5000.0
    }

    /// Rates of the seconds of a run, and the qualities of its pictures.
    fn run(
        config: &EncoderConfig,
        interval: Duration,
        pictures: u32,
        content: impl Fn(u32) -> f64,
    ) -> (Vec<f64>, Vec<u8>) {
        let mut control = QualityControl::new(1920 * 1080);
        let mut seconds = Vec::new();
        let mut qualities = Vec::new();
        // As an encoder of two places does it: what a picture took is known
        // after the next was decided.
        let mut before = None;
        for number in 0..pictures {
            let time = interval * number;
            let decided = control.decide(config, BOUNDS, time).unwrap();
            let size = bits(content(number), decided.quality);
            qualities.push(decided.quality);
            let second = time.as_secs() as usize;
            seconds.resize(seconds.len().max(second + 1), 0.0);
            seconds[second] += size;
            if let Some((decided, size)) = before.replace((decided, size)) {
                control.coded(decided, (size / 8.0f64) as usize);
            }
        }
        (seconds, qualities)
    }

    #[test]
    fn scales_and_qualities_are_libjpegs_and_each_others_inverse() {
        assert_eq!(scale(25), 200.0);
        assert_eq!(scale(50), 100.0);
        assert_eq!(scale(75), 50.0);
        for q in 2..=99 {
            assert!(quality(scale(q)).abs_diff(q) <= 1, "{q}");
        }
        assert_eq!(quality(f64::INFINITY), 1);
    }

    #[test]
    fn the_rate_is_held_whatever_the_content() {
        let config = config(60_000);
        let sixtieth = Duration::from_nanos(16_666_667);
        // It doubles, and it halves, in mid run.
        let content = |number| match number {
            0..180 => 1.2e6,
            180..360 => 2.4e6,
            _ => 0.6e6,
        };
        let (seconds, _) = run(&config, sixtieth, 540, content);
        for (second, rate) in seconds.iter().enumerate().skip(1) {
            let off = rate / 60e6;
            assert!((0.8..1.25).contains(&off), "second {second}: {off}");
        }
        let mean = seconds.iter().sum::<f64>() / seconds.len() as f64 / 60e6;
        assert!((0.95..1.05).contains(&mean), "{mean}");
    }

    #[test]
    fn bounds_hold_where_the_rate_cannot() {
        let sixtieth = Duration::from_nanos(16_666_667);
        let (_, starved) = run(&config(1000), sixtieth, 60, |_| 2e6);
        assert!(starved.iter().all(|q| (30..=90).contains(q)));
        assert_eq!(starved.last(), Some(&30));
        let (_, rich) = run(&config(900_000), sixtieth, 60, |_| 2e6);
        assert!(rich.iter().all(|q| (30..=90).contains(q)));
        assert_eq!(rich.last(), Some(&90));
    }

    #[test]
    fn pictures_far_apart_are_better_than_pictures_close_together() {
        let config = config(20_000);
        let often = run(&config, Duration::from_millis(16), 60, |_| 1.5e6).1;
        let seldom = run(&config, Duration::from_millis(500), 60, |_| 1.5e6).1;
        assert!(seldom[10] > often[59] + 20, "{seldom:?} {often:?}");
    }

    #[test]
    fn a_constant_quantiser_is_no_matter_of_the_rate() {
        let mut config = config(1000);
        config.rate = RateControl::ConstantQp { qp: 20 };
        let mut control = QualityControl::new(100);
        let decided = control.decide(&config, BOUNDS, Duration::ZERO);
        assert!(decided.is_none());
    }
}
