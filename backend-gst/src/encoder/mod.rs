//! One encoder element as a [`scanout_core::encoder::Encoder`].

mod change;
mod quality;
mod running;

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gstreamer::prelude::*;
use gstreamer_video::UpstreamForceKeyUnitEvent;
use scanout_core::encoder::{
    Adjustment, Applied, BytesPool, EncodeError, Encoder, EncoderConfig, OpenError, Packet,
    Picture, PictureId, PictureRequest, RateControl, StreamInfo,
};
use scanout_core::geometry::Size;
use scanout_core::sync::EventFd;

use crate::elements::{Element, Family, Live};
use crate::frame::{self, WrapError};
use crate::headers::Headers;
use crate::pipeline::{ElementError, Unit};
use crate::settings;
use quality::{Decided, QualityControl};
pub(crate) use running::{Input, Memory};
use running::{Inside, Running, build};

/// Pictures inside at a time: one being coded and the next, so that the
/// element never waits for the caller; a third would only be older.
const DEPTH: usize = 2;

/// A software element starts within milliseconds, a driver on a cold card
/// within two seconds.
const START_LIMIT: Duration = Duration::from_secs(5);

/// One encoder element with its pipeline.
#[derive(Debug)]
pub(crate) struct GstEncoder {
    row: &'static Element,
    name: String,
    config: EncoderConfig,
    input: Input,
    size: Size,
    info: StreamInfo,
    headers: Headers,
    described: bool,
    current: Running,
    /// The one before a reopening, until its last packet is out.
    retiring: Option<Running>,
    event: Arc<EventFd>,
    bytes: BytesPool,
    quality: QualityControl,
    next_picture: u64,
    /// Number of the next slot on the frame rate's grid.
    next_slot: u64,
    draining: bool,
    /// The pipeline was told that no picture follows.
    input_finished: bool,
    ended: bool,
}

impl GstEncoder {
    /// Opens the element `name`, which `row` describes.
    pub(crate) fn open(
        row: &'static Element,
        name: &str,
        config: &EncoderConfig,
        input: Input,
    ) -> Result<Self, OpenError> {
        let size = frame::told_size(&input.layout, row.codec);
        let event = Arc::new(EventFd::new().map_err(|cause| OpenError::System {
            what: "eventfd",
            cause,
        })?);
        let (current, not_applied) = build(row, name, config, &input, &event)?;
        current.pipeline.start_within(START_LIMIT)?;
        let mut info = StreamInfo::new(
            row.codec,
            name,
            size,
            input.layout.visible(),
            input.chroma,
            input.color,
        );
        info.not_applied = not_applied;
        Ok(Self {
            row,
            name: name.to_owned(),
            config: config.clone(),
            size,
            info,
            headers: headers(row, size, &input),
            described: false,
            current,
            retiring: None,
            event,
            bytes: BytesPool::new(),
            quality: QualityControl::new(size.area()),
            next_picture: 0,
            next_slot: 0,
            draining: false,
            input_finished: false,
            ended: false,
            input,
        })
    }

    fn unsupported(&self, what: &'static str, detail: impl Into<String>) -> EncodeError {
        EncodeError::Unsupported {
            encoder: self.name.clone(),
            what,
            detail: detail.into(),
        }
    }

    fn failed(&mut self, error: ElementError) -> EncodeError {
        self.ended = true;
        EncodeError::Backend {
            encoder: self.name.clone(),
            cause: error.into(),
        }
    }

    /// The pipeline takes nothing more: for the reason on its bus, if there is one.
    fn refused(&mut self, flow: gstreamer::FlowError) -> EncodeError {
        self.ended = true;
        EncodeError::Backend {
            encoder: self.name.clone(),
            cause: match self.current.pipeline.output.take_error() {
                Some(error) => error.into(),
                None => format!("its pipeline takes no buffer: {flow}").into(),
            },
        }
    }

    fn bad_stream(&mut self, detail: impl ToString) -> EncodeError {
        self.ended = true;
        EncodeError::BadStream {
            encoder: self.name.clone(),
            detail: detail.to_string(),
        }
    }

    /// The presentation time of a picture: its own, moved to the next free slot
    /// of the frame rate's grid. Several libraries count time in frames and
    /// fail on two pictures of one frame time, which a keyframe on request of a
    /// still picture is.
    fn slot(&mut self, timestamp: Duration) -> gstreamer::ClockTime {
        let (num, den) = (
            u128::from(self.config.frame_rate.num.get()),
            u128::from(self.config.frame_rate.den.get()) * 1_000_000_000,
        );
        let own = u64::try_from(timestamp.as_nanos() * num / den).unwrap_or(u64::MAX / 2);
        let slot = own.max(self.next_slot);
        self.next_slot = slot.saturating_add(1);
        // Rounded up, so that the library's own division gives the slot again.
        let nanoseconds = (u128::from(slot) * den).div_ceil(num);
        gstreamer::ClockTime::from_nseconds(
            u64::try_from(nanoseconds)
                .unwrap_or(u64::MAX - 1)
                .min(u64::MAX / 2),
        )
    }

    fn submit(
        &mut self,
        picture: &Picture,
        request: &PictureRequest,
    ) -> Result<PictureId, EncodeError> {
        let mut buffer = frame::wrap(picture, &self.input.layout, self.size).map_err(|error| {
            let detail = error.to_string();
            match error {
                WrapError::Refused(_) => self.unsupported("that picture", detail),
                _ => EncodeError::ForeignPicture {
                    encoder: self.name.clone(),
                    detail,
                },
            }
        })?;
        let info = picture.info();
        let timestamp = info.timestamp.saturating_add(request.late);
        let pts = self.slot(timestamp);
        let duration = u64::try_from(self.config.frame_rate.interval().as_nanos());
        let writable = buffer.make_mut();
        writable.set_pts(pts);
        writable.set_duration(duration.ok().map(gstreamer::ClockTime::from_nseconds));

        // References cannot be chosen through an element: a lost picture costs
        // a keyframe.
        let keyframe = request.keyframe || request.invalidate.is_some();
        if !keyframe || self.next_picture == 0 {
            // Nothing to ask for: the first picture is one.
        } else if self.row.live_keyframe == Live::Reopen {
            self.reopen(self.config.clone())?;
        } else {
            // The running time makes it this picture, not one that is inside.
            let event = UpstreamForceKeyUnitEvent::builder()
                .running_time(pts)
                .all_headers(true)
                .build();
            let sent = self
                .current
                .element
                .static_pad("src")
                .is_some_and(|pad| pad.send_event(event));
            if !sent {
                return Err(self.unsupported("a keyframe on request", "the element refuses it"));
            }
        }
        let picture_id = PictureId(self.next_picture);
        let mut times = info.times;
        times.submitted = Some(Instant::now());
        let decided = self.decide_quality(timestamp);
        self.current.early.push_back(buffer);
        self.current.catch_up().map_err(|flow| self.refused(flow))?;
        self.next_picture += 1;
        self.current.inside.push_back(Inside {
            _held: (self.input.memory != Memory::Host).then(|| picture.clone()),
            pts,
            picture: picture_id,
            number: info.number,
            timestamp,
            times,
            keyframe,
            decided,
        });
        Ok(picture_id)
    }

    /// Chooses the quality of the next picture, where the rate is ours to hold.
    fn decide_quality(&mut self, timestamp: Duration) -> Option<Decided> {
        let property = self.row.rate_by_quality?;
        let bounds = settings::qp_bounds(&self.config);
        let decided = self.quality.decide(&self.config, bounds, timestamp)?;
        self.current
            .change(vec![(property, decided.quality.into())]);
        Some(decided)
    }

    /// Takes the next unit of the older pipeline, then of the current one.
    fn next_unit(&mut self) -> Result<Option<(Unit, bool)>, EncodeError> {
        if let Some(old) = &mut self.retiring {
            if let Some(unit) = old.pipeline.output.pop() {
                return Ok(Some((unit, true)));
            }
            if let Some(error) = old.pipeline.output.take_error() {
                return Err(self.failed(error));
            }
            if !old.pipeline.output.is_finished() && !old.inside.is_empty() {
                return Ok(None);
            }
            for lost in &old.inside {
                tracing::warn!(encoder = %self.name, number = lost.number, "picture dropped by the encoder");
            }
            self.retiring = None;
        }
        self.current.catch_up().map_err(|flow| self.refused(flow))?;
        self.finish_input()?;
        if let Some(unit) = self.current.pipeline.output.pop() {
            return Ok(Some((unit, false)));
        }
        if let Some(error) = self.current.pipeline.output.take_error() {
            return Err(self.failed(error));
        }
        if self.current.pipeline.output.started() == Some(false) {
            self.ended = true;
            return Err(EncodeError::Backend {
                encoder: self.name.clone(),
                cause: "its pipeline does not start again".into(),
            });
        }
        Ok(None)
    }

    fn packet(&mut self, unit: &Unit, old: bool) -> Result<Option<Packet>, EncodeError> {
        let inside = match (&mut self.retiring, old) {
            (Some(retiring), true) => &mut retiring.inside,
            _ => &mut self.current.inside,
        };
        let pts = unit.time;
        let Some(index) = inside.iter().position(|i| Some(i.pts) == pts) else {
            let expected = inside.front().map(|i| i.pts);
            return Err(self.bad_stream(format_args!(
                "a packet of time {pts:?}, where {expected:?} comes next"
            )));
        };
        for lost in inside.drain(..index) {
            // Rate control that skips pictures is switched off in every row.
            tracing::warn!(encoder = %self.name, number = lost.number, "picture dropped by the encoder");
        }
        let Some(mut source) = inside.pop_front() else {
            return Ok(None);
        };
        source.times.coded = Some(unit.at);
        if let Some(decided) = source.decided {
            self.quality.coded(decided, unit.buffer.size());
        }
        let map = unit
            .buffer
            .map_readable()
            .map_err(|error| self.bad_stream(error))?;
        let marked = !unit
            .buffer
            .flags()
            .contains(gstreamer::BufferFlags::DELTA_UNIT);
        let keyframe = match self.headers.is_keyframe(&map) {
            Ok(keyframe) => keyframe,
            Err(error) => return Err(self.bad_stream(error)),
        };
        if marked != keyframe {
            tracing::debug!(encoder = %self.name, number = source.number, marked, keyframe, "the element's mark and the stream disagree on a keyframe");
        }
        if source.keyframe && !keyframe {
            return Err(self.bad_stream(format_args!(
                "picture {} was asked for as a keyframe and is none ({} bytes, marked {marked})",
                source.number,
                map.len()
            )));
        }
        let headers = &mut self.headers;
        let bytes = match self.bytes.fill(|out| headers.copy(&map, keyframe, out)) {
            Ok(bytes) => bytes,
            Err(error) => return Err(self.bad_stream(error)),
        };
        // What a retiring pipeline delivers was described before.
        if !old && !self.described {
            if let Err(error) = self.headers.describe(&bytes, &mut self.info) {
                return Err(self.bad_stream(error));
            }
            self.described = true;
        }
        Ok(Some(Packet::new(
            source.picture,
            source.number,
            source.timestamp,
            bytes,
            keyframe,
            source.times,
        )))
    }

    /// Says that no picture follows, as soon as the pipeline can hear it.
    fn finish_input(&mut self) -> Result<(), EncodeError> {
        if !self.draining
            || self.input_finished
            || holds_nothing_back(self.row)
            || self.current.pipeline.output.started().is_none()
            || !self.current.early.is_empty()
        {
            return Ok(());
        }
        self.input_finished = true;
        match self.current.pipeline.source.end_of_stream() {
            Ok(_) => Ok(()),
            Err(flow) => Err(self.refused(flow)),
        }
    }

    /// Starts a new pipeline with `config`; the old one delivers what it has.
    fn reopen(&mut self, config: EncoderConfig) -> Result<(), EncodeError> {
        if self.retiring.is_some() {
            return Err(EncodeError::Busy {
                held: self.current.inside.len(),
            });
        }
        let refused = |error: OpenError| EncodeError::Unsupported {
            encoder: self.name.clone(),
            what: "that change",
            detail: error.to_string(),
        };
        let (next, not_applied) =
            build(self.row, &self.name, &config, &self.input, &self.event).map_err(refused)?;
        next.pipeline.start().map_err(refused)?;
        let old = std::mem::replace(&mut self.current, next);
        let delivers = holds_nothing_back(self.row) || old.pipeline.source.end_of_stream().is_ok();
        if !old.inside.is_empty() && delivers {
            self.retiring = Some(old);
        }
        self.info.not_applied = not_applied;
        self.described = false;
        self.headers = headers(self.row, self.size, &self.input);
        self.config = config;
        Ok(())
    }
}

/// True of elements that are proven to deliver each picture before the next
/// comes. They need no end of stream, which openh264enc would comment on
/// stderr.
fn holds_nothing_back(row: &Element) -> bool {
    row.family == Family::Software
}

fn headers(row: &Element, size: Size, input: &Input) -> Headers {
    let in_order = holds_nothing_back(row);
    Headers::new(row.codec, size, input.chroma, input.color, in_order)
}

impl Encoder for GstEncoder {
    fn stream(&self) -> &StreamInfo {
        &self.info
    }

    fn room(&self) -> usize {
        let closed = self.ended
            || self.draining
            || self.retiring.is_some()
            || self.current.pipeline.output.started() != Some(true);
        if closed {
            return 0;
        }
        DEPTH.saturating_sub(self.current.inside.len())
    }

    fn encode(
        &mut self,
        picture: &Picture,
        request: &PictureRequest,
    ) -> Result<PictureId, EncodeError> {
        if self.ended || self.draining {
            return Err(EncodeError::Ended {
                encoder: self.name.clone(),
            });
        }
        if self.room() == 0 {
            let old = self.retiring.as_ref().map_or(0, |r| r.inside.len());
            return Err(EncodeError::Busy {
                held: self.current.inside.len() + old,
            });
        }
        self.submit(picture, request)
    }

    fn poll(&mut self) -> Result<Option<Packet>, EncodeError> {
        loop {
            let next = match self.next_unit()? {
                Some(next) => Some(next),
                None => {
                    // Once more after the event is down: what came in between
                    // is seen here, what comes later raises it again.
                    self.event.drain();
                    self.next_unit()?
                }
            };
            let Some((unit, old)) = next else {
                return Ok(None);
            };
            if let Some(packet) = self.packet(&unit, old)? {
                return Ok(Some(packet));
            }
        }
    }

    fn adjust(&mut self, change: &Adjustment) -> Result<Applied, EncodeError> {
        if self.ended || self.draining {
            return Err(EncodeError::Ended {
                encoder: self.name.clone(),
            });
        }
        let config = self.changed(change)?;
        let in_place = (change.bitrate.is_none() || self.row.live_bitrate == Live::InPlace)
            && (change.qp.is_none() || self.row.live_qp == Live::InPlace)
            && change
                .frame_rate
                .is_none_or(|rate| rate == self.config.frame_rate)
            && !matches!(config.rate, RateControl::ConstantQp { .. });
        if !in_place {
            self.reopen(config)?;
            return Ok(Applied::Reopened);
        }
        let values = settings::live_values(&self.current.element, self.row, &config)
            .map_err(|error| self.unsupported("that change", error.to_string()))?;
        self.current.change(values);
        self.config = config;
        Ok(Applied::InPlace)
    }

    fn drain(&mut self) -> Result<(), EncodeError> {
        if self.draining || self.ended {
            return Ok(());
        }
        self.draining = true;
        self.finish_input()
    }

    fn drained(&self) -> bool {
        let current = if holds_nothing_back(self.row) {
            self.current.inside.is_empty()
        } else {
            self.current.pipeline.output.is_finished()
        };
        self.draining && self.retiring.is_none() && current
    }

    fn wake(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}
