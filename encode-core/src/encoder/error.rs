use std::time::Duration;

use super::{Codec, PathClass};
use crate::buffer::ReadError;
use crate::convert::ConvertError;
use crate::geometry::{Rect, Size};
use crate::sync::SyncError;

/// The cause that a backend gives.
pub type BoxedError = Box<dyn std::error::Error + Send + Sync>;

/// A backend cannot say what the machine has.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// The library that it drives is not there or does not start.
    #[error("{library} is not available: {cause}")]
    Unavailable {
        /// What is missing.
        library: String,
        /// Why.
        #[source]
        cause: BoxedError,
    },
    /// There is no such device.
    #[error("no device {id:?} in backend {backend}")]
    NoDevice {
        /// The backend.
        backend: &'static str,
        /// What was asked for.
        id: String,
    },
}

/// A stager or an encoder cannot be opened as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Nothing here codes that.
    #[error("no encoder for {codec} here{hint}")]
    NoEncoder {
        /// What was asked for.
        codec: Codec,
        /// What to do about it; begins with a separator, or is empty.
        hint: String,
    },
    /// A named encoder is not there.
    #[error("encoder {name:?} is not available: {reason}")]
    NoSuchEncoder {
        /// What was asked for.
        name: String,
        /// Why.
        reason: String,
    },
    /// A size beyond what the encoder takes.
    #[error("{encoder} takes {min} to {max} pixels, not {size}")]
    Size {
        /// Which encoder.
        encoder: String,
        /// What was asked for.
        size: Size,
        /// Smallest.
        min: Size,
        /// Largest.
        max: Size,
    },
    /// A setting that the encoder has not.
    #[error("{encoder} cannot do {what}: {detail}")]
    Unsupported {
        /// Which encoder.
        encoder: String,
        /// The setting.
        what: &'static str,
        /// Value seen and values allowed.
        detail: String,
    },
    /// Pixels would go a dearer way than allowed.
    #[error("the pixels would go the {path} way, and {ceiling} is the most that is allowed")]
    Path {
        /// The way at hand.
        path: PathClass,
        /// The most that was allowed.
        ceiling: PathClass,
    },
    /// Pictures of that shape cannot be made.
    #[error("no pictures of that shape: {0}")]
    Convert(#[from] ConvertError),
    /// The operating system refused something.
    #[error("{what}: {cause}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why not.
        #[source]
        cause: std::io::Error,
    },
    /// The library below refused.
    #[error("{what}: {cause}")]
    Backend {
        /// What was tried.
        what: String,
        /// Why not.
        #[source]
        cause: BoxedError,
    },
    /// The driver did not answer in time.
    #[error("{what} took longer than {limit:?}")]
    TimedOut {
        /// What was tried.
        what: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// The device is gone.
    #[error("device lost: {0}")]
    DeviceLost(String),
}

/// A frame cannot be staged. The source is released all the same.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StageError {
    /// All surfaces are held by encoders; try again after the next wake.
    #[error("all {count} surfaces are in use")]
    NoSurface {
        /// Surfaces of the pool.
        count: usize,
    },
    /// The frame has not the size that the stager was opened for.
    #[error("a frame of {seen} for a stager of {expected}")]
    Size {
        /// The frame's.
        seen: Size,
        /// The stager's.
        expected: Size,
    },
    /// Pixels would go a dearer way than allowed.
    #[error("the pixels would go the {path} way, and {ceiling} is the most that is allowed")]
    Path {
        /// The way at hand.
        path: PathClass,
        /// The most that was allowed.
        ceiling: PathClass,
    },
    /// The CPU cannot read the buffer.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The content begins between two chroma samples.
    #[error("content {content} does not begin at a multiple of {step} pixels, as its format needs")]
    Content {
        /// The content rectangle.
        content: Rect,
        /// Pixels per chroma sample.
        step: Size,
    },
    /// The pixels cannot be converted.
    #[error(transparent)]
    Convert(#[from] ConvertError),
    /// The acquire fence failed or did not signal in time.
    #[error("waiting for the source's fence: {0}")]
    Acquire(#[source] SyncError),
    /// The library below refused.
    #[error("{what}: {cause}")]
    Backend {
        /// What was tried.
        what: String,
        /// Why not.
        #[source]
        cause: BoxedError,
    },
    /// The stager has ended; `reason` says why.
    #[error("the stager has ended: {reason}")]
    Ended {
        /// Why.
        reason: String,
    },
    /// The device is gone.
    #[error("device lost: {0}")]
    DeviceLost(String),
}

impl StageError {
    /// True when nothing on this device will work again.
    pub fn is_device_lost(&self) -> bool {
        matches!(self, Self::DeviceLost(_) | Self::Ended { .. })
    }

    /// True when the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::NoSurface { .. })
    }
}

/// A picture cannot be encoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The encoder holds as many pictures as it may; try again after the next wake.
    #[error("the encoder holds {held} pictures, the most that it takes")]
    Busy {
        /// Pictures inside.
        held: usize,
    },
    /// The picture lives in memory that this encoder cannot read.
    #[error("{encoder} cannot read this picture: {detail}")]
    ForeignPicture {
        /// Which encoder.
        encoder: String,
        /// What was expected.
        detail: String,
    },
    /// A request that the encoder has no means for.
    #[error("{encoder} cannot do {what}: {detail}")]
    Unsupported {
        /// Which encoder.
        encoder: String,
        /// The request.
        what: &'static str,
        /// Value seen and values allowed.
        detail: String,
    },
    /// Nothing came out for too long.
    #[error("{encoder} delivered nothing for {limit:?} with {held} pictures inside")]
    Stalled {
        /// Which encoder.
        encoder: String,
        /// The limit.
        limit: Duration,
        /// Pictures inside.
        held: usize,
    },
    /// What came out is no valid stream.
    #[error("{encoder} delivered a broken stream: {detail}")]
    BadStream {
        /// Which encoder.
        encoder: String,
        /// What is wrong.
        detail: String,
    },
    /// The library below failed.
    #[error("{encoder} failed: {cause}")]
    Backend {
        /// Which encoder.
        encoder: String,
        /// Why.
        #[source]
        cause: BoxedError,
    },
    /// The encoder has ended and takes nothing more.
    #[error("{encoder} has ended")]
    Ended {
        /// Which encoder.
        encoder: String,
    },
    /// The device is gone.
    #[error("device lost: {0}")]
    DeviceLost(String),
}

impl EncodeError {
    /// True when nothing on this device will work again.
    pub fn is_device_lost(&self) -> bool {
        matches!(self, Self::DeviceLost(_))
    }

    /// True when the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Busy { .. })
    }
}
