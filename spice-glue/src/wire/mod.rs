//! The messages of the SPICE protocol, encoded and decoded, in both directions.
//!
//! Pure: bytes in, values out, and back. Nothing here owns a socket or waits.
//! All numbers on the wire are little-endian and nothing is aligned or padded; each
//! message says its layout once for reading and once for writing, in the order of
//! `spice.proto` of spice-common. No memory is taken for a length before that length
//! was held against a bound and against the bytes that are there.
//!
//! | module | what |
//! |---|---|
//! | [`link`] | what is said before the first message: versions, capabilities, ticket |
//! | [`frame`] | the header of each message, and how long a message may be |
//! | [`base`] | messages of every channel: acknowledgements, pings, goodbyes |
//! | [`main`], [`display`], [`inputs`], [`cursor`] | the channels, client and server side |
//! | [`agent`] | the header inside agent data, to see what is skipped |
//! | [`keys`] | key codes: PC scan codes, set 1, and the numbers of QEMU |
//!
//! A message of the client is decoded by its channel's `*ClientMessage`, one of the
//! server by `*ServerMessage`. What the client sends may be longer than what is known
//! of it, and the rest is not looked at: upstream's parsers do the same, and that is
//! how a protocol of fixed layouts grows. What the server sends must fit to the byte.
//! Numbers of unknown messages are no errors but `Unknown`, with the size to skip.
//!
//! ```
//! use scanout_spice::wire::frame::{MINI_HEADER_LEN, MiniHeader};
//! use scanout_spice::wire::link::ChannelType;
//! use scanout_spice::wire::main::{MainClientMessage, MainServerMessage, MouseModes};
//!
//! let mut bytes = Vec::new();
//! MainServerMessage::MouseMode { supported: MouseModes::all(), current: MouseModes::CLIENT }.encode(&mut bytes);
//! assert_eq!(bytes, [105, 0, 4, 0, 0, 0, 3, 0, 2, 0]);
//!
//! let bytes = [104, 0, 0, 0, 0, 0];
//! let header = MiniHeader::from_client(&bytes, ChannelType::Main)?;
//! let message = MainClientMessage::decode(header.kind, &bytes[MINI_HEADER_LEN..])?;
//! assert_eq!(message, MainClientMessage::AttachChannels);
//! # Ok::<(), scanout_spice::wire::WireError>(())
//! ```

pub mod agent;
pub mod base;
mod codec;
pub mod cursor;
pub mod display;
mod error;
pub mod frame;
pub mod inputs;
pub mod keys;
pub mod link;
pub mod main;

pub use error::WireError;
