//! Readers of recorded frames: Y4M, raw planes, PNG sequences, recordings of a
//! display producer, and the synthetic desktop, behind one trait.
//!
//! Files are input from anywhere: every number is bounded before memory is
//! reserved for it, and every refusal says what was seen and what is allowed.

mod desktop;
mod png_sequence;
mod raw;
mod recording;
mod spec;
mod traced;
mod y4m;

use std::path::PathBuf;
use std::time::Duration;

use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Size};

pub use desktop::DesktopReader;
pub use png_sequence::PngSequence;
pub use raw::{ParseRawLayoutError, RawLayout, RawReader};
pub use recording::{ParseChoiceError, PictureChoice, RecordingSource, RecordingSourceError};
pub use spec::{ParseSourceError, SourceSpec, damage_beside};
pub use traced::TracedReader;
pub use y4m::{Y4mChroma, Y4mError, Y4mHeader, Y4mReader, parse_header};

use crate::damage_log::DamageLogError;
use crate::desktop::DesktopError;

/// Longest side of a frame in pixels.
pub const MAX_SIDE: u32 = 16384;
/// Most pixels of a frame: 8192 x 8192.
pub const MAX_PIXELS: u64 = 1 << 26;

/// Frames per second as a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRate {
    /// Frames ...
    pub num: u32,
    /// ... in this many seconds; never 0 in a rate that a reader gives.
    pub den: u32,
}

impl FrameRate {
    /// A whole number of frames per second.
    pub const fn whole(fps: u32) -> Self {
        Self { num: fps, den: 1 }
    }

    /// When frame `index` is shown, from frame 0 on; zero for a rate of zero.
    pub fn time_of(self, index: u64) -> Duration {
        let nanos = u128::from(index) * u128::from(self.den) * 1_000_000_000;
        let nanos = nanos.checked_div(u128::from(self.num)).unwrap_or(0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl std::fmt::Display for FrameRate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.den {
            1 => write!(f, "{}", self.num),
            den => write!(f, "{}/{den}", self.num),
        }
    }
}

/// Where a plane lies in [`SourceFrame::data`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourcePlane {
    /// First byte.
    pub offset: usize,
    /// Bytes from row to row.
    pub stride: usize,
}

/// One frame, borrowed from its reader.
#[derive(Debug)]
pub struct SourceFrame<'a> {
    /// Number from 0.
    pub index: u64,
    /// When it is shown, from the first frame on.
    pub time: Duration,
    /// Format of the pixels.
    pub fourcc: Fourcc,
    /// Width and height.
    pub size: Size,
    /// All planes.
    pub data: &'a [u8],
    /// Where they are, in the order of the format.
    pub planes: &'a [SourcePlane],
    /// What changed since the frame before; everything where that is not known.
    pub damage: Damage,
    /// What is happening, where that is known.
    pub segment: Option<&'a str>,
}

/// Gives frames one after the other, all of one size and format.
pub trait FrameReader: Send {
    /// Width and height of all frames.
    fn size(&self) -> Size;
    /// Format of all frames.
    fn fourcc(&self) -> Fourcc;
    /// The rate.
    fn fps(&self) -> FrameRate;
    /// What is known of the source beside its name, size and rate, for people.
    fn details(&self) -> Option<String> {
        None
    }
    /// The next frame, or `None` after the last. Reads the file, so it may block.
    fn next_frame(&mut self) -> Result<Option<SourceFrame<'_>>, SourceError>;
}

/// Why frames cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// Cannot be opened or read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The stream cannot be read.
    #[error("reading frame {frame}: {source}")]
    Read {
        /// Number of the frame.
        frame: u64,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file ends within a frame.
    #[error("frame {frame} is cut short: {seen} bytes of {needed}")]
    Truncated {
        /// Number of the frame.
        frame: u64,
        /// Bytes that were there.
        seen: u64,
        /// Bytes of a frame.
        needed: u64,
    },
    /// A size out of bounds.
    #[error(transparent)]
    Size(#[from] SizeError),
    /// No Y4M file, or one that is not supported.
    #[error(transparent)]
    Y4m(#[from] Y4mError),
    /// A picture is broken.
    #[error("{}: {source}", path.display())]
    Png {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: png::DecodingError,
    },
    /// A picture of another size.
    #[error("{}: {size}, but the first picture is {first}", path.display())]
    SizeChanged {
        /// The file.
        path: PathBuf,
        /// Its size.
        size: Size,
        /// The size of the first picture.
        first: Size,
    },
    /// No picture there.
    #[error("{pattern}: no PNG file fits")]
    NoPictures {
        /// Where pictures were looked for.
        pattern: String,
    },
    /// A rate out of bounds.
    #[error("{num}/{den} frames per second: it must be above 0 and at most 1000")]
    Rate {
        /// Numerator.
        num: u32,
        /// Denominator.
        den: u32,
    },
    /// The synthetic desktop cannot be made.
    #[error(transparent)]
    Desktop(#[from] DesktopError),
    /// The damage beside the frames cannot be used.
    #[error(transparent)]
    Damage(#[from] DamageLogError),
    /// A recording of a display producer makes no frames.
    #[error("{}: {source}", path.display())]
    Recording {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: RecordingSourceError,
    },
}

/// A size out of bounds.
#[derive(Debug, thiserror::Error)]
#[error(
    "{width}x{height}: each side must be 1 to {MAX_SIDE} pixels, and {MAX_PIXELS} pixels in all"
)]
pub struct SizeError {
    /// The width seen.
    pub width: u64,
    /// The height seen.
    pub height: u64,
}

/// The size, where frames of it are reasonable.
pub(crate) fn checked_size(width: u64, height: u64) -> Result<Size, SizeError> {
    let sides = 1..=u64::from(MAX_SIDE);
    if !sides.contains(&width) || !sides.contains(&height) || width * height > MAX_PIXELS {
        return Err(SizeError { width, height });
    }
    Ok(Size::new(width as u32, height as u32))
}

/// The rate, where it is reasonable.
pub(crate) fn checked_rate(num: u32, den: u32) -> Result<FrameRate, SourceError> {
    if num == 0 || den == 0 || u64::from(num) > 1000 * u64::from(den) {
        return Err(SourceError::Rate { num, den });
    }
    Ok(FrameRate { num, den })
}
