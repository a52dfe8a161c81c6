//! The sources being read, where both the session's thread and the watchdog
//! can let go of them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::mailbox::Mailbox;
use super::stats::Stats;
use crate::encoder::Ticket;
use crate::sync::{Release, SyncFile};

#[derive(Debug)]
struct Source {
    place: Place,
    /// `None` while the stager's `stage` has not come back.
    ticket: Option<Ticket>,
    received: Instant,
    deadline: Instant,
    release: Option<Release>,
}

/// Names a source from before it has a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u64);

#[derive(Debug, Default)]
struct State {
    next: u64,
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

/// Completes a release on a thread that has others to complete: an owner that
/// panics does not keep them from being told.
pub(super) fn let_go(release: Option<Release>) {
    if catch_unwind(AssertUnwindSafe(|| drop(release))).is_err() {
        tracing::error!("the owner of a source panicked when told that it is free");
    }
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

    /// Keeps `release` until it is completed here or by the watchdog. Comes
    /// before the call into the stager: that is what may not come back.
    pub(super) fn insert(&self, received: Instant, release: Option<Release>) -> Place {
        let mut state = self.lock();
        let place = Place(state.next);
        state.next += 1;
        state.sources.push(Source {
            place,
            ticket: None,
            received,
            deadline: super::deadline(self.limit),
            release,
        });
        if state.idle {
            self.changed.notify_one();
        }
        place
    }

    /// The source has a ticket now.
    pub(super) fn assign(&self, place: Place, ticket: Ticket) {
        let mut state = self.lock();
        if let Some(source) = state.sources.iter_mut().find(|s| s.place == place) {
            source.ticket = Some(ticket);
        }
    }

    /// The stager refused the source: it was not read.
    pub(super) fn refuse(&self, place: Place) {
        drop(self.remove(|source| source.place == place));
    }

    /// The source of `ticket` was read. Returns how long it was held, or `None`
    /// where the watchdog had let go of it.
    pub(super) fn complete(&self, ticket: Ticket, fence: Option<SyncFile>) -> Option<Duration> {
        let source = self.remove(|source| source.ticket == Some(ticket))?;
        let release = source.release?;
        match fence {
            Some(fence) => release.complete_with(fence),
            None => release.complete(),
        }
        Some(source.received.elapsed())
    }

    fn remove(&self, which: impl Fn(&Source) -> bool) -> Option<Source> {
        let mut state = self.lock();
        let index = state.sources.iter().position(which)?;
        Some(state.sources.remove(index))
    }

    /// Lets go of everything at once.
    pub(super) fn release_all(&self) {
        let sources = std::mem::take(&mut self.lock().sources);
        for source in sources {
            let_go(source.release);
        }
    }

    /// A source waits in the mailbox: the watchdog may have to wake for it.
    pub(super) fn poke(&self) {
        if self.lock().idle {
            self.changed.notify_one();
        }
    }

    /// Ends [`Held::watch`].
    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_all();
    }

    /// The watchdog: lets go of what is held beyond the limit, being read or waiting in
    /// `mailbox`, until [`Held::end`].
    pub(super) fn watch(&self, mailbox: &Mailbox, stats: &Stats) {
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
                tracing::warn!(?ticket, limit = ?self.limit, "source let go before it was read");
                stats.let_go();
                let_go(release);
                state = self.lock();
                continue;
            }
            let waiting = mailbox.since();
            if waiting.is_some_and(|since| now.saturating_duration_since(since) >= self.limit) {
                drop(state);
                // Another may have taken its place, or the stager has it, by now.
                if let Some(release) = mailbox.overdue(now, self.limit) {
                    tracing::warn!(limit = ?self.limit, "source let go before it was staged");
                    stats.let_go();
                    let_go(Some(release));
                }
                state = self.lock();
                continue;
            }
            let next = state
                .sources
                .iter()
                .filter(|s| s.release.is_some())
                .map(|s| s.deadline)
                .chain(waiting.and_then(|since| since.checked_add(self.limit)))
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
