//! Where the newest frame waits for the stager.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::config::Delivery;
use super::error::SubmitError;
use super::stats::Stats;
use crate::buffer::BufferKey;
use crate::encoder::Frame;
use crate::sync::{EventFd, Release};

/// A frame, and the guard of its source unless the watchdog has let go of that.
pub(super) type Waiting = (Frame, Option<Release>);

#[derive(Debug, Default)]
struct State {
    waiting: Option<Waiting>,
    /// Since when the source of a live producer waits, which may wait for it in turn.
    since: Option<Instant>,
    closed: bool,
}

#[derive(Debug)]
pub(super) struct Mailbox {
    state: Mutex<State>,
    /// Signalled when a place becomes free or the box closes.
    place: Condvar,
    /// Wakes the session's thread.
    event: std::sync::Arc<EventFd>,
}

impl Mailbox {
    pub(super) fn new(event: std::sync::Arc<EventFd>) -> Self {
        Self {
            state: Mutex::default(),
            place: Condvar::new(),
            event,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn submit(
        &self,
        mut frame: Frame,
        release: Release,
        delivery: &Delivery,
        stats: &Stats,
    ) -> Result<(), SubmitError> {
        let mut state = self.lock();
        if let Delivery::Every { limit } = *delivery {
            let deadline = super::deadline(limit);
            while state.waiting.is_some() && !state.closed {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(SubmitError::TimedOut {
                        number: frame.number,
                        limit,
                    });
                }
                state = self
                    .place
                    .wait_timeout(state, left)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
            }
        }
        if state.closed {
            return Err(SubmitError::Closed);
        }
        let replaced = state.waiting.take();
        if let Some((older, _)) = &replaced {
            frame.damage.unite(&older.damage);
        }
        state.waiting = Some((frame, Some(release)));
        // Where every frame counts, the producer has agreed to wait for it.
        state.since = matches!(delivery, Delivery::Newest).then(Instant::now);
        drop(state);
        stats.submitted(replaced.is_some());
        self.event.signal();
        // The replaced frame's release completes here, outside the lock: its
        // sink is foreign code.
        drop(replaced);
        Ok(())
    }

    /// The frame that waits. Its place is free from here on.
    pub(super) fn take(&self) -> Option<Waiting> {
        let mut state = self.lock();
        let taken = state.waiting.take();
        state.since = None;
        drop(state);
        if taken.is_some() {
            self.place.notify_one();
        }
        taken
    }

    /// Since when a source waits that must not wait for ever.
    pub(super) fn since(&self) -> Option<Instant> {
        self.lock().since
    }

    /// The guard of the source that at `now` has waited for `limit` or longer. The frame stays: it
    /// is the newest there is, and where its source changes before it is staged after
    /// all, a newer one is on its way.
    pub(super) fn overdue(&self, now: Instant, limit: Duration) -> Option<Release> {
        let mut state = self.lock();
        state
            .since
            .take_if(|since| now.saturating_duration_since(*since) >= limit)?;
        state.waiting.as_mut()?.1.take()
    }

    /// True when the frame that waits lies in `buffer`.
    pub(super) fn holds(&self, buffer: &BufferKey) -> bool {
        let state = self.lock();
        let mut waiting = state.waiting.iter();
        waiting.any(|(frame, _)| frame.buffer.key() == buffer)
    }

    /// Takes no more frames; the one that waits can still be taken.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.place.notify_all();
        self.event.signal();
    }

    /// Open, and nothing waits.
    pub(super) fn is_quiet(&self) -> bool {
        let state = self.lock();
        !state.closed && state.waiting.is_none()
    }

    /// Closed, and nothing waits.
    pub(super) fn is_finished(&self) -> bool {
        let state = self.lock();
        state.closed && state.waiting.is_none()
    }
}
