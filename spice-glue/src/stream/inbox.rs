//! What the stream's thread is told. Bounded, and nobody who tells it waits for it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use scanout_core::buffer::SourceBuffer;
use scanout_core::encoder::{Packet, StreamInfo};
use scanout_core::geometry::Damage;
use scanout_core::session::{Session, StreamId};
use scanout_core::sync::{Acquire, Release};

use super::viewers::{Outlet, ViewerError};
use crate::gl::{Backlog, CoderId, Report, StageId, VideoCodec, ViewerCaps, ViewerId};

/// Draws that may wait for the stream's thread, which answers them within
/// microseconds: a producer beyond it does not wait for answers at all.
const MAX_DRAWS: usize = 256;

/// Streams of one viewer whose reports wait: one runs, one may be ending.
const MAX_REPORTS: usize = 4;

/// What the producer shows.
#[derive(Debug)]
pub(super) enum Shown {
    Scanout(SourceBuffer),
    Nothing,
}

/// A draw that waits for its answer.
#[derive(Debug)]
pub(super) struct Draw {
    pub(super) damage: Damage,
    pub(super) acquire: Acquire,
    pub(super) release: Release,
    pub(super) received: Instant,
}

/// What a viewer said last.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) preferred: Option<Vec<VideoCodec>>,
    pub(super) reports: Vec<Report>,
    pub(super) progress: Option<Backlog>,
}

pub(super) enum FromViewer {
    Joined(ViewerId, ViewerCaps, Box<dyn Outlet>),
    /// Something is in `said`.
    Said(ViewerId),
    Left(ViewerId),
}

pub(super) enum FromStage {
    Opened(StageId, Arc<Session>),
    Failed(StageId, String),
    CoderOpened(CoderId, StreamId),
    /// True where the whole stage has.
    CoderFailed(CoderId, String, bool),
    Packet(CoderId, Arc<StreamInfo>, Packet),
}

/// Everything that came in since the last look.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) shown: Option<Shown>,
    /// Into what is shown after `shown`, in order.
    pub(super) draws: Vec<Draw>,
    pub(super) expected: Option<usize>,
    pub(super) viewers: VecDeque<FromViewer>,
    pub(super) said: BTreeMap<ViewerId, Said>,
    pub(super) stages: VecDeque<FromStage>,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.shown.is_none()
            && self.draws.is_empty()
            && self.expected.is_none()
            && self.viewers.is_empty()
            && self.stages.is_empty()
    }
}

#[derive(Default)]
struct State {
    batch: Batch,
    /// Viewers whose leaving the stream's thread has not seen.
    viewers: usize,
    expected: usize,
    /// The stream's thread shall end, or has.
    closed: bool,
}

/// Where all others leave what the stream's thread shall know.
pub(super) struct Inbox {
    state: Mutex<State>,
    filled: Condvar,
    next_viewer: AtomicU64,
    max_viewers: usize,
}

impl Inbox {
    pub(super) fn new(max_viewers: usize) -> Self {
        Self {
            state: Mutex::default(),
            filled: Condvar::new(),
            next_viewer: AtomicU64::new(0),
            max_viewers,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something came in, at most until `deadline`, and takes all of it;
    /// `None` when the stream's thread shall end.
    pub(super) fn take(&self, deadline: Option<Instant>) -> Option<Batch> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if !state.batch.is_empty() {
                let batch = std::mem::take(&mut state.batch);
                let left = |v: &&FromViewer| matches!(v, FromViewer::Left(_));
                let left = batch.viewers.iter().filter(left).count();
                state.viewers = state.viewers.saturating_sub(left);
                return Some(batch);
            }
            state = match deadline {
                None => self
                    .filled
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let wait = deadline.saturating_duration_since(Instant::now());
                    if wait.is_zero() {
                        return Some(Batch::default());
                    }
                    let woken = self.filled.wait_timeout(state, wait);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Takes nothing more; what waits is dropped, and with it every draw answered.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let waiting = std::mem::take(&mut state.batch);
        drop(state);
        self.filled.notify_all();
        drop(waiting);
    }

    /// The producer shows something else. Draws into what it showed before come back, to be
    /// answered: nothing of them will be seen.
    pub(super) fn show(&self, shown: Shown) -> Vec<Draw> {
        let mut state = self.lock();
        if state.closed {
            return Vec::new();
        }
        let replaced = state.batch.shown.replace(shown);
        let outdated = std::mem::take(&mut state.batch.draws);
        drop(state);
        self.filled.notify_one();
        drop(replaced);
        outdated
    }

    /// A draw. Where too many wait it becomes a part of the last of them, and is answered:
    /// false then.
    pub(super) fn draw(&self, draw: Draw) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        let draws = &mut state.batch.draws;
        let full = draws.len() >= MAX_DRAWS;
        if let Some(last) = draws.last_mut().filter(|_| full) {
            last.damage.unite(&draw.damage);
            last.acquire = draw.acquire;
            drop(state);
            draw.release.complete();
            return false;
        }
        draws.push(draw);
        drop(state);
        self.filled.notify_one();
        true
    }

    /// Clients announced, by `change` more.
    pub(super) fn expect(&self, change: isize) {
        let mut state = self.lock();
        state.expected = state.expected.saturating_add_signed(change);
        if state.closed {
            return;
        }
        state.batch.expected = Some(state.expected);
        drop(state);
        self.filled.notify_one();
    }

    pub(super) fn join(
        &self,
        caps: ViewerCaps,
        outlet: Box<dyn Outlet>,
    ) -> Result<ViewerId, ViewerError> {
        let mut state = self.lock();
        if state.closed {
            return Err(ViewerError::Stopped);
        }
        if state.viewers >= self.max_viewers {
            let limit = self.max_viewers;
            return Err(ViewerError::TooMany { limit });
        }
        state.viewers += 1;
        let viewer = ViewerId(self.next_viewer.fetch_add(1, Ordering::Relaxed));
        let joined = FromViewer::Joined(viewer, caps, outlet);
        state.batch.viewers.push_back(joined);
        drop(state);
        self.filled.notify_one();
        Ok(viewer)
    }

    pub(super) fn leave(&self, viewer: ViewerId) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        state.batch.viewers.push_back(FromViewer::Left(viewer));
        drop(state);
        self.filled.notify_one();
    }

    /// A viewer says something; `add` puts it where it belongs.
    pub(super) fn say(&self, viewer: ViewerId, add: impl FnOnce(&mut Said)) {
        let mut state = self.lock();
        if state.closed {
            return;
        }
        let batch = &mut state.batch;
        let said = batch.said.entry(viewer).or_insert_with(|| {
            batch.viewers.push_back(FromViewer::Said(viewer));
            Said::default()
        });
        add(said);
        drop(state);
        self.filled.notify_one();
    }

    /// News of a stage or a coder; false when nobody takes them any more. How many wait
    /// is bounded by the coders, whose sinks have room for a few packets each.
    pub(super) fn stage(&self, news: FromStage) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        state.batch.stages.push_back(news);
        drop(state);
        self.filled.notify_one();
        true
    }
}

impl Said {
    /// Reports of one activation become one; that a client cannot decode outlasts all else.
    pub(super) fn report(&mut self, report: Report) {
        let same = |r: &&mut Report| (r.stream, r.unique_id) == (report.stream, report.unique_id);
        if let Some(last) = self.reports.iter_mut().find(same) {
            if is_refusal(last) {
                return;
            }
            *last = if is_refusal(&report) {
                report
            } else {
                Report {
                    start_mm_time: last.start_mm_time,
                    frames: last.frames.saturating_add(report.frames),
                    drops: last.drops.saturating_add(report.drops),
                    ..report
                }
            };
            return;
        }
        if self.reports.len() >= MAX_REPORTS {
            let oldest = self
                .reports
                .iter()
                .position(|r| !is_refusal(r))
                .unwrap_or(0);
            self.reports.remove(oldest);
        }
        self.reports.push(report);
    }
}

fn is_refusal(report: &Report) -> bool {
    report.frames == 0 && report.drops == u32::MAX
}
