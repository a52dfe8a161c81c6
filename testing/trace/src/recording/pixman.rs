//! Names of formats in QEMU's messages that carry bytes or shared memory.

use scanout_core::format::Fourcc;

/// `PIXMAN_FORMAT(bpp, type, a, r, g, b)`
const fn code(bpp: u32, kind: u32, a: u32, r: u32, g: u32, b: u32) -> u32 {
    (bpp << 24) | (kind << 16) | (a << 12) | (r << 8) | (g << 4) | b
}

const ARGB: u32 = 2;
const ABGR: u32 = 3;
const BGRA: u32 = 8;
const RGBA: u32 = 9;

/// Both worlds name components from the most significant bit of a word on.
/// Pixman's words have the byte order of the machine, DRM's are little-endian.
const TABLE: [(u32, Fourcc); 16] = [
    (code(32, ARGB, 0, 8, 8, 8), Fourcc::XRGB8888),
    (code(32, ARGB, 8, 8, 8, 8), Fourcc::ARGB8888),
    (code(32, ABGR, 0, 8, 8, 8), Fourcc::XBGR8888),
    (code(32, ABGR, 8, 8, 8, 8), Fourcc::ABGR8888),
    (code(32, BGRA, 0, 8, 8, 8), Fourcc::BGRX8888),
    (code(32, BGRA, 8, 8, 8, 8), Fourcc::BGRA8888),
    (code(32, RGBA, 0, 8, 8, 8), Fourcc::RGBX8888),
    (code(32, RGBA, 8, 8, 8, 8), Fourcc::RGBA8888),
    (code(24, ARGB, 0, 8, 8, 8), Fourcc::RGB888),
    (code(24, ABGR, 0, 8, 8, 8), Fourcc::BGR888),
    (code(16, ARGB, 0, 5, 6, 5), Fourcc::RGB565),
    (code(16, ABGR, 0, 5, 6, 5), Fourcc::BGR565),
    (code(32, ARGB, 0, 10, 10, 10), Fourcc::XRGB2101010),
    (code(32, ARGB, 2, 10, 10, 10), Fourcc::ARGB2101010),
    (code(32, ABGR, 0, 10, 10, 10), Fourcc::XBGR2101010),
    (code(32, ABGR, 2, 10, 10, 10), Fourcc::ABGR2101010),
];

/// The DRM format of a pixman format, `None` for one that no display uses.
/// For little-endian machines, as pixman's formats follow the machine.
pub fn fourcc_of_pixman(format: u32) -> Option<Fourcc> {
    let (_, fourcc) = TABLE.iter().find(|(code, _)| *code == format)?;
    Some(*fourcc)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against pixman's numbers as they come over the bus, not its macro.
    #[test]
    fn pixman_formats_have_the_same_bytes_in_drm() {
        for (format, fourcc) in [
            (0x2002_0888, "XR24"),
            (0x2002_8888, "AR24"),
            (0x2003_0888, "XB24"),
            (0x2003_8888, "AB24"),
            (0x2008_0888, "BX24"),
            (0x2008_8888, "BA24"),
            (0x2009_0888, "RX24"),
            (0x2009_8888, "RA24"),
            (0x1802_0888, "RG24"),
            (0x1803_0888, "BG24"),
            (0x1002_0565, "RG16"),
            (0x1003_0565, "BG16"),
            (0x2002_0aaa, "XR30"),
            (0x2002_2aaa, "AR30"),
            (0x2003_0aaa, "XB30"),
            (0x2003_2aaa, "AB30"),
        ] {
            let found = fourcc_of_pixman(format).map(|f| f.to_string());
            assert_eq!(found.as_deref(), Some(fourcc), "{format:#x}");
        }
        // a8, and nothing at all.
        assert_eq!(fourcc_of_pixman(0x0801_8000), None);
        assert_eq!(fourcc_of_pixman(0), None);
    }

    #[test]
    fn every_mapped_format_can_be_converted() {
        for (_, fourcc) in TABLE {
            assert!(scanout_core::format::info(fourcc).is_some(), "{fourcc}");
        }
    }
}
