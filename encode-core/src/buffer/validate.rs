use super::{Layout, View};
use crate::format::{self, AuxPlane, FormatInfo, Fourcc, Modifier};
use crate::geometry::{Rect, Size};

/// What a layout may be.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LayoutLimits {
    /// Smallest width and height.
    pub min_size: Size,
    /// Largest width and height.
    pub max_size: Size,
    /// Modifiers that whatever reads the buffer can take.
    pub modifiers: AllowedModifiers,
}

impl Default for LayoutLimits {
    /// 1x1 to 16384x16384 (the largest that any encoder or display of today takes), any modifier.
    fn default() -> Self {
        Self {
            min_size: Size::new(1, 1),
            max_size: Size::new(16384, 16384),
            modifiers: AllowedModifiers::Any,
        }
    }
}

/// A list of modifiers to accept.
#[derive(Clone, Debug, Default)]
pub enum AllowedModifiers {
    /// Every one but `INVALID`: the importer refuses what it does not know.
    #[default]
    Any,
    /// `LINEAR` only, as for what the CPU reads.
    Linear,
    /// These.
    List(Vec<Modifier>),
}

impl AllowedModifiers {
    fn allow(&self, modifier: Modifier) -> bool {
        match self {
            Self::Any => true,
            Self::Linear => modifier.is_linear(),
            Self::List(list) => list.contains(&modifier),
        }
    }
}

/// Why a layout was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// The format table has no such row.
    #[error("unknown pixel format {fourcc} ({:#010x}): the format table has {known} others", fourcc.0)]
    UnknownFourcc {
        /// The code seen.
        fourcc: Fourcc,
        /// Rows of the table.
        known: usize,
    },
    /// Too small or too large.
    #[error("size {size} is outside of {min} to {max}")]
    SizeOutOfRange {
        /// The size seen.
        size: Size,
        /// Smallest allowed.
        min: Size,
        /// Largest allowed.
        max: Size,
    },
    /// The picture is said to lie outside of the buffer, or to be empty.
    #[error("content rectangle {content} is empty or leaves the buffer of {size}")]
    ContentOutside {
        /// The rectangle seen.
        content: Rect,
        /// The buffer.
        size: Size,
    },
    /// `INVALID` says nothing about the layout.
    #[error(
        "modifier INVALID leaves the layout unknown where an explicit one is needed: the producer must name it, or the caller must say that it is linear"
    )]
    ModifierUnknown,
    /// Not on the list.
    #[error("modifier {modifier:?} is not among the {allowed} that the importer takes")]
    ModifierNotAllowed {
        /// The modifier seen.
        modifier: Modifier,
        /// Number of modifiers on the list.
        allowed: usize,
    },
    /// The modifier is not defined for such a format.
    #[error("modifier {modifier:?} is not defined for {fourcc}")]
    ModifierMismatch {
        /// The format seen.
        fourcc: Fourcc,
        /// The modifier seen.
        modifier: Modifier,
    },
    /// Too few or too many planes.
    #[error("{planes} planes given where {fourcc} with modifier {modifier} has {expected}")]
    PlaneCount {
        /// The format.
        fourcc: Fourcc,
        /// The modifier.
        modifier: Modifier,
        /// Planes seen.
        planes: usize,
        /// Planes that format and modifier have.
        expected: usize,
    },
    /// A plane names an object that does not exist.
    #[error("plane {plane} lies in object {object}, but there are only {objects}")]
    NoSuchObject {
        /// The plane.
        plane: usize,
        /// The object it names.
        object: u8,
        /// Number of objects.
        objects: usize,
    },
    /// Rows would overlap.
    #[error("plane {plane} has a stride of {stride} bytes, below the {min} bytes of a row")]
    StrideTooSmall {
        /// The plane.
        plane: usize,
        /// The stride seen.
        stride: u32,
        /// Bytes of a row, or of the tiles that a row takes.
        min: u64,
    },
    /// The stride cuts samples or tiles.
    #[error("plane {plane} has a stride of {stride} bytes, which is no multiple of {align}")]
    StrideUnaligned {
        /// The plane.
        plane: usize,
        /// The stride seen.
        stride: u32,
        /// What it must be a multiple of.
        align: u32,
    },
    /// The offset cuts samples or tiles.
    #[error("plane {plane} has an offset of {offset} bytes, which is no multiple of {align}")]
    OffsetUnaligned {
        /// The plane.
        plane: usize,
        /// The offset seen.
        offset: u32,
        /// What it must be a multiple of.
        align: u32,
    },
    /// The plane leaves its object.
    #[error("plane {plane} ends at byte {end}, but object {object} has only {size} bytes")]
    PlaneOverrun {
        /// The plane.
        plane: usize,
        /// One past the last byte that reading the plane touches.
        end: u64,
        /// The object.
        object: u8,
        /// The size of the object.
        size: u64,
    },
}

/// Checks that reading what `layout` describes stays within objects of
/// `object_sizes` bytes and that it is within `limits`.
///
/// This is the whole of the arithmetic, without any file descriptor. All of it is
/// done in 64 bits on 32-bit inputs, where it cannot wrap.
pub fn validate(
    layout: &Layout,
    object_sizes: &[u64],
    limits: &LayoutLimits,
) -> Result<&'static FormatInfo, LayoutError> {
    let size = layout.size;
    let format = format::info(layout.fourcc).ok_or(LayoutError::UnknownFourcc {
        fourcc: layout.fourcc,
        known: format::all().count(),
    })?;
    let (min, max) = (limits.min_size, limits.max_size);
    let fits = |v: u32, min: u32, max: u32| (min.max(1)..=max).contains(&v);
    if !fits(size.width, min.width, max.width) || !fits(size.height, min.height, max.height) {
        return Err(LayoutError::SizeOutOfRange { size, min, max });
    }
    let modifier = layout.modifier;
    if modifier == Modifier::INVALID {
        return Err(LayoutError::ModifierUnknown);
    }
    if !limits.modifiers.allow(modifier) {
        let allowed = match &limits.modifiers {
            AllowedModifiers::List(list) => list.len(),
            AllowedModifiers::Any | AllowedModifiers::Linear => 1,
        };
        return Err(LayoutError::ModifierNotAllowed { modifier, allowed });
    }
    let expected = modifier
        .plane_count(format)
        .ok_or(LayoutError::ModifierMismatch {
            fourcc: layout.fourcc,
            modifier,
        })?;
    if layout.planes.len() != expected {
        return Err(LayoutError::PlaneCount {
            fourcc: layout.fourcc,
            modifier,
            planes: layout.planes.len(),
            expected,
        });
    }
    for index in 0..layout.planes.len() {
        validate_plane(layout, format, index, object_sizes)?;
    }
    Ok(format)
}

/// What a plane must at least have, in bytes and rows.
struct Demand {
    stride: u64,
    stride_align: u32,
    offset_align: u32,
    /// Full strides that are touched.
    rows: u64,
    /// Bytes touched after them.
    last_row: u64,
}

fn validate_plane(
    layout: &Layout,
    format: &FormatInfo,
    index: usize,
    object_sizes: &[u64],
) -> Result<(), LayoutError> {
    let Some(&plane) = layout.planes.get(index) else {
        return Ok(());
    };
    let object_size =
        *object_sizes
            .get(usize::from(plane.object))
            .ok_or(LayoutError::NoSuchObject {
                plane: index,
                object: plane.object,
                objects: object_sizes.len(),
            })?;
    let demand = demand(layout, format, index);
    if u64::from(plane.stride) < demand.stride {
        return Err(LayoutError::StrideTooSmall {
            plane: index,
            stride: plane.stride,
            min: demand.stride,
        });
    }
    if !plane.stride.is_multiple_of(demand.stride_align) {
        return Err(LayoutError::StrideUnaligned {
            plane: index,
            stride: plane.stride,
            align: demand.stride_align,
        });
    }
    if !plane.offset.is_multiple_of(demand.offset_align) {
        return Err(LayoutError::OffsetUnaligned {
            plane: index,
            offset: plane.offset,
            align: demand.offset_align,
        });
    }
    // Saturating stands for "more than any object has": it can only refuse.
    let end = u64::from(plane.stride)
        .saturating_mul(demand.rows)
        .saturating_add(demand.last_row)
        .saturating_add(u64::from(plane.offset));
    if end > object_size {
        return Err(LayoutError::PlaneOverrun {
            plane: index,
            end,
            object: plane.object,
            size: object_size,
        });
    }
    Ok(())
}

fn demand(layout: &Layout, format: &FormatInfo, index: usize) -> Demand {
    let (modifier, size) = (layout.modifier, layout.size);
    if let Some(info) = format.planes.get(index) {
        let (row_bytes, rows) = (info.row_bytes(size.width), info.rows(size.height));
        if modifier.is_linear() {
            return Demand {
                stride: row_bytes,
                stride_align: info.alignment(),
                offset_align: info.alignment(),
                rows: rows.saturating_sub(1),
                last_row: row_bytes,
            };
        }
        return match modifier.tile(info.block_bytes) {
            Some(tile) => Demand {
                stride: row_bytes.next_multiple_of(tile.width_bytes.into()),
                stride_align: tile.stride_align,
                offset_align: tile.offset_align,
                rows: rows.next_multiple_of(tile.rows.into()),
                last_row: 0,
            },
            // Its padding is unknown, but nothing shrinks below the pixels themselves.
            None => Demand {
                stride: row_bytes,
                stride_align: info.alignment(),
                offset_align: info.alignment(),
                rows,
                last_row: 0,
            },
        };
    }
    let aux = |stride, stride_align, offset_align, rows| Demand {
        stride,
        stride_align,
        offset_align,
        rows,
        last_row: 0,
    };
    match modifier.aux_plane(format, index) {
        Some(AuxPlane::SkylakeCcs) => aux(
            u64::from(size.width).div_ceil(1024) * 128,
            128,
            4096,
            u64::from(size.height).div_ceil(512) * 32,
        ),
        Some(AuxPlane::Gen12Ccs { main }) => {
            let stride = layout.planes.get(main).map_or(0, |plane| plane.stride);
            let rows = format.plane_rows(main, size.height).unwrap_or(0);
            aux(
                u64::from(stride).div_ceil(512) * 64,
                64,
                64,
                rows.div_ceil(32),
            )
        }
        Some(AuxPlane::ClearColor) => Demand {
            last_row: 64,
            ..aux(0, 1, 64, 0)
        },
        Some(AuxPlane::Dcc) | None => aux(1, 1, 256, 1),
    }
}

/// Checks that `view` shows a part of a buffer of `size`.
pub fn validate_view(view: &View, size: Size) -> Result<(), LayoutError> {
    let content = view.content;
    if content.is_empty()
        || u64::from(content.x) + u64::from(content.width) > u64::from(size.width)
        || u64::from(content.y) + u64::from(content.height) > u64::from(size.height)
    {
        return Err(LayoutError::ContentOutside { content, size });
    }
    Ok(())
}
