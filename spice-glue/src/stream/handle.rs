//! The face that a producer sees.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use scanout_core::buffer::SourceBuffer;
use scanout_core::geometry::Damage;
use scanout_core::sync::{Acquire, Release};

use super::config::{GlStreamConfig, GlStreamError};
use super::control::{Brain, Control};
use super::cursor::Pointer;
use super::inbox::{Draw, Inbox, Shown};
use super::keeper::Threads;
use super::stats::{GlStreamStats, Stats};
use super::viewers::{Cursor, Viewers};
use crate::gl::{Machine, MachineConfig, StreamClock};

/// Longest wait for the threads of a stream that is dropped.
const DROP_LIMIT: Duration = Duration::from_secs(1);

/// What stands for a limit that no clock can say.
const MOST: Duration = Duration::from_secs(24 * 3600);

/// One console's stream: scanouts and draws in, viewers fed.
///
/// A producer shows a buffer with [`scanout`](Self::scanout) and says with
/// [`draw`](Self::draw) what it has drawn into it. The draw's [`Release`] is its answer:
/// it completes when the buffer was read, or at once where nobody watches, and always
/// within [`GlStreamConfig::hold_limit`]. None of the producer's calls blocks, on whatever
/// thread they are made.
///
/// Viewers come in through [`viewers`](Self::viewers). While there is none, no encoder, no
/// device and no surface is held, and the stream's thread sleeps.
///
/// Dropping it stops it as [`stop`](Self::stop) does, within a second.
#[must_use = "dropping it stops the stream"]
pub struct GlStream {
    inbox: Arc<Inbox>,
    pointer: Arc<Pointer>,
    clock: StreamClock,
    stats: Arc<Stats>,
    threads: Arc<Threads>,
    stopped: bool,
}

impl GlStream {
    /// Starts the stream's thread. Opens no encoder yet.
    pub fn start(config: GlStreamConfig) -> Result<Self, GlStreamError> {
        let offers = config.offers()?;
        let clock = StreamClock::start();
        let mut machine = MachineConfig::new(clock);
        machine.bitrate = config.bitrate;
        machine.max_fps = config.max_fps.get();
        machine.draw_limit = config.hold_limit;
        let machine = Machine::new(machine, offers, Instant::now());
        Self::with(machine, config, clock)
    }

    /// Starts the thread around any machine.
    pub(super) fn with(
        brain: impl Brain + 'static,
        config: GlStreamConfig,
        clock: StreamClock,
    ) -> Result<Self, GlStreamError> {
        let inbox = Arc::new(Inbox::new(config.max_viewers));
        let stats = Arc::new(Stats::default());
        let threads = Arc::new(Threads::default());
        let control = Control::new(
            brain,
            config,
            Arc::clone(&inbox),
            Arc::clone(&stats),
            Arc::clone(&threads),
        );
        threads
            .spawn("scanout-gl", 1, move || control.run())
            .map_err(GlStreamError::Thread)?;
        Ok(Self {
            inbox,
            pointer: Arc::default(),
            clock,
            stats,
            threads,
            stopped: false,
        })
    }

    /// The producer shows `buffer` from now on; its view says which part of it, and which way
    /// up. It is content by itself, drawn to or not. Draws into what was shown
    /// before that still wait are answered.
    ///
    /// The stream keeps the buffer (its descriptors, so its memory too) until a second after
    /// something else was shown in its place.
    pub fn scanout(&self, buffer: SourceBuffer) {
        self.show(Shown::Scanout(buffer));
    }

    /// The producer shows nothing. Viewers keep the last picture.
    pub fn disable(&self) {
        self.show(Shown::Nothing);
    }

    fn show(&self, shown: Shown) {
        for draw in self.inbox.show(shown) {
            self.stats.unstaged(draw.received.elapsed());
            draw.release.complete();
        }
    }

    /// The producer has drawn into what it shows, and waits. `damage` is what changed, in
    /// top-down coordinates of the content whatever the buffer's orientation; `acquire`
    /// what to wait for before reading.
    ///
    /// Never blocks, and may complete `release` before it returns, so that its sink must
    /// not draw again by itself: it would be called within its own call, over and over.
    pub fn draw(&self, damage: Damage, acquire: Acquire, release: Release) {
        let received = Instant::now();
        self.stats.drawn();
        let draw = Draw {
            damage,
            acquire,
            release,
            received,
        };
        if !self.inbox.draw(draw) {
            self.stats.unstaged(received.elapsed());
        }
    }

    /// The guest's pointer is like this now.
    pub fn cursor(&self, cursor: Cursor) {
        self.pointer.set(cursor);
    }

    /// Where viewers come in; stays valid, and useless, when the stream has stopped.
    pub fn viewers(&self) -> Viewers {
        let (inbox, pointer) = (Arc::clone(&self.inbox), Arc::clone(&self.pointer));
        Viewers::new(inbox, pointer, self.clock)
    }

    /// Counts and times so far. Takes some microseconds.
    pub fn stats(&self) -> GlStreamStats {
        self.stats.snapshot()
    }

    /// Stops: draws are answered, viewers' outlets dropped, encoders closed. Blocks at most
    /// `limit`; what a driver holds up by then is left behind, without any source.
    pub fn stop(mut self, limit: Duration) -> Result<GlStreamStats, GlStreamError> {
        self.stopped = true;
        self.end(limit)?;
        Ok(self.stats())
    }

    fn end(&self, limit: Duration) -> Result<(), GlStreamError> {
        self.inbox.close();
        let now = Instant::now();
        let deadline = now.checked_add(limit).unwrap_or(now + MOST);
        match self.threads.join(deadline) {
            (0, false) => Ok(()),
            (0, true) => Err(GlStreamError::Panicked),
            (left, _) => Err(GlStreamError::StopTimedOut { limit, left }),
        }
    }
}

impl Drop for GlStream {
    fn drop(&mut self) {
        if self.stopped {
            return;
        }
        if let Err(error) = self.end(DROP_LIMIT) {
            tracing::error!(%error, "a stream was dropped");
        }
    }
}

impl fmt::Debug for GlStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GlStream").finish_non_exhaustive()
    }
}
