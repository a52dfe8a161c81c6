//! Memory maps, and the ioctls of dma-bufs and of their allocators, with the
//! layouts of the kernel's uapi headers.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;

use rustix::io::Errno;
use rustix::ioctl::{Opcode, Setter, Updater, ioctl, opcode};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// A shared, read-only map of a whole object, unmapped on drop.
#[derive(Debug)]
pub(super) struct Map {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the map is plain memory that belongs to no thread.
unsafe impl Send for Map {}
// SAFETY: only shared reads are offered.
unsafe impl Sync for Map {}

impl Map {
    /// Maps the first `len` bytes. The caller has made sure that the object
    /// cannot become shorter than that.
    pub(super) fn new(fd: BorrowedFd<'_>, len: usize) -> Result<Self, Errno> {
        // The kernel refuses a length of 0; a slice must not exceed isize::MAX.
        if isize::try_from(len).is_err() {
            return Err(Errno::NOMEM);
        }
        // SAFETY: a fresh mapping at an address of the kernel's choice aliases
        // nothing that Rust knows of.
        let start = unsafe {
            mmap(
                std::ptr::null_mut(),
                len,
                ProtFlags::READ,
                MapFlags::SHARED,
                fd,
                0,
            )?
        };
        let start = NonNull::new(start.cast::<u8>()).ok_or(Errno::NOMEM)?;
        Ok(Self { start, len })
    }

    /// The bytes, which a producer may change at any time: see [`super::CpuReader`]
    /// for what follows from that.
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: `start..start + len` is mapped readable until `self` is dropped, and
        // stays backed: dma-bufs have a fixed size, and memfds are mapped only
        // when sealed against shrinking. Every bit pattern is a valid u8. Writers
        // in other processes are outside of Rust's memory model; what they do can
        // change the values read, which users of the slice must not rely on.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by `new`, and no slice outlives `self`.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
        if let Err(errno) = unmapped {
            tracing::error!(%errno, len = self.len, "munmap failed");
        }
    }
}

/// A shared map for writing, unmapped on drop.
#[derive(Debug)]
pub(super) struct MapMut {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the map is plain memory that belongs to no thread.
unsafe impl Send for MapMut {}

impl MapMut {
    /// Maps the first `len` bytes of an object that cannot become shorter.
    pub(super) fn new(fd: BorrowedFd<'_>, len: usize) -> Result<Self, Errno> {
        if isize::try_from(len).is_err() {
            return Err(Errno::NOMEM);
        }
        // SAFETY: a fresh mapping at an address of the kernel's choice aliases
        // nothing that Rust knows of.
        let start = unsafe {
            mmap(
                std::ptr::null_mut(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                fd,
                0,
            )?
        };
        let start = NonNull::new(start.cast::<u8>()).ok_or(Errno::NOMEM)?;
        Ok(Self { start, len })
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: `start..start + len` is mapped writable until `self` is dropped, stays
        // backed (the allocations of this crate have a fixed size) and is
        // reached through this unique borrow only; readers of the same pages
        // follow the rules of `CpuReader`.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for MapMut {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by `new`, and no slice outlives `self`.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
        if let Err(errno) = unmapped {
            tracing::error!(%errno, len = self.len, "munmap failed");
        }
    }
}

/// `struct dma_buf_sync`
#[repr(C)]
struct DmaBufSync {
    flags: u64,
}

const DMA_BUF_IOCTL_SYNC: Opcode = opcode::write::<DmaBufSync>(b'b', 0);
const DMA_BUF_SYNC_READ: u64 = 1;
const DMA_BUF_SYNC_WRITE: u64 = 2;
const DMA_BUF_SYNC_END: u64 = 4;

/// Brackets CPU reads of a dma-buf's map, so that caches are coherent.
pub(super) fn sync_read(fd: BorrowedFd<'_>, end: bool) -> Result<(), Errno> {
    sync(fd, DMA_BUF_SYNC_READ, end)
}

/// Brackets CPU writes to a dma-buf's map.
pub(super) fn sync_write(fd: BorrowedFd<'_>, end: bool) -> Result<(), Errno> {
    sync(fd, DMA_BUF_SYNC_WRITE, end)
}

fn sync(fd: BorrowedFd<'_>, access: u64, end: bool) -> Result<(), Errno> {
    let flags = access | if end { DMA_BUF_SYNC_END } else { 0 };
    loop {
        // SAFETY: the opcode's size is that of `DmaBufSync`, which the kernel only reads.
        let done = unsafe {
            ioctl(
                fd,
                Setter::<DMA_BUF_IOCTL_SYNC, DmaBufSync>::new(DmaBufSync { flags }),
            )
        };
        match done {
            // The kernel may ask for a retry while it waits for fences.
            Err(Errno::INTR | Errno::AGAIN) => {}
            done => return done,
        }
    }
}

/// `struct udmabuf_create`
#[repr(C)]
struct UdmabufCreate {
    memfd: u32,
    flags: u32,
    offset: u64,
    size: u64,
}

const UDMABUF_CREATE: Opcode = opcode::write::<UdmabufCreate>(b'u', 0x42);
const UDMABUF_FLAGS_CLOEXEC: u32 = 1;

/// A dma-buf over the first `size` bytes of a memfd.
pub(super) fn udmabuf_create(
    device: BorrowedFd<'_>,
    memfd: BorrowedFd<'_>,
    size: u64,
) -> Result<OwnedFd, Errno> {
    /// An ioctl whose return value is a descriptor, which rustix's patterns drop.
    struct Create(UdmabufCreate);
    // SAFETY: the opcode's size is that of `UdmabufCreate`, the pointer is to one,
    // and the kernel only reads it.
    unsafe impl rustix::ioctl::Ioctl for Create {
        type Output = i32;
        const IS_MUTATING: bool = false;
        fn opcode(&self) -> Opcode {
            UDMABUF_CREATE
        }
        fn as_ptr(&mut self) -> *mut std::ffi::c_void {
            (&raw mut self.0).cast()
        }
        unsafe fn output_from_ptr(
            out: rustix::ioctl::IoctlOutput,
            _: *mut std::ffi::c_void,
        ) -> rustix::io::Result<i32> {
            Ok(out)
        }
    }
    let create = Create(UdmabufCreate {
        memfd: memfd.as_raw_fd().cast_unsigned(),
        flags: UDMABUF_FLAGS_CLOEXEC,
        offset: 0,
        size,
    });
    // SAFETY: see the implementation of `Ioctl` above.
    let fd = unsafe { ioctl(device, create)? };
    owned(fd)
}

/// `struct dma_heap_allocation_data`
#[repr(C)]
struct DmaHeapAllocation {
    len: u64,
    fd: u32,
    fd_flags: u32,
    heap_flags: u64,
}

const DMA_HEAP_IOCTL_ALLOC: Opcode = opcode::read_write::<DmaHeapAllocation>(b'H', 0);

/// A dma-buf of `len` bytes out of a heap.
pub(super) fn dma_heap_alloc(heap: BorrowedFd<'_>, len: u64) -> Result<OwnedFd, Errno> {
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC;
    let mut data = DmaHeapAllocation {
        len,
        fd: 0,
        fd_flags: flags.bits(),
        heap_flags: 0,
    };
    // SAFETY: the opcode's size is that of `DmaHeapAllocation`; the kernel writes `fd`.
    unsafe {
        ioctl(
            heap,
            Updater::<DMA_HEAP_IOCTL_ALLOC, DmaHeapAllocation>::new(&mut data),
        )?;
    }
    owned(data.fd.cast_signed())
}

/// `struct drm_mode_create_dumb`
#[repr(C)]
struct CreateDumb {
    height: u32,
    width: u32,
    bpp: u32,
    flags: u32,
    handle: u32,
    pitch: u32,
    size: u64,
}

/// `struct drm_mode_destroy_dumb`
#[repr(C)]
struct DestroyDumb {
    handle: u32,
}

/// `struct drm_prime_handle`
#[repr(C)]
struct PrimeHandle {
    handle: u32,
    flags: u32,
    fd: i32,
}

const DRM_IOCTL_PRIME_HANDLE_TO_FD: Opcode = opcode::read_write::<PrimeHandle>(b'd', 0x2d);
const DRM_IOCTL_MODE_CREATE_DUMB: Opcode = opcode::read_write::<CreateDumb>(b'd', 0xb2);
const DRM_IOCTL_MODE_DESTROY_DUMB: Opcode = opcode::read_write::<DestroyDumb>(b'd', 0xb4);

/// What the driver made of a dumb buffer.
#[derive(Debug)]
pub(super) struct Dumb {
    pub(super) fd: OwnedFd,
    pub(super) size: u64,
}

/// A dumb buffer, exported as a dma-buf. The export keeps the memory alive.
pub(super) fn dumb(node: BorrowedFd<'_>, width: u32, height: u32, bpp: u32) -> Result<Dumb, Errno> {
    let mut create = CreateDumb {
        height,
        width,
        bpp,
        flags: 0,
        handle: 0,
        pitch: 0,
        size: 0,
    };
    // SAFETY: the opcode's size is that of `CreateDumb`; the kernel writes the last
    // three fields.
    unsafe {
        ioctl(
            node,
            Updater::<DRM_IOCTL_MODE_CREATE_DUMB, CreateDumb>::new(&mut create),
        )?;
    }
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC;
    let mut prime = PrimeHandle {
        handle: create.handle,
        flags: flags.bits(),
        fd: -1,
    };
    // SAFETY: the opcode's size is that of `PrimeHandle`; the kernel writes `fd`.
    let exported = unsafe {
        ioctl(
            node,
            Updater::<DRM_IOCTL_PRIME_HANDLE_TO_FD, PrimeHandle>::new(&mut prime),
        )
    };
    let mut destroy = DestroyDumb {
        handle: create.handle,
    };
    // SAFETY: the opcode's size is that of `DestroyDumb`, which the kernel only reads;
    // the handle is ours and not used again.
    let destroyed = unsafe {
        ioctl(
            node,
            Updater::<DRM_IOCTL_MODE_DESTROY_DUMB, DestroyDumb>::new(&mut destroy),
        )
    };
    exported?;
    let fd = owned(prime.fd)?;
    destroyed?;
    Ok(Dumb {
        fd,
        size: create.size,
    })
}

// The numbers of the uapi headers on the architectures that share the generic encoding.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const _: () = {
    assert!(DMA_BUF_IOCTL_SYNC == 0x4008_6200);
    assert!(UDMABUF_CREATE == 0x4018_7542);
    assert!(DMA_HEAP_IOCTL_ALLOC == 0xc018_4800);
    assert!(DRM_IOCTL_PRIME_HANDLE_TO_FD == 0xc00c_642d);
    assert!(DRM_IOCTL_MODE_CREATE_DUMB == 0xc020_64b2);
    assert!(DRM_IOCTL_MODE_DESTROY_DUMB == 0xc004_64b4);
};

fn owned(fd: i32) -> Result<OwnedFd, Errno> {
    if fd < 0 {
        return Err(Errno::BADF);
    }
    // SAFETY: the kernel has just installed this descriptor for us and nobody else
    // knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
