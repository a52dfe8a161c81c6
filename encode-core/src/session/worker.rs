//! The session's thread.

use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use arrayvec::ArrayVec;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::config::{Delivery, SessionConfig};
use super::error::{SessionError, StreamError};
use super::held::{self, Held};
use super::mailbox::Mailbox;
use super::refine::Refining;
use super::stats::Stats;
use super::stream::{PacketSink, Stream, StreamId};
use super::waker::SessionWaker;
use crate::buffer::BufferKey;
use crate::encoder::{
    Adjustment, Applied, EncodeError, EncoderConfig, OpenError, Picture, StageError, StageEvent,
    Stager, StreamInfo,
};
use crate::geometry::Damage;
use crate::sync::EventFd;

/// Streams of one session. One encode serves many viewers, so that a handful
/// (codecs and quality tiers) is plenty.
const MAX_STREAMS: usize = 8;

/// While anything is under way the loop looks at its clocks at least so often.
const TICK: Duration = Duration::from_millis(100);

pub(super) type Reply<T> = mpsc::Sender<T>;

/// Retired buffers that may wait for the session's thread: more than any cache keeps.
const MAX_RETIRED: usize = 256;

pub(super) enum Command {
    Add(
        EncoderConfig,
        Box<dyn PacketSink>,
        Reply<Result<StreamId, OpenError>>,
    ),
    Remove(StreamId, Reply<Option<()>>),
    Keyframe(StreamId),
    Adjust(
        StreamId,
        Adjustment,
        Reply<Option<Result<Applied, EncodeError>>>,
    ),
    Describe(StreamId, Reply<Option<StreamInfo>>),
    Retire(BufferKey),
}

#[derive(Default)]
struct Control {
    commands: Vec<Command>,
    ended: bool,
    /// It ended by a failure, told or not.
    failed: bool,
    failure: Option<SessionError>,
}

/// What the session's face and its threads share.
pub(super) struct Shared {
    pub(super) mailbox: Mailbox,
    pub(super) held: Held,
    pub(super) stats: Stats,
    control: Mutex<Control>,
    /// Signalled when the session's thread ends.
    end: Condvar,
    event: Arc<EventFd>,
    stop: AtomicBool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(config: &SessionConfig) -> std::io::Result<Self> {
        let event = Arc::new(EventFd::new()?);
        Ok(Self {
            mailbox: Mailbox::new(Arc::clone(&event)),
            held: Held::new(config.hold_limit),
            stats: Stats::new(),
            control: Mutex::default(),
            end: Condvar::new(),
            event,
            stop: AtomicBool::new(false),
        })
    }

    pub(super) fn waker(&self) -> SessionWaker {
        SessionWaker::new(Arc::clone(&self.event))
    }

    fn control(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn command(&self, command: Command) -> Result<(), SessionError> {
        let mut control = self.control();
        if control.ended {
            return Err(control.failure.take().unwrap_or(SessionError::Ended));
        }
        if let Command::Retire(buffer) = &command {
            // With a thread that is stuck in a driver nobody takes them, and a producer
            // goes on. What is left out goes when its place in a cache is needed.
            let mut retired = 0;
            for waiting in &control.commands {
                if let Command::Retire(waiting) = waiting {
                    retired += 1;
                    if waiting == buffer {
                        return Ok(());
                    }
                }
            }
            if retired >= MAX_RETIRED {
                return Ok(());
            }
        }
        control.commands.push(command);
        drop(control);
        self.event.signal();
        Ok(())
    }

    /// Why the session ended early: the reason at first, then only that it did.
    pub(super) fn take_failure(&self) -> Option<SessionError> {
        let mut control = self.control();
        let told_before = control.failed.then_some(SessionError::Ended);
        control.failure.take().or(told_before)
    }

    /// Ends the threads without draining.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.mailbox.close();
        self.held.end();
    }

    /// Waits until the session's thread says that it ends, at most until `deadline`.
    pub(super) fn wait_for_end(&self, deadline: Instant) {
        let control = self.control();
        if control.ended {
            // The thread is between its last word and its exit.
            drop(control);
            std::thread::sleep(Duration::from_micros(200));
            return;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let _woken = self.end.wait_timeout(control, left);
    }

    /// Lets go of every source, being read or waiting.
    pub(super) fn release_sources(&self) {
        held::let_go(self.mailbox.take().and_then(|(_, release)| release));
        self.held.release_all();
    }

    fn ended(&self, failure: Option<SessionError>) {
        // The reason before the closed door: whoever finds that closed asks why.
        let mut control = self.control();
        control.ended = true;
        control.failed = failure.is_some();
        control.failure = failure;
        // Dropping a command drops its reply: whoever waits for it is told.
        let orphans = std::mem::take(&mut control.commands);
        drop(control);
        self.mailbox.close();
        self.release_sources();
        self.held.end();
        drop(orphans);
        self.end.notify_all();
    }
}

pub(super) struct Worker {
    stager: Box<dyn Stager>,
    shared: Arc<Shared>,
    config: SessionConfig,
    streams: Vec<Stream>,
    /// The newest picture: what a stream that joins an idle source begins with.
    last: Option<Picture>,
    staging: usize,
    next_stream: u32,
    /// A frame failed: what it changed is not known to the stager.
    missed: bool,
    /// Buffers that the stager shall forget.
    retired: Vec<BufferKey>,
    commands: Vec<Command>,
}

impl Worker {
    pub(super) fn new(stager: Box<dyn Stager>, shared: Arc<Shared>, config: SessionConfig) -> Self {
        Self {
            stager,
            shared,
            config,
            streams: Vec::with_capacity(MAX_STREAMS),
            last: None,
            staging: 0,
            next_stream: 0,
            missed: false,
            retired: Vec::new(),
            commands: Vec::new(),
        }
    }

    pub(super) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let outcome = catch_unwind(AssertUnwindSafe(|| self.work()));
        let failure = match outcome {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(SessionError::Stage(error)),
            Err(panic) => {
                let message = panic
                    .downcast_ref::<&str>()
                    .map(|s| (*s).to_owned())
                    .or_else(|| panic.downcast_ref::<String>().cloned())
                    .unwrap_or_default();
                Some(SessionError::Panicked(message))
            }
        };
        // Sources first: no consumer and no driver may delay them.
        shared.release_sources();
        let why = failure.as_ref().map(ToString::to_string);
        let streams = std::mem::take(&mut self.streams);
        let contained = |act: &mut dyn FnMut()| {
            if catch_unwind(AssertUnwindSafe(act)).is_err() {
                tracing::error!("a stream or its encoder panicked while it was dropped");
            }
        };
        // One by one: each is told, whatever the one before does.
        for stream in streams {
            let outcome = Err(match &why {
                Some(why) => StreamError::Session(why.clone()),
                None => StreamError::Removed,
            });
            let mut ending = Some((stream, outcome));
            contained(&mut || {
                if let Some((stream, outcome)) = ending.take() {
                    stream.end(outcome, &shared.stats);
                }
            });
        }
        let mut worker = Some(self);
        contained(&mut || drop(worker.take()));
        shared.ended(failure);
    }

    fn work(&mut self) -> Result<(), StageError> {
        loop {
            self.shared.event.drain();
            if self.shared.stop.load(Ordering::Acquire) {
                return Ok(());
            }
            self.obey();
            self.stage()?;
            self.forget();
            self.collect()?;
            self.feed();
            if self.shared.mailbox.is_finished() && self.staging == 0 && self.drain() {
                return Ok(());
            }
            self.sleep();
        }
    }

    fn obey(&mut self) {
        std::mem::swap(&mut self.shared.control().commands, &mut self.commands);
        let mut commands = std::mem::take(&mut self.commands);
        for command in commands.drain(..) {
            // A reply that nobody waits for any more is no error of ours.
            match command {
                Command::Add(config, sink, reply) => {
                    let _ = reply.send(self.add(&config, sink));
                }
                Command::Remove(id, reply) => {
                    let index = self.streams.iter().position(|s| s.id == id);
                    let _ = reply.send(index.map(|index| {
                        let outcome = Err(StreamError::Removed);
                        self.streams.remove(index).end(outcome, &self.shared.stats);
                    }));
                }
                Command::Keyframe(id) => {
                    let last = self.last.as_ref();
                    if let Some(stream) = self.streams.iter_mut().find(|s| s.id == id) {
                        stream.request_keyframe(last);
                    }
                }
                Command::Adjust(id, change, reply) => {
                    let stream = self.streams.iter_mut().find(|s| s.id == id);
                    let _ = reply.send(stream.map(|s| s.adjust(&change)));
                }
                Command::Retire(buffer) => {
                    if !self.retired.contains(&buffer) {
                        self.retired.push(buffer);
                    }
                }
                Command::Describe(id, reply) => {
                    let stream = self.streams.iter().find(|s| s.id == id);
                    let _ = reply.send(stream.map(|s| s.encoder.stream().clone()));
                }
            }
        }
        self.commands = commands;
    }

    fn add(
        &mut self,
        config: &EncoderConfig,
        sink: Box<dyn PacketSink>,
    ) -> Result<StreamId, OpenError> {
        if self.streams.len() == MAX_STREAMS {
            return Err(OpenError::Unsupported {
                encoder: "session".to_owned(),
                what: "another stream",
                detail: format!("{MAX_STREAMS} are open, the most of one session"),
            });
        }
        let encoder = self.stager.encoder(config)?;
        let id = StreamId(self.next_stream);
        self.next_stream += 1;
        self.shared.stats.add_stream(id);
        let refining = Refining::new(self.config.refine, config, encoder.stream().visible);
        self.streams
            .push(Stream::new(id, encoder, sink, self.last.clone(), refining));
        Ok(id)
    }

    /// Gives the waiting frame to the stager, where that has room.
    fn stage(&mut self) -> Result<(), StageError> {
        // Where every frame counts, the next is staged only when no stream
        // would lose the one before.
        let clear = matches!(self.config.delivery, Delivery::Newest)
            || (self.staging == 0 && self.streams.iter().all(Stream::is_clear));
        if !clear || self.stager.room() == 0 {
            return Ok(());
        }
        let Some((mut frame, release)) = self.shared.mailbox.take() else {
            return Ok(());
        };
        if self.missed {
            frame.damage = Damage::full(frame.buffer.view().content.size());
        }
        if self.config.skip_unchanged
            && frame.damage.is_none()
            && (self.last.is_some() || self.staging > 0)
        {
            self.shared.stats.unchanged();
            drop(release);
            return Ok(());
        }
        self.missed = false;
        let (number, received) = (frame.number, frame.received);
        let place = self.shared.held.insert(received, release);
        match self.stager.stage(frame) {
            Ok(ticket) => {
                self.staging += 1;
                self.shared.held.assign(place, ticket);
                Ok(())
            }
            Err(error) => {
                self.shared.held.refuse(place);
                self.refuse(number, error)
            }
        }
    }

    /// Has the stager give up retired buffers; one whose frame still waits is staged
    /// first, or the stager would only take it in anew.
    fn forget(&mut self) {
        let Self {
            retired,
            stager,
            shared,
            ..
        } = self;
        retired.retain(|buffer| {
            let waits = shared.mailbox.holds(buffer);
            if !waits {
                stager.retire(buffer);
            }
            waits
        });
    }

    /// A frame that could not be staged is counted, and the next one makes good
    /// for it; the session goes on unless the device is gone.
    fn refuse(&mut self, number: u64, error: StageError) -> Result<(), StageError> {
        self.shared.stats.failed(&error);
        self.missed = true;
        if error.is_device_lost() {
            return Err(error);
        }
        tracing::warn!(number, %error, "frame not staged");
        Ok(())
    }

    fn collect(&mut self) -> Result<(), StageError> {
        while let Some(event) = self.stager.poll()? {
            match event {
                StageEvent::SourceFree(ticket, fence) => {
                    if let Some(time) = self.shared.held.complete(ticket, fence) {
                        self.shared.stats.held(time);
                    }
                }
                StageEvent::Ready(_, picture) => {
                    self.staging = self.staging.saturating_sub(1);
                    let info = picture.info();
                    self.shared.stats.staged(&info.times, info.path);
                    for stream in &mut self.streams {
                        stream.offer(&picture, &self.shared.stats);
                    }
                    self.last = Some(picture);
                }
                StageEvent::Unchanged(ticket) => {
                    self.staging = self.staging.saturating_sub(1);
                    if let Some(time) = self.shared.held.complete(ticket, None) {
                        self.shared.stats.held(time);
                    }
                    self.shared.stats.unchanged();
                }
                StageEvent::Failed(ticket, error) => {
                    self.staging = self.staging.saturating_sub(1);
                    self.shared.held.complete(ticket, None);
                    self.refuse(ticket.0, error)?;
                }
            }
        }
        Ok(())
    }

    fn feed(&mut self) {
        // Not a clone: one that is dropped wakes this very thread.
        let last = self.last.take();
        let again = last.as_ref().filter(|_| self.is_still());
        self.each_stream(|stream, shared, limit| {
            let done = stream.step(again, &shared.stats, limit);
            done.map(|()| false)
        });
        self.last = last;
    }

    /// True when every stream has ended.
    fn drain(&mut self) -> bool {
        self.each_stream(|stream, _, _| stream.drain());
        self.streams.is_empty()
    }

    /// Runs `act` on each stream; one that returns true or fails is ended.
    fn each_stream(
        &mut self,
        mut act: impl FnMut(&mut Stream, &Shared, Duration) -> Result<bool, StreamError>,
    ) {
        let mut index = 0;
        while index < self.streams.len() {
            match act(
                &mut self.streams[index],
                &self.shared,
                self.config.encode_limit,
            ) {
                Ok(false) => index += 1,
                Ok(true) => {
                    let stream = self.streams.remove(index);
                    stream.end(Ok(()), &self.shared.stats);
                }
                Err(error) => {
                    let stream = self.streams.remove(index);
                    tracing::warn!(stream = %stream.id, %error, "stream ended");
                    stream.end(Err(error), &self.shared.stats);
                }
            }
        }
    }

    /// The last picture is the newest there is and will be for a while.
    fn is_still(&self) -> bool {
        self.staging == 0 && self.shared.mailbox.is_quiet()
    }

    /// Nothing is under way that a clock could end: whatever comes next wakes the thread.
    fn is_idle(&self) -> bool {
        self.is_still() && self.retired.is_empty() && self.streams.iter().all(Stream::is_idle)
    }

    /// Sleeps until something may have changed.
    fn sleep(&self) {
        let mut fds: ArrayVec<PollFd<'_>, { MAX_STREAMS + 2 }> = ArrayVec::new();
        let event: &EventFd = &self.shared.event;
        fds.push(PollFd::from_borrowed_fd(event.as_fd(), PollFlags::IN));
        fds.push(PollFd::from_borrowed_fd(self.stager.wake(), PollFlags::IN));
        for stream in &self.streams {
            fds.push(PollFd::from_borrowed_fd(
                stream.encoder.wake(),
                PollFlags::IN,
            ));
        }
        let timeout = self.nap().map(|nap| Timespec {
            tv_sec: nap.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: nap.subsec_nanos().into(),
        });
        // An interrupted or failed poll is a spurious wake-up.
        let _ = poll(&mut fds, timeout.as_ref());
    }

    /// The longest that the thread may sleep; `None` where only an event ends it.
    fn nap(&self) -> Option<Duration> {
        let still = self.is_still();
        let refines = self.streams.iter().filter(|_| still);
        let refines = refines.filter_map(Stream::refines_at).min().map(|at| {
            let left = at.saturating_duration_since(Instant::now());
            // It is time, and there is no room: that is asked for again.
            if left.is_zero() { TICK } else { left }
        });
        match (self.is_idle(), refines) {
            (true, refines) => refines,
            (false, refines) => Some(refines.map_or(TICK, |left| left.min(TICK))),
        }
    }
}
