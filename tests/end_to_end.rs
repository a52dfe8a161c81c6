//! The whole way, judged by programs that are none of ours.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use support::{Ran, directory, ffprobe, have, have_encoder, run};

fn encode(out: &Path, args: &[&str]) -> Ran {
    let out = out.to_str().unwrap();
    run([&["encode", "--json", "--output", out], args].concat())
}

#[test]
fn every_codec_goes_into_its_files_at_odd_sizes() {
    if !have("ffprobe") {
        return;
    }
    let dir = directory("codecs");
    for (codec, files) in [
        ("h264", &["a.h264", "a.mp4", "a.mkv"][..]),
        ("h265", &["a.h265", "a.mp4", "a.mkv"]),
        ("vp8", &["a.ivf", "a.mkv"]),
        ("vp9", &["b.ivf", "b.mp4", "b.mkv"]),
        ("av1", &["a.obu", "c.ivf", "c.mp4", "c.mkv"]),
        ("mjpeg", &["a.mjpeg", "a.mkv"]),
    ] {
        if !have_encoder(codec) {
            continue;
        }
        for name in files {
            let out = dir.join(codec).join(name);
            fs::create_dir_all(out.parent().unwrap()).unwrap();
            let args = ["--codec", codec, "--size", "333x201", "--frames", "12"];
            let report = encode(&out, &args).ok().json();
            let stream = &report["stream"];
            assert_eq!(stream["codec"], codec, "{name}");
            assert_eq!(stream["visible"]["width"], 333, "{name}");
            assert_eq!(stream["visible"]["height"], 201, "{name}");
            assert_eq!(report["frames"]["coded"], 12, "{name}");
            let (seen, width, height, frames) = ffprobe(&out);
            let seen = if seen == "hevc" { "h265" } else { &seen };
            assert_eq!((seen, frames), (codec, 12), "{name}");
            // H.264 and HEVC crop 4:2:0 in steps of two. Containers say the true
            // size, which ffmpeg heeds for H.264 but not for HEVC.
            let even = name.ends_with("h264") || codec == "h265";
            let expected = if even { (334, 202) } else { (333, 201) };
            assert_eq!((width, height), expected, "{name} of {codec}");
            assert_eq!(
                report["outputs"][0]["bytes"].as_u64(),
                Some(fs::metadata(&out).unwrap().len()),
                "{name}"
            );
        }
    }
}

#[test]
fn a_trace_is_encoded_with_the_damage_that_was_recorded() {
    let dir = directory("trace");
    let args = [
        "trace",
        "--json",
        "--scenario",
        "idle",
        "--size",
        "322x182",
        "--frames",
        "90",
        "--output",
    ];
    let trace = run(args.into_iter().chain([dir.to_str().unwrap()]))
        .ok()
        .json();
    assert_eq!(trace["frames"], 90);
    let video = dir.join("idle.y4m");
    assert_eq!(trace["video"].as_str(), video.to_str());
    assert!(dir.join("idle.y4m.damage.jsonl").exists());
    if have("ffprobe") {
        assert_eq!(ffprobe(&video), ("rawvideo".to_owned(), 322, 182, 90));
    }
    if !have_encoder("h264") {
        return;
    }
    let source = video.to_str().unwrap();
    let report = encode(
        &dir.join("x.h264"),
        &["--source", source, "--skip-unchanged"],
    )
    .ok()
    .json();
    assert_eq!(report["frames"]["taken"], 90);
    let unchanged = report["frames"]["unchanged"].as_u64().unwrap();
    let coded = report["frames"]["coded"].as_u64().unwrap();
    assert!(
        unchanged > 60,
        "an idle desktop hardly changes: {unchanged}"
    );
    assert_eq!(coded + unchanged, 90);
    let every = encode(&dir.join("y.h264"), &["--source", source])
        .ok()
        .json();
    assert_eq!(every["frames"]["coded"], 90);
}

#[test]
fn raw_frames_and_pictures_are_sources() {
    if !have_encoder("h264") || !have("ffprobe") {
        return;
    }
    let dir = directory("raw");
    // Two frames of NV12 with wide rows.
    let mut raw = Vec::new();
    for luma in [60u8, 200] {
        raw.extend([vec![luma; 80 * 48], vec![128; 80 * 24]].concat());
    }
    let file = dir.join("frames.nv12");
    fs::write(&file, raw).unwrap();
    let source = format!("raw:{}:66x48:NV12:stride=80", file.display());
    let out = dir.join("raw.h264");
    let report = encode(&out, &["--source", &source, "--fps", "30000/1001"])
        .ok()
        .json();
    assert_eq!(report["source"]["format"], "NV12");
    assert_eq!(report["source"]["frame_rate"]["num"], 30000);
    assert_eq!(ffprobe(&out), ("h264".to_owned(), 66, 48, 2));
}

#[test]
fn every_kind_of_memory_gives_the_same_stream() {
    if !have_encoder("h264") {
        return;
    }
    let dir = directory("memory");
    // Which encoder is best may change with what else the machine does.
    let first = encode(&dir.join("first.h264"), &["--frames", "1"])
        .ok()
        .json();
    let encoder = first["encoder"]["name"].as_str().unwrap();
    let file = |memory: &str| {
        let out = dir.join(format!("{memory}.h264"));
        let args = [
            "--encoder",
            encoder,
            "--size",
            "320x180",
            "--frames",
            "30",
            "--threads",
            "1",
            "--qp",
            "24",
            "--memory",
            memory,
        ];
        let ran = encode(&out, &args);
        match ran.code {
            Some(0) => Some(fs::read(&out).unwrap()),
            code => {
                assert_eq!(code, Some(3), "{ran:?}");
                println!("skip: no {memory} here");
                None
            }
        }
    };
    let memfd = file("memfd").unwrap();
    for memory in ["memory", "udmabuf", "dma-heap"] {
        if let Some(stream) = file(memory) {
            assert!(stream == memfd, "{memory}");
        }
    }
}

#[test]
fn settings_reach_the_stream() {
    if !have_encoder("h264") {
        return;
    }
    let dir = directory("settings");
    let out = dir.join("x.h264");
    let base = ["--size", "320x180", "--frames", "40"];
    let with = |args: &[&str]| encode(&out, &[&base[..], args].concat()).ok().json();
    let report = with(&[
        "--color-matrix",
        "bt601",
        "--range",
        "full",
        "--keyframe-every",
        "10",
    ]);
    assert_eq!(report["stream"]["color"]["matrix"], "bt601");
    assert_eq!(report["stream"]["color"]["range"], "full");
    assert_eq!(report["stream"]["color_in_headers"], true);
    assert_eq!(report["frames"]["keyframes"], 4);
    let coarse = with(&["--qp", "40"])["outputs"][0]["bytes"]
        .as_u64()
        .unwrap();
    let fine = with(&["--qp", "12"])["outputs"][0]["bytes"]
        .as_u64()
        .unwrap();
    assert!(fine > 2 * coarse, "{fine} {coarse}");
}

#[test]
fn the_probe_says_of_each_encoder_what_was_seen() {
    let ran = run(["probe", "--json", "--frames", "5"]);
    let json = ran.json();
    assert_eq!(json["schema"], 1);
    assert_eq!(json["command"], "probe");
    for candidate in json["probe"]["candidates"].as_array().unwrap() {
        let verdict = &candidate["verdict"];
        match verdict["verdict"].as_str().unwrap() {
            "verified" => assert!(verdict["encode_ms"].as_f64().unwrap() >= 0.0),
            "failed" => assert!(!verdict["reason"].as_str().unwrap().is_empty()),
            other => panic!("{other}"),
        }
    }
    let quick = run(["probe", "--json", "--quick"]).json();
    for candidate in quick["probe"]["candidates"].as_array().unwrap() {
        assert_eq!(candidate["verdict"]["verdict"], "untried");
    }
}

#[test]
fn the_demo_judges_its_own_stream() {
    if !have_encoder("h264") || !have("ffmpeg") {
        return;
    }
    let dir = directory("demo");
    let args = [
        "demo",
        "--json",
        "--size",
        "640x360",
        "--duration",
        "2s",
        "--output-dir",
    ];
    let report = run(args.into_iter().chain([dir.to_str().unwrap()]))
        .ok()
        .json();
    let quality = &report["quality"];
    assert_eq!(quality["frames"], report["encode"]["frames"]["coded"]);
    assert!(quality["psnr_y_db"].as_f64().unwrap() > 28.0, "{quality}");
    assert!(quality["ssim_y"].as_f64().unwrap() > 0.9, "{quality}");
    let sheet = fs::read(dir.join("contact-sheet.png")).unwrap();
    assert!(sheet.starts_with(b"\x89PNG"));
    for output in report["encode"]["outputs"].as_array().unwrap() {
        assert!(Path::new(output["path"].as_str().unwrap()).exists());
    }
    // The sheet is a picture like any other: a source of one frame.
    let source = dir.to_str().unwrap();
    let report = encode(&dir.join("sheet.mp4"), &["--source", source])
        .ok()
        .json();
    assert_eq!(report["frames"]["coded"], 1);
}

#[test]
fn completions_and_manual_pages_are_made() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = run(["completions", shell]).ok();
        assert!(ran.stdout.contains("require-path"), "{shell}");
    }
    let dir = directory("man");
    run(["man", dir.to_str().unwrap()]).ok();
    let page = fs::read_to_string(dir.join("scanout.1")).unwrap();
    assert!(
        page.contains("130  interrupted") && page.contains(".SH \"EXIT CODES\""),
        "{page}"
    );
    assert!(dir.join("scanout-encode.1").exists());
}

#[test]
fn help_tells_the_exit_codes() {
    let ran = run(["--help"]).ok();
    for code in ["  0  done", "  4  no encoder", "130  interrupted"] {
        assert!(ran.stdout.contains(code), "{code}");
    }
    assert!(
        !ran.stdout.contains('\x1b'),
        "no colours outside of a terminal"
    );
}

#[test]
fn the_range_that_a_y4m_file_states_is_the_range_of_the_stream() {
    if !have("ffprobe") || !have_encoder("h264") {
        return;
    }
    let dir = directory("range");
    for (said, coded, other) in [("FULL", "pc", "limited"), ("LIMITED", "tv", "full")] {
        let film = dir.join(format!("{said}.y4m"));
        let header = format!("YUV4MPEG2 W64 H48 F25:1 C420jpeg XCOLORRANGE={said}\nFRAME\n");
        let samples = [128; 64 * 48 * 3 / 2];
        fs::write(&film, [header.as_bytes(), &samples].concat()).unwrap();
        let film = film.to_str().unwrap();
        let out = dir.join(format!("{said}.h264"));
        encode(&out, &["--source", film]).ok();
        let probed = Command::new("ffprobe")
            .args(["-v", "error", "-of", "csv=p=0"])
            .args(["-show_entries", "stream=color_range"])
            .arg(&out)
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&probed.stdout).trim(), coded);
        let refused = encode(&out, &["--source", film, "--range", other]);
        assert_eq!(refused.code, Some(2), "{refused:?}");
    }
}

/// One field of the stream, or of the file.
fn probed(file: &Path, entry: &str) -> String {
    let probed = Command::new("ffprobe")
        .args(["-v", "error", "-of", "csv=p=0", "-show_entries", entry])
        .arg(file)
        .output()
        .unwrap();
    String::from_utf8_lossy(&probed.stdout).trim().to_owned()
}

#[test]
fn centred_chroma_of_a_y4m_file_is_signalled() {
    if !have("ffprobe") || !have_encoder("h264") {
        return;
    }
    let dir = directory("site");
    for (tag, site) in [("420jpeg", "center"), ("420mpeg2", "left")] {
        let film = dir.join(format!("{tag}.y4m"));
        let header = format!("YUV4MPEG2 W64 H48 F25:1 C{tag}\nFRAME\n");
        let samples = [128; 64 * 48 * 3 / 2];
        fs::write(&film, [header.as_bytes(), &samples].concat()).unwrap();
        let out = dir.join(format!("{tag}.h264"));
        let report = encode(&out, &["--source", film.to_str().unwrap()])
            .ok()
            .json();
        assert_eq!(probed(&out, "stream=chroma_location"), site, "{report}");
    }
}

#[test]
fn a_file_is_as_long_as_its_source_though_nothing_changes_at_the_end() {
    if !have("ffprobe") || !have_encoder("h264") || !have_encoder("vp8") {
        return;
    }
    let dir = directory("length");
    // A picture that changes once, then two seconds of the same.
    let film = dir.join("still.y4m");
    let mut bytes = b"YUV4MPEG2 W64 H48 F25:1 C420mpeg2\n".to_vec();
    let mut damage =
        r#"{"schema":"scanout-damage","version":1,"width":64,"height":48,"fps":[25,1]}"#.to_owned();
    damage.push('\n');
    for n in 0..60u64 {
        bytes.extend(b"FRAME\n");
        bytes.extend([if n < 10 { 50 } else { 180 }; 64 * 48 * 3 / 2]);
        let rects = if n == 0 || n == 10 { "[0,0,64,48]" } else { "" };
        damage.push_str(&format!(
            "{{\"frame\":{n},\"time_us\":{},\"segment\":\"still\",\"rects\":[{rects}]}}\n",
            n * 40_000
        ));
    }
    fs::write(&film, bytes).unwrap();
    fs::write(dir.join("still.y4m.damage.jsonl"), damage).unwrap();
    for name in ["x.mp4", "x.mkv", "x.ivf"] {
        let out = dir.join(name);
        let args = ["--source", film.to_str().unwrap(), "--skip-unchanged"];
        let report = encode(&out, &args).ok().json();
        assert_eq!(report["frames"]["coded"], 2, "{name}: {report}");
        let length: f64 = probed(&out, "format=duration").parse().unwrap();
        assert!((length - 2.4).abs() < 0.01, "{name}: {length} s");
    }
}

#[test]
fn the_demo_names_its_judges_and_the_cost_of_each_alternative() {
    if !have("ffmpeg") || !have_encoder("h264") || !have_encoder("vp8") {
        return;
    }
    let dir = directory("demo-text");
    let args = ["demo", "--size", "320x180", "--fps", "30", "--every-frame"];
    let more = ["--duration", "1s", "--codec", "h264", "--output-dir"];
    let args = args.into_iter().chain(more);
    let ran = run(args.chain([dir.to_str().unwrap()])).ok();
    let judges = if ran.stdout.contains(" and GStreamer's ") {
        "decoding it with other programs"
    } else {
        "decoding it with another program "
    };
    assert!(ran.stdout.contains(judges), "{ran:?}");
    let row = ran.stdout.lines().find(|line| line.contains("instead of"));
    for other in row
        .map_or("", |row| &row["  instead of".len()..])
        .split(',')
    {
        if let Some((_, cost)) = other.trim().split_once(' ') {
            assert!(cost.parse::<f64>().is_ok(), "{other:?}");
        } else {
            assert!(other.is_empty(), "no cost: {other:?}");
        }
    }
}
