//! What stands behind and above the windows: wallpaper, and a panel with a clock.

use scanout_core::geometry::Size;

use super::noise::Sine;
use super::photo::Photo;
use super::surface::{Area, Pixel, Surface, rgb};
use super::text::{Face, Type};

const GROUND: Pixel = rgb(0x1b1b1f);
const INK: Pixel = rgb(0xe6e6e6);

/// The bar at the top edge of the screen.
#[derive(Debug)]
pub(super) struct Panel {
    pub(super) surface: Surface,
    /// Seconds since midnight.
    clock: u64,
}

impl Panel {
    pub(super) fn new(size: Size, clock: u64, text: &Type) -> Self {
        let mut surface = Surface::new(size, GROUND);
        let y = (surface.height() - text.line_height(Face::Ui)) / 2;
        let pad = text.line_height(Face::Ui);
        let mut x = pad / 2;
        for label in [&b"Activities"[..], b"Files", b"Editor", b"Player"] {
            x = pad + text.draw(&mut surface, Face::Ui, (x, y), label, INK);
        }
        let load = b"wifi  87%";
        let x = surface.width() - text.width(Face::Ui, load) - pad / 2;
        let right = x.max(surface.width() * 3 / 4);
        text.draw(&mut surface, Face::Ui, (right, y), load, INK);
        let mut panel = Self { surface, clock };
        panel.draw_clock(text);
        panel
    }

    /// Sets the clock, and gives the place that changed.
    pub(super) fn set_clock(&mut self, clock: u64, text: &Type) -> Option<Area> {
        if clock == self.clock {
            return None;
        }
        self.clock = clock;
        Some(self.draw_clock(text))
    }

    fn draw_clock(&mut self, text: &Type) -> Area {
        let mut label = *b"Tue 00:00:00";
        let parts = [
            self.clock / 3600 % 24,
            self.clock / 60 % 60,
            self.clock % 60,
        ];
        for (n, value) in parts.into_iter().enumerate() {
            label[4 + 3 * n] = b'0' + (value / 10) as u8;
            label[5 + 3 * n] = b'0' + (value % 10) as u8;
        }
        let surface = &mut self.surface;
        let width = text.width(Face::Ui, b"Tue 00:00:00") + 8;
        let area = Area::new((surface.width() - width) / 2, 0, width, surface.height());
        surface.set_clip(area);
        surface.fill(area, GROUND);
        let y = (surface.height() - text.line_height(Face::Ui)) / 2;
        text.draw(surface, Face::Ui, (area.x + 4, y), &label, rgb(0xffffff));
        surface.reset_clip();
        area
    }
}

/// A landscape with a few icons.
pub(super) fn draw_wallpaper(
    surface: &mut Surface,
    text: &Type,
    sine: &Sine,
    seed: u64,
    scale: i32,
) {
    let (width, height) = (surface.width(), surface.height());
    let photo = Photo::new(seed, 0, width, height);
    surface.shade(Area::new(0, 0, width, height), photo.still(sine));
    let labels: [&[u8]; 4] = [b"Home", b"Projects", b"Captures", b"Trash"];
    for (n, label) in labels.into_iter().enumerate() {
        let x = width - 76 * scale;
        let y = height / 2 + n as i32 * 96 * scale;
        let icon = Area::new(x, y, 44 * scale, 36 * scale);
        surface.fill(
            Area::new(x, y - 5 * scale, 20 * scale, 6 * scale),
            rgb(0xd9a441),
        );
        surface.gradient(icon, rgb(0xf4c463), rgb(0xdb9b33));
        let left = x + (icon.width - text.width(Face::Ui, label)) / 2;
        let under = icon.bottom() + 4 * scale;
        text.draw(
            surface,
            Face::Ui,
            (left + 1, under + 1),
            label,
            rgb(0x101010),
        );
        text.draw(surface, Face::Ui, (left, under), label, rgb(0xffffff));
    }
}
