//! Video usability information (annex E): colour, timing, buffering, reordering.

use arrayvec::ArrayVec;

use super::super::bits::SyntaxError;
use super::super::syntax::{Syntax, UE_MAX};
use crate::color::{ColorSpec, Range};

/// `vui_parameters()` (E.1.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vui {
    /// Sample aspect ratio.
    pub aspect_ratio: Option<AspectRatio>,
    /// `overscan_appropriate_flag`, where overscan information is present.
    pub overscan_appropriate: Option<bool>,
    /// Range and colour.
    pub video_signal: Option<VideoSignal>,
    /// Position of 4:2:0 chroma.
    pub chroma_location: Option<ChromaLocation>,
    /// Clock.
    pub timing: Option<Timing>,
    /// Buffer model of the NAL units.
    pub nal_hrd: Option<Hrd>,
    /// Buffer model of the slices alone.
    pub vcl_hrd: Option<Hrd>,
    /// `low_delay_hrd_flag`; present only with a buffer model.
    pub low_delay_hrd: bool,
    /// `pic_struct_present_flag`
    pub pic_struct_present: bool,
    /// Reordering and buffering limits.
    pub restriction: Option<BitstreamRestriction>,
}

/// Sample aspect ratio (table E-1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AspectRatio {
    /// `aspect_ratio_idc`; 1 is square, 255 takes the explicit ratio.
    pub idc: u8,
    /// `sar_width` and `sar_height`, coded only with `idc` 255.
    pub sar: (u16, u16),
}

impl AspectRatio {
    /// 1:1.
    pub const SQUARE: Self = Self {
        idc: 1,
        sar: (0, 0),
    };
}

/// `video_signal_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoSignal {
    /// `video_format`; 5 is unspecified.
    pub format: u8,
    /// `video_full_range_flag`
    pub full_range: bool,
    /// The three code points of H.273.
    pub color: Option<ColorCodes>,
}

impl Default for VideoSignal {
    fn default() -> Self {
        Self {
            format: 5,
            full_range: false,
            color: None,
        }
    }
}

/// Code points of H.273 as coded, known to [`crate::color`] or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColorCodes {
    /// `colour_primaries`
    pub primaries: u8,
    /// `transfer_characteristics`
    pub transfer: u8,
    /// `matrix_coefficients`
    pub matrix: u8,
}

impl Default for ColorCodes {
    /// Unspecified, 2/2/2: what an absent description means.
    fn default() -> Self {
        Self {
            primaries: 2,
            transfer: 2,
            matrix: 2,
        }
    }
}

impl From<ColorSpec> for ColorCodes {
    fn from(color: ColorSpec) -> Self {
        Self {
            primaries: color.primaries.code(),
            transfer: color.transfer.code(),
            matrix: color.matrix.code(),
        }
    }
}

/// `chroma_sample_loc_type` of both fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChromaLocation {
    /// Top field, and frames.
    pub top: u8,
    /// Bottom field.
    pub bottom: u8,
}

/// Clock of the stream: a frame lasts two ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// `num_units_in_tick`, at least 1.
    pub num_units_in_tick: u32,
    /// `time_scale`, at least 1.
    pub time_scale: u32,
    /// `fixed_frame_rate_flag`; false for a desktop, which has no fixed rate.
    pub fixed_frame_rate: bool,
}

impl Timing {
    /// The clock of `numerator / denominator` frames per second without a
    /// promise that each slot has a frame; `None` where it leaves the range.
    pub fn of_rate(numerator: u32, denominator: u32) -> Option<Self> {
        if numerator == 0 || denominator == 0 {
            return None;
        }
        Some(Self {
            num_units_in_tick: denominator,
            time_scale: numerator.checked_mul(2)?,
            fixed_frame_rate: false,
        })
    }
}

/// `hrd_parameters()` (E.1.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hrd {
    /// `bit_rate_scale`, 0 to 15.
    pub bit_rate_scale: u8,
    /// `cpb_size_scale`, 0 to 15.
    pub cpb_size_scale: u8,
    /// One entry for each alternative, 1 to 32.
    pub cpbs: ArrayVec<Cpb, 32>,
    /// `initial_cpb_removal_delay_length_minus1`, 0 to 31.
    pub initial_cpb_removal_delay_length_minus1: u8,
    /// `cpb_removal_delay_length_minus1`, 0 to 31.
    pub cpb_removal_delay_length_minus1: u8,
    /// `dpb_output_delay_length_minus1`, 0 to 31.
    pub dpb_output_delay_length_minus1: u8,
    /// `time_offset_length`, 0 to 31.
    pub time_offset_length: u8,
}

/// One alternative of a buffer model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cpb {
    /// `bit_rate_value_minus1`
    pub bit_rate_value_minus1: u32,
    /// `cpb_size_value_minus1`
    pub cpb_size_value_minus1: u32,
    /// `cbr_flag`
    pub cbr: bool,
}

impl Hrd {
    /// One buffer of `cpb_bits` fed at `bit_rate_bps`, each rounded up to the
    /// coded steps of 64 bit/s and 16 bits.
    pub fn single(bit_rate_bps: u64, cpb_bits: u64, cbr: bool) -> Self {
        let steps = |value: u64, step: u64| {
            u32::try_from(value.div_ceil(step).saturating_sub(1))
                .unwrap_or(UE_MAX)
                .min(UE_MAX)
        };
        let mut cpbs = ArrayVec::new();
        cpbs.push(Cpb {
            bit_rate_value_minus1: steps(bit_rate_bps, 64),
            cpb_size_value_minus1: steps(cpb_bits, 16),
            cbr,
        });
        Self {
            bit_rate_scale: 0,
            cpb_size_scale: 0,
            cpbs,
            initial_cpb_removal_delay_length_minus1: 23,
            cpb_removal_delay_length_minus1: 23,
            dpb_output_delay_length_minus1: 23,
            time_offset_length: 24,
        }
    }

    /// Bit rate and buffer size of alternative `index`, in bit/s and bits.
    pub fn limits(&self, index: usize) -> Option<(u64, u64)> {
        let cpb = self.cpbs.get(index)?;
        let scaled = |value: u32, scale: u32| (u64::from(value) + 1) << scale;
        Some((
            scaled(
                cpb.bit_rate_value_minus1,
                6 + u32::from(self.bit_rate_scale & 15),
            ),
            scaled(
                cpb.cpb_size_value_minus1,
                4 + u32::from(self.cpb_size_scale & 15),
            ),
        ))
    }

    fn walk<S: Syntax>(&mut self, s: &mut S) -> Result<(), SyntaxError> {
        // An empty list wraps to a count that the bound refuses.
        let mut count = (self.cpbs.len() as u32).wrapping_sub(1);
        s.ue("cpb_cnt_minus1", 0..=31, &mut count)?;
        s.u("bit_rate_scale", 4, &mut self.bit_rate_scale)?;
        s.u("cpb_size_scale", 4, &mut self.cpb_size_scale)?;
        if !s.writes() {
            self.cpbs.clear();
            for _ in 0..=count.min(31) {
                self.cpbs.push(Cpb::default());
            }
        }
        for cpb in &mut self.cpbs {
            s.ue(
                "bit_rate_value_minus1",
                0..=UE_MAX,
                &mut cpb.bit_rate_value_minus1,
            )?;
            s.ue(
                "cpb_size_value_minus1",
                0..=UE_MAX,
                &mut cpb.cpb_size_value_minus1,
            )?;
            s.flag("cbr_flag", &mut cpb.cbr)?;
        }
        s.u(
            "initial_cpb_removal_delay_length_minus1",
            5,
            &mut self.initial_cpb_removal_delay_length_minus1,
        )?;
        s.u(
            "cpb_removal_delay_length_minus1",
            5,
            &mut self.cpb_removal_delay_length_minus1,
        )?;
        s.u(
            "dpb_output_delay_length_minus1",
            5,
            &mut self.dpb_output_delay_length_minus1,
        )?;
        s.u("time_offset_length", 5, &mut self.time_offset_length)
    }
}

/// `bitstream_restriction`: what a decoder may rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitstreamRestriction {
    /// `motion_vectors_over_pic_boundaries_flag`
    pub motion_vectors_over_pic_boundaries: bool,
    /// `max_bytes_per_pic_denom`, 0 to 16; 0 is no limit.
    pub max_bytes_per_pic_denom: u8,
    /// `max_bits_per_mb_denom`, 0 to 16; 0 is no limit.
    pub max_bits_per_mb_denom: u8,
    /// `log2_max_mv_length_horizontal`, 0 to 16.
    pub log2_max_mv_length_horizontal: u8,
    /// `log2_max_mv_length_vertical`, 0 to 16.
    pub log2_max_mv_length_vertical: u8,
    /// `max_num_reorder_frames`: 0 lets a decoder show each picture at once.
    pub max_num_reorder_frames: u8,
    /// `max_dec_frame_buffering`
    pub max_dec_frame_buffering: u8,
}

impl BitstreamRestriction {
    /// No picture is shown out of coding order; `frames` buffers suffice.
    pub const fn low_delay(frames: u8) -> Self {
        Self {
            motion_vectors_over_pic_boundaries: true,
            max_bytes_per_pic_denom: 0,
            max_bits_per_mb_denom: 0,
            log2_max_mv_length_horizontal: 16,
            log2_max_mv_length_vertical: 16,
            max_num_reorder_frames: 0,
            max_dec_frame_buffering: frames,
        }
    }
}

impl Default for BitstreamRestriction {
    fn default() -> Self {
        Self::low_delay(0)
    }
}

impl Vui {
    /// The description of `color` and nothing else; `subsampled` is true for
    /// 4:2:0, the only format whose chroma location is coded.
    pub fn of_color(color: ColorSpec, subsampled: bool) -> Self {
        let mut vui = Self::default();
        vui.set_color(color, subsampled);
        vui
    }

    /// Replaces range, code points and chroma location by those of `color`.
    pub fn set_color(&mut self, color: ColorSpec, subsampled: bool) {
        self.video_signal = Some(VideoSignal {
            format: 5,
            full_range: color.range == Range::Full,
            color: Some(color.into()),
        });
        let site = color.chroma_site.code();
        self.chroma_location = subsampled.then_some(ChromaLocation {
            top: site,
            bottom: site,
        });
    }

    pub(super) fn walk<S: Syntax>(&mut self, s: &mut S) -> Result<(), SyntaxError> {
        if s.present("aspect_ratio_info_present_flag", &mut self.aspect_ratio)?
            && let Some(ratio) = &mut self.aspect_ratio
        {
            s.u("aspect_ratio_idc", 8, &mut ratio.idc)?;
            if ratio.idc == 255 {
                s.u("sar_width", 16, &mut ratio.sar.0)?;
                s.u("sar_height", 16, &mut ratio.sar.1)?;
            }
        }
        if s.present("overscan_info_present_flag", &mut self.overscan_appropriate)?
            && let Some(overscan) = &mut self.overscan_appropriate
        {
            s.flag("overscan_appropriate_flag", overscan)?;
        }
        if s.present("video_signal_type_present_flag", &mut self.video_signal)?
            && let Some(signal) = &mut self.video_signal
        {
            s.u("video_format", 3, &mut signal.format)?;
            s.flag("video_full_range_flag", &mut signal.full_range)?;
            if s.present("colour_description_present_flag", &mut signal.color)?
                && let Some(color) = &mut signal.color
            {
                s.u("colour_primaries", 8, &mut color.primaries)?;
                s.u("transfer_characteristics", 8, &mut color.transfer)?;
                s.u("matrix_coefficients", 8, &mut color.matrix)?;
            }
        }
        if s.present("chroma_loc_info_present_flag", &mut self.chroma_location)?
            && let Some(location) = &mut self.chroma_location
        {
            s.ue("chroma_sample_loc_type_top_field", 0..=5, &mut location.top)?;
            s.ue(
                "chroma_sample_loc_type_bottom_field",
                0..=5,
                &mut location.bottom,
            )?;
        }
        if s.present("timing_info_present_flag", &mut self.timing)?
            && let Some(timing) = &mut self.timing
        {
            s.u_in(
                "num_units_in_tick",
                32,
                1..=u32::MAX,
                &mut timing.num_units_in_tick,
            )?;
            s.u_in("time_scale", 32, 1..=u32::MAX, &mut timing.time_scale)?;
            s.flag("fixed_frame_rate_flag", &mut timing.fixed_frame_rate)?;
        }
        if s.present("nal_hrd_parameters_present_flag", &mut self.nal_hrd)?
            && let Some(hrd) = &mut self.nal_hrd
        {
            hrd.walk(s)?;
        }
        if s.present("vcl_hrd_parameters_present_flag", &mut self.vcl_hrd)?
            && let Some(hrd) = &mut self.vcl_hrd
        {
            hrd.walk(s)?;
        }
        if self.nal_hrd.is_some() || self.vcl_hrd.is_some() {
            s.flag("low_delay_hrd_flag", &mut self.low_delay_hrd)?;
        }
        s.flag("pic_struct_present_flag", &mut self.pic_struct_present)?;
        if s.present("bitstream_restriction_flag", &mut self.restriction)?
            && let Some(limits) = &mut self.restriction
        {
            s.flag(
                "motion_vectors_over_pic_boundaries_flag",
                &mut limits.motion_vectors_over_pic_boundaries,
            )?;
            s.ue(
                "max_bytes_per_pic_denom",
                0..=16,
                &mut limits.max_bytes_per_pic_denom,
            )?;
            s.ue(
                "max_bits_per_mb_denom",
                0..=16,
                &mut limits.max_bits_per_mb_denom,
            )?;
            s.ue(
                "log2_max_mv_length_horizontal",
                0..=16,
                &mut limits.log2_max_mv_length_horizontal,
            )?;
            s.ue(
                "log2_max_mv_length_vertical",
                0..=16,
                &mut limits.log2_max_mv_length_vertical,
            )?;
            // E.2.1: max_num_reorder_frames <= max_dec_frame_buffering <= MaxDpbFrames <= 16.
            s.ue(
                "max_num_reorder_frames",
                0..=16,
                &mut limits.max_num_reorder_frames,
            )?;
            s.ue(
                "max_dec_frame_buffering",
                limits.max_num_reorder_frames.into()..=16,
                &mut limits.max_dec_frame_buffering,
            )?;
        }
        Ok(())
    }
}
