//! VP9: the start of the uncompressed header (VP9 bitstream specification 6.2).

use super::bits::{BitReader, SyntaxError, out_of_range};
use crate::geometry::Size;

/// What the start of a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Profile, 0 to 3.
    pub profile: u8,
    /// A frame that shows a stored one has nothing else in it.
    pub shows_existing: Option<u8>,
    /// False for a frame that is only stored.
    pub show: bool,
    /// `error_resilient_mode`
    pub error_resilient: bool,
    /// What a keyframe says of all that follow it.
    pub keyframe: Option<Keyframe>,
}

/// Colour and size in a keyframe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keyframe {
    /// Colour and sampling.
    pub color: ColorConfig,
    /// Size of the frame.
    pub size: Size,
    /// Size to be shown at, where it differs.
    pub render_size: Option<Size>,
}

/// `color_config()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColorConfig {
    /// Bits per sample: 8, 10 or 12.
    pub bit_depth: u8,
    /// `color_space`: 1 BT.601, 2 BT.709, 5 BT.2020, 7 sRGB; 0 unknown.
    pub color_space: u8,
    /// `color_range`: true for all codes.
    pub full_range: bool,
    /// Chroma is subsampled in x and in y.
    pub subsampling: (bool, bool),
}

impl FrameHeader {
    /// Reads the start of a frame.
    pub fn read(frame: &[u8]) -> Result<Self, SyntaxError> {
        let mut reader = BitReader::new(frame);
        expect(&mut reader, "frame_marker", 2, 2)?;
        let low = reader.read_bits("profile_low_bit", 1)?;
        let profile = (reader.read_bits("profile_high_bit", 1)? << 1 | low) as u8;
        if profile == 3 {
            expect(&mut reader, "reserved_zero", 1, 0)?;
        }
        let mut header = Self {
            profile,
            shows_existing: None,
            show: true,
            error_resilient: false,
            keyframe: None,
        };
        if reader.read_flag("show_existing_frame")? {
            header.shows_existing = Some(reader.read_bits("frame_to_show_map_idx", 3)? as u8);
            return Ok(header);
        }
        let inter = reader.read_flag("frame_type")?;
        header.show = reader.read_flag("show_frame")?;
        header.error_resilient = reader.read_flag("error_resilient_mode")?;
        if !inter {
            expect(&mut reader, "frame_sync_code", 24, 0x49_8342)?;
            let color = color_config(&mut reader, profile)?;
            let size = frame_size(&mut reader)?;
            let render_size = if reader.read_flag("render_and_frame_size_different")? {
                Some(frame_size(&mut reader)?)
            } else {
                None
            };
            header.keyframe = Some(Keyframe {
                color,
                size,
                render_size,
            });
        }
        Ok(header)
    }
}

fn expect(
    reader: &mut BitReader<'_>,
    element: &'static str,
    bits: u32,
    value: u32,
) -> Result<(), SyntaxError> {
    let bit = reader.position();
    let seen = reader.read_bits(element, bits)?;
    if seen == value {
        Ok(())
    } else {
        Err(out_of_range(
            element,
            bit,
            seen.into(),
            value.into(),
            value.into(),
        ))
    }
}

fn frame_size(reader: &mut BitReader<'_>) -> Result<Size, SyntaxError> {
    let width = reader.read_bits("frame_width_minus_1", 16)? + 1;
    Ok(Size::new(
        width,
        reader.read_bits("frame_height_minus_1", 16)? + 1,
    ))
}

fn color_config(reader: &mut BitReader<'_>, profile: u8) -> Result<ColorConfig, SyntaxError> {
    const SRGB: u8 = 7;
    let bit_depth = match (
        profile >= 2,
        profile >= 2 && reader.read_flag("ten_or_twelve_bit")?,
    ) {
        (false, _) => 8,
        (true, false) => 10,
        (true, true) => 12,
    };
    let bit = reader.position();
    let color_space = reader.read_bits("color_space", 3)? as u8;
    let odd_profile = profile & 1 == 1;
    let (full_range, subsampling) = if color_space == SRGB {
        // RGB is 4:4:4, which the even profiles do not have.
        if !odd_profile {
            return Err(out_of_range("color_space", bit, color_space.into(), 0, 6));
        }
        expect(reader, "reserved_zero", 1, 0)?;
        (true, (false, false))
    } else {
        let full_range = reader.read_flag("color_range")?;
        if odd_profile {
            let sampling = (
                reader.read_flag("subsampling_x")?,
                reader.read_flag("subsampling_y")?,
            );
            expect(reader, "reserved_zero", 1, 0)?;
            (full_range, sampling)
        } else {
            (full_range, (true, true))
        }
    };
    Ok(ColorConfig {
        bit_depth,
        color_space,
        full_range,
        subsampling,
    })
}
