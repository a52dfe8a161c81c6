use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::{Chroma, Codec, FrameTimes};
use crate::color::ColorSpec;
use crate::geometry::Size;

/// Names one call of [`Encoder::encode`](super::Encoder::encode); counts up by
/// one with each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct PictureId(pub u64);

/// The bytes of one packet; cheap to clone, given back to their pool when the
/// last clone is dropped.
#[derive(Clone)]
pub struct PacketBytes(Arc<Vec<u8>>);

impl Deref for PacketBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for PacketBytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for PacketBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Arc::new(bytes))
    }
}

impl fmt::Debug for PacketBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PacketBytes({} bytes)", self.len())
    }
}

/// Byte buffers that are used again once nobody reads them. Grows to as many
/// as are held at a time; in steady state it allocates nothing.
#[derive(Debug, Default)]
pub struct BytesPool {
    buffers: Vec<Arc<Vec<u8>>>,
}

impl BytesPool {
    /// An empty pool.
    pub const fn new() -> Self {
        Self {
            buffers: Vec::new(),
        }
    }

    /// Bytes written by `fill` into an empty vector with a past packet's capacity.
    pub fn fill<E>(
        &mut self,
        fill: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<PacketBytes, E> {
        let free = self
            .buffers
            .iter_mut()
            .position(|buffer| Arc::get_mut(buffer).is_some());
        let index = free.unwrap_or_else(|| {
            self.buffers.push(Arc::new(Vec::new()));
            self.buffers.len() - 1
        });
        let buffer = &mut self.buffers[index];
        if let Some(bytes) = Arc::get_mut(buffer) {
            bytes.clear();
            fill(bytes)?;
        }
        Ok(PacketBytes(Arc::clone(buffer)))
    }
}

/// One access unit (H.264, HEVC), frame (VP8, VP9, MJPEG) or temporal unit (AV1).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Packet {
    /// The picture that it codes.
    pub picture: PictureId,
    /// Number of the source frame.
    pub number: u64,
    /// Presentation time of the source frame; later for one that was coded
    /// [again](super::PictureRequest::late).
    pub timestamp: Duration,
    /// The coded bytes. Keyframes of H.264 and HEVC hold their parameter sets.
    pub bytes: PacketBytes,
    /// Decoding can start here.
    pub keyframe: bool,
    /// When each stage was reached.
    pub times: FrameTimes,
    /// Mean quantiser, in the codec's own scale, where the encoder tells.
    pub average_qp: Option<f32>,
}

impl Packet {
    /// A packet without a quantiser.
    pub const fn new(
        picture: PictureId,
        number: u64,
        timestamp: Duration,
        bytes: PacketBytes,
        keyframe: bool,
        times: FrameTimes,
    ) -> Self {
        Self {
            picture,
            number,
            timestamp,
            bytes,
            keyframe,
            times,
            average_qp: None,
        }
    }
}

/// What an encoder granted. What only the stream's own headers tell is `None`
/// until the first packet.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct StreamInfo {
    /// Coding format.
    pub codec: Codec,
    /// The encoder's own name, for example a GStreamer element.
    pub encoder: String,
    /// Size of the coded pictures. Larger than `visible` by the padding that a
    /// decoder does not crop away.
    pub coded: Size,
    /// True size of the content. For H.264 and HEVC in 4:2:0 an odd size is not
    /// in the bitstream: it travels beside it.
    pub visible: Size,
    /// Chroma of the coded pictures.
    pub chroma: Chroma,
    /// The meaning of the numbers.
    pub color: ColorSpec,
    /// True where the bitstream's headers carry `color`; VP8 has no room for it.
    pub color_in_headers: Option<bool>,
    /// Parameter sets in Annex-B form (H.264, HEVC) or the sequence header (AV1).
    #[serde(skip)]
    pub parameter_sets: Option<PacketBytes>,
    /// RFC 6381 name, for example `avc1.42c01f`.
    pub codec_string: Option<String>,
    /// Pictures that a decoder must hold back for reordering, where headers tell.
    pub reorder_depth: Option<u32>,
    /// Settings asked for that this encoder does not have, one sentence each.
    pub not_applied: Vec<String>,
}

impl StreamInfo {
    /// What is known before the first packet.
    pub fn new(
        codec: Codec,
        encoder: impl Into<String>,
        coded: Size,
        visible: Size,
        chroma: Chroma,
        color: ColorSpec,
    ) -> Self {
        Self {
            codec,
            encoder: encoder.into(),
            coded,
            visible,
            chroma,
            color,
            color_in_headers: None,
            parameter_sets: None,
            codec_string: None,
            reorder_depth: None,
            not_applied: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_used_again_only_when_nobody_reads_them() {
        let mut pool = BytesPool::new();
        let mut fill = |byte: u8| {
            pool.fill(|bytes| {
                bytes.extend([byte; 100]);
                Ok::<_, ()>(())
            })
            .unwrap()
        };
        let first = fill(1);
        let at = first.as_ptr();
        let second = fill(2);
        assert_ne!(second.as_ptr(), at);
        assert_eq!(first[99], 1);
        drop(first);
        assert_eq!(fill(3).as_ptr(), at);
    }
}
