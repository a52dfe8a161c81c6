//! The backend as programs get it, fed with the dma-bufs of every provider that
//! the machine has: what is staged is what the core's definition says, to the
//! last sample, and lossless encoders give it back.

mod support;

use std::num::NonZeroU32;
use std::time::Duration;

use scanout_core::buffer::Orientation;
use scanout_core::buffer::alloc::Provider;
use scanout_core::encoder::{
    Chroma, Codec, EncoderConfig, Frame, HostSurface, Picture, PictureRequest, RateControl,
    StageConfig, Stager,
};
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Rect, Size};
use support::drawn::{self, Drawn};
use support::*;

/// Neither side even, and no row a multiple of anything.
const ODD: Size = Size::new(161, 91);
/// Rows that begin anywhere in a page.
const ODD_PLACE: &[(u8, u32, u32)] = &[(0, 4096 + 388, 161 * 4 + 20)];

fn frame_of(drawn: &Drawn, number: u64, damage: Damage) -> Frame {
    let at = Duration::from_millis(number * 16);
    // Acquired as real producers are: by the fences in the dma-buf.
    Frame::new(number, drawn.buffer.clone().into(), damage, at)
}

/// All that was staged is what the definition says, padding included.
#[track_caller]
fn assert_exact(picture: &Picture, drawn: &Drawn, config: &StageConfig, what: &str) {
    let layout = picture.surface::<HostSurface>().unwrap().layout();
    let coded = layout.coded();
    let expected = drawn.reference(layout, config.color, coded);
    let seen = samples(picture, coded);
    let differ = seen.iter().zip(&expected).filter(|(a, b)| a != b).count();
    assert_eq!(seen.len(), expected.len(), "{what}");
    assert_eq!(differ, 0, "{what}: of {} samples", seen.len());
}

fn stage_drawn(stager: &mut dyn Stager, drawn: &Drawn, number: u64, damage: Damage) -> Picture {
    stage(stager, frame_of(drawn, number, damage))
}

/// Runs `check` for each provider of the machine.
fn each_provider(check: impl Fn(&Provider)) {
    for provider in drawn::real_providers().unwrap_or_default() {
        println!("{provider}");
        check(&provider);
    }
}

#[test]
fn rgb_of_every_provider_is_staged_exactly_whichever_way_up() {
    each_provider(|provider| {
        for (fourcc, seed) in [(Fourcc::XRGB8888, 1), (Fourcc::ARGB8888, 2)] {
            let layout = drawn::layout(fourcc, ODD, ODD_PLACE);
            let mut drawn = Drawn::new(provider, &layout, seed);
            let config = StageConfig::new(ODD);
            let mut stager = stager(&config);
            for number in 0..4 {
                drawn.buffer = drawn.buffer.with_orientation(match number % 2 {
                    0 => Orientation::TopDown,
                    _ => Orientation::BottomUp,
                });
                let picture = stage_drawn(&mut *stager, &drawn, number, Damage::full(ODD));
                let what = format!("{provider} {fourcc} {number}");
                assert_exact(&picture, &drawn, &config, &what);
            }
        }
    });
}

#[test]
fn a_part_of_a_buffer_is_staged_exactly() {
    each_provider(|provider| {
        let layout = drawn::layout(Fourcc::XRGB8888, ODD, ODD_PLACE);
        let mut drawn = Drawn::new(provider, &layout, 5);
        let part = Rect::new(31, 17, 99, 63);
        drawn.buffer = drawn.buffer.with_content(part).unwrap();
        let config = StageConfig::new(part.size());
        let damage = Damage::full(part.size());
        let picture = stage_drawn(&mut *stager(&config), &drawn, 0, damage);
        assert_exact(&picture, &drawn, &config, &provider.to_string());
    });
}

#[test]
fn planes_in_one_object_and_in_two_are_staged_exactly() {
    let size = Size::new(126, 66);
    each_provider(|provider| {
        for places in [
            [(0, 100, 134), (0, 100 + 134 * 66 + 38, 142)],
            [(0, 4096 + 70, 134), (1, 38, 142)],
        ] {
            let layout = drawn::layout(Fourcc::NV12, size, &places);
            let drawn = Drawn::new(provider, &layout, 3);
            let config = StageConfig::new(size);
            let picture = stage_drawn(&mut *stager(&config), &drawn, 0, Damage::full(size));
            assert_exact(&picture, &drawn, &config, &format!("{provider} {places:?}"));
        }
    });
}

#[test]
fn damage_alone_keeps_every_surface_of_the_pool_exact() {
    each_provider(|provider| {
        let layout = drawn::layout(Fourcc::XRGB8888, ODD, ODD_PLACE);
        let mut drawn = Drawn::new(provider, &layout, 0);
        let config = StageConfig::new(ODD);
        let mut stager = stager(&config);
        let mut held = None;
        for number in 0..12u32 {
            let damage = match number {
                0 => Damage::full(ODD),
                _ => {
                    let (x, y) = (number * 37 % 140, number * 23 % 80);
                    let rect = Rect::new(x, y, 1 + number * 5 % 21, 1 + number * 7 % 11);
                    let (right, bottom) = (rect.right(), rect.bottom());
                    drawn.redraw(number, |px, py| {
                        (x..right).contains(&px) && (y..bottom).contains(&py)
                    });
                    Damage::from(rect)
                }
            };
            let picture = stage_drawn(&mut *stager, &drawn, number.into(), damage);
            assert_exact(&picture, &drawn, &config, &format!("{provider} {number}"));
            // Surfaces of another age each time.
            held = if number % 3 == 0 { Some(picture) } else { None };
        }
        drop(held);
    });
}

#[test]
fn lossless_h264_of_a_dma_buf_decodes_to_the_definition_of_the_conversion() {
    if !installed().contains(&"x264enc") {
        return;
    }
    let size = Size::new(160, 90);
    let place = [(0, 388, 160 * 4 + 20)];
    each_provider(|provider| {
        for (chroma, pix_fmt) in [(Chroma::C420, "yuv420p"), (Chroma::C444, "yuv444p")] {
            let layout = drawn::layout(Fourcc::XRGB8888, size, &place);
            let mut drawn = Drawn::new(provider, &layout, 0);
            let mut config = StageConfig::new(size);
            config.chroma = chroma;
            let mut stager = stager(&config);
            let mut lossless = EncoderConfig::new(Codec::H264);
            lossless.encoder = Some("x264enc".to_owned());
            lossless.rate = RateControl::ConstantQp { qp: 0 };
            lossless.threads = NonZeroU32::new(1);
            let mut encoder = stager.encoder(&lossless).unwrap();
            let (mut packets, mut expected) = (Vec::new(), Vec::new());
            for number in 0..5 {
                drawn.redraw(number, |_, _| true);
                let damage = Damage::full(size);
                let picture = stage_drawn(&mut *stager, &drawn, number.into(), damage);
                let layout = *picture.surface::<HostSurface>().unwrap().layout();
                expected.extend(drawn.reference(&layout, config.color, size));
                let plain = PictureRequest::plain();
                packets.push(encode(&mut *encoder, &picture, &plain).unwrap());
            }
            let folder = Folder::new(&format!("lossless-{chroma}"));
            let file = folder.path("a.h264");
            write_stream(&file, Codec::H264, size, &packets);
            let decoded = ffmpeg_decode(&file, pix_fmt);
            assert!(decoded == expected, "{provider} {chroma}");
        }
    });
}
