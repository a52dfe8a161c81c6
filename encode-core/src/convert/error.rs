use crate::format::Fourcc;
use crate::geometry::Size;

use super::PictureFormat;

/// Why pixels were not converted. Nothing was written where one is returned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// No conversion between these two.
    #[error(
        "no conversion from {source_format} to {target:?}: convert on the GPU, or choose another picture format"
    )]
    Unsupported {
        /// The source's format.
        source_format: Fourcc,
        /// The picture's format.
        target: PictureFormat,
    },
    /// A side is 0 or too long.
    #[error("a picture of {size} is out of bounds: sides must be 1 to {max_side}")]
    Size {
        /// The size asked for.
        size: Size,
        /// The longest side accepted.
        max_side: u32,
    },
    /// The source and the picture's visible part differ in size; nothing is scaled here.
    #[error("the source is {source_size}, the picture shows {visible}: sizes must be equal")]
    SizeMismatch {
        /// The source's size.
        source_size: Size,
        /// The picture's visible size.
        visible: Size,
    },
    /// An alignment that no layout has.
    #[error(
        "sides in steps of {side_step} and strides in steps of {stride_align} bytes: both must be powers of two, \
         the first up to 64 (and even for 4:2:0), the second up to 4096"
    )]
    Alignment {
        /// The step of the coded sides.
        side_step: u32,
        /// The step of the strides, in bytes.
        stride_align: usize,
    },
    /// The frame is not what the converter was made for.
    #[error(
        "the frame is {seen_format} {seen_size}, the converter was made for {expected_format} {expected_size}"
    )]
    SourceChanged {
        /// The frame's format.
        seen_format: Fourcc,
        /// The frame's size.
        seen_size: Size,
        /// The converter's format.
        expected_format: Fourcc,
        /// The converter's size.
        expected_size: Size,
    },
    /// The source has too few planes.
    #[error("{format} has {need} planes, the source has {have}")]
    PlaneCount {
        /// The source's format.
        format: Fourcc,
        /// Planes given.
        have: usize,
        /// Planes needed.
        need: usize,
    },
    /// Rows of a source plane overlap.
    #[error(
        "plane {plane}: a stride of {stride} bytes is less than the {row_bytes} bytes of a row"
    )]
    Stride {
        /// The plane's index.
        plane: usize,
        /// Its stride in bytes.
        stride: usize,
        /// The bytes of a row.
        row_bytes: usize,
    },
    /// A source plane ends before its last row does.
    #[error("plane {plane} holds {have} bytes, its rows need {need}")]
    SourceTooShort {
        /// The plane's index.
        plane: usize,
        /// Bytes given.
        have: usize,
        /// Bytes needed.
        need: usize,
    },
    /// The picture's buffer is too short for its layout.
    #[error("the picture's buffer holds {have} bytes, its layout needs {need}")]
    TargetTooShort {
        /// Bytes given.
        have: usize,
        /// Bytes needed.
        need: usize,
    },
    /// Tiles are compared in packed RGB only.
    #[error("{format} is no packed RGB format: its tiles cannot be compared")]
    NotPacked {
        /// The source's format.
        format: Fourcc,
    },
}
