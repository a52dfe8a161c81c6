//! Landscapes: what stands in for photographs and films.

use super::noise::{Sine, hash};
use super::surface::{Pixel, mix, rgb};

/// One landscape: a sky, a sun and three ridges, at a moment of its life.
#[derive(Clone, Copy, Debug)]
pub(super) struct Photo {
    sky: [Pixel; 2],
    ridges: [Pixel; 3],
    sun: (i32, i32),
    phases: [i64; 6],
    /// Strength of the film grain; 0 for a painted picture.
    grain: u32,
}

const PALETTES: [[u32; 5]; 4] = [
    [0x2b5fa8, 0xf3c98b, 0x6a7f8f, 0x3f5d52, 0x1f3a2c],
    [0x3a1c56, 0xf08a5d, 0x7d3c5a, 0x4b2445, 0x24122e],
    [0x6fb1e4, 0xdff1fb, 0x8aa7b8, 0x5b8f5a, 0x2f6b34],
    [0x101f3c, 0x4f7aa0, 0x2f4a68, 0x1d3350, 0x0d1b30],
];

impl Photo {
    pub(super) fn new(seed: u64, grain: u32) -> Self {
        let palette = PALETTES[(hash(seed, 0, 0) % PALETTES.len() as u64) as usize];
        let phase = |n: u64| (hash(seed, 1, n) & 1023) as i64;
        Self {
            sky: [rgb(palette[0]), rgb(palette[1])],
            ridges: [rgb(palette[2]), rgb(palette[3]), rgb(palette[4])],
            sun: (
                200 + (hash(seed, 2, 0) % 624) as i32,
                40 + (hash(seed, 2, 1) % 70) as i32,
            ),
            phases: std::array::from_fn(|n| phase(n as u64)),
            grain,
        }
    }

    /// The heights of the three ridges (0 top, 256 bottom of the picture) at
    /// `u` (1024 across it); `pan` moves near ridges faster than far ones.
    pub(super) fn ridges(&self, sine: &Sine, u: i64, pan: i64) -> [i32; 3] {
        std::array::from_fn(|k| {
            let u = u + pan * (k as i64 + 1) / 2;
            let (slow, fast) = (k as i64 + 1, 3 * k as i64 + 5);
            let wave = sine.at(u * slow + self.phases[2 * k]) * 3
                + sine.at(u * fast + self.phases[2 * k + 1]);
            130 + 42 * k as i32 + wave * 26 / 1024
        })
    }

    /// The colour at `u` (1024 across), `v` (256 down), where the ridges stand
    /// at `heights`; `noise` is anything random.
    pub(super) fn colour(&self, u: i32, v: i32, heights: [i32; 3], noise: u32) -> Pixel {
        let colour = if v >= heights[2] {
            self.land(2, v - heights[2])
        } else if v >= heights[1] {
            self.land(1, v - heights[1])
        } else if v >= heights[0] {
            self.land(0, v - heights[0])
        } else {
            let sky = mix(self.sky[0], self.sky[1], (v * 256 / 170) as u32);
            let (dx, dy) = ((u - self.sun.0) / 2, v - self.sun.1);
            let far = dx * dx + dy * dy;
            if far < 18 * 18 {
                rgb(0xfff6d8)
            } else {
                mix(sky, rgb(0xfff6d8), (40_000 / far.max(1)).min(200) as u32)
            }
        };
        if self.grain == 0 {
            return colour;
        }
        let offset = (noise % (2 * self.grain + 1)) as i32 - self.grain as i32;
        let one = |c: u8| (i32::from(c) + offset).clamp(0, 255) as u8;
        [one(colour[0]), one(colour[1]), one(colour[2]), 0xff]
    }

    fn land(&self, layer: usize, depth: i32) -> Pixel {
        // Haze: a ridge is lighter at its crest.
        mix(
            mix(self.ridges[layer], self.sky[1], 60),
            self.ridges[layer],
            (depth * 5) as u32,
        )
    }

    /// A function of the pixels of a still picture of `width` by `height`.
    pub(super) fn still<'a>(
        &'a self,
        sine: &'a Sine,
        width: i32,
        height: i32,
    ) -> impl FnMut(i32, i32) -> Pixel + 'a {
        move |x, y| {
            let u = x * 1024 / width.max(1);
            let v = y * 256 / height.max(1);
            let noise = (x as u32).wrapping_mul(0x9e37_79b1) ^ (y as u32).wrapping_mul(0x85eb_ca77);
            let noise = (noise ^ (noise >> 15)).wrapping_mul(0x2c1b_3c6d) >> 12;
            self.colour(u, v, self.ridges(sine, i64::from(u), 0), noise)
        }
    }
}
