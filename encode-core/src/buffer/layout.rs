use std::fmt;

use arrayvec::ArrayVec;
use serde::{Deserialize, Serialize};

use crate::format::{Fourcc, Modifier};
use crate::geometry::{Rect, Size};

/// Most planes that a buffer can have; the kernel's `DRM_FORMAT_MAX_PLANES`.
pub const MAX_PLANES: usize = 4;

/// Where one plane lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Plane {
    /// Which of the buffer's objects holds it.
    pub object: u8,
    /// Bytes from the start of the object to the first row.
    pub offset: u32,
    /// Bytes from one row to the next.
    pub stride: u32,
}

/// What the bytes of a buffer mean, as its producer says. Not to be believed
/// before [`validate`](super::validate) has.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Layout {
    /// The pixel format.
    pub fourcc: Fourcc,
    /// How the planes are tiled or compressed.
    pub modifier: Modifier,
    /// Pixels allocated; what is shown of them is the content rectangle.
    pub size: Size,
    /// The format's planes, then those that the modifier adds.
    pub planes: ArrayVec<Plane, MAX_PLANES>,
}

impl Layout {
    /// A linear layout with one object, planes one after the other and strides
    /// rounded up to `stride_align`, with the bytes that it takes. `None` for an
    /// unknown format, an alignment of zero, or when an offset or a stride leaves 32 bits.
    pub fn packed(fourcc: Fourcc, size: Size, stride_align: u32) -> Option<(Self, u64)> {
        let format = crate::format::info(fourcc)?;
        let mut planes = ArrayVec::new();
        let mut end = 0u64;
        for plane in format.planes {
            let stride = plane
                .row_bytes(size.width)
                .checked_next_multiple_of(stride_align.into())?
                .checked_next_multiple_of(plane.alignment().into())?;
            let offset = end.checked_next_multiple_of(plane.alignment().into())?;
            end = offset.checked_add(stride.checked_mul(plane.rows(size.height))?)?;
            planes
                .try_push(Plane {
                    object: 0,
                    offset: offset.try_into().ok()?,
                    stride: stride.try_into().ok()?,
                })
                .ok()?;
        }
        let layout = Self {
            fourcc,
            modifier: Modifier::LINEAR,
            size,
            planes,
        };
        Some((layout, end))
    }
}

/// `XR24:LINEAR 1920x1080`
impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} {}", self.fourcc, self.modifier, self.size)
    }
}

/// Which row of the picture lies first in memory.
///
/// **Beware of the wire's name.** `BottomUp` is what QEMU and SPICE call
/// `y0_top = true` (`SPICE_GL_SCANOUT_FLAGS_Y0TOP` with the flag *set*): their
/// name is the reverse of what it says, being thought from the origin of an
/// OpenGL texture. Staging always flips, so pictures and damage are top-down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Orientation {
    /// The first row in memory is the top of the picture.
    #[default]
    TopDown,
    /// The first row in memory is the bottom of the picture.
    BottomUp,
}

impl Orientation {
    /// From the flag that QEMU and SPICE call `y0_top`.
    pub const fn from_y0_top(y0_top: bool) -> Self {
        if y0_top {
            Self::BottomUp
        } else {
            Self::TopDown
        }
    }
}

/// What is shown of a buffer, and which way up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct View {
    /// The part of the buffer that holds the picture, in rows of memory.
    pub content: Rect,
    /// Which way up.
    pub orientation: Orientation,
}

impl View {
    /// All of a buffer of `size`, top-down.
    pub const fn of(size: Size) -> Self {
        Self {
            content: Rect::of(size),
            orientation: Orientation::TopDown,
        }
    }
}
