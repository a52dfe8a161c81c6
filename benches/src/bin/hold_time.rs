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
/// Nice values of the encoder's threads: the default, and one with which
/// conversion, for which the source waits, goes before coding, for which it
/// does not.
const NICENESSES: [u8; 2] = [0, 10];
/// Times that the frames are drawn in a run, so that the encoder is late for
/// some seconds. The first frame of each is damaged whole.
const CYCLES: usize = 5;

#[derive(Serialize)]
struct Round {
    unloaded: Percentiles,
    /// In the order of `NICENESSES`.
    saturated: [Saturated; 2],
}

#[derive(Serialize)]
struct Saturated {
    niceness: u8,
    hold: Percentiles,
    drawn: u64,
    coded: u64,
}

#[derive(Serialize)]
struct Ratio {
    niceness: u8,
    p50: f64,
    p99: f64,
}

#[derive(Serialize)]
struct Report {
    machine: String,
    work: String,
    rounds: Vec<Round>,
    /// Saturated to unloaded, medians over the rounds.
    ratios: Vec<Ratio>,
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
        let (unloaded, ..) = run(&workload, None)?;
        let saturated = |niceness| -> Result<Saturated, Error> {
            let (held, drawn, coded) = run(&workload, Some(niceness))?;
            Ok(Saturated {
                niceness,
                hold: Percentiles::of(&held),
                drawn,
                coded,
            })
        };
        done.push(Round {
            unloaded: Percentiles::of(&unloaded),
            saturated: [saturated(NICENESSES[0])?, saturated(NICENESSES[1])?],
        });
    }
    let ratio = |index: usize, pick: fn(&Percentiles) -> f64| {
        let ratios: Vec<_> = done
            .iter()
            .map(|r| pick(&r.saturated[index].hold) / pick(&r.unloaded))
            .collect();
        median(&ratios)
    };
    let ratios = NICENESSES
        .iter()
        .enumerate()
        .map(|(index, &niceness)| Ratio {
            niceness,
            p50: ratio(index, |p| p.p50),
            p99: ratio(index, |p| p.p99),
        })
        .collect();
    let report = Report {
        machine: report::machine(),
        work: format!(
            "{CYCLES} times {frames} frames of desktop:mixed at {SIZE}, memory images, x264 at effort quality"
        ),
        ratios,
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
        let mut row = |name: &str, p: &Percentiles, counts: &str| {
            out.push_str(&format!(
                "| {} | {name} | {:.2} | {:.2} | {:.2} | {:.2} | {counts} |\n",
                index + 1,
                p.p50,
                p.p95,
                p.p99,
                p.max
            ));
        };
        row("unloaded", &round.unloaded, " | ");
        for run in &round.saturated {
            row(
                &format!("saturated, encoder at nice {}", run.niceness),
                &run.hold,
                &format!("{} | {}", run.drawn, run.coded),
            );
        }
    }
    out.push('\n');
    for ratio in &report.ratios {
        out.push_str(&format!(
            "* saturated / unloaded, encoder at nice {}: p50 {:.2}, p99 {:.2}\n",
            ratio.niceness, ratio.p50, ratio.p99
        ));
    }
    out.push('\n');
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
///
/// With a nice value for its threads an encoder runs beside.
fn run(workload: &Workload, encoder: Option<u8>) -> Result<(Vec<f64>, u64, u64), Error> {
    let mut config = SessionConfig::live();
    // The same frames are converted in both runs.
    config.skip_unchanged = true;
    let session = Session::start(open(workload, encoder.unwrap_or(0))?, config)?;
    if encoder.is_some() {
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
