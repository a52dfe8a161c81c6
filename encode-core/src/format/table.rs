//! The rows. Orders of components follow `drm_fourcc.h`, which writes them from
//! the most significant bit of a little-endian word: `XRGB8888` is B, G, R, X
//! in memory. GStreamer and VA-API name bytes in memory.

use super::Component::{A, B, G, R, U, V, X, Y};
use super::{Component, Family, FormatInfo, Fourcc, PlaneInfo, VaFormat};

const YUV420: u32 = 0x0000_0001;
const YUV422: u32 = 0x0000_0002;
const YUV444: u32 = 0x0000_0004;
const YUV400: u32 = 0x0000_0010;
const YUV420_10: u32 = 0x0000_0100;
const YUV422_10: u32 = 0x0000_0200;
const YUV444_10: u32 = 0x0000_0400;
const YUV420_12: u32 = 0x0000_1000;
const RGB16: u32 = 0x0001_0000;
const RGB32: u32 = 0x0002_0000;
const RGB32_10: u32 = 0x0020_0000;

const fn plane(block_bytes: u8, h_sub: u8, v_sub: u8, order: &'static [Component]) -> PlaneInfo {
    PlaneInfo {
        block_bytes,
        h_sub,
        v_sub,
        order,
    }
}

/// The names are in the order GStreamer, VA-API, Vulkan.
const fn row(
    fourcc: Fourcc,
    family: Family,
    bits: u8,
    alpha: bool,
    planes: &'static [PlaneInfo],
    names: (Option<&'static str>, Option<VaFormat>, Option<i32>),
) -> FormatInfo {
    FormatInfo {
        fourcc,
        family,
        bits,
        alpha,
        planes,
        gst_name: names.0,
        va: names.1,
        vk_format: names.2,
    }
}

const fn va(chars: &[u8; 4], rt_format: u32) -> Option<VaFormat> {
    Some(VaFormat {
        fourcc: u32::from_le_bytes(*chars),
        rt_format,
    })
}

#[rustfmt::skip]
pub(super) static FORMATS: &[FormatInfo] = &[
    row(Fourcc::XRGB8888, Family::Rgb, 8, false, &[plane(4, 1, 1, &[B, G, R, X])],
        (Some("BGRx"), va(b"BGRX", RGB32), Some(44))),
    row(Fourcc::XBGR8888, Family::Rgb, 8, false, &[plane(4, 1, 1, &[R, G, B, X])],
        (Some("RGBx"), va(b"RGBX", RGB32), Some(37))),
    row(Fourcc::RGBX8888, Family::Rgb, 8, false, &[plane(4, 1, 1, &[X, B, G, R])],
        (Some("xBGR"), va(b"XBGR", RGB32), None)),
    row(Fourcc::BGRX8888, Family::Rgb, 8, false, &[plane(4, 1, 1, &[X, R, G, B])],
        (Some("xRGB"), va(b"XRGB", RGB32), None)),
    row(Fourcc::ARGB8888, Family::Rgb, 8, true, &[plane(4, 1, 1, &[B, G, R, A])],
        (Some("BGRA"), va(b"BGRA", RGB32), Some(44))),
    row(Fourcc::ABGR8888, Family::Rgb, 8, true, &[plane(4, 1, 1, &[R, G, B, A])],
        (Some("RGBA"), va(b"RGBA", RGB32), Some(37))),
    row(Fourcc::RGBA8888, Family::Rgb, 8, true, &[plane(4, 1, 1, &[A, B, G, R])],
        (Some("ABGR"), va(b"ABGR", RGB32), None)),
    row(Fourcc::BGRA8888, Family::Rgb, 8, true, &[plane(4, 1, 1, &[A, R, G, B])],
        (Some("ARGB"), va(b"ARGB", RGB32), None)),
    row(Fourcc::RGB888, Family::Rgb, 8, false, &[plane(3, 1, 1, &[B, G, R])],
        (Some("BGR"), None, Some(30))),
    row(Fourcc::BGR888, Family::Rgb, 8, false, &[plane(3, 1, 1, &[R, G, B])],
        (Some("RGB"), None, Some(23))),
    row(Fourcc::RGB565, Family::Rgb, 5, false, &[plane(2, 1, 1, &[B, G, R])],
        (Some("RGB16"), va(b"RG16", RGB16), Some(4))),
    row(Fourcc::BGR565, Family::Rgb, 5, false, &[plane(2, 1, 1, &[R, G, B])],
        (Some("BGR16"), va(b"BG16", RGB16), Some(5))),
    row(Fourcc::XRGB2101010, Family::Rgb, 10, false, &[plane(4, 1, 1, &[B, G, R, X])],
        (Some("BGR10x2_LE"), va(b"XR30", RGB32_10), Some(58))),
    row(Fourcc::XBGR2101010, Family::Rgb, 10, false, &[plane(4, 1, 1, &[R, G, B, X])],
        (Some("RGB10x2_LE"), va(b"XB30", RGB32_10), Some(64))),
    row(Fourcc::ARGB2101010, Family::Rgb, 10, true, &[plane(4, 1, 1, &[B, G, R, A])],
        (Some("BGR10A2_LE"), va(b"AR30", RGB32_10), Some(58))),
    row(Fourcc::ABGR2101010, Family::Rgb, 10, true, &[plane(4, 1, 1, &[R, G, B, A])],
        (Some("RGB10A2_LE"), va(b"AB30", RGB32_10), Some(64))),
    row(Fourcc::XRGB16161616, Family::Rgb, 16, false, &[plane(8, 1, 1, &[B, G, R, X])],
        (None, None, None)),
    row(Fourcc::XBGR16161616, Family::Rgb, 16, false, &[plane(8, 1, 1, &[R, G, B, X])],
        (None, None, Some(91))),
    row(Fourcc::ARGB16161616, Family::Rgb, 16, true, &[plane(8, 1, 1, &[B, G, R, A])],
        (Some("BGRA64_LE"), None, None)),
    row(Fourcc::ABGR16161616, Family::Rgb, 16, true, &[plane(8, 1, 1, &[R, G, B, A])],
        (Some("RGBA64_LE"), None, Some(91))),
    row(Fourcc::NV12, Family::Yuv, 8, false, &[plane(1, 1, 1, &[Y]), plane(2, 2, 2, &[U, V])],
        (Some("NV12"), va(b"NV12", YUV420), Some(1_000_156_003))),
    row(Fourcc::NV21, Family::Yuv, 8, false, &[plane(1, 1, 1, &[Y]), plane(2, 2, 2, &[V, U])],
        (Some("NV21"), va(b"NV21", YUV420), None)),
    row(Fourcc::NV16, Family::Yuv, 8, false, &[plane(1, 1, 1, &[Y]), plane(2, 2, 1, &[U, V])],
        (Some("NV16"), va(b"NV16", YUV422), Some(1_000_156_005))),
    row(Fourcc::NV24, Family::Yuv, 8, false, &[plane(1, 1, 1, &[Y]), plane(2, 1, 1, &[U, V])],
        (Some("NV24"), None, Some(1_000_330_000))),
    row(Fourcc::P010, Family::Yuv, 10, false, &[plane(2, 1, 1, &[Y]), plane(4, 2, 2, &[U, V])],
        (Some("P010_10LE"), va(b"P010", YUV420_10), Some(1_000_156_013))),
    row(Fourcc::P012, Family::Yuv, 12, false, &[plane(2, 1, 1, &[Y]), plane(4, 2, 2, &[U, V])],
        (Some("P012_LE"), va(b"P012", YUV420_12), Some(1_000_156_023))),
    row(Fourcc::P016, Family::Yuv, 16, false, &[plane(2, 1, 1, &[Y]), plane(4, 2, 2, &[U, V])],
        (Some("P016_LE"), va(b"P016", YUV420_12), Some(1_000_156_030))),
    row(Fourcc::YUV420, Family::Yuv, 8, false, &[plane(1, 1, 1, &[Y]), plane(1, 2, 2, &[U]), plane(1, 2, 2, &[V])],
        (Some("I420"), va(b"I420", YUV420), Some(1_000_156_002))),
    row(Fourcc::YVU420, Family::Yuv, 8, false, &[plane(1, 1, 1, &[Y]), plane(1, 2, 2, &[V]), plane(1, 2, 2, &[U])],
        (Some("YV12"), va(b"YV12", YUV420), None)),
    row(Fourcc::YUV422, Family::Yuv, 8, false, &[plane(1, 1, 1, &[Y]), plane(1, 2, 1, &[U]), plane(1, 2, 1, &[V])],
        (Some("Y42B"), va(b"422H", YUV422), Some(1_000_156_004))),
    row(Fourcc::YUV444, Family::Yuv, 8, false, &[plane(1, 1, 1, &[Y]), plane(1, 1, 1, &[U]), plane(1, 1, 1, &[V])],
        (Some("Y444"), va(b"444P", YUV444), Some(1_000_156_006))),
    row(Fourcc::YUYV, Family::Yuv, 8, false, &[plane(4, 2, 1, &[Y, U, Y, V])],
        (Some("YUY2"), va(b"YUY2", YUV422), Some(1_000_156_000))),
    row(Fourcc::UYVY, Family::Yuv, 8, false, &[plane(4, 2, 1, &[U, Y, V, Y])],
        (Some("UYVY"), va(b"UYVY", YUV422), Some(1_000_156_001))),
    row(Fourcc::AYUV, Family::Yuv, 8, true, &[plane(4, 1, 1, &[V, U, Y, A])],
        (Some("VUYA"), va(b"AYUV", YUV444), None)),
    row(Fourcc::XYUV8888, Family::Yuv, 8, false, &[plane(4, 1, 1, &[V, U, Y, X])],
        (None, va(b"XYUV", YUV444), None)),
    row(Fourcc::Y410, Family::Yuv, 10, true, &[plane(4, 1, 1, &[U, Y, V, A])],
        (Some("Y410"), va(b"Y410", YUV444_10), Some(58))),
    row(Fourcc::Y210, Family::Yuv, 10, false, &[plane(8, 2, 1, &[Y, U, Y, V])],
        (Some("Y210"), va(b"Y210", YUV422_10), Some(1_000_156_010))),
    row(Fourcc::R8, Family::Gray, 8, false, &[plane(1, 1, 1, &[Y])],
        (Some("GRAY8"), va(b"Y800", YUV400), Some(9))),
];
