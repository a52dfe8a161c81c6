//! A backend that moves frames but touches no pixel: for tests of whatever
//! drives a [`Backend`], and a small example of how to write one.
//!
//! [`NoopControl`] makes it slow, stuck, failing or panicking at will.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::encoder::{
    Adjustment, Applied, Backend, BackendError, BackendName, BytesPool, Capabilities, Chroma,
    Codec, Device, DeviceKind, EncodeError, Encoder, EncoderCaps, EncoderConfig, Frame, FrameTimes,
    OpenError, Packet, PathClass, Picture, PictureId, PictureInfo, PicturePool, PictureRequest,
    RateMode, StageConfig, StageError, StageEvent, Stager, StreamInfo, Surface, Ticket,
};
use crate::geometry::Size;
use crate::sync::EventFd;

/// Switches of a running [`NoopBackend`], and what it has counted.
#[derive(Debug, Default)]
pub struct NoopControl {
    /// `stage` takes frames and never says that one was read.
    pub stage_hangs: AtomicBool,
    /// `stage` blocks its caller for so many milliseconds, as a driver may.
    pub stage_blocks_ms: AtomicU64,
    /// The next so many frames fail.
    pub stage_fails: AtomicUsize,
    /// The next `stage` reports a lost device.
    pub device_lost: AtomicBool,
    /// The next `stage` panics.
    pub stage_panics: AtomicBool,
    /// `encode` takes pictures and delivers none.
    pub encode_stalls: AtomicBool,
    /// The next `encode` fails.
    pub encode_fails: AtomicBool,
    /// Packets are filled up to so many bytes.
    pub packet_bytes: AtomicUsize,
    /// Encoders opened.
    pub opened: AtomicUsize,
    /// Encoders that exist.
    pub alive: AtomicUsize,
    /// What was asked of each picture, in order.
    pub requests: Mutex<Vec<(u64, PictureRequest)>>,
    /// Keep `requests`; off where allocations are counted.
    pub keep_requests: AtomicBool,
    encoders: Mutex<Vec<std::sync::Weak<EventFd>>>,
}

impl NoopControl {
    fn take(flag: &AtomicBool) -> bool {
        flag.swap(false, Ordering::SeqCst)
    }

    fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets stalled encoders go on.
    pub fn unstall(&self) {
        self.encode_stalls.store(false, Ordering::SeqCst);
        for event in Self::lock(&self.encoders)
            .iter()
            .filter_map(|e| e.upgrade())
        {
            event.signal();
        }
    }
}

/// The backend.
#[derive(Clone, Debug, Default)]
pub struct NoopBackend {
    /// Its switches.
    pub control: Arc<NoopControl>,
}

impl Backend for NoopBackend {
    fn name(&self) -> BackendName {
        BackendName("noop")
    }

    fn devices(&self) -> Result<Vec<Device>, BackendError> {
        Ok(vec![Device::new("none", "no device", DeviceKind::Cpu)])
    }

    fn capabilities(&self, _device: &Device) -> Result<Capabilities, BackendError> {
        let encoder = EncoderCaps {
            name: "noop".to_owned(),
            codec: Codec::H264,
            chroma: vec![Chroma::C420],
            min_size: Size::new(1, 1),
            max_size: Size::new(16384, 16384),
            rates: vec![RateMode::Constant],
            live_bitrate: true,
            qp_bounds: false,
            path: PathClass::Software,
            rank: 0,
            notes: vec!["its packets hold no picture".to_owned()],
        };
        Ok(Capabilities {
            encoders: vec![encoder],
            imports: Vec::new(),
        })
    }

    fn open(&self, _device: &Device, config: &StageConfig) -> Result<Box<dyn Stager>, OpenError> {
        NoopStager::new(Arc::clone(&self.control), config).map(|s| Box::new(s) as Box<dyn Stager>)
    }
}

#[derive(Debug)]
struct Nothing;
impl Surface for Nothing {}

/// The stager: a picture is ready as soon as its frame is staged.
#[derive(Debug)]
pub struct NoopStager {
    control: Arc<NoopControl>,
    config: StageConfig,
    pool: PicturePool,
    event: Arc<EventFd>,
    events: VecDeque<StageEvent>,
    next: u64,
}

impl NoopStager {
    /// A stager of pictures as `config` says.
    pub fn new(control: Arc<NoopControl>, config: &StageConfig) -> Result<Self, OpenError> {
        let event = Arc::new(event_fd()?);
        let pool = PicturePool::new(config.pictures, Arc::clone(&event), |_| {
            Ok::<_, OpenError>(Box::new(Nothing) as Box<dyn Surface>)
        })?;
        Ok(Self {
            control,
            config: config.clone(),
            pool,
            event,
            events: VecDeque::with_capacity(16),
            next: 0,
        })
    }
}

fn event_fd() -> Result<EventFd, OpenError> {
    EventFd::new().map_err(|cause| OpenError::System {
        what: "eventfd",
        cause,
    })
}

impl Stager for NoopStager {
    fn room(&self) -> usize {
        self.pool.vacant().min(1)
    }

    fn stage(&mut self, frame: Frame) -> Result<Ticket, StageError> {
        let control = &self.control;
        let started = Instant::now();
        let block = control.stage_blocks_ms.load(Ordering::SeqCst);
        if block > 0 {
            std::thread::sleep(Duration::from_millis(block));
        }
        assert!(
            !NoopControl::take(&control.stage_panics),
            "asked to panic in stage"
        );
        if NoopControl::take(&control.device_lost) {
            return Err(StageError::DeviceLost("asked to".to_owned()));
        }
        let ticket = Ticket(self.next);
        self.next += 1;
        if control.stage_hangs.load(Ordering::SeqCst) {
            return Ok(ticket);
        }
        let failing = control
            .stage_fails
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        if failing.is_ok() {
            let error = StageError::NoSurface {
                count: self.pool.len(),
            };
            self.events.push_back(StageEvent::Failed(ticket, error));
        } else {
            let count = self.pool.len();
            let vacant = self.pool.take().ok_or(StageError::NoSurface { count })?;
            let mut times = FrameTimes::at(Instant::now());
            times.received = frame.received;
            times.stage_started = started;
            let picture = vacant.publish(PictureInfo::new(
                frame.number,
                frame.timestamp,
                frame.damage,
                self.config.color,
                PathClass::Software,
                times,
            ));
            self.events.push_back(StageEvent::SourceFree(ticket, None));
            self.events.push_back(StageEvent::Ready(ticket, picture));
        }
        self.event.signal();
        Ok(ticket)
    }

    fn poll(&mut self) -> Result<Option<StageEvent>, StageError> {
        let event = self.events.pop_front();
        if event.is_none() {
            self.event.drain();
        }
        Ok(event)
    }

    fn encoder(&self, config: &EncoderConfig) -> Result<Box<dyn Encoder>, OpenError> {
        let encoder = NoopEncoder::new(Arc::clone(&self.control), &self.config, config)?;
        Ok(Box::new(encoder))
    }

    fn wake(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

/// Pictures that the encoder takes at a time.
const DEPTH: usize = 1;

/// The encoder: a packet holds the number of its picture's frame, in eight
/// little-endian bytes, and zeros where [`NoopControl::packet_bytes`] asks for more.
#[derive(Debug)]
pub struct NoopEncoder {
    control: Arc<NoopControl>,
    stream: StreamInfo,
    event: Arc<EventFd>,
    inside: VecDeque<(PictureId, Picture, bool, Duration, Instant)>,
    pool: BytesPool,
    next: u64,
    draining: bool,
}

impl NoopEncoder {
    /// An encoder of pictures as `stage` describes; takes those of any stager.
    pub fn new(
        control: Arc<NoopControl>,
        stage: &StageConfig,
        config: &EncoderConfig,
    ) -> Result<Self, OpenError> {
        control.opened.fetch_add(1, Ordering::SeqCst);
        control.alive.fetch_add(1, Ordering::SeqCst);
        let event = Arc::new(event_fd()?);
        NoopControl::lock(&control.encoders).push(Arc::downgrade(&event));
        let stream = StreamInfo::new(
            config.codec,
            "noop",
            stage.size,
            stage.size,
            stage.chroma,
            stage.color,
        );
        Ok(Self {
            control,
            stream,
            event,
            inside: VecDeque::with_capacity(4),
            pool: BytesPool::new(),
            next: 0,
            draining: false,
        })
    }
}

impl Encoder for NoopEncoder {
    fn stream(&self) -> &StreamInfo {
        &self.stream
    }

    fn room(&self) -> usize {
        DEPTH.saturating_sub(self.inside.len())
    }

    fn encode(
        &mut self,
        picture: &Picture,
        request: &PictureRequest,
    ) -> Result<PictureId, EncodeError> {
        let encoder = || self.stream.encoder.clone();
        if self.draining {
            return Err(EncodeError::Ended { encoder: encoder() });
        }
        if self.room() == 0 {
            return Err(EncodeError::Busy {
                held: self.inside.len(),
            });
        }
        if NoopControl::take(&self.control.encode_fails) {
            return Err(EncodeError::BadStream {
                encoder: encoder(),
                detail: "asked to".to_owned(),
            });
        }
        let id = PictureId(self.next);
        self.next += 1;
        if self.control.keep_requests.load(Ordering::SeqCst) {
            NoopControl::lock(&self.control.requests)
                .push((picture.info().number, request.clone()));
        }
        self.inside.push_back((
            id,
            picture.clone(),
            request.keyframe,
            picture.info().timestamp.saturating_add(request.late),
            Instant::now(),
        ));
        self.event.signal();
        Ok(id)
    }

    fn poll(&mut self) -> Result<Option<Packet>, EncodeError> {
        let stalled = self.control.encode_stalls.load(Ordering::SeqCst);
        let next = if stalled {
            None
        } else {
            self.inside.pop_front()
        };
        let Some((id, picture, keyframe, timestamp, submitted)) = next else {
            self.event.drain();
            return Ok(None);
        };
        let info = picture.info();
        let mut times = info.times;
        times.submitted = Some(submitted);
        times.coded = Some(Instant::now());
        let fill = self.control.packet_bytes.load(Ordering::SeqCst);
        let bytes = self.pool.fill(|bytes| {
            bytes.extend_from_slice(&info.number.to_le_bytes());
            bytes.resize(bytes.len().max(fill), 0);
            Ok::<_, EncodeError>(())
        })?;
        Ok(Some(Packet::new(
            id,
            info.number,
            timestamp,
            bytes,
            keyframe,
            times,
        )))
    }

    fn adjust(&mut self, _change: &Adjustment) -> Result<Applied, EncodeError> {
        Ok(Applied::InPlace)
    }

    fn drain(&mut self) -> Result<(), EncodeError> {
        self.draining = true;
        Ok(())
    }

    fn drained(&self) -> bool {
        self.draining && self.inside.is_empty()
    }

    fn wake(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

impl Drop for NoopEncoder {
    fn drop(&mut self) {
        self.control.alive.fetch_sub(1, Ordering::SeqCst);
    }
}
