//! The link, step by step.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use rand_core::OsRng;
use rsa::pkcs8::DecodePublicKey;
use rsa::{Oaep, RsaPublicKey};
use scanout_spice::wire::WireError;
use scanout_spice::wire::link::{
    AuthMechanism, Capabilities, ChannelType, CommonCap, LINK_HEADER_LEN, LinkError, LinkHeader,
    LinkMessage, LinkReply, PUBLIC_KEY_LEN, TICKET_LEN,
};
use sha1::Sha1;

use crate::{Address, Connection};

/// What to link, and how.
#[derive(Clone, Debug)]
pub struct Request {
    /// Zero for a new session.
    pub connection_id: u32,
    /// The channel.
    pub channel_type: ChannelType,
    /// Which of several.
    pub channel_id: u8,
    /// Of the channel.
    pub channel_caps: Capabilities,
    /// Sent encrypted.
    pub password: Vec<u8>,
    /// For each step.
    pub limit: Duration,
    /// See [`Address::connect`].
    pub receive_buffer: Option<usize>,
}

impl Request {
    /// A request for that channel, with no capabilities of the channel.
    pub fn new(
        channel_type: ChannelType,
        channel_id: u8,
        connection_id: u32,
        password: &str,
    ) -> Self {
        Self {
            connection_id,
            channel_type,
            channel_id,
            channel_caps: Capabilities::default(),
            password: password.as_bytes().to_vec(),
            limit: Duration::from_secs(10),
            receive_buffer: None,
        }
    }

    /// The client's first message, with the common capabilities of spice-gtk.
    pub fn message(&self) -> LinkMessage {
        LinkMessage {
            connection_id: self.connection_id,
            channel_type: self.channel_type,
            channel_id: self.channel_id,
            common_caps: Capabilities::of([
                CommonCap::AuthSelection,
                CommonCap::AuthSasl,
                CommonCap::MiniHeader,
            ]),
            channel_caps: self.channel_caps,
        }
    }
}

/// A channel that is linked.
#[derive(Debug)]
pub struct Linked {
    /// Where its messages go.
    pub connection: Connection,
    /// The server's capabilities for every channel.
    pub common_caps: Capabilities,
    /// The server's capabilities for this one.
    pub channel_caps: Capabilities,
    /// The key that this link was given.
    pub public_key: [u8; PUBLIC_KEY_LEN],
    /// When the connection was asked for.
    pub began: Instant,
}

/// Why a link failed.
#[derive(Debug, thiserror::Error)]
pub enum LinkFailure {
    /// The connection broke, or nothing came in time.
    #[error("{step}: {source}")]
    Io {
        /// What was being done.
        step: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// What came was no reply.
    #[error("the server's reply: {0}")]
    Wire(#[from] WireError),
    /// The reply is a refusal.
    #[error("the link was refused: {0:?}")]
    Refused(LinkError),
    /// The ticket was.
    #[error("the ticket was refused: {0:?}")]
    Denied(LinkError),
    /// The server's key is none, or the password too long for it.
    #[error("the server's key: {0}")]
    Key(String),
    /// The server lacks what a stock client needs.
    #[error(
        "the server's common capabilities are {0:?}: AUTH_SELECTION, AUTH_SPICE and MINI_HEADER are needed"
    )]
    Caps(Capabilities),
}

fn io_error(step: &'static str) -> impl FnOnce(io::Error) -> LinkFailure {
    move |source| LinkFailure::Io { step, source }
}

/// Connects and links a channel.
///
/// # Errors
/// [`LinkFailure`].
pub fn link(address: &Address, request: &Request) -> Result<Linked, LinkFailure> {
    let began = Instant::now();
    let mut connection = address
        .connect(request.limit, request.receive_buffer)
        .map_err(io_error("connect"))?;
    connection
        .set_read_timeout(request.limit)
        .map_err(io_error("connect"))?;
    connection
        .set_write_timeout(request.limit)
        .map_err(io_error("connect"))?;
    let mut bytes = Vec::new();
    request.message().encode(&mut bytes);
    connection
        .write_all(&bytes)
        .map_err(io_error("sending the link message"))?;
    let reply = read_reply(&mut connection)?;
    if reply.error != LinkError::Ok {
        return Err(LinkFailure::Refused(reply.error));
    }
    let needed = [
        CommonCap::AuthSelection,
        CommonCap::AuthSpice,
        CommonCap::MiniHeader,
    ];
    if !needed.into_iter().all(|cap| reply.common_caps.has(cap)) {
        return Err(LinkFailure::Caps(reply.common_caps));
    }
    let mut bytes = AuthMechanism::Spice.encode().to_vec();
    bytes.extend_from_slice(&ticket(&reply.public_key, &request.password)?);
    connection
        .write_all(&bytes)
        .map_err(io_error("sending the ticket"))?;
    let mut result = [0; 4];
    connection
        .read_exact(&mut result)
        .map_err(io_error("reading the link's result"))?;
    match LinkError::decode(result)? {
        LinkError::Ok => Ok(Linked {
            connection,
            common_caps: reply.common_caps,
            channel_caps: reply.channel_caps,
            public_key: reply.public_key,
            began,
        }),
        error => Err(LinkFailure::Denied(error)),
    }
}

/// Reads a server's reply, whatever it says.
///
/// # Errors
/// [`LinkFailure::Io`] or [`LinkFailure::Wire`].
pub fn read_reply(connection: &mut Connection) -> Result<LinkReply, LinkFailure> {
    let mut head = [0; LINK_HEADER_LEN];
    connection
        .read_exact(&mut head)
        .map_err(io_error("reading the link reply"))?;
    let head = LinkHeader::from_server(&head)?;
    let mut body = vec![0; head.size as usize];
    connection
        .read_exact(&mut body)
        .map_err(io_error("reading the link reply"))?;
    Ok(LinkReply::decode(&body)?)
}

/// The password, with its zero, encrypted by a server's key.
///
/// # Errors
/// [`LinkFailure::Key`].
pub fn ticket(public_key: &[u8], password: &[u8]) -> Result<[u8; TICKET_LEN], LinkFailure> {
    let key = RsaPublicKey::from_public_key_der(public_key)
        .map_err(|error| LinkFailure::Key(error.to_string()))?;
    let text = [password, &[0]].concat();
    let ticket = key
        .encrypt(&mut OsRng, Oaep::new::<Sha1>(), &text)
        .map_err(|error| LinkFailure::Key(error.to_string()))?;
    ticket.try_into().map_err(|ticket: Vec<u8>| {
        LinkFailure::Key(format!("{} bytes, not those of RSA-1024", ticket.len() * 8))
    })
}
