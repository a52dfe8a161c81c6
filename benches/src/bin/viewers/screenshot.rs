//! How long a stock client takes from its start to the picture's file.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use scanout_benches::Error;
use scanout_benches::clock::median;
use scanout_core::geometry::Size;
use scanout_spice::server::Sharing;
use scanout_trace::desktop::Scenario;
use serde::Serialize;

use super::Aim;
use super::player::Player;
use super::recording::Recording;
use super::serving::{Serving, ms};

const RUNS: usize = 5;
const CLIENT: &str = "spicy-screenshot";

#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) size: String,
    /// Wall milliseconds, run by run.
    pub(crate) each: Vec<f64>,
    pub(crate) median: f64,
    /// The client's own start, without a server: `--version`.
    pub(crate) version_ms: f64,
    /// Why nothing was measured.
    pub(crate) skipped: Option<String>,
}

impl Row {
    pub(crate) fn aim(&self) -> Option<Aim> {
        let of = || Aim::at_most("spicy-screenshot, wall ms, median", 500.0, self.median);
        self.skipped.is_none().then(of)
    }
}

/// Removed with this.
struct File(PathBuf);

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

pub(crate) fn run(size: Size, threads: Option<NonZeroU32>) -> Result<Row, Error> {
    let mut row = Row {
        size: size.to_string(),
        each: Vec::new(),
        median: 0.0,
        version_ms: 0.0,
        skipped: None,
    };
    let mut version = Command::new(CLIENT);
    version.arg("--version").stdout(Stdio::null());
    // The first start fills the page cache.
    for _ in 0..2 {
        let begun = Instant::now();
        if let Err(error) = version.status() {
            row.skipped = Some(format!("{CLIENT}: {error}"));
            return Ok(row);
        }
        row.version_ms = ms(begun.elapsed());
    }
    let serving = Serving::start(threads, Sharing::Takeover)?;
    let recording = Recording::draw(size, Scenario::Idle, 1)?;
    let _player = Player::new(&recording, &serving.stream)?;
    let name = format!("scanout-bench-{}.ppm", std::process::id());
    let file = File(std::env::temp_dir().join(name));
    // One more: its GStreamer may have to look through its plugins.
    for run in 0..=RUNS {
        serving.wait_for_nobody()?;
        let _ = std::fs::remove_file(&file.0);
        let begun = Instant::now();
        let uri = format!("--uri=spice://{}", serving.address);
        let output = Command::new("timeout")
            .args(["30", CLIENT, &uri, "-o"])
            .arg(&file.0)
            .output()?;
        let took = ms(begun.elapsed());
        let picture = std::fs::read(&file.0).unwrap_or_default();
        if !output.status.success() || !picture.starts_with(header(size).as_bytes()) {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(
                format!("{CLIENT}: {}, no picture of {size}: {said}", output.status).into(),
            );
        }
        if run > 0 {
            row.each.push(took);
        }
    }
    serving.stop()?;
    row.median = median(&row.each);
    Ok(row)
}

fn header(size: Size) -> String {
    format!("P6\n{} {}\n255\n", size.width, size.height)
}
