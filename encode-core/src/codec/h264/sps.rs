//! Sequence parameter set (7.3.2.1.1).

use super::super::bits::{BitReader, BitWriter, SyntaxError, out_of_range};
use super::super::syntax::{Syntax, UE_MAX};
use super::nal::{NalHeader, NalType};
use super::scaling::{ScalingLists, walk_lists};
use super::vui::{BitstreamRestriction, ColorCodes, Vui};
use crate::geometry::Size;

/// The widest and highest picture read, in macroblocks: 65,536 samples, four
/// times what level 6.2 allows.
const MAX_SIDE_MBS: u32 = 4096;

/// `seq_parameter_set_data()`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sps {
    /// `profile_idc`
    pub profile_idc: u8,
    /// The byte of `constraint_set0_flag` (most significant bit) to
    /// `constraint_set5_flag` and two reserved bits.
    pub constraint_flags: u8,
    /// `level_idc`
    pub level_idc: u8,
    /// `seq_parameter_set_id`, 0 to 31.
    pub id: u8,
    /// What only the High profiles carry; `None` in the others, where it means 4:2:0 of 8 bits.
    pub high: Option<HighFields>,
    /// `log2_max_frame_num_minus4`, 0 to 12.
    pub log2_max_frame_num_minus4: u8,
    /// How the order of output is coded.
    pub poc: PocType,
    /// `max_num_ref_frames`, 0 to 16.
    pub max_num_ref_frames: u8,
    /// `gaps_in_frame_num_value_allowed_flag`
    pub gaps_in_frame_num_allowed: bool,
    /// `pic_width_in_mbs_minus1`
    pub pic_width_in_mbs_minus1: u32,
    /// `pic_height_in_map_units_minus1`
    pub pic_height_in_map_units_minus1: u32,
    /// `None` for frames only, else `mb_adaptive_frame_field_flag`.
    pub interlaced: Option<bool>,
    /// `direct_8x8_inference_flag`
    pub direct_8x8_inference: bool,
    /// Cropping in units that depend on the chroma format: see [`Sps::visible_size`].
    pub crop: Option<Crop>,
    /// Video usability information.
    pub vui: Option<Vui>,
}

/// Elements that only the High profiles have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HighFields {
    /// `chroma_format_idc`: 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma_format_idc: u8,
    /// `separate_colour_plane_flag`; only with 4:4:4.
    pub separate_colour_plane: bool,
    /// `bit_depth_luma_minus8`, 0 to 6.
    pub bit_depth_luma_minus8: u8,
    /// `bit_depth_chroma_minus8`, 0 to 6.
    pub bit_depth_chroma_minus8: u8,
    /// `qpprime_y_zero_transform_bypass_flag`
    pub transform_bypass: bool,
    /// Scaling matrix: 8 lists, 12 with 4:4:4.
    pub scaling: Option<ScalingLists>,
}

impl Default for HighFields {
    fn default() -> Self {
        Self {
            chroma_format_idc: 1,
            separate_colour_plane: false,
            bit_depth_luma_minus8: 0,
            bit_depth_chroma_minus8: 0,
            transform_bypass: false,
            scaling: None,
        }
    }
}

/// `pic_order_cnt_type` and what it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PocType {
    /// Type 0: the low bits are in each slice.
    Lsb {
        /// `log2_max_pic_order_cnt_lsb_minus4`, 0 to 12.
        log2_max_lsb_minus4: u8,
    },
    /// Type 1: a cycle of expected differences.
    Cycle {
        /// `delta_pic_order_always_zero_flag`
        delta_always_zero: bool,
        /// `offset_for_non_ref_pic`
        offset_for_non_ref_pic: i32,
        /// `offset_for_top_to_bottom_field`
        offset_for_top_to_bottom_field: i32,
        /// `offset_for_ref_frame`, at most 255.
        offsets: Vec<i32>,
    },
    /// Type 2: output order is coding order, so nothing can be reordered.
    CodingOrder,
}

impl Default for PocType {
    fn default() -> Self {
        Self::Lsb {
            log2_max_lsb_minus4: 0,
        }
    }
}

/// `frame_crop_*_offset`, in crop units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Crop {
    /// From the left.
    pub left: u32,
    /// From the right.
    pub right: u32,
    /// From the top.
    pub top: u32,
    /// From the bottom.
    pub bottom: u32,
}

/// True for the profiles whose parameter sets carry [`HighFields`].
fn has_high_fields(profile_idc: u8) -> bool {
    matches!(
        profile_idc,
        44 | 83 | 86 | 100 | 110 | 118 | 122 | 128 | 134 | 135 | 138 | 139 | 244
    )
}

impl Sps {
    /// Reads a whole NAL unit of type 7, header included, without start code.
    pub fn read_nal(nal: &[u8]) -> Result<Self, SyntaxError> {
        let (header, payload) = NalHeader::split(nal)?;
        header.expect(NalType::SPS, "sequence parameter set")?;
        let mut reader = BitReader::escaped(payload);
        let mut sps = Self::default();
        sps.walk(&mut reader)?;
        reader.finish("seq_parameter_set_rbsp")?;
        Ok(sps)
    }

    /// Writes the payload without emulation prevention, trailing bits included.
    pub fn to_rbsp(&self) -> Result<Vec<u8>, SyntaxError> {
        let mut writer = BitWriter::new();
        self.clone().walk(&mut writer)?;
        writer.finish();
        Ok(writer.into_bytes())
    }

    /// Writes a whole NAL unit with `nal_ref_idc` 3, without start code.
    pub fn to_nal(&self) -> Result<Vec<u8>, SyntaxError> {
        Ok(NalHeader::new(3, NalType::SPS).nal(&self.to_rbsp()?))
    }

    fn walk<S: Syntax>(&mut self, s: &mut S) -> Result<(), SyntaxError> {
        s.u("profile_idc", 8, &mut self.profile_idc)?;
        s.u("constraint_set_flags", 8, &mut self.constraint_flags)?;
        s.u("level_idc", 8, &mut self.level_idc)?;
        s.ue("seq_parameter_set_id", 0..=31, &mut self.id)?;
        if has_high_fields(self.profile_idc) {
            self.high.get_or_insert_with(HighFields::default).walk(s)?;
        } else if self.high.is_some() {
            return Err(out_of_range(
                "profile_idc",
                s.at(),
                self.profile_idc.into(),
                100,
                244,
            ));
        }
        s.ue(
            "log2_max_frame_num_minus4",
            0..=12,
            &mut self.log2_max_frame_num_minus4,
        )?;
        self.poc.walk(s)?;
        s.ue("max_num_ref_frames", 0..=16, &mut self.max_num_ref_frames)?;
        s.flag(
            "gaps_in_frame_num_value_allowed_flag",
            &mut self.gaps_in_frame_num_allowed,
        )?;
        s.ue(
            "pic_width_in_mbs_minus1",
            0..=MAX_SIDE_MBS - 1,
            &mut self.pic_width_in_mbs_minus1,
        )?;
        let at_height = s.at();
        s.ue(
            "pic_height_in_map_units_minus1",
            0..=MAX_SIDE_MBS - 1,
            &mut self.pic_height_in_map_units_minus1,
        )?;
        let mut frames_only = self.interlaced.is_none();
        s.flag("frame_mbs_only_flag", &mut frames_only)?;
        if frames_only {
            self.interlaced = None;
        } else {
            // A map unit is two macroblocks high, and that is known only now.
            let height = self.pic_height_in_map_units_minus1;
            if height >= MAX_SIDE_MBS / 2 {
                let max = i64::from(MAX_SIDE_MBS / 2 - 1);
                return Err(out_of_range(
                    "pic_height_in_map_units_minus1",
                    at_height,
                    height.into(),
                    0,
                    max,
                ));
            }
            s.flag(
                "mb_adaptive_frame_field_flag",
                self.interlaced.get_or_insert(false),
            )?;
        }
        s.flag("direct_8x8_inference_flag", &mut self.direct_8x8_inference)?;
        if s.present("frame_cropping_flag", &mut self.crop)? {
            self.walk_crop(s)?;
        }
        if s.present("vui_parameters_present_flag", &mut self.vui)?
            && let Some(vui) = &mut self.vui
        {
            vui.walk(s)?;
        }
        Ok(())
    }

    fn walk_crop<S: Syntax>(&mut self, s: &mut S) -> Result<(), SyntaxError> {
        let (unit_x, unit_y) = self.crop_unit();
        let coded = self.coded_size();
        let Some(crop) = &mut self.crop else {
            return Ok(());
        };
        // At least one sample must be left, counted in whole units.
        let (max_x, max_y) = ((coded.width - 1) / unit_x, (coded.height - 1) / unit_y);
        s.ue("frame_crop_left_offset", 0..=max_x, &mut crop.left)?;
        s.ue(
            "frame_crop_right_offset",
            0..=max_x - crop.left,
            &mut crop.right,
        )?;
        s.ue("frame_crop_top_offset", 0..=max_y, &mut crop.top)?;
        s.ue(
            "frame_crop_bottom_offset",
            0..=max_y - crop.top,
            &mut crop.bottom,
        )
    }

    /// `chroma_format_idc`: 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub fn chroma_format_idc(&self) -> u8 {
        self.high.as_ref().map_or(1, |high| high.chroma_format_idc)
    }

    /// `ChromaArrayType`: 0 where the planes are coded apart.
    pub fn chroma_array_type(&self) -> u8 {
        match &self.high {
            Some(high) if high.separate_colour_plane => 0,
            _ => self.chroma_format_idc(),
        }
    }

    /// Bits of a luma and of a chroma sample.
    pub fn bit_depth(&self) -> (u8, u8) {
        self.high.as_ref().map_or((8, 8), |high| {
            (
                8 + (high.bit_depth_luma_minus8 & 7),
                8 + (high.bit_depth_chroma_minus8 & 7),
            )
        })
    }

    /// `MaxFrameNum`
    pub fn max_frame_num(&self) -> u32 {
        1 << (u32::from(self.log2_max_frame_num_minus4.min(12)) + 4)
    }

    /// Luma samples that one step of cropping takes (`CropUnitX`, `CropUnitY`).
    pub fn crop_unit(&self) -> (u32, u32) {
        let field = if self.interlaced.is_some() { 2 } else { 1 };
        match self.chroma_array_type() {
            1 => (2, 2 * field),
            2 => (2, field),
            _ => (1, field),
        }
    }

    /// Size in whole macroblocks.
    pub fn size_in_mbs(&self) -> Size {
        let field = if self.interlaced.is_some() { 2 } else { 1 };
        Size::new(
            self.pic_width_in_mbs_minus1.min(MAX_SIDE_MBS - 1) + 1,
            (self.pic_height_in_map_units_minus1.min(MAX_SIDE_MBS - 1) + 1) * field,
        )
    }

    /// Size that is coded, in luma samples.
    pub fn coded_size(&self) -> Size {
        let mbs = self.size_in_mbs();
        Size::new(mbs.width * 16, mbs.height * 16)
    }

    /// Size after cropping: what a decoder shows. For 4:2:0 both sides are
    /// even, so the true size of an odd picture has to travel out of band.
    pub fn visible_size(&self) -> Size {
        let coded = self.coded_size();
        let crop = self.crop.unwrap_or_default();
        let (x, y) = self.crop_unit();
        Size::new(
            coded
                .width
                .saturating_sub(crop.left.saturating_add(crop.right).saturating_mul(x)),
            coded
                .height
                .saturating_sub(crop.top.saturating_add(crop.bottom).saturating_mul(y)),
        )
    }

    /// `avc1.` and profile, constraints and level in hexadecimal (RFC 6381).
    pub fn codec_string(&self) -> String {
        format!(
            "avc1.{:02x}{:02x}{:02x}",
            self.profile_idc, self.constraint_flags, self.level_idc
        )
    }

    /// The code points and `video_full_range_flag` as coded; `None` where no colour is described.
    pub fn color(&self) -> Option<(ColorCodes, bool)> {
        let signal = self.vui.as_ref()?.video_signal?;
        Some((signal.color?, signal.full_range))
    }

    /// The reordering and buffering limits; `None` where the stream states none, and a
    /// decoder that knows no better delays output by a whole buffer.
    pub fn reorder(&self) -> Option<BitstreamRestriction> {
        self.vui.as_ref()?.restriction
    }
}

impl HighFields {
    fn walk<S: Syntax>(&mut self, s: &mut S) -> Result<(), SyntaxError> {
        s.ue("chroma_format_idc", 0..=3, &mut self.chroma_format_idc)?;
        if self.chroma_format_idc == 3 {
            s.flag(
                "separate_colour_plane_flag",
                &mut self.separate_colour_plane,
            )?;
        } else {
            self.separate_colour_plane = false;
        }
        s.ue(
            "bit_depth_luma_minus8",
            0..=6,
            &mut self.bit_depth_luma_minus8,
        )?;
        s.ue(
            "bit_depth_chroma_minus8",
            0..=6,
            &mut self.bit_depth_chroma_minus8,
        )?;
        s.flag(
            "qpprime_y_zero_transform_bypass_flag",
            &mut self.transform_bypass,
        )?;
        if s.present("seq_scaling_matrix_present_flag", &mut self.scaling)?
            && let Some(lists) = &mut self.scaling
        {
            walk_lists(s, lists, if self.chroma_format_idc == 3 { 12 } else { 8 })?;
        }
        Ok(())
    }
}

impl PocType {
    /// `pic_order_cnt_type`
    pub fn code(&self) -> u8 {
        match self {
            Self::Lsb { .. } => 0,
            Self::Cycle { .. } => 1,
            Self::CodingOrder => 2,
        }
    }

    fn walk<S: Syntax>(&mut self, s: &mut S) -> Result<(), SyntaxError> {
        const ANY: std::ops::RangeInclusive<i32> = -i32::MAX..=i32::MAX;
        let mut code = self.code();
        s.ue("pic_order_cnt_type", 0..=2, &mut code)?;
        if !s.writes() {
            *self = match code {
                0 => Self::default(),
                1 => Self::Cycle {
                    delta_always_zero: false,
                    offset_for_non_ref_pic: 0,
                    offset_for_top_to_bottom_field: 0,
                    offsets: Vec::new(),
                },
                _ => Self::CodingOrder,
            };
        }
        match self {
            Self::Lsb {
                log2_max_lsb_minus4,
            } => s.ue(
                "log2_max_pic_order_cnt_lsb_minus4",
                0..=12,
                log2_max_lsb_minus4,
            ),
            Self::Cycle {
                delta_always_zero,
                offset_for_non_ref_pic,
                offset_for_top_to_bottom_field,
                offsets,
            } => {
                s.flag("delta_pic_order_always_zero_flag", delta_always_zero)?;
                s.se("offset_for_non_ref_pic", ANY, offset_for_non_ref_pic)?;
                s.se(
                    "offset_for_top_to_bottom_field",
                    ANY,
                    offset_for_top_to_bottom_field,
                )?;
                let mut count = u32::try_from(offsets.len()).unwrap_or(UE_MAX);
                s.ue("num_ref_frames_in_pic_order_cnt_cycle", 0..=255, &mut count)?;
                s.list("offset_for_ref_frame", count as usize, 1, offsets)?;
                for offset in offsets {
                    s.se("offset_for_ref_frame", ANY, offset)?;
                }
                Ok(())
            }
            Self::CodingOrder => Ok(()),
        }
    }
}
