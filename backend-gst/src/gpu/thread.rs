//! The thread that waits: for the source's fence, for the converter, for the
//! picture.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use scanout_core::buffer::{BufferKey, Layout, Orientation, SourceBuffer, wait_acquired};
use scanout_core::color::ColorSpec;
use scanout_core::convert::PictureLayout;
use scanout_core::encoder::{
    Codec, Frame, FrameTimes, OpenError, PathClass, PictureInfo, PicturePool, StageConfig,
    StageError, StageEvent, Surface, Ticket,
};
use scanout_core::geometry::{Damage, Size};
use scanout_core::sync::EventFd;

use super::converter::{Converter, flip};
use super::source::{self, Form, Imports};
use super::{GstSurface, Unfit};
use crate::frame;
use crate::pipeline::{self, Around, ElementError, Pipeline, build_error};

/// A driver on a cold card starts within two seconds.
const START_LIMIT: Duration = Duration::from_secs(5);

/// A conversion takes milliseconds; a GPU that is reset is back within two
/// seconds, or never.
const CONVERT_LIMIT: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) event: Arc<EventFd>,
}

#[derive(Debug)]
struct State {
    busy: bool,
    pool: PicturePool,
    events: VecDeque<StageEvent>,
    ended: Option<String>,
}

impl Shared {
    pub(super) fn new(config: &StageConfig) -> Result<Self, OpenError> {
        let event = Arc::new(EventFd::new().map_err(|cause| OpenError::System {
            what: "eventfd",
            cause,
        })?);
        let pool = PicturePool::new(config.pictures, Arc::clone(&event), |_| {
            Ok::<_, OpenError>(Box::new(GstSurface::default()) as Box<dyn Surface>)
        })?;
        Ok(Self {
            state: Mutex::new(State {
                busy: false,
                pool,
                events: VecDeque::with_capacity(8),
                ended: None,
            }),
            event,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn room(&self) -> usize {
        let state = self.lock();
        usize::from(!state.busy && state.ended.is_none() && state.pool.vacant() > 0)
    }

    /// Reserves the thread for one frame.
    pub(super) fn claim(&self) -> Result<(), StageError> {
        let mut state = self.lock();
        if let Some(reason) = &state.ended {
            return Err(StageError::Ended {
                reason: reason.clone(),
            });
        }
        let count = state.pool.len();
        if state.busy {
            return Err(StageError::NoSurface { count });
        }
        // The surface goes back to the converter before the next is made, not
        // when its place is written over.
        let Some(mut vacant) = state.pool.take() else {
            return Err(StageError::NoSurface { count });
        };
        if let Some(surface) = vacant.surface_mut::<GstSurface>() {
            surface.buffer = None;
        }
        state.busy = true;
        Ok(())
    }

    pub(super) fn poll(&self) -> Result<Option<StageEvent>, StageError> {
        let mut state = self.lock();
        if let Some(event) = state.events.pop_front() {
            return Ok(Some(event));
        }
        self.event.drain();
        match &state.ended {
            Some(reason) => Err(StageError::Ended {
                reason: reason.clone(),
            }),
            None => Ok(None),
        }
    }

    fn done(&self, ticket: Ticket, outcome: Result<(gstreamer::Buffer, PictureInfo), StageError>) {
        let mut state = self.lock();
        state.busy = false;
        let published = outcome.and_then(|(buffer, info)| {
            let count = state.pool.len();
            let mut vacant = state.pool.take().ok_or(StageError::NoSurface { count })?;
            if let Some(surface) = vacant.surface_mut::<GstSurface>() {
                surface.buffer = Some(buffer);
            }
            Ok(vacant.publish(info))
        });
        match published {
            Ok(picture) => {
                state.events.push_back(StageEvent::SourceFree(ticket, None));
                state.events.push_back(StageEvent::Ready(ticket, picture));
            }
            Err(error) => {
                if error.is_device_lost() {
                    state.ended = Some(error.to_string());
                }
                state.events.push_back(StageEvent::Failed(ticket, error));
            }
        }
        drop(state);
        self.event.signal();
    }
}

/// What the thread is told.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "frames, which are many, go without an allocation"
)]
pub(super) enum Job {
    /// To convert this frame.
    Convert(Ticket, Frame),
    /// To give up what is kept of this buffer.
    Retire(BufferKey),
}

/// Starts the thread, which ends when the stager is gone. It is not waited for:
/// no call into a driver is bounded.
pub(super) fn start(
    shared: Arc<Shared>,
    mut converting: Converting,
) -> Result<mpsc::Sender<Job>, OpenError> {
    let (sender, jobs) = mpsc::channel::<Job>();
    std::thread::Builder::new()
        .name("scanout-gst-gpu".to_owned())
        .spawn(move || {
            while let Ok(job) = jobs.recv() {
                let (ticket, frame) = match job {
                    Job::Convert(ticket, frame) => (ticket, frame),
                    Job::Retire(buffer) => {
                        converting.imports.retire(&buffer);
                        continue;
                    }
                };
                let outcome = catch_unwind(AssertUnwindSafe(|| converting.convert(&frame)));
                let outcome = outcome.unwrap_or_else(|_| {
                    Err(StageError::Ended {
                        reason: "the conversion panicked".to_owned(),
                    })
                });
                let lost = outcome.as_ref().is_err_and(StageError::is_device_lost);
                drop(frame);
                shared.done(ticket, outcome);
                if lost {
                    return;
                }
            }
        })
        .map_err(|cause| OpenError::System {
            what: "starting a thread",
            cause,
        })?;
    Ok(sender)
}

/// The converter's pipeline and what it was last told.
#[derive(Debug)]
pub(super) struct Converting {
    pipeline: Pipeline,
    flipper: gstreamer::Element,
    name: String,
    feature: Option<&'static str>,
    imports: Imports,
    size: Size,
    color: ColorSpec,
    acquire_limit: Duration,
    described: Option<Layout>,
    count: u64,
    /// Damage of frames that failed: the next picture's damage holds it too.
    carried: Damage,
}

impl Converting {
    pub(super) fn new(
        config: &StageConfig,
        layout: &PictureLayout,
        converter: &Converter,
        around: &Around,
    ) -> Result<Self, OpenError> {
        let elements = converter.make()?;
        let flipper = elements
            .get(converter.flips)
            .cloned()
            .ok_or_else(|| build_error("building a converter", "it has no such element"))?;
        let target = frame::caps(
            layout,
            layout.coded(),
            config.color,
            Codec::H264,
            None,
            converter.memory,
        )
        .ok_or_else(|| build_error("describing pictures", "no caps for NV12"))?;
        let event = EventFd::new().map_err(|cause| OpenError::System {
            what: "eventfd",
            cause,
        })?;
        // Described with the first frame.
        let source = pipeline::source(None);
        let pipeline = Pipeline::to_units(source, &elements, &target, Arc::new(event), around)?;
        pipeline.start_within(START_LIMIT)?;
        Ok(Self {
            pipeline,
            flipper,
            name: converter.name(),
            feature: converter.source,
            imports: Imports::new(),
            size: config.size,
            color: config.color,
            acquire_limit: config.acquire_limit,
            described: None,
            count: 0,
            carried: Damage::none(),
        })
    }

    fn convert(&mut self, frame: &Frame) -> Result<(gstreamer::Buffer, PictureInfo), StageError> {
        let stage_started = Instant::now();
        let mut damage = frame.damage.clone();
        damage.clip(self.size);
        self.carried.unite(&damage);
        let SourceBuffer::DmaBuf(source) = &frame.buffer else {
            return Err(StageError::Path {
                path: PathClass::CpuUpload,
                ceiling: PathClass::GpuCopy,
            });
        };
        let mut buffer = self.imports.wrap(source)?;
        self.describe(source.layout())?;
        let over = source.view().orientation == Orientation::BottomUp;
        if !flip(&self.flipper, over) {
            return Err(Unfit::NoFlip(self.name.clone()).stage());
        }
        wait_acquired(&frame.buffer, &frame.acquire, self.acquire_limit)
            .map_err(StageError::Acquire)?;
        let acquired = Instant::now();

        self.count += 1;
        let writable = buffer.make_mut();
        writable.set_pts(gstreamer::ClockTime::from_useconds(self.count));
        let output = &self.pipeline.output;
        if let Err(flow) = self.pipeline.source.push_buffer(buffer) {
            return Err(self.lost(output.take_error(), &format!("it takes no buffer: {flow}")));
        }
        output.wait_any(CONVERT_LIMIT);
        let Some(unit) = output.pop() else {
            let said = format!("no picture within {CONVERT_LIMIT:?}");
            return Err(self.lost(output.take_error(), &said));
        };
        // Waits until the surface is written, and with that until the source is
        // read; see the front page of this module.
        if unit.buffer.map_readable().is_err() {
            return Err(self.lost(None, "its picture cannot be waited for"));
        }
        let mut times = FrameTimes::at(Instant::now());
        times.received = frame.received;
        times.stage_started = stage_started;
        times.acquired = acquired;
        let info = PictureInfo::new(
            frame.number,
            frame.timestamp,
            std::mem::take(&mut self.carried),
            self.color,
            PathClass::GpuCopy,
            times,
        );
        Ok((unit.buffer, info))
    }

    /// Tells the pipeline what comes, where that changed.
    fn describe(&mut self, layout: &Layout) -> Result<(), StageError> {
        let same = self.described.as_ref().is_some_and(|d| {
            (d.fourcc, d.modifier, d.size) == (layout.fourcc, layout.modifier, layout.size)
        });
        if !same {
            let caps = source::caps(layout, self.feature, Form::here(), self.color)
                .ok_or_else(|| source::no_caps(layout))?;
            self.pipeline.source.set_caps(Some(&caps));
            self.described = Some(layout.clone());
        }
        Ok(())
    }

    /// A pipeline that failed takes nothing more.
    fn lost(&self, error: Option<ElementError>, otherwise: &str) -> StageError {
        StageError::DeviceLost(match error {
            Some(error) => error.to_string(),
            None => format!("{}: {otherwise}", self.name),
        })
    }
}
