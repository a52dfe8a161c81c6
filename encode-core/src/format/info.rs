use super::Fourcc;

/// What a format's components mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Family {
    /// Red, green, blue.
    Rgb,
    /// Luma and two colour differences.
    Yuv,
    /// Luma only.
    Gray,
}

/// One component of a pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Component {
    /// Red.
    R,
    /// Green.
    G,
    /// Blue.
    B,
    /// Alpha.
    A,
    /// Padding.
    X,
    /// Luma, or gray.
    Y,
    /// Cb.
    U,
    /// Cr.
    V,
}

/// How one plane of a format is stored, linearly laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaneInfo {
    /// Bytes of a block: what is stored for `h_sub` x `v_sub` pixels of the picture.
    pub block_bytes: u8,
    /// Pixels of the picture that a block spans horizontally.
    pub h_sub: u8,
    /// Pixels of the picture that a block spans vertically.
    pub v_sub: u8,
    /// Components in the block, from the lowest address or the least significant bit on.
    pub order: &'static [Component],
}

impl PlaneInfo {
    /// Bytes of one row of a picture `width` pixels wide; odd widths round chroma up.
    pub const fn row_bytes(&self, width: u32) -> u64 {
        // At most 2^32 blocks of 255 bytes: far inside u64.
        (width as u64).div_ceil(self.h_sub as u64) * self.block_bytes as u64
    }

    /// Rows of a picture `height` pixels high; odd heights round chroma up.
    pub const fn rows(&self, height: u32) -> u64 {
        (height as u64).div_ceil(self.v_sub as u64)
    }

    /// What offsets and strides must be multiples of so that no sample
    /// straddles its natural alignment: the largest power of two in the block.
    pub const fn alignment(&self) -> u32 {
        1 << self.block_bytes.trailing_zeros()
    }
}

/// A format's name in VA-API.
///
/// VA names RGB formats by bytes in memory, DRM by bits in a little-endian
/// word: the same four letters mean opposite orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VaFormat {
    /// `VA_FOURCC_*`
    pub fourcc: u32,
    /// `VA_RT_FORMAT_*`, the class of surfaces that it belongs to.
    pub rt_format: u32,
}

/// A row of the format table.
#[derive(Debug, PartialEq, Eq)]
pub struct FormatInfo {
    /// The DRM code.
    pub fourcc: Fourcc,
    /// RGB, YUV or gray.
    pub family: Family,
    /// Significant bits of a colour component; the fewest where they differ (RGB565: 5).
    pub bits: u8,
    /// True when one of the components is alpha.
    pub alpha: bool,
    /// The planes in the order in which a layout lists them, without those that a modifier adds.
    pub planes: &'static [PlaneInfo],
    /// `GstVideoFormat` as text; an installed GStreamer may be older than the name.
    pub gst_name: Option<&'static str>,
    /// VA-API fourcc and RT format.
    pub va: Option<VaFormat>,
    /// `VkFormat` with the same bytes; components of RGB formats without
    /// alpha and of `Y410` (R = Cr, G = Y, B = Cb) are as in the DRM code.
    pub vk_format: Option<i32>,
}

impl FormatInfo {
    /// Horizontal and vertical chroma subsampling, (1, 1) without any.
    pub fn subsampling(&self) -> (u8, u8) {
        match (self.family, self.planes) {
            (Family::Yuv, [_, chroma, ..]) => (chroma.h_sub, chroma.v_sub),
            (_, [first, ..]) => (first.h_sub, first.v_sub),
            (_, []) => (1, 1),
        }
    }

    /// Bytes of one row of plane `plane`, `None` where there is no such plane.
    pub fn plane_row_bytes(&self, plane: usize, width: u32) -> Option<u64> {
        self.planes.get(plane).map(|p| p.row_bytes(width))
    }

    /// Rows of plane `plane`, `None` where there is no such plane.
    pub fn plane_rows(&self, plane: usize, height: u32) -> Option<u64> {
        self.planes.get(plane).map(|p| p.rows(height))
    }

    /// A name for the same bytes that GStreamer 1.22 knows too: padding of
    /// 10-bit formats is taken for alpha there, so ignore what it calls alpha.
    pub fn gst_name_1_22(&self) -> Option<&'static str> {
        match self.fourcc {
            Fourcc::XRGB2101010 => Some("BGR10A2_LE"),
            Fourcc::XBGR2101010 => Some("RGB10A2_LE"),
            _ => self.gst_name,
        }
    }
}

/// The row of `fourcc`, `None` when the table has none.
pub fn info(fourcc: Fourcc) -> Option<&'static FormatInfo> {
    super::table::FORMATS
        .iter()
        .find(|row| row.fourcc == fourcc)
}

/// All rows.
pub fn all() -> impl Iterator<Item = &'static FormatInfo> {
    super::table::FORMATS.iter()
}

/// The row with this `GstVideoFormat` name.
pub fn from_gst_name(name: &str) -> Option<&'static FormatInfo> {
    all().find(|row| row.gst_name == Some(name))
}
