//! The main channel: the session, the clock, the mouse mode, the guest's agent.

use super::WireError;
use super::base::{self, BaseClientMessage, BaseServerMessage};
use super::codec::{Reader, at_most, without_nul};
use super::frame::put;
use super::link::{ChannelType, LinkError};

/// Numbers of the messages.
pub mod kind {
    /// Server: the session begins.
    pub const INIT: u16 = 103;
    /// Server: which channels there are.
    pub const CHANNELS_LIST: u16 = 104;
    /// Server: how the pointer works.
    pub const MOUSE_MODE: u16 = 105;
    /// Server: the clock of the streams.
    pub const MULTI_MEDIA_TIME: u16 = 106;
    /// Server: the guest's agent is there.
    pub const AGENT_CONNECTED: u16 = 107;
    /// Server: the guest's agent is gone.
    pub const AGENT_DISCONNECTED: u16 = 108;
    /// Server: bytes of the guest's agent.
    pub const AGENT_DATA: u16 = 109;
    /// Server: so many more agent messages may be sent.
    pub const AGENT_TOKEN: u16 = 110;
    /// Server: the guest's name.
    pub const NAME: u16 = 113;
    /// Server: the guest's UUID.
    pub const UUID: u16 = 114;
    /// Server: the agent is there, with tokens.
    pub const AGENT_CONNECTED_TOKENS: u16 = 115;

    /// Client: what cache it has.
    pub const CLIENT_INFO: u16 = 101;
    /// Client: send the list of channels.
    pub const ATTACH_CHANNELS: u16 = 104;
    /// Client: the mouse mode wanted.
    pub const MOUSE_MODE_REQUEST: u16 = 105;
    /// Client: talk to the agent, with tokens.
    pub const AGENT_START: u16 = 106;
    /// Client: bytes for the agent.
    pub const CLIENT_AGENT_DATA: u16 = 107;
    /// Client: so many more agent messages may be sent.
    pub const CLIENT_AGENT_TOKEN: u16 = 108;
}

/// The most channels in a list: what a session can have by type and number.
pub const CHANNELS_MAX: usize = 256;
/// The longest name of a guest.
pub const NAME_MAX: usize = 256;
/// The most bytes of agent data in one message (`VD_AGENT_MAX_DATA_SIZE`).
pub const AGENT_DATA_MAX: usize = 2048;

bitflags::bitflags! {
    /// How the pointer works.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct MouseModes: u16 {
        /// The client sends motions and draws where the server puts the pointer.
        const SERVER = 1;
        /// The client sends positions; wants a tablet on the guest's side.
        const CLIENT = 2;
    }
}

/// The beginning of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MainInit {
    /// What the links of the other channels name. Not zero.
    pub session_id: u32,
    /// How many displays the client may expect.
    pub display_channels_hint: u32,
    /// Modes that can be asked for.
    pub supported_mouse_modes: MouseModes,
    /// The mode now.
    pub current_mouse_mode: MouseModes,
    /// Whether the guest's agent is there.
    pub agent_connected: bool,
    /// How many messages for the agent may be sent before the next token.
    pub agent_tokens: u32,
    /// The clock of the streams, in milliseconds. Never zero.
    pub multi_media_time: u32,
    /// Memory of the display, for caches of the client.
    pub ram_hint: u32,
}

/// A channel that can be linked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChannelId {
    /// Of this type.
    pub channel_type: ChannelType,
    /// Which of several, from zero.
    pub id: u8,
}

/// What a server sends on the main channel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MainServerMessage<'a> {
    /// One of every channel's, or one that is not known.
    Base(BaseServerMessage<'a>),
    /// The first message.
    Init(MainInit),
    /// The channels, after ATTACH_CHANNELS.
    ChannelsList(Vec<ChannelId>),
    /// The pointer's mode changed.
    MouseMode {
        /// Modes that can be asked for.
        supported: MouseModes,
        /// The mode now.
        current: MouseModes,
    },
    /// The clock of the streams, in milliseconds. Never zero.
    MultiMediaTime(u32),
    /// The agent is there.
    AgentConnected,
    /// The agent is gone.
    AgentDisconnected(LinkError),
    /// Bytes of the agent, at most [`AGENT_DATA_MAX`].
    AgentData(&'a [u8]),
    /// So many more messages for the agent may be sent.
    AgentToken(u32),
    /// The guest's name, without the zero at its end.
    Name(&'a [u8]),
    /// The guest's UUID.
    Uuid([u8; 16]),
    /// The agent is there, and takes so many messages.
    AgentConnectedTokens(u32),
}

impl<'a> MainServerMessage<'a> {
    /// The number of the message.
    pub fn kind(&self) -> u16 {
        match self {
            Self::Base(message) => message.kind(),
            Self::Init(_) => kind::INIT,
            Self::ChannelsList(_) => kind::CHANNELS_LIST,
            Self::MouseMode { .. } => kind::MOUSE_MODE,
            Self::MultiMediaTime(_) => kind::MULTI_MEDIA_TIME,
            Self::AgentConnected => kind::AGENT_CONNECTED,
            Self::AgentDisconnected(_) => kind::AGENT_DISCONNECTED,
            Self::AgentData(_) => kind::AGENT_DATA,
            Self::AgentToken(_) => kind::AGENT_TOKEN,
            Self::Name(_) => kind::NAME,
            Self::Uuid(_) => kind::UUID,
            Self::AgentConnectedTokens(_) => kind::AGENT_CONNECTED_TOKENS,
        }
    }

    /// Appends header and body. Of lists and texts that are longer than their bound,
    /// what is beyond it is left out.
    pub fn encode(&self, out: &mut Vec<u8>) {
        if let Self::Base(message) = self {
            return message.encode(out);
        }
        put(out, self.kind(), |w| match self {
            Self::Base(_) | Self::AgentConnected => {}
            Self::Init(init) => {
                w.u32(init.session_id).u32(init.display_channels_hint);
                w.u32(init.supported_mouse_modes.bits().into())
                    .u32(init.current_mouse_mode.bits().into());
                w.u32(init.agent_connected.into()).u32(init.agent_tokens);
                w.u32(init.multi_media_time).u32(init.ram_hint);
            }
            Self::ChannelsList(channels) => {
                let channels = at_most(channels, CHANNELS_MAX);
                w.u32(channels.len() as u32);
                for channel in channels {
                    w.u8(channel.channel_type.to_wire()).u8(channel.id);
                }
            }
            Self::MouseMode { supported, current } => {
                w.u16(supported.bits()).u16(current.bits());
            }
            Self::MultiMediaTime(value)
            | Self::AgentToken(value)
            | Self::AgentConnectedTokens(value) => {
                w.u32(*value);
            }
            Self::AgentDisconnected(reason) => {
                w.u32(reason.to_wire());
            }
            Self::AgentData(data) => {
                w.bytes(at_most(data, AGENT_DATA_MAX));
            }
            Self::Name(name) => {
                let name = at_most(name, NAME_MAX);
                // The zero is counted: clients take it for a C string.
                w.u32(name.len() as u32 + 1).bytes(name).u8(0);
            }
            Self::Uuid(uuid) => {
                w.bytes(uuid);
            }
        });
    }

    /// The message of that number.
    ///
    /// # Errors
    /// A body that is not exactly that message.
    pub fn decode(kind: u16, body: &'a [u8]) -> Result<Self, WireError> {
        let one = |what| {
            let mut r = Reader::new(what, body);
            let value = r.u32()?;
            r.finish(value)
        };
        match kind {
            kind::INIT => MainInit::decode(body).map(Self::Init),
            kind::CHANNELS_LIST => {
                let mut r = Reader::new("CHANNELS_LIST", body);
                let count = r.u32()?;
                let count = r.count("channels of CHANNELS_LIST", count.into(), 2, CHANNELS_MAX)?;
                let mut channels = Vec::with_capacity(count);
                for _ in 0..count {
                    channels.push(ChannelId {
                        channel_type: ChannelType::from_wire(r.u8()?),
                        id: r.u8()?,
                    });
                }
                r.finish(Self::ChannelsList(channels))
            }
            kind::MOUSE_MODE => {
                let mut r = Reader::new("MOUSE_MODE", body);
                let supported = MouseModes::from_bits_retain(r.u16()?);
                let current = MouseModes::from_bits_retain(r.u16()?);
                r.finish(Self::MouseMode { supported, current })
            }
            kind::MULTI_MEDIA_TIME => one("MULTI_MEDIA_TIME").map(Self::MultiMediaTime),
            kind::AGENT_CONNECTED => {
                Reader::new("AGENT_CONNECTED", body).finish(Self::AgentConnected)
            }
            kind::AGENT_DISCONNECTED => {
                let mut r = Reader::new("AGENT_DISCONNECTED", body);
                let reason = LinkError::take(&mut r, "reason of AGENT_DISCONNECTED")?;
                r.finish(Self::AgentDisconnected(reason))
            }
            kind::AGENT_DATA => {
                let mut r = Reader::new("AGENT_DATA", body);
                r.count("AGENT_DATA", body.len() as u64, 1, AGENT_DATA_MAX)?;
                Ok(Self::AgentData(r.rest()))
            }
            kind::AGENT_TOKEN => one("AGENT_TOKEN").map(Self::AgentToken),
            kind::NAME => {
                let mut r = Reader::new("NAME", body);
                let len = r.u32()?;
                let len = r.count("text of NAME", len.into(), 1, NAME_MAX + 1)?;
                let name = r.bytes(len)?;
                r.finish(Self::Name(without_nul(name)))
            }
            kind::UUID => {
                let mut r = Reader::new("UUID", body);
                let uuid = r.array()?;
                r.finish(Self::Uuid(uuid))
            }
            kind::AGENT_CONNECTED_TOKENS => {
                one("AGENT_CONNECTED_TOKENS").map(Self::AgentConnectedTokens)
            }
            kind => BaseServerMessage::decode(kind, body).map(Self::Base),
        }
    }
}

impl MainInit {
    fn decode(body: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new("main INIT", body);
        let modes = |r: &mut Reader<'_>, field| {
            let seen = r.u32()?;
            let modes = u16::try_from(seen).ok().map(MouseModes::from_bits_retain);
            r.known(field, 4, seen.into(), "bits 1 (server), 2 (client)", modes)
        };
        let init = Self {
            session_id: r.u32()?,
            display_channels_hint: r.u32()?,
            supported_mouse_modes: modes(&mut r, "supported mouse modes of main INIT")?,
            current_mouse_mode: modes(&mut r, "mouse mode of main INIT")?,
            agent_connected: r.u32()? != 0,
            agent_tokens: r.u32()?,
            multi_media_time: r.u32()?,
            ram_hint: r.u32()?,
        };
        r.finish(init)
    }
}

/// What a client sends on the main channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MainClientMessage<'a> {
    /// One of every channel's.
    Base(BaseClientMessage),
    /// The size of its image cache.
    ClientInfo {
        /// In bytes.
        cache_size: u64,
    },
    /// Asks for the list of channels.
    AttachChannels,
    /// Asks for a mouse mode.
    MouseModeRequest(MouseModes),
    /// Begins to talk to the agent, and takes so many messages.
    AgentStart {
        /// Messages of the agent that may be sent.
        tokens: u32,
    },
    /// Bytes for the agent ([`agent`](super::agent)), at most [`AGENT_DATA_MAX`].
    AgentData(&'a [u8]),
    /// Takes so many more messages of the agent.
    AgentToken {
        /// Messages of the agent that may be sent.
        tokens: u32,
    },
    /// A message of a migration, which is never begun here, or one not known.
    Unknown {
        /// Its number.
        kind: u16,
        /// Bytes of its body.
        size: usize,
    },
}

impl<'a> MainClientMessage<'a> {
    /// The number of the message.
    pub fn kind(&self) -> u16 {
        match self {
            Self::Base(message) => message.kind(),
            Self::ClientInfo { .. } => kind::CLIENT_INFO,
            Self::AttachChannels => kind::ATTACH_CHANNELS,
            Self::MouseModeRequest(_) => kind::MOUSE_MODE_REQUEST,
            Self::AgentStart { .. } => kind::AGENT_START,
            Self::AgentData(_) => kind::CLIENT_AGENT_DATA,
            Self::AgentToken { .. } => kind::CLIENT_AGENT_TOKEN,
            Self::Unknown { kind, .. } => *kind,
        }
    }

    /// Appends header and body; an unknown message as that many zeros.
    pub fn encode(&self, out: &mut Vec<u8>) {
        if let Self::Base(message) = self {
            return message.encode(out);
        }
        put(out, self.kind(), |w| match self {
            Self::Base(_) | Self::AttachChannels => {}
            Self::ClientInfo { cache_size } => {
                w.u64(*cache_size);
            }
            Self::MouseModeRequest(mode) => {
                w.u16(mode.bits());
            }
            Self::AgentStart { tokens } | Self::AgentToken { tokens } => {
                w.u32(*tokens);
            }
            Self::AgentData(data) => {
                w.bytes(at_most(data, AGENT_DATA_MAX));
            }
            Self::Unknown { size, .. } => w.zeros(*size),
        });
    }

    /// The message of that number.
    ///
    /// # Errors
    /// A body too short for that message, or agent data beyond its bound.
    pub fn decode(kind: u16, body: &'a [u8]) -> Result<Self, WireError> {
        match kind {
            ..=base::kind::LAST => BaseClientMessage::decode(kind, body).map(Self::Base),
            kind::CLIENT_INFO => Ok(Self::ClientInfo {
                cache_size: Reader::new("CLIENT_INFO", body).u64()?,
            }),
            kind::ATTACH_CHANNELS => Ok(Self::AttachChannels),
            kind::MOUSE_MODE_REQUEST => {
                let mode = Reader::new("MOUSE_MODE_REQUEST", body).u16()?;
                Ok(Self::MouseModeRequest(MouseModes::from_bits_retain(mode)))
            }
            kind::AGENT_START => Ok(Self::AgentStart {
                tokens: Reader::new("AGENT_START", body).u32()?,
            }),
            kind::CLIENT_AGENT_DATA => {
                let mut r = Reader::new("AGENT_DATA", body);
                r.count("AGENT_DATA", body.len() as u64, 1, AGENT_DATA_MAX)?;
                Ok(Self::AgentData(r.rest()))
            }
            kind::CLIENT_AGENT_TOKEN => Ok(Self::AgentToken {
                tokens: Reader::new("AGENT_TOKEN", body).u32()?,
            }),
            kind => Ok(Self::Unknown {
                kind,
                size: body.len(),
            }),
        }
    }
}
