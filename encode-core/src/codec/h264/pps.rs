//! Picture parameter set (7.3.2.2).

use super::super::bits::{BitReader, BitWriter, SyntaxError};
use super::super::syntax::{Syntax, UE_MAX};
use super::nal::{NalHeader, NalType};
use super::scaling::{ScalingLists, walk_lists};
use super::sps::Sps;

/// Macroblocks of the largest picture read: 4,096 by 4,096.
const MAX_MAP_UNITS: u32 = 1 << 24;

/// `pic_parameter_set_rbsp()`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pps {
    /// `pic_parameter_set_id`, 0 to 255.
    pub id: u8,
    /// `seq_parameter_set_id`, 0 to 31.
    pub sps_id: u8,
    /// `entropy_coding_mode_flag`: true for CABAC.
    pub cabac: bool,
    /// `bottom_field_pic_order_in_frame_present_flag`
    pub bottom_field_pic_order: bool,
    /// Slice groups; `None` for one.
    pub slice_groups: Option<SliceGroups>,
    /// `num_ref_idx_l0_default_active_minus1`, 0 to 31.
    pub num_ref_idx_l0_default_minus1: u8,
    /// `num_ref_idx_l1_default_active_minus1`, 0 to 31.
    pub num_ref_idx_l1_default_minus1: u8,
    /// `weighted_pred_flag`
    pub weighted_pred: bool,
    /// `weighted_bipred_idc`, 0 to 2.
    pub weighted_bipred_idc: u8,
    /// `pic_init_qp_minus26`
    pub pic_init_qp_minus26: i32,
    /// `pic_init_qs_minus26`
    pub pic_init_qs_minus26: i32,
    /// `chroma_qp_index_offset`, -12 to 12.
    pub chroma_qp_index_offset: i32,
    /// `deblocking_filter_control_present_flag`
    pub deblocking_control: bool,
    /// `constrained_intra_pred_flag`
    pub constrained_intra_pred: bool,
    /// `redundant_pic_cnt_present_flag`
    pub redundant_pic_cnt: bool,
    /// What the High profiles append.
    pub high: Option<HighPps>,
}

/// Elements that only the High profiles have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HighPps {
    /// `transform_8x8_mode_flag`
    pub transform_8x8: bool,
    /// Scaling matrix: 6 lists, with the 8x8 transform 2 more (6 with 4:4:4).
    pub scaling: Option<ScalingLists>,
    /// `second_chroma_qp_index_offset`, -12 to 12.
    pub second_chroma_qp_index_offset: i32,
}

/// Flexible macroblock ordering; no encoder here makes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SliceGroups {
    /// `num_slice_groups_minus1`, 1 to 7.
    pub count_minus1: u8,
    /// `slice_group_map_type`
    pub map: SliceGroupMap,
}

/// `slice_group_map_type` and what it needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SliceGroupMap {
    /// Type 0: `run_length_minus1` of each group.
    Interleaved(Vec<u32>),
    /// Type 1.
    #[default]
    Dispersed,
    /// Type 2: `top_left` and `bottom_right` of each group but the last.
    Foreground(Vec<(u32, u32)>),
    /// Types 3 to 5: groups that change from picture to picture.
    Changing {
        /// `slice_group_map_type`, 3 to 5.
        map_type: u8,
        /// `slice_group_change_direction_flag`
        direction: bool,
        /// `slice_group_change_rate_minus1`
        rate_minus1: u32,
    },
    /// Type 6: `slice_group_id` of each map unit.
    Explicit(Vec<u8>),
}

impl Pps {
    /// Reads a whole NAL unit of type 8, header included, without start code.
    ///
    /// `sps` gives the parameter set with an id: its chroma format decides how many
    /// scaling lists there are.
    pub fn read_nal<'s>(
        nal: &[u8],
        sps: impl FnOnce(u8) -> Option<&'s Sps>,
    ) -> Result<Self, SyntaxError> {
        let (header, payload) = NalHeader::split(nal)?;
        header.expect(NalType::PPS, "picture parameter set")?;
        let mut reader = BitReader::escaped(payload);
        let mut pps = Self::default();
        pps.walk_ids(&mut reader)?;
        let sps = sps(pps.sps_id).ok_or(SyntaxError::MissingParameterSet {
            element: "seq_parameter_set_id",
            id: pps.sps_id.into(),
        })?;
        pps.walk(&mut reader, sps)?;
        reader.finish("pic_parameter_set_rbsp")?;
        Ok(pps)
    }

    /// Writes the payload without emulation prevention, trailing bits included.
    pub fn to_rbsp(&self, sps: &Sps) -> Result<Vec<u8>, SyntaxError> {
        let mut writer = BitWriter::new();
        let mut copy = self.clone();
        copy.walk_ids(&mut writer)?;
        copy.walk(&mut writer, sps)?;
        writer.finish();
        Ok(writer.into_bytes())
    }

    /// Writes a whole NAL unit with `nal_ref_idc` 3, without start code.
    pub fn to_nal(&self, sps: &Sps) -> Result<Vec<u8>, SyntaxError> {
        Ok(NalHeader::new(3, NalType::PPS).nal(&self.to_rbsp(sps)?))
    }

    fn walk_ids<S: Syntax>(&mut self, s: &mut S) -> Result<(), SyntaxError> {
        s.ue("pic_parameter_set_id", 0..=255, &mut self.id)?;
        s.ue("seq_parameter_set_id", 0..=31, &mut self.sps_id)
    }

    fn walk<S: Syntax>(&mut self, s: &mut S, sps: &Sps) -> Result<(), SyntaxError> {
        s.flag("entropy_coding_mode_flag", &mut self.cabac)?;
        s.flag(
            "bottom_field_pic_order_in_frame_present_flag",
            &mut self.bottom_field_pic_order,
        )?;
        self.walk_slice_groups(s)?;
        s.ue(
            "num_ref_idx_l0_default_active_minus1",
            0..=31,
            &mut self.num_ref_idx_l0_default_minus1,
        )?;
        s.ue(
            "num_ref_idx_l1_default_active_minus1",
            0..=31,
            &mut self.num_ref_idx_l1_default_minus1,
        )?;
        s.flag("weighted_pred_flag", &mut self.weighted_pred)?;
        s.u_in(
            "weighted_bipred_idc",
            2,
            0..=2,
            &mut self.weighted_bipred_idc,
        )?;
        let qp_bd_offset = 6 * (i32::from(sps.bit_depth().0) - 8);
        s.se(
            "pic_init_qp_minus26",
            -26 - qp_bd_offset..=25,
            &mut self.pic_init_qp_minus26,
        )?;
        s.se(
            "pic_init_qs_minus26",
            -26..=25,
            &mut self.pic_init_qs_minus26,
        )?;
        s.se(
            "chroma_qp_index_offset",
            -12..=12,
            &mut self.chroma_qp_index_offset,
        )?;
        s.flag(
            "deblocking_filter_control_present_flag",
            &mut self.deblocking_control,
        )?;
        s.flag(
            "constrained_intra_pred_flag",
            &mut self.constrained_intra_pred,
        )?;
        s.flag(
            "redundant_pic_cnt_present_flag",
            &mut self.redundant_pic_cnt,
        )?;
        if !s.more(self.high.is_some()) {
            self.high = None;
            return Ok(());
        }
        let high = self.high.get_or_insert_with(HighPps::default);
        s.flag("transform_8x8_mode_flag", &mut high.transform_8x8)?;
        if s.present("pic_scaling_matrix_present_flag", &mut high.scaling)?
            && let Some(lists) = &mut high.scaling
        {
            let large = match (high.transform_8x8, sps.chroma_format_idc()) {
                (false, _) => 0,
                (true, 3) => 6,
                (true, _) => 2,
            };
            walk_lists(s, lists, 6 + large)?;
        }
        s.se(
            "second_chroma_qp_index_offset",
            -12..=12,
            &mut high.second_chroma_qp_index_offset,
        )
    }

    fn walk_slice_groups<S: Syntax>(&mut self, s: &mut S) -> Result<(), SyntaxError> {
        let mut count = self
            .slice_groups
            .as_ref()
            .map_or(0, |groups| groups.count_minus1);
        s.ue("num_slice_groups_minus1", 0..=7, &mut count)?;
        if count == 0 {
            self.slice_groups = None;
            return Ok(());
        }
        let groups = self.slice_groups.get_or_insert_with(SliceGroups::default);
        groups.count_minus1 = count;
        groups.map.walk(s, count)
    }
}

impl SliceGroupMap {
    fn code(&self) -> u8 {
        match self {
            Self::Interleaved(_) => 0,
            Self::Dispersed => 1,
            Self::Foreground(_) => 2,
            Self::Changing { map_type, .. } => *map_type,
            Self::Explicit(_) => 6,
        }
    }

    fn walk<S: Syntax>(&mut self, s: &mut S, count_minus1: u8) -> Result<(), SyntaxError> {
        let mut code = self.code();
        s.ue("slice_group_map_type", 0..=6, &mut code)?;
        if !s.writes() {
            *self = match code {
                0 => Self::Interleaved(Vec::new()),
                1 => Self::Dispersed,
                2 => Self::Foreground(Vec::new()),
                6 => Self::Explicit(Vec::new()),
                map_type => Self::Changing {
                    map_type,
                    direction: false,
                    rate_minus1: 0,
                },
            };
        }
        let groups = usize::from(count_minus1);
        match self {
            Self::Interleaved(runs) => {
                s.list("run_length_minus1", groups + 1, 1, runs)?;
                for run in runs {
                    s.ue("run_length_minus1", 0..=MAX_MAP_UNITS, run)?;
                }
            }
            Self::Dispersed => {}
            Self::Foreground(rects) => {
                s.list("top_left", groups, 2, rects)?;
                for (top_left, bottom_right) in rects {
                    s.ue("top_left", 0..=MAX_MAP_UNITS, top_left)?;
                    s.ue("bottom_right", 0..=MAX_MAP_UNITS, bottom_right)?;
                }
            }
            Self::Changing {
                map_type,
                direction,
                rate_minus1,
            } => {
                if !(3..=5).contains(map_type) {
                    // Only a writer can hold a type that names another variant.
                    let value = i64::from(*map_type);
                    return Err(super::super::bits::out_of_range(
                        "slice_group_map_type",
                        s.at(),
                        value,
                        3,
                        5,
                    ));
                }
                s.flag("slice_group_change_direction_flag", direction)?;
                s.ue(
                    "slice_group_change_rate_minus1",
                    0..=MAX_MAP_UNITS,
                    rate_minus1,
                )?;
            }
            Self::Explicit(ids) => {
                let mut count = u32::try_from(ids.len())
                    .unwrap_or(0)
                    .wrapping_sub(1)
                    .min(UE_MAX);
                s.ue(
                    "pic_size_in_map_units_minus1",
                    0..=MAX_MAP_UNITS - 1,
                    &mut count,
                )?;
                let bits = match count_minus1 {
                    4.. => 3,
                    2.. => 2,
                    _ => 1,
                };
                s.list("slice_group_id", count as usize + 1, bits as usize, ids)?;
                for id in ids {
                    s.u_in("slice_group_id", bits, 0..=count_minus1.into(), id)?;
                }
            }
        }
        Ok(())
    }
}
