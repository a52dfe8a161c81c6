//! The byte stream of H.264 and HEVC annex B: NAL units behind start codes.

use std::ops::Range;

/// A NAL unit of a byte stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nal<'a> {
    /// Header and payload, without start code and trailing zeros; never empty.
    pub bytes: &'a [u8],
    /// Offset of `bytes` in the stream.
    pub offset: usize,
    /// Offset of its start code, the `zero_byte` of a four-byte one included.
    pub start: usize,
}

impl Nal<'_> {
    /// Where `bytes` lie in the stream.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.bytes.len()
    }
}

/// The NAL units of `stream`; bytes before the first start code are skipped.
pub fn nal_units(stream: &[u8]) -> NalUnits<'_> {
    NalUnits {
        stream,
        next: find_start_code(stream, 0),
    }
}

/// Iterator over the NAL units of a byte stream: see [`nal_units`].
#[derive(Clone, Debug)]
pub struct NalUnits<'a> {
    stream: &'a [u8],
    /// Offset of the next 00 00 01.
    next: Option<usize>,
}

impl<'a> Iterator for NalUnits<'a> {
    type Item = Nal<'a>;

    fn next(&mut self) -> Option<Nal<'a>> {
        loop {
            let code = self.next?;
            let offset = code + 3;
            self.next = find_start_code(self.stream, offset);
            let end = self.next.unwrap_or(self.stream.len());
            let mut bytes = self.stream.get(offset..end)?;
            while let [head @ .., 0] = bytes {
                bytes = head;
            }
            if bytes.is_empty() {
                continue;
            }
            let long = code > 0 && self.stream.get(code - 1) == Some(&0);
            return Some(Nal {
                bytes,
                offset,
                start: code - usize::from(long),
            });
        }
    }
}

/// Offset of the next 00 00 01 at or after `from`.
pub(crate) fn find_start_code(stream: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    // The third byte of the window says how far the next start code is at least.
    while let Some(window) = stream.get(at..at + 3) {
        match *window {
            [0, 0, 1] => return Some(at),
            [_, _, 0] => at += 1,
            [_, _, _] => at += 3,
            _ => return None,
        }
    }
    None
}

/// Appends `nal` (header and payload, already escaped) behind a four-byte start code.
pub fn write_nal(nal: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&[0, 0, 0, 1]);
    out.extend_from_slice(nal);
}

/// Turns an access unit into NAL units behind lengths of four bytes, as MP4,
/// Matroska and WebRTC's relatives want them; `out` is cleared first.
///
/// A NAL unit of 4 GiB or more cannot be told apart by such a length and is an error.
pub fn to_length_prefixed(stream: &[u8], out: &mut Vec<u8>) -> Result<(), LengthError> {
    out.clear();
    for nal in nal_units(stream) {
        let length = u32::try_from(nal.bytes.len()).map_err(|_| LengthError {
            offset: nal.offset,
            length: nal.bytes.len() as u64,
            available: u32::MAX.into(),
        })?;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(nal.bytes);
    }
    Ok(())
}

/// Turns NAL units behind lengths of `length_size` bytes (1, 2 or 4) into a byte
/// stream; `out` is cleared first.
pub fn from_length_prefixed(
    mut data: &[u8],
    length_size: LengthSize,
    out: &mut Vec<u8>,
) -> Result<(), LengthError> {
    out.clear();
    let total = data.len();
    while !data.is_empty() {
        let offset = total - data.len();
        let size = length_size as usize;
        let Some((prefix, rest)) = data.split_at_checked(size) else {
            return Err(LengthError {
                offset,
                length: size as u64,
                available: data.len() as u64,
            });
        };
        let length = prefix
            .iter()
            .fold(0u64, |all, byte| (all << 8) | u64::from(*byte));
        let Some((nal, rest)) = usize::try_from(length)
            .ok()
            .and_then(|l| rest.split_at_checked(l))
        else {
            return Err(LengthError {
                offset,
                length,
                available: rest.len() as u64,
            });
        };
        if !nal.is_empty() {
            write_nal(nal, out);
        }
        data = rest;
    }
    Ok(())
}

/// Bytes of the length before a NAL unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LengthSize {
    /// One byte.
    One = 1,
    /// Two bytes.
    Two = 2,
    /// Four bytes.
    Four = 4,
}

/// A NAL unit's length does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the NAL unit at byte {offset} says {length} bytes, {available} are available")]
pub struct LengthError {
    /// Where the unit or its length starts.
    pub offset: usize,
    /// Bytes it needs.
    pub length: u64,
    /// Bytes there are.
    pub available: u64,
}
