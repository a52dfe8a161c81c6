//! The SPICE server, as the command line asks for it.

use std::sync::atomic::{AtomicU64, Ordering};

use scanout::spice::server::{
    Auth, ConfigError, Console, InputSink, Listen, Running, ServerConfig, ServerError,
    ServerHandle, Sharing, TlsFiles,
};
use scanout::spice::stream::Viewers;
use scanout::spice::wire::inputs::MouseButton;

use super::address::{Address, TcpAddress, is_local};
use super::args::{ClientArgs, ListenArgs, SharingArg};
use super::connect::Entrance;
use crate::failure::{self, Exit, Failure};

/// Where SPICE has been at home for long.
const DEFAULT_PORT: u16 = 5900;

/// A server with its thread.
pub(super) struct Front(Running);

/// To see it from elsewhere.
pub(super) type Handle = ServerHandle;

impl Front {
    /// Listens, and lets clients in to what `viewers` see.
    pub(super) fn start(config: ServerConfig, viewers: Viewers) -> Result<Self, Failure> {
        let console = Console::new(viewers, Inputs::default());
        Running::start(config, vec![console])
            .map(Self)
            .map_err(|error| failed(&error))
    }

    pub(super) fn handle(&self) -> &Handle {
        self.0.handle()
    }

    /// The ways in, with the ports that they got.
    pub(super) fn entrances(&self) -> Vec<Entrance> {
        let listening = self.handle().addresses().iter();
        let entrance = |listen: &Listen| match listen {
            Listen::Tcp(address) => Some(Entrance::Tcp { address: *address }),
            Listen::Tls(address) => Some(Entrance::Tls { address: *address }),
            Listen::Unix(path) => Some(Entrance::Unix { path: path.clone() }),
            _ => None,
        };
        listening.filter_map(entrance).collect()
    }

    /// Says goodbye to all clients; ends within some seconds.
    pub(super) fn stop(self) -> Result<(), Failure> {
        self.0.stop().map_err(|error| failed(&error))
    }
}

/// What the server is to do; refuses what would let in or tell too many.
pub(super) fn config(
    args: &ListenArgs,
    clients: &ClientArgs,
    name: &str,
) -> Result<ServerConfig, Failure> {
    let mut listen = Vec::new();
    for address in plain(args) {
        match address {
            Address::Unix(path) => listen.push(Listen::Unix(path)),
            Address::Tcp(address) => {
                for resolved in address.resolve("--listen")? {
                    if !is_local(&resolved) && args.no_password {
                        return Err(open_to_network("--listen", &address));
                    }
                    if !is_local(&resolved) && !args.insecure_plaintext {
                        return Err(plain_text(&address));
                    }
                    listen.push(Listen::Tcp(resolved));
                }
            }
        }
    }
    for address in by_tls(args)? {
        for resolved in address.resolve("--tls-listen")? {
            if !is_local(&resolved) && args.no_password {
                return Err(open_to_network("--tls-listen", &address));
            }
            listen.push(Listen::Tls(resolved));
        }
    }
    let auth = match &args.password_file {
        Some(file) => Auth::PasswordFile(file.clone()),
        None => Auth::Open,
    };
    let mut config = ServerConfig::new(listen, auth);
    if let (Some(certificate), Some(key)) = (&args.tls_cert, &args.tls_key) {
        config.tls = Some(TlsFiles {
            certificate: certificate.clone(),
            key: key.clone(),
        });
    }
    config.insecure_plaintext = args.insecure_plaintext;
    config.sharing = match clients.sharing {
        SharingArg::Takeover => Sharing::Takeover,
        SharingArg::Exclusive => Sharing::Exclusive,
        SharingArg::Shared => Sharing::Shared,
    };
    config.shared_input = clients.shared_input;
    config.name = Some(clients.name.clone().unwrap_or_else(|| name.to_owned()));
    Ok(config)
}

/// Where plain text is spoken.
fn plain(args: &ListenArgs) -> Vec<Address> {
    if args.listen.is_empty() && args.tls_listen.is_empty() {
        return vec![Address::Tcp(TcpAddress {
            host: "127.0.0.1".to_owned(),
            port: DEFAULT_PORT,
        })];
    }
    args.listen.clone()
}

fn by_tls(args: &ListenArgs) -> Result<Vec<TcpAddress>, Failure> {
    let Some(port) = args.tls_port else {
        return Ok(args.tls_listen.clone());
    };
    let mut addresses: Vec<TcpAddress> = Vec::new();
    for address in plain(args) {
        if let Address::Tcp(TcpAddress { host, .. }) = address {
            let address = TcpAddress { host, port };
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }
    if addresses.is_empty() {
        return Err(
            Failure::usage(format_args!("--tls-port {port}: no --listen names a host"))
                .hint("--tls-listen HOST:PORT does"),
        );
    }
    Ok(addresses)
}

fn plain_text(address: &TcpAddress) -> Failure {
    Failure::new(
        Exit::Listen,
        format_args!(
            "--listen {address} is beyond this machine: the picture and all that is typed could be read on the way"
        ),
    )
    .hint("--tls-listen encrypts it, an SSH tunnel to 127.0.0.1 does too; --insecure-plaintext allows it")
}

fn open_to_network(option: &str, address: &TcpAddress) -> Failure {
    Failure::new(
        Exit::Listen,
        format_args!(
            "{option} {address} with --no-password: whoever reaches it could use the screen"
        ),
    )
    .hint("give a --password-file; --no-password is for loopback and Unix sockets")
}

fn failed(error: &ServerError) -> Failure {
    let text = failure::without_number(&error.to_string());
    match error {
        ServerError::Listen { .. } => Failure::new(Exit::Listen, text)
            .hint("port 0 takes a free one; `ss -tlnp` shows who listens"),
        ServerError::InUse(_) | ServerError::NotASocket(_) => {
            Failure::new(Exit::Listen, text).hint("name another path")
        }
        ServerError::Config(
            ConfigError::Plaintext(_) | ConfigError::OpenToNetwork(_) | ConfigError::NoCertificate,
        ) => Failure::new(Exit::Listen, text),
        ServerError::Config(_) | ServerError::Tls(_) | ServerError::Password(_) => {
            Failure::usage(text)
        }
        _ => Failure::new(Exit::Internal, text),
    }
}

/// These sources take no input: it is shown with -v, and counted by the server.
#[derive(Debug, Default)]
struct Inputs {
    keys: AtomicU64,
}

impl InputSink for Inputs {
    fn takes_positions(&self) -> bool {
        true
    }

    // Which key it is, a log must not say: it may be one of a password.
    fn key(&self, _qnum: u8, down: bool) {
        let keys = self.keys.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::info!(down, keys, "a key");
    }

    fn motion(&self, dx: i32, dy: i32) {
        tracing::debug!(dx, dy, "the pointer moves");
    }

    fn position(&self, x: u32, y: u32) {
        tracing::debug!(x, y, "the pointer is");
    }

    fn button(&self, button: MouseButton, down: bool) {
        tracing::info!(?button, down, "a button");
    }

    fn wheel(&self, up: bool) {
        tracing::info!(up, "the wheel");
    }
}
