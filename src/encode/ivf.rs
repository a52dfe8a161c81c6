//! IVF, the container of VP8, VP9 and AV1 tests: a header of 32 bytes, then
//! frames with their size and time.

use scanout_core::encoder::{Codec, FrameRate};
use scanout_core::geometry::Size;

/// Bytes of the file's header.
pub(super) const HEADER_BYTES: usize = 32;
/// Where in it the length stands, in the unit of frames' times: a number of
/// frames where each has one packet. FFmpeg writes and reads it so; readers that
/// count frames count them in the file, since writers to pipes leave it zero.
pub(super) const LENGTH_OFFSET: u64 = 24;

/// The header of a file of the length `frames`; `None` for a codec that IVF has no
/// code for, or a picture that its 16 bits cannot say.
pub(super) fn header(
    codec: Codec,
    size: Size,
    rate: FrameRate,
    frames: u32,
) -> Option<[u8; HEADER_BYTES]> {
    let code = match codec {
        Codec::Vp8 => b"VP80",
        Codec::Vp9 => b"VP90",
        Codec::Av1 => b"AV01",
        _ => return None,
    };
    let width = u16::try_from(size.width).ok()?;
    let height = u16::try_from(size.height).ok()?;
    let mut out = [0; HEADER_BYTES];
    let mut at = 0;
    // Version 0 and the header's own length are the two shorts after the magic.
    for part in [
        b"DKIF".as_slice(),
        &0u16.to_le_bytes(),
        &(HEADER_BYTES as u16).to_le_bytes(),
        code,
        &width.to_le_bytes(),
        &height.to_le_bytes(),
        // Times count in units of den / num seconds: one frame.
        &rate.num.get().to_le_bytes(),
        &rate.den.get().to_le_bytes(),
        &frames.to_le_bytes(),
    ] {
        out.get_mut(at..at + part.len())?.copy_from_slice(part);
        at += part.len();
    }
    Some(out)
}

/// What stands before a frame of `bytes` bytes shown at `time`, in frames.
pub(super) fn frame_header(bytes: u32, time: u64) -> [u8; 12] {
    let mut out = [0; 12];
    let (size, at) = out.split_at_mut(4);
    size.copy_from_slice(&bytes.to_le_bytes());
    at.copy_from_slice(&time.to_le_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_as_the_format_says() {
        let header = header(Codec::Vp9, Size::new(1366, 767), FrameRate::whole(60), 5).unwrap();
        assert_eq!(&header[..12], b"DKIF\0\0\x20\0VP90");
        assert_eq!(header[12..16], [0x56, 0x05, 0xff, 0x02]);
        assert_eq!(header[16..28], [60, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0]);
        assert_eq!(frame_header(258, 3), [2, 1, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn h264_has_no_place_in_ivf() {
        assert!(header(Codec::H264, Size::new(16, 16), FrameRate::whole(60), 0).is_none());
    }
}
