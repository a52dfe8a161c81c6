//! NAL unit header (7.3.1) and the access unit delimiter.

use super::super::bits::{SyntaxError, escape_into, out_of_range};

/// `nal_unit_type` (table 7-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NalType(pub u8);

impl NalType {
    /// Slice of a picture that is not an IDR picture.
    pub const SLICE: Self = Self(1);
    /// Slice data partition A, which holds the slice header.
    pub const PARTITION_A: Self = Self(2);
    /// Slice of an IDR picture.
    pub const IDR: Self = Self(5);
    /// Supplemental enhancement information.
    pub const SEI: Self = Self(6);
    /// Sequence parameter set.
    pub const SPS: Self = Self(7);
    /// Picture parameter set.
    pub const PPS: Self = Self(8);
    /// Access unit delimiter.
    pub const AUD: Self = Self(9);
    /// End of sequence.
    pub const END_OF_SEQUENCE: Self = Self(10);
    /// Filler data.
    pub const FILLER: Self = Self(12);

    /// True for units that carry picture content (types 1 to 5).
    pub const fn is_vcl(self) -> bool {
        matches!(self.0, 1..=5)
    }
}

/// The first byte of a NAL unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NalHeader {
    /// `nal_ref_idc`, 0 to 3; 0 for what nothing refers to.
    pub ref_idc: u8,
    /// `nal_unit_type`
    pub unit_type: NalType,
}

impl NalHeader {
    /// A header; both fields are cut to the bits they have.
    pub const fn new(ref_idc: u8, unit_type: NalType) -> Self {
        Self {
            ref_idc: ref_idc & 3,
            unit_type: NalType(unit_type.0 & 31),
        }
    }

    /// Reads the header and gives what follows it.
    pub fn split(nal: &[u8]) -> Result<(Self, &[u8]), SyntaxError> {
        let (&byte, payload) = nal.split_first().ok_or(SyntaxError::Truncated {
            element: "nal_unit_header",
            bit: 0,
        })?;
        if byte & 0x80 != 0 {
            return Err(out_of_range("forbidden_zero_bit", 0, 1, 0, 0));
        }
        Ok((Self::new(byte >> 5, NalType(byte)), payload))
    }

    /// The header as coded.
    pub const fn byte(self) -> u8 {
        (self.ref_idc & 3) << 5 | (self.unit_type.0 & 31)
    }

    /// A whole NAL unit with the payload `rbsp`, without start code.
    pub fn nal(self, rbsp: &[u8]) -> Vec<u8> {
        let mut nal = Vec::with_capacity(rbsp.len() + 8);
        nal.push(self.byte());
        escape_into(rbsp, &mut nal);
        nal
    }

    pub(super) fn expect(
        self,
        unit_type: NalType,
        expected: &'static str,
    ) -> Result<(), SyntaxError> {
        if self.unit_type == unit_type {
            Ok(())
        } else {
            Err(SyntaxError::WrongUnit {
                expected,
                value: self.unit_type.0.into(),
            })
        }
    }
}

/// An access unit delimiter: `primary_pic_type` 0 promises I slices only, 1 I and P,
/// 7 anything.
pub fn access_unit_delimiter(primary_pic_type: u8) -> [u8; 2] {
    [
        NalHeader::new(0, NalType::AUD).byte(),
        (primary_pic_type & 7) << 5 | 0x10,
    ]
}
