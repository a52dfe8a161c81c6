//! A terminal with coloured text on coloured ground: what 4:2:0 handles worst.

use scanout_core::geometry::Damage;

use super::App;
use super::noise::{Rng, hash};
use super::surface::{Area, Surface, rgb};
use super::text::{Face, Type};

/// Saturated pairs of ink and ground.
const PAIRS: [(u32, u32); 10] = [
    (0xff3030, 0x0000a8),
    (0x00ff60, 0x800080),
    (0xffff00, 0xc00000),
    (0x0000ff, 0x00b000),
    (0xff00ff, 0x005858),
    (0x00ffff, 0xa02020),
    (0xff8000, 0x202080),
    (0x000000, 0xffff00),
    (0xff0000, 0x00ff00),
    (0xffffff, 0xd00060),
];

const WORDS: &[&str] = &[
    "error[E0308]",
    "PASS",
    "warning:",
    "src/main.rs:42",
    "+added",
    "-removed",
    "FAILED",
    "eth0",
    "0xdeadbeef",
    "ok",
    "HEAD -> main",
    "127.0.0.1",
    "OOM",
    "GET /index 200",
    "cpu7",
    "retry=3",
];

const GROUND: u32 = 0x101014;
const METERS: i32 = 4;
const METER_US: u64 = 250_000;
const LINE_US: u64 = 120_000;

#[derive(Debug)]
pub(super) struct Terminal {
    seed: u64,
    cell: (i32, i32),
    now_us: u64,
    meters: u64,
    /// Number of the line below the last one shown.
    lines: u64,
}

impl Terminal {
    pub(super) fn new(seed: u64, text: &Type) -> Self {
        Self {
            seed,
            cell: (text.cell_width(Face::Code), text.line_height(Face::Code)),
            now_us: 0,
            meters: 0,
            lines: 1000,
        }
    }

    /// Where the log scrolls: whole rows below the meters.
    fn log(&self, surface: &Surface) -> Area {
        let top = self.cell.1 * METERS;
        Area::new(0, top, surface.width(), (surface.height() - top).max(0))
    }

    fn rows(&self, surface: &Surface) -> i32 {
        self.log(surface).height / self.cell.1
    }

    fn draw_meter(&self, surface: &mut Surface, text: &Type, row: i32) -> Area {
        let (w, h) = self.cell;
        let area = Area::new(0, row * h, surface.width(), h);
        surface.fill(area, rgb(GROUND));
        let load = (hash(self.seed, self.meters, row as u64) % 97) as i32;
        let name = [b' ', b'0' + row as u8, b' ', b'['];
        let x = text.draw(surface, Face::Code, (0, area.y), &name, rgb(0x40d0ff));
        let room = ((surface.width() - x) / w - 8).max(1);
        let bars = room * load / 100;
        for n in 0..bars {
            let colour = match n * 100 / room {
                0..40 => 0x20e040,
                40..70 => 0xe0e020,
                _ => 0xff4040,
            };
            text.draw(surface, Face::Code, (x + n * w, area.y), b"|", rgb(colour));
        }
        let percent = [
            b'0' + (load / 10) as u8,
            b'0' + (load % 10) as u8,
            b'%',
            b']',
        ];
        text.draw(
            surface,
            Face::Code,
            (x + room * w, area.y),
            &percent,
            rgb(0xc0c0c0),
        );
        area
    }

    fn draw_row(&self, surface: &mut Surface, text: &Type, number: u64, y: i32) {
        let (w, h) = self.cell;
        let area = Area::new(0, y, surface.width(), h);
        surface.set_clip(area);
        surface.fill(area, rgb(GROUND));
        let mut rng = Rng::new(hash(self.seed, number, 77));
        let mut x = w / 2;
        let count = rng.range(2, 7);
        for _ in 0..count {
            let (ink, ground) = PAIRS[rng.below(PAIRS.len() as u32) as usize];
            let word = WORDS[rng.below(WORDS.len() as u32) as usize].as_bytes();
            let width = text.width(Face::Code, word);
            surface.fill(Area::new(x - w / 2, y, width + w, h), rgb(ground));
            text.draw(surface, Face::Code, (x, y), word, rgb(ink));
            x += width + 2 * w;
        }
        surface.reset_clip();
    }
}

impl App for Terminal {
    fn paint(&mut self, surface: &mut Surface, text: &Type) {
        surface.fill(Area::of(surface.size()), rgb(GROUND));
        for row in 0..METERS {
            self.draw_meter(surface, text, row);
        }
        let rows = self.rows(surface);
        for row in 0..rows {
            let number = self.lines - (rows - row) as u64;
            let y = self.log(surface).y + row * self.cell.1;
            self.draw_row(surface, text, number, y);
        }
    }

    fn step(&mut self, elapsed_us: u64, surface: &mut Surface, text: &Type, damage: &mut Damage) {
        let before = self.now_us;
        self.now_us += elapsed_us;
        if before / METER_US != self.now_us / METER_US {
            self.meters = self.now_us / METER_US;
            for row in 0..METERS {
                let area = self.draw_meter(surface, text, row);
                damage.add(area.clip(surface.size()));
            }
        }
        let fresh = self.now_us / LINE_US - before / LINE_US;
        let rows = self.rows(surface);
        if fresh == 0 || rows == 0 {
            return;
        }
        let log = Area {
            height: rows * self.cell.1,
            ..self.log(surface)
        };
        let fresh_rows = fresh.min(rows as u64) as i32;
        surface.scroll(log, fresh_rows * self.cell.1);
        self.lines += fresh;
        for n in 0..fresh_rows {
            let y = log.bottom() - (n + 1) * self.cell.1;
            self.draw_row(surface, text, self.lines - 1 - n as u64, y);
        }
        damage.add(log.clip(surface.size()));
    }
}
