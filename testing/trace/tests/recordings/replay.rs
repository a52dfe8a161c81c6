//! Recordings as buffers again: memory like the producer's, imported with the
//! layout that it had.

use std::os::fd::AsFd;
use std::time::Duration;

use scanout_core::buffer::alloc::Provider;
use scanout_core::buffer::{
    CacheBudget, CpuReader, DmaBuf, ImportPolicy, Layout, Orientation, Plane, ReadError,
    SourceBuffer, View,
};
use scanout_core::format::{self, Fourcc};
use scanout_core::geometry::{Rect, Size};
use scanout_rig::machine;
use scanout_trace::recording::{
    Delivery, Event, EventKind, Object, Patch, Player, RecordingReader, Scanout, Update,
};

use super::written;
use crate::producer::{INTEL_4_TILED, Producer, picture};

const LIMIT: Duration = Duration::from_secs(1);

/// Where memory can be had here: dma-bufs, and memfds everywhere.
fn providers() -> Vec<Provider> {
    let mut providers = machine::dma_buf_providers();
    let found = providers.contains(&Provider::Udmabuf);
    let _ = machine::or_skip("udmabuf", found.then_some(()));
    // Dumb buffers are a display's, one provider more of the same.
    providers.retain(|provider| !matches!(provider, Provider::Dumb(_)));
    providers.push(Provider::Memfd);
    providers
}

/// What a player shows, in memory of `provider`.
fn replayed(player: &Player, provider: &Provider) -> DmaBuf {
    let scanout = player.scanout().unwrap();
    let objects: Vec<_> = player
        .objects()
        .map(|bytes| {
            let memory = provider.allocate(bytes.len() as u64).unwrap();
            let mut canvas = memory.into_canvas().unwrap();
            canvas
                .draw(|to| to[..bytes.len()].copy_from_slice(bytes))
                .unwrap();
            canvas
        })
        .collect();
    let fds: Vec<_> = objects.iter().map(|o| o.allocation().as_fd()).collect();
    let policy = ImportPolicy::default().with_memfd();
    DmaBuf::import(&fds, &scanout.layout, &policy)
        .unwrap()
        .with_content(scanout.view.content)
        .unwrap()
        .with_orientation(scanout.view.orientation)
}

/// The picture in a buffer, top-down, plane after plane without gaps.
fn pixels(buffer: DmaBuf) -> Vec<u8> {
    let view = buffer.view();
    let info = format::info(buffer.layout().fourcc).unwrap();
    let source = SourceBuffer::from(buffer);
    let mut reader = CpuReader::new(CacheBudget::default());
    let read = reader.read(&source, LIMIT).unwrap();
    let mut pixels = Vec::new();
    for (plane, from) in info.planes.iter().zip(read.planes()) {
        let (h, v) = (u32::from(plane.h_sub), u32::from(plane.v_sub));
        let (content, block) = (view.content, usize::from(plane.block_bytes));
        let (first, rows) = (content.y / v, content.height.div_ceil(v));
        let left = (content.x / h) as usize * block;
        let right = left + content.width.div_ceil(h) as usize * block;
        for row in 0..rows {
            let row = match view.orientation {
                Orientation::TopDown => first + row,
                Orientation::BottomUp => first + rows - 1 - row,
            };
            pixels.extend(&from.row(row as usize)[left..right]);
        }
    }
    pixels
}

#[test]
fn recorded_buffers_are_imported_again_with_their_pixels() {
    for provider in providers() {
        let (mut buffers, mut two_planes) = (0, 0);
        for seed in 1..6 {
            let producer = Producer::after(seed * 77, 40);
            let file = written(&producer.events, Duration::ZERO);
            let mut player = Player::new();
            let reader = RecordingReader::new(&file[..]).unwrap();
            for (event, state) in reader.zip(&producer.states) {
                player.apply(&event.unwrap()).unwrap();
                let Some((scanout, objects)) = state else {
                    continue;
                };
                // The producer's tiled layouts are none that a driver takes.
                if scanout.layout.modifier == INTEL_4_TILED {
                    continue;
                }
                let buffer = replayed(&player, &provider);
                assert_eq!(buffer.layout(), &scanout.layout);
                assert_eq!(pixels(buffer), picture(scanout, objects), "{provider}");
                buffers += 1;
                two_planes += usize::from(scanout.objects.len() == 2);
            }
        }
        assert!(buffers > 40 && two_planes > 5, "{buffers}, {two_planes}");
    }
}

/// Nobody here reads tiles: the bytes must be the ones that were handed over, at
/// the same places, in a buffer that is imported with the same modifier.
#[test]
fn a_tiled_buffer_of_two_planes_is_imported_as_it_was() {
    let size = Size::new(120, 60);
    let plane = |object, offset| Plane {
        object,
        offset,
        stride: 128,
    };
    let planes = [plane(0, 4096), plane(1, 0)];
    let first: Vec<u8> = (0..4096 + 128 * 64).map(|n| (n % 251) as u8).collect();
    let mut second: Vec<u8> = (0..128 * 32).map(|n| (n % 241) as u8).collect();
    let object = |id, bytes: &[u8]| Object {
        id,
        size: bytes.len() as u64,
        exporter: Some("i915".to_owned()),
    };
    let scanout = Scanout {
        delivery: Delivery::DmaBuf,
        layout: Layout {
            fourcc: Fourcc::NV12,
            modifier: INTEL_4_TILED,
            size,
            planes: planes.into_iter().collect(),
        },
        view: View::of(size),
        objects: vec![object(1, &first), object(2, &second)],
        patches: Scanout::capture(&[&first, &second]),
    };
    second[2000] ^= 1;
    let rect = Rect::new(8, 8, 2, 2);
    let patches = scanout.capture_rect(rect, true, &[&first, &second]);
    let patches: Vec<Patch> = patches.unwrap();
    let events = [
        Event::new(Duration::ZERO, EventKind::Scanout(scanout.clone())),
        Event::new(LIMIT, EventKind::Update(Update { rect, patches })),
    ];
    let file = written(&events, Duration::ZERO);
    let mut player = Player::new();
    for event in RecordingReader::new(&file[..]).unwrap() {
        player.apply(&event.unwrap()).unwrap();
    }
    assert_eq!(player.objects().collect::<Vec<_>>(), [&first[..], &second]);
    for provider in providers() {
        let buffer = replayed(&player, &provider);
        assert_eq!(buffer.layout(), &scanout.layout);
        let mut reader = CpuReader::new(CacheBudget::default());
        let buffer = SourceBuffer::from(buffer);
        let refused = reader.read(&buffer, LIMIT);
        assert!(matches!(refused, Err(ReadError::NotLinear { .. })));
    }
}
