//! The session among callers that misbehave: sinks that panic, frames that
//! fail at the wrong moment, streams that come and go all day.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use scanout_core::buffer::{Layout, MemoryImage};
use scanout_core::encoder::{
    BoxedError, Codec, EncoderConfig, Frame, Packet, StageConfig, StreamInfo,
};
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Size};
use scanout_core::noop::{NoopControl, NoopStager};
use scanout_core::session::{PacketSink, Session, SessionConfig, SessionError, StreamError};
use scanout_core::sync::{Release, ReleaseSink, SyncFile};

const SIZE: Size = Size::new(64, 64);
const LIMIT: Duration = Duration::from_secs(5);

/// Counts, and panics at each call if told to.
#[derive(Default)]
struct Owner {
    told: AtomicUsize,
    panics: bool,
}

impl ReleaseSink for Owner {
    fn released(&self, _: u64, _: Option<SyncFile>) {
        self.told.fetch_add(1, Ordering::SeqCst);
        assert!(!self.panics, "the owner panics on purpose");
    }
}

/// Counts packets and ends; panics at its end if told to.
#[derive(Clone, Default)]
struct Viewer(Arc<Mutex<(Vec<u64>, usize)>>, bool);

impl PacketSink for Viewer {
    fn packet(&mut self, _: &StreamInfo, packet: &Packet) -> Result<(), BoxedError> {
        self.0.lock().unwrap().0.push(packet.number);
        Ok(())
    }

    fn ended(&mut self, _: Result<(), StreamError>) {
        self.0.lock().unwrap().1 += 1;
        assert!(!self.1, "the viewer panics on purpose");
    }
}

impl Viewer {
    fn numbers(&self) -> Vec<u64> {
        self.0.lock().unwrap().0.clone()
    }

    fn ended(&self) -> usize {
        self.0.lock().unwrap().1
    }
}

fn session(config: SessionConfig) -> (Session, Arc<NoopControl>) {
    let control = Arc::new(NoopControl::default());
    let stager = NoopStager::new(Arc::clone(&control), &StageConfig::new(SIZE)).unwrap();
    (Session::start(Box::new(stager), config).unwrap(), control)
}

fn frame(number: u64, damage: Damage) -> Frame {
    let (layout, bytes) = Layout::packed(Fourcc::XRGB8888, SIZE, 4).unwrap();
    let image = MemoryImage::new(Arc::new(vec![0u8; bytes as usize]), layout).unwrap();
    Frame::new(
        number,
        image.into(),
        damage,
        Duration::from_millis(16 * number),
    )
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < LIMIT, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn what_a_failed_frame_changed_is_made_good_by_the_next_even_if_that_is_unchanged() {
    let mut config = SessionConfig::every_frame();
    config.skip_unchanged = true;
    let (session, control) = session(config);
    control.keep_requests.store(true, Ordering::SeqCst);
    let viewer = Viewer::default();
    session
        .add_stream(EncoderConfig::new(Codec::H264), Box::new(viewer.clone()))
        .unwrap();
    session
        .submit(frame(0, Damage::full(SIZE)), Release::noop())
        .unwrap();
    until("the first packet", || viewer.numbers() == [0]);
    control.stage_fails.store(1, Ordering::SeqCst);
    session
        .submit(frame(1, Damage::full(SIZE)), Release::noop())
        .unwrap();
    until("the failure", || session.stats().frames.failed == 1);
    session
        .submit(frame(2, Damage::none()), Release::noop())
        .unwrap();
    session
        .submit(frame(3, Damage::none()), Release::noop())
        .unwrap();
    let stats = session.finish(LIMIT).unwrap();
    assert_eq!(viewer.numbers(), [0, 2], "{stats:?}");
    let requests = control.requests.lock().unwrap();
    let damage = requests.last().and_then(|(_, r)| r.damage.clone());
    assert_eq!(damage, Some(Damage::full(SIZE)));
}

#[test]
fn an_owner_that_panics_does_not_end_the_watchdog() {
    let mut config = SessionConfig::live();
    config.hold_limit = Duration::from_millis(30);
    let (session, control) = session(config);
    control.stage_hangs.store(true, Ordering::SeqCst);
    let hostile = Arc::new(Owner {
        panics: true,
        ..Owner::default()
    });
    let honest = Arc::new(Owner::default());
    for (number, owner) in [(0, &hostile), (1, &honest)] {
        let release = Release::new(Arc::clone(owner) as Arc<dyn ReleaseSink>, number);
        session
            .submit(frame(number, Damage::full(SIZE)), release)
            .unwrap();
        until("the release", || owner.told.load(Ordering::SeqCst) == 1);
    }
    assert_eq!(session.stats().frames.let_go, 2);
}

#[test]
fn an_owner_that_panics_at_the_end_of_a_session_does_not_hide_that_end() {
    let (session, control) = session(SessionConfig::live());
    control.stage_hangs.store(true, Ordering::SeqCst);
    let viewer = Viewer::default();
    session
        .add_stream(EncoderConfig::new(Codec::H264), Box::new(viewer.clone()))
        .unwrap();
    let hostile = Arc::new(Owner {
        panics: true,
        ..Owner::default()
    });
    let release = Release::new(Arc::clone(&hostile) as Arc<dyn ReleaseSink>, 0);
    session
        .submit(frame(0, Damage::full(SIZE)), release)
        .unwrap();
    // Taken from the mailbox: from there on the session is the one to let go.
    std::thread::sleep(Duration::from_millis(100));
    control.device_lost.store(true, Ordering::SeqCst);
    until("taking", || {
        session
            .submit(frame(1, Damage::full(SIZE)), Release::noop())
            .is_err()
    });
    let begun = Instant::now();
    let error = session.finish(LIMIT).unwrap_err();
    assert!(matches!(error, SessionError::Stage(_)), "{error}");
    assert!(begun.elapsed() < LIMIT / 2, "{:?}", begun.elapsed());
    assert_eq!(hostile.told.load(Ordering::SeqCst), 1);
    assert_eq!(viewer.ended(), 1);
}

#[test]
fn a_session_dropped_while_its_driver_is_stuck_gives_back_the_frame_that_waits() {
    let mut config = SessionConfig::live();
    config.hold_limit = LIMIT;
    let (session, control) = session(config);
    control.stage_blocks_ms.store(3000, Ordering::SeqCst);
    let owner = Arc::new(Owner::default());
    for number in 0..2 {
        let release = Release::new(Arc::clone(&owner) as _, number);
        session
            .submit(frame(number, Damage::full(SIZE)), release)
            .unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(session);
    assert_eq!(owner.told.load(Ordering::SeqCst), 2);
}

#[test]
fn a_viewer_that_panics_at_its_end_does_not_keep_others_from_being_told() {
    let (session, control) = session(SessionConfig::live());
    let viewers = [
        Viewer(Arc::default(), true),
        Viewer::default(),
        Viewer::default(),
    ];
    for viewer in &viewers {
        session
            .add_stream(EncoderConfig::new(Codec::H264), Box::new(viewer.clone()))
            .unwrap();
    }
    control.device_lost.store(true, Ordering::SeqCst);
    session
        .submit(frame(0, Damage::full(SIZE)), Release::noop())
        .unwrap();
    session.finish(LIMIT).unwrap_err();
    assert_eq!(viewers.map(|viewer| viewer.ended()), [1, 1, 1]);
}

#[test]
fn a_session_that_failed_does_not_finish_well_because_somebody_asked_before() {
    let (session, control) = session(SessionConfig::live());
    let viewer = Viewer::default();
    let id = session
        .add_stream(EncoderConfig::new(Codec::H264), Box::new(viewer.clone()))
        .unwrap();
    control.device_lost.store(true, Ordering::SeqCst);
    session
        .submit(frame(0, Damage::full(SIZE)), Release::noop())
        .unwrap();
    until("the failure", || session.request_keyframe(id).is_err());
    assert!(session.request_keyframe(id).is_err());
    session.finish(LIMIT).unwrap_err();
}

#[test]
fn viewers_that_come_and_go_all_day_leave_little_behind() {
    let (session, _control) = session(SessionConfig::live());
    session
        .submit(frame(0, Damage::full(SIZE)), Release::noop())
        .unwrap();
    let before = resident_kib();
    for _ in 0..600 {
        let id = session
            .add_stream(EncoderConfig::new(Codec::H264), Box::new(Viewer::default()))
            .unwrap();
        session.remove_stream(id).unwrap();
    }
    let grown = resident_kib().saturating_sub(before);
    let stats = session.stats();
    assert!(grown < 16 << 10, "{grown} KiB more");
    assert!(stats.streams.len() <= 72, "{}", stats.streams.len());
    let ids: Vec<_> = stats.streams.iter().map(|s| s.stream).collect();
    assert!(ids.is_sorted());
}

#[test]
fn sessions_leave_no_descriptor_and_no_thread() {
    let count = |of: &str| std::fs::read_dir(of).unwrap().count();
    let counts = || (count("/proc/self/fd"), count("/proc/self/task"));
    let run = |number: u64| {
        let (session, _control) = session(SessionConfig::live());
        let viewer = Viewer::default();
        session
            .add_stream(EncoderConfig::new(Codec::H264), Box::new(viewer.clone()))
            .unwrap();
        for number in 0..3 {
            let _ = session.submit(frame(number, Damage::full(SIZE)), Release::noop());
        }
        if number.is_multiple_of(2) {
            session.finish(LIMIT).unwrap();
        } else {
            drop(session);
        }
        assert_eq!(viewer.ended(), 1);
    };
    run(0);
    let (fds, threads) = counts();
    for number in 0..300 {
        run(number);
    }
    // Other tests of this program have descriptors and threads of their own:
    // few, and not three hundred times.
    let after = counts();
    assert!(after.0 < fds + 60 && after.1 < threads + 40, "{after:?}");
}

/// Memory of this process, in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
