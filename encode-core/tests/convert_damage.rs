//! Damage-limited conversion gives the same picture as full conversion.

mod convert_common;

use convert_common::*;
use scanout_core::color::{ChromaSite, ColorSpec};
use scanout_core::convert::age::DamageHistory;
use scanout_core::convert::{Converter, PictureFormat, PictureLayout};
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Rect, Size};

/// A thousand frames of random damage through a pool of pictures, each slot
/// brought up to date only where it is behind: bit for bit what a full
/// conversion gives.
fn random_damage(fourcc: Fourcc, format: PictureFormat, site: ChromaSite, bottom_up: bool) {
    let size = Size::new(205, 83);
    let layout = PictureLayout::with_alignment(format, size, 16, 32).unwrap();
    let spec = ColorSpec {
        chroma_site: site,
        ..ColorSpec::DESKTOP
    };
    let mut random = Random(u64::from(fourcc.0) ^ 99);
    let mut frame = Frame::random(fourcc, size, &mut random);
    let mut converter = Converter::new(fourcc, size, layout, spec).unwrap();
    let mut full = vec![0; layout.total_bytes()];
    let mut pool = vec![vec![0; layout.total_bytes()]; 4];
    let mut history = DamageHistory::new(pool.len(), size);
    let (mut partial, mut whole) = (0, 0);
    for number in 0..1000 {
        // Sometimes a draw passes without any picture being written.
        for _ in 0..1 + random.below(2) {
            let mut damage = Damage::none();
            for _ in 0..random.below(5) {
                let rect = random.rect(size, 24);
                frame.scribble(rect, bottom_up, &mut random);
                damage.add(rect);
            }
            history.note(&damage);
        }
        let slot = random.below(4) as usize;
        let mut source = frame.source();
        source.bottom_up = bottom_up;
        partial += converter
            .convert(&source, &mut pool[slot], &history.take(slot))
            .unwrap()
            .pixels_converted;
        whole += converter
            .convert(&source, &mut full, &Damage::full(size))
            .unwrap()
            .pixels_converted;
        assert!(
            pool[slot] == full,
            "{fourcc} to {format:?} {site:?}: frame {number} differs"
        );
    }
    assert!(
        partial < whole / 2,
        "{partial} of {whole} samples: nothing was saved"
    );
}

#[test]
fn random_damage_equals_full_conversion_nv12() {
    random_damage(
        Fourcc::XRGB8888,
        PictureFormat::Nv12,
        ChromaSite::Left,
        false,
    );
    random_damage(
        Fourcc::ABGR8888,
        PictureFormat::Nv12,
        ChromaSite::Center,
        true,
    );
}

#[test]
fn random_damage_equals_full_conversion_i420() {
    random_damage(Fourcc::RGB888, PictureFormat::I420, ChromaSite::Left, true);
    random_damage(
        Fourcc::XRGB2101010,
        PictureFormat::I420,
        ChromaSite::Left,
        false,
    );
}

#[test]
fn random_damage_equals_full_conversion_i444() {
    random_damage(Fourcc::BGR565, PictureFormat::I444, ChromaSite::Left, false);
}

/// A changed pixel reaches the chroma of the block to its right, and the
/// coded padding: the two places a careless grid forgets.
#[test]
fn single_pixels_reach_as_far_as_the_filter() {
    let size = Size::new(99, 35);
    let layout = PictureLayout::with_alignment(PictureFormat::I420, size, 16, 64).unwrap();
    let mut random = Random(3);
    let mut frame = Frame::random(Fourcc::XRGB8888, size, &mut random);
    let mut converter = Converter::new(Fourcc::XRGB8888, size, layout, ColorSpec::DESKTOP).unwrap();
    let mut picture = vec![0; layout.total_bytes()];
    converter
        .convert(&frame.source(), &mut picture, &Damage::full(size))
        .unwrap();
    for x in [0, 31, 32, 63, 64, 95, 98] {
        for y in [0, 1, 17, 34] {
            let rect = Rect::new(x, y, 1, 1);
            frame.scribble(rect, false, &mut random);
            converter
                .convert(&frame.source(), &mut picture, &rect.into())
                .unwrap();
            let mut full = vec![0; layout.total_bytes()];
            converter
                .convert(&frame.source(), &mut full, &Damage::full(size))
                .unwrap();
            assert!(picture == full, "pixel {x},{y}");
        }
    }
}

/// Overlapping rectangles cost no more than what they cover, and nothing
/// beyond their blocks is written.
#[test]
fn overlaps_are_converted_once() {
    let size = Size::new(256, 128);
    let layout = PictureLayout::new(PictureFormat::Nv12, size).unwrap();
    let mut random = Random(5);
    let frame = Frame::random(Fourcc::XRGB8888, size, &mut random);
    let mut converter = Converter::new(Fourcc::XRGB8888, size, layout, ColorSpec::DESKTOP).unwrap();
    let mut picture = vec![0xaa; layout.total_bytes()];
    let damage: Damage = [Rect::new(32, 16, 60, 20), Rect::new(64, 26, 60, 20)]
        .into_iter()
        .collect();
    let done = converter
        .convert(&frame.source(), &mut picture, &damage)
        .unwrap();
    assert_eq!(done.pixels_converted, 64 * 10 + 96 * 10 + 64 * 10);
    assert!(!done.full);
    assert_eq!(picture[15 * 256 + 40], 0xaa);
    assert_ne!(&picture[16 * 256 + 32..][..32], &[0xaa; 32]);
    let none = converter
        .convert(&frame.source(), &mut picture, &Damage::none())
        .unwrap();
    assert_eq!(none.pixels_converted, 0);
}
