//! What all channels have in common: messages in, messages out, and an end.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::timeout;

use super::registry::{Claim, Goodbye, Session};
use super::stream_io::Stream;
use super::{Shared, cursor_channel, display_channel, inputs_channel, main_channel};
use crate::gl::CloseReason;
use crate::wire::WireError;
use crate::wire::base::{BaseClientMessage, BaseServerMessage};
use crate::wire::frame::{MINI_HEADER_LEN, MiniHeader, client_bound};
use crate::wire::link::{Capabilities, ChannelType};

/// How long a peer may take to read our goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// Why a channel has ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("closed by the peer")]
    Gone,
    #[error("connection lost: {0}")]
    Lost(#[source] io::Error),
    #[error("what came makes no sense: {0}")]
    Malformed(#[from] WireError),
    #[error("the peer has taken nothing for {0:?}")]
    Stalled(Duration),
    #[error(transparent)]
    Goodbye(#[from] Goodbye),
}

/// Never: a channel goes on until there is a reason to end.
pub(super) type Ended = Result<std::convert::Infallible, End>;

/// A channel that was let in.
pub(super) struct Channel<'a> {
    pub(super) incoming: &'a mut Incoming,
    pub(super) outflow: &'a mut Outflow,
    pub(super) claim: &'a Claim,
    pub(super) caps: Capabilities,
    pub(super) server: &'a Shared,
}

/// Runs a channel to its end.
pub(super) async fn serve(stream: Stream, caps: Capabilities, claim: Claim, server: &Arc<Shared>) {
    let session = Arc::clone(&claim.session);
    let kind = claim.channel.channel_type;
    let span = tracing::info_span!(
        "channel",
        session = session.id,
        kind = ?kind,
        id = claim.channel.id,
    );
    let _enter = |text: &str| span.in_scope(|| tracing::info!(peer = %session.peer, "{text}"));
    _enter("linked");
    let record_per_message = matches!(stream, Stream::Tls(_));
    let (read, write) = tokio::io::split(stream);
    let mut incoming = Incoming::new(read, kind, Arc::clone(server));
    let mut outflow = Outflow {
        write,
        record_per_message,
        midway: false,
        session: Arc::clone(&session),
        server: Arc::clone(server),
    };
    let channel = Channel {
        incoming: &mut incoming,
        outflow: &mut outflow,
        claim: &claim,
        caps,
        server,
    };
    let run = async {
        match kind {
            ChannelType::Main => main_channel::run(channel).await,
            ChannelType::Display => display_channel::run(channel).await,
            ChannelType::Inputs => inputs_channel::run(channel).await,
            _ => cursor_channel::run(channel).await,
        }
    };
    // What `run` holds, held keys among it, is let go of here and in any case.
    let end = tokio::select! {
        Err(end) = run => end,
        why = session.closed() => End::Goodbye(why),
    };
    // Others may have the place now; the goodbye is no reason to wait.
    drop(claim);
    match &end {
        End::Malformed(_) => server.counters.malformed.add(1),
        End::Stalled(_) | End::Goodbye(Goodbye::Screen(CloseReason::Stalled { .. })) => {
            server.counters.stalled.add(1);
        }
        End::Goodbye(Goodbye::Silent) if kind == ChannelType::Main => {
            server.counters.silent.add(1);
        }
        _ => {}
    }
    span.in_scope(|| match &end {
        End::Gone | End::Goodbye(Goodbye::MainGone | Goodbye::Client | Goodbye::Stopped) => {
            tracing::info!(peer = %session.peer, "closed: {end}");
        }
        _ => tracing::warn!(peer = %session.peer, "closed: {end}"),
    });
    if let End::Goodbye(why) = end {
        let _ = timeout(GOODBYE, outflow.goodbye(why)).await;
    }
}

/// Messages of a client. Holds one of them at most.
pub(super) struct Incoming {
    read: ReadHalf<Stream>,
    channel: ChannelType,
    /// Never more than the longest message.
    buffer: Vec<u8>,
    /// Bytes of it that were handed out.
    taken: usize,
    server: Arc<Shared>,
}

impl Incoming {
    fn new(read: ReadHalf<Stream>, channel: ChannelType, server: Arc<Shared>) -> Self {
        let longest = MINI_HEADER_LEN + client_bound(channel) as usize;
        Self {
            read,
            channel,
            buffer: Vec::with_capacity(longest),
            taken: 0,
            server,
        }
    }

    /// The next message: its number and its body. May be cancelled without losing a byte.
    pub(super) async fn message(&mut self) -> Result<(u16, &[u8]), End> {
        let (kind, body) = loop {
            let waiting = self.buffer.get(self.taken..).unwrap_or_default();
            if waiting.len() >= MINI_HEADER_LEN {
                let header = MiniHeader::from_client(waiting, self.channel)?;
                let end = MINI_HEADER_LEN.saturating_add(header.size as usize);
                if waiting.len() >= end {
                    let start = self.taken;
                    self.taken += end;
                    break (header.kind, start + MINI_HEADER_LEN..self.taken);
                }
            }
            self.buffer.drain(..self.taken);
            self.taken = 0;
            // There is room: what fills the buffer is a whole message.
            match self.read.read_buf(&mut self.buffer).await {
                Ok(0) => return Err(End::Gone),
                Ok(n) => self.server.counters.bytes_read.add(n as u64),
                Err(e) => return Err(lost(e)),
            }
        };
        Ok((kind, self.buffer.get(body).unwrap_or_default()))
    }
}

/// Messages to a client.
pub(super) struct Outflow {
    write: WriteHalf<Stream>,
    /// Over TLS no record may hold parts of two messages: spice-gtk asks the socket
    /// whether there is more to read, not what it has decrypted already, and so would
    /// see the second one only when a third one comes.
    record_per_message: bool,
    /// Part of something was written: nothing else may follow.
    midway: bool,
    session: Arc<Session>,
    server: Arc<Shared>,
}

impl Outflow {
    /// Writes whole messages.
    pub(super) async fn send(&mut self, messages: &[u8]) -> Result<(), End> {
        let mut pieces = Vec::with_capacity(4);
        let mut rest = messages;
        while let Some(header) = rest.first_chunk() {
            let size = MiniHeader::decode(header).size as usize;
            let len = MINI_HEADER_LEN.saturating_add(size).min(rest.len());
            let (message, later) = rest.split_at(len);
            pieces.push(IoSlice::new(message));
            rest = later;
        }
        let ends: Vec<_> = (1..=pieces.len()).collect();
        self.send_pieces(&mut pieces, &ends, |_| {}).await
    }

    /// Writes whole messages that lie in pieces, without copying them together: all at
    /// once where that is possible. `ends` says after how many pieces each message ends;
    /// `written` is told how many bytes went, each time that some did.
    pub(super) async fn send_pieces(
        &mut self,
        mut pieces: &mut [IoSlice<'_>],
        ends: &[usize],
        mut written: impl FnMut(usize),
    ) -> Result<(), End> {
        self.midway = true;
        if self.record_per_message {
            let mut start = 0;
            for end in ends {
                let len = end.saturating_sub(start).min(pieces.len());
                let (message, later) = std::mem::take(&mut pieces).split_at_mut(len);
                self.write_all(message, &mut written).await?;
                (pieces, start) = (later, *end);
            }
        }
        self.write_all(pieces, &mut written).await?;
        let limit = self.server.config.limits.write_stall;
        let flushed = timeout(limit, self.write.flush()).await;
        flushed.map_err(|_| End::Stalled(limit))?.map_err(lost)?;
        self.midway = false;
        Ok(())
    }

    async fn write_all(
        &mut self,
        mut pieces: &mut [IoSlice<'_>],
        written: &mut impl FnMut(usize),
    ) -> Result<(), End> {
        let limit = self.server.config.limits.write_stall;
        // Empty ones first, or nothing to write would look like a closed connection.
        IoSlice::advance_slices(&mut pieces, 0);
        while !pieces.is_empty() {
            let write = timeout(limit, self.write.write_vectored(pieces)).await;
            let n = match write.map_err(|_| End::Stalled(limit))? {
                Ok(0) => return Err(End::Gone),
                Ok(n) => n,
                Err(e) => return Err(lost(e)),
            };
            IoSlice::advance_slices(&mut pieces, n);
            self.session.bytes_written.add(n as u64);
            self.server.counters.bytes_written.add(n as u64);
            written(n);
        }
        Ok(())
    }

    async fn goodbye(&mut self, why: Goodbye) -> io::Result<()> {
        if !self.midway {
            let mut message = Vec::new();
            BaseServerMessage::Disconnecting {
                timestamp: timestamp(),
                reason: why.reason(),
            }
            .encode(&mut message);
            self.write.write_all(&message).await?;
        }
        self.write.shutdown().await
    }
}

/// A client that was killed is gone, in the middle of a picture or not.
fn lost(error: io::Error) -> End {
    match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionReset => End::Gone,
        _ => End::Lost(error),
    }
}

/// Nanoseconds of the monotonic clock, as upstream has it.
pub(super) fn timestamp() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let nanos = u64::try_from(now.tv_nsec).unwrap_or_default();
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

/// A message of every channel that asks for nothing but an end.
pub(super) fn base(message: &BaseClientMessage, server: &Shared) -> Result<(), End> {
    match message {
        BaseClientMessage::Disconnecting { .. } => Err(Goodbye::Client.into()),
        BaseClientMessage::Unknown { .. } => {
            server.counters.skipped.add(1);
            Ok(())
        }
        _ => Ok(()),
    }
}
