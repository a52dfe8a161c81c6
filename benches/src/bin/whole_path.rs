//! The whole path with x264 beside its peers: frames in memory to an H.264
//! stream, the same frames, settings and number of access units in every row.
//!
//! The rows alternate within a round; medians are over the rounds.

use std::path::{Path, PathBuf};

use scanout_benches::Error;
use scanout_benches::clock::{cpu_time, median};
use scanout_benches::peers::{self, X264};
use scanout_benches::report::{self, Row, Table, ratio};
use scanout_benches::scanout::{self, Feed, Settings};
use scanout_benches::stream::{self, Options};
use scanout_benches::workload::{Files, Workload};
use scanout_core::convert::PictureFormat;
use scanout_core::encoder::Bitrate;
use scanout_core::geometry::Size;
use scanout_trace::desktop::Scenario;
use serde::Serialize;

const USAGE: &str = "usage: whole-path [--frames N] [--rounds N] [--fps N] [--size WxH] [--threads 1,2] [--output-dir DIR] [--work-dir DIR]";

struct Arguments {
    frames: usize,
    rounds: usize,
    fps: u32,
    size: Size,
    threads: Vec<u32>,
    output_dir: PathBuf,
    work_dir: PathBuf,
}

impl Arguments {
    fn read() -> Result<Self, Error> {
        let mut read = Self {
            // One cycle of the mixed desktop; 2.5 GB of pixels at 1080p.
            frames: 300,
            rounds: 3,
            fps: 30,
            size: Size::new(1920, 1080),
            threads: vec![1, 2],
            output_dir: "out/bench".into(),
            work_dir: std::env::temp_dir(),
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or(USAGE)?;
            match name.as_str() {
                "--frames" => read.frames = value.parse()?,
                "--rounds" => read.rounds = value.parse()?,
                "--fps" => read.fps = value.parse()?,
                "--size" => {
                    let (width, height) = value.split_once('x').ok_or(USAGE)?;
                    read.size = Size::new(width.parse()?, height.parse()?);
                }
                "--threads" => {
                    read.threads = value.split(',').map(str::parse).collect::<Result<_, _>>()?;
                }
                "--output-dir" => read.output_dir = value.into(),
                "--work-dir" => read.work_dir = value.into(),
                _ => return Err(USAGE.into()),
            }
        }
        if read.frames == 0 || read.rounds == 0 || !read.size.area().is_multiple_of(4) {
            return Err("frames and rounds must be above 0, the size even".into());
        }
        Ok(read)
    }
}

#[derive(Serialize)]
struct Report {
    machine: String,
    work: String,
    frames: usize,
    unchanged: usize,
    rounds: usize,
    tables: Vec<Table>,
}

fn main() -> Result<(), Error> {
    let arguments = Arguments::read()?;
    eprintln!("drawing {} frames ...", arguments.frames);
    let workload = Workload::draw(
        arguments.size,
        Scenario::Mixed,
        arguments.fps,
        arguments.frames,
    )?;
    let files = Files::write(&workload, &arguments.work_dir)?;
    let x264 = X264::build(&files.path(""))?;
    let bitrate = Bitrate::kbps(8000);
    let work = format!(
        "{} frames of desktop:{} at {} and {} fps ({} unchanged, {:.1} % of the pixels damaged), BGRx in memory or page cache to H.264, x264 ultrafast zerolatency, {bitrate} CBR, {} rounds",
        workload.frames.len(),
        workload.scenario,
        workload.size,
        workload.fps,
        workload.unchanged(),
        workload.damaged_share() * 100.0,
        arguments.rounds,
    );
    let mut tables = Vec::new();
    for &threads in &arguments.threads {
        let bench = Bench {
            workload: &workload,
            files: &files,
            x264: &x264,
            settings: Settings { threads, bitrate },
        };
        tables.push(bench.compare(arguments.rounds)?);
    }
    let machine = report::machine();
    let mut markdown = format!(
        "## Whole path\n\n{machine}. {work}. The reference is libx264 alone on ready I420 plus damage-limited conversion.\n\n"
    );
    for table in &tables {
        markdown.push_str(&table.markdown());
    }
    let report = Report {
        machine,
        work,
        frames: workload.frames.len(),
        unchanged: workload.unchanged(),
        rounds: arguments.rounds,
        tables,
    };
    report::publish(&arguments.output_dir, "whole-path", &markdown, &report)
}

struct Bench<'a> {
    workload: &'a Workload,
    files: &'a Files,
    x264: &'a X264,
    settings: Settings,
}

/// The rows, in the order in which they run in a round.
struct Rows {
    ours: Row,
    pipelined: Row,
    converted: Row,
    x264: Row,
    /// libx264 and conversion together: what ours is measured against.
    reference: Row,
    gst: Row,
    ffmpeg: Row,
    changed: Row,
}

impl Bench<'_> {
    fn compare(&self, rounds: usize) -> Result<Table, Error> {
        let count = self.workload.frames.len();
        let mut rows = Rows {
            ours: Row::new("Scanout, frame by frame", count),
            pipelined: Row::new("Scanout, as fast as it takes", count),
            converted: Row::new("(damage-limited conversion alone)", count),
            x264: Row::new("(libx264 alone, ready I420)", count),
            reference: Row::new("libx264 alone + conversion", count),
            gst: Row::new("gst-launch-1.0, whole job", count),
            ffmpeg: Row::new("ffmpeg, whole job", count),
            changed: Row::new("Scanout, changed frames only", count),
        };
        let mut options = Options::new();
        for round in 0..rounds {
            let threads = self.settings.threads;
            eprintln!("{threads} threads, round {} of {rounds} ...", round + 1);
            let run = self.scanout(&mut rows.ours, Feed::OneByOne, false, "ours")?;
            options = stream::x264_options(&run).ok_or("our stream has no x264 SEI")?;
            let delimiters = stream::has_delimiters(&run);
            let converted = self.conversion(&mut rows.converted)?;
            let arguments = peers::x264_arguments(&options, delimiters);
            let output = self.files.path("x264.h264");
            let peer = self
                .x264
                .run(self.workload, &self.files.i420, &arguments, &output)?;
            rows.x264.add(peer.wall_s, peer.cpu_s, &peer.frame_ms);
            // Frame by frame, what both took in this round.
            let both: Vec<_> = converted
                .iter()
                .zip(&peer.frame_ms)
                .map(|(a, b)| a + b)
                .collect();
            let conversion_s = converted.iter().sum::<f64>() / 1e3;
            rows.reference
                .add(peer.wall_s + conversion_s, peer.cpu_s + conversion_s, &both);
            self.scanout(&mut rows.pipelined, Feed::AsFastAsTaken, false, "pipelined")?;
            self.processes(&mut rows, &options, &arguments)?;
            self.scanout(&mut rows.changed, Feed::OneByOne, true, "changed")?;
        }
        self.describe(&mut rows, &options)?;
        let ratios = ratios(&rows);
        Ok(Table {
            title: format!("{} thread(s)", self.settings.threads),
            rows: vec![
                rows.ours,
                rows.pipelined,
                rows.reference,
                rows.x264,
                rows.converted,
                rows.gst,
                rows.ffmpeg,
                rows.changed,
            ],
            ratios,
        })
    }

    fn scanout(
        &self,
        row: &mut Row,
        feed: Feed,
        skip_unchanged: bool,
        name: &str,
    ) -> Result<Vec<u8>, Error> {
        let run = scanout::run(self.workload, self.settings, feed, skip_unchanged)?;
        row.add(run.wall_s, run.cpu_s, &run.frame_ms);
        let path = self.files.path(&format!("{name}.h264"));
        std::fs::write(&path, &run.stream)?;
        row.note = match feed {
            Feed::OneByOne => format!(
                "hold time p50 {:.2} ms, p99 {:.2} ms; {} frames released uncoded",
                run.stats.times.hold.p50_ms,
                run.stats.times.hold.p99_ms,
                run.stats.frames.unchanged
            ),
            Feed::AsFastAsTaken => String::new(),
        };
        Ok(run.stream)
    }

    fn conversion(&self, row: &mut Row) -> Result<Vec<f64>, Error> {
        let cpu = cpu_time();
        let times = self.workload.convert(PictureFormat::I420, 4)?;
        let wall_s = times.iter().sum::<f64>() / 1e3;
        // The time outside of the converter (note, take) is not its own.
        row.add(wall_s, (cpu_time() - cpu).as_secs_f64().min(wall_s), &times);
        Ok(times)
    }

    fn processes(
        &self,
        rows: &mut Rows,
        options: &Options,
        arguments: &[String],
    ) -> Result<(), Error> {
        let count = self.workload.frames.len();
        let (gst, ffmpeg) = (self.files.path("gst.h264"), self.files.path("ffmpeg.h264"));
        let run = peers::gst_launch(self.workload, &self.files.bgrx, options, count, &gst)?;
        rows.gst.add(run.wall_s, run.cpu_s, &[]);
        let run = peers::ffmpeg(self.workload, &self.files.bgrx, arguments, count, &ffmpeg)?;
        rows.ffmpeg.add(run.wall_s, run.cpu_s, &[]);
        // One frame costs next to nothing: what is left is starting and ending.
        let scratch = self.files.path("one.h264");
        let start = peers::gst_launch(self.workload, &self.files.bgrx, options, 1, &scratch)?;
        rows.gst.note = format!(
            "includes {:.2} s of start and end of the process",
            start.wall_s
        );
        let start = peers::ffmpeg(self.workload, &self.files.bgrx, arguments, 1, &scratch)?;
        rows.ffmpeg.note = format!(
            "includes {:.2} s of start and end of the process",
            start.wall_s
        );
        Ok(())
    }

    /// Judges every row's last stream and proves that the work was equal.
    fn describe(&self, rows: &mut Rows, options: &Options) -> Result<(), Error> {
        let count = self.workload.frames.len();
        let ours = std::fs::read(self.files.path("ours.h264"))?;
        let streams = [
            (&mut rows.ours, "ours", true),
            (&mut rows.pipelined, "pipelined", true),
            (&mut rows.x264, "x264", true),
            (&mut rows.gst, "gst", true),
            (&mut rows.ffmpeg, "ffmpeg", true),
            (&mut rows.changed, "changed", false),
        ];
        for (row, name, whole) in streams {
            let path: &Path = &self.files.path(&format!("{name}.h264"));
            let bytes = std::fs::read(path)?;
            let quality = stream::judge(self.workload, &self.files.i420, path)?;
            if whole && quality.access_units != count {
                return Err(format!(
                    "{}: {} access units of {count} frames: the rows did not do the same work",
                    row.name, quality.access_units
                )
                .into());
            }
            row.quality = Some(quality);
            let other = stream::x264_options(&bytes).unwrap_or_default();
            row.differences = stream::differences(options, &other);
            if name == "x264" {
                let (ours, theirs) = (stream::slices(&ours), stream::slices(&bytes));
                let differing = ours.iter().zip(&theirs).position(|(a, b)| a != b);
                row.note = match differing {
                    None => {
                        "its coded slices are byte for byte those of Scanout's stream".to_owned()
                    }
                    Some(first) => format!(
                        "its coded slices differ from Scanout's, first in number {first} of {}",
                        ours.len()
                    ),
                };
            }
        }
        rows.reference.quality = rows.x264.quality;
        Ok(())
    }
}

fn ratios(rows: &Rows) -> Vec<(String, f64)> {
    let percentile = |row: &Row, pick: fn(&scanout_benches::clock::Percentiles) -> f64| {
        row.frame_ms.iter().map(pick).collect::<Vec<_>>()
    };
    let reference = &rows.reference;
    let mut ratios = vec![
        (
            "wall, frame by frame / reference".to_owned(),
            ratio(&rows.ours.wall_s, &reference.wall_s),
        ),
        (
            "CPU, frame by frame / reference".to_owned(),
            ratio(&rows.ours.cpu_s, &reference.cpu_s),
        ),
        (
            "p50, frame by frame / reference".to_owned(),
            ratio(
                &percentile(&rows.ours, |p| p.p50),
                &percentile(reference, |p| p.p50),
            ),
        ),
        (
            "p99, frame by frame / reference".to_owned(),
            ratio(
                &percentile(&rows.ours, |p| p.p99),
                &percentile(reference, |p| p.p99),
            ),
        ),
        (
            "wall, as fast as it takes / reference".to_owned(),
            ratio(&rows.pipelined.wall_s, &reference.wall_s),
        ),
        (
            "CPU, as fast as it takes / reference".to_owned(),
            ratio(&rows.pipelined.cpu_s, &reference.cpu_s),
        ),
    ];
    for (name, row) in [("gst-launch-1.0", &rows.gst), ("ffmpeg", &rows.ffmpeg)] {
        ratios.push((
            format!("wall, {name} / reference"),
            ratio(&row.wall_s, &reference.wall_s),
        ));
        ratios.push((
            format!("CPU, {name} / reference"),
            ratio(&row.cpu_s, &reference.cpu_s),
        ));
    }
    let saved = 1.0 - median(&rows.changed.cpu_s) / median(&rows.ours.cpu_s);
    ratios.push((
        "share of CPU saved by not coding unchanged frames".to_owned(),
        saved,
    ));
    ratios
}
