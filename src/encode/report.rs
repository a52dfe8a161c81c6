//! What an encoding came to, for people and for programs.

use std::fmt::Write as _;
use std::path::PathBuf;

use scanout_core::encoder::{DeviceKind, EncoderConfig, FrameRate, PathClass, StreamInfo};
use scanout_core::format::Fourcc;
use scanout_core::geometry::Size;
use scanout_core::session::{FrameCounts, Summary};
use serde::Serialize;

use super::choose::Choice;
use super::run::Done;
use crate::console::{Console, DIM, GOOD, HEAD, Table, WARN, bytes};
use crate::cost::CpuTime;

/// What is known before the run.
pub(super) struct Facts {
    pub(super) source: String,
    pub(super) size: Size,
    pub(super) fourcc: Fourcc,
    pub(super) rate: FrameRate,
    pub(super) memory: String,
    pub(super) realtime: bool,
    pub(super) asked: EncoderConfig,
    pub(super) outputs: Vec<OutputReport>,
}

/// The result of `scanout encode --json`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct EncodeReport {
    pub(crate) schema: u32,
    pub(crate) command: &'static str,
    pub(crate) source: SourceReport,
    pub(crate) outputs: Vec<OutputReport>,
    pub(crate) encoder: ChoiceReport,
    pub(crate) stream: StreamInfo,
    pub(crate) frames: Frames,
    pub(crate) rate: Rate,
    pub(crate) times: Times,
    pub(crate) wall_s: f64,
    pub(crate) cpu: CpuTime,
    /// The user ended it before the source did.
    pub(crate) interrupted: bool,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct SourceReport {
    pub(crate) name: String,
    pub(crate) size: Size,
    /// Four characters.
    pub(crate) format: String,
    pub(crate) frame_rate: FrameRate,
    pub(crate) memory: String,
    /// Given at the source's rate.
    pub(crate) realtime: bool,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct OutputReport {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct ChoiceReport {
    pub(crate) backend: String,
    pub(crate) device: String,
    pub(crate) name: String,
    /// It runs on this machine's processor.
    pub(crate) software: bool,
    /// The terms that decided.
    pub(crate) why: String,
    /// Names and costs of those that would have done as well.
    pub(crate) others: Vec<Alternative>,
    /// Those that would not, with the reason.
    pub(crate) rejected: Vec<Alternative>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Alternative {
    pub(crate) name: String,
    /// Milliseconds per 1080p frame, of one that was ranked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cost_ms: Option<f64>,
    pub(crate) reason: String,
}

/// What became of the frames.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Frames {
    /// Taken from the source.
    pub(crate) taken: u64,
    /// Of these, coded.
    pub(crate) coded: u64,
    /// Replaced by a newer one before staging, or before the encoder was ready.
    pub(crate) superseded: u64,
    /// Not coded because nothing had changed.
    pub(crate) unchanged: u64,
    pub(crate) keyframes: u64,
    #[serde(flatten)]
    pub(crate) session: FrameCounts,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Rate {
    /// Asked for; none with a constant quantiser.
    pub(crate) asked_bps: Option<u64>,
    /// Coded bytes over the source's time.
    pub(crate) reached_bps: f64,
    pub(crate) largest_packet_bytes: u64,
}

/// Times of stages, in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Times {
    pub(crate) wait: Summary,
    pub(crate) acquire: Summary,
    pub(crate) convert: Summary,
    pub(crate) queue: Summary,
    pub(crate) encode: Summary,
    pub(crate) total: Summary,
    pub(crate) hold: Summary,
    /// The way that the last picture's pixels took.
    pub(crate) path: Option<PathClass>,
}

impl EncodeReport {
    pub(super) fn new(facts: Facts, choice: &Choice, done: Done) -> Self {
        let candidate = &choice.chosen.candidate;
        let stream = done.stats.streams.first();
        let counts = done.stats.frames;
        let times = done.stats.times;
        let of = |f: fn(&scanout_core::session::StreamStats) -> Summary| {
            stream.map(f).unwrap_or_default()
        };
        let seconds = done.frames as f64 / facts.rate.as_f64();
        let coded_bytes = stream.map_or(0, |s| s.bytes) as f64;
        Self {
            schema: Console::SCHEMA,
            command: "encode",
            source: SourceReport {
                name: facts.source,
                size: facts.size,
                format: facts.fourcc.to_string(),
                frame_rate: facts.rate,
                memory: facts.memory,
                realtime: facts.realtime,
            },
            outputs: facts.outputs,
            encoder: ChoiceReport {
                backend: candidate.backend.to_string(),
                device: candidate.device.name.clone(),
                name: candidate.advertised.name.clone(),
                software: candidate.device.kind == DeviceKind::Cpu,
                why: choice.chosen.why.clone(),
                others: choice
                    .others
                    .iter()
                    .map(|other| Alternative {
                        name: other.candidate.advertised.name.clone(),
                        cost_ms: Some(other.cost),
                        reason: other.why.clone(),
                    })
                    .collect(),
                rejected: choice
                    .rejected
                    .iter()
                    .map(|other| Alternative {
                        name: other.encoder.clone(),
                        cost_ms: None,
                        reason: other.reason.clone(),
                    })
                    .collect(),
            },
            stream: done.stream,
            frames: Frames {
                taken: done.frames,
                coded: stream.map_or(0, |s| s.coded),
                superseded: counts.replaced + stream.map_or(0, |s| s.superseded),
                unchanged: counts.unchanged,
                keyframes: stream.map_or(0, |s| s.keyframes),
                session: counts,
            },
            rate: Rate {
                asked_bps: facts.asked.rate.bitrate().map(|rate| rate.as_bps()),
                reached_bps: if seconds > 0.0 {
                    coded_bytes * 8.0 / seconds
                } else {
                    0.0
                },
                largest_packet_bytes: stream.map_or(0, |s| s.largest),
            },
            times: Times {
                wait: times.wait,
                acquire: times.acquire,
                convert: times.convert,
                queue: of(|s| s.queue),
                encode: of(|s| s.encode),
                total: of(|s| s.total),
                hold: times.hold,
                path: done.stats.path,
            },
            wall_s: done.wall.as_secs_f64(),
            cpu: done.cpu,
            interrupted: done.interrupted,
        }
    }

    /// The report as a page of text.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        out.push_str(&self.facts().render());
        out.push('\n');
        out.push_str(&self.stages().render());
        for output in &self.outputs {
            let name = output.path.display();
            let name = if name.to_string() == "-" {
                "standard output".to_owned()
            } else {
                name.to_string()
            };
            writeln!(
                out,
                "\n  {GOOD}wrote{GOOD:#} {name} ({})",
                bytes(output.bytes)
            )?;
        }
        if self.interrupted {
            writeln!(
                out,
                "  {WARN}interrupted{WARN:#}: the file is whole up to here"
            )?;
        }
        Ok(())
    }

    /// What was done, with what.
    pub(crate) fn facts(&self) -> Table {
        let mut table = Table::new();
        let mut row = |name: &str, value: String| {
            table.styled([(name.to_owned(), HEAD), (value, anstyle::Style::new())]);
        };
        let source = &self.source;
        row(
            "source",
            format!(
                "{}, {} {} at {} fps{}",
                source.name,
                source.format,
                source.size,
                trim(source.frame_rate.as_f64()),
                if source.realtime {
                    ", in real time"
                } else {
                    ""
                }
            ),
        );
        row("memory", source.memory.clone());
        let encoder = &self.encoder;
        row(
            "encoder",
            format!(
                "{} on {} ({}){}",
                encoder.name,
                encoder.device,
                encoder.backend,
                if encoder.software {
                    ": software, no hardware encoder took part"
                } else {
                    ""
                }
            ),
        );
        row("because", encoder.why.clone());
        if !encoder.others.is_empty() {
            let with_cost = |other: &Alternative| match other.cost_ms {
                // Three figures, as the choice is not finer than that.
                Some(cost) if cost < 100.0 => format!("{} {cost:.1}", other.name),
                Some(cost) => format!("{} {cost:.0}", other.name),
                None => other.name.clone(),
            };
            let others: Vec<_> = encoder.others.iter().map(with_cost).collect();
            row("instead of", others.join(", "));
        }
        row(
            "path",
            self.times
                .path
                .map_or("none".to_owned(), |path| path.to_string()),
        );
        let stream = &self.stream;
        row(
            "stream",
            format!(
                "{}{}, {} visible, {} coded, {}",
                stream.codec,
                stream
                    .codec_string
                    .as_ref()
                    .map(|s| format!(" ({s})"))
                    .unwrap_or_default(),
                stream.visible,
                stream.coded,
                match stream.chroma {
                    scanout_core::encoder::Chroma::C444 => "4:4:4",
                    _ => "4:2:0",
                }
            ),
        );
        row(
            "colour",
            format!(
                "{} ({})",
                stream.color,
                match stream.color_in_headers {
                    Some(true) => "in the stream's headers",
                    Some(false) => "not in the stream's headers",
                    None => "not known whether in the headers",
                }
            ),
        );
        if !stream.not_applied.is_empty() {
            row("not applied", stream.not_applied.join("; "));
        }
        let frames = &self.frames;
        row(
            "frames",
            format!(
                "{} taken, {} coded ({} keyframes), {} superseded, {} unchanged, {} failed",
                frames.taken,
                frames.coded,
                frames.keyframes,
                frames.superseded,
                frames.unchanged,
                frames.session.failed
            ),
        );
        let rate = &self.rate;
        row(
            "bit rate",
            format!(
                "{:.2} Mbit/s{}, largest packet {}",
                rate.reached_bps / 1e6,
                rate.asked_bps
                    .map(|asked| format!(" of {:.2} asked", asked as f64 / 1e6))
                    .unwrap_or_default(),
                bytes(rate.largest_packet_bytes)
            ),
        );
        let speed = if source.realtime {
            String::new()
        } else {
            let fps = self.frames.taken as f64 / self.wall_s.max(1e-9);
            format!(", {fps:.0} frames per second")
        };
        row(
            "time",
            format!(
                "{:.2} s{speed}; CPU {:.2} s user, {:.2} s system, {:.2} ms per frame taken, drawing or reading the source included",
                self.wall_s,
                self.cpu.user_s,
                self.cpu.system_s,
                self.cpu.total_s() * 1e3 / (self.frames.taken.max(1) as f64)
            ),
        );
        table
    }

    /// Times of the stages.
    pub(crate) fn stages(&self) -> Table {
        let mut table = Table::new().numbers_from(1);
        table.head(["stage, ms", "p50", "p95", "p99", "max"]);
        let times = &self.times;
        for (name, summary, style) in [
            ("wait for staging", times.wait, DIM),
            ("wait for fence", times.acquire, DIM),
            ("read and convert", times.convert, DIM),
            ("wait for encoder", times.queue, DIM),
            ("encode", times.encode, DIM),
            ("source held", times.hold, HEAD),
            ("frame to packet", times.total, HEAD),
        ] {
            let cells = [
                summary.p50_ms,
                summary.p95_ms,
                summary.p99_ms,
                summary.max_ms,
            ];
            let plain = anstyle::Style::new();
            let cells = cells.map(|ms| (format!("{ms:.2}"), plain));
            let name = if summary.count == 0 {
                format!("{name} (none)")
            } else {
                name.to_owned()
            };
            table.styled([(name, style)].into_iter().chain(cells));
        }
        table
    }
}

/// `60` or `59.94`
fn trim(rate: f64) -> String {
    let text = format!("{rate:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
