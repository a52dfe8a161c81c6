//! A rate that follows what a client reports.

use std::time::{Duration, Instant};

use scanout_core::encoder::Bitrate;

/// Between two cuts: what the one before it did is seen only then.
const CUT_SPACING: Duration = Duration::from_secs(1);

/// Clean reports in a row before the rate rises.
const CLEAN: u32 = 3;

/// Cut to 85 in 100 when frames come late, raised by 5 in 100 when none did for a while.
#[derive(Debug)]
pub(super) struct Rate {
    most: Bitrate,
    now: Bitrate,
    clean: u32,
    cut: Option<Instant>,
}

impl Rate {
    pub(super) const fn new(most: Bitrate) -> Self {
        Self {
            most,
            now: most,
            clean: 0,
            cut: None,
        }
    }

    pub(super) const fn now(&self) -> Bitrate {
        self.now
    }

    /// A client has counted `frames`, `late` among them, the last with `margin_ms` left.
    pub(super) fn report(&mut self, frames: u32, late: u32, margin_ms: i32, now: Instant) {
        // Stock clients count a frame that is shown at once as late: of a few such, and of
        // a margin near nothing, nothing follows.
        if margin_ms < -20 && u64::from(late) * 4 > u64::from(frames) {
            self.cut(now);
            return;
        }
        self.clean += 1;
        if self.clean >= CLEAN {
            self.clean = 0;
            let raised = self.now.as_bps().saturating_add(self.now.as_bps() / 20);
            self.now = Bitrate::bps(raised).min(self.most);
        }
    }

    /// The caller could not send a frame.
    pub(super) fn cut(&mut self, now: Instant) {
        self.clean = 0;
        let recent = |cut| now.saturating_duration_since(cut) < CUT_SPACING;
        if self.cut.is_some_and(recent) {
            return;
        }
        self.cut = Some(now);
        let floor = self.most.as_bps() / 16;
        let cut = self.now.as_bps() / 100 * 85;
        self.now = Bitrate::bps(cut.max(floor).max(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_falls_when_frames_are_late_and_comes_back() {
        let most = Bitrate::kbps(8000);
        let mut rate = Rate::new(most);
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        rate.report(5, 1, -3, at(1));
        rate.report(5, 5, -5, at(1));
        assert_eq!(rate.now(), most, "what stock clients report on loopback");
        rate.report(5, 3, -100, at(2));
        assert_eq!(rate.now(), Bitrate::kbps(6800));
        rate.report(5, 3, -100, at(2));
        assert_eq!(rate.now(), Bitrate::kbps(6800), "cut twice for one trouble");
        for s in 3..100 {
            rate.report(5, 5, -500, at(s));
        }
        assert_eq!(rate.now(), Bitrate::kbps(500));
        for s in 100..400 {
            rate.report(5, 0, 0, at(s));
        }
        assert_eq!(rate.now(), most);
    }
}
