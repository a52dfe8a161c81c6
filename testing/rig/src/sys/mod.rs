//! The kernel's interfaces that only tests use: ioctls with the layouts of the uapi
//! headers, and seccomp.
#![allow(unsafe_code)]

mod dma_buf;
mod seccomp;
mod sw_sync;
mod vgem;

pub(crate) use dma_buf::{
    DMA_BUF_IOCTL_EXPORT_SYNC_FILE, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, DMA_BUF_IOCTL_SYNC,
    attach_fence, export_fences, heap_alloc, set_name, udmabuf_create,
};
pub(crate) use seccomp::{answer, install, receive};
pub(crate) use sw_sync::{create_fence, increment};
pub(crate) use vgem::{attach as vgem_attach, import_handle, signal as vgem_signal};

use std::os::fd::{FromRawFd, OwnedFd};

use rustix::io::Errno;

/// A descriptor that the kernel has just returned.
///
/// # Safety
///
/// It was installed for the caller, who has told its number to nobody.
unsafe fn owned(fd: i32) -> Result<OwnedFd, Errno> {
    if fd < 0 {
        return Err(Errno::BADF);
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
