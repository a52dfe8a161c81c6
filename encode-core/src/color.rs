//! What the numbers in a picture mean: the code points of ITU-T H.273, as
//! H.264 and HEVC (VUI), AV1 (sequence header) and VP9 carry them.
//!
//! Whatever converts pixels produces the [`ColorSpec`] that the headers carry,
//! so that the two cannot disagree.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Chromaticities of the primaries (H.273 table 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(rename_all = "kebab-case")]
pub enum Primaries {
    /// BT.709, also those of sRGB; code 1.
    Bt709,
    /// BT.601 with 525 lines (SMPTE 170M); code 6.
    Bt601,
    /// BT.2020; code 9.
    Bt2020,
}

impl Primaries {
    /// `colour_primaries`.
    pub const fn code(self) -> u8 {
        match self {
            Self::Bt709 => 1,
            Self::Bt601 => 6,
            Self::Bt2020 => 9,
        }
    }
}

/// Transfer characteristics (H.273 table 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(rename_all = "kebab-case")]
pub enum Transfer {
    /// BT.709; code 1.
    Bt709,
    /// SMPTE 170M, the same curve as BT.709; code 6.
    Bt601,
    /// IEC 61966-2-1: what a desktop's pixels are; code 13.
    Srgb,
}

impl Transfer {
    /// `transfer_characteristics`.
    pub const fn code(self) -> u8 {
        match self {
            Self::Bt709 => 1,
            Self::Bt601 => 6,
            Self::Srgb => 13,
        }
    }
}

/// The matrix between R'G'B' and Y'CbCr (H.273 table 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(rename_all = "kebab-case")]
pub enum Matrix {
    /// BT.709: Kr 0.2126, Kb 0.0722; code 1.
    Bt709,
    /// BT.601: Kr 0.299, Kb 0.114; code 6.
    Bt601,
}

impl Matrix {
    /// `matrix_coefficients`.
    pub const fn code(self) -> u8 {
        match self {
            Self::Bt709 => 1,
            Self::Bt601 => 6,
        }
    }

    /// Kr and Kb in units of 1/10000; Kg is what is left of 10000.
    pub const fn kr_kb(self) -> (i64, i64) {
        match self {
            Self::Bt709 => (2126, 722),
            Self::Bt601 => (2990, 1140),
        }
    }
}

/// Which codes carry black to white.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Range {
    /// Luma 16 to 235, chroma 16 to 240 (times 2^(bits - 8)).
    Limited,
    /// All codes (`video_full_range_flag` = 1).
    Full,
}

/// Where a 4:2:0 chroma sample lies among its four luma samples. It decides
/// the filter that made it and the one that a viewer undoes it with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChromaSite {
    /// On the left column, between the rows (MPEG-2, the default of H.264,
    /// HEVC and most decoders): `chroma_sample_loc_type` 0.
    Left,
    /// In the middle of the four (MPEG-1, JPEG): `chroma_sample_loc_type` 1.
    Center,
}

impl ChromaSite {
    /// `chroma_sample_loc_type`.
    pub const fn code(self) -> u8 {
        match self {
            Self::Left => 0,
            Self::Center => 1,
        }
    }
}

/// The meaning of a Y'CbCr picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ColorSpec {
    /// Primaries.
    pub primaries: Primaries,
    /// Transfer characteristics.
    pub transfer: Transfer,
    /// Matrix coefficients.
    pub matrix: Matrix,
    /// Nominal range.
    pub range: Range,
    /// Position of 4:2:0 chroma; without meaning where chroma is not subsampled.
    pub chroma_site: ChromaSite,
}

impl ColorSpec {
    /// A desktop's pixels in the layout every decoder expects: BT.709 matrix,
    /// limited range, sRGB transfer, left-sited chroma (VUI 1/13/1).
    pub const DESKTOP: Self = Self {
        primaries: Primaries::Bt709,
        transfer: Transfer::Srgb,
        matrix: Matrix::Bt709,
        range: Range::Limited,
        chroma_site: ChromaSite::Left,
    };

    /// The only colour of a JFIF picture (T.871): BT.601 matrix, full range,
    /// chroma in the middle of its luma samples; of a desktop's pixels.
    pub const JFIF: Self = Self {
        matrix: Matrix::Bt601,
        range: Range::Full,
        chroma_site: ChromaSite::Center,
        ..Self::DESKTOP
    };
}

impl Default for ColorSpec {
    fn default() -> Self {
        Self::DESKTOP
    }
}

impl fmt::Display for ColorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}/{} {} {}",
            self.primaries.code(),
            self.transfer.code(),
            self.matrix.code(),
            match self.range {
                Range::Limited => "limited",
                Range::Full => "full",
            },
            match self.chroma_site {
                ChromaSite::Left => "left",
                ChromaSite::Center => "center",
            },
        )
    }
}
