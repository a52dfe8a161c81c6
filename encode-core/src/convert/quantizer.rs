//! One output component as integers: a weighted sum of R, G and B, scaled,
//! rounded and offset, in 32 bits and exact.

use crate::color::{ColorSpec, Range};

/// Computes `offset + round(sum * gain / denominator)`, where `sum` is the
/// weighted sum of three components.
///
/// The division is by a constant: an estimate from the upper 16 bits that is
/// never above the quotient and at most one below it, then one comparison of
/// the remainder. All of it vectorises without unsafe code and without 64-bit
/// lanes, and the result is exact, where the usual 16-bit fixed point is off
/// by one for every sixth colour.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quantizer {
    /// Weights of R, G, B.
    pub(super) weights: [i16; 3],
    pub(super) scale: i64,
    /// Offset and half a step, in units of 1/`divisor`.
    pub(super) bias: i64,
    /// 1 where ties exist: taken off negative sums, so that ties go away from zero.
    pub(super) tie: i64,
    pub(super) divisor: i64,
    /// Brings the dividend to 16 bits.
    pub(super) pre_shift: u32,
    pub(super) reciprocal: u32,
    pub(super) post_shift: u32,
    /// False where the dividend leaves 32 bits (10-bit full-range BT.709
    /// chroma, left-sited); those samples are divided in 64 bits.
    pub(super) narrow: bool,
}

impl Quantizer {
    /// Luma of components 0 to `peak`.
    pub(super) fn luma(spec: ColorSpec, peak: i64) -> Self {
        let (kr, kb) = spec.matrix.kr_kb();
        let (gain, offset) = match spec.range {
            Range::Limited => (219, 16),
            Range::Full => (255, 0),
        };
        Self::new(
            [kr, 10_000 - kr - kb, kb],
            gain,
            10_000 * peak,
            offset,
            peak,
        )
    }

    /// Cb and Cr of sums of components, each sum 0 to `peak`.
    pub(super) fn chroma(spec: ColorSpec, peak: i64) -> [Self; 2] {
        let (kr, kb) = spec.matrix.kr_kb();
        let kg = 10_000 - kr - kb;
        let gain = match spec.range {
            Range::Limited => 224,
            Range::Full => 255,
        };
        // (B - Y) / (2 (1 - Kb)) and (R - Y) / (2 (1 - Kr)), H.273 equations 38 to 40.
        let cb = [-kr, -kg, 10_000 - kb];
        let cr = [10_000 - kr, -kg, -kb];
        [
            Self::new(cb, gain, 2 * (10_000 - kb) * peak, 128, peak),
            Self::new(cr, gain, 2 * (10_000 - kr) * peak, 128, peak),
        ]
    }

    fn new(weights: [i64; 3], gain: i64, denominator: i64, offset: i64, peak: i64) -> Self {
        let common = weights.iter().fold(0, |all, w| gcd(all, w.abs())).max(1);
        let fraction = gcd(gain * common, denominator);
        let (scale, divisor) = (gain * common / fraction, denominator / fraction);
        // An odd divisor knows no ties: half a step is then rounded down.
        let tie = i64::from(divisor % 2 == 0);
        let bias = offset * divisor + divisor / 2;
        let weights = weights.map(|w| (w / common) as i16);
        let positive: i64 = weights.iter().map(|w| i64::from(*w).max(0)).sum();
        let highest = (positive * peak * scale + bias).max(1) as u64;
        let bits = u64::BITS - highest.leading_zeros();
        let pre_shift = bits.saturating_sub(16);
        // The reciprocal gets 16 significant bits.
        let mut post_shift = 0;
        while post_shift < 31
            && (1u64 << (pre_shift + post_shift + 1)) / (divisor as u64) < (1 << 16)
        {
            post_shift += 1;
        }
        let reciprocal = ((1u64 << (pre_shift + post_shift)) / divisor as u64) as u32;
        Self {
            weights,
            scale,
            bias,
            tie,
            divisor,
            pre_shift,
            reciprocal,
            post_shift,
            narrow: bits <= 32,
        }
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::color::{ChromaSite, Matrix};

    /// The estimate plus one comparison is the quotient, for every dividend
    /// around which the quotient changes.
    #[test]
    fn the_division_is_exact() {
        for matrix in [Matrix::Bt709, Matrix::Bt601] {
            for range in [Range::Limited, Range::Full] {
                for peak in [255, 1023] {
                    let spec = ColorSpec {
                        matrix,
                        range,
                        chroma_site: ChromaSite::Left,
                        ..ColorSpec::DESKTOP
                    };
                    let mut all = vec![Quantizer::luma(spec, peak)];
                    for weight in [1, 4, 8] {
                        all.extend(Quantizer::chroma(spec, peak * weight));
                    }
                    for q in all.iter().filter(|q| q.narrow) {
                        for quotient in 0..=256i64 {
                            for near in [-1, 0, 1, q.divisor / 2] {
                                let x = quotient * q.divisor + near;
                                if !(0..=256 * q.divisor + 1).contains(&x) {
                                    continue;
                                }
                                let x = x as u32;
                                let d = q.divisor as u32;
                                let estimate = ((x >> q.pre_shift) * q.reciprocal) >> q.post_shift;
                                assert!(estimate <= x / d && x / d <= estimate + 1, "{q:?} {x}");
                            }
                        }
                    }
                }
            }
        }
    }
}
