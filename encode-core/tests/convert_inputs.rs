//! Y'CbCr sources, inputs that do not fit, tile comparison and quality figures.

mod convert_common;

use std::process::Command;

use convert_common::*;
use scanout_core::color::ColorSpec;
use scanout_core::convert::tiles::TileComparer;
use scanout_core::convert::{
    ConvertError, Converter, PictureFormat, PictureLayout, PlaneView, Source, quality, reference,
};
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Rect, Size};

/// Planes of a random Y'CbCr frame: bytes, stride, and how many bytes a sample step takes.
fn yuv_planes(fourcc: Fourcc, size: Size, random: &mut Random) -> Vec<(Vec<u8>, usize)> {
    let (w, h) = (size.width as usize, size.height as usize);
    let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
    let shapes = match fourcc {
        Fourcc::YUV420 | Fourcc::YVU420 => vec![(w, h), (cw, ch), (cw, ch)],
        Fourcc::NV12 | Fourcc::NV21 => vec![(w, h), (2 * cw, ch)],
        Fourcc::YUV444 => vec![(w, h); 3],
        _ => vec![(w, h), (2 * w, h)],
    };
    shapes
        .into_iter()
        .map(|(bytes, rows)| {
            let stride = bytes + random.below(20) as usize;
            let mut data = vec![0; stride * (rows - 1) + bytes];
            random.fill(&mut data);
            (data, stride)
        })
        .collect()
}

/// Repacking changes no sample, whatever the damage, flip and odd edge.
#[test]
fn yuv_samples_keep_their_values() {
    let mut random = Random(21);
    let pairs = [
        (Fourcc::YUV420, PictureFormat::I420),
        (Fourcc::YUV420, PictureFormat::Nv12),
        (Fourcc::YVU420, PictureFormat::I420),
        (Fourcc::YVU420, PictureFormat::Nv12),
        (Fourcc::NV12, PictureFormat::I420),
        (Fourcc::NV12, PictureFormat::Nv12),
        (Fourcc::NV21, PictureFormat::I420),
        (Fourcc::NV21, PictureFormat::Nv12),
        (Fourcc::YUV444, PictureFormat::I444),
        (Fourcc::NV24, PictureFormat::I444),
    ];
    for (fourcc, format) in pairs {
        for size in [Size::new(71, 37), Size::new(64, 32), Size::new(1, 1)] {
            let step = if format.is_subsampled() { 2 } else { 1 };
            for side_step in [step, 32] {
                let layout = PictureLayout::with_alignment(format, size, side_step, 16).unwrap();
                let data = yuv_planes(fourcc, size, &mut random);
                let mut source = Source::new(
                    fourcc,
                    size,
                    data.iter().map(|(d, s)| PlaneView::new(d, *s)),
                );
                source.bottom_up = random.below(2) == 1;
                let mut converter =
                    Converter::new(fourcc, size, layout, ColorSpec::DESKTOP).unwrap();
                let mut picture = vec![0; layout.total_bytes()];
                // In two parts: together they are everything.
                let half = size.height / 2;
                for rect in [
                    Rect::new(0, 0, size.width, half),
                    Rect::new(0, half, size.width, size.height),
                ] {
                    converter
                        .convert(&source, &mut picture, &rect.into())
                        .unwrap();
                }
                let planes = layout.split(&picture).unwrap();
                let step = step as usize;
                let (w, h) = (size.width as usize, size.height as usize);
                for y in 0..layout.coded().height as usize {
                    for x in 0..layout.coded().width as usize {
                        let flip = |y: usize, rows: usize| {
                            let y = y.min(rows - 1);
                            if source.bottom_up { rows - 1 - y } else { y }
                        };
                        let expected = data[0].0[flip(y, h) * data[0].1 + x.min(w - 1)];
                        assert_eq!(planes[0][y * layout.planes()[0].stride + x], expected);
                        let (cx, cy) = (x / step, y / step);
                        let (sx, sy) = (cx.min(w.div_ceil(step) - 1), flip(cy, h.div_ceil(step)));
                        for c in 0..2 {
                            let expected = match fourcc {
                                Fourcc::YVU420 => data[2 - c].0[sy * data[2 - c].1 + sx],
                                Fourcc::NV12 | Fourcc::NV24 => {
                                    data[1].0[sy * data[1].1 + 2 * sx + c]
                                }
                                Fourcc::NV21 => data[1].0[sy * data[1].1 + 2 * sx + 1 - c],
                                _ => data[1 + c].0[sy * data[1 + c].1 + sx],
                            };
                            let stride = layout.planes()[1].stride;
                            let seen = if format == PictureFormat::Nv12 {
                                planes[1][cy * stride + 2 * cx + c]
                            } else {
                                planes[1 + c][cy * stride + cx]
                            };
                            assert_eq!(seen, expected, "{fourcc} to {format:?} {size} {x},{y}");
                        }
                    }
                }
            }
        }
    }
}

/// What does not fit is refused with its numbers, and nothing is written.
#[test]
fn hostile_frames_are_refused() {
    let size = Size::new(37, 11);
    for fourcc in RGB_FORMATS
        .into_iter()
        .chain([Fourcc::NV12, Fourcc::YVU420])
    {
        let layout = PictureLayout::new(PictureFormat::I420, size).unwrap();
        let mut converter = Converter::new(fourcc, size, layout, ColorSpec::DESKTOP).unwrap();
        let mut picture = vec![0x55; layout.total_bytes()];
        let all = Damage::full(size);
        let row = 37 * pixel_bytes(fourcc);
        let bytes = vec![0; row * 11];
        let full = PlaneView::new(&bytes, row);
        let cases: [Vec<PlaneView<'_>>; 5] = [
            vec![],
            vec![PlaneView::new(&bytes[..37 * 10], row); 3],
            vec![PlaneView::new(&[], row); 3],
            vec![PlaneView::new(&bytes, 5); 3],
            vec![PlaneView::new(&bytes, usize::MAX); 3],
        ];
        for planes in cases {
            let source = Source::new(fourcc, size, planes.clone());
            let error = converter.convert(&source, &mut picture, &all).unwrap_err();
            assert!(
                matches!(
                    error,
                    ConvertError::PlaneCount { .. }
                        | ConvertError::SourceTooShort { .. }
                        | ConvertError::Stride { .. }
                ),
                "{fourcc} {planes:?}: {error}"
            );
        }
        let good = Source::new(fourcc, size, [full; 3]);
        let short = layout.total_bytes() - 1;
        assert_eq!(
            converter.convert(&good, &mut picture[..short], &all),
            Err(ConvertError::TargetTooShort {
                have: short,
                need: short + 1
            })
        );
        let mut other = good.clone();
        other.size = Size::new(38, 11);
        assert!(matches!(
            converter.convert(&other, &mut picture, &all),
            Err(ConvertError::SourceChanged { .. })
        ));
        assert!(
            picture.iter().all(|b| *b == 0x55),
            "{fourcc}: written in spite of an error"
        );
        // Damage far outside is no error: it is clipped.
        let outside = Damage::from(Rect::new(u32::MAX, 3, u32::MAX, u32::MAX));
        let done = converter.convert(&good, &mut picture, &outside).unwrap();
        assert_eq!(done.pixels_converted, 0);
    }
}

/// Pairs and sizes that have no conversion say so when the converter is made.
#[test]
fn impossible_conversions_are_refused_early() {
    let size = Size::new(64, 64);
    let layout = PictureLayout::new(PictureFormat::I444, size).unwrap();
    for fourcc in [Fourcc::NV12, Fourcc::P010, Fourcc(0)] {
        let error = Converter::new(fourcc, size, layout, ColorSpec::DESKTOP).unwrap_err();
        assert_eq!(
            error,
            ConvertError::Unsupported {
                source_format: fourcc,
                target: PictureFormat::I444
            }
        );
    }
    for size in [
        Size::new(0, 5),
        Size::new(100_000, 2),
        Size::new(2, u32::MAX),
    ] {
        assert!(
            PictureLayout::new(PictureFormat::Nv12, size).is_err(),
            "{size}"
        );
    }
    for (side, stride) in [(1, 64), (3, 64), (128, 64), (2, 0), (2, 3), (2, 8192)] {
        assert!(
            PictureLayout::with_alignment(PictureFormat::Nv12, size, side, stride).is_err(),
            "{side} {stride}"
        );
    }
    assert!(matches!(
        Converter::new(
            Fourcc::XRGB8888,
            Size::new(63, 64),
            layout,
            ColorSpec::DESKTOP
        ),
        Err(ConvertError::SizeMismatch { .. })
    ));
    let mut short = vec![0; 10];
    let source = Source::packed(Fourcc::XRGB8888, size, PlaneView::new(&[], 256));
    assert!(reference::convert(&source, &layout, ColorSpec::DESKTOP, &mut short).is_err());
}

/// Odd pictures are coded one longer, planes do not overlap, strides are aligned.
#[test]
fn layouts_are_aligned_and_contiguous() {
    let layout = PictureLayout::new(PictureFormat::Nv12, Size::new(1366, 767)).unwrap();
    assert_eq!(layout.coded(), Size::new(1366, 768));
    assert_eq!(layout.planes()[0].stride, 1408);
    assert_eq!(layout.planes()[1].offset, 1408 * 768);
    assert_eq!(layout.total_bytes(), 1408 * 768 * 3 / 2);
    let odd = PictureLayout::new(PictureFormat::I444, Size::new(1367, 767)).unwrap();
    assert_eq!(odd.coded(), odd.visible());
}

/// The tiles found cover every changed pixel, and little else.
#[test]
fn tile_comparison_finds_what_changed() {
    let size = Size::new(515, 301);
    let mut random = Random(42);
    for bottom_up in [false, true] {
        let mut frame = Frame::random(Fourcc::XRGB8888, size, &mut random);
        let mut comparer = TileComparer::new();
        let everything = Damage::full(size);
        let mut compare = |frame: &Frame| {
            let mut source = frame.source();
            source.bottom_up = bottom_up;
            comparer.compare(&source, &everything).unwrap()
        };
        assert_eq!(compare(&frame), everything);
        assert!(compare(&frame).is_none());
        for _ in 0..100 {
            let rects: Vec<Rect> = (0..1 + random.below(3))
                .map(|_| random.rect(size, 90))
                .collect();
            for rect in &rects {
                frame.scribble(*rect, bottom_up, &mut random);
            }
            let found = compare(&frame);
            for rect in &rects {
                for (x, y) in [(rect.x, rect.y), (rect.right() - 1, rect.bottom() - 1)] {
                    let pixel = Rect::new(x, y, 1, 1);
                    assert!(
                        found.rects().iter().any(|r| r.contains(pixel)),
                        "{rect} missed"
                    );
                }
            }
            assert!(compare(&frame).is_none());
        }
        frame.scribble(Rect::new(70, 70, 1, 1), bottom_up, &mut random);
        assert_eq!(compare(&frame).rects(), &[Rect::new(64, 64, 64, 64)]);
    }
}

/// PSNR and SSIM as ffmpeg's filters print them for the same planes.
#[test]
fn quality_figures_agree_with_ffmpeg() {
    let size = Size::new(352, 290);
    let mut random = Random(77);
    let first: Vec<u8> = (0..size.area())
        .map(|i| ((i % 352) / 2 + (i / 352) / 4) as u8)
        .collect();
    let second: Vec<u8> = first
        .iter()
        .map(|v| v.saturating_add(random.below(14) as u8))
        .collect();
    let planes = (PlaneView::new(&first, 352), PlaneView::new(&second, 352));
    let psnr = quality::psnr(planes.0, planes.1, size).unwrap();
    let ssim = quality::ssim(planes.0, planes.1, size).unwrap();
    assert_eq!(quality::ssim(planes.0, planes.0, size).unwrap(), 1.0);
    assert!(
        quality::psnr(planes.0, planes.0, size)
            .unwrap()
            .is_infinite()
    );
    assert!(quality::psnr(planes.0, PlaneView::new(&second[1..], 352), size).is_err());

    let folder = std::env::temp_dir().join(format!("scanout-quality-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (a, b) = (folder.join("a.gray"), folder.join("b.gray"));
    std::fs::write(&a, &first).unwrap();
    std::fs::write(&b, &second).unwrap();
    let figure = |filter: &str, label: &str| -> Option<f64> {
        let mut command = Command::new("ffmpeg");
        command.args(["-hide_banner", "-nostdin"]);
        for file in [&a, &b] {
            command.args(["-f", "rawvideo", "-pix_fmt", "gray", "-s", "352x290", "-i"]);
            command.arg(file);
        }
        let output = command
            .args(["-lavfi", filter, "-f", "null", "-"])
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let at = text
            .rfind(label)
            .unwrap_or_else(|| panic!("no {label} in {text}"));
        text[at + label.len()..]
            .split_whitespace()
            .next()?
            .parse()
            .ok()
    };
    let figures = (figure("psnr", "average:"), figure("ssim", "All:"));
    std::fs::remove_dir_all(&folder).unwrap();
    let (Some(their_psnr), Some(their_ssim)) = figures else {
        println!("SKIPPED: ffmpeg is not installed, nothing to compare with");
        return;
    };
    assert!((psnr - their_psnr).abs() < 1e-4, "{psnr} {their_psnr}");
    assert!((ssim - their_ssim).abs() < 1e-4, "{ssim} {their_ssim}");
}
