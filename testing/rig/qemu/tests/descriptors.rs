//! Alone in its process, so that it may count the process's descriptors.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use scanout_core::buffer::alloc::Provider;
use scanout_rig_qemu::call::{LISTENER, LISTENER_MAP, LISTENER_PATH};
use scanout_rig_qemu::intake::Intake;
use scanout_rig_qemu::{Limits, record};
use zbus::zvariant::Fd;

const LIMIT: Duration = Duration::from_secs(20);

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// One session with many scanouts, good ones and refused ones.
fn session(scanouts: u32) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let limits = Limits::default();
    let stop = Arc::clone(&limits.stop);
    let recorder = std::thread::spawn(move || {
        let mut intake = Intake::start(ours, LIMIT).unwrap();
        record(&mut intake, &limits, &mut |_| Ok(())).unwrap()
    });
    async_io::block_on(async {
        let qemu = zbus::connection::Builder::async_io_unix_stream(theirs)
            .server(zbus::Guid::generate())
            .unwrap()
            .p2p()
            .method_timeout(LIMIT)
            .build()
            .await
            .unwrap();
        for index in 0..scanouts {
            let memory = Provider::Memfd.allocate(4096).unwrap();
            let fd = || Fd::from(memory.as_fd());
            let map = (fd(), 0u32, 8u32, 8u32, 32u32, 0x2002_0888u32);
            qemu.call_method(
                None::<&str>,
                LISTENER_PATH,
                Some(LISTENER_MAP),
                "ScanoutMap",
                &map,
            )
            .await
            .unwrap();
            let refused = (
                fd(),
                8u32,
                8u32,
                32u32,
                0x3432_5258u32,
                u64::from(index),
                false,
            );
            qemu.call_method(
                None::<&str>,
                LISTENER_PATH,
                Some(LISTENER),
                "ScanoutDMABUF",
                &refused,
            )
            .await
            .unwrap_err();
        }
        qemu.close().await.unwrap();
    });
    stop.store(true, Ordering::Relaxed);
    let report = recorder.join().unwrap();
    assert_eq!(report.statistics.maps, u64::from(scanouts));
    assert_eq!(report.statistics.refused, u64::from(scanouts));
}

#[test]
fn scanouts_and_sessions_leave_no_descriptor_behind() {
    // What the runtime keeps for good is made by the first.
    session(2);
    let settled = || {
        // Threads of closed connections end a moment later.
        let mut last = descriptors();
        for _ in 0..100 {
            std::thread::sleep(Duration::from_millis(20));
            last = last.min(descriptors());
        }
        last
    };
    let before = settled();
    for _ in 0..5 {
        session(40);
    }
    let after = settled();
    assert!(
        after <= before,
        "{after} descriptors after it, {before} before"
    );
}
