//! `appsrc ! encoder ! appsink`, and the queue between its threads and ours.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSinkCallbacks, AppSrc};
use scanout_core::encoder::{BoxedError, OpenError};
use scanout_core::sync::EventFd;

use crate::contexts::Contexts;
use crate::reaper;

/// What an element reported on the bus.
///
/// Its one line is for users; what the element says to developers, with places
/// in its source, is in [`ElementError::debug`] and goes to the debug log.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{element}: {message}")]
pub struct ElementError {
    /// Which element.
    pub element: String,
    /// What it says to users.
    pub message: String,
    /// What it says to developers.
    pub debug: Option<String>,
}

impl ElementError {
    pub(crate) fn of(error: &gstreamer::message::Error) -> Self {
        Self {
            element: error
                .src()
                .map_or_else(|| "GStreamer".to_owned(), |s| s.name().to_string()),
            message: error.error().to_string(),
            debug: error.debug().map(|d| d.replace('\n', " ")),
        }
    }
}

/// One buffer that came out.
#[derive(Debug)]
pub(crate) struct Unit {
    pub(crate) buffer: gstreamer::Buffer,
    pub(crate) caps: Option<gstreamer::Caps>,
    /// Running time, which is what went in: x264enc and x265enc shift their
    /// time stamps by 1000 hours, and their segment with them.
    pub(crate) time: Option<gstreamer::ClockTime>,
    pub(crate) at: Instant,
}

#[derive(Debug, Default)]
struct State {
    units: VecDeque<Unit>,
    error: Option<ElementError>,
    eos: bool,
    started: Option<bool>,
}

/// Filled by the pipeline's threads, emptied by the encoder's caller.
#[derive(Debug)]
pub(crate) struct Output {
    state: Mutex<State>,
    changed: Condvar,
    event: Arc<EventFd>,
}

impl Output {
    pub(crate) fn new(event: Arc<EventFd>) -> Self {
        let state = State {
            // More than are ever inside; see `Encoder::room`.
            units: VecDeque::with_capacity(8),
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
            event,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, act: impl FnOnce(&mut State)) {
        act(&mut self.lock());
        self.changed.notify_all();
        self.event.signal();
    }

    pub(crate) fn pop(&self) -> Option<Unit> {
        self.lock().units.pop_front()
    }

    /// The first error, once.
    pub(crate) fn take_error(&self) -> Option<ElementError> {
        self.lock().error.take()
    }

    /// True when nothing more will come and nothing waits.
    pub(crate) fn is_finished(&self) -> bool {
        let state = self.lock();
        state.eos && state.units.is_empty()
    }

    /// Whether the pipeline plays: `None` while it is on its way.
    pub(crate) fn started(&self) -> Option<bool> {
        self.lock().started
    }

    /// Waits until `met` says so; false when `limit` has passed before that.
    fn wait(&self, limit: Duration, met: impl Fn(&State) -> bool) -> bool {
        let deadline = Instant::now() + limit;
        let mut state = self.lock();
        while !met(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }

    pub(crate) fn wait_started(&self, limit: Duration) -> bool {
        self.wait(limit, |state| state.started.is_some())
    }

    /// Waits for a unit, the end or an error.
    pub(crate) fn wait_any(&self, limit: Duration) -> bool {
        self.wait(limit, |state| {
            !state.units.is_empty() || state.eos || state.error.is_some()
        })
    }

    /// Waits for the end or an error.
    pub(crate) fn wait_end(&self, limit: Duration) -> bool {
        self.wait(limit, |state| state.eos || state.error.is_some())
    }
}

/// What the pipelines of one stager have in common.
#[derive(Clone, Debug, Default)]
pub(crate) struct Around {
    /// Nice value of streaming threads.
    pub(crate) niceness: i32,
    /// Devices that their elements opened.
    pub(crate) contexts: Contexts,
}

/// A pipeline that is taken down by the reaper when dropped.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) pipeline: gstreamer::Pipeline,
    pub(crate) source: AppSrc,
    pub(crate) output: Arc<Output>,
}

/// GStreamer refused to build a pipeline.
pub(crate) fn build_error(what: &str, cause: impl Into<BoxedError>) -> OpenError {
    OpenError::Backend {
        what: what.to_owned(),
        cause: cause.into(),
    }
}

/// A source that takes buffers without ever waiting. Live, because some
/// encoders (va) otherwise hold pictures back for throughput. Without `caps`
/// they have to be set before the first buffer.
pub(crate) fn source<'a>(caps: impl Into<Option<&'a gstreamer::Caps>>) -> AppSrc {
    let source = AppSrc::builder()
        .format(gstreamer::Format::Time)
        .is_live(true)
        .block(false)
        // How much is inside is bounded by whoever pushes.
        .max_bytes(0);
    match caps.into() {
        Some(caps) => source.caps(caps).build(),
        None => source.build(),
    }
}

/// A sink that hands on every buffer at once.
fn sink(caps: &gstreamer::Caps) -> AppSink {
    AppSink::builder()
        .caps(caps)
        .sync(false)
        .async_(false)
        .qos(false)
        .enable_last_sample(false)
        .build()
}

impl Pipeline {
    /// Links `source`, `elements` and a sink for `caps`. Does not start it.
    pub(crate) fn to_units(
        source: AppSrc,
        elements: &[gstreamer::Element],
        caps: &gstreamer::Caps,
        event: Arc<EventFd>,
        around: &Around,
    ) -> Result<Self, OpenError> {
        let sink = sink(caps);
        let output = Arc::new(Output::new(event));
        let (samples, end) = (Arc::clone(&output), Arc::clone(&output));
        sink.set_callbacks(
            AppSinkCallbacks::builder()
                .new_sample(move |sink| {
                    let sample = sink
                        .pull_sample()
                        .map_err(|_| gstreamer::FlowError::Flushing)?;
                    let at = Instant::now();
                    if let Some(buffer) = sample.buffer_owned() {
                        let time = sample
                            .segment()
                            .and_then(|s| s.downcast_ref::<gstreamer::ClockTime>())
                            .and_then(|s| s.to_running_time(buffer.pts()));
                        let caps = sample.caps_owned();
                        let unit = Unit {
                            buffer,
                            caps,
                            time,
                            at,
                        };
                        samples.change(|state| state.units.push_back(unit));
                    }
                    Ok(gstreamer::FlowSuccess::Ok)
                })
                .eos(move |_| end.change(|state| state.eos = true))
                .build(),
        );
        let mut all = elements.to_vec();
        all.push(sink.upcast());
        Self::link(source, &all, output, around)
    }

    /// Links `source` and `elements`, the last of which is a sink.
    pub(crate) fn link(
        source: AppSrc,
        elements: &[gstreamer::Element],
        output: Arc<Output>,
        around: &Around,
    ) -> Result<Self, OpenError> {
        let pipeline = gstreamer::Pipeline::new();
        let build = |cause| build_error("building a pipeline", cause);
        pipeline.add(&source).map_err(build)?;
        pipeline.add_many(elements).map_err(build)?;
        let mut last: gstreamer::Element = source.clone().upcast();
        for element in elements {
            last.link(element)
                .map_err(|cause| build_error("linking a pipeline", cause))?;
            last = element.clone();
        }
        let Some(bus) = pipeline.bus() else {
            return Err(build_error("building a pipeline", "it has no bus"));
        };
        let messages = Arc::clone(&output);
        let around = around.clone();
        bus.set_sync_handler(move |_, message| {
            around.contexts.handle(message);
            on_message(&messages, message, around.niceness);
            // Nobody reads the bus: a message kept there would stay.
            gstreamer::BusSyncReply::Drop
        });
        Ok(Self {
            pipeline,
            source,
            output,
        })
    }

    /// Begins to play. [`Output::started`] tells when that is done: an
    /// element's start may wait for a driver, so it has a thread of its own.
    pub(crate) fn start(&self) -> Result<(), OpenError> {
        let (pipeline, output) = (self.pipeline.clone(), Arc::clone(&self.output));
        std::thread::Builder::new()
            .name("scanout-gst-start".to_owned())
            .spawn(move || {
                let playing = pipeline.set_state(gstreamer::State::Playing);
                output.change(|state| state.started = Some(playing.is_ok()));
            })
            .map(drop)
            .map_err(|cause| OpenError::System {
                what: "starting a thread",
                cause,
            })
    }

    /// [`Pipeline::start`], and waits for it.
    pub(crate) fn start_within(&self, limit: Duration) -> Result<(), OpenError> {
        self.start()?;
        if !self.output.wait_started(limit) {
            return Err(OpenError::TimedOut {
                what: "starting a GStreamer pipeline",
                limit,
            });
        }
        if self.output.started() == Some(true) {
            return Ok(());
        }
        Err(match self.output.take_error() {
            Some(error) => build_error("starting a GStreamer pipeline", error),
            None => build_error(
                "starting a GStreamer pipeline",
                "an element refused to start",
            ),
        })
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        reaper::take_down(self.pipeline.clone());
    }
}

fn on_message(output: &Output, message: &gstreamer::Message, niceness: i32) {
    match message.view() {
        gstreamer::MessageView::Error(error) => {
            let error = ElementError::of(error);
            tracing::debug!(%error, debug = error.debug.as_deref(), "element failed");
            output.change(|state| {
                // The first is the cause, those after it are its echoes.
                state.error.get_or_insert(error);
            });
        }
        gstreamer::MessageView::Eos(_) => output.change(|state| state.eos = true),
        gstreamer::MessageView::Warning(warning) => {
            tracing::warn!(warning = %warning.error(), debug = ?warning.debug(), "element warns");
        }
        gstreamer::MessageView::StreamStatus(status)
            if niceness != 0 && status.get().0 == gstreamer::StreamStatusType::Enter =>
        {
            // In the streaming thread itself, before the encoder makes its own
            // threads, which inherit it. On Linux a priority is a thread's.
            if let Err(error) = rustix::process::setpriority_process(None, niceness) {
                tracing::debug!(%error, niceness, "priority not set");
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_that_fails_in_mid_run_is_an_error_with_its_words() {
        gstreamer::init().unwrap();
        let identity = gstreamer::ElementFactory::make("identity")
            .name("failing")
            .property("error-after", 2i32)
            .build()
            .unwrap();
        let caps = gstreamer::Caps::builder("video/x-raw").build();
        let event = Arc::new(EventFd::new().unwrap());
        let pipeline = Pipeline::to_units(
            source(&caps),
            &[identity],
            &caps,
            Arc::clone(&event),
            &Around::default(),
        )
        .unwrap();
        pipeline.start_within(Duration::from_secs(5)).unwrap();
        for _ in 0..3 {
            let _ = pipeline.source.push_buffer(gstreamer::Buffer::new());
        }
        assert!(pipeline.output.wait_end(Duration::from_secs(5)));
        let error = pipeline.output.take_error().unwrap();
        assert_eq!(error.element, "failing");
        assert!(event.drain(), "the wake was not raised");
        assert!(error.to_string().contains("failing: "), "{error}");
        // Places in GStreamer's source are for the log.
        let said = error.debug.clone().unwrap_or_default();
        assert!(said.contains(".c("), "{said}");
        assert!(!error.to_string().contains(".c("), "{error}");
        assert!(pipeline.output.take_error().is_none());
    }

    #[test]
    fn streaming_threads_run_at_the_nice_value_asked_for() {
        gstreamer::init().unwrap();
        let identity = gstreamer::ElementFactory::make("identity").build().unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        let pad = identity.static_pad("src").unwrap();
        pad.add_probe(gstreamer::PadProbeType::BUFFER, move |_, _| {
            let _ = tell.send(rustix::process::getpriority_process(None));
            gstreamer::PadProbeReturn::Ok
        });
        let caps = gstreamer::Caps::builder("video/x-raw").build();
        let event = Arc::new(EventFd::new().unwrap());
        let around = Around {
            niceness: 7,
            ..Around::default()
        };
        let pipeline =
            Pipeline::to_units(source(&caps), &[identity], &caps, event, &around).unwrap();
        pipeline.start_within(Duration::from_secs(5)).unwrap();
        pipeline
            .source
            .push_buffer(gstreamer::Buffer::new())
            .unwrap();
        let own = rustix::process::getpriority_process(None).unwrap();
        assert_eq!(
            told.recv_timeout(Duration::from_secs(5)).unwrap(),
            Ok(7.max(own))
        );
        assert_eq!(rustix::process::getpriority_process(None).unwrap(), own);
    }

    #[test]
    fn a_pipeline_that_cannot_start_says_why() {
        gstreamer::init().unwrap();
        let sink = gstreamer::ElementFactory::make("filesink")
            .property("location", "/no/such/folder/file")
            .build()
            .unwrap();
        let caps = gstreamer::Caps::builder("video/x-raw").build();
        let output = Arc::new(Output::new(Arc::new(EventFd::new().unwrap())));
        let pipeline = Pipeline::link(source(&caps), &[sink], output, &Around::default()).unwrap();
        let error = pipeline.start_within(Duration::from_secs(5)).unwrap_err();
        assert!(
            error.to_string().contains("/no/such/folder/file"),
            "{error}"
        );
    }
}
