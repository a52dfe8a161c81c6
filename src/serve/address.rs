//! Where clients come in, as the command line says it.

use std::fmt;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;

use crate::failure::{self, Exit, Failure};

/// Longest path that a Unix socket's address holds, without its closing zero.
const MAX_PATH: usize = 107;

/// `HOST:PORT` or `unix:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp(TcpAddress),
    Unix(PathBuf),
}

/// `HOST:PORT`, an IPv6 address in brackets; port 0 is any that is free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TcpAddress {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl FromStr for TcpAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || {
            format!(
                "{text:?} is no address: write HOST:PORT, for example 127.0.0.1:5900 or [::1]:5900"
            )
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
        let port = port.parse().map_err(|_| bad())?;
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let host = match bare {
            Some(inner) if inner.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6()) => inner,
            Some(_) => return Err(bad()),
            None => host,
        };
        // Two colons without brackets say nothing for certain.
        if host.is_empty() || (bare.is_none() && host.contains(':')) {
            return Err(bad());
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for TcpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') {
            write!(f, "[{host}]:{port}")
        } else {
            write!(f, "{host}:{port}")
        }
    }
}

impl TcpAddress {
    /// The addresses that the name stands for, at least one.
    pub(crate) fn resolve(&self, option: &str) -> Result<Vec<SocketAddr>, Failure> {
        let unknown = |why: &str| {
            Failure::new(Exit::Listen, format_args!("{option} {self}: {why}"))
                .hint("127.0.0.1 is this machine, 0.0.0.0 all of its IPv4 addresses")
        };
        let found = (self.host.as_str(), self.port).to_socket_addrs();
        let found = found.map_err(|e| unknown(&failure::reason(&e)))?;
        let mut addresses: Vec<SocketAddr> = Vec::new();
        for address in found {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if addresses.is_empty() {
            return Err(unknown("the name has no address"));
        }
        Ok(addresses)
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some(path) = text.strip_prefix("unix:") else {
            return text.parse().map(Self::Tcp).map_err(|error: String| {
                error.replace("write HOST:PORT", "write unix:PATH or HOST:PORT")
            });
        };
        match path.len() {
            0 => Err("unix: needs a path, for example unix:/run/user/1000/spice.sock".to_owned()),
            1..=MAX_PATH => Ok(Self::Unix(path.into())),
            len => Err(format!(
                "a socket's path of {len} bytes is too long: at most {MAX_PATH}"
            )),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// True where nothing beyond this machine reaches `address`.
pub(crate) fn is_local(address: &SocketAddr) -> bool {
    // ::ffff:127.0.0.1 is loopback too.
    address.ip().to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_as_written() {
        for text in [
            "127.0.0.1:5900",
            "[::1]:5900",
            "[::]:0",
            "desk.example:5901",
            "unix:/run/spice.sock",
            "unix:relative:with:colons",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_an_example() {
        let long = format!("unix:{}", "x".repeat(MAX_PATH + 1));
        for (text, word) in [
            ("5900", "HOST:PORT"),
            (":5900", "127.0.0.1:5900"),
            ("host:", "HOST:PORT"),
            ("host:65536", "HOST:PORT"),
            ("host:-1", "HOST:PORT"),
            ("::1:5900", "[::1]:5900"),
            ("[host]:5900", "HOST:PORT"),
            ("[::1]", "HOST:PORT"),
            ("unix:", "needs a path"),
            (&long, "at most 107"),
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn only_loopback_is_local() {
        for (text, local) in [
            ("127.0.0.1:1", true),
            ("127.9.9.9:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("0.0.0.0:1", false),
            ("[::]:1", false),
            ("192.168.0.1:1", false),
            ("[::ffff:10.0.0.1]:1", false),
        ] {
            assert_eq!(is_local(&text.parse().unwrap()), local, "{text}");
        }
    }
}
