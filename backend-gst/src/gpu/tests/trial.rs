//! One buffer through elements of someone else, in a process that may crash.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use gstreamer::prelude::*;
use gstreamer_video::{self as video, prelude::*};
use scanout_core::sync::EventFd;

use crate::pipeline::{self, Around, Pipeline, Unit};

/// svtav1enc takes a second or two to start; the rig runs at a sixth of the speed.
const LIMIT: Duration = Duration::from_secs(60);

/// Why nothing came out.
pub(super) enum Refusal {
    /// No negotiation: the first element does not take such caps, or none of
    /// the others what it makes of them.
    NoCaps,
    /// What an element says.
    Failed(String),
}

/// Pushes `buffer`, which `caps` describe, through the elements of `chain` and
/// returns the rows of what comes out in `format`, planes one after the other,
/// without gaps.
pub(super) fn through(
    chain: &str,
    caps: &gstreamer::Caps,
    mut buffer: gstreamer::Buffer,
    format: &str,
) -> Result<Vec<u8>, Refusal> {
    let failed = |error: &dyn std::fmt::Display| Refusal::Failed(error.to_string());
    let mut caps = caps.clone();
    let rate = gstreamer::Fraction::new(30, 1);
    caps.make_mut().set("framerate", rate);
    let writable = buffer.make_mut();
    writable.set_pts(gstreamer::ClockTime::ZERO);
    writable.set_duration(gstreamer::ClockTime::from_mseconds(33));

    let chain = gstreamer::parse::bin_from_description(chain, true).map_err(|e| failed(&e))?;
    let target = gstreamer::Caps::builder("video/x-raw")
        .field("format", format)
        .build();
    let event = Arc::new(EventFd::new().unwrap());
    let source = pipeline::source(&caps);
    let around = Around::default();
    let pipeline = Pipeline::to_units(source, &[chain.upcast()], &target, event, &around)
        .map_err(|e| failed(&e))?;
    pipeline.start_within(LIMIT).map_err(|e| failed(&e))?;
    // What these refuse is in the pipeline's error.
    let _ = pipeline.source.push_buffer(buffer);
    let _ = pipeline.source.end_of_stream();
    pipeline.output.wait_any(LIMIT);
    if let Some(unit) = pipeline.output.pop() {
        // While the pipeline lives: pictures of OpenGL are fetched when they are read.
        return rows(&unit);
    }
    Err(match pipeline.output.take_error() {
        Some(error) if error.debug.iter().any(|d| d.contains("not-negotiated")) => Refusal::NoCaps,
        Some(error) => Refusal::Failed(error.message),
        None => Refusal::Failed("nothing came out".to_owned()),
    })
}

fn rows(unit: &Unit) -> Result<Vec<u8>, Refusal> {
    let info = video::VideoInfo::from_caps(unit.caps.as_ref().unwrap()).unwrap();
    let map = video::VideoFrameRef::from_buffer_ref_readable(&unit.buffer, &info)
        .map_err(|_| Refusal::Failed("what came out cannot be mapped".to_owned()))?;
    let format = info.format_info();
    let mut out = Vec::new();
    for plane in 0..map.n_planes() {
        // The first component that lies in the plane has its subsampling.
        let component = (0..format.n_components())
            .find(|c| format.plane()[*c as usize] == plane)
            .unwrap();
        let width = map.comp_width(component) as usize;
        let row = width * map.comp_pstride(component) as usize;
        let stride = map.plane_stride()[plane as usize] as usize;
        let data = map.plane_data(plane).unwrap().chunks(stride);
        for bytes in data.take(map.comp_height(component) as usize) {
            out.extend_from_slice(&bytes[..row]);
        }
    }
    Ok(out)
}

/// Set for a child: what it shall do.
const CHILD: &str = "SCANOUT_TEST_TRIAL";

/// What this process shall do as the child of [`in_child`].
pub(super) fn told() -> Option<String> {
    std::env::var(CHILD).ok()
}

/// A line for the parent.
pub(super) fn tell(outcome: &dyn std::fmt::Display) {
    // The harness leaves the line open after the test's name.
    println!("\n{CHILD} {outcome}");
}

/// Runs the test `name` of this binary in a process of its own, which finds
/// `task` in [`told`] and the variables `env` from its start. What it told, and
/// a line `crash` where a signal ended it.
pub(super) fn in_child(name: &str, task: &str, env: &[(&str, &str)]) -> Vec<String> {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, task)
        .envs(env.iter().copied())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    let told = said.lines().filter_map(|line| line.strip_prefix(CHILD));
    let mut told: Vec<String> = told.map(|line| line.trim().to_owned()).collect();
    match child.status.signal() {
        Some(_) => told.push("crash".to_owned()),
        None => assert!(
            child.status.success(),
            "{said}\n{}",
            String::from_utf8_lossy(&child.stderr)
        ),
    }
    told
}
