//! The header of each message after the link.

use super::WireError;
use super::codec::{Reader, Writer};
use super::link::{ChannelType, CommonCap, LinkMessage};

/// Bytes of the header that goes before each message.
pub const MINI_HEADER_LEN: usize = 6;

/// The header of a message: `u16 type, u32 size`.
///
/// The older header (`u64 serial, u16 type, u32 size, u32 sub_list`) is not spoken:
/// every stock client offers the small one. One that does not is refused by
/// [`require_mini_header`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MiniHeader {
    /// The number of the message; its meaning depends on channel and direction.
    pub kind: u16,
    /// Bytes of the body.
    pub size: u32,
}

impl MiniHeader {
    /// The header as bytes.
    pub fn encode(&self) -> [u8; MINI_HEADER_LEN] {
        let [k0, k1] = self.kind.to_le_bytes();
        let [s0, s1, s2, s3] = self.size.to_le_bytes();
        [k0, k1, s0, s1, s2, s3]
    }

    /// A header, its size not held against anything.
    pub fn decode(bytes: &[u8; MINI_HEADER_LEN]) -> Self {
        let [k0, k1, s0, s1, s2, s3] = *bytes;
        Self {
            kind: u16::from_le_bytes([k0, k1]),
            size: u32::from_le_bytes([s0, s1, s2, s3]),
        }
    }

    /// The header of a message of a client, from the first six bytes.
    ///
    /// # Errors
    /// Fewer bytes, or a size beyond [`client_bound`]: memory of `size` bytes may be
    /// taken after this.
    pub fn from_client(bytes: &[u8], channel: ChannelType) -> Result<Self, WireError> {
        Self::bounded(bytes, "size of a client's message", client_bound(channel))
    }

    /// The header of a message of a server, from the first six bytes.
    ///
    /// # Errors
    /// Fewer bytes, or a size beyond [`server_bound`].
    pub fn from_server(bytes: &[u8], channel: ChannelType) -> Result<Self, WireError> {
        Self::bounded(bytes, "size of a server's message", server_bound(channel))
    }

    fn bounded(bytes: &[u8], what: &'static str, max: u32) -> Result<Self, WireError> {
        let header = Self::decode(&Reader::new("message header", bytes).array()?);
        if header.size > max {
            return Err(WireError::OutOfBounds {
                what,
                offset: 2,
                seen: header.size.into(),
                min: 0,
                max: max.into(),
            });
        }
        Ok(header)
    }
}

/// The most bytes that the body of a client's message may have.
///
/// * Main: agent data is cut in pieces of 2048 bytes (`VD_AGENT_MAX_DATA_SIZE`), all
///   else is shorter than 32.
/// * Display: the longest is the list of preferred codecs, 256 bytes.
/// * Inputs: scan codes, of which clients send up to a few keys at once.
/// * Cursor and the rest: nothing but the messages of every channel.
///
/// Each with room for messages that are not known and are skipped.
pub fn client_bound(channel: ChannelType) -> u32 {
    match channel {
        ChannelType::Main => 4096,
        ChannelType::Display => 1024,
        _ => 512,
    }
}

/// The most bytes that the body of a server's message may have.
///
/// * Display: a packet of a stream; an intra picture of 8192x8192 at two bits per
///   pixel, which is more than any encoder makes of a desktop, is 16 MiB.
/// * Cursor: a shape of 512x512, four bytes and a mask bit per pixel.
/// * Else the longest are agent data, names and notices.
pub fn server_bound(channel: ChannelType) -> u32 {
    match channel {
        ChannelType::Display => 32 << 20,
        ChannelType::Cursor => 2 << 20,
        _ => 64 << 10,
    }
}

/// Refuses a client that can only read the 18-byte header.
///
/// # Errors
/// [`WireError::NoMiniHeader`]; [`LinkError`](super::link::LinkError) to answer is
/// its [`link_error`](WireError::link_error).
pub fn require_mini_header(link: &LinkMessage) -> Result<(), WireError> {
    if link.common_caps.has(CommonCap::MiniHeader) {
        return Ok(());
    }
    Err(WireError::NoMiniHeader {
        caps: link.common_caps.word(0),
    })
}

/// Appends a message: header, then the body that `body` writes.
pub(crate) fn put(out: &mut Vec<u8>, kind: u16, body: impl FnOnce(&mut Writer<'_>)) {
    let start = out.len();
    out.extend_from_slice(&MiniHeader { kind, size: 0 }.encode());
    body(&mut Writer(out));
    let size = out.len() - start - MINI_HEADER_LEN;
    let size = u32::try_from(size).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(start + 2..start + MINI_HEADER_LEN) {
        place.copy_from_slice(&size.to_le_bytes());
    }
}
