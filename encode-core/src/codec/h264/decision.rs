//! What is asked of the next picture, and what is decided about it.

use std::num::{NonZeroU16, NonZeroU32};

use arrayvec::ArrayVec;

use super::marking::{ListModification, RefPicMarking};
use super::nal::{NalHeader, NalType};
use super::pps::Pps;
use super::slice::{SliceHeader, SliceType};

/// How pictures are to be ordered.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct GopConfig {
    /// `max_num_ref_frames` of the SPS, 1 to 16.
    pub max_refs: u8,
    /// References that one picture may use, 1 to `max_refs`.
    pub active_refs: u8,
    /// Long-term indices kept for [`PictureRequest::long_term`], fewer than `max_refs`.
    pub long_term_slots: u8,
    /// `log2_max_frame_num` of the SPS, 4 to 16.
    pub log2_max_frame_num: u8,
    /// Pictures from one IDR to the next; `None` makes them on request only.
    pub idr_period: Option<NonZeroU32>,
    /// Pictures in which a rolling intra refresh passes once over the picture.
    pub intra_refresh: Option<NonZeroU16>,
}

impl GopConfig {
    /// One picture refers to the last of `max_refs`; IDR pictures on request only.
    pub const fn new(max_refs: u8) -> Self {
        Self {
            max_refs,
            active_refs: 1,
            long_term_slots: 0,
            log2_max_frame_num: 8,
            idr_period: None,
            intra_refresh: None,
        }
    }
}

/// Names a picture: its number in coding order since the stream began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PictureId(pub u64);

/// What is asked of the next picture.
#[derive(Clone, Copy, Debug, Default)]
pub struct PictureRequest {
    /// An IDR picture.
    pub keyframe: bool,
    /// As [`Gop::lost`](super::gop::Gop::lost) just before.
    pub invalidate: Option<PictureId>,
    /// No later picture will refer to it. Not granted twice in a row, which POC
    /// type 2 cannot express (8.2.1.3), nor for an IDR picture.
    pub disposable: bool,
    /// Keep it under this long-term index until that is given anew. An IDR picture
    /// can take index 0 only.
    pub long_term: Option<u8>,
    /// Begin a new pass of the intra refresh.
    pub refresh: bool,
}

/// Kind of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureKind {
    /// All before it is forgotten.
    Idr,
    /// Predicted from earlier pictures.
    P,
}

/// A picture that the next one refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Which picture.
    pub id: PictureId,
    /// Slot that holds it.
    pub slot: u8,
    /// Its `frame_num`.
    pub frame_num: u32,
    /// Its picture order count.
    pub poc: i32,
    /// Its `LongTermFrameIdx`, if it is a long-term reference.
    pub long_term: Option<u8>,
}

/// A step of a rolling intra refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshStep {
    /// Which part of the picture is coded intra, from 0.
    pub index: u16,
    /// Number of parts.
    pub of: u16,
}

/// All that a slice header and a driver need to know of the next picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureDecision {
    /// Its name.
    pub id: PictureId,
    /// Its kind.
    pub kind: PictureKind,
    /// False where nothing will refer to it (`nal_ref_idc` 0).
    pub is_reference: bool,
    /// `frame_num`
    pub frame_num: u32,
    /// Picture order count of both fields.
    pub poc: i32,
    /// `idr_pic_id`, of an IDR picture.
    pub idr_pic_id: u16,
    /// List 0 in its final order; empty for an IDR picture.
    pub references: ArrayVec<Reference, 16>,
    /// Everything that the decoder holds before this picture, used by it or not
    /// (drivers want all of it).
    pub held: ArrayVec<Reference, 16>,
    /// Slot for the reconstructed picture; none of `held` is in it.
    pub setup_slot: u8,
    /// Long-term index it is stored under.
    pub long_term: Option<u8>,
    /// Commands that bring the initial list into the order of `references`.
    pub modification: Option<ListModification>,
    /// `dec_ref_pic_marking`
    pub marking: RefPicMarking,
    /// The part to be coded intra.
    pub refresh: Option<RefreshStep>,
    /// `recovery_frame_cnt` of the SEI to go before it.
    pub recovery_point: Option<u32>,
}

impl PictureDecision {
    /// Header of the picture's slice NAL units.
    pub fn nal_header(&self) -> NalHeader {
        match (self.kind, self.is_reference) {
            (PictureKind::Idr, _) => NalHeader::new(3, NalType::IDR),
            (PictureKind::P, true) => NalHeader::new(2, NalType::SLICE),
            (PictureKind::P, false) => NalHeader::new(0, NalType::SLICE),
        }
    }

    /// Header of the picture's first slice; QP and loop filter are left at 0.
    pub fn slice_header(&self, pps: &Pps) -> SliceHeader {
        let active = u8::try_from(self.references.len()).unwrap_or(16);
        let is_default = active == pps.num_ref_idx_l0_default_minus1.saturating_add(1);
        let predicted = self.kind == PictureKind::P;
        SliceHeader {
            slice_type: if predicted {
                SliceType::P
            } else {
                SliceType::I
            },
            all_slices_alike: true,
            pps_id: pps.id,
            frame_num: self.frame_num,
            idr_pic_id: self.idr_pic_id,
            active_refs: (predicted && !is_default).then_some([active, 0]),
            modifications: [self.modification.clone(), None],
            marking: self.marking.clone(),
            ..SliceHeader::default()
        }
    }
}
