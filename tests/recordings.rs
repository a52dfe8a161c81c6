//! Recordings of a display as sources of the program.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use scanout_core::buffer::{Layout, Orientation, Plane, View};
use scanout_core::format::{Fourcc, Modifier};
use scanout_core::geometry::{Rect, Size};
use scanout_trace::recording::{
    Delivery, Event, EventKind, Object, RecordingWriter, Scanout, Update,
};
use support::{Ran, directory, ffprobe, have, have_encoder, run};

/// Side of the squares that are drawn: those of a codec's blocks.
const BLOCK: u32 = 16;

/// A display that shows grey squares, bottom up and in the middle of its buffer.
struct Display {
    scanout: Scanout,
    bytes: Vec<u8>,
    events: Vec<Event>,
}

impl Display {
    fn new(content: Rect, size: Size) -> Self {
        let stride = size.width * 4 + 64;
        let bytes = vec![0x40; (stride * size.height + 128) as usize];
        let planes = [Plane {
            object: 0,
            offset: 128,
            stride,
        }];
        let layout = Layout {
            fourcc: Fourcc::XRGB8888,
            modifier: Modifier::LINEAR,
            size,
            planes: planes.into_iter().collect(),
        };
        let view = View {
            content,
            orientation: Orientation::BottomUp,
        };
        let scanout = Scanout {
            delivery: Delivery::DmaBuf,
            layout,
            view,
            objects: vec![Object {
                id: 1,
                size: bytes.len() as u64,
                exporter: Some("udmabuf".to_owned()),
            }],
            patches: Scanout::capture(&[&bytes]),
        };
        Self {
            events: vec![Event::new(
                Duration::ZERO,
                EventKind::Scanout(scanout.clone()),
            )],
            scanout,
            bytes,
        }
    }

    /// Makes the square in column `x` and row `y` of the picture `grey` at `ms`.
    fn draw(&mut self, ms: u64, x: u32, y: u32, grey: u8) {
        let rect = Rect::new(x * BLOCK, y * BLOCK, BLOCK, BLOCK);
        let (content, plane) = (self.scanout.view.content, self.scanout.layout.planes[0]);
        for row in rect.y..rect.bottom() {
            let row = content.y + content.height - 1 - row;
            let at = plane.offset + row * plane.stride + (content.x + rect.x) * 4;
            self.bytes[at as usize..(at + rect.width * 4) as usize].fill(grey);
        }
        let patches = self.scanout.capture_rect(rect, false, &[&self.bytes]);
        let patches = patches.unwrap();
        let update = EventKind::Update(Update { rect, patches });
        self.events
            .push(Event::new(Duration::from_millis(ms), update));
    }

    /// Writes the recording, which is `ms` long.
    fn write(&self, path: &Path, ms: u64) {
        let file = fs::File::create(path).unwrap();
        let mut writer = RecordingWriter::new(file, "a test").unwrap();
        for event in &self.events {
            writer.write(event).unwrap();
        }
        writer.finish(Duration::from_millis(ms)).unwrap();
    }
}

fn encode(source: &str, out: &Path, args: &[&str]) -> Ran {
    let out = out.to_str().unwrap();
    let base = ["encode", "--json", "--source", source, "--output", out];
    run([&base[..], args].concat())
}

/// The luma of all frames of `file`, decoded by a program that is none of ours.
fn luma(file: &Path, size: Size) -> Vec<Vec<u8>> {
    let decoded = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(file)
        .args(["-f", "rawvideo", "-pix_fmt", "yuv420p", "-"])
        .output()
        .unwrap();
    assert!(decoded.status.success(), "{decoded:?}");
    let area = size.area() as usize;
    let frames = decoded.stdout.chunks(area * 3 / 2);
    frames.map(|frame| frame[..area].to_vec()).collect()
}

#[test]
fn a_recording_becomes_the_pictures_that_were_shown() {
    if !have_encoder("h264") || !have("ffmpeg") {
        return;
    }
    let dir = directory("recording");
    let file = dir.join("boot.scanrec");
    let (width, height) = (8 * BLOCK, 5 * BLOCK);
    let mut display = Display::new(Rect::new(24, 6, width, height), Size::new(200, 90));
    // Squares that appear one by one, two of them within one frame of 40 ms.
    let squares = [
        (30, 0, 0, 250),
        (110, 7, 4, 20),
        (115, 3, 2, 130),
        (300, 0, 4, 200),
        (400, 7, 0, 90),
    ];
    for (ms, x, y, grey) in squares {
        display.draw(ms, x, y, grey);
    }
    display.write(&file, 500);
    let source = format!("qemu-trace:{}", file.display());
    let out = dir.join("boot.h264");
    let args = ["--fps", "25", "--qp", "4"];
    let report = encode(&source, &out, &args).ok().json();
    assert_eq!(report["source"]["format"], "XR24");
    let said = report["source"]["name"].as_str().unwrap();
    let says = "boot.scanrec: 1 scanout, 128x80 XR24 for 0.5 s of 0.5 s, 5 updates";
    assert!(said.ends_with(says), "{said}");
    // The beginning, and 12.5 slots of 40 ms.
    assert_eq!(report["frames"]["coded"], 14);
    assert_eq!(ffprobe(&out), ("h264".to_owned(), 128, 80, 14));
    let frames = luma(&out, Size::new(width, height));
    assert_eq!(frames.len(), 14);
    for (frame, n) in frames.iter().zip(0u64..) {
        let mut grey = [[0x40u8; 8]; 5];
        for (ms, x, y, value) in squares {
            if ms <= n * 40 {
                grey[y as usize][x as usize] = value;
            }
        }
        for (at, seen) in frame.iter().enumerate() {
            let (x, y) = (at as u32 % width / BLOCK, at as u32 / width / BLOCK);
            let shown = f64::from(grey[y as usize][x as usize]);
            // BT.709 in limited range: grey is luma alone.
            let expected = 16.0 + shown * 219.0 / 255.0;
            let error = (f64::from(*seen) - expected).abs();
            assert!(
                error < 4.0,
                "frame {n}, square {x},{y}: {seen}, not {expected}"
            );
        }
    }
    // Slots in which nothing was drawn are known to be unchanged: four had updates.
    let args = ["--fps", "25", "--skip-unchanged"];
    let report = encode(&source, &dir.join("skip.h264"), &args).ok().json();
    assert_eq!(report["frames"]["taken"], 14);
    assert_eq!(report["frames"]["unchanged"], 9);
    assert_eq!(report["frames"]["coded"], 5);
}

/// That the run ended with `code` and one line of error that holds `words`.
#[track_caller]
fn assert_told(ran: &Ran, code: i32, words: &[&str]) {
    assert_eq!(ran.code, Some(code), "{ran:?}");
    assert!(!ran.stderr.contains("panicked"), "{ran:?}");
    let errors = ran.errors();
    let lines = errors.iter().filter(|l| l.starts_with("scanout: error: "));
    assert_eq!(lines.count(), 1, "{ran:?}");
    assert!(errors.len() <= 2, "more than an error and a hint: {ran:?}");
    for word in words {
        assert!(ran.stderr.contains(word), "{word:?} is missing: {ran:?}");
    }
}

#[test]
fn recordings_that_cannot_be_used_are_told_in_one_line() {
    let dir = directory("bad-recordings");
    let good = dir.join("good.scanrec");
    let size = Size::new(64, 48);
    let mut display = Display::new(Rect::of(size), size);
    display.draw(10, 1, 1, 9);
    display.write(&good, 100);
    let good_bytes = fs::read(&good).unwrap();
    let file = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = dir.join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let patched = |name: &str, at: usize, bytes: &[u8]| {
        let mut all = good_bytes.clone();
        all[at..at + bytes.len()].copy_from_slice(bytes);
        file(name, &all)
    };
    let shown = |name: &str, change: &dyn Fn(&mut Scanout)| {
        let mut display = Display::new(Rect::of(size), size);
        change(&mut display.scanout);
        let scanout = EventKind::Scanout(display.scanout.clone());
        display.events = vec![Event::new(Duration::ZERO, scanout)];
        let path = dir.join(name);
        display.write(&path, 50);
        path
    };
    // Magic, version, length of the name and the name: then the first record.
    let first = 12 + "a test".len();
    let out = dir.join("x.h264");
    let list = "1: 64x48 XR24 for 0.1 s";
    for (source, words) in [
        (
            dir.join("missing"),
            &["missing: no such file or directory"][..],
        ),
        (dir.clone(), &["not a regular file"]),
        (file("empty", b""), &["empty: the file ends after 0 bytes"]),
        (file("other", b"\x7fELF and so on"), &["not a recording"]),
        (
            patched("newer", 8, &[2, 0]),
            &["newer: version 2", "only version 1"],
        ),
        (file("head", &good_bytes[..10]), &["ends after 10 bytes"]),
        (file("nothing", &good_bytes[..first]), &["shows nothing"]),
        (
            patched("bomb", first + 4, &[0, 0, 0, 0x10]),
            &["record 1", "compressed size of", "must be 260111 to"],
        ),
        (
            patched("zero", first + 4, &[0; 4]),
            &["record 1: size of 0", "9 to"],
        ),
        (
            patched("most", first + 4, &[0xff; 4]),
            &["size of 4294967295", "272629760"],
        ),
        (
            patched("garbage", first + 20, &[0x5a; 8]),
            &["record 1 cannot be decompressed"],
        ),
        (
            shown("tiled", &|s| {
                s.layout.modifier = Modifier(0x0100_0000_0000_0009)
            }),
            &["64x48", "INTEL_4_TILED", "CPU cannot read"],
        ),
        (
            shown("stride", &|s| s.layout.planes[0].stride = 100),
            &["stride of 100", "256"],
        ),
        (dir.join("good.scanrec:scanout=2"), &["no scanout 2", list]),
        (
            dir.join("good.scanrec:size=1x1"),
            &["no scanout of 1x1", list],
        ),
    ] {
        let source = format!("qemu-trace:{}", source.display());
        let ran = encode(&source, &out, &[]);
        assert_told(&ran, 3, words);
        assert!(
            !out.exists() && !dir.join("x.part.h264").exists(),
            "{source}"
        );
    }
    for (source, words) in [
        ("qemu-trace:", &["qemu-trace:FILE"][..]),
        ("qemu-trace:x:scanout=first", &["scanout=NUMBER"]),
        ("qemu-trace:x:size=0x", &["size=WIDTHxHEIGHT"]),
    ] {
        assert_told(&encode(source, &out, &[]), 2, words);
    }
    let source = format!("qemu-trace:{}", good.display());
    let ran = encode(&source, &out, &["--size", "320x200"]);
    assert_told(&ran, 2, &["--size 320x200", "size of its own", "size=WxH"]);
    assert!(!out.exists());
}

#[test]
fn a_recording_is_not_written_over() {
    let dir = directory("recording-itself");
    let film = dir.join("film.h264");
    let size = Size::new(64, 48);
    Display::new(Rect::of(size), size).write(&film, 100);
    let before = fs::read(&film).unwrap();
    let source = format!("qemu-trace:{}:scanout=1", film.display());
    assert_told(&encode(&source, &film, &[]), 2, &["it is the source"]);
    assert_eq!(fs::read(&film).unwrap(), before);
}

#[test]
fn a_recording_whose_recorder_was_killed_is_encoded_as_far_as_it_goes() {
    if !have_encoder("h264") {
        return;
    }
    let dir = directory("killed");
    let file = dir.join("killed.scanrec");
    let size = Size::new(64, 48);
    let mut display = Display::new(Rect::of(size), size);
    display.draw(100, 1, 1, 9);
    display.draw(200, 2, 2, 9);
    display.write(&file, 1000);
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() - 5]).unwrap();
    let source = format!("qemu-trace:{}", file.display());
    let out = dir.join("x.h264");
    let report = encode(&source, &out, &["--fps", "50"]).ok().json();
    // Until the last event, as nothing says how long it went on.
    assert_eq!(report["frames"]["coded"], 11);
    let said = report["source"]["name"].as_str().unwrap();
    assert!(said.ends_with("2 updates, cut short"), "{said}");
}
