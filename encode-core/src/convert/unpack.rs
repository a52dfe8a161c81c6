use crate::format::Fourcc;

use super::kernel;

/// How to take R, G and B out of a packed pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unpack {
    /// 32-bit little-endian words: shifts of R, G, B, and the mask of a component.
    Word { shifts: [u32; 3], mask: u32 },
    /// Three bytes; true where red is the first.
    Bytes { swapped: bool },
    /// 5:6:5 in 16-bit little-endian words; true where blue is on top.
    Half { swapped: bool },
}

impl Unpack {
    /// The way for `fourcc`; `None` where it is no RGB format known here.
    pub(super) fn of(fourcc: Fourcc) -> Option<Self> {
        let word = |shifts, mask| Some(Self::Word { shifts, mask });
        match fourcc {
            Fourcc::XRGB8888 | Fourcc::ARGB8888 => word([16, 8, 0], 0xff),
            Fourcc::XBGR8888 | Fourcc::ABGR8888 => word([0, 8, 16], 0xff),
            Fourcc::RGBX8888 | Fourcc::RGBA8888 => word([24, 16, 8], 0xff),
            Fourcc::BGRX8888 | Fourcc::BGRA8888 => word([8, 16, 24], 0xff),
            Fourcc::XRGB2101010 | Fourcc::ARGB2101010 => word([20, 10, 0], 0x3ff),
            Fourcc::XBGR2101010 | Fourcc::ABGR2101010 => word([0, 10, 20], 0x3ff),
            // Little-endian 24-bit words: RG24 has blue in its first byte.
            Fourcc::RGB888 => Some(Self::Bytes { swapped: false }),
            Fourcc::BGR888 => Some(Self::Bytes { swapped: true }),
            Fourcc::RGB565 => Some(Self::Half { swapped: false }),
            Fourcc::BGR565 => Some(Self::Half { swapped: true }),
            _ => None,
        }
    }

    /// Bytes of a pixel.
    pub(super) const fn pixel_bytes(self) -> usize {
        match self {
            Self::Word { .. } => 4,
            Self::Bytes { .. } => 3,
            Self::Half { .. } => 2,
        }
    }

    /// The component value of white.
    pub(super) const fn peak(self) -> i64 {
        match self {
            Self::Word { mask, .. } => mask as i64,
            Self::Bytes { .. } | Self::Half { .. } => 255,
        }
    }

    /// Splits a row.
    pub(super) fn split(self, pixels: &[u8], red: &mut [u16], green: &mut [u16], blue: &mut [u16]) {
        match self {
            Self::Word { shifts, mask } => {
                kernel::split32(pixels, shifts, mask, red, green, blue);
            }
            Self::Bytes { swapped } => kernel::split24(pixels, swapped, red, green, blue),
            Self::Half { swapped } => kernel::split565(pixels, swapped, red, green, blue),
        }
    }
}
