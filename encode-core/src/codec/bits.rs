//! Bit strings: fixed-length and Exp-Golomb codes, and the bytes that keep a
//! start code from appearing inside a NAL unit (H.264 7.4.1, 9.1).

/// What is wrong with a header, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SyntaxError {
    /// The data ends before or within an element.
    #[error("the data ends within {element} at bit {bit}")]
    Truncated {
        /// The element being read.
        element: &'static str,
        /// Where it starts, in bits of the payload without emulation prevention.
        bit: usize,
    },
    /// An element has a value that its bounds exclude.
    #[error("{element} at bit {bit} is {value}, allowed are {min} to {max}")]
    OutOfRange {
        /// The element.
        element: &'static str,
        /// Where it starts.
        bit: usize,
        /// The value seen.
        value: i64,
        /// The smallest allowed.
        min: i64,
        /// The largest allowed.
        max: i64,
    },
    /// Bits follow where the structure should have ended.
    #[error("bits follow the last known element of {structure} at bit {bit}")]
    TrailingData {
        /// The structure that was read.
        structure: &'static str,
        /// Where it should have ended.
        bit: usize,
    },
    /// A unit of another kind was expected.
    #[error("a {expected} was expected, the unit's type is {value}")]
    WrongUnit {
        /// The kind that was asked for.
        expected: &'static str,
        /// The type seen.
        value: u32,
    },
    /// A structure refers to a parameter set that is not there.
    #[error("{element} is {id}, but no such parameter set was received")]
    MissingParameterSet {
        /// The element that refers to it.
        element: &'static str,
        /// The id it gives.
        id: u32,
    },
    /// A list to be written does not have the length that the other elements imply.
    #[error("{element} has {value} entries, the other elements imply {expected}")]
    Length {
        /// The list.
        element: &'static str,
        /// Entries in it.
        value: usize,
        /// Entries that it must have.
        expected: usize,
    },
}

/// Reads bits, most significant first, from a payload with or without
/// emulation prevention bytes.
#[derive(Clone, Debug)]
pub struct BitReader<'a> {
    data: &'a [u8],
    escaped: bool,
    /// Index of the next byte to load.
    next: usize,
    /// Zero bytes directly before `next`, for the escape.
    zeros: u8,
    current: u8,
    /// Unread bits of `current`.
    left: u32,
    position: usize,
}

impl<'a> BitReader<'a> {
    /// Reads `data` as it is: an RBSP, or a codec without emulation prevention.
    pub fn new(data: &'a [u8]) -> Self {
        Self::with(data, false)
    }

    /// Reads the payload of a NAL unit (what follows its header), skipping
    /// emulation prevention bytes on the way, so that nothing is copied.
    pub fn escaped(data: &'a [u8]) -> Self {
        Self::with(data, true)
    }

    fn with(data: &'a [u8], escaped: bool) -> Self {
        Self {
            data,
            escaped,
            next: 0,
            zeros: 0,
            current: 0,
            left: 0,
            position: 0,
        }
    }

    /// Bits read so far, emulation prevention not counted.
    pub fn position(&self) -> usize {
        self.position
    }

    /// An upper bound of the bits that are left.
    pub fn remaining(&self) -> usize {
        (self.data.len() - self.next.min(self.data.len()))
            .saturating_mul(8)
            .saturating_add(self.left as usize)
    }

    fn load(&mut self) -> Option<u8> {
        let mut byte = *self.data.get(self.next)?;
        if self.escaped && self.zeros >= 2 && byte == 3 {
            self.next += 1;
            self.zeros = 0;
            byte = *self.data.get(self.next)?;
        }
        self.next += 1;
        self.zeros = if byte == 0 {
            self.zeros.saturating_add(1)
        } else {
            0
        };
        Some(byte)
    }

    fn bit(&mut self) -> Option<bool> {
        if self.left == 0 {
            self.current = self.load()?;
            self.left = 8;
        }
        self.left -= 1;
        self.position += 1;
        Some((self.current >> self.left) & 1 == 1)
    }

    /// Reads one bit.
    pub fn read_flag(&mut self, element: &'static str) -> Result<bool, SyntaxError> {
        let bit = self.position;
        self.bit().ok_or(SyntaxError::Truncated { element, bit })
    }

    /// Reads `count` bits, at most 32.
    pub fn read_bits(&mut self, element: &'static str, count: u32) -> Result<u32, SyntaxError> {
        let bit = self.position;
        if count > 32 {
            return Err(out_of_range(element, bit, i64::from(count), 0, 32));
        }
        let mut value = 0u32;
        for _ in 0..count {
            let next = self.bit().ok_or(SyntaxError::Truncated { element, bit })?;
            value = (value << 1) | u32::from(next);
        }
        Ok(value)
    }

    /// Reads an unsigned Exp-Golomb code, 0 to 2^32 - 2 (9.1).
    pub fn read_ue(&mut self, element: &'static str) -> Result<u32, SyntaxError> {
        let bit = self.position;
        let mut zeros = 0;
        while !self.bit().ok_or(SyntaxError::Truncated { element, bit })? {
            zeros += 1;
            if zeros > 31 {
                return Err(out_of_range(element, bit, 1 << 32, 0, (1 << 32) - 2));
            }
        }
        let suffix = self
            .read_bits(element, zeros)
            .map_err(|_| SyntaxError::Truncated { element, bit })?;
        // 2^31 - 1 + 2^31 - 1 is the largest sum.
        Ok(((1u32 << zeros) - 1) + suffix)
    }

    /// Reads a signed Exp-Golomb code (9.1.1).
    pub fn read_se(&mut self, element: &'static str) -> Result<i32, SyntaxError> {
        let code = i64::from(self.read_ue(element)?);
        let value = if code % 2 == 1 {
            (code + 1) / 2
        } else {
            -(code / 2)
        };
        // |value| <= 2^31 - 1.
        Ok(value as i32)
    }

    /// Skips to the next whole byte.
    pub fn byte_align(&mut self) {
        self.position += self.left as usize;
        self.left = 0;
    }

    /// `more_rbsp_data()`: true while something comes before the stop bit (7.2).
    pub fn more_rbsp_data(&self) -> bool {
        let mut rest = self.data;
        loop {
            match rest {
                [head @ .., 0] => rest = head,
                // cabac_zero_words are 0x0000 with the escape behind them.
                [head @ .., 0, 0, 3] if self.escaped => rest = head,
                _ => break,
            }
        }
        let Some(last) = rest.last() else {
            return false;
        };
        let stop = last.trailing_zeros();
        // The byte that holds the next bit is `next - 1`, or `next` once `current` is used up.
        if self.left == 0 {
            let ahead = rest.len().saturating_sub(self.next);
            ahead > 1 || (ahead == 1 && stop < 7)
        } else if self.next < rest.len() {
            true
        } else {
            self.next == rest.len() && self.left > stop + 1
        }
    }

    /// Reads `rbsp_trailing_bits()` and requires that nothing follows but
    /// zero bytes.
    pub fn finish(&mut self, structure: &'static str) -> Result<(), SyntaxError> {
        let bit = self.position;
        if self.more_rbsp_data() {
            return Err(SyntaxError::TrailingData { structure, bit });
        }
        if !self.read_flag("rbsp_stop_one_bit")? {
            return Err(out_of_range("rbsp_stop_one_bit", bit, 0, 1, 1));
        }
        Ok(())
    }
}

pub(crate) fn out_of_range(
    element: &'static str,
    bit: usize,
    value: i64,
    min: i64,
    max: i64,
) -> SyntaxError {
    SyntaxError::OutOfRange {
        element,
        bit,
        value,
        min,
        max,
    }
}

/// Writes bits, most significant first, without emulation prevention.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BitWriter {
    bytes: Vec<u8>,
    /// Unused low bits of the last byte.
    free: u32,
}

impl BitWriter {
    /// An empty string.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty string that reuses the memory of `bytes`.
    pub fn reusing(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        Self { bytes, free: 0 }
    }

    /// Bits written so far.
    pub fn position(&self) -> usize {
        self.bytes.len() * 8 - self.free as usize
    }

    /// The bytes so far; the unused low bits of the last one are zero.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes; the unused low bits of the last one are zero.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Appends one bit.
    pub fn write_flag(&mut self, value: bool) {
        if self.free == 0 {
            self.bytes.push(0);
            self.free = 8;
        }
        self.free -= 1;
        if let Some(last) = self.bytes.last_mut() {
            *last |= u8::from(value) << self.free;
        }
    }

    /// Appends the low `count` bits of `value`; `count` beyond 64 writes 64.
    pub fn write_bits(&mut self, value: u64, count: u32) {
        for shift in (0..count.min(64)).rev() {
            self.write_flag((value >> shift) & 1 == 1);
        }
    }

    /// Appends an unsigned Exp-Golomb code.
    pub fn write_ue(&mut self, value: u32) {
        let code = u64::from(value) + 1;
        let bits = 64 - code.leading_zeros();
        self.write_bits(0, bits - 1);
        self.write_bits(code, bits);
    }

    /// Appends a signed Exp-Golomb code; -2^31 has none and is written as -2^31 + 1.
    pub fn write_se(&mut self, value: i32) {
        let magnitude = value.unsigned_abs().min(i32::MAX as u32) * 2;
        self.write_ue(if value > 0 { magnitude - 1 } else { magnitude });
    }

    /// Appends `rbsp_trailing_bits()`: a one and zeros up to the next whole byte.
    pub fn finish(&mut self) {
        self.write_flag(true);
        self.free = 0;
    }

    /// Appends zeros up to the next whole byte.
    pub fn byte_align(&mut self) {
        self.free = 0;
    }
}

/// Appends `rbsp` to `out` with emulation prevention bytes (7.4.1).
///
/// The byte before it in the NAL unit is taken to be not zero, as that of a
/// header with `nal_unit_type` or `nuh_temporal_id_plus1` is.
pub fn escape_into(rbsp: &[u8], out: &mut Vec<u8>) {
    let mut zeros = 0;
    for &byte in rbsp {
        if zeros >= 2 && byte <= 3 {
            out.push(3);
            zeros = 0;
        }
        out.push(byte);
        zeros = if byte == 0 { zeros + 1 } else { 0 };
    }
    // A NAL unit does not end with a zero byte.
    if rbsp.last() == Some(&0) {
        out.push(3);
    }
}

/// Appends `payload` to `out` without its emulation prevention bytes.
pub fn unescape_into(payload: &[u8], out: &mut Vec<u8>) {
    let mut zeros = 0;
    for &byte in payload {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        out.push(byte);
        zeros = if byte == 0 { zeros + 1 } else { 0 };
    }
}
