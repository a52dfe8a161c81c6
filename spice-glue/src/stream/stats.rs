//! Counts and times of a stream.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use scanout_core::encoder::{Bitrate, Packet};
use scanout_core::geometry::Size;
use scanout_core::session::{Session, Summary};

use crate::gl::{CoderId, StageId, VideoCodec, ViewerId};

/// One encoder with the viewers that it feeds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GroupStats {
    /// What it codes.
    pub codec: VideoCodec,
    /// The backend's name for it.
    pub encoder: String,
    /// What its pictures show.
    pub size: Size,
    /// Pictures coded per second, over the last two seconds.
    pub fps: f64,
    /// Rate asked of it.
    pub target: Bitrate,
    /// Rate coded, over the last two seconds.
    pub bitrate: Bitrate,
    /// Pictures coded.
    pub pictures: u64,
    /// Of these, keyframes.
    pub keyframes: u64,
    /// Bytes coded.
    pub bytes: u64,
    /// Viewers whose last picture came from it.
    pub viewers: usize,
}

/// A stream's counts and times since its start.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct GlStreamStats {
    /// Scanouts shown.
    pub scanouts: u64,
    /// Draws received.
    pub draws: u64,
    /// Draws whose source was staged before they were answered.
    pub staged: u64,
    /// Draws answered unstaged: nobody watched, or a newer draw or scanout made good for them.
    pub unstaged: u64,
    /// Draws answered because the time that they may be held was over, staged or not.
    pub overdue: u64,
    /// Stagings that found nothing changed: neither coded nor sent.
    pub unchanged: u64,
    /// Stagings asked of stagers, those without a draw too.
    pub stagings: u64,
    /// Draw received, until its staging was asked for: what pacing takes.
    pub pacing: Summary,
    /// Staging asked for, until the draw was answered: what work takes.
    pub work: Summary,
    /// Draw received, until it was answered, of all draws.
    pub hold: Summary,
    /// Viewers there.
    pub viewers: usize,
    /// Encoders at work.
    pub groups: Vec<GroupStats>,
    /// Encoders and stagers that could not be opened, or failed later.
    pub failures: u64,
    /// What the last of these said.
    pub last_failure: Option<String>,
}

/// A distribution being recorded: 1 microsecond to 100 seconds, three digits.
struct Times(Option<Histogram<u32>>);

impl Default for Times {
    fn default() -> Self {
        // The bounds are constants that the crate accepts; were they refused, the
        // summary would show a count of zero.
        Self(Histogram::new_with_bounds(1, 100_000_000, 3).ok())
    }
}

impl Times {
    fn record(&mut self, time: Duration) {
        if let Some(histogram) = &mut self.0 {
            let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
            histogram.saturating_record(micros.max(1));
        }
    }

    fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        if let Some(h) = self.0.as_ref().filter(|h| !h.is_empty()) {
            let at = |quantile| h.value_at_quantile(quantile) as f64 / 1e3;
            summary.count = h.len();
            summary.mean_ms = h.mean() / 1e3;
            summary.p50_ms = at(0.5);
            summary.p95_ms = at(0.95);
            summary.p99_ms = at(0.99);
            summary.max_ms = h.max() as f64 / 1e3;
        }
        summary
    }
}

/// Rates are those of the last so much time.
const WINDOW: Duration = Duration::from_secs(2);

/// Packets remembered for that: at 240 a second, the most that there are, all of them.
const WINDOW_PACKETS: usize = 512;

struct Group {
    codec: VideoCodec,
    encoder: String,
    size: Size,
    target: Bitrate,
    recent: VecDeque<(Instant, usize)>,
    pictures: u64,
    keyframes: u64,
    bytes: u64,
}

impl Group {
    fn stats(&self, now: Instant, viewers: usize) -> GroupStats {
        let in_window = |(at, _): &&(Instant, usize)| now.saturating_duration_since(*at) <= WINDOW;
        let recent = || self.recent.iter().filter(in_window);
        let bytes: usize = recent().map(|(_, bytes)| bytes).sum();
        let seconds = WINDOW.as_secs_f64();
        GroupStats {
            codec: self.codec,
            encoder: self.encoder.clone(),
            size: self.size,
            fps: recent().count() as f64 / seconds,
            target: self.target,
            bitrate: Bitrate::bps((bytes as f64 * 8.0 / seconds) as u64),
            pictures: self.pictures,
            keyframes: self.keyframes,
            bytes: self.bytes,
            viewers,
        }
    }
}

#[derive(Default)]
struct Record {
    counts: GlStreamStats,
    pacing: Times,
    work: Times,
    hold: Times,
    groups: BTreeMap<CoderId, Group>,
    viewers: BTreeMap<ViewerId, Option<CoderId>>,
    sessions: Vec<(StageId, Weak<Session>)>,
    /// Of sessions that have ended.
    unchanged: u64,
}

/// What a stream's threads write to.
#[derive(Default)]
pub(super) struct Stats(Mutex<Record>);

impl Stats {
    fn lock(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn scanout(&self) {
        self.lock().counts.scanouts += 1;
    }

    pub(super) fn drawn(&self) {
        self.lock().counts.draws += 1;
    }

    /// A draw was answered without being staged.
    pub(super) fn unstaged(&self, hold: Duration) {
        let mut record = self.lock();
        record.counts.unstaged += 1;
        record.hold.record(hold);
    }

    /// A draw was answered by the clock before it was staged.
    pub(super) fn overdue(&self, hold: Duration) {
        let mut record = self.lock();
        record.counts.overdue += 1;
        record.hold.record(hold);
    }

    pub(super) fn staging(&self, pacing: impl Iterator<Item = Duration>) {
        let mut record = self.lock();
        record.counts.stagings += 1;
        for time in pacing {
            record.counts.staged += 1;
            record.pacing.record(time);
        }
    }

    /// A draw that was staged was answered; `overdue`: by the clock.
    pub(super) fn worked(&self, work: Duration, hold: Duration, overdue: bool) {
        let mut record = self.lock();
        record.counts.overdue += u64::from(overdue);
        record.work.record(work);
        record.hold.record(hold);
    }

    pub(super) fn failed(&self, why: &str) {
        let mut record = self.lock();
        record.counts.failures += 1;
        record.counts.last_failure = Some(why.to_owned());
    }

    pub(super) fn joined(&self, viewer: ViewerId) {
        self.lock().viewers.insert(viewer, None);
    }

    pub(super) fn left(&self, viewer: ViewerId) {
        self.lock().viewers.remove(&viewer);
    }

    /// `viewer` was sent a picture of `coder`.
    pub(super) fn fed(&self, viewer: ViewerId, coder: CoderId) {
        if let Some(feeder) = self.lock().viewers.get_mut(&viewer) {
            *feeder = Some(coder);
        }
    }

    pub(super) fn coder(
        &self,
        coder: CoderId,
        codec: Option<VideoCodec>,
        encoder: String,
        target: Bitrate,
    ) {
        let Some(codec) = codec else { return };
        let group = Group {
            codec,
            encoder,
            size: Size::default(),
            target,
            recent: VecDeque::new(),
            pictures: 0,
            keyframes: 0,
            bytes: 0,
        };
        self.lock().groups.insert(coder, group);
    }

    pub(super) fn adjusted(&self, coder: CoderId, target: Bitrate) {
        if let Some(group) = self.lock().groups.get_mut(&coder) {
            group.target = target;
        }
    }

    pub(super) fn coder_gone(&self, coder: CoderId) {
        self.lock().groups.remove(&coder);
    }

    pub(super) fn coded(&self, coder: CoderId, size: Size, packet: &Packet) {
        let mut record = self.lock();
        let Some(group) = record.groups.get_mut(&coder) else {
            return;
        };
        group.size = size;
        group.pictures += 1;
        group.keyframes += u64::from(packet.keyframe);
        group.bytes += packet.bytes.len() as u64;
        if group.recent.len() == WINDOW_PACKETS {
            group.recent.pop_front();
        }
        group.recent.push_back((Instant::now(), packet.bytes.len()));
    }

    pub(super) fn session(&self, stage: StageId, session: &Arc<Session>) {
        self.lock().sessions.push((stage, Arc::downgrade(session)));
    }

    /// Comes before the last owner of a session lets go of it: here, under the lock, it
    /// would end on the wrong thread.
    pub(super) fn session_ends(&self, stage: StageId, session: &Session) {
        let unchanged = session.stats().frames.unchanged;
        let mut record = self.lock();
        record.sessions.retain(|(id, _)| *id != stage);
        record.unchanged += unchanged;
    }

    pub(super) fn snapshot(&self) -> GlStreamStats {
        let now = Instant::now();
        let record = self.lock();
        let mut stats = record.counts.clone();
        stats.pacing = record.pacing.summary();
        stats.work = record.work.summary();
        stats.hold = record.hold.summary();
        stats.viewers = record.viewers.len();
        let running = record.sessions.iter().filter_map(|(_, s)| s.upgrade());
        stats.unchanged =
            record.unchanged + running.map(|s| s.stats().frames.unchanged).sum::<u64>();
        let fed = |id: &CoderId| record.viewers.values().filter(|c| **c == Some(*id)).count();
        stats.groups = record
            .groups
            .iter()
            .map(|(id, group)| group.stats(now, fed(id)))
            .collect();
        stats
    }
}

impl fmt::Debug for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stats").finish_non_exhaustive()
    }
}
