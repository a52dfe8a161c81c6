//! `scanout probe`: what this machine can encode with.

pub(crate) mod packages;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use clap::Args;
use scanout_core::geometry::Size;
use scanout_core::probe::{self, Candidate, ProbeOptions, ProbeProgress, ProbeReport, Verdict};
use scanout_core::select::{self, Ranking, Wish};
use serde::Serialize;

use crate::cli::{Context, values};
use crate::console::{BAD, Console, DIM, GOOD, HEAD, Table, WARN};
use crate::failure::{Exit, Failure};

#[derive(Debug, Args)]
pub(crate) struct ProbeArgs {
    /// Show what is advertised, without trying it
    #[arg(long)]
    quick: bool,
    /// Size of the pictures tried
    #[arg(long, value_name = "WxH", default_value = "640x360", value_parser = values::size)]
    size: Size,
    /// Pictures tried per encoder
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(3..=1000))]
    frames: u32,
    /// Longest wait for any step of a trial
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = values::duration)]
    limit: Duration,
}

/// The result of `scanout probe --json`.
#[derive(Debug, Serialize)]
struct Probed {
    schema: u32,
    command: &'static str,
    probe: ProbeReport,
    /// Best first, without any wish.
    ranking: Option<Vec<Place>>,
    /// Encoders known to scanout that are not here.
    missing: Vec<Missing>,
}

#[derive(Debug, Serialize)]
struct Place {
    backend: String,
    encoder: String,
    cost: f64,
    why: String,
}

#[derive(Debug, Serialize)]
struct Missing {
    encoder: &'static str,
    codec: &'static str,
    /// Of Debian and Ubuntu.
    package: &'static str,
}

pub(crate) fn run(args: &ProbeArgs, context: &Context) -> Result<Exit, Failure> {
    let backends = scanout::backends();
    let mut options = ProbeOptions::default();
    options.trial = !args.quick;
    options.size = args.size;
    options.frames = args.frames;
    options.limit = args.limit;
    let bar = context.console.progress(None, "probing");
    let mut show = |progress: ProbeProgress<'_>| {
        bar.set_length(progress.total as u64);
        bar.set_position(progress.done as u64);
        bar.set_message(progress.encoder.to_owned());
    };
    let go_on = || !context.interrupt.asked();
    let report = probe::probe_while(&backends, &options, &mut show, &go_on);
    bar.finish_and_clear();
    if context.interrupt.asked() {
        return Err(Failure::new(
            Exit::Interrupted,
            "interrupted before every encoder was tried",
        ));
    }
    let ranking = (!args.quick).then(|| places(&select::rank(&report, &Wish::default())));
    let works = if args.quick {
        !report.candidates.is_empty()
    } else {
        let verified = |c: &Candidate| matches!(c.verdict, Verdict::Verified(_));
        report.candidates.iter().any(verified)
    };
    let probed = Probed {
        schema: Console::SCHEMA,
        command: "probe",
        missing: missing(&report),
        probe: report,
        ranking,
    };
    context
        .console
        .result(&probed, |probed| text(probed, args.quick))?;
    Ok(if works { Exit::Ok } else { Exit::NoEncoder })
}

fn places(ranking: &Ranking) -> Vec<Place> {
    ranking
        .ranked
        .iter()
        .map(|ranked| Place {
            backend: ranked.candidate.backend.to_string(),
            encoder: ranked.candidate.advertised.name.clone(),
            cost: ranked.cost,
            why: ranked.why.clone(),
        })
        .collect()
}

fn missing(report: &ProbeReport) -> Vec<Missing> {
    let here: BTreeSet<&str> = report
        .candidates
        .iter()
        .map(|candidate| candidate.advertised.name.as_str())
        .collect();
    packages::ELEMENTS
        .iter()
        .filter(|(name, ..)| !here.contains(name))
        .map(|(encoder, codec, package)| Missing {
            encoder,
            codec: codec.name(),
            package,
        })
        .collect()
}

fn text(probed: &Probed, quick: bool) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut out, probed, quick);
    out
}

fn write(out: &mut String, probed: &Probed, quick: bool) -> std::fmt::Result {
    let report = &probed.probe;
    let mut devices: Vec<(String, String)> = Vec::new();
    for candidate in &report.candidates {
        let device = (candidate.backend.to_string(), candidate.device.id.clone());
        if !devices.contains(&device) {
            devices.push(device);
        }
    }
    for (backend, id) in &devices {
        let of_device = || {
            report
                .candidates
                .iter()
                .filter(|c| c.backend.to_string() == *backend && c.device.id == *id)
        };
        if let Some(first) = of_device().next() {
            writeln!(out, "{HEAD}{} ({backend}/{id}){HEAD:#}", first.device.name)?;
        }
        let mut table = Table::new();
        table.head(["encoder", "codec", "chroma", "advertised", "verified"]);
        for candidate in of_device() {
            row(&mut table, candidate);
        }
        out.push_str(&table.render());
        for candidate in of_device() {
            remarks(out, candidate)?;
        }
        out.push('\n');
    }
    if devices.is_empty() {
        writeln!(
            out,
            "{BAD}no encoder is advertised on this machine{BAD:#}\n"
        )?;
    }
    for gone in &report.unavailable {
        let device = gone
            .device
            .as_deref()
            .map(|d| format!("/{d}"))
            .unwrap_or_default();
        writeln!(
            out,
            "{WARN}{}{device} is not available{WARN:#}: {}",
            gone.backend, gone.reason
        )?;
    }
    if let Some(best) = probed.ranking.as_ref().and_then(|ranking| ranking.first()) {
        writeln!(
            out,
            "{HEAD}best here{HEAD:#}  {} ({}): {}",
            best.encoder, best.backend, best.why
        )?;
    }
    if quick {
        writeln!(
            out,
            "{DIM}nothing was tried: run without --quick to see what really works{DIM:#}"
        )?;
    }
    let mut packages: Vec<(&str, Vec<&str>)> = Vec::new();
    for missing in &probed.missing {
        match packages
            .iter_mut()
            .find(|(package, _)| *package == missing.package)
        {
            Some((_, encoders)) => encoders.push(missing.encoder),
            None => packages.push((missing.package, vec![missing.encoder])),
        }
    }
    if !packages.is_empty() {
        writeln!(
            out,
            "\n{HEAD}not here{HEAD:#}, and what brings it on Debian and Ubuntu (hardware encoders also need the hardware)"
        )?;
        let mut table = Table::new();
        for (package, encoders) in packages {
            table.row([encoders.join(" "), package.to_owned()]);
        }
        out.push_str(&table.render());
    }
    Ok(())
}

fn row(table: &mut Table, candidate: &Candidate) {
    let caps = &candidate.advertised;
    let plain = anstyle::Style::new();
    let chroma: Vec<_> = caps.chroma.iter().map(|c| c.name()).collect();
    let mut features = vec![format!("up to {}", caps.max_size)];
    if caps.live_bitrate {
        features.push("live bitrate".to_owned());
    }
    if caps.qp_bounds {
        features.push("QP bounds".to_owned());
    }
    let (verdict, style) = match &candidate.verdict {
        Verdict::Verified(seen) => {
            let delay = match seen.delay_frames {
                0 => "no delay".to_owned(),
                frames => format!("{frames} frames late"),
            };
            (
                format!(
                    "yes: {:.1} ms per {} picture, {delay}, {}",
                    seen.encode_ms, seen.size, seen.path
                ),
                GOOD,
            )
        }
        Verdict::Failed { reason } => (format!("no: {reason}"), BAD),
        _ => ("not tried".to_owned(), DIM),
    };
    table.styled([
        (caps.name.clone(), HEAD),
        (caps.codec.to_string(), plain),
        (chroma.join(" "), plain),
        (features.join(", "), plain),
        (verdict, style),
    ]);
}

/// What an encoder lacks.
fn remarks(out: &mut String, candidate: &Candidate) -> std::fmt::Result {
    let caps = &candidate.advertised;
    let mut remarks: Vec<String> = caps.notes.clone();
    if let Verdict::Verified(seen) = &candidate.verdict {
        for setting in &seen.not_applied {
            if !remarks.contains(setting) {
                remarks.push(setting.clone());
            }
        }
        if seen.color_in_headers == Some(false) {
            remarks.push("its streams do not say what their colours mean".to_owned());
        }
        if !seen.keyframe_on_request {
            remarks.push("no keyframe came when one was asked for".to_owned());
        }
    }
    for remark in remarks {
        writeln!(out, "    {DIM}{}: {remark}{DIM:#}", caps.name)?;
    }
    Ok(())
}
