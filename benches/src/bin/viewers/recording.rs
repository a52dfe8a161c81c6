//! A desktop drawn beforehand: only what changes from frame to frame is kept.

use scanout_benches::Error;
use scanout_core::geometry::{Damage, Rect, Size};
use scanout_trace::desktop::{Desktop, Scenario};

/// One frame: what changed, and the pixels there, rect by rect.
struct Step {
    damage: Damage,
    pixels: Vec<u8>,
}

/// Ten seconds of a desktop, a cycle of the mixed one. Its first frame has all pixels, so that it follows
/// the last.
pub(crate) struct Recording {
    pub(crate) size: Size,
    pub(crate) fps: u32,
    steps: Vec<Step>,
}

const BYTES_PER_PIXEL: usize = 4;
/// So long is what is recorded.
const CYCLE_SECONDS: u32 = 10;

impl Recording {
    pub(crate) fn draw(size: Size, scenario: Scenario, fps: u32) -> Result<Self, Error> {
        let mut desktop = Desktop::new(size, scenario, 1, fps)?;
        let row = desktop.stride();
        let mut steps = Vec::new();
        for _ in 0..fps * CYCLE_SECONDS {
            let damage = desktop.next_frame().damage;
            let mut pixels = Vec::with_capacity(damage.area() as usize * BYTES_PER_PIXEL);
            for rect in damage.rects() {
                for line in lines(*rect, row) {
                    pixels.extend_from_slice(&desktop.pixels()[line]);
                }
            }
            steps.push(Step { damage, pixels });
        }
        Ok(Self { size, fps, steps })
    }

    pub(crate) fn frames(&self) -> usize {
        self.steps.len()
    }

    /// Frames in which something changes.
    pub(crate) fn changing(&self) -> usize {
        self.steps.iter().filter(|s| !s.damage.is_none()).count()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.steps.iter().map(|step| step.pixels.len()).sum()
    }

    /// What changes in the `number`th frame, counted over all cycles.
    pub(crate) fn damage(&self, number: usize) -> &Damage {
        &self.steps[number % self.steps.len()].damage
    }

    /// Draws the `number`th frame over the one before it.
    pub(crate) fn play(&self, number: usize, to: &mut [u8], stride: usize) {
        let step = &self.steps[number % self.steps.len()];
        let mut pixels = &step.pixels[..];
        for rect in step.damage.rects() {
            for line in lines(*rect, stride) {
                let (now, rest) = pixels.split_at(line.len());
                to[line].copy_from_slice(now);
                pixels = rest;
            }
        }
    }
}

/// The bytes of each row of `rect`.
fn lines(rect: Rect, stride: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    (rect.y..rect.bottom()).map(move |y| {
        let left = y as usize * stride + rect.x as usize * BYTES_PER_PIXEL;
        left..left + rect.width as usize * BYTES_PER_PIXEL
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_plays_what_the_desktop_drew_in_every_cycle() {
        let size = Size::new(160, 90);
        let recording = Recording::draw(size, Scenario::Mixed, 10).unwrap();
        let stride = size.width as usize * BYTES_PER_PIXEL + 64;
        let mut buffer = vec![0; stride * size.height as usize];
        for cycle in 0..2 {
            let mut desktop = Desktop::new(size, Scenario::Mixed, 1, 10).unwrap();
            for frame in 0..recording.frames() {
                desktop.next_frame();
                recording.play(cycle * recording.frames() + frame, &mut buffer, stride);
                let rows = buffer
                    .chunks(stride)
                    .zip(desktop.pixels().chunks(desktop.stride()));
                for (played, drawn) in rows {
                    assert_eq!(
                        &played[..drawn.len()],
                        drawn,
                        "cycle {cycle}, frame {frame}"
                    );
                }
            }
        }
    }
}
