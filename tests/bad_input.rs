//! Whatever goes wrong is told in one line, with the value and the bound, and
//! by the documented exit code. Nothing panics, nothing hangs, and nothing
//! half-written gets the name of a finished file.

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Instant;

use support::{Ran, directory, have_encoder, run, scanout};

/// That the run ended with `code` and one line of error that holds `words`.
#[track_caller]
fn assert_told(ran: &Ran, code: i32, words: &[&str]) {
    assert_eq!(ran.code, Some(code), "{ran:?}");
    assert!(!ran.stderr.contains("panicked"), "{ran:?}");
    let errors: Vec<_> = ran
        .errors()
        .into_iter()
        .filter(|line| line.starts_with("scanout: error: "))
        .collect();
    assert_eq!(errors.len(), 1, "{ran:?}");
    assert!(
        ran.errors().len() <= 2,
        "more than an error and a hint: {ran:?}"
    );
    for word in words {
        assert!(ran.stderr.contains(word), "{word:?} is missing: {ran:?}");
    }
}

#[test]
fn values_that_cannot_be_are_refused_with_their_bound() {
    let out = directory("values").join("x.h264");
    let out = out.to_str().unwrap();
    let encode = |args: &[&str]| run([&["encode", "--output", out], args].concat());
    for (args, words) in [
        (&["--size", "0x0"][..], &["0x0", "1 to 16384"][..]),
        (&["--size", "100000x100000"], &["100000x100000", "16384"]),
        (&["--size", "16384x16384"], &["268435456", "67108864"]),
        (&["--size", "wide"], &["wide", "WIDTHxHEIGHT"]),
        (&["--size", "8x8"], &["8x8", "16 to 16384"]),
        (&["--fps", "0"], &["0.1 to 1000"]),
        (&["--fps", "60000/1001"], &["60000/1001", "whole"]),
        (&["--frames", "0"], &["1 to 100000000"]),
        (&["--duration=-1s"], &["-1s", "up to a day"]),
        (&["--bitrate", "9999M"], &["9999M", "1000M"]),
        (&["--qp", "52"], &["52", "0 to 51"]),
        (&["--qp", "300"], &["300", "0 to 100"]),
        (&["--qp-min", "30", "--qp-max", "20"], &["30", "20"]),
        (&["--qp", "20", "--qp-min", "10"], &["--qp-min"]),
        (&["--codec", "mpeg2"], &["mpeg2", "h264"]),
        (&["--codec", "vp8"], &[".h264", "vp8"]),
        (&["--codec", "mjpeg"], &[".h264", "mjpeg"]),
        (&["--chroma", "422"], &["422", "420"]),
        (&["--range", "half"], &["half", "limited"]),
        (&["--require-path", "fast"], &["fast", "zero-copy"]),
        (&["--backend", "nope"], &["nope", "gst"]),
        (&["--memory", "ram"], &["ram", "memfd"]),
        (
            &["--memory", "gbm:/dev/dri/renderD128:NOPE"],
            &["NOPE", "LINEAR"],
        ),
        (&["--source", "film.mov"], &["film.mov", "FILE.y4m"]),
        (&["--source", "desktop:nap"], &["nap", "typing"]),
        (&["--source", "raw:x:64x64:QQQQ"], &["QQQQ"]),
        (
            &["--source", "raw:x:64x64:XR24:stride=255"],
            &["255", "256 to"],
        ),
        (
            &["--source", "raw:x:64x64:XR24:frame=100"],
            &["100", "16384 to"],
        ),
        (&["--source", "raw:x:0x64:XR24"], &["0x64", "16384"]),
        (&["--nonsense"], &["--nonsense"]),
    ] {
        let ran = encode(args);
        assert_told(&ran, 2, words);
    }
    for args in [
        &[][..],
        &["encode"],
        &["nonsense"],
        &["probe", "--frames", "1"],
    ] {
        assert_told(&run(args), 2, &[]);
    }
    assert!(!Path::new(out).exists());
}

#[test]
fn outputs_whose_name_says_nothing_are_refused() {
    for (name, words) in [("x.avi", &["avi", ".mp4"][..]), ("x", &["no kind of file"])] {
        assert_told(&run(["encode", "--output", name]), 2, words);
    }
    let ran = run(["encode", "--output", "-", "--json"]);
    assert_told(&ran, 2, &["--json", "standard output"]);
}

#[test]
fn broken_sources_are_named_with_what_is_wrong() {
    let dir = directory("sources");
    let out = dir.join("x.h264");
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let y4m = |header: &str, bytes: usize| {
        let mut all = header.as_bytes().to_vec();
        all.extend(vec![99; bytes]);
        all
    };
    let empty = dir.join("empty");
    fs::create_dir(&empty).unwrap();
    let raw = file("short.raw", &[0; 64 * 64 * 4 - 1]);
    for (source, words) in [
        (
            file(
                "cut.y4m",
                &y4m("YUV4MPEG2 W64 H64 F30:1 C420jpeg\nFRAME\n", 6143),
            ),
            &["6143", "6144"][..],
        ),
        (
            file("zero.y4m", &y4m("YUV4MPEG2 W0 H64 F30:1\nFRAME\n", 0)),
            &["0x64"],
        ),
        (
            file(
                "huge.y4m",
                &y4m("YUV4MPEG2 W100000 H100000 F30:1\nFRAME\n", 0),
            ),
            &["100000x100000", "16384"],
        ),
        (file("other.y4m", b"RIFF"), &["YUV4MPEG2"]),
        (file("empty.y4m", b""), &[]),
        (
            file("header.y4m", b"YUV4MPEG2 W64 H64 F3"),
            &["ends after 20 bytes"],
        ),
        (
            file("rate.y4m", &y4m("YUV4MPEG2 W64 H64 F0:1\nFRAME\n", 6144)),
            &["F0:1"],
        ),
        (format!("raw:{raw}:64x64:XR24"), &["16383", "16384"]),
        (file("broken.png", b"\x89PNG\r\n\x1a\nno"), &["broken.png"]),
        (empty.to_str().unwrap().to_owned(), &["no PNG"]),
        (
            "not/there.y4m".to_owned(),
            &["not/there.y4m: no such file or directory\n"],
        ),
        ("raw:not/there:64x64:XR24".to_owned(), &["not/there"]),
    ] {
        let ran = run([
            "encode",
            "--source",
            &source,
            "--output",
            out.to_str().unwrap(),
        ]);
        assert_told(&ran, 3, words);
        assert!(!dir.join("x.part.h264").exists(), "{source}");
    }
    let ran = run([
        "encode",
        "--memory",
        "dumb:/not/there",
        "--output",
        out.to_str().unwrap(),
    ]);
    assert_told(&ran, 3, &["/not/there", "memfd"]);
    assert!(!out.exists());
}

#[test]
fn a_source_that_breaks_off_leaves_a_whole_file_and_says_so() {
    if !have_encoder("h264") {
        return;
    }
    let dir = directory("breaks-off");
    let mut video = b"YUV4MPEG2 W64 H64 F30:1 C420jpeg\n".to_vec();
    for n in 0..3u8 {
        video.extend(b"FRAME\n");
        video.extend(vec![60 + n; if n < 2 { 6144 } else { 100 }]);
    }
    fs::write(dir.join("cut.y4m"), video).unwrap();
    let source = dir.join("cut.y4m");
    let out = dir.join("x.h264");
    let ran = run([
        "encode".as_ref(),
        "--source".as_ref(),
        source.as_os_str(),
        "--output".as_ref(),
        out.as_os_str(),
    ]);
    assert_told(
        &ran,
        3,
        &[
            "frame 2",
            "100",
            "6144",
            "hint: the output is whole as far as it goes: 2 frames",
        ],
    );
    if support::have("ffprobe") {
        assert_eq!(support::ffprobe(&out), ("h264".to_owned(), 64, 64, 2));
    }
}

#[test]
fn a_source_is_not_written_over() {
    let dir = directory("itself");
    let film = dir.join("film.h264");
    let link = dir.join("link.h264");
    fs::write(&film, [7; 64 * 64 * 4]).unwrap();
    symlink(&film, &link).unwrap();
    let source = format!("raw:{}:64x64:XR24", film.display());
    for out in [&film, &link] {
        let out = out.to_str().unwrap();
        let ran = run(["encode", "--source", &source, "--output", out]);
        assert_told(&ran, 2, &[out, "it is the source"]);
    }
    assert_eq!(fs::read(&film).unwrap(), [7; 64 * 64 * 4]);
}

#[test]
fn two_programs_do_not_write_to_one_file() {
    let dir = directory("both");
    for name in ["x.h264", "x.mp4"] {
        let out = dir.join(name);
        let partial = out.with_extension(format!("part.{}", &name[2..]));
        let other = fs::File::create(&partial).unwrap();
        other.lock().unwrap();
        fs::write(&partial, "theirs").unwrap();
        let args = ["encode", "--frames", "2", "--size", "64x64", "--output"];
        let ran = run([&args[..], &[out.to_str().unwrap()]].concat());
        assert_told(&ran, 6, &[name, "another program"]);
        assert_eq!(fs::read(&partial).unwrap(), b"theirs");
    }
}

#[test]
fn a_picture_too_small_for_mp4_is_told_with_the_bound() {
    let dir = directory("small");
    let raw = dir.join("frames.bgrx");
    fs::write(&raw, [0; 2 * 15 * 16 * 4]).unwrap();
    let source = format!("raw:{}:15x16:XR24", raw.display());
    let out = dir.join("x.mp4");
    let out = out.to_str().unwrap();
    let ran = run(["encode", "--source", &source, "--output", out]);
    assert_told(&ran, 2, &["15x16", "at least 16", ".mkv"]);
}

#[test]
fn chroma_without_a_conversion_is_refused_before_encoders_are_tried() {
    let dir = directory("chroma");
    let out = dir.join("x.h264");
    for (tag, samples, asked, hint) in [
        ("422", 2, "420", "yuv420p"),
        ("444", 3, "420", "--chroma 444"),
        ("420jpeg", 1, "444", "--chroma 420"),
    ] {
        let film = dir.join(format!("{tag}.y4m"));
        let header = format!("YUV4MPEG2 W64 H48 F25:1 C{tag}\nFRAME\n");
        fs::write(
            &film,
            [header.as_bytes(), &vec![9; 64 * 48 * samples]].concat(),
        )
        .unwrap();
        // An encoder that is not there would be the complaint of a later step.
        let ran = run([
            "encode",
            "--encoder",
            "nosuchenc",
            "--chroma",
            asked,
            "--source",
            film.to_str().unwrap(),
            "--output",
            out.to_str().unwrap(),
        ]);
        assert_told(&ran, 3, &["no conversion", hint]);
        assert!(!out.exists() && !dir.join("x.part.h264").exists());
    }
}

#[test]
fn a_format_without_a_conversion_is_named() {
    if !have_encoder("h264") {
        return;
    }
    let dir = directory("format");
    let raw = dir.join("frames.y210");
    fs::write(&raw, [0; 2 * 64 * 64 * 4]).unwrap();
    let source = format!("raw:{}:64x64:Y210", raw.display());
    let out = dir.join("x.h264");
    let ran = run([
        "encode",
        "--source",
        &source,
        "--output",
        out.to_str().unwrap(),
    ]);
    assert_told(&ran, 3, &["no conversion", "Y210", "ffmpeg"]);
    assert!(!out.exists() && !dir.join("x.part.h264").exists());
}

#[test]
fn outputs_that_cannot_be_written_are_found_before_any_work() {
    let dir = directory("outputs");
    for (output, words) in [
        (
            "/not/there/x.h264",
            &["/not/there/x.h264", "create the directory"][..],
        ),
        (dir.to_str().unwrap(), &["no kind of file"]),
    ] {
        let ran = run(["encode", "--output", output]);
        assert_told(&ran, if output.ends_with("264") { 6 } else { 2 }, words);
    }
    let taken = dir.join("taken.h264");
    fs::create_dir(&taken).unwrap();
    let ran = run(["encode", "--output", taken.to_str().unwrap()]);
    assert_told(&ran, 6, &["directory"]);
    let ran = run(["trace", "--output", "/not/there/x.y4m", "--frames", "1"]);
    assert_told(&ran, 6, &["/not/there/x.y4m"]);
    let ran = run(["man", "/proc/nothing/here"]);
    assert_told(&ran, 6, &["/proc/nothing/here"]);
    let ran = run(["demo", "--output-dir", "/proc/nothing"]);
    assert_told(&ran, 6, &["/proc/nothing"]);
}

#[test]
fn a_full_disk_is_told_and_no_file_gets_the_name() {
    if !Path::new("/dev/full").exists() {
        println!("skip: no /dev/full here");
        return;
    }
    let dir = directory("full");
    let out = dir.join("x.y4m");
    symlink("/dev/full", &out).unwrap();
    let ran = run(["trace", "--output", out.to_str().unwrap(), "--frames", "3"]);
    assert_told(&ran, 6, &["no space left on device"]);
    if !have_encoder("h264") {
        return;
    }
    for name in ["x.h264", "x.mkv"] {
        let out = dir.join(name);
        symlink("/dev/full", &out).unwrap();
        let ran = run([
            "encode",
            "--frames",
            "400",
            "--size",
            "320x180",
            "--output",
            out.to_str().unwrap(),
        ]);
        assert_told(&ran, 6, &[]);
    }
}

#[test]
fn a_file_size_limit_is_told_and_does_not_kill() {
    let dir = directory("limit");
    let limited = |args: &[&str]| {
        let program = scanout([""; 0]);
        let child = std::process::Command::new("sh")
            .args(["-c", "ulimit -f 100; exec \"$@\"", "sh"])
            .arg(program.get_program())
            .args(args)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        support::finish(child)
    };
    let out = dir.join("x.y4m");
    let ran = limited(&["trace", "--output", out.to_str().unwrap(), "--frames", "3"]);
    assert_told(&ran, 6, &["file too large"]);
    if !have_encoder("h264") {
        return;
    }
    for name in ["x.h264", "x.mp4"] {
        let out = dir.join(name);
        // Shared memory is under the limit too.
        let args = [
            "--memory", "memory", "--size", "640x360", "--frames", "900", "--output",
        ];
        let ran = limited(&[&["encode"], &args[..], &[out.to_str().unwrap()]].concat());
        assert_told(&ran, 6, &[]);
        assert!(!out.exists(), "{name}");
    }
}

#[test]
fn a_closed_pipe_ends_the_run_by_its_code() {
    let mut probe = scanout(["completions", "zsh"]).spawn().unwrap();
    drop(probe.stdout.take());
    let ran = support::finish(probe);
    assert_told(&ran, 6, &["standard output", "broken pipe"]);
    if !have_encoder("h264") {
        return;
    }
    let begun = Instant::now();
    let mut endless = scanout(["encode", "--output", "-", "--size", "320x180"])
        .spawn()
        .unwrap();
    drop(endless.stdout.take());
    let ran = support::finish(endless);
    assert_told(&ran, 6, &["standard output", "broken pipe"]);
    assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
}

#[test]
fn encoders_that_are_not_there_are_told_with_what_brings_them() {
    let dir = directory("no-encoder");
    let out = dir.join("x.h264");
    let out = out.to_str().unwrap();
    let ran = run(["encode", "--encoder", "nosuchenc", "--output", out]);
    assert_told(&ran, 4, &["nosuchenc", "scanout probe"]);
    // A GStreamer without any plugin.
    let bare = |args: &[&str]| {
        let child = scanout(args)
            .env("GST_PLUGIN_SYSTEM_PATH", "")
            .env("GST_PLUGIN_SYSTEM_PATH_1_0", "")
            .env("GST_PLUGIN_PATH", "")
            .env("GST_PLUGIN_PATH_1_0", "")
            .env("GST_REGISTRY", dir.join("registry"))
            .env("GST_REGISTRY_1_0", dir.join("registry"))
            .spawn()
            .unwrap();
        support::finish(child)
    };
    let ran = bare(&["encode", "--output", out]);
    assert_told(&ran, 4, &["gstreamer1.0-plugins"]);
    let ran = bare(&["encode", "--encoder", "x264enc", "--output", out]);
    assert_told(&ran, 4, &["gstreamer1.0-plugins"]);
    let ran = bare(&["probe"]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.stdout.contains("gstreamer1.0-plugins-ugly"), "{ran:?}");
    assert_eq!(
        fs::read_dir(&dir)
            .unwrap()
            .filter(|f| {
                let name = f.as_ref().unwrap().file_name();
                name.to_str().unwrap().starts_with("x.h264")
            })
            .count(),
        0,
        "nothing is left behind"
    );
}

#[test]
fn a_path_that_no_encoder_here_has_is_refused_with_the_path_at_hand() {
    if !have_encoder("vp8") {
        return;
    }
    let out = directory("path").join("x.ivf");
    // VP8 in hardware exists, but vp8enc is named.
    let args = [
        "encode",
        "--encoder",
        "vp8enc",
        "--require-path",
        "gpu-copy",
        "--output",
    ];
    let ran = run(args.into_iter().chain([out.to_str().unwrap()]));
    assert_told(&ran, 4, &["software", "gpu-copy"]);
}

#[test]
fn errors_are_json_where_that_was_asked_for() {
    for args in [
        &["encode", "--json", "--output", "x.avi"][..],
        &["encode", "--json", "--output", "x.h264", "--size", "0x0"],
        &["--json", "nonsense"],
    ] {
        let ran = run(args);
        let json = ran.json();
        assert_eq!(json["schema"], 1, "{ran:?}");
        assert_eq!(json["error"]["exit_code"], 2, "{ran:?}");
        assert!(
            json["error"]["message"].as_str().unwrap().len() > 10,
            "{ran:?}"
        );
        assert_told(&ran, 2, &[]);
    }
}
