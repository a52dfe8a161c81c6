//! Recordings of an unmodified QEMU, replayed: see `fixtures/README.md`.

use std::collections::HashSet;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use scanout_core::buffer::Orientation;
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Rect, Size};
use scanout_trace::recording::{Delivery, End, EventKind, Player, RecordingReader};
use scanout_trace::source::{FrameRate, FrameReader, PictureChoice, RecordingSource};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name)
}

/// What a recording came to.
#[derive(Default)]
struct Replay {
    producer: String,
    /// Size of each scanout.
    scanouts: Vec<Size>,
    /// Format of each scanout, and which way up it was.
    forms: Vec<(Fourcc, Orientation)>,
    updates: u64,
    /// Updates of less than a hundredth of the picture.
    tiny: u64,
    player: Player,
}

fn replay(name: &str) -> Replay {
    let file = File::open(fixture(name)).unwrap();
    let mut reader = RecordingReader::new(BufReader::new(file)).unwrap();
    let mut replay = Replay {
        producer: reader.producer().to_owned(),
        ..Replay::default()
    };
    while let Some(event) = reader.next_event().unwrap() {
        replay.player.apply(&event).unwrap();
        assert!(event.reply.is_some(), "{name}: an answer was not measured");
        match event.kind {
            EventKind::Scanout(scanout) => {
                assert_eq!(scanout.delivery, Delivery::DmaBuf, "{name}");
                assert!(scanout.layout.modifier.is_linear(), "{name}");
                replay.scanouts.push(scanout.view.content.size());
                let form = (scanout.layout.fourcc, scanout.view.orientation);
                replay.forms.push(form);
            }
            EventKind::Update(update) => {
                let whole = Rect::of(*replay.scanouts.last().unwrap());
                assert!(whole.contains(update.rect), "{name}: {}", update.rect);
                replay.updates += 1;
                replay.tiny += u64::from(update.rect.area() * 100 < whole.area());
            }
            _ => {}
        }
    }
    assert!(matches!(reader.end(), Some(End::Finished { .. })), "{name}");
    replay
}

/// Red, green and blue of the pixel that is shown at (`x`, `y`).
fn pixel(player: &Player, x: u32, y: u32) -> [u8; 3] {
    let scanout = player.scanout().unwrap();
    let (content, plane) = (scanout.view.content, scanout.layout.planes[0]);
    let row = match scanout.view.orientation {
        Orientation::TopDown => content.y + y,
        Orientation::BottomUp => content.bottom() - 1 - y,
    };
    let at = (plane.offset + row * plane.stride + (content.x + x) * 4) as usize;
    let [r, g, b, _] = player.object(0).unwrap()[at..at + 4] else {
        unreachable!()
    };
    [r, g, b]
}

/// Every frame, each different from the one before only where its damage says so.
/// Returns how many there are, and how many different pictures.
fn frames(name: &str) -> (u64, usize) {
    let rate = FrameRate::whole(25);
    let mut source = RecordingSource::open(&fixture(name), PictureChoice::Longest, rate).unwrap();
    let width = source.size().width as usize;
    let mut before: Vec<u8> = Vec::new();
    let mut pictures = HashSet::new();
    let mut count = 0;
    while let Some(frame) = source.next_frame().unwrap() {
        if !before.is_empty() {
            for (index, (old, new)) in before.chunks(4).zip(frame.data.chunks(4)).enumerate() {
                let spot = Rect::new((index % width) as u32, (index / width) as u32, 1, 1);
                let told = || frame.damage.rects().iter().any(|rect| rect.contains(spot));
                assert!(
                    old == new || told(),
                    "{name}: frame {} at {spot}",
                    frame.index
                );
            }
        }
        pictures.insert(frame.data.to_vec());
        before = frame.data.to_vec();
        count += 1;
    }
    (count, pictures.len())
}

/// Two modes, and text that appears character by character with the damage of just that.
#[test]
fn the_firmware_of_qemu_is_replayed_with_its_true_damage() {
    let name = "qemu-firmware.scanrec";
    let replay = replay(name);
    assert_eq!(replay.forms, [(Fourcc::XBGR8888, Orientation::TopDown); 2]);
    assert!(
        replay.producer.starts_with("QEMU 10.0"),
        "{}",
        replay.producer
    );
    assert_eq!(replay.scanouts, [Size::new(640, 480), Size::new(720, 400)]);
    assert!(replay.updates > 100, "{}", replay.updates);
    assert!(
        replay.tiny * 2 > replay.updates,
        "{} of {}",
        replay.tiny,
        replay.updates
    );
    let (count, pictures) = frames(name);
    assert!(count > 200, "{count} frames");
    assert!(pictures > 20, "{pictures} pictures");
    // The text mode's grey, and the cyan of a link.
    let all = |wanted| (0..400).any(|y| (0..720).any(|x| pixel(&replay.player, x, y) == wanted));
    assert!(all([0xa8, 0xa8, 0xa8]) && all([0, 0xa8, 0xa8]) && all([0, 0, 0]));
}

/// A guest with its own driver: what its script drew is there, in its colours and places,
/// though each update names the whole picture.
#[test]
fn the_linux_guest_of_qemu_is_replayed_in_its_colours() {
    let name = "qemu-linux.scanrec";
    let replay = replay(name);
    // The guest's own buffer comes with alpha, though a console has none, and with the
    // flag that QEMU calls y0_top: its first row is the bottom of the picture.
    let form = (Fourcc::ABGR8888, Orientation::BottomUp);
    assert_eq!(replay.forms.last(), Some(&form));
    assert!(
        replay.updates > 200 && replay.tiny == 0,
        "{} of {}",
        replay.tiny,
        replay.updates
    );
    assert_eq!(replay.scanouts.last(), Some(&Size::new(640, 480)));
    let player = &replay.player;
    for (y, colour) in [(32, [255, 0, 0]), (80, [0, 255, 0]), (128, [0, 0, 255])] {
        for (y, colour) in [(y, colour), (y + 15, colour), (y + 16, [0, 0, 0])] {
            assert_eq!(pixel(player, 320, y), colour, "row {y}");
        }
    }
    assert_eq!(pixel(player, 639, 180), [252, 252, 252]);
    assert_eq!(pixel(player, 0, 180), [0, 0, 0]);
    // The square's corner, and what it left.
    assert_eq!(pixel(player, 512, 240), [255, 255, 255]);
    assert_eq!(pixel(player, 575, 287), [255, 255, 255]);
    for (x, y) in [(511, 240), (576, 287), (512, 239), (575, 288), (450, 260)] {
        assert_eq!(pixel(player, x, y), [0, 0, 0], "{x},{y}");
    }
    let (count, pictures) = frames(name);
    assert!(count > 300, "{count} frames");
    // Typed characters, scrolled lines, drawn bars, the square's steps.
    assert!(pictures > 60, "{pictures} pictures");
}

/// They are cloned by everybody.
#[test]
fn the_fixtures_stay_small() {
    let files = std::fs::read_dir(fixture("")).unwrap();
    let bytes: u64 = files
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    assert!(bytes < 1 << 20, "{bytes} bytes");
}
