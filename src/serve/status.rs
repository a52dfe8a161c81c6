//! What is going on, while it goes on.

use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use super::snapshot::Snapshot;
use crate::console::Console;

/// A line that nobody sees is logged so often, where something has changed.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// The line on a terminal; in a log now and then.
pub(super) struct Status {
    bar: ProgressBar,
    last: String,
    logged: Instant,
}

impl Status {
    pub(super) fn new(console: &Console) -> Self {
        let bar = console.status();
        Self {
            bar,
            last: String::new(),
            logged: Instant::now(),
        }
    }

    /// How often it is worth a look: nobody reads faster.
    pub(super) fn interval(&self) -> Duration {
        if self.bar.is_hidden() {
            Duration::from_secs(1)
        } else {
            Duration::from_millis(500)
        }
    }

    /// True where somebody would see a line.
    pub(super) fn is_wanted(&self) -> bool {
        !self.bar.is_hidden() || tracing::enabled!(tracing::Level::INFO)
    }

    pub(super) fn show(&mut self, snapshot: &Snapshot) {
        let line = snapshot.line();
        if line == self.last {
            return;
        }
        self.bar.set_message(line.clone());
        if self.bar.is_hidden() && self.logged.elapsed() >= LOG_INTERVAL {
            tracing::info!(status = %line);
            self.logged = Instant::now();
        }
        self.last = line;
    }

    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
