//! A window: title bar, contents and shadow, composed into the screen.

use scanout_core::geometry::{Rect, Size};

use super::surface::{Area, Surface, rgb};
use super::text::{Face, Type};

#[derive(Debug)]
pub(super) struct Window {
    x: i32,
    y: i32,
    bar: Surface,
    pub(super) client: Surface,
    /// Shadow strength, 0..=256, by the distance from the window.
    falloff: Vec<u32>,
}

impl Window {
    /// A window whose outer `area` (with the title bar, without the shadow) is at least 1x2.
    pub(super) fn new(area: Rect, title: &str, scale: u32, text: &Type) -> Self {
        let height = area.height.max(2);
        let width = area.width.max(1);
        let bar_height = (30 * scale).min(height / 4).max(1);
        let reach = 22 * scale;
        let mut window = Self {
            x: area.x as i32,
            y: area.y as i32,
            bar: Surface::new(Size::new(width, bar_height), rgb(0xebebeb)),
            client: Surface::new(Size::new(width, height - bar_height), rgb(0xffffff)),
            falloff: (0..=reach)
                .map(|d| 256 * (reach - d) * (reach - d) / (reach * reach))
                .collect(),
        };
        window.draw_bar(title, scale as i32, text);
        window
    }

    fn draw_bar(&mut self, title: &str, scale: i32, text: &Type) {
        let bar = &mut self.bar;
        let (width, height) = (bar.width(), bar.height());
        bar.gradient(Area::new(0, 0, width, height), rgb(0xf2f2f2), rgb(0xdedede));
        bar.fill(Area::new(0, height - 1, width, 1), rgb(0xbdbdbd));
        let label = title.as_bytes();
        let x = (width - text.width(Face::Ui, label)) / 2;
        let y = (height - text.line_height(Face::Ui)) / 2;
        text.draw(bar, Face::Ui, (x.max(6 * scale), y), label, rgb(0x2e2e2e));
        let radius = 7 * scale;
        for (n, colour) in [0xe5534b, 0xe0b040, 0x57ab5a].into_iter().enumerate() {
            let cx = width - (16 + 22 * n as i32) * scale;
            let cy = height / 2;
            for dy in -radius..=radius {
                let half = (radius * radius - dy * dy).isqrt();
                bar.fill(Area::new(cx - half, cy + dy, 2 * half + 1, 1), rgb(colour));
            }
        }
    }

    /// Title bar and contents.
    pub(super) fn opaque(&self) -> Area {
        Area::new(
            self.x,
            self.y,
            self.bar.width(),
            self.bar.height() + self.client.height(),
        )
    }

    fn reach(&self) -> i32 {
        self.falloff.len() as i32 - 1
    }

    /// Everything that the window changes on the screen, with the shadow.
    pub(super) fn outer(&self) -> Area {
        let (area, reach) = (self.opaque(), self.reach());
        Area::new(
            area.x - reach,
            area.y - reach,
            area.width + 2 * reach,
            // The shadow falls a little downwards.
            area.height + 2 * reach + reach / 4,
        )
    }

    /// Where the contents are on the screen.
    pub(super) fn client_area(&self) -> Area {
        Area::of(self.client.size()).moved(self.x, self.y + self.bar.height())
    }

    /// The middle of the title bar, where one takes hold of it.
    pub(super) fn handle(&self) -> (i32, i32) {
        (
            self.x + self.bar.width() / 3,
            self.y + self.bar.height() / 2,
        )
    }

    pub(super) fn move_to(&mut self, (x, y): (i32, i32)) {
        (self.x, self.y) = (x, y);
    }

    pub(super) fn position(&self) -> (i32, i32) {
        (self.x, self.y)
    }

    /// Draws what lies in the clip of `screen`.
    pub(super) fn paint(&self, screen: &mut Surface) {
        let (window, outer) = (self.opaque(), self.outer());
        if outer.intersect(screen.clip()).is_empty() {
            return;
        }
        let lower = window.moved(0, self.reach() / 4);
        let falloff = |d: i32| self.falloff.get(d.max(0) as usize).copied().unwrap_or(0);
        let weight = |x: i32, y: i32| {
            let dx = (lower.x - x).max(x - lower.right() + 1);
            let dy = (lower.y - y).max(y - lower.bottom() + 1);
            // 110 of 256 next to the window.
            (110 * falloff(dx) * falloff(dy)) >> 16
        };
        let strip = |x, y, right, bottom| Area::new(x, y, right - x, bottom - y);
        for part in [
            strip(outer.x, outer.y, outer.right(), window.y),
            strip(outer.x, window.y, window.x, window.bottom()),
            strip(window.right(), window.y, outer.right(), window.bottom()),
            strip(outer.x, window.bottom(), outer.right(), outer.bottom()),
        ] {
            screen.darken(part, weight);
        }
        screen.blit(&self.bar, self.x, self.y);
        screen.blit(&self.client, self.x, self.y + self.bar.height());
    }
}
