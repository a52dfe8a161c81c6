//! One encoder with the picture that waits for it and the sink of its packets.

use std::fmt;
use std::time::{Duration, Instant};

use arrayvec::ArrayVec;
use serde::Serialize;

use super::error::StreamError;
use super::refine::Refining;
use super::stats::Stats;
use crate::encoder::{
    Adjustment, Applied, BoxedError, EncodeError, Encoder, Packet, Picture, PictureId,
    PictureRequest, StreamInfo,
};
use crate::geometry::Damage;

/// Names a stream of a session; never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct StreamId(pub(super) u32);

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stream {}", self.0)
    }
}

/// Takes a stream's packets.
///
/// Called on the session's thread: what may wait (a socket, a disk) belongs
/// behind a queue, or the source waits too. Where the queue is full,
/// [`room`](Self::room) says so *before* a picture is coded: a packet that is
/// thrown away after coding cannot be spared, as later ones refer to it.
pub trait PacketSink: Send {
    /// The next packet, in order. An error ends the stream.
    fn packet(&mut self, stream: &StreamInfo, packet: &Packet) -> Result<(), BoxedError>;

    /// False while no further picture shall be coded for this sink. Must not wait.
    ///
    /// The newest picture is kept meanwhile, with the damage since the one coded last,
    /// and coded when there is room again: newer ones take its place, none is
    /// coded late, and the last of a source that goes idle is not lost. With
    /// [`Delivery::Every`](super::Delivery::Every) nothing may take its place, so
    /// the producer waits. It is no stall of the encoder, however long it lasts.
    ///
    /// Asked when a picture is about to go to the encoder. Pictures that are inside
    /// of that still arrive, no more than [`Encoder::room`] once told. Whoever makes room
    /// calls [`SessionWaker::wake`](super::SessionWaker::wake); without, the session
    /// asks again within 100 ms.
    fn room(&mut self) -> bool {
        true
    }

    /// Nothing follows; called exactly once. `Ok` means that the encoder was
    /// drained to its last packet.
    fn ended(&mut self, outcome: Result<(), StreamError>);
}

/// Pictures that any encoder may hold at a time: more would only be delay.
const MAX_IN_FLIGHT: usize = 8;

pub(super) struct Stream {
    pub(super) id: StreamId,
    pub(super) encoder: Box<dyn Encoder>,
    sink: Box<dyn PacketSink>,
    pending: Option<Picture>,
    /// Damage since the picture given to the encoder last; `None`: unknown.
    damage: Option<Damage>,
    keyframe: bool,
    in_flight: ArrayVec<InFlight, MAX_IN_FLIGHT>,
    refining: Refining,
    /// Number of the picture given to the encoder last.
    given: Option<u64>,
    draining: Option<Instant>,
}

/// A picture inside of the encoder.
struct InFlight {
    id: PictureId,
    since: Instant,
    refined: bool,
}

impl Stream {
    /// A stream whose first picture is `last`, where there is one.
    pub(super) fn new(
        id: StreamId,
        encoder: Box<dyn Encoder>,
        sink: Box<dyn PacketSink>,
        last: Option<Picture>,
        refining: Refining,
    ) -> Self {
        Self {
            id,
            encoder,
            sink,
            pending: last,
            damage: None,
            keyframe: true,
            in_flight: ArrayVec::new(),
            refining,
            given: None,
            draining: None,
        }
    }

    /// A newer picture takes the place of one that still waits.
    pub(super) fn offer(&mut self, picture: &Picture, stats: &Stats) {
        if let Some(damage) = &mut self.damage {
            damage.unite(&picture.info().damage);
        }
        if self.pending.replace(picture.clone()).is_some() {
            stats.superseded(self.id);
        }
    }

    /// The next picture is a keyframe; `last` is coded again if none waits.
    pub(super) fn request_keyframe(&mut self, last: Option<&Picture>) {
        self.keyframe = true;
        if self.pending.is_none() {
            self.pending = last.cloned();
        }
    }

    pub(super) fn adjust(&mut self, change: &Adjustment) -> Result<Applied, EncodeError> {
        let applied = self.encoder.adjust(change)?;
        self.refining.adjusted(change);
        Ok(applied)
    }

    /// Nothing waits for the encoder.
    pub(super) fn is_clear(&self) -> bool {
        self.pending.is_none()
    }

    /// Nothing waits, and nothing is inside the encoder.
    pub(super) fn is_idle(&self) -> bool {
        self.is_clear() && self.in_flight.is_empty() && self.draining.is_none()
    }

    /// When the last picture shall be coded again, where that may make it better.
    pub(super) fn refines_at(&self) -> Option<Instant> {
        self.is_idle().then(|| self.refining.due()).flatten()
    }

    /// Gives the waiting picture to the encoder where that and the sink have room,
    /// and every finished packet to the sink. Where nothing waits and it is time,
    /// `last` is coded again.
    pub(super) fn step(
        &mut self,
        last: Option<&Picture>,
        stats: &Stats,
        limit: Duration,
    ) -> Result<(), StreamError> {
        self.harvest(stats)?;
        let refines = self.refines_at().is_some_and(|at| at <= Instant::now());
        let again = last.filter(|_| refines);
        if (self.pending.is_some() || again.is_some())
            && self.encoder.room() > 0
            && !self.in_flight.is_full()
            && self.sink.room()
        {
            if let Some(picture) = self.pending.take() {
                self.refining.start_over();
                self.give(&picture, false)?;
            } else if let Some(picture) = again {
                self.refining.given_again();
                self.give(picture, true)?;
            }
            self.harvest(stats)?;
        }
        let now = Instant::now();
        let oldest = self.in_flight.first().map(|picture| picture.since);
        if oldest
            .or(self.draining)
            .is_some_and(|since| now.duration_since(since) > limit)
        {
            return Err(EncodeError::Stalled {
                encoder: self.encoder.stream().encoder.clone(),
                limit,
                held: self.in_flight.len(),
            }
            .into());
        }
        Ok(())
    }

    fn give(&mut self, picture: &Picture, refined: bool) -> Result<(), StreamError> {
        let info = picture.info();
        let mut request = PictureRequest::plain();
        request.keyframe = self.keyframe;
        // All of a picture that gets better may change, though nothing was damaged.
        request.damage = self.damage.take().filter(|_| !refined);
        let now = Instant::now();
        if self.given.replace(info.number) == Some(info.number) {
            request.late = now.saturating_duration_since(info.times.received);
        }
        let id = self.encoder.encode(picture, &request)?;
        self.keyframe = false;
        self.damage = Some(Damage::none());
        self.in_flight.push(InFlight {
            id,
            since: now,
            refined,
        });
        Ok(())
    }

    fn harvest(&mut self, stats: &Stats) -> Result<(), StreamError> {
        while let Some(packet) = self.encoder.poll()? {
            let mut inside = self.in_flight.iter();
            let refined = inside.any(|p| p.id == packet.picture && p.refined);
            self.in_flight.retain(|p| p.id > packet.picture);
            self.refining.coded(&packet, refined);
            if let Some(since) = &mut self.draining {
                *since = Instant::now();
            }
            stats.coded(self.id, &packet, refined);
            self.sink
                .packet(self.encoder.stream(), &packet)
                .map_err(StreamError::Sink)?;
        }
        Ok(())
    }

    /// Says once, when nothing waits any more, that nothing follows. True when
    /// the last packet is out.
    pub(super) fn drain(&mut self) -> Result<bool, StreamError> {
        if self.draining.is_none() && self.pending.is_none() {
            self.encoder.drain()?;
            self.draining = Some(Instant::now());
        }
        Ok(self.draining.is_some() && self.encoder.drained())
    }

    pub(super) fn end(mut self, outcome: Result<(), StreamError>, stats: &Stats) {
        stats.end_stream(self.id);
        self.sink.ended(outcome);
    }
}
