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

const CHANGES: usize = 10;

/// All that works on its own time has come to rest after this.
const REST: Duration = Duration::from_millis(400);

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

fn each_change_is_shown(codec: &str, args: &[&str]) {
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
    let mut slowest = Duration::ZERO;
    for step in 0..CHANGES {
        std::thread::sleep(REST);
        let changed = chart.with_step(step);
        source.draw(&changed);
        // The next is not drawn before this one is seen.
        slowest = slowest.max(display.await_at(place, &changed, BOUND_DB));
    }
    println!("{codec}: the slowest of {CHANGES} changes was seen after {slowest:?}");
    let (_, ended) = server.stop("TERM");
    assert_eq!(ended["failures"], 0, "{ended}");
    assert_eq!(ended["draws"], CHANGES + 1, "{ended}");
}

#[test]
fn each_single_change_is_shown_in_h264() {
    each_change_is_shown("h264", &[]);
}

#[test]
fn each_single_change_is_shown_in_h265() {
    each_change_is_shown("h265", &[]);
}

#[test]
fn each_single_change_is_shown_in_vp8() {
    each_change_is_shown("vp8", &[]);
}

#[test]
fn each_single_change_is_shown_in_vp9() {
    each_change_is_shown("vp9", &[]);
}

#[test]
fn each_single_change_is_shown_in_mjpeg() {
    each_change_is_shown("mjpeg", &[]);
}

#[test]
fn each_single_change_is_shown_of_a_source_that_flips_its_buffers() {
    each_change_is_shown("h264", &["--buffers", "3", "--orientation", "bottom-up"]);
}
