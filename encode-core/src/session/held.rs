//! The sources being read, where both the session's thread and the watchdog
//! can let go of them.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::stats::Stats;
use crate::encoder::Ticket;
use crate::sync::{Release, SyncFile};

#[derive(Debug)]
struct Source {
    ticket: Ticket,
    received: Instant,
    deadline: Instant,
    release: Option<Release>,
}

#[derive(Debug, Default)]
struct State {
    sources: Vec<Source>,
    /// The watchdog sleeps without a limit because nothing is held.
    idle: bool,
    ended: bool,
}

/// Releases in the order of their tickets.
#[derive(Debug)]
pub(super) struct Held {
    state: Mutex<State>,
    changed: Condvar,
    limit: Duration,
}

impl Held {
    pub(super) fn new(limit: Duration) -> Self {
        let state = State {
            // Far more than any stager takes at a time; grows if one does.
            sources: Vec::with_capacity(8),
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
            limit,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps `release` until [`Held::complete`] or the watchdog.
    pub(super) fn insert(&self, ticket: Ticket, received: Instant, release: Release) {
        let mut state = self.lock();
        state.sources.push(Source {
            ticket,
            received,
            deadline: Instant::now() + self.limit,
            release: Some(release),
        });
        if state.idle {
            self.changed.notify_one();
        }
    }

    /// The source of `ticket` was read. Returns how long it was held, or `None`
    /// where the watchdog had let go of it.
    pub(super) fn complete(&self, ticket: Ticket, fence: Option<SyncFile>) -> Option<Duration> {
        let source = {
            let mut state = self.lock();
            let index = state.sources.iter().position(|s| s.ticket == ticket)?;
            state.sources.remove(index)
        };
        let release = source.release?;
        match fence {
            Some(fence) => release.complete_with(fence),
            None => release.complete(),
        }
        Some(source.received.elapsed())
    }

    /// Lets go of everything at once.
    pub(super) fn release_all(&self) {
        let sources = std::mem::take(&mut self.lock().sources);
        drop(sources);
    }

    /// Ends [`Held::watch`].
    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }

    /// The watchdog: lets go of what is held beyond the limit, until [`Held::end`].
    pub(super) fn watch(&self, stats: &Stats) {
        let mut state = self.lock();
        while !state.ended {
            let now = Instant::now();
            let overdue = state
                .sources
                .iter_mut()
                .find(|s| s.release.is_some() && s.deadline <= now);
            if let Some(source) = overdue {
                let (ticket, release) = (source.ticket, source.release.take());
                drop(state);
                tracing::warn!(ticket = ticket.0, limit = ?self.limit, "source let go before it was read");
                stats.let_go();
                drop(release);
                state = self.lock();
                continue;
            }
            let next = state
                .sources
                .iter()
                .filter(|s| s.release.is_some())
                .map(|s| s.deadline)
                .min();
            state.idle = next.is_none();
            state = match next {
                None => self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    self.changed
                        .wait_timeout(state, deadline.saturating_duration_since(now))
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
        }
    }
}
