//! Anti-aliased text from fonts that are part of the program.
//!
//! All printable ASCII is rasterised once per face, so that drawing text
//! neither allocates nor depends on what the machine has installed.

use ab_glyph::{Font, FontRef, ScaleFont};

use super::surface::{Pixel, Surface};

const FIRST: u8 = b' ';
const LAST: u8 = b'~';

/// A font in a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Face {
    /// Fixed width, for code and terminals.
    Code,
    /// Proportional, for user interfaces and running text.
    Ui,
    /// Headings.
    Title,
    /// Slides.
    Huge,
}

#[derive(Clone, Copy, Debug, Default)]
struct Glyph {
    start: usize,
    width: u32,
    height: u32,
    left: i32,
    /// From the top of the line.
    top: i32,
    /// In 1/64 pixel.
    advance: i32,
}

#[derive(Debug)]
struct Strike {
    glyphs: Vec<Glyph>,
    masks: Vec<u8>,
    line_height: i32,
}

/// The rasterised faces.
#[derive(Debug)]
pub(crate) struct Type {
    strikes: [Strike; 4],
}

/// The fonts in the program cannot be read: a bug of the build, not of the input.
#[derive(Debug, thiserror::Error)]
#[error("built-in font: {0}")]
pub struct FontError(#[from] ab_glyph::InvalidFont);

impl Type {
    /// Rasterises all faces; `scale` is 1 on a usual and 2 on a high-density screen.
    pub(crate) fn new(scale: u32) -> Result<Self, FontError> {
        let code = FontRef::try_from_slice(epaint_default_fonts::HACK_REGULAR)?;
        let ui = FontRef::try_from_slice(epaint_default_fonts::UBUNTU_LIGHT)?;
        let px = |size: f32| size * scale as f32;
        Ok(Self {
            strikes: [
                // Advances on whole pixels, as terminals do.
                Strike::new(&code, px(14.0), true),
                Strike::new(&ui, px(15.0), false),
                Strike::new(&ui, px(26.0), false),
                Strike::new(&ui, px(52.0), false),
            ],
        })
    }

    fn strike(&self, face: Face) -> &Strike {
        match face {
            Face::Code => &self.strikes[0],
            Face::Ui => &self.strikes[1],
            Face::Title => &self.strikes[2],
            Face::Huge => &self.strikes[3],
        }
    }

    /// Distance between lines in pixels.
    pub(crate) fn line_height(&self, face: Face) -> i32 {
        self.strike(face).line_height
    }

    /// Width of one character of a fixed-width face, in pixels.
    pub(crate) fn cell_width(&self, face: Face) -> i32 {
        self.strike(face).glyph(b'0').advance / 64
    }

    /// Width of `text` in pixels.
    pub(crate) fn width(&self, face: Face, text: &[u8]) -> i32 {
        let strike = self.strike(face);
        let sum: i32 = text.iter().map(|&c| strike.glyph(c).advance).sum();
        (sum + 63) / 64
    }

    /// Draws `text` with the top left of its line at (`x`, `y`); bytes that
    /// are no printable ASCII become `?`. Gives the x where the next text goes.
    pub(crate) fn draw(
        &self,
        on: &mut Surface,
        face: Face,
        (x, y): (i32, i32),
        text: &[u8],
        colour: Pixel,
    ) -> i32 {
        let strike = self.strike(face);
        let clip = on.clip();
        let mut pen = x * 64;
        // Glyphs reach a little beyond their line; one line of margin is ample.
        let misses = y - strike.line_height > clip.bottom() || y + 2 * strike.line_height < clip.y;
        for &byte in text {
            let glyph = strike.glyph(byte);
            if !misses && glyph.width > 0 {
                let mask = &strike.masks[glyph.start..][..(glyph.width * glyph.height) as usize];
                let left = (pen + 32).div_euclid(64) + glyph.left;
                on.blend_mask(mask, glyph.width, left, y + glyph.top, colour);
            }
            pen += glyph.advance;
        }
        (pen + 63).div_euclid(64)
    }
}

impl Strike {
    fn new(font: &FontRef<'_>, px: f32, whole_advance: bool) -> Self {
        let scaled = font.as_scaled(px);
        let ascent = scaled.ascent().ceil();
        let mut strike = Self {
            glyphs: Vec::with_capacity(usize::from(LAST - FIRST) + 1),
            masks: Vec::new(),
            line_height: (scaled.height() * 1.12).ceil() as i32,
        };
        for byte in FIRST..=LAST {
            let id = font.glyph_id(char::from(byte));
            let advance = scaled.h_advance(id) * 64.0;
            let mut glyph = Glyph {
                start: strike.masks.len(),
                advance: if whole_advance {
                    ((advance / 64.0).round() * 64.0) as i32
                } else {
                    advance.round() as i32
                },
                ..Glyph::default()
            };
            let placed = id.with_scale_and_position(px, ab_glyph::point(0.0, ascent));
            if let Some(outline) = font.outline_glyph(placed) {
                let bounds = outline.px_bounds();
                glyph.left = bounds.min.x as i32;
                glyph.top = bounds.min.y as i32;
                glyph.width = bounds.width() as u32;
                glyph.height = bounds.height() as u32;
                strike
                    .masks
                    .resize(glyph.start + (glyph.width * glyph.height) as usize, 0);
                let masks = &mut strike.masks;
                outline.draw(|x, y, cover| {
                    // Blending is not in linear light, which thins small
                    // text; the curve gives back the weight.
                    let cover = cover.clamp(0.0, 1.0);
                    let cover = cover + 0.45 * cover * (1.0 - cover);
                    if let Some(at) = masks.get_mut(glyph.start + (y * glyph.width + x) as usize) {
                        *at = (cover * 255.0 + 0.5) as u8;
                    }
                });
            }
            strike.glyphs.push(glyph);
        }
        strike
    }

    fn glyph(&self, byte: u8) -> &Glyph {
        let byte = if (FIRST..=LAST).contains(&byte) {
            byte
        } else {
            b'?'
        };
        &self.glyphs[usize::from(byte - FIRST)]
    }
}

#[cfg(test)]
mod tests {
    use super::super::surface::rgb;
    use super::*;
    use scanout_core::geometry::Size;

    #[test]
    fn text_has_soft_edges_and_full_cores() {
        let text = Type::new(1).unwrap();
        let mut surface = Surface::new(Size::new(200, 40), rgb(0));
        text.draw(&mut surface, Face::Code, (2, 2), b"Hello", rgb(0xffffff));
        let values: Vec<u8> = surface.bytes().chunks(4).map(|p| p[0]).collect();
        assert!(values.iter().filter(|v| (40..220).contains(*v)).count() > 40);
        assert!(values.iter().filter(|v| **v > 240).count() > 20);
    }

    #[test]
    fn unknown_bytes_draw_as_question_marks() {
        let text = Type::new(1).unwrap();
        let mut a = Surface::new(Size::new(40, 30), rgb(0));
        let mut b = a.clone();
        text.draw(&mut a, Face::Ui, (0, 0), &[0xff, 0x07], rgb(0xffffff));
        text.draw(&mut b, Face::Ui, (0, 0), b"??", rgb(0xffffff));
        assert_eq!(a.bytes(), b.bytes());
    }
}
