//! From an [`EncoderConfig`] to an element's properties.

use std::fmt::Write as _;
use std::time::Duration;

use gstreamer::prelude::*;
use scanout_core::encoder::{
    Codec, Effort, EncoderConfig, Keyframes, OpenError, QpBounds, RateControl,
};

use crate::elements::{Element, Place, Setting, Value};
use crate::property::{self, Literal, PropertyError};

/// What a configuration says about the rate, with the fields that the modes
/// share in one shape.
#[derive(Clone, Copy, Debug)]
struct Rate {
    target_bps: u64,
    peak_bps: u64,
    window: Duration,
    qp: u8,
    bounds: QpBounds,
}

/// The quantisers that exist in a codec's own scale.
pub(crate) const fn qp_scale(codec: Codec) -> QpBounds {
    match codec {
        Codec::H264 | Codec::H265 => QpBounds { min: 0, max: 51 },
        Codec::Mjpeg => QpBounds { min: 0, max: 100 },
        _ => QpBounds { min: 0, max: 63 },
    }
}

/// The quantisers used where the caller has no opinion.
const fn unbounded(codec: Codec) -> QpBounds {
    match codec {
        // A quality above 90 takes twice the bits for nothing that is seen, and
        // below 30 text cannot be read.
        Codec::Mjpeg => QpBounds { min: 10, max: 70 },
        _ => qp_scale(codec),
    }
}

/// Bounds of the quantiser that `config` amounts to.
pub(crate) fn qp_bounds(config: &EncoderConfig) -> QpBounds {
    let asked = config.rate.qp_bounds();
    asked.unwrap_or_else(|| unbounded(config.codec))
}

impl Rate {
    fn of(row: &Element, config: &EncoderConfig) -> Self {
        let scale = qp_scale(config.codec);
        let held = |bounds: QpBounds| QpBounds {
            min: bounds.min.max(row.lowest_qp),
            ..bounds
        };
        match config.rate {
            RateControl::Constant {
                bitrate,
                window,
                qp,
            } => Self {
                target_bps: bitrate.as_bps(),
                peak_bps: bitrate.as_bps(),
                window,
                qp: scale.max,
                bounds: held(qp.unwrap_or(unbounded(config.codec))),
            },
            RateControl::Variable {
                target,
                peak,
                window,
                qp,
            } => Self {
                target_bps: target.as_bps(),
                peak_bps: peak.as_bps().max(target.as_bps()),
                window,
                qp: scale.max,
                bounds: held(qp.unwrap_or(unbounded(config.codec))),
            },
            RateControl::ConstantQp { qp } => Self::quantiser(qp, scale),
            // Modes to come: validated away by `configure`.
            _ => Self::quantiser(scale.max, scale),
        }
    }

    const fn quantiser(qp: u8, bounds: QpBounds) -> Self {
        Self {
            target_bps: 0,
            peak_bps: 0,
            window: Duration::ZERO,
            qp,
            bounds,
        }
    }

    fn window_ms(&self) -> i64 {
        i64::try_from(self.window.as_millis()).unwrap_or(i64::MAX)
    }
}

/// The number that `value` stands for; `None` for those that are no numbers.
fn number(value: Value, row: &Element, config: &EncoderConfig) -> Option<i64> {
    let rate = Rate::of(row, config);
    let kbps = |bps: u64| {
        i64::try_from(bps.saturating_add(500) / 1000)
            .unwrap_or(i64::MAX)
            .max(1)
    };
    let bps = |bps: u64| i64::try_from(bps).unwrap_or(i64::MAX);
    let threads = config.threads.map_or(1, std::num::NonZeroU32::get);
    Some(match value {
        Value::Bool(_) | Value::Nick(_) | Value::Text(_) => return None,
        Value::Int(number) => number,
        Value::Kbps => kbps(rate.target_bps),
        Value::Bps => bps(rate.target_bps),
        Value::PeakKbps => kbps(rate.peak_bps),
        Value::PeakBps => bps(rate.peak_bps),
        Value::WindowMs => rate.window_ms(),
        Value::WindowMsTimes(num, den) => {
            rate.window_ms().saturating_mul(num.into()) / i64::from(den.max(1))
        }
        Value::WindowKbit => {
            let bits = u128::from(rate.peak_bps) * rate.window.as_millis() / 1_000_000;
            i64::try_from(bits).unwrap_or(i64::MAX).max(1)
        }
        Value::Qp => rate.qp.into(),
        Value::QpMin => rate.bounds.min.into(),
        Value::QpMax => rate.bounds.max.into(),
        Value::Quality => match config.rate {
            RateControl::ConstantQp { qp } => 100 - i64::from(qp.min(100)),
            // Before the first picture is looked at.
            _ => 100 - i64::from(rate.bounds.max.clamp(rate.bounds.min, 100)),
        },
        Value::Interval => match config.keyframes {
            Keyframes::Every(pictures) => pictures.get().into(),
            _ => 0,
        },
        Value::Threads => threads.into(),
        Value::ThreadsLog2 => threads.ilog2().into(),
    })
}

/// What `configure` found that the element lacks.
pub(crate) type NotApplied = Vec<String>;

/// Sets everything that `config` asks for. Returns what the element has not,
/// one sentence each.
///
/// Fails where the element cannot do the job at all: a rate mode that it lacks,
/// a bit rate or quantiser out of its range.
pub(crate) fn configure(
    element: &gstreamer::Element,
    row: &Element,
    config: &EncoderConfig,
) -> Result<NotApplied, OpenError> {
    check_bounds(row, config)?;
    let name = property::factory_name(element);
    let mut plan = Plan {
        element,
        row,
        config,
        name,
        keys: String::new(),
        controls: None,
        lacking: Vec::new(),
    };
    plan.apply(row.low_delay)?;
    plan.rate()?;
    match config.keyframes {
        // Each picture is one.
        _ if row.codec.is_intra_only() => {}
        Keyframes::Every(_) => plan.group("a keyframe interval", row.every)?,
        _ => plan.group("keyframes on request only", row.on_request)?,
    }
    let effort = match config.effort {
        Effort::Fastest => row.effort[0],
        Effort::Balanced => row.effort[1],
        _ => row.effort[2],
    };
    plan.group("a choice of effort", effort)?;
    if config.threads.is_some() {
        plan.group("a number of threads", row.threads)?;
    } else {
        plan.apply(row.threads_unasked)?;
    }
    plan.finish()
}

/// Refuses quantisers that the codec or the library has not, whatever the
/// element says.
///
/// Bounds from 0 are bounds above only: those are taken, and `configure` tells
/// where they begin.
pub(crate) fn check_bounds(row: &Element, config: &EncoderConfig) -> Result<(), OpenError> {
    let (lowest, highest) = (row.lowest_qp, qp_scale(row.codec).max);
    let unsupported = |what, seen: String| OpenError::Unsupported {
        encoder: row.name.to_owned(),
        what,
        detail: format!(
            "{seen}, where it takes {lowest} to {highest} for {}",
            row.codec
        ),
    };
    if let RateControl::ConstantQp { qp } = config.rate
        && !(lowest..=highest).contains(&qp)
    {
        return Err(unsupported("that quantiser", qp.to_string()));
    }
    if let Some(QpBounds { min, max }) = config.rate.qp_bounds() {
        let begins = min == 0 || min >= lowest;
        if !begins || min > max || max < lowest || max > highest {
            return Err(unsupported(
                "those quantiser bounds",
                format!("{min} to {max}"),
            ));
        }
    }
    Ok(())
}

/// A property with its new value.
pub(crate) type LiveValue = (&'static str, i64);

/// What of an element that plays follows the bit rate and the bounds, checked
/// to fit.
pub(crate) fn live_values(
    element: &gstreamer::Element,
    row: &Element,
    config: &EncoderConfig,
) -> Result<Vec<LiveValue>, PropertyError> {
    let bounds = config.rate.qp_bounds().map_or(&[][..], |_| row.qp_bounds);
    let rate = rate_settings(row, config).unwrap_or(&[]);
    rate.iter()
        .chain(row.window)
        .filter(|s| s.value.follows_bitrate())
        .chain(bounds)
        .filter_map(
            |setting| match (setting.place, number(setting.value, row, config)) {
                (Place::Property(property), Some(value)) => Some((property, value)),
                _ => None,
            },
        )
        .map(|(property, value)| {
            let name = property::factory_name(element);
            let literal = Literal::Int(value);
            property::value_for(element.object_class(), &name, property, literal)?;
            Ok((property, value))
        })
        .collect()
}

/// The settings of the rate mode, or of the nearest one that the row has.
fn rate_settings(row: &Element, config: &EncoderConfig) -> Option<&'static [Setting]> {
    let exact = match config.rate {
        RateControl::ConstantQp { qp }
            if qp == qp_scale(row.codec).max && !row.constant_highest_qp.is_empty() =>
        {
            row.constant_highest_qp
        }
        RateControl::ConstantQp { .. } => row.constant_qp,
        RateControl::Variable { .. } if row.variable.is_empty() => row.constant,
        RateControl::Variable { .. } => row.variable,
        _ if row.constant.is_empty() => row.variable,
        _ => row.constant,
    };
    Some(exact).filter(|s| !s.is_empty())
}

struct Plan<'a> {
    element: &'a gstreamer::Element,
    row: &'a Element,
    config: &'a EncoderConfig,
    name: String,
    keys: String,
    controls: Option<gstreamer::Structure>,
    lacking: NotApplied,
}

impl Plan<'_> {
    fn rate(&mut self) -> Result<(), OpenError> {
        let Some(settings) = rate_settings(self.row, self.config) else {
            return Err(OpenError::Unsupported {
                encoder: self.name.clone(),
                what: "that rate control",
                detail: format!("{:?}", self.config.rate),
            });
        };
        self.apply(settings)?;
        match self.config.rate {
            RateControl::ConstantQp { qp } => {
                if qp == 0 {
                    self.lacking
                        .extend(self.row.at_qp_zero.map(|note| note.to_owned()));
                }
                return Ok(());
            }
            RateControl::Variable { .. } if self.row.variable.is_empty() => {
                self.lack("a peak above the average: the average is held as a constant bit rate")
            }
            RateControl::Constant { .. } if self.row.constant.is_empty() => {
                self.lack("a constant bit rate: it is held as an average without a peak above it");
            }
            _ => {}
        }
        if self.row.rate_by_quality.is_none() {
            self.group("the length of the rate buffer", self.row.window)?;
        }
        if let Some(bounds) = self.config.rate.qp_bounds() {
            self.group("quantiser bounds", self.row.qp_bounds)?;
            let lowest = self.row.lowest_qp;
            if bounds.min < lowest {
                self.lacking.push(format!(
                    "{}: quantisers go down to {lowest}, not to {}.",
                    self.name, bounds.min
                ));
            }
        }
        Ok(())
    }

    fn lack(&mut self, what: &str) {
        self.lacking
            .push(format!("{} has no means for {what}.", self.name));
    }

    fn group(&mut self, what: &str, settings: &[Setting]) -> Result<(), OpenError> {
        if settings.is_empty() {
            self.lack(what);
            return Ok(());
        }
        self.apply(settings)
    }

    fn apply(&mut self, settings: &[Setting]) -> Result<(), OpenError> {
        settings.iter().try_for_each(|s| self.one(s))
    }

    fn one(&mut self, setting: &Setting) -> Result<(), OpenError> {
        let number = number(setting.value, self.row, self.config);
        let literal = match (setting.value, number) {
            (Value::Bool(value), _) => Literal::Bool(value),
            (Value::Nick(nick), _) => Literal::Nick(nick),
            (Value::Text(text), _) => Literal::Text(text),
            (_, number) => Literal::Int(number.unwrap_or(0)),
        };
        match setting.place {
            Place::Property(property) => self.property(property, setting.value, literal),
            Place::Key(key) => {
                // Writing to a String cannot fail.
                let _ = match literal {
                    Literal::Int(value) => write!(self.keys, ":{key}={value}"),
                    Literal::Bool(value) => write!(self.keys, ":{key}={}", u8::from(value)),
                    Literal::Nick(text) | Literal::Text(text) => {
                        write!(self.keys, ":{key}={text}")
                    }
                };
                Ok(())
            }
            Place::Control(control) => {
                if let Literal::Int(value) = literal {
                    let value = i32::try_from(value).unwrap_or(i32::MAX);
                    self.controls
                        .get_or_insert_with(|| gstreamer::Structure::new_empty("controls"))
                        .set(control, value);
                }
                Ok(())
            }
        }
    }

    fn property(
        &mut self,
        property: &str,
        value: Value,
        literal: Literal<'_>,
    ) -> Result<(), OpenError> {
        match property::set(self.element, property, literal) {
            Ok(()) => Ok(()),
            Err(PropertyError::Range {
                value: seen,
                min,
                max,
                ..
            }) if may_be_clipped(value) => {
                let clipped = seen.clamp(min, max);
                self.lacking.push(format!(
                    "{}: {property} is {clipped}, as {seen} is not within {min} to {max}.",
                    self.name
                ));
                property::set(self.element, property, Literal::Int(clipped))
                    .map_err(|error| self.refused(&error))
            }
            Err(error @ PropertyError::Range { .. }) => Err(self.refused(&error)),
            Err(error) => {
                self.lacking.push(format!("{error}."));
                Ok(())
            }
        }
    }

    fn refused(&self, error: &PropertyError) -> OpenError {
        OpenError::Unsupported {
            encoder: self.name.clone(),
            what: "that setting",
            detail: error.to_string(),
        }
    }

    fn finish(mut self) -> Result<NotApplied, OpenError> {
        if let Some(options) = self.row.options
            && let Some(keys) = self.keys.strip_prefix(':')
            && let Err(error) = property::set(self.element, options, Literal::Text(keys))
        {
            self.lacking.push(format!("{error}."));
        }
        if let Some(controls) = self.controls.take() {
            match self.element.find_property("extra-controls") {
                Some(spec) if spec.value_type() == gstreamer::Structure::static_type() => {
                    self.element.set_property("extra-controls", controls);
                }
                _ => self.lack("controls of its node"),
            }
        }
        Ok(self.lacking)
    }
}

/// Where the nearest possible value serves nearly as well. A rate or a
/// quantiser other than asked for is an error instead.
const fn may_be_clipped(value: Value) -> bool {
    matches!(
        value,
        Value::WindowMs
            | Value::WindowMsTimes(..)
            | Value::WindowKbit
            | Value::Interval
            | Value::Threads
            | Value::ThreadsLog2
            | Value::Int(_)
    )
}
