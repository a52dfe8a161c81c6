//! A stager and its encoders on a thread of their own.
//!
//! The producer's thread calls [`Session::submit`] with each frame and goes on.
//! The session's thread stages the newest frame, tells the producer as soon as
//! its buffer was read, hands the picture to every stream, and gives each
//! packet to its stream's [`PacketSink`]. A second thread, the watchdog, lets
//! go of a source whose staging does not come back in time, even while the
//! session's thread is stuck in a driver.
//!
//! What is where: `mailbox` holds the newest frame, `held` the sources being
//! read, `stream` one encoder with its pending picture, `worker` the loop that
//! moves frames between them, `refine` when a picture is coded again, `waker` how others wake that, `stats` the counts
//! and times.

mod config;
mod error;
mod held;
mod mailbox;
mod refine;
mod stats;
mod stream;
mod waker;
mod worker;

use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use config::{Delivery, Refinement, SessionConfig};
pub use error::{SessionError, StreamError, SubmitError};
pub use stats::{FrameCounts, SessionStats, StageTimes, StreamStats, Summary};
pub use stream::{PacketSink, StreamId};
pub use waker::SessionWaker;

use crate::buffer::BufferKey;
use crate::encoder::{Adjustment, Applied, EncoderConfig, Frame, Stager, StreamInfo};
use crate::sync::Release;
use worker::{Command, Shared, Worker};

/// The end of `limit` from now; of a limit that no clock can say, the end of a century.
fn deadline(limit: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 366 * 24 * 3600);
    let now = Instant::now();
    now.checked_add(limit).unwrap_or_else(|| now + CENTURY)
}

/// A running stager with its streams. Dropping it stops it without draining.
#[derive(Debug)]
pub struct Session {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    config: SessionConfig,
}

impl Session {
    /// Starts the session's threads around `stager`.
    pub fn start(stager: Box<dyn Stager>, config: SessionConfig) -> Result<Self, SessionError> {
        let system = |what, cause| SessionError::System { what, cause };
        let shared = Arc::new(Shared::new(&config).map_err(|e| system("eventfd", e))?);
        let mut session = Self {
            shared: Arc::clone(&shared),
            threads: Vec::with_capacity(2),
            config,
        };
        let spawn = |name: &str, body: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new()
                .name(name.to_owned())
                .spawn(body)
                .map_err(|e| system("starting a thread", e))
        };
        let worker = Worker::new(stager, Arc::clone(&shared), config);
        session
            .threads
            .push(spawn("scanout-session", Box::new(move || worker.run()))?);
        session.threads.push(spawn(
            "scanout-watchdog",
            Box::new(move || shared.held.watch(&shared.mailbox, &shared.stats)),
        )?);
        Ok(session)
    }

    /// Hands over a frame. `release` completes when the source was read, was
    /// replaced by a newer frame, or could not be staged.
    ///
    /// With [`Delivery::Newest`] this never blocks: a frame that still waits is
    /// replaced and its damage added to this one's. With [`Delivery::Every`] it
    /// waits for a free place up to the limit given there.
    pub fn submit(&self, frame: Frame, release: Release) -> Result<(), SubmitError> {
        let Shared {
            mailbox,
            held,
            stats,
            ..
        } = &*self.shared;
        mailbox.submit(frame, release, &self.config.delivery, stats)?;
        held.poke();
        Ok(())
    }

    /// Opens an encoder and attaches it; its first packet is a keyframe, of the
    /// last picture if the source is idle. Blocks until the encoder is open, at
    /// most [`SessionConfig::control_limit`].
    pub fn add_stream(
        &self,
        config: EncoderConfig,
        sink: Box<dyn PacketSink>,
    ) -> Result<StreamId, SessionError> {
        self.ask(|reply| Command::Add(config, sink, reply))?
            .map_err(SessionError::Open)
    }

    /// Detaches a stream; its encoder is dropped with what is inside. The sink
    /// is told that it ended.
    pub fn remove_stream(&self, stream: StreamId) -> Result<(), SessionError> {
        self.ask(|reply| Command::Remove(stream, reply))?
            .ok_or(SessionError::NoStream(stream))
    }

    /// The next picture of `stream` is a keyframe; if the source is idle, the
    /// last picture is coded again. Never blocks.
    pub fn request_keyframe(&self, stream: StreamId) -> Result<(), SessionError> {
        self.tell(Command::Keyframe(stream))
    }

    /// Changes a running stream from its next picture on. Blocks until that is
    /// done, at most [`SessionConfig::control_limit`].
    pub fn adjust(&self, stream: StreamId, change: Adjustment) -> Result<Applied, SessionError> {
        self.ask(|reply| Command::Adjust(stream, change, reply))?
            .ok_or(SessionError::NoStream(stream))?
            .map_err(SessionError::Encode)
    }

    /// The scanout that lay in `buffer` was replaced or disabled: what is kept of the
    /// buffer from frame to frame is given up, so that its memory can go. Frames of it
    /// that were submitted before are staged all the same. Never blocks.
    ///
    /// Call it whenever a producer says so, as the kernel does not tell when the producer
    /// closes a buffer; up to [`CacheBudget`](crate::buffer::CacheBudget) of dead buffers
    /// stay otherwise.
    pub fn retire(&self, buffer: &BufferKey) -> Result<(), SessionError> {
        self.tell(Command::Retire(buffer.clone()))
    }

    /// Wakes the session's thread, from any thread: for whoever makes
    /// [room](PacketSink::room) in a sink.
    pub fn waker(&self) -> SessionWaker {
        self.shared.waker()
    }

    /// What a stream's encoder granted. Blocks at most [`SessionConfig::control_limit`].
    pub fn stream(&self, stream: StreamId) -> Result<StreamInfo, SessionError> {
        self.ask(|reply| Command::Describe(stream, reply))?
            .ok_or(SessionError::NoStream(stream))
    }

    /// Counts and times so far.
    pub fn stats(&self) -> SessionStats {
        self.shared.stats.snapshot()
    }

    /// Stages and codes what was submitted, drains every encoder, stops.
    ///
    /// Blocks at most `limit`; what has not come out by then is given up, its
    /// sources are released, and the error says what hung.
    pub fn finish(mut self, limit: Duration) -> Result<SessionStats, SessionError> {
        self.shared.mailbox.close();
        let done = self.join_until(deadline(limit));
        if !done {
            self.shared.stop();
            // A thread stuck in a driver cannot be stopped: it is left behind,
            // holding no source.
            let joined = self.join_until(Instant::now() + Duration::from_millis(200));
            self.shared.release_sources();
            self.threads.clear();
            return Err(SessionError::FinishTimedOut {
                limit,
                stuck: !joined,
            });
        }
        match self.shared.take_failure() {
            Some(failure) => Err(failure),
            None => Ok(self.stats()),
        }
    }

    /// Joins the threads that end by `deadline`; true when all did.
    fn join_until(&mut self, deadline: Instant) -> bool {
        loop {
            let mut running = Vec::new();
            for thread in self.threads.drain(..) {
                if thread.is_finished() {
                    // A panic was caught and recorded inside.
                    let _ = thread.join();
                } else {
                    running.push(thread);
                }
            }
            self.threads = running;
            if self.threads.is_empty() {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            self.shared.wait_for_end(deadline);
        }
    }

    fn tell(&self, command: Command) -> Result<(), SessionError> {
        self.shared.command(command)
    }

    fn ask<T>(&self, make: impl FnOnce(mpsc::Sender<T>) -> Command) -> Result<T, SessionError> {
        let (reply, answer) = mpsc::channel();
        self.tell(make(reply))?;
        answer
            .recv_timeout(self.config.control_limit)
            .map_err(|error| match error {
                mpsc::RecvTimeoutError::Timeout => SessionError::TimedOut {
                    limit: self.config.control_limit,
                },
                mpsc::RecvTimeoutError::Disconnected => {
                    self.shared.take_failure().unwrap_or(SessionError::Ended)
                }
            })
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.threads.is_empty() {
            return;
        }
        self.shared.stop();
        if !self.join_until(Instant::now() + Duration::from_secs(1)) {
            tracing::error!("a session thread does not end; it is left behind");
        }
        self.shared.release_sources();
    }
}
