//! The CPU's access to a dma-buf is begun before the first byte is touched and ended
//! after the last, and old kernels are asked in the way that they understand.

use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use scanout_core::buffer::alloc::Provider;
use scanout_core::buffer::{
    CpuReader, DmaBuf, ReadError, SourceBuffer, export_read_fence, import_read_fence, wait_readable,
};
use scanout_core::encoder::{Frame, StageEvent};
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Size};
use scanout_core::sync::SyncError;
use scanout_rig::drawing::{Arrangement, Scanout};
use scanout_rig::ioctls::{self, BEGIN_READ, BEGIN_WRITE, END_READ, END_WRITE, Ioctl};
use scanout_rig::{fences, machine, staged};

const SIZE: Size = Size::new(32, 32);
const SHORT: Duration = Duration::from_millis(30);
const LONG: Duration = Duration::from_secs(5);

/// A picture in two objects of each provider.
fn scanouts() -> Vec<Scanout> {
    let allocate = |provider: Provider| {
        let arrangement = Arrangement::all(Fourcc::NV12, SIZE).remove(2);
        arrangement.allocate(&provider, 1).unwrap()
    };
    machine::providers().into_iter().map(allocate).collect()
}

fn buffers() -> Vec<DmaBuf> {
    let scanouts = scanouts();
    scanouts
        .iter()
        .map(|scanout| scanout.import().unwrap())
        .collect()
}

fn watch<T: Send>(
    requests: &[u32],
    judge: impl FnMut(&Ioctl) -> Option<Errno>,
    work: impl FnOnce() -> T + Send,
) -> Option<(T, Vec<Ioctl>)> {
    machine::or_skip("seccomp notification", ioctls::watch(requests, judge, work))
}

/// The `flags` of each call, with which of the buffer's objects it was for.
fn of_objects(calls: &[Ioctl], buffer: &DmaBuf) -> Vec<(u64, usize)> {
    let object = |fd| buffer.fds().position(|own| own.as_raw_fd() == fd).unwrap();
    calls
        .iter()
        .map(|call| (call.argument, object(call.fd)))
        .collect()
}

#[test]
fn a_read_is_begun_for_every_object_and_ended_when_it_is_dropped() {
    for buffer in buffers() {
        let source = SourceBuffer::from(buffer.clone());
        let log = Mutex::new(Vec::new());
        let note = |call: &Ioctl| {
            log.lock().unwrap().push(*call);
            None
        };
        let watched = watch(&[ioctls::SYNC], note, || {
            let mut reader = CpuReader::default();
            // Two times: what is mapped already is bracketed too.
            for round in 0..2 {
                let read = reader.read(&source, LONG).unwrap();
                assert_eq!(log.lock().unwrap().len(), round * 4 + 2, "begun, not ended");
                drop(read);
            }
        });
        let Some(((), calls)) = watched else { return };
        let once = [
            (BEGIN_READ, 0),
            (BEGIN_READ, 1),
            (END_READ, 0),
            (END_READ, 1),
        ];
        assert_eq!(of_objects(&calls, &buffer), [once, once].concat());
    }
}

#[test]
fn staging_ends_its_access_before_it_says_that_the_source_is_free() {
    for buffer in buffers() {
        let log = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&log);
        let note = move |call: &Ioctl| {
            seen.lock().unwrap().push(*call);
            None
        };
        let source = SourceBuffer::from(buffer.clone());
        let watched = watch(&[ioctls::SYNC], note, || {
            let mut staging = staged::staging(SIZE, LONG).unwrap();
            let frame = Frame::new(0, source, Damage::full(SIZE), Duration::ZERO);
            let ticket = staging.stage(frame).unwrap();
            loop {
                match staging.poll().unwrap() {
                    Some(StageEvent::SourceFree(t, _)) => {
                        assert_eq!(t, ticket);
                        return log.lock().unwrap().len();
                    }
                    Some(other) => panic!("{other:?}"),
                    None => std::thread::sleep(Duration::from_micros(100)),
                }
            }
        });
        let Some((before_free, calls)) = watched else {
            return;
        };
        let flags: Vec<u64> = calls.iter().map(|call| call.argument).collect();
        assert_eq!(flags, [BEGIN_READ, BEGIN_READ, END_READ, END_READ]);
        assert_eq!(before_free, 4);
    }
}

#[test]
fn an_access_that_is_refused_half_way_is_an_error_and_is_undone() {
    for buffer in buffers() {
        let source = SourceBuffer::from(buffer.clone());
        let second = buffer.fds().nth(1).unwrap().as_raw_fd();
        let refuse =
            |call: &Ioctl| (call.fd == second && call.argument == BEGIN_READ).then_some(Errno::IO);
        let watched = watch(&[ioctls::SYNC], refuse, || {
            CpuReader::default().read(&source, LONG).map(drop)
        });
        let Some((read, calls)) = watched else { return };
        let error = read.unwrap_err();
        assert!(
            matches!(
                error,
                ReadError::Access {
                    object: 1,
                    errno: Errno::IO
                }
            ),
            "{error}"
        );
        let expected = [(BEGIN_READ, 0), (BEGIN_READ, 1), (END_READ, 0)];
        assert_eq!(of_objects(&calls, &buffer), expected);
    }
}

#[test]
fn an_end_that_is_refused_leaves_the_next_read_as_it_was() {
    for buffer in buffers() {
        let source = SourceBuffer::from(buffer.clone());
        let refuse = |call: &Ioctl| (call.argument == END_READ).then_some(Errno::IO);
        let watched = watch(&[ioctls::SYNC], refuse, || {
            let mut reader = CpuReader::default();
            for _ in 0..2 {
                drop(reader.read(&source, LONG).unwrap());
            }
        });
        let Some(((), calls)) = watched else { return };
        assert_eq!(calls.len(), 8);
    }
}

/// The kernel asks for a retry when a signal arrives while it waits.
#[test]
fn an_interrupted_begin_or_end_is_tried_again() {
    for errno in [Errno::INTR, Errno::AGAIN] {
        for buffer in buffers() {
            let source = SourceBuffer::from(buffer.clone());
            let mut refusals = [BEGIN_READ, BEGIN_READ, END_READ].to_vec();
            let refuse = |call: &Ioctl| {
                let at = refusals.iter().position(|flags| *flags == call.argument);
                at.map(|at| {
                    refusals.remove(at);
                    errno
                })
            };
            let watched = watch(&[ioctls::SYNC], refuse, || {
                drop(CpuReader::default().read(&source, LONG).unwrap());
            });
            let Some(((), calls)) = watched else { return };
            let begun = [
                (BEGIN_READ, 0),
                (BEGIN_READ, 0),
                (BEGIN_READ, 0),
                (BEGIN_READ, 1),
            ];
            let ended = [(END_READ, 0), (END_READ, 0), (END_READ, 1)];
            assert_eq!(
                of_objects(&calls, &buffer),
                [&begun[..], &ended[..]].concat(),
                "{errno}"
            );
        }
    }
}

#[test]
fn a_memfd_is_read_without_the_ioctls_of_dma_bufs() {
    let arrangement = Arrangement::all(Fourcc::XRGB8888, SIZE).remove(0);
    let scanout = arrangement.allocate(&Provider::Memfd, 1).unwrap();
    let policy = scanout_core::buffer::ImportPolicy::default().with_memfd();
    let buffer = DmaBuf::import(&scanout.fds(), scanout.layout(), &policy).unwrap();
    let source = SourceBuffer::from(buffer);
    let all = [ioctls::SYNC, ioctls::EXPORT_SYNC_FILE];
    let watched = watch(
        &all,
        |_| None,
        || {
            drop(CpuReader::default().read(&source, LONG).unwrap());
        },
    );
    let Some(((), calls)) = watched else { return };
    assert_eq!(calls, []);
}

#[test]
fn drawing_is_bracketed_too_even_when_it_panics() {
    for provider in machine::providers() {
        let mut canvas = provider.allocate(4096).unwrap().into_canvas().unwrap();
        let fd = canvas.as_fd().as_raw_fd();
        let watched = watch(
            &[ioctls::SYNC],
            |_| None,
            || {
                canvas.draw(|memory| memory.fill(1)).unwrap();
                let drawing = std::panic::AssertUnwindSafe(|| {
                    canvas.draw(|_| std::panic::resume_unwind(Box::new("of the test")))
                });
                assert!(std::panic::catch_unwind(drawing).is_err());
            },
        );
        let Some(((), calls)) = watched else { return };
        let seen: Vec<_> = calls.iter().map(|call| (call.argument, call.fd)).collect();
        let once = [(BEGIN_WRITE, fd), (END_WRITE, fd)];
        assert_eq!(seen, [once, once].concat(), "{provider}");
    }
}

/// That the begin does something: it waits for whoever reads on a device.
#[test]
fn a_producer_that_draws_waits_for_our_readers_fence() {
    for mut scanout in scanouts() {
        let Some(timeline) = machine::timeline() else {
            return;
        };
        let buffer = scanout.import().unwrap();
        import_read_fence(&buffer, &timeline.fence(1).unwrap()).unwrap();
        let start = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(SHORT);
                timeline.advance(1).unwrap();
            });
            scanout.redraw(2).unwrap();
        });
        assert!(start.elapsed() >= SHORT);
    }
}

const FENCES: [u32; 2] = [ioctls::EXPORT_SYNC_FILE, ioctls::IMPORT_SYNC_FILE];

/// Linux before 6.0: neither ioctl is there.
fn old_kernel(_: &Ioctl) -> Option<Errno> {
    Some(Errno::NOTTY)
}

#[test]
fn a_kernel_that_does_not_export_fences_is_polled() {
    for buffer in buffers() {
        let Some(timeline) = machine::timeline() else {
            return;
        };
        let object = buffer.fds().nth(1).unwrap();
        fences::attach_writer(object, &timeline.fence(1).unwrap()).unwrap();
        let watched = watch(&FENCES, old_kernel, || {
            assert!(export_read_fence(&buffer, 1).unwrap().is_none());
            let start = Instant::now();
            let error = wait_readable(&buffer, SHORT).unwrap_err();
            assert!(
                matches!(error, SyncError::TimedOut { limit: SHORT }),
                "{error}"
            );
            assert!(start.elapsed() >= SHORT);
            let start = Instant::now();
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    std::thread::sleep(SHORT);
                    timeline.advance(1).unwrap();
                });
                wait_readable(&buffer, LONG).unwrap();
            });
            assert!(start.elapsed() >= SHORT);
        });
        let Some(((), calls)) = watched else { return };
        assert!(
            calls
                .iter()
                .all(|call| call.request == ioctls::EXPORT_SYNC_FILE)
        );
        // One asked for by the test; of each wait, both objects.
        assert_eq!(calls.len(), 5);
    }
}

#[test]
fn a_kernel_that_takes_no_fences_is_reported_not_pretended_to() {
    for buffer in buffers() {
        let Some(timeline) = machine::timeline() else {
            return;
        };
        let fence = timeline.fence(1).unwrap();
        let watched = watch(&FENCES, old_kernel, || import_read_fence(&buffer, &fence));
        let Some((told, _)) = watched else { return };
        assert!(!told.unwrap());
        let writer = fences::for_writer(buffer.fds().next().unwrap()).unwrap();
        writer.wait(Duration::ZERO).unwrap();
    }
}

/// Any other refusal is none of these, and no reason to read.
#[test]
fn an_export_that_fails_is_an_error() {
    for buffer in buffers() {
        let source = SourceBuffer::from(buffer);
        let watched = watch(
            &FENCES,
            |_| Some(Errno::NOMEM),
            || CpuReader::default().read(&source, LONG).map(drop),
        );
        let Some((read, calls)) = watched else { return };
        assert!(matches!(
            read,
            Err(ReadError::Sync(SyncError::Os {
                call: "DMA_BUF_IOCTL_EXPORT_SYNC_FILE",
                errno: Errno::NOMEM
            }))
        ));
        assert_eq!(calls.len(), 1);
    }
}
