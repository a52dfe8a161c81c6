//! Landscapes: what stands in for photographs and films.

use super::noise::{Sine, hash};
use super::surface::{Pixel, mix, rgb};

/// One landscape: a sky, a sun and three ridges, at a moment of its life.
#[derive(Clone, Debug)]
pub(super) struct Photo {
    width: i32,
    height: i32,
    /// 1/256 of the height per row, times 65536: saves a division per pixel.
    per_row: i32,
    /// By 1/256 of the height from the top.
    sky: [Pixel; 256],
    /// Each ridge by 1/256 of the height below its crest.
    land: [[Pixel; 64]; 3],
    /// Centre of the sun in pixels.
    sun: (i32, i32),
    /// Strength of its light by the squared distance (in 1/256 of the height) / 128.
    glow: [u8; 512],
    phases: [i64; 6],
    /// Strength of the film grain; 0 for a painted picture.
    grain: i32,
}

const PALETTES: [[u32; 5]; 4] = [
    [0x2b5fa8, 0xf3c98b, 0x6a7f8f, 0x3f5d52, 0x1f3a2c],
    [0x3a1c56, 0xf08a5d, 0x7d3c5a, 0x4b2445, 0x24122e],
    [0x6fb1e4, 0xdff1fb, 0x8aa7b8, 0x5b8f5a, 0x2f6b34],
    [0x101f3c, 0x4f7aa0, 0x2f4a68, 0x1d3350, 0x0d1b30],
];

const SUNLIGHT: Pixel = rgb(0xfff6d8);

impl Photo {
    pub(super) fn new(seed: u64, grain: u8, width: i32, height: i32) -> Self {
        let (width, height) = (width.max(1), height.max(1));
        let palette = PALETTES[(hash(seed, 0, 0) % PALETTES.len() as u64) as usize];
        let sky = (rgb(palette[0]), rgb(palette[1]));
        let phase = |n: u64| (hash(seed, 1, n) & 1023) as i64;
        let between = |n: u64, side: i32, from: i32, to: i32| {
            side * (from + (hash(seed, 2, n) % (to - from) as u64) as i32) / 256
        };
        Self {
            width,
            height,
            per_row: (256 << 16) / height,
            sky: std::array::from_fn(|v| mix(sky.0, sky.1, v as u32 * 3 / 2)),
            // Haze: a ridge is lighter at its crest.
            land: std::array::from_fn(|ridge| {
                let colour = rgb(palette[2 + ridge]);
                std::array::from_fn(|v| mix(colour, sky.1, 60u32.saturating_sub(v as u32 * 5 / 4)))
            }),
            sun: (between(0, width, 50, 200), between(1, height, 40, 110)),
            glow: std::array::from_fn(|n| match n * 128 {
                0..324 => 255,
                far => (40_000 / far).min(200) as u8,
            }),
            phases: std::array::from_fn(|n| phase(n as u64)),
            grain: i32::from(grain),
        }
    }

    /// The rows at which the three ridges begin in column `x`; `pan` moves
    /// near ridges faster than far ones.
    pub(super) fn ridges(&self, sine: &Sine, x: i32, pan: i64) -> [i32; 3] {
        // 4096 across the picture, so that the slopes have no steps.
        let u = i64::from(x) * 4096 / i64::from(self.width);
        std::array::from_fn(|k| {
            let u = u + pan * 2 * (k as i64 + 1);
            let (slow, fast) = (k as i64 + 1, 3 * k as i64 + 5);
            let wave = sine.fine(u * slow + 4 * self.phases[2 * k]) * 3
                + sine.fine(u * fast + 4 * self.phases[2 * k + 1]);
            let base = (130 + 42 * k as i32) * 1024;
            let share = i64::from(base) + i64::from(wave) * 26 / 16;
            ((share * i64::from(self.height)) >> 18) as i32
        })
    }

    /// The colour at (`x`, `y`), where the ridges begin at the rows `ridges`;
    /// `noise` is anything random, `light` is added to each channel.
    #[inline(always)]
    pub(super) fn colour(&self, x: i32, y: i32, ridges: [i32; 3], noise: u32, light: i32) -> Pixel {
        let land = |n: usize| self.land[n][self.share(y - ridges[n]).clamp(0, 63) as usize];
        let colour = if y >= ridges[2] {
            land(2)
        } else if y >= ridges[1] {
            land(1)
        } else if y >= ridges[0] {
            land(0)
        } else {
            let sky = self.sky[self.share(y).clamp(0, 255) as usize];
            let (dx, dy) = (self.share(x - self.sun.0), self.share(y - self.sun.1));
            let far = ((dx * dx + dy * dy) >> 7) as usize;
            mix(sky, SUNLIGHT, u32::from(self.glow[far.min(511)]))
        };
        let grain = (((noise & 0xffff) as i32 * (2 * self.grain + 1)) >> 16) - self.grain;
        let one = |c: u8| (i32::from(c) + grain + light).clamp(0, 255) as u8;
        [one(colour[0]), one(colour[1]), one(colour[2]), 0xff]
    }

    /// A distance of `rows` in 1/256 of the height.
    fn share(&self, rows: i32) -> i32 {
        // Wraps, harmlessly, where a picture is 128 times wider than high.
        rows.wrapping_mul(self.per_row) >> 16
    }

    /// A function of the pixels of a still picture.
    pub(super) fn still<'a>(&'a self, sine: &'a Sine) -> impl FnMut(i32, i32) -> Pixel + 'a {
        move |x, y| {
            let noise = (x as u32).wrapping_mul(0x9e37_79b1) ^ (y as u32).wrapping_mul(0x85eb_ca77);
            let noise = (noise ^ (noise >> 15)).wrapping_mul(0x2c1b_3c6d) >> 12;
            self.colour(x, y, self.ridges(sine, x, 0), noise, 0)
        }
    }
}
