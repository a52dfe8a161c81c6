//! What a recording amounted to.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use scanout_trace::recording::{Delivery, EventKind};

/// Refusals whose words are kept; a guest can cause as many as it likes.
pub const KEPT_REFUSALS: usize = 16;
/// Layouts that are told apart.
pub const KEPT_LAYOUTS: usize = 16;

/// Counts of what came and what became of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Statistics {
    /// Calls that ask for an answer.
    pub calls: u64,
    /// Those of them that were answered.
    pub answered: u64,
    /// Scanouts taken as dma-bufs.
    pub dma_bufs: u64,
    /// Scanouts taken as shared memory.
    pub maps: u64,
    /// Scanouts taken as bytes.
    pub inline: u64,
    /// What scanouts were, each kind once, in the order of first appearance.
    pub layouts: Vec<String>,
    /// Updates that were read.
    pub updates: u64,
    /// Updates of nothing that is shown: outside of the picture, or while nothing was.
    pub unseen: u64,
    /// Calls that were refused.
    pub refused: u64,
    /// The first of them, in words.
    pub refusals: Vec<String>,
    /// Pixels that updates named.
    pub damaged: u64,
    /// Pixels of the pictures that they updated.
    pub pictures: u64,
    /// From the first update to the last.
    pub first_to_last: Duration,
    /// Time from an update's arrival to its answer, in microseconds.
    replies: Histogram<u64>,
    area: u64,
    first: Option<Duration>,
}

impl Default for Statistics {
    fn default() -> Self {
        // From 1 us to a minute with 1 % precision: these bounds are valid.
        #[expect(clippy::expect_used, reason = "constants")]
        let replies = Histogram::new_with_bounds(1, 60_000_000, 2).expect("valid bounds");
        Self {
            calls: 0,
            answered: 0,
            dma_bufs: 0,
            maps: 0,
            inline: 0,
            layouts: Vec::new(),
            updates: 0,
            unseen: 0,
            refused: 0,
            refusals: Vec::new(),
            damaged: 0,
            pictures: 0,
            first_to_last: Duration::ZERO,
            replies,
            area: 0,
            first: None,
        }
    }
}

impl Statistics {
    pub(crate) fn took(&mut self, time: Duration, kind: &EventKind) {
        match kind {
            EventKind::Scanout(scanout) => {
                self.area = scanout.view.content.area();
                let count = match scanout.delivery {
                    Delivery::DmaBuf => &mut self.dma_bufs,
                    Delivery::Map => &mut self.maps,
                    _ => &mut self.inline,
                };
                *count += 1;
                let layout = scanout.layout.to_string();
                if self.layouts.len() < KEPT_LAYOUTS && !self.layouts.contains(&layout) {
                    self.layouts.push(layout);
                }
            }
            EventKind::Update(update) => {
                self.updates += 1;
                self.damaged += update.rect.area();
                self.pictures += self.area;
                let first = *self.first.get_or_insert(time);
                self.first_to_last = time.saturating_sub(first);
            }
            _ => {}
        }
    }

    pub(crate) fn refuse(&mut self, why: String) {
        self.refused += 1;
        if self.refusals.len() < KEPT_REFUSALS {
            self.refusals.push(why);
        }
    }

    pub(crate) fn replied(&mut self, after: Duration) {
        let us = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
        self.replies.saturating_record(us);
    }

    /// Scanouts of every kind.
    pub fn scanouts(&self) -> u64 {
        self.dma_bufs + self.maps + self.inline
    }

    /// Updates a second, from the first to the last.
    pub fn updates_per_second(&self) -> f64 {
        let seconds = self.first_to_last.as_secs_f64();
        match self.updates {
            0 | 1 => 0.0,
            updates if seconds > 0.0 => (updates - 1) as f64 / seconds,
            _ => 0.0,
        }
    }

    /// Part of the picture that an update named, on average, in percent.
    pub fn damage_percent(&self) -> f64 {
        100.0 * self.damaged as f64 / self.pictures.max(1) as f64
    }

    /// How long an update waited for its answer; `quantile` is 0.5 for the median.
    pub fn reply(&self, quantile: f64) -> Duration {
        Duration::from_micros(self.replies.value_at_quantile(quantile))
    }
}

/// Lines for a terminal.
impl fmt::Display for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} scanouts ({} dma-buf, {} shared memory, {} bytes), {} updates ({:.1} a second, {} of nothing shown)",
            self.scanouts(),
            self.dma_bufs,
            self.maps,
            self.inline,
            self.updates,
            self.updates_per_second(),
            self.unseen,
        )?;
        writeln!(f, "shown: {}", self.layouts.join(", "))?;
        writeln!(
            f,
            "damage: {} pixels, {:.2} % of the picture in an update on average",
            self.damaged,
            self.damage_percent()
        )?;
        writeln!(
            f,
            "replies to updates: p50 {:.1?}, p99 {:.1?}, max {:.1?}",
            self.reply(0.5),
            self.reply(0.99),
            self.reply(1.0)
        )?;
        write!(
            f,
            "{} calls, {} answered, {} refused",
            self.calls, self.answered, self.refused
        )?;
        for refusal in &self.refusals {
            write!(f, "\n  refused: {refusal}")?;
        }
        let more = self.refused.saturating_sub(self.refusals.len() as u64);
        if more > 0 {
            write!(f, "\n  and {more} more")?;
        }
        Ok(())
    }
}
