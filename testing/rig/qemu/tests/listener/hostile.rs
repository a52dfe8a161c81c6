//! Calls that no QEMU makes unless its guest has taken it over. Each is refused with the
//! value and the bound, each is answered, and the next good one works.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use scanout_core::buffer::alloc::Provider;
use scanout_core::format::Fourcc;
use scanout_rig_qemu::call::{LISTENER, LISTENER_PATH};
use scanout_rig_qemu::{Ended, Limits};
use scanout_trace::recording::EventKind;
use zbus::message::{Message, Type};
use zbus::zvariant::Fd;

use crate::picture::pattern;
use crate::stand_in::{LIMIT, StandIn, X8R8G8B8, session, talk};

const XR24: u32 = Fourcc::XRGB8888.0;

fn memfd(bytes: u64) -> OwnedFd {
    Provider::Memfd.allocate(bytes).unwrap().into_fd()
}

fn shows_a_picture(qemu: &StandIn) {
    let pixels = pattern(4, 4, 0);
    qemu.listener("Scanout", &(4u32, 4u32, 16u32, X8R8G8B8, &pixels))
        .unwrap();
}

#[test]
fn pictures_that_cannot_be_are_refused_with_value_and_bound() {
    let cases: [(u32, u32, u32, u32, usize, &str); 8] = [
        (
            0,
            0,
            0,
            X8R8G8B8,
            0,
            "size 0x0 is outside of 1x1 to 8192x8192",
        ),
        (0, 5, 16, X8R8G8B8, 80, "size 0x5 is outside"),
        (
            16384,
            16384,
            65536,
            X8R8G8B8,
            64,
            "size 16384x16384 is outside",
        ),
        (
            8192,
            8192,
            32768,
            X8R8G8B8,
            64,
            "ends at byte 268435456, but object 0 has only 64",
        ),
        (
            4,
            4,
            15,
            X8R8G8B8,
            64,
            "stride of 15 bytes, below the 16 bytes",
        ),
        (
            4,
            4,
            18,
            X8R8G8B8,
            96,
            "stride of 18 bytes, which is no multiple of 4",
        ),
        (4, 4, u32::MAX - 3, X8R8G8B8, 64, "ends at byte 12884901892"),
        (4, 4, 16, 0x0123_4567, 64, "pixman format 0x01234567"),
    ];
    let outcome = talk(|qemu| {
        for (width, height, stride, pixman, bytes, expected) in cases {
            let call = (width, height, stride, pixman, &vec![0u8; bytes]);
            let error = qemu.listener("Scanout", &call).unwrap_err();
            assert!(error.contains(expected), "{error}: not {expected}");
            let memory = memfd(64);
            let call = (
                Fd::from(memory.as_fd()),
                0u32,
                width,
                height,
                stride,
                pixman,
            );
            let error = qemu.map("ScanoutMap", &call).unwrap_err();
            let same = expected.split(',').next().unwrap_or_default();
            assert!(
                error.contains(same) || error.contains("ends at byte"),
                "{error}: not {same}"
            );
        }
        shows_a_picture(qemu);
    });
    let statistics = &outcome.report.statistics;
    assert_eq!((statistics.refused, statistics.scanouts()), (16, 1));
    assert_eq!(statistics.answered, 17);
    assert_eq!(statistics.refusals.len(), 16);
    assert_eq!(outcome.events.len(), 1);
}

/// Offsets and strides near the end of 32 bits must not wrap into the buffer.
#[test]
fn shared_memory_is_never_read_beyond_its_end() {
    let outcome = talk(|qemu| {
        for (offset, stride) in [
            (u32::MAX - 3, 16u32),
            (4096 - 63, 16),
            (4084, 16),
            (0, 1 << 31),
        ] {
            let memory = memfd(4096);
            let call = (
                Fd::from(memory.as_fd()),
                offset,
                4u32,
                4u32,
                stride,
                X8R8G8B8,
            );
            let error = qemu.map("ScanoutMap", &call).unwrap_err();
            assert!(
                error.contains("4096") || error.contains("no multiple"),
                "{error}"
            );
        }
    });
    assert_eq!(outcome.report.statistics.refused, 4);
    assert!(outcome.report.last.is_none());
}

#[test]
fn what_is_no_dma_buf_is_refused_and_named() {
    let memory = memfd(4096);
    let (pipe, _write) = rustix::pipe::pipe().unwrap();
    let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
    let folder = std::fs::File::open("/").unwrap();
    let null = std::fs::File::open("/dev/null").unwrap();
    let (socket, _other) = UnixStream::pair().unwrap();
    let cases: [(BorrowedFd<'_>, &str); 6] = [
        (memory.as_fd(), "memfd where only dma-bufs are allowed"),
        (pipe.as_fd(), "is a pipe"),
        (file.as_fd(), "a regular file"),
        (folder.as_fd(), "a directory"),
        (null.as_fd(), "a character device"),
        (socket.as_fd(), "a socket"),
    ];
    let outcome = talk(|qemu| {
        for (fd, expected) in cases {
            let call = (Fd::from(fd), 4u32, 4u32, 16u32, XR24, 0u64, false);
            let error = qemu.listener("ScanoutDMABUF", &call).unwrap_err();
            assert!(error.contains(expected), "{error}: not {expected}");
        }
        // Nothing is shown, so there is nothing to read: released at once.
        qemu.listener("UpdateDMABUF", &(0i32, 0i32, 4i32, 4i32))
            .unwrap();
        for fd in [pipe.as_fd(), socket.as_fd()] {
            let call = (Fd::from(fd), 0u32, 4u32, 4u32, 16u32, X8R8G8B8);
            qemu.map("ScanoutMap", &call).unwrap_err();
        }
    });
    let statistics = outcome.report.statistics;
    assert_eq!((statistics.refused, statistics.unseen), (8, 1));
    assert_eq!(statistics.calls, statistics.answered);
    assert!(outcome.events.is_empty());
}

#[test]
fn numbers_of_planes_must_agree() {
    let memory = memfd(4096);
    let fd = || Fd::from(memory.as_fd());
    type Lists<'a> = (Vec<Fd<'a>>, Vec<u32>, Vec<u32>, u32);
    let cases: [Lists<'_>; 6] = [
        (vec![], vec![], vec![], 0),
        (vec![], vec![0], vec![16], 1),
        (vec![fd()], vec![], vec![16], 1),
        (vec![fd()], vec![0], vec![], 1),
        ((0..5).map(|_| fd()).collect(), vec![0; 5], vec![16; 5], 5),
        (vec![fd()], vec![0], vec![16], u32::MAX),
    ];
    let outcome = talk(|qemu| {
        for (fds, offsets, strides, planes) in cases {
            let (count, zero) = (fds.len(), 0u32);
            let call = (
                fds, zero, zero, 4u32, 4u32, offsets, strides, planes, XR24, 4u32, 4u32, 0u64,
                false,
            );
            let error = qemu.dmabuf2(&call).unwrap_err();
            let expected = format!("{planes} planes announced with {count} descriptors");
            assert!(error.contains(&expected), "{error}: not {expected}");
        }
        // A format with more planes than a console's, and one that is none.
        for (fourcc, expected) in [
            (Fourcc::NV12.0, "NV12 is not RGB"),
            (7, "unknown pixel format"),
        ] {
            let call = (
                vec![fd()],
                0u32,
                0u32,
                4u32,
                4u32,
                vec![0u32],
                vec![16u32],
                1u32,
                fourcc,
                4u32,
                4u32,
                0u64,
                false,
            );
            let error = qemu.dmabuf2(&call).unwrap_err();
            assert!(
                error.contains(expected) || error.contains("memfd"),
                "{error}"
            );
        }
    });
    assert_eq!(outcome.report.statistics.refused, 8);
}

/// The guest chooses these numbers, and QEMU hands some of them on.
#[test]
fn damage_is_cut_to_the_picture() {
    let memory = memfd(4096);
    let rects: [([i32; 4], Option<[u32; 4]>); 8] = [
        ([0, 0, 8, 4], Some([0, 0, 8, 4])),
        ([-3, -2, 5, 4], Some([0, 0, 2, 2])),
        ([6, 3, 100, 100], Some([6, 3, 2, 1])),
        ([i32::MIN, i32::MIN, i32::MAX, i32::MAX], None),
        ([-1, -1, i32::MAX, i32::MAX], Some([0, 0, 8, 4])),
        ([i32::MAX, 0, i32::MAX, 1], None),
        ([2, 2, -1, 1], None),
        ([8, 0, 1, 1], None),
    ];
    let outcome = talk(|qemu| {
        let call = (Fd::from(memory.as_fd()), 0u32, 8u32, 4u32, 32u32, X8R8G8B8);
        qemu.map("ScanoutMap", &call).unwrap();
        for ([x, y, width, height], _) in rects {
            qemu.map("UpdateMap", &(x, y, width, height)).unwrap();
        }
    });
    let updates = outcome.events.iter().filter_map(|event| match &event.kind {
        EventKind::Update(u) => Some([u.rect.x, u.rect.y, u.rect.width, u.rect.height]),
        _ => None,
    });
    let expected = rects.iter().filter_map(|(_, expected)| *expected);
    assert_eq!(updates.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    assert_eq!(outcome.report.statistics.unseen, 4);
}

#[test]
fn updates_with_bytes_must_fit_the_picture() {
    let outcome = talk(|qemu| {
        let bytes = pattern(2, 2, 1);
        let update = |x: i32, y: i32, w: i32, h: i32, stride: u32, pixman: u32| {
            qemu.listener("Update", &(x, y, w, h, stride, pixman, &bytes))
        };
        // Before there is a picture there is nothing to update.
        update(0, 0, 2, 2, 8, X8R8G8B8).unwrap();
        shows_a_picture(qemu);
        for (x, y, w, h, stride, pixman, expected) in [
            (
                3,
                0,
                2,
                2,
                8,
                X8R8G8B8,
                "update of 3,0 2x2 leaves the picture of 4x4",
            ),
            (-1, 0, 2, 2, 8, X8R8G8B8, "update of -1,0 2x2 leaves"),
            (
                0,
                0,
                2,
                3,
                8,
                X8R8G8B8,
                "ends at byte 24, but object 0 has only 16",
            ),
            (0, 0, -2, 2, 8, X8R8G8B8, "size 0x2 is outside"),
            (
                0,
                0,
                2,
                2,
                4,
                X8R8G8B8,
                "stride of 4 bytes, below the 8 bytes",
            ),
            (
                0,
                0,
                2,
                2,
                8,
                0x2003_0888,
                "update in XB24 of a picture in XR24",
            ),
        ] {
            let error = update(x, y, w, h, stride, pixman).unwrap_err();
            assert!(error.contains(expected), "{error}: not {expected}");
        }
        let error = qemu
            .map("UpdateMap", &(0i32, 0i32, 1i32, 1i32))
            .unwrap_err();
        assert!(error.contains("came as bytes"), "{error}");
        let error = qemu
            .listener("UpdateDMABUF", &(0i32, 0i32, 1i32, 1i32))
            .unwrap_err();
        assert!(error.contains("came as bytes"), "{error}");
        update(2, 2, 2, 2, 8, X8R8G8B8).unwrap();
    });
    assert_eq!(outcome.events.len(), 2);
    assert_eq!(outcome.report.statistics.refused, 8);
}

#[test]
fn pointers_that_cannot_be_are_refused() {
    let outcome = talk(|qemu| {
        for (width, height, bytes) in [
            (0, 0, 0),
            (-1, 1, 4),
            (513, 1, 2052),
            (2, 2, 15),
            (2, 2, 17),
        ] {
            let call = (width, height, 0i32, 0i32, &vec![0u8; bytes]);
            let error = qemu.listener("CursorDefine", &call).unwrap_err();
            let expected = format!("pointer of {width}x{height} with {bytes} bytes");
            assert!(error.contains(&expected), "{error}: not {expected}");
        }
    });
    assert_eq!(outcome.report.statistics.refused, 5);
}

/// The memory is the producer's, and a memfd without seals can be cut at any time:
/// mapped, that would be our SIGBUS.
#[test]
fn shared_memory_that_shrinks_is_an_error_and_not_a_signal() {
    let flags = rustix::fs::MemfdFlags::CLOEXEC;
    let memory = rustix::fs::memfd_create("qemu", flags).unwrap();
    rustix::fs::ftruncate(&memory, 4096).unwrap();
    let outcome = talk(|qemu| {
        let call = (Fd::from(memory.as_fd()), 0u32, 16u32, 8u32, 64u32, X8R8G8B8);
        qemu.map("ScanoutMap", &call).unwrap();
        rustix::fs::ftruncate(&memory, 100).unwrap();
        let error = qemu
            .map("UpdateMap", &(0i32, 0i32, 16i32, 8i32))
            .unwrap_err();
        assert!(error.contains("it was shrunk"), "{error}");
        rustix::fs::ftruncate(&memory, 4096).unwrap();
        qemu.map("UpdateMap", &(0i32, 0i32, 16i32, 8i32)).unwrap();
    });
    assert_eq!(outcome.report.statistics.updates, 1);
    assert_eq!(outcome.report.statistics.refused, 1);
}

/// Arguments of other types than the method has.
#[test]
fn wrong_arguments_are_refused() {
    let outcome = talk(|qemu| {
        let error = qemu.listener("UpdateDMABUF", &("a", "b")).unwrap_err();
        assert!(
            error.contains("arguments of UpdateDMABUF do not read as iiii"),
            "{error}"
        );
        qemu.listener("Scanout", &(1u32, 1u32)).unwrap_err();
        qemu.listener(
            "ScanoutDMABUF",
            &(1u32, 4u32, 4u32, 16u32, XR24, 0u64, false),
        )
        .unwrap_err();
        shows_a_picture(qemu);
    });
    assert_eq!(outcome.report.statistics.refused, 3);
    assert_eq!(outcome.events.len(), 1);
}

/// A peer that speaks the handshake, and then sends bytes.
struct RawPeer {
    input: BufReader<UnixStream>,
    output: UnixStream,
}

impl RawPeer {
    fn new(socket: UnixStream) -> Self {
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        let output = socket.try_clone().unwrap();
        let mut peer = Self {
            input: BufReader::new(socket),
            output,
        };
        loop {
            let mut line = String::new();
            peer.input.read_line(&mut line).unwrap();
            let line = line.trim_start_matches('\0');
            let answer = match line.split_whitespace().next() {
                Some("BEGIN") => break,
                Some("AUTH") => "OK 0123456789abcdef0123456789abcdef\r\n",
                Some("NEGOTIATE_UNIX_FD") => "AGREE_UNIX_FD\r\n",
                _ => panic!("{line:?}"),
            };
            peer.output.write_all(answer.as_bytes()).unwrap();
        }
        peer
    }

    /// The type of the next message.
    fn answer(&mut self) -> u8 {
        let mut head = [0; 16];
        self.input.read_exact(&mut head).unwrap();
        let word = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap()) as usize;
        let mut rest = vec![0; word(12).next_multiple_of(8) + word(4)];
        self.input.read_exact(&mut rest).unwrap();
        head[1]
    }
}

/// The message announces a descriptor, and none comes with it.
#[test]
fn a_missing_descriptor_is_refused() {
    let outcome = session(Limits::default(), |socket, _| {
        let mut peer = RawPeer::new(socket);
        let memory = memfd(4096);
        let fd = Fd::from(memory.as_fd());
        let call = Message::method_call(LISTENER_PATH, "ScanoutDMABUF")
            .unwrap()
            .interface(LISTENER)
            .unwrap()
            .build(&(fd, 4u32, 4u32, 16u32, XR24, 0u64, false))
            .unwrap();
        peer.output.write_all(call.data()).unwrap();
        assert_eq!(peer.answer(), Type::Error as u8);
        let call = Message::method_call(LISTENER_PATH, "Disable")
            .unwrap()
            .interface(LISTENER)
            .unwrap()
            .build(&())
            .unwrap();
        peer.output.write_all(call.data()).unwrap();
        assert_eq!(peer.answer(), Type::MethodReturn as u8);
    });
    let statistics = outcome.report.statistics;
    assert_eq!((statistics.refused, statistics.answered), (1, 2));
    assert!(
        statistics.refusals[0].contains("ScanoutDMABUF"),
        "{:?}",
        statistics.refusals
    );
}

/// What is no D-Bus message ends the connection, and so the recording.
#[test]
fn garbage_ends_the_recording() {
    for garbage in [
        &[0xffu8; 64][..],
        b"l\x01\x00\x01\xff\xff\xff\xff\x01\x00\x00\x00\xff\xff\xff\xff",
    ] {
        let outcome = session(Limits::default(), |socket, _| {
            let mut peer = RawPeer::new(socket);
            peer.output.write_all(garbage).unwrap();
            // Closed from the other end.
            let mut rest = Vec::new();
            let _ = peer.input.read_to_end(&mut rest);
        });
        assert_eq!(outcome.report.ended, Ended::QemuGone);
    }
}
