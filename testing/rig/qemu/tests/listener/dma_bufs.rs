//! Real dma-bufs, of every exporter that the machine has.

use std::os::fd::AsFd;

use scanout_core::buffer::{Orientation, alloc::Canvas};
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Rect, Size};
use scanout_rig::machine;
use scanout_trace::recording::{Delivery, EventKind};
use zbus::zvariant::Fd;

use crate::picture::{pattern, put, replay};
use crate::stand_in::talk;

const XR24: u32 = Fourcc::XRGB8888.0;

fn canvases(bytes: u64) -> Vec<(String, Canvas)> {
    let providers = machine::dma_buf_providers();
    let found = (!providers.is_empty()).then_some(providers);
    machine::or_skip("provider of dma-bufs", found)
        .unwrap_or_default()
        .into_iter()
        .map(|provider| {
            let canvas = provider.allocate(bytes).unwrap().into_canvas().unwrap();
            (provider.to_string(), canvas)
        })
        .collect()
}

#[test]
fn dma_bufs_are_imported_and_read_before_the_answer() {
    let (first, second) = (pattern(40, 20, 1), pattern(40, 20, 2));
    for (name, mut canvas) in canvases(256 * 20) {
        let outcome = talk(|qemu| {
            canvas
                .draw(|bytes| put(bytes, 0, 256, 160, &first))
                .unwrap();
            let call = (
                Fd::from(canvas.as_fd()),
                40u32,
                20u32,
                256u32,
                XR24,
                0u64,
                false,
            );
            qemu.listener("ScanoutDMABUF", &call).unwrap();
            canvas
                .draw(|bytes| put(bytes, 0, 256, 160, &second))
                .unwrap();
            qemu.listener("UpdateDMABUF", &(8i32, 4i32, 10i32, 3i32))
                .unwrap();
            // Answered, so it was read: what is drawn from here on is not in it.
            canvas.draw(|bytes| bytes.fill(0x55)).unwrap();
        });
        let EventKind::Scanout(scanout) = &outcome.events[0].kind else {
            panic!("{name}: {:?}", outcome.events[0])
        };
        assert_eq!(scanout.delivery, Delivery::DmaBuf, "{name}");
        assert!(scanout.objects[0].exporter.is_some(), "{name}");
        let mut expected = first.clone();
        for y in 4..7 {
            let row = y * 160 + 32..y * 160 + 72;
            expected[row.clone()].copy_from_slice(&second[row]);
        }
        assert_eq!(replay(&outcome.events), expected, "{name}");
        assert_eq!(outcome.report.statistics.dma_bufs, 1);
        assert!(outcome.events[1].reply.is_some());
    }
}

/// What QEMU calls y0_top is the bottom row first: an update near the top of the picture
/// lies near the end of the memory.
#[test]
fn bottom_up_buffers_are_shown_the_right_way_up() {
    let (first, second) = (pattern(16, 12, 1), pattern(16, 12, 2));
    let flipped = |pixels: &[u8]| {
        pixels
            .chunks(64)
            .rev()
            .flatten()
            .copied()
            .collect::<Vec<u8>>()
    };
    for (name, mut canvas) in canvases(64 * 12) {
        let outcome = talk(|qemu| {
            canvas
                .draw(|bytes| put(bytes, 0, 64, 64, &flipped(&first)))
                .unwrap();
            let call = (
                Fd::from(canvas.as_fd()),
                16u32,
                12u32,
                64u32,
                XR24,
                0u64,
                true,
            );
            qemu.listener("ScanoutDMABUF", &call).unwrap();
            canvas
                .draw(|bytes| put(bytes, 0, 64, 64, &flipped(&second)))
                .unwrap();
            qemu.listener("UpdateDMABUF", &(0i32, 0i32, 16i32, 3i32))
                .unwrap();
        });
        let expected = [&second[..3 * 64], &first[3 * 64..]].concat();
        assert_eq!(replay(&outcome.events), expected, "{name}");
        let last = outcome.report.last.unwrap();
        assert_eq!(last.pixels, second, "{name}");
        let EventKind::Scanout(scanout) = &outcome.events[0].kind else {
            panic!("{name}")
        };
        assert_eq!(scanout.view.orientation, Orientation::BottomUp);
    }
}

/// `ScanoutDMABUF2`, which QEMU sends from 10.1 on: an offset, and a part of the buffer.
#[test]
fn a_part_of_a_larger_buffer_is_shown() {
    let pixels = pattern(24, 10, 5);
    for (name, mut canvas) in canvases(8192 + 256 * 32) {
        let outcome = talk(|qemu| {
            let origin = 8192 + 6 * 256 + 3 * 4;
            canvas
                .draw(|bytes| put(bytes, origin, 256, 96, &pixels))
                .unwrap();
            let fds = vec![Fd::from(canvas.as_fd())];
            let call = (
                fds,
                3u32,
                6u32,
                24u32,
                10u32,
                vec![8192u32],
                vec![256u32],
                1u32,
                XR24,
                64u32,
                32u32,
                0u64,
                false,
            );
            qemu.dmabuf2(&call).unwrap();
            qemu.listener("UpdateDMABUF", &(0i32, 0i32, 24i32, 10i32))
                .unwrap();
            // The same part, but the buffer ends before it does.
            let fds = vec![Fd::from(canvas.as_fd())];
            let call = (
                fds,
                41u32,
                6u32,
                24u32,
                10u32,
                vec![8192u32],
                vec![256u32],
                1u32,
                XR24,
                64u32,
                32u32,
                0u64,
                false,
            );
            let error = qemu.dmabuf2(&call).unwrap_err();
            assert!(error.contains("content rectangle 41,6 24x10"), "{error}");
        });
        let EventKind::Scanout(scanout) = &outcome.events[0].kind else {
            panic!("{name}")
        };
        assert_eq!(scanout.view.content, Rect::new(3, 6, 24, 10));
        assert_eq!(scanout.layout.size, Size::new(64, 32));
        assert_eq!(replay(&outcome.events), pixels, "{name}");
    }
}
