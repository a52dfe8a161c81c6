//! The sockets that are listened on.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::Mode;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, TcpKeepalive, Type};

use super::config::Listen;
use super::error::ServerError;

/// Links that the kernel keeps until we look, which is at once: room for a flood between
/// two looks.
const BACKLOG: i32 = 1024;
/// Bytes that the kernel takes beyond what it has sent. What a slow peer has not taken is
/// to wait here, where it is seen and bounded, and not in megabytes of socket buffers.
const UNSENT: u32 = 128 << 10;
/// A peer that is gone without a word is found after 10 + 3 * 5 s without traffic ...
const KEEPALIVE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_PROBES: u32 = 3;
/// Its owner's alone.
const SOCKET_MODE: u32 = 0o600;

/// A bound socket, not yet on an event loop.
pub(super) struct Listener {
    pub(super) socket: BoundSocket,
    /// With the port that it got.
    pub(super) address: Listen,
}

pub(super) enum BoundSocket {
    Tcp(std::net::TcpListener),
    Unix(UnixListener, SocketFile),
}

impl Listener {
    pub(super) fn bind(listen: &Listen) -> Result<Self, ServerError> {
        let tcp = |addr: &SocketAddr| {
            tcp_listener(*addr).map_err(|cause| ServerError::Listen {
                address: addr.to_string(),
                cause,
            })
        };
        Ok(match listen {
            Listen::Tcp(addr) => {
                let (socket, addr) = tcp(addr)?;
                Self {
                    socket: BoundSocket::Tcp(socket),
                    address: Listen::Tcp(addr),
                }
            }
            Listen::Tls(addr) => {
                let (socket, addr) = tcp(addr)?;
                Self {
                    socket: BoundSocket::Tcp(socket),
                    address: Listen::Tls(addr),
                }
            }
            Listen::Unix(path) => {
                let (socket, file) = unix_listener(path)?;
                Self {
                    socket: BoundSocket::Unix(socket, file),
                    address: listen.clone(),
                }
            }
        })
    }
}

fn tcp_listener(addr: SocketAddr) -> io::Result<(std::net::TcpListener, SocketAddr)> {
    let socket = Socket::new(
        Domain::for_address(addr),
        Type::STREAM.nonblocking().cloexec(),
        Some(Protocol::TCP),
    )?;
    // A server that is started again finds its port, whatever connections linger.
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    let listener = std::net::TcpListener::from(socket);
    let addr = listener.local_addr()?;
    Ok((listener, addr))
}

/// The file of a Unix socket; removed on drop if it is still the one that was made.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|meta| meta.dev() == self.device && meta.ino() == self.inode);
        if ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn unix_listener(path: &Path) -> Result<(UnixListener, SocketFile), ServerError> {
    let failed = |cause| ServerError::Listen {
        address: path.display().to_string(),
        cause,
    };
    remove_stale(path)?;
    let listener = || -> io::Result<(UnixListener, SocketFile)> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
        // On Linux the file gets the mode that the socket has when it is bound: there is no
        // moment in which others may open it.
        rustix::fs::fchmod(socket.as_fd(), Mode::from_raw_mode(SOCKET_MODE))?;
        socket.bind(&SockAddr::unix(path)?)?;
        let meta = fs::symlink_metadata(path)?;
        let file = SocketFile {
            path: path.into(),
            device: meta.dev(),
            inode: meta.ino(),
        };
        if meta.mode() & 0o777 & !SOCKET_MODE != 0 {
            fs::set_permissions(path, fs::Permissions::from_mode(SOCKET_MODE))?;
        }
        socket.listen(BACKLOG)?;
        Ok((socket.into(), file))
    };
    listener().map_err(failed)
}

/// Removes a socket that nobody listens on; whatever else is there stays.
fn remove_stale(path: &Path) -> Result<(), ServerError> {
    let failed = |cause| ServerError::Listen {
        address: path.display().to_string(),
        cause,
    };
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(failed(e)),
    };
    if !meta.file_type().is_socket() {
        return Err(ServerError::NotASocket(path.into()));
    }
    let connected = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)
        .and_then(|socket| socket.connect(&SockAddr::unix(path)?));
    match connected {
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed)
        }
        // Where a listener's backlog is full, connecting would block: it is there.
        Err(e) if e.kind() != io::ErrorKind::WouldBlock => Err(failed(e)),
        _ => Err(ServerError::InUse(path.into())),
    }
}

/// What a connection needs so that a dead, slow or far peer is seen.
///
/// No TCP_USER_TIMEOUT: the kernel also takes a peer for dead that reads on, slowly, and
/// whose window stays below a segment. Where something waits to be acknowledged the
/// channels' own limits on silence and on stalled writes find the dead.
pub(super) fn prepare(stream: &tokio::net::TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(UNSENT)?;
    socket.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(KEEPALIVE)
            .with_interval(KEEPALIVE_INTERVAL)
            .with_retries(KEEPALIVE_PROBES),
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("scanout-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_unix_socket_is_its_owners_alone_and_leaves_nothing_behind() {
        let folder = Folder::new("unix-mode");
        let path = folder.0.join("s");
        let listener = Listener::bind(&Listen::Unix(path.clone())).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, SOCKET_MODE);
        UnixStream::connect(&path).unwrap();
        drop(listener);
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let folder = Folder::new("unix-stale");
        let path = folder.0.join("s");
        // The standard library leaves the file behind.
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let listen = Listen::Unix(path.clone());
        let live = Listener::bind(&listen).unwrap();
        assert!(matches!(Listener::bind(&listen).err(), Some(ServerError::InUse(p)) if p == path));
        UnixStream::connect(&path).unwrap();
        drop(live);
    }

    #[test]
    fn what_is_no_socket_is_not_touched() {
        let folder = Folder::new("unix-file");
        let path = folder.0.join("precious");
        fs::write(&path, "data").unwrap();
        let seen = Listener::bind(&Listen::Unix(path.clone())).err();
        assert!(matches!(seen, Some(ServerError::NotASocket(_))));
        assert_eq!(fs::read(&path).unwrap(), b"data");
        let link = folder.0.join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let seen = Listener::bind(&Listen::Unix(link)).err();
        assert!(matches!(seen, Some(ServerError::NotASocket(_))));
    }

    #[test]
    fn a_socket_that_another_server_has_put_there_since_is_left_alone() {
        let folder = Folder::new("unix-other");
        let path = folder.0.join("s");
        let first = Listener::bind(&Listen::Unix(path.clone())).unwrap();
        fs::rename(&path, folder.0.join("moved")).unwrap();
        let second = Listener::bind(&Listen::Unix(path.clone())).unwrap();
        drop(first);
        UnixStream::connect(&path).unwrap();
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn port_zero_tells_which_port_it_got() {
        let any = "127.0.0.1:0".parse().unwrap();
        let listener = Listener::bind(&Listen::Tcp(any)).unwrap();
        assert!(matches!(listener.address, Listen::Tcp(addr) if addr.port() != 0));
    }
}
