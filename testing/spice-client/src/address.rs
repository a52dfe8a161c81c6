//! Where a server is, and connections to it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use socket2::{Domain, Protocol, Socket, Type};

/// Where a server listens.
#[derive(Clone, Debug)]
pub enum Address {
    /// TCP.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
    /// TLS over TCP.
    Tls {
        /// Where.
        addr: SocketAddr,
        /// The name that the certificate must have.
        name: String,
        /// A file of certificates to trust, PEM.
        trust: PathBuf,
    },
}

/// A connection of bytes.
#[derive(Debug)]
pub struct Connection(Inner);

#[derive(Debug)]
enum Inner {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Address {
    /// Connects within `limit`. `receive_buffer` is what the kernel may keep of what was
    /// not read, so that a client that stalls is felt soon; for TCP only.
    ///
    /// # Errors
    /// The system's, or TLS's as `InvalidData`.
    pub fn connect(
        &self,
        limit: Duration,
        receive_buffer: Option<usize>,
    ) -> io::Result<Connection> {
        Ok(Connection(match self {
            Self::Tcp(addr) => Inner::Tcp(tcp(*addr, limit, receive_buffer)?),
            Self::Unix(path) => Inner::Unix(UnixStream::connect(path)?),
            Self::Tls { addr, name, trust } => {
                let mut roots = RootCertStore::empty();
                let certificates =
                    CertificateDer::pem_file_iter(trust).map_err(io::Error::other)?;
                for certificate in certificates {
                    roots
                        .add(certificate.map_err(io::Error::other)?)
                        .map_err(io::Error::other)?;
                }
                let config = ClientConfig::builder_with_provider(Arc::new(
                    rustls::crypto::ring::default_provider(),
                ))
                .with_safe_default_protocol_versions()
                .map_err(io::Error::other)?
                .with_root_certificates(roots)
                .with_no_client_auth();
                let name = ServerName::try_from(name.clone()).map_err(io::Error::other)?;
                let session =
                    ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
                let mut stream = StreamOwned::new(session, tcp(*addr, limit, receive_buffer)?);
                stream.sock.set_read_timeout(Some(limit))?;
                while stream.conn.is_handshaking() {
                    stream.conn.complete_io(&mut stream.sock)?;
                }
                Inner::Tls(Box::new(stream))
            }
        }))
    }
}

fn tcp(addr: SocketAddr, limit: Duration, receive_buffer: Option<usize>) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if let Some(bytes) = receive_buffer {
        // Before connecting: the window's scale is said there.
        socket.set_recv_buffer_size(bytes)?;
    }
    socket.connect_timeout(&addr.into(), limit)?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket.into())
}

impl Connection {
    /// How long a read may wait.
    ///
    /// # Errors
    /// The system's; none for a time above zero.
    pub fn set_read_timeout(&self, limit: Duration) -> io::Result<()> {
        let limit = Some(limit.max(Duration::from_micros(1)));
        match &self.0 {
            Inner::Tcp(stream) => stream.set_read_timeout(limit),
            Inner::Unix(stream) => stream.set_read_timeout(limit),
            Inner::Tls(stream) => stream.sock.set_read_timeout(limit),
        }
    }

    /// How long a write may wait.
    ///
    /// # Errors
    /// The system's; none for a time above zero.
    pub fn set_write_timeout(&self, limit: Duration) -> io::Result<()> {
        let limit = Some(limit.max(Duration::from_micros(1)));
        match &self.0 {
            Inner::Tcp(stream) => stream.set_write_timeout(limit),
            Inner::Unix(stream) => stream.set_write_timeout(limit),
            Inner::Tls(stream) => stream.sock.set_write_timeout(limit),
        }
    }

    /// Ends both directions. What goes wrong with that concerns nobody.
    pub fn shutdown(&mut self) {
        let _ = match &mut self.0 {
            Inner::Tcp(stream) => stream.shutdown(Shutdown::Both),
            Inner::Unix(stream) => stream.shutdown(Shutdown::Both),
            Inner::Tls(stream) => {
                stream.conn.send_close_notify();
                let _ = stream.flush();
                stream.sock.shutdown(Shutdown::Both)
            }
        };
    }
}

impl Read for Connection {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Inner::Tcp(stream) => stream.read(into),
            Inner::Unix(stream) => stream.read(into),
            Inner::Tls(stream) => stream.read(into),
        }
    }
}

impl Write for Connection {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Inner::Tcp(stream) => stream.write(from),
            Inner::Unix(stream) => stream.write(from),
            Inner::Tls(stream) => stream.write(from),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Inner::Tcp(stream) => stream.flush(),
            Inner::Unix(stream) => stream.flush(),
            Inner::Tls(stream) => stream.flush(),
        }
    }
}
