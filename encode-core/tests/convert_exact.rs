//! The reference against a model in floating point, and the fast path against both.

mod convert_common;

use convert_common::*;
use scanout_core::color::{ChromaSite, ColorSpec, Matrix, Range};
use scanout_core::convert::{
    Converter, PictureFormat, PictureLayout, PlaneView, Source, reference,
};
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Size};

/// `Round()` of H.273 on a quotient whose numerator is exact in f64: one
/// correctly rounded division, so ties are seen as ties.
fn round(numerator: f64, denominator: f64) -> f64 {
    let value = numerator / denominator;
    value.signum() * (value.abs() + 0.5).floor()
}

/// The H.273 equations in f64, colour by colour.
fn model(spec: ColorSpec, [r, g, b]: [f64; 3], peak: f64) -> [u8; 3] {
    let (kr, kb) = match spec.matrix {
        Matrix::Bt709 => (2126.0, 722.0),
        _ => (2990.0, 1140.0),
    };
    let kg = 10_000.0 - kr - kb;
    let y = kr * r + kg * g + kb * b;
    let (luma, offset, gain) = match spec.range {
        Range::Limited => (219.0, 16.0, 224.0),
        Range::Full => (255.0, 0.0, 255.0),
    };
    [
        offset + round(luma * y, 10_000.0 * peak),
        128.0 + round(gain * (10_000.0 * b - y), 2.0 * (10_000.0 - kb) * peak),
        128.0 + round(gain * (10_000.0 * r - y), 2.0 * (10_000.0 - kr) * peak),
    ]
    .map(|v| v.clamp(0.0, 255.0) as u8)
}

/// All 2^24 colours, both matrices and ranges: the model in f64, the rational
/// reference, and the fast path give the same three bytes.
#[test]
fn every_colour_is_exact() {
    // A picture that holds a sixteenth of all colours at a time.
    let size = Size::new(4096, 256);
    let layout = PictureLayout::new(PictureFormat::I444, size).unwrap();
    let mut pixels = vec![0u8; size.area() as usize * 4];
    let mut picture = vec![0u8; layout.total_bytes()];
    for spec in specs(ChromaSite::Left) {
        let mut converter = Converter::new(Fourcc::XRGB8888, size, layout, spec).unwrap();
        for part in 0..16u32 {
            for (i, pixel) in pixels.chunks_exact_mut(4).enumerate() {
                pixel.copy_from_slice(&((part << 20) | i as u32).to_le_bytes());
            }
            let source = Source::packed(Fourcc::XRGB8888, size, PlaneView::new(&pixels, 4096 * 4));
            converter
                .convert(&source, &mut picture, &Damage::full(size))
                .unwrap();
            let [luma, cb, cr] = layout.split(&picture).unwrap();
            for (i, pixel) in pixels.chunks_exact(4).enumerate() {
                let rgb = [pixel[2], pixel[1], pixel[0]];
                let fast = [luma[i], cb[i], cr[i]];
                let expected = model(spec, rgb.map(f64::from), 255.0);
                assert_eq!(fast, expected, "{spec} {rgb:?}");
                let colour = reference::Rgb {
                    components: rgb.map(u16::from),
                    peak: 255,
                };
                let (b, r) = reference::chroma(spec, rgb.map(u32::from), 1, 255);
                let exact = [reference::luma(spec, colour), b, r];
                assert_eq!(exact, expected, "{spec} {rgb:?}");
            }
        }
    }
}

/// Ten-bit colours, thinned out: reference and model agree there too.
#[test]
fn ten_bit_colours_are_exact() {
    for spec in specs(ChromaSite::Left) {
        for r in (0..1024u16).step_by(31) {
            for g in (0..1024u16).step_by(11) {
                for b in (0..1024u16).step_by(33) {
                    let colour = reference::Rgb {
                        components: [r, g, b],
                        peak: 1023,
                    };
                    let (cb, cr) = reference::chroma(spec, [r, g, b].map(u32::from), 1, 1023);
                    assert_eq!(
                        [reference::luma(spec, colour), cb, cr],
                        model(spec, [r, g, b].map(f64::from), 1023.0),
                        "{spec} {r} {g} {b}"
                    );
                }
            }
        }
    }
}

/// Corner colours have the codes that H.273 readers know by heart.
#[test]
fn known_colours_have_known_codes() {
    let limited = ColorSpec::DESKTOP;
    let full = ColorSpec {
        range: Range::Full,
        ..limited
    };
    let cases = [
        (limited, [0, 0, 0], [16, 128, 128]),
        (limited, [255, 255, 255], [235, 128, 128]),
        (limited, [255, 0, 0], [63, 102, 240]),
        (limited, [0, 0, 255], [32, 240, 118]),
        // Half a code beyond the range on either side: clipped above, 0 below.
        (full, [0, 0, 255], [18, 255, 116]),
        (full, [255, 255, 0], [237, 0, 140]),
    ];
    for (spec, rgb, expected) in cases {
        let colour = reference::Rgb {
            components: rgb,
            peak: 255,
        };
        let (cb, cr) = reference::chroma(spec, rgb.map(u32::from), 1, 255);
        assert_eq!(
            [reference::luma(spec, colour), cb, cr],
            expected,
            "{spec} {rgb:?}"
        );
    }
}

/// Every RGB format into every layout, odd sizes, loose strides, both
/// orientations, both sitings: the same bytes as the reference.
#[test]
fn fast_path_equals_reference() {
    let mut random = Random(7);
    for fourcc in RGB_FORMATS {
        for format in PICTURE_FORMATS {
            for (width, height, step) in [
                (1, 1, 2),
                (2, 3, 2),
                (33, 7, 2),
                (63, 5, 16),
                (1029, 4, 2),
                (70, 3, 64),
            ] {
                let size = Size::new(width, height);
                let layout = PictureLayout::with_alignment(format, size, step, 16).unwrap();
                let frame = Frame::random(fourcc, size, &mut random);
                let site = if random.below(2) == 0 {
                    ChromaSite::Left
                } else {
                    ChromaSite::Center
                };
                for spec in specs(site) {
                    for flipped in [false, true] {
                        let mut source = frame.source();
                        source.bottom_up = flipped;
                        let mut expected = vec![0; layout.total_bytes()];
                        reference::convert(&source, &layout, spec, &mut expected).unwrap();
                        let mut picture = vec![0; layout.total_bytes()];
                        let done = Converter::new(fourcc, size, layout, spec)
                            .unwrap()
                            .convert(&source, &mut picture, &Damage::full(size))
                            .unwrap();
                        assert!(done.full);
                        assert!(
                            picture == expected,
                            "{fourcc} {size} step {step} to {format:?}, {spec}, flipped {flipped}: {:?}",
                            picture.iter().zip(&expected).position(|(a, b)| a != b)
                        );
                    }
                }
            }
        }
    }
}

/// The reference's own filter and edges, against a model that computes in f64
/// and knows nothing of strips, blocks or integers.
#[test]
fn reference_filters_as_signalled() {
    let mut random = Random(11);
    for format in [PictureFormat::I420, PictureFormat::Nv12] {
        for site in [ChromaSite::Left, ChromaSite::Center] {
            for (width, height) in [(5, 3), (8, 6), (1, 4)] {
                let size = Size::new(width, height);
                let layout = PictureLayout::new(format, size).unwrap();
                let frame = Frame::random(Fourcc::XRGB8888, size, &mut random);
                let spec = ColorSpec {
                    chroma_site: site,
                    ..ColorSpec::DESKTOP
                };
                let mut picture = vec![0; layout.total_bytes()];
                reference::convert(&frame.source(), &layout, spec, &mut picture).unwrap();
                let planes = layout.split(&picture).unwrap();
                for cy in 0..layout.coded().height as usize / 2 {
                    for cx in 0..layout.coded().width as usize / 2 {
                        let mut mean = [0.0; 3];
                        for dy in 0..2 {
                            let taps: &[(isize, f64)] = match site {
                                ChromaSite::Left => &[(-1, 0.125), (0, 0.25), (1, 0.125)],
                                ChromaSite::Center => &[(0, 0.25), (1, 0.25)],
                            };
                            for &(dx, weight) in taps {
                                let x = (2 * cx as isize + dx).clamp(0, width as isize - 1);
                                let y = (2 * cy + dy).min(height as usize - 1);
                                let at = y * frame.stride + 4 * x as usize;
                                for (c, m) in mean.iter_mut().enumerate() {
                                    *m += weight * f64::from(frame.bytes[at + 2 - c]);
                                }
                            }
                        }
                        let [_, cb, cr] = model(spec, mean, 255.0);
                        let stride = layout.planes()[1].stride;
                        let seen = if format == PictureFormat::Nv12 {
                            [
                                planes[1][cy * stride + 2 * cx],
                                planes[1][cy * stride + 2 * cx + 1],
                            ]
                        } else {
                            [planes[1][cy * stride + cx], planes[2][cy * stride + cx]]
                        };
                        assert_eq!(seen, [cb, cr], "{format:?} {site:?} {size} at {cx},{cy}");
                    }
                }
            }
        }
    }
}
