//! What came on a channel, in order.

use std::time::{Duration, Instant};

use scanout_spice::wire::cursor::Point16;
use scanout_spice::wire::display::{Clip, Codec, Head, StreamCreate, SurfaceCreate};
use scanout_spice::wire::inputs::KeyModifiers;
use scanout_spice::wire::link::LinkError;
use scanout_spice::wire::main::{ChannelId, MainInit, MouseModes};

use crate::judge::Violation;

/// Records that are kept of a channel; those after are counted only.
const RECORDS_MAX: usize = 1 << 20;
/// Violations that are kept of a channel: a server with so many has many kinds of them.
const VIOLATIONS_MAX: usize = 1000;

/// A message.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its number on the channel, from zero.
    pub number: u64,
    /// When its header was there.
    pub began: Instant,
    /// When all of it was there.
    pub at: Instant,
    /// What it was.
    pub event: Event,
}

/// What a message was.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Main: the session.
    Session(MainInit),
    /// Main: the channels.
    Channels(Vec<ChannelId>),
    /// Main: the mouse mode.
    MouseMode(MouseModes),
    /// Main: the clock.
    Clock(u32),
    /// Main: the guest's name.
    Name(Vec<u8>),
    /// Display: what was drawn may be shown.
    Mark,
    /// Display: a surface begins.
    SurfaceCreated(SurfaceCreate),
    /// Display: a surface ends.
    SurfaceDestroyed(u32),
    /// Display: a stream begins.
    StreamCreated(StreamCreate),
    /// Display: a stream ends.
    StreamDestroyed(u32),
    /// Display: all streams end.
    StreamsDestroyed,
    /// Display: a stream is seen here.
    StreamClipped(u32, Clip),
    /// Display: a picture.
    Picture(Picture),
    /// Display: the monitors.
    Monitors(Vec<Head>),
    /// Display: reports are wanted for a stream.
    ReportWanted {
        /// The stream.
        stream_id: u32,
        /// To be named in reports.
        unique_id: u32,
        /// Pictures of a report.
        max_window_size: u32,
        /// Milliseconds of a report.
        timeout_ms: u32,
    },
    /// Inputs: the locks of the keyboard.
    KeyModifiers(KeyModifiers),
    /// Inputs: motions were taken.
    MotionAck,
    /// Cursor: where the pointer is.
    Pointer(Point16),
    /// Cursor: another shape, or none.
    Shape {
        /// Whether it is seen.
        visible: bool,
        /// Its size, if there is one.
        size: Option<(u16, u16)>,
    },
    /// Cursor: the pointer is not seen.
    PointerHidden,
    /// Every channel: acknowledgements are wanted.
    AckWanted(u32),
    /// Every channel: a ping.
    Ping(u32),
    /// Every channel: the server goes.
    Disconnecting(LinkError),
    /// Every channel: a text for the user.
    Notice(Vec<u8>),
    /// Anything else, by its number.
    Other(u16),
    /// Something that could not be read, by its number.
    Malformed(u16),
}

/// A picture of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// The stream.
    pub stream_id: u32,
    /// How many streams were created on the channel before that one: ids come again.
    pub stream: u64,
    /// The stream's codec.
    pub codec: Codec,
    /// Its stamp.
    pub mm_time: u32,
    /// Stamp less the client's clock when it came, in milliseconds; none before main's INIT.
    pub margin_ms: Option<i32>,
    /// Its bytes.
    pub size: usize,
    /// Whether a decoder may start with it.
    pub keyframe: bool,
    /// See [`Contents::closed`](crate::Contents::closed).
    pub closed: bool,
    /// Whether it was of a stream that this client has said it cannot decode.
    pub refused: bool,
    /// Its bytes, where they are kept.
    pub data: Option<Vec<u8>>,
    /// When all of it was there.
    pub at: Instant,
}

/// What came on a channel.
#[derive(Debug, Default)]
pub struct Log {
    /// In the order in which they came.
    pub records: Vec<Record>,
    /// Messages that came after a million others.
    pub not_kept: u64,
    /// What was wrong, the first thousand.
    pub violations: Vec<Violation>,
    /// Bytes read.
    pub bytes: u64,
    /// When the first message was about to be written: a display's INIT, where it sends one.
    pub first_sent: Option<Instant>,
    /// Acknowledgements sent.
    pub acks: u64,
    /// Reports sent.
    pub reports: u64,
}

impl Log {
    /// The events, in order.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.records.iter().map(|record| &record.event)
    }

    /// The pictures, in order.
    pub fn pictures(&self) -> impl Iterator<Item = &Picture> {
        self.events().filter_map(|event| match event {
            Event::Picture(picture) => Some(picture),
            _ => None,
        })
    }

    /// The time between each picture and the next.
    pub fn gaps(&self) -> impl Iterator<Item = Duration> {
        let next = self.pictures().skip(1);
        self.pictures()
            .zip(next)
            .map(|(picture, next)| next.at - picture.at)
    }

    pub(crate) fn push(&mut self, record: Record) {
        match self.records.len() < RECORDS_MAX {
            true => self.records.push(record),
            false => self.not_kept += 1,
        }
    }

    pub(crate) fn violation(&mut self, violation: Violation) {
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(violation);
        }
    }
}
