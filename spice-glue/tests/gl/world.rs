//! A driver, a producer and clients, modelled: they do what the machine says, and say
//! where it says what nobody may.

mod actions;
mod client;
mod driver;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use scanout_core::color::ColorSpec;
use scanout_core::encoder::{Bitrate, Chroma};
use scanout_core::geometry::{Damage, Rect, Size};
use scanout_spice::gl::{
    Action, CloseReason, CoderId, DrawId, Event, Machine, MachineConfig, Offer, OfferId, Report,
    ScanoutId, StageId, StageSpec, StreamClock, VideoCodec, ViewerCaps, ViewerId,
};

pub(crate) use client::Client;

pub(crate) const HD: Size = Size::new(1280, 720);
pub(crate) const FULL_HD: Size = Size::new(1920, 1080);

/// Steps of the driver and the clients without time passing: tests take some hundreds.
const MOST_STEPS: usize = 100_000;

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
        // A machine that never comes to rest would fill the memory with what it says.
        for _ in 0..MOST_STEPS {
            if !self.step() {
                return;
            }
        }
        panic!("it has not come to rest in {MOST_STEPS} steps");
    }
}
