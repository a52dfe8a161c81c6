//! Messages of every channel, numbers below 101.

use super::WireError;
use super::codec::{Reader, at_most, without_nul};
use super::frame::put;
use super::link::{ChannelType, LinkError};

/// Numbers of the messages.
pub mod kind {
    /// Server: go to another host. Never sent here.
    pub const MIGRATE: u16 = 1;
    /// Server: state for the other host. Never sent here.
    pub const MIGRATE_DATA: u16 = 2;
    /// Server: acknowledge every so many messages.
    pub const SET_ACK: u16 = 3;
    /// Server: answer with PONG.
    pub const PING: u16 = 4;
    /// Server: wait until other channels are that far.
    pub const WAIT_FOR_CHANNELS: u16 = 5;
    /// Server: goodbye.
    pub const DISCONNECTING: u16 = 6;
    /// Server: something to tell the user.
    pub const NOTIFY: u16 = 7;

    /// Client: a SET_ACK is in force.
    pub const ACK_SYNC: u16 = 1;
    /// Client: a window of messages was read.
    pub const ACK: u16 = 2;
    /// Client: the answer to PING.
    pub const PONG: u16 = 3;
    /// Client: part of a migration.
    pub const MIGRATE_FLUSH_MARK: u16 = 4;
    /// Client: state of a migration.
    pub const CLIENT_MIGRATE_DATA: u16 = 5;
    /// Client: goodbye.
    pub const CLIENT_DISCONNECTING: u16 = 6;

    /// The last number of messages that every channel has.
    pub const LAST: u16 = 100;
}

/// The longest text of a [`Notice`].
pub const NOTICE_MAX: usize = 1024;
/// The most channels to wait for: as many as a session can have.
const WAITS_MAX: usize = u8::MAX as usize;

/// What a server may send on every channel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BaseServerMessage<'a> {
    /// The client is to answer [`BaseClientMessage::AckSync`], then
    /// [`Ack`](BaseClientMessage::Ack) after each `window` messages.
    SetAck {
        /// Named in the answer.
        generation: u32,
        /// Messages between two acknowledgements; zero turns them off.
        window: u32,
    },
    /// To be answered with the same numbers.
    Ping {
        /// Chosen by the server.
        id: u32,
        /// Chosen by the server; upstream's is in nanoseconds.
        timestamp: u64,
        /// Ballast, to measure a network with. Comes not back.
        data: &'a [u8],
    },
    /// Wait until these channels have received these messages.
    WaitForChannels(Vec<ChannelWait>),
    /// The server goes.
    Disconnecting {
        /// When, in nanoseconds of the server's clock.
        timestamp: u64,
        /// Why.
        reason: LinkError,
    },
    /// Something to tell the user.
    Notify(Notice<'a>),
    /// A message that is not known.
    Unknown {
        /// Its number.
        kind: u16,
        /// Bytes of its body.
        size: usize,
    },
}

/// One channel of [`BaseServerMessage::WaitForChannels`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelWait {
    /// The channel.
    pub channel_type: ChannelType,
    /// Which of several.
    pub channel_id: u8,
    /// The number of the message to wait for.
    pub message_serial: u64,
}

/// Something to tell the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice<'a> {
    /// When, in nanoseconds of the server's clock.
    pub timestamp: u64,
    /// How bad.
    pub severity: Severity,
    /// 0 low, 1 medium, 2 high.
    pub visibility: u32,
    /// A number for the error, warning or information.
    pub what: u32,
    /// Text, UTF-8 by custom; cut after [`NOTICE_MAX`] bytes.
    pub message: &'a [u8],
}

/// How bad a [`Notice`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Severity {
    /// To know.
    Info = 0,
    /// To look after.
    Warn = 1,
    /// Something failed.
    Error = 2,
}

impl<'a> BaseServerMessage<'a> {
    /// The number of the message.
    pub fn kind(&self) -> u16 {
        match self {
            Self::SetAck { .. } => kind::SET_ACK,
            Self::Ping { .. } => kind::PING,
            Self::WaitForChannels(_) => kind::WAIT_FOR_CHANNELS,
            Self::Disconnecting { .. } => kind::DISCONNECTING,
            Self::Notify(_) => kind::NOTIFY,
            Self::Unknown { kind, .. } => *kind,
        }
    }

    /// Appends header and body; an unknown message as that many zeros.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put(out, self.kind(), |w| match self {
            Self::SetAck { generation, window } => {
                w.u32(*generation).u32(*window);
            }
            Self::Ping {
                id,
                timestamp,
                data,
            } => {
                w.u32(*id).u64(*timestamp).bytes(data);
            }
            Self::WaitForChannels(waits) => {
                let waits = at_most(waits, WAITS_MAX);
                w.u8(waits.len() as u8);
                for wait in waits {
                    w.u8(wait.channel_type.to_wire())
                        .u8(wait.channel_id)
                        .u64(wait.message_serial);
                }
            }
            Self::Disconnecting { timestamp, reason } => {
                w.u64(*timestamp).u32(reason.to_wire());
            }
            Self::Notify(notice) => {
                let message = at_most(notice.message, NOTICE_MAX);
                w.u64(notice.timestamp)
                    .u32(notice.severity as u32)
                    .u32(notice.visibility)
                    .u32(notice.what);
                // A zero that is not counted: clients print the text as a C string.
                w.u32(message.len() as u32).bytes(message).u8(0);
            }
            Self::Unknown { size, .. } => w.zeros(*size),
        });
    }

    /// The message of that number.
    ///
    /// # Errors
    /// A body that is not exactly that message.
    pub fn decode(kind: u16, body: &'a [u8]) -> Result<Self, WireError> {
        match kind {
            kind::SET_ACK => {
                let mut r = Reader::new("SET_ACK", body);
                let (generation, window) = (r.u32()?, r.u32()?);
                r.finish(Self::SetAck { generation, window })
            }
            kind::PING => {
                let mut r = Reader::new("PING", body);
                Ok(Self::Ping {
                    id: r.u32()?,
                    timestamp: r.u64()?,
                    data: r.rest(),
                })
            }
            kind::WAIT_FOR_CHANNELS => {
                let mut r = Reader::new("WAIT_FOR_CHANNELS", body);
                let count = r.u8()?;
                let count =
                    r.count("channels of WAIT_FOR_CHANNELS", count.into(), 10, WAITS_MAX)?;
                let mut waits = Vec::with_capacity(count);
                for _ in 0..count {
                    waits.push(ChannelWait {
                        channel_type: ChannelType::from_wire(r.u8()?),
                        channel_id: r.u8()?,
                        message_serial: r.u64()?,
                    });
                }
                r.finish(Self::WaitForChannels(waits))
            }
            kind::DISCONNECTING => {
                let mut r = Reader::new("DISCONNECTING", body);
                let timestamp = r.u64()?;
                let reason = LinkError::take(&mut r, "reason of DISCONNECTING")?;
                r.finish(Self::Disconnecting { timestamp, reason })
            }
            kind::NOTIFY => Notice::decode(body).map(Self::Notify),
            kind => Ok(Self::Unknown {
                kind,
                size: body.len(),
            }),
        }
    }
}

impl<'a> Notice<'a> {
    fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let mut r = Reader::new("NOTIFY", body);
        let timestamp = r.u64()?;
        let seen = r.u32()?;
        let severity = match seen {
            0 => Some(Severity::Info),
            1 => Some(Severity::Warn),
            2 => Some(Severity::Error),
            _ => None,
        };
        let severity = r.known("severity of NOTIFY", 4, seen.into(), "0 to 2", severity)?;
        let (visibility, what, len) = (r.u32()?, r.u32()?, r.u32()?);
        let len = r.count("text of NOTIFY", len.into(), 1, NOTICE_MAX)?;
        let message = r.bytes(len)?;
        if without_nul(r.peek()).is_empty() {
            r.rest();
        }
        r.finish(Self {
            timestamp,
            severity,
            visibility,
            what,
            message,
        })
    }
}

/// What a client may send on every channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BaseClientMessage {
    /// From here on [`Ack`](Self::Ack) is counted by the SET_ACK of this number.
    AckSync {
        /// Of the SET_ACK.
        generation: u32,
    },
    /// One more window of messages was read.
    Ack,
    /// The answer to a PING.
    Pong {
        /// As in the PING.
        id: u32,
        /// As in the PING.
        timestamp: u64,
    },
    /// The client goes.
    Disconnecting {
        /// When, in nanoseconds of the client's clock.
        timestamp: u64,
        /// Why: [`LinkError::Ok`] mostly.
        reason: u32,
    },
    /// A message of a migration, which is never begun here, or one not known.
    Unknown {
        /// Its number.
        kind: u16,
        /// Bytes of its body.
        size: usize,
    },
}

impl BaseClientMessage {
    /// The number of the message.
    pub fn kind(&self) -> u16 {
        match self {
            Self::AckSync { .. } => kind::ACK_SYNC,
            Self::Ack => kind::ACK,
            Self::Pong { .. } => kind::PONG,
            Self::Disconnecting { .. } => kind::CLIENT_DISCONNECTING,
            Self::Unknown { kind, .. } => *kind,
        }
    }

    /// Appends header and body; an unknown message as that many zeros.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put(out, self.kind(), |w| match self {
            Self::AckSync { generation } => {
                w.u32(*generation);
            }
            Self::Ack => {}
            Self::Pong { id, timestamp } => {
                w.u32(*id).u64(*timestamp);
            }
            Self::Disconnecting { timestamp, reason } => {
                w.u64(*timestamp).u32(*reason);
            }
            Self::Unknown { size, .. } => w.zeros(*size),
        });
    }

    /// The message of that number.
    ///
    /// # Errors
    /// A body too short for that message.
    pub fn decode(kind: u16, body: &[u8]) -> Result<Self, WireError> {
        match kind {
            kind::ACK_SYNC => Ok(Self::AckSync {
                generation: Reader::new("ACK_SYNC", body).u32()?,
            }),
            kind::ACK => Ok(Self::Ack),
            kind::PONG => {
                let mut r = Reader::new("PONG", body);
                Ok(Self::Pong {
                    id: r.u32()?,
                    timestamp: r.u64()?,
                })
            }
            kind::CLIENT_DISCONNECTING => {
                let mut r = Reader::new("DISCONNECTING", body);
                Ok(Self::Disconnecting {
                    timestamp: r.u64()?,
                    reason: r.u32()?,
                })
            }
            kind => Ok(Self::Unknown {
                kind,
                size: body.len(),
            }),
        }
    }
}
