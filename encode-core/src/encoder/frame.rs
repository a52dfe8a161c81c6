use std::time::{Duration, Instant};

use crate::buffer::SourceBuffer;
use crate::geometry::Damage;
use crate::sync::Acquire;

/// A source frame: where the pixels are, which of them changed, and when they
/// may be read. What tells the owner that they were read is a
/// [`Release`](crate::sync::Release), handed over beside the frame so that it
/// survives whatever happens to this.
#[derive(Debug)]
#[non_exhaustive]
pub struct Frame {
    /// Counts up with each frame of a source.
    pub number: u64,
    /// The pixels.
    pub buffer: SourceBuffer,
    /// What changed since the frame before, in picture coordinates (top-down,
    /// relative to the content rectangle), whatever the buffer's orientation.
    pub damage: Damage,
    /// What to wait for before reading.
    pub acquire: Acquire,
    /// Presentation time from the start of the stream.
    pub timestamp: Duration,
    /// When the producer handed the frame over: hold time counts from here.
    pub received: Instant,
}

impl Frame {
    /// A frame received now, with implicit synchronisation.
    pub fn new(number: u64, buffer: SourceBuffer, damage: Damage, timestamp: Duration) -> Self {
        Self {
            number,
            buffer,
            damage,
            acquire: Acquire::Implicit,
            timestamp,
            received: Instant::now(),
        }
    }
}

/// Names one call of [`Stager::stage`](super::Stager::stage).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// When each stage of a frame's life was reached.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct FrameTimes {
    /// Handed over by the producer.
    pub received: Instant,
    /// Staging began: the frame had waited in the mailbox until here.
    pub stage_started: Instant,
    /// The acquire fence had signalled.
    pub acquired: Instant,
    /// The source was read; it may be reused.
    pub source_free: Instant,
    /// The picture was complete.
    pub ready: Instant,
    /// Given to the encoder.
    pub submitted: Option<Instant>,
    /// The encoder had delivered the last byte.
    pub coded: Option<Instant>,
}

impl FrameTimes {
    /// All stages so far at one moment.
    pub const fn at(now: Instant) -> Self {
        Self {
            received: now,
            stage_started: now,
            acquired: now,
            source_free: now,
            ready: now,
            submitted: None,
            coded: None,
        }
    }
}
