//! What the machine is told.

use scanout_core::encoder::{Packet, StreamInfo};
use scanout_core::geometry::{Damage, Size};

use super::{CoderId, DrawId, ScanoutId, StageId, VideoCodec, ViewerId};

/// What a client's display channel can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ViewerCaps {
    /// Codecs that it shows (all that it has bits for; MJPEG alone for a client
    /// without MULTI_CODEC).
    pub codecs: Vec<VideoCodec>,
    /// It sends STREAM_REPORT.
    pub reports: bool,
}

/// What waits between us and a viewer's eyes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Bytes that the socket has not taken.
    pub bytes: usize,
    /// Messages that the socket has not taken.
    pub messages: usize,
    /// Messages that the client has not acknowledged, where it acknowledges.
    pub unacknowledged: u32,
}

/// A client's STREAM_REPORT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// The stream.
    pub stream: u32,
    /// The activation that it answers.
    pub unique_id: u32,
    /// Stamp of the first frame counted.
    pub start_mm_time: u32,
    /// Stamp of the last frame counted.
    pub end_mm_time: u32,
    /// Frames counted; 0 with `drops` at its maximum: the client cannot decode this.
    pub frames: u32,
    /// Late frames among them.
    pub drops: u32,
    /// Margin of the last frame: its stamp less the client's clock, in milliseconds.
    pub last_frame_delay_ms: i32,
}

/// Something that happened.
#[derive(Debug)]
#[non_exhaustive]
// Damage lies in it so that a draw allocates nothing.
#[allow(clippy::large_enum_variant)]
pub enum Event<'a> {
    /// The producer shows another buffer, or the same one with another geometry.
    /// It is content by itself, drawn to or not.
    Scanout {
        /// Its id.
        scanout: ScanoutId,
        /// Its size.
        size: Size,
    },
    /// The producer shows nothing.
    Disable,
    /// The producer has drawn into the current scanout and waits.
    Draw {
        /// Its id.
        draw: DrawId,
        /// What changed, in top-down coordinates of the content.
        damage: Damage,
    },

    /// Clients have authenticated their main channels: their display channels follow.
    /// What they will need may be made ready, for a while.
    Expected {
        /// Clients that are expected by now; one whose display channel has joined is
        /// no longer among them.
        clients: usize,
    },
    /// A display channel is ready (its INIT was received).
    Joined {
        /// Its id.
        viewer: ViewerId,
        /// What it can do.
        caps: ViewerCaps,
    },
    /// A display channel is gone.
    Left(ViewerId),
    /// The client's order of codecs, best first; those left out come after.
    Preferred(ViewerId, Vec<VideoCodec>),
    /// What a client says of its streams.
    Report(ViewerId, Report),
    /// The way to a viewer has changed: something was written or acknowledged. Also
    /// worth telling after each `Send`, whose payloads the machine counts itself until then.
    Progress(ViewerId, Backlog),

    /// A stage is open.
    StageOpened(StageId),
    /// A stage could not be opened, or failed later, with the coders on it. It is
    /// closed with them: no action names it again.
    StageFailed(StageId),
    /// A coder is open.
    CoderOpened(CoderId),
    /// A coder could not be opened, or failed later. It is closed: no action names it
    /// again.
    CoderFailed(CoderId),
    /// A coder has made a packet; it may come before `CoderOpened`.
    Packet {
        /// The coder.
        coder: CoderId,
        /// What was granted.
        info: &'a StreamInfo,
        /// The packet.
        packet: &'a Packet,
    },

    /// Time has passed: [`Machine::deadline`](super::Machine::deadline) was reached.
    Tick,
}
