//! The fences of the vgem driver: a dma-buf's fence that comes from a driver, as a
//! GPU's does, instead of from user space.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::sys;

/// An open DRM node.
#[derive(Debug)]
pub struct Vgem(OwnedFd);

/// A buffer as the node knows it.
#[derive(Clone, Copy, Debug)]
pub struct Handle(u32);

/// A fence in a buffer. The driver signals it by itself after ten seconds.
#[derive(Clone, Copy, Debug)]
pub struct Fence(u32);

impl Vgem {
    /// Opens the node.
    pub fn open(node: &Path) -> Result<Self, Errno> {
        rustix::fs::open(node, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map(Self)
    }

    /// Takes in a dma-buf of this driver. Other drivers' have no fences here.
    pub fn import(&self, dma_buf: impl AsFd) -> Result<Handle, Errno> {
        sys::import_handle(self.0.as_fd(), dma_buf.as_fd()).map(Handle)
    }

    /// A driver's fence, as of a job that writes to the buffer.
    pub fn attach_writer(&self, buffer: Handle) -> Result<Fence, Errno> {
        sys::vgem_attach(self.0.as_fd(), buffer.0, true).map(Fence)
    }

    /// A driver's fence, as of a job that reads the buffer.
    pub fn attach_reader(&self, buffer: Handle) -> Result<Fence, Errno> {
        sys::vgem_attach(self.0.as_fd(), buffer.0, false).map(Fence)
    }

    /// The job is done.
    pub fn signal(&self, fence: Fence) -> Result<(), Errno> {
        sys::vgem_signal(self.0.as_fd(), fence.0)
    }
}
