//! One thread per stage for what drivers may take their time for: opening stagers and
//! encoders, changing and closing them.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use scanout_core::encoder::{Adjustment, Bitrate, EncoderConfig, StageConfig};
use scanout_core::session::{
    PacketSink, Refinement, Session, SessionConfig, SessionError, StreamId,
};

use super::config::EncoderChoice;
use super::inbox::{FromStage, Inbox};
use super::stats::Stats;
use crate::gl::{CoderId, StageId};

/// Stages that exist at a time, those included that a driver keeps from ending: twice
/// what the machine opens, as during a resize the old end while the new begin.
const MAX_STAGES: usize = 16;

/// Orders that wait for a stage's thread: openings and closings of its few encoders.
const MAX_ORDERS: usize = 64;

/// A rate that an encoder shall have: the newest counts.
#[derive(Debug, Default)]
pub(super) struct Wanted(Mutex<Option<Bitrate>>);

impl Wanted {
    fn lock(&self) -> MutexGuard<'_, Option<Bitrate>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True where nobody has been sent to take it yet.
    pub(super) fn set(&self, bitrate: Bitrate) -> bool {
        self.lock().replace(bitrate).is_none()
    }

    fn take(&self) -> Option<Bitrate> {
        self.lock().take()
    }
}

pub(super) enum Order {
    Open(CoderId, EncoderConfig, Box<dyn PacketSink>),
    Adjust(CoderId, Arc<Wanted>),
    Close(CoderId),
}

/// Sends orders to a stage's thread. When it is dropped the stage ends.
pub(super) struct Orders {
    sender: SyncSender<Order>,
    ending: Arc<AtomicBool>,
}

impl Orders {
    /// False where the stage's thread takes no more.
    pub(super) fn send(&self, order: Order) -> bool {
        match self.sender.try_send(order) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }
}

impl Drop for Orders {
    fn drop(&mut self) {
        // Orders that wait are not worth opening anything for.
        self.ending.store(true, Ordering::Release);
    }
}

/// The threads of a stream.
#[derive(Default)]
pub(super) struct Threads {
    running: Mutex<Vec<JoinHandle<()>>>,
    ended: Condvar,
}

impl Threads {
    fn lock(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `body` on a thread, unless `most` are running.
    pub(super) fn spawn(
        self: &Arc<Self>,
        name: &str,
        most: usize,
        body: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<()> {
        let mut running = self.lock();
        // The finished among them have nothing more to say.
        running.retain(|thread| !thread.is_finished());
        if running.len() >= most {
            return Err(std::io::Error::other(format!(
                "{most} threads are running, the most of one stream"
            )));
        }
        let threads = Arc::clone(self);
        let thread = std::thread::Builder::new().name(name.to_owned());
        running.push(thread.spawn(move || {
            body();
            threads.ended.notify_all();
        })?);
        Ok(())
    }

    /// Waits until all have ended, at most until `deadline`. Returns how many have not, and
    /// whether one has panicked.
    pub(super) fn join(&self, deadline: Instant) -> (usize, bool) {
        let mut panicked = false;
        let mut running = self.lock();
        loop {
            let mut index = 0;
            while index < running.len() {
                if running[index].is_finished() {
                    panicked |= running.swap_remove(index).join().is_err();
                } else {
                    index += 1;
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if running.is_empty() || left.is_zero() {
                return (running.len(), panicked);
            }
            // A thread says that it ends a little before it has, or dies without saying.
            let nap = left.min(Duration::from_millis(5));
            let woken = self.ended.wait_timeout(running, nap);
            running = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// What a stage's thread works with.
pub(super) struct Keeper {
    pub(super) stage: StageId,
    pub(super) inbox: Arc<Inbox>,
    pub(super) stats: Arc<Stats>,
    pub(super) hold_limit: Duration,
}

impl Keeper {
    /// Starts the stage's thread, which opens it at once.
    pub(super) fn start(
        self,
        threads: &Arc<Threads>,
        choice: EncoderChoice,
        config: StageConfig,
    ) -> std::io::Result<Orders> {
        let (sender, receiver) = sync_channel(MAX_ORDERS);
        let ending = Arc::new(AtomicBool::new(false));
        let orders = Orders {
            sender,
            ending: Arc::clone(&ending),
        };
        // The stream's own thread is one more.
        threads.spawn("scanout-stage", MAX_STAGES + 1, move || {
            let body = AssertUnwindSafe(|| self.run(&choice, &config, &receiver, &ending));
            if catch_unwind(body).is_err() {
                let why = "a backend panicked while a stager was opened or closed";
                self.inbox
                    .stage(FromStage::Failed(self.stage, why.to_owned()));
            }
        })?;
        Ok(orders)
    }

    fn run(
        &self,
        choice: &EncoderChoice,
        config: &StageConfig,
        orders: &Receiver<Order>,
        ending: &AtomicBool,
    ) {
        let session = match self.open(choice, config) {
            Ok(session) => Arc::new(session),
            Err(why) => {
                self.inbox.stage(FromStage::Failed(self.stage, why));
                return;
            }
        };
        self.stats.session(self.stage, &session);
        self.inbox
            .stage(FromStage::Opened(self.stage, Arc::clone(&session)));
        let mut coders = BTreeMap::new();
        while let Ok(order) = orders.recv() {
            if !ending.load(Ordering::Acquire) {
                self.obey(&session, &mut coders, order);
            }
        }
        self.stats.session_ends(self.stage, &session);
        self.end(session);
    }

    /// Ends the session, here and nowhere else: its end waits for its threads, a bounded
    /// time, and says where they do not end. Others hold it for moments only.
    fn end(&self, session: Arc<Session>) {
        let mut session = session;
        while let Err(shared) = Arc::try_unwrap(session) {
            session = shared;
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn open(&self, choice: &EncoderChoice, config: &StageConfig) -> Result<Session, String> {
        let backend = &choice.backend;
        let stager = backend
            .open(&choice.device, config)
            .map_err(|error| format!("{choice:?}: {error}"))?;
        let mut live = SessionConfig::live();
        live.hold_limit = self.hold_limit;
        live.refine = Some(Refinement::new());
        Session::start(stager, live).map_err(|error| format!("{choice:?}: {error}"))
    }

    fn obey(&self, session: &Session, coders: &mut BTreeMap<CoderId, StreamId>, order: Order) {
        match order {
            Order::Open(coder, config, sink) => match session.add_stream(config, sink) {
                Ok(stream) => {
                    coders.insert(coder, stream);
                    self.inbox.stage(FromStage::CoderOpened(coder, stream));
                }
                Err(error) => {
                    let stage_too = matches!(
                        error,
                        SessionError::Ended | SessionError::Panicked(_) | SessionError::Stage(_)
                    );
                    let failed = FromStage::CoderFailed(coder, error.to_string(), stage_too);
                    self.inbox.stage(failed);
                }
            },
            Order::Adjust(coder, wanted) => {
                let Some((bitrate, stream)) = wanted.take().zip(coders.get(&coder)) else {
                    return;
                };
                // An encoder that cannot is one that goes on at the rate it has.
                if let Err(error) = session.adjust(*stream, Adjustment::bitrate(bitrate)) {
                    tracing::warn!(%coder, %bitrate, %error, "rate not changed");
                }
            }
            Order::Close(coder) => {
                if let Some(stream) = coders.remove(&coder)
                    && let Err(error) = session.remove_stream(stream)
                {
                    tracing::debug!(%coder, %error, "encoder not closed by name");
                }
            }
        }
    }
}
