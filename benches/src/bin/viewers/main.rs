//! What the SPICE server promises its viewers, measured with a client that judges what it
//! is sent, over loopback TCP with x264 in the same process: how soon a picture is there
//! (`joins`, `screenshot`), whether all of them come (`desktop`), and what a viewer that
//! stalls costs the others (`crowd`).
//!
//! Anything that the client finds wrong fails the bench; an aim that is missed does not,
//! since it may be the machine's: the load is in the report.

mod crowd;
mod desktop;
mod joins;
mod markdown;
mod player;
mod recording;
mod screenshot;
mod serving;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use scanout_benches::Error;
use scanout_benches::report;
use scanout_core::geometry::Size;
use serde::Serialize;

const USAGE: &str = "usage: viewers [--only joins,desktop,crowd,screenshot] [--joins N] [--seconds N] [--size WxH] [--fps N] [--crowd-rounds N] [--crowd-seconds N] [--crowd-size WxH] [--crowd-fps N] [--threads N] [--output-dir DIR]";

/// Everything but the crowd, at the size that the aims name.
const SIZE: Size = Size::new(1920, 1080);

struct Arguments {
    only: Vec<String>,
    joins: usize,
    desktop: desktop::Settings,
    crowd: crowd::Settings,
    /// Of the encoder; `None` leaves it to it, as `scanout serve` does.
    threads: Option<NonZeroU32>,
    output_dir: PathBuf,
}

impl Arguments {
    fn read() -> Result<Self, Error> {
        let mut read = Self {
            only: ["joins", "desktop", "crowd", "screenshot"]
                .map(str::to_owned)
                .to_vec(),
            joins: 100,
            desktop: desktop::Settings {
                size: SIZE,
                fps: 60,
                length: Duration::from_secs(60),
            },
            crowd: crowd::Settings {
                size: Size::new(1280, 720),
                fps: 30,
                rounds: 3,
                length: Duration::from_secs(20),
            },
            threads: None,
            output_dir: "out/bench".into(),
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or(USAGE)?;
            let seconds = || value.parse().map(Duration::from_secs);
            match name.as_str() {
                "--only" => read.only = value.split(',').map(str::to_owned).collect(),
                "--joins" => read.joins = value.parse()?,
                "--seconds" => read.desktop.length = seconds()?,
                "--size" => read.desktop.size = size(&value)?,
                "--fps" => read.desktop.fps = value.parse()?,
                "--crowd-rounds" => read.crowd.rounds = value.parse()?,
                "--crowd-seconds" => read.crowd.length = seconds()?,
                "--crowd-size" => read.crowd.size = size(&value)?,
                "--crowd-fps" => read.crowd.fps = value.parse()?,
                "--threads" => read.threads = NonZeroU32::new(value.parse()?),
                "--output-dir" => read.output_dir = value.into(),
                _ => return Err(USAGE.into()),
            }
        }
        Ok(read)
    }

    fn wants(&self, part: &str) -> bool {
        self.only.iter().any(|only| only == part)
    }
}

fn size(text: &str) -> Result<Size, Error> {
    let (width, height) = text.split_once('x').ok_or(USAGE)?;
    Ok(Size::new(width.parse()?, height.parse()?))
}

/// A promise, and what was measured of it.
#[derive(Serialize)]
struct Aim {
    what: String,
    bound: f64,
    measured: f64,
}

impl Aim {
    fn at_most(what: &str, bound: f64, measured: f64) -> Self {
        Self {
            what: what.to_owned(),
            bound,
            measured,
        }
    }

    fn is_met(&self) -> bool {
        self.measured <= self.bound
    }
}

#[derive(Serialize)]
struct Report {
    machine: String,
    encoder: String,
    /// Load of the machine over the last minute, before and after: the rest of it beside
    /// this bench is in the first.
    load: [f64; 2],
    joins: Vec<joins::Row>,
    desktop: Option<desktop::Row>,
    crowd: Option<crowd::Table>,
    screenshot: Option<screenshot::Row>,
    aims: Vec<Aim>,
    violations: Vec<String>,
}

fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split_whitespace().next();
    first.and_then(|load| load.parse().ok()).unwrap_or(f64::NAN)
}

fn main() -> Result<(), Error> {
    let arguments = Arguments::read()?;
    let before = load();
    let mut report = Report {
        machine: report::machine(),
        encoder: match arguments.threads {
            Some(threads) => format!("x264 with {threads} threads"),
            None => "x264 with threads of its own choice".to_owned(),
        },
        load: [before, before],
        joins: Vec::new(),
        desktop: None,
        crowd: None,
        screenshot: None,
        aims: Vec::new(),
        violations: Vec::new(),
    };
    let threads = arguments.threads;
    if arguments.wants("joins") {
        for how in [joins::How::AfterTheLast, joins::How::TakingOver] {
            let row = joins::run(SIZE, threads, how, arguments.joins, &mut report.violations)?;
            report.aims.push(row.aim());
            report.joins.push(row);
        }
    }
    if arguments.wants("desktop") {
        let row = desktop::run(arguments.desktop, threads, &mut report.violations)?;
        report.aims.extend(row.aims());
        report.desktop = Some(row);
    }
    if arguments.wants("crowd") {
        let table = crowd::run(arguments.crowd, threads, &mut report.violations)?;
        report.aims.extend(table.aims());
        report.crowd = Some(table);
    }
    if arguments.wants("screenshot") {
        let row = screenshot::run(SIZE, threads)?;
        report.aims.extend(row.aim());
        report.screenshot = Some(row);
    }
    report.load[1] = load();
    let markdown = markdown::of(&report);
    report::publish(&arguments.output_dir, "viewers", &markdown, &report)?;
    match report.violations.len() {
        0 => Ok(()),
        count => Err(format!("{count} violations of the protocol").into()),
    }
}
