//! The thread with machines that do what a test says.

mod stages;

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use scanout_core::buffer::{Layout, MemoryImage, SourceBuffer};
use scanout_core::encoder::{
    Backend, BackendError, BackendName, Bitrate, Capabilities, Codec, Device, DeviceKind,
    OpenError, StageConfig, Stager,
};
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Size};
use scanout_core::noop::{NoopBackend, NoopControl};
use scanout_core::sync::{Acquire, Release, ReleaseSink, SyncFile};

use super::control::Brain;
use super::*;
use crate::gl::{
    Action, Backlog, Batch, CloseReason, CoderId, DrawId, Event, OfferId, ScanoutId, StageId,
    StreamClock, ViewerCaps, ViewerId,
};

/// Long enough for a thread that the machine has no time for.
const PATIENCE: Duration = Duration::from_secs(20);

const SIZE: Size = Size::new(64, 48);

/// A machine that is a function.
struct Script<F> {
    script: F,
    deadline: Option<Instant>,
}

impl<F> Brain for Script<F>
where
    F: FnMut(Event<'_>, &mut Vec<Action>, &mut Option<Instant>) + Send,
{
    fn handle(&mut self, _: Instant, event: Event<'_>, actions: &mut Vec<Action>) {
        (self.script)(event, actions, &mut self.deadline);
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

fn config(backend: Arc<dyn Backend>) -> GlStreamConfig {
    let device = Device::new("none", "no device", DeviceKind::Cpu);
    let choice = EncoderChoice::new(backend, device, "noop", Codec::H264);
    let mut config = GlStreamConfig::new(vec![choice]);
    config.max_fps = NonZeroU32::MIN.saturating_add(59);
    config
}

fn start<F>(config: GlStreamConfig, script: F) -> GlStream
where
    F: FnMut(Event<'_>, &mut Vec<Action>, &mut Option<Instant>) + Send + 'static,
{
    let script = Script {
        script,
        deadline: None,
    };
    GlStream::with(script, config, StreamClock::start()).unwrap()
}

fn image() -> SourceBuffer {
    let (layout, bytes) = Layout::packed(Fourcc::XRGB8888, SIZE, 64).unwrap();
    MemoryImage::new(Arc::new(vec![0; bytes as usize]), layout)
        .unwrap()
        .into()
}

/// Counts how often each draw was answered.
#[derive(Default)]
struct Owner {
    told: Mutex<Vec<usize>>,
}

impl ReleaseSink for Owner {
    fn released(&self, cookie: u64, _: Option<SyncFile>) {
        let mut told = self.told.lock().unwrap();
        let index = cookie as usize;
        let len = told.len().max(index + 1);
        told.resize(len, 0);
        told[index] += 1;
    }
}

impl Owner {
    fn draw(self: &Arc<Self>, stream: &GlStream, cookie: u64) {
        let release = Release::new(Arc::clone(self) as Arc<dyn ReleaseSink>, cookie);
        stream.draw(Damage::full(SIZE), Acquire::Ready, release);
    }

    fn answered(&self) -> usize {
        let told = self.told.lock().unwrap();
        assert!(
            told.iter().all(|count| *count <= 1),
            "answered twice: {told:?}"
        );
        told.iter().sum()
    }

    fn wait_for(&self, count: usize) {
        wait_until("draws are answered", || self.answered() >= count);
    }
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

struct Channel(Sender<usize>);

impl Outlet for Channel {
    fn send(&self, batch: Batch) -> Backlog {
        let _ = self.0.send(batch.len());
        Backlog::default()
    }

    fn close(&self, _: CloseReason) {}
}

fn outlet() -> (Box<dyn Outlet>, Receiver<usize>) {
    let (sender, receiver) = mpsc::channel();
    (Box::new(Channel(sender)), receiver)
}

/// Opens stage 0 for the first viewer and stages every draw there.
fn stage_all(
    told: Arc<Mutex<Vec<String>>>,
) -> impl FnMut(Event<'_>, &mut Vec<Action>, &mut Option<Instant>) + Send + 'static {
    let mut shown = None;
    let mut open = false;
    move |event, actions, _| {
        let name = format!("{event:?}");
        let name = name.split([' ', '(']).next().unwrap_or_default().to_owned();
        told.lock().unwrap().push(name);
        match event {
            Event::Scanout { scanout, .. } => shown = Some(scanout),
            Event::Joined { .. } => actions.push(Action::OpenStage {
                stage: StageId(0),
                size: SIZE,
                spec: spec(),
            }),
            Event::StageOpened(stage) => {
                open = true;
                actions.push(Action::OpenCoder {
                    coder: CoderId(0),
                    stage,
                    offer: OfferId(0),
                    bitrate: Bitrate::kbps(1000),
                });
            }
            Event::StageFailed(_) => open = false,
            Event::Draw { draw, damage } => match shown.filter(|_| open) {
                Some(scanout) => actions.push(Action::Stage {
                    stages: vec![StageId(0)],
                    scanout,
                    draws: vec![draw],
                    damage,
                }),
                None => actions.push(Action::Answer(draw)),
            },
            _ => {}
        }
    }
}

fn spec() -> crate::gl::StageSpec {
    crate::gl::StageSpec {
        device: 0,
        chroma: Default::default(),
        color: Some(scanout_core::color::ColorSpec::DESKTOP),
    }
}

fn saw(told: &Mutex<Vec<String>>, name: &str) -> bool {
    told.lock().unwrap().iter().any(|seen| seen == name)
}

#[test]
fn a_draw_is_answered_in_time_by_a_machine_that_never_answers() {
    let mut config = config(Arc::new(NoopBackend::default()));
    config.hold_limit = Duration::from_millis(50);
    let stream = start(config, |_, _, _| {});
    let owner = Arc::new(Owner::default());
    stream.scanout(image());
    let began = Instant::now();
    owner.draw(&stream, 0);
    assert_eq!(owner.answered(), 0);
    owner.wait_for(1);
    assert!(began.elapsed() >= Duration::from_millis(50));
    assert_eq!(stream.stats().overdue, 1);
    assert_eq!(stream.stop(PATIENCE).unwrap().draws, 1);
}

#[test]
fn a_machine_that_panics_takes_no_draw_with_it() {
    let config = config(Arc::new(NoopBackend::default()));
    let stream = start(config, |event, _, _| {
        assert!(
            !matches!(
                event,
                Event::Draw {
                    draw: DrawId(3),
                    ..
                }
            ),
            "asked to panic"
        );
    });
    let owner = Arc::new(Owner::default());
    stream.scanout(image());
    for cookie in 0..10 {
        owner.draw(&stream, cookie);
    }
    owner.wait_for(10);
    owner.draw(&stream, 10);
    assert_eq!(owner.answered(), 11, "a dead thread answers at once");
    let (outlet, _) = outlet();
    let refused = stream.viewers().join(ViewerCaps::default(), outlet);
    assert_eq!(refused.unwrap_err(), ViewerError::Stopped);
    assert!(matches!(
        stream.stop(PATIENCE),
        Err(GlStreamError::Panicked)
    ));
}

#[test]
fn viewers_are_bounded_and_their_words_are_put_together() {
    let mut config = config(Arc::new(NoopBackend::default()));
    config.max_viewers = 2;
    let reports = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&reports);
    let blocked = Arc::new(Mutex::new(()));
    let gate = Arc::clone(&blocked);
    let stream = start(config, move |event, _, _| match event {
        Event::Scanout { .. } => drop(gate.lock()),
        Event::Report(ViewerId(0), report) => heard.lock().unwrap().push(report),
        _ => {}
    });
    let viewers = stream.viewers();
    let join = || viewers.join(ViewerCaps::default(), outlet().0);
    let (first, second) = (join().unwrap(), join().unwrap());
    assert_eq!(join().unwrap_err(), ViewerError::TooMany { limit: 2 });
    wait_until("both are seen", || stream.stats().viewers == 2);

    // While the thread is busy, what is said becomes one.
    let busy = blocked.lock().unwrap();
    stream.scanout(image());
    wait_until("the thread is busy", || stream.stats().scanouts == 1);
    let report = |frames, drops, end| crate::gl::Report {
        stream: 0,
        unique_id: 1,
        start_mm_time: end - 1,
        end_mm_time: end,
        frames,
        drops,
        last_frame_delay_ms: -(end as i32),
    };
    for end in 1..=1000 {
        first.report(report(1, end % 2, end));
    }
    drop(busy);
    wait_until("the reports are seen", || {
        !reports.lock().unwrap().is_empty()
    });
    let told = std::mem::take(&mut *reports.lock().unwrap());
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].frames, told[0].drops), (1000, 500));
    assert_eq!((told[0].start_mm_time, told[0].end_mm_time), (0, 1000));
    assert_eq!(told[0].last_frame_delay_ms, -1000);

    // That a client cannot decode is never lost among other reports.
    let busy = blocked.lock().unwrap();
    stream.scanout(image());
    wait_until("the thread is busy", || stream.stats().scanouts == 2);
    first.report(report(5, 0, 1001));
    first.report(report(0, u32::MAX, 1002));
    first.report(report(7, 0, 1003));
    drop(busy);
    wait_until("the refusal is seen", || {
        !reports.lock().unwrap().is_empty()
    });
    let told = std::mem::take(&mut *reports.lock().unwrap());
    assert_eq!((told[0].frames, told[0].drops), (0, u32::MAX));

    drop(second);
    wait_until("a place is free", || join().is_ok());
    drop(first);
}

#[test]
fn the_thread_sleeps_without_a_deadline_and_ticks_with_one() {
    let ticks = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&ticks);
    let config = config(Arc::new(NoopBackend::default()));
    let stream = start(config, move |event, _, deadline| match event {
        Event::Scanout {
            scanout: ScanoutId(0),
            ..
        } => *deadline = Instant::now().checked_add(Duration::from_millis(20)),
        Event::Tick => {
            count.fetch_add(1, Ordering::SeqCst);
            *deadline = None;
        }
        _ => {}
    });
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(ticks.load(Ordering::SeqCst), 0);
    stream.scanout(image());
    wait_until("a tick", || ticks.load(Ordering::SeqCst) == 1);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(ticks.load(Ordering::SeqCst), 1);
}

#[test]
fn draws_beyond_the_inbox_are_answered_and_their_damage_kept() {
    let damage = Arc::new(Mutex::new(Damage::none()));
    let all = Arc::clone(&damage);
    let blocked = Arc::new(Mutex::new(()));
    let gate = Arc::clone(&blocked);
    let config = config(Arc::new(NoopBackend::default()));
    let stream = start(config, move |event, actions, _| match event {
        Event::Scanout { .. } => drop(gate.lock()),
        Event::Draw { draw, damage } => {
            all.lock().unwrap().unite(&damage);
            actions.push(Action::Answer(draw));
        }
        _ => {}
    });
    let busy = blocked.lock().unwrap();
    stream.scanout(image());
    wait_until("the thread is busy", || stream.stats().scanouts == 1);
    let owner = Arc::new(Owner::default());
    for cookie in 0..300 {
        let release = Release::new(Arc::clone(&owner) as Arc<dyn ReleaseSink>, cookie);
        let x = (cookie % 64) as u32;
        let damage = Damage::from(scanout_core::geometry::Rect::new(x, 0, 1, 48));
        stream.draw(damage, Acquire::Ready, release);
    }
    assert_eq!(owner.answered(), 300 - 256);
    drop(busy);
    owner.wait_for(300);
    let covered = damage.lock().unwrap().bounding();
    assert_eq!(covered.size(), SIZE);
    let control = NoopControl::default();
    assert_eq!(control.opened.load(Ordering::SeqCst), 0);
    assert_eq!(stream.stop(PATIENCE).unwrap().unstaged, 300);
}

#[test]
fn the_pointer_is_told_to_those_who_watch_and_only_while_they_live() {
    struct Watch(Mutex<Vec<Cursor>>);
    impl CursorOutlet for Watch {
        fn cursor(&self, cursor: &Cursor) {
            self.0.lock().unwrap().push(cursor.clone());
        }
    }
    let stream = start(config(Arc::new(NoopBackend::default())), |_, _, _| {});
    let at = |x| Cursor {
        position: (x, 0),
        visible: true,
        ..Cursor::default()
    };
    stream.cursor(at(1));
    let watch = Arc::new(Watch(Mutex::default()));
    let outlet: Arc<dyn CursorOutlet> = Arc::clone(&watch) as _;
    stream.viewers().watch_cursor(&outlet);
    stream.cursor(at(2));
    let seen: Vec<_> = watch
        .0
        .lock()
        .unwrap()
        .iter()
        .map(|c| c.position.0)
        .collect();
    assert_eq!(seen, [1, 2]);
    drop(outlet);
    let weak = Arc::downgrade(&watch);
    drop(watch);
    stream.cursor(at(3));
    assert!(weak.upgrade().is_none(), "the stream keeps an outlet alive");
}
