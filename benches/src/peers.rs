//! The programs beside Scanout: libx264 alone, gst-launch-1.0 and ffmpeg.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde::Deserialize;

use crate::Error;
use crate::clock::children_cpu_time;
use crate::stream::Options;
use crate::workload::Workload;

/// x264's options that are taken over from Scanout's own stream, by their
/// names there. The rest follows from preset and tune, and is compared.
const TAKEN_OVER: [&str; 15] = [
    "threads",
    "keyint",
    "keyint_min",
    "scenecut",
    "intra_refresh",
    "rc_lookahead",
    "mbtree",
    "bitrate",
    "qcomp",
    "qpmin",
    "qpmax",
    "qpstep",
    "vbv_maxrate",
    "vbv_bufsize",
    "ip_ratio",
];

/// What the SPS of x264enc says beside the size.
const VUI: [&str; 5] = [
    "colorprim=bt709",
    "transfer=bt709",
    "colormatrix=bt709",
    "fullrange=off",
    "sar=1:1",
];

/// Options for libx264 that make what `ours` says.
pub fn x264_arguments(ours: &Options, delimiters: bool) -> Vec<String> {
    let name = |option: &str| match option {
        "ip_ratio" => "ipratio".to_owned(),
        "keyint_min" => "min-keyint".to_owned(),
        other => other.replace('_', "-"),
    };
    let taken = TAKEN_OVER
        .iter()
        .filter_map(|option| Some(format!("{}={}", name(option), ours.get(*option)?)));
    let mut arguments: Vec<_> = taken.collect();
    arguments.push(format!("aud={}", u8::from(delimiters)));
    // Rate control counts the bits of headers too: without the same VUI the
    // quantisers drift apart within a second.
    arguments.extend(VUI.map(str::to_owned));
    arguments
}

/// One run of a program.
#[derive(Debug, Deserialize)]
pub struct PeerRun {
    /// Wall time: of coding alone for libx264, of the process for the others.
    pub wall_s: f64,
    /// CPU time over the same.
    pub cpu_s: f64,
    /// Milliseconds of each picture, where the program tells.
    #[serde(default)]
    pub frame_ms: Vec<f64>,
}

/// libx264 alone on ready I420 pictures.
pub struct X264(PathBuf);

impl X264 {
    /// Compiles the program against the installed libx264.
    pub fn build(into: &Path) -> Result<Self, Error> {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/x264_peer.c");
        let flags = Command::new("pkg-config")
            .args(["--cflags", "--libs", "x264"])
            .output()?;
        if !flags.status.success() {
            return Err(
                "pkg-config knows no x264: install libx264-dev (scripts/setup --bench)".into(),
            );
        }
        let program = into.join("x264_peer");
        let compiled = Command::new("cc")
            .args(["-O2", "-Wall", "-Wextra", "-o"])
            .arg(&program)
            .arg(source)
            .args(String::from_utf8(flags.stdout)?.split_whitespace())
            .status()?;
        if !compiled.success() {
            return Err(format!("cc {source}: {compiled}").into());
        }
        Ok(Self(program))
    }

    /// Codes the first `frames` of `i420`.
    pub fn run(
        &self,
        workload: &Workload,
        i420: &Path,
        arguments: &[String],
        output: &Path,
    ) -> Result<PeerRun, Error> {
        let result = Command::new(&self.0)
            .args([
                workload.size.width.to_string(),
                workload.size.height.to_string(),
                workload.fps.to_string(),
                workload.frames.len().to_string(),
            ])
            .arg(i420)
            .arg(output)
            .args(["preset=ultrafast", "tune=zerolatency"])
            .args(arguments)
            .stderr(Stdio::inherit())
            .output()?;
        if !result.status.success() {
            return Err(format!("x264_peer: {}", result.status).into());
        }
        Ok(serde_json::from_slice(&result.stdout)?)
    }
}

/// gst-launch-1.0 doing the whole job on the first `frames` of a BGRx file.
pub fn gst_launch(
    workload: &Workload,
    bgrx: &Path,
    ours: &Options,
    frames: usize,
    output: &Path,
) -> Result<PeerRun, Error> {
    let option = |name: &str| ours.get(name).map_or("0", String::as_str);
    let number = |name: &str| option(name).parse::<u64>().unwrap_or(0);
    // Longer than any keyframe interval that the element can be asked for.
    let keyint = match option("keyint") {
        "infinite" => i32::MAX.to_string(),
        other => other.to_owned(),
    };
    let window_ms = number("vbv_bufsize") * 1000 / number("vbv_maxrate").max(1);
    let bytes = workload.size.area() * 4;
    let description = format!(
        "filesrc location={input} blocksize={bytes} num-buffers={frames} ! \
         rawvideoparse format=bgrx width={width} height={height} framerate={fps}/1 ! \
         videoconvert ! video/x-raw,format=I420,colorimetry=bt709 ! \
         x264enc tune=zerolatency speed-preset=ultrafast pass=cbr bitrate={bitrate} \
         vbv-buf-capacity={window_ms} key-int-max={keyint} threads={threads} \
         sliced-threads=true bframes=0 b-adapt=false rc-lookahead=0 sync-lookahead=0 mb-tree=false \
         qp-min={qpmin}{qpmax} byte-stream=true option-string=scenecut={scenecut} ! \
         video/x-h264,stream-format=byte-stream,alignment=au ! filesink location={output}",
        input = bgrx.display(),
        width = workload.size.width,
        height = workload.size.height,
        fps = workload.fps,
        bitrate = option("bitrate"),
        threads = option("threads"),
        qpmin = option("qpmin"),
        // The library's own bound of 69 cannot be asked for: it is there unasked.
        qpmax = match number("qpmax") {
            69.. => String::new(),
            qp => format!(" qp-max={qp}"),
        },
        scenecut = option("scenecut"),
        output = output.display(),
    );
    let mut command = Command::new("gst-launch-1.0");
    command.arg("-q").args(description.split_whitespace());
    timed(&mut command)
}

/// ffmpeg doing the whole job on the first `frames` of a BGRx file.
pub fn ffmpeg(
    workload: &Workload,
    bgrx: &Path,
    arguments: &[String],
    frames: usize,
    output: &Path,
) -> Result<PeerRun, Error> {
    // It separates parameters by colons; a ratio may be written with a slash.
    let parameters: Vec<_> = arguments.iter().map(|a| a.replace(':', "/")).collect();
    let mut command = Command::new("ffmpeg");
    command
        .args(["-nostdin", "-v", "error", "-y"])
        // The filters have threads of their own; the row is about one or two in all.
        .args([
            "-filter_threads",
            "1",
            "-f",
            "rawvideo",
            "-pix_fmt",
            "bgr0",
            "-s",
        ])
        .arg(workload.size.to_string())
        .args(["-r", &workload.fps.to_string(), "-i"])
        .arg(bgrx)
        .args(["-frames:v", &frames.to_string()])
        .args([
            "-vf",
            "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p",
        ])
        .args([
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-tune",
            "zerolatency",
        ])
        .args(["-x264-params", &parameters.join(":"), "-f", "h264"])
        .arg(output);
    timed(&mut command)
}

fn timed(command: &mut Command) -> Result<PeerRun, Error> {
    let cpu = children_cpu_time()?;
    let began = Instant::now();
    let result = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .output()?;
    let wall_s = began.elapsed().as_secs_f64();
    if !result.status.success() {
        let text = String::from_utf8_lossy(&result.stderr);
        return Err(format!("{command:?}: {}: {}", result.status, text.trim()).into());
    }
    Ok(PeerRun {
        wall_s,
        cpu_s: (children_cpu_time()? - cpu).as_secs_f64(),
        frame_ms: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_go_over_under_the_names_that_the_library_reads() {
        let ours = [
            ("vbv_maxrate", "8000"),
            ("ip_ratio", "1.40"),
            ("cabac", "0"),
        ];
        let ours = ours.map(|(a, b)| (a.to_owned(), b.to_owned())).into();
        assert_eq!(
            x264_arguments(&ours, true)[..3],
            ["vbv-maxrate=8000", "ipratio=1.40", "aud=1"]
        );
    }
}
