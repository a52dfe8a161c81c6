//! From a new connection to a channel that was let in.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout, timeout_at};

use super::Shared;
use super::channel;
use super::config::{Auth, Security};
use super::error::Refusal;
use super::limits::{Peer, Slot};
use super::registry::Claim;
use super::stream_io::Stream;
use super::ticket::{self, Verdict};
use crate::wire::WireError;
use crate::wire::frame::require_mini_header;
use crate::wire::link::{
    AuthMechanism, Capabilities, ChannelType, CommonCap, DisplayCap, InputsCap, LINK_HEADER_LEN,
    LinkError, LinkHeader, LinkMessage, LinkReply, TICKET_LEN,
};
use crate::wire::main::ChannelId;

/// How long a refused peer is read from, so that what it sent does not turn our answer
/// into a reset, and how much.
const FAREWELL: Duration = Duration::from_secs(1);
const FAREWELL_BYTES: u64 = 64 << 10;

/// A link that is let in.
struct Linked {
    message: LinkMessage,
    claim: Claim,
}

/// A link that is not.
struct Rejected {
    refusal: Refusal,
    /// For the log.
    why: String,
    /// What the protocol says to it; nothing where it is not listening.
    answer: Answer,
    /// It has cost more than it may have for nothing.
    delayed: bool,
}

enum Answer {
    None,
    /// Before the server's key was shown.
    Reply(LinkError),
    /// After a ticket was sent.
    Result(LinkError),
}

impl Rejected {
    fn new(refusal: Refusal, why: impl ToString, answer: Answer) -> Self {
        Self {
            refusal,
            why: why.to_string(),
            answer,
            delayed: refusal == Refusal::Ticket,
        }
    }

    fn gone(error: io::Error) -> Self {
        Self::new(Refusal::Gone, error, Answer::None)
    }

    /// A key was made for it, and it leaves without showing a ticket.
    fn gone_with_key(error: io::Error) -> Self {
        Self {
            delayed: true,
            ..Self::gone(error)
        }
    }

    fn malformed(error: WireError) -> Self {
        let refusal = match error {
            WireError::BadMagic { .. } => Refusal::Magic,
            WireError::BadVersion { .. } => Refusal::Version,
            WireError::NoMiniHeader { .. } => Refusal::Unsupported,
            _ => Refusal::Malformed,
        };
        let answer = Answer::Reply(error.link_error());
        Self::new(refusal, error, answer)
    }
}

/// Sees a connection through: link, ticket, and if it is let in, its channel to the end.
pub(super) async fn serve(
    connection: Stream,
    peer: Peer,
    security: Security,
    slot: Slot,
    server: Arc<Shared>,
) {
    let linked = tokio::select! {
        linked = let_in(connection, peer, security, slot, &server) => linked,
        () = server.stopped() => return,
    };
    if let Some((stream, linked)) = linked {
        server.counters.channels_linked.add(1);
        let caps = linked.message.channel_caps;
        channel::serve(stream, caps, linked.claim, &server).await;
    }
}

/// The link and its ticket; a link that is not let in is told why. The place among those
/// who authenticate is free afterwards.
async fn let_in(
    connection: Stream,
    peer: Peer,
    security: Security,
    slot: Slot,
    server: &Arc<Shared>,
) -> Option<(Stream, Linked)> {
    let too_late = |_| {
        let limit = server.config.limits.link_time;
        let why = format!("not authenticated within {limit:?}");
        Rejected::new(Refusal::TooLate, why, Answer::None)
    };
    let deadline = tokio::time::Instant::now() + server.config.limits.link_time;
    let secured = timeout_at(deadline, secure(connection, security, server)).await;
    let mut stream = match secured.map_err(too_late).flatten() {
        Ok(stream) => stream,
        Err(rejected) => {
            server.refused(peer, rejected.refusal, &rejected.why);
            return None;
        }
    };
    let linked = timeout_at(deadline, link(&mut stream, peer, security, server)).await;
    let rejected = match linked.map_err(too_late).flatten() {
        Ok(linked) => return Some((stream, linked)),
        Err(rejected) => rejected,
    };
    server.refused(peer, rejected.refusal, &rejected.why);
    if rejected.delayed {
        // The place stays taken meanwhile, whether the peer waits or not.
        sleep(server.gate.failed(peer, Instant::now())).await;
    }
    let _ = timeout(FAREWELL, farewell(&mut stream, &rejected.answer)).await;
    drop(slot);
    None
}

/// The TLS handshake, where there is one.
async fn secure(
    connection: Stream,
    security: Security,
    server: &Arc<Shared>,
) -> Result<Stream, Rejected> {
    let tcp = match (connection, security) {
        (Stream::Tcp(tcp), Security::Tls) => tcp,
        (connection, _) => return Ok(connection),
    };
    let failed = |why: &dyn ToString| Rejected::new(Refusal::Tls, why.to_string(), Answer::None);
    let loading = Arc::clone(server);
    let config = tokio::task::spawn_blocking(move || Some(loading.tls.as_ref()?.config()))
        .await
        .map_err(|error| failed(&error))?
        .ok_or_else(|| failed(&"no certificate"))?;
    let accepted = tokio_rustls::TlsAcceptor::from(config).accept(tcp).await;
    let stream = accepted.map_err(|error| failed(&error))?;
    Ok(Stream::Tls(Box::new(stream)))
}

async fn link(
    stream: &mut Stream,
    peer: Peer,
    security: Security,
    server: &Arc<Shared>,
) -> Result<Linked, Rejected> {
    let message = link_message(stream).await?;
    let channel = ChannelId {
        channel_type: message.channel_type,
        id: message.channel_id,
    };
    server
        .registry
        .same_security(message.connection_id, security)
        .map_err(|error| {
            let why = "protected otherwise than the session's main channel";
            Rejected::new(Refusal::Security, why, Answer::Reply(error))
        })?;
    let key = server.keys.take().await.ok_or_else(|| {
        let why = "no key can be made";
        Rejected::new(Refusal::Internal, why, Answer::Reply(LinkError::Error))
    })?;
    let mut reply = Vec::new();
    LinkReply {
        error: LinkError::Ok,
        public_key: *key.public(),
        common_caps: Capabilities::of([
            CommonCap::AuthSelection,
            CommonCap::AuthSpice,
            CommonCap::MiniHeader,
        ]),
        channel_caps: channel_caps(message.channel_type),
    }
    .encode(&mut reply);
    stream.write_all(&reply).await.map_err(Rejected::gone)?;
    stream.flush().await.map_err(Rejected::gone)?;
    server.counters.bytes_written.add(reply.len() as u64);

    if message.common_caps.has(CommonCap::AuthSelection) {
        let mut mechanism = [0; 4];
        stream
            .read_exact(&mut mechanism)
            .await
            .map_err(Rejected::gone_with_key)?;
        let unsupported = |why: &dyn ToString| {
            let answer = Answer::Result(LinkError::InvalidData);
            Rejected::new(Refusal::Unsupported, why.to_string(), answer)
        };
        match AuthMechanism::decode(mechanism) {
            Ok(AuthMechanism::Spice) => {}
            Ok(_) => return Err(unsupported(&"SASL is not spoken")),
            Err(error) => return Err(unsupported(&error)),
        }
    }
    let mut ticket = [0; TICKET_LEN];
    stream
        .read_exact(&mut ticket)
        .await
        .map_err(Rejected::gone_with_key)?;
    if let Auth::PasswordFile(path) = &server.config.auth {
        let path = path.clone();
        // A decryption and a file: off the event loop. As many at once as links may be.
        let verdict = tokio::task::spawn_blocking(move || ticket::judge(key, &ticket, &path));
        let denied = |refusal, why: &dyn ToString| {
            let answer = Answer::Result(LinkError::PermissionDenied);
            Rejected::new(refusal, why.to_string(), answer)
        };
        match verdict.await {
            Ok(Verdict::Good { exposed }) => {
                if exposed && !server.warned_exposed.swap(true, Ordering::Relaxed) {
                    tracing::warn!("all users of this machine can read the password file");
                }
            }
            Ok(Verdict::Wrong) => return Err(denied(Refusal::Ticket, &"wrong password")),
            Ok(Verdict::Unusable(error)) => return Err(denied(Refusal::Password, &error)),
            Err(error) => return Err(denied(Refusal::Internal, &error)),
        }
    }
    // Whom a client takes over from goes as it is let in: were it expected only then, nobody
    // would watch in between, and encoders be closed to be opened again.
    let expected: Vec<_> = match channel.channel_type {
        ChannelType::Main => server.consoles.iter().map(|c| c.screen.expect()).collect(),
        _ => Vec::new(),
    };
    let claim = server
        .registry
        .admit(message.connection_id, channel, security, peer)
        .map_err(|refusal| {
            // After a ticket spice-gtk takes every answer but "ok" for a wrong password,
            // and asks for another; without one it says that it cannot connect.
            if refusal == Refusal::Busy {
                return Rejected::new(refusal, "somebody is there already", Answer::None);
            }
            let (error, why) = match refusal {
                Refusal::ConnectionId => (LinkError::BadConnectionId, "no such session"),
                Refusal::Security => (LinkError::PermissionDenied, "protected otherwise"),
                Refusal::Channel => (
                    LinkError::ChannelNotAvailable,
                    "no such channel, or the client has it",
                ),
                _ => (LinkError::Error, "no random numbers"),
            };
            let why = format!("{why}: {:?} {}", channel.channel_type, channel.id);
            Rejected::new(refusal, why, Answer::Result(error))
        })?;
    for (console, guard) in (0..=u8::MAX).zip(expected) {
        claim.session.expect(console, guard);
    }
    let ok = LinkError::Ok.to_wire().to_le_bytes();
    stream.write_all(&ok).await.map_err(Rejected::gone)?;
    stream.flush().await.map_err(Rejected::gone)?;
    server.counters.bytes_written.add(ok.len() as u64);
    Ok(Linked { message, claim })
}

/// What the client asks for. No memory is taken before its length is known to be small.
async fn link_message(stream: &mut Stream) -> Result<LinkMessage, Rejected> {
    let mut header = [0; LINK_HEADER_LEN];
    stream
        .read_exact(&mut header)
        .await
        .map_err(Rejected::gone)?;
    let header = LinkHeader::from_client(&header).map_err(Rejected::malformed)?;
    let mut body = vec![0; header.size as usize];
    stream.read_exact(&mut body).await.map_err(Rejected::gone)?;
    let message = LinkMessage::decode(&body).map_err(Rejected::malformed)?;
    require_mini_header(&message).map_err(Rejected::malformed)?;
    Ok(message)
}

fn channel_caps(channel: ChannelType) -> Capabilities {
    match channel {
        ChannelType::Display => Capabilities::of([
            DisplayCap::StreamReport,
            DisplayCap::MultiCodec,
            DisplayCap::PrefVideoCodecType,
        ]),
        ChannelType::Inputs => Capabilities::of([InputsCap::KeyScancode]),
        _ => Capabilities::default(),
    }
}

/// Says why, and reads a little of what is still on its way.
async fn farewell(stream: &mut Stream, answer: &Answer) {
    let mut bytes = Vec::new();
    match answer {
        Answer::None => return,
        Answer::Reply(error) => LinkReply::refusal(*error).encode(&mut bytes),
        Answer::Result(error) => bytes.extend_from_slice(&error.to_wire().to_le_bytes()),
    }
    if stream.write_all(&bytes).await.is_ok() && stream.shutdown().await.is_ok() {
        let mut rest = stream.take(FAREWELL_BYTES);
        let mut sink = tokio::io::sink();
        let _ = tokio::io::copy(&mut rest, &mut sink).await;
    }
}
