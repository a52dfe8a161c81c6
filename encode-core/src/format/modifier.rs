use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{AmdTiling, ArmAfbc, FormatInfo, NvidiaBlockLinear};

/// A DRM format modifier: how a buffer's bytes are spread over memory.
///
/// Any value can be held. It prints as a name where there is one
/// (`INTEL_4_TILED`), with decoded fields (`AMD(GFX11,64K_R_X,...)`), or as
/// vendor and number, and reads back from a name or a hexadecimal number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Modifier(pub u64);

/// Who defines the lower 56 bits of a modifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Vendor {
    /// Nobody: LINEAR and INVALID.
    None,
    /// Intel
    Intel,
    /// AMD
    Amd,
    /// NVIDIA
    Nvidia,
    /// Samsung
    Samsung,
    /// Qualcomm
    Qcom,
    /// Vivante
    Vivante,
    /// Broadcom
    Broadcom,
    /// ARM
    Arm,
    /// Allwinner
    Allwinner,
    /// Amlogic
    Amlogic,
    /// MediaTek
    Mtk,
    /// Apple
    Apple,
    /// A number that `drm_fourcc.h` did not list.
    Other(u8),
}

/// The shape of a tile, the unit in which a tiled plane is allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Bytes of a row of the tile: strides are multiples of it.
    pub width_bytes: u32,
    /// Rows: the height is rounded up to them.
    pub rows: u32,
    /// What the stride must be a multiple of: a tile, or several for compression's sake.
    pub stride_align: u32,
    /// What offsets must be multiples of.
    pub offset_align: u32,
}

/// A plane that a modifier adds to those of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuxPlane {
    /// Intel CCS of Skylake to Ice Lake: 128 bytes x 32 rows for 1024 x 512 pixels.
    SkylakeCcs,
    /// Intel CCS of Gen12: a linear surface, 64 bytes for 4 x 1 tiles of the main surface.
    Gen12Ccs {
        /// The plane that it belongs to.
        main: usize,
    },
    /// Intel clear colour: 64 bytes.
    ClearColor,
    /// AMD DCC data, whose size only the driver knows.
    Dcc,
}

const fn intel(value: u64) -> Modifier {
    Modifier(1 << 56 | value)
}

macro_rules! named {
    ($($(#[$doc:meta])* $name:ident = $value:expr;)*) => {
        impl Modifier {
            $($(#[$doc])* pub const $name: Self = $value;)*
        }
        /// Every modifier that has a name of its own.
        const NAMES: &[(Modifier, &str)] = &[$((Modifier::$name, stringify!($name))),*];
    };
}

named! {
    /// Rows one after the other.
    LINEAR = Modifier(0);
    /// The layout is known to the driver that made the buffer only.
    INVALID = Modifier(0x00ff_ffff_ffff_ffff);
    /// X tiles: 512 bytes x 8 rows.
    INTEL_X_TILED = intel(1);
    /// Y tiles: 128 bytes x 32 rows.
    INTEL_Y_TILED = intel(2);
    /// Yf tiles.
    INTEL_YF_TILED = intel(3);
    /// Y tiles, compressed (Skylake).
    INTEL_Y_TILED_CCS = intel(4);
    /// Yf tiles, compressed (Skylake).
    INTEL_YF_TILED_CCS = intel(5);
    /// Y tiles, render compressed (Tiger Lake).
    INTEL_Y_TILED_GEN12_RC_CCS = intel(6);
    /// Y tiles, media compressed (Tiger Lake).
    INTEL_Y_TILED_GEN12_MC_CCS = intel(7);
    /// Y tiles, render compressed with a clear colour (Tiger Lake).
    INTEL_Y_TILED_GEN12_RC_CCS_CC = intel(8);
    /// 4 tiles: 128 bytes x 32 rows (DG2 and newer).
    INTEL_4_TILED = intel(9);
    /// 4 tiles, render compressed (DG2); the CCS is outside of the buffer.
    INTEL_4_TILED_DG2_RC_CCS = intel(10);
    /// 4 tiles, media compressed (DG2).
    INTEL_4_TILED_DG2_MC_CCS = intel(11);
    /// 4 tiles, render compressed with a clear colour (DG2).
    INTEL_4_TILED_DG2_RC_CCS_CC = intel(12);
    /// 4 tiles, render compressed (Meteor Lake).
    INTEL_4_TILED_MTL_RC_CCS = intel(13);
    /// 4 tiles, media compressed (Meteor Lake).
    INTEL_4_TILED_MTL_MC_CCS = intel(14);
    /// 4 tiles, render compressed with a clear colour (Meteor Lake).
    INTEL_4_TILED_MTL_RC_CCS_CC = intel(15);
    /// 4 tiles, compressed out of sight (Lunar Lake).
    INTEL_4_TILED_LNL_CCS = intel(16);
    /// 4 tiles, compressed out of sight (Battlemage).
    INTEL_4_TILED_BMG_CCS = intel(17);
    /// Tegra's older tiling.
    NVIDIA_TEGRA_TILED = Modifier(3 << 56 | 1);
    /// NV12MT: 64x32 macroblocks.
    SAMSUNG_64_32_TILE = Modifier(4 << 56 | 1);
    /// 16x16 pixel tiles.
    SAMSUNG_16_16_TILE = Modifier(4 << 56 | 2);
    /// Qualcomm UBWC.
    QCOM_COMPRESSED = Modifier(5 << 56 | 1);
    /// Qualcomm tiles within GMEM.
    QCOM_TILED2 = Modifier(5 << 56 | 2);
    /// Qualcomm tiles.
    QCOM_TILED3 = Modifier(5 << 56 | 3);
    /// 4x4 pixel tiles.
    VIVANTE_TILED = Modifier(6 << 56 | 1);
    /// 64x64 pixel supertiles.
    VIVANTE_SUPER_TILED = Modifier(6 << 56 | 2);
    /// Tiles, split over two pipes.
    VIVANTE_SPLIT_TILED = Modifier(6 << 56 | 3);
    /// Supertiles, split over two pipes.
    VIVANTE_SPLIT_SUPER_TILED = Modifier(6 << 56 | 4);
    /// VC4 T tiles.
    BROADCOM_VC4_T_TILED = Modifier(7 << 56 | 1);
    /// V3D UIF tiles.
    BROADCOM_UIF = Modifier(7 << 56 | 6);
    /// 16x16 U-interleaved blocks.
    ARM_16X16_BLOCK_U_INTERLEAVED = Modifier(8 << 56 | 1 << 52 | 1);
    /// 32x32 pixel tiles.
    ALLWINNER_TILED = Modifier(9 << 56 | 1);
}

impl Modifier {
    /// Who defined it.
    pub const fn vendor(self) -> Vendor {
        match (self.0 >> 56) as u8 {
            0 => Vendor::None,
            1 => Vendor::Intel,
            2 => Vendor::Amd,
            3 => Vendor::Nvidia,
            4 => Vendor::Samsung,
            5 => Vendor::Qcom,
            6 => Vendor::Vivante,
            7 => Vendor::Broadcom,
            8 => Vendor::Arm,
            9 => Vendor::Allwinner,
            10 => Vendor::Amlogic,
            11 => Vendor::Mtk,
            12 => Vendor::Apple,
            other => Vendor::Other(other),
        }
    }

    /// The 56 bits that the vendor defines.
    pub const fn value(self) -> u64 {
        self.0 & 0x00ff_ffff_ffff_ffff
    }

    /// True for rows one after the other; false for `INVALID`.
    pub const fn is_linear(self) -> bool {
        self.0 == Self::LINEAR.0
    }

    /// The fields of an AMD modifier.
    pub fn amd(self) -> Option<AmdTiling> {
        (self.vendor() == Vendor::Amd).then(|| AmdTiling::decode(self.0))
    }

    /// The fields of an NVIDIA block linear modifier.
    pub fn nvidia(self) -> Option<NvidiaBlockLinear> {
        (self.vendor() == Vendor::Nvidia)
            .then(|| NvidiaBlockLinear::decode(self.0))
            .flatten()
    }

    /// The fields of an ARM AFBC modifier.
    pub fn afbc(self) -> Option<ArmAfbc> {
        (self.vendor() == Vendor::Arm)
            .then(|| ArmAfbc::decode(self.0))
            .flatten()
    }

    /// The tile of one of the format's own planes, whose blocks have `block_bytes`;
    /// `None` when linear or not known.
    pub fn tile(self, block_bytes: u8) -> Option<Tile> {
        if let Some(block) = self.nvidia() {
            // A block is one GOB wide; h = 5 is the highest that hardware has, and
            // a forged 15 still fits: 8 << 15.
            return Some(Tile {
                width_bytes: 64,
                rows: block.gob_rows() << block.log2_gobs,
                stride_align: 64,
                offset_align: 512,
            });
        }
        let tile = |width_bytes, rows, stride_tiles| Tile {
            width_bytes,
            rows,
            stride_align: width_bytes * stride_tiles,
            offset_align: 4096,
        };
        match self {
            Self::INTEL_X_TILED => Some(tile(512, 8, 1)),
            Self::INTEL_Y_TILED
            | Self::INTEL_Y_TILED_CCS
            | Self::INTEL_4_TILED
            | Self::INTEL_4_TILED_LNL_CCS
            | Self::INTEL_4_TILED_BMG_CCS => Some(tile(128, 32, 1)),
            // 4 KiB each, as square in pixels as its size allows.
            Self::INTEL_YF_TILED | Self::INTEL_YF_TILED_CCS => Some(match block_bytes {
                0..=1 => tile(64, 64, 1),
                2..=4 => tile(128, 32, 1),
                _ => tile(256, 16, 1),
            }),
            Self::INTEL_Y_TILED_GEN12_RC_CCS
            | Self::INTEL_Y_TILED_GEN12_MC_CCS
            | Self::INTEL_Y_TILED_GEN12_RC_CCS_CC
            | Self::INTEL_4_TILED_DG2_RC_CCS
            | Self::INTEL_4_TILED_DG2_MC_CCS
            | Self::INTEL_4_TILED_DG2_RC_CCS_CC
            | Self::INTEL_4_TILED_MTL_RC_CCS
            | Self::INTEL_4_TILED_MTL_MC_CCS
            | Self::INTEL_4_TILED_MTL_RC_CCS_CC => Some(tile(128, 32, 4)),
            _ => None,
        }
    }

    /// Planes of a buffer of this format and modifier, `None` where the two do not
    /// go together.
    pub fn plane_count(self, format: &FormatInfo) -> Option<usize> {
        let own = format.planes.len();
        match self {
            // Only defined for RGB of 32 bits.
            Self::INTEL_Y_TILED_CCS
            | Self::INTEL_YF_TILED_CCS
            | Self::INTEL_Y_TILED_GEN12_RC_CCS
            | Self::INTEL_Y_TILED_GEN12_RC_CCS_CC
            | Self::INTEL_4_TILED_DG2_RC_CCS_CC
            | Self::INTEL_4_TILED_MTL_RC_CCS
            | Self::INTEL_4_TILED_MTL_RC_CCS_CC
                if own != 1 =>
            {
                None
            }
            Self::INTEL_Y_TILED_GEN12_MC_CCS | Self::INTEL_4_TILED_MTL_MC_CCS if own > 2 => None,
            _ => {
                if self.amd().is_some_and(|amd| amd.aux_planes() > 0) && own != 1 {
                    return None;
                }
                Some(
                    own + (own..4)
                        .filter(|&i| self.aux_plane(format, i).is_some())
                        .count(),
                )
            }
        }
    }

    /// What plane `index` holds, counted with the format's own planes first; `None`
    /// for the format's own and beyond the last.
    pub fn aux_plane(self, format: &FormatInfo, index: usize) -> Option<AuxPlane> {
        let own = format.planes.len();
        let extra = index.checked_sub(own)?;
        match self {
            Self::INTEL_Y_TILED_CCS | Self::INTEL_YF_TILED_CCS if extra == 0 => {
                Some(AuxPlane::SkylakeCcs)
            }
            Self::INTEL_Y_TILED_GEN12_RC_CCS | Self::INTEL_4_TILED_MTL_RC_CCS if extra == 0 => {
                Some(AuxPlane::Gen12Ccs { main: 0 })
            }
            Self::INTEL_Y_TILED_GEN12_MC_CCS | Self::INTEL_4_TILED_MTL_MC_CCS if extra < own => {
                Some(AuxPlane::Gen12Ccs { main: extra })
            }
            Self::INTEL_Y_TILED_GEN12_RC_CCS_CC | Self::INTEL_4_TILED_MTL_RC_CCS_CC => {
                match extra {
                    0 => Some(AuxPlane::Gen12Ccs { main: 0 }),
                    1 => Some(AuxPlane::ClearColor),
                    _ => None,
                }
            }
            Self::INTEL_4_TILED_DG2_RC_CCS_CC if extra == 0 => Some(AuxPlane::ClearColor),
            _ => self
                .amd()
                .is_some_and(|amd| extra < amd.aux_planes())
                .then_some(AuxPlane::Dcc),
        }
    }

    fn name(self) -> Option<&'static str> {
        NAMES.iter().find(|row| row.0 == self).map(|row| row.1)
    }
}

impl From<u64> for Modifier {
    fn from(value: u64) -> Self {
        Self(value)
    }
}

impl fmt::Display for Modifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.name() {
            return f.write_str(name);
        }
        if let Some(amd) = self.amd() {
            return fmt::Display::fmt(&amd, f);
        }
        if let Some(block) = self.nvidia() {
            return fmt::Display::fmt(&block, f);
        }
        if let Some(afbc) = self.afbc() {
            return fmt::Display::fmt(&afbc, f);
        }
        match self.vendor() {
            Vendor::Other(vendor) => write!(f, "VENDOR_{vendor}({:#x})", self.value()),
            vendor => {
                for c in format_args!("{vendor:?}").to_string().chars() {
                    write!(f, "{}", c.to_ascii_uppercase())?;
                }
                write!(f, "({:#x})", self.value())
            }
        }
    }
}

/// The name and the number.
impl fmt::Debug for Modifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} ({:#018x})", self.0)
    }
}

/// The text is no modifier.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is no format modifier: write LINEAR, a name such as INTEL_4_TILED, or a number such as 0x0100000000000009"
)]
pub struct ParseModifierError(String);

impl FromStr for Modifier {
    type Err = ParseModifierError;

    /// Reads a name in any case, or `0x` and a hexadecimal number.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(row) = NAMES.iter().find(|row| row.1.eq_ignore_ascii_case(text)) {
            return Ok(row.0);
        }
        text.strip_prefix("0x")
            .or_else(|| text.strip_prefix("0X"))
            .filter(|digits| digits.bytes().all(|c| c.is_ascii_hexdigit()))
            .and_then(|digits| u64::from_str_radix(digits, 16).ok())
            .map(Self)
            .ok_or_else(|| ParseModifierError(text.to_owned()))
    }
}
