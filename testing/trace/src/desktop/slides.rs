//! A presentation over the whole screen. Slides are drawn straight into the
//! screen, clipped, so that they need no memory of their own.

use super::noise::{Sine, hash};
use super::photo::Photo;
use super::surface::{Area, Surface, mix, rgb};
use super::text::{Face, Type};

const TITLES: [&str; 5] = [
    "One encode, many viewers",
    "Where the time goes",
    "Damage, not frames",
    "Release the buffer early",
    "What the network sees",
];

const POINTS: [&str; 6] = [
    "Import once, convert what changed",
    "The newest frame always wins",
    "Hold time is measured for every frame",
    "Rate control follows the slowest link",
    "A keyframe only when somebody asks",
    "Every wait has a limit and a name",
];

/// Ground and accent colours.
const THEMES: [(u32, u32, u32); 4] = [
    (0xf7f4ec, 0xe2dccb, 0xb5432a),
    (0x14213d, 0x0b1326, 0xfca311),
    (0xffffff, 0xe8eef5, 0x1d5fa8),
    (0x2d1b3d, 0x160c20, 0xe86fb0),
];

/// Draws what of slide `number` lies inside the clip of `surface`.
pub(super) fn paint(surface: &mut Surface, text: &Type, sine: &Sine, seed: u64, number: u64) {
    let (width, height) = (surface.width(), surface.height());
    // Consecutive slides never share a theme, so that a flip changes everything.
    let (top, bottom, accent) = THEMES[((seed % 4 + number) % THEMES.len() as u64) as usize];
    let ink = if top > 0x80_0000 {
        rgb(0x202428)
    } else {
        rgb(0xf0f0f0)
    };
    surface.gradient(Area::new(0, 0, width, height), rgb(top), rgb(bottom));
    let margin = width / 14;
    let title = TITLES[(hash(seed, number, 0) % TITLES.len() as u64) as usize];
    let y = height / 10;
    text.draw(surface, Face::Huge, (margin, y), title.as_bytes(), ink);
    let under = y + text.line_height(Face::Huge) + height / 80;
    let rule = Area::new(margin, under, width / 5, (height / 180).max(1));
    surface.fill(rule, rgb(accent));

    let step = text.line_height(Face::Title) * 3 / 2;
    for n in 0..5u64 {
        let y = under + height / 14 + n as i32 * step;
        let point = POINTS[((hash(seed, number, 1) % 60 + n) % POINTS.len() as u64) as usize];
        let dot = text.line_height(Face::Title) / 4;
        surface.fill(Area::new(margin, y + dot * 3 / 2, dot, dot), rgb(accent));
        let at = (margin + dot * 3, y);
        text.draw(surface, Face::Title, at, point.as_bytes(), ink);
    }

    let figure = Area::new(
        width * 11 / 20,
        under + height / 14,
        width * 2 / 5,
        height / 2,
    );
    if hash(seed, number, 9).is_multiple_of(2) {
        let photo = Photo::new(hash(seed, number, 10), 4, figure.width, figure.height);
        surface.shade(figure, photo.still(sine));
    } else {
        chart(surface, text, figure, seed, number, accent);
    }
}

fn chart(surface: &mut Surface, text: &Type, area: Area, seed: u64, number: u64, accent: u32) {
    surface.fill(area, rgb(0xfafafa));
    let bars = 12;
    let pitch = (area.width / (bars + 2)).max(1);
    for n in 0..bars {
        let value = (hash(seed, number, 20 + n as u64) % 85) as i32 + 10;
        let height = area.height * value / 115;
        let x = area.x + pitch * (n + 1);
        let colour = mix(rgb(accent), rgb(0x4070a0), (n * 20) as u32);
        let bottom = area.bottom() - area.height / 12;
        surface.fill(Area::new(x, bottom - height, pitch * 3 / 4, height), colour);
        let label = [b'0' + (value / 10 % 10) as u8, b'0' + (value % 10) as u8];
        let y = bottom - height - text.line_height(Face::Ui);
        text.draw(surface, Face::Ui, (x, y), &label, rgb(0x404040));
    }
    let base = Area::new(
        area.x + pitch / 2,
        area.bottom() - area.height / 12,
        area.width - pitch,
        2,
    );
    surface.fill(base, rgb(0x303030));
}
