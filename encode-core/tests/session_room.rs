//! Sinks without room: what is coded, for whom, and when there is room again.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use scanout_core::buffer::{Layout, MemoryImage};
use scanout_core::encoder::{
    BoxedError, Codec, EncoderConfig, Frame, Packet, StageConfig, StreamInfo,
};
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Rect, Size};
use scanout_core::noop::{NoopControl, NoopStager};
use scanout_core::session::{
    Delivery, PacketSink, Session, SessionConfig, SessionError, SessionWaker, StreamError,
    StreamId, SubmitError,
};
use scanout_core::sync::{Release, ReleaseSink, SyncFile};

const SIZE: Size = Size::new(64, 64);
const LIMIT: Duration = Duration::from_secs(5);

struct Nobody;

impl ReleaseSink for Nobody {
    fn released(&self, _: u64, _: Option<SyncFile>) {}
}

/// A queue of so many places, as a network connection has.
#[derive(Clone)]
struct Queue(Arc<Mutex<QueueState>>);

#[derive(Default)]
struct QueueState {
    places: usize,
    asked: usize,
    packets: Vec<(u64, bool)>,
    ended: Vec<Result<(), StreamError>>,
}

impl Queue {
    fn of(places: usize) -> Self {
        Self(Arc::new(Mutex::new(QueueState {
            places,
            ..QueueState::default()
        })))
    }

    fn make_room(&self, places: usize) {
        self.0.lock().unwrap().places = places;
    }

    fn numbers(&self) -> Vec<u64> {
        let state = self.0.lock().unwrap();
        state.packets.iter().map(|(number, _)| *number).collect()
    }

    fn asked(&self) -> usize {
        self.0.lock().unwrap().asked
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

impl PacketSink for Queue {
    fn packet(&mut self, _: &StreamInfo, packet: &Packet) -> Result<(), BoxedError> {
        let mut state = self.0.lock().unwrap();
        state.places = state.places.saturating_sub(1);
        state.packets.push((packet.number, packet.keyframe));
        Ok(())
    }

    fn room(&mut self) -> bool {
        let mut state = self.0.lock().unwrap();
        state.asked += 1;
        state.places > 0
    }

    fn ended(&mut self, outcome: Result<(), StreamError>) {
        self.0.lock().unwrap().ended.push(outcome);
    }
}

struct Rig {
    control: Arc<NoopControl>,
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
            session: Session::start(Box::new(stager), config).unwrap(),
            image: MemoryImage::new(Arc::new(vec![0u8; bytes as usize]), layout).unwrap(),
            next: std::cell::Cell::new(0),
        }
    }

    fn stream(&self, queue: &Queue) -> StreamId {
        let config = EncoderConfig::new(Codec::H264);
        let sink = Box::new(queue.clone());
        self.session.add_stream(config, sink).unwrap()
    }

    fn try_submit(&self, damage: Damage) -> Result<(), SubmitError> {
        let number = self.next.replace(self.next.get() + 1);
        let frame = Frame::new(number, self.image.clone().into(), damage, Duration::ZERO);
        let sink: Arc<dyn ReleaseSink> = Arc::new(Nobody);
        self.session.submit(frame, Release::new(sink, number))
    }

    /// Submits a frame and waits until it was staged, so that none is replaced before.
    fn staged(&self, damage: Damage) {
        let before = self.session.stats().frames.staged;
        self.try_submit(damage).unwrap();
        until("staged", || {
            self.session.stats().frames.staged == before + 1
        });
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
fn without_room_only_the_newest_picture_waits_with_all_the_damage() {
    let rig = Rig::new(SessionConfig::live());
    let queue = Queue::of(1);
    let stream = rig.stream(&queue);
    rig.staged(Damage::full(SIZE));
    until("the first has a place", || queue.numbers() == [0]);
    let rects: Vec<Rect> = (0..20).map(|i| Rect::new(i % 4 * 16, i, 4, 1)).collect();
    for rect in &rects {
        rig.staged(Damage::from(*rect));
    }
    assert_eq!(queue.numbers(), [0], "nothing is coded that has no place");
    assert_eq!(rig.control.requests.lock().unwrap().len(), 1);
    queue.make_room(5);
    rig.session.waker().wake();
    until("the newest", || queue.numbers() == [0, 20]);
    let requests = rig.control.requests.lock().unwrap().clone();
    assert_eq!(requests.len(), 2, "and none of those passed over");
    let damage = requests[1].1.damage.clone().unwrap();
    for rect in &rects {
        assert!(damage.rects().iter().any(|r| r.contains(*rect)), "{rect}");
    }
    assert_eq!(rig.session.stats().streams[0].superseded, 19);
    rig.session.remove_stream(stream).unwrap();
}

#[test]
fn a_sink_without_room_delays_no_other_stream_and_no_source() {
    let rig = Rig::new(SessionConfig::live());
    let (full, open) = (Queue::of(0), Queue::of(usize::MAX));
    rig.stream(&full);
    rig.stream(&open);
    for number in 0..100 {
        rig.staged(Damage::full(SIZE));
        until("coded", || open.numbers().len() == number + 1);
    }
    assert_eq!(open.numbers(), (0..100).collect::<Vec<_>>());
    assert_eq!(full.numbers(), [0u64; 0]);
}

#[test]
fn a_sink_without_room_is_no_stalled_encoder() {
    let mut config = SessionConfig::live();
    config.encode_limit = Duration::from_millis(20);
    let rig = Rig::new(config);
    let queue = Queue::of(1);
    rig.stream(&queue);
    rig.staged(Damage::full(SIZE));
    rig.staged(Damage::full(SIZE));
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(queue.ended(), [""; 0]);
    queue.make_room(1);
    rig.session.waker().wake();
    until("goes on", || queue.numbers() == [0, 1]);
}

#[test]
fn a_keyframe_asked_for_without_room_comes_with_it() {
    let rig = Rig::new(SessionConfig::live());
    let queue = Queue::of(1);
    let stream = rig.stream(&queue);
    rig.staged(Damage::full(SIZE));
    until("first", || queue.numbers() == [0]);
    rig.session.request_keyframe(stream).unwrap();
    rig.staged(Damage::from(Rect::new(0, 0, 1, 1)));
    queue.make_room(1);
    rig.session.waker().wake();
    until("second", || {
        queue.0.lock().unwrap().packets == [(0, true), (1, true)]
    });
}

/// Of twenty, one at least must come faster than the session looks by itself.
#[test]
fn a_consumers_thread_wakes_the_session() {
    let rig = Rig::new(SessionConfig::live());
    let queue = Queue::of(0);
    rig.stream(&queue);
    let mut fastest = LIMIT;
    for round in 0..20 {
        let asked = queue.asked();
        rig.staged(Damage::full(SIZE));
        until("asked", || queue.asked() > asked);
        let begin = Instant::now();
        let (consumer, waker) = (queue.clone(), rig.session.waker());
        std::thread::spawn(move || {
            consumer.make_room(1);
            waker.wake();
        })
        .join()
        .unwrap();
        until("coded", || queue.numbers().len() == round + 1);
        fastest = fastest.min(begin.elapsed());
    }
    assert!(fastest < Duration::from_millis(60), "{fastest:?}");
}

#[test]
fn a_waker_is_shared_between_threads_and_outlives_its_session() {
    fn shared<T: Send + Sync + Clone + 'static>(_: &T) {}
    let rig = Rig::new(SessionConfig::live());
    let waker: SessionWaker = rig.session.waker();
    shared(&waker);
    drop(rig.session);
    for _ in 0..1000 {
        waker.wake();
    }
}

#[test]
fn finishing_waits_for_room_and_delivers_the_last_picture() {
    let rig = Rig::new(SessionConfig::live());
    let queue = Queue::of(1);
    rig.stream(&queue);
    rig.staged(Damage::full(SIZE));
    until("first", || queue.numbers() == [0]);
    rig.staged(Damage::full(SIZE));
    let (consumer, waker) = (queue.clone(), rig.session.waker());
    let later = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50));
        consumer.make_room(1);
        waker.wake();
    });
    rig.session.finish(LIMIT).unwrap();
    later.join().unwrap();
    assert_eq!(queue.numbers(), [0, 1]);
    assert_eq!(queue.ended(), ["drained"]);
}

#[test]
fn finishing_gives_a_sink_without_room_up_at_its_limit() {
    let rig = Rig::new(SessionConfig::live());
    let (full, open) = (Queue::of(0), Queue::of(1));
    rig.stream(&full);
    rig.stream(&open);
    rig.staged(Damage::full(SIZE));
    let begin = Instant::now();
    let error = rig.session.finish(Duration::from_millis(100)).unwrap_err();
    assert!(begin.elapsed() < LIMIT);
    assert!(
        matches!(error, SessionError::FinishTimedOut { stuck: false, .. }),
        "{error}"
    );
    assert_eq!(open.ended(), ["drained"], "others are not given up");
    assert_eq!(open.numbers(), [0]);
    assert_eq!(full.ended(), ["the stream was removed before its end"]);
    assert_eq!(rig.control.alive.load(Ordering::SeqCst), 0);
}

#[test]
fn where_every_frame_counts_a_sink_without_room_holds_its_producer() {
    let mut config = SessionConfig::every_frame();
    config.delivery = Delivery::Every {
        limit: Duration::from_millis(500),
    };
    let rig = Rig::new(config);
    let queue = Queue::of(2);
    rig.stream(&queue);
    let refused = (0..20).find(|_| rig.try_submit(Damage::full(SIZE)).is_err());
    assert_eq!(
        refused,
        Some(4),
        "two have places, one is staged, one waits"
    );
    queue.make_room(usize::MAX);
    rig.session.waker().wake();
    rig.session.finish(LIMIT).unwrap();
    assert_eq!(queue.numbers(), [0, 1, 2, 3]);
}
