//! `scanout encode`: a source into a file.

mod args;
pub(crate) mod choose;
mod container;
mod file;
mod ivf;
#[cfg(feature = "gst")]
mod mux;
mod report;
mod run;
mod writer;

use std::path::PathBuf;

pub(crate) use args::{ChoiceArgs, EncodeArgs, PictureArgs, RateArgs, RunArgs};
pub(crate) use container::Destination;
pub(crate) use report::EncodeReport;
use report::OutputReport;
use run::Job;
use scanout_core::convert::Converter;
use scanout_core::encoder::{Chroma, Packet};
use scanout_core::format::Fourcc;

use crate::cli::Context;
use crate::failure::{Exit, Failure};
use crate::memory::{Memory, Ring};
use crate::source::{self, SourceArgs};
use choose::{Choice, Need, choose};

/// Everything about one encoding but where it is chosen and told.
pub(crate) struct Task<'a> {
    pub(crate) source: &'a SourceArgs,
    pub(crate) rate: &'a RateArgs,
    pub(crate) picture: &'a PictureArgs,
    pub(crate) run: &'a RunArgs,
    pub(crate) choice: &'a ChoiceArgs,
    /// Keep the packets for a look at them.
    pub(crate) keep: bool,
}

/// What an encoding leaves beside its files.
pub(crate) struct Encoded {
    pub(crate) report: EncodeReport,
    /// Numbers of the source frames that were coded, in order.
    pub(crate) frames: Vec<u64>,
    /// Their packets, if they were to be kept.
    #[cfg_attr(
        not(feature = "gst"),
        expect(dead_code, reason = "only GStreamer's decoders look at them")
    )]
    pub(crate) packets: Vec<Packet>,
}

pub(crate) fn run(args: &EncodeArgs, context: &Context) -> Result<Exit, Failure> {
    let destination = Destination::new(&args.output, args.codec)?;
    let console = match destination.path {
        None if context.console.is_json() => {
            return Err(
                Failure::usage("--json and --output - both want standard output")
                    .hint("write the stream to a file or a FIFO"),
            );
        }
        None => context.console.beside_stream(),
        Some(_) => context.console.clone(),
    };
    let context = Context {
        console,
        interrupt: context.interrupt.clone(),
    };
    let task = Task {
        source: &args.source,
        rate: &args.rate,
        picture: &args.picture,
        run: &args.run,
        choice: &args.choice,
        keep: false,
    };
    let report = encode(&task, &[destination], None, &context)?.report;
    let told = context.console.result(&report, EncodeReport::text);
    if report.interrupted {
        // The terminal that closed takes no report, and the file is whole.
        return Ok(Exit::Interrupted);
    }
    told?;
    Ok(Exit::Ok)
}

/// Runs `task`, each packet into all of `destinations`, which are of one
/// codec.
pub(crate) fn encode(
    task: &Task<'_>,
    destinations: &[Destination],
    choice: Option<Choice>,
    context: &Context,
) -> Result<Encoded, Failure> {
    let codec = destinations
        .first()
        .map(|d| d.codec)
        .ok_or_else(|| Failure::new(Exit::Internal, "nowhere to write to"))?;
    // What is cheap to refuse comes first: settings, source, memory, output.
    for path in destinations.iter().filter_map(|to| to.path.as_deref()) {
        if task.source.is(path) {
            return Err(Failure::usage(format_args!(
                "--output {}: it is the source",
                path.display()
            ))
            .hint("name another file"));
        }
    }
    let mut reader = task.source.open()?;
    let (size, fourcc) = (reader.size(), reader.fourcc());
    let rate = source::rate_of(reader.as_ref());
    let encoder = task.rate.config(codec, rate)?;
    for destination in destinations {
        destination.check(size)?;
    }
    let declared = task.source.declared();
    let stage = task
        .picture
        .stage(codec, size, declared, task.choice.require_path)?;
    let ring = Ring::new(&task.run.memory, fourcc, size)?;
    // Of a dma-buf a GPU may make what the converter does not.
    if !ring.real_dma_bufs() {
        convertible(fourcc, stage.chroma)?;
    }
    let writers = destinations
        .iter()
        .map(|destination| writer::open(destination, rate))
        .collect::<Result<Vec<_>, _>>()?;
    let choice = match choice {
        Some(choice) => choice,
        None => {
            let need = Need {
                codec: Some(codec),
                chroma: stage.chroma,
                size,
            };
            choose(&need, task.choice, context)?
        }
    };
    if context.interrupt.asked() {
        return Err(run::interrupted_early());
    }
    let mut encoder = encoder;
    encoder.encoder = Some(choice.chosen.candidate.advertised.name.clone());
    let real_dma_bufs = ring.real_dma_bufs();
    let asked = encoder.clone();
    let job = Job {
        reader: reader.as_mut(),
        ring,
        choice: &choice,
        stage,
        encoder,
        rate,
        frames: task.run.frame_limit(rate),
        realtime: task.run.realtime,
        skip_unchanged: task.run.skip_unchanged,
        keep: task.keep,
        writers,
    };
    let mut done = run::run(job, context)?;
    let frames = std::mem::take(&mut done.written.frames);
    let packets = std::mem::take(&mut done.written.packets);
    let outputs = destinations.iter().zip(&done.written.bytes);
    let outputs = outputs
        .map(|(to, bytes)| OutputReport {
            path: to.path.clone().unwrap_or_else(|| PathBuf::from("-")),
            bytes: *bytes,
        })
        .collect();
    let facts = report::Facts {
        source: task.source.describe(reader.as_ref()),
        size,
        fourcc,
        rate,
        memory: memory_name(&task.run.memory, real_dma_bufs),
        realtime: task.run.realtime,
        asked,
        outputs,
    };
    Ok(Encoded {
        report: EncodeReport::new(facts, &choice, done),
        frames,
        packets,
    })
}

/// That frames of `fourcc` can become pictures of `chroma`.
pub(crate) fn convertible(fourcc: Fourcc, chroma: Chroma) -> Result<(), Failure> {
    let supports = |chroma| Converter::supports(fourcc, run::target(chroma));
    if supports(chroma) {
        return Ok(());
    }
    let failure = Failure::input(format_args!(
        "there is no conversion from {fourcc} to {chroma}"
    ));
    let (other, name) = match chroma {
        Chroma::C444 => (Chroma::C420, "420"),
        _ => (Chroma::C444, "444"),
    };
    Err(if supports(other) {
        failure.hint(format_args!("keep the source's chroma: --chroma {name}"))
    } else {
        failure.hint("convert it first: ffmpeg -i IN -pix_fmt yuv420p OUT.y4m")
    })
}

fn memory_name(memory: &Memory, real_dma_bufs: bool) -> String {
    match memory {
        _ if real_dma_bufs => format!("{memory} (dma-buf)"),
        Memory::Process => format!("{memory} (of this process)"),
        _ => format!("{memory} (shared memory, no dma-buf)"),
    }
}
