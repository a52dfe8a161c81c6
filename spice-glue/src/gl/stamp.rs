//! The stamps of a viewer's frames.
//!
//! A client shows a frame when its own copy of the server's clock reaches the frame's
//! stamp; a stamp in its past is shown at once. Its copy began when MAIN_INIT arrived and
//! is off by that message's delay, by drift, and by what audio playback does to it. So
//! a stamp is server-now less a *bias*, one for each viewer, that its reports steer.
//!
//! A report's margin (stamp less client's clock at arrival) plus the bias of that very
//! frame is the *lead*: what the clocks and the way make of an unbiased stamp. Leads of
//! old reports are as good as those of new ones, since each frame's bias is remembered:
//! the loop cannot swing.
//!
//! | codec | a late frame is | so | aim |
//! |---|---|---|---|
//! | MJPEG | dropped | the smallest of the last 8 leads counts | +2 ms |
//! | others | shown at once | the largest of the last 32 counts: an early frame waits | -6 ms |
//!
//! So many that a second of congestion, whose leads are all small, is outlived by one
//! lead from before: else the pictures after it would wait for a way that is free again.

use std::collections::VecDeque;

use arrayvec::ArrayVec;

use super::VideoCodec;

/// Leads that are kept, those that count for MJPEG, and those that tell a clock.
const LEADS: usize = 32;
const FEW_LEADS: usize = 8;
/// Frames whose bias is remembered: two seconds of reports at 60 frames per second.
const FRAMES: usize = 128;
/// Furthest that a bias goes; a client further off has a broken clock.
const MAX_BIAS_MS: i32 = 10_000;

/// What to make of leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aim {
    /// A margin just above zero.
    Early,
    /// A margin just below zero.
    Late,
}

/// Stamps for one viewer.
#[derive(Debug)]
pub(super) struct Stamps {
    aim: Aim,
    reports: bool,
    bias_ms: i32,
    last: Option<u32>,
    /// Stamps given, each with what it was less than server-now.
    given: VecDeque<(u32, i32)>,
    leads: ArrayVec<i32, LEADS>,
}

impl Stamps {
    /// Stamps for a viewer that sends reports, or not.
    pub(super) fn new(reports: bool) -> Self {
        Self {
            aim: Aim::Late,
            reports,
            bias_ms: 0,
            last: None,
            given: VecDeque::with_capacity(FRAMES),
            leads: ArrayVec::new(),
        }
    }

    /// What follows is coded so.
    pub(super) fn begin(&mut self, codec: VideoCodec) {
        self.aim = match codec {
            VideoCodec::Mjpeg => Aim::Early,
            _ => Aim::Late,
        };
        self.steer();
    }

    /// The stamp of a frame that goes out when the clock shows `now`: later than the
    /// last, and never 0.
    pub(super) fn stamp(&mut self, now: u32) -> u32 {
        let mut stamp = now.wrapping_sub(self.bias_ms as u32);
        if let Some(last) = self.last
            && stamp.wrapping_sub(last) as i32 <= 0
        {
            stamp = last.wrapping_add(1);
        }
        let stamp = stamp.max(1);
        self.last = Some(stamp);
        if self.given.len() >= FRAMES {
            self.given.pop_front();
        }
        self.given
            .push_back((stamp, now.wrapping_sub(stamp) as i32));
        stamp
    }

    /// The stamp given last.
    pub(super) const fn last(&self) -> Option<u32> {
        self.last
    }

    /// A report's margin for the frame of this stamp; a frame that is not remembered
    /// says nothing.
    pub(super) fn observe(&mut self, stamp: u32, margin_ms: i32) {
        let Some((_, bias)) = self.given.iter().rev().find(|(given, _)| *given == stamp) else {
            return;
        };
        if self.leads.is_full() {
            self.leads.remove(0);
        }
        self.leads.push(margin_ms.saturating_add(*bias));
        self.steer();
    }

    /// So many reports have come that the client's clock is known.
    pub(super) fn settled(&self) -> bool {
        self.leads.len() >= FEW_LEADS
    }

    fn steer(&mut self) {
        let lead = match self.aim {
            Aim::Early => self.leads.iter().rev().take(FEW_LEADS).min(),
            Aim::Late => self.leads.iter().max(),
        };
        let bias = match (lead, self.aim, self.reports) {
            (Some(lead), Aim::Late, _) => lead.saturating_add(6),
            (Some(lead), Aim::Early, _) => lead.saturating_sub(2),
            (None, Aim::Late, _) => 8,
            // A first frame that waits is better than one that is never shown; more so
            // where no report will tell.
            (None, Aim::Early, true) => -10,
            (None, Aim::Early, false) => -30,
        };
        self.bias_ms = bias.clamp(-MAX_BIAS_MS, MAX_BIAS_MS);
    }
}
