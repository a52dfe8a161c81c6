//! When a source may be read, and who is told that it was.
//!
//! A frame arrives with an [`Acquire`]: what must happen before its pixels are
//! read. It leaves through a [`Release`]: a guard that tells the source's owner,
//! exactly once and on every path, that the buffer may be used again.
//! [`EventFd`] wakes event loops. Every wait takes a limit and running into it
//! is an error with a name.

mod event;
mod fence;
mod release;
pub(crate) mod sys;

use std::os::fd::OwnedFd;

pub use event::EventFd;
pub(crate) use fence::poll_readable;
pub use fence::{FenceStatus, SyncError, SyncFile};
pub use release::{Release, ReleaseSink};

/// What must happen before the pixels of a source are read.
#[derive(Debug, Default)]
#[non_exhaustive]
pub enum Acquire {
    /// The kernel tracks the writers in the dma-buf itself: see
    /// [`crate::buffer::wait_readable`].
    #[default]
    Implicit,
    /// Wait for this fence.
    SyncFile(SyncFile),
    /// Wait for a point of a DRM timeline. Only a holder of the render node can do that.
    Timeline {
        /// A `drm_syncobj`, exported as a file descriptor.
        syncobj: OwnedFd,
        /// The point that must have been reached.
        point: u64,
    },
    /// Nothing to wait for: the producer was finished before it handed the frame over.
    Ready,
}
