//! What a server listens on, whom it lets in, and its bounds.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::error::ConfigError;
use crate::wire::main::NAME_MAX;

/// Consoles that a client can tell apart: the channel id is one byte, and clients
/// number displays from 0.
const CONSOLES_MAX: usize = 16;

/// One address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Listen {
    /// Plain text over TCP. Beyond loopback only with
    /// [`insecure_plaintext`](ServerConfig::insecure_plaintext). Port 0 takes a free one:
    /// [`Server::addresses`](super::Server::addresses) tells which.
    Tcp(SocketAddr),
    /// TLS over TCP, with [`ServerConfig::tls`].
    Tls(SocketAddr),
    /// A Unix socket that its owner alone may open (mode 0600). A socket that nobody
    /// listens on any more is replaced; any other file there is an error.
    Unix(PathBuf),
}

/// How a link is protected on its way here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Security {
    /// Plain text that does not leave this machine.
    Loopback,
    /// A Unix socket.
    Unix,
    /// TLS.
    Tls,
    /// Plain text over a network.
    Plain,
}

/// Certificate chain and private key, PEM. Both are read again for new links when one of
/// them has changed, so that a renewed certificate needs no restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate first, then those above it.
    pub certificate: PathBuf,
    /// PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
}

/// Who is let in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Auth {
    /// Whoever can reach the socket. Only on loopback and Unix sockets.
    Open,
    /// Whoever knows the password in this file, which is read again for each link.
    ///
    /// The first line is the password, 1 to 60 bytes. A second line, if there is one,
    /// says until when it is good: seconds since 1970, or RFC 3339
    /// (`2031-05-01T12:00:00Z`, `2031-05-01T14:00:00+02:00`).
    PasswordFile(PathBuf),
}

/// What happens when a client comes while another is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sharing {
    /// The new one takes over; the old one is disconnected. As spice-server does.
    #[default]
    Takeover,
    /// The new one is refused.
    Exclusive,
    /// All look; the first one that is there works, the others only look unless
    /// [`shared_input`](ServerConfig::shared_input).
    Shared,
}

/// Bounds on what peers may cost.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// A link that has not authenticated after so long is closed. 10 s.
    pub link_time: Duration,
    /// Links at once that have not authenticated. 64.
    pub links: usize,
    /// Of these, from one address (IPv6: from one /64; Unix sockets: from one user). 8.
    pub links_per_peer: usize,
    /// The first wrong ticket of an address is answered after so long, each further one
    /// after twice that, up to `failure_delay_max`. 500 ms.
    pub failure_delay: Duration,
    /// Longest delay of an answer to a wrong ticket. 8 s.
    pub failure_delay_max: Duration,
    /// Clients at once; with [`Sharing::Shared`] a further one is refused. 32.
    pub clients: usize,
    /// A client that has been asked for a sign of life and gives none for so long is
    /// disconnected. 30 s, as a viewer's machine that sleeps for a moment should find its
    /// window again.
    pub silence: Duration,
    /// How often a client is asked for one. 5 s.
    pub ping_interval: Duration,
    /// A channel whose peer takes no byte of what waits for it for so long is closed. 30 s.
    pub write_stall: Duration,
    /// Keys and pointer movements per second that one client may send; it is read more
    /// slowly beyond that. 4000: a mouse of 1000 Hz stays far below.
    pub inputs_per_second: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            link_time: Duration::from_secs(10),
            links: 64,
            links_per_peer: 8,
            failure_delay: Duration::from_millis(500),
            failure_delay_max: Duration::from_secs(8),
            clients: 32,
            silence: Duration::from_secs(30),
            ping_interval: Duration::from_secs(5),
            write_stall: Duration::from_secs(30),
            inputs_per_second: 4000,
        }
    }
}

/// How a server runs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Where it listens.
    pub listen: Vec<Listen>,
    /// For [`Listen::Tls`].
    pub tls: Option<TlsFiles>,
    /// Who is let in.
    pub auth: Auth,
    /// Allows plain text beyond loopback: everything typed can be read on the way.
    pub insecure_plaintext: bool,
    /// What happens when a client comes while another is there.
    pub sharing: Sharing,
    /// With [`Sharing::Shared`] all clients may type and point.
    pub shared_input: bool,
    /// What clients show as the name of what they look at.
    pub name: Option<String>,
    /// Tells machines apart for clients that remember settings.
    pub uuid: Option<[u8; 16]>,
    /// Bounds on what peers may cost.
    pub limits: Limits,
}

impl ServerConfig {
    /// Listens on `listen`, asks as `auth` says; takeover, nothing insecure.
    pub fn new(listen: Vec<Listen>, auth: Auth) -> Self {
        Self {
            listen,
            tls: None,
            auth,
            insecure_plaintext: false,
            sharing: Sharing::default(),
            shared_input: false,
            name: None,
            uuid: None,
            limits: Limits::default(),
        }
    }

    /// Refuses what would be insecure or cannot work, before anything listens.
    pub(super) fn validate(&self, consoles: usize) -> Result<(), ConfigError> {
        if self.listen.is_empty() {
            return Err(ConfigError::NothingToListenOn);
        }
        if consoles == 0 || consoles > CONSOLES_MAX {
            return Err(ConfigError::Consoles {
                seen: consoles,
                limit: CONSOLES_MAX,
            });
        }
        if let Some(name) = &self.name
            && (name.len() > NAME_MAX || name.contains('\0'))
        {
            return Err(ConfigError::Name {
                seen: name.len(),
                limit: NAME_MAX,
            });
        }
        for listen in &self.listen {
            let beyond = match listen {
                Listen::Tcp(addr) if !addr.ip().to_canonical().is_loopback() => {
                    if !self.insecure_plaintext {
                        return Err(ConfigError::Plaintext(*addr));
                    }
                    Some(addr)
                }
                Listen::Tls(_) if self.tls.is_none() => return Err(ConfigError::NoCertificate),
                Listen::Tls(addr) if !addr.ip().to_canonical().is_loopback() => Some(addr),
                _ => None,
            };
            if let (Some(addr), Auth::Open) = (beyond, &self.auth) {
                return Err(ConfigError::OpenToNetwork(*addr));
            }
        }
        let Limits {
            links,
            links_per_peer,
            clients,
            inputs_per_second,
            ..
        } = self.limits;
        if links == 0 || links_per_peer == 0 || clients == 0 || inputs_per_second == 0 {
            return Err(ConfigError::NoRoom);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(listen: Listen, auth: Auth) -> ServerConfig {
        ServerConfig::new(vec![listen], auth)
    }

    fn password() -> Auth {
        Auth::PasswordFile("/run/password".into())
    }

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn plain_text_stays_on_this_machine_unless_told_otherwise() {
        for far in ["0.0.0.0:1", "[::]:1", "192.0.2.7:1", "[::ffff:192.0.2.7]:1"] {
            let mut refused = config(Listen::Tcp(addr(far)), password());
            assert!(
                matches!(refused.validate(1), Err(ConfigError::Plaintext(a)) if a == addr(far))
            );
            refused.insecure_plaintext = true;
            refused.validate(1).unwrap();
        }
        for near in [
            "127.0.0.1:1",
            "127.8.9.1:1",
            "[::1]:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            config(Listen::Tcp(addr(near)), password())
                .validate(1)
                .unwrap();
            config(Listen::Tcp(addr(near)), Auth::Open)
                .validate(1)
                .unwrap();
        }
        config(Listen::Unix("/run/s".into()), Auth::Open)
            .validate(1)
            .unwrap();
    }

    #[test]
    fn a_network_never_gets_in_without_a_password() {
        let mut plain = config(Listen::Tcp(addr("0.0.0.0:1")), Auth::Open);
        plain.insecure_plaintext = true;
        assert!(matches!(
            plain.validate(1),
            Err(ConfigError::OpenToNetwork(_))
        ));
        let mut tls = config(Listen::Tls(addr("0.0.0.0:1")), Auth::Open);
        tls.tls = Some(TlsFiles {
            certificate: "/c".into(),
            key: "/k".into(),
        });
        assert!(matches!(
            tls.validate(1),
            Err(ConfigError::OpenToNetwork(_))
        ));
        tls.auth = password();
        tls.validate(1).unwrap();
        tls.tls = None;
        assert!(matches!(tls.validate(1), Err(ConfigError::NoCertificate)));
    }
}
