//! `drivers/dma-buf/sw_sync.c`, whose structures no header has.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::ioctl::{Opcode, Setter, Updater, ioctl, opcode};

/// `struct sw_sync_create_fence_data`
#[repr(C)]
struct CreateFence {
    value: u32,
    name: [u8; 32],
    fence: i32,
}

const SW_SYNC_IOC_CREATE_FENCE: Opcode = opcode::read_write::<CreateFence>(b'W', 0);
const SW_SYNC_IOC_INC: Opcode = opcode::write::<u32>(b'W', 1);

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
const _: () = {
    assert!(SW_SYNC_IOC_CREATE_FENCE == 0xc028_5700);
    assert!(SW_SYNC_IOC_INC == 0x4004_5701);
};

/// A sync file that signals when the timeline has reached `value`.
pub(crate) fn create_fence(timeline: BorrowedFd<'_>, value: u32) -> Result<OwnedFd, Errno> {
    let mut data = CreateFence {
        value,
        name: *b"scanout-rig\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        fence: -1,
    };
    // SAFETY: the opcode's size is that of `CreateFence`; the kernel writes `fence`.
    unsafe {
        ioctl(
            timeline,
            Updater::<SW_SYNC_IOC_CREATE_FENCE, CreateFence>::new(&mut data),
        )?;
    }
    // SAFETY: installed just now.
    unsafe { super::owned(data.fence) }
}

/// Moves the timeline on by `points`.
pub(crate) fn increment(timeline: BorrowedFd<'_>, points: u32) -> Result<(), Errno> {
    // SAFETY: the opcode's size is that of a u32, which the kernel only reads.
    unsafe { ioctl(timeline, Setter::<SW_SYNC_IOC_INC, u32>::new(points)) }
}
