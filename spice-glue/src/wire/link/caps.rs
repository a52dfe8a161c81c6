//! Capabilities: sets of bits in words of 32.

use std::fmt;

use super::super::WireError;
use super::super::codec::{Reader, Writer};
use super::LINK_BODY_MAX;

/// Words that are kept of a peer's capabilities. All that were ever given a meaning
/// are in the first; those of later words are read past.
const WORDS: usize = 4;

/// A set of capabilities of one channel, or of all ([`CommonCap`]).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Capabilities([u32; WORDS]);

/// A type whose values are bits of [`Capabilities`].
pub trait Capability: Copy {
    /// The number of the bit.
    fn bit(self) -> u32;
}

macro_rules! capabilities {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $cap:ident = $bit:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        #[non_exhaustive]
        pub enum $name { $($(#[$doc])* $cap = $bit,)* }

        impl Capability for $name {
            fn bit(self) -> u32 {
                self as u32
            }
        }
    };
}

capabilities! {
    /// Capabilities of every channel.
    CommonCap {
        /// The client says which [`AuthMechanism`](super::AuthMechanism) it uses.
        AuthSelection = 0,
        /// A password encrypted with the server's key.
        AuthSpice = 1,
        /// SASL.
        AuthSasl = 2,
        /// The header of six bytes.
        MiniHeader = 3,
    }
}

capabilities! {
    /// Capabilities of the main channel.
    MainCap {
        /// Migration that starts anew at the other end.
        SemiSeamlessMigrate = 0,
        /// The messages NAME and UUID.
        NameAndUuid = 1,
        /// The message AGENT_CONNECTED_TOKENS.
        AgentConnectedTokens = 2,
        /// Migration with state.
        SeamlessMigrate = 3,
    }
}

capabilities! {
    /// Capabilities of the display channel.
    DisplayCap {
        /// The message STREAM_DATA_SIZED.
        SizedStream = 0,
        /// The message MONITORS_CONFIG. A server that says so must send it.
        MonitorsConfig = 1,
        /// The message DRAW_COMPOSITE.
        Composite = 2,
        /// Surfaces of alpha alone.
        A8Surface = 3,
        /// Reports of what a stream came to.
        StreamReport = 4,
        /// Images in LZ4.
        Lz4Compression = 5,
        /// The message PREFERRED_COMPRESSION.
        PrefCompression = 6,
        /// Scanouts as file descriptors, on a Unix socket.
        GlScanout = 7,
        /// Which codecs is said by the following bits; without this one, MJPEG.
        MultiCodec = 8,
        /// MJPEG.
        CodecMjpeg = 9,
        /// VP8.
        CodecVp8 = 10,
        /// H.264.
        CodecH264 = 11,
        /// The message PREFERRED_VIDEO_CODEC_TYPE.
        PrefVideoCodecType = 12,
        /// VP9.
        CodecVp9 = 13,
        /// H.265.
        CodecH265 = 14,
    }
}

capabilities! {
    /// Capabilities of the inputs channel.
    InputsCap {
        /// The message KEY_SCANCODE.
        KeyScancode = 0,
    }
}

impl Capabilities {
    /// The set of these.
    pub fn of<C: Capability>(caps: impl IntoIterator<Item = C>) -> Self {
        let mut set = Self::default();
        for cap in caps {
            set.insert(cap);
        }
        set
    }

    /// The set in these words; words beyond the fourth are dropped.
    pub fn from_words(words: impl IntoIterator<Item = u32>) -> Self {
        let mut set = Self::default();
        for (place, word) in set.0.iter_mut().zip(words) {
            *place = word;
        }
        set
    }

    /// Whether `cap` is in the set.
    pub fn has(&self, cap: impl Capability) -> bool {
        self.word(cap.bit() as usize / 32) & 1 << (cap.bit() % 32) != 0
    }

    /// Adds `cap`.
    pub fn insert(&mut self, cap: impl Capability) {
        if let Some(word) = self.0.get_mut(cap.bit() as usize / 32) {
            *word |= 1 << (cap.bit() % 32);
        }
    }

    /// The word of that index, zero beyond the last.
    pub fn word(&self, index: usize) -> u32 {
        self.0.get(index).copied().unwrap_or(0)
    }

    /// The words up to the last that is not zero.
    pub fn words(&self) -> &[u32] {
        let len = self
            .0
            .iter()
            .rposition(|word| *word != 0)
            .map_or(0, |last| last + 1);
        self.0.get(..len).unwrap_or_default()
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(
                self.words()
                    .iter()
                    .map(|word| format_args!("{word:#x}").to_string()),
            )
            .finish()
    }
}

/// The body of a link message or reply: from `min` bytes to the most of all.
pub(super) fn check_body(what: &'static str, body: &[u8], min: usize) -> Result<(), WireError> {
    if (min..=LINK_BODY_MAX).contains(&body.len()) {
        return Ok(());
    }
    Err(WireError::OutOfBounds {
        what,
        offset: 0,
        seen: body.len() as u64,
        min: min as u64,
        max: LINK_BODY_MAX as u64,
    })
}

/// The three words at the end of the fixed part, and the capabilities after it.
pub(super) fn put(writer: &mut Writer<'_>, common: &[u32], channel: &[u32], fixed: usize) {
    writer
        .u32(common.len() as u32)
        .u32(channel.len() as u32)
        .u32(fixed as u32);
    for word in common.iter().chain(channel) {
        writer.u32(*word);
    }
}

/// Reads what [`put`] wrote. The capabilities lie where the message says, which may
/// be anywhere after the fixed part: upstream takes them from there too.
pub(super) fn take(
    reader: &mut Reader<'_>,
    body: &[u8],
    fixed: usize,
) -> Result<(Capabilities, Capabilities), WireError> {
    let most = (LINK_BODY_MAX / 4) as u64;
    let count = |reader: &mut Reader<'_>| {
        let (offset, seen) = (reader.offset(), u64::from(reader.u32()?));
        match seen <= most {
            true => Ok(seen as usize),
            false => Err(WireError::OutOfBounds {
                what: "words of capabilities",
                offset,
                seen,
                min: 0,
                max: most,
            }),
        }
    };
    let (common, channel) = (count(reader)?, count(reader)?);
    let (offset, start) = (reader.offset(), reader.u32()?);
    let need = 4 * (common + channel);
    if need == 0 {
        return Ok(Default::default());
    }
    // Cannot wrap: a body has 4096 bytes at most, and what is too long was refused.
    let last = body.len().saturating_sub(need);
    if !(fixed as u64..=last as u64).contains(&start.into()) {
        return Err(WireError::OutOfBounds {
            what: "offset of the capabilities",
            offset,
            seen: start.into(),
            min: fixed as u64,
            max: last as u64,
        });
    }
    let mut reader = Reader::new(
        "capabilities",
        body.get(start as usize..).unwrap_or_default(),
    );
    let mut set = |count: usize| {
        let mut words = Reader::new("capabilities", reader.bytes(4 * count)?);
        Ok(Capabilities::from_words(std::iter::from_fn(|| {
            words.u32().ok()
        })))
    };
    Ok((set(common)?, set(channel)?))
}
