//! VP8: the uncompressed part of the frame header (RFC 6386, 9.1).

use super::bits::{SyntaxError, out_of_range};
use crate::geometry::Size;

/// The frame tag, and what a keyframe adds to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Size, in keyframes.
    pub keyframe: Option<Size>,
    /// Version of the bitstream, 0 to 3.
    pub version: u8,
    /// False for a frame that is only stored.
    pub show: bool,
    /// Bytes of the first partition.
    pub first_partition: u32,
}

impl FrameHeader {
    /// Reads the start of a frame.
    pub fn read(frame: &[u8]) -> Result<Self, SyntaxError> {
        let truncated = |element, bit| SyntaxError::Truncated { element, bit };
        let (&[a, b, c], rest) = frame
            .split_first_chunk::<3>()
            .ok_or(truncated("frame_tag", 0))?;
        let tag = u32::from_le_bytes([a, b, c, 0]);
        let version = (tag >> 1 & 7) as u8;
        if version > 3 {
            return Err(out_of_range("version", 1, version.into(), 0, 3));
        }
        let keyframe = if tag & 1 == 0 {
            let (code, rest) = rest
                .split_first_chunk::<3>()
                .ok_or(truncated("start_code", 24))?;
            if *code != [0x9D, 0x01, 0x2A] {
                let value = i64::from(u32::from_be_bytes([0, code[0], code[1], code[2]]));
                return Err(out_of_range("start_code", 24, value, 0x9D_012A, 0x9D_012A));
            }
            let size = rest.first_chunk::<4>().ok_or(truncated("width", 48))?;
            let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3FFF);
            Some(Size::new(side(size[0], size[1]), side(size[2], size[3])))
        } else {
            None
        };
        Ok(Self {
            keyframe,
            version,
            show: tag >> 4 & 1 == 1,
            first_partition: tag >> 5,
        })
    }
}
