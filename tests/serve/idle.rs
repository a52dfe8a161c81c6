//! Single changes of a source that is idle else: each is shown, and none waits for
//! the next.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::process::Command;
use std::time::Duration;

use crate::client::{Display, have_clients};
use crate::picture::Picture;
use crate::server::Served;
use crate::support::{directory, have_encoder};

const SIZE: (usize, usize) = (400, 300);

/// As for still pictures; a square in the wrong place or missing is far below.
const BOUND_DB: f64 = 30.0;

/// How often the source changes, and how long it is silent before each.
#[derive(Clone, Copy)]
struct Changes {
    count: usize,
    rest: Duration,
}

impl Changes {
    /// All that works on its own time has come to rest after this.
    const FEW: Self = Self {
        count: 10,
        rest: Duration::from_millis(400),
    };
    /// As somebody would look at it.
    const MANY: Self = Self {
        count: 20,
        rest: Duration::from_secs(1),
    };
}

/// A source whose frames the test draws, one by one.
struct Source {
    pipe: File,
}

impl Source {
    /// A server of it, with `args`.
    fn serve(args: &[&str]) -> (Self, Served) {
        let path = directory("pipe").join("frames");
        assert!(
            Command::new("mkfifo")
                .arg(&path)
                .status()
                .unwrap()
                .success()
        );
        let source = format!("raw:{}:{}x{}:XR24", path.display(), SIZE.0, SIZE.1);
        let open = [
            "--listen",
            "127.0.0.1:0",
            "--no-password",
            "--source",
            &source,
        ];
        let child = Served::spawn([&open, args].concat());
        // Both ends wait for each other.
        let pipe = OpenOptions::new().write(true).open(&path).unwrap();
        (Self { pipe }, Served::wait(child))
    }

    fn draw(&mut self, picture: &Picture) {
        self.pipe.write_all(&picture.bgrx()).unwrap();
    }
}

fn each_change_is_shown(codec: &str, args: &[&str], changes: Changes) {
    if !have_clients(&["remote-viewer", "Xvfb"]) || !have_encoder(codec) {
        return;
    }
    let (mut source, server) =
        Source::serve(&[&["--codec", codec, "--bitrate", "20M"], args].concat());
    let chart = Picture::chart(SIZE.0, SIZE.1);
    source.draw(&chart);
    let display = Display::start();
    let _viewer = display.viewer([server.uri(0)]);
    // One picture, then silence.
    let place = display.await_picture(&chart, BOUND_DB);
    let mut delays = Vec::new();
    for step in 0..changes.count {
        std::thread::sleep(changes.rest);
        let changed = chart.with_step(step);
        source.draw(&changed);
        // The next is not drawn before this one is seen.
        delays.push(display.await_at(place, &changed, BOUND_DB));
    }
    delays.sort_unstable();
    println!(
        "{codec} {args:?}: {} changes were seen, half within {:?}, all within {:?}",
        delays.len(),
        delays[(delays.len() - 1) / 2],
        delays[delays.len() - 1]
    );
    let (_, ended) = server.stop("TERM");
    assert_eq!(ended["failures"], 0, "{ended}");
    assert_eq!(ended["draws"], changes.count + 1, "{ended}");
}

#[test]
fn each_single_change_is_shown_in_h264() {
    each_change_is_shown("h264", &[], Changes::FEW);
}

#[test]
fn each_single_change_is_shown_in_h265() {
    each_change_is_shown("h265", &[], Changes::FEW);
}

#[test]
fn each_single_change_is_shown_in_vp8() {
    each_change_is_shown("vp8", &[], Changes::FEW);
}

#[test]
fn each_single_change_is_shown_in_vp9() {
    each_change_is_shown("vp9", &[], Changes::FEW);
}

#[test]
fn each_single_change_is_shown_in_mjpeg() {
    each_change_is_shown("mjpeg", &[], Changes::FEW);
}

#[test]
fn each_single_change_is_shown_of_a_source_that_flips_its_buffers() {
    let flipped = ["--buffers", "3", "--orientation", "bottom-up"];
    each_change_is_shown("h264", &flipped, Changes::FEW);
}

#[test]
#[ignore = "takes minutes: twenty changes, a second apart, with each encoder"]
fn each_change_is_shown_a_second_after_the_last() {
    for (codec, args) in [
        ("h264", &["--encoder", "x264enc"][..]),
        ("h264", &["--encoder", "openh264enc"]),
        ("h265", &[]),
        ("vp8", &[]),
        ("vp9", &[]),
        ("mjpeg", &[]),
    ] {
        each_change_is_shown(codec, args, Changes::MANY);
    }
}
