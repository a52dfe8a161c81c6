//! A film in a window: panning landscape, plasma light, moving shapes, grain.

use scanout_core::geometry::Damage;

use super::App;
use super::noise::{Sine, hash};
use super::photo::Photo;
use super::surface::{Area, Pixel, Surface, mix, rgb};
use super::text::Type;

const FPS: u64 = 30;
/// Frames from cut to cut.
const SHOT: u64 = 120;

#[derive(Debug)]
pub(super) struct Video {
    seed: u64,
    sine: Sine,
    now_us: u64,
    frame: u64,
    /// Per column: the ridges and the light of this frame.
    columns: Vec<([i32; 3], i32)>,
    bar: i32,
}

impl Video {
    pub(super) fn new(seed: u64, scale: u32, surface: &Surface) -> Self {
        Self {
            seed,
            sine: Sine::new(),
            now_us: 0,
            frame: 0,
            columns: vec![Default::default(); surface.size().width as usize],
            bar: (22 * scale as i32).min(surface.height() / 4),
        }
    }

    fn draw(&mut self, surface: &mut Surface) {
        let (width, height) = (surface.width(), surface.height() - self.bar);
        let photo = Photo::new(hash(self.seed, 9, self.frame / SHOT), 3, width, height);
        let time = (self.frame % SHOT) as i64;
        let sine = &self.sine;
        for (x, column) in (0..).zip(&mut self.columns) {
            let u = i64::from(x) * 1024 / i64::from(width);
            *column = (
                photo.ridges(sine, x, time * 4),
                sine.at(u * 2 + time * 9) + sine.at(u * 5 - time * 5),
            );
        }
        let columns = &self.columns;
        let mut noise = hash(self.seed, self.frame, 0) as u32 | 1;
        for y in 0..height {
            let v = i64::from(y) * 256 / i64::from(height);
            let row_light = sine.at(v * 3 + time * 7);
            surface.shade(Area::new(0, y, width, 1), |x, _| {
                // Xorshift: grain must be cheap, it is drawn for each pixel.
                noise ^= noise << 13;
                noise ^= noise >> 17;
                noise ^= noise << 5;
                let (ridges, light) = columns[x as usize];
                photo.colour(x, y, ridges, noise >> 9, (light + row_light) >> 6)
            });
        }
        surface.set_clip(Area::new(0, 0, width, height));
        for (cx, cy, radius, colour) in self.balls(width, height) {
            for dy in -radius..=radius {
                let half = (radius * radius - dy * dy).isqrt();
                surface.shade(Area::new(cx - half, cy + dy, 2 * half + 1, 1), |x, _| {
                    // Lit from the upper left.
                    let lit = (radius - (x - half) - dy) * 128 / radius;
                    mix(rgb(0x101010), colour, lit.clamp(40, 256) as u32)
                });
            }
        }
        surface.reset_clip();
        self.draw_controls(surface);
    }

    fn balls(&self, width: i32, height: i32) -> [(i32, i32, i32, Pixel); 3] {
        std::array::from_fn(|n| {
            let phase = self.frame as i64 * (5 + 2 * n as i64) + 300 * n as i64;
            let x = width / 2 + width * self.sine.at(phase) / 640;
            // Bouncing: the absolute value of a sine.
            let y = height - height * self.sine.at(phase * 2).abs() / 400 - height / 8;
            let colour = [rgb(0xe04030), rgb(0x30b0e0), rgb(0xf0c020)][n];
            (x, y, (height / (9 + 2 * n as i32)).max(1), colour)
        })
    }

    fn draw_controls(&self, surface: &mut Surface) {
        let bar = self.bar;
        let area = Area::new(0, surface.height() - bar, surface.width(), bar);
        surface.fill(area, rgb(0x16161a));
        let (left, right) = (area.x + 2 * bar, area.right() - bar);
        for n in 0..bar / 2 {
            let half = (bar / 2 - n) / 2;
            let x = area.x + bar / 2 + n;
            let y = area.y + bar / 2;
            surface.fill(Area::new(x, y - half, 1, 2 * half), rgb(0xe8e8e8));
        }
        let track = Area::new(
            left,
            area.y + bar / 2 - 1,
            (right - left).max(0),
            (bar / 8).max(1),
        );
        surface.fill(track, rgb(0x55555c));
        let done = (self.frame % 3600) as i32 * track.width / 3600;
        surface.fill(
            Area {
                width: done,
                ..track
            },
            rgb(0xff4040),
        );
    }
}

impl App for Video {
    fn paint(&mut self, surface: &mut Surface, _text: &Type) {
        self.draw(surface);
    }

    fn step(&mut self, elapsed_us: u64, surface: &mut Surface, _text: &Type, damage: &mut Damage) {
        self.now_us += elapsed_us;
        let frame = self.now_us * FPS / 1_000_000;
        if frame != self.frame {
            self.frame = frame;
            self.draw(surface);
            damage.add(Area::of(surface.size()).clip(surface.size()));
        }
    }
}
