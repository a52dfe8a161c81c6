//! Where one access unit ends and the next begins (7.4.1.2.3, 7.4.1.2.4).

use std::collections::BTreeMap;
use std::iter::Peekable;

use super::super::annexb::{NalUnits, nal_units};
use super::super::bits::SyntaxError;
use super::nal::{NalHeader, NalType};
use super::pps::Pps;
use super::slice::SliceHeader;
use super::sps::Sps;

/// The parameter sets that a stream has sent so far.
#[derive(Clone, Debug, Default)]
pub struct ParameterSets {
    sps: BTreeMap<u8, Sps>,
    pps: BTreeMap<u8, Pps>,
}

impl ParameterSets {
    /// Takes in `nal` if it is a parameter set; a broken one is an error and changes nothing.
    pub fn note(&mut self, nal: &[u8]) -> Result<(), SyntaxError> {
        let (header, _) = NalHeader::split(nal)?;
        match header.unit_type {
            NalType::SPS => {
                let sps = Sps::read_nal(nal)?;
                self.sps.insert(sps.id, sps);
            }
            NalType::PPS => {
                let pps = Pps::read_nal(nal, |id| self.sps.get(&id))?;
                self.pps.insert(pps.id, pps);
            }
            _ => {}
        }
        Ok(())
    }

    /// The sequence parameter set with this id.
    pub fn sps(&self, id: u8) -> Option<&Sps> {
        self.sps.get(&id)
    }

    /// The picture parameter set with this id.
    pub fn pps(&self, id: u8) -> Option<&Pps> {
        self.pps.get(&id)
    }

    /// The parameter sets that the slice in `nal` refers to.
    pub fn of_slice(&self, nal: &[u8]) -> Result<(&Sps, &Pps), SyntaxError> {
        let id = SliceHeader::peek_pps_id(nal)?;
        let pps = self.pps.get(&id).ok_or(SyntaxError::MissingParameterSet {
            element: "pic_parameter_set_id",
            id: id.into(),
        })?;
        let sps = self
            .sps
            .get(&pps.sps_id)
            .ok_or(SyntaxError::MissingParameterSet {
                element: "seq_parameter_set_id",
                id: pps.sps_id.into(),
            })?;
        Ok((sps, pps))
    }

    /// Reads the slice header in `nal`; see [`SliceHeader::read_nal`].
    pub fn slice(&self, nal: &[u8]) -> Result<(SliceHeader, usize), SyntaxError> {
        let (sps, pps) = self.of_slice(nal)?;
        SliceHeader::read_nal(nal, sps, pps)
    }
}

/// The NAL units of one picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessUnit<'a> {
    /// Its bytes with all start codes.
    pub bytes: &'a [u8],
    /// Where they start in the stream.
    pub offset: usize,
    /// True for an IDR picture.
    pub keyframe: bool,
    /// Slices in it; 0 only where a stream ends in parameter sets.
    pub slices: usize,
}

/// Splits a whole byte stream. A slice whose header cannot be read (a parameter
/// set is missing or broken) starts a picture if its `first_mb_in_slice` is 0.
pub fn access_units(stream: &[u8]) -> AccessUnits<'_> {
    AccessUnits {
        stream,
        nals: nal_units(stream).peekable(),
        sets: ParameterSets::default(),
        previous: None,
    }
}

/// Iterator over access units: see [`access_units`].
#[derive(Clone, Debug)]
pub struct AccessUnits<'a> {
    stream: &'a [u8],
    nals: Peekable<NalUnits<'a>>,
    sets: ParameterSets,
    previous: Option<PictureKey>,
}

impl AccessUnits<'_> {
    /// The parameter sets up to the access unit that was returned last.
    pub fn parameter_sets(&self) -> &ParameterSets {
        &self.sets
    }
}

/// What tells the first slice of a picture from a further one.
#[derive(Clone, Debug)]
struct PictureKey {
    header: NalHeader,
    slice: Option<SliceHeader>,
}

impl PictureKey {
    fn differs(&self, next: &Self, next_starts_at_0: bool) -> bool {
        let idr = |key: &Self| key.header.unit_type == NalType::IDR;
        let (Some(a), Some(b)) = (&self.slice, &next.slice) else {
            return next_starts_at_0;
        };
        if b.redundant_pic_cnt > 0 {
            return false;
        }
        a.frame_num != b.frame_num
            || a.pps_id != b.pps_id
            || a.structure != b.structure
            || (self.header.ref_idc == 0) != (next.header.ref_idc == 0)
            || a.poc_lsb != b.poc_lsb
            || a.delta_poc_bottom != b.delta_poc_bottom
            || a.delta_poc != b.delta_poc
            || idr(self) != idr(next)
            || (idr(self) && a.idr_pic_id != b.idr_pic_id)
    }
}

impl<'a> Iterator for AccessUnits<'a> {
    type Item = AccessUnit<'a>;

    fn next(&mut self) -> Option<AccessUnit<'a>> {
        let offset = self.nals.peek()?.start;
        let (mut end, mut slices, mut keyframe) = (offset, 0, false);
        while let Some(nal) = self.nals.peek().copied() {
            let unit_type = NalType(nal.bytes.first().map_or(0, |byte| byte & 31));
            if unit_type.is_vcl() {
                // Partitions B and C have no slice header and follow their A.
                if !matches!(unit_type.0, 3 | 4) {
                    let key = PictureKey {
                        header: NalHeader::new(
                            nal.bytes.first().map_or(0, |byte| byte >> 5),
                            unit_type,
                        ),
                        slice: self.sets.slice(nal.bytes).ok().map(|(slice, _)| slice),
                    };
                    // ue(v) codes 0 as a single one.
                    let starts_at_0 = nal.bytes.get(1).is_some_and(|byte| byte & 0x80 != 0);
                    if slices > 0
                        && self
                            .previous
                            .as_ref()
                            .is_some_and(|previous| previous.differs(&key, starts_at_0))
                    {
                        break;
                    }
                    self.previous = Some(key);
                    slices += 1;
                    keyframe |= unit_type == NalType::IDR;
                }
            } else if slices > 0 && matches!(unit_type.0, 6..=9 | 14..=18) {
                break;
            }
            // A broken set is treated as if it had not come.
            let _ = self.sets.note(nal.bytes);
            end = nal.range().end;
            self.nals.next();
        }
        // Trailing zero bytes belong to the unit before them.
        let end = self
            .nals
            .peek()
            .map_or(self.stream.len().max(end), |next| next.start);
        Some(AccessUnit {
            bytes: self.stream.get(offset..end)?,
            offset,
            keyframe,
            slices,
        })
    }
}
