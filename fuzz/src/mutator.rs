//! Blind mutation of inputs: the stand-in for libFuzzer on a stable toolchain.

/// Marsaglia's xorshift64*: reproducible from its seed, and no dependency.
pub struct Random(u64);

impl Random {
    /// A sequence; a seed of zero counts as one.
    pub fn new(seed: u64) -> Self {
        Self(seed.max(1))
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`, or zero where that is zero.
    pub fn below(&mut self, bound: usize) -> usize {
        match bound as u64 {
            0 => 0,
            bound => ((self.next_u64() >> 11) % bound) as usize,
        }
    }
}

/// Numbers on which readers tend to stumble.
const EDGES: [u64; 12] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    1 << 32,
    u64::MAX,
];

/// Changes `input` in one to eight places; it stays below `max_len` bytes.
/// `other` is another input to splice with.
pub fn mutate(input: &mut Vec<u8>, other: &[u8], random: &mut Random, max_len: usize) {
    for _ in 0..=random.below(8) {
        let at = random.below(input.len() + 1);
        match random.below(8) {
            0 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
            1 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = random.next_u64() as u8;
                }
            }
            2 => {
                let edge = EDGES[random.below(EDGES.len())];
                let bytes = if random.below(2) == 0 {
                    edge.to_le_bytes()
                } else {
                    edge.swap_bytes().to_le_bytes()
                };
                let width = [1, 2, 4, 8][random.below(4)];
                for (place, byte) in input.iter_mut().skip(at).zip(&bytes[..width]) {
                    *place = *byte;
                }
            }
            3 => input.insert(at, random.next_u64() as u8),
            4 => {
                let end = (at + 1 + random.below(16)).min(input.len());
                input.drain(at.min(end)..end);
            }
            5 => input.truncate(at),
            6 => {
                let from = random.below(other.len() + 1);
                let to = (from + random.below(64)).min(other.len());
                input.splice(at..at, other[from..to].iter().copied());
            }
            _ => {
                // A number written in digits, for the readers of text.
                let digits = EDGES[random.below(EDGES.len())].to_string();
                if input.get(at).is_some_and(u8::is_ascii_digit) {
                    input.splice(at..=at, digits.into_bytes());
                }
            }
        }
        input.truncate(max_len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_mutations_and_no_more_than_the_length_allowed() {
        let run = |seed| {
            let mut random = Random::new(seed);
            let mut input = b"YUV4MPEG2 W16 H16".to_vec();
            for _ in 0..1000 {
                mutate(&mut input, b"FRAME\n", &mut random, 64);
                assert!(input.len() <= 64);
            }
            input
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }
}
