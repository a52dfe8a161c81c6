//! Streams: their codecs, their beginning, and the head of each picture.

use super::super::WireError;
use super::super::codec::{Reader, Writer};
use super::super::frame::{MINI_HEADER_LEN, MiniHeader};
use super::super::link::DisplayCap;
use super::{Rect, kind};

/// Ids of streams are below this.
pub const STREAMS_MAX: u32 = 64;
/// Bytes of a STREAM_DATA before the picture.
pub const STREAM_DATA_LEN: usize = 12;
/// The most rectangles of a [`Clip`].
pub const CLIP_MAX: usize = 1024;

/// Video codecs of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Codec {
    /// A JPEG for each picture.
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

impl Codec {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Mjpeg, Self::Vp8, Self::H264, Self::Vp9, Self::H265];

    /// The number on the wire.
    pub fn to_wire(self) -> u8 {
        self as u8
    }

    /// The codec of that number.
    pub fn from_wire(number: u8) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|codec| codec.to_wire() == number)
    }

    /// The capability with which a client says that it can decode this.
    pub fn capability(self) -> DisplayCap {
        match self {
            Self::Mjpeg => DisplayCap::CodecMjpeg,
            Self::Vp8 => DisplayCap::CodecVp8,
            Self::H264 => DisplayCap::CodecH264,
            Self::Vp9 => DisplayCap::CodecVp9,
            Self::H265 => DisplayCap::CodecH265,
        }
    }
}

bitflags::bitflags! {
    /// Properties of a stream.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct StreamFlags: u8 {
        /// The first line of the picture is the topmost. Without it clients turn the
        /// picture upside down.
        const TOP_DOWN = 1;
    }
}

/// Where a stream is seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Clip {
    /// Everywhere.
    #[default]
    None,
    /// In these, at most [`CLIP_MAX`].
    Rects(Vec<Rect>),
}

impl Clip {
    pub(super) fn put(&self, writer: &mut Writer<'_>) {
        match self {
            Self::None => {
                writer.u8(0);
            }
            Self::Rects(rects) => {
                let rects = super::super::codec::at_most(rects, CLIP_MAX);
                writer.u8(1).u32(rects.len() as u32);
                for rect in rects {
                    writer.rect(rect);
                }
            }
        }
    }

    pub(super) fn take(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        match reader.u8()? {
            0 => Ok(Self::None),
            1 => {
                let count = reader.u32()?;
                let count = reader.count("rectangles of a clip", count.into(), 16, CLIP_MAX)?;
                let mut rects = Vec::with_capacity(count);
                for _ in 0..count {
                    rects.push(reader.rect()?);
                }
                Ok(Self::Rects(rects))
            }
            seen => reader.known(
                "type of a clip",
                1,
                seen.into(),
                "0 (none), 1 (rectangles)",
                None,
            ),
        }
    }
}

/// A stream begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamCreate {
    /// The surface it is shown on.
    pub surface_id: u32,
    /// Below [`STREAMS_MAX`], and of no stream that lives.
    pub id: u32,
    /// Orientation.
    pub flags: StreamFlags,
    /// What its packets are.
    pub codec: Codec,
    /// Unused by clients.
    pub stamp: u64,
    /// Width of the coded picture.
    pub stream_width: u32,
    /// Height of the coded picture.
    pub stream_height: u32,
    /// Width of the part of it that is shown.
    pub src_width: u32,
    /// Height of the part of it that is shown.
    pub src_height: u32,
    /// Where on the surface.
    pub dest: Rect,
    /// Where of that it is seen.
    pub clip: Clip,
}

impl StreamCreate {
    pub(super) fn put(&self, w: &mut Writer<'_>) {
        w.u32(self.surface_id).u32(self.id);
        w.u8(self.flags.bits())
            .u8(self.codec.to_wire())
            .u64(self.stamp);
        w.u32(self.stream_width)
            .u32(self.stream_height)
            .u32(self.src_width)
            .u32(self.src_height);
        w.rect(&self.dest);
        self.clip.put(w);
    }

    pub(super) fn take(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let (surface_id, id) = (r.u32()?, stream_id(r)?);
        let flags = StreamFlags::from_bits_retain(r.u8()?);
        let seen = r.u8()?;
        let codec = r.known(
            "codec of a stream",
            1,
            seen.into(),
            "1 to 5",
            Codec::from_wire(seen),
        )?;
        Ok(Self {
            surface_id,
            id,
            flags,
            codec,
            stamp: r.u64()?,
            stream_width: r.u32()?,
            stream_height: r.u32()?,
            src_width: r.u32()?,
            src_height: r.u32()?,
            dest: r.rect()?,
            clip: Clip::take(r)?,
        })
    }
}

/// What goes before a picture on the wire: `u32 id, u32 mm_time, u32 size`.
///
/// Apart from the picture, so that its bytes are never copied: write
/// [`encode`](Self::encode), then `size` bytes out of any number of slices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamDataHeader {
    /// Of the stream.
    pub stream_id: u32,
    /// When it is to be shown, in milliseconds of the main channel's clock. Never
    /// zero: clients take that for a bug and show it 100 ms later.
    pub mm_time: u32,
    /// Bytes of the picture.
    pub size: u32,
}

impl StreamDataHeader {
    /// The header of the message and these three words.
    pub fn encode(&self) -> [u8; MINI_HEADER_LEN + STREAM_DATA_LEN] {
        let mut bytes = [0; MINI_HEADER_LEN + STREAM_DATA_LEN];
        let header = MiniHeader {
            kind: kind::STREAM_DATA,
            size: (STREAM_DATA_LEN as u32).saturating_add(self.size),
        };
        let (head, body) = bytes.split_at_mut(MINI_HEADER_LEN);
        head.copy_from_slice(&header.encode());
        for (place, word) in body
            .chunks_exact_mut(4)
            .zip([self.stream_id, self.mm_time, self.size])
        {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// From the first bytes of a body of `body_len` bytes, of which the picture may
    /// not have been read yet.
    ///
    /// # Errors
    /// Fewer than [`STREAM_DATA_LEN`] bytes, an id out of range, or a size that is
    /// not that of the rest of the body.
    pub fn decode(bytes: &[u8], body_len: usize) -> Result<Self, WireError> {
        let mut r = Reader::new("STREAM_DATA", bytes);
        let (stream_id, mm_time) = (stream_id(&mut r)?, r.u32()?);
        let (offset, size) = (r.offset(), r.u32()?);
        exact(
            "size of STREAM_DATA",
            offset,
            size,
            body_len.saturating_sub(STREAM_DATA_LEN),
        )?;
        Ok(Self {
            stream_id,
            mm_time,
            size,
        })
    }
}

/// An id of a stream of a server.
pub(super) fn stream_id(r: &mut Reader<'_>) -> Result<u32, WireError> {
    let offset = r.offset();
    match r.u32()? {
        id if id < STREAMS_MAX => Ok(id),
        id => Err(WireError::OutOfBounds {
            what: "id of a stream",
            offset,
            seen: id.into(),
            min: 0,
            max: u64::from(STREAMS_MAX) - 1,
        }),
    }
}

/// A size that must be that of what follows.
pub(super) fn exact(
    what: &'static str,
    offset: usize,
    size: u32,
    left: usize,
) -> Result<(), WireError> {
    if usize::try_from(size) == Ok(left) {
        return Ok(());
    }
    Err(WireError::OutOfBounds {
        what,
        offset,
        seen: size.into(),
        min: left as u64,
        max: left as u64,
    })
}
