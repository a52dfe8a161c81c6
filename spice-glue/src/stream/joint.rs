//! The releases of several draws, completed once by several stages.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use scanout_core::sync::{Release, ReleaseSink, SyncFile};

use super::stats::Stats;

/// A draw that is being staged.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) release: Release,
    pub(super) received: Instant,
}

/// How a stage keeps up with the limit of its sources.
#[derive(Debug)]
pub(super) struct Health {
    limit: Duration,
    /// Sources in a row that were not read in time.
    late: AtomicU32,
    /// Pictures made when that was looked into last.
    made: AtomicU64,
}

impl Health {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            late: AtomicU32::new(0),
            made: AtomicU64::new(0),
        }
    }

    fn read_after(&self, time: Duration) {
        if time >= self.limit {
            self.late.fetch_add(1, Ordering::Relaxed);
        } else {
            self.late.store(0, Ordering::Relaxed);
        }
    }

    /// True when `most` sources in a row were not read in time and no picture was made of
    /// them either: a stage that is only slow makes some.
    pub(super) fn is_stuck(&self, most: u32, made: impl FnOnce() -> u64) -> bool {
        if self.late.load(Ordering::Relaxed) < most {
            return false;
        }
        let made = made();
        let stuck = self.made.swap(made, Ordering::Relaxed) == made;
        if !stuck {
            self.excuse();
        }
        stuck
    }

    /// Lateness so far had a reason.
    pub(super) fn excuse(&self) {
        self.late.store(0, Ordering::Relaxed);
    }
}

struct State {
    draws: Vec<Held>,
    /// Stages that may still read.
    readers: usize,
    /// Signals when the reads of the stages that are through will be.
    fence: Option<SyncFile>,
}

/// Draws that wait for stages. Each stage gets a [`share`](Self::shares): a release whose completion
/// says that the stage reads no more, with or without a fence. The last of them
/// completes the draws' releases, exactly once; [`let_go`](Self::let_go) does so before.
pub(super) struct Joint {
    state: Mutex<State>,
    stages: Vec<Arc<Health>>,
    asked: Instant,
    limit: Duration,
    stats: Arc<Stats>,
}

impl Joint {
    /// `draws` wait for `stages`; a release for each of these. Without stages nobody
    /// reads, and the draws are complete.
    pub(super) fn shares(
        draws: Vec<Held>,
        stages: Vec<Arc<Health>>,
        stats: Arc<Stats>,
        asked: Instant,
        limit: Duration,
    ) -> (Arc<Self>, Vec<Release>) {
        let joint = Arc::new(Self {
            state: Mutex::new(State {
                draws,
                readers: stages.len(),
                fence: None,
            }),
            stages,
            asked,
            limit,
            stats,
        });
        let shares = (0..joint.stages.len() as u64)
            .map(|stage| Release::new(Arc::clone(&joint) as Arc<dyn ReleaseSink>, stage))
            .collect::<Vec<_>>();
        if shares.is_empty() {
            joint.finish(joint.take(), None);
        }
        (joint, shares)
    }

    fn take(&self) -> Vec<Held> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut state.draws)
    }

    /// Nobody waits for it any more.
    pub(super) fn is_done(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.draws.is_empty()
    }

    /// Completes the draws though stages may still read: the sources' owner has waited
    /// as long as it may have to. Returns how many waited.
    pub(super) fn let_go(&self) -> usize {
        let draws = self.take();
        let count = draws.len();
        self.finish(draws, None);
        count
    }

    fn finish(&self, draws: Vec<Held>, fence: Option<SyncFile>) {
        let now = Instant::now();
        for draw in draws {
            let work = now.saturating_duration_since(self.asked);
            let hold = now.saturating_duration_since(draw.received);
            self.stats.worked(work, hold, hold >= self.limit);
            let fence = fence.as_ref().map(SyncFile::try_clone);
            contained(|| match fence {
                None => draw.release.complete(),
                Some(Ok(fence)) => draw.release.complete_with(fence),
                // Out of descriptors: rather a frame that tears than one that is never
                // answered.
                Some(Err(error)) => {
                    tracing::warn!(%error, "a source is released without its fence");
                    draw.release.complete();
                }
            });
        }
    }
}

/// Runs the code of a source's owner, which others must not suffer from.
pub(super) fn contained(complete: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(complete)).is_err() {
        tracing::error!("the owner of a source panicked when told that it is free");
    }
}

impl ReleaseSink for Joint {
    fn released(&self, stage: u64, fence: Option<SyncFile>) {
        if let Some(health) = self.stages.get(stage as usize) {
            health.read_after(self.asked.elapsed());
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.readers = state.readers.saturating_sub(1);
        state.fence = match (state.fence.take(), fence) {
            (Some(one), Some(other)) => Some(one.merge(&other).unwrap_or_else(|error| {
                // Of two fences the later is the better guess.
                tracing::warn!(%error, "fences of one source cannot be joined");
                other
            })),
            (one, other) => one.or(other),
        };
        if state.readers > 0 {
            return;
        }
        let draws = std::mem::take(&mut state.draws);
        let fence = state.fence.take();
        drop(state);
        self.finish(draws, fence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::atomic::AtomicUsize;

    const HOUR: Duration = Duration::from_secs(3600);

    #[derive(Default)]
    struct Owner {
        told: [AtomicUsize; 8],
        panics: bool,
    }

    impl ReleaseSink for Owner {
        fn released(&self, cookie: u64, _fence: Option<SyncFile>) {
            self.told[cookie as usize].fetch_add(1, Ordering::SeqCst);
            assert!(!self.panics || cookie != 0, "asked to panic");
        }
    }

    fn held(owner: &Arc<Owner>, count: usize) -> Vec<Held> {
        (0..count as u64)
            .map(|cookie| Held {
                release: Release::new(Arc::clone(owner) as Arc<dyn ReleaseSink>, cookie),
                received: Instant::now(),
            })
            .collect()
    }

    fn told(owner: &Owner, count: usize) -> Vec<usize> {
        let all = owner.told.iter();
        all.take(count).map(|t| t.load(Ordering::SeqCst)).collect()
    }

    fn health(count: usize) -> Vec<Arc<Health>> {
        (0..count).map(|_| Arc::new(Health::new(HOUR))).collect()
    }

    proptest! {
        /// However many draws and stages there are, in whatever order stages come through,
        /// whether the limit strikes between, each draw is answered exactly once, and not
        /// before the last stage has read it or the limit struck.
        #[test]
        fn each_draw_is_answered_exactly_once(
            draws in 0usize..8, stages in 0usize..6, let_go_at in 0usize..8,
        ) {
            let owner = Arc::new(Owner::default());
            let stats = Arc::new(Stats::default());
            let (joint, shares) =
                Joint::shares(held(&owner, draws), health(stages), stats, Instant::now(), HOUR);
            let mut done = stages == 0;
            for (index, share) in shares.into_iter().enumerate() {
                prop_assert_eq!(told(&owner, draws), vec![usize::from(done); draws]);
                if index == let_go_at {
                    prop_assert_eq!(joint.let_go(), draws);
                    done = true;
                    prop_assert_eq!(told(&owner, draws), vec![1; draws]);
                }
                drop(share);
            }
            prop_assert_eq!(told(&owner, draws), vec![1; draws]);
            prop_assert_eq!(joint.let_go(), 0);
            drop(joint);
            prop_assert_eq!(told(&owner, draws), vec![1; draws]);
        }
    }

    #[test]
    fn stages_that_come_through_at_once_answer_once() {
        for _ in 0..200 {
            let owner = Arc::new(Owner::default());
            let stats = Arc::new(Stats::default());
            let (joint, shares) =
                Joint::shares(held(&owner, 3), health(4), stats, Instant::now(), HOUR);
            std::thread::scope(|scope| {
                for share in shares {
                    scope.spawn(move || drop(share));
                }
                scope.spawn(|| joint.let_go());
            });
            assert_eq!(told(&owner, 3), vec![1; 3]);
        }
    }

    #[test]
    fn an_owner_that_panics_does_not_keep_the_others_from_being_told() {
        let owner = Arc::new(Owner {
            panics: true,
            ..Owner::default()
        });
        let stats = Arc::new(Stats::default());
        let (_joint, shares) =
            Joint::shares(held(&owner, 3), health(1), stats, Instant::now(), HOUR);
        drop(shares);
        assert_eq!(told(&owner, 3), vec![1; 3]);
    }

    #[test]
    fn a_stage_is_late_only_for_reads_beyond_the_limit() {
        let health = Health::new(Duration::from_millis(250));
        health.read_after(Duration::from_millis(250));
        health.read_after(Duration::from_secs(1));
        assert!(!health.is_stuck(3, || 0));
        assert!(health.is_stuck(2, || 0));
        health.read_after(Duration::from_millis(249));
        assert!(!health.is_stuck(2, || 0));
    }

    #[test]
    fn a_stage_that_makes_pictures_is_slow_and_not_stuck() {
        let health = Health::new(Duration::from_millis(250));
        for made in 1..5 {
            health.read_after(Duration::from_secs(1));
            health.read_after(Duration::from_secs(1));
            assert!(!health.is_stuck(2, || made));
        }
        health.read_after(Duration::from_secs(1));
        health.read_after(Duration::from_secs(1));
        assert!(health.is_stuck(2, || 4));
    }
}
