//! The ioctls of sync files and of fences in dma-bufs, with the layouts of
//! `linux/sync_file.h` and `linux/dma-buf.h`.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::ioctl::{Opcode, Setter, Updater, ioctl, opcode};

/// `struct sync_merge_data`
#[repr(C)]
struct MergeData {
    name: [u8; 32],
    fd2: i32,
    fence: i32,
    flags: u32,
    pad: u32,
}

/// `struct sync_file_info`
#[repr(C)]
struct FileInfo {
    name: [u8; 32],
    status: i32,
    flags: u32,
    num_fences: u32,
    pad: u32,
    sync_fence_info: u64,
}

/// `struct dma_buf_export_sync_file` and `struct dma_buf_import_sync_file`
#[repr(C)]
struct DmaBufSyncFile {
    flags: u32,
    fd: i32,
}

const SYNC_IOC_MERGE: Opcode = opcode::read_write::<MergeData>(b'>', 3);
const SYNC_IOC_FILE_INFO: Opcode = opcode::read_write::<FileInfo>(b'>', 4);
const DMA_BUF_IOCTL_EXPORT_SYNC_FILE: Opcode = opcode::read_write::<DmaBufSyncFile>(b'b', 2);
const DMA_BUF_IOCTL_IMPORT_SYNC_FILE: Opcode = opcode::write::<DmaBufSyncFile>(b'b', 3);
const DMA_BUF_SYNC_READ: u32 = 1;

// The numbers of the uapi headers on the architectures that share the generic encoding.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const _: () = {
    assert!(SYNC_IOC_MERGE == 0xc030_3e03);
    assert!(SYNC_IOC_FILE_INFO == 0xc038_3e04);
    assert!(DMA_BUF_IOCTL_EXPORT_SYNC_FILE == 0xc008_6202);
    assert!(DMA_BUF_IOCTL_IMPORT_SYNC_FILE == 0x4008_6203);
};

/// The `status` of a sync file: 0 active, 1 signalled, negative an errno.
pub(super) fn file_status(fd: BorrowedFd<'_>) -> Result<i32, Errno> {
    let mut info = FileInfo {
        name: [0; 32],
        status: 0,
        flags: 0,
        // Zero asks for the summary only, so the kernel does not use the pointer.
        num_fences: 0,
        pad: 0,
        sync_fence_info: 0,
    };
    // SAFETY: the opcode's size is that of `FileInfo`, which the kernel fills in;
    // with `num_fences` 0 it writes nowhere else.
    unsafe {
        ioctl(fd, Updater::<SYNC_IOC_FILE_INFO, FileInfo>::new(&mut info))?;
    }
    Ok(info.status)
}

pub(super) fn merge(a: BorrowedFd<'_>, b: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let mut data = MergeData {
        name: *b"scanout\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        fd2: b.as_raw_fd(),
        fence: -1,
        flags: 0,
        pad: 0,
    };
    // SAFETY: the opcode's size is that of `MergeData`; the kernel reads all of it
    // and writes `fence`.
    unsafe {
        ioctl(a, Updater::<SYNC_IOC_MERGE, MergeData>::new(&mut data))?;
    }
    owned(data.fence)
}

/// A sync file of the fences that a reader of the dma-buf has to wait for: its writers'.
pub(crate) fn export_read_fence(dmabuf: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let mut data = DmaBufSyncFile {
        flags: DMA_BUF_SYNC_READ,
        fd: -1,
    };
    // SAFETY: the opcode's size is that of `DmaBufSyncFile`; the kernel writes `fd`.
    unsafe {
        ioctl(
            dmabuf,
            Updater::<DMA_BUF_IOCTL_EXPORT_SYNC_FILE, DmaBufSyncFile>::new(&mut data),
        )?;
    }
    owned(data.fd)
}

/// Adds `fence` to the dma-buf as a reader's: later writers wait for it.
pub(crate) fn import_read_fence(
    dmabuf: BorrowedFd<'_>,
    fence: BorrowedFd<'_>,
) -> Result<(), Errno> {
    let data = DmaBufSyncFile {
        flags: DMA_BUF_SYNC_READ,
        fd: fence.as_raw_fd(),
    };
    // SAFETY: the opcode's size is that of `DmaBufSyncFile`, which the kernel only reads.
    unsafe {
        ioctl(
            dmabuf,
            Setter::<DMA_BUF_IOCTL_IMPORT_SYNC_FILE, DmaBufSyncFile>::new(data),
        )
    }
}

fn owned(fd: i32) -> Result<OwnedFd, Errno> {
    if fd < 0 {
        return Err(Errno::BADF);
    }
    // SAFETY: the kernel has just installed this descriptor for us (close-on-exec)
    // and nobody else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
