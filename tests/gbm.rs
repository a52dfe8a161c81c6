//! Frames in buffers of GBM, by a library of our own in place of Mesa's: this
//! shows that the library is used as its header says, not what a GPU does.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Ran, directory, finish, have_encoder, run, scanout};

/// Builds the library; `old` is one from before modifiers.
fn library(old: bool) -> PathBuf {
    let dir = directory("fake-gbm");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake_gbm/gbm.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-O1"]);
    compiler.args(["-Wl,-soname,libgbm.so.1"]);
    if old {
        compiler.arg("-DOLD");
    }
    let built = compiler
        .arg(source)
        .arg("-o")
        .arg(dir.join("libgbm.so.1"))
        .status()
        .unwrap();
    assert!(built.success());
    dir
}

/// `scanout encode` with that library, whose nodes may be anything.
fn encode(library: &Path, memory: &str, size: &str, out: &Path, more: &[&str]) -> Ran {
    let args = [
        "encode", "--codec", "h264", "--frames", "40", "--json", "--memory", memory, "--size", size,
    ];
    let mut command = scanout(args);
    command.args(more).arg("--output").arg(out);
    command.env("LD_LIBRARY_PATH", library);
    finish(command.spawn().unwrap())
}

#[track_caller]
fn assert_told(ran: &Ran, code: i32, words: &[&str]) {
    assert_eq!(ran.code, Some(code), "{ran:?}");
    let errors = ran.errors();
    assert_eq!(errors.len(), 2, "an error and a hint: {ran:?}");
    for word in words {
        assert!(
            errors.iter().any(|line| line.contains(word)),
            "{word}: {ran:?}"
        );
    }
    assert_all_given_back(ran);
}

/// That every map, buffer and device was ended.
#[track_caller]
fn assert_all_given_back(ran: &Ran) {
    assert!(!ran.stderr.contains("fake gbm:"), "{ran:?}");
}

#[test]
fn frames_drawn_through_gbm_are_the_frames() {
    if !have_encoder("h264") {
        return;
    }
    let out = directory("gbm");
    let plain = out.join("memfd.h264");
    let size = "322x182";
    let reference = [
        "encode",
        "--frames",
        "40",
        "--json",
        "--threads",
        "1",
        "--size",
        size,
        "--output",
    ];
    let ran = run([&reference[..], &[plain.to_str().unwrap()]].concat()).ok();
    // The choice goes by measured times, which differ from run to run.
    let encoder = ran.json()["encoder"]["name"].as_str().unwrap().to_owned();
    for (old, name) in [(false, "new.h264"), (true, "old.h264")] {
        let library = library(old);
        let file = out.join(name);
        let ran = encode(
            &library,
            "gbm:/dev/null:LINEAR",
            size,
            &file,
            &["--threads", "1", "--encoder", &encoder],
        );
        assert_all_given_back(&ran);
        ran.ok();
        // The same pictures through the same encoder are the same bytes: all
        // damage arrived, and nothing but it was drawn.
        assert!(
            std::fs::read(&file).unwrap() == std::fs::read(&plain).unwrap(),
            "{name}"
        );
    }
}

#[test]
fn tiles_that_no_encoder_here_reads_are_told_by_name() {
    if !have_encoder("h264") {
        return;
    }
    let library = library(false);
    let out = directory("gbm-tiled").join("x.h264");
    // As asked for, and as the driver likes.
    for memory in ["gbm:/dev/null:INTEL_X_TILED", "gbm:/dev/null"] {
        let ran = encode(&library, memory, "320x180", &out, &[]);
        assert_told(&ran, 3, &["INTEL_X_TILED", "LINEAR", "gpu-copy"]);
    }
    assert!(!out.exists());
}

#[test]
fn what_the_library_does_not_do_is_told_with_node_call_and_cause() {
    let (new, old) = (library(false), library(true));
    let out = directory("gbm-refused").join("x.h264");
    let size = "320x180";
    for (library, modifier, words) in [
        // Neither grants what it does not know.
        (
            &new,
            ":INTEL_Y_TILED",
            &["/dev/null", "gbm_bo_create_with_modifiers2", "os error 95"][..],
        ),
        (&new, ":INTEL_4_TILED", &["INTEL_4_TILED", "LINEAR"]),
        (
            &old,
            ":INTEL_X_TILED",
            &["libgbm.so.1", "lacks gbm_bo_create_with_modifiers"],
        ),
    ] {
        let ran = encode(
            library,
            &format!("gbm:/dev/null{modifier}"),
            size,
            &out,
            &[],
        );
        assert_told(&ran, 3, words);
    }
    // A layout that the old library does not name may be tiled.
    let ran = encode(&old, "gbm:/dev/null", size, &out, &[]);
    assert_told(&ran, 3, &["INVALID", "name a modifier"]);
}

#[test]
fn machines_without_the_library_or_the_node_say_so() {
    let out = directory("gbm-absent").join("x.h264");
    // An empty file in its place is found first, and is no library.
    let nothing = directory("no-gbm");
    std::fs::write(nothing.join("libgbm.so.1"), b"").unwrap();
    let ran = encode(&nothing, "gbm:/dev/dri/renderD128", "320x180", &out, &[]);
    assert_told(&ran, 3, &["libgbm.so.1", "install libgbm1"]);
    let ran = encode(&library(false), "gbm:/not/there", "320x180", &out, &[]);
    assert_told(&ran, 3, &["/not/there", "no such file", "/dev/dri"]);
}

#[test]
fn sources_of_several_planes_are_refused_before_anything_is_tried() {
    let dir = directory("gbm-planar");
    let source = dir.join("x.y4m");
    let mut y4m = b"YUV4MPEG2 W64 H64 F30:1 C420jpeg\nFRAME\n".to_vec();
    y4m.extend([99; 64 * 96]);
    std::fs::write(&source, y4m).unwrap();
    let mut command = scanout(["encode", "--memory", "gbm:/dev/null:LINEAR", "--source"]);
    command
        .arg(&source)
        .arg("--output")
        .arg(dir.join("x.h264"))
        .env("LD_LIBRARY_PATH", library(false));
    let ran = finish(command.spawn().unwrap());
    assert_told(&ran, 2, &["YU12", "3 planes", "one plane"]);
}
