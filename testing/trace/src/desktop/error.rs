//! Why there is no such desktop.

use scanout_core::geometry::Size;

use super::Desktop;
use super::text::FontError;

/// Why there is no such desktop.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DesktopError {
    /// A side is too short or too long.
    #[error("a desktop of {size}: each side must be {min} to {max} pixels", min = Desktop::MIN_SIDE, max = Desktop::MAX_SIDE)]
    Side {
        /// The size asked for.
        size: Size,
    },
    /// More pixels than fit in a reasonable amount of memory.
    #[error("a desktop of {size} has {} pixels, more than {max}", size.area(), max = Desktop::MAX_PIXELS)]
    Pixels {
        /// The size asked for.
        size: Size,
    },
    /// No such frame rate.
    #[error("{fps} frames per second: it must be 1 to {max}", max = Desktop::MAX_FPS)]
    Fps {
        /// The rate asked for.
        fps: u32,
    },
    /// The built-in fonts are broken.
    #[error(transparent)]
    Font(#[from] FontError),
    /// The picture does not fit where it should be copied.
    #[error(
        "a picture of {size} does not fit: stride {stride} (at least {min_stride} needed), {bytes} bytes ({min_bytes} needed)"
    )]
    Destination {
        /// Size of the picture.
        size: Size,
        /// Stride of the destination.
        stride: usize,
        /// Smallest stride that would do.
        min_stride: usize,
        /// Bytes of the destination.
        bytes: usize,
        /// Bytes needed with this stride.
        min_bytes: usize,
    },
}
