//! A pipeline around one element, and the pictures inside it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gstreamer::prelude::*;
use scanout_core::color::ColorSpec;
use scanout_core::convert::PictureLayout;
use scanout_core::encoder::{
    Chroma, Codec, EncoderConfig, FrameTimes, OpenError, Picture, PictureId,
};
use scanout_core::geometry::Size;
use scanout_core::sync::EventFd;

use super::DEPTH;
use super::quality::Decided;
use crate::elements::Element;
use crate::frame;
use crate::pipeline::{Around, Pipeline, build_error};
use crate::{property, settings};

/// How the pictures given to an encoder look, and how its threads run.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) layout: PictureLayout,
    pub(crate) color: ColorSpec,
    pub(crate) chroma: Chroma,
    pub(crate) memory: Memory,
    pub(crate) around: Around,
}

/// Where pictures lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    /// In host memory.
    Host,
    /// Where a converter put them; `feature` is what caps call that.
    Device { feature: Option<&'static str> },
}

/// A picture inside, until its packet is out.
#[derive(Clone, Debug)]
pub(super) struct Inside {
    /// Keeps a surface on a device from being lent again; the buffer of one in
    /// host memory does that itself.
    pub(super) _held: Option<Picture>,
    pub(super) pts: gstreamer::ClockTime,
    pub(super) picture: PictureId,
    pub(super) number: u64,
    pub(super) timestamp: Duration,
    pub(super) times: FrameTimes,
    pub(super) keyframe: bool,
    /// Its quality, where we hold the rate.
    pub(super) decided: Option<Decided>,
}

/// A pipeline with the pictures inside it.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) pipeline: Pipeline,
    pub(super) element: gstreamer::Element,
    pub(super) inside: VecDeque<Inside>,
    /// Pictures given before the pipeline plays.
    pub(super) early: VecDeque<gstreamer::Buffer>,
    changes: Arc<Mutex<VecDeque<Change>>>,
}

/// New values for the pictures after a time.
#[derive(Debug)]
struct Change {
    after: Option<gstreamer::ClockTime>,
    values: Vec<settings::LiveValue>,
}

fn lock(changes: &Mutex<VecDeque<Change>>) -> MutexGuard<'_, VecDeque<Change>> {
    changes.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Running {
    /// Sets `values` before the next picture. They are set by the pipeline's
    /// own thread between two pictures: vpx and aom elements hold a lock while
    /// they code, and whoever sets a property waits for it.
    pub(super) fn change(&self, values: Vec<settings::LiveValue>) {
        let after = self.inside.back().map(|i| i.pts);
        lock(&self.changes).push_back(Change { after, values });
    }

    /// Hands on what came too early, once the pipeline plays.
    pub(super) fn catch_up(&mut self) -> Result<(), gstreamer::FlowError> {
        while self.pipeline.output.started() == Some(true)
            && let Some(buffer) = self.early.pop_front()
        {
            self.pipeline.source.push_buffer(buffer)?;
        }
        Ok(())
    }
}

/// Builds the pipeline of an element, not started.
pub(super) fn build(
    row: &'static Element,
    name: &str,
    config: &EncoderConfig,
    input: &Input,
    event: &Arc<EventFd>,
) -> Result<(Running, settings::NotApplied), OpenError> {
    let element = make(name)?;
    let mut not_applied = settings::configure(&element, row, config)?;
    if !row.chroma.contains(&input.chroma) {
        return Err(OpenError::Unsupported {
            encoder: name.to_owned(),
            what: "that chroma format",
            detail: format!("{}", input.chroma),
        });
    }
    check_color(name, row.codec, input.color)?;
    let size = frame::told_size(&input.layout, row.codec);
    let (feature, upload) = match input.memory {
        Memory::Host => (None, row.upload),
        Memory::Device { feature } => (feature, None),
    };
    let caps = frame::caps(
        &input.layout,
        size,
        input.color,
        row.codec,
        Some(config.frame_rate),
        feature,
    )
    .ok_or_else(|| {
        build_error(
            "describing pictures",
            format!("no caps for {:?}", input.layout.format()),
        )
    })?;
    let upload = upload.map(make).transpose()?;
    // What stands first takes the pictures from us; the size is the encoder's
    // matter in any case.
    check_input(upload.as_ref().unwrap_or(&element), name, &caps, size)?;
    check_size(&element, name, size)?;
    let output = output_caps(&element, row);
    if property::set(&element, "qos", property::Literal::Bool(false)).is_err() {
        not_applied.push(format!("{name} may skip pictures when it is late."));
    }
    let elements: Vec<_> = upload.into_iter().chain([element.clone()]).collect();
    let pipeline = Pipeline::to_units(
        crate::pipeline::source(&caps),
        &elements,
        &output,
        Arc::clone(event),
        &input.around,
    )?;
    let changes = Arc::<Mutex<VecDeque<Change>>>::default();
    apply_changes(&element, Arc::clone(&changes));
    let running = Running {
        pipeline,
        element,
        inside: VecDeque::with_capacity(DEPTH),
        early: VecDeque::new(),
        changes,
    };
    Ok((running, not_applied))
}

fn make(name: &str) -> Result<gstreamer::Element, OpenError> {
    gstreamer::ElementFactory::make(name)
        .build()
        .map_err(|cause| OpenError::NoSuchEncoder {
            name: name.to_owned(),
            reason: cause.to_string(),
        })
}

/// Compares the pictures with the element's pad template, where a refusal can
/// still be put in words.
fn check_input(
    element: &gstreamer::Element,
    name: &str,
    caps: &gstreamer::Caps,
    size: Size,
) -> Result<(), OpenError> {
    let Some(template) = element.pad_template("sink").map(|t| t.caps().clone()) else {
        return Err(build_error(
            "asking an element for its input",
            "it has no sink pad",
        ));
    };
    if template.can_intersect(caps) {
        return Ok(());
    }
    check_range(&template, name, size)?;
    Err(OpenError::Unsupported {
        encoder: name.to_owned(),
        what: "those pictures",
        detail: format!("{caps}, where it takes {template}"),
    })
}

/// Compares the size with what the element's pad template takes.
fn check_size(element: &gstreamer::Element, name: &str, size: Size) -> Result<(), OpenError> {
    match element.pad_template("sink") {
        Some(template) => check_range(template.caps(), name, size),
        None => Ok(()),
    }
}

/// Refuses pictures of another colour than the only one that `codec` has.
fn check_color(name: &str, codec: Codec, color: ColorSpec) -> Result<(), OpenError> {
    match codec.required_color() {
        Some(only) if (only.matrix, only.range) != (color.matrix, color.range) => {
            Err(OpenError::Unsupported {
                encoder: name.to_owned(),
                what: "pictures of that colour",
                detail: format!("{color}, where {codec} is always {only}"),
            })
        }
        _ => Ok(()),
    }
}

fn check_range(template: &gstreamer::CapsRef, name: &str, size: Size) -> Result<(), OpenError> {
    let (min, max) = crate::backend::size_range(template);
    let fits = |side: u32, min: u32, max: u32| (min..=max).contains(&side);
    if fits(size.width, min.width, max.width) && fits(size.height, min.height, max.height) {
        return Ok(());
    }
    Err(OpenError::Size {
        encoder: name.to_owned(),
        size,
        min,
        max,
    })
}

/// What we ask of the output, less what the element's template does not name:
/// caps with a field that the other side lacks do not match.
fn output_caps(element: &gstreamer::Element, row: &Element) -> gstreamer::Caps {
    let mut caps = row.output_caps();
    let template = element.pad_template("src").map(|t| t.caps().clone());
    if let Some(template) = template
        && let Some(wanted) = caps.make_mut().structure_mut(0)
    {
        for field in ["stream-format", "alignment"] {
            let named = template.structure(0).is_some_and(|s| s.has_field(field));
            if !named {
                wanted.remove_field(field);
            }
        }
    }
    caps
}

/// Applies each change when the first picture that it is for arrives.
fn apply_changes(element: &gstreamer::Element, changes: Arc<Mutex<VecDeque<Change>>>) {
    let Some(pad) = element.static_pad("sink") else {
        return;
    };
    let weak = element.downgrade();
    pad.add_probe(gstreamer::PadProbeType::BUFFER, move |_, info| {
        let pts = info.buffer().and_then(|b| b.pts());
        loop {
            let due = {
                let mut changes = lock(&changes);
                let due = changes
                    .front()
                    .is_some_and(|c| c.after.is_none() || pts > c.after);
                if due { changes.pop_front() } else { None }
            };
            let (Some(change), Some(element)) = (due, weak.upgrade()) else {
                return gstreamer::PadProbeReturn::Ok;
            };
            for &(name, value) in &change.values {
                let literal = property::Literal::Int(value);
                if let Err(error) = property::set(&element, name, literal) {
                    tracing::warn!(%error, "a change that was checked does not apply");
                }
            }
        }
    });
}
