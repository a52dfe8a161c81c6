//! Packets into `.mp4` and `.mkv` files, through GStreamer's muxers.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gstreamer::prelude::{ElementExtManual, PadExtManual};
use scanout_core::encoder::{Codec, FrameRate, OpenError, Packet, StreamInfo};
use scanout_core::sync::EventFd;

use crate::elements::media_type;
use crate::frame;
use crate::pipeline::{Around, ElementError, Output, Pipeline, source};
use crate::property::{self, Literal};

/// A file system answers within that, or is as good as gone.
const START_LIMIT: Duration = Duration::from_secs(5);
/// Longest wait of one [`Muxer::write`] for a disk that does not keep up.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// Coded bytes that may wait for the disk: seconds of any stream.
const BACKLOG_BYTES: u64 = 32 << 20;

/// A file cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MuxError {
    /// The name's extension is none that is written here.
    #[error("{path}: no container for this extension: .mp4 and .mkv are known")]
    Extension {
        /// The file.
        path: PathBuf,
    },
    /// The container does not hold that codec.
    #[error("{container} files do not hold {codec} here: use .mkv")]
    Codec {
        /// The container.
        container: &'static str,
        /// What was asked for.
        codec: Codec,
    },
    /// An element is not installed.
    #[error(
        "GStreamer element {element} is missing: install the package {package} (Debian, Ubuntu)"
    )]
    Missing {
        /// Which one.
        element: &'static str,
        /// Where Debian has it.
        package: &'static str,
    },
    /// The file cannot be opened or written, or a muxer refuses the stream.
    #[error("{path}: {cause}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: ElementError,
    },
    /// The pipeline cannot be built or started.
    #[error("{path}: {cause}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: OpenError,
    },
    /// The disk did not keep up, or the end did not reach it in time.
    #[error("{path}: {what} took longer than {limit:?}; the file is not complete")]
    TimedOut {
        /// The file.
        path: PathBuf,
        /// What was waited for.
        what: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// There was nothing to write.
    #[error("{path}: the stream has no packets, no file was made of it")]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Container {
    Mp4,
    Matroska,
}

impl Container {
    fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?;
        if extension.eq_ignore_ascii_case("mp4") {
            Some(Self::Mp4)
        } else if extension.eq_ignore_ascii_case("mkv") || extension.eq_ignore_ascii_case("webm") {
            Some(Self::Matroska)
        } else {
            None
        }
    }

    const fn element(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4mux",
            Self::Matroska => "matroskamux",
        }
    }
}

/// True where [`Muxer::open`] knows the extension of `path`.
pub fn is_container(path: &Path) -> bool {
    Container::of(path).is_some()
}

/// Writes one stream into one file.
///
/// [`Muxer::finish`] completes it; a muxer dropped before that leaves a file
/// that players may refuse, and says so in the log.
#[derive(Debug)]
pub struct Muxer {
    pipeline: Pipeline,
    path: PathBuf,
    interval: Duration,
    first: Option<Duration>,
    last: Option<gstreamer::ClockTime>,
    /// The latest packet, whose duration is not known before the next or the end.
    held: Option<gstreamer::Buffer>,
    end: Duration,
    ending: Ending,
    finished: bool,
}

fn make(element: &'static str, package: &'static str) -> Result<gstreamer::Element, MuxError> {
    gstreamer::ElementFactory::make(element)
        .build()
        .map_err(|_| MuxError::Missing { element, package })
}

const GOOD: &str = "gstreamer1.0-plugins-good";
const BAD: &str = "gstreamer1.0-plugins-bad";

/// What turns a byte stream into what the container holds.
fn parser(codec: Codec, container: Container) -> Option<&'static str> {
    match codec {
        Codec::H264 => Some("h264parse"),
        Codec::H265 => Some("h265parse"),
        Codec::Vp8 | Codec::Mjpeg => None,
        // Matroska needs none of what it finds.
        Codec::Vp9 => (container == Container::Mp4).then_some("vp9parse"),
        _ => Some("av1parse"),
    }
}

/// Caps of coded packets, with the visible size: parsers keep a size that comes
/// from upstream, and the container then says what H.264 and HEVC cannot.
fn coded_caps(stream: &StreamInfo, rate: FrameRate) -> gstreamer::Caps {
    let number = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    let mut caps = gstreamer::Caps::builder(media_type(stream.codec))
        .field("width", number(stream.visible.width))
        .field("height", number(stream.visible.height))
        .field("pixel-aspect-ratio", gstreamer::Fraction::new(1, 1))
        .field(
            "framerate",
            gstreamer::Fraction::new(number(rate.num.get()), number(rate.den.get())),
        )
        .field(
            "colorimetry",
            frame::colorimetry(stream.color, stream.codec).to_string(),
        )
        // For 4:4:4 too, where it means nothing: mp4mux of 1.22 reads it
        // unasked and crashes on VP9 caps without it.
        .field("chroma-site", frame::chroma_site(stream.color));
    caps = match stream.codec {
        Codec::H264 | Codec::H265 => caps
            .field("stream-format", "byte-stream")
            .field("alignment", "au"),
        Codec::Av1 => caps
            .field("stream-format", "obu-stream")
            .field("alignment", "tu"),
        _ => caps,
    };
    caps.build()
}

/// Time and duration of the last packet, once they are known.
type Ending = Arc<Mutex<Option<(gstreamer::ClockTime, gstreamer::ClockTime)>>>;

/// Gives the last packet its duration where it enters the muxer: parsers put one
/// frame interval in its place.
fn lengthen(pad: &gstreamer::Pad, ending: Ending) {
    pad.add_probe(gstreamer::PadProbeType::BUFFER, move |_, info| {
        let last = *ending.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some((time, shown)), Some(buffer)) = (last, info.buffer_mut())
            && buffer.pts() == Some(time)
        {
            buffer.make_mut().set_duration(shown);
        }
        gstreamer::PadProbeReturn::Ok
    });
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / 2)
}

impl Muxer {
    /// Creates the file, or empties it. The extension says which container.
    pub fn open(path: &Path, stream: &StreamInfo, rate: FrameRate) -> Result<Self, MuxError> {
        let path = path.to_owned();
        let Some(container) = Container::of(&path) else {
            return Err(MuxError::Extension { path });
        };
        if container == Container::Mp4 && matches!(stream.codec, Codec::Vp8 | Codec::Mjpeg) {
            return Err(MuxError::Codec {
                container: "mp4",
                codec: stream.codec,
            });
        }
        let open = |cause| MuxError::Open {
            path: path.clone(),
            cause,
        };
        gstreamer::init().map_err(|cause| {
            open(OpenError::Backend {
                what: "starting GStreamer".to_owned(),
                cause: cause.into(),
            })
        })?;
        let mut elements = Vec::with_capacity(3);
        if let Some(parser) = parser(stream.codec, container) {
            elements.push(make(parser, BAD)?);
        }
        let muxer = make(container.element(), GOOD)?;
        elements.push(muxer.clone());
        let sink = make("filesink", "libgstreamer1.0-0")?;
        let Some(location) = path.to_str() else {
            // glib takes file names as UTF-8.
            return Err(open(crate::pipeline::build_error(
                "naming the file",
                "its name is not UTF-8",
            )));
        };
        let settings = [
            ("location", Literal::Text(location)),
            ("async", Literal::Bool(false)),
            ("sync", Literal::Bool(false)),
        ];
        for (name, value) in settings {
            property::set(&sink, name, value)
                .map_err(|error| open(crate::pipeline::build_error("setting up a file", error)))?;
        }
        elements.push(sink);
        let event = EventFd::new().map_err(|cause| {
            open(OpenError::System {
                what: "eventfd",
                cause,
            })
        })?;
        let output = Arc::new(Output::new(Arc::new(event)));
        let source = source(&coded_caps(stream, rate));
        let pipeline =
            Pipeline::link(source, &elements, output, &Around::default()).map_err(open)?;
        let ending = Arc::new(Mutex::new(None));
        for pad in muxer.sink_pads() {
            lengthen(&pad, Arc::clone(&ending));
        }
        let started = pipeline.start_within(START_LIMIT);
        let mut muxer = Self {
            pipeline,
            path: path.clone(),
            interval: rate.interval(),
            first: None,
            last: None,
            held: None,
            end: Duration::ZERO,
            ending,
            // Nothing is lost where nothing was written.
            finished: true,
        };
        started.map_err(open)?;
        muxer.finished = false;
        Ok(muxer)
    }

    fn check(&mut self) -> Result<(), MuxError> {
        match self.pipeline.output.take_error() {
            None => Ok(()),
            Some(cause) => {
                self.finished = true;
                Err(MuxError::Write {
                    path: self.path.clone(),
                    cause,
                })
            }
        }
    }

    fn refused(&mut self, flow: gstreamer::FlowError) -> MuxError {
        self.finished = true;
        let cause = self.pipeline.output.take_error().unwrap_or(ElementError {
            element: "appsrc".to_owned(),
            message: format!("the file takes nothing more: {flow}"),
            debug: None,
        });
        MuxError::Write {
            path: self.path.clone(),
            cause,
        }
    }

    /// Appends one packet. Waits for a disk that does not keep up, at most ten
    /// seconds.
    pub fn write(&mut self, packet: &Packet) -> Result<(), MuxError> {
        self.check()?;
        let deadline = Instant::now() + WRITE_LIMIT;
        while self.pipeline.source.current_level_bytes() > BACKLOG_BYTES {
            if Instant::now() > deadline {
                return Err(MuxError::TimedOut {
                    path: self.path.clone(),
                    what: "writing",
                    limit: WRITE_LIMIT,
                });
            }
            std::thread::sleep(Duration::from_millis(2));
            self.check()?;
        }
        let first = *self.first.get_or_insert(packet.timestamp);
        let own = nanoseconds(packet.timestamp.saturating_sub(first));
        // Two packets of one time (a keyframe of a still picture) stay apart.
        let least = self.last.map_or(0, |last| last.nseconds() + 1_000_000);
        let time = gstreamer::ClockTime::from_nseconds(own.max(least));
        self.last = Some(time);

        let mut buffer = gstreamer::Buffer::from_slice(packet.bytes.clone());
        let writable = buffer.make_mut();
        writable.set_pts(time);
        writable.set_dts(time);
        writable.set_duration(gstreamer::ClockTime::from_nseconds(nanoseconds(
            self.interval,
        )));
        if !packet.keyframe {
            writable.set_flags(gstreamer::BufferFlags::DELTA_UNIT);
        }
        match self.held.replace(buffer) {
            Some(previous) => self.push(previous),
            None => Ok(()),
        }
    }

    fn push(&mut self, buffer: gstreamer::Buffer) -> Result<(), MuxError> {
        match self.pipeline.source.push_buffer(buffer) {
            Ok(_) => Ok(()),
            Err(flow) => Err(self.refused(flow)),
        }
    }

    /// Says when the source ends, in the time of the packets: the last picture
    /// is shown until then. Without it that is one frame interval.
    pub fn ends_at(&mut self, end: Duration) {
        self.end = end;
    }

    /// Completes the file and waits until it is.
    pub fn finish(mut self, limit: Duration) -> Result<(), MuxError> {
        self.check()?;
        self.finished = true;
        if self.first.is_none() {
            // What the muxer would leave is no file that anything plays.
            let _ = std::fs::remove_file(&self.path);
            return Err(MuxError::Empty {
                path: self.path.clone(),
            });
        }
        if let (Some(mut buffer), Some(first)) = (self.held.take(), self.first) {
            let end = nanoseconds(self.end.saturating_sub(first));
            let shown = buffer
                .pts()
                .map_or(0, |time| end.saturating_sub(time.nseconds()))
                .max(nanoseconds(self.interval));
            let shown = gstreamer::ClockTime::from_nseconds(shown);
            buffer.make_mut().set_duration(shown);
            if let Some(time) = buffer.pts() {
                *self.ending.lock().unwrap_or_else(PoisonError::into_inner) = Some((time, shown));
            }
            self.push(buffer)?;
        }
        if let Err(flow) = self.pipeline.source.end_of_stream() {
            return Err(self.refused(flow));
        }
        if !self.pipeline.output.wait_end(limit) {
            return Err(MuxError::TimedOut {
                path: self.path.clone(),
                what: "completing the file",
                limit,
            });
        }
        self.check()
    }
}

impl Drop for Muxer {
    fn drop(&mut self) {
        if !self.finished {
            tracing::warn!(path = %self.path.display(), "dropped before it was finished: the file is not complete");
        }
    }
}
