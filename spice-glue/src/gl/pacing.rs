//! When a change is staged, and how long a draw waits for it.
//!
//! Time is cut into slots of 1 / `max_fps`. The first change after a pause is staged at
//! once and begins a slot; what changes within it is staged together when it ends. The
//! slots follow each other without drift while the source keeps up, so that a source
//! paced by our answers reaches `max_fps` and not a little less.

use std::time::{Duration, Instant};

use super::DrawId;

/// Draws that wait at a time. A source with more outstanding gets its oldest answered:
/// what they changed is remembered all the same.
const MAX_WAITING: usize = 256;

#[derive(Debug)]
pub(super) struct Pacing {
    slot: Duration,
    limit: Duration,
    /// Nothing is staged before.
    next: Option<Instant>,
    /// What changed is to be staged from then on.
    changed: Option<Instant>,
    /// Each with the end of its patience, oldest first.
    waiting: Vec<(DrawId, Instant)>,
}

impl Pacing {
    /// `max_fps` slots a second; no draw waits longer than `limit`.
    pub(super) fn new(max_fps: u32, limit: Duration) -> Self {
        Self {
            slot: Duration::from_secs(1) / max_fps.clamp(4, 240),
            limit,
            next: None,
            changed: None,
            waiting: Vec::new(),
        }
    }

    /// The length of a slot.
    pub(super) const fn slot(&self) -> Duration {
        self.slot
    }

    /// The source has changed; worth staging without a draw from `at` on.
    pub(super) fn change(&mut self, at: Instant) {
        self.changed = Some(self.changed.map_or(at, |changed| changed.min(at)));
    }

    /// A draw waits. The one that has to go, where too many do.
    pub(super) fn draw(&mut self, draw: DrawId, now: Instant) -> Option<DrawId> {
        let full = self.waiting.len() >= MAX_WAITING;
        let oldest = full.then(|| self.waiting.remove(0).0);
        self.waiting.push((draw, now + self.limit));
        self.change(now);
        oldest
    }

    /// A draw whose patience has ended; its change stays.
    pub(super) fn overdue(&mut self, now: Instant) -> Option<DrawId> {
        let first = self.waiting.first()?;
        (first.1 <= now).then(|| self.waiting.remove(0).0)
    }

    /// When something is to be staged.
    pub(super) fn due(&self) -> Option<Instant> {
        let changed = self.changed?;
        Some(self.next.map_or(changed, |next| next.max(changed)))
    }

    /// All is staged now: who waited for it.
    pub(super) fn staged(&mut self, now: Instant) -> Vec<DrawId> {
        self.begin_slot(now);
        self.changed = None;
        self.waiting.drain(..).map(|(draw, _)| draw).collect()
    }

    /// Something was staged out of turn: the next waits its slot.
    pub(super) fn begin_slot(&mut self, now: Instant) {
        let on_time = self.next.filter(|next| now < *next + self.slot);
        self.next = Some(on_time.unwrap_or(now) + self.slot);
    }

    /// Nothing can be staged: who waited in vain.
    pub(super) fn give_up(&mut self) -> impl Iterator<Item = DrawId> + '_ {
        self.changed = None;
        self.waiting.drain(..).map(|(draw, _)| draw)
    }

    /// When to look again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let patience = self.waiting.first().map(|(_, until)| *until);
        match (self.due(), patience) {
            (Some(due), Some(patience)) => Some(due.min(patience)),
            (due, patience) => due.or(patience),
        }
    }
}
