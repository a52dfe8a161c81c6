//! What goes wrong: with the set-up, with a socket, and with a link.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A configuration that is refused before anything listens.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No address at all.
    #[error("no address to listen on")]
    NothingToListenOn,
    /// Plain text beyond this machine.
    #[error(
        "{0} is beyond this machine, and what is typed there could be read on the way: listen with TLS, on loopback or on a Unix socket, or allow plain text (insecure_plaintext)"
    )]
    Plaintext(SocketAddr),
    /// A network without a password.
    #[error(
        "{0} is beyond this machine: whoever reaches it could use the screen; give a password file"
    )]
    OpenToNetwork(SocketAddr),
    /// TLS without certificate and key.
    #[error("an address for TLS, but no certificate and key")]
    NoCertificate,
    /// Too many or no consoles.
    #[error("{seen} consoles, 1 to {limit} are possible")]
    Consoles {
        /// How many were given.
        seen: usize,
        /// The most.
        limit: usize,
    },
    /// A name that cannot be sent.
    #[error("a name of {seen} bytes: at most {limit} are possible, and no NUL")]
    Name {
        /// Its length.
        seen: usize,
        /// The longest.
        limit: usize,
    },
    /// A limit of zero.
    #[error("a limit of zero lets nobody in")]
    NoRoom,
}

/// A server cannot start or cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Cannot listen there.
    #[error("listening on {address}: {cause}")]
    Listen {
        /// Where.
        address: String,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// Something listens on this Unix socket already.
    #[error("{0}: another program listens there")]
    InUse(PathBuf),
    /// The path of a Unix socket is something else.
    #[error("{0}: exists and is not a socket; not touched")]
    NotASocket(PathBuf),
    /// Certificate or key are no good.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The password file is no good; found before anything listens.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The operating system refused something.
    #[error("{what}: {cause}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// The server's thread has panicked.
    #[error("the server's thread ended by a panic: this is a bug")]
    Panicked,
}

/// Certificate or key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{path}: {cause}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// A file is not what it should be.
    #[error("{path}: {cause}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        cause: rustls::pki_types::pem::Error,
    },
    /// No certificate in the file.
    #[error("{0}: no certificate in it")]
    NoCertificate(PathBuf),
    /// No private key in the file.
    #[error("{0}: no private key in it")]
    NoKey(PathBuf),
    /// Certificate and key do not go together, or cannot be used.
    #[error("{certificate} with {key}: {cause}")]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        #[source]
        cause: rustls::Error,
    },
}

/// A password file that lets nobody in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// It cannot be read.
    #[error("password file {path}: {cause}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// Not a file: a directory, a pipe, a device.
    #[error("password file {0}: not a regular file")]
    NotAFile(PathBuf),
    /// Far too long for a password and a date.
    #[error("password file {path}: longer than {limit} bytes")]
    FileTooLong {
        /// The file.
        path: PathBuf,
        /// The longest.
        limit: usize,
    },
    /// An empty password would let everybody in.
    #[error("password file {0}: the first line is empty")]
    Empty(PathBuf),
    /// Longer than clients can send.
    #[error("password file {path}: a password of {seen} bytes, clients send at most {limit}")]
    TooLong {
        /// The file.
        path: PathBuf,
        /// Its length.
        seen: usize,
        /// The longest.
        limit: usize,
    },
    /// A NUL, which ends a password on the wire.
    #[error("password file {0}: a NUL in the password")]
    Nul(PathBuf),
    /// The second line is no time.
    #[error(
        "password file {path}: the second line {seen:?} is neither seconds since 1970 nor a time like 2031-05-01T12:00:00Z"
    )]
    Expiry {
        /// The file.
        path: PathBuf,
        /// What it says, cut off.
        seen: String,
    },
    /// The time in the second line has come.
    #[error("password file {0}: the password has expired")]
    Expired(PathBuf),
}

/// Why a link was not let in. The counts of a server's status go by these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// Too many links at once that have not authenticated.
    Crowded,
    /// Too many of them from one address.
    PeerCrowded,
    /// Not authenticated in time.
    TooLate,
    /// The TLS handshake failed.
    Tls,
    /// The peer went away.
    Gone,
    /// Not SPICE.
    Magic,
    /// A version other than 2.
    Version,
    /// A link message that cannot be.
    Malformed,
    /// A way to authenticate that there is not, or a client without mini headers.
    Unsupported,
    /// A wrong ticket.
    Ticket,
    /// No ticket is good: the password file cannot be used, or the password has expired.
    Password,
    /// A session that there is not.
    ConnectionId,
    /// A channel that there is not, or that the client has already.
    Channel,
    /// Protected otherwise than the session's main channel.
    Security,
    /// Somebody is there already, or too many.
    Busy,
    /// No key or no entropy: the machine is out of something.
    Internal,
}

impl Refusal {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 16] = [
        Self::Crowded,
        Self::PeerCrowded,
        Self::TooLate,
        Self::Tls,
        Self::Gone,
        Self::Magic,
        Self::Version,
        Self::Malformed,
        Self::Unsupported,
        Self::Ticket,
        Self::Password,
        Self::ConnectionId,
        Self::Channel,
        Self::Security,
        Self::Busy,
        Self::Internal,
    ];

    /// One word, for logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Crowded => "crowded",
            Self::PeerCrowded => "peer_crowded",
            Self::TooLate => "too_late",
            Self::Tls => "tls",
            Self::Gone => "gone",
            Self::Magic => "magic",
            Self::Version => "version",
            Self::Malformed => "malformed",
            Self::Unsupported => "unsupported",
            Self::Ticket => "ticket",
            Self::Password => "password",
            Self::ConnectionId => "connection_id",
            Self::Channel => "channel",
            Self::Security => "security",
            Self::Busy => "busy",
            Self::Internal => "internal",
        }
    }
}
