//! Runs the program as a user does.
#![allow(dead_code)]

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Nothing here takes so long; a hang becomes a failed test.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// The lines of standard error that are the program's own: libraries of
    /// codecs write there as they like.
    pub(crate) fn errors(&self) -> Vec<&str> {
        let own = |line: &&str| line.starts_with("scanout: ") || line.starts_with("hint: ");
        self.stderr.lines().filter(own).collect()
    }

    /// The result as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e} in {self:?}"))
    }

    /// That it ended well.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }
}

/// The program with arguments.
pub(crate) fn scanout<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scanout"));
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs the program to its end, which must come within [`LIMIT`].
pub(crate) fn run<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Ran {
    finish(scanout(args).spawn().unwrap())
}

/// Waits for the end of `child`, which must come within [`LIMIT`].
pub(crate) fn finish(mut child: Child) -> Ran {
    let read = |pipe: Option<Box<dyn Read + Send>>| {
        std::thread::spawn(move || {
            let mut text = Vec::new();
            if let Some(mut pipe) = pipe {
                pipe.read_to_end(&mut text).unwrap();
            }
            String::from_utf8_lossy(&text).into_owned()
        })
    };
    let stdout = read(child.stdout.take().map(|p| Box::new(p) as _));
    let stderr = read(child.stderr.take().map(|p| Box::new(p) as _));
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begun.elapsed() > LIMIT {
            child.kill().unwrap();
            panic!("it hangs: {}", stderr.join().unwrap());
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    Ran {
        code: status.code(),
        stdout: stdout.join().unwrap(),
        stderr: stderr.join().unwrap(),
    }
}

/// A directory of its own for each call, empty.
pub(crate) fn directory(name: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let pid = std::process::id();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{pid}-{number}"));
    fs::create_dir_all(&path).unwrap();
    path
}

/// True where `tool` runs; else says that the test is skipped, or fails where
/// tools are required.
pub(crate) fn have(tool: &str) -> bool {
    let ran = Command::new(tool)
        .arg("-version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let have = ran.is_ok_and(|status| status.success());
    if !have {
        skip(&format!("{tool} is not installed"));
    }
    have
}

/// True where an encoder of `codec` works here.
pub(crate) fn have_encoder(codec: &str) -> bool {
    let probed = run(["probe", "--json", "--frames", "3"]);
    let probed = probed.json();
    let have = probed["probe"]["candidates"]
        .as_array()
        .unwrap()
        .iter()
        .any(|c| c["advertised"]["codec"] == codec && c["verdict"]["verdict"] == "verified");
    if !have {
        skip(&format!("no encoder of {codec} works here"));
    }
    have
}

pub(crate) fn skip(why: &str) {
    let required = std::env::var("SCANOUT_REQUIRE_TOOLS").is_ok_and(|v| v == "1");
    assert!(!required, "{why}, and SCANOUT_REQUIRE_TOOLS is set");
    println!("skip: {why}");
}

/// What ffprobe says of the video in `file`: codec, width, height, frames decoded.
pub(crate) fn ffprobe(file: &Path) -> (String, u64, u64, u64) {
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-count_frames",
            "-of",
            "json",
            "-show_streams",
        ])
        .arg(file)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stderr.is_empty(), "{stderr}");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let stream = &json["streams"][0];
    (
        stream["codec_name"].as_str().unwrap().to_owned(),
        stream["width"].as_u64().unwrap(),
        stream["height"].as_u64().unwrap(),
        stream["nb_read_frames"].as_str().unwrap().parse().unwrap(),
    )
}
