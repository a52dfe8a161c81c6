use arrayvec::ArrayVec;

use crate::format::Fourcc;
use crate::geometry::Size;

use super::ConvertError;

/// The bytes of one plane, first row at the start.
#[derive(Clone, Copy)]
pub struct PlaneView<'a> {
    /// The bytes; the last row need not be followed by its padding.
    pub data: &'a [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
}

impl<'a> PlaneView<'a> {
    /// A plane whose rows start `stride` bytes apart.
    pub const fn new(data: &'a [u8], stride: usize) -> Self {
        Self { data, stride }
    }

    /// `bytes` of row `y` from byte `start` on; empty where the plane has no such bytes.
    pub(super) fn row(&self, y: usize, start: usize, bytes: usize) -> &'a [u8] {
        // Checked once per frame by `check`; the empty slice only keeps a
        // mistake of ours from becoming a panic in the display's path.
        self.stride
            .checked_mul(y)
            .and_then(|row| row.checked_add(start))
            .and_then(|at| self.data.get(at..at.checked_add(bytes)?))
            .unwrap_or(&[])
    }

    /// That `rows` rows of `row_bytes` lie in it.
    pub(super) fn check(
        &self,
        plane: usize,
        row_bytes: usize,
        rows: usize,
    ) -> Result<(), ConvertError> {
        if self.stride < row_bytes {
            return Err(ConvertError::Stride {
                plane,
                stride: self.stride,
                row_bytes,
            });
        }
        let need = self
            .stride
            .checked_mul(rows.saturating_sub(1))
            .and_then(|last| last.checked_add(row_bytes))
            .unwrap_or(usize::MAX);
        if self.data.len() < need {
            return Err(ConvertError::SourceTooShort {
                plane,
                have: self.data.len(),
                need,
            });
        }
        Ok(())
    }
}

impl std::fmt::Debug for PlaneView<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlaneView")
            .field("bytes", &self.data.len())
            .field("stride", &self.stride)
            .finish()
    }
}

/// A frame to convert: mapped memory, linear.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    /// What the bytes are.
    pub fourcc: Fourcc,
    /// Pixels.
    pub size: Size,
    /// The planes in the order of `drm_fourcc.h`.
    pub planes: ArrayVec<PlaneView<'a>, 4>,
    /// The first row in memory is the bottom of the picture. Pictures are
    /// always top-down, and so is the damage given beside a source.
    pub bottom_up: bool,
}

impl<'a> Source<'a> {
    /// A top-down source of one plane.
    pub fn packed(fourcc: Fourcc, size: Size, plane: PlaneView<'a>) -> Self {
        Self::new(fourcc, size, [plane])
    }

    /// A top-down source of several planes; those beyond the fourth are dropped.
    pub fn new(
        fourcc: Fourcc,
        size: Size,
        planes: impl IntoIterator<Item = PlaneView<'a>>,
    ) -> Self {
        Self {
            fourcc,
            size,
            planes: planes.into_iter().take(4).collect(),
            bottom_up: false,
        }
    }

    /// The same, its first row in memory being the bottom of the picture.
    #[must_use]
    pub fn flipped(mut self) -> Self {
        self.bottom_up = !self.bottom_up;
        self
    }
}
