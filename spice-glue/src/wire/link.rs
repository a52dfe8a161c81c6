//! The link: what both sides say on a new connection before the first message.
//!
//! Client: [`LinkHeader`] and [`LinkMessage`]. Server: [`LinkHeader`] and
//! [`LinkReply`] with its public key. Client: [`AuthMechanism`] (only where both
//! have [`CommonCap::AuthSelection`]) and the password in [`TICKET_LEN`] encrypted
//! bytes. Server: a [`LinkError`] alone. Each channel is a connection of its own.

mod caps;

pub use caps::{Capabilities, Capability, CommonCap, DisplayCap, InputsCap, MainCap};

use super::WireError;
use super::codec::{Reader, Writer};

/// The bytes that each side starts with.
pub const MAGIC: [u8; 4] = *b"REDQ";
/// The major version of the protocol: another cannot be talked to.
pub const VERSION_MAJOR: u32 = 2;
/// The minor version, which changes nothing of what is here.
pub const VERSION_MINOR: u32 = 2;
/// Bytes of the [`LinkHeader`].
pub const LINK_HEADER_LEN: usize = 16;
/// Bytes of a [`LinkMessage`] without capabilities.
pub const LINK_MESSAGE_LEN: usize = 18;
/// Bytes of a [`LinkReply`] without capabilities.
pub const LINK_REPLY_LEN: usize = 178;
/// The most bytes after a [`LinkHeader`], as in upstream's server.
pub const LINK_BODY_MAX: usize = 4096;
/// Bytes of an RSA-1024 key as `SubjectPublicKeyInfo` in DER.
pub const PUBLIC_KEY_LEN: usize = 162;
/// Bytes of an encrypted password: one block of RSA-1024.
pub const TICKET_LEN: usize = 128;
/// The longest password, its final zero not counted.
pub const PASSWORD_MAX: usize = 60;

/// What goes before the body of either side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkHeader {
    /// Minor version of the peer; the major one is [`VERSION_MAJOR`].
    pub minor: u32,
    /// Bytes that follow.
    pub size: u32,
}

impl LinkHeader {
    /// The header before a body of `size` bytes.
    pub fn of(size: usize) -> Self {
        Self {
            minor: VERSION_MINOR,
            size: u32::try_from(size).unwrap_or(u32::MAX),
        }
    }

    /// The header as bytes.
    pub fn encode(&self) -> [u8; LINK_HEADER_LEN] {
        let mut bytes = [0; LINK_HEADER_LEN];
        let words = [
            u32::from_le_bytes(MAGIC),
            VERSION_MAJOR,
            self.minor,
            self.size,
        ];
        for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// The header before a client's [`LinkMessage`].
    ///
    /// # Errors
    /// Wrong magic or version, or a size outside 18 to 4096.
    pub fn from_client(bytes: &[u8; LINK_HEADER_LEN]) -> Result<Self, WireError> {
        Self::decode(bytes, LINK_MESSAGE_LEN)
    }

    /// The header before a server's [`LinkReply`].
    ///
    /// # Errors
    /// Wrong magic or version, or a size outside 178 to 4096.
    pub fn from_server(bytes: &[u8; LINK_HEADER_LEN]) -> Result<Self, WireError> {
        Self::decode(bytes, LINK_REPLY_LEN)
    }

    fn decode(bytes: &[u8; LINK_HEADER_LEN], min: usize) -> Result<Self, WireError> {
        let mut reader = Reader::new("link header", bytes);
        let seen: [u8; 4] = reader.array()?;
        if seen != MAGIC {
            return Err(WireError::BadMagic { seen });
        }
        let (major, minor) = (reader.u32()?, reader.u32()?);
        if major != VERSION_MAJOR {
            return Err(WireError::BadVersion { major, minor });
        }
        let (offset, size) = (reader.offset(), reader.u32()?);
        if !(min as u64..=LINK_BODY_MAX as u64).contains(&size.into()) {
            return Err(WireError::OutOfBounds {
                what: "size of the link message",
                offset,
                seen: size.into(),
                min: min as u64,
                max: LINK_BODY_MAX as u64,
            });
        }
        Ok(Self { minor, size })
    }
}

/// The channels of the protocol. More than are served, so that a refusal names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ChannelType {
    /// Sessions, mouse mode, clock, agent.
    Main,
    /// Pictures.
    Display,
    /// Keyboard and pointer of the client.
    Inputs,
    /// The shape and place of the pointer.
    Cursor,
    /// Sound to the client.
    Playback,
    /// Sound from the client.
    Record,
    /// Smart cards.
    Smartcard,
    /// USB devices.
    Usbredir,
    /// Serial ports.
    Port,
    /// Shared folders.
    Webdav,
    /// Anything else.
    Other(u8),
}

impl ChannelType {
    /// The number on the wire.
    pub fn to_wire(self) -> u8 {
        match self {
            Self::Main => 1,
            Self::Display => 2,
            Self::Inputs => 3,
            Self::Cursor => 4,
            Self::Playback => 5,
            Self::Record => 6,
            Self::Smartcard => 8,
            Self::Usbredir => 9,
            Self::Port => 10,
            Self::Webdav => 11,
            Self::Other(number) => number,
        }
    }

    /// The channel of that number.
    pub fn from_wire(number: u8) -> Self {
        match number {
            1 => Self::Main,
            2 => Self::Display,
            3 => Self::Inputs,
            4 => Self::Cursor,
            5 => Self::Playback,
            6 => Self::Record,
            8 => Self::Smartcard,
            9 => Self::Usbredir,
            10 => Self::Port,
            11 => Self::Webdav,
            number => Self::Other(number),
        }
    }
}

/// The client's first message (`SpiceLinkMess`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkMessage {
    /// Zero on a new main channel, on others the session that main's INIT named.
    pub connection_id: u32,
    /// The channel asked for.
    pub channel_type: ChannelType,
    /// Which of several channels of that type, from zero.
    pub channel_id: u8,
    /// What the client can do on any channel ([`CommonCap`]).
    pub common_caps: Capabilities,
    /// What it can do on this one.
    pub channel_caps: Capabilities,
}

impl LinkMessage {
    /// Header and body.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (common, channel) = (self.common_caps.words(), self.channel_caps.words());
        out.extend_from_slice(
            &LinkHeader::of(LINK_MESSAGE_LEN + 4 * (common.len() + channel.len())).encode(),
        );
        let mut writer = Writer(out);
        writer
            .u32(self.connection_id)
            .u8(self.channel_type.to_wire())
            .u8(self.channel_id);
        caps::put(&mut writer, common, channel, LINK_MESSAGE_LEN);
    }

    /// The body after the header.
    ///
    /// # Errors
    /// A body shorter than 18 bytes or longer than 4096, or capabilities that do not
    /// lie in it.
    pub fn decode(body: &[u8]) -> Result<Self, WireError> {
        caps::check_body("link message", body, LINK_MESSAGE_LEN)?;
        let mut reader = Reader::new("link message", body);
        let connection_id = reader.u32()?;
        let channel_type = ChannelType::from_wire(reader.u8()?);
        let channel_id = reader.u8()?;
        let (common_caps, channel_caps) = caps::take(&mut reader, body, LINK_MESSAGE_LEN)?;
        Ok(Self {
            connection_id,
            channel_type,
            channel_id,
            common_caps,
            channel_caps,
        })
    }
}

/// The server's answer (`SpiceLinkReply`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkReply {
    /// [`LinkError::Ok`], or why the link ends here.
    pub error: LinkError,
    /// The key for the ticket, as `SubjectPublicKeyInfo` in DER. Zeros in a refusal.
    pub public_key: [u8; PUBLIC_KEY_LEN],
    /// What the server can do on any channel ([`CommonCap`]).
    pub common_caps: Capabilities,
    /// What it can do on this one.
    pub channel_caps: Capabilities,
}

impl LinkReply {
    /// An answer that ends the link.
    pub fn refusal(error: LinkError) -> Self {
        Self {
            error,
            public_key: [0; PUBLIC_KEY_LEN],
            common_caps: Capabilities::default(),
            channel_caps: Capabilities::default(),
        }
    }

    /// Header and body.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (common, channel) = (self.common_caps.words(), self.channel_caps.words());
        out.extend_from_slice(
            &LinkHeader::of(LINK_REPLY_LEN + 4 * (common.len() + channel.len())).encode(),
        );
        let mut writer = Writer(out);
        writer.u32(self.error.to_wire()).bytes(&self.public_key);
        caps::put(&mut writer, common, channel, LINK_REPLY_LEN);
    }

    /// The body after the header.
    ///
    /// # Errors
    /// A body shorter than 178 bytes or longer than 4096, an error number that is
    /// not known, or capabilities that do not lie in it.
    pub fn decode(body: &[u8]) -> Result<Self, WireError> {
        caps::check_body("link reply", body, LINK_REPLY_LEN)?;
        let mut reader = Reader::new("link reply", body);
        let error = LinkError::take(&mut reader, "error of the link reply")?;
        let public_key = reader.array()?;
        let (common_caps, channel_caps) = caps::take(&mut reader, body, LINK_REPLY_LEN)?;
        Ok(Self {
            error,
            public_key,
            common_caps,
            channel_caps,
        })
    }
}

/// How a client says who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthMechanism {
    /// A password, encrypted with the key of the [`LinkReply`].
    Spice,
    /// SASL, which is not spoken here.
    Sasl,
}

impl AuthMechanism {
    /// The four bytes on the wire.
    pub fn encode(self) -> [u8; 4] {
        match self {
            Self::Spice => 1u32,
            Self::Sasl => 2,
        }
        .to_le_bytes()
    }

    /// The mechanism of that number.
    ///
    /// # Errors
    /// A number that is neither.
    pub fn decode(bytes: [u8; 4]) -> Result<Self, WireError> {
        match u32::from_le_bytes(bytes) {
            1 => Ok(Self::Spice),
            2 => Ok(Self::Sasl),
            seen => Err(WireError::BadValue {
                what: "authentication mechanism",
                offset: 0,
                seen: seen.into(),
                allowed: "1 (SPICE), 2 (SASL)",
            }),
        }
    }
}

/// The result of a link, and the reason in goodbyes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum LinkError {
    /// All is well.
    Ok = 0,
    /// Something, not said what.
    Error = 1,
    /// No SPICE client.
    InvalidMagic = 2,
    /// A message that does not fit its layout.
    InvalidData = 3,
    /// Another major version.
    VersionMismatch = 4,
    /// This channel wants TLS.
    NeedSecured = 5,
    /// This channel wants no TLS.
    NeedUnsecured = 6,
    /// Wrong password.
    PermissionDenied = 7,
    /// No session of that number.
    BadConnectionId = 8,
    /// No such channel, or it is taken.
    ChannelNotAvailable = 9,
}

impl LinkError {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::Ok,
        Self::Error,
        Self::InvalidMagic,
        Self::InvalidData,
        Self::VersionMismatch,
        Self::NeedSecured,
        Self::NeedUnsecured,
        Self::PermissionDenied,
        Self::BadConnectionId,
        Self::ChannelNotAvailable,
    ];

    /// The number on the wire.
    pub fn to_wire(self) -> u32 {
        self as u32
    }

    /// The four bytes that answer a ticket.
    pub fn encode(self) -> [u8; 4] {
        self.to_wire().to_le_bytes()
    }

    /// The four bytes that answered a ticket.
    ///
    /// # Errors
    /// A number that is not known.
    pub fn decode(bytes: [u8; 4]) -> Result<Self, WireError> {
        Self::take(&mut Reader::new("link result", &bytes), "link result")
    }

    pub(crate) fn take(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, WireError> {
        let seen = reader.u32()?;
        let value = usize::try_from(seen)
            .ok()
            .and_then(|at| Self::ALL.get(at))
            .copied();
        reader.known(field, 4, seen.into(), "0 to 9", value)
    }
}
