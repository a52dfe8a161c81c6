//! What goes to a viewer.

use std::time::Instant;

use scanout_core::encoder::{Codec, PacketBytes};
use scanout_core::geometry::Size;

/// Codecs of SPICE streams, with the numbers that the protocol gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum VideoCodec {
    /// Pictures of JPEG.
    Mjpeg = 1,
    /// VP8.
    Vp8 = 2,
    /// H.264, Annex-B.
    H264 = 3,
    /// VP9.
    Vp9 = 4,
    /// H.265, Annex-B.
    H265 = 5,
}

impl VideoCodec {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Mjpeg, Self::Vp8, Self::H264, Self::Vp9, Self::H265];

    /// The codec of a core stream, where SPICE has it (it has no AV1).
    pub fn of(codec: Codec) -> Option<Self> {
        match codec {
            Codec::H264 => Some(Self::H264),
            Codec::H265 => Some(Self::H265),
            Codec::Vp8 => Some(Self::Vp8),
            Codec::Vp9 => Some(Self::Vp9),
            Codec::Mjpeg => Some(Self::Mjpeg),
            _ => None,
        }
    }
}

/// The server's clock in the protocol's milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct StreamClock {
    epoch: Instant,
    first: u32,
}

impl StreamClock {
    /// A clock that starts now, at one second: early stamps with a bias stay above 0.
    pub fn start() -> Self {
        Self::showing(Instant::now(), 1000)
    }

    /// A clock that shows `first` milliseconds at `epoch`.
    pub const fn showing(epoch: Instant, first: u32) -> Self {
        Self { epoch, first }
    }

    /// Milliseconds of `now`; wraps after 49 days, and passes over 0, which clients
    /// take for an error.
    pub fn mm_time(&self, now: Instant) -> u32 {
        let elapsed = now.saturating_duration_since(self.epoch).as_millis();
        self.first.wrapping_add(elapsed as u32).max(1)
    }
}

/// The bytes of one STREAM_DATA: a packet between two constant pieces.
#[derive(Clone, Debug)]
pub struct Payload {
    /// Before the packet's bytes.
    pub head: &'static [u8],
    /// The packet, shared by all its viewers.
    pub body: PacketBytes,
    /// Bytes of `body` that are left out at its beginning.
    pub skip: usize,
    /// After the packet's bytes.
    pub tail: &'static [u8],
}

impl Payload {
    /// All of its pieces, in order.
    pub fn pieces(&self) -> [&[u8]; 3] {
        [
            self.head,
            self.body.get(self.skip..).unwrap_or_default(),
            self.tail,
        ]
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.pieces().iter().map(|piece| piece.len()).sum()
    }

    /// True for no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A message to a display channel.
#[derive(Clone, Debug)]
pub enum Outgoing {
    /// SURFACE_CREATE of a primary surface, 32-bit xRGB.
    SurfaceCreate {
        /// Its id.
        surface: u32,
        /// Its size.
        size: Size,
    },
    /// MARK: the primary surface may be shown.
    Mark,
    /// SURFACE_DESTROY.
    SurfaceDestroy {
        /// Its id.
        surface: u32,
    },
    /// STREAM_CREATE, top-down, unclipped.
    StreamCreate {
        /// Its id, 0 to 63, of no stream that lives.
        stream: u32,
        /// Where it is shown.
        surface: u32,
        /// What it is coded in.
        codec: VideoCodec,
        /// Size of the coded pictures.
        coded: Size,
        /// Size of what they show.
        visible: Size,
    },
    /// STREAM_ACTIVATE_REPORT.
    ActivateReport {
        /// The stream.
        stream: u32,
        /// Names this activation in its reports.
        unique_id: u32,
        /// A report at least after so many frames ...
        max_window: u32,
        /// ... or so many milliseconds.
        timeout_ms: u32,
    },
    /// STREAM_DATA.
    StreamData {
        /// The stream.
        stream: u32,
        /// When it is to be shown, by the client's copy of [`StreamClock`].
        mm_time: u32,
        /// One access unit, or what stock clients need it to look like.
        payload: Payload,
    },
    /// STREAM_DESTROY.
    StreamDestroy {
        /// Its id.
        stream: u32,
    },
}

/// Messages that are written together: nothing else goes between them.
pub type Batch = Vec<Outgoing>;
