//! Ctrl-C ends a run well: what was coded is a whole file.

mod support;

use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use support::{directory, ffprobe, finish, have, have_encoder, scanout};

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill")
        .args(["-s", name, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

/// True where whoever started the tests ignores SIGHUP, as nohup does: the
/// program inherits that, and keeps it on purpose.
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|l| l.strip_prefix("SigIgn:"));
    let ignored = u64::from_str_radix(mask.unwrap().trim(), 16).unwrap() & 1 != 0;
    if ignored {
        println!("skip: SIGHUP is ignored here, as under nohup");
    }
    ignored
}

/// An endless run into `out`, which writes to `partial` by now.
fn started(out: &Path, partial: &Path) -> Child {
    let args = [
        "encode",
        "--size",
        "320x180",
        "--realtime",
        "--json",
        "--output",
    ];
    let child = scanout(args).arg(out).spawn().unwrap();
    let begun = Instant::now();
    while !partial.exists() {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "{}",
            out.display()
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    child
}

#[test]
fn the_first_signal_finishes_the_file() {
    if !have_encoder("h264") || !have("ffprobe") {
        return;
    }
    for (name, signal_name) in [
        ("x.h264", "INT"),
        ("x.mp4", "INT"),
        ("y.h264", "TERM"),
        ("z.mp4", "HUP"),
    ] {
        if signal_name == "HUP" && hangup_is_ignored() {
            continue;
        }
        let out = directory("interrupt").join(name);
        let partial = out.with_file_name(name.replace('.', ".part."));
        let child = started(&out, &partial);
        std::thread::sleep(Duration::from_millis(2500));
        signal(&child, signal_name);
        let begun = Instant::now();
        let ran = finish(child);
        assert!(begun.elapsed() < Duration::from_secs(10), "{name}: {ran:?}");
        assert_eq!(ran.code, Some(130), "{name}: {ran:?}");
        let report = ran.json();
        assert_eq!(report["interrupted"], true, "{name}");
        let (codec, width, height, frames) = ffprobe(&out);
        assert_eq!(
            (codec.as_str(), width, height),
            ("h264", 320, 180),
            "{name}"
        );
        assert_eq!(Some(frames), report["frames"]["coded"].as_u64(), "{name}");
        assert!(frames > 5, "{name}: {frames}");
        assert!(!partial.exists(), "{name}");
    }
}

#[test]
fn a_closed_terminal_ends_a_run_once_however_often_it_says_so() {
    if !have_encoder("h264") || !have("ffprobe") || hangup_is_ignored() {
        return;
    }
    let out = directory("hangup").join("x.mp4");
    let mut child = started(&out, &out.with_file_name("x.part.mp4"));
    // Nobody reads the report any more.
    drop(child.stdout.take());
    std::thread::sleep(Duration::from_millis(2500));
    signal(&child, "HUP");
    std::thread::sleep(Duration::from_millis(5));
    signal(&child, "HUP");
    let ran = finish(child);
    assert_eq!(ran.code, Some(130), "{ran:?}");
    assert!(ffprobe(&out).3 > 5);
}

#[test]
fn a_run_under_nohup_outlives_its_terminal() {
    let out = directory("nohup").join("x.y4m");
    let program = scanout([""; 0]);
    let child = Command::new("sh")
        // As nohup does.
        .args(["-c", "trap '' HUP; exec \"$@\"", "sh"])
        .arg(program.get_program())
        .args(["trace", "--size", "64x64", "--frames", "20000", "--output"])
        .arg(&out)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(300));
    signal(&child, "HUP");
    assert_eq!(finish(child).code, Some(0));
}

#[test]
fn a_trace_that_is_interrupted_can_be_read() {
    let out = directory("interrupt").join("x.y4m");
    let args = [
        "trace",
        "--size",
        "640x360",
        "--duration",
        "1000s",
        "--output",
    ];
    let child = scanout(args).arg(&out).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    signal(&child, "INT");
    let ran = finish(child);
    assert_eq!(ran.code, Some(130), "{ran:?}");
    if have("ffprobe") {
        assert!(ffprobe(&out).3 > 0);
    }
}

#[test]
fn the_second_signal_ends_at_once_and_says_what_it_leaves() {
    if !have_encoder("h264") {
        return;
    }
    // While encoders are tried the file is empty; later there is video in it.
    for (name, leaves) in [("x.h264", false), ("x.mp4", true)] {
        let out = directory("interrupt-twice").join(name);
        let partial = out.with_file_name(name.replace('.', ".part."));
        let child = started(&out, &partial);
        let begun = Instant::now();
        // Writers collect before they write: the disk decides, not the clock.
        while leaves && partial.metadata().unwrap().len() == 0 {
            assert!(begun.elapsed() < Duration::from_secs(60), "{name}");
            std::thread::sleep(Duration::from_millis(10));
        }
        // Both are there before the program looks: it cannot finish between them.
        for name in ["STOP", "INT", "TERM", "CONT"] {
            signal(&child, name);
        }
        let begun = Instant::now();
        let ran = finish(child);
        assert!(begun.elapsed() < Duration::from_secs(5), "{name}: {ran:?}");
        assert_eq!(ran.code, Some(130), "{name}: {ran:?}");
        let told = ran.errors().join(" ");
        assert!(told.contains("interrupted twice"), "{name}: {ran:?}");
        let named = told.contains(partial.to_str().unwrap());
        assert_eq!(
            (partial.exists(), named),
            (leaves, leaves),
            "{name}: {ran:?}"
        );
        assert!(!out.exists(), "{name}");
    }
}

#[test]
fn a_signal_during_trials_is_obeyed_before_they_end() {
    if !have_encoder("h264") {
        return;
    }
    let child = scanout(["probe", "--size", "3840x2160", "--frames", "1000"])
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    signal(&child, "INT");
    let begun = Instant::now();
    let ran = finish(child);
    assert!(begun.elapsed() < Duration::from_secs(30), "{ran:?}");
    assert_eq!(ran.code, Some(130), "{ran:?}");
    assert!(ran.stderr.contains("interrupted"), "{ran:?}");
}
