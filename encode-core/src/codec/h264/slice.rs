//! Slice header (7.3.3).

use arrayvec::ArrayVec;

use super::super::bits::{BitReader, BitWriter, SyntaxError, out_of_range};
use super::super::syntax::Syntax;
use super::marking::walk_commands;
pub use super::marking::{ListCommand, ListModification, MarkingOp, RefPicMarking};
use super::nal::{NalHeader, NalType};
use super::pps::{Pps, SliceGroupMap};
use super::sps::{PocType, Sps};

/// `slice_type` without the promise about the picture's other slices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SliceType {
    /// Predicted from one list.
    P,
    /// Predicted from two lists.
    B,
    /// Intra.
    #[default]
    I,
    /// Switching P.
    Sp,
    /// Switching I.
    Si,
}

impl SliceType {
    const ALL: [Self; 5] = [Self::P, Self::B, Self::I, Self::Sp, Self::Si];

    fn code(self) -> u8 {
        match self {
            Self::P => 0,
            Self::B => 1,
            Self::I => 2,
            Self::Sp => 3,
            Self::Si => 4,
        }
    }

    /// True where the slice has a list 0.
    pub fn is_predicted(self) -> bool {
        matches!(self, Self::P | Self::B | Self::Sp)
    }
}

/// Which fields a slice belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PictureStructure {
    /// A frame.
    #[default]
    Frame,
    /// The top field.
    Top,
    /// The bottom field.
    Bottom,
}

/// `slice_header()`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SliceHeader {
    /// `first_mb_in_slice`
    pub first_mb: u32,
    /// `slice_type`, modulo 5.
    pub slice_type: SliceType,
    /// True where `slice_type` promises that all slices of the picture are alike.
    pub all_slices_alike: bool,
    /// `pic_parameter_set_id`
    pub pps_id: u8,
    /// `colour_plane_id`, coded only with separate planes.
    pub colour_plane: u8,
    /// `frame_num`
    pub frame_num: u32,
    /// Frame or field.
    pub structure: PictureStructure,
    /// `idr_pic_id`, coded only in IDR pictures.
    pub idr_pic_id: u16,
    /// `pic_order_cnt_lsb`, with POC type 0.
    pub poc_lsb: u32,
    /// `delta_pic_order_cnt_bottom` with POC type 0.
    pub delta_poc_bottom: i32,
    /// `delta_pic_order_cnt` with POC type 1.
    pub delta_poc: [i32; 2],
    /// `redundant_pic_cnt`
    pub redundant_pic_cnt: u8,
    /// `direct_spatial_mv_pred_flag`, in B slices.
    pub direct_spatial: bool,
    /// `num_ref_idx_active` of both lists where the default is overridden, 1 to 32.
    pub active_refs: Option<[u8; 2]>,
    /// `ref_pic_list_modification` of lists 0 and 1; `None` where the flag is 0.
    pub modifications: [Option<ListModification>; 2],
    /// `pred_weight_table`
    pub weights: PredWeightTable,
    /// `dec_ref_pic_marking`, where `nal_ref_idc` is not 0.
    pub marking: RefPicMarking,
    /// `cabac_init_idc`, 0 to 2.
    pub cabac_init_idc: u8,
    /// `slice_qp_delta`
    pub qp_delta: i32,
    /// `sp_for_switch_flag`
    pub sp_for_switch: bool,
    /// `slice_qs_delta`
    pub qs_delta: i32,
    /// Loop filter settings, coded where the PPS says so.
    pub deblocking: Deblocking,
    /// `slice_group_change_cycle`
    pub slice_group_change_cycle: u32,
}

/// Loop filter of a slice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deblocking {
    /// `disable_deblocking_filter_idc`: 0 on, 1 off, 2 off across slice edges.
    pub disable_idc: u8,
    /// `slice_alpha_c0_offset_div2`, -6 to 6.
    pub alpha_offset_div2: i32,
    /// `slice_beta_offset_div2`, -6 to 6.
    pub beta_offset_div2: i32,
}

/// `pred_weight_table()`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PredWeightTable {
    /// `luma_log2_weight_denom`, 0 to 7.
    pub luma_log2_denom: u8,
    /// `chroma_log2_weight_denom`, 0 to 7.
    pub chroma_log2_denom: u8,
    /// One entry for each reference of lists 0 and 1.
    pub lists: [ArrayVec<Weight, 32>; 2],
}

/// Explicit weights of one reference; `None` is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// Weight and offset of luma, -128 to 127.
    pub luma: Option<[i32; 2]>,
    /// Weight and offset of Cb, then of Cr.
    pub chroma: Option<[[i32; 2]; 2]>,
}

/// The parameter sets that a slice needs.
#[derive(Clone, Copy, Debug)]
pub struct SliceContext<'a> {
    /// Header of its NAL unit.
    pub nal: NalHeader,
    /// Active sequence parameter set.
    pub sps: &'a Sps,
    /// Active picture parameter set.
    pub pps: &'a Pps,
}

impl SliceContext<'_> {
    fn is_idr(&self) -> bool {
        self.nal.unit_type == NalType::IDR
    }
}

impl SliceHeader {
    /// `pic_parameter_set_id` of the slice in `nal`: what to look up before reading all of it.
    pub fn peek_pps_id(nal: &[u8]) -> Result<u8, SyntaxError> {
        let (header, payload) = NalHeader::split(nal)?;
        slice_unit(header)?;
        let mut reader = BitReader::escaped(payload);
        let mut slice = Self::default();
        slice.walk_start(&mut reader)?;
        Ok(slice.pps_id)
    }

    /// Reads the header of the slice in `nal` (NAL header included); gives it and
    /// the bits that it took behind the NAL header, emulation prevention not counted.
    pub fn read_nal(nal: &[u8], sps: &Sps, pps: &Pps) -> Result<(Self, usize), SyntaxError> {
        let (header, payload) = NalHeader::split(nal)?;
        slice_unit(header)?;
        let mut reader = BitReader::escaped(payload);
        let mut slice = Self::default();
        slice.walk_start(&mut reader)?;
        if slice.pps_id != pps.id {
            return Err(SyntaxError::MissingParameterSet {
                element: "pic_parameter_set_id",
                id: slice.pps_id.into(),
            });
        }
        let context = SliceContext {
            nal: header,
            sps,
            pps,
        };
        slice.walk(&mut reader, &context)?;
        Ok((slice, reader.position()))
    }

    /// Appends the header to `writer`; slice data follow at the next bit.
    pub fn write(
        &self,
        writer: &mut BitWriter,
        context: &SliceContext<'_>,
    ) -> Result<(), SyntaxError> {
        let mut copy = self.clone();
        copy.walk_start(writer)?;
        copy.walk(writer, context)
    }

    fn walk_start<S: Syntax>(&mut self, s: &mut S) -> Result<(), SyntaxError> {
        s.ue("first_mb_in_slice", 0..=(1 << 24) - 1, &mut self.first_mb)?;
        let mut code = self.slice_type.code() + if self.all_slices_alike { 5 } else { 0 };
        s.ue("slice_type", 0..=9, &mut code)?;
        self.all_slices_alike = code >= 5;
        self.slice_type = SliceType::ALL
            .get(usize::from(code % 5))
            .copied()
            .unwrap_or_default();
        s.ue("pic_parameter_set_id", 0..=255, &mut self.pps_id)
    }

    fn walk<S: Syntax>(
        &mut self,
        s: &mut S,
        context: &SliceContext<'_>,
    ) -> Result<(), SyntaxError> {
        const ANY: std::ops::RangeInclusive<i32> = -i32::MAX..=i32::MAX;
        let (sps, pps) = (context.sps, context.pps);
        let size = sps.size_in_mbs().area();
        if u64::from(self.first_mb) >= size {
            let max = i64::try_from(size).unwrap_or(i64::MAX) - 1;
            return Err(out_of_range(
                "first_mb_in_slice",
                0,
                self.first_mb.into(),
                0,
                max,
            ));
        }
        if sps
            .high
            .as_ref()
            .is_some_and(|high| high.separate_colour_plane)
        {
            s.u_in("colour_plane_id", 2, 0..=2, &mut self.colour_plane)?;
        }
        s.u(
            "frame_num",
            sps.max_frame_num().trailing_zeros(),
            &mut self.frame_num,
        )?;
        if sps.interlaced.is_some() {
            let mut field = self.structure != PictureStructure::Frame;
            s.flag("field_pic_flag", &mut field)?;
            let mut bottom = self.structure == PictureStructure::Bottom;
            if field {
                s.flag("bottom_field_flag", &mut bottom)?;
            }
            self.structure = match (field, bottom) {
                (false, _) => PictureStructure::Frame,
                (true, false) => PictureStructure::Top,
                (true, true) => PictureStructure::Bottom,
            };
        }
        if context.is_idr() {
            s.ue("idr_pic_id", 0..=65535, &mut self.idr_pic_id)?;
        }
        let both_fields = pps.bottom_field_pic_order && self.structure == PictureStructure::Frame;
        match &sps.poc {
            PocType::Lsb {
                log2_max_lsb_minus4,
            } => {
                s.u(
                    "pic_order_cnt_lsb",
                    u32::from(*log2_max_lsb_minus4) + 4,
                    &mut self.poc_lsb,
                )?;
                if both_fields {
                    s.se(
                        "delta_pic_order_cnt_bottom",
                        ANY,
                        &mut self.delta_poc_bottom,
                    )?;
                }
            }
            PocType::Cycle {
                delta_always_zero: false,
                ..
            } => {
                let [first, second] = &mut self.delta_poc;
                s.se("delta_pic_order_cnt[0]", ANY, first)?;
                if both_fields {
                    s.se("delta_pic_order_cnt[1]", ANY, second)?;
                }
            }
            PocType::Cycle { .. } | PocType::CodingOrder => {}
        }
        if pps.redundant_pic_cnt {
            s.ue("redundant_pic_cnt", 0..=127, &mut self.redundant_pic_cnt)?;
        }
        if self.slice_type == SliceType::B {
            s.flag("direct_spatial_mv_pred_flag", &mut self.direct_spatial)?;
        }
        self.walk_lists(s)?;
        if (pps.weighted_pred && matches!(self.slice_type, SliceType::P | SliceType::Sp))
            || (pps.weighted_bipred_idc == 1 && self.slice_type == SliceType::B)
        {
            self.walk_weights(s, context)?;
        }
        if context.nal.ref_idc != 0 {
            self.marking.walk(s, context.is_idr())?;
        }
        if pps.cabac && !matches!(self.slice_type, SliceType::I | SliceType::Si) {
            s.ue("cabac_init_idc", 0..=2, &mut self.cabac_init_idc)?;
        }
        // The sum with pic_init_qp stays within -QpBdOffset to 51.
        let init = 26 + pps.pic_init_qp_minus26.clamp(-62, 25);
        let offset = 6 * (i32::from(sps.bit_depth().0) - 8);
        s.se(
            "slice_qp_delta",
            -offset - init..=51 - init,
            &mut self.qp_delta,
        )?;
        if matches!(self.slice_type, SliceType::Sp | SliceType::Si) {
            if self.slice_type == SliceType::Sp {
                s.flag("sp_for_switch_flag", &mut self.sp_for_switch)?;
            }
            s.se("slice_qs_delta", -77..=77, &mut self.qs_delta)?;
        }
        if pps.deblocking_control {
            let filter = &mut self.deblocking;
            s.ue(
                "disable_deblocking_filter_idc",
                0..=2,
                &mut filter.disable_idc,
            )?;
            if filter.disable_idc != 1 {
                s.se(
                    "slice_alpha_c0_offset_div2",
                    -6..=6,
                    &mut filter.alpha_offset_div2,
                )?;
                s.se(
                    "slice_beta_offset_div2",
                    -6..=6,
                    &mut filter.beta_offset_div2,
                )?;
            }
        }
        if let Some(groups) = &pps.slice_groups
            && let SliceGroupMap::Changing { rate_minus1, .. } = &groups.map
        {
            // Ceil(Log2(PicSizeInMapUnits / SliceGroupChangeRate + 1)), the quotient rounded up.
            let units = u64::from(sps.pic_width_in_mbs_minus1.min(1 << 12) + 1)
                * u64::from(sps.pic_height_in_map_units_minus1.min(1 << 12) + 1);
            let values = units.div_ceil(u64::from(*rate_minus1) + 1) + 1;
            let bits = 64 - (values - 1).leading_zeros();
            s.u(
                "slice_group_change_cycle",
                bits,
                &mut self.slice_group_change_cycle,
            )?;
        }
        Ok(())
    }

    /// Number of lists that the slice type has.
    fn list_count(&self) -> usize {
        match self.slice_type {
            SliceType::P | SliceType::Sp => 1,
            SliceType::B => 2,
            SliceType::I | SliceType::Si => 0,
        }
    }

    fn walk_lists<S: Syntax>(&mut self, s: &mut S) -> Result<(), SyntaxError> {
        let lists = self.list_count();
        if lists == 0 {
            return Ok(());
        }
        let bit = s.at();
        if s.present("num_ref_idx_active_override_flag", &mut self.active_refs)?
            && let Some(active) = &mut self.active_refs
        {
            let max = if self.structure == PictureStructure::Frame {
                16
            } else {
                32
            };
            for count in active.iter_mut().take(lists) {
                let mut minus1 = count.wrapping_sub(1);
                s.ue("num_ref_idx_active_minus1", 0..=max - 1, &mut minus1)?;
                *count = minus1.checked_add(1).ok_or_else(|| {
                    out_of_range(
                        "num_ref_idx_active_minus1",
                        bit,
                        minus1.into(),
                        0,
                        i64::from(max) - 1,
                    )
                })?;
            }
        }
        for modification in self.modifications.iter_mut().take(lists) {
            if s.present("ref_pic_list_modification_flag", modification)?
                && let Some(commands) = modification
            {
                walk_commands(s, commands)?;
            }
        }
        Ok(())
    }

    fn walk_weights<S: Syntax>(
        &mut self,
        s: &mut S,
        context: &SliceContext<'_>,
    ) -> Result<(), SyntaxError> {
        let lists = self.list_count();
        let pps = context.pps;
        let active = self.active_refs.unwrap_or([
            pps.num_ref_idx_l0_default_minus1.min(31) + 1,
            pps.num_ref_idx_l1_default_minus1.min(31) + 1,
        ]);
        let chroma = context.sps.chroma_array_type() != 0;
        let table = &mut self.weights;
        s.ue("luma_log2_weight_denom", 0..=7, &mut table.luma_log2_denom)?;
        if chroma {
            s.ue(
                "chroma_log2_weight_denom",
                0..=7,
                &mut table.chroma_log2_denom,
            )?;
        }
        for (list, count) in table.lists.iter_mut().zip(active).take(lists) {
            if s.writes() {
                if list.len() != usize::from(count) {
                    return Err(SyntaxError::Length {
                        element: "pred_weight_table",
                        value: list.len(),
                        expected: count.into(),
                    });
                }
            } else {
                list.clear();
                for _ in 0..count.min(32) {
                    list.push(Weight::default());
                }
            }
            for weight in list {
                if s.present("luma_weight_flag", &mut weight.luma)?
                    && let Some([factor, offset]) = &mut weight.luma
                {
                    s.se("luma_weight", -128..=127, factor)?;
                    s.se("luma_offset", -128..=127, offset)?;
                }
                if chroma
                    && s.present("chroma_weight_flag", &mut weight.chroma)?
                    && let Some(planes) = &mut weight.chroma
                {
                    for [factor, offset] in planes {
                        s.se("chroma_weight", -128..=127, factor)?;
                        s.se("chroma_offset", -128..=127, offset)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn slice_unit(header: NalHeader) -> Result<(), SyntaxError> {
    match header.unit_type {
        NalType::SLICE | NalType::PARTITION_A | NalType::IDR => Ok(()),
        other => Err(SyntaxError::WrongUnit {
            expected: "slice",
            value: other.0.into(),
        }),
    }
}
