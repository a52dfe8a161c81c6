//! Fences that a test signals when it likes.
//!
//! The kernel has them for validation only (`CONFIG_SW_SYNC`), behind debugfs and
//! for root.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use scanout_core::sync::SyncFile;

use crate::sys;

const DEVICE: &str = "/sys/kernel/debug/sync/sw_sync";

/// A counter that moves when it is told to, with fences at its points.
///
/// Dropping it fails the fences that have not signalled, with `ENOENT`: that is how a
/// fence with an error comes about.
#[derive(Debug)]
pub struct Timeline(OwnedFd);

impl Timeline {
    /// A timeline at point 0.
    pub fn new() -> Result<Self, Errno> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        rustix::fs::open(DEVICE, flags, Mode::empty()).map(Self)
    }

    /// A fence that signals when the timeline has come to `point`.
    pub fn fence(&self, point: u32) -> Result<SyncFile, Errno> {
        sys::create_fence(self.0.as_fd(), point).map(SyncFile::new)
    }

    /// Moves the timeline on by `points`.
    pub fn advance(&self, points: u32) -> Result<(), Errno> {
        sys::increment(self.0.as_fd(), points)
    }

    /// Fails the fences that have not signalled.
    pub fn fail(self) {
        drop(self);
    }
}

/// A second handle on the same timeline, which fails nothing as long as the first is there.
impl From<OwnedFd> for Timeline {
    fn from(timeline: OwnedFd) -> Self {
        Self(timeline)
    }
}

impl AsFd for Timeline {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}
