//! Sync files and the fences of dma-bufs, made by the kernel and signalled by the test.

use std::time::{Duration, Instant};

use rustix::io::Errno;
use scanout_core::buffer::{DmaBuf, export_read_fence, import_read_fence, wait_readable};
use scanout_core::format::Fourcc;
use scanout_core::geometry::Size;
use scanout_core::sync::{FenceStatus, SyncError};
use scanout_rig::drawing::Arrangement;
use scanout_rig::vgem::Vgem;
use scanout_rig::{fences, machine};

const SIZE: Size = Size::new(32, 32);
const SHORT: Duration = Duration::from_millis(30);
const LONG: Duration = Duration::from_secs(5);

/// One buffer of each provider, in two objects.
fn buffers() -> Vec<(String, DmaBuf)> {
    let import = |provider: scanout_core::buffer::alloc::Provider| {
        let arrangement = Arrangement::all(Fourcc::NV12, SIZE).remove(2);
        let scanout = arrangement.allocate(&provider, 1).unwrap();
        (provider.to_string(), scanout.import().unwrap())
    };
    machine::providers().into_iter().map(import).collect()
}

fn object(buffer: &DmaBuf, index: usize) -> std::os::fd::BorrowedFd<'_> {
    buffer.fds().nth(index).unwrap()
}

#[test]
fn a_sync_file_says_where_the_work_stands() {
    let Some(timeline) = machine::timeline() else {
        return;
    };
    let fence = timeline.fence(2).unwrap();
    let second = fence.try_clone().unwrap();
    for _ in 0..2 {
        assert_eq!(fence.status().unwrap(), FenceStatus::Active);
        assert!(matches!(
            fence.wait(Duration::ZERO),
            Err(SyncError::TimedOut { .. })
        ));
        timeline.advance(1).unwrap();
    }
    for fence in [fence, second] {
        assert_eq!(fence.status().unwrap(), FenceStatus::Signalled);
        fence.wait(Duration::ZERO).unwrap();
    }
}

#[test]
fn a_wait_ends_when_the_fence_signals_not_before() {
    let Some(timeline) = machine::timeline() else {
        return;
    };
    let fence = timeline.fence(1).unwrap();
    let start = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(SHORT);
            timeline.advance(1).unwrap();
        });
        fence.wait(LONG).unwrap();
    });
    assert!(start.elapsed() >= SHORT && start.elapsed() < LONG);
    assert_eq!(fence.status().unwrap(), FenceStatus::Signalled);
}

#[test]
fn a_fence_that_fails_says_so_to_those_who_wait_and_to_those_who_ask() {
    let Some(timeline) = machine::timeline() else {
        return;
    };
    let fence = timeline.fence(1).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(SHORT);
            timeline.fail();
        });
        assert!(matches!(
            fence.wait(LONG),
            Err(SyncError::Failed(Errno::NOENT))
        ));
    });
    assert_eq!(fence.status().unwrap(), FenceStatus::Failed(Errno::NOENT));
    assert!(matches!(
        fence.wait(Duration::ZERO),
        Err(SyncError::Failed(_))
    ));
}

#[test]
fn a_merger_signals_with_the_last_of_its_fences() {
    let (Some(one), Some(other)) = (machine::timeline(), machine::timeline()) else {
        return;
    };
    let merged = one
        .fence(1)
        .unwrap()
        .merge(&other.fence(1).unwrap())
        .unwrap();
    assert_eq!(merged.status().unwrap(), FenceStatus::Active);
    one.advance(1).unwrap();
    assert_eq!(merged.status().unwrap(), FenceStatus::Active);
    assert!(matches!(
        merged.wait(SHORT),
        Err(SyncError::TimedOut { .. })
    ));
    other.advance(1).unwrap();
    merged.wait(LONG).unwrap();
    assert_eq!(merged.status().unwrap(), FenceStatus::Signalled);
}

/// The kernel drops a fence that has signalled from a merger, and its error with it.
#[test]
fn a_failure_is_never_lost_in_a_merger() {
    let (Some(failing), Some(good)) = (machine::timeline(), machine::timeline()) else {
        return;
    };
    let before = failing.fence(1).unwrap();
    let after = good.fence(1).unwrap();
    let early = before.merge(&after).unwrap();
    failing.fail();
    // Failed before the merger, whichever side it is on and whether the other is pending or not.
    for _ in 0..2 {
        assert!(matches!(
            before.merge(&after),
            Err(SyncError::Failed(Errno::NOENT))
        ));
        assert!(matches!(
            after.merge(&before),
            Err(SyncError::Failed(Errno::NOENT))
        ));
        good.advance(1).unwrap();
    }
    // Failed after it.
    assert!(matches!(
        early.wait(LONG),
        Err(SyncError::Failed(Errno::NOENT))
    ));
}

#[test]
fn a_reader_waits_for_those_who_write_and_not_for_those_who_read() {
    let Some(timeline) = machine::timeline() else {
        return;
    };
    for (point, (name, buffer)) in (1..).zip(buffers()) {
        wait_readable(&buffer, Duration::ZERO).unwrap();
        let idle = export_read_fence(&buffer, 0).unwrap().unwrap();
        assert_eq!(idle.status().unwrap(), FenceStatus::Signalled, "{name}");
        let fence = timeline.fence(2 * point - 1).unwrap();
        assert!(import_read_fence(&buffer, &fence).unwrap(), "{name}");
        wait_readable(&buffer, Duration::ZERO).unwrap();

        let write = timeline.fence(2 * point).unwrap();
        fences::attach_writer(object(&buffer, 1), &write).unwrap();
        let error = wait_readable(&buffer, SHORT).unwrap_err();
        assert!(
            matches!(error, SyncError::TimedOut { limit: SHORT }),
            "{name}: the second object counts: {error}"
        );
        let exported = export_read_fence(&buffer, 1).unwrap().unwrap();
        assert_eq!(exported.status().unwrap(), FenceStatus::Active, "{name}");
        timeline.advance(2).unwrap();
        wait_readable(&buffer, Duration::ZERO).unwrap();
        exported.wait(Duration::ZERO).unwrap();
    }
}

#[test]
fn a_write_that_fails_while_it_is_waited_for_is_told() {
    for (name, buffer) in buffers() {
        let Some(timeline) = machine::timeline() else {
            return;
        };
        fences::attach_writer(object(&buffer, 1), &timeline.fence(1).unwrap()).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                std::thread::sleep(SHORT);
                timeline.fail();
            });
            let failed = wait_readable(&buffer, LONG);
            assert!(
                matches!(failed, Err(SyncError::Failed(Errno::NOENT))),
                "{name}"
            );
        });
        // The buffer is free of it then.
        wait_readable(&buffer, Duration::ZERO).unwrap();
    }
}

/// Two objects that are both late cost one limit, not two: the watchdog of a session
/// counts on it.
#[test]
fn the_limit_is_that_of_all_objects_together() {
    let Some(timeline) = machine::timeline() else {
        return;
    };
    for (point, (name, buffer)) in (1..).zip(buffers()) {
        let limit = Duration::from_millis(400);
        let first = timeline.fence(2 * point - 1).unwrap();
        let second = timeline.fence(2 * point).unwrap();
        fences::attach_writer(object(&buffer, 0), &first).unwrap();
        fences::attach_writer(object(&buffer, 1), &second).unwrap();
        let start = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(limit * 3 / 4);
                timeline.advance(1).unwrap();
            });
            let error = wait_readable(&buffer, limit).unwrap_err();
            let SyncError::TimedOut { limit: told } = error else {
                panic!("{name}: {error}");
            };
            assert_eq!(told, limit, "{name}");
        });
        let waited = start.elapsed();
        assert!(waited >= limit, "{name}: {waited:?}");
        assert!(waited < limit * 3 / 2, "{name}: {waited:?}");
        timeline.advance(1).unwrap();
    }
}

/// After reading on a device: whoever writes next waits for our fence.
#[test]
fn a_readers_fence_holds_back_writers_until_it_signals() {
    let Some(timeline) = machine::timeline() else {
        return;
    };
    for (point, (name, buffer)) in (1..).zip(buffers()) {
        for index in 0..2 {
            let free = fences::for_writer(object(&buffer, index)).unwrap();
            assert_eq!(free.status().unwrap(), FenceStatus::Signalled, "{name}");
        }
        let fence = timeline.fence(point).unwrap();
        assert!(import_read_fence(&buffer, &fence).unwrap(), "{name}");
        let writers = [0, 1].map(|index| fences::for_writer(object(&buffer, index)).unwrap());
        for writer in &writers {
            assert_eq!(writer.status().unwrap(), FenceStatus::Active, "{name}");
        }
        let readers = fences::for_reader(object(&buffer, 0)).unwrap();
        assert_eq!(readers.status().unwrap(), FenceStatus::Signalled, "{name}");
        timeline.advance(1).unwrap();
        for writer in &writers {
            assert_eq!(writer.status().unwrap(), FenceStatus::Signalled, "{name}");
        }
    }
}

#[test]
fn only_a_sync_file_becomes_a_readers_fence() {
    for (name, buffer) in buffers() {
        let (pipe, _writer) = std::io::pipe().unwrap();
        let fence = scanout_core::sync::SyncFile::new(pipe.into());
        let error = import_read_fence(&buffer, &fence).unwrap_err();
        assert!(
            matches!(
                error,
                SyncError::Os {
                    call: "DMA_BUF_IOCTL_IMPORT_SYNC_FILE",
                    ..
                }
            ),
            "{name}: {error}"
        );
    }
}

/// A fence that a driver put in, instead of user space.
#[test]
fn a_drivers_fence_is_waited_for_too() {
    let mut nodes = machine::nodes("card").into_iter();
    let node = nodes.find(|node| node.driver == "vgem");
    let Some(node) = machine::or_skip("vgem node", node) else {
        return;
    };
    let vgem = Vgem::open(&node.path).unwrap();
    let arrangement = Arrangement::all(Fourcc::XRGB8888, SIZE).remove(0);
    let provider = scanout_core::buffer::alloc::Provider::Dumb(node.path);
    let buffer = arrangement
        .allocate(&provider, 1)
        .unwrap()
        .import()
        .unwrap();
    let handle = vgem.import(object(&buffer, 0)).unwrap();

    let reads = vgem.attach_reader(handle).unwrap();
    wait_readable(&buffer, Duration::ZERO).unwrap();
    vgem.signal(reads).unwrap();

    let writes = vgem.attach_writer(handle).unwrap();
    assert!(matches!(
        wait_readable(&buffer, SHORT),
        Err(SyncError::TimedOut { limit: SHORT })
    ));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(SHORT);
            vgem.signal(writes).unwrap();
        });
        wait_readable(&buffer, LONG).unwrap();
    });
}
