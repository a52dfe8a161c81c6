//! `scanout demo`: the whole job on this machine, and a judge of its result.

mod comparison;
mod decode;
mod quality;
#[cfg(feature = "gst")]
mod second;
mod sheet;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use scanout_core::buffer::alloc::Provider;
use scanout_core::encoder::{Bitrate, Chroma, Codec};
use scanout_core::geometry::Size;
use scanout_trace::desktop::{Desktop, Scenario};
use serde::Serialize;

use crate::cli::{Context, values};
use crate::console::{self, Console, GOOD, HEAD, Table};
use crate::encode::choose::{Need, choose};
use crate::encode::{
    ChoiceArgs, Destination, EncodeReport, Encoded, PictureArgs, RateArgs, RunArgs, Task, encode,
};
use crate::failure::{Exit, Failure};
use crate::memory::{Memory, Ring};
use crate::source::SourceArgs;
use comparison::Comparison;
use quality::Quality;

/// Below this the decoded pictures are not those that were encoded: the
/// poorest encoder at the least sensible rate keeps a desktop above 25 dB.
const LEAST_PSNR_Y_DB: f64 = 22.0;

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Directory for the stream and the contact sheet; made if it is not there
    #[arg(long, value_name = "DIR", default_value = "out/demo")]
    output_dir: PathBuf,
    /// Codec [default: that of the best encoder here]
    #[arg(long)]
    codec: Option<Codec>,
    /// Size of the desktop
    #[arg(long, value_name = "WxH", default_value = "1920x1080", value_parser = values::size)]
    size: Size,
    /// Frames per second
    #[arg(long, value_name = "RATE", default_value_t = 60)]
    fps: u32,
    /// Length of the session
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = values::duration)]
    duration: Duration,
    /// Bits per second
    #[arg(long, value_name = "RATE", default_value = "8M")]
    bitrate: Bitrate,
    /// Where the frames live [default: udmabuf where /dev/udmabuf can be
    /// opened, else memfd]
    #[arg(long)]
    memory: Option<Memory>,
    /// Seed of the desktop
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Code every frame as fast as can be, instead of in real time with the
    /// newest winning
    #[arg(long)]
    every_frame: bool,
    // Last, since its heading would cover what follows.
    #[command(flatten)]
    choice: ChoiceArgs,
}

/// The result of `scanout demo --json`.
#[derive(Debug, Serialize)]
struct DemoReport {
    schema: u32,
    command: &'static str,
    encode: EncodeReport,
    decoder: String,
    quality: Quality,
    contact_sheet: PathBuf,
    wall_s: f64,
}

pub(crate) fn run(args: &DemoArgs, context: &Context) -> Result<Exit, Failure> {
    let begun = Instant::now();
    let console = &context.console;
    let desktop =
        || Desktop::new(args.size, Scenario::Mixed, args.seed, args.fps).map_err(Failure::usage);
    // Refused before anything is written.
    desktop()?;
    let directory = &args.output_dir;
    fs::create_dir_all(directory).map_err(|e| Failure::output(directory.display(), &e))?;

    console.say(&format!(
        "{HEAD}1 of 3{HEAD:#}  trying the encoders of this machine\n"
    ))?;
    let need = Need {
        codec: args.codec,
        chroma: Chroma::C420,
        size: args.size,
    };
    let choice = choose(&need, &args.choice, context)?;
    let advertised = &choice.chosen.candidate.advertised;
    let (codec, name) = (advertised.codec, advertised.name.clone());

    let frames = (args.duration.as_secs_f64() * f64::from(args.fps)).ceil() as u64;
    console.say(&format!(
        "{HEAD}2 of 3{HEAD:#}  encoding {} of desktop {} with {name}{}\n",
        console::time(args.duration),
        args.size,
        if args.every_frame {
            ""
        } else {
            ", in real time"
        }
    ))?;
    let source = SourceArgs::desktop(args.size, args.fps, args.seed);
    let rate = RateArgs {
        bitrate: args.bitrate,
        ..RateArgs::default()
    };
    let run = RunArgs {
        frames: Some(frames),
        duration: None,
        realtime: !args.every_frame,
        skip_unchanged: !args.every_frame,
        memory: memory(args),
    };
    let picture = PictureArgs::default();
    let task = Task {
        source: &source,
        rate: &rate,
        picture: &picture,
        run: &run,
        choice: &args.choice,
        keep: true,
    };
    let destinations = destinations(directory, codec)?;
    let encoded = encode(&task, &destinations, Some(choice), context)?;
    if encoded.report.interrupted {
        console.result(&encoded.report, EncodeReport::text)?;
        return Ok(Exit::Interrupted);
    }

    console.say(&format!(
        "{HEAD}3 of 3{HEAD:#}  decoding it with {} and comparing\n\n",
        if decode::have_ffmpeg() && has_second(codec) {
            "other programs"
        } else {
            "another program"
        }
    ))?;
    let contact_sheet = directory.join("contact-sheet.png");
    let (decoder, quality) = verify(desktop()?, &encoded, &contact_sheet, context)?;
    let report = DemoReport {
        schema: Console::SCHEMA,
        command: "demo",
        encode: encoded.report,
        decoder,
        quality,
        contact_sheet,
        wall_s: begun.elapsed().as_secs_f64(),
    };
    console.result(&report, text)?;
    judge(&report.quality)?;
    Ok(Exit::Ok)
}

/// Real dma-bufs where this machine makes them.
fn memory(args: &DemoArgs) -> Memory {
    if let Some(memory) = &args.memory {
        return memory.clone();
    }
    let udmabuf = Memory::Provider(Provider::Udmabuf);
    match Ring::new(&udmabuf, Desktop::FOURCC, args.size) {
        Ok(_) => udmabuf,
        Err(error) => {
            tracing::info!(%error, "no udmabuf");
            Memory::Provider(Provider::Memfd)
        }
    }
}

/// True where GStreamer has a decoder too.
#[cfg(feature = "gst")]
fn has_second(codec: Codec) -> bool {
    scanout_gst::Decoder::open(codec).is_ok()
}

#[cfg(not(feature = "gst"))]
fn has_second(_: Codec) -> bool {
    false
}

/// The elementary stream, which is judged, and a file for players.
fn destinations(directory: &Path, codec: Codec) -> Result<[Destination; 2], Failure> {
    let (stream, container) = match codec {
        Codec::H264 => ("demo.h264", "demo.mp4"),
        Codec::H265 => ("demo.h265", "demo.mp4"),
        Codec::Vp8 => ("demo.ivf", "demo.mkv"),
        Codec::Mjpeg => ("demo.mjpeg", "demo.mkv"),
        _ => ("demo.ivf", "demo.mp4"),
    };
    let of = |name: &str| Destination::new(&directory.join(name), Some(codec));
    Ok([of(stream)?, of(container)?])
}

/// Decodes the stream with every decoder here, and compares the pictures with
/// the source's, and the decoders with each other.
fn verify(
    desktop: Desktop,
    encoded: &Encoded,
    contact_sheet: &Path,
    context: &Context,
) -> Result<(String, Quality), Failure> {
    let (stream, coded) = (&encoded.report.stream, &encoded.frames);
    let mut comparison = Comparison::new(desktop, stream, coded)?;
    let bar = context
        .console
        .progress(Some(coded.len() as u64), "comparing");
    let mut compare = |picture: &[u8]| {
        bar.inc(1);
        if context.interrupt.asked() {
            return Err(Failure::new(
                Exit::Interrupted,
                "interrupted while comparing",
            ));
        }
        comparison.picture(picture)
    };
    let outputs = &encoded.report.outputs;
    let mut decoders = Vec::new();
    if decode::have_ffmpeg() {
        let file = outputs
            .first()
            .ok_or_else(|| Failure::new(Exit::Internal, "nothing was written"))?;
        decode::with_ffmpeg(&file.path, stream, &mut compare)?;
        for output in outputs.iter().skip(1) {
            decode::check_with_ffmpeg(&output.path)?;
        }
        decoders.push("ffmpeg (strict, and silent on every file)".to_owned());
    }
    #[cfg(feature = "gst")]
    if let Some(name) = {
        // The first decoder's pictures are judged, the second's must equal them.
        let mut digests = Vec::with_capacity(coded.len());
        let first = decoders.is_empty();
        let name = second::decode(stream.codec, &encoded.packets, &mut |picture| {
            if first {
                return compare(picture);
            }
            digests.push(comparison::digest(picture));
            Ok(())
        })?;
        if !first && name.is_some() {
            comparison.same(&digests)?;
        }
        name
    } {
        decoders.push(format!("GStreamer's {name}"));
    }
    bar.finish_and_clear();
    if decoders.is_empty() {
        return Err(Failure::new(
            Exit::Verification,
            "no decoder here to judge the stream with",
        )
        .hint("apt install ffmpeg gstreamer1.0-libav"));
    }
    let (quality, png) = comparison.finish()?;
    fs::write(contact_sheet, png).map_err(|e| Failure::output(contact_sheet.display(), &e))?;
    let agree = if decoders.len() > 1 {
        ", which agree bit for bit"
    } else {
        ""
    };
    Ok((format!("{}{agree}", decoders.join(" and ")), quality))
}

fn judge(quality: &Quality) -> Result<(), Failure> {
    match quality.psnr_y_db {
        Some(psnr) if psnr < LEAST_PSNR_Y_DB => Err(Failure::new(
            Exit::Verification,
            format_args!(
                "luma PSNR is {psnr:.1} dB, at least {LEAST_PSNR_Y_DB} are expected of any encoder"
            ),
        )),
        _ => Ok(()),
    }
}

fn text(report: &DemoReport) -> String {
    let db = |psnr: Option<f64>| psnr.map_or("lossless".to_owned(), |db| format!("{db:.2} dB"));
    let mut table: Table = report.encode.facts();
    let quality = &report.quality;
    let plain = anstyle::Style::new();
    for (name, value) in [
        (
            "quality",
            format!(
                "luma PSNR {}, chroma PSNR {}, luma SSIM {:.4}, over {} frames",
                db(quality.psnr_y_db),
                db(quality.psnr_chroma_db),
                quality.ssim_y,
                quality.frames
            ),
        ),
        (
            "worst",
            format!(
                "luma PSNR {} (frame {}), luma SSIM {:.4}",
                db(quality.worst_psnr_y_db),
                quality.worst_frame,
                quality.worst_ssim_y
            ),
        ),
        ("decoder", report.decoder.clone()),
    ] {
        table.styled([(name.to_owned(), HEAD), (value, plain)]);
    }
    let mut out = table.render();
    out.push('\n');
    out.push_str(&report.encode.stages().render());
    out.push('\n');
    for output in &report.encode.outputs {
        let size = console::bytes(output.bytes);
        // Writing to a string does not fail.
        let _ = writeln!(
            out,
            "  {GOOD}wrote{GOOD:#} {} ({size})",
            output.path.display()
        );
    }
    let _ = writeln!(
        out,
        "  {GOOD}wrote{GOOD:#} {}",
        report.contact_sheet.display()
    );
    out
}
