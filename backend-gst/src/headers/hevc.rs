//! As much of an HEVC sequence parameter set (ITU-T H.265 7.3.2.2) as says what
//! the stream is: profile, size, reordering and colour.

use scanout_core::codec::SyntaxError;
use scanout_core::codec::bits::BitReader;
use scanout_core::geometry::Size;

/// Primaries, transfer, matrix, and whether all codes are used.
type Color = ((u8, u8, u8), bool);

/// What a sequence parameter set says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sps {
    /// After cropping.
    pub(super) size: Size,
    pub(super) chroma_format_idc: u32,
    /// Of the highest temporal layer.
    pub(super) reorder: u32,
    /// Where described; code 2 stands for "unspecified".
    pub(super) color: Option<Color>,
    /// RFC 6381 name of a stream with its parameter sets in band.
    pub(super) codec_string: String,
}

fn out_of_range(r: &BitReader<'_>, element: &'static str, value: u32, max: u32) -> SyntaxError {
    SyntaxError::OutOfRange {
        element,
        bit: r.position(),
        value: value.into(),
        min: 0,
        max: max.into(),
    }
}

/// An Exp-Golomb number of at most `max`.
fn ue(r: &mut BitReader<'_>, element: &'static str, max: u32) -> Result<u32, SyntaxError> {
    let value = r.read_ue(element)?;
    if value > max {
        return Err(out_of_range(r, element, value, max));
    }
    Ok(value)
}

fn skip_ue(r: &mut BitReader<'_>, elements: &[&'static str]) -> Result<(), SyntaxError> {
    elements
        .iter()
        .try_for_each(|element| r.read_ue(element).map(drop))
}

impl Sps {
    /// Reads the NAL unit's payload, that is, what follows its header.
    pub(super) fn read(payload: &[u8]) -> Result<Self, SyntaxError> {
        let r = &mut BitReader::escaped(payload);
        r.read_bits("sps_video_parameter_set_id", 4)?;
        let layers = r.read_bits("sps_max_sub_layers_minus1", 3)?;
        r.read_flag("sps_temporal_id_nesting_flag")?;
        let codec_string = profile_tier_level(r, layers)?;
        ue(r, "sps_seq_parameter_set_id", 15)?;
        let chroma_format_idc = ue(r, "chroma_format_idc", 3)?;
        if chroma_format_idc == 3 {
            r.read_flag("separate_colour_plane_flag")?;
        }
        let size = size(r, chroma_format_idc)?;
        ue(r, "bit_depth_luma_minus8", 8)?;
        ue(r, "bit_depth_chroma_minus8", 8)?;
        let poc_bits = ue(r, "log2_max_pic_order_cnt_lsb_minus4", 12)? + 4;
        let all = r.read_flag("sps_sub_layer_ordering_info_present_flag")?;
        let mut reorder = 0;
        for _ in if all { 0 } else { layers }..=layers {
            ue(r, "sps_max_dec_pic_buffering_minus1", 15)?;
            reorder = ue(r, "sps_max_num_reorder_pics", 15)?;
            r.read_ue("sps_max_latency_increase_plus1")?;
        }
        skip_ue(
            r,
            &[
                "log2_min_luma_coding_block_size_minus3",
                "log2_diff_max_min_luma_coding_block_size",
                "log2_min_luma_transform_block_size_minus2",
                "log2_diff_max_min_luma_transform_block_size",
                "max_transform_hierarchy_depth_inter",
                "max_transform_hierarchy_depth_intra",
            ],
        )?;
        if r.read_flag("scaling_list_enabled_flag")?
            && r.read_flag("sps_scaling_list_data_present_flag")?
        {
            scaling_lists(r)?;
        }
        r.read_flag("amp_enabled_flag")?;
        r.read_flag("sample_adaptive_offset_enabled_flag")?;
        if r.read_flag("pcm_enabled_flag")? {
            r.read_bits("pcm_sample_bit_depths", 8)?;
            skip_ue(
                r,
                &[
                    "log2_min_pcm_luma_coding_block_size_minus3",
                    "log2_diff_max_min_pcm_luma_coding_block_size",
                ],
            )?;
            r.read_flag("pcm_loop_filter_disabled_flag")?;
        }
        short_term_sets(r)?;
        if r.read_flag("long_term_ref_pics_present_flag")? {
            for _ in 0..ue(r, "num_long_term_ref_pics_sps", 32)? {
                r.read_bits("lt_ref_pic_poc_lsb_sps", poc_bits)?;
                r.read_flag("used_by_curr_pic_lt_sps_flag")?;
            }
        }
        r.read_flag("sps_temporal_mvp_enabled_flag")?;
        r.read_flag("strong_intra_smoothing_enabled_flag")?;
        let color = if r.read_flag("vui_parameters_present_flag")? {
            vui_color(r)?
        } else {
            None
        };
        Ok(Self {
            size,
            chroma_format_idc,
            reorder,
            color,
            codec_string,
        })
    }
}

/// Section 7.3.3; the name is that of ISO/IEC 14496-15 annex E.
fn profile_tier_level(r: &mut BitReader<'_>, layers: u32) -> Result<String, SyntaxError> {
    let space = r.read_bits("general_profile_space", 2)?;
    let tier = r.read_flag("general_tier_flag")?;
    let profile = r.read_bits("general_profile_idc", 5)?;
    let compatible = r.read_bits("general_profile_compatibility_flags", 32)?;
    let mut constraints = [0u8; 6];
    for byte in &mut constraints {
        *byte = u8::try_from(r.read_bits("general_constraint_flags", 8)?).unwrap_or(0);
    }
    let level = r.read_bits("general_level_idc", 8)?;
    let mut present = [(false, false); 8];
    for present in present.iter_mut().take(layers as usize) {
        *present = (
            r.read_flag("sub_layer_profile_present_flag")?,
            r.read_flag("sub_layer_level_present_flag")?,
        );
    }
    if layers > 0 {
        for _ in layers..8 {
            r.read_bits("reserved_zero_2bits", 2)?;
        }
    }
    for (profile, level) in present {
        if profile {
            for _ in 0..11 {
                r.read_bits("sub_layer_profile", 8)?;
            }
        }
        if level {
            r.read_bits("sub_layer_level_idc", 8)?;
        }
    }
    let space = ["", "A", "B", "C"].get(space as usize).unwrap_or(&"");
    let tier = if tier { "H" } else { "L" };
    let mut name = format!(
        "hev1.{space}{profile}.{:X}.{tier}{level}",
        compatible.reverse_bits()
    );
    let used = constraints
        .iter()
        .rposition(|&b| b != 0)
        .map_or(0, |i| i + 1);
    for byte in constraints.iter().take(used) {
        name.push_str(&format!(".{byte:X}"));
    }
    Ok(name)
}

fn size(r: &mut BitReader<'_>, chroma_format_idc: u32) -> Result<Size, SyntaxError> {
    const MAX: u32 = 1 << 16;
    let width = ue(r, "pic_width_in_luma_samples", MAX)?;
    let height = ue(r, "pic_height_in_luma_samples", MAX)?;
    if !r.read_flag("conformance_window_flag")? {
        return Ok(Size::new(width, height));
    }
    let (across, down) = match chroma_format_idc {
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    };
    let mut side = |element| ue(r, element, MAX);
    let x = side("conf_win_left_offset")? + side("conf_win_right_offset")?;
    let y = side("conf_win_top_offset")? + side("conf_win_bottom_offset")?;
    Ok(Size::new(
        width.saturating_sub(x * across),
        height.saturating_sub(y * down),
    ))
}

/// Section 7.3.4, read over.
fn scaling_lists(r: &mut BitReader<'_>) -> Result<(), SyntaxError> {
    for size in 0..4u32 {
        for _ in (0..6).step_by(if size == 3 { 3 } else { 1 }) {
            if !r.read_flag("scaling_list_pred_mode_flag")? {
                r.read_ue("scaling_list_pred_matrix_id_delta")?;
                continue;
            }
            if size > 1 {
                r.read_se("scaling_list_dc_coef_minus8")?;
            }
            for _ in 0..64.min(1 << (4 + (size << 1))) {
                r.read_se("scaling_list_delta_coef")?;
            }
        }
    }
    Ok(())
}

/// Section 7.3.7, read over: each set's length may depend on the one before.
fn short_term_sets(r: &mut BitReader<'_>) -> Result<(), SyntaxError> {
    let mut before = 0;
    for index in 0..ue(r, "num_short_term_ref_pic_sets", 64)? {
        if index > 0 && r.read_flag("inter_ref_pic_set_prediction_flag")? {
            r.read_flag("delta_rps_sign")?;
            r.read_ue("abs_delta_rps_minus1")?;
            let mut count = 0;
            for _ in 0..=before {
                if r.read_flag("used_by_curr_pic_flag")? || r.read_flag("use_delta_flag")? {
                    count += 1;
                }
            }
            before = count;
            continue;
        }
        let negative = ue(r, "num_negative_pics", 16)?;
        let positive = ue(r, "num_positive_pics", 16)?;
        before = negative + positive;
        for _ in 0..before {
            r.read_ue("delta_poc_minus1")?;
            r.read_flag("used_by_curr_pic_flag")?;
        }
    }
    Ok(())
}

/// The start of annex E.2.1.
fn vui_color(r: &mut BitReader<'_>) -> Result<Option<Color>, SyntaxError> {
    if r.read_flag("aspect_ratio_info_present_flag")? && r.read_bits("aspect_ratio_idc", 8)? == 255
    {
        r.read_bits("sar", 32)?;
    }
    if r.read_flag("overscan_info_present_flag")? {
        r.read_flag("overscan_appropriate_flag")?;
    }
    if !r.read_flag("video_signal_type_present_flag")? {
        return Ok(None);
    }
    r.read_bits("video_format", 3)?;
    let full = r.read_flag("video_full_range_flag")?;
    if !r.read_flag("colour_description_present_flag")? {
        return Ok(Some(((2, 2, 2), full)));
    }
    let mut code =
        |element| Ok::<_, SyntaxError>(u8::try_from(r.read_bits(element, 8)?).unwrap_or(2));
    let codes = (
        code("colour_primaries")?,
        code("transfer_characteristics")?,
        code("matrix_coeffs")?,
    );
    Ok(Some((codes, full)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_give_a_value_or_an_error() {
        let mut state = 1u64;
        for length in 0..2000usize {
            let bytes: Vec<u8> = (0..length % 97)
                .map(|_| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    (state >> 56) as u8
                })
                .collect();
            let _ = Sps::read(&bytes);
        }
        assert!(Sps::read(&[]).is_err());
    }
}
