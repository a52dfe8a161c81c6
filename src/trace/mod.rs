//! `scanout trace`: the synthetic desktop as a file, with its damage beside it.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use scanout_core::color::ColorSpec;
use scanout_core::convert::{Converter, PictureFormat, PictureLayout, PlaneView, Source};
use scanout_core::encoder::Chroma;
use scanout_core::geometry::Size;
use scanout_trace::damage_log::DamageLogError;
use scanout_trace::desktop::{Desktop, Scenario};
use scanout_trace::source::{FrameRate, Y4mChroma, damage_beside};
use scanout_trace::y4m_writer::{TraceWriter, WriteError};
use serde::Serialize;

use crate::cli::{Context, values};
use crate::console::{self, Console};
use crate::failure::{Exit, Failure};
use crate::interrupt::Unfinished;

#[derive(Debug, Args)]
pub(crate) struct TraceArgs {
    /// FILE.y4m, or a directory (made if it is not there) for SCENARIO.y4m; the
    /// damage goes to the same name with .damage.jsonl
    #[arg(short, long, value_name = "DIR|FILE.y4m")]
    output: PathBuf,
    /// typing, scroll, drag, video, flip, color-text, idle or mixed
    #[arg(long, default_value_t = Scenario::Mixed)]
    scenario: Scenario,
    /// Size of the desktop
    #[arg(long, value_name = "WxH", default_value = "1920x1080", value_parser = values::size)]
    size: Size,
    /// Frames per second
    #[arg(long, value_name = "RATE", default_value_t = 60)]
    fps: u32,
    /// Frames to write
    #[arg(long, value_name = "N", value_parser = values::frames, conflicts_with = "duration")]
    frames: Option<u64>,
    /// Time to write [default: 10s, which is 1.9 GB at 1080p and 60 fps]
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    duration: Option<Duration>,
    /// Seed of the desktop: the same seed draws the same pixels
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Chroma of the file: 420 or 444
    #[arg(long, default_value_t = Chroma::C420)]
    chroma: Chroma,
}

#[derive(Debug, Serialize)]
struct TraceReport {
    schema: u32,
    command: &'static str,
    video: PathBuf,
    damage: PathBuf,
    scenario: &'static str,
    seed: u64,
    size: Size,
    fps: u32,
    frames: u64,
    bytes: u64,
    /// Changed pixels over all pixels.
    damaged: f64,
    wall_s: f64,
    interrupted: bool,
}

pub(crate) fn run(args: &TraceArgs, context: &Context) -> Result<Exit, Failure> {
    let mut desktop =
        Desktop::new(args.size, args.scenario, args.seed, args.fps).map_err(Failure::usage)?;
    let video = video_path(&args.output, args.scenario)?;
    let damage = damage_beside(&video);
    let frames = args.frames.unwrap_or_else(|| {
        let time = args.duration.unwrap_or(Duration::from_secs(10));
        (time.as_secs_f64() * f64::from(args.fps)).ceil() as u64
    });
    let (format, chroma) = match args.chroma {
        Chroma::C444 => (PictureFormat::I444, Y4mChroma::C444),
        _ => (PictureFormat::I420, Y4mChroma::C420Mpeg2),
    };
    let layout = PictureLayout::new(format, args.size).map_err(Failure::usage)?;
    let mut converter = Converter::new(Desktop::FOURCC, args.size, layout, ColorSpec::DESKTOP)
        .map_err(Failure::usage)?;
    let mut picture = vec![0; layout.total_bytes()];
    let (file, log) = (create(&video)?, create(&damage)?);
    let unfinished = [Unfinished::new(&video), Unfinished::new(&damage)];
    let rate = FrameRate::whole(args.fps);
    let mut writer = TraceWriter::new(file, log, args.size, rate, chroma, false)
        .map_err(|e| write_failure(&video, e))?;

    let begun = Instant::now();
    let bar = context.console.progress(Some(frames), "writing");
    let (mut done, mut damaged) = (0, 0);
    while done < frames && !context.interrupt.asked() {
        let step = desktop.next_frame();
        let source = PlaneView::new(desktop.pixels(), desktop.stride());
        let source = Source::packed(Desktop::FOURCC, args.size, source);
        let planes = converter
            .convert(&source, &mut picture, &step.damage)
            .and_then(|_| layout.split(&picture))
            .map_err(|e| Failure::new(Exit::Internal, e))?;
        let stride = |index: usize| layout.planes().get(index).map_or(0, |p| p.stride);
        let [y, u, v] = planes;
        writer
            .write(&step, [(y, stride(0)), (u, stride(1)), (v, stride(2))])
            .map_err(|e| write_failure(&video, e))?;
        damaged += step.damage.area().min(args.size.area());
        done += 1;
        bar.set_position(done);
    }
    bar.finish_and_clear();
    writer.finish().map_err(|e| write_failure(&video, e))?;
    drop(unfinished);

    let report = TraceReport {
        schema: Console::SCHEMA,
        command: "trace",
        bytes: fs::metadata(&video).map_or(0, |there| there.len()),
        video,
        damage,
        scenario: args.scenario.name(),
        seed: args.seed,
        size: args.size,
        fps: args.fps,
        frames: done,
        damaged: damaged as f64 / (args.size.area() * done.max(1)) as f64,
        wall_s: begun.elapsed().as_secs_f64(),
        interrupted: context.interrupt.asked(),
    };
    let told = context.console.result(&report, |report| {
        format!(
            "{} frames of desktop:{} {} at {} fps, {:.1} % of the pixels changed\nwrote {} ({})\nwrote {}\n",
            report.frames,
            report.scenario,
            report.size,
            report.fps,
            report.damaged * 100.0,
            report.video.display(),
            console::bytes(report.bytes),
            report.damage.display(),
        )
    });
    if report.interrupted {
        // The terminal that closed takes no report, and the file is whole.
        return Ok(Exit::Interrupted);
    }
    told?;
    Ok(Exit::Ok)
}

/// The video's file: as named, or in the directory named.
fn video_path(output: &Path, scenario: Scenario) -> Result<PathBuf, Failure> {
    let is_y4m = output
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("y4m"));
    if is_y4m && !output.is_dir() {
        return Ok(output.to_owned());
    }
    if !output.is_dir() && (output.exists() || output.extension().is_some()) {
        return Err(Failure::usage(format_args!(
            "--output {}: a trace is a .y4m file, or a directory",
            output.display()
        )));
    }
    fs::create_dir_all(output).map_err(|e| Failure::output(output.display(), &e))?;
    Ok(output.join(format!("{scenario}.y4m")))
}

fn create(path: &Path) -> Result<BufWriter<File>, Failure> {
    let file = File::create(path).map_err(|e| Failure::output(path.display(), &e))?;
    Ok(BufWriter::with_capacity(1 << 20, file))
}

fn write_failure(path: &Path, error: WriteError) -> Failure {
    match error {
        WriteError::Io { source, .. } | WriteError::Damage(DamageLogError::Io(source)) => {
            Failure::output(path.display(), &source)
                .hint(format_args!("{} is not complete", path.display()))
        }
        error => Failure::new(Exit::Internal, error),
    }
}
