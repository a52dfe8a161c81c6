//! Packets back into pictures, by software: for checks of what was encoded.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gstreamer_video as video;
use gstreamer_video::prelude::*;
use scanout_core::encoder::{Chroma, Codec, OpenError, Packet};
use scanout_core::geometry::Size;
use scanout_core::sync::EventFd;

use crate::elements::media_type;
use crate::pipeline::{Around, ElementError, Pipeline, Unit, source};
use crate::property::{self, Literal};

const START_LIMIT: Duration = Duration::from_secs(5);

/// Packets cannot be decoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// No software decoder is installed.
    #[error("no decoder for {codec}: install the package {package} (Debian, Ubuntu)")]
    Missing {
        /// What was to be decoded.
        codec: Codec,
        /// Where Debian has one.
        package: &'static str,
    },
    /// The pipeline cannot be built or started.
    #[error("opening a decoder for {codec}: {cause}")]
    Open {
        /// What was to be decoded.
        codec: Codec,
        /// Why not.
        #[source]
        cause: OpenError,
    },
    /// The stream is broken, or the decoder is.
    #[error("{decoder} refuses the stream: {cause}")]
    Refused {
        /// Which decoder.
        decoder: String,
        /// What it says.
        #[source]
        cause: ElementError,
    },
    /// A picture came out in an unexpected shape.
    #[error("{decoder} delivers {seen}, which is neither I420 nor Y444")]
    Format {
        /// Which decoder.
        decoder: String,
        /// The caps.
        seen: String,
    },
    /// Nothing came out.
    #[error("{decoder} delivered nothing for {limit:?}")]
    TimedOut {
        /// Which decoder.
        decoder: String,
        /// The limit.
        limit: Duration,
    },
}

/// A decoded picture: planes Y, Cb, Cr one after the other, rows without gaps.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DecodedFrame {
    /// Size as the stream says.
    pub size: Size,
    /// Chroma.
    pub chroma: Chroma,
    /// The samples. In 4:2:0 chroma sides are half of the size, rounded up.
    pub samples: Vec<u8>,
}

/// Decodes one stream on the CPU.
#[derive(Debug)]
pub struct Decoder {
    pipeline: Pipeline,
    name: String,
    pushed: u64,
}

/// Parser and decoders, best first, and the package that has the first.
fn candidates(codec: Codec) -> (Option<&'static str>, &'static [&'static str], &'static str) {
    match codec {
        Codec::H264 => (
            Some("h264parse"),
            &["avdec_h264", "openh264dec"],
            "gstreamer1.0-libav",
        ),
        Codec::H265 => (
            Some("h265parse"),
            &["avdec_h265", "libde265dec"],
            "gstreamer1.0-libav",
        ),
        Codec::Vp8 => (None, &["vp8dec", "avdec_vp8"], "gstreamer1.0-plugins-good"),
        Codec::Mjpeg => (None, &["avdec_mjpeg", "jpegdec"], "gstreamer1.0-libav"),
        Codec::Vp9 => (None, &["vp9dec", "avdec_vp9"], "gstreamer1.0-plugins-good"),
        _ => (
            Some("av1parse"),
            &["dav1ddec", "av1dec"],
            "gstreamer1.0-plugins-bad",
        ),
    }
}

impl Decoder {
    /// A decoder for `codec`, the best of those installed.
    pub fn open(codec: Codec) -> Result<Self, DecodeError> {
        let open = |cause| DecodeError::Open { codec, cause };
        gstreamer::init().map_err(|cause| {
            open(OpenError::Backend {
                what: "starting GStreamer".to_owned(),
                cause: cause.into(),
            })
        })?;
        let (parser, names, package) = candidates(codec);
        let missing = || DecodeError::Missing { codec, package };
        let decoder = names
            .iter()
            .find_map(|name| gstreamer::ElementFactory::make(name).build().ok())
            .ok_or_else(missing)?;
        let name = property::factory_name(&decoder);
        // Broken input is what this is for finding: no error is passed over.
        // Elements without the property report each error as it is.
        let _ = property::set(&decoder, "max-errors", Literal::Int(0));
        let mut elements = Vec::with_capacity(2);
        if let Some(parser) = parser {
            let parser = gstreamer::ElementFactory::make(parser)
                .build()
                .map_err(|_| missing())?;
            elements.push(parser);
        }
        elements.push(decoder);
        let caps = gstreamer::Caps::builder(media_type(codec));
        let caps = match codec {
            Codec::H264 | Codec::H265 => caps
                .field("stream-format", "byte-stream")
                .field("alignment", "au"),
            Codec::Av1 => caps
                .field("stream-format", "obu-stream")
                .field("alignment", "tu"),
            // Each packet is a picture, whole.
            Codec::Mjpeg => caps.field("parsed", true),
            _ => caps,
        };
        let raw = gstreamer::Caps::builder("video/x-raw")
            .field("format", gstreamer::List::new(["I420", "Y444"]))
            .build();
        let event = EventFd::new().map_err(|cause| {
            open(OpenError::System {
                what: "eventfd",
                cause,
            })
        })?;
        let source = source(&caps.build());
        let pipeline =
            Pipeline::to_units(source, &elements, &raw, Arc::new(event), &Around::default())
                .map_err(open)?;
        pipeline.start_within(START_LIMIT).map_err(open)?;
        Ok(Self {
            pipeline,
            name,
            pushed: 0,
        })
    }

    /// The element that decodes.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn check(&self) -> Result<(), DecodeError> {
        match self.pipeline.output.take_error() {
            None => Ok(()),
            Some(cause) => Err(DecodeError::Refused {
                decoder: self.name.clone(),
                cause,
            }),
        }
    }

    fn refused(&self, flow: gstreamer::FlowError) -> DecodeError {
        let cause = self.pipeline.output.take_error().unwrap_or(ElementError {
            element: "appsrc".to_owned(),
            message: format!("it takes nothing more: {flow}"),
            debug: None,
        });
        DecodeError::Refused {
            decoder: self.name.clone(),
            cause,
        }
    }

    /// Hands over the next packet. Does not wait.
    pub fn push(&mut self, packet: &Packet) -> Result<(), DecodeError> {
        self.check()?;
        let mut buffer = gstreamer::Buffer::from_slice(packet.bytes.clone());
        let writable = buffer.make_mut();
        // Times only keep packets apart here.
        let time = gstreamer::ClockTime::from_mseconds(self.pushed.saturating_mul(10));
        writable.set_pts(time);
        writable.set_dts(time);
        if !packet.keyframe {
            writable.set_flags(gstreamer::BufferFlags::DELTA_UNIT);
        }
        self.pushed += 1;
        match self.pipeline.source.push_buffer(buffer) {
            Ok(_) => Ok(()),
            Err(flow) => Err(self.refused(flow)),
        }
    }

    /// Says that no packet follows: decoders give up what they hold back.
    pub fn end(&mut self) -> Result<(), DecodeError> {
        match self.pipeline.source.end_of_stream() {
            Ok(_) => Ok(()),
            Err(flow) => Err(self.refused(flow)),
        }
    }

    /// The next picture: waits up to `limit`; `None` after the last.
    pub fn next(&mut self, limit: Duration) -> Result<Option<DecodedFrame>, DecodeError> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(unit) = self.pipeline.output.pop() {
                return self.frame(&unit).map(Some);
            }
            self.check()?;
            if self.pipeline.output.is_finished() {
                return Ok(None);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || !self.pipeline.output.wait_any(left) {
                return Err(DecodeError::TimedOut {
                    decoder: self.name.clone(),
                    limit,
                });
            }
        }
    }

    fn frame(&self, unit: &Unit) -> Result<DecodedFrame, DecodeError> {
        let unexpected = || DecodeError::Format {
            decoder: self.name.clone(),
            seen: unit
                .caps
                .as_ref()
                .map_or_else(String::new, ToString::to_string),
        };
        let caps = unit.caps.as_ref().ok_or_else(unexpected)?;
        let info = video::VideoInfo::from_caps(caps).map_err(|_| unexpected())?;
        let chroma = match info.format() {
            video::VideoFormat::I420 => Chroma::C420,
            video::VideoFormat::Y444 => Chroma::C444,
            _ => return Err(unexpected()),
        };
        let frame = video::VideoFrameRef::from_buffer_ref_readable(&unit.buffer, &info)
            .map_err(|_| unexpected())?;
        let size = Size::new(info.width(), info.height());
        let mut samples = Vec::new();
        for plane in 0..frame.n_planes() {
            let (width, height) = match (plane, chroma) {
                (1.., Chroma::C420) => (size.width.div_ceil(2), size.height.div_ceil(2)),
                _ => (size.width, size.height),
            };
            let data = frame.plane_data(plane).map_err(|_| unexpected())?;
            let stride = frame
                .plane_stride()
                .get(plane as usize)
                .and_then(|&stride| usize::try_from(stride).ok())
                .filter(|&stride| stride > 0)
                .ok_or_else(unexpected)?;
            for row in data.chunks(stride).take(height as usize) {
                samples.extend_from_slice(row.get(..width as usize).ok_or_else(unexpected)?);
            }
        }
        Ok(DecodedFrame {
            size,
            chroma,
            samples,
        })
    }
}
