//! What is wrong with bytes that were to be a message.

use super::link::LinkError;

/// Why bytes are no message. Offsets count from the start of the part that was
/// decoded: of the body for a message, of the header for a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The bytes end before the message does.
    #[error("{what}: {need} bytes are needed at offset {offset}, the message has {len}")]
    Short {
        /// The message or the field.
        what: &'static str,
        /// Where the missing field starts.
        offset: usize,
        /// The bytes of that field.
        need: usize,
        /// The bytes of the whole message.
        len: usize,
    },
    /// Bytes follow after the end of a message that must fit exactly.
    #[error("{what}: ends at offset {offset}, but the message has {len} bytes")]
    Trailing {
        /// The message.
        what: &'static str,
        /// Where the message ended.
        offset: usize,
        /// The bytes of the whole message.
        len: usize,
    },
    /// A length, count or size is out of bounds.
    #[error("{what} at offset {offset} is {seen}, allowed are {min} to {max}")]
    OutOfBounds {
        /// The message and the field.
        what: &'static str,
        /// Where the field lies.
        offset: usize,
        /// Its value.
        seen: u64,
        /// The least allowed.
        min: u64,
        /// The most allowed.
        max: u64,
    },
    /// A value has no meaning.
    #[error("{what} at offset {offset} is {seen}, which is none of {allowed}")]
    BadValue {
        /// The message and the field.
        what: &'static str,
        /// Where the field lies.
        offset: usize,
        /// Its value.
        seen: u64,
        /// What it could be.
        allowed: &'static str,
    },
    /// The first four bytes of a connection are not those of SPICE.
    #[error("the connection starts with {seen:02x?}, not with \"REDQ\": no SPICE client")]
    BadMagic {
        /// The four bytes.
        seen: [u8; 4],
    },
    /// Another major version of the protocol.
    #[error(
        "protocol version {major}.{minor}, this is version {}.{}",
        super::link::VERSION_MAJOR,
        super::link::VERSION_MINOR
    )]
    BadVersion {
        /// The peer's major version.
        major: u32,
        /// The peer's minor version.
        minor: u32,
    },
    /// The peer wants the 18-byte header in front of each message.
    #[error("the client lacks the capability MINI_HEADER: its common capabilities are {caps:#x}")]
    NoMiniHeader {
        /// The first word of its common capabilities.
        caps: u32,
    },
}

impl WireError {
    /// What to answer where this happened during the link.
    pub fn link_error(&self) -> LinkError {
        match self {
            Self::BadMagic { .. } => LinkError::InvalidMagic,
            Self::BadVersion { .. } => LinkError::VersionMismatch,
            _ => LinkError::InvalidData,
        }
    }
}
