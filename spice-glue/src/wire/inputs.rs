//! The inputs channel: the client's keyboard and pointer.

use super::WireError;
use super::base::{self, BaseClientMessage, BaseServerMessage};
use super::codec::{Reader, at_most};
use super::frame::put;

/// Numbers of the messages.
pub mod kind {
    /// Server: the channel begins.
    pub const INIT: u16 = 101;
    /// Server: the locks of the guest's keyboard.
    pub const KEY_MODIFIERS: u16 = 102;
    /// Server: some motions were taken.
    pub const MOUSE_MOTION_ACK: u16 = 111;

    /// Client: a key goes down.
    pub const KEY_DOWN: u16 = 101;
    /// Client: a key goes up.
    pub const KEY_UP: u16 = 102;
    /// Client: the locks of its keyboard.
    pub const CLIENT_KEY_MODIFIERS: u16 = 103;
    /// Client: scan codes as they come.
    pub const KEY_SCANCODE: u16 = 104;
    /// Client: the pointer moved by so much.
    pub const MOUSE_MOTION: u16 = 111;
    /// Client: the pointer is there.
    pub const MOUSE_POSITION: u16 = 112;
    /// Client: a button goes down.
    pub const MOUSE_PRESS: u16 = 113;
    /// Client: a button goes up.
    pub const MOUSE_RELEASE: u16 = 114;
}

/// Motions and positions that one MOUSE_MOTION_ACK stands for. Clients send no more
/// when twice as many are without.
pub const MOTIONS_PER_ACK: u32 = 4;
/// The most scan codes of one message.
pub const SCANCODES_MAX: usize = 256;

bitflags::bitflags! {
    /// Locks of a keyboard.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct KeyModifiers: u16 {
        /// Scroll Lock.
        const SCROLL_LOCK = 1;
        /// Num Lock.
        const NUM_LOCK = 2;
        /// Caps Lock.
        const CAPS_LOCK = 4;
    }
}

bitflags::bitflags! {
    /// Buttons that are down.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Buttons: u16 {
        /// The left one.
        const LEFT = 1;
        /// The wheel pressed, or a button in the middle.
        const MIDDLE = 2;
        /// The right one.
        const RIGHT = 4;
        /// The wheel, up.
        const UP = 8;
        /// The wheel, down.
        const DOWN = 16;
        /// The first at the side.
        const SIDE = 32;
        /// The second at the side.
        const EXTRA = 64;
    }
}

/// A button that goes down or up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum MouseButton {
    /// The left one.
    Left = 1,
    /// The wheel pressed, or a button in the middle.
    Middle = 2,
    /// The right one.
    Right = 3,
    /// A step of the wheel, up.
    Up = 4,
    /// A step of the wheel, down.
    Down = 5,
    /// The first at the side.
    Side = 6,
    /// The second at the side.
    Extra = 7,
}

impl MouseButton {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Left,
        Self::Middle,
        Self::Right,
        Self::Up,
        Self::Down,
        Self::Side,
        Self::Extra,
    ];

    /// The number on the wire.
    pub fn to_wire(self) -> u8 {
        self as u8
    }

    /// The button of that number.
    pub fn from_wire(number: u8) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|button| button.to_wire() == number)
    }

    /// Its bit among [`Buttons`].
    pub fn mask(self) -> Buttons {
        Buttons::from_bits_retain(1 << (self.to_wire() - 1))
    }

    /// Its number on QEMU's D-Bus display, which counts from zero.
    pub fn to_qemu(self) -> u32 {
        (self.to_wire() - 1).into()
    }
}

/// What a server sends on the inputs channel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InputsServerMessage<'a> {
    /// One of every channel's, or one that is not known.
    Base(BaseServerMessage<'a>),
    /// The first message: the locks of the guest's keyboard.
    Init(KeyModifiers),
    /// They changed.
    KeyModifiers(KeyModifiers),
    /// [`MOTIONS_PER_ACK`] motions or positions were taken.
    MouseMotionAck,
}

impl<'a> InputsServerMessage<'a> {
    /// The number of the message.
    pub fn kind(&self) -> u16 {
        match self {
            Self::Base(message) => message.kind(),
            Self::Init(_) => kind::INIT,
            Self::KeyModifiers(_) => kind::KEY_MODIFIERS,
            Self::MouseMotionAck => kind::MOUSE_MOTION_ACK,
        }
    }

    /// Appends header and body.
    pub fn encode(&self, out: &mut Vec<u8>) {
        if let Self::Base(message) = self {
            return message.encode(out);
        }
        put(out, self.kind(), |w| match self {
            Self::Base(_) | Self::MouseMotionAck => {}
            Self::Init(modifiers) | Self::KeyModifiers(modifiers) => {
                w.u16(modifiers.bits());
            }
        });
    }

    /// The message of that number.
    ///
    /// # Errors
    /// A body that is not exactly that message.
    pub fn decode(kind: u16, body: &'a [u8]) -> Result<Self, WireError> {
        let modifiers = |what| {
            let mut r = Reader::new(what, body);
            let bits = r.u16()?;
            r.finish(KeyModifiers::from_bits_retain(bits))
        };
        match kind {
            kind::INIT => modifiers("inputs INIT").map(Self::Init),
            kind::KEY_MODIFIERS => modifiers("KEY_MODIFIERS").map(Self::KeyModifiers),
            kind::MOUSE_MOTION_ACK => {
                Reader::new("MOUSE_MOTION_ACK", body).finish(Self::MouseMotionAck)
            }
            kind => BaseServerMessage::decode(kind, body).map(Self::Base),
        }
    }
}

/// What a client sends on the inputs channel. Key codes are for
/// [`Scancodes`](super::keys::Scancodes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InputsClientMessage<'a> {
    /// One of every channel's.
    Base(BaseClientMessage),
    /// A key goes down: up to four scan codes, the first in the lowest byte.
    KeyDown(u32),
    /// A key goes up.
    KeyUp(u32),
    /// The locks of the client's keyboard.
    KeyModifiers(KeyModifiers),
    /// Scan codes, of clients of servers with
    /// [`InputsCap::KeyScancode`](super::link::InputsCap::KeyScancode).
    KeyScancode(&'a [u8]),
    /// The pointer moved, in server mode.
    MouseMotion {
        /// To the right.
        dx: i32,
        /// Down.
        dy: i32,
        /// Buttons that are down.
        buttons: Buttons,
    },
    /// The pointer is there, in client mode.
    MousePosition {
        /// From the left.
        x: u32,
        /// From the top.
        y: u32,
        /// Buttons that are down.
        buttons: Buttons,
        /// On which display.
        display_id: u8,
    },
    /// A button goes down.
    MousePress {
        /// Which; `None` for one that is not known.
        button: Option<MouseButton>,
        /// Buttons that are down then.
        buttons: Buttons,
    },
    /// A button goes up.
    MouseRelease {
        /// Which; `None` for one that is not known.
        button: Option<MouseButton>,
        /// Buttons that are down then.
        buttons: Buttons,
    },
    /// A message that is not known.
    Unknown {
        /// Its number.
        kind: u16,
        /// Bytes of its body.
        size: usize,
    },
}

impl<'a> InputsClientMessage<'a> {
    /// The number of the message.
    pub fn kind(&self) -> u16 {
        match self {
            Self::Base(message) => message.kind(),
            Self::KeyDown(_) => kind::KEY_DOWN,
            Self::KeyUp(_) => kind::KEY_UP,
            Self::KeyModifiers(_) => kind::CLIENT_KEY_MODIFIERS,
            Self::KeyScancode(_) => kind::KEY_SCANCODE,
            Self::MouseMotion { .. } => kind::MOUSE_MOTION,
            Self::MousePosition { .. } => kind::MOUSE_POSITION,
            Self::MousePress { .. } => kind::MOUSE_PRESS,
            Self::MouseRelease { .. } => kind::MOUSE_RELEASE,
            Self::Unknown { kind, .. } => *kind,
        }
    }

    /// Appends header and body; an unknown message as that many zeros.
    pub fn encode(&self, out: &mut Vec<u8>) {
        if let Self::Base(message) = self {
            return message.encode(out);
        }
        put(out, self.kind(), |w| match *self {
            Self::Base(_) => {}
            Self::KeyDown(code) | Self::KeyUp(code) => {
                w.u32(code);
            }
            Self::KeyModifiers(modifiers) => {
                w.u16(modifiers.bits());
            }
            Self::KeyScancode(codes) => {
                w.bytes(at_most(codes, SCANCODES_MAX));
            }
            Self::MouseMotion { dx, dy, buttons } => {
                w.i32(dx).i32(dy).u16(buttons.bits());
            }
            Self::MousePosition {
                x,
                y,
                buttons,
                display_id,
            } => {
                w.u32(x).u32(y).u16(buttons.bits()).u8(display_id);
            }
            Self::MousePress { button, buttons } | Self::MouseRelease { button, buttons } => {
                w.u8(button.map_or(0, MouseButton::to_wire))
                    .u16(buttons.bits());
            }
            Self::Unknown { size, .. } => w.zeros(size),
        });
    }

    /// The message of that number.
    ///
    /// # Errors
    /// A body too short for that message, or more than [`SCANCODES_MAX`] codes.
    pub fn decode(kind: u16, body: &'a [u8]) -> Result<Self, WireError> {
        match kind {
            ..=base::kind::LAST => BaseClientMessage::decode(kind, body).map(Self::Base),
            kind::KEY_DOWN => Reader::new("KEY_DOWN", body).u32().map(Self::KeyDown),
            kind::KEY_UP => Reader::new("KEY_UP", body).u32().map(Self::KeyUp),
            kind::CLIENT_KEY_MODIFIERS => {
                let bits = Reader::new("KEY_MODIFIERS", body).u16()?;
                Ok(Self::KeyModifiers(KeyModifiers::from_bits_retain(bits)))
            }
            kind::KEY_SCANCODE => {
                let mut r = Reader::new("KEY_SCANCODE", body);
                r.count("KEY_SCANCODE", body.len() as u64, 1, SCANCODES_MAX)?;
                Ok(Self::KeyScancode(r.rest()))
            }
            kind::MOUSE_MOTION => {
                let mut r = Reader::new("MOUSE_MOTION", body);
                Ok(Self::MouseMotion {
                    dx: r.i32()?,
                    dy: r.i32()?,
                    buttons: Buttons::from_bits_retain(r.u16()?),
                })
            }
            kind::MOUSE_POSITION => {
                let mut r = Reader::new("MOUSE_POSITION", body);
                Ok(Self::MousePosition {
                    x: r.u32()?,
                    y: r.u32()?,
                    buttons: Buttons::from_bits_retain(r.u16()?),
                    display_id: r.u8()?,
                })
            }
            kind::MOUSE_PRESS | kind::MOUSE_RELEASE => {
                let mut r = Reader::new("MOUSE_PRESS or MOUSE_RELEASE", body);
                let button = MouseButton::from_wire(r.u8()?);
                let buttons = Buttons::from_bits_retain(r.u16()?);
                Ok(match kind {
                    kind::MOUSE_PRESS => Self::MousePress { button, buttons },
                    _ => Self::MouseRelease { button, buttons },
                })
            }
            kind => Ok(Self::Unknown {
                kind,
                size: body.len(),
            }),
        }
    }
}
