//! Pictures: drawn for the tests, read as clients write them, and compared.

use std::fs::{self, File};
use std::path::Path;

/// Red, green and blue, a byte each, rows from the top.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) rgb: Vec<u8>,
}

impl Picture {
    fn of(width: usize, height: usize, pixel: impl Fn(usize, usize) -> [u8; 3]) -> Self {
        let rows = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let rgb = rows.flat_map(|(x, y)| pixel(x, y)).collect();
        Self { width, height, rgb }
    }

    /// Saturated colours that change slowly, so that chroma at half the resolution
    /// loses little, and hard edges in grey at places that are multiples of nothing.
    /// Nothing of it looks the same upside down or a pixel further.
    pub(crate) fn chart(width: usize, height: usize) -> Self {
        Self::of(width, height, |x, y| {
            let turn = x as f64 / width as f64 + 0.3 * y as f64 / height as f64;
            let cell = ((x / 9) as u32).wrapping_mul(2_654_435_761)
                ^ ((y / 7) as u32).wrapping_mul(2_246_822_519);
            let cell = (cell ^ cell >> 15).wrapping_mul(0x2c1b_3c6d) >> 24;
            let grey = match cell {
                0..50 => -48.0,
                50..100 => 48.0,
                _ => 0.0,
            };
            [0.0, 1.0, 2.0].map(|third: f64| {
                let angle = std::f64::consts::TAU * (turn - third / 3.0);
                (128.0 + 72.0 * angle.cos() + grey).round() as u8
            })
        })
    }

    /// The same with a square in another place for each `step`, of a grey of its own.
    pub(crate) fn with_step(&self, step: usize) -> Self {
        let mut picture = self.clone();
        let (left, top) = (
            16 + 37 * step % (self.width - 64),
            24 + 53 * step % (self.height - 80),
        );
        let grey = if step.is_multiple_of(2) { 245 } else { 12 };
        for y in top..top + 32 {
            let start = (y * self.width + left) * 3;
            picture.rgb[start..start + 32 * 3].fill(grey);
        }
        picture
    }

    pub(crate) fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        let at = (y * self.width + x) * 3;
        [self.rgb[at], self.rgb[at + 1], self.rgb[at + 2]]
    }

    pub(crate) fn write_png(&self, path: &Path) {
        let file = File::create(path).unwrap();
        let mut encoder = png::Encoder::new(file, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&self.rgb).unwrap();
    }

    /// As XRGB8888 has it in memory.
    pub(crate) fn bgrx(&self) -> Vec<u8> {
        let pixels = self.rgb.chunks_exact(3);
        pixels.flat_map(|p| [p[2], p[1], p[0], 0xff]).collect()
    }

    /// A binary PPM, as spicy-screenshot writes it.
    pub(crate) fn read_ppm(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap();
        let mut at = 0;
        let mut word = || {
            let start = at
                + bytes[at..]
                    .iter()
                    .position(|b| !b.is_ascii_whitespace())
                    .unwrap();
            let end = start
                + bytes[start..]
                    .iter()
                    .position(u8::is_ascii_whitespace)
                    .unwrap();
            at = end;
            std::str::from_utf8(&bytes[start..end]).unwrap().to_owned()
        };
        assert_eq!(word(), "P6");
        let (width, height) = (word().parse().unwrap(), word().parse().unwrap());
        assert_eq!(word(), "255");
        let rgb = bytes[at + 1..].to_vec();
        assert_eq!(rgb.len(), width * height * 3, "{width}x{height}");
        Self { width, height, rgb }
    }

    /// An XWD dump of a screen of depth 24, as Xvfb keeps it; `None` while it is not whole.
    pub(crate) fn read_xwd(path: &Path) -> Option<Self> {
        let bytes = fs::read(path).ok()?;
        let field = |n: usize| {
            let word = bytes.get(4 * n..4 * n + 4)?;
            Some(u32::from_be_bytes(word.try_into().ok()?) as usize)
        };
        let (header, width, height) = (field(0)?, field(4)?, field(5)?);
        assert_eq!(
            (field(1)?, field(11)?),
            (7, 32),
            "XWD version, bits per pixel"
        );
        let little_endian = field(7)? == 0;
        let (stride, colors) = (field(12)?, field(19)?);
        let pixels = bytes.get(header + 12 * colors..)?;
        if pixels.len() < stride * height {
            return None;
        }
        Some(Self::of(width, height, |x, y| {
            let p = &pixels[y * stride + 4 * x..][..4];
            if little_endian {
                [p[2], p[1], p[0]]
            } else {
                [p[1], p[2], p[3]]
            }
        }))
    }

    /// The part of it of `size` at a place.
    pub(crate) fn cut(&self, left: usize, top: usize, width: usize, height: usize) -> Self {
        Self::of(width, height, |x, y| self.pixel(left + x, top + y))
    }

    /// Where in it `part` is, or something that looks like it.
    pub(crate) fn find(&self, part: &Self) -> Option<(usize, usize)> {
        // Enough places to tell pictures apart, and few enough to try every offset.
        let probes: Vec<(usize, usize)> = (0..200)
            .map(|n| (n * 7919 % part.width, n * 104_729 % part.height))
            .collect();
        let across = self.width.checked_sub(part.width)?;
        let down = self.height.checked_sub(part.height)?;
        // A tenth of the whole scale at every component is nothing like it.
        let mut best = (200 * 3 * 25, None);
        for (top, left) in (0..=down).flat_map(|y| (0..=across).map(move |x| (y, x))) {
            let mut sum = 0;
            for &(x, y) in &probes {
                let (a, b) = (self.pixel(left + x, top + y), part.pixel(x, y));
                sum += a
                    .iter()
                    .zip(b)
                    .map(|(a, b)| u32::from(a.abs_diff(b)))
                    .sum::<u32>();
                if sum >= best.0 {
                    break;
                }
            }
            if sum < best.0 {
                best = (sum, Some((left, top)));
            }
        }
        best.1
    }
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Picture({}x{})", self.width, self.height)
    }
}

/// Over all components, in decibels; 99 where there is no difference.
pub(crate) fn psnr(a: &Picture, b: &Picture) -> f64 {
    assert_eq!((a.width, a.height), (b.width, b.height));
    let squares = a.rgb.iter().zip(&b.rgb);
    let sum: u64 = squares.map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum();
    if sum == 0 {
        return 99.0;
    }
    10.0 * (255.0 * 255.0 * a.rgb.len() as f64 / sum as f64).log10()
}

/// What a picture would look like were something wrong.
pub(crate) fn mistakes(of: &Picture) -> Vec<(&'static str, Picture)> {
    let (w, h) = (of.width, of.height);
    let at = |x: usize, y: usize| of.pixel(x.min(w - 1), y.min(h - 1));
    let moved = |dx: usize, dy: usize| Picture::of(w, h, |x, y| at(x + dx, y + dy));
    let scaled = |cw: usize, ch: usize| Picture::of(w, h, |x, y| at(x * w / cw, y * h / ch));
    vec![
        ("a pixel to the left", moved(1, 0)),
        ("a pixel up", moved(0, 1)),
        ("upside down", Picture::of(w, h, |x, y| at(x, h - 1 - y))),
        (
            "red and blue swapped",
            Picture::of(w, h, |x, y| {
                let [r, g, b] = at(x, y);
                [b, g, r]
            }),
        ),
        ("stretched by two pixels", scaled(w + 2, h + 2)),
        ("BT.709 taken for BT.601", recolored(of, BT709, BT601, 1.0)),
        ("BT.601 taken for BT.709", recolored(of, BT601, BT709, 1.0)),
        (
            "full range taken for limited",
            recolored(of, BT709, BT709, 255.0 / 219.0),
        ),
        (
            "limited range taken for full",
            recolored(of, BT709, BT709, 219.0 / 255.0),
        ),
    ]
}

/// Weights of red and blue in luma.
const BT709: (f64, f64) = (0.2126, 0.0722);
const BT601: (f64, f64) = (0.299, 0.114);

/// Coded with one matrix, decoded with another, and stretched about grey.
fn recolored(of: &Picture, coded: (f64, f64), decoded: (f64, f64), stretch: f64) -> Picture {
    Picture::of(of.width, of.height, |x, y| {
        let [r, g, b] = of.pixel(x, y).map(f64::from);
        let (kr, kb) = coded;
        let luma = kr * r + (1.0 - kr - kb) * g + kb * b;
        let (cb, cr) = ((b - luma) / (2.0 - 2.0 * kb), (r - luma) / (2.0 - 2.0 * kr));
        let luma = (luma - 128.0) * stretch + 128.0;
        let (cb, cr) = (cb * stretch, cr * stretch);
        let (kr, kb) = decoded;
        let (r, b) = (luma + cr * (2.0 - 2.0 * kr), luma + cb * (2.0 - 2.0 * kb));
        let g = (luma - kr * r - kb * b) / (1.0 - kr - kb);
        [r, g, b].map(|c| c.round().clamp(0.0, 255.0) as u8)
    })
}

#[test]
fn a_picture_is_found_where_it_is() {
    let part = Picture::chart(160, 90);
    let whole = Picture::of(300, 200, |x, y| {
        let inside = (31..191).contains(&x) && (57..147).contains(&y);
        if inside {
            part.pixel(x - 31, y - 57)
        } else {
            [255; 3]
        }
    });
    assert_eq!(whole.find(&part), Some((31, 57)));
    let blank = Picture::of(300, 200, |_, _| [255; 3]);
    assert_eq!(blank.find(&part), None);
    assert_eq!(psnr(&whole.cut(31, 57, 160, 90), &part), 99.0);
}
