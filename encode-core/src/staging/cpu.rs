use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::buffer::{
    self, BufferKey, CacheBudget, CpuReader, Orientation, ReadError, SourceBuffer, View,
    wait_acquired,
};
use crate::color::ColorSpec;
use crate::convert::age::DamageHistory;
use crate::convert::tiles::TileComparer;
use crate::convert::{self, ConvertError, Converter, PictureFormat, PictureLayout};
use crate::encoder::{
    Frame, FrameTimes, HostSurface, OpenError, PathClass, Picture, PictureInfo, PicturePool,
    StageConfig, StageError, StageEvent, Surface, Ticket,
};
use crate::format::Fourcc;
use crate::geometry::{Damage, Size};
use crate::sync::{Acquire, EventFd, SyncError};

/// Converts frames into pictures in host memory on a thread of its own, only
/// where they changed.
///
/// The pool and everything that a conversion needs are made at the start: in
/// steady state staging a frame allocates nothing.
#[derive(Debug)]
pub struct CpuStaging {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    layout: PictureLayout,
    pictures: usize,
    next: u64,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Wakes the thread: a job, or the end.
    work: Condvar,
    /// Wakes the owner: an event, or a picture that came back.
    event: Arc<EventFd>,
}

#[derive(Debug)]
struct State {
    job: Option<(Ticket, Frame)>,
    /// Away while the thread converts.
    pool: Option<PicturePool>,
    /// Buffers to be forgotten once the job at hand is done.
    retired: Vec<BufferKey>,
    events: VecDeque<StageEvent>,
    stop: bool,
    /// Why the thread ended early.
    ended: Option<String>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CpuStaging {
    /// Pictures in `format`, which go on as `path`: `Software` to an encoder on
    /// the CPU, `CpuUpload` to one on a device.
    pub fn new(
        config: &StageConfig,
        format: PictureFormat,
        path: PathClass,
    ) -> Result<Self, OpenError> {
        if path > config.max_path {
            return Err(OpenError::Path {
                path,
                ceiling: config.max_path,
            });
        }
        let system = |what| move |cause| OpenError::System { what, cause };
        let layout = PictureLayout::new(format, config.size)?;
        let event = Arc::new(EventFd::new().map_err(system("eventfd"))?);
        let pool = PicturePool::new(config.pictures, Arc::clone(&event), |_| {
            Ok::<_, OpenError>(Box::new(HostSurface::new(layout)) as Box<dyn Surface>)
        })?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                job: None,
                pool: Some(pool),
                retired: Vec::new(),
                // Two events end a ticket, and few tickets are under way.
                events: VecDeque::with_capacity(16),
                stop: false,
                ended: None,
            }),
            work: Condvar::new(),
            event,
        });
        let mut converting = Converting {
            layout,
            color: config.color,
            path,
            limit: config.acquire_limit,
            reader: CpuReader::new(CacheBudget::default()),
            converter: None,
            history: DamageHistory::new(config.pictures, config.size),
            carried: Damage::none(),
            comparison: config.find_damage.then(Comparison::default),
        };
        let inside = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("scanout-stage".to_owned())
            .spawn(move || run(&inside, &mut converting))
            .map_err(system("starting a thread"))?;
        Ok(Self {
            shared,
            thread: Some(thread),
            layout,
            pictures: config.pictures,
            next: 0,
        })
    }

    /// How its pictures lie in memory.
    pub fn layout(&self) -> &PictureLayout {
        &self.layout
    }

    /// As [`Stager::room`](crate::encoder::Stager::room): one, when the thread
    /// is idle and a surface is free.
    pub fn room(&self) -> usize {
        let state = self.shared.lock();
        let vacant = state.pool.as_ref().map_or(0, PicturePool::vacant);
        usize::from(state.job.is_none() && vacant > 0)
    }

    /// As [`Stager::stage`](crate::encoder::Stager::stage).
    pub fn stage(&mut self, frame: Frame) -> Result<Ticket, StageError> {
        let seen = frame.buffer.view().content.size();
        if seen != self.layout.visible() {
            return Err(StageError::Size {
                seen,
                expected: self.layout.visible(),
            });
        }
        let mut state = self.shared.lock();
        if let Some(reason) = &state.ended {
            return Err(StageError::Ended {
                reason: reason.clone(),
            });
        }
        let vacant = state.pool.as_ref().map_or(0, PicturePool::vacant);
        if state.job.is_some() || vacant == 0 {
            return Err(StageError::NoSurface {
                count: self.pictures,
            });
        }
        let ticket = Ticket(self.next);
        self.next += 1;
        state.job = Some((ticket, frame));
        drop(state);
        self.shared.work.notify_one();
        Ok(ticket)
    }

    /// As [`Stager::poll`](crate::encoder::Stager::poll).
    pub fn poll(&mut self) -> Result<Option<StageEvent>, StageError> {
        let mut state = self.shared.lock();
        if let Some(event) = state.events.pop_front() {
            return Ok(Some(event));
        }
        // Under the lock, so that no event can slip in between.
        self.shared.event.drain();
        match &state.ended {
            Some(reason) => Err(StageError::Ended {
                reason: reason.clone(),
            }),
            None => Ok(None),
        }
    }

    /// As [`Stager::retire`](crate::encoder::Stager::retire): the thread unmaps the
    /// buffer as soon as it converts nothing.
    pub fn retire(&mut self, buffer: &BufferKey) {
        let mut state = self.shared.lock();
        // A thread that has ended has unmapped everything.
        let wanted = state.ended.is_none()
            && state.retired.len() < MAX_RETIRED
            && !state.retired.contains(buffer);
        if wanted {
            state.retired.push(buffer.clone());
        }
        drop(state);
        self.shared.work.notify_one();
    }

    /// As [`Stager::wake`](crate::encoder::Stager::wake).
    pub fn wake(&self) -> BorrowedFd<'_> {
        self.shared.event.as_fd()
    }
}

impl Drop for CpuStaging {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.work.notify_one();
        if let Some(thread) = self.thread.take() {
            // Bounded by one conversion and the acquire limit.
            let _ = thread.join();
        }
    }
}

/// The thread.
fn run(shared: &Shared, converting: &mut Converting) {
    loop {
        let (work, retired) = {
            let mut state = shared.lock();
            loop {
                if state.stop {
                    return;
                }
                let work = match (state.job.take(), state.pool.take()) {
                    (Some(job), Some(pool)) => Some((job, pool)),
                    (job, pool) => {
                        (state.job, state.pool) = (job, pool);
                        None
                    }
                };
                let retired = std::mem::take(&mut state.retired);
                if work.is_some() || !retired.is_empty() {
                    break (work, retired);
                }
                state = shared
                    .work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
        };
        if let Some(((ticket, frame), pool)) = work {
            stage(shared, converting, ticket, frame, pool);
        }
        // After the frame, which may be the buffer's last.
        for buffer in &retired {
            converting.reader.retire(buffer);
        }
    }
}

/// Converts one frame and says what became of it.
fn stage(
    shared: &Shared,
    converting: &mut Converting,
    ticket: Ticket,
    frame: Frame,
    mut pool: PicturePool,
) {
    let mut freed = false;
    let mut free = || {
        freed = true;
        let event = StageEvent::SourceFree(ticket, None);
        shared.lock().events.push_back(event);
        shared.event.signal();
    };
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        converting.convert(frame, &mut pool, &mut free)
    }));
    let mut state = shared.lock();
    state.pool = Some(pool);
    match outcome {
        Ok(Ok(Some(picture))) => {
            if !freed {
                state.events.push_back(StageEvent::SourceFree(ticket, None));
            }
            state.events.push_back(StageEvent::Ready(ticket, picture));
        }
        Ok(Ok(None)) => state.events.push_back(StageEvent::Unchanged(ticket)),
        Ok(Err(error)) => state.events.push_back(StageEvent::Failed(ticket, error)),
        Err(_) => {
            let reason = "the conversion panicked".to_owned();
            let error = StageError::Ended {
                reason: reason.clone(),
            };
            state.events.push_back(StageEvent::Failed(ticket, error));
            state.ended = Some(reason);
            state.stop = true;
        }
    }
    drop(state);
    shared.event.signal();
}

/// Retired buffers that may wait while a frame is converted. What is beyond goes when the
/// budget of the cache needs the place.
const MAX_RETIRED: usize = 256;

#[derive(Debug)]
struct Converting {
    layout: PictureLayout,
    color: ColorSpec,
    path: PathClass,
    limit: Duration,
    reader: CpuReader,
    /// For the pixel format of the frame before.
    converter: Option<(Fourcc, Converter)>,
    history: DamageHistory,
    /// Damage of frames that failed: the next picture's damage holds it too.
    carried: Damage,
    /// Where true damage is to be found.
    comparison: Option<Comparison>,
}

/// Finds what really changed.
#[derive(Debug, Default)]
struct Comparison {
    comparer: TileComparer,
    /// Where producers say that something changed that was not looked at yet, because
    /// the frame failed before.
    unseen: Damage,
}

impl Comparison {
    /// What of the damage not seen yet is true.
    fn look(&mut self, source: &convert::Source<'_>) -> Result<Damage, ConvertError> {
        let found = self.comparer.compare(source, &self.unseen)?;
        self.unseen.clear();
        Ok(found)
    }
}

impl Converting {
    /// The picture of `frame`, or `None` where it would be the one before again. Calls
    /// `free` where the source is no longer read before the picture is complete.
    fn convert(
        &mut self,
        frame: Frame,
        pool: &mut PicturePool,
        free: &mut dyn FnMut(),
    ) -> Result<Option<Picture>, StageError> {
        let stage_started = Instant::now();
        let fourcc = frame.buffer.layout().fourcc;
        let mut damage = frame.damage;
        damage.clip(self.layout.visible());
        match &mut self.comparison {
            // What of it is true is known after the source was read.
            Some(comparison) => comparison.unseen.unite(&damage),
            None => {
                self.history.note(&damage);
                self.carried.unite(&damage);
            }
        }

        // One limit for both kinds of fences: the session's watchdog counts the sum.
        let limit = self.limit;
        // What the kernel tracks the reader waits for, whatever the producer says.
        if !matches!(frame.acquire, Acquire::Implicit) {
            wait_acquired(&frame.buffer, &frame.acquire, limit).map_err(StageError::Acquire)?;
        }
        let left = limit.saturating_sub(stage_started.elapsed());
        let read = match self.reader.read(&frame.buffer, left) {
            Err(ReadError::Sync(SyncError::TimedOut { .. })) => {
                return Err(StageError::Acquire(SyncError::TimedOut { limit }));
            }
            Err(ReadError::Sync(error)) => return Err(StageError::Acquire(error)),
            read => read?,
        };
        let mut read = Some(read);
        let planes = read.as_ref().map_or(&[][..], |read| read.planes());
        let source = source_of(&frame.buffer, planes)?;
        let acquired = Instant::now();
        let mut source_free = None;
        let source = match &mut self.comparison {
            Some(comparison) if TileComparer::supports(fourcc) => {
                let found = comparison.look(&source)?;
                self.history.note(&found);
                self.carried.unite(&found);
                if self.carried.is_none() {
                    return Ok(None);
                }
                // All that is needed of the source is in the copy. What the producer
                // draws from here on is found by the next comparison.
                read = None;
                source_free = Some(Instant::now());
                free();
                // There after every comparison.
                comparison
                    .comparer
                    .last()
                    .ok_or_else(|| StageError::Ended {
                        reason: "a comparison kept no copy".to_owned(),
                    })?
            }
            Some(comparison) => {
                // The copy gets old meanwhile: the next comparison begins anew.
                comparison.comparer.reset();
                let damage = std::mem::take(&mut comparison.unseen);
                self.history.note(&damage);
                self.carried.unite(&damage);
                source
            }
            None => source,
        };

        let count = pool.len();
        let mut vacant = pool.take().ok_or(StageError::NoSurface { count })?;
        let slot = vacant.slot();
        if self.converter.as_ref().is_none_or(|(f, _)| *f != fourcc) {
            let size = self.layout.visible();
            let converter = Converter::new(fourcc, size, self.layout, self.color)?;
            self.history.invalidate_all();
            self.carried = Damage::full(size);
            self.converter = Some((fourcc, converter));
        }
        let stale = self.history.take(slot);
        let written = match (&mut self.converter, vacant.surface_mut::<HostSurface>()) {
            (Some((_, converter)), Some(surface)) => converter
                .convert(&source, surface.bytes_mut(), &stale)
                .map_err(StageError::Convert),
            // The pool was made of host surfaces, and the converter just now.
            _ => Err(StageError::NoSurface { count }),
        };
        drop(read);
        if let Err(error) = written {
            self.history.invalidate(slot);
            return Err(error);
        }
        let now = Instant::now();
        let mut times = FrameTimes::at(now);
        times.received = frame.received;
        times.stage_started = stage_started;
        times.acquired = acquired;
        times.source_free = source_free.unwrap_or(now);
        let damage = std::mem::take(&mut self.carried);
        Ok(Some(vacant.publish(PictureInfo::new(
            frame.number,
            frame.timestamp,
            damage,
            self.color,
            self.path,
            times,
        ))))
    }
}

/// The content of `buffer`, of which `planes` are the mapped planes, as the
/// converter takes it.
fn source_of<'a>(
    buffer: &SourceBuffer,
    planes: &[buffer::PlaneView<'a>],
) -> Result<convert::Source<'a>, StageError> {
    let View {
        content,
        orientation,
    } = buffer.view();
    let mut source = convert::Source::new(buffer.layout().fourcc, content.size(), []);
    source.bottom_up = orientation == Orientation::BottomUp;
    for (plane, info) in planes.iter().zip(buffer.format().planes) {
        let (h_sub, v_sub) = (u32::from(info.h_sub), u32::from(info.v_sub));
        if content.x % h_sub != 0 || content.y % v_sub != 0 {
            return Err(StageError::Content {
                content,
                step: Size::new(h_sub, v_sub),
            });
        }
        // Validated: the content lies inside of the buffer, so that both
        // products are smaller than the plane.
        let start = (content.y / v_sub) as usize * plane.stride
            + (content.x / h_sub) as usize * usize::from(info.block_bytes);
        let view = convert::PlaneView::new(plane.data.get(start..).unwrap_or(&[]), plane.stride);
        let _ = source.planes.try_push(view);
    }
    Ok(source)
}
