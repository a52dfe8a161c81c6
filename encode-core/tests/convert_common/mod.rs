//! Frames of random pixels for the conversion tests.
#![allow(dead_code, unreachable_pub)]

use scanout_core::color::{ChromaSite, ColorSpec, Matrix, Range};
use scanout_core::convert::{PictureFormat, PlaneView, Source};
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Rect, Size};

pub const RGB_FORMATS: [Fourcc; 16] = [
    Fourcc::XRGB8888,
    Fourcc::XBGR8888,
    Fourcc::RGBX8888,
    Fourcc::BGRX8888,
    Fourcc::ARGB8888,
    Fourcc::ABGR8888,
    Fourcc::RGBA8888,
    Fourcc::BGRA8888,
    Fourcc::RGB888,
    Fourcc::BGR888,
    Fourcc::RGB565,
    Fourcc::BGR565,
    Fourcc::XRGB2101010,
    Fourcc::XBGR2101010,
    Fourcc::ARGB2101010,
    Fourcc::ABGR2101010,
];

pub const PICTURE_FORMATS: [PictureFormat; 3] = [
    PictureFormat::Nv12,
    PictureFormat::I420,
    PictureFormat::I444,
];

/// Both matrices and both ranges.
pub fn specs(chroma_site: ChromaSite) -> [ColorSpec; 4] {
    [
        (Matrix::Bt709, Range::Limited),
        (Matrix::Bt709, Range::Full),
        (Matrix::Bt601, Range::Limited),
        (Matrix::Bt601, Range::Full),
    ]
    .map(|(matrix, range)| ColorSpec {
        matrix,
        range,
        chroma_site,
        ..ColorSpec::DESKTOP
    })
}

/// A small generator (xorshift64*): the same pictures on every machine.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, bound: u32) -> u32 {
        (((self.next() >> 32) * u64::from(bound)) >> 32) as u32
    }

    pub fn rect(&mut self, size: Size, longest: u32) -> Rect {
        let (x, y) = (self.below(size.width), self.below(size.height));
        Rect::new(x, y, 1 + self.below(longest), 1 + self.below(longest)).clip(size)
    }

    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.next().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

pub fn pixel_bytes(fourcc: Fourcc) -> usize {
    match fourcc {
        Fourcc::RGB888 | Fourcc::BGR888 => 3,
        Fourcc::RGB565 | Fourcc::BGR565 => 2,
        _ => 4,
    }
}

/// A packed RGB frame.
pub struct Frame {
    pub fourcc: Fourcc,
    pub size: Size,
    pub stride: usize,
    pub bytes: Vec<u8>,
}

impl Frame {
    /// Random pixels with a stride that is no multiple of anything, no byte
    /// behind the last pixel.
    pub fn random(fourcc: Fourcc, size: Size, random: &mut Random) -> Self {
        let row = size.width as usize * pixel_bytes(fourcc);
        let stride = row + random.below(40) as usize;
        let mut bytes = vec![0; stride * (size.height as usize - 1) + row];
        random.fill(&mut bytes);
        Self {
            fourcc,
            size,
            stride,
            bytes,
        }
    }

    pub fn source(&self) -> Source<'_> {
        Source::packed(
            self.fourcc,
            self.size,
            PlaneView::new(&self.bytes, self.stride),
        )
    }

    /// Scribbles over the pixels of `rect`, top-down.
    pub fn scribble(&mut self, rect: Rect, bottom_up: bool, random: &mut Random) {
        let bytes = pixel_bytes(self.fourcc);
        for y in rect.y..rect.bottom() {
            let y = if bottom_up {
                self.size.height - 1 - y
            } else {
                y
            };
            let at = y as usize * self.stride + rect.x as usize * bytes;
            random.fill(&mut self.bytes[at..at + rect.width as usize * bytes]);
        }
    }
}
