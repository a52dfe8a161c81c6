//! The pixels that are read are those that were drawn, whatever exporter holds them
//! and however the planes lie.

use std::time::Duration;

use scanout_core::buffer::{CpuReader, DmaBuf, ImportPolicy, Orientation, SourceBuffer};
use scanout_core::encoder::Frame;
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Rect, Size};
use scanout_rig::drawing::{self, Arrangement};
use scanout_rig::{machine, staged};

const LIMIT: Duration = Duration::from_secs(5);
/// Odd, so that chroma rounds up, and no stride is a multiple of anything.
const SIZE: Size = Size::new(71, 37);
/// Alignments of 4, 1, 2 and 1 bytes; one, one, two and three planes.
const FORMATS: [Fourcc; 4] = [
    Fourcc::XRGB8888,
    Fourcc::RGB888,
    Fourcc::NV12,
    Fourcc::YUV420,
];

#[test]
fn the_cpu_reads_what_was_drawn() {
    for provider in machine::providers() {
        let mut reader = CpuReader::default();
        for fourcc in FORMATS {
            for (seed, arrangement) in (1..).zip(Arrangement::all(fourcc, SIZE)) {
                let scanout = arrangement.allocate(&provider, seed).unwrap();
                let source = scanout.source().unwrap();
                let read = reader.read(&source, LIMIT).unwrap();
                let difference = drawing::difference(read.planes(), fourcc, SIZE, seed);
                assert_eq!(
                    difference, None,
                    "{provider}, {fourcc}, {}: plane, row, byte",
                    arrangement.name
                );
            }
        }
    }
}

#[test]
fn staging_makes_the_picture_of_what_was_drawn() {
    for provider in machine::providers() {
        let mut staging = staged::staging(SIZE, LIMIT).unwrap();
        for fourcc in FORMATS {
            for (seed, arrangement) in (1..).zip(Arrangement::all(fourcc, SIZE)) {
                let scanout = arrangement.allocate(&provider, seed).unwrap();
                let frame = Frame::new(
                    0,
                    scanout.source().unwrap(),
                    Damage::full(SIZE),
                    Duration::ZERO,
                );
                let picture = staged::stage(&mut staging, frame).unwrap();
                assert!(
                    staged::bytes(&picture) == staged::expected(fourcc, SIZE, seed).unwrap(),
                    "{provider}, {fourcc}, {}",
                    arrangement.name
                );
            }
        }
    }
}

/// What a producer draws next is seen through the map that is kept.
#[test]
fn a_buffer_drawn_again_is_read_afresh() {
    for provider in machine::providers() {
        let arrangement = &Arrangement::all(Fourcc::NV12, SIZE)[2];
        let mut scanout = arrangement.allocate(&provider, 0).unwrap();
        let source = scanout.source().unwrap();
        let mut reader = CpuReader::default();
        for seed in 1..6 {
            scanout.redraw(seed).unwrap();
            let read = reader.read(&source, LIMIT).unwrap();
            let difference = drawing::difference(read.planes(), Fourcc::NV12, SIZE, seed);
            assert_eq!(difference, None, "{provider}, picture {seed}");
        }
        assert_eq!((reader.stats().misses, reader.stats().hits), (1, 4));
    }
}

/// The same objects in the other order hold another picture.
#[test]
fn planes_are_looked_for_in_the_objects_that_they_name() {
    for provider in machine::providers() {
        let arrangement = &Arrangement::all(Fourcc::NV12, SIZE)[2];
        let scanout = arrangement.allocate(&provider, 4).unwrap();
        let mut fds = scanout.fds();
        fds.reverse();
        let mut layout = scanout.layout().clone();
        for plane in &mut layout.planes {
            plane.object = 1 - plane.object;
        }
        let same = DmaBuf::import(&fds, &layout, &ImportPolicy::default()).unwrap();
        let same = SourceBuffer::from(same);
        let mut reader = CpuReader::default();
        let read = reader.read(&same, LIMIT).unwrap();
        let difference = drawing::difference(read.planes(), Fourcc::NV12, SIZE, 4);
        assert_eq!(difference, None, "{provider}: both exchanged");
    }
}

/// One buffer given twice, as QEMU gives NV12 whose planes share their memory.
#[test]
fn planes_may_lie_in_one_buffer_that_is_given_twice() {
    for provider in machine::providers() {
        let arrangement = &Arrangement::all(Fourcc::NV12, SIZE)[1];
        let scanout = arrangement.allocate(&provider, 5).unwrap();
        let fd = scanout.fds()[0];
        let mut layout = scanout.layout().clone();
        layout.planes[1].object = 1;
        let buffer = DmaBuf::import(&[fd, fd], &layout, &ImportPolicy::default()).unwrap();
        assert_eq!(buffer.objects()[0].id(), buffer.objects()[1].id());
        let source = SourceBuffer::from(buffer);
        let mut reader = CpuReader::default();
        let read = reader.read(&source, LIMIT).unwrap();
        let difference = drawing::difference(read.planes(), Fourcc::NV12, SIZE, 5);
        assert_eq!(difference, None, "{provider}");
    }
}

#[test]
fn a_part_of_a_scanout_upside_down_is_staged_the_right_way_up() {
    let content = Rect::new(12, 7, 40, 22);
    for provider in machine::providers() {
        let arrangement = &Arrangement::all(Fourcc::XRGB8888, SIZE)[1];
        let scanout = arrangement.allocate(&provider, 6).unwrap();
        let whole = scanout.import().unwrap();
        let top_down = whole.with_content(content).unwrap();
        let bottom_up = top_down.clone().with_orientation(Orientation::BottomUp);
        let mut staging = staged::staging(content.size(), LIMIT).unwrap();
        let mut stage = |buffer: DmaBuf| {
            let damage = Damage::full(content.size());
            let frame = Frame::new(0, buffer.into(), damage, Duration::ZERO);
            let picture = staged::stage(&mut staging, frame).unwrap();
            let luma = staging.layout().planes()[0];
            let rows: Vec<Vec<u8>> = (0..22)
                .map(|y| {
                    let start = luma.offset + y * luma.stride;
                    staged::bytes(&picture)[start..start + 40].to_vec()
                })
                .collect();
            rows
        };
        let upright = stage(top_down);
        let mut flipped = stage(bottom_up);
        assert_ne!(upright, flipped, "{provider}");
        flipped.reverse();
        assert_eq!(upright, flipped, "{provider}");
        // The grey of a pixel says where it came from.
        let grey = |x: usize, y: usize| {
            let channel = |c| u32::from(drawing::byte(0, y, x * 4 + c, 6));
            // BT.709 luma of blue, green, red.
            (channel(0) * 722 + channel(1) * 7152 + channel(2) * 2126) / 10000
        };
        for (x, y) in [(0, 0), (39, 0), (0, 21), (39, 21), (17, 9)] {
            let seen = u32::from(upright[y][x]);
            let limited = 16 + grey(x + 12, y + 7) * 219 / 255;
            assert!(seen.abs_diff(limited) <= 1, "{provider}: {seen}, {limited}");
        }
    }
}
