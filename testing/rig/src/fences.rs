//! Fences in dma-bufs, as a writer adds and sees them.

use std::os::fd::AsFd;

use rustix::io::Errno;
use scanout_core::sync::{Acquire, SyncFile};

use crate::sys;

const DMA_BUF_SYNC_READ: u32 = 1;
const DMA_BUF_SYNC_WRITE: u32 = 2;

/// Adds `fence` to the dma-buf as that of somebody who writes to it.
pub fn attach_writer(dma_buf: impl AsFd, fence: &SyncFile) -> Result<(), Errno> {
    sys::attach_fence(dma_buf.as_fd(), fence.as_fd(), DMA_BUF_SYNC_WRITE)
}

/// What a writer has to wait for: everybody who reads or writes.
pub fn for_writer(dma_buf: impl AsFd) -> Result<SyncFile, Errno> {
    sys::export_fences(dma_buf.as_fd(), DMA_BUF_SYNC_WRITE).map(SyncFile::new)
}

/// What a reader has to wait for: everybody who writes.
pub fn for_reader(dma_buf: impl AsFd) -> Result<SyncFile, Errno> {
    sys::export_fences(dma_buf.as_fd(), DMA_BUF_SYNC_READ).map(SyncFile::new)
}

/// Where the fence of a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// In the dma-buf.
    Implicit,
    /// Beside the frame.
    Explicit,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Implicit, Self::Explicit];

    /// Puts `fence`, that of somebody who writes to the dma-buf, where it belongs.
    pub fn acquire(self, dma_buf: impl AsFd, fence: SyncFile) -> Result<Acquire, Errno> {
        match self {
            Self::Implicit => {
                attach_writer(dma_buf, &fence)?;
                Ok(Acquire::Implicit)
            }
            Self::Explicit => Ok(Acquire::SyncFile(fence)),
        }
    }
}
