use std::time::{Duration, Instant};

use scanout_core::encoder::Bitrate;

use crate::gl::StreamClock;

/// How a [`Machine`](super::Machine) behaves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MachineConfig {
    /// The clock of the stamps.
    pub clock: StreamClock,
    /// The rate of the shared coders, and the most of the slow ones.
    pub bitrate: Bitrate,
    /// The least rate of the slow coders.
    pub slow_floor: Bitrate,
    /// Stagings a second, 4 to 240.
    pub max_fps: u32,
    /// Longest wait of a draw for its slot.
    pub draw_limit: Duration,
    /// How long the old picture stays when the producer shows nothing: mode switches
    /// pass through nothing.
    pub disable_grace: Duration,
    /// A viewer that takes nothing for so long, while something waits for it, is closed.
    pub stall_limit: Duration,
    /// How long something is kept ready for an expected client that does not come.
    pub expect_limit: Duration,
    /// Longest wait for a stage or a coder to open.
    pub open_limit: Duration,
    /// Longest wait for a keyframe of a coder that has a picture.
    pub keyframe_limit: Duration,
    /// Time without trouble after which a slow viewer is tried in the shared tier again,
    /// the first time; doubled each time that it fails.
    pub recovery: Duration,
}

impl MachineConfig {
    /// 8 Mbit/s, 60 pictures a second.
    pub const fn new(clock: StreamClock) -> Self {
        Self {
            clock,
            bitrate: Bitrate::kbps(8000),
            slow_floor: Bitrate::kbps(300),
            max_fps: 60,
            draw_limit: Duration::from_millis(250),
            disable_grace: Duration::from_secs(1),
            stall_limit: Duration::from_secs(60),
            expect_limit: Duration::from_secs(10),
            open_limit: Duration::from_secs(20),
            keyframe_limit: Duration::from_secs(10),
            recovery: Duration::from_secs(30),
        }
    }

    /// The same within bounds: no time here is longer than a day, so that none added
    /// to a clock leaves it.
    pub(super) fn bounded(mut self) -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        for time in [
            &mut self.draw_limit,
            &mut self.disable_grace,
            &mut self.stall_limit,
            &mut self.expect_limit,
            &mut self.open_limit,
            &mut self.keyframe_limit,
            &mut self.recovery,
        ] {
            *time = (*time).min(DAY);
        }
        self.max_fps = self.max_fps.clamp(4, 240);
        self
    }
}

/// The earliest of several times.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wake(Option<Instant>);

impl Wake {
    pub(super) fn at(&mut self, time: Instant) {
        self.0 = Some(self.0.map_or(time, |earliest| earliest.min(time)));
    }

    pub(super) const fn time(self) -> Option<Instant> {
        self.0
    }
}
