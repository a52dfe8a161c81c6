//! What a server may send when. Pure: messages in, events and faults out.

mod cursor;
mod display;
mod inputs;
mod main;
#[cfg(test)]
mod tests;

use std::time::Instant;

use scanout_spice::wire::WireError;
use scanout_spice::wire::base::BaseServerMessage;
use scanout_spice::wire::display::Codec;
use scanout_spice::wire::link::{Capabilities, ChannelType};

pub use cursor::CursorJudge;
pub use display::DisplayJudge;
pub use inputs::InputsJudge;
pub use main::MainJudge;

use crate::log::Event;

/// Something that a server must not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The channel.
    pub channel_type: ChannelType,
    /// Which of several.
    pub channel_id: u8,
    /// The number of the message on the channel, from zero.
    pub message: u64,
    /// The number that says what it is.
    pub kind: u16,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Its bytes.
    #[error(transparent)]
    Malformed(#[from] WireError),
    /// Nobody knows it.
    #[error("message {kind} of {size} bytes is not known")]
    Unknown {
        /// Its number.
        kind: u16,
        /// Bytes of its body.
        size: usize,
    },
    /// A client without the capability has no use for it.
    #[error("message {kind} needs a capability that the client did not announce")]
    Unannounced {
        /// Its number.
        kind: u16,
    },
    /// It comes before the channel's first message, or before the client's.
    #[error("message {kind} comes before the channel has begun")]
    TooEarly {
        /// Its number.
        kind: u16,
    },
    /// The channel has begun already.
    #[error("a second INIT")]
    InitTwice,
    /// A zero where none may be.
    #[error("{0} is 0")]
    Zero(&'static str),
    /// The list of channels was not asked for.
    #[error("CHANNELS_LIST without ATTACH_CHANNELS")]
    ListUnasked,
    /// A mouse mode that is not one, or not supported.
    #[error("mouse mode {current:#x} of {supported:#x}")]
    MouseMode {
        /// The mode.
        current: u16,
        /// Modes that can be asked for.
        supported: u16,
    },
    /// An acknowledgement window of zero stops the acknowledgements.
    #[error("SET_ACK with window 0")]
    AckWindow,

    /// A surface of that id lives.
    #[error("surface {0} is there already")]
    SurfaceTwice(u32),
    /// No surface of that id lives.
    #[error("there is no surface {0}")]
    NoSurface(u32),
    /// A primary surface lives.
    #[error("surface {second} is a second primary surface beside {first}")]
    SecondPrimary {
        /// The one that lives.
        first: u32,
        /// The new one.
        second: u32,
    },
    /// A surface without pixels, or of another format.
    #[error("surface of {width}x{height}, format {format}")]
    Surface {
        /// In pixels.
        width: u32,
        /// In pixels.
        height: u32,
        /// 32 is right.
        format: u32,
    },
    /// A surface ends before its streams do.
    #[error("surface {surface} ends while stream {stream} is on it")]
    SurfaceInUse {
        /// The surface.
        surface: u32,
        /// A stream on it.
        stream: u32,
    },
    /// MARK without a primary surface.
    #[error("MARK without a primary surface")]
    MarkOfNothing,

    /// A stream of that id lives.
    #[error("stream {0} is there already")]
    StreamTwice(u32),
    /// No stream of that id lives.
    #[error("there is no stream {0}")]
    NoStream(u32),
    /// The client did not say that it can decode this.
    #[error("stream {stream} is {codec:?}, which the client did not offer")]
    CodecNotOffered {
        /// The stream.
        stream: u32,
        /// Its codec.
        codec: Codec,
    },
    /// The client has said that it cannot decode this.
    #[error("stream {stream} is {codec:?}, which the client has refused")]
    CodecRefused {
        /// The stream.
        stream: u32,
        /// Its codec.
        codec: Codec,
    },
    /// A stream without pixels, or beyond its surface.
    #[error("stream {stream}: {what}")]
    StreamPlace {
        /// The stream.
        stream: u32,
        /// What is wrong with its sizes.
        what: String,
    },
    /// A picture that nobody may show yet.
    #[error("a picture of stream {0} before MARK")]
    NotMarked(u32),
    /// A stream's first picture is one that a decoder cannot start with.
    #[error(
        "the first picture of stream {stream} ({codec:?}): keyframe {keyframe}, parameter sets {headers}"
    )]
    FirstPicture {
        /// The stream.
        stream: u32,
        /// Its codec.
        codec: Codec,
        /// Whether it is a keyframe.
        keyframe: bool,
        /// Whether it has the parameter sets.
        headers: bool,
    },
    /// A packet that holds no whole picture.
    #[error("{size} bytes of stream {stream} are no picture of {codec:?}")]
    NoPicture {
        /// The stream.
        stream: u32,
        /// Its codec.
        codec: Codec,
        /// Bytes of the packet.
        size: usize,
    },
    /// A stamp before that of the picture before.
    #[error("stamp {seen} of stream {stream} comes after {last}")]
    StampBackwards {
        /// The stream.
        stream: u32,
        /// The stamp before.
        last: u32,
        /// This one.
        seen: u32,
    },
    /// More motions acknowledged than were sent.
    #[error("MOUSE_MOTION_ACK number {acks} after {motions} motions")]
    MotionAck {
        /// Acknowledgements so far.
        acks: u64,
        /// Motions and positions so far.
        motions: u64,
    },
    /// A shape that the client was never told to keep.
    #[error("cursor {0:#x} is not in the cache")]
    NotCached(u64),
    /// A hot spot outside the shape.
    #[error("hot spot {hot:?} of a cursor of {size:?}")]
    HotSpot {
        /// The hot spot.
        hot: (u16, u16),
        /// The size.
        size: (u16, u16),
    },
}

/// What a judge says of a message.
#[derive(Debug)]
pub struct Verdict {
    /// What it was.
    pub event: Event,
    /// What is wrong with it.
    pub faults: Vec<Fault>,
}

/// The judge of a channel.
#[derive(Debug)]
pub enum Judge {
    /// Of main.
    Main(MainJudge),
    /// Of a display.
    Display(Box<DisplayJudge>),
    /// Of the inputs.
    Inputs(InputsJudge),
    /// Of a cursor.
    Cursor(CursorJudge),
}

impl Judge {
    /// The judge of a channel of that type, for a client with these capabilities. Other
    /// channels are judged as inputs are, of which every message but the base is unknown.
    pub fn new(channel: ChannelType, client_caps: Capabilities) -> Self {
        match channel {
            ChannelType::Main => Self::Main(MainJudge::default()),
            ChannelType::Display => Self::Display(Box::new(DisplayJudge::new(client_caps))),
            ChannelType::Cursor => Self::Cursor(CursorJudge::default()),
            _ => Self::Inputs(InputsJudge::default()),
        }
    }

    /// Judges the next message.
    pub fn message(&mut self, kind: u16, body: &[u8], at: Instant) -> Verdict {
        match self {
            Self::Main(judge) => judge.message(kind, body),
            Self::Display(judge) => judge.message(kind, body, at),
            Self::Inputs(judge) => judge.message(kind, body),
            Self::Cursor(judge) => judge.message(kind, body),
        }
    }
}

/// A message of every channel.
fn base(message: &BaseServerMessage<'_>, faults: &mut Vec<Fault>) -> Event {
    match message {
        BaseServerMessage::SetAck { window, .. } => {
            if *window == 0 {
                faults.push(Fault::AckWindow);
            }
            Event::AckWanted(*window)
        }
        BaseServerMessage::Ping { id, .. } => Event::Ping(*id),
        BaseServerMessage::Disconnecting { reason, .. } => Event::Disconnecting(*reason),
        BaseServerMessage::Notify(notice) => Event::Notice(notice.message.to_vec()),
        BaseServerMessage::Unknown { kind, size } => {
            faults.push(Fault::Unknown {
                kind: *kind,
                size: *size,
            });
            Event::Other(*kind)
        }
        other => Event::Other(other.kind()),
    }
}

/// A message that could not be read.
fn malformed(kind: u16, error: WireError) -> Verdict {
    Verdict {
        event: Event::Malformed(kind),
        faults: vec![error.into()],
    }
}
