//! Gives a stream the headers that its encoder does not write.
//!
//! Some encoders (openh264enc among them) write no colour description and no
//! reordering limits. A decoder then guesses the colours, and holds back every
//! picture until its buffer is full.

use super::super::annexb::{find_start_code, nal_units};
use super::super::bits::{SyntaxError, escape_into};
use super::nal::{NalHeader, NalType};
use super::sps::Sps;
use super::vui::{BitstreamRestriction, Timing, Vui};
use crate::color::ColorSpec;

/// What the sequence parameter sets of a stream should say.
#[derive(Clone, Debug, Default)]
pub struct SpsRewriter {
    color: Option<ColorSpec>,
    timing: Option<Timing>,
    no_reordering: bool,
}

/// What [`SpsRewriter::rewrite`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Rewrite {
    /// The access unit already says so, or holds no SPS: use the input, `out` is untouched.
    Unchanged,
    /// `out` holds the new access unit.
    Rewritten,
}

impl SpsRewriter {
    /// Changes nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Describes the colours.
    #[must_use]
    pub fn color(mut self, color: ColorSpec) -> Self {
        self.color = Some(color);
        self
    }

    /// States the clock.
    #[must_use]
    pub fn timing(mut self, timing: Timing) -> Self {
        self.timing = Some(timing);
        self
    }

    /// States that no picture is shown out of coding order and that the
    /// references are all that a decoder has to store.
    ///
    /// The caller answers for it: only POC type 2 proves it from the SPS alone. A stream
    /// with B pictures would be shown in the wrong order.
    #[must_use]
    pub fn assert_no_reordering(mut self) -> Self {
        self.no_reordering = true;
        self
    }

    /// Applies the changes to one parameter set; true if that changed it.
    pub fn apply(&self, sps: &mut Sps) -> bool {
        let mut vui = sps.vui.clone().unwrap_or_default();
        if let Some(color) = self.color {
            vui.set_color(color, sps.chroma_format_idc() == 1);
        }
        if self.timing.is_some() {
            vui.timing = self.timing;
        }
        if self.no_reordering {
            vui.restriction = Some(BitstreamRestriction {
                max_num_reorder_frames: 0,
                max_dec_frame_buffering: sps.max_num_ref_frames.min(16),
                ..vui.restriction.unwrap_or_default()
            });
        }
        let changed =
            sps.vui.as_ref() != Some(&vui) && !(sps.vui.is_none() && vui == Vui::default());
        if changed {
            sps.vui = Some(vui);
        }
        changed
    }

    /// Rewrites the sequence parameter sets of one Annex-B access unit; all other
    /// bytes stay as they are. Looks no further than the first slice, and neither copies nor
    /// allocates where there is nothing to change.
    pub fn rewrite(&self, access_unit: &[u8], out: &mut Vec<u8>) -> Result<Rewrite, SyntaxError> {
        let Some(head) = head_with_sps(access_unit) else {
            return Ok(Rewrite::Unchanged);
        };
        let (mut copied, mut rewritten) = (0, false);
        for nal in nal_units(access_unit.get(..head).unwrap_or(access_unit)) {
            let (header, _) = NalHeader::split(nal.bytes)?;
            if header.unit_type != NalType::SPS {
                continue;
            }
            let mut sps = Sps::read_nal(nal.bytes)?;
            if !self.apply(&mut sps) {
                continue;
            }
            let rbsp = sps.to_rbsp()?;
            if !rewritten {
                out.clear();
                rewritten = true;
            }
            out.extend_from_slice(access_unit.get(copied..nal.offset).unwrap_or_default());
            out.push(header.byte());
            escape_into(&rbsp, out);
            copied = nal.range().end;
        }
        if !rewritten {
            return Ok(Rewrite::Unchanged);
        }
        out.extend_from_slice(access_unit.get(copied..).unwrap_or_default());
        Ok(Rewrite::Rewritten)
    }
}

/// Bytes before the first slice, if an SPS is among them.
fn head_with_sps(access_unit: &[u8]) -> Option<usize> {
    let (mut at, mut found) = (0, false);
    while let Some(code) = find_start_code(access_unit, at) {
        let unit_type = NalType(access_unit.get(code + 3)? & 31);
        if unit_type.is_vcl() {
            return found.then_some(code);
        }
        found |= unit_type == NalType::SPS;
        at = code + 3;
    }
    found.then_some(access_unit.len())
}
