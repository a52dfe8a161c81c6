//! Groups of viewers that share a coder: its opening, its keyframes, its gate, its rate.

use std::time::{Duration, Instant};

use scanout_core::encoder::{Bitrate, Packet, PacketBytes, StreamInfo};
use scanout_core::geometry::Size;

use super::Machine;
use super::stages::Open;
use super::viewers::{Bound, Tier, Viewer};
use crate::gl::access_unit::own_delimiter;
use crate::gl::slow_rate::{SlowRate, Turn};
use crate::gl::{Action, CoderId, OfferId, StageId, VideoCodec};

/// Between two keyframes that viewers ask for, by tier: many who come and go must not
/// turn the stream of those who stay into keyframes.
const KEYFRAME_SPACING: Duration = Duration::from_millis(100);
const SLOW_KEYFRAME_SPACING: Duration = Duration::from_secs(1);
/// A coder that has worked so long has made good for earlier failures.
const PROVEN: Duration = Duration::from_secs(10);
/// Queue of a slow viewer with room, at least.
const FEW_BYTES: usize = 4096;

/// A packet as its viewers need it.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) coder: CoderId,
    pub(super) offer: OfferId,
    pub(super) codec: VideoCodec,
    pub(super) coded: Size,
    pub(super) visible: Size,
    pub(super) bytes: PacketBytes,
    pub(super) own_delimiter: usize,
}

/// A coder and what it owes.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) coder: CoderId,
    pub(super) stage: StageId,
    pub(super) offer: OfferId,
    pub(super) tier: Tier,
    codec: VideoCodec,
    open: Open,
    gate: bool,
    /// A keyframe is on its way.
    pending: bool,
    /// It has been on its way, with a picture to make it of, since then.
    starving: Option<Instant>,
    /// The next may be asked for then.
    keyframe_at: Instant,
    /// The newest packet, where it is a keyframe: a viewer may begin with it.
    pub(super) kept: Option<Piece>,
    slow: Option<SlowRate>,
}

impl Group {
    /// Who is in it.
    pub(super) fn has(&self, viewer: &Viewer) -> bool {
        viewer.is_in(self.offer, self.tier)
    }

    fn spacing(&self) -> Duration {
        match self.tier {
            Tier::Shared => KEYFRAME_SPACING,
            Tier::Slow => SLOW_KEYFRAME_SPACING,
        }
    }

    /// Bytes in the queue of a viewer that has room.
    fn few_bytes(&self) -> usize {
        let rate = self.slow.as_ref().map_or(0, |slow| slow.rate().as_bps());
        // A tenth of a second.
        usize::try_from(rate / 80)
            .unwrap_or(usize::MAX)
            .max(FEW_BYTES)
    }
}

impl Machine {
    /// The most that may wait for a viewer of this offer.
    pub(super) fn bound(&self, offer: Option<OfferId>) -> Bound {
        let largest = offer.map_or(0, |offer| self.order.largest_packet(offer));
        Bound::new(self.config.bitrate.as_bps(), self.config.max_fps, largest)
    }

    /// What is made ready for a client that is expected.
    pub(super) fn warm_offer(&self, now: Instant) -> Option<OfferId> {
        self.expected.and_then(|_| self.order.first(now))
    }

    /// Slow viewers that have been calm for long are tried in the shared tier.
    pub(super) fn settle_tiers(&mut self, now: Instant) {
        for viewer in &mut self.viewers {
            if viewer.tier == Tier::Shared {
                continue;
            }
            if viewer.following.is_none() && !viewer.is_empty() {
                viewer.trouble(now);
            } else if viewer.recovers_at() > now {
                self.wake.at(viewer.recovers_at());
            } else if viewer.is_empty() {
                viewer.speed_up(now);
            }
        }
    }

    /// Closes coders that nobody needs, opens those that somebody does.
    pub(super) fn settle_coders(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let warm = self.warm_offer(now);
        let mut index = 0;
        while let Some(group) = self.groups.get(index) {
            let is_warm = group.tier == Tier::Shared && warm == Some(group.offer);
            let needed = is_warm || self.viewers.iter().any(|viewer| group.has(viewer));
            let late = match group.open {
                Open::Until(limit) => limit <= now,
                Open::Since(_) => group
                    .starving
                    .is_some_and(|since| since + self.config.keyframe_limit <= now),
            };
            if needed && !late {
                if let Open::Until(limit) = group.open {
                    self.wake.at(limit);
                }
                index += 1;
                continue;
            }
            let (coder, offer) = (group.coder, group.offer);
            actions.push(Action::CloseCoder(coder));
            self.groups.remove(index);
            if needed {
                self.offer_failed(offer, now);
            }
        }
        for index in 0..self.viewers.len() {
            if let Some(viewer) = self.viewers.get(index)
                && let Some(offer) = viewer.offer
                && (viewer.tier == Tier::Shared || viewer.is_empty())
            {
                self.open_coder(offer, viewer.tier, now, actions);
            }
        }
        if let Some(offer) = self.warm_offer(now) {
            self.open_coder(offer, Tier::Shared, now, actions);
        }
    }

    fn open_coder(&mut self, offer: OfferId, tier: Tier, now: Instant, actions: &mut Vec<Action>) {
        let exists = |group: &Group| group.offer == offer && group.tier == tier;
        if self.groups.iter().any(exists) {
            return;
        }
        let Some(&wanted) = self.order.get(offer) else {
            return;
        };
        let is_open = |stage: &&super::stages::Stage| {
            stage.spec == wanted.stage && matches!(stage.open, Open::Since(_))
        };
        let Some(stage) = self.stages.iter().find(is_open).map(|stage| stage.id) else {
            return;
        };
        let slow = (tier == Tier::Slow)
            .then(|| SlowRate::new(self.config.slow_floor, self.config.bitrate, now));
        let bitrate = slow
            .as_ref()
            .map_or(self.config.bitrate, |slow| slow.rate());
        let coder = CoderId(self.next_id());
        let limit = now + self.config.open_limit;
        self.wake.at(limit);
        self.groups.push(Group {
            coder,
            stage,
            offer,
            tier,
            codec: wanted.codec,
            open: Open::Until(limit),
            gate: true,
            pending: true,
            starving: None,
            keyframe_at: now,
            kept: None,
            slow,
        });
        actions.push(Action::OpenCoder {
            coder,
            stage,
            offer,
            bitrate,
        });
    }

    pub(super) fn coder_opened(&mut self, coder: CoderId, now: Instant) {
        if let Some(group) = self.groups.iter_mut().find(|group| group.coder == coder) {
            group.opened(now);
        }
    }

    pub(super) fn coder_failed(&mut self, coder: CoderId, now: Instant) {
        if let Some(index) = self.groups.iter().position(|group| group.coder == coder) {
            let offer = self.groups.remove(index).offer;
            self.offer_failed(offer, now);
        }
    }

    /// Its viewers choose anew.
    pub(super) fn offer_failed(&mut self, offer: OfferId, now: Instant) {
        self.order.failed(offer, now);
        self.again = true;
        for viewer in &mut self.viewers {
            if viewer.offer == Some(offer) {
                viewer.offer = None;
            }
        }
    }

    /// Takes in a packet of a coder; what its viewers need of it.
    pub(super) fn note_packet(
        &mut self,
        coder: CoderId,
        info: &StreamInfo,
        packet: &Packet,
        now: Instant,
    ) -> Option<(usize, Piece)> {
        let index = self.groups.iter().position(|group| group.coder == coder)?;
        let group = self.groups.get_mut(index)?;
        group.opened(now);
        let piece = Piece {
            coder,
            offer: group.offer,
            codec: group.codec,
            coded: info.coded,
            visible: info.visible,
            bytes: packet.bytes.clone(),
            own_delimiter: own_delimiter(group.codec, &packet.bytes),
        };
        group.kept = packet.keyframe.then(|| piece.clone());
        if packet.keyframe {
            group.pending = false;
            group.starving = None;
        }
        let proven = matches!(group.open, Open::Since(since) if since + PROVEN <= now);
        let offer = group.offer;
        self.order.note_packet(offer, packet.bytes.len());
        if proven {
            self.order.proven(offer);
        }
        Some((index, piece))
    }

    /// Asks for keyframes that somebody waits for.
    pub(super) fn settle_keyframes(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if self.source.scanout.is_none() {
            return;
        }
        for index in 0..self.groups.len() {
            if !self.is_awaited(index) {
                continue;
            }
            let Some(group) = self.groups.get_mut(index) else {
                continue;
            };
            if group.pending {
                continue;
            }
            if group.keyframe_at > now {
                self.wake.at(group.keyframe_at);
                continue;
            }
            group.pending = true;
            group.keyframe_at = now + group.spacing();
            actions.push(Action::Keyframe(group.coder));
        }
    }

    /// Somebody could begin with a keyframe of this group.
    fn is_awaited(&self, index: usize) -> bool {
        self.groups.get(index).is_some_and(|group| {
            let bound = self.bound(Some(group.offer));
            self.viewers.iter().any(|viewer| {
                group.has(viewer)
                    && viewer.following != Some(group.coder)
                    && viewer.is_ready(&bound)
            })
        })
    }

    /// Gates of slow tiers are open while a picture can leave; that of a coder which is
    /// kept ready for nobody yet, until it has a keyframe.
    pub(super) fn settle_gates(&mut self, now: Instant, actions: &mut Vec<Action>) {
        for index in 0..self.groups.len() {
            let awaited = self.is_awaited(index);
            let Some(group) = self.groups.get_mut(index) else {
                continue;
            };
            let open = match group.tier {
                Tier::Shared => {
                    group.kept.is_none() || self.viewers.iter().any(|viewer| group.has(viewer))
                }
                Tier::Slow => {
                    let few_bytes = group.few_bytes();
                    (group.pending && awaited)
                        || self.viewers.iter().any(|viewer| {
                            viewer.following == Some(group.coder) && viewer.has_room(few_bytes)
                        })
                }
            };
            if open != group.gate {
                group.gate = open;
                if let Some(slow) = group.slow.as_mut().filter(|_| open) {
                    slow.gate_opens();
                }
                actions.push(Action::Gate {
                    coder: group.coder,
                    open,
                });
            }
            let has_picture = self
                .stages
                .iter()
                .any(|stage| stage.id == group.stage && stage.staged);
            let starves =
                group.pending && group.gate && has_picture && matches!(group.open, Open::Since(_));
            if starves {
                let since = *group.starving.get_or_insert(now);
                self.wake.at(since + self.config.keyframe_limit);
            } else {
                group.starving = None;
            }
        }
    }

    /// A picture was staged for a slow tier.
    pub(super) fn slow_picture(&mut self, index: usize, now: Instant) {
        let Some(group) = self.groups.get_mut(index) else {
            return;
        };
        let (gate, few_bytes) = (group.gate, group.few_bytes());
        let Some(slow) = &mut group.slow else {
            return;
        };
        let was = slow.rate();
        let turn = slow.picture(gate, now);
        if slow.rate() != was {
            self.late.push((group.coder, slow.rate()));
        }
        if turn == Some(Turn::Down) {
            for viewer in &mut self.viewers {
                if viewer.following == Some(group.coder) && !viewer.has_room(few_bytes) {
                    viewer.trouble(now);
                }
            }
        }
    }

    /// New rates, which were decided on the way.
    pub(super) fn settle_rates(&mut self, actions: &mut Vec<Action>) {
        for (coder, rate) in self.late.drain(..) {
            if self.groups.iter().any(|group| group.coder == coder) {
                actions.push(Action::Adjust(coder, rate));
            }
        }
    }
}

impl Group {
    fn opened(&mut self, now: Instant) {
        if matches!(self.open, Open::Until(_)) {
            self.open = Open::Since(now);
        }
    }

    pub(super) fn overrun(&mut self, now: Instant, late: &mut Vec<(CoderId, Bitrate)>) {
        if let Some(slow) = &mut self.slow {
            let was = slow.rate();
            slow.overrun(now);
            if slow.rate() != was {
                late.push((self.coder, slow.rate()));
            }
        }
    }
}
