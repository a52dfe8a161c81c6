//! Who is there, with which channels, and who may type.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::rand::{GetRandomFlags, getrandom};
use tokio::sync::watch;

use super::config::{Security, ServerConfig, Sharing};
use super::error::Refusal;
use super::limits::Peer;
use super::stats::{ClientStats, Counter};
use crate::wire::link::{ChannelType, LinkError};
use crate::wire::main::ChannelId;

/// Why a client or a channel ends by our own will.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Goodbye {
    #[error("another client has taken over")]
    TakenOver,
    #[error("the client's main channel is gone")]
    MainGone,
    #[error("the server stops")]
    Stopped,
    #[error("the client gives no sign of life")]
    Silent,
    #[error("{0}")]
    Screen(#[from] crate::gl::CloseReason),
    #[error("{0}")]
    Viewer(#[from] crate::stream::ViewerError),
    #[error("the client has said goodbye")]
    Client,
}

impl Goodbye {
    /// What DISCONNECTING says.
    pub(super) fn reason(self) -> LinkError {
        match self {
            Self::Silent | Self::Screen(_) | Self::Viewer(_) => LinkError::Error,
            _ => LinkError::Ok,
        }
    }
}

/// A client: its main channel and what belongs to it.
pub(super) struct Session {
    pub(super) id: u32,
    pub(super) peer: Peer,
    security: Security,
    since: Instant,
    closing: watch::Sender<Option<Goodbye>>,
    /// Displays that have not come yet; by console.
    expected: Mutex<HashMap<u8, Box<dyn Send + Sync>>>,
    pub(super) bytes_written: Counter,
    /// Microseconds; `u32::MAX` before the first.
    round_trip_us: AtomicU32,
}

impl Session {
    /// All channels end; the first reason counts.
    pub(super) fn close(&self, why: Goodbye) {
        self.closing.send_if_modified(|reason| {
            let first = reason.is_none();
            reason.get_or_insert(why);
            first
        });
    }

    /// Waits until the session is to end.
    pub(super) async fn closed(&self) -> Goodbye {
        let mut closing = self.closing.subscribe();
        match closing
            .wait_for(Option::is_some)
            .await
            .map(|reason| *reason)
        {
            Ok(Some(reason)) => reason,
            _ => Goodbye::MainGone,
        }
    }

    fn expected(&self) -> MutexGuard<'_, HashMap<u8, Box<dyn Send + Sync>>> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The display of `console` is on its way.
    pub(super) fn expect(&self, console: u8, guard: Box<dyn Send + Sync>) {
        self.expected().insert(console, guard);
    }

    /// The display of `console` has come.
    pub(super) fn arrived(&self, console: u8) {
        self.expected().remove(&console);
    }

    /// What has not come by now is waited for no more.
    pub(super) fn expect_no_more(&self) {
        self.expected().clear();
    }

    pub(super) fn set_round_trip(&self, time: Duration) {
        let us = u32::try_from(time.as_micros()).unwrap_or(u32::MAX - 1);
        self.round_trip_us.store(us, Ordering::Relaxed);
    }

    fn round_trip(&self) -> Option<Duration> {
        let us = self.round_trip_us.load(Ordering::Relaxed);
        (us != u32::MAX).then(|| Duration::from_micros(us.into()))
    }
}

/// All clients of a server.
pub(super) struct Registry {
    state: Mutex<State>,
    sharing: Sharing,
    shared_input: bool,
    clients_max: usize,
    consoles: usize,
    /// The client that has been there the longest; 0 for none.
    first: AtomicU32,
}

#[derive(Default)]
struct State {
    /// In the order in which they came.
    clients: Vec<Client>,
    stopped: bool,
}

struct Client {
    session: Arc<Session>,
    channels: HashSet<(ChannelType, u8)>,
}

/// One channel of one client. Dropping it takes the channel away; a main channel takes
/// all others with it.
#[must_use]
pub(super) struct Claim {
    registry: Arc<Registry>,
    pub(super) session: Arc<Session>,
    pub(super) channel: ChannelId,
}

impl Registry {
    pub(super) fn new(config: &ServerConfig, consoles: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            sharing: config.sharing,
            shared_input: config.shared_input,
            clients_max: config.limits.clients,
            consoles,
            first: AtomicU32::new(0),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The channels that a client may link to.
    pub(super) fn channels(&self) -> Vec<ChannelId> {
        let each = |channel_type| {
            (0..=u8::MAX)
                .take(self.consoles)
                .map(move |id| ChannelId { channel_type, id })
        };
        let inputs = ChannelId {
            channel_type: ChannelType::Inputs,
            id: 0,
        };
        each(ChannelType::Display)
            .chain(each(ChannelType::Cursor))
            .chain([inputs])
            .collect()
    }

    /// Whether a link to a session is protected as its main channel is. Where there is no
    /// such session this says nothing: that is found out after the ticket.
    pub(super) fn same_security(&self, session: u32, security: Security) -> Result<(), LinkError> {
        let state = self.state();
        let main = state.clients.iter().find(|c| c.session.id == session);
        match main.map(|client| client.session.security) {
            Some(main) if main == security => Ok(()),
            None => Ok(()),
            Some(Security::Tls) => Err(LinkError::NeedSecured),
            Some(_) if security == Security::Tls => Err(LinkError::NeedUnsecured),
            Some(_) => Err(LinkError::PermissionDenied),
        }
    }

    /// Lets in a link that has shown its ticket.
    pub(super) fn admit(
        self: &Arc<Self>,
        connection_id: u32,
        channel: ChannelId,
        security: Security,
        peer: Peer,
    ) -> Result<Claim, Refusal> {
        let mut state = self.state();
        if state.stopped {
            return Err(Refusal::Busy);
        }
        let key = (channel.channel_type, channel.id);
        let session = if channel.channel_type == ChannelType::Main {
            if connection_id != 0 {
                // A migration, which there is not.
                return Err(Refusal::ConnectionId);
            }
            if channel.id != 0 {
                return Err(Refusal::Channel);
            }
            self.admit_client(&mut state, security, peer)?
        } else {
            let clients = &mut state.clients;
            let client = clients.iter_mut().find(|c| c.session.id == connection_id);
            let client = client.ok_or(Refusal::ConnectionId)?;
            if client.session.security != security {
                return Err(Refusal::Security);
            }
            if !self.channels().contains(&channel) || !client.channels.insert(key) {
                return Err(Refusal::Channel);
            }
            Arc::clone(&client.session)
        };
        Ok(Claim {
            registry: Arc::clone(self),
            session,
            channel,
        })
    }

    fn admit_client(
        &self,
        state: &mut State,
        security: Security,
        peer: Peer,
    ) -> Result<Arc<Session>, Refusal> {
        match self.sharing {
            Sharing::Exclusive if !state.clients.is_empty() => return Err(Refusal::Busy),
            Sharing::Shared if state.clients.len() >= self.clients_max => {
                return Err(Refusal::Busy);
            }
            Sharing::Takeover => {
                // Gone from here at once, so that no channel joins them any more.
                for client in state.clients.drain(..) {
                    client.session.close(Goodbye::TakenOver);
                }
            }
            _ => {}
        }
        let session = Arc::new(Session {
            id: new_id(&state.clients).ok_or(Refusal::Internal)?,
            peer,
            security,
            since: Instant::now(),
            closing: watch::Sender::new(None),
            expected: Mutex::default(),
            bytes_written: Counter::default(),
            round_trip_us: AtomicU32::new(u32::MAX),
        });
        state.clients.push(Client {
            session: Arc::clone(&session),
            channels: HashSet::from([(ChannelType::Main, 0)]),
        });
        self.note_first(state);
        Ok(session)
    }

    fn note_first(&self, state: &State) {
        let first = state.clients.first().map_or(0, |c| c.session.id);
        self.first.store(first, Ordering::Relaxed);
    }

    /// Whether this client's keys and pointer count.
    pub(super) fn may_type(&self, session: u32) -> bool {
        let shared = self.sharing == Sharing::Shared && self.shared_input;
        shared || self.first.load(Ordering::Relaxed) == session
    }

    /// All clients go, and none comes.
    pub(super) fn stop(&self) {
        let mut state = self.state();
        state.stopped = true;
        for client in &state.clients {
            client.session.close(Goodbye::Stopped);
        }
    }

    pub(super) fn clients(&self) -> Vec<ClientStats> {
        let state = self.state();
        let stats = |client: &Client| ClientStats {
            peer: client.session.peer.to_string(),
            security: client.session.security,
            connected: client.session.since.elapsed(),
            channels: client.channels.len(),
            input: self.may_type(client.session.id),
            bytes_written: client.session.bytes_written.get(),
            round_trip: client.session.round_trip(),
        };
        state.clients.iter().map(stats).collect()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut state = self.registry.state();
        if self.channel.channel_type == ChannelType::Main {
            state.clients.retain(|c| c.session.id != self.session.id);
            self.registry.note_first(&state);
            self.session.close(Goodbye::MainGone);
            self.session.expect_no_more();
        } else if let Some(client) = state
            .clients
            .iter_mut()
            .find(|c| c.session.id == self.session.id)
        {
            let key = (self.channel.channel_type, self.channel.id);
            client.channels.remove(&key);
        }
    }
}

/// An id that cannot be guessed, not zero and not in use.
fn new_id(clients: &[Client]) -> Option<u32> {
    (0..64).find_map(|_| {
        let mut bytes = [0; 4];
        let read = getrandom(&mut bytes, GetRandomFlags::empty()).ok()?;
        let id = u32::from_ne_bytes(bytes);
        let free = id != 0 && clients.iter().all(|c| c.session.id != id);
        (read == bytes.len() && free).then_some(id)
    })
}
