//! The same path fed with the kernel's own dma-bufs, as a driver would get them:
//! memory that is none is refused here.

use scanout_core::buffer::Orientation;
use scanout_core::buffer::alloc::Provider;
use scanout_core::convert::{PictureFormat, PictureLayout};
use scanout_core::encoder::{Picture, PictureRequest};
use scanout_core::format::Fourcc;
use scanout_core::geometry::Size;

use super::*;
use crate::support::drawn::{self, Drawn};

/// No row of the source begins on a cache line.
pub(super) const SIZE: Size = Size::new(126, 66);
pub(super) const RGB: &[(u8, u32, u32)] = &[(0, 388, 126 * 4 + 12)];

fn stager() -> GpuStager {
    stager_of(&StageConfig::new(SIZE))
}

pub(super) fn stager_of(config: &StageConfig) -> GpuStager {
    let mut strict = converter();
    strict.any_memory = false;
    GpuStager::new(config, stand_in::offer(), &strict, 0).unwrap()
}

pub(super) fn each_provider(check: impl Fn(&Provider)) {
    if !ready() {
        return;
    }
    for provider in drawn::real_providers().unwrap_or_default() {
        println!("{provider}");
        check(&provider);
    }
}

pub(super) fn of(drawn: &Drawn, number: u64) -> Frame {
    let mut frame = frame(number, drawn.buffer.clone());
    frame.damage = Damage::full(SIZE);
    // By the fences in the dma-buf.
    frame.acquire = Acquire::Implicit;
    frame
}

/// What the core makes of `drawn`.
fn defined(drawn: &Drawn) -> Vec<u8> {
    let layout = PictureLayout::new(PictureFormat::Nv12, SIZE).unwrap();
    let color = StageConfig::new(SIZE).color;
    drawn.reference(&layout, color, SIZE)
}

#[track_caller]
pub(super) fn assert_near(picture: &Picture, drawn: &Drawn, what: &str) {
    let seen = nv12_of(picture, SIZE);
    let luma = (SIZE.width * SIZE.height) as usize;
    let expected = defined(drawn);
    // videoconvert rounds otherwise and takes chroma without its neighbours.
    for (seen, expected) in [
        (&seen[..luma], &expected[..luma]),
        (&seen[luma..], &expected[luma..]),
    ] {
        let psnr = support::psnr(seen, expected);
        assert!(psnr > 36.0, "{what}: {psnr} dB");
    }
}

#[test]
fn rgb_of_every_provider_becomes_the_picture_whichever_way_up() {
    each_provider(|provider| {
        let layout = drawn::layout(Fourcc::XRGB8888, SIZE, RGB);
        let mut drawn = Drawn::new(provider, &layout, 0);
        let mut stager = stager();
        for number in 0..4 {
            drawn.redraw(number, |_, _| true);
            drawn.buffer = drawn.buffer.with_orientation(match number % 2 {
                0 => Orientation::TopDown,
                _ => Orientation::BottomUp,
            });
            let picture = support::stage(&mut stager, of(&drawn, number.into()));
            assert_eq!(picture.info().path, PathClass::GpuCopy);
            assert_near(&picture, &drawn, &format!("{provider} {number}"));
        }
    });
}

#[test]
fn planes_in_one_dma_buf_and_in_two_become_the_picture_unchanged() {
    each_provider(|provider| {
        for places in [
            [(0, 100, 134), (0, 100 + 134 * 66 + 38, 142)],
            [(0, 4096 + 70, 134), (1, 38, 142)],
        ] {
            let layout = drawn::layout(Fourcc::NV12, SIZE, &places);
            let drawn = Drawn::new(provider, &layout, 4);
            let picture = support::stage(&mut stager(), of(&drawn, 0));
            assert!(nv12_of(&picture, SIZE) == drawn.pixels, "{provider}");
        }
    });
}

#[test]
fn buffers_that_go_round_leave_no_descriptor_behind_and_retired_ones_go_at_once() {
    each_provider(|provider| {
        let layout = drawn::layout(Fourcc::XRGB8888, SIZE, RGB);
        let ring: Vec<Drawn> = (0..3)
            .map(|seed| Drawn::new(provider, &layout, seed))
            .collect();
        let count = |ring: &[Drawn]| ring.iter().map(Drawn::descriptors).sum::<usize>();
        let own = count(&ring);
        let mut stager = stager();
        let mut encoder = stager.encoder(&EncoderConfig::new(Codec::H264)).unwrap();
        let mut seen = 0;
        for number in 0..100 {
            let drawn = &ring[number as usize % ring.len()];
            let picture = support::stage(&mut stager, of(drawn, number));
            let plain = PictureRequest::plain();
            support::encode(&mut *encoder, &picture, &plain).unwrap();
            match number {
                0..10 => seen = count(&ring),
                _ => assert_eq!(count(&ring), seen, "{provider} {number}"),
            }
        }
        // One for GStreamer's memory of each.
        assert_eq!(seen, own + ring.len(), "{provider}");
        // On the stager's thread, and pipelines are taken down by one of their own.
        let falls_to = |expected: usize| {
            let deadline = Instant::now() + support::LIMIT;
            while count(&ring) > expected {
                assert!(Instant::now() < deadline, "{provider}: {}", count(&ring));
                std::thread::sleep(Duration::from_millis(10));
            }
        };
        stager.retire(ring[0].buffer.key());
        falls_to(seen - 1);
        drop((encoder, stager));
        falls_to(own);
    });
}
