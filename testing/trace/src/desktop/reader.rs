//! A browser-like window with a long article that is scrolled by the wheel.

use scanout_core::geometry::Damage;

use super::App;
use super::noise::{Rng, Sine, hash};
use super::photo::Photo;
use super::surface::{Area, Pixel, Surface, rgb};
use super::text::{Face, Type};

const WORDS: &[&str] = &[
    "the",
    "of",
    "a",
    "and",
    "to",
    "frame",
    "picture",
    "in",
    "display",
    "is",
    "buffer",
    "that",
    "for",
    "each",
    "colour",
    "with",
    "as",
    "encoder",
    "on",
    "by",
    "its",
    "screen",
    "from",
    "window",
    "are",
    "pixel",
    "or",
    "which",
    "stream",
    "at",
    "latency",
    "not",
    "when",
    "memory",
    "damage",
    "one",
    "kernel",
    "this",
    "motion",
    "but",
    "network",
    "can",
    "guest",
    "viewer",
    "has",
    "time",
    "fence",
    "before",
    "compositor",
    "after",
    "driver",
    "every",
    "plane",
    "only",
    "bandwidth",
    "than",
    "surface",
    "two",
    "measured",
    "while",
    "region",
    "without",
    "hardware",
];

/// Lines of one section: a heading, the text, and an empty line.
const SECTION: i64 = 11;

#[derive(Debug)]
pub(super) struct Reader {
    seed: u64,
    rng: Rng,
    sine: Sine,
    line: i32,
    bar: i32,
    scale: i32,
    /// Scroll position in 1/1000 pixel.
    position: i64,
    speed: i64,
    phase_left_us: u64,
}

impl Reader {
    pub(super) fn new(seed: u64, scale: u32, text: &Type) -> Self {
        let line = text.line_height(Face::Ui) + 4;
        let mut rng = Rng::new(seed);
        let start = i64::from(rng.below(40)) * i64::from(line);
        Self {
            seed,
            rng,
            sine: Sine::new(),
            line,
            bar: line + 12 * scale as i32,
            scale: scale as i32,
            position: start * 1000,
            speed: 0,
            phase_left_us: 150_000,
        }
    }

    /// The page below the address bar, without the scroll bar.
    fn page(&self, surface: &Surface) -> Area {
        let bar = self.bar.min(surface.height() / 2);
        let width = surface.width() - 12 * self.scale;
        Area::new(0, bar, width.max(1), surface.height() - bar)
    }

    fn top(&self) -> i64 {
        self.position / 1000
    }

    /// Draws what of the page lies in `area`.
    fn draw_page(&self, surface: &mut Surface, text: &Type, area: Area) {
        let page = self.page(surface);
        let area = area.intersect(page);
        surface.set_clip(area);
        surface.fill(area, rgb(0xfcfcfa));
        let line = i64::from(self.line);
        let offset = |y: i32| self.top() + i64::from(y - page.y);
        // Figures reach below the line that carries them.
        let first = (offset(area.y) / line / SECTION) * SECTION;
        // A heading stands a little higher than its line: hence one line more.
        for number in first..=offset(area.bottom()) / line + 1 {
            let y = page.y + (number * line - self.top()) as i32;
            self.draw_line(surface, text, page, number, y);
        }
        surface.reset_clip();
    }

    fn draw_line(&self, surface: &mut Surface, text: &Type, page: Area, number: i64, y: i32) {
        let section = (number / SECTION) as u64;
        let margin = (page.width / 12).min(60 * self.scale);
        let column = page.width - 2 * margin;
        let figure = hash(self.seed, section, 1).is_multiple_of(3) && column > 300 * self.scale;
        match number % SECTION {
            0 => {
                let (x, y) = (page.x + margin, y - self.line / 4);
                self.words(
                    surface,
                    text,
                    Face::Title,
                    (x, y),
                    column * 2 / 3,
                    number,
                    rgb(0x1d2733),
                );
            }
            1 if figure => {
                let area = Area::new(
                    page.x + margin + column * 3 / 5,
                    y + self.line / 4,
                    column * 2 / 5,
                    self.line * 8,
                );
                let photo = Photo::new(hash(self.seed, section, 2), 5, area.width, area.height);
                surface.shade(area, photo.still(&self.sine));
                self.body(surface, text, page.x + margin, y, column * 11 / 20, number);
            }
            10 => {}
            row => {
                let width = match (row, figure) {
                    (9, _) => column * 2 / 5,
                    (_, true) => column * 11 / 20,
                    _ => column,
                };
                self.body(surface, text, page.x + margin, y, width, number);
            }
        }
    }

    fn body(&self, surface: &mut Surface, text: &Type, x: i32, y: i32, width: i32, number: i64) {
        self.words(
            surface,
            text,
            Face::Ui,
            (x, y),
            width,
            number,
            rgb(0x2b2b2b),
        );
    }

    #[allow(clippy::too_many_arguments)]
    fn words(
        &self,
        surface: &mut Surface,
        text: &Type,
        face: Face,
        (x, y): (i32, i32),
        width: i32,
        number: i64,
        colour: Pixel,
    ) {
        let mut rng = Rng::new(hash(self.seed, number as u64, 3));
        let mut pen = x;
        loop {
            let word = WORDS[rng.below(WORDS.len() as u32) as usize].as_bytes();
            if pen + text.width(face, word) > x + width {
                return;
            }
            // One word in twelve is a link.
            let link = face == Face::Ui && rng.below(12) == 0;
            let colour = if link { rgb(0x1a5fb4) } else { colour };
            let end = text.draw(surface, face, (pen, y), word, colour);
            if link {
                let under = y + text.line_height(face) * 4 / 5;
                surface.fill(Area::new(pen, under, end - pen, 1), colour);
            }
            pen = end + text.width(face, b" ");
        }
    }

    fn track(&self, surface: &Surface) -> Area {
        let page = self.page(surface);
        Area::new(
            page.right(),
            page.y,
            surface.width() - page.right(),
            page.height,
        )
    }

    fn draw_track(&self, surface: &mut Surface) {
        let track = self.track(surface);
        surface.fill(track, rgb(0xe4e4e2));
        let thumb = (track.height / 8).max(8).min(track.height);
        let room = i64::from((track.height - thumb).max(1));
        let y = track.y + (self.top() / 40 % room) as i32;
        surface.fill(
            Area::new(track.x + 2, y, track.width - 4, thumb),
            rgb(0x9a9a98),
        );
    }

    fn draw_bar(&self, surface: &mut Surface, text: &Type) {
        let page = self.page(surface);
        let bar = Area::new(0, 0, surface.width(), page.y);
        surface.fill(bar, rgb(0xe9e9ed));
        surface.fill(Area::new(0, page.y - 1, bar.width, 1), rgb(0xc4c4ca));
        let s = self.scale;
        let field = Area::new(86 * s, 5 * s, bar.width - 120 * s, bar.height - 10 * s);
        surface.fill(field, rgb(0xffffff));
        let y = (bar.height - text.line_height(Face::Ui)) / 2;
        for (n, sign) in [&b"<"[..], b">", b"o"].into_iter().enumerate() {
            text.draw(
                surface,
                Face::Ui,
                ((12 + 26 * n as i32) * s, y),
                sign,
                rgb(0x55555f),
            );
        }
        surface.set_clip(field.intersect(bar));
        text.draw(
            surface,
            Face::Ui,
            (field.x + 10 * s, y),
            b"https://example.org/articles/the-life-of-a-frame",
            rgb(0x3a3a44),
        );
        surface.reset_clip();
    }

    fn next_phase(&mut self) {
        let reading = self.speed != 0;
        if reading {
            self.speed = 0;
            self.phase_left_us = u64::from(self.rng.range(150_000, 500_000));
        } else {
            let pixels = i64::from(self.rng.range(300, 1500)) * i64::from(self.scale);
            let back = self.rng.below(4) == 0;
            self.speed = if back { -pixels } else { pixels };
            self.phase_left_us = u64::from(self.rng.range(400_000, 1_500_000));
        }
    }
}

impl App for Reader {
    fn paint(&mut self, surface: &mut Surface, text: &Type) {
        self.draw_page(surface, text, Area::of(surface.size()));
        self.draw_bar(surface, text);
        self.draw_track(surface);
    }

    fn step(&mut self, elapsed_us: u64, surface: &mut Surface, text: &Type, damage: &mut Damage) {
        let before = self.top();
        let mut left = elapsed_us;
        while left > 0 {
            let part = left.min(self.phase_left_us);
            // Pixels per second times microseconds is 1/1000 pixel times 1000.
            self.position = (self.position + self.speed * part as i64 / 1000).max(0);
            left -= part;
            self.phase_left_us -= part;
            if self.phase_left_us == 0 {
                self.next_phase();
            }
        }
        let moved = self.top() - before;
        if moved == 0 {
            return;
        }
        let page = self.page(surface);
        match i32::try_from(moved) {
            Ok(moved) if moved.abs() < page.height => {
                surface.scroll(page, moved);
                let y = if moved > 0 {
                    page.bottom() - moved
                } else {
                    page.y
                };
                self.draw_page(surface, text, Area::new(page.x, y, page.width, moved.abs()));
            }
            _ => self.draw_page(surface, text, page),
        }
        self.draw_track(surface);
        damage.add(page.clip(surface.size()));
        damage.add(self.track(surface).clip(surface.size()));
    }
}
