//! A session whose packets are the pictures, and a producer of udmabufs for it.

// Each file that includes this is a crate of its own, and uses some of it.
#![allow(dead_code)]

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use scanout_core::buffer::{BufferKey, DmaBuf, ImportPolicy, SourceBuffer};
use scanout_core::encoder::{
    Adjustment, Applied, BoxedError, Codec, EncodeError, Encoder, EncoderConfig, Frame, OpenError,
    Packet, Picture, PictureId, PictureRequest, StageConfig, StageError, StageEvent, Stager,
    StreamInfo, Ticket,
};
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Size};
use scanout_core::noop::{NoopControl, NoopEncoder};
use scanout_core::session::{PacketSink, Session, SessionConfig, StreamError, StreamId};
use scanout_core::staging::CpuStaging;
use scanout_core::sync::{Acquire, Release, ReleaseSink, SyncFile};
use scanout_rig::drawing::Arrangement;
use scanout_rig::fences::Kind;
use scanout_rig::sw_sync::Timeline;
use scanout_rig::udmabuf::Udmabuf;
use scanout_rig::{machine, staged};

pub(crate) const FORMAT: Fourcc = Fourcc::XRGB8888;
pub(crate) const SIZE: Size = Size::new(48, 32);
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// The number of a frame, and its picture.
type Numbered = (u64, Vec<u8>);

/// The pictures that an encoder got.
#[derive(Clone, Default)]
pub(crate) struct Pictures(Arc<Mutex<Vec<Numbered>>>);

impl Pictures {
    pub(crate) fn numbers(&self) -> Vec<u64> {
        let all = self.0.lock().unwrap();
        all.iter().map(|(number, _)| *number).collect()
    }

    /// The picture of frame `number`, coded last.
    pub(crate) fn of(&self, number: u64) -> Option<Vec<u8>> {
        let all = self.0.lock().unwrap();
        let of_frame = |(seen, _): &&Numbered| *seen == number;
        all.iter()
            .rev()
            .find(of_frame)
            .map(|(_, bytes)| bytes.clone())
    }
}

struct Recorder {
    inner: NoopEncoder,
    pictures: Pictures,
}

impl Encoder for Recorder {
    fn stream(&self) -> &StreamInfo {
        self.inner.stream()
    }

    fn room(&self) -> usize {
        self.inner.room()
    }

    fn encode(
        &mut self,
        picture: &Picture,
        request: &PictureRequest,
    ) -> Result<PictureId, EncodeError> {
        let bytes = staged::bytes(picture).to_vec();
        let mut pictures = self.pictures.0.lock().unwrap();
        pictures.push((picture.info().number, bytes));
        self.inner.encode(picture, request)
    }

    fn poll(&mut self) -> Result<Option<Packet>, EncodeError> {
        self.inner.poll()
    }

    fn adjust(&mut self, change: &Adjustment) -> Result<Applied, EncodeError> {
        self.inner.adjust(change)
    }

    fn drain(&mut self) -> Result<(), EncodeError> {
        self.inner.drain()
    }

    fn drained(&self) -> bool {
        self.inner.drained()
    }

    fn wake(&self) -> BorrowedFd<'_> {
        self.inner.wake()
    }
}

struct CpuStager {
    staging: CpuStaging,
    size: Size,
    pictures: Pictures,
}

impl Stager for CpuStager {
    fn room(&self) -> usize {
        self.staging.room()
    }

    fn stage(&mut self, frame: Frame) -> Result<Ticket, StageError> {
        self.staging.stage(frame)
    }

    fn poll(&mut self) -> Result<Option<StageEvent>, StageError> {
        self.staging.poll()
    }

    fn retire(&mut self, buffer: &BufferKey) {
        self.staging.retire(buffer);
    }

    fn encoder(&self, config: &EncoderConfig) -> Result<Box<dyn Encoder>, OpenError> {
        let control = Arc::new(NoopControl::default());
        let inner = NoopEncoder::new(control, &StageConfig::new(self.size), config)?;
        Ok(Box::new(Recorder {
            inner,
            pictures: self.pictures.clone(),
        }))
    }

    fn wake(&self) -> BorrowedFd<'_> {
        self.staging.wake()
    }
}

struct Nobody;

impl PacketSink for Nobody {
    fn packet(&mut self, _: &StreamInfo, _: &Packet) -> Result<(), BoxedError> {
        Ok(())
    }

    fn ended(&mut self, _: Result<(), StreamError>) {}
}

/// Who was told that a source is free, how often, and with which fence.
#[derive(Default)]
pub(crate) struct Released {
    told: Mutex<Vec<(u64, Option<SyncFile>)>>,
    changed: Condvar,
}

impl ReleaseSink for Released {
    fn released(&self, cookie: u64, fence: Option<SyncFile>) {
        self.told.lock().unwrap().push((cookie, fence));
        self.changed.notify_all();
    }
}

impl Released {
    pub(crate) fn guard(self: &Arc<Self>, cookie: u64) -> Release {
        Release::new(Arc::clone(self) as _, cookie)
    }

    pub(crate) fn cookies(&self) -> Vec<u64> {
        let told = self.told.lock().unwrap();
        let mut cookies: Vec<u64> = told.iter().map(|(cookie, _)| *cookie).collect();
        cookies.sort_unstable();
        cookies
    }

    /// Waits until `cookie` was told.
    pub(crate) fn wait_for(&self, cookie: u64) {
        let deadline = Instant::now() + LONG;
        let mut told = self.told.lock().unwrap();
        while !told.iter().any(|(seen, _)| *seen == cookie) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "source {cookie} is not given back");
            told = self.changed.wait_timeout(told, left).unwrap().0;
        }
    }

    /// The fence that `cookie` was told with.
    pub(crate) fn fence(&self, cookie: u64) -> Option<SyncFile> {
        let mut told = self.told.lock().unwrap();
        told.iter_mut().find(|(seen, _)| *seen == cookie)?.1.take()
    }
}

/// A scanout of a producer that draws whatever its fences say.
pub(crate) struct Scanout {
    arrangement: Arrangement,
    pub(crate) memory: Udmabuf,
}

impl Scanout {
    pub(crate) fn new(size: Size) -> Option<Self> {
        let arrangement = Arrangement::all(FORMAT, size).remove(1);
        let memory = machine::udmabuf(arrangement.objects[0])?;
        Some(Self {
            arrangement,
            memory,
        })
    }

    pub(crate) fn draw(&self, seed: u32) {
        let mut pixels = vec![0; self.arrangement.objects[0] as usize];
        self.arrangement.draw(0, &mut pixels, seed);
        self.memory.write(&pixels, 0).unwrap();
    }

    pub(crate) fn import(&self) -> DmaBuf {
        let fds = [self.memory.as_fd()];
        DmaBuf::import(&fds, &self.arrangement.layout, &ImportPolicy::default()).unwrap()
    }

    pub(crate) fn source(&self) -> SourceBuffer {
        self.import().into()
    }

    pub(crate) fn frame(&self, number: u64, acquire: Acquire) -> Frame {
        let size = self.arrangement.layout.size;
        let time = Duration::from_millis(16 * number);
        let mut frame = Frame::new(number, self.source(), Damage::full(size), time);
        frame.acquire = acquire;
        frame
    }
}

/// A session for pictures of `size` with one stream, and what comes of it.
pub(crate) struct Running {
    pub(crate) session: Session,
    pub(crate) stream: StreamId,
    pub(crate) pictures: Pictures,
    pub(crate) released: Arc<Released>,
}

impl Running {
    pub(crate) fn new(size: Size, config: SessionConfig, acquire_limit: Duration) -> Self {
        let pictures = Pictures::default();
        let stager = CpuStager {
            staging: staged::staging(size, acquire_limit).unwrap(),
            size,
            pictures: pictures.clone(),
        };
        let session = Session::start(Box::new(stager), config).unwrap();
        let stream = session
            .add_stream(EncoderConfig::new(Codec::H264), Box::new(Nobody))
            .unwrap();
        Self {
            session,
            stream,
            pictures,
            released: Arc::default(),
        }
    }

    /// Returns when the session has given its stager what it had by now.
    pub(crate) fn settle(&self) {
        // Commands are obeyed before a frame is staged: the second answer comes after it.
        for _ in 0..2 {
            self.session.stream(self.stream).unwrap();
        }
    }

    pub(crate) fn submit(&self, frame: Frame) {
        let release = self.released.guard(frame.number);
        self.session.submit(frame, release).unwrap();
    }
}

pub(crate) fn expected(size: Size, seed: u32) -> Vec<u8> {
    staged::expected(FORMAT, size, seed).unwrap()
}

/// Waits until `done`.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The frame's fence, put where `kind` says.
pub(crate) fn acquire(kind: Kind, scanout: &Scanout, fence: SyncFile) -> Acquire {
    kind.acquire(&scanout.memory, fence).unwrap()
}

/// A scanout with a timeline for its fences, where the machine has both.
pub(crate) fn scene() -> Option<(Scanout, Timeline)> {
    let scanout = Scanout::new(SIZE)?;
    scanout.draw(0);
    Some((scanout, machine::timeline()?))
}
