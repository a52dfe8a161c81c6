//! Pixels and the few drawing operations that a desktop needs, all clipped.

use scanout_core::geometry::{Rect, Size};

/// A colour as it lies in memory: blue, green, red, and 0xff.
pub(crate) type Pixel = [u8; 4];

/// The pixel of 0xRRGGBB.
pub(crate) const fn rgb(code: u32) -> Pixel {
    [code as u8, (code >> 8) as u8, (code >> 16) as u8, 0xff]
}

/// `a` at weight 0, `b` at weight 256.
pub(crate) fn mix(a: Pixel, b: Pixel, weight: u32) -> Pixel {
    let weight = weight.min(256);
    let one = |a: u8, b: u8| ((u32::from(a) * (256 - weight) + u32::from(b) * weight) >> 8) as u8;
    [one(a[0], b[0]), one(a[1], b[1]), one(a[2], b[2]), 0xff]
}

/// A rectangle that may lie partly or wholly outside the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Area {
    pub(crate) x: i32,
    pub(crate) y: i32,
    pub(crate) width: i32,
    pub(crate) height: i32,
}

impl Area {
    pub(crate) const fn new(x: i32, y: i32, width: i32, height: i32) -> Self {
        Self {
            x,
            y,
            width,
            height,
        }
    }

    pub(crate) const fn of(size: Size) -> Self {
        Self::new(0, 0, size.width as i32, size.height as i32)
    }

    pub(crate) const fn right(self) -> i32 {
        self.x + self.width
    }

    pub(crate) const fn bottom(self) -> i32 {
        self.y + self.height
    }

    pub(crate) const fn moved(self, dx: i32, dy: i32) -> Self {
        Self::new(self.x + dx, self.y + dy, self.width, self.height)
    }

    pub(crate) fn intersect(self, other: Self) -> Self {
        let x = self.x.max(other.x);
        let y = self.y.max(other.y);
        Self::new(
            x,
            y,
            (self.right().min(other.right()) - x).max(0),
            (self.bottom().min(other.bottom()) - y).max(0),
        )
    }

    pub(crate) fn is_empty(self) -> bool {
        self.width <= 0 || self.height <= 0
    }

    pub(crate) fn contains(self, other: Self) -> bool {
        self.intersect(other) == other
    }

    /// The part inside a picture of `size`.
    pub(crate) fn clip(self, size: Size) -> Rect {
        let inside = self.intersect(Self::of(size));
        if inside.is_empty() {
            return Rect::default();
        }
        Rect::new(
            inside.x as u32,
            inside.y as u32,
            inside.width as u32,
            inside.height as u32,
        )
    }
}

impl From<Rect> for Area {
    /// For rectangles inside a picture, whose numbers fit.
    fn from(rect: Rect) -> Self {
        Self::new(
            rect.x as i32,
            rect.y as i32,
            rect.width as i32,
            rect.height as i32,
        )
    }
}

/// A picture of tightly packed pixels, and the clip of what is drawn into it.
#[derive(Clone, Debug)]
pub(crate) struct Surface {
    size: Size,
    clip: Area,
    pixels: Vec<Pixel>,
}

impl Surface {
    /// A picture of `size` in one colour.
    pub(crate) fn new(size: Size, colour: Pixel) -> Self {
        Self {
            size,
            clip: Area::of(size),
            pixels: vec![colour; size.width as usize * size.height as usize],
        }
    }

    pub(crate) fn size(&self) -> Size {
        self.size
    }

    pub(crate) fn width(&self) -> i32 {
        self.size.width as i32
    }

    pub(crate) fn height(&self) -> i32 {
        self.size.height as i32
    }

    /// The pixels as bytes B, G, R, X, rows of `4 * width` bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.pixels.as_flattened()
    }

    /// Limits drawing to `area` until the next call.
    pub(crate) fn set_clip(&mut self, area: Area) {
        self.clip = area.intersect(Area::of(self.size));
    }

    /// Lets drawing reach the whole picture again.
    pub(crate) fn reset_clip(&mut self) {
        self.clip = Area::of(self.size);
    }

    pub(crate) fn clip(&self) -> Area {
        self.clip
    }

    /// The pixels of row `y` from `x` on for `width`; the caller has clipped them.
    fn span(&mut self, x: i32, y: i32, width: i32) -> &mut [Pixel] {
        let start = y as usize * self.size.width as usize + x as usize;
        &mut self.pixels[start..start + width as usize]
    }

    /// Fills `area`.
    pub(crate) fn fill(&mut self, area: Area, colour: Pixel) {
        let area = area.intersect(self.clip);
        if area.is_empty() {
            return;
        }
        for y in area.y..area.bottom() {
            self.span(area.x, y, area.width).fill(colour);
        }
    }

    /// Calls `shade(x, y)` for each pixel of `area` inside the clip, with
    /// coordinates relative to `area`.
    pub(crate) fn shade(&mut self, area: Area, mut shade: impl FnMut(i32, i32) -> Pixel) {
        let inside = area.intersect(self.clip);
        if inside.is_empty() {
            return;
        }
        for y in inside.y..inside.bottom() {
            let row = self.span(inside.x, y, inside.width);
            for (x, pixel) in (inside.x - area.x..).zip(row) {
                *pixel = shade(x, y - area.y);
            }
        }
    }

    /// A vertical gradient over `area`.
    pub(crate) fn gradient(&mut self, area: Area, top: Pixel, bottom: Pixel) {
        for y in 0..area.height {
            let colour = mix(top, bottom, (y * 256 / area.height) as u32);
            self.fill(Area::new(area.x, area.y + y, area.width, 1), colour);
        }
    }

    /// Darkens each pixel of `area` by `weight(x, y)` of 256 (coordinates of this picture).
    pub(crate) fn darken(&mut self, area: Area, weight: impl Fn(i32, i32) -> u32) {
        let area = area.intersect(self.clip);
        if area.is_empty() {
            return;
        }
        for y in area.y..area.bottom() {
            for (x, pixel) in (area.x..).zip(self.span(area.x, y, area.width)) {
                let keep = 256 - weight(x, y).min(256);
                for channel in &mut pixel[..3] {
                    *channel = ((u32::from(*channel) * keep) >> 8) as u8;
                }
            }
        }
    }

    /// Copies `from` so that its top left corner comes to (`x`, `y`).
    pub(crate) fn blit(&mut self, from: &Surface, x: i32, y: i32) {
        let area = Area::of(from.size).moved(x, y).intersect(self.clip);
        if area.is_empty() {
            return;
        }
        for row in area.y..area.bottom() {
            let start = (row - y) as usize * from.size.width as usize + (area.x - x) as usize;
            self.span(area.x, row, area.width)
                .copy_from_slice(&from.pixels[start..start + area.width as usize]);
        }
    }

    /// Blends `colour` through a mask of `width` columns, 0..=255 each, at (`x`, `y`).
    pub(crate) fn blend_mask(&mut self, mask: &[u8], width: u32, x: i32, y: i32, colour: Pixel) {
        if width == 0 {
            return;
        }
        let rows = mask.len() as i32 / width as i32;
        let area = Area::new(x, y, width as i32, rows).intersect(self.clip);
        if area.is_empty() {
            return;
        }
        for row in area.y..area.bottom() {
            let start = (row - y) as usize * width as usize + (area.x - x) as usize;
            let cover = &mask[start..start + area.width as usize];
            for (pixel, &cover) in self.span(area.x, row, area.width).iter_mut().zip(cover) {
                match cover {
                    0 => {}
                    255 => *pixel = colour,
                    // 0..=255 to 0..=256, so that full cover is the colour itself.
                    _ => *pixel = mix(*pixel, colour, u32::from(cover) + u32::from(cover >> 7)),
                }
            }
        }
    }

    /// Moves the rows of `area` up by `rows` (down when negative). What comes
    /// in at the edge keeps its old pixels, for the caller to draw.
    pub(crate) fn scroll(&mut self, area: Area, rows: i32) {
        let area = area.intersect(Area::of(self.size));
        let height = area.height - rows.abs();
        if area.is_empty() || height <= 0 || rows == 0 {
            return;
        }
        let stride = self.size.width as usize;
        let mut copy = |to: i32| {
            let from = (to + rows) as usize * stride + area.x as usize;
            let to = to as usize * stride + area.x as usize;
            self.pixels
                .copy_within(from..from + area.width as usize, to);
        };
        if rows > 0 {
            (area.y..area.y + height).for_each(&mut copy);
        } else {
            (area.y - rows..area.bottom()).rev().for_each(&mut copy);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scrolling_moves_rows_both_ways() {
        for rows in [-9i32, -3, -1, 1, 2, 8] {
            let size = Size::new(5, 9);
            let mut surface = Surface::new(size, rgb(0));
            for y in 0..9 {
                surface.fill(Area::new(0, y, 5, 1), rgb(y as u32));
            }
            surface.scroll(Area::new(1, 0, 3, 9), rows);
            for y in 0..9 {
                let from = y + rows;
                let expected = if (0..9).contains(&from) { from } else { y };
                let row = &surface.bytes()[y as usize * 20..][..20];
                assert_eq!(i32::from(row[4]), expected, "row {y} by {rows}");
                assert_eq!(i32::from(row[0]), y, "outside the area");
            }
        }
    }

    #[test]
    fn nothing_is_drawn_outside_the_clip() {
        let mut surface = Surface::new(Size::new(8, 8), rgb(0));
        surface.set_clip(Area::new(2, 2, 3, 3));
        surface.fill(Area::new(-5, -5, 100, 100), rgb(0xffffff));
        surface.blend_mask(&[255; 64], 8, -1, -1, rgb(0xff0000));
        surface.blit(&Surface::new(Size::new(20, 20), rgb(0xff)), -4, -4);
        let lit = surface
            .bytes()
            .chunks(4)
            .filter(|p| p[..3] != [0; 3])
            .count();
        assert_eq!(lit, 9);
    }
}
