//! What the codec tests share: case counts and third-party tools.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::test_runner::Config;

/// `default` cases, or as many as `SCANOUT_PROPTEST_CASES` says.
pub fn cases(default: u32) -> Config {
    let cases = std::env::var("SCANOUT_PROPTEST_CASES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default);
    Config {
        failure_persistence: None,
        ..Config::with_cases(cases)
    }
}

/// True if `tool` runs; else prints why the test is skipped, or fails where
/// `SCANOUT_REQUIRE_TOOLS=1`.
pub fn has_tool(tool: &str) -> bool {
    let there = Command::new(tool)
        .arg("-version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !there {
        assert!(
            std::env::var_os("SCANOUT_REQUIRE_TOOLS").is_none_or(|value| value != "1"),
            "{tool} is required and does not run"
        );
        eprintln!("skipped: {tool} does not run here");
    }
    there
}

/// Removes itself with all that the test wrote.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        // Tests of one process run side by side and may ask for the same name.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("scanout-{name}-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs ffmpeg and gives (standard output, standard error); fails with its messages.
pub fn ffmpeg(args: &[&str]) -> (Vec<u8>, String) {
    let out = Command::new("ffmpeg")
        .args(["-hide_banner", "-nostdin", "-y"])
        .args(args)
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "ffmpeg {args:?}:\n{err}");
    (out.stdout, err)
}

/// A stream of `frames` moving pictures; `args` choose encoder and format.
pub fn encode(folder: &Folder, name: &str, size: &str, frames: u32, args: &[&str]) -> Vec<u8> {
    let path = folder.path(name);
    let source = format!("testsrc=size={size}:rate=30");
    let frames = frames.to_string();
    let mut all = vec![
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        &source,
        "-frames:v",
        &frames,
        "-threads",
        "1",
    ];
    all.extend(args);
    all.push(&path);
    ffmpeg(&all);
    std::fs::read(&path).unwrap()
}

/// Decodes strictly; gives the MD5 of each frame, and fails on any complaint.
pub fn decode_strictly(folder: &Folder, stream: &[u8]) -> Vec<String> {
    let path = folder.path("strict.h264");
    std::fs::write(&path, stream).unwrap();
    let (out, err) = ffmpeg(&[
        "-v",
        "warning",
        "-xerror",
        "-err_detect",
        "explode",
        "-f",
        "h264",
        "-i",
        &path,
        "-f",
        "framemd5",
        "-",
    ]);
    // The muxer guesses timestamps of a raw stream; only the decoder's words count.
    let complaints: Vec<_> = err.lines().filter(|line| line.contains("[h264")).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
    String::from_utf8(out)
        .unwrap()
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit(',').next().unwrap().trim().to_owned())
        .collect()
}

/// Elements and values of the first SPS as ffmpeg's `trace_headers` reads them.
pub fn trace_headers(folder: &Folder, stream: &[u8]) -> std::collections::HashMap<String, i64> {
    let path = folder.path("trace.h264");
    std::fs::write(&path, stream).unwrap();
    let (_, err) = ffmpeg(&[
        "-f",
        "h264",
        "-i",
        &path,
        "-c",
        "copy",
        "-bsf:v",
        "trace_headers",
        "-f",
        "null",
        "-",
    ]);
    let mut values = std::collections::HashMap::new();
    for line in err
        .lines()
        .filter(|line| line.starts_with("[trace_headers"))
    {
        let Some((head, value)) = line.rsplit_once(" = ") else {
            continue;
        };
        let Some(name) = head.split_whitespace().nth(4) else {
            continue;
        };
        if let Ok(value) = value.trim().parse() {
            values.entry(name.to_owned()).or_insert(value);
        }
    }
    values
}
