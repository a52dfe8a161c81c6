//! Randomness and waves from integers only: a libm that rounds differently
//! must not change a pixel of a trace.

/// SplitMix64: small state, any seed is good.
#[derive(Clone, Debug)]
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `bound`; 0 when that is 0.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u32
    }

    /// A number in `from..to`.
    pub(super) fn range(&mut self, from: u32, to: u32) -> u32 {
        from + self.below(to.saturating_sub(from))
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A well-mixed function of three numbers, for content that is looked up by
/// position rather than drawn in order.
pub(super) fn hash(seed: u64, a: u64, b: u64) -> u64 {
    mix(mix(seed ^ 0x5bd1_e995)
        .wrapping_add(mix(a.wrapping_mul(0x9e37_79b9)))
        .wrapping_add(b.wrapping_mul(0xd6e8_feb8_6659_fd93)))
}

/// A sine of 1024 steps per turn and amplitude 256.
#[derive(Clone, Debug)]
pub(super) struct Sine([i16; 1024]);

impl Sine {
    pub(super) fn new() -> Self {
        let mut table = [0i16; 1024];
        for (i, value) in table.iter_mut().enumerate() {
            // A parabola through the zeros, sharpened once: within 0.1 % of a
            // sine, in exact arithmetic.
            let phase = i as i64 % 512;
            let parabola = 4 * phase * (512 - phase); // 0..=512^2
            let p = parabola * 4096 / (512 * 512); // 0..=4096
            let sharp = (p * 3175 + p * p / 4096 * 921) / 4096;
            let y = (sharp * 256 + 2048) / 4096;
            *value = if i < 512 { y as i16 } else { -(y as i16) };
        }
        Self(table)
    }

    /// The sine at `phase` (1024 to the turn), -256..=256.
    pub(super) fn at(&self, phase: i64) -> i32 {
        i32::from(self.0[(phase & 1023) as usize])
    }

    /// The sine at `phase` (4096 to the turn), -4096..=4096, without steps.
    pub(super) fn fine(&self, phase: i64) -> i32 {
        let (left, part) = (self.at(phase >> 2), (phase & 3) as i32);
        (left * (4 - part) + self.at((phase >> 2) + 1) * part) * 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sine_is_close_to_a_sine() {
        let sine = Sine::new();
        for i in 0..1024 {
            let exact = (i as f64 / 1024.0 * std::f64::consts::TAU).sin() * 256.0;
            assert!((f64::from(sine.at(i)) - exact).abs() < 1.5, "{i}");
        }
    }

    #[test]
    fn random_numbers_stay_below_their_bound() {
        let mut rng = Rng::new(1);
        let mut seen = [0u32; 7];
        for _ in 0..7000 {
            seen[rng.below(7) as usize] += 1;
        }
        assert!(seen.iter().all(|&n| (800..1200).contains(&n)), "{seen:?}");
        assert_eq!(rng.below(0), 0);
    }
}
