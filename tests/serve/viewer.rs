//! remote-viewer, as a user has it before him.

use std::fs;
use std::time::{Duration, Instant};

use crate::client::{Display, have_clients, stats};
use crate::picture::{Picture, mistakes, psnr};
use crate::server::{Served, kill};
use crate::support::{LIMIT, directory, finish, have_encoder};

const BOUND_DB: f64 = 34.0;

fn chart_server(picture: &Picture, args: &[&str]) -> Served {
    let file = directory("chart").join("chart.png");
    picture.write_png(&file);
    let still = ["--source", file.to_str().unwrap(), "--bitrate", "40M"];
    Served::start([&still, args].concat())
}

#[test]
fn a_viewer_shows_the_source_by_its_connection_file() {
    if !have_clients(&["remote-viewer", "Xvfb"]) {
        return;
    }
    let picture = Picture::chart(641, 361);
    let folder = directory("vv");
    let password = folder.join("password");
    fs::write(&password, "a b\\c").unwrap();
    let source = folder.join("chart.png");
    picture.write_png(&source);
    let vv = folder.join("screen.vv");
    let server = Served::start_with([
        "--source",
        source.to_str().unwrap(),
        "--bitrate",
        "40M",
        "--listen",
        "127.0.0.1:0",
        "--password-file",
        password.to_str().unwrap(),
        "--write-vv",
        vv.to_str().unwrap(),
        "--vv-password",
    ]);
    let display = Display::start();
    let _viewer = display.viewer([&vv]);
    let (x, y) = display.await_picture(&picture, BOUND_DB);
    let shown = display.look().unwrap();
    let shown = shown.cut(x, y, picture.width, picture.height);
    for (mistake, wrong) in mistakes(&picture) {
        let seen = psnr(&shown, &wrong);
        assert!(seen < BOUND_DB - 2.0, "{mistake} would pass: {seen:.1} dB");
    }
    drop(server);
}

#[test]
fn a_second_client_takes_over() {
    if !have_clients(&["remote-viewer", "Xvfb"]) || !have_encoder("h264") {
        return;
    }
    let picture = Picture::chart(400, 300);
    let server = chart_server(&picture, &["--codec", "h264"]);
    let (first, second) = (Display::start(), Display::start());
    let mut loser = first.viewer([server.uri(0)]);
    first.await_picture(&picture, BOUND_DB);
    let mut winner = second.viewer([server.uri(0)]);
    second.await_picture(&picture, BOUND_DB);
    // The first one says so and ends, or shows a dialogue in the picture's place.
    let begun = Instant::now();
    while loser.is_running() && first.look().is_some_and(|s| s.find(&picture).is_some()) {
        assert!(begun.elapsed() < LIMIT, "both clients stay");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(winner.is_running());
    assert!(second.look().unwrap().find(&picture).is_some());
}

#[test]
fn shared_clients_all_look() {
    if !have_clients(&["remote-viewer", "Xvfb"]) || !have_encoder("h264") {
        return;
    }
    let picture = Picture::chart(400, 300);
    let server = chart_server(&picture, &["--codec", "h264", "--sharing", "shared"]);
    let displays = [Display::start(), Display::start()];
    let _viewers = displays.each_ref().map(|d| d.viewer([server.uri(0)]));
    for display in &displays {
        display.await_picture(&picture, BOUND_DB);
    }
}

#[test]
fn a_viewer_follows_the_size_of_the_source() {
    if !have_clients(&["remote-viewer", "Xvfb"]) || !have_encoder("h264") {
        return;
    }
    // The idle desktop: what it shows is the same at each start.
    let server = Served::start([
        "--source",
        "desktop:idle",
        "--size",
        "640x360",
        "--resize-every",
        "3s",
        "--sizes",
        "501x301,640x360",
        "--codec",
        "h264",
    ]);
    let display = Display::start();
    let mut viewer = display.viewer([server.uri(0)]);
    let desktop = |width, height| {
        use scanout_trace::desktop::{Desktop, Scenario};
        let size = scanout::core::geometry::Size::new(width, height);
        let mut desktop = Desktop::new(size, Scenario::Idle, 1, 60).unwrap();
        desktop.next_frame();
        let pixels = desktop.pixels().chunks_exact(desktop.stride());
        let rgb = pixels
            .flat_map(|row| row.chunks_exact(4).take(width as usize))
            .flat_map(|p| [p[2], p[1], p[0]])
            .collect();
        Picture {
            width: width as usize,
            height: height as usize,
            rgb,
        }
    };
    for (width, height) in [(501, 301), (640, 360), (501, 301)] {
        display.await_picture(&desktop(width, height), 28.0);
    }
    assert!(viewer.is_running());
    let (_, ended) = server.stop("TERM");
    assert_eq!(ended["failures"], 0, "{ended}");
}

#[test]
fn the_server_says_goodbye_when_it_stops() {
    if !have_clients(&["remote-viewer", "Xvfb"]) || !have_encoder("h264") {
        return;
    }
    let picture = Picture::chart(400, 300);
    let server = chart_server(&picture, &["--codec", "h264"]);
    let display = Display::start();
    let mut viewer = display.viewer([server.uri(0)]);
    display.await_picture(&picture, BOUND_DB);
    let begun = Instant::now();
    let (ran, ended) = server.stop("INT");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert_eq!(ended["event"], "stopped", "{ended}");
    viewer.wait();
}

#[test]
fn bytes_of_every_channel_are_counted_by_the_client() {
    if !have_clients(&["spicy-stats"]) || !have_encoder("h264") {
        return;
    }
    let server = Served::start([
        "--source",
        "desktop:scroll",
        "--size",
        "640x360",
        "--codec",
        "h264",
    ]);
    let client = stats(&server.uri(0));
    std::thread::sleep(Duration::from_secs(3));
    kill("INT", client.id());
    let ran = finish(client);
    let bytes = |channel: &str| -> u64 {
        let line = ran.stdout.lines().find_map(|l| l.strip_prefix(channel));
        line.and_then(|l| l.trim_start_matches(':').trim().parse().ok())
            .unwrap_or_else(|| panic!("{channel}: {ran:?}"))
    };
    assert!(bytes("display") > 50_000, "{ran:?}");
    assert!(bytes("main") > 50 && bytes("inputs") > 0, "{ran:?}");
    let (_, ended) = server.stop("TERM");
    // What was on its way when the client left was not read.
    let read: u64 = ["main", "display", "inputs", "cursor"]
        .map(bytes)
        .iter()
        .sum();
    assert!(
        ended["bytes_written"].as_u64() >= Some(read),
        "{read} were read: {ended}"
    );
}
