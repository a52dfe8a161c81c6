//! HEVC: NAL unit headers, enough to find keyframes and parameter sets.

use super::annexb::nal_units;
use super::bits::{SyntaxError, out_of_range};

/// `nal_unit_type` of HEVC (H.265 table 7-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NalType(pub u8);

impl NalType {
    /// Video parameter set.
    pub const VPS: Self = Self(32);
    /// Sequence parameter set.
    pub const SPS: Self = Self(33);
    /// Picture parameter set.
    pub const PPS: Self = Self(34);
    /// Access unit delimiter.
    pub const AUD: Self = Self(35);
    /// SEI before the picture.
    pub const PREFIX_SEI: Self = Self(39);

    /// True for slices.
    pub const fn is_vcl(self) -> bool {
        self.0 < 32
    }

    /// True for slices of a picture at which decoding may start (types 16 to 23).
    pub const fn is_irap(self) -> bool {
        matches!(self.0, 16..=23)
    }

    /// True for slices of an IDR picture.
    pub const fn is_idr(self) -> bool {
        matches!(self.0, 19 | 20)
    }
}

/// The first two bytes of a NAL unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NalHeader {
    /// `nal_unit_type`
    pub unit_type: NalType,
    /// `nuh_layer_id`, 0 to 63.
    pub layer: u8,
    /// `nuh_temporal_id_plus1`, 1 to 7.
    pub temporal_id_plus1: u8,
}

impl NalHeader {
    /// Reads the header and gives what follows it.
    pub fn split(nal: &[u8]) -> Result<(Self, &[u8]), SyntaxError> {
        let (&[first, second], payload) =
            nal.split_first_chunk::<2>().ok_or(SyntaxError::Truncated {
                element: "nal_unit_header",
                bit: 0,
            })?;
        if first & 0x80 != 0 {
            return Err(out_of_range("forbidden_zero_bit", 0, 1, 0, 0));
        }
        let temporal_id_plus1 = second & 7;
        if temporal_id_plus1 == 0 {
            return Err(out_of_range("nuh_temporal_id_plus1", 13, 0, 1, 7));
        }
        let header = Self {
            unit_type: NalType(first >> 1),
            layer: (first & 1) << 5 | second >> 3,
            temporal_id_plus1,
        };
        Ok((header, payload))
    }
}

/// What an access unit holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Slices of an IDR or other random access picture.
    pub keyframe: bool,
    /// A video parameter set.
    pub vps: bool,
    /// A sequence parameter set.
    pub sps: bool,
    /// A picture parameter set.
    pub pps: bool,
    /// First slices of a picture: 1 in a whole access unit of one layer.
    pub pictures: usize,
}

/// Looks over the NAL units of an Annex-B access unit; units with a broken header are skipped.
pub fn contents(access_unit: &[u8]) -> Contents {
    let mut contents = Contents::default();
    for nal in nal_units(access_unit) {
        let Ok((header, payload)) = NalHeader::split(nal.bytes) else {
            continue;
        };
        match header.unit_type {
            NalType::VPS => contents.vps = true,
            NalType::SPS => contents.sps = true,
            NalType::PPS => contents.pps = true,
            slice if slice.is_vcl() => {
                contents.keyframe |= slice.is_irap();
                // first_slice_segment_in_pic_flag is the first bit of the header.
                contents.pictures +=
                    usize::from(payload.first().is_some_and(|byte| byte & 0x80 != 0));
            }
            _ => {}
        }
    }
    contents
}
