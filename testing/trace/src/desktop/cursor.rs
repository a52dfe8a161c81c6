//! The mouse pointer, drawn into the picture.

use super::surface::{Area, Surface, rgb};

/// `X` is the outline, `.` the inside.
const ARROW: [&[u8]; 19] = [
    b"X",
    b"XX",
    b"X.X",
    b"X..X",
    b"X...X",
    b"X....X",
    b"X.....X",
    b"X......X",
    b"X.......X",
    b"X........X",
    b"X.........X",
    b"X..........X",
    b"X......XXXXXX",
    b"X...X..X",
    b"X..XX..X",
    b"X.X  X..X",
    b"XX   X..X",
    b"X     X..X",
    b"       XX",
];
const WIDTH: u32 = 13;

#[derive(Debug)]
pub(super) struct Cursor {
    pub(super) x: i32,
    pub(super) y: i32,
    size: (u32, u32),
    outline: Vec<u8>,
    inside: Vec<u8>,
}

impl Cursor {
    pub(super) fn new((x, y): (i32, i32), scale: u32) -> Self {
        let size = (WIDTH * scale, ARROW.len() as u32 * scale);
        let mask = |sign: u8| {
            (0..size.0 * size.1)
                .map(|n| {
                    let row = ARROW.get((n / size.0 / scale) as usize).copied();
                    let cell = row.and_then(|row| row.get((n % size.0 / scale) as usize));
                    if cell == Some(&sign) { 255 } else { 0 }
                })
                .collect()
        };
        Self {
            x,
            y,
            size,
            outline: mask(b'X'),
            inside: mask(b'.'),
        }
    }

    pub(super) fn area(&self) -> Area {
        Area::new(self.x, self.y, self.size.0 as i32, self.size.1 as i32)
    }

    pub(super) fn paint(&self, screen: &mut Surface) {
        screen.blend_mask(&self.inside, self.size.0, self.x, self.y, rgb(0xffffff));
        screen.blend_mask(&self.outline, self.size.0, self.x, self.y, rgb(0x000000));
    }
}
