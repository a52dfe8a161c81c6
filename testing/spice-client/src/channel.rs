//! One channel: a thread over a blocking socket, and the hands on it.

mod thread;

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use scanout_spice::wire::link::{Capabilities, ChannelType};

use crate::judge::{Judge, Violation};
use crate::link::Linked;
use crate::log::Log;
use crate::reports::{Reporter, Reports};
use thread::Worker;

/// Bytes that may wait to be sent: a client says little.
const OUTGOING_MAX: usize = 1 << 20;

/// How fast a channel is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// As it comes.
    #[default]
    Free,
    /// So many bytes a second.
    Slow(u64),
    /// Not at all.
    Stalled,
}

/// Why a channel is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It was closed here.
    Closed,
    /// The server closed it between two messages.
    ServerClosed,
    /// The server closed it in a message, of which so many bytes were there.
    Cut(usize),
    /// What came is no message: nothing after it can be read.
    Lost(String),
    /// The system's reason.
    Failed(String),
}

/// A condition that did not come true in time.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "{channel_type:?} channel {channel_id}: nothing like that in {limit:?}; {records} messages, end {end:?}, violations {violations:?}"
)]
pub struct TimedOut {
    /// The channel.
    pub channel_type: ChannelType,
    /// Which of several.
    pub channel_id: u8,
    /// The time given.
    pub limit: Duration,
    /// Messages so far.
    pub records: usize,
    /// Whether the channel is over.
    pub end: Option<End>,
    /// The first that was wrong.
    pub violations: Vec<Violation>,
}

/// The clock of the streams, as main said it last.
#[derive(Debug, Default)]
pub(crate) struct Clock(Mutex<Option<(u32, Instant)>>);

impl Clock {
    pub(crate) fn set(&self, mm_time: u32, at: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((mm_time, at));
    }

    /// The stamp of `at`.
    pub(crate) fn at(&self, at: Instant) -> Option<u32> {
        let (mm_time, since) = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        Some(mm_time.wrapping_add(at.saturating_duration_since(since).as_millis() as u32))
    }
}

/// What a channel is to do.
#[derive(Clone, Debug)]
pub(crate) struct Behaviour {
    pub(crate) pace: Pace,
    pub(crate) reports: Reports,
    pub(crate) acks: bool,
    pub(crate) pongs: bool,
    pub(crate) keep_pictures: bool,
    /// Sent first, as a display's INIT is.
    pub(crate) first: Vec<u8>,
}

/// A linked channel, recorded by a thread of its own.
#[derive(Debug)]
pub struct Channel {
    channel_type: ChannelType,
    channel_id: u8,
    server_caps: Capabilities,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    log: Log,
    pace: Pace,
    pongs: bool,
    acks: bool,
    outgoing: VecDeque<Vec<u8>>,
    queued: usize,
    motions: u64,
    close: bool,
    end: Option<End>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Channel {
    pub(crate) fn start(
        linked: Linked,
        channel_type: ChannelType,
        channel_id: u8,
        caps: Capabilities,
        behaviour: Behaviour,
        clock: Arc<Clock>,
    ) -> Self {
        let server_caps = linked.channel_caps;
        let state = State {
            pace: behaviour.pace,
            acks: behaviour.acks,
            pongs: behaviour.pongs,
            ..State::default()
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let worker = Worker::new(
            linked.connection,
            (channel_type, channel_id),
            Judge::new(channel_type, caps),
            Reporter::new(behaviour.reports),
            behaviour.keep_pictures,
            behaviour.first,
            clock,
            Arc::clone(&shared),
        );
        Self {
            channel_type,
            channel_id,
            server_caps,
            shared,
            thread: Some(std::thread::spawn(move || worker.run())),
        }
    }

    /// The channel's type.
    pub fn channel_type(&self) -> ChannelType {
        self.channel_type
    }

    /// Which of several.
    pub fn channel_id(&self) -> u8 {
        self.channel_id
    }

    /// The server's capabilities for it.
    pub fn server_caps(&self) -> Capabilities {
        self.server_caps
    }

    /// Reads on as fast as this says.
    pub fn set_pace(&self, pace: Pace) {
        self.shared.lock().pace = pace;
        self.shared.changed.notify_all();
    }

    /// Whether pings are answered.
    pub fn set_pongs(&self, answer: bool) {
        self.shared.lock().pongs = answer;
    }

    /// Whether acknowledgements are sent.
    pub fn set_acks(&self, send: bool) {
        self.shared.lock().acks = send;
    }

    /// Sends bytes as they are: messages, or what is none. Gone when the channel is over
    /// or a megabyte waits already.
    pub fn send(&self, bytes: &[u8]) {
        let mut state = self.shared.lock();
        if state.queued + bytes.len() <= OUTGOING_MAX {
            state.queued += bytes.len();
            state.outgoing.push_back(bytes.to_vec());
        }
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Sends a motion or position, which the judge is to count.
    pub fn send_motion(&self, bytes: &[u8]) {
        self.shared.lock().motions += 1;
        self.send(bytes);
    }

    /// What came so far, held still while `look` looks at it.
    pub fn look<T>(&self, look: impl FnOnce(&Log) -> T) -> T {
        look(&self.shared.lock().log)
    }

    /// Waits until `look` gives something.
    ///
    /// # Errors
    /// [`TimedOut`], after `limit` or when the channel is over before.
    pub fn wait_for<T>(
        &self,
        limit: Duration,
        mut look: impl FnMut(&Log) -> Option<T>,
    ) -> Result<T, TimedOut> {
        let until = Instant::now() + limit;
        let mut state = self.shared.lock();
        loop {
            if let Some(value) = look(&state.log) {
                return Ok(value);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || state.end.is_some() {
                return Err(TimedOut {
                    channel_type: self.channel_type,
                    channel_id: self.channel_id,
                    limit,
                    records: state.log.records.len(),
                    end: state.end.clone(),
                    violations: state.log.violations.iter().take(3).cloned().collect(),
                });
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for the channel's end.
    ///
    /// # Errors
    /// [`TimedOut`].
    pub fn wait_for_end(&self, limit: Duration) -> Result<End, TimedOut> {
        let until = Instant::now() + limit;
        let mut state = self.shared.lock();
        loop {
            if let Some(end) = &state.end {
                return Ok(end.clone());
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(TimedOut {
                    channel_type: self.channel_type,
                    channel_id: self.channel_id,
                    limit,
                    records: state.log.records.len(),
                    end: None,
                    violations: state.log.violations.iter().take(3).cloned().collect(),
                });
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Why the channel is over, if it is.
    pub fn end(&self) -> Option<End> {
        self.shared.lock().end.clone()
    }

    /// What was wrong so far.
    pub fn violations(&self) -> Vec<Violation> {
        self.shared.lock().log.violations.clone()
    }

    /// Ends the channel, and waits for its thread.
    pub fn close(&mut self) {
        self.shared.lock().close = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was printed where it happened.
            let _ = thread.join();
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.close();
    }
}
