//! Dma-bufs over memory that the test keeps a hand on.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;

use crate::sys;

/// A memfd with these seals.
pub fn memfd(bytes: u64, seals: SealFlags) -> Result<OwnedFd, Errno> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memfd = rustix::fs::memfd_create("scanout-rig", flags)?;
    rustix::fs::ftruncate(&memfd, bytes)?;
    rustix::fs::fcntl_add_seals(&memfd, seals)?;
    Ok(memfd)
}

/// A dma-buf over the first `bytes` of `memfd`, which must be whole pages.
pub fn over(memfd: &OwnedFd, bytes: u64) -> Result<OwnedFd, Errno> {
    let device = rustix::fs::open(
        "/dev/udmabuf",
        OFlags::RDWR | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    sys::udmabuf_create(device.as_fd(), memfd.as_fd(), bytes)
}

/// Gives a dma-buf a name, as any holder of it can; it shows in `/proc/self/fdinfo`.
pub fn set_name(dma_buf: impl AsFd, name: &CStr) -> Result<(), Errno> {
    sys::set_name(dma_buf.as_fd(), name)
}

/// A dma-buf of the system heap whose descriptor is opened as `access` says.
pub fn from_heap(bytes: u64, access: OFlags) -> Result<OwnedFd, Errno> {
    let heap = "/dev/dma_heap/system";
    let device = rustix::fs::open(heap, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    sys::heap_alloc(device.as_fd(), bytes, access | OFlags::CLOEXEC)
}

/// A dma-buf and the memfd below it.
///
/// Writing goes through the memfd: unlike [`Canvas`](scanout_core::buffer::alloc::Canvas)
/// it waits for no fence, so that a producer can be played that draws while its fence
/// is pending, as a GPU does.
#[derive(Debug)]
pub struct Udmabuf {
    memfd: OwnedFd,
    dma_buf: OwnedFd,
    bytes: u64,
}

impl Udmabuf {
    /// At least `bytes` bytes.
    pub fn new(bytes: u64) -> Result<Self, Errno> {
        let pages = bytes.next_multiple_of(rustix::param::page_size() as u64);
        let memfd = memfd(pages, SealFlags::SHRINK)?;
        let dma_buf = over(&memfd, pages)?;
        Ok(Self {
            memfd,
            dma_buf,
            bytes: pages,
        })
    }

    /// Bytes of the dma-buf.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes all of `bytes` at `offset`, whatever fences the dma-buf has.
    pub fn write(&self, bytes: &[u8], offset: u64) -> Result<(), Errno> {
        let mut done = 0;
        while let Some(left) = bytes.get(done..).filter(|left| !left.is_empty()) {
            done += rustix::io::pwrite(&self.memfd, left, offset + done as u64)?;
        }
        Ok(())
    }

    /// The memory below.
    pub fn memfd(&self) -> &OwnedFd {
        &self.memfd
    }
}

impl AsFd for Udmabuf {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dma_buf.as_fd()
    }
}
