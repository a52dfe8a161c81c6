use serde::{Deserialize, Serialize};

use crate::format::Fourcc;
use crate::geometry::Size;

use super::ConvertError;

/// The layouts of our own pictures: what encoders take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(rename_all = "lowercase")]
pub enum PictureFormat {
    /// 4:2:0, a plane of luma and a plane of Cb and Cr in turn: hardware encoders, and x264 at best speed.
    Nv12,
    /// 4:2:0 in three planes, Y, Cb, Cr.
    I420,
    /// 4:4:4 in three planes, Y, Cb, Cr.
    I444,
}

impl PictureFormat {
    /// Number of planes.
    pub const fn plane_count(self) -> usize {
        match self {
            Self::Nv12 => 2,
            Self::I420 | Self::I444 => 3,
        }
    }

    /// True where one chroma sample serves two by two luma samples.
    pub const fn is_subsampled(self) -> bool {
        matches!(self, Self::Nv12 | Self::I420)
    }

    /// The DRM code of the same bytes.
    pub const fn fourcc(self) -> Fourcc {
        match self {
            Self::Nv12 => Fourcc::NV12,
            Self::I420 => Fourcc::YUV420,
            Self::I444 => Fourcc::YUV444,
        }
    }
}

/// Where a plane of a picture lies in its buffer; all in bytes but `rows`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PicturePlane {
    /// First byte of the plane.
    pub offset: usize,
    /// From one row to the next; at least `row_bytes`.
    pub stride: usize,
    /// Bytes of a row that hold samples, coded padding included.
    pub row_bytes: usize,
    /// Rows, coded padding included.
    pub rows: usize,
}

impl PicturePlane {
    /// Bytes from the first to the end of the last row's stride.
    pub const fn bytes(self) -> usize {
        self.stride * self.rows
    }
}

/// A picture of ours in one buffer: planes one after the other, rows aligned
/// for SIMD loads.
///
/// `visible` is what the viewer shall see, `coded` what the encoder works on:
/// 4:2:0 needs even sides, so an odd side is coded one longer with its edge
/// replicated. Only the constructors make one, so the numbers always agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct PictureLayout {
    format: PictureFormat,
    visible: Size,
    coded: Size,
    planes: [PicturePlane; 3],
    total_bytes: usize,
}

impl PictureLayout {
    /// Longest side accepted. What a level 6.2 H.264 or HEVC stream can hold
    /// is shorter; the bound keeps every product below in 32 bits.
    pub const MAX_SIDE: u32 = 16384;
    /// Bytes that strides and plane offsets are multiples of, if not asked otherwise.
    pub const STRIDE_ALIGN: usize = 64;

    /// The layout of a picture that shows `visible`: sides made even for
    /// 4:2:0, strides multiples of 64 bytes.
    ///
    /// # Errors
    /// [`ConvertError::Size`] when a side is 0 or longer than [`Self::MAX_SIDE`].
    pub fn new(format: PictureFormat, visible: Size) -> Result<Self, ConvertError> {
        let step = if format.is_subsampled() { 2 } else { 1 };
        Self::with_alignment(format, visible, step, Self::STRIDE_ALIGN)
    }

    /// As [`new`](Self::new), with coded sides that are multiples of
    /// `side_step` (hardware may ask for 16) and strides that are multiples
    /// of `stride_align` bytes.
    ///
    /// # Errors
    /// [`ConvertError::Size`] as above; [`ConvertError::Alignment`] when an
    /// alignment is no power of two, `side_step` is odd for 4:2:0 or above
    /// 64, or `stride_align` is above 4096.
    pub fn with_alignment(
        format: PictureFormat,
        visible: Size,
        side_step: u32,
        stride_align: usize,
    ) -> Result<Self, ConvertError> {
        let least = if format.is_subsampled() { 2 } else { 1 };
        if !side_step.is_power_of_two()
            || !(least..=64).contains(&side_step)
            || !stride_align.is_power_of_two()
            || stride_align > 4096
        {
            return Err(ConvertError::Alignment {
                side_step,
                stride_align,
            });
        }
        let too_large = ConvertError::Size {
            size: visible,
            max_side: Self::MAX_SIDE,
        };
        if visible.is_empty() || visible.width.max(visible.height) > Self::MAX_SIDE {
            return Err(too_large);
        }
        let coded = visible.align_up(side_step).ok_or(too_large)?;
        let (width, height) = (coded.width as usize, coded.height as usize);
        let chroma = match format {
            PictureFormat::Nv12 => (width, height / 2),
            PictureFormat::I420 => (width / 2, height / 2),
            PictureFormat::I444 => (width, height),
        };
        let mut planes = [PicturePlane::default(); 3];
        let mut offset = 0;
        for (index, plane) in planes.iter_mut().take(format.plane_count()).enumerate() {
            let (row_bytes, rows) = if index == 0 { (width, height) } else { chroma };
            *plane = PicturePlane {
                offset,
                stride: row_bytes.next_multiple_of(stride_align),
                row_bytes,
                rows,
            };
            // Strides are multiples of the alignment, so offsets are as well.
            offset += plane.bytes();
        }
        Ok(Self {
            format,
            visible,
            coded,
            planes,
            total_bytes: offset,
        })
    }

    /// Sample layout.
    pub const fn format(&self) -> PictureFormat {
        self.format
    }

    /// What the viewer shall see.
    pub const fn visible(&self) -> Size {
        self.visible
    }

    /// What is coded: `visible` and, right and below, its replicated edge.
    pub const fn coded(&self) -> Size {
        self.coded
    }

    /// The planes in memory order: Y, CbCr or Y, Cb, Cr.
    pub fn planes(&self) -> &[PicturePlane] {
        self.planes.get(..self.format.plane_count()).unwrap_or(&[])
    }

    /// Bytes that the buffer must have.
    pub const fn total_bytes(&self) -> usize {
        self.total_bytes
    }

    /// The bytes of each plane, from its first row to the end of its last
    /// stride; unused ones are empty.
    ///
    /// # Errors
    /// [`ConvertError::TargetTooShort`] when `bytes` is shorter than [`total_bytes`](Self::total_bytes).
    pub fn split<'a>(&self, bytes: &'a [u8]) -> Result<[&'a [u8]; 3], ConvertError> {
        self.check_target(bytes.len())?;
        Ok(self
            .planes
            .map(|p| bytes.get(p.offset..p.offset + p.bytes()).unwrap_or(&[])))
    }

    /// As [`split`](Self::split), to write to.
    ///
    /// # Errors
    /// As [`split`](Self::split).
    pub fn split_mut<'a>(&self, bytes: &'a mut [u8]) -> Result<[&'a mut [u8]; 3], ConvertError> {
        self.check_target(bytes.len())?;
        let mut rest = bytes;
        // Planes follow each other without gaps.
        Ok(self.planes.map(|p| {
            let (plane, tail) = std::mem::take(&mut rest).split_at_mut(p.bytes());
            rest = tail;
            plane
        }))
    }

    fn check_target(&self, have: usize) -> Result<(), ConvertError> {
        if have < self.total_bytes {
            return Err(ConvertError::TargetTooShort {
                have,
                need: self.total_bytes,
            });
        }
        Ok(())
    }
}
