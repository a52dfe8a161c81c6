//! Records what an unmodified QEMU shows on its D-Bus display.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use scanout_rig_qemu::last_frame::{PngError, write_png};
use scanout_rig_qemu::{
    Attach, AttachError, Attached, Limits, RecordError, Report, attach, record,
};
use scanout_trace::recording::{RecordingError, RecordingWriter};

/// Records what an unmodified QEMU shows on its D-Bus display: scanouts, updates with
/// their damage, and the pointer, each with its time and pixels.
///
/// Exits with 0 when a recording was made, 1 when it could not be written, 2 on wrong
/// usage, 3 when there is no QEMU or console to record, 4 when nothing was shown. However
/// it ends, SIGTERM and SIGINT included, the recording is whole.
#[derive(Debug, Parser)]
#[command(name = "qemu-recorder", version)]
struct Options {
    /// Where to write the recording (*.scanrec)
    output: PathBuf,
    /// The D-Bus bus that QEMU is on
    #[arg(long, env = "DBUS_SESSION_BUS_ADDRESS", value_name = "ADDRESS")]
    bus: String,
    /// QEMU's name on that bus
    #[arg(long, default_value = Attach::QEMU)]
    name: String,
    /// Number of the console
    #[arg(long, default_value_t = 0)]
    console: u32,
    /// Wait so many seconds for QEMU to appear on the bus
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "10")]
    wait: Duration,
    /// Stop after so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    duration: Option<Duration>,
    /// Stop after so many updates
    #[arg(long, value_name = "N")]
    max_updates: Option<u64>,
    /// Stop when the screen has not changed for so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    until_idle: Option<Duration>,
    /// Says what was recorded, for people
    #[arg(long, default_value = "QEMU")]
    producer: String,
    /// Read the whole picture once more at the end, and write it here as a PNG
    #[arg(long, value_name = "FILE")]
    last_frame: Option<PathBuf>,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{text:?} is no number"))?;
    let bounds = "it must be 0 to 86400 seconds";
    (0.0..=86400.0)
        .contains(&seconds)
        .then(|| Duration::from_secs_f64(seconds))
        .ok_or_else(|| format!("{seconds} is out of bounds: {bounds}"))
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Attach(#[from] AttachError),
    #[error("{0}")]
    Record(#[from] RecordError),
    #[error("{}: {source}", path.display())]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{}: {source}", path.display())]
    Recording {
        path: PathBuf,
        source: RecordingError,
    },
    #[error("{}: {source}", path.display())]
    Png { path: PathBuf, source: PngError },
    #[error("handling signals: {0}")]
    Signals(std::io::Error),
    #[error("QEMU showed nothing in {0:.1?}")]
    Nothing(Duration),
    #[error("nothing is left on the screen to write to {}", .0.display())]
    NoLastFrame(PathBuf),
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Self::Attach(_) => 3,
            Self::Nothing(_) | Self::NoLastFrame(_) => 4,
            _ => 1,
        }
    }
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("qemu-recorder: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

fn run(options: &Options) -> Result<(), Failure> {
    let limits = Limits {
        duration: options.duration,
        max_updates: options.max_updates,
        until_idle: options.until_idle,
        stop: Arc::default(),
    };
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        // The second one ends the program at once.
        let again = Arc::clone(&limits.stop);
        signal_hook::flag::register_conditional_default(signal, again).map_err(Failure::Signals)?;
        signal_hook::flag::register(signal, Arc::clone(&limits.stop)).map_err(Failure::Signals)?;
    }
    let mut to = Attach::new(&options.bus);
    to.name.clone_from(&options.name);
    to.console = options.console;
    to.wait = options.wait;
    to.stop = Arc::clone(&limits.stop);
    let mut attached = attach(&to)?;
    let report = write_recording(options, &limits, &mut attached)?;
    eprintln!(
        "qemu-recorder: {} of {:.1?}: {}\n{}",
        options.output.display(),
        report.duration,
        report.ended,
        report.statistics
    );
    if report.statistics.scanouts() == 0 {
        return Err(Failure::Nothing(report.duration));
    }
    if let Some(path) = &options.last_frame {
        write_last_frame(path, &report)?;
    }
    Ok(())
}

fn write_recording(
    options: &Options,
    limits: &Limits,
    attached: &mut Attached,
) -> Result<Report, Failure> {
    let path = &options.output;
    let recording = |source| Failure::Recording {
        path: path.clone(),
        source,
    };
    // Unbuffered: each event is one write, so that a killed recorder leaves a whole one.
    let file = File::create(path).map_err(|source| Failure::File {
        path: path.clone(),
        source,
    })?;
    let producer = match attached.label.as_str() {
        "" => options.producer.clone(),
        label => format!("{}, {label}", options.producer),
    };
    let mut writer = RecordingWriter::new(file, &producer).map_err(recording)?;
    let recorded = record(&mut attached.intake, limits, &mut |event| {
        writer.write(event)
    });
    // Its end is written even when the recorder failed in between.
    let duration = match &recorded {
        Ok(report) => report.duration.max(writer.last_time()),
        Err(_) => writer.last_time(),
    };
    let finished = writer.finish(duration).map_err(recording);
    let report = recorded?;
    finished?;
    Ok(report)
}

fn write_last_frame(path: &Path, report: &Report) -> Result<(), Failure> {
    let Some(picture) = &report.last else {
        return Err(Failure::NoLastFrame(path.to_owned()));
    };
    let file = |source| Failure::File {
        path: path.to_owned(),
        source,
    };
    let mut output = BufWriter::new(File::create(path).map_err(file)?);
    write_png(picture, &mut output).map_err(|source| Failure::Png {
        path: path.to_owned(),
        source,
    })?;
    output.flush().map_err(file)
}
