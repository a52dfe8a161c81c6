//! A desktop that draws itself and knows what it changed.
//!
//! Four windows over a wallpaper, a panel with a clock, and a mouse pointer;
//! real text throughout. A [`Scenario`] says what happens. All changes go
//! through a compositor that redraws damaged rectangles and nothing else, so
//! the damage is true by construction: pixels outside of it cannot change.

mod code;
mod cursor;
mod editor;
mod error;
mod noise;
mod panel;
mod photo;
mod reader;
mod scenario;
mod slides;
pub(crate) mod surface;
mod terminal;
pub(crate) mod text;
mod video;
mod window;

#[cfg(test)]
mod tests;

use std::time::Duration;

use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Rect, Size};

pub use error::DesktopError;
pub use scenario::{ParseScenarioError, Scenario};
pub use text::FontError;

use cursor::Cursor;
use editor::Editor;
use noise::{Sine, hash};
use panel::{Panel, draw_wallpaper};
use reader::Reader;
use scenario::Segment;
use surface::{Area, Surface, rgb};
use terminal::Terminal;
use text::Type;
use video::Video;
use window::Window;

/// What lives in a window. Time passes for it only while it is active.
trait App {
    /// Draws everything.
    fn paint(&mut self, surface: &mut Surface, text: &Type);
    /// Lets time pass, draws what changes and adds it to `damage`.
    fn step(&mut self, elapsed_us: u64, surface: &mut Surface, text: &Type, damage: &mut Damage);
}

const EDITOR: usize = 0;
const READER: usize = 1;
const TERMINAL: usize = 2;
const VIDEO: usize = 3;

/// How long the pointer travels to where the next thing happens.
const TRAVEL_US: u64 = 300_000;
/// How long a slide stays.
const SLIDE_US: u64 = 500_000;

/// What [`Desktop::next_frame`] drew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Number of the frame, from 0.
    pub frame: u64,
    /// When it is shown, from the first frame on.
    pub time: Duration,
    /// What is happening: the name of a [`Scenario`], never `mixed`.
    pub segment: &'static str,
    /// All that changed since the frame before; everything for the first.
    pub damage: Damage,
}

/// A synthetic desktop. The same size, scenario, seed and rate give the same
/// pixels on every machine.
#[derive(Debug)]
pub struct Desktop {
    size: Size,
    scenario: Scenario,
    seed: u64,
    fps: u32,
    next: u64,
    now_us: u64,
    text: Type,
    sine: Sine,
    canvas: Surface,
    wallpaper: Surface,
    panel: Panel,
    windows: [Window; 4],
    /// Indices of `windows`, lowest first.
    order: [usize; 4],
    editor: Editor,
    reader: Reader,
    terminal: Terminal,
    video: Video,
    cursor: Cursor,
    segment: Option<Segment>,
    travel: ((i32, i32), (i32, i32)),
    drag_us: u64,
    drag_home: (i32, i32),
    slide: Option<u64>,
}

impl Desktop {
    /// Shortest side in pixels.
    pub const MIN_SIDE: u32 = 16;
    /// Longest side in pixels.
    pub const MAX_SIDE: u32 = 16384;
    /// Most pixels: 8192 x 8192.
    pub const MAX_PIXELS: u64 = 1 << 26;
    /// Highest rate in frames per second.
    pub const MAX_FPS: u32 = 1000;
    /// The format of [`pixels`](Self::pixels): bytes B, G, R, 0xff.
    pub const FOURCC: Fourcc = Fourcc::XRGB8888;

    /// A desktop before its first frame. Takes tens of milliseconds at 1920x1080.
    pub fn new(size: Size, scenario: Scenario, seed: u64, fps: u32) -> Result<Self, DesktopError> {
        let sides = Self::MIN_SIDE..=Self::MAX_SIDE;
        if !sides.contains(&size.width) || !sides.contains(&size.height) {
            return Err(DesktopError::Side { size });
        }
        if size.area() > Self::MAX_PIXELS {
            return Err(DesktopError::Pixels { size });
        }
        if !(1..=Self::MAX_FPS).contains(&fps) {
            return Err(DesktopError::Fps { fps });
        }
        let scale = if size.width.min(size.height) >= 2000 {
            2
        } else {
            1
        };
        let text = Type::new(scale)?;
        let sine = Sine::new();
        let mut wallpaper = Surface::new(size, rgb(0));
        draw_wallpaper(
            &mut wallpaper,
            &text,
            &sine,
            hash(seed, 100, 0),
            scale as i32,
        );
        let panel_height = (30 * scale).min(size.height / 4).max(1);
        let panel_size = Size::new(size.width, panel_height);
        let panel = Panel::new(panel_size, Self::clock_at(seed, 0), &text);

        // Places and sizes in 1/1000 of the screen below the panel.
        let place = |x: u32, y: u32, w: u32, h: u32| {
            let part = |of: u32, n: u32| (u64::from(of) * u64::from(n) / 1000) as u32;
            let room = size.height - panel_height;
            Rect::new(
                part(size.width, x),
                panel_height + part(room, y),
                part(size.width, w),
                part(room, h),
            )
        };
        let mut windows = [
            Window::new(place(30, 45, 500, 800), "queue.rs - Editor", scale, &text),
            Window::new(
                place(440, 95, 470, 850),
                "The life of a frame - Browser",
                scale,
                &text,
            ),
            Window::new(
                place(90, 465, 480, 470),
                "user@desktop: ~/src",
                scale,
                &text,
            ),
            Window::new(
                place(530, 35, 420, 450),
                "valley.mkv - Player",
                scale,
                &text,
            ),
        ];
        let mut editor = Editor::new(hash(seed, 101, 0), &windows[EDITOR].client, &text);
        let mut reader = Reader::new(hash(seed, 102, 0), scale, &text);
        let mut terminal = Terminal::new(hash(seed, 103, 0), &text);
        let mut video = Video::new(hash(seed, 104, 0), scale, &windows[VIDEO].client);
        editor.paint(&mut windows[EDITOR].client, &text);
        reader.paint(&mut windows[READER].client, &text);
        terminal.paint(&mut windows[TERMINAL].client, &text);
        video.paint(&mut windows[VIDEO].client, &text);

        let centre = (size.width as i32 * 5 / 9, size.height as i32 * 5 / 9);
        let drag_home = windows[READER].position();
        Ok(Self {
            size,
            scenario,
            seed,
            fps,
            next: 0,
            now_us: 0,
            text,
            sine,
            canvas: Surface::new(size, rgb(0)),
            wallpaper,
            panel,
            windows,
            order: [VIDEO, TERMINAL, READER, EDITOR],
            editor,
            reader,
            terminal,
            video,
            cursor: Cursor::new(centre, scale),
            segment: None,
            travel: (centre, centre),
            drag_us: 0,
            drag_home,
            slide: None,
        })
    }

    /// Seconds since midnight: work begins at some time after nine.
    fn clock_at(seed: u64, now_us: u64) -> u64 {
        9 * 3600 + seed % 7200 + now_us / 1_000_000
    }

    /// Width and height.
    pub fn size(&self) -> Size {
        self.size
    }

    /// What happens.
    pub fn scenario(&self) -> Scenario {
        self.scenario
    }

    /// Frames per second.
    pub fn fps(&self) -> u32 {
        self.fps
    }

    /// Number of the frame that [`next_frame`](Self::next_frame) will draw.
    pub fn next_number(&self) -> u64 {
        self.next
    }

    /// The last frame: rows of [`stride`](Self::stride) bytes, pixels as bytes
    /// B, G, R, 0xff; black before the first.
    pub fn pixels(&self) -> &[u8] {
        self.canvas.bytes()
    }

    /// Bytes from row to row of [`pixels`](Self::pixels).
    pub fn stride(&self) -> usize {
        self.size.width as usize * 4
    }

    /// Copies the part of the last frame that `damage` names to the same place
    /// in `dst`, whose rows are `stride` bytes apart. A buffer that has seen
    /// all damage so far is then equal to [`pixels`](Self::pixels).
    pub fn draw_into(
        &self,
        dst: &mut [u8],
        stride: usize,
        damage: &Damage,
    ) -> Result<(), DesktopError> {
        let row = self.stride();
        let min_bytes = (self.size.height as usize - 1)
            .saturating_mul(stride)
            .saturating_add(row);
        if stride < row || dst.len() < min_bytes {
            return Err(DesktopError::Destination {
                size: self.size,
                stride,
                min_stride: row,
                bytes: dst.len(),
                min_bytes,
            });
        }
        for rect in damage.rects() {
            let rect = rect.clip(self.size);
            let (left, bytes) = (rect.x as usize * 4, rect.width as usize * 4);
            for y in rect.y as usize..rect.bottom() as usize {
                let from = y * row + left;
                let to = y * stride + left;
                dst[to..to + bytes].copy_from_slice(&self.pixels()[from..from + bytes]);
            }
        }
        Ok(())
    }

    /// Draws the next frame. Allocates nothing.
    pub fn next_frame(&mut self) -> Step {
        let frame = self.next;
        self.next += 1;
        let now_us = frame * 1_000_000 / u64::from(self.fps);
        let elapsed_us = now_us - self.now_us;
        self.now_us = now_us;

        let mut damage = Damage::none();
        let segment = self.scenario.segment_at(now_us);
        if self.segment != Some(segment) {
            self.segment = Some(segment);
            self.enter(segment, &mut damage);
        }
        let passed_us = now_us - segment.start_us;
        self.act(segment, elapsed_us, passed_us, &mut damage);
        let clock = Self::clock_at(self.seed, now_us);
        if let Some(area) = self.panel.set_clock(clock, &self.text)
            && self.slide.is_none()
        {
            self.add(&mut damage, area);
        }
        self.move_cursor(segment.kind, passed_us, &mut damage);
        if frame == 0 {
            damage = Damage::full(self.size);
        }
        for rect in damage.rects() {
            self.compose((*rect).into());
        }
        Step {
            frame,
            time: Duration::from_micros(now_us),
            segment: segment.kind.name(),
            damage,
        }
    }

    /// The window in which `kind` happens.
    fn window_of(kind: Scenario) -> Option<usize> {
        match kind {
            Scenario::Typing => Some(EDITOR),
            Scenario::Scroll | Scenario::Drag => Some(READER),
            Scenario::ColorText => Some(TERMINAL),
            Scenario::Video => Some(VIDEO),
            _ => None,
        }
    }

    fn add(&self, damage: &mut Damage, area: Area) {
        damage.add(area.clip(self.size));
    }

    fn enter(&mut self, segment: Segment, damage: &mut Damage) {
        let here = (self.cursor.x, self.cursor.y);
        self.travel = (here, here);
        if segment.kind != Scenario::Flip && self.slide.take().is_some() {
            *damage = Damage::full(self.size);
        }
        let Some(index) = Self::window_of(segment.kind) else {
            return;
        };
        let window = &self.windows[index];
        let client = window.client_area();
        self.travel.1 = match segment.kind {
            // Who types has no hand on the mouse.
            Scenario::Typing => here,
            Scenario::Drag => window.handle(),
            _ => (
                client.x + client.width * 2 / 5,
                client.y + client.height * 2 / 3,
            ),
        };
        if self.order[3] != index {
            self.add(damage, window.outer());
            let mut order = self.order.into_iter().filter(|i| *i != index);
            self.order = std::array::from_fn(|_| order.next().unwrap_or(index));
        }
    }

    /// Lets the active part of the desktop go on.
    fn act(&mut self, segment: Segment, elapsed_us: u64, passed_us: u64, damage: &mut Damage) {
        if segment.kind == Scenario::Flip {
            let number = segment.number * 1000 + passed_us / SLIDE_US;
            if self.slide != Some(number) {
                self.slide = Some(number);
                *damage = Damage::full(self.size);
            }
            return;
        }
        if segment.kind == Scenario::Drag {
            self.drag(elapsed_us.min(passed_us.saturating_sub(TRAVEL_US)), damage);
            return;
        }
        let Some(index) = Self::window_of(segment.kind) else {
            return;
        };
        let app: &mut dyn App = match index {
            EDITOR => &mut self.editor,
            READER => &mut self.reader,
            TERMINAL => &mut self.terminal,
            _ => &mut self.video,
        };
        let mut local = Damage::none();
        let window = &mut self.windows[index];
        app.step(elapsed_us, &mut window.client, &self.text, &mut local);
        let client = self.windows[index].client_area();
        for rect in local.rects() {
            self.add(damage, Area::from(*rect).moved(client.x, client.y));
        }
    }

    /// Moves the window along a curve that comes back to where it began.
    fn drag(&mut self, elapsed_us: u64, damage: &mut Damage) {
        self.drag_us += elapsed_us;
        let phase = (self.drag_us / 4000) as i64;
        let part = |side: u32, sine: i32| (i64::from(side) * i64::from(sine) / (256 * 6)) as i32;
        let offset = (
            -part(self.size.width, self.sine.at(phase)),
            part(self.size.height, self.sine.at(phase * 2)),
        );
        let window = &mut self.windows[READER];
        let before = (window.outer(), window.position());
        let (x, y) = (self.drag_home.0 + offset.0, self.drag_home.1 + offset.1);
        window.move_to((x, y));
        if window.position() == before.1 {
            return;
        }
        // The pointer holds the title bar.
        self.travel.1 = window.handle();
        let after = self.windows[READER].outer();
        let old = before.0.clip(self.size);
        let new = after.clip(self.size);
        let both = old.bounding(new);
        if both.area() <= old.area() + new.area() {
            damage.add(both);
        } else {
            damage.add(old);
            damage.add(new);
        }
    }

    fn move_cursor(&mut self, kind: Scenario, passed_us: u64, damage: &mut Damage) {
        let (from, to) = self.travel;
        let part = passed_us.min(TRAVEL_US) as i64;
        // Starts fast and arrives softly.
        let left = TRAVEL_US as i64 - part;
        let at = |a: i32, b: i32| {
            let way = i64::from(a - b) * left / TRAVEL_US as i64 * left / TRAVEL_US as i64;
            b + way as i32
        };
        let mut place = (at(from.0, to.0), at(from.1, to.1));
        if kind == Scenario::Scroll && passed_us > TRAVEL_US {
            // A hand on the wheel is never quite still.
            let phase = (passed_us / 6000) as i64;
            place.0 += self.sine.at(phase) / 64;
            place.1 += self.sine.at(phase * 2) / 100;
        }
        if place == (self.cursor.x, self.cursor.y) {
            return;
        }
        self.add(damage, self.cursor.area());
        (self.cursor.x, self.cursor.y) = place;
        self.add(damage, self.cursor.area());
    }

    /// Draws all layers inside `area`.
    fn compose(&mut self, area: Area) {
        let screen = &mut self.canvas;
        screen.set_clip(area);
        if let Some(number) = self.slide {
            slides::paint(screen, &self.text, &self.sine, self.seed, number);
        } else {
            // What a window hides need not be drawn.
            let windows = &self.windows;
            let hiding = self
                .order
                .iter()
                .rposition(|i| windows[*i].opaque().contains(area));
            if hiding.is_none() {
                screen.blit(&self.wallpaper, 0, 0);
            }
            for index in &self.order[hiding.unwrap_or(0)..] {
                windows[*index].paint(screen);
            }
            screen.blit(&self.panel.surface, 0, 0);
        }
        self.cursor.paint(screen);
        screen.reset_clip();
    }
}
