//! Counts and times of a session. Recording allocates nothing.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::StreamId;
use crate::encoder::{FrameTimes, Packet, PathClass, StageError};

/// A distribution of times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Summary {
    /// Values recorded.
    pub count: u64,
    /// Mean, in milliseconds.
    pub mean_ms: f64,
    /// Half of the values were at most this, in milliseconds.
    pub p50_ms: f64,
    /// 95 in 100 were at most this, in milliseconds.
    pub p95_ms: f64,
    /// 99 in 100 were at most this, in milliseconds.
    pub p99_ms: f64,
    /// Largest, in milliseconds.
    pub max_ms: f64,
}

/// A distribution being recorded: 1 microsecond to 100 seconds, three digits.
#[derive(Debug)]
struct Times(Option<Histogram<u32>>);

impl Times {
    fn new() -> Self {
        // The bounds are constants that the crate accepts; were they refused,
        // the summary would show a count of zero.
        Self(Histogram::new_with_bounds(1, 100_000_000, 3).ok())
    }

    fn record(&mut self, time: Duration) {
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1));
        }
    }

    fn summary(&self) -> Summary {
        let Some(h) = self.0.as_ref().filter(|h| !h.is_empty()) else {
            return Summary::default();
        };
        let at = |quantile| h.value_at_quantile(quantile) as f64 / 1e3;
        Summary {
            count: h.len(),
            mean_ms: h.mean() / 1e3,
            p50_ms: at(0.5),
            p95_ms: at(0.95),
            p99_ms: at(0.99),
            max_ms: h.max() as f64 / 1e3,
        }
    }
}

/// What became of the frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FrameCounts {
    /// Handed over.
    pub submitted: u64,
    /// Replaced by a newer one before staging.
    pub replaced: u64,
    /// Released without a picture because nothing had changed: as their producer
    /// said, or as staging found.
    pub unchanged: u64,
    /// Staged.
    pub staged: u64,
    /// Could not be staged.
    pub failed: u64,
    /// Sources let go by the watchdog before they were read.
    pub let_go: u64,
}

/// Times from one stage to the next, over all frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StageTimes {
    /// Handed over, until staging began.
    pub wait: Summary,
    /// Staging began, until the acquire fence had signalled.
    pub acquire: Summary,
    /// Fence signalled, until the source was read: converted, or copied where true
    /// damage is looked for.
    pub convert: Summary,
    /// Handed over, until its owner was told that it may be reused.
    pub hold: Summary,
}

/// One stream's counts and times.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct StreamStats {
    /// Which stream.
    pub stream: StreamId,
    /// Pictures coded.
    pub coded: u64,
    /// Of these, keyframes.
    pub keyframes: u64,
    /// Of these, coded again to make them better, while the source was idle.
    pub refined: u64,
    /// Pictures passed over because a newer one was ready before the encoder was,
    /// or before the sink had room.
    pub superseded: u64,
    /// Bytes coded.
    pub bytes: u64,
    /// Largest packet, in bytes.
    pub largest: u64,
    /// Picture complete, until given to the encoder; without the refined.
    pub queue: Summary,
    /// Given to the encoder, until the last byte came out.
    pub encode: Summary,
    /// Handed over by the producer, until the last byte came out; without the refined.
    pub total: Summary,
}

/// A session's counts and times.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct SessionStats {
    /// What became of the frames.
    pub frames: FrameCounts,
    /// How the last picture's pixels got where they are.
    pub path: Option<PathClass>,
    /// Times of staging.
    pub times: StageTimes,
    /// The streams in the order of their ids, the last 64 that have ended too.
    pub streams: Vec<StreamStats>,
    /// Why the first frame that could not be staged was refused.
    pub first_failure: Option<String>,
}

/// Ended streams whose numbers are kept: a session may run for weeks, and
/// viewers come and go.
const ENDED_KEPT: usize = 64;

#[derive(Debug)]
struct StreamRecord {
    stream: StreamId,
    coded: u64,
    keyframes: u64,
    refined: u64,
    superseded: u64,
    bytes: u64,
    largest: u64,
    queue: Times,
    encode: Times,
    total: Times,
}

#[derive(Debug)]
struct Record {
    frames: FrameCounts,
    path: Option<PathClass>,
    wait: Times,
    acquire: Times,
    convert: Times,
    hold: Times,
    streams: Vec<StreamRecord>,
    ended: VecDeque<StreamStats>,
    first_failure: Option<String>,
}

impl StreamRecord {
    fn stats(&self) -> StreamStats {
        StreamStats {
            stream: self.stream,
            coded: self.coded,
            keyframes: self.keyframes,
            refined: self.refined,
            superseded: self.superseded,
            bytes: self.bytes,
            largest: self.largest,
            queue: self.queue.summary(),
            encode: self.encode.summary(),
            total: self.total.summary(),
        }
    }
}

/// What the threads of a session write to.
#[derive(Debug)]
pub(super) struct Stats(Mutex<Record>);

impl Stats {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Record {
            frames: FrameCounts::default(),
            path: None,
            wait: Times::new(),
            acquire: Times::new(),
            convert: Times::new(),
            hold: Times::new(),
            streams: Vec::new(),
            ended: VecDeque::new(),
            first_failure: None,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn submitted(&self, replaced_older: bool) {
        let mut record = self.lock();
        record.frames.submitted += 1;
        record.frames.replaced += u64::from(replaced_older);
    }

    pub(super) fn unchanged(&self) {
        self.lock().frames.unchanged += 1;
    }

    pub(super) fn failed(&self, error: &StageError) {
        let mut record = self.lock();
        record.frames.failed += 1;
        // The first only: those that follow are likely the same, and must not allocate.
        record
            .first_failure
            .get_or_insert_with(|| error.to_string());
    }

    pub(super) fn let_go(&self) {
        self.lock().frames.let_go += 1;
    }

    pub(super) fn held(&self, time: Duration) {
        self.lock().hold.record(time);
    }

    pub(super) fn staged(&self, times: &FrameTimes, path: PathClass) {
        let mut record = self.lock();
        record.frames.staged += 1;
        record.path = Some(path);
        record
            .wait
            .record(times.stage_started.duration_since(times.received));
        record
            .acquire
            .record(times.acquired.duration_since(times.stage_started));
        record
            .convert
            .record(times.source_free.duration_since(times.acquired));
    }

    pub(super) fn add_stream(&self, stream: StreamId) {
        self.lock().streams.push(StreamRecord {
            stream,
            coded: 0,
            keyframes: 0,
            refined: 0,
            superseded: 0,
            bytes: 0,
            largest: 0,
            queue: Times::new(),
            encode: Times::new(),
            total: Times::new(),
        });
    }

    /// Keeps the numbers of a stream that has ended, without its distributions,
    /// which are a hundred times as large.
    pub(super) fn end_stream(&self, stream: StreamId) {
        let mut record = self.lock();
        let Some(index) = record.streams.iter().position(|s| s.stream == stream) else {
            return;
        };
        let ended = record.streams.remove(index).stats();
        if record.ended.len() == ENDED_KEPT {
            record.ended.pop_front();
        }
        record.ended.push_back(ended);
    }

    pub(super) fn superseded(&self, stream: StreamId) {
        if let Some(record) = self.lock().streams.iter_mut().find(|s| s.stream == stream) {
            record.superseded += 1;
        }
    }

    pub(super) fn coded(&self, stream: StreamId, packet: &Packet, refined: bool) {
        let mut record = self.lock();
        let Some(record) = record.streams.iter_mut().find(|s| s.stream == stream) else {
            return;
        };
        let bytes = packet.bytes.len() as u64;
        record.coded += 1;
        record.keyframes += u64::from(packet.keyframe);
        record.refined += u64::from(refined);
        record.bytes += bytes;
        record.largest = record.largest.max(bytes);
        let times = &packet.times;
        if let (Some(submitted), Some(coded)) = (times.submitted, times.coded) {
            record.encode.record(coded.duration_since(submitted));
            if refined {
                // Nobody waited for it.
                return;
            }
            record
                .queue
                .record(submitted.saturating_duration_since(times.ready));
            record.total.record(coded.duration_since(times.received));
        }
    }

    pub(super) fn snapshot(&self) -> SessionStats {
        let record = self.lock();
        let running = record.streams.iter().map(StreamRecord::stats);
        let mut streams: Vec<_> = record.ended.iter().cloned().chain(running).collect();
        streams.sort_by_key(|s| s.stream);
        SessionStats {
            first_failure: record.first_failure.clone(),
            frames: record.frames,
            path: record.path,
            times: StageTimes {
                wait: record.wait.summary(),
                acquire: record.acquire.summary(),
                convert: record.convert.summary(),
                hold: record.hold.summary(),
            },
            streams,
        }
    }
}
