//! The definition of the conversion, in exact rational arithmetic, one sample
//! at a time. It shares no arithmetic with [`Converter`](super::Converter), is
//! slow, and is what fast paths and shaders are judged against.

use crate::color::{ChromaSite, ColorSpec, Range};
use crate::format::Fourcc;

use super::{ConvertError, PictureFormat, PictureLayout, Source};

/// R, G and B of one pixel, and the value of white.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rgb {
    /// Red, green, blue.
    pub components: [u16; 3],
    /// The component value of white: 255 or 1023.
    pub peak: u16,
}

/// `round(numerator / denominator)`, ties away from zero: `Round()` of H.273.
/// `denominator` is positive.
const fn round(numerator: i64, denominator: i64) -> i64 {
    let magnitude = (2 * numerator.abs() + denominator) / (2 * denominator);
    if numerator < 0 { -magnitude } else { magnitude }
}

/// Luma of a colour.
pub fn luma(spec: ColorSpec, rgb: Rgb) -> u8 {
    let (kr, kb) = spec.matrix.kr_kb();
    let [r, g, b] = rgb.components.map(i64::from);
    // Y' in units of 1 / (10000 * peak).
    let y = kr * r + (10_000 - kr - kb) * g + kb * b;
    let unit = 10_000 * i64::from(rgb.peak);
    match spec.range {
        Range::Limited => (round(219 * y, unit) + 16) as u8,
        Range::Full => round(255 * y, unit) as u8,
    }
}

/// Cb and Cr of the weighted mean of colours: `sums` of their components,
/// and the sum of the weights.
pub fn chroma(spec: ColorSpec, sums: [u32; 3], weights: u32, peak: u16) -> (u8, u8) {
    let (kr, kb) = spec.matrix.kr_kb();
    let [r, g, b] = sums.map(i64::from);
    // All in units of 1 / (10000 * peak * weights).
    let y = kr * r + (10_000 - kr - kb) * g + kb * b;
    let unit = i64::from(peak) * i64::from(weights);
    let gain = match spec.range {
        Range::Limited => 224,
        Range::Full => 255,
    };
    let code = |difference: i64, k: i64| {
        let code = 128 + round(gain * difference, 2 * (10_000 - k) * unit);
        code.clamp(0, 255) as u8
    };
    (code(10_000 * b - y, kb), code(10_000 * r - y, kr))
}

/// The pixel in column `x` and row `y` (top-down) of an RGB source; `None`
/// where the format is no RGB format known here or the source is too short.
pub fn pixel(source: &Source<'_>, x: u32, y: u32) -> Option<Rgb> {
    let y = if source.bottom_up {
        source.size.height.checked_sub(y + 1)?
    } else {
        y
    };
    let plane = source.planes.first()?;
    let bytes = |count: usize| {
        let at = (y as usize)
            .checked_mul(plane.stride)?
            .checked_add(x as usize * count)?;
        plane.data.get(at..at + count)
    };
    let rgb = |components, peak| Some(Rgb { components, peak });
    let eight = |components: [u8; 3]| rgb(components.map(u16::from), 255);
    // Byte orders as drm_fourcc.h gives them: little-endian words.
    match source.fourcc {
        Fourcc::XRGB8888 | Fourcc::ARGB8888 => match *bytes(4)? {
            [b, g, r, _] => eight([r, g, b]),
            _ => None,
        },
        Fourcc::XBGR8888 | Fourcc::ABGR8888 => match *bytes(4)? {
            [r, g, b, _] => eight([r, g, b]),
            _ => None,
        },
        Fourcc::RGBX8888 | Fourcc::RGBA8888 => match *bytes(4)? {
            [_, b, g, r] => eight([r, g, b]),
            _ => None,
        },
        Fourcc::BGRX8888 | Fourcc::BGRA8888 => match *bytes(4)? {
            [_, r, g, b] => eight([r, g, b]),
            _ => None,
        },
        Fourcc::RGB888 => match *bytes(3)? {
            [b, g, r] => eight([r, g, b]),
            _ => None,
        },
        Fourcc::BGR888 => match *bytes(3)? {
            [r, g, b] => eight([r, g, b]),
            _ => None,
        },
        Fourcc::RGB565 | Fourcc::BGR565 => {
            let word = u16::from_le_bytes(bytes(2)?.try_into().ok()?);
            let five = |v: u16| (v * 8) + v / 4;
            let six = |v: u16| (v * 4) + v / 16;
            let (top, green, low) = (five(word / 2048), six(word / 32 % 64), five(word % 32));
            if source.fourcc == Fourcc::RGB565 {
                rgb([top, green, low], 255)
            } else {
                rgb([low, green, top], 255)
            }
        }
        Fourcc::XRGB2101010 | Fourcc::ARGB2101010 | Fourcc::XBGR2101010 | Fourcc::ABGR2101010 => {
            let word = u32::from_le_bytes(bytes(4)?.try_into().ok()?);
            let ten = |shift: u32| ((word >> shift) % 1024) as u16;
            let (top, green, low) = (ten(20), ten(10), ten(0));
            if matches!(source.fourcc, Fourcc::XRGB2101010 | Fourcc::ARGB2101010) {
                rgb([top, green, low], 1023)
            } else {
                rgb([low, green, top], 1023)
            }
        }
        _ => None,
    }
}

/// Converts a whole frame of an RGB source into `target`, coded padding included.
///
/// # Errors
/// [`ConvertError::Unsupported`] for a Y'CbCr source;
/// [`ConvertError::SizeMismatch`], [`ConvertError::SourceTooShort`] and
/// [`ConvertError::TargetTooShort`] where sizes do not fit.
pub fn convert(
    source: &Source<'_>,
    layout: &PictureLayout,
    spec: ColorSpec,
    target: &mut [u8],
) -> Result<(), ConvertError> {
    let visible = layout.visible();
    if source.size != visible {
        return Err(ConvertError::SizeMismatch {
            source_size: source.size,
            visible,
        });
    }
    if super::unpack::Unpack::of(source.fourcc).is_none() {
        return Err(ConvertError::Unsupported {
            source_format: source.fourcc,
            target: layout.format(),
        });
    }
    if pixel(source, visible.width - 1, visible.height - 1).is_none() {
        return Err(ConvertError::SourceTooShort {
            plane: 0,
            have: source.planes.first().map_or(0, |p| p.data.len()),
            need: source.planes.first().map_or(0, |p| p.stride) * visible.height as usize,
        });
    }
    // Columns and rows outside are those of the edge.
    let at = |x: i64, y: i64| {
        let x = x.clamp(0, i64::from(visible.width) - 1) as u32;
        let y = y.clamp(0, i64::from(visible.height) - 1) as u32;
        pixel(source, x, y).unwrap_or(Rgb {
            components: [0; 3],
            peak: 255,
        })
    };
    let taps: &[(i64, i64, u32)] = match (layout.format().is_subsampled(), spec.chroma_site) {
        (false, _) => &[(0, 0, 1)],
        (true, ChromaSite::Center) => &[(0, 0, 1), (1, 0, 1), (0, 1, 1), (1, 1, 1)],
        (true, ChromaSite::Left) => &[
            (-1, 0, 1),
            (0, 0, 2),
            (1, 0, 1),
            (-1, 1, 1),
            (0, 1, 2),
            (1, 1, 1),
        ],
    };
    let step = if layout.format().is_subsampled() {
        2
    } else {
        1
    };
    let planes = layout.planes();
    let mut bytes = layout.split_mut(target)?;
    let mut put = |plane: usize, x: i64, y: i64, value: u8| {
        let stride = planes.get(plane).map_or(0, |p| p.stride);
        if let Some(sample) = bytes
            .get_mut(plane)
            .and_then(|p| p.get_mut(y as usize * stride + x as usize))
        {
            *sample = value;
        }
    };
    let coded = layout.coded();
    for y in 0..i64::from(coded.height) {
        for x in 0..i64::from(coded.width) {
            put(0, x, y, luma(spec, at(x, y)));
            if x % step != 0 || y % step != 0 {
                continue;
            }
            let (mut sums, mut weights, mut peak) = ([0; 3], 0, 255);
            for &(dx, dy, weight) in taps {
                let rgb = at(x + dx, y + dy);
                peak = rgb.peak;
                weights += weight;
                for (sum, component) in sums.iter_mut().zip(rgb.components) {
                    *sum += weight * u32::from(component);
                }
            }
            let (cb, cr) = chroma(spec, sums, weights, peak);
            match layout.format() {
                PictureFormat::Nv12 => {
                    put(1, x, y / 2, cb);
                    put(1, x + 1, y / 2, cr);
                }
                PictureFormat::I420 | PictureFormat::I444 => {
                    put(1, x / step, y / step, cb);
                    put(2, x / step, y / step, cr);
                }
            }
        }
    }
    Ok(())
}
