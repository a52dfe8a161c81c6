//! The session against a backend that touches no pixel: what becomes of
//! frames, releases and streams when everything goes well, and when not.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use scanout_core::buffer::{Layout, MemoryImage};
use scanout_core::encoder::{
    Adjustment, Applied, Bitrate, BoxedError, Codec, EncodeError, EncoderConfig, Frame, Packet,
    StageConfig, StreamInfo,
};
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Rect, Size};
use scanout_core::noop::{NoopControl, NoopStager};
use scanout_core::session::{
    PacketSink, Session, SessionConfig, SessionError, StreamError, SubmitError,
};
use scanout_core::sync::{Release, ReleaseSink, SyncFile};

const SIZE: Size = Size::new(64, 64);
const LIMIT: Duration = Duration::from_secs(5);

/// Counts how often each frame was released.
#[derive(Default)]
struct Released(Mutex<Vec<u64>>);

impl ReleaseSink for Released {
    fn released(&self, cookie: u64, _fence: Option<SyncFile>) {
        self.0.lock().unwrap().push(cookie);
    }
}

impl Released {
    fn sorted(&self) -> Vec<u64> {
        let mut all = self.0.lock().unwrap().clone();
        all.sort_unstable();
        all
    }
}

/// Keeps what a stream delivered.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<KeptState>>);

#[derive(Default)]
struct KeptState {
    packets: Vec<(u64, bool)>,
    ended: Vec<Result<(), StreamError>>,
    refuse: bool,
}

impl PacketSink for Kept {
    fn packet(&mut self, _: &StreamInfo, packet: &Packet) -> Result<(), BoxedError> {
        let mut state = self.0.lock().unwrap();
        if state.refuse {
            return Err("disk full".into());
        }
        state.packets.push((packet.number, packet.keyframe));
        Ok(())
    }

    fn ended(&mut self, outcome: Result<(), StreamError>) {
        self.0.lock().unwrap().ended.push(outcome);
    }
}

impl Kept {
    fn numbers(&self) -> Vec<u64> {
        let state = self.0.lock().unwrap();
        state.packets.iter().map(|(number, _)| *number).collect()
    }

    fn keyframes(&self) -> Vec<u64> {
        let state = self.0.lock().unwrap();
        let keys = state.packets.iter().filter(|(_, key)| *key);
        keys.map(|(number, _)| *number).collect()
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap().packets.len()
    }

    fn ended(&self) -> Vec<String> {
        let state = self.0.lock().unwrap();
        let told = |outcome: &Result<(), StreamError>| match outcome {
            Ok(()) => "drained".to_owned(),
            Err(error) => error.to_string(),
        };
        state.ended.iter().map(told).collect()
    }
}

struct Rig {
    control: Arc<NoopControl>,
    released: Arc<Released>,
    session: Session,
    image: MemoryImage,
    next: std::cell::Cell<u64>,
}

impl Rig {
    fn new(config: SessionConfig) -> Self {
        let control = Arc::new(NoopControl::default());
        control.keep_requests.store(true, Ordering::SeqCst);
        let stager = NoopStager::new(Arc::clone(&control), &StageConfig::new(SIZE)).unwrap();
        let (layout, bytes) = Layout::packed(Fourcc::XRGB8888, SIZE, 4).unwrap();
        Self {
            control,
            released: Arc::default(),
            session: Session::start(Box::new(stager), config).unwrap(),
            image: MemoryImage::new(Arc::new(vec![0u8; bytes as usize]), layout).unwrap(),
            next: std::cell::Cell::new(0),
        }
    }

    fn stream(&self) -> (scanout_core::session::StreamId, Kept) {
        let kept = Kept::default();
        let config = EncoderConfig::new(Codec::H264);
        let id = self
            .session
            .add_stream(config, Box::new(kept.clone()))
            .unwrap();
        (id, kept)
    }

    fn submit(&self, damage: Damage) -> Result<u64, SubmitError> {
        let number = self.next.replace(self.next.get() + 1);
        let timestamp = Duration::from_millis(16 * number);
        let frame = Frame::new(number, self.image.clone().into(), damage, timestamp);
        let sink: Arc<dyn ReleaseSink> = Arc::clone(&self.released) as _;
        self.session
            .submit(frame, Release::new(sink, number))
            .map(|()| number)
    }

    fn full(&self) -> u64 {
        self.submit(Damage::full(SIZE)).unwrap()
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !done() {
        assert!(Instant::now() < deadline, "{what}: not within {LIMIT:?}");
        std::thread::sleep(Duration::from_micros(200));
    }
}

#[test]
fn every_frame_is_coded_once_in_order_and_released_once() {
    let rig = Rig::new(SessionConfig::every_frame());
    let (_, kept) = rig.stream();
    for _ in 0..500 {
        rig.full();
    }
    let stats = rig.session.finish(LIMIT).unwrap();
    assert_eq!(kept.numbers(), (0..500).collect::<Vec<_>>());
    assert_eq!(kept.keyframes(), [0]);
    assert_eq!(kept.ended(), ["drained"]);
    assert_eq!(rig.released.sorted(), (0..500).collect::<Vec<_>>());
    assert_eq!(stats.frames.staged, 500);
    assert_eq!(stats.times.hold.count, 500);
    assert_eq!(rig.control.alive.load(Ordering::SeqCst), 0);
}

#[test]
fn the_newest_frame_wins_and_inherits_the_damage() {
    let rig = Rig::new(SessionConfig::live());
    let (_, kept) = rig.stream();
    rig.full();
    until("first packet", || kept.count() == 1);
    rig.control.encode_stalls.store(true, Ordering::SeqCst);
    rig.full();
    until("the encoder is full", || {
        rig.control.requests.lock().unwrap().len() == 2
    });
    // One at a time, so that each is staged, and each passes over the one before.
    let rects: Vec<Rect> = (0..5).map(|i| Rect::new(i * 10, i, 4, 4)).collect();
    for (i, rect) in rects.iter().enumerate() {
        rig.submit(Damage::from(*rect)).unwrap();
        until("staged", || {
            rig.session.stats().frames.staged == 3 + i as u64
        });
    }
    rig.control.unstall();
    until("newest", || kept.count() == 3);
    assert_eq!(kept.numbers(), [0, 1, 6]);
    let requests = rig.control.requests.lock().unwrap().clone();
    let damage = requests[2].1.damage.clone().unwrap();
    assert_eq!(damage, rects.iter().copied().collect());
    assert_eq!(
        requests[0].1.damage, None,
        "nothing is known before the first"
    );
    assert_eq!(rig.session.stats().streams[0].superseded, 4);
    // A slow encoder holds no source.
    assert_eq!(rig.released.sorted(), [0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_frame_replaced_in_the_mailbox_is_released_and_its_damage_kept() {
    let rig = Rig::new(SessionConfig::live());
    let (_, kept) = rig.stream();
    rig.full();
    until("first packet", || kept.count() == 1);
    rig.control.stage_blocks_ms.store(100, Ordering::SeqCst);
    rig.submit(Damage::from(Rect::new(0, 0, 2, 2))).unwrap();
    std::thread::sleep(Duration::from_millis(30));
    for i in 0..4 {
        rig.submit(Damage::from(Rect::new(8 * i, 0, 2, 2))).unwrap();
    }
    until("replaced frames", || rig.released.sorted().contains(&4));
    let stats = rig.session.finish(LIMIT).unwrap();
    assert_eq!(stats.frames.replaced, 3);
    assert_eq!(rig.released.sorted(), [0, 1, 2, 3, 4, 5]);
    let requests = rig.control.requests.lock().unwrap().clone();
    let (number, request) = requests.last().unwrap();
    assert_eq!(*number, 5);
    let all: Damage = (0..4).map(|i| Rect::new(8 * i, 0, 2, 2)).collect();
    let damage = request.damage.clone().unwrap();
    for rect in all.rects() {
        assert!(damage.rects().iter().any(|r| r.contains(*rect)));
    }
}

#[test]
fn the_watchdog_lets_go_of_a_source_that_staging_keeps() {
    let mut config = SessionConfig::live();
    config.hold_limit = Duration::from_millis(50);
    let rig = Rig::new(config);
    rig.control.stage_hangs.store(true, Ordering::SeqCst);
    let begin = Instant::now();
    rig.full();
    until("let go", || rig.released.sorted() == [0]);
    assert!(begin.elapsed() >= Duration::from_millis(50));
    assert_eq!(rig.session.stats().frames.let_go, 1);
    drop(rig.session);
    assert_eq!(rig.released.sorted(), [0], "and never again");
}

#[test]
fn the_watchdog_works_while_the_session_is_stuck_in_a_driver() {
    let mut config = SessionConfig::live();
    config.hold_limit = Duration::from_millis(50);
    let rig = Rig::new(config);
    rig.control.stage_hangs.store(true, Ordering::SeqCst);
    rig.full();
    std::thread::sleep(Duration::from_millis(10));
    rig.control.stage_blocks_ms.store(1500, Ordering::SeqCst);
    rig.full();
    let begin = Instant::now();
    until("both sources", || rig.released.sorted() == [0, 1]);
    assert!(
        begin.elapsed() < Duration::from_secs(1),
        "not when the call comes back"
    );
    let error = rig.session.finish(Duration::from_millis(100)).unwrap_err();
    assert!(
        matches!(error, SessionError::FinishTimedOut { stuck: true, .. }),
        "{error}"
    );
}

#[test]
fn the_frame_behind_a_stuck_one_is_let_go_and_staged_later() {
    let mut config = SessionConfig::live();
    config.hold_limit = Duration::from_millis(30);
    let rig = Rig::new(config);
    let (_, kept) = rig.stream();
    rig.control.stage_blocks_ms.store(300, Ordering::SeqCst);
    let started = Instant::now();
    rig.full();
    until("stuck", || rig.released.sorted() == [0]);
    rig.control.stage_blocks_ms.store(0, Ordering::SeqCst);
    rig.full();
    until("behind it", || rig.released.sorted() == [0, 1]);
    assert!(started.elapsed() < Duration::from_millis(300));
    assert_eq!(rig.session.stats().frames.let_go, 2);
    until("coded", || kept.numbers() == [0, 1]);
    assert_eq!(
        rig.session.stats().times.hold.count,
        0,
        "neither was held to the end"
    );
    rig.session.finish(Duration::MAX).unwrap();
    assert_eq!(rig.released.sorted(), [0, 1]);
}

/// Its producer has agreed to wait, and may use the memory again once it is told.
#[test]
fn where_every_frame_counts_a_frame_that_waits_is_not_let_go() {
    let mut config = SessionConfig::every_frame();
    config.hold_limit = Duration::from_millis(20);
    let rig = Rig::new(config);
    let (_, kept) = rig.stream();
    rig.control.encode_stalls.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        rig.full();
    }
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(rig.released.sorted(), [0, 1], "the third waits");
    rig.control.unstall();
    rig.session.finish(LIMIT).unwrap();
    assert_eq!(rig.released.sorted(), [0, 1, 2]);
    assert_eq!(kept.numbers(), [0, 1, 2]);
}

#[test]
fn a_frame_that_cannot_be_staged_is_released_and_the_session_goes_on() {
    let rig = Rig::new(SessionConfig::live());
    let (_, kept) = rig.stream();
    rig.control.stage_fails.store(2, Ordering::SeqCst);
    for _ in 0..3 {
        let number = rig.full();
        until("released", || rig.released.sorted().contains(&number));
    }
    until("the third is coded", || kept.numbers() == [2]);
    let stats = rig.session.finish(LIMIT).unwrap();
    assert_eq!(stats.frames.failed, 2);
    assert!(stats.first_failure.is_some());
    assert_eq!(rig.released.sorted(), [0, 1, 2]);
}

#[test]
fn a_lost_device_ends_the_session_and_tells_everybody() {
    let rig = Rig::new(SessionConfig::live());
    let (id, kept) = rig.stream();
    rig.control.device_lost.store(true, Ordering::SeqCst);
    rig.full();
    until("ended", || !kept.ended().is_empty());
    assert_eq!(kept.ended(), ["the session ended: device lost: asked to"]);
    assert_eq!(rig.released.sorted(), [0]);
    until("closed", || rig.submit(Damage::full(SIZE)).is_err());
    let error = rig.session.request_keyframe(id).unwrap_err();
    assert!(matches!(error, SessionError::Stage(_)), "{error}");
    let count = rig.next.get();
    assert_eq!(rig.released.sorted(), (0..count).collect::<Vec<_>>());
}

#[test]
fn a_panic_in_a_backend_releases_everything_and_is_reported() {
    let rig = Rig::new(SessionConfig::live());
    let (_, kept) = rig.stream();
    rig.control.stage_panics.store(true, Ordering::SeqCst);
    rig.full();
    until("ended", || !kept.ended().is_empty());
    assert_eq!(rig.released.sorted(), [0]);
    let error = rig.session.finish(LIMIT).unwrap_err();
    assert!(
        matches!(&error, SessionError::Panicked(what) if what.contains("asked to panic")),
        "{error}"
    );
}

#[test]
fn a_stream_that_joins_an_idle_source_begins_with_the_last_picture() {
    let rig = Rig::new(SessionConfig::live());
    let (_, first) = rig.stream();
    rig.full();
    until("first", || first.numbers() == [0]);
    let (_, second) = rig.stream();
    until("second", || second.numbers() == [0]);
    assert_eq!(second.keyframes(), [0]);
    assert_eq!(rig.session.stats().frames.staged, 1, "staged once for both");
}

#[test]
fn a_keyframe_of_an_idle_source_is_the_last_picture_again() {
    let rig = Rig::new(SessionConfig::live());
    let (id, kept) = rig.stream();
    rig.full();
    until("first", || kept.count() == 1);
    rig.submit(Damage::from(Rect::new(0, 0, 1, 1))).unwrap();
    until("second", || kept.count() == 2);
    rig.session.request_keyframe(id).unwrap();
    until("again", || kept.count() == 3);
    assert_eq!(kept.numbers(), [0, 1, 1]);
    assert_eq!(kept.keyframes(), [0, 1]);
}

#[test]
fn an_unchanged_frame_is_released_and_not_coded() {
    let rig = Rig::new(SessionConfig::live());
    let (_, kept) = rig.stream();
    for expected in 0..10 {
        rig.submit(Damage::none()).unwrap();
        until("released", || rig.released.sorted().len() == expected + 1);
    }
    let stats = rig.session.finish(LIMIT).unwrap();
    assert_eq!(
        kept.numbers(),
        [0],
        "the first is content, whatever it says"
    );
    assert_eq!(stats.frames.unchanged, 9);
}

#[test]
fn a_stalled_encoder_ends_its_stream_alone() {
    let mut config = SessionConfig::live();
    config.encode_limit = Duration::from_millis(80);
    let rig = Rig::new(config);
    let (_, kept) = rig.stream();
    rig.full();
    until("first", || kept.count() == 1);
    rig.control.encode_stalls.store(true, Ordering::SeqCst);
    rig.full();
    until("ended", || !kept.ended().is_empty());
    assert!(
        kept.ended()[0].contains("delivered nothing for 80ms"),
        "{:?}",
        kept.ended()
    );
    rig.control.unstall();
    let (_, other) = rig.stream();
    until("the session goes on", || other.numbers() == [1]);
    assert_eq!(rig.control.alive.load(Ordering::SeqCst), 1);
}

#[test]
fn an_encoder_or_sink_that_fails_ends_its_stream_with_the_reason() {
    let rig = Rig::new(SessionConfig::live());
    let (_, kept) = rig.stream();
    rig.control.encode_fails.store(true, Ordering::SeqCst);
    rig.full();
    until("ended", || !kept.ended().is_empty());
    assert_eq!(kept.ended(), ["noop delivered a broken stream: asked to"]);
    let (id, full) = rig.stream();
    full.0.lock().unwrap().refuse = true;
    rig.full();
    until("ended", || !full.ended().is_empty());
    assert_eq!(full.ended(), ["the packet's receiver failed: disk full"]);
    let error = rig.session.adjust(id, Adjustment::default()).unwrap_err();
    assert!(matches!(error, SessionError::NoStream(_)), "{error}");
}

#[test]
fn control_calls_answer() {
    let rig = Rig::new(SessionConfig::live());
    let (id, kept) = rig.stream();
    let change = Adjustment::bitrate(Bitrate::kbps(500));
    assert_eq!(rig.session.adjust(id, change).unwrap(), Applied::InPlace);
    assert_eq!(rig.session.stream(id).unwrap().encoder, "noop");
    rig.session.remove_stream(id).unwrap();
    assert_eq!(kept.ended(), ["the stream was removed before its end"]);
    assert!(rig.session.remove_stream(id).is_err());
    for _ in 0..8 {
        rig.stream();
    }
    let error = rig
        .session
        .add_stream(EncoderConfig::new(Codec::H264), Box::new(Kept::default()))
        .unwrap_err();
    assert!(error.to_string().contains("8 are open"), "{error}");
}

#[test]
fn a_producer_that_waits_for_a_stuck_encoder_is_told_so() {
    let mut config = SessionConfig::every_frame();
    config.delivery = scanout_core::session::Delivery::Every {
        limit: Duration::from_millis(50),
    };
    let rig = Rig::new(config);
    let (_, _kept) = rig.stream();
    rig.control.encode_stalls.store(true, Ordering::SeqCst);
    let refused = (0..20).find_map(|_| rig.submit(Damage::full(SIZE)).err());
    let refused = refused.expect("a stalled encoder takes no twenty frames");
    assert!(matches!(refused, SubmitError::TimedOut { .. }), "{refused}");
    let error = rig.session.finish(Duration::from_millis(100)).unwrap_err();
    assert!(
        matches!(error, SessionError::FinishTimedOut { .. }),
        "{error}"
    );
    let submitted = rig.next.get();
    assert_eq!(
        rig.released.sorted(),
        (0..submitted).collect::<Vec<_>>(),
        "all of them, exactly once"
    );
}

#[test]
fn dropping_a_busy_session_releases_every_source() {
    for round in 0..50u64 {
        let rig = Rig::new(SessionConfig::live());
        let (_, kept) = rig.stream();
        for _ in 0..round % 7 {
            rig.full();
        }
        if round % 3 == 0 {
            rig.control.encode_stalls.store(true, Ordering::SeqCst);
        }
        let count = rig.next.get();
        drop(rig.session);
        assert_eq!(rig.released.sorted(), (0..count).collect::<Vec<_>>());
        assert_eq!(kept.ended().len(), 1);
        assert_eq!(rig.control.alive.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn errors_of_encoders_say_whether_to_try_again() {
    assert!(EncodeError::Busy { held: 1 }.is_retryable());
    assert!(EncodeError::DeviceLost(String::new()).is_device_lost());
}
