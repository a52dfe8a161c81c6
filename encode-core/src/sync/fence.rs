use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::sys;

/// Waiting for a fence or asking about it failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// The fence had not signalled when the limit ran out.
    #[error("the fence did not signal within the limit of {limit:?}: its GPU job hangs or is slow")]
    TimedOut {
        /// How long was waited.
        limit: Duration,
    },
    /// The work that the fence stands for failed.
    #[error("the fence signalled an error instead of success: the writer's GPU job failed ({0})")]
    Failed(Errno),
    /// The descriptor is something else than a sync file.
    #[error("the descriptor is no sync file (SYNC_IOC_FILE_INFO: {0})")]
    NotASyncFile(Errno),
    /// The descriptor cannot be waited for.
    #[error("the descriptor cannot be waited for (poll returned {revents:#x})")]
    BadDescriptor {
        /// What poll reported, as `POLL*` bits.
        revents: u16,
    },
    /// Timelines are waited for by whoever holds the render node.
    #[error("point {point} of a DRM timeline cannot be waited for without its render node")]
    TimelineNeedsDevice {
        /// The point.
        point: u64,
    },
    /// A system call failed.
    #[error("{call} failed: {errno}")]
    Os {
        /// The call or ioctl.
        call: &'static str,
        /// What the kernel answered.
        errno: Errno,
    },
}

/// Where the work behind a fence stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FenceStatus {
    /// Not finished.
    Active,
    /// Finished.
    Signalled,
    /// Finished with an error.
    Failed(Errno),
}

/// A sync file: a fence (or several) in a file descriptor.
#[derive(Debug)]
pub struct SyncFile(OwnedFd);

impl SyncFile {
    /// Takes a descriptor that a peer says is a sync file. [`status`](Self::status)
    /// finds out whether it is; [`wait`](Self::wait) is bounded in any case.
    pub fn new(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// A second handle on the same fence.
    pub fn try_clone(&self) -> Result<Self, SyncError> {
        let fd = rustix::io::fcntl_dupfd_cloexec(&self.0, 3).map_err(|errno| SyncError::Os {
            call: "fcntl(F_DUPFD_CLOEXEC)",
            errno,
        })?;
        Ok(Self(fd))
    }

    /// Asks the kernel where the work stands; never waits.
    pub fn status(&self) -> Result<FenceStatus, SyncError> {
        match sys::file_status(self.0.as_fd()).map_err(SyncError::NotASyncFile)? {
            0 => Ok(FenceStatus::Active),
            1.. => Ok(FenceStatus::Signalled),
            error => Ok(FenceStatus::Failed(Errno::from_raw_os_error(
                error.saturating_neg(),
            ))),
        }
    }

    /// Blocks until the fence signals, for at most `limit`. A zero limit asks without waiting.
    pub fn wait(&self, limit: Duration) -> Result<(), SyncError> {
        poll_readable(self.0.as_fd(), limit)?;
        match self.status()? {
            FenceStatus::Failed(errno) => Err(SyncError::Failed(errno)),
            FenceStatus::Active | FenceStatus::Signalled => Ok(()),
        }
    }

    /// A fence that signals when both have.
    ///
    /// [`SyncError::Failed`] where one of them has failed by now: the kernel leaves fences
    /// that have signalled out of a merger, and the failure with them. What fails later
    /// fails the merger.
    pub fn merge(&self, other: &Self) -> Result<Self, SyncError> {
        let merged =
            sys::merge(self.0.as_fd(), other.0.as_fd()).map_err(|errno| SyncError::Os {
                call: "SYNC_IOC_MERGE",
                errno,
            })?;
        // Only now: whatever had failed before the merger has still failed.
        for part in [self, other] {
            if let FenceStatus::Failed(errno) = part.status()? {
                return Err(SyncError::Failed(errno));
            }
        }
        Ok(Self(merged))
    }

    /// The descriptor, given up.
    pub fn into_fd(self) -> OwnedFd {
        self.0
    }
}

impl AsFd for SyncFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<SyncFile> for OwnedFd {
    fn from(fence: SyncFile) -> Self {
        fence.0
    }
}

/// Polls for POLLIN until `limit` has passed, however often signals interrupt it.
pub(crate) fn poll_readable(fd: BorrowedFd<'_>, limit: Duration) -> Result<(), SyncError> {
    let start = Instant::now();
    loop {
        let left = limit.saturating_sub(start.elapsed());
        let timeout = Timespec {
            // A limit beyond the range of time_t is as good as none.
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
        match poll(&mut fds, Some(&timeout)) {
            Ok(0) => return Err(SyncError::TimedOut { limit }),
            Ok(_) => {
                let revents = fds[0].revents();
                if revents.contains(PollFlags::IN) {
                    return Ok(());
                }
                return Err(SyncError::BadDescriptor {
                    revents: revents.bits(),
                });
            }
            Err(Errno::INTR) => {}
            Err(errno) => {
                return Err(SyncError::Os {
                    call: "poll",
                    errno,
                });
            }
        }
    }
}
