//! Values of options, each with its bounds.

use std::num::NonZeroU32;
use std::time::Duration;

use scanout_core::encoder::FrameRate;
use scanout_core::geometry::Size;

/// Longest side of a picture, and most pixels: 8192 x 8192.
const MAX_SIDE: u32 = 16384;
const MAX_PIXELS: u64 = 1 << 26;
/// Highest frame rate.
const MAX_FPS: f64 = 1000.0;
/// Longest run: a day.
const MAX_DURATION_S: f64 = 86_400.0;

/// `WIDTHxHEIGHT` that a picture can have.
pub(crate) fn size(text: &str) -> Result<Size, String> {
    let size: Size = text.parse().map_err(|e| format!("{e}"))?;
    check_size(size).map(|()| size)
}

/// That a picture can have `size`.
pub(crate) fn check_size(size: Size) -> Result<(), String> {
    let sides = 1..=MAX_SIDE;
    if !sides.contains(&size.width) || !sides.contains(&size.height) {
        return Err(format!(
            "a picture of {size} is out of bounds: sides must be 1 to {MAX_SIDE} pixels"
        ));
    }
    if size.area() > MAX_PIXELS {
        return Err(format!(
            "a picture of {size} has {} pixels, more than {MAX_PIXELS}",
            size.area()
        ));
    }
    Ok(())
}

/// `60`, `29.97` or `30000/1001`.
pub(crate) fn frame_rate(text: &str) -> Result<FrameRate, String> {
    let bad =
        || format!("{text:?} is no frame rate: write 60, 59.94 or 60000/1001 (0.1 to {MAX_FPS})");
    let (num, den) = match text.split_once('/') {
        Some((num, den)) => (
            num.parse().map_err(|_| bad())?,
            den.parse().map_err(|_| bad())?,
        ),
        None => match text.parse::<u32>() {
            Ok(whole) => (whole, 1),
            Err(_) => {
                let fps: f64 = text.parse().map_err(|_| bad())?;
                if !(0.1..=MAX_FPS).contains(&fps) {
                    return Err(bad());
                }
                ((fps * 1000.0).round() as u32, 1000)
            }
        },
    };
    let rate = FrameRate {
        num: NonZeroU32::new(num).ok_or_else(bad)?,
        den: NonZeroU32::new(den).ok_or_else(bad)?,
    };
    if (0.1..=MAX_FPS).contains(&rate.as_f64()) {
        Ok(rate)
    } else {
        Err(bad())
    }
}

/// `10`, `2.5s`, `1500ms` or `3m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let bad = || {
        format!("{text:?} is no duration: write seconds, or a number with ms, s or m (up to a day)")
    };
    let (number, unit) = if let Some(number) = text.strip_suffix("ms") {
        (number, 1e-3)
    } else if let Some(number) = text.strip_suffix('s') {
        (number, 1.0)
    } else if let Some(number) = text.strip_suffix('m') {
        (number, 60.0)
    } else {
        (text, 1.0)
    };
    let seconds = number.parse::<f64>().map_err(|_| bad())? * unit;
    if seconds > 0.0 && seconds <= MAX_DURATION_S {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(bad())
    }
}

/// A number of frames.
pub(crate) fn frames(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(frames @ 1..=100_000_000) => Ok(frames),
        _ => Err(format!(
            "{text:?} is no number of frames from 1 to 100000000"
        )),
    }
}

/// The largest quantiser of any codec here.
pub(crate) fn quantiser(text: &str) -> Result<u8, String> {
    match text.parse() {
        Ok(qp @ 0..=100) => Ok(qp),
        _ => Err(format!(
            "{text:?} is no quantiser: 0 to 51 for h264 and h265, 0 to 63 for vp8, vp9 and av1, 0 to 100 for mjpeg"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_bounds() {
        assert_eq!(size("1366x767").unwrap(), Size::new(1366, 767));
        for bad in [
            "0x0",
            "0x10",
            "100000x100000",
            "16385x1",
            "16384x16384",
            "a",
            "-1x4",
        ] {
            let error = size(bad).unwrap_err();
            assert!(!error.contains('\n') && error.len() > 20, "{error}");
        }
    }

    #[test]
    fn frame_rates_are_whole_decimal_or_fractions() {
        assert_eq!(frame_rate("60").unwrap(), FrameRate::whole(60));
        assert!((frame_rate("29.97").unwrap().as_f64() - 29.97).abs() < 1e-9);
        assert_eq!(frame_rate("30000/1001").unwrap().num.get(), 30000);
        for bad in ["0", "60/0", "1001", "nan", "inf", "-1", "1/100", "x", "60/"] {
            assert!(frame_rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_have_units_and_bounds() {
        assert_eq!(duration("1500ms").unwrap(), Duration::from_millis(1500));
        assert_eq!(duration("2.5s").unwrap(), duration("2.5").unwrap());
        assert_eq!(duration("3m").unwrap(), Duration::from_secs(180));
        for bad in ["0", "-1s", "nan", "inf", "1e9", "", "s", "ms"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
