//! One client's display channel: what it shows, what waits for it, which tier it is in.

use std::time::{Duration, Instant};

use scanout_core::geometry::Size;

use crate::gl::codec_order::Taste;
use crate::gl::stamp::Stamps;
use crate::gl::{Backlog, Batch, CoderId, OfferId, Outgoing, VideoCodec, ViewerCaps, ViewerId};

/// Messages without an acknowledgement that an idle client may leave: twice upstream's
/// window of 20.
const ACK_RESIDUE: u32 = 40;
/// Messages without an acknowledgement from which a client is slow: two seconds of
/// frames beyond that.
const MAX_UNACKNOWLEDGED: u32 = ACK_RESIDUE + 120;
/// Messages in the queue up to which a slow viewer has room.
const FEW_MESSAGES: usize = 3;
/// Longest time to the next try in the shared tier.
const LAST_RECOVERY: Duration = Duration::from_secs(600);

/// Who shares a coder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tier {
    /// All who keep up, at the full rate.
    Shared,
    /// Those who do not, at what they take.
    Slow,
}

/// A stream that lives at the client.
#[derive(Clone, Copy, Debug)]
pub(super) struct LiveStream {
    pub(super) id: u32,
    pub(super) offer: OfferId,
    pub(super) codec: VideoCodec,
    pub(super) coded: Size,
    pub(super) visible: Size,
    /// The activation whose reports count, and its window.
    pub(super) report: Option<(u32, u32)>,
    /// The next access unit's delimiter is with the client already.
    pub(super) begun: bool,
    /// Times that its last frame was sent again.
    pub(super) resent: u8,
}

#[derive(Debug)]
pub(super) struct Viewer {
    pub(super) id: ViewerId,
    pub(super) reports: bool,
    pub(super) taste: Taste,
    pub(super) offer: Option<OfferId>,
    pub(super) tier: Tier,
    /// The coder whose every packet it gets.
    pub(super) following: Option<CoderId>,
    /// The primary surface that it has.
    pub(super) surface: Option<Size>,
    pub(super) stream: Option<LiveStream>,
    pub(super) stamps: Stamps,
    backlog: Backlog,
    /// When it took something last, or something began to wait.
    took: Instant,
    /// No trouble since.
    calm: Instant,
    /// How long it must be calm to be tried in the shared tier.
    recovery: Duration,
    /// When it was tried last.
    tried: Option<Instant>,
    next_stream: u32,
    next_report: u32,
}

impl Viewer {
    pub(super) fn new(id: ViewerId, caps: &ViewerCaps, recovery: Duration, now: Instant) -> Self {
        Self {
            id,
            reports: caps.reports,
            taste: Taste::new(&caps.codecs),
            offer: None,
            tier: Tier::Shared,
            following: None,
            surface: None,
            stream: None,
            stamps: Stamps::new(caps.reports),
            backlog: Backlog::default(),
            took: now,
            calm: now,
            recovery,
            tried: None,
            next_stream: 0,
            next_report: 1,
        }
    }

    /// Its group is that of `offer` and `tier`.
    pub(super) fn is_in(&self, offer: OfferId, tier: Tier) -> bool {
        self.offer == Some(offer) && self.tier == tier
    }

    /// From now on its packets come from `offer`. A coder of another one is left for
    /// good: it goes on, and what it makes in between would be missing.
    pub(super) fn take_offer(&mut self, offer: Option<OfferId>) {
        self.offer = offer;
        if self.stream.is_none_or(|stream| Some(stream.offer) != offer) {
            self.following = None;
        }
    }

    /// An id of no stream that lives, the longest unused: a late report of an old
    /// stream is not taken for one of the next.
    pub(super) const fn take_stream_id(&mut self) -> u32 {
        let id = self.next_stream;
        self.next_stream = (id + 1) % 64;
        id
    }

    pub(super) const fn take_report_id(&mut self) -> u32 {
        let id = self.next_report;
        self.next_report = self.next_report.wrapping_add(1);
        id
    }

    /// Nothing waits for it.
    pub(super) const fn is_empty(&self) -> bool {
        self.backlog.bytes == 0
            && self.backlog.messages == 0
            && self.backlog.unacknowledged <= ACK_RESIDUE
    }

    /// More waits for it than may.
    pub(super) const fn is_over(&self, bound: &Bound) -> bool {
        self.backlog.bytes > bound.bytes
            || self.backlog.messages > bound.messages
            || self.backlog.unacknowledged > MAX_UNACKNOWLEDGED
    }

    /// So little waits for it that the next picture leaves at once.
    pub(super) const fn has_room(&self, few_bytes: usize) -> bool {
        self.backlog.bytes <= few_bytes
            && self.backlog.messages <= FEW_MESSAGES
            && self.backlog.unacknowledged <= ACK_RESIDUE
    }

    /// A keyframe may be sent to it that begins what follows.
    pub(super) const fn is_ready(&self, bound: &Bound) -> bool {
        match self.tier {
            Tier::Shared => !self.is_over(bound),
            Tier::Slow => self.is_empty(),
        }
    }

    pub(super) fn progress(&mut self, backlog: Backlog, now: Instant) {
        let was = self.backlog;
        self.backlog = backlog;
        let took = backlog.bytes < was.bytes
            || backlog.messages < was.messages
            || backlog.unacknowledged < was.unacknowledged;
        if took || self.is_empty() {
            self.took = now;
        }
    }

    /// Counts what is sent until the next [`Viewer::progress`].
    pub(super) fn sent(&mut self, batch: &Batch, now: Instant) {
        if self.is_empty() {
            self.took = now;
        }
        for message in batch {
            if let Outgoing::StreamData { payload, .. } = message {
                self.backlog.bytes = self.backlog.bytes.saturating_add(payload.len());
            }
        }
        self.backlog.messages = self.backlog.messages.saturating_add(batch.len());
    }

    /// Since when it takes nothing of what waits for it.
    pub(super) fn stalled_since(&self) -> Option<Instant> {
        (!self.is_empty()).then_some(self.took)
    }

    /// It has had trouble now.
    pub(super) const fn trouble(&mut self, now: Instant) {
        self.calm = now;
    }

    /// Out of the shared tier.
    pub(super) fn slow_down(&mut self, now: Instant, first_recovery: Duration) {
        let relapse = self
            .tried
            .is_some_and(|tried| now < tried + LAST_RECOVERY.min(self.recovery * 2));
        self.recovery = if relapse {
            (self.recovery * 2).min(LAST_RECOVERY.max(first_recovery))
        } else {
            first_recovery
        };
        self.tier = Tier::Slow;
        self.following = None;
        self.calm = now;
    }

    /// When it may be tried in the shared tier again.
    pub(super) fn recovers_at(&self) -> Instant {
        self.calm + self.recovery
    }

    /// Back to the shared tier.
    pub(super) const fn speed_up(&mut self, now: Instant) {
        self.tier = Tier::Shared;
        self.following = None;
        self.tried = Some(now);
    }
}

/// The most that waits for a viewer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    pub(super) bytes: usize,
    pub(super) messages: usize,
}

impl Bound {
    /// Half a second of `rate` and of `max_fps`, and two of the largest packets.
    pub(super) fn new(rate_bps: u64, max_fps: u32, largest_packet: usize) -> Self {
        let half_second = usize::try_from(rate_bps / 16).unwrap_or(usize::MAX);
        Self {
            bytes: half_second.max(largest_packet.saturating_mul(2)),
            // The messages of a stream's beginning come on top.
            messages: max_fps as usize / 2 + 16,
        }
    }
}
