//! A driver, a producer and clients, modelled: they do what the machine says, and say
//! where it says what nobody may.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use scanout_core::codec::annexb::nal_units;
use scanout_core::color::ColorSpec;
use scanout_core::encoder::{Bitrate, Chroma, Codec, FrameTimes, Packet, PictureId, StreamInfo};
use scanout_core::geometry::{Damage, Rect, Size};
use scanout_spice::gl::{
    Action, Backlog, Batch, CloseReason, CoderId, DrawId, Event, Machine, MachineConfig, Offer,
    OfferId, Outgoing, Report, ScanoutId, StageId, StageSpec, StreamClock, VideoCodec, ViewerCaps,
    ViewerId,
};

pub(crate) const HD: Size = Size::new(1280, 720);
pub(crate) const FULL_HD: Size = Size::new(1920, 1080);

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) fn offer(codec: VideoCodec) -> Offer {
    Offer {
        codec,
        stage: StageSpec {
            device: 0,
            chroma: Chroma::C420,
            color: Some(ColorSpec::DESKTOP),
        },
    }
}

/// The same on another device.
pub(crate) fn offer_on(codec: VideoCodec, device: usize) -> Offer {
    let mut offer = offer(codec);
    offer.stage.device = device;
    offer
}

#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) size: Size,
    pub(crate) spec: StageSpec,
    pub(crate) open: bool,
    /// Version of the content that was staged last.
    pub(crate) picture: Option<u64>,
    /// What changed since; `None`: everything.
    changed: Option<Vec<Rect>>,
}

#[derive(Debug)]
pub(crate) struct Coder {
    pub(crate) stage: StageId,
    pub(crate) offer: OfferId,
    pub(crate) bitrate: Bitrate,
    pub(crate) open: bool,
    pub(crate) gate: bool,
    pub(crate) keyframe: bool,
    pub(crate) pending: Option<u64>,
    pub(crate) packets: u64,
    pub(crate) keyframes: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct LiveStream {
    pub(crate) codec: VideoCodec,
    pub(crate) coded: Size,
    pub(crate) visible: Size,
    pub(crate) report: Option<(u32, u32)>,
    /// Coder and number of the last packet.
    pub(crate) last: Option<(u64, u64)>,
    pub(crate) stamp: Option<u32>,
    /// The second picture has begun.
    pub(crate) begun: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Client {
    pub(crate) caps: ViewerCaps,
    pub(crate) surface: Option<Size>,
    pub(crate) stream: Option<(u32, LiveStream)>,
    /// Version of the content that it shows.
    pub(crate) shown: Option<u64>,
    pub(crate) queue: Backlog,
    /// Takes all at once.
    pub(crate) healthy: bool,
    pub(crate) unique_ids: BTreeSet<u32>,
    pub(crate) batches: Vec<Batch>,
    pub(crate) frames: u64,
    pub(crate) refuses: Vec<VideoCodec>,
    pub(crate) most_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    Alone,
    Staged,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) machine: Machine,
    pub(crate) config: MachineConfig,
    pub(crate) offers: Vec<Offer>,
    pub(crate) start: Instant,
    pub(crate) now: Instant,
    pub(crate) source: Option<(ScanoutId, Size)>,
    pub(crate) content: u64,
    pub(crate) draws: BTreeMap<DrawId, Instant>,
    pub(crate) answered: Vec<(DrawId, Duration, Answered)>,
    pub(crate) stages: BTreeMap<StageId, Stage>,
    pub(crate) coders: BTreeMap<CoderId, Coder>,
    pub(crate) clients: BTreeMap<ViewerId, Client>,
    pub(crate) closed: Vec<(ViewerId, CloseReason)>,
    /// All actions but `Send` since it was last cleared.
    pub(crate) log: Vec<(Instant, Action)>,
    pub(crate) keep_log: bool,
    /// Driver and clients work while time passes.
    pub(crate) busy: bool,
    /// Bytes of a keyframe, and of another packet.
    pub(crate) sizes: (usize, usize),
    pub(crate) ticks: u64,
    /// Device and offers that fail to open.
    pub(crate) broken: BTreeSet<OfferId>,
    pub(crate) broken_devices: BTreeSet<usize>,
    next: u64,
    used: BTreeSet<u64>,
    retired: BTreeSet<ScanoutId>,
    expected_now: usize,
    expected_at: Instant,
}

impl World {
    pub(crate) fn new(offers: Vec<Offer>) -> Self {
        Self::with(offers, |_| {})
    }

    pub(crate) fn with(offers: Vec<Offer>, change: impl FnOnce(&mut MachineConfig)) -> Self {
        let start = Instant::now();
        let mut config = MachineConfig::new(StreamClock::showing(start, 1000));
        change(&mut config);
        Self {
            machine: Machine::new(config.clone(), offers.clone(), start),
            config,
            offers,
            start,
            now: start,
            source: None,
            content: 0,
            draws: BTreeMap::new(),
            answered: Vec::new(),
            stages: BTreeMap::new(),
            coders: BTreeMap::new(),
            clients: BTreeMap::new(),
            closed: Vec::new(),
            log: Vec::new(),
            keep_log: true,
            busy: true,
            sizes: (30_000, 5_000),
            ticks: 0,
            broken: BTreeSet::new(),
            broken_devices: BTreeSet::new(),
            next: 0,
            used: BTreeSet::new(),
            retired: BTreeSet::new(),
            expected_now: 0,
            expected_at: start,
        }
    }

    pub(crate) fn id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    // What the world tells the machine.

    pub(crate) fn event(&mut self, event: Event<'_>) {
        let mut actions = Vec::new();
        self.machine.handle(self.now, event, &mut actions);
        for action in actions {
            self.apply(action);
        }
        if let Some(deadline) = self.machine.deadline() {
            assert!(
                deadline > self.now,
                "it wants a tick for a time that has passed"
            );
        }
        let watched = self.clients.values().next().is_some();
        let expected =
            self.expected_now > 0 && self.now < self.expected_at + self.config.expect_limit;
        if !watched && !expected {
            assert!(self.stages.is_empty(), "open for nobody: {:?}", self.stages);
            assert!(self.coders.is_empty(), "open for nobody: {:?}", self.coders);
            assert!(self.draws.is_empty(), "held for nobody: {:?}", self.draws);
        }
        for (draw, since) in &self.draws {
            assert!(
                self.now <= *since + self.config.draw_limit,
                "{draw} waits since {:?}",
                self.now - *since
            );
        }
    }

    pub(crate) fn expect(&mut self, clients: usize) {
        if clients > self.expected_now {
            self.expected_at = self.now;
        }
        self.expected_now = clients;
        self.event(Event::Expected { clients });
    }

    pub(crate) fn scanout(&mut self, size: Size) -> ScanoutId {
        let scanout = ScanoutId(self.id());
        let old = self.source.replace((scanout, size));
        self.content += 1;
        for stage in self.stages.values_mut() {
            stage.changed = None;
        }
        self.event(Event::Scanout { scanout, size });
        if let Some((old, _)) = old {
            assert!(self.retired.contains(&old), "{old} is kept");
        }
        scanout
    }

    pub(crate) fn disable(&mut self) {
        let old = self.source.take();
        self.event(Event::Disable);
        if let Some((old, _)) = old {
            assert!(self.retired.contains(&old), "{old} is kept");
        }
    }

    pub(crate) fn draw(&mut self) -> DrawId {
        let size = self.source.map_or(HD, |(_, size)| size);
        self.draw_in(Rect::of(size))
    }

    pub(crate) fn draw_in(&mut self, rect: Rect) -> DrawId {
        let draw = DrawId(self.id());
        self.draws.insert(draw, self.now);
        if let Some((_, size)) = self.source
            && !rect.clip(size).is_empty()
        {
            self.content += 1;
            for stage in self.stages.values_mut() {
                if let Some(changed) = &mut stage.changed {
                    changed.push(rect.clip(size));
                }
            }
        }
        let damage = Damage::from(rect);
        self.event(Event::Draw { draw, damage });
        draw
    }

    pub(crate) fn join(&mut self, codecs: &[VideoCodec]) -> ViewerId {
        self.join_as(ViewerCaps {
            codecs: codecs.to_vec(),
            reports: true,
        })
    }

    pub(crate) fn join_as(&mut self, caps: ViewerCaps) -> ViewerId {
        let viewer = ViewerId(self.id());
        let client = Client {
            caps: caps.clone(),
            healthy: true,
            ..Client::default()
        };
        self.clients.insert(viewer, client);
        self.event(Event::Joined { viewer, caps });
        viewer
    }

    pub(crate) fn leave(&mut self, viewer: ViewerId) {
        self.clients.remove(&viewer);
        self.event(Event::Left(viewer));
    }

    pub(crate) fn report(&mut self, viewer: ViewerId, report: Report) {
        self.event(Event::Report(viewer, report));
    }

    /// The client cannot decode its stream.
    pub(crate) fn refuse(&mut self, viewer: ViewerId) {
        let Some((stream, live)) = &self.clients[&viewer].stream else {
            panic!("no stream to refuse")
        };
        let (stream, codec) = (*stream, live.codec);
        let client = self.clients.get_mut(&viewer).unwrap();
        client.refuses.push(codec);
        let report = Report {
            stream,
            unique_id: 0,
            start_mm_time: 0,
            end_mm_time: 0,
            frames: 0,
            drops: u32::MAX,
            last_frame_delay_ms: 0,
        };
        self.report(viewer, report);
    }

    /// The socket takes so many bytes of what waits.
    pub(crate) fn take(&mut self, viewer: ViewerId, bytes: usize) {
        let Some(client) = self.clients.get_mut(&viewer) else {
            return;
        };
        let queue = &mut client.queue;
        if queue.bytes == 0 && queue.messages == 0 {
            return;
        }
        let left = queue.bytes.saturating_sub(bytes);
        queue.messages = if left == 0 {
            0
        } else {
            (queue.messages * left).div_ceil(queue.bytes.max(1))
        };
        queue.bytes = left;
        let queue = *queue;
        self.event(Event::Progress(viewer, queue));
    }

    /// Time passes; ticks come when they are asked for.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(deadline) = self.machine.deadline().filter(|d| *d <= end) {
            self.now = deadline;
            self.ticks += 1;
            self.event(Event::Tick);
            if self.busy {
                self.work();
            }
        }
        self.now = end;
    }

    /// The driver and healthy clients do all that they can without time passing.
    pub(crate) fn work(&mut self) {
        while self.step() {}
    }

    /// Opens the next stage or coder that waits for it. True where one did.
    pub(crate) fn open_next(&mut self) -> bool {
        let device = |spec: &StageSpec| spec.device;
        if let Some((id, stage)) = self.stages.iter_mut().find(|(_, stage)| !stage.open) {
            let id = *id;
            if self.broken_devices.contains(&device(&stage.spec)) {
                self.fail_stage(id);
            } else {
                stage.open = true;
                self.event(Event::StageOpened(id));
            }
            return true;
        }
        if let Some((id, coder)) = self.coders.iter_mut().find(|(_, coder)| !coder.open) {
            let id = *id;
            if self.broken.contains(&coder.offer) {
                self.fail_coder(id);
            } else {
                coder.open = true;
                self.event(Event::CoderOpened(id));
            }
            return true;
        }
        false
    }

    pub(crate) fn fail_stage(&mut self, id: StageId) {
        self.stages.remove(&id);
        self.coders.retain(|_, coder| coder.stage != id);
        self.event(Event::StageFailed(id));
    }

    pub(crate) fn fail_coder(&mut self, id: CoderId) {
        self.coders.remove(&id);
        self.event(Event::CoderFailed(id));
    }

    fn step(&mut self) -> bool {
        if self.open_next() {
            return true;
        }
        if let Some(id) = self.codable() {
            self.code(id);
            return true;
        }
        let full = self
            .clients
            .iter()
            .find(|(_, client)| client.healthy && client.queue != Backlog::default());
        if let Some((id, _)) = full {
            let id = *id;
            self.take(id, usize::MAX);
            return true;
        }
        false
    }

    /// A coder that has something to do.
    pub(crate) fn codable(&self) -> Option<CoderId> {
        let busy = |coder: &&Coder| coder.open && coder.gate && coder.pending.is_some();
        self.coders
            .iter()
            .find(|(_, coder)| busy(coder))
            .map(|(id, _)| *id)
    }

    /// The coder codes what waits for it.
    pub(crate) fn code(&mut self, id: CoderId) {
        let Some(coder) = self.coders.get_mut(&id) else {
            return;
        };
        let Some(content) = coder.pending.take() else {
            return;
        };
        let offer = self.offers[coder.offer.0];
        let keyframe = std::mem::take(&mut coder.keyframe) || offer.codec == VideoCodec::Mjpeg;
        let number = coder.packets;
        coder.packets += 1;
        coder.keyframes += u64::from(keyframe);
        let size = self.stages[&coder.stage].size;
        let length = if keyframe { self.sizes.0 } else { self.sizes.1 };
        let text = format!("{} {number} {content} {} ", id.0, u8::from(keyframe));
        let mut bytes = Vec::new();
        if offer.codec == VideoCodec::H264 {
            if id.0.is_multiple_of(2) {
                bytes.extend([0, 0, 0, 1, 9, 0x30]);
            }
            bytes.extend([0, 0, 0, 1, if keyframe { 0x65 } else { 0x41 }]);
        }
        bytes.extend(text.as_bytes());
        bytes.resize(bytes.len().max(length), b'x');
        let packet = Packet::new(
            PictureId(number),
            content,
            Duration::ZERO,
            bytes.into(),
            keyframe,
            FrameTimes::at(self.now),
        );
        let coded = size.align_up(2).unwrap();
        let info = StreamInfo::new(
            Codec::H264,
            "model",
            coded,
            size,
            Chroma::C420,
            ColorSpec::DESKTOP,
        );
        self.event(Event::Packet {
            coder: id,
            info: &info,
            packet: &packet,
        });
    }

    /// A packet of a coder that is not there.
    pub(crate) fn stray_packet(&mut self, coder: CoderId) {
        let packet = Packet::new(
            PictureId(0),
            0,
            Duration::ZERO,
            b"stray".to_vec().into(),
            true,
            FrameTimes::at(self.now),
        );
        let color = ColorSpec::DESKTOP;
        let info = StreamInfo::new(Codec::H264, "model", HD, HD, Chroma::C420, color);
        self.event(Event::Packet {
            coder,
            info: &info,
            packet: &packet,
        });
    }

    // What the machine says.

    fn apply(&mut self, action: Action) {
        if self.keep_log && !matches!(action, Action::Send(..)) {
            self.log.push((self.now, action.clone()));
        }
        match action {
            Action::Answer(draw) => self.answer(draw, Answered::Alone),
            Action::Stage {
                stages,
                scanout,
                draws,
                damage,
            } => self.stage(&stages, scanout, &draws, &damage),
            Action::Retire(scanout) => {
                assert!(self.retired.insert(scanout), "{scanout} retired twice");
            }
            Action::OpenStage { stage, size, spec } => {
                assert!(self.used.insert(stage.0), "{stage} is no new id");
                let new = Stage {
                    size,
                    spec,
                    open: false,
                    picture: None,
                    changed: None,
                };
                self.stages.insert(stage, new);
                assert!(self.stages.len() <= 8, "stages leak");
            }
            Action::CloseStage(stage) => {
                assert!(self.stages.remove(&stage).is_some(), "{stage} is not open");
                self.coders.retain(|_, coder| coder.stage != stage);
            }
            Action::OpenCoder {
                coder,
                stage,
                offer,
                bitrate,
            } => {
                assert!(self.used.insert(coder.0), "{coder} is no new id");
                let of = &self.stages[&stage];
                assert!(of.open, "{coder} on {stage}, which is not open");
                assert_eq!(of.spec, self.offers[offer.0].stage);
                assert!(bitrate <= self.config.bitrate);
                let new = Coder {
                    stage,
                    offer,
                    bitrate,
                    open: false,
                    gate: true,
                    keyframe: true,
                    pending: of.picture,
                    packets: 0,
                    keyframes: 0,
                };
                self.coders.insert(coder, new);
                assert!(self.coders.len() <= 2 * self.offers.len(), "coders leak");
            }
            Action::CloseCoder(coder) => {
                assert!(self.coders.remove(&coder).is_some(), "{coder} is not open");
            }
            Action::Keyframe(id) => {
                let coder = self.coders.get_mut(&id).expect("a coder that is open");
                assert!(!coder.keyframe, "{id} owes a keyframe already");
                coder.keyframe = true;
                if coder.pending.is_none() {
                    coder.pending = self.stages[&coder.stage].picture;
                }
            }
            Action::Adjust(id, bitrate) => {
                let coder = self.coders.get_mut(&id).expect("a coder that is open");
                assert!(bitrate <= self.config.bitrate && bitrate >= self.config.slow_floor);
                coder.bitrate = bitrate;
            }
            Action::Gate { coder, open } => {
                let coder = self.coders.get_mut(&coder).expect("a coder that is open");
                assert_ne!(coder.gate, open, "a gate that is so already");
                coder.gate = open;
            }
            Action::Send(viewer, batch) => self.receive(viewer, batch),
            Action::Close(viewer, reason) => {
                assert!(self.clients.remove(&viewer).is_some(), "{viewer} is gone");
                self.closed.push((viewer, reason));
            }
            other => panic!("not modelled: {other:?}"),
        }
    }

    fn answer(&mut self, draw: DrawId, how: Answered) {
        let since = self.draws.remove(&draw);
        let since = since.unwrap_or_else(|| panic!("{draw} does not wait"));
        self.answered.push((draw, self.now - since, how));
    }

    fn stage(&mut self, stages: &[StageId], scanout: ScanoutId, draws: &[DrawId], damage: &Damage) {
        let (current, size) = self.source.expect("a scanout to stage");
        assert_eq!(scanout, current, "an old scanout is staged");
        assert!(!stages.is_empty());
        for id in stages {
            let stage = self.stages.get_mut(id).expect("a stage that is open");
            assert!(stage.open);
            assert_eq!(stage.size, size, "geometry travels with the buffer");
            let missing = match &stage.changed {
                None => !damage.covers(size),
                Some(rects) => rects
                    .iter()
                    .any(|rect| !damage.rects().iter().any(|d| d.contains(*rect))),
            };
            assert!(!missing, "{damage:?} lacks {:?}", stage.changed);
            stage.changed = Some(Vec::new());
            stage.picture = Some(self.content);
            for coder in self.coders.values_mut().filter(|coder| coder.stage == *id) {
                coder.pending = Some(self.content);
            }
        }
        for draw in draws {
            self.answer(*draw, Answered::Staged);
        }
    }

    fn receive(&mut self, viewer: ViewerId, batch: Batch) {
        let largest = 2 * self.sizes.0.max(self.sizes.1) + 200;
        let bound = (self.config.bitrate.as_bps() / 16) as usize;
        let client = self
            .clients
            .get_mut(&viewer)
            .expect("a viewer that is there");
        assert!(!batch.is_empty());
        assert!(
            client.queue.bytes <= bound.max(largest),
            "sent to a viewer over its bound: {:?}",
            client.queue
        );
        client.queue.messages += batch.len();
        for message in &batch {
            if let Outgoing::StreamData { payload, .. } = message {
                client.queue.bytes += payload.len();
                client.most_bytes = client.most_bytes.max(client.queue.bytes);
            }
            client.message(message);
        }
        client.batches.push(batch);
    }
}

impl Client {
    /// The protocol, as a stock client keeps it.
    fn message(&mut self, message: &Outgoing) {
        match message {
            Outgoing::SurfaceCreate { surface: 0, size } => {
                assert!(self.surface.is_none(), "two primary surfaces");
                assert!(!size.is_empty());
                self.surface = Some(*size);
            }
            Outgoing::Mark => assert!(self.surface.is_some()),
            Outgoing::SurfaceDestroy { surface: 0 } => {
                assert!(self.stream.is_none(), "a stream without a surface");
                assert!(self.surface.take().is_some());
                self.shown = None;
            }
            Outgoing::StreamCreate {
                stream,
                surface: 0,
                codec,
                coded,
                visible,
            } => {
                assert!(self.stream.is_none(), "two streams");
                assert_eq!(self.surface, Some(*visible));
                assert!(*stream < 64);
                assert!(self.caps.codecs.contains(codec), "{codec:?} is not shown");
                assert!(!self.refuses.contains(codec), "{codec:?} was refused");
                let live = LiveStream {
                    codec: *codec,
                    coded: *coded,
                    visible: *visible,
                    report: None,
                    last: None,
                    begun: false,
                    stamp: None,
                };
                self.stream = Some((*stream, live));
            }
            Outgoing::ActivateReport {
                stream,
                unique_id,
                max_window,
                ..
            } => {
                assert!(self.caps.reports);
                assert!(self.unique_ids.insert(*unique_id), "a report id twice");
                let (id, live) = self.stream.as_mut().expect("a stream");
                assert_eq!(id, stream);
                live.report = Some((*unique_id, *max_window));
            }
            Outgoing::StreamData {
                stream,
                mm_time,
                payload,
            } => {
                let (id, live) = self.stream.as_mut().expect("a stream");
                assert_eq!(id, stream);
                assert_ne!(*mm_time, 0);
                if let Some(last) = live.stamp {
                    assert!(
                        mm_time.wrapping_sub(last) as i32 > 0,
                        "{mm_time} after {last}"
                    );
                }
                live.stamp = Some(*mm_time);
                let message = payload.pieces().concat();
                // The first message's own picture has taken its time: the second picture
                // takes that of a message which holds its beginning alone.
                if live.codec == VideoCodec::H264 && live.last.is_some() && !live.begun {
                    let types = nal_units(&message).map(|nal| nal.bytes[0] & 0x1f);
                    assert_eq!(types.collect::<Vec<_>>(), [9, 6]);
                    live.begun = true;
                    return;
                }
                self.shown = Some(live.decode(&message));
                self.frames += 1;
            }
            Outgoing::StreamDestroy { stream } => {
                let (id, _) = self.stream.take().expect("a stream");
                assert_eq!(id, *stream);
            }
            other => panic!("not modelled: {other:?}"),
        }
    }

    /// Names of the messages of the last batch.
    pub(crate) fn last_batch(&self) -> Vec<&'static str> {
        self.batches.last().map_or(Vec::new(), |batch| {
            let mut names: Vec<_> = batch.iter().map(name).collect();
            // The first picture of H.264 is two messages.
            names.dedup();
            names
        })
    }
}

pub(crate) fn name(message: &Outgoing) -> &'static str {
    match message {
        Outgoing::SurfaceCreate { .. } => "surface-create",
        Outgoing::Mark => "mark",
        Outgoing::SurfaceDestroy { .. } => "surface-destroy",
        Outgoing::StreamCreate { .. } => "stream-create",
        Outgoing::ActivateReport { .. } => "activate-report",
        Outgoing::StreamData { .. } => "stream-data",
        Outgoing::StreamDestroy { .. } => "stream-destroy",
    }
}

impl LiveStream {
    /// The version of the content in a message; fails where a decoder would.
    fn decode(&mut self, message: &[u8]) -> u64 {
        let text = if self.codec == VideoCodec::H264 {
            let nals: Vec<_> = nal_units(message).collect();
            let types: Vec<u8> = nals.iter().map(|nal| nal.bytes[0] & 0x1f).collect();
            let first = usize::from(self.last.is_none());
            assert!(
                matches!(types[..], [9, 1 | 5] if first == 1)
                    || matches!(types[..], [1 | 5, 9, 6] if first == 0),
                "NAL units {types:?}, first: {first}"
            );
            &nals[first].bytes[1..]
        } else {
            message
        };
        let text = std::str::from_utf8(text).unwrap();
        let mut words = text.split(' ').map(|word| word.parse::<u64>());
        let mut number = || words.next().unwrap().unwrap();
        let (coder, count, content, keyframe) = (number(), number(), number(), number());
        let follows = self.last == Some((coder, count.wrapping_sub(1)));
        assert!(
            keyframe == 1 || follows,
            "a packet is missing: {:?}, then {coder} {count}",
            self.last
        );
        self.last = Some((coder, count));
        content
    }
}
