//! How fast a client is read.

use std::time::{Duration, Instant};

/// So many units per second, and as many at once after a pause.
///
/// What comes faster is read later: the peer's own queue grows, nothing is lost, and
/// whoever the messages are for is not flooded.
pub(super) struct Pace {
    per_second: f64,
    credit: f64,
    last: Instant,
}

impl Pace {
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        let per_second = f64::from(per_second);
        Self {
            per_second,
            credit: per_second,
            last: now,
        }
    }

    /// How long to wait before the next message.
    fn take(&mut self, units: u32, now: Instant) -> Option<Duration> {
        let passed = now.saturating_duration_since(self.last).as_secs_f64();
        self.last = now;
        self.credit = (self.credit + passed * self.per_second).min(self.per_second);
        self.credit -= f64::from(units);
        let wait = Duration::try_from_secs_f64(-self.credit / self.per_second);
        wait.ok().filter(|wait| !wait.is_zero())
    }

    /// Something of so many units was read: waits until more may be.
    pub(super) async fn wait(&mut self, units: u32) {
        if let Some(wait) = self.take(units, Instant::now()) {
            tokio::time::sleep(wait).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_the_rate_waits_and_less_does_not() {
        let start = Instant::now();
        let mut pace = Pace::new(100, start);
        assert!((0..100).all(|_| pace.take(1, start).is_none()));
        let wait = pace.take(10, start).unwrap();
        assert!((wait.as_secs_f64() - 0.1).abs() < 1e-6);
        assert_eq!(pace.take(1, start + Duration::from_millis(200)), None);
        let later = start + Duration::from_secs(3600);
        assert!((0..100).all(|_| pace.take(1, later).is_none()));
        assert!(pace.take(1, later).is_some());
    }
}
