//! `drm/vgem_drm.h`, and of `drm/drm.h` what brings a dma-buf into a DRM node.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;
use rustix::ioctl::{Opcode, Setter, Updater, ioctl, opcode};

/// `struct drm_prime_handle`
#[repr(C)]
struct PrimeHandle {
    handle: u32,
    flags: u32,
    fd: i32,
}

/// `struct drm_vgem_fence_attach`
#[repr(C)]
struct FenceAttach {
    handle: u32,
    flags: u32,
    out_fence: u32,
    pad: u32,
}

/// `struct drm_vgem_fence_signal`
#[repr(C)]
struct FenceSignal {
    fence: u32,
    flags: u32,
}

const DRM_IOCTL_PRIME_FD_TO_HANDLE: Opcode = opcode::read_write::<PrimeHandle>(b'd', 0x2e);
const DRM_IOCTL_VGEM_FENCE_ATTACH: Opcode = opcode::read_write::<FenceAttach>(b'd', 0x41);
const DRM_IOCTL_VGEM_FENCE_SIGNAL: Opcode = opcode::write::<FenceSignal>(b'd', 0x42);
const VGEM_FENCE_WRITE: u32 = 1;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const _: () = {
    assert!(DRM_IOCTL_PRIME_FD_TO_HANDLE == 0xc00c_642e);
    assert!(DRM_IOCTL_VGEM_FENCE_ATTACH == 0xc010_6441);
    assert!(DRM_IOCTL_VGEM_FENCE_SIGNAL == 0x4008_6442);
};

/// The node's handle of a dma-buf.
pub(crate) fn import_handle(node: BorrowedFd<'_>, dma_buf: BorrowedFd<'_>) -> Result<u32, Errno> {
    let mut prime = PrimeHandle {
        handle: 0,
        flags: 0,
        fd: dma_buf.as_raw_fd(),
    };
    // SAFETY: the opcode's size is that of `PrimeHandle`; the kernel writes `handle`.
    unsafe {
        ioctl(
            node,
            Updater::<DRM_IOCTL_PRIME_FD_TO_HANDLE, PrimeHandle>::new(&mut prime),
        )?;
    }
    Ok(prime.handle)
}

/// Adds a new fence to the buffer, a writer's or a reader's; returns its number.
pub(crate) fn attach(node: BorrowedFd<'_>, handle: u32, write: bool) -> Result<u32, Errno> {
    let mut data = FenceAttach {
        handle,
        flags: if write { VGEM_FENCE_WRITE } else { 0 },
        out_fence: 0,
        pad: 0,
    };
    // SAFETY: the opcode's size is that of `FenceAttach`; the kernel writes `out_fence`.
    unsafe {
        ioctl(
            node,
            Updater::<DRM_IOCTL_VGEM_FENCE_ATTACH, FenceAttach>::new(&mut data),
        )?;
    }
    Ok(data.out_fence)
}

/// Signals the fence of that number.
pub(crate) fn signal(node: BorrowedFd<'_>, fence: u32) -> Result<(), Errno> {
    let data = FenceSignal { fence, flags: 0 };
    // SAFETY: the opcode's size is that of `FenceSignal`, which the kernel only reads.
    unsafe {
        ioctl(
            node,
            Setter::<DRM_IOCTL_VGEM_FENCE_SIGNAL, FenceSignal>::new(data),
        )
    }
}
