//! The machine itself: one pass from what is wanted to what is there, after each event.
//!
//! An event changes what is known; then `settle` compares what should be with what is
//! and says what to do about it. Nothing depends on the order of events, and no answer
//! of the driver is waited for in a state of its own.
//!
//! | rule | where |
//! |---|---|
//! | nobody watches: draws are answered at once, nothing is open | [`stages`] |
//! | a draw never waits for a stage that opens, for a coder or for a viewer | [`stages`] |
//! | a draw early in its slot waits for the next; many are staged once | [`pacing`](super::pacing) |
//! | a resize keeps the old picture until the new one is there | [`delivery`] |
//! | a mode switch through nothing keeps it for a grace | [`stages`] |
//! | what an expected client will need is open, with a keyframe in hand | [`groups`] |
//! | who joins begins at once with the newest keyframe, or one for all who join | [`groups`] |
//! | each viewer gets the best codec that it shows, never one that it refused | [`codec_order`](super::codec_order) |
//! | an offer that fails is left for the next, and tried again later | [`codec_order`](super::codec_order) |
//! | a slow viewer goes to a tier of its own kind and slows nobody else | [`groups`] |
//! | nothing is sent to a viewer over its bound; one that takes nothing is closed | [`viewers`] |
//! | frames are stamped just before the client's now | [`stamp`](super::stamp) |
//! | stock clients see an H.264 picture before the next one comes | [`access_unit`](super::access_unit) |

mod config;
mod delivery;
mod groups;
mod stages;
mod viewers;

use std::time::Instant;

use scanout_core::encoder::Bitrate;

pub use config::MachineConfig;

use super::codec_order::{Choice, CodecOrder};
use super::pacing::Pacing;
use super::{Action, CloseReason, CoderId, Event, Offer, StageSpec, ViewerId};
use config::Wake;
use groups::Group;
use stages::{Source, Stage};
use viewers::Viewer;

/// Decides what is staged, coded and sent.
///
/// Its memory is bounded by the viewers that its driver lets in; none of its methods
/// panics, whatever the order of the events. Ids that it does not know, or no longer
/// knows, are ignored.
#[derive(Debug)]
pub struct Machine {
    config: MachineConfig,
    order: CodecOrder,
    source: Source,
    pacing: Pacing,
    stages: Vec<Stage>,
    groups: Vec<Group>,
    viewers: Vec<Viewer>,
    /// Clients expected, and until when something is kept ready for them.
    clients: usize,
    expected: Option<Instant>,
    /// Kinds of stages opened lately, and when they may be opened again.
    opened: Vec<(StageSpec, Instant)>,
    /// Rates decided while groups were walked.
    late: Vec<(CoderId, Bitrate)>,
    last_id: u64,
    now: Instant,
    /// An offer has failed: viewers are to choose anew.
    again: bool,
    wake: Wake,
}

impl Machine {
    /// A machine without scanout and viewers. `offers` in the order of preference.
    pub fn new(config: MachineConfig, offers: Vec<Offer>, now: Instant) -> Self {
        let config = config.bounded();
        Self {
            pacing: Pacing::new(config.max_fps, config.draw_limit),
            config,
            order: CodecOrder::new(offers),
            source: Source::default(),
            stages: Vec::new(),
            groups: Vec::new(),
            viewers: Vec::new(),
            clients: 0,
            expected: None,
            opened: Vec::new(),
            late: Vec::new(),
            last_id: 0,
            now,
            again: false,
            wake: Wake::default(),
        }
    }

    /// Takes in an event and appends what is to be done, in order, to `actions`.
    pub fn handle(&mut self, now: Instant, event: Event<'_>, actions: &mut Vec<Action>) {
        // A driver that reads its clock on several threads may be a little behind.
        self.now = self.now.max(now);
        let now = self.now;
        match event {
            Event::Scanout { scanout, size } => self.scanout(scanout, size, now, actions),
            Event::Disable => self.disable(now, actions),
            Event::Draw { draw, damage } => self.draw(draw, damage, now, actions),
            Event::Expected { clients } => {
                if clients > self.clients {
                    self.expected = Some(now + self.config.expect_limit);
                }
                if clients == 0 {
                    self.expected = None;
                }
                self.clients = clients;
            }
            Event::Joined { viewer, caps } => {
                if !self.viewers.iter().any(|v| v.id == viewer) {
                    let viewer = Viewer::new(viewer, &caps, self.config.recovery, now);
                    self.viewers.push(viewer);
                }
            }
            Event::Left(viewer) => self.viewers.retain(|v| v.id != viewer),
            Event::Preferred(viewer, codecs) => {
                if let Some(viewer) = self.viewer(viewer) {
                    viewer.taste.prefer(&codecs);
                    viewer.offer = None;
                }
            }
            Event::Report(viewer, report) => self.report(viewer, &report, now, actions),
            Event::Progress(viewer, backlog) => {
                if let Some(viewer) = self.viewer(viewer) {
                    viewer.progress(backlog, now);
                }
            }
            Event::StageOpened(stage) => self.stage_opened(stage, now),
            Event::StageFailed(stage) => self.stage_failed(stage, now),
            Event::CoderOpened(coder) => self.coder_opened(coder, now),
            Event::CoderFailed(coder) => self.coder_failed(coder, now),
            Event::Packet {
                coder,
                info,
                packet,
            } => {
                if let Some((group, piece)) = self.note_packet(coder, info, packet, now) {
                    self.deliver(group, &piece, packet.keyframe, now, actions);
                }
            }
            Event::Tick => {}
        }
        self.settle(now, actions);
    }

    /// When [`Event::Tick`] is wanted, if nothing else happens before; `None`: not at all.
    pub fn deadline(&self) -> Option<Instant> {
        self.wake.time()
    }

    fn viewer(&mut self, id: ViewerId) -> Option<&mut Viewer> {
        self.viewers.iter_mut().find(|viewer| viewer.id == id)
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn is_watched(&self) -> bool {
        !self.viewers.is_empty() || self.expected.is_some()
    }

    /// Makes what is there what should be.
    fn settle(&mut self, now: Instant, actions: &mut Vec<Action>) {
        // Each further round is for an offer that has failed in the one before.
        loop {
            self.wake = Wake::default();
            self.again = false;
            self.settle_expected(now);
            self.settle_source(now);
            self.drop_stalled(now, actions);
            self.choose_codecs(now, actions);
            self.hide(now, actions);
            if !self.is_watched() {
                self.rest(actions);
                return;
            }
            self.settle_tiers(now);
            self.settle_stages(now, actions);
            self.settle_coders(now, actions);
            if !self.again {
                break;
            }
        }
        self.begin_with_kept(now, actions);
        self.stage_changes(now, actions);
        self.settle_keyframes(now, actions);
        self.settle_gates(now, actions);
        self.settle_rates(actions);
    }

    fn settle_expected(&mut self, now: Instant) {
        if let Some(until) = self.expected {
            if until <= now {
                self.expected = None;
            } else {
                self.wake.at(until);
            }
        }
    }

    /// A viewer that takes nothing of what waits for it.
    fn drop_stalled(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let limit = self.config.stall_limit;
        let wake = &mut self.wake;
        self.viewers.retain(|viewer| {
            let Some(end) = viewer.stalled_since().map(|since| since + limit) else {
                return true;
            };
            if end > now {
                wake.at(end);
                return true;
            }
            let seconds = limit.as_secs();
            actions.push(Action::Close(viewer.id, CloseReason::Stalled { seconds }));
            false
        });
    }

    /// Viewers without an offer get one, or go.
    fn choose_codecs(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let Self {
            viewers,
            order,
            wake,
            ..
        } = self;
        viewers.retain_mut(|viewer| {
            if viewer.offer.is_some() {
                return true;
            }
            match order.choose(&viewer.taste, now) {
                Choice::Offer(offer) => viewer.take_offer(Some(offer)),
                Choice::Later(at) => {
                    viewer.take_offer(None);
                    wake.at(at);
                }
                Choice::Never => {
                    actions.push(Action::Close(viewer.id, CloseReason::NoCodec));
                    return false;
                }
            }
            true
        });
    }
}
