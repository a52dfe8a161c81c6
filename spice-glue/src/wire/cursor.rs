//! The cursor channel: the shape and place of the pointer. Clients send nothing on it
//! but the messages of every channel.

use super::WireError;
use super::base::BaseServerMessage;
use super::codec::{Reader, Writer};
use super::frame::put;

/// Numbers of the messages.
pub mod kind {
    /// Server: the channel begins.
    pub const INIT: u16 = 101;
    /// Server: no pointer, and no cache.
    pub const RESET: u16 = 102;
    /// Server: the pointer's shape and place.
    pub const SET: u16 = 103;
    /// Server: the pointer's place.
    pub const MOVE: u16 = 104;
    /// Server: no pointer.
    pub const HIDE: u16 = 105;
    /// Server: its trail.
    pub const TRAIL: u16 = 106;
    /// Server: forget a shape.
    pub const INVAL_ONE: u16 = 107;
    /// Server: forget all shapes.
    pub const INVAL_ALL: u16 = 108;
}

/// The most pixels of a side of a shape. QEMU's are of 64, guests with large screens
/// ask for 256.
pub const SHAPE_SIDE_MAX: u16 = 512;

/// How the pixels of a shape lie. All but [`Alpha`](Self::Alpha) have a mask of one
/// bit per pixel, in lines of whole bytes, after all else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum CursorType {
    /// Four bytes a pixel: blue, green, red, alpha.
    Alpha = 0,
    /// One bit a pixel for AND, then as many for XOR.
    Mono = 1,
    /// Four bits a pixel, then 16 colours of four bytes.
    Color4 = 2,
    /// A byte a pixel, then 256 colours of four bytes.
    Color8 = 3,
    /// Two bytes a pixel, 1-5-5-5.
    Color16 = 4,
    /// Three bytes a pixel.
    Color24 = 5,
    /// Four bytes a pixel, the last unused.
    Color32 = 6,
}

impl CursorType {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Alpha,
        Self::Mono,
        Self::Color4,
        Self::Color8,
        Self::Color16,
        Self::Color24,
        Self::Color32,
    ];

    /// The bytes of a shape of that size. Cannot wrap.
    pub fn data_len(self, width: u16, height: u16) -> usize {
        let (width, height) = (usize::from(width), usize::from(height));
        let mask = width.div_ceil(8) * height;
        match self {
            Self::Alpha => width * 4 * height,
            Self::Mono => mask * 2,
            Self::Color4 => width.div_ceil(2) * height + 16 * 4 + mask,
            Self::Color8 => width * height + 256 * 4 + mask,
            Self::Color16 => width * 2 * height + mask,
            Self::Color24 => width * 3 * height + mask,
            Self::Color32 => width * 4 * height + mask,
        }
    }
}

/// Where the pointer is: its hot spot, in pixels of the surface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Point16 {
    /// From the left.
    pub x: i16,
    /// From the top.
    pub y: i16,
}

/// What a shape is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CursorHeader {
    /// Its name in the client's cache; zero is never cached.
    pub unique: u64,
    /// How its pixels lie.
    pub cursor_type: CursorType,
    /// In pixels, at most [`SHAPE_SIDE_MAX`].
    pub width: u16,
    /// In pixels, at most [`SHAPE_SIDE_MAX`].
    pub height: u16,
    /// The point that points.
    pub hot_spot_x: u16,
    /// The point that points.
    pub hot_spot_y: u16,
}

/// A shape, or none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum CursorShape<'a> {
    /// No pointer is seen.
    None,
    /// This one.
    Shape {
        /// What it is.
        header: CursorHeader,
        /// Whether the client is to keep it.
        cache: bool,
        /// Its pixels, as many bytes as [`CursorType::data_len`] says.
        data: &'a [u8],
    },
    /// The one that the client has kept under this name.
    FromCache {
        /// As it was; only `unique` is looked at.
        header: CursorHeader,
    },
}

/// Bits of the flags of a shape.
const NONE: u16 = 1;
const CACHE_ME: u16 = 2;
const FROM_CACHE: u16 = 4;

/// What a server sends on the cursor channel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CursorServerMessage<'a> {
    /// One of every channel's, or one that is not known.
    Base(BaseServerMessage<'a>),
    /// The first message.
    Init {
        /// Where the pointer is.
        position: Point16,
        /// Its trail, which no client draws.
        trail_length: u16,
        /// Its trail, which no client draws.
        trail_frequency: u16,
        /// Whether it is seen.
        visible: bool,
        /// What it looks like.
        shape: CursorShape<'a>,
    },
    /// No pointer, and forget all shapes.
    Reset,
    /// Another shape.
    Set {
        /// Where the pointer is.
        position: Point16,
        /// Whether it is seen.
        visible: bool,
        /// What it looks like.
        shape: CursorShape<'a>,
    },
    /// Another place; the pointer is seen.
    Move(Point16),
    /// The pointer is not seen.
    Hide,
    /// Its trail, which no client draws.
    Trail {
        /// Pictures of it.
        length: u16,
        /// How often.
        frequency: u16,
    },
    /// Forget the shape of that name.
    InvalOne(u64),
    /// Forget all shapes.
    InvalAll,
}

impl<'a> CursorServerMessage<'a> {
    /// The number of the message.
    pub fn kind(&self) -> u16 {
        match self {
            Self::Base(message) => message.kind(),
            Self::Init { .. } => kind::INIT,
            Self::Reset => kind::RESET,
            Self::Set { .. } => kind::SET,
            Self::Move(_) => kind::MOVE,
            Self::Hide => kind::HIDE,
            Self::Trail { .. } => kind::TRAIL,
            Self::InvalOne(_) => kind::INVAL_ONE,
            Self::InvalAll => kind::INVAL_ALL,
        }
    }

    /// Appends header and body.
    pub fn encode(&self, out: &mut Vec<u8>) {
        if let Self::Base(message) = self {
            return message.encode(out);
        }
        put(out, self.kind(), |w| match self {
            Self::Base(_) | Self::Reset | Self::Hide | Self::InvalAll => {}
            Self::Init {
                position,
                trail_length,
                trail_frequency,
                visible,
                shape,
            } => {
                w.i16(position.x).i16(position.y);
                w.u16(*trail_length)
                    .u16(*trail_frequency)
                    .u8((*visible).into());
                shape.put(w);
            }
            Self::Set {
                position,
                visible,
                shape,
            } => {
                w.i16(position.x).i16(position.y).u8((*visible).into());
                shape.put(w);
            }
            Self::Move(position) => {
                w.i16(position.x).i16(position.y);
            }
            Self::Trail { length, frequency } => {
                w.u16(*length).u16(*frequency);
            }
            Self::InvalOne(unique) => {
                w.u64(*unique);
            }
        });
    }

    /// The message of that number.
    ///
    /// # Errors
    /// A body that is not exactly that message.
    pub fn decode(kind: u16, body: &'a [u8]) -> Result<Self, WireError> {
        let name = match kind {
            kind::INIT => "cursor INIT",
            kind::RESET => "cursor RESET",
            kind::SET => "cursor SET",
            kind::MOVE => "cursor MOVE",
            kind::HIDE => "cursor HIDE",
            kind::TRAIL => "cursor TRAIL",
            kind::INVAL_ONE => "cursor INVAL_ONE",
            kind::INVAL_ALL => "cursor INVAL_ALL",
            kind => return BaseServerMessage::decode(kind, body).map(Self::Base),
        };
        let mut r = Reader::new(name, body);
        let message = match kind {
            kind::INIT => Self::Init {
                position: Point16::take(&mut r)?,
                trail_length: r.u16()?,
                trail_frequency: r.u16()?,
                visible: r.u8()? != 0,
                shape: CursorShape::take(&mut r)?,
            },
            kind::RESET => Self::Reset,
            kind::SET => Self::Set {
                position: Point16::take(&mut r)?,
                visible: r.u8()? != 0,
                shape: CursorShape::take(&mut r)?,
            },
            kind::MOVE => Self::Move(Point16::take(&mut r)?),
            kind::HIDE => Self::Hide,
            kind::TRAIL => Self::Trail {
                length: r.u16()?,
                frequency: r.u16()?,
            },
            kind::INVAL_ONE => Self::InvalOne(r.u64()?),
            // The names above leave only this one.
            _ => Self::InvalAll,
        };
        r.finish(message)
    }
}

impl Point16 {
    fn take(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            x: r.i16()?,
            y: r.i16()?,
        })
    }
}

impl<'a> CursorShape<'a> {
    fn put(&self, w: &mut Writer<'_>) {
        match self {
            Self::None => {
                w.u16(NONE);
            }
            Self::Shape {
                header,
                cache,
                data,
            } => {
                w.u16(if *cache { CACHE_ME } else { 0 });
                header.put(w);
                w.bytes(data);
            }
            Self::FromCache { header } => {
                w.u16(FROM_CACHE);
                header.put(w);
            }
        }
    }

    fn take(r: &mut Reader<'a>) -> Result<Self, WireError> {
        let flags = r.u16()?;
        if flags & NONE != 0 {
            return Ok(Self::None);
        }
        let header = CursorHeader::take(r)?;
        if flags & FROM_CACHE != 0 {
            return Ok(Self::FromCache { header });
        }
        let need = header.cursor_type.data_len(header.width, header.height);
        Ok(Self::Shape {
            header,
            cache: flags & CACHE_ME != 0,
            data: r.bytes(need)?,
        })
    }
}

impl CursorHeader {
    fn put(&self, w: &mut Writer<'_>) {
        w.u64(self.unique).u8(self.cursor_type as u8);
        w.u16(self.width).u16(self.height);
        w.u16(self.hot_spot_x).u16(self.hot_spot_y);
    }

    fn take(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let unique = r.u64()?;
        let seen = r.u8()?;
        let cursor_type = CursorType::ALL.get(usize::from(seen)).copied();
        let cursor_type = r.known("type of a cursor", 1, seen.into(), "0 to 6", cursor_type)?;
        let side = |r: &mut Reader<'_>, what| {
            let (offset, side) = (r.offset(), r.u16()?);
            match side <= SHAPE_SIDE_MAX {
                true => Ok(side),
                false => Err(WireError::OutOfBounds {
                    what,
                    offset,
                    seen: side.into(),
                    min: 0,
                    max: SHAPE_SIDE_MAX.into(),
                }),
            }
        };
        Ok(Self {
            unique,
            cursor_type,
            width: side(r, "width of a cursor")?,
            height: side(r, "height of a cursor")?,
            hot_spot_x: r.u16()?,
            hot_spot_y: r.u16()?,
        })
    }
}

// Pixels are too many to print.
impl std::fmt::Debug for CursorShape<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Shape {
                header,
                cache,
                data,
            } => f
                .debug_struct("Shape")
                .field("header", header)
                .field("cache", cache)
                .field("data", &data.len())
                .finish(),
            Self::FromCache { header } => {
                f.debug_struct("FromCache").field("header", header).finish()
            }
        }
    }
}
