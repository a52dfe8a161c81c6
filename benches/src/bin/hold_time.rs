//! How long a source is held while the encoder is saturated, against the same
//! conversion unloaded: the source draws as fast as it is answered, and x264 at
//! a slow preset does not keep up.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use scanout_benches::Error;
use scanout_benches::clock::{Percentiles, median};
use scanout_benches::report;
use scanout_benches::scanout::{open, to_frame};
use scanout_benches::workload::Workload;
use scanout_core::encoder::{
    BoxedError, Codec, Effort, EncoderConfig, FrameRate, Packet, StreamInfo,
};
use scanout_core::geometry::Size;
use scanout_core::session::{PacketSink, Session, SessionConfig, StreamError};
use scanout_core::sync::{Release, ReleaseSink, SyncFile};
use scanout_trace::desktop::Scenario;
use serde::Serialize;

const SIZE: Size = Size::new(1920, 1080);
/// Nice value of the encoder's threads: conversion holds a source and goes
/// first; the stream is late anyway.
const NICENESS: u8 = 10;
/// Times that the frames are drawn in a run, so that the encoder is late for
/// some seconds. The first frame of each is damaged whole.
const CYCLES: usize = 5;

#[derive(Serialize)]
struct Round {
    unloaded: Percentiles,
    saturated: Percentiles,
    drawn: u64,
    coded: u64,
}

#[derive(Serialize)]
struct Report {
    machine: String,
    work: String,
    rounds: Vec<Round>,
    p50_ratio: f64,
    p99_ratio: f64,
}

fn main() -> Result<(), Error> {
    let (mut frames, mut rounds) = (300, 3);
    let mut output_dir = PathBuf::from("out/bench");
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().unwrap_or_default();
        match name.as_str() {
            "--frames" => frames = value.parse()?,
            "--rounds" => rounds = value.parse()?,
            "--output-dir" => output_dir = value.into(),
            _ => {
                return Err("usage: hold-time [--frames N] [--rounds N] [--output-dir DIR]".into());
            }
        }
    }
    let workload = Workload::draw(SIZE, Scenario::Mixed, 30, frames)?;
    let mut done = Vec::new();
    for _ in 0..rounds {
        let (unloaded, ..) = run(&workload, false)?;
        let (saturated, drawn, coded) = run(&workload, true)?;
        done.push(Round {
            unloaded: Percentiles::of(&unloaded),
            saturated: Percentiles::of(&saturated),
            drawn,
            coded,
        });
    }
    let ratio = |pick: fn(&Percentiles) -> f64| {
        let ratios: Vec<_> = done
            .iter()
            .map(|r| pick(&r.saturated) / pick(&r.unloaded))
            .collect();
        median(&ratios)
    };
    let report = Report {
        machine: report::machine(),
        work: format!(
            "{CYCLES} times {frames} frames of desktop:mixed at {SIZE}, memory images, x264 at effort quality"
        ),
        p50_ratio: ratio(|p| p.p50),
        p99_ratio: ratio(|p| p.p99),
        rounds: done,
    };
    report::publish(&output_dir, "hold-time", &markdown(&report), &report)
}

fn markdown(report: &Report) -> String {
    let mut out = format!(
        "## Hold time\n\n{}. {}. Milliseconds from a frame's handing over to its release.\n\n\
         | round | | p50 | p95 | p99 | max | drawn | coded |\n|---|---|---|---|---|---|---|---|\n",
        report.machine, report.work
    );
    for (index, round) in report.rounds.iter().enumerate() {
        for (name, p, drawn, coded) in [
            ("unloaded", &round.unloaded, String::new(), String::new()),
            (
                "saturated",
                &round.saturated,
                round.drawn.to_string(),
                round.coded.to_string(),
            ),
        ] {
            out.push_str(&format!(
                "| {} | {name} | {:.2} | {:.2} | {:.2} | {:.2} | {drawn} | {coded} |\n",
                index + 1,
                p.p50,
                p.p95,
                p.p99,
                p.max
            ));
        }
    }
    out.push_str(&format!(
        "\n* p50, saturated / unloaded: {:.2}\n* p99, saturated / unloaded: {:.2}\n\n",
        report.p50_ratio, report.p99_ratio
    ));
    out
}

/// Sends the moment of each release back to the producer.
struct Answers(mpsc::Sender<Instant>);

impl ReleaseSink for Answers {
    fn released(&self, _: u64, _: Option<SyncFile>) {
        // The producer may have given up.
        let _ = self.0.send(Instant::now());
    }
}

struct Discard;

impl PacketSink for Discard {
    fn packet(&mut self, _: &StreamInfo, _: &Packet) -> Result<(), BoxedError> {
        Ok(())
    }

    fn ended(&mut self, _: Result<(), StreamError>) {}
}

/// Draws every frame as soon as the one before was released; the milliseconds
/// that each was held, and the pictures drawn and coded.
fn run(workload: &Workload, encode: bool) -> Result<(Vec<f64>, u64, u64), Error> {
    let mut config = SessionConfig::live();
    // The same frames are converted in both runs.
    config.skip_unchanged = true;
    let session = Session::start(open(workload, NICENESS)?, config)?;
    if encode {
        let mut encoder = EncoderConfig::new(Codec::H264);
        encoder.encoder = Some("x264enc".to_owned());
        encoder.effort = Effort::Quality;
        encoder.frame_rate = FrameRate::whole(workload.fps);
        session.add_stream(encoder, Box::new(Discard))?;
    }
    let (sender, answers) = mpsc::channel();
    let sink = Arc::new(Answers(sender));
    let count = workload.frames.len() * CYCLES;
    let mut held = Vec::with_capacity(count);
    for (number, frame) in workload.frames.iter().cycle().take(count).enumerate() {
        let handed_over = Instant::now();
        let release = Release::new(Arc::clone(&sink) as Arc<dyn ReleaseSink>, number as u64);
        session.submit(to_frame(number, frame), release)?;
        let answered = answers.recv_timeout(Duration::from_secs(5))?;
        if !frame.damage.is_none() {
            held.push(answered.duration_since(handed_over).as_secs_f64() * 1e3);
        }
    }
    let stats = session.finish(Duration::from_secs(60))?;
    let coded = stats.streams.first().map_or(0, |stream| stream.coded);
    Ok((held, stats.frames.submitted, coded))
}
