//! An unmodified QEMU and nothing else: the text screen of its firmware. Needs QEMU, a
//! D-Bus daemon and a render node.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use scanout_core::buffer::Orientation;
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Rect, Size};
use scanout_rig::machine;
use scanout_trace::recording::{Delivery, End, EventKind, Player, RecordingReader};

fn tree() -> PathBuf {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    tree.canonicalize().unwrap()
}

/// A program of that name, on the PATH.
fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

static ONE: Mutex<()> = Mutex::new(());

/// Processes of a recording, and its temporary folders, that are still there.
fn left_behind() -> Vec<String> {
    let ours = ["qemu-system-x86", "dbus-daemon", "qemu-recorder"];
    let names = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let name = std::fs::read_to_string(entry.ok()?.path().join("comm")).ok()?;
        Some(name.trim().to_owned()).filter(|name| ours.contains(&name.as_str()))
    });
    let folders = std::fs::read_dir(std::env::temp_dir()).unwrap();
    let folders = folders.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names
        .chain(folders.filter(|name| name.starts_with("tmp.")))
        .collect()
}

/// The red, green and blue bytes of a PNG file.
fn png(path: &Path) -> (Size, Vec<u8>) {
    let mut reader = png::Decoder::new(BufReader::new(File::open(path).unwrap()))
        .read_info()
        .unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!(info.color_type, png::ColorType::Rgb);
    pixels.truncate(info.buffer_size());
    (Size::new(info.width, info.height), pixels)
}

/// What a player shows, as red, green and blue bytes.
fn shown(player: &Player) -> (Size, Vec<u8>) {
    let scanout = player.scanout().expect("something is shown");
    assert_eq!(scanout.view.orientation, Orientation::TopDown);
    let (content, plane) = (scanout.view.content, scanout.layout.planes[0]);
    let bytes = player.object(plane.object).unwrap();
    let [r, g, b] = match scanout.layout.fourcc {
        Fourcc::XRGB8888 | Fourcc::ARGB8888 => [2, 1, 0],
        Fourcc::XBGR8888 | Fourcc::ABGR8888 => [0, 1, 2],
        other => panic!("{other}"),
    };
    let mut pixels = Vec::new();
    for y in content.y..content.bottom() {
        let row = (plane.offset + y * plane.stride + content.x * 4) as usize;
        for pixel in bytes[row..row + content.width as usize * 4].chunks_exact(4) {
            pixels.extend([pixel[r], pixel[g], pixel[b]]);
        }
    }
    (content.size(), pixels)
}

#[test]
fn stock_qemu_is_recorded_as_it_was_shown() {
    recorded_as_shown("on", 12, Delivery::DmaBuf);
}

/// Without OpenGL, from QEMU 9.2 on, pictures come in shared memory.
#[test]
fn stock_qemu_without_opengl_is_recorded_as_it_was_shown() {
    recorded_as_shown("off", 6, Delivery::Map);
}

fn recorded_as_shown(gl: &str, seconds: u32, delivery: Delivery) {
    let tools = ["qemu-system-x86_64", "dbus-daemon"].map(program);
    let nodes = machine::nodes("renderD");
    let found = (tools.iter().all(Option::is_some) && !nodes.is_empty()).then_some(());
    if machine::or_skip("QEMU with D-Bus and a render node", found).is_none() {
        return;
    }
    // Below the tree, where the rig keeps it: to be looked at when this fails.
    let folder = tree().join("target/qemu-firmware").join(gl);
    std::fs::create_dir_all(&folder).unwrap();
    let (recording, last) = (folder.join("firmware.scanrec"), folder.join("last.png"));
    // One QEMU at a time: there is one processor, and what is left behind is looked for.
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let output = Command::new(tree().join("testing/rig/qemu/record"))
        .env("SCANOUT_RIG", "1")
        .args(["--guest", "firmware", "--gl", gl, "--seconds"])
        .arg(seconds.to_string())
        .arg("--recorder")
        .arg(env!("CARGO_BIN_EXE_qemu-recorder"))
        .arg(&recording)
        .args(["--", "--last-frame"])
        .arg(&last)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
    println!("{said}");
    if machine::in_rig() {
        assert_eq!(left_behind(), [""; 0]);
    }

    let mut reader = RecordingReader::new(BufReader::new(File::open(&recording).unwrap())).unwrap();
    assert!(
        reader.producer().starts_with("QEMU 1"),
        "{}",
        reader.producer()
    );
    let mut player = Player::new();
    let (mut scanouts, mut small, mut updates) = (0, 0, 0);
    while let Some(event) = reader.next_event().unwrap() {
        player.apply(&event).unwrap();
        match event.kind {
            EventKind::Scanout(scanout) => {
                assert_eq!(scanout.delivery, delivery);
                // The kernel knows who made a dma-buf.
                let exporter = scanout.objects[0].exporter.is_some();
                assert_eq!(exporter, delivery == Delivery::DmaBuf);
                scanouts += 1;
            }
            EventKind::Update(update) => {
                let whole = Rect::of(player.scanout().unwrap().view.content.size());
                assert!(whole.contains(update.rect), "{}", update.rect);
                assert!(event.reply.is_some());
                updates += 1;
                small += u32::from(update.rect.area() * 4 < whole.area());
            }
            _ => {}
        }
    }
    assert!(
        matches!(reader.end(), Some(End::Finished { .. })),
        "{:?}",
        reader.end()
    );
    assert!(scanouts >= 1, "nothing was imported");
    assert!(updates >= 10, "{updates} updates in {seconds} s");
    assert!(
        small * 2 > updates,
        "{small} of {updates} updates are less than a quarter of the picture"
    );

    // What the damage said, added up, is what the buffer holds.
    let (size, replayed) = shown(&player);
    let (last_size, read_anew) = png(&last);
    assert_eq!(size, last_size);
    let differ: Vec<String> = replayed
        .chunks(3)
        .zip(read_anew.chunks(3))
        .enumerate()
        .filter(|(_, (replayed, read))| replayed != read)
        .map(|(at, (replayed, read))| {
            let (x, y) = (at % size.width as usize, at / size.width as usize);
            format!("{x},{y}: {replayed:?} replayed, {read:?} read")
        })
        .collect();
    let some = &differ[..differ.len().min(9)];
    assert!(
        differ.is_empty(),
        "{} pixels differ: {some:?}",
        differ.len()
    );
    let colours: BTreeSet<&[u8]> = replayed.chunks(3).collect();
    assert!(colours.len() > 1, "all pixels are {colours:?}");
    let lit = replayed
        .chunks(3)
        .filter(|pixel| pixel.iter().any(|c| *c > 0x80))
        .count();
    assert!(lit > 1000, "{lit} pixels of text");

    let answered = said
        .lines()
        .find(|line| line.contains(" answered, "))
        .expect("statistics");
    let counts: Vec<u64> = answered
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|n| n.parse().ok())
        .collect();
    assert_eq!(counts.first(), counts.get(1), "{answered}");
    assert_eq!(counts.get(2), Some(&0), "{answered}: {said}");
}
