//! The rate of a slow tier: up in steps, down by a factor.
//!
//! Its coder is gated by the room of its viewers, so no queue says that the rate is too
//! high. The pictures say it that were replaced while they waited at the gate: many of
//! them, and frames are too large for how often they come; none, and they may grow. A source that is idle
//! says nothing and changes nothing.

use std::time::{Duration, Instant};

use scanout_core::encoder::Bitrate;

/// Between two looks at the counts.
const LOOK: Duration = Duration::from_secs(1);
/// Between two steps down for a queue that grew over its bound.
const FALL: Duration = Duration::from_millis(500);
/// Pictures from which counts say something.
const ENOUGH: u32 = 5;

#[derive(Debug)]
pub(super) struct SlowRate {
    rate: u64,
    floor: u64,
    ceiling: u64,
    changed: Instant,
    pictures: u32,
    replaced: u32,
    /// A picture waits at the gate.
    waits: bool,
}

/// What a look at the counts has told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Up,
    Down,
}

impl SlowRate {
    /// Starts at a quarter of `ceiling`: the link has just shown that it takes less.
    pub(super) fn new(floor: Bitrate, ceiling: Bitrate, now: Instant) -> Self {
        let ceiling = ceiling.as_bps().max(1);
        let floor = floor.as_bps().clamp(1, ceiling);
        Self {
            rate: (ceiling / 4).max(floor),
            floor,
            ceiling,
            changed: now,
            pictures: 0,
            replaced: 0,
            waits: false,
        }
    }

    pub(super) const fn rate(&self) -> Bitrate {
        Bitrate::bps(self.rate)
    }

    /// A picture was staged, and found the gate open or not.
    pub(super) fn picture(&mut self, open: bool, now: Instant) -> Option<Turn> {
        self.pictures = self.pictures.saturating_add(1);
        self.replaced = self.replaced.saturating_add(u32::from(self.waits));
        self.waits = !open;
        if now < self.changed + LOOK || self.pictures < ENOUGH {
            return None;
        }
        let turn = if self.replaced > self.pictures / 2 {
            Some(Turn::Down)
        } else if self.replaced <= self.pictures / 10 {
            Some(Turn::Up)
        } else {
            None
        };
        match turn {
            Some(Turn::Down) => self.fall(now),
            Some(Turn::Up) => self.turn_to(self.rate.saturating_add(self.ceiling / 20), now),
            None => self.turn_to(self.rate, now),
        }
        turn
    }

    /// The gate opens: a picture that waits goes through.
    pub(super) const fn gate_opens(&mut self) {
        self.waits = false;
    }

    /// A viewer's queue has grown over its bound.
    pub(super) fn overrun(&mut self, now: Instant) {
        if now >= self.changed + FALL {
            self.fall(now);
        }
    }

    fn fall(&mut self, now: Instant) {
        self.turn_to(self.rate / 10 * 7, now);
    }

    fn turn_to(&mut self, rate: u64, now: Instant) {
        self.rate = rate.clamp(self.floor, self.ceiling);
        self.changed = now;
        self.pictures = 0;
        self.replaced = 0;
    }
}
