//! The encoder for a job: what was asked for, tried, ranked.

use std::time::Duration;

use scanout_core::encoder::{
    Backend, BackendError, BackendName, Capabilities, Chroma, Codec, Device, OpenError,
    StageConfig, Stager,
};
use scanout_core::geometry::Size;
use scanout_core::probe::{self, ProbeOptions, ProbeProgress, ProbeReport};
use scanout_core::select::{self, Ranked, Rejected, Wish};

use super::args::ChoiceArgs;
use crate::cli::Context;
use crate::failure::{Exit, Failure};
use crate::probe::packages;

/// Enough to see a keyframe, those that follow, and one on request.
const TRIAL_FRAMES: u32 = 5;

/// Longest wait for one picture: a slow software encoder at the largest size.
const TRIAL_LIMIT: Duration = Duration::from_secs(10);

/// A backend seen through a wish: encoders that it rules out are not tried.
struct Narrowed {
    backend: Box<dyn Backend>,
    codec: Option<Codec>,
    encoder: Option<String>,
}

impl Backend for Narrowed {
    fn name(&self) -> BackendName {
        self.backend.name()
    }

    fn devices(&self) -> Result<Vec<Device>, BackendError> {
        self.backend.devices()
    }

    fn capabilities(&self, device: &Device) -> Result<Capabilities, BackendError> {
        let mut capabilities = self.backend.capabilities(device)?;
        capabilities.encoders.retain(|encoder| {
            self.codec.is_none_or(|codec| codec == encoder.codec)
                && self
                    .encoder
                    .as_ref()
                    .is_none_or(|name| *name == encoder.name)
        });
        Ok(capabilities)
    }

    fn open(&self, device: &Device, config: &StageConfig) -> Result<Box<dyn Stager>, OpenError> {
        self.backend.open(device, config)
    }
}

/// What a job needs of an encoder.
#[derive(Clone, Debug)]
pub(crate) struct Need {
    pub(crate) codec: Option<Codec>,
    pub(crate) chroma: Chroma,
    pub(crate) size: Size,
}

/// The encoder that was chosen.
pub(crate) struct Choice {
    pub(crate) backend: Box<dyn Backend>,
    pub(crate) chosen: Ranked,
    /// Those that would have done as well, best first.
    pub(crate) others: Vec<Ranked>,
    pub(crate) rejected: Vec<Rejected>,
}

/// Tries what fits the need and takes the best.
pub(crate) fn choose(need: &Need, args: &ChoiceArgs, context: &Context) -> Result<Choice, Failure> {
    let mut wish = Wish::default();
    wish.codec = need.codec;
    wish.chroma = need.chroma;
    wish.size = Some(need.size);
    wish.backend = args.backend.clone();
    wish.encoder = args.encoder.clone();
    wish.max_path = args.require_path;

    let mut backends = narrowed(need, args)?;
    let bar = context.console.progress(None, "probing");
    let mut options = ProbeOptions::default();
    // At the job's own size: some encoders advertise sizes that they refuse
    // later, and which one is fastest depends on the size.
    options.size = need.size;
    options.frames = TRIAL_FRAMES;
    options.limit = TRIAL_LIMIT;
    let mut show = |progress: ProbeProgress<'_>| {
        bar.set_length(progress.total as u64);
        bar.set_position(progress.done as u64);
        bar.set_message(progress.encoder.to_owned());
    };
    // Trials of large pictures take a while, and the user may think better of it.
    let go_on = || !context.interrupt.asked();
    let report = probe::probe_while(&backends, &options, &mut show, &go_on);
    bar.finish_and_clear();
    if context.interrupt.asked() {
        return Err(super::run::interrupted_early());
    }
    let mut ranking = select::rank(&report, &wish);
    for rejected in &ranking.rejected {
        tracing::info!(encoder = %rejected.encoder, reason = %rejected.reason, "not chosen");
    }
    if ranking.ranked.is_empty() {
        return Err(nothing_fits(need, args, &report, &ranking.rejected));
    }
    let chosen = ranking.ranked.remove(0);
    let index = backends
        .iter()
        .position(|backend| backend.name() == chosen.candidate.backend)
        .ok_or_else(|| Failure::new(Exit::Internal, "the chosen encoder's backend is gone"))?;
    Ok(Choice {
        backend: backends.swap_remove(index),
        chosen,
        others: ranking.ranked,
        rejected: ranking.rejected,
    })
}

fn narrowed(need: &Need, args: &ChoiceArgs) -> Result<Vec<Box<dyn Backend>>, Failure> {
    let backends = scanout::backends();
    let names: Vec<_> = backends.iter().map(|b| b.name().to_string()).collect();
    if names.is_empty() {
        return Err(Failure::new(
            Exit::NoEncoder,
            "this scanout was built without any backend",
        )
        .hint("build it with --features gst"));
    }
    if let Some(name) = &args.backend
        && !names.contains(name)
    {
        return Err(Failure::usage(format_args!(
            "--backend {name}: this scanout has {}",
            names.join(", ")
        )));
    }
    let narrowed = backends
        .into_iter()
        .filter(|backend| {
            args.backend
                .as_ref()
                .is_none_or(|name| name == backend.name().0)
        })
        .map(|backend| {
            Box::new(Narrowed {
                backend,
                codec: need.codec,
                encoder: args.encoder.clone(),
            }) as Box<dyn Backend>
        })
        .collect();
    Ok(narrowed)
}

/// Why no encoder will do, and what to do about it.
fn nothing_fits(
    need: &Need,
    args: &ChoiceArgs,
    report: &ProbeReport,
    rejected: &[Rejected],
) -> Failure {
    let codec = need.codec.map_or("any codec".to_owned(), |c| c.to_string());
    let fail = |message: String| Failure::new(Exit::NoEncoder, message);
    if let Some(first) = rejected.first() {
        let rest = rejected.len() - 1;
        let more = match rest {
            0 => String::new(),
            rest => format!(" (and {rest} more)"),
        };
        return fail(format!(
            "no encoder for {codec} will do: {} {}{more}",
            first.encoder, first.reason
        ))
        .hint("`scanout probe` shows every encoder and what it can do");
    }
    if let Some(gone) = report.unavailable.first() {
        return fail(format!(
            "backend {} is not available: {}",
            gone.backend, gone.reason
        ))
        .hint(packages::HINT_BASE);
    }
    match &args.encoder {
        Some(name) => {
            let failure = fail(format!(
                "--encoder {name}: there is no such encoder for {codec} here"
            ));
            match packages::of_element(name) {
                Some(package) => {
                    failure.hint(format_args!("Debian and Ubuntu have it in {package}"))
                }
                None => failure.hint("`scanout probe` lists the encoders by name"),
            }
        }
        None => {
            let failure = fail(format!("there is no encoder for {codec} here"));
            match need.codec {
                Some(codec) => failure.hint(format_args!(
                    "Debian and Ubuntu have some in {}",
                    packages::of_codec(codec)
                )),
                None => failure.hint(packages::HINT_BASE),
            }
        }
    }
}
