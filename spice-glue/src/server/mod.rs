//! A SPICE server for stock clients: sockets, tickets, TLS and channels.
//!
//! [`Server::bind`] takes a [`ServerConfig`] and the [`Console`]s to serve; it refuses
//! what would be insecure before it listens. [`Server::run`] is a future for a program's
//! own tokio runtime, [`Running::start`] a server with a runtime and thread of its own.
//!
//! What a peer may cost is bounded before it has shown a ticket (`limits`, `keys`) and
//! after (`outlet`, `ack`, `channel`); no peer can make another, or the source of the
//! pictures, wait: every channel is a task, and a stream hands its packets over without
//! waiting for anybody.
//!
//! What is where, in the order in which a client meets it: `listen`, `limits`, `tls`,
//! `link`, `keys`, `ticket`, `password`, `registry`, `channel`, then the four channels.
//!
//! ```no_run
//! use scanout_spice::server::{Auth, Console, Listen, NoInput, Running, ServerConfig};
//! # fn f(viewers: scanout_spice::stream::Viewers) -> Result<(), Box<dyn std::error::Error>> {
//!
//! let config = ServerConfig::new(
//!     vec![Listen::Tcp("127.0.0.1:5900".parse()?)],
//!     Auth::PasswordFile("/run/scanout/password".into()),
//! );
//! let server = Running::start(config, vec![Console::new(viewers, NoInput)])?;
//! println!("{} clients", server.handle().stats().clients.len());
//! server.stop()?;
//! # Ok(())
//! # }
//! ```

mod ack;
mod channel;
mod config;
mod console;
mod cursor_channel;
mod display_channel;
mod error;
mod inputs_channel;
mod keys;
mod limits;
mod link;
mod listen;
mod main_channel;
mod outlet;
mod pace;
mod password;
mod registry;
mod running;
mod stats;
mod stream_io;
mod ticket;
mod tls;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

pub use config::{Auth, Limits, Listen, Security, ServerConfig, Sharing, TlsFiles};
pub use console::{Console, InputSink, Joined, NoInput, Screen};
pub use error::{ConfigError, PasswordError, Refusal, ServerError, TlsError};
pub use running::Running;
pub use stats::{ClientStats, Refusals, ServerStats};

use crate::gl::StreamClock;
use keys::KeyPool;
use limits::{Gate, Peer, Slot};
use listen::{BoundSocket, Listener, SocketFile};
use password::Password;
use registry::Registry;
use stats::Counters;
use stream_io::Stream;
use tls::Tls;

/// How long channels may take to say goodbye when the server stops.
const STOP_LIMIT: Duration = Duration::from_secs(3);
/// How long nothing is accepted after the system had no room for another socket: such an
/// error does not go away by trying again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What all links and channels of a server share.
struct Shared {
    config: ServerConfig,
    consoles: Vec<Console>,
    clock: StreamClock,
    gate: Arc<Gate>,
    keys: KeyPool,
    tls: Option<Tls>,
    registry: Arc<Registry>,
    counters: Counters,
    warned_exposed: AtomicBool,
    stop: watch::Sender<bool>,
}

impl Shared {
    /// Waits until the server is to stop.
    async fn stopped(&self) {
        // The sender is in `self`.
        let _ = self.stop.subscribe().wait_for(|stop| *stop).await;
    }

    /// All end: links at once, channels with a goodbye.
    fn stop(&self) {
        self.stop.send_replace(true);
        self.registry.stop();
    }

    fn mm_time(&self) -> u32 {
        self.clock.mm_time(Instant::now())
    }

    /// A link was not let in: counted, and said once as long as there are not too many.
    fn refused(&self, peer: Peer, refusal: Refusal, why: &str) {
        self.counters.refused(refusal);
        let Some(not_logged) = self.gate.may_log(Instant::now()) else {
            return;
        };
        let reason = refusal.name();
        match refusal {
            Refusal::Ticket
            | Refusal::Password
            | Refusal::Crowded
            | Refusal::PeerCrowded
            | Refusal::Internal => {
                tracing::warn!(%peer, reason, not_logged, "link refused: {why}");
            }
            _ => tracing::info!(%peer, reason, not_logged, "link refused: {why}"),
        }
    }
}

/// A server that listens but does not answer yet.
pub struct Server {
    listeners: Vec<Listener>,
    handle: ServerHandle,
}

/// Sees and stops a server from anywhere.
#[derive(Clone)]
pub struct ServerHandle {
    shared: Arc<Shared>,
    addresses: Arc<[Listen]>,
}

impl Server {
    /// Listens. Refuses a configuration that is insecure or cannot work, and starts the
    /// thread that makes keys. Needs no runtime.
    pub fn bind(config: ServerConfig, consoles: Vec<Console>) -> Result<Self, ServerError> {
        config.validate(consoles.len())?;
        if let Auth::PasswordFile(path) = &config.auth {
            match Password::read(path, SystemTime::now()) {
                // There may be a new one before the first client.
                Ok(_) | Err(PasswordError::Expired(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let tls = config.tls.clone().map(Tls::load).transpose()?;
        let listeners = config.listen.iter().map(Listener::bind);
        let listeners = listeners.collect::<Result<Vec<_>, _>>()?;
        let addresses = listeners.iter().map(|l| l.address.clone()).collect();
        let keys = KeyPool::start().map_err(|cause| ServerError::System {
            what: "starting a thread",
            cause,
        })?;
        let clock = consoles
            .first()
            .map_or_else(StreamClock::start, |console| console.screen.clock());
        let shared = Arc::new(Shared {
            clock,
            gate: Gate::new(config.limits),
            keys,
            tls,
            registry: Registry::new(&config, consoles.len()),
            counters: Counters::default(),
            warned_exposed: AtomicBool::new(false),
            stop: watch::Sender::new(false),
            consoles,
            config,
        });
        Ok(Self {
            listeners,
            handle: ServerHandle { shared, addresses },
        })
    }

    /// Where it listens, with the ports that it got.
    pub fn addresses(&self) -> &[Listen] {
        &self.handle.addresses
    }

    /// To see and stop it.
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }

    /// Serves until it is stopped by its handle: then says goodbye to all clients and ends
    /// within some seconds. Dropping the future stops it too. Needs a tokio runtime with
    /// I/O and time.
    pub async fn run(self) -> Result<(), ServerError> {
        let Self { listeners, handle } = self;
        let shared = Arc::clone(&handle.shared);
        let _stop = StopOnDrop(handle);
        // Nothing is ever sent: it closes when the last task is gone.
        let (alive, mut all_gone) = mpsc::channel::<()>(1);
        let mut accepting = tokio::task::JoinSet::new();
        for listener in listeners {
            let shared = Arc::clone(&shared);
            let alive = alive.clone();
            match listener.socket {
                BoundSocket::Tcp(socket) => {
                    let socket = tokio::net::TcpListener::from_std(socket);
                    let socket = socket.map_err(|cause| ServerError::System {
                        what: "putting a socket on the event loop",
                        cause,
                    })?;
                    let tls = matches!(listener.address, Listen::Tls(_));
                    accepting.spawn(accept_tcp(socket, tls, shared, alive));
                }
                BoundSocket::Unix(socket, file) => {
                    let socket = tokio::net::UnixListener::from_std(socket);
                    let socket = socket.map_err(|cause| ServerError::System {
                        what: "putting a socket on the event loop",
                        cause,
                    })?;
                    accepting.spawn(accept_unix(socket, file, shared, alive));
                }
            }
        }
        drop(alive);
        shared.stopped().await;
        accepting.shutdown().await;
        if timeout(STOP_LIMIT, all_gone.recv()).await.is_err() {
            tracing::warn!("some connections did not end within {STOP_LIMIT:?}");
        }
        Ok(())
    }
}

/// What a server has spawned does not end by itself.
struct StopOnDrop(ServerHandle);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl ServerHandle {
    /// Ends [`Server::run`]. Does not wait.
    pub fn stop(&self) {
        self.shared.stop();
    }

    /// Where the server listens.
    pub fn addresses(&self) -> &[Listen] {
        &self.addresses
    }

    /// What it has done so far.
    pub fn stats(&self) -> ServerStats {
        let Shared {
            gate,
            keys,
            registry,
            counters,
            ..
        } = &*self.shared;
        ServerStats {
            clients: registry.clients(),
            links_pending: gate.links(),
            keys_made: keys.made(),
            ..counters.snapshot()
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handle.fmt(f)
    }
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

type Alive = mpsc::Sender<()>;

async fn accept_tcp(socket: tokio::net::TcpListener, tls: bool, shared: Arc<Shared>, alive: Alive) {
    loop {
        let (stream, address) = match socket.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                pause(&error).await;
                continue;
            }
        };
        let ip = address.ip().to_canonical();
        let security = match tls {
            true => Security::Tls,
            false if ip.is_loopback() => Security::Loopback,
            false => Security::Plain,
        };
        // A socket that the peer has reset by now has no options.
        let _ = listen::prepare(&stream);
        accepted(Stream::Tcp(stream), Peer::ip(ip), security, &shared, &alive);
    }
}

async fn accept_unix(
    socket: tokio::net::UnixListener,
    _file: SocketFile,
    shared: Arc<Shared>,
    alive: Alive,
) {
    loop {
        let stream = match socket.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                pause(&error).await;
                continue;
            }
        };
        let Ok(cred) = stream.peer_cred() else {
            continue;
        };
        let peer = Peer::User(cred.uid());
        accepted(Stream::Unix(stream), peer, Security::Unix, &shared, &alive);
    }
}

async fn pause(error: &std::io::Error) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    if !matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | Interrupted
    ) {
        tracing::warn!(%error, "cannot accept a connection");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

/// Gives a connection its task, or closes it where there are too many.
fn accepted(stream: Stream, peer: Peer, security: Security, shared: &Arc<Shared>, alive: &Alive) {
    let slot: Slot = match shared.gate.enter(peer) {
        Ok(slot) => slot,
        Err(refusal) => {
            let why = "too many links at once that have not authenticated";
            return shared.refused(peer, refusal, why);
        }
    };
    let (shared, alive) = (Arc::clone(shared), alive.clone());
    tokio::spawn(async move {
        link::serve(stream, peer, security, slot, shared).await;
        drop(alive);
    });
}
