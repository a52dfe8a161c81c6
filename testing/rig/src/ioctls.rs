//! The ioctls that a piece of work makes, seen from outside of it.
//!
//! Much of what the library owes the kernel shows in no result: on a machine whose
//! caches are coherent a forgotten `DMA_BUF_IOCTL_SYNC` changes no pixel. Here a
//! seccomp filter reports each call before it happens, and can have it fail: that
//! also plays kernels that lack an ioctl.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::mpsc;
use std::thread::ScopedJoinHandle;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::sys;

/// Begins or ends the CPU's access to a dma-buf.
pub const SYNC: u32 = sys::DMA_BUF_IOCTL_SYNC;
/// Gets the fences of a dma-buf; Linux 6.0.
pub const EXPORT_SYNC_FILE: u32 = sys::DMA_BUF_IOCTL_EXPORT_SYNC_FILE;
/// Adds a fence to a dma-buf; Linux 6.0.
pub const IMPORT_SYNC_FILE: u32 = sys::DMA_BUF_IOCTL_IMPORT_SYNC_FILE;

/// `flags` of [`SYNC`] when the CPU begins to read.
pub const BEGIN_READ: u64 = 1;
/// `flags` of [`SYNC`] when the CPU has read.
pub const END_READ: u64 = 5;
/// `flags` of [`SYNC`] when the CPU begins to write.
pub const BEGIN_WRITE: u64 = 2;
/// `flags` of [`SYNC`] when the CPU has written.
pub const END_WRITE: u64 = 6;

/// One call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ioctl {
    /// Which: [`SYNC`] and so on.
    pub request: u32,
    /// The descriptor's number.
    pub fd: i32,
    /// The first eight bytes of its structure: `flags` of [`SYNC`].
    pub argument: u64,
}

/// What the calls of `work` were, in order, and what came of it; `None` where this
/// machine or user may not filter.
///
/// Of each call whose number is in `requests`, `judge` says whether it goes on (`None`)
/// or fails. `work` runs on a thread of its own; the threads that it starts are
/// watched too, and must have ended when it returns.
pub fn watch<T: Send>(
    requests: &[u32],
    mut judge: impl FnMut(&Ioctl) -> Option<Errno>,
    work: impl FnOnce() -> T + Send,
) -> Option<(T, Vec<Ioctl>)> {
    std::thread::scope(|scope| {
        let (send, listener) = mpsc::channel();
        let worker = scope.spawn(move || {
            let installed = sys::install(requests);
            let ready = installed.is_ok();
            let _ = send.send(installed);
            ready.then(work)
        });
        let calls = match listener.recv() {
            Ok(Ok(listener)) => supervise(&listener, &worker, &mut judge),
            _ => Vec::new(),
        };
        match worker.join() {
            Ok(done) => done.map(|done| (done, calls)),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

fn supervise<T>(
    listener: &OwnedFd,
    worker: &ScopedJoinHandle<'_, T>,
    judge: &mut impl FnMut(&Ioctl) -> Option<Errno>,
) -> Vec<Ioctl> {
    let mut calls = Vec::new();
    let tick = Timespec {
        tv_sec: 0,
        tv_nsec: 20_000_000,
    };
    loop {
        let mut fds = [PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN)];
        let waiting = matches!(poll(&mut fds, Some(&tick)), Ok(1..))
            && fds[0].revents().contains(PollFlags::IN);
        if !waiting {
            if worker.is_finished() {
                return calls;
            }
            continue;
        }
        let Ok(notification) = sys::receive(listener.as_fd()) else {
            continue;
        };
        let [fd, request, address, ..] = notification.args;
        let call = Ioctl {
            request: request as u32,
            fd: fd as i32,
            argument: peek(notification.pid, address).unwrap_or_default(),
        };
        let verdict = judge(&call);
        calls.push(call);
        // Fails only if the thread is gone.
        let _ = sys::answer(listener.as_fd(), notification.id, verdict);
    }
}

/// Eight bytes of a thread of ours that waits for an answer.
fn peek(thread: u32, address: u64) -> std::io::Result<u64> {
    let mut bytes = [0; 8];
    File::open(format!("/proc/{thread}/mem"))?.read_exact_at(&mut bytes, address)?;
    Ok(u64::from_ne_bytes(bytes))
}
