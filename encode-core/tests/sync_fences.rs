//! Waits have limits, and what is no fence is told apart.

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use scanout_core::sync::{EventFd, SyncError, SyncFile};

#[test]
fn a_fence_that_never_signals_is_an_error_after_the_limit() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let limit = Duration::from_millis(30);
    let start = Instant::now();
    let error = SyncFile::new(OwnedFd::from(ours)).wait(limit).unwrap_err();
    assert!(start.elapsed() >= limit);
    assert!(start.elapsed() < Duration::from_secs(5));
    assert!(matches!(error, SyncError::TimedOut { limit: l } if l == limit));
    assert!(error.to_string().contains("30ms"), "{error}");
}

#[test]
fn a_descriptor_that_is_no_sync_file_is_refused() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.write_all(b"readable").unwrap();
    let fence = SyncFile::new(OwnedFd::from(ours));
    assert!(matches!(fence.status(), Err(SyncError::NotASyncFile(_))));
    assert!(matches!(
        fence.wait(Duration::from_secs(1)),
        Err(SyncError::NotASyncFile(_))
    ));
    let other = fence.try_clone().unwrap();
    assert!(matches!(
        fence.merge(&other),
        Err(SyncError::Os {
            call: "SYNC_IOC_MERGE",
            ..
        })
    ));
}

#[test]
fn an_event_stays_readable_from_signal_to_drain() {
    let event = EventFd::new().unwrap();
    assert!(!event.drain());
    event.signal();
    event.signal();
    assert!(event.drain(), "two signals are one event");
    assert!(!event.drain());
}

#[test]
fn an_event_wakes_poll_of_another_thread() {
    let event = EventFd::new().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(20));
            event.signal();
        });
        let mut fds = [rustix::event::PollFd::from_borrowed_fd(
            event.as_fd(),
            rustix::event::PollFlags::IN,
        )];
        let limit = rustix::event::Timespec {
            tv_sec: 5,
            tv_nsec: 0,
        };
        assert_eq!(rustix::event::poll(&mut fds, Some(&limit)).unwrap(), 1);
    });
}
