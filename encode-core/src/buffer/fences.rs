//! Fences that the kernel keeps in dma-bufs.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::{DmaBuf, Object, ObjectKind, SourceBuffer};
use crate::sync::{Acquire, SyncError, SyncFile, poll_readable, sys};

fn dma_bufs(buffer: &DmaBuf) -> impl Iterator<Item = &Object> {
    let objects = buffer.objects().iter();
    objects.filter(|object| object.kind() == ObjectKind::DmaBuf)
}

/// The fence of whoever is still writing to one object of `buffer`; `None` where the
/// kernel (before 6.0) does not export fences or the object is no dma-buf.
pub fn export_read_fence(buffer: &DmaBuf, object: usize) -> Result<Option<SyncFile>, SyncError> {
    match buffer.objects().get(object) {
        Some(object) if object.kind() == ObjectKind::DmaBuf => export(object),
        _ => Ok(None),
    }
}

fn export(object: &Object) -> Result<Option<SyncFile>, SyncError> {
    match sys::export_read_fence(object.as_fd()) {
        Ok(fd) => Ok(Some(SyncFile::new(fd))),
        Err(Errno::NOTTY) => Ok(None),
        Err(errno) => Err(SyncError::Os {
            call: "DMA_BUF_IOCTL_EXPORT_SYNC_FILE",
            errno,
        }),
    }
}

/// Blocks until nobody writes to `buffer` any more, as far as the kernel knows, for at
/// most `limit`, however many objects it has. A memfd has no fences and is readable at once.
///
/// [`SyncError::Failed`] where a write that was waited for failed. What failed before the
/// call is not told: the kernel forgets a buffer's fences once they have signalled, and so
/// does poll, which older kernels are asked by, with any failure.
pub fn wait_readable(buffer: &DmaBuf, limit: Duration) -> Result<(), SyncError> {
    let start = Instant::now();
    for object in dma_bufs(buffer) {
        let left = limit.saturating_sub(start.elapsed());
        let waited = match export(object)? {
            Some(fence) => fence.wait(left),
            // poll(POLLIN) waits for the same writers, on any kernel.
            None => poll_readable(object.as_fd(), left),
        };
        waited.map_err(|error| match error {
            // What was left is nobody's setting.
            SyncError::TimedOut { .. } => SyncError::TimedOut { limit },
            error => error,
        })?;
    }
    Ok(())
}

/// Blocks until `source` may be read as `acquire` says, for at most `limit`.
pub fn wait_acquired(
    source: &SourceBuffer,
    acquire: &Acquire,
    limit: Duration,
) -> Result<(), SyncError> {
    match (acquire, source) {
        (Acquire::Implicit, SourceBuffer::DmaBuf(buffer)) => wait_readable(buffer, limit),
        (Acquire::Implicit, SourceBuffer::Memory(_)) | (Acquire::Ready, _) => Ok(()),
        (Acquire::SyncFile(fence), _) => fence.wait(limit),
        (Acquire::Timeline { point, .. }, _) => {
            Err(SyncError::TimelineNeedsDevice { point: *point })
        }
    }
}

/// Tells the kernel that `buffer` is being read until `fence` signals, so that writers that
/// follow implicit fencing wait. False where the kernel (before 6.0) cannot be told: then
/// wait for the fence before completing the [`Release`](crate::sync::Release).
pub fn import_read_fence(buffer: &DmaBuf, fence: &SyncFile) -> Result<bool, SyncError> {
    for object in dma_bufs(buffer) {
        match sys::import_read_fence(object.as_fd(), fence.as_fd()) {
            Ok(()) => {}
            Err(Errno::NOTTY) => return Ok(false),
            Err(errno) => {
                return Err(SyncError::Os {
                    call: "DMA_BUF_IOCTL_IMPORT_SYNC_FILE",
                    errno,
                });
            }
        }
    }
    Ok(true)
}
