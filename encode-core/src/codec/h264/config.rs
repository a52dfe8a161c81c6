//! The sequence parameter set of a low-delay encoder.

use super::level::{Level, LevelDemand, LevelError};
use super::sps::{Crop, HighFields, PocType, Sps};
use super::vui::{AspectRatio, BitstreamRestriction, Hrd, Timing, Vui};
use crate::color::ColorSpec;
use crate::geometry::Size;

/// Profiles that an encoder may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Profile {
    /// Baseline without what Main cannot decode.
    ConstrainedBaseline,
    /// Main.
    Main,
    /// High.
    High,
    /// High 10.
    High10,
    /// High 4:2:2.
    High422,
    /// High 4:4:4 Predictive.
    High444Predictive,
}

impl Profile {
    /// `profile_idc` and the byte of constraint flags.
    pub const fn codes(self) -> (u8, u8) {
        match self {
            Self::ConstrainedBaseline => (66, 0xC0),
            Self::Main => (77, 0x40),
            Self::High => (100, 0),
            Self::High10 => (110, 0),
            Self::High422 => (122, 0),
            Self::High444Predictive => (244, 0),
        }
    }

    /// Highest `chroma_format_idc` and bit depth.
    const fn limits(self) -> (u8, u8) {
        match self {
            Self::ConstrainedBaseline | Self::Main | Self::High => (1, 8),
            Self::High10 => (1, 10),
            Self::High422 => (2, 10),
            Self::High444Predictive => (3, 14),
        }
    }

    /// `cpbBrVclFactor` (table A-2).
    pub const fn bit_rate_factor(self) -> u64 {
        match self {
            Self::ConstrainedBaseline | Self::Main => 1000,
            Self::High => 1250,
            Self::High10 => 3000,
            Self::High422 | Self::High444Predictive => 4000,
        }
    }

    const fn has_high_fields(self) -> bool {
        !matches!(self, Self::ConstrainedBaseline | Self::Main)
    }
}

/// `chroma_format_idc` of a coded stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ChromaFormat {
    /// 4:2:0
    #[default]
    Yuv420 = 1,
    /// 4:2:2
    Yuv422 = 2,
    /// 4:4:4
    Yuv444 = 3,
}

/// What an encoder is to be set up for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SpsConfig {
    /// Profile.
    pub profile: Profile,
    /// Size to be shown; 4:2:0 and 4:2:2 show the next even size where it is odd.
    pub size: Size,
    /// Chroma format.
    pub chroma: ChromaFormat,
    /// Bits per sample.
    pub bit_depth: u8,
    /// Colour, written in full.
    pub color: ColorSpec,
    /// Frames per second as a fraction: for the level and the clock.
    pub rate: Option<(u32, u32)>,
    /// Highest bit rate that will ever be asked for, in bit/s: for the level.
    pub bitrate_ceiling_bps: Option<u64>,
    /// Buffer model to be written; buffering period SEI must go with it.
    pub hrd: Option<Hrd>,
    /// Reference frames, 1 to 16.
    pub max_refs: u8,
    /// `log2_max_frame_num`, 4 to 16.
    pub log2_max_frame_num: u8,
}

impl SpsConfig {
    /// 4:2:0 of 8 bits in the desktop's colours, one reference.
    pub fn new(profile: Profile, size: Size) -> Self {
        Self {
            profile,
            size,
            chroma: ChromaFormat::Yuv420,
            bit_depth: 8,
            color: ColorSpec::DESKTOP,
            rate: None,
            bitrate_ceiling_bps: None,
            hrd: None,
            max_refs: 1,
            log2_max_frame_num: 8,
        }
    }
}

/// Why no parameter set can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A setting leaves its bounds.
    #[error("{what} is {value}, allowed are {min} to {max}")]
    OutOfRange {
        /// The setting.
        what: &'static str,
        /// Its value.
        value: u64,
        /// Smallest allowed.
        min: u64,
        /// Largest allowed.
        max: u64,
    },
    /// The stream is more than any level holds.
    #[error(transparent)]
    Level(#[from] LevelError),
}

impl Sps {
    /// The parameter set of a stream without reordering: POC type 2, frames only,
    /// `max_num_reorder_frames` 0, `max_dec_frame_buffering` = `max_refs`, the
    /// lowest level that holds it. [`Sps::visible_size`] says what the header shows.
    pub fn new(config: &SpsConfig) -> Result<Self, ConfigError> {
        let bound = |what, value: u64, min: u64, max: u64| {
            if (min..=max).contains(&value) {
                Ok(())
            } else {
                Err(ConfigError::OutOfRange {
                    what,
                    value,
                    min,
                    max,
                })
            }
        };
        let (max_chroma, max_depth) = config.profile.limits();
        // 1,055 macroblocks is the longest side of level 6.2.
        bound("the width", config.size.width.into(), 1, 1055 * 16)?;
        bound("the height", config.size.height.into(), 1, 1055 * 16)?;
        bound(
            "chroma_format_idc of the profile",
            config.chroma as u64,
            1,
            max_chroma.into(),
        )?;
        bound(
            "the bit depth of the profile",
            config.bit_depth.into(),
            8,
            max_depth.into(),
        )?;
        bound("the number of references", config.max_refs.into(), 1, 16)?;
        bound(
            "log2_max_frame_num",
            config.log2_max_frame_num.into(),
            4,
            16,
        )?;
        if let Some((numerator, denominator)) = config.rate {
            bound(
                "the frame rate's numerator",
                numerator.into(),
                1,
                u64::from(u32::MAX / 2),
            )?;
            bound(
                "the frame rate's denominator",
                denominator.into(),
                1,
                u32::MAX.into(),
            )?;
        }
        let mbs = Size::new(
            config.size.width.div_ceil(16),
            config.size.height.div_ceil(16),
        );
        let level = Level::lowest(&LevelDemand {
            size_in_mbs: mbs,
            dpb_frames: config.max_refs,
            rate: config.rate,
            bit_rate_bps: config.bitrate_ceiling_bps,
            cpb_bits: config
                .hrd
                .as_ref()
                .and_then(|hrd| hrd.limits(0))
                .map(|(_, bits)| bits),
            factor: config.profile.bit_rate_factor(),
        })?;
        let (profile_idc, constraint_flags) = config.profile.codes();
        let mut vui = Vui::of_color(config.color, config.chroma == ChromaFormat::Yuv420);
        vui.aspect_ratio = Some(AspectRatio::SQUARE);
        vui.timing = config.rate.and_then(|(n, d)| Timing::of_rate(n, d));
        vui.nal_hrd = config.hrd.clone();
        vui.restriction = Some(BitstreamRestriction::low_delay(config.max_refs));
        let mut sps = Self {
            profile_idc,
            constraint_flags,
            level_idc: level.idc,
            id: 0,
            high: config.profile.has_high_fields().then(|| HighFields {
                chroma_format_idc: config.chroma as u8,
                bit_depth_luma_minus8: config.bit_depth - 8,
                bit_depth_chroma_minus8: config.bit_depth - 8,
                ..HighFields::default()
            }),
            log2_max_frame_num_minus4: config.log2_max_frame_num - 4,
            poc: PocType::CodingOrder,
            max_num_ref_frames: config.max_refs,
            gaps_in_frame_num_allowed: false,
            pic_width_in_mbs_minus1: mbs.width - 1,
            pic_height_in_map_units_minus1: mbs.height - 1,
            interlaced: None,
            direct_8x8_inference: true,
            crop: None,
            vui: Some(vui),
        };
        let (x, y) = sps.crop_unit();
        let crop = Crop {
            right: (mbs.width * 16 - config.size.width) / x,
            bottom: (mbs.height * 16 - config.size.height) / y,
            ..Crop::default()
        };
        sps.crop = (crop != Crop::default()).then_some(crop);
        Ok(sps)
    }
}
