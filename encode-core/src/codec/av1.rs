//! AV1: open bitstream units, the sequence header's size and colour, and
//! where keyframes are (AV1 bitstream specification, clause 5).

use super::bits::{BitReader, SyntaxError, out_of_range};
use crate::geometry::Size;

/// `obu_type`
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObuType(pub u8);

impl ObuType {
    /// Sequence header.
    pub const SEQUENCE_HEADER: Self = Self(1);
    /// Starts a temporal unit.
    pub const TEMPORAL_DELIMITER: Self = Self(2);
    /// Frame header without tiles.
    pub const FRAME_HEADER: Self = Self(3);
    /// Tiles.
    pub const TILE_GROUP: Self = Self(4);
    /// Metadata.
    pub const METADATA: Self = Self(5);
    /// Frame header and tiles.
    pub const FRAME: Self = Self(6);
    /// Padding.
    pub const PADDING: Self = Self(15);
}

/// One open bitstream unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Obu<'a> {
    /// Its type.
    pub obu_type: ObuType,
    /// `temporal_id` and `spatial_id`, where it has an extension.
    pub layer: Option<(u8, u8)>,
    /// What follows header and size.
    pub payload: &'a [u8],
}

/// Reads a `leb128()`; gives the value, at most 2^32 - 1, and the bytes after it.
pub fn read_leb128(data: &[u8]) -> Result<(u32, &[u8]), SyntaxError> {
    let mut value = 0u64;
    let mut rest = data;
    for index in 0..8 {
        let (&byte, tail) = rest.split_first().ok_or(SyntaxError::Truncated {
            element: "leb128",
            bit: index * 8,
        })?;
        rest = tail;
        // At most 7 * 8 bits.
        value |= u64::from(byte & 0x7F) << (index * 7);
        if byte & 0x80 == 0 {
            let value = u32::try_from(value)
                .map_err(|_| out_of_range("leb128", 0, value.cast_signed(), 0, u32::MAX.into()))?;
            return Ok((value, rest));
        }
    }
    Err(out_of_range("leb128", 0, 9, 1, 8))
}

/// Appends `value` as a `leb128()`.
pub fn write_leb128(mut value: u32, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The units of `data` in the low-overhead format (5.2), as IVF and encoders give them.
/// After an error the iterator ends.
pub fn obus(data: &[u8]) -> Obus<'_> {
    Obus { data }
}

/// Iterator over units: see [`obus`].
#[derive(Clone, Debug)]
pub struct Obus<'a> {
    data: &'a [u8],
}

impl<'a> Iterator for Obus<'a> {
    type Item = Result<Obu<'a>, SyntaxError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.data.is_empty() {
            return None;
        }
        match split_obu(self.data) {
            Ok((obu, rest)) => {
                self.data = rest;
                Some(Ok(obu))
            }
            Err(error) => {
                self.data = &[];
                Some(Err(error))
            }
        }
    }
}

fn split_obu(data: &[u8]) -> Result<(Obu<'_>, &[u8]), SyntaxError> {
    let truncated = |element, bit| SyntaxError::Truncated { element, bit };
    let (&header, mut rest) = data.split_first().ok_or(truncated("obu_header", 0))?;
    if header & 0x80 != 0 {
        return Err(out_of_range("obu_forbidden_bit", 0, 1, 0, 0));
    }
    let mut layer = None;
    if header & 4 != 0 {
        let (&extension, tail) = rest
            .split_first()
            .ok_or(truncated("obu_extension_header", 8))?;
        layer = Some((extension >> 5, extension >> 3 & 3));
        rest = tail;
    }
    let (payload, rest) = if header & 2 != 0 {
        let (size, tail) = read_leb128(rest)?;
        tail.split_at_checked(size as usize).ok_or_else(|| {
            let available = i64::try_from(tail.len()).unwrap_or(i64::MAX);
            out_of_range("obu_size", 8, size.into(), 0, available)
        })?
    } else {
        (rest, &[][..])
    };
    let obu = Obu {
        obu_type: ObuType(header >> 3 & 15),
        layer,
        payload,
    };
    Ok((obu, rest))
}

/// The parts of `sequence_header_obu()` (5.5.1) that a consumer of the stream needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceHeader {
    /// `seq_profile`, 0 to 2.
    pub profile: u8,
    /// `seq_level_idx[0]`
    pub level_idx: u8,
    /// `seq_tier[0]`
    pub tier: bool,
    /// `still_picture`
    pub still_picture: bool,
    /// `reduced_still_picture_header`
    pub reduced_still_picture: bool,
    /// Largest size of a frame.
    pub max_size: Size,
    /// Colour and sampling.
    pub color: ColorConfig,
}

/// `color_config()` (5.5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColorConfig {
    /// Bits per sample: 8, 10 or 12.
    pub bit_depth: u8,
    /// Luma only.
    pub monochrome: bool,
    /// `color_primaries`, `transfer_characteristics`, `matrix_coefficients`; 2 where not described.
    pub codes: (u8, u8, u8),
    /// `color_range`: true for all codes.
    pub full_range: bool,
    /// Chroma is subsampled in x and in y.
    pub subsampling: (bool, bool),
    /// `chroma_sample_position` of 4:2:0: 0 unknown, 1 left, 2 top left.
    pub chroma_sample_position: u8,
}

impl SequenceHeader {
    /// Reads the payload of a sequence header unit.
    pub fn read(payload: &[u8]) -> Result<Self, SyntaxError> {
        let r = &mut BitReader::new(payload);
        let profile = r.read_bits("seq_profile", 3)? as u8;
        if profile > 2 {
            return Err(out_of_range("seq_profile", 0, profile.into(), 0, 2));
        }
        let still_picture = r.read_flag("still_picture")?;
        let reduced = r.read_flag("reduced_still_picture_header")?;
        let (level_idx, tier) = if reduced {
            (r.read_bits("seq_level_idx", 5)? as u8, false)
        } else {
            operating_points(r)?
        };
        let width_bits = r.read_bits("frame_width_bits_minus_1", 4)? + 1;
        let height_bits = r.read_bits("frame_height_bits_minus_1", 4)? + 1;
        // At most 16 bits each.
        let width = r.read_bits("max_frame_width_minus_1", width_bits)? + 1;
        let height = r.read_bits("max_frame_height_minus_1", height_bits)? + 1;
        if !reduced && r.read_flag("frame_id_numbers_present_flag")? {
            r.read_bits("delta_frame_id_length_minus_2", 4)?;
            r.read_bits("additional_frame_id_length_minus_1", 3)?;
        }
        r.read_bits("use_128x128_superblock to enable_intra_edge_filter", 3)?;
        if !reduced {
            tools(r)?;
        }
        r.read_bits("enable_superres to enable_restoration", 3)?;
        let color = color_config(r, profile)?;
        r.read_flag("film_grain_params_present")?;
        Ok(Self {
            profile,
            level_idx,
            tier,
            still_picture,
            reduced_still_picture: reduced,
            max_size: Size::new(width, height),
            color,
        })
    }

    /// `av01.` and profile, level, tier and bit depth (AV1 in ISOBMFF, section 5).
    pub fn codec_string(&self) -> String {
        format!(
            "av01.{}.{:02}{}.{:02}",
            self.profile,
            self.level_idx,
            if self.tier { 'H' } else { 'M' },
            self.color.bit_depth
        )
    }
}

/// Timing, decoder model and operating points; gives level and tier of the first.
fn operating_points(r: &mut BitReader<'_>) -> Result<(u8, bool), SyntaxError> {
    let mut delay_bits = None;
    if r.read_flag("timing_info_present_flag")? {
        r.read_bits("num_units_in_display_tick", 32)?;
        r.read_bits("time_scale", 32)?;
        if r.read_flag("equal_picture_interval")? {
            r.read_ue("num_ticks_per_picture_minus_1")?;
        }
        if r.read_flag("decoder_model_info_present_flag")? {
            delay_bits = Some(r.read_bits("buffer_delay_length_minus_1", 5)? + 1);
            r.read_bits("num_units_in_decoding_tick", 32)?;
            r.read_bits("buffer_removal_time_length_minus_1", 5)?;
            r.read_bits("frame_presentation_time_length_minus_1", 5)?;
        }
    }
    let display_delay = r.read_flag("initial_display_delay_present_flag")?;
    let count = r.read_bits("operating_points_cnt_minus_1", 5)? + 1;
    let mut first = None;
    for _ in 0..count {
        r.read_bits("operating_point_idc", 12)?;
        let level = r.read_bits("seq_level_idx", 5)? as u8;
        let tier = level > 7 && r.read_flag("seq_tier")?;
        first.get_or_insert((level, tier));
        if let Some(bits) = delay_bits
            && r.read_flag("decoder_model_present_for_this_op")?
        {
            r.read_bits("decoder_buffer_delay", bits)?;
            r.read_bits("encoder_buffer_delay", bits)?;
            r.read_flag("low_delay_mode_flag")?;
        }
        if display_delay && r.read_flag("initial_display_delay_present_for_this_op")? {
            r.read_bits("initial_display_delay_minus_1", 4)?;
        }
    }
    Ok(first.unwrap_or((0, false)))
}

/// The flags of coding tools that a reduced header leaves out.
fn tools(r: &mut BitReader<'_>) -> Result<(), SyntaxError> {
    r.read_bits("enable_interintra_compound to enable_dual_filter", 4)?;
    let order_hint = r.read_flag("enable_order_hint")?;
    if order_hint {
        r.read_bits("enable_jnt_comp, enable_ref_frame_mvs", 2)?;
    }
    let screen_content = r.read_flag("seq_choose_screen_content_tools")?
        || r.read_flag("seq_force_screen_content_tools")?;
    if screen_content && !r.read_flag("seq_choose_integer_mv")? {
        r.read_flag("seq_force_integer_mv")?;
    }
    if order_hint {
        r.read_bits("order_hint_bits_minus_1", 3)?;
    }
    Ok(())
}

fn color_config(r: &mut BitReader<'_>, profile: u8) -> Result<ColorConfig, SyntaxError> {
    /// BT.709 primaries, sRGB transfer and identity matrix: RGB.
    const RGB: (u8, u8, u8) = (1, 13, 0);
    let high = r.read_flag("high_bitdepth")?;
    let bit_depth = match high {
        true if profile == 2 && r.read_flag("twelve_bit")? => 12,
        true => 10,
        false => 8,
    };
    let monochrome = profile != 1 && r.read_flag("mono_chrome")?;
    let codes = if r.read_flag("color_description_present_flag")? {
        (
            r.read_bits("color_primaries", 8)? as u8,
            r.read_bits("transfer_characteristics", 8)? as u8,
            r.read_bits("matrix_coefficients", 8)? as u8,
        )
    } else {
        (2, 2, 2)
    };
    let mut config = ColorConfig {
        bit_depth,
        monochrome,
        codes,
        full_range: true,
        subsampling: (false, false),
        chroma_sample_position: 0,
    };
    if monochrome {
        config.full_range = r.read_flag("color_range")?;
        config.subsampling = (true, true);
        return Ok(config);
    }
    if codes != RGB {
        config.full_range = r.read_flag("color_range")?;
        config.subsampling = match (profile, bit_depth) {
            (0, _) => (true, true),
            (1, _) => (false, false),
            (_, 12) => {
                let x = r.read_flag("subsampling_x")?;
                (x, x && r.read_flag("subsampling_y")?)
            }
            _ => (true, false),
        };
        if config.subsampling == (true, true) {
            config.chroma_sample_position = r.read_bits("chroma_sample_position", 2)? as u8;
        }
    }
    r.read_flag("separate_uv_delta_q")?;
    Ok(config)
}

/// What a temporal unit holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The sequence header, if there is one.
    pub sequence: Option<SequenceHeader>,
    /// A keyframe that is shown.
    pub keyframe: bool,
    /// Frame headers; several where frames are coded that are not shown.
    pub frames: usize,
}

/// Looks over the units of one temporal unit. `sequence` is the sequence header
/// that was in force before it.
pub fn contents(
    temporal_unit: &[u8],
    sequence: Option<SequenceHeader>,
) -> Result<Contents, SyntaxError> {
    let mut contents = Contents::default();
    for obu in obus(temporal_unit) {
        let obu = obu?;
        match obu.obu_type {
            ObuType::SEQUENCE_HEADER => {
                contents.sequence = Some(SequenceHeader::read(obu.payload)?)
            }
            ObuType::FRAME | ObuType::FRAME_HEADER => {
                contents.frames += 1;
                let mut r = BitReader::new(obu.payload);
                let reduced = contents
                    .sequence
                    .or(sequence)
                    .is_some_and(|s| s.reduced_still_picture);
                contents.keyframe |= reduced
                    || (!r.read_flag("show_existing_frame")?
                        && r.read_bits("frame_type", 2)? == 0
                        && r.read_flag("show_frame")?);
            }
            _ => {}
        }
    }
    Ok(contents)
}
