use std::fmt;
use std::str::FromStr;

use drm_fourcc::DrmFourcc;
use serde::{Deserialize, Serialize};

/// A DRM format code (`drm_fourcc.h`): four ASCII characters in a little-endian word.
///
/// Any value can be held, known or not: what a producer sends is judged by the
/// format table, not by this type. VA-API's codes look alike but name other
/// byte orders for RGB; they are never this type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fourcc(pub u32);

macro_rules! codes {
    ($($name:ident = $drm:ident),* $(,)?) => {
        impl Fourcc {
            $(
                #[doc = concat!("`DRM_FORMAT_", stringify!($name), "`")]
                pub const $name: Self = Self(DrmFourcc::$drm as u32);
            )*
        }
    };
}

codes! {
    XRGB8888 = Xrgb8888, XBGR8888 = Xbgr8888, RGBX8888 = Rgbx8888, BGRX8888 = Bgrx8888,
    ARGB8888 = Argb8888, ABGR8888 = Abgr8888, RGBA8888 = Rgba8888, BGRA8888 = Bgra8888,
    RGB888 = Rgb888, BGR888 = Bgr888, RGB565 = Rgb565, BGR565 = Bgr565,
    XRGB2101010 = Xrgb2101010, XBGR2101010 = Xbgr2101010,
    ARGB2101010 = Argb2101010, ABGR2101010 = Abgr2101010,
    NV12 = Nv12, NV21 = Nv21, NV16 = Nv16, NV24 = Nv24,
    P010 = P010, P012 = P012, P016 = P016,
    YUV420 = Yuv420, YVU420 = Yvu420, YUV422 = Yuv422, YUV444 = Yuv444,
    YUYV = Yuyv, UYVY = Uyvy, AYUV = Ayuv, XYUV8888 = Xyuv8888, Y410 = Y410, Y210 = Y210,
    R8 = R8,
}

impl Fourcc {
    // These are newer than drm-fourcc's list.
    /// `DRM_FORMAT_XRGB16161616`
    pub const XRGB16161616: Self = Self::from_chars(*b"XR48");
    /// `DRM_FORMAT_XBGR16161616`
    pub const XBGR16161616: Self = Self::from_chars(*b"XB48");
    /// `DRM_FORMAT_ARGB16161616`
    pub const ARGB16161616: Self = Self::from_chars(*b"AR48");
    /// `DRM_FORMAT_ABGR16161616`
    pub const ABGR16161616: Self = Self::from_chars(*b"AB48");

    /// The code of four characters, for example `Fourcc::from_chars(*b"XR24")`.
    pub const fn from_chars(chars: [u8; 4]) -> Self {
        Self(u32::from_le_bytes(chars))
    }

    /// The four bytes of the code.
    pub const fn chars(self) -> [u8; 4] {
        self.0.to_le_bytes()
    }
}

impl From<DrmFourcc> for Fourcc {
    fn from(code: DrmFourcc) -> Self {
        Self(code as u32)
    }
}

/// `XR24`, or the number where a byte is not printable.
impl fmt::Display for Fourcc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chars = self.chars();
        if chars.iter().all(|c| c.is_ascii_graphic() || *c == b' ') {
            for c in chars {
                write!(f, "{}", c as char)?;
            }
            Ok(())
        } else {
            write!(f, "{:#010x}", self.0)
        }
    }
}

impl fmt::Debug for Fourcc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no format code.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is no format code: write four characters as in drm_fourcc.h, for example XR24 or NV12"
)]
pub struct ParseFourccError(String);

impl FromStr for Fourcc {
    type Err = ParseFourccError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let chars: [u8; 4] = text
            .as_bytes()
            .try_into()
            .map_err(|_| ParseFourccError(text.to_owned()))?;
        if !chars.iter().all(|c| c.is_ascii_graphic() || *c == b' ') {
            return Err(ParseFourccError(text.to_owned()));
        }
        Ok(Self::from_chars(chars))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_print_as_their_characters() {
        assert_eq!(Fourcc::XRGB8888.to_string(), "XR24");
        assert_eq!("NV12".parse::<Fourcc>().unwrap(), Fourcc::NV12);
        assert_eq!(Fourcc(1).to_string(), "0x00000001");
        assert!("XR2".parse::<Fourcc>().is_err());
    }
}
