//! The encoders that clients can get: the best of each codec asked for.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use scanout::spice::gl::VideoCodec;
use scanout::spice::stream::EncoderChoice;
use scanout_core::encoder::{Backend, Chroma, Codec, DeviceKind};
use serde::Serialize;

use super::args::ServeArgs;
use super::player::Facts;
use crate::cli::Context;
use crate::console::{DIM, GOOD, Table, WARN};
use crate::encode::choose::{Need, choose};
use crate::encode::{PictureArgs, convertible};
use crate::failure::{Exit, Failure};

/// What became of one codec that was asked for.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Offered {
    codec: Codec,
    /// `None`: no encoder will do.
    encoder: Option<String>,
    device: Option<String>,
    chroma: Option<Chroma>,
    /// Why this one, or why none.
    why: String,
    trial_s: f64,
}

/// What there is for clients, in the order asked for.
pub(super) struct Offers {
    pub(super) choices: Vec<EncoderChoice>,
    pub(super) table: Vec<Offered>,
    pub(super) took: Duration,
}

/// Tries the encoders of each codec at the source's size, and takes the best.
pub(super) fn offers(
    args: &ServeArgs,
    source: &Facts,
    context: &Context,
) -> Result<Offers, Failure> {
    let codecs = codecs(&args.stream.codec)?;
    let backends: Vec<Arc<dyn Backend>> = scanout::backends().into_iter().map(Arc::from).collect();
    let begun = Instant::now();
    let mut offers = Offers {
        choices: Vec::new(),
        table: Vec::new(),
        took: Duration::ZERO,
    };
    let mut first_failure = None;
    for codec in codecs {
        let tried = Instant::now();
        let best = best(codec, args, source, &backends, context);
        let trial_s = tried.elapsed().as_secs_f64();
        match best {
            Ok((taken, why)) => {
                offers.table.push(Offered {
                    codec,
                    encoder: Some(taken.encoder.clone()),
                    device: Some(taken.device.name.clone()),
                    chroma: Some(taken.chroma),
                    why,
                    trial_s,
                });
                offers.choices.push(taken);
            }
            // What is wrong with the wish, or the user's own: no other codec helps.
            Err(failure) if failure.exit != Exit::NoEncoder => return Err(failure),
            Err(failure) => {
                offers.table.push(Offered {
                    codec,
                    encoder: None,
                    device: None,
                    chroma: None,
                    why: failure.line(),
                    trial_s,
                });
                first_failure.get_or_insert(failure);
            }
        }
    }
    offers.took = begun.elapsed();
    match first_failure {
        Some(failure) if offers.choices.is_empty() => Err(failure),
        _ => Ok(offers),
    }
}

/// Those asked for, each once, if SPICE has them.
fn codecs(asked: &[Codec]) -> Result<Vec<Codec>, Failure> {
    let mut codecs = Vec::new();
    for &codec in asked {
        if VideoCodec::of(codec).is_none() {
            return Err(
                Failure::usage(format_args!("--codec {codec}: SPICE has no such stream"))
                    .hint("it has h264, h265, vp8, vp9 and mjpeg"),
            );
        }
        if !codecs.contains(&codec) {
            codecs.push(codec);
        }
    }
    Ok(codecs)
}

fn best(
    codec: Codec,
    args: &ServeArgs,
    source: &Facts,
    backends: &[Arc<dyn Backend>],
    context: &Context,
) -> Result<(EncoderChoice, String), Failure> {
    let try_in = |chroma| {
        let picture = PictureArgs {
            chroma,
            ..PictureArgs::default()
        };
        // Neither the colour of a codec nor a conversion is the user's to change here.
        let not_here = |failure: Failure| Failure::new(Exit::NoEncoder, failure);
        let max_path = args.choice.require_path;
        let stage = picture
            .stage(codec, source.size, source.declared, max_path)
            .map_err(not_here)?;
        // Of a dma-buf a GPU may make what the converter does not.
        if !source.real_dma_bufs {
            convertible(source.fourcc, chroma).map_err(not_here)?;
        }
        let need = Need {
            codec: Some(codec),
            chroma,
            size: source.size,
        };
        choose(&need, &args.choice, context).map(|choice| (choice, stage))
    };
    let (choice, stage) = match try_in(args.stream.chroma) {
        Err(failure) if failure.exit == Exit::NoEncoder && args.stream.chroma != Chroma::C420 => {
            try_in(Chroma::C420)?
        }
        tried => tried?,
    };
    let candidate = choice.chosen.candidate;
    // Those of one backend share their pictures.
    let backend = backends.iter().find(|b| b.name() == candidate.backend);
    let backend = backend
        .ok_or_else(|| Failure::new(Exit::Internal, "the chosen encoder's backend is gone"))?;
    let mut taken = EncoderChoice::new(
        Arc::clone(backend),
        candidate.device,
        candidate.advertised.name,
        codec,
    );
    taken.chroma = stage.chroma;
    // Of a source that says how its samples are; all others follow the size.
    let preferred = codec.preferred_color(source.size);
    taken.color = (stage.color != preferred).then_some(stage.color);
    taken.max_path = stage.max_path;
    Ok((taken, choice.chosen.why))
}

impl Offers {
    /// The table for people.
    pub(super) fn text(&self) -> String {
        let mut table = Table::new();
        table.head(["codec", "encoder", "on", "chroma", "why"]);
        for row in &self.table {
            let (encoder, style) = match &row.encoder {
                Some(name) => (name.clone(), GOOD),
                None => ("none".to_owned(), WARN),
            };
            let plain = anstyle::Style::new();
            let chroma = row.chroma.map_or(String::new(), |c| c.to_string());
            table.styled([
                (row.codec.to_string(), plain),
                (encoder, style),
                (row.device.clone().unwrap_or_default(), plain),
                (chroma, plain),
                (row.why.clone(), DIM),
            ]);
        }
        let mut text = table.render();
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "  tried in {:.1} s; a client gets the first codec that it shows",
            self.took.as_secs_f64()
        );
        let on_cpu = |choice: &EncoderChoice| choice.device.kind == DeviceKind::Cpu;
        if self.choices.iter().all(on_cpu) {
            text.push_str(
                "  software, no hardware encoder took part: `scanout probe` says what is here\n",
            );
        }
        text
    }
}
