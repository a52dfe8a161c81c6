//! Of `linux/dma-buf.h`, `linux/udmabuf.h` and `linux/dma-heap.h`, what the library
//! itself has no use for.

use std::ffi::{CStr, c_void};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, Setter, Updater, ioctl, opcode};

/// `struct dma_buf_export_sync_file` and `struct dma_buf_import_sync_file`
#[repr(C)]
struct SyncFileOf {
    flags: u32,
    fd: i32,
}

/// `struct udmabuf_create`
#[repr(C)]
struct UdmabufCreate {
    memfd: u32,
    flags: u32,
    offset: u64,
    size: u64,
}

/// `struct dma_heap_allocation_data`
#[repr(C)]
struct HeapAllocation {
    len: u64,
    fd: u32,
    fd_flags: u32,
    heap_flags: u64,
}

pub(crate) const DMA_BUF_IOCTL_SYNC: Opcode = opcode::write::<u64>(b'b', 0);
const DMA_BUF_SET_NAME_B: Opcode = opcode::write::<u64>(b'b', 1);
pub(crate) const DMA_BUF_IOCTL_EXPORT_SYNC_FILE: Opcode = opcode::read_write::<SyncFileOf>(b'b', 2);
pub(crate) const DMA_BUF_IOCTL_IMPORT_SYNC_FILE: Opcode = opcode::write::<SyncFileOf>(b'b', 3);
const UDMABUF_CREATE: Opcode = opcode::write::<UdmabufCreate>(b'u', 0x42);
const UDMABUF_FLAGS_CLOEXEC: u32 = 1;
const DMA_HEAP_IOCTL_ALLOC: Opcode = opcode::read_write::<HeapAllocation>(b'H', 0);

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const _: () = {
    assert!(DMA_BUF_IOCTL_SYNC == 0x4008_6200);
    assert!(DMA_BUF_SET_NAME_B == 0x4008_6201);
    assert!(DMA_BUF_IOCTL_EXPORT_SYNC_FILE == 0xc008_6202);
    assert!(DMA_BUF_IOCTL_IMPORT_SYNC_FILE == 0x4008_6203);
    assert!(UDMABUF_CREATE == 0x4018_7542);
    assert!(DMA_HEAP_IOCTL_ALLOC == 0xc018_4800);
};

/// Adds `fence` to the dma-buf with the `DMA_BUF_SYNC_*` flags.
pub(crate) fn attach_fence(
    dma_buf: BorrowedFd<'_>,
    fence: BorrowedFd<'_>,
    flags: u32,
) -> Result<(), Errno> {
    let data = SyncFileOf {
        flags,
        fd: fence.as_raw_fd(),
    };
    // SAFETY: the opcode's size is that of `SyncFileOf`, which the kernel only reads.
    unsafe {
        ioctl(
            dma_buf,
            Setter::<DMA_BUF_IOCTL_IMPORT_SYNC_FILE, SyncFileOf>::new(data),
        )
    }
}

/// The fences that somebody with this access has to wait for.
pub(crate) fn export_fences(dma_buf: BorrowedFd<'_>, flags: u32) -> Result<OwnedFd, Errno> {
    let mut data = SyncFileOf { flags, fd: -1 };
    // SAFETY: the opcode's size is that of `SyncFileOf`; the kernel writes `fd`.
    unsafe {
        ioctl(
            dma_buf,
            Updater::<DMA_BUF_IOCTL_EXPORT_SYNC_FILE, SyncFileOf>::new(&mut data),
        )?;
    }
    // SAFETY: installed just now.
    unsafe { super::owned(data.fd) }
}

/// An ioctl that takes the address of a string instead of a structure.
struct SetName<'a>(&'a CStr);

// SAFETY: the kernel reads a string that ends in a zero byte at the address, no more.
unsafe impl Ioctl for SetName<'_> {
    type Output = ();
    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        DMA_BUF_SET_NAME_B
    }

    fn as_ptr(&mut self) -> *mut c_void {
        self.0.as_ptr().cast_mut().cast()
    }

    unsafe fn output_from_ptr(_: IoctlOutput, _: *mut c_void) -> rustix::io::Result<()> {
        Ok(())
    }
}

/// Gives the dma-buf a name of at most 31 bytes.
pub(crate) fn set_name(dma_buf: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    // SAFETY: see the implementation of `Ioctl`.
    unsafe { ioctl(dma_buf, SetName(name)) }
}

/// An ioctl whose return value is a descriptor.
struct Create(UdmabufCreate);

// SAFETY: the opcode's size is that of `UdmabufCreate`, the pointer is to one, and the
// kernel only reads it.
unsafe impl Ioctl for Create {
    type Output = i32;
    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        UDMABUF_CREATE
    }

    fn as_ptr(&mut self) -> *mut c_void {
        (&raw mut self.0).cast()
    }

    unsafe fn output_from_ptr(out: IoctlOutput, _: *mut c_void) -> rustix::io::Result<i32> {
        Ok(out)
    }
}

/// A dma-buf over `size` bytes of a memfd.
pub(crate) fn udmabuf_create(
    device: BorrowedFd<'_>,
    memfd: BorrowedFd<'_>,
    size: u64,
) -> Result<OwnedFd, Errno> {
    let create = Create(UdmabufCreate {
        memfd: memfd.as_raw_fd().cast_unsigned(),
        flags: UDMABUF_FLAGS_CLOEXEC,
        offset: 0,
        size,
    });
    // SAFETY: see the implementation of `Ioctl`; what it returns was installed just now.
    unsafe { super::owned(ioctl(device, create)?) }
}

/// A dma-buf out of a heap, opened as `flags` say.
pub(crate) fn heap_alloc(
    heap: BorrowedFd<'_>,
    len: u64,
    flags: rustix::fs::OFlags,
) -> Result<OwnedFd, Errno> {
    let mut data = HeapAllocation {
        len,
        fd: 0,
        fd_flags: flags.bits(),
        heap_flags: 0,
    };
    // SAFETY: the opcode's size is that of `HeapAllocation`; the kernel writes `fd`.
    unsafe {
        ioctl(
            heap,
            Updater::<DMA_HEAP_IOCTL_ALLOC, HeapAllocation>::new(&mut data),
        )?;
        super::owned(data.fd.cast_signed())
    }
}
