//! The stream's thread: what came in, to the machine; what the machine wants, done.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use scanout_core::encoder::{Bitrate, Frame};
use scanout_core::geometry::{Damage, Size};
use scanout_core::session::{Session, StreamId, SubmitError};

use super::config::GlStreamConfig;
use super::inbox::{Batch, Draw, FromStage, FromViewer, Inbox, Said, Shown};
use super::joint::{Health, Held, Joint, contained};
use super::keeper::{Keeper, Order, Orders, Threads, Wanted};
use super::sink::{Gate, Sink};
use super::source::Sources;
use super::stats::Stats;
use super::viewers::Outlet;
use crate::gl::{
    Action, Backlog, CoderId, DrawId, Event, Machine, OfferId, Outgoing, ScanoutId, StageId,
    StageSpec, VideoCodec, ViewerId,
};

/// The machine as its driver sees it: a scripted one takes its place in tests.
pub(super) trait Brain: Send {
    /// Takes an event in; adds what is to be done.
    fn handle(&mut self, now: Instant, event: Event<'_>, actions: &mut Vec<Action>);

    /// When to say that time has passed.
    fn deadline(&self) -> Option<Instant>;
}

impl Brain for Machine {
    fn handle(&mut self, now: Instant, event: Event<'_>, actions: &mut Vec<Action>) {
        Self::handle(self, now, event, actions);
    }

    fn deadline(&self) -> Option<Instant> {
        Self::deadline(self)
    }
}

/// Draws that may wait for the machine, which answers each within a slot.
const MAX_WAITING: usize = 256;

/// A stage that so often in a row has not read its source in time is stuck in a driver.
const MAX_LATE: u32 = 4;

struct Stage {
    /// Its own thread has it too, and is the one that ends it.
    session: Option<Arc<Session>>,
    orders: Orders,
    health: Arc<Health>,
}

struct Coder {
    stage: StageId,
    stream: Option<StreamId>,
    opened: bool,
    gate: Arc<Gate>,
    wanted: Arc<Wanted>,
}

/// What happened while actions were done.
enum After {
    Progress(ViewerId, Backlog),
    StageFailed(StageId),
    CoderFailed(CoderId),
}

pub(super) struct Control<B> {
    brain: B,
    config: GlStreamConfig,
    inbox: Arc<Inbox>,
    stats: Arc<Stats>,
    threads: Arc<Threads>,
    started: Instant,
    scanouts: u64,
    draws: u64,
    frames: u64,
    sources: Sources,
    /// Draws that the machine knows of, oldest first.
    waiting: BTreeMap<DrawId, Held>,
    /// Draws that stages read, oldest first.
    staging: VecDeque<(Instant, Arc<Joint>)>,
    stages: BTreeMap<StageId, Stage>,
    coders: BTreeMap<CoderId, Coder>,
    viewers: BTreeMap<ViewerId, Box<dyn Outlet>>,
    /// Clients that the machine has been told to expect.
    expected: usize,
    /// Whose packet the machine looks at.
    feeding: Option<CoderId>,
    after: VecDeque<After>,
    actions: Vec<Action>,
}

impl<B: Brain> Control<B> {
    pub(super) fn new(
        brain: B,
        config: GlStreamConfig,
        inbox: Arc<Inbox>,
        stats: Arc<Stats>,
        threads: Arc<Threads>,
    ) -> Self {
        Self {
            brain,
            config,
            inbox,
            stats,
            threads,
            started: Instant::now(),
            scanouts: 0,
            draws: 0,
            frames: 0,
            sources: Sources::default(),
            waiting: BTreeMap::new(),
            staging: VecDeque::new(),
            stages: BTreeMap::new(),
            coders: BTreeMap::new(),
            viewers: BTreeMap::new(),
            expected: 0,
            feeding: None,
            after: VecDeque::new(),
            actions: Vec::new(),
        }
    }

    /// Until the inbox is closed. Sleeps where there is nothing to do.
    pub(super) fn run(mut self) {
        /// Closes the inbox on every way out: nobody may wait for a thread that is gone.
        struct Closing(Arc<Inbox>);
        impl Drop for Closing {
            fn drop(&mut self) {
                self.0.close();
            }
        }
        let closing = Closing(Arc::clone(&self.inbox));
        while let Some(batch) = self.inbox.take(self.deadline()) {
            self.take_in(batch);
            self.look_at_the_clock();
        }
        for held in std::mem::take(&mut self.waiting).into_values() {
            self.answer(held);
        }
        for (_, joint) in self.staging.drain(..) {
            joint.let_go();
        }
        drop(closing);
    }

    fn deadline(&self) -> Option<Instant> {
        let waiting = self.waiting.values().next().map(|held| held.received);
        let staging = self.staging.front().map(|(received, _)| *received);
        let held = waiting.into_iter().chain(staging).min();
        let held = held.and_then(|since| since.checked_add(self.config.hold_limit));
        let deadlines = [held, self.brain.deadline(), self.sources.deadline()];
        deadlines.into_iter().flatten().min()
    }

    fn look_at_the_clock(&mut self) {
        let now = Instant::now();
        self.let_go(now);
        for key in self.sources.overdue(now) {
            for session in self.stages.values().filter_map(|s| s.session.as_ref()) {
                // One that has ended keeps nothing.
                let _ = session.retire(&key);
            }
        }
        if self
            .brain
            .deadline()
            .is_some_and(|deadline| deadline <= now)
        {
            self.tell(Event::Tick);
        }
    }

    /// Answers draws that have waited as long as they may.
    fn let_go(&mut self, now: Instant) {
        let limit = self.config.hold_limit;
        let over = |since: Instant| now.saturating_duration_since(since) >= limit;
        while let Some(first) = self.waiting.first_entry()
            && over(first.get().received)
        {
            let held = first.remove();
            tracing::warn!(?limit, "a draw was answered before its source was staged");
            self.stats.overdue(held.received.elapsed());
            contained(|| held.release.complete());
        }
        while let Some((received, joint)) = self.staging.front()
            && (joint.is_done() || over(*received))
        {
            let count = joint.let_go();
            if count > 0 {
                tracing::warn!(
                    ?limit,
                    count,
                    "draws were answered before their source was read"
                );
            }
            self.staging.pop_front();
        }
    }

    fn answer(&self, held: Held) {
        self.stats.unstaged(held.received.elapsed());
        contained(|| held.release.complete());
    }

    fn take_in(&mut self, batch: Batch) {
        match batch.shown {
            None => {}
            Some(Shown::Nothing) => self.tell(Event::Disable),
            Some(Shown::Scanout(buffer)) => {
                let scanout = ScanoutId(self.scanouts);
                self.scanouts += 1;
                self.stats.scanout();
                let size = buffer.content_size();
                self.sources.show(scanout, buffer);
                self.tell(Event::Scanout { scanout, size });
            }
        }
        // Those who come before those who go, those who have come before they are no longer
        // expected: between the two nobody would watch, and encoders be closed.
        let before = self.expected;
        self.expected = batch.expected.unwrap_or(before);
        if self.expected > before {
            let clients = self.expected;
            self.tell(Event::Expected { clients });
        }
        self.take_words(batch.viewers, batch.said);
        if self.expected < before {
            let clients = self.expected;
            self.tell(Event::Expected { clients });
        }
        for news in batch.stages {
            self.take_news(news);
        }
        // Last: what there is to stage for is known now.
        for draw in batch.draws {
            self.take_draw(draw);
        }
    }

    fn take_words(&mut self, viewers: VecDeque<FromViewer>, mut said: BTreeMap<ViewerId, Said>) {
        for news in viewers {
            match news {
                FromViewer::Joined(viewer, caps, outlet) => {
                    self.stats.joined(viewer);
                    self.viewers.insert(viewer, outlet);
                    self.tell(Event::Joined { viewer, caps });
                }
                FromViewer::Left(viewer) => {
                    self.stats.left(viewer);
                    self.viewers.remove(&viewer);
                    self.tell(Event::Left(viewer));
                }
                FromViewer::Said(viewer) => {
                    let said = said.remove(&viewer).unwrap_or_default();
                    if let Some(codecs) = said.preferred {
                        self.tell(Event::Preferred(viewer, codecs));
                    }
                    for report in said.reports {
                        self.tell(Event::Report(viewer, report));
                    }
                    if let Some(backlog) = said.progress {
                        self.tell(Event::Progress(viewer, backlog));
                    }
                }
            }
        }
    }

    fn take_draw(&mut self, draw: Draw) {
        if self.waiting.len() >= MAX_WAITING
            && let Some((_, oldest)) = self.waiting.pop_first()
        {
            self.answer(oldest);
        }
        let id = DrawId(self.draws);
        self.draws += 1;
        self.sources.drawn(draw.acquire, draw.received);
        self.waiting.insert(
            id,
            Held {
                release: draw.release,
                received: draw.received,
            },
        );
        self.tell(Event::Draw {
            draw: id,
            damage: draw.damage,
        });
    }

    fn take_news(&mut self, news: FromStage) {
        match news {
            FromStage::Opened(id, session) => match self.stages.get_mut(&id) {
                Some(stage) => {
                    stage.session = Some(session);
                    self.tell(Event::StageOpened(id));
                }
                // Closed meanwhile: its thread, which has the session too, ends.
                None => drop(session),
            },
            FromStage::Failed(id, why) => self.stage_failed(id, &why),
            FromStage::CoderOpened(id, stream) => {
                let Some(coder) = self.coders.get_mut(&id) else {
                    return;
                };
                coder.stream = Some(stream);
                self.coder_opened(id);
            }
            FromStage::CoderFailed(id, why, stage_too) => {
                let Some(coder) = self.coders.get(&id) else {
                    return;
                };
                if stage_too {
                    self.stage_failed(coder.stage, &why);
                } else {
                    tracing::warn!(coder = %id, why, "encoder failed");
                    self.stats.failed(&why);
                    self.drop_coder(id);
                    self.tell(Event::CoderFailed(id));
                }
            }
            FromStage::Packet(id, info, packet) => {
                let Some(coder) = self.coders.get(&id) else {
                    return;
                };
                if coder.gate.taken() {
                    self.wake(coder.stage);
                }
                // The coder's thread may be faster than the one that opened it.
                self.coder_opened(id);
                self.stats.coded(id, info.visible, &packet);
                self.feeding = Some(id);
                self.tell(Event::Packet {
                    coder: id,
                    info: &info,
                    packet: &packet,
                });
                self.feeding = None;
            }
        }
    }

    fn wake(&self, stage: StageId) {
        if let Some(session) = self.stages.get(&stage).and_then(|s| s.session.as_ref()) {
            session.waker().wake();
        }
    }

    fn coder_opened(&mut self, id: CoderId) {
        let Some(coder) = self.coders.get_mut(&id) else {
            return;
        };
        if !std::mem::replace(&mut coder.opened, true) {
            if let Some(stage) = self.stages.get(&coder.stage) {
                // An encoder is opened on the thread that stages.
                stage.health.excuse();
            }
            self.tell(Event::CoderOpened(id));
        }
    }

    fn stage_failed(&mut self, id: StageId, why: &str) {
        if self.stages.remove(&id).is_none() {
            return;
        }
        tracing::warn!(stage = %id, why, "stage failed");
        self.stats.failed(why);
        self.drop_coders_of(id);
        self.tell(Event::StageFailed(id));
    }

    fn drop_coders_of(&mut self, stage: StageId) {
        let of_stage = |(id, coder): (&CoderId, &Coder)| (coder.stage == stage).then_some(*id);
        let gone: Vec<_> = self.coders.iter().filter_map(of_stage).collect();
        for id in gone {
            self.drop_coder(id);
        }
    }

    fn drop_coder(&mut self, id: CoderId) -> Option<Coder> {
        self.stats.coder_gone(id);
        self.coders.remove(&id)
    }

    /// Has the machine take `event` in, and does what it wants.
    fn tell(&mut self, event: Event<'_>) {
        self.consult(event);
        while let Some(after) = self.after.pop_front() {
            self.consult(match after {
                After::Progress(viewer, backlog) => Event::Progress(viewer, backlog),
                After::StageFailed(stage) => Event::StageFailed(stage),
                After::CoderFailed(coder) => Event::CoderFailed(coder),
            });
        }
    }

    fn consult(&mut self, event: Event<'_>) {
        let mut actions = std::mem::take(&mut self.actions);
        self.brain.handle(Instant::now(), event, &mut actions);
        for action in actions.drain(..) {
            self.act(action);
        }
        self.actions = actions;
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Answer(draw) => {
                if let Some(held) = self.waiting.remove(&draw) {
                    self.answer(held);
                }
            }
            Action::Stage {
                stages,
                scanout,
                draws,
                damage,
            } => self.stage(&stages, scanout, &draws, &damage),
            Action::Retire(scanout) => {
                self.sources.retire(scanout, Instant::now());
                if self.stages.is_empty() {
                    self.sources.forget_lingering();
                }
            }
            Action::OpenStage { stage, size, spec } => self.open_stage(stage, size, &spec),
            Action::CloseStage(stage) => {
                self.drop_coders_of(stage);
                self.stages.remove(&stage);
            }
            Action::OpenCoder {
                coder,
                stage,
                offer,
                bitrate,
            } => self.open_coder(coder, stage, offer, bitrate),
            Action::CloseCoder(id) => {
                if let Some(coder) = self.drop_coder(id)
                    && let Some(stage) = self.stages.get(&coder.stage)
                    && !stage.orders.send(Order::Close(id))
                {
                    self.stage_stuck(coder.stage);
                }
            }
            Action::Keyframe(id) => {
                if let Some(coder) = self.coders.get(&id)
                    && let Some(stream) = coder.stream
                    && let Some(stage) = self.stages.get(&coder.stage)
                    && let Some(session) = &stage.session
                {
                    // Of one that has ended its sink tells.
                    let _ = session.request_keyframe(stream);
                }
            }
            Action::Adjust(id, bitrate) => self.adjust(id, bitrate),
            Action::Gate { coder, open } => {
                if let Some(coder) = self.coders.get(&coder) {
                    coder.gate.set(open);
                    if open {
                        self.wake(coder.stage);
                    }
                }
            }
            Action::Send(viewer, batch) => {
                let Some(outlet) = self.viewers.get(&viewer) else {
                    return;
                };
                let picture = |message: &Outgoing| matches!(message, Outgoing::StreamData { .. });
                if let Some(coder) = self.feeding
                    && batch.iter().any(picture)
                {
                    self.stats.fed(viewer, coder);
                }
                let backlog = outlet.send(batch);
                self.after.push_back(After::Progress(viewer, backlog));
            }
            Action::Close(viewer, reason) => {
                if let Some(outlet) = self.viewers.remove(&viewer) {
                    outlet.close(reason);
                }
            }
        }
    }

    fn stage(&mut self, stages: &[StageId], scanout: ScanoutId, draws: &[DrawId], damage: &Damage) {
        let now = Instant::now();
        let waiting = &mut self.waiting;
        let held: Vec<Held> = draws.iter().filter_map(|id| waiting.remove(id)).collect();
        let open = |id: &StageId| {
            let stage = self.stages.get(id)?;
            Some((*id, stage.session.clone()?, Arc::clone(&stage.health)))
        };
        let open: Vec<_> = stages.iter().filter_map(open).collect();
        let readers = open.len();
        let source = (readers > 0).then(|| self.sources.read(scanout, readers));
        let Some((buffer, acquires)) = source.flatten() else {
            for held in held {
                self.answer(held);
            }
            return;
        };
        let paced = |held: &Held| now.saturating_duration_since(held.received);
        self.stats.staging(held.iter().map(paced));
        let received = held.iter().map(|held| held.received).min();
        let health = open.iter().map(|(_, _, health)| Arc::clone(health));
        let (joint, shares) = Joint::shares(
            held,
            health.collect(),
            Arc::clone(&self.stats),
            now,
            self.config.hold_limit,
        );
        if let Some(received) = received {
            self.staging.push_back((received, joint));
        }
        self.frames += 1;
        let shares = shares.into_iter().zip(acquires);
        for ((id, session, health), (share, acquire)) in open.into_iter().zip(shares) {
            let timestamp = now.saturating_duration_since(self.started);
            let mut frame = Frame::new(self.frames, buffer.clone(), damage.clone(), timestamp);
            frame.acquire = acquire;
            frame.received = received.unwrap_or(now);
            if let Err(SubmitError::Closed) = session.submit(frame, share) {
                self.fail_stage_after(id, "the session has ended");
            } else if health.is_stuck(MAX_LATE, || session.stats().frames.staged) {
                self.stage_stuck(id);
            }
        }
    }

    fn stage_stuck(&mut self, id: StageId) {
        self.fail_stage_after(id, "a driver call does not come back");
    }

    /// A stage failed while the machine's actions are being done: it is told after them.
    fn fail_stage_after(&mut self, id: StageId, why: &str) {
        if self.stages.remove(&id).is_none() {
            return;
        }
        tracing::warn!(stage = %id, why, "stage failed");
        self.stats.failed(why);
        self.drop_coders_of(id);
        self.after.push_back(After::StageFailed(id));
    }

    fn open_stage(&mut self, id: StageId, size: Size, spec: &StageSpec) {
        let Some((choice, config)) = self.config.stage(size, spec) else {
            self.after.push_back(After::StageFailed(id));
            return;
        };
        let keeper = Keeper {
            stage: id,
            inbox: Arc::clone(&self.inbox),
            stats: Arc::clone(&self.stats),
            hold_limit: self.config.hold_limit,
        };
        match keeper.start(&self.threads, choice, config) {
            Ok(orders) => {
                let stage = Stage {
                    session: None,
                    orders,
                    health: Arc::new(Health::new(self.config.hold_limit)),
                };
                self.stages.insert(id, stage);
            }
            Err(error) => {
                tracing::warn!(stage = %id, %error, "no thread for a stage");
                self.stats.failed(&error.to_string());
                self.after.push_back(After::StageFailed(id));
            }
        }
    }

    fn open_coder(&mut self, id: CoderId, stage_id: StageId, offer: OfferId, bitrate: Bitrate) {
        let stage = self.stages.get(&stage_id);
        let config = self.config.coder(offer.0, bitrate);
        let Some((stage, config)) = stage.zip(config) else {
            self.after.push_back(After::CoderFailed(id));
            return;
        };
        // Offers are made of choices that have one.
        let codec = VideoCodec::of(config.codec);
        let encoder = config.encoder.clone().unwrap_or_default();
        let gate = Arc::new(Gate::new());
        let sink = Sink {
            coder: id,
            inbox: Arc::clone(&self.inbox),
            gate: Arc::clone(&gate),
            info: None,
        };
        if !stage.orders.send(Order::Open(id, config, Box::new(sink))) {
            self.after.push_back(After::CoderFailed(id));
            self.stage_stuck(stage_id);
            return;
        }
        self.stats.coder(id, codec, encoder, bitrate);
        self.coders.insert(
            id,
            Coder {
                stage: stage_id,
                stream: None,
                opened: false,
                gate,
                wanted: Arc::default(),
            },
        );
    }

    fn adjust(&mut self, id: CoderId, bitrate: Bitrate) {
        let Some(coder) = self.coders.get(&id) else {
            return;
        };
        let stage = coder.stage;
        self.stats.adjusted(id, bitrate);
        if coder.wanted.set(bitrate)
            && let Some(orders) = self.stages.get(&stage).map(|stage| &stage.orders)
            && !orders.send(Order::Adjust(id, Arc::clone(&coder.wanted)))
        {
            self.stage_stuck(stage);
        }
    }
}
