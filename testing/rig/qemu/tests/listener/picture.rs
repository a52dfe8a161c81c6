//! What a recording shows, put together by hand from its rows of bytes.

use scanout_core::buffer::Orientation;
use scanout_trace::recording::{Event, Player};

/// The pixels, four bytes each, that a player shows after `events`: the top row first.
pub(crate) fn replay(events: &[Event]) -> Vec<u8> {
    let mut player = Player::new();
    for event in events {
        player.apply(event).unwrap();
    }
    let scanout = player.scanout().expect("something is shown");
    let (content, plane) = (scanout.view.content, scanout.layout.planes[0]);
    let bytes = player.object(plane.object).unwrap();
    let mut rows: Vec<&[u8]> = (content.y..content.bottom())
        .map(|y| {
            let at = (plane.offset + y * plane.stride + content.x * 4) as usize;
            &bytes[at..at + content.width as usize * 4]
        })
        .collect();
    if scanout.view.orientation == Orientation::BottomUp {
        rows.reverse();
    }
    rows.concat()
}

/// A pixel that is different everywhere.
pub(crate) fn pixel(x: u32, y: u32, time: u32) -> [u8; 4] {
    let mixed = (x | (y << 12)).wrapping_mul(0x9e37_79b9) ^ time.wrapping_mul(0x85eb_ca6b);
    mixed.to_le_bytes()
}

/// Pixels of all of a picture of `width` x `height`, top row first.
pub(crate) fn pattern(width: u32, height: u32, time: u32) -> Vec<u8> {
    (0..height)
        .flat_map(|y| (0..width).flat_map(move |x| pixel(x, y, time)))
        .collect()
}

/// Puts the rows of `pixels` into `memory`, which has `stride` bytes a row.
pub(crate) fn put(memory: &mut [u8], offset: usize, stride: usize, row: usize, pixels: &[u8]) {
    for (y, pixels) in pixels.chunks_exact(row).enumerate() {
        let at = offset + y * stride;
        memory[at..at + row].copy_from_slice(pixels);
    }
}
