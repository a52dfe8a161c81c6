//! A session without work: a desktop's is one most of the day.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use scanout_core::buffer::{Layout, MemoryImage};
use scanout_core::encoder::{
    BoxedError, Codec, Encoder, EncoderConfig, Frame, OpenError, Packet, StageConfig, StageError,
    StageEvent, Stager, StreamInfo, Ticket,
};
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Size};
use scanout_core::noop::{NoopControl, NoopStager};
use scanout_core::session::{PacketSink, Refinement, Session, SessionConfig, StreamError};
use scanout_core::sync::{Release, ReleaseSink, SyncFile};

const SIZE: Size = Size::new(64, 64);

/// Counts how often the session looks at it.
struct Counted(NoopStager, Arc<AtomicUsize>);

impl Stager for Counted {
    fn room(&self) -> usize {
        self.0.room()
    }
    fn stage(&mut self, frame: Frame) -> Result<Ticket, StageError> {
        self.0.stage(frame)
    }
    fn poll(&mut self) -> Result<Option<StageEvent>, StageError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.poll()
    }
    fn encoder(&self, config: &EncoderConfig) -> Result<Box<dyn Encoder>, OpenError> {
        self.0.encoder(config)
    }
    fn wake(&self) -> BorrowedFd<'_> {
        self.0.wake()
    }
}

struct Count(Arc<AtomicUsize>);

impl PacketSink for Count {
    fn packet(&mut self, _: &StreamInfo, _: &Packet) -> Result<(), BoxedError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
    fn ended(&mut self, _: Result<(), StreamError>) {}
}

struct Nobody;

impl ReleaseSink for Nobody {
    fn released(&self, _: u64, _: Option<SyncFile>) {}
}

#[test]
fn a_session_without_work_sleeps_until_there_is_some() {
    sleeps_between(SessionConfig::live(), 0);
}

#[test]
fn a_session_sleeps_again_when_its_last_picture_is_good() {
    let mut config = SessionConfig::live();
    let mut refine = Refinement::new();
    refine.after = Duration::from_millis(5);
    refine.pictures = 2;
    config.refine = Some(refine);
    sleeps_between(config, 2);
}

/// Each picture is coded so many times more than asked for.
fn sleeps_between(config: SessionConfig, refined: usize) {
    let control = Arc::new(NoopControl::default());
    let looks = Arc::new(AtomicUsize::new(0));
    let stager = NoopStager::new(control, &StageConfig::new(SIZE)).unwrap();
    let stager = Counted(stager, Arc::clone(&looks));
    let session = Session::start(Box::new(stager), config).unwrap();
    let packets = Arc::new(AtomicUsize::new(0));
    let sink = Box::new(Count(Arc::clone(&packets)));
    let stream = session
        .add_stream(EncoderConfig::new(Codec::H264), sink)
        .unwrap();
    let (layout, bytes) = Layout::packed(Fourcc::XRGB8888, SIZE, 4).unwrap();
    let image = MemoryImage::new(Arc::new(vec![0u8; bytes as usize]), layout).unwrap();
    let arrived = |count: usize| {
        let deadline = Instant::now() + Duration::from_secs(5);
        while packets.load(Ordering::SeqCst) < count {
            assert!(Instant::now() < deadline, "packet {count} does not come");
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    for round in 0..3 {
        let damage = Damage::full(SIZE);
        let frame = Frame::new(round, image.clone().into(), damage, Duration::ZERO);
        session
            .submit(frame, Release::new(Arc::new(Nobody), round))
            .unwrap();
        arrived((2 * round as usize + 1) * (1 + refined));
        // What is done for the packet is done.
        std::thread::sleep(Duration::from_millis(150));
        let before = looks.load(Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(700));
        let looked = looks.load(Ordering::SeqCst) - before;
        assert!(looked < 3, "it looked {looked} times for nothing");
        // And it still hears.
        session.request_keyframe(stream).unwrap();
        arrived((2 * round as usize + 2) * (1 + refined));
    }
    session.finish(Duration::from_secs(5)).unwrap();
}
