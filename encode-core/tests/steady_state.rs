//! Long runs: nothing is allocated per frame, no descriptor is lost. One test
//! alone in its process, because it counts what the whole process does.

use std::alloc::{GlobalAlloc, Layout as AllocLayout, System};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use scanout_core::buffer::alloc::Provider;
use scanout_core::buffer::{DmaBuf, ImportPolicy, Layout, SourceBuffer};
use scanout_core::convert::PictureFormat;
use scanout_core::encoder::{
    BoxedError, Codec, Encoder, EncoderConfig, Frame, OpenError, Packet, PathClass, StageConfig,
    StageError, StageEvent, Stager, StreamInfo, Ticket,
};
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Rect, Size};
use scanout_core::noop::{NoopControl, NoopEncoder};
use scanout_core::session::{PacketSink, Session, SessionConfig, StreamError};
use scanout_core::staging::CpuStaging;
use scanout_core::sync::{Release, ReleaseSink, SyncFile};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: AllocLayout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: AllocLayout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: AllocLayout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(ptr, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Real staging, no coding.
struct CpuOnly {
    staging: CpuStaging,
    config: StageConfig,
    control: Arc<NoopControl>,
}

impl Stager for CpuOnly {
    fn room(&self) -> usize {
        self.staging.room()
    }
    fn stage(&mut self, frame: Frame) -> Result<Ticket, StageError> {
        self.staging.stage(frame)
    }
    fn poll(&mut self) -> Result<Option<StageEvent>, StageError> {
        self.staging.poll()
    }
    fn encoder(&self, config: &EncoderConfig) -> Result<Box<dyn Encoder>, OpenError> {
        let control = Arc::clone(&self.control);
        Ok(Box::new(NoopEncoder::new(control, &self.config, config)?))
    }
    fn wake(&self) -> BorrowedFd<'_> {
        self.staging.wake()
    }
}

#[derive(Default)]
struct Released(AtomicU64);

impl ReleaseSink for Released {
    fn released(&self, _: u64, _: Option<SyncFile>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

struct Count(Arc<AtomicU64>);

impl PacketSink for Count {
    fn packet(&mut self, _: &StreamInfo, _: &Packet) -> Result<(), BoxedError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
    fn ended(&mut self, outcome: Result<(), StreamError>) {
        assert!(outcome.is_ok(), "{outcome:?}");
    }
}

/// A sealed memfd with a frame of `size`.
fn source(size: Size) -> SourceBuffer {
    let (layout, bytes) = Layout::packed(Fourcc::XRGB8888, size, 64).unwrap();
    let memory = Provider::Memfd.allocate(bytes).unwrap();
    let policy = ImportPolicy::default().with_memfd();
    DmaBuf::import(&[memory.as_fd()], &layout, &policy)
        .unwrap()
        .into()
}

struct Run {
    session: Session,
    released: Arc<Released>,
    packets: Arc<AtomicU64>,
    sources: [SourceBuffer; 3],
    submitted: u64,
}

impl Run {
    fn new(size: Size) -> Self {
        let config = StageConfig::new(size);
        let stager = CpuOnly {
            staging: CpuStaging::new(&config, PictureFormat::I420, PathClass::Software).unwrap(),
            config,
            control: Arc::default(),
        };
        let session = Session::start(Box::new(stager), SessionConfig::every_frame()).unwrap();
        let packets = Arc::new(AtomicU64::new(0));
        for codec in [Codec::H264, Codec::Vp8] {
            let sink = Box::new(Count(Arc::clone(&packets)));
            session.add_stream(EncoderConfig::new(codec), sink).unwrap();
        }
        Self {
            session,
            released: Arc::default(),
            packets,
            sources: std::array::from_fn(|_| source(size)),
            submitted: 0,
        }
    }

    fn frames(&mut self, count: u64) {
        for _ in 0..count {
            let number = self.submitted;
            let x = (number * 7 % 100) as u32;
            let damage = Damage::from(Rect::new(x, x / 2, 33, 17));
            let buffer = self.sources[number as usize % 3].clone();
            let frame = Frame::new(number, buffer, damage, Duration::from_millis(16 * number));
            let sink: Arc<dyn ReleaseSink> = Arc::clone(&self.released) as _;
            let release = Release::new(sink, number);
            self.session.submit(frame, release).unwrap();
            self.submitted += 1;
        }
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.packets.load(Ordering::SeqCst) < 2 * self.submitted {
            assert!(Instant::now() < deadline, "packets are missing");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn long_runs_allocate_nothing_and_lose_no_descriptor() {
    let mut run = Run::new(Size::new(320, 241));
    run.frames(300);
    let before = ALLOCATIONS.load(Ordering::SeqCst);
    run.frames(3000);
    let allocated = ALLOCATIONS.load(Ordering::SeqCst) - before;
    assert_eq!(allocated, 0, "allocations in 3,000 frames of two streams");
    drop(run);

    let before = descriptors();
    let mut released = 0;
    for resize in 0..100 {
        let mut run = Run::new(Size::new(64 + resize, 48 + resize % 7));
        run.frames(100);
        let stats = run.session.finish(Duration::from_secs(10)).unwrap();
        assert_eq!(stats.frames.staged, 100);
        released += run.released.0.load(Ordering::SeqCst);
    }
    assert_eq!(released, 10_000, "each source exactly once");
    assert_eq!(descriptors(), before, "descriptors after 100 resizes");
}
