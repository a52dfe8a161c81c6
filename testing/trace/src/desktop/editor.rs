//! An editor in which somebody types: a key at a time, with a blinking caret.

use scanout_core::geometry::Damage;

use super::App;
use super::code::{GROUND, LINES, colours};
use super::noise::Rng;
use super::surface::{Area, Surface, rgb};
use super::text::{Face, Type};

/// Half a period of the caret, as toolkits have it.
const BLINK_US: u64 = 530_000;

#[derive(Debug)]
pub(super) struct Editor {
    rng: Rng,
    cell: (i32, i32),
    gutter: i32,
    rows: i32,
    /// Lines are numbered without end; the text repeats.
    first: u64,
    current: u64,
    typed: usize,
    now_us: u64,
    next_key_us: u64,
    caret_since_us: u64,
    caret_on: bool,
}

impl Editor {
    pub(super) fn new(seed: u64, surface: &Surface, text: &Type) -> Self {
        let mut rng = Rng::new(seed);
        let cell = (text.cell_width(Face::Code), text.line_height(Face::Code));
        let rows = (surface.height() / cell.1).max(1);
        let first = u64::from(rng.below(LINES.len() as u32));
        Self {
            rng,
            cell,
            gutter: cell.0 * 6,
            rows,
            first,
            // Enough room below for some seconds before the first scroll.
            current: first + (rows as u64) * 3 / 4,
            typed: 0,
            now_us: 0,
            next_key_us: 200_000,
            caret_since_us: 0,
            caret_on: true,
        }
    }

    fn line(number: u64) -> &'static str {
        LINES[(number % LINES.len() as u64) as usize]
    }

    fn row_area(&self, surface: &Surface, number: u64) -> Area {
        let row = number.saturating_sub(self.first) as i32;
        Area::new(0, row * self.cell.1, surface.width(), self.cell.1)
    }

    fn cell_area(&self, surface: &Surface, column: usize) -> Area {
        let row = self.row_area(surface, self.current);
        let x = self.gutter + column as i32 * self.cell.0;
        Area::new(x, row.y, self.cell.0, self.cell.1)
    }

    /// Draws the part of line `number` that lies in `area`.
    fn draw_line(&self, surface: &mut Surface, text: &Type, number: u64, area: Area) {
        let row = self.row_area(surface, number);
        surface.set_clip(area.intersect(row));
        let active = number == self.current;
        surface.fill(row, rgb(if active { 0x2a2d3a } else { GROUND }));
        let mut label = *b"    ";
        let mut rest = number % 1000 + 1;
        for digit in label.iter_mut().rev() {
            if rest > 0 {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        }
        let colour = rgb(if active { 0xb8bdcc } else { 0x5a6072 });
        text.draw(
            surface,
            Face::Code,
            (self.cell.0 / 2, row.y),
            &label,
            colour,
        );
        let line = Self::line(number);
        let shown = match number.cmp(&self.current) {
            std::cmp::Ordering::Less => line.len(),
            std::cmp::Ordering::Equal => self.typed.min(line.len()),
            std::cmp::Ordering::Greater => 0,
        };
        colours(line, |start, end, colour| {
            if let Some(run) = line.as_bytes().get(start..end.min(shown)) {
                let x = self.gutter + start as i32 * self.cell.0;
                text.draw(surface, Face::Code, (x, row.y), run, colour);
            }
        });
        if active && self.caret_on {
            let caret = self.cell_area(surface, self.typed);
            let width = (self.cell.0 / 4).max(1);
            surface.fill(
                Area::new(caret.x, caret.y, width, caret.height),
                rgb(0xffffff),
            );
        }
        surface.reset_clip();
    }

    fn redraw(
        &self,
        surface: &mut Surface,
        text: &Type,
        number: u64,
        area: Area,
        damage: &mut Damage,
    ) {
        self.draw_line(surface, text, number, area);
        damage.add(
            area.intersect(self.row_area(surface, number))
                .clip(surface.size()),
        );
    }

    fn new_line(&mut self, surface: &mut Surface, text: &Type, damage: &mut Damage) {
        let old = self.current;
        self.current += 1;
        let line = Self::line(self.current);
        // The editor indents by itself.
        self.typed = line.len() - line.trim_start().len();
        if self.current - self.first >= self.rows as u64 {
            self.first += 1;
            surface.scroll(Area::of(surface.size()), self.cell.1);
            damage.add(Area::of(surface.size()).clip(surface.size()));
        }
        for number in [old, self.current] {
            let row = self.row_area(surface, number);
            self.redraw(surface, text, number, row, damage);
        }
        self.next_key_us += u64::from(self.rng.range(250_000, 600_000));
    }

    fn key(&mut self, surface: &mut Surface, text: &Type, damage: &mut Damage) {
        self.caret_on = true;
        self.caret_since_us = self.next_key_us;
        if self.typed >= Self::line(self.current).len() {
            self.new_line(surface, text, damage);
            return;
        }
        let before = self.cell_area(surface, self.typed);
        self.typed += 1;
        let both = Area::new(before.x, before.y, 2 * self.cell.0, before.height);
        self.redraw(surface, text, self.current, both, damage);
        self.next_key_us += u64::from(self.rng.range(50_000, 170_000));
    }
}

impl App for Editor {
    fn paint(&mut self, surface: &mut Surface, text: &Type) {
        surface.fill(Area::of(surface.size()), rgb(GROUND));
        for row in 0..=self.rows as u64 {
            let number = self.first + row;
            let area = self.row_area(surface, number);
            if number <= self.current {
                self.draw_line(surface, text, number, area);
            }
        }
    }

    fn step(&mut self, elapsed_us: u64, surface: &mut Surface, text: &Type, damage: &mut Damage) {
        self.now_us += elapsed_us;
        while self.next_key_us <= self.now_us {
            self.key(surface, text, damage);
        }
        let on = ((self.now_us - self.caret_since_us) / BLINK_US).is_multiple_of(2);
        if on != self.caret_on {
            self.caret_on = on;
            let cell = self.cell_area(surface, self.typed);
            self.redraw(surface, text, self.current, cell, damage);
        }
    }
}
