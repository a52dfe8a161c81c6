//! The listener against a stand-in for QEMU on a socket pair. What it says of real
//! dma-bufs needs a machine that has them.

mod dma_bufs;
mod hostile;
mod picture;
mod stand_in;

use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use picture::{pattern, put, replay};
use scanout_core::buffer::alloc::Provider;
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Rect, Size};
use scanout_rig_qemu::call::{LISTENER, LISTENER_MAP};
use scanout_rig_qemu::{Ended, Limits};
use scanout_trace::recording::{Delivery, EventKind, MouseSet};
use stand_in::{StandIn, X8R8G8B8, session, talk};
use zbus::zvariant::{Fd, OwnedValue};

/// QEMU reads this once, while it registers the listener, and stands still meanwhile.
#[test]
fn the_listener_says_which_interfaces_it_knows() {
    let outcome = talk(|qemu| {
        let properties = "org.freedesktop.DBus.Properties";
        let get = qemu
            .call(properties, "Get", &(LISTENER, "Interfaces"))
            .unwrap();
        let value: OwnedValue = get.body().deserialize().unwrap();
        let names = Vec::<String>::try_from(value).unwrap();
        assert_eq!(
            names,
            [
                "org.qemu.Display1.Listener.Unix.Map",
                "org.qemu.Display1.Listener.Unix.ScanoutDMABUF2"
            ]
        );
        let all = qemu.call(properties, "GetAll", &LISTENER).unwrap();
        let all: std::collections::HashMap<String, OwnedValue> = all.body().deserialize().unwrap();
        assert_eq!(all.keys().collect::<Vec<_>>(), ["Interfaces"]);
        let none = qemu.call(properties, "GetAll", &LISTENER_MAP).unwrap();
        let none: std::collections::HashMap<String, OwnedValue> =
            none.body().deserialize().unwrap();
        assert!(none.is_empty());
        let error = qemu
            .call(properties, "Get", &(LISTENER, "Colour"))
            .unwrap_err();
        assert!(error.contains("Colour"), "{error}");
        let error = qemu.listener("Sing", &()).unwrap_err();
        assert!(error.contains("\"Sing\""), "{error}");
    });
    // Only the last is the recorder's business, and no fault of the display's.
    assert_eq!(outcome.report.statistics.answered, 1);
    assert_eq!(outcome.report.statistics.refused, 0);
}

/// A whole picture in bytes, then parts of it, as from a QEMU without OpenGL.
#[test]
fn bytes_of_messages_become_the_picture() {
    let (width, height) = (20u32, 10u32);
    let mut expected = pattern(width, height, 1);
    let outcome = talk(|qemu| {
        // Rows of 24 pixels, of which 20 are shown.
        let mut memory = vec![0xee; 24 * 4 * 10];
        put(&mut memory, 0, 96, 80, &expected);
        qemu.listener("Scanout", &(width, height, 96u32, X8R8G8B8, &memory))
            .unwrap();
        let part = pattern(5, 3, 2);
        qemu.listener("Update", &(7i32, 4i32, 5i32, 3i32, 20u32, X8R8G8B8, &part))
            .unwrap();
        put(&mut expected, 4 * 80 + 7 * 4, 80, 20, &part);
        qemu.listener("Disable", &()).unwrap();
        qemu.listener("Scanout", &(width, height, 96u32, X8R8G8B8, &memory))
            .unwrap();
    });
    let kinds = outcome
        .events
        .iter()
        .map(|event| &event.kind)
        .collect::<Vec<_>>();
    let [
        EventKind::Scanout(first),
        EventKind::Update(update),
        EventKind::Disable,
        EventKind::Scanout(_),
    ] = kinds[..]
    else {
        panic!("{kinds:?}")
    };
    assert_eq!(first.delivery, Delivery::Inline);
    assert_eq!(first.layout.fourcc, Fourcc::XRGB8888);
    assert_eq!(first.layout.size, Size::new(width, height));
    assert_eq!(update.rect, Rect::new(7, 4, 5, 3));
    assert_eq!(replay(&outcome.events[..2]), expected);
    assert_eq!(replay(&outcome.events), pattern(width, height, 1));
    assert_eq!(
        outcome.report.last.unwrap().pixels,
        pattern(width, height, 1)
    );
}

/// Shared memory: the damage is read, at the offset, when the update comes.
#[test]
fn shared_memory_is_read_where_it_was_drawn() {
    let (width, height, stride, offset) = (16u32, 8u32, 72u32, 4096u32);
    let mut memory = Provider::Memfd
        .allocate(8192)
        .unwrap()
        .into_canvas()
        .unwrap();
    let first = pattern(width, height, 1);
    let second = pattern(width, height, 2);
    let outcome = talk(|qemu| {
        let draw = |memory: &mut scanout_core::buffer::alloc::Canvas, pixels: &[u8]| {
            memory
                .draw(|bytes| put(bytes, offset as usize, stride as usize, 64, pixels))
                .unwrap();
        };
        draw(&mut memory, &first);
        let fd = Fd::from(memory.as_fd());
        qemu.map("ScanoutMap", &(fd, offset, width, height, stride, X8R8G8B8))
            .unwrap();
        // All of it is drawn anew, but only a part is said to be.
        draw(&mut memory, &second);
        qemu.map("UpdateMap", &(3i32, 2i32, 4i32, 5i32)).unwrap();
    });
    let EventKind::Scanout(scanout) = &outcome.events[0].kind else {
        panic!("{:?}", outcome.events[0])
    };
    assert_eq!(scanout.delivery, Delivery::Map);
    assert_eq!(scanout.objects[0].size, 8192);
    let mut expected = first;
    for y in 2..7 {
        let row = y * 64 + 12..y * 64 + 28;
        expected[row.clone()].copy_from_slice(&second[row]);
    }
    assert_eq!(replay(&outcome.events), expected);
    // The last look takes all of it.
    assert_eq!(outcome.report.last.unwrap().pixels, second);
    assert_eq!(outcome.report.statistics.damaged, 20);
}

/// Calls that QEMU does not wait for keep their order, and each is answered.
#[test]
fn calls_are_followed_in_their_order() {
    let count = 500i32;
    let outcome = talk(|qemu| {
        let pixels = pattern(64, 64, 0);
        qemu.listener("Scanout", &(64u32, 64u32, 256u32, X8R8G8B8, &pixels))
            .unwrap();
        for index in 0..count {
            qemu.send(LISTENER, "MouseSet", &(index, -index, index % 2));
        }
        // The answer to this comes after all the others.
        qemu.listener("Disable", &()).unwrap();
    });
    let pointers = outcome.events.iter().filter_map(|event| match event.kind {
        EventKind::MouseSet(pointer) => Some(pointer),
        _ => None,
    });
    let expected = (0..count).map(|index| MouseSet {
        x: index,
        y: -index,
        visible: index % 2 == 1,
    });
    assert!(pointers.eq(expected));
    let times = outcome.events.iter().map(|event| event.time);
    assert!(times.is_sorted());
    assert_eq!(outcome.report.statistics.calls, 502);
    assert_eq!(outcome.report.statistics.answered, 502);
}

#[test]
fn the_pointer_is_recorded() {
    let outcome = talk(|qemu| {
        let argb = pattern(8, 4, 3);
        qemu.listener("CursorDefine", &(8i32, 4i32, 1i32, -2i32, &argb))
            .unwrap();
    });
    let EventKind::CursorDefine(cursor) = &outcome.events[0].kind else {
        panic!("{:?}", outcome.events[0])
    };
    assert_eq!((cursor.hot_x, cursor.hot_y), (1, -2));
    assert_eq!(cursor.size, Size::new(8, 4));
    assert_eq!(cursor.argb, pattern(8, 4, 3));
}

/// An update says what the recording's limits are measured by.
fn shows_something(qemu: &StandIn) {
    let pixels = pattern(4, 4, 0);
    qemu.listener("Scanout", &(4u32, 4u32, 16u32, X8R8G8B8, &pixels))
        .unwrap();
}

fn draws_something(qemu: &StandIn) {
    qemu.send(
        LISTENER,
        "Update",
        &(0i32, 0i32, 1i32, 1i32, 4u32, X8R8G8B8, &[1u8, 2, 3, 4][..]),
    );
}

#[test]
fn a_recording_ends_after_its_time() {
    let limits = Limits {
        duration: Some(Duration::from_millis(300)),
        ..Limits::default()
    };
    let begun = Instant::now();
    let outcome = session(limits, |socket, _| {
        let qemu = StandIn::new(socket);
        shows_something(&qemu);
        async_io::block_on(qemu.connection.closed());
    });
    assert_eq!(outcome.report.ended, Ended::Duration);
    assert!(outcome.report.duration >= Duration::from_millis(300));
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_recording_ends_after_so_many_updates_and_leaves_no_call_unanswered() {
    let limits = Limits {
        max_updates: Some(3),
        ..Limits::default()
    };
    let outcome = session(limits, |socket, _| {
        let qemu = StandIn::new(socket);
        shows_something(&qemu);
        (0..40).for_each(|_| draws_something(&qemu));
        async_io::block_on(qemu.connection.closed());
    });
    assert_eq!(outcome.report.ended, Ended::Updates);
    assert_eq!(outcome.events.len(), 4);
    let statistics = outcome.report.statistics;
    assert_eq!(statistics.calls, statistics.answered);
}

#[test]
fn a_recording_ends_when_nothing_happens_any_more() {
    let limits = Limits {
        until_idle: Some(Duration::from_millis(400)),
        ..Limits::default()
    };
    let begun = Instant::now();
    let outcome = session(limits, |socket, _| {
        let qemu = StandIn::new(socket);
        // Nothing is shown yet: this is not idle, it has not begun.
        std::thread::sleep(Duration::from_millis(600));
        shows_something(&qemu);
        for _ in 0..4 {
            std::thread::sleep(Duration::from_millis(200));
            draws_something(&qemu);
        }
        // The pointer alone is no picture.
        qemu.send(LISTENER, "MouseSet", &(1i32, 1i32, 1i32));
        async_io::block_on(qemu.connection.closed());
    });
    assert_eq!(outcome.report.ended, Ended::Idle);
    assert_eq!(outcome.report.statistics.updates, 4);
    assert!(begun.elapsed() >= Duration::from_millis(1800));
}

#[test]
fn a_recording_ends_when_it_is_told_to() {
    let outcome = session(Limits::default(), |socket, stop| {
        let qemu = StandIn::new(socket);
        shows_something(&qemu);
        stop.store(true, Ordering::Relaxed);
        async_io::block_on(qemu.connection.closed());
    });
    assert_eq!(outcome.report.ended, Ended::Stopped);
    assert_eq!(outcome.events.len(), 1);
}

/// QEMU's memory stays ours until we let go of it, whether QEMU lives or not.
#[test]
fn the_end_of_qemu_ends_the_recording_and_the_last_picture_can_still_be_read() {
    let pixels = pattern(16, 8, 1);
    let outcome = session(Limits::default(), |socket, stop| {
        let qemu = StandIn::new(socket);
        let mut memory = Provider::Memfd
            .allocate(4096)
            .unwrap()
            .into_canvas()
            .unwrap();
        memory.draw(|bytes| put(bytes, 0, 64, 64, &pixels)).unwrap();
        let fd = Fd::from(memory.as_fd());
        qemu.map("ScanoutMap", &(fd, 0u32, 16u32, 8u32, 64u32, X8R8G8B8))
            .unwrap();
        drop(memory);
        async_io::block_on(qemu.connection.close()).unwrap();
        // It must notice by itself.
        std::thread::sleep(Duration::from_millis(500));
        assert!(!stop.load(Ordering::Relaxed));
    });
    assert_eq!(outcome.report.ended, Ended::QemuGone);
    assert_eq!(outcome.report.last.unwrap().pixels, pixels);
}
