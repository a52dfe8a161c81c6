//! How to connect, for people and in a file for remote-viewer.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use zeroize::Zeroizing;

use super::address::is_local;
use crate::failure::Failure;

/// A way in that is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum Entrance {
    Tcp { address: SocketAddr },
    Tls { address: SocketAddr },
    Unix { path: PathBuf },
}

impl Entrance {
    /// What a viewer is given to come in here; `machine` is what others call this one.
    pub(super) fn uri(&self, machine: &str) -> String {
        match self {
            Self::Tcp { address } => {
                format!("spice://{}:{}", host(address, machine), address.port())
            }
            Self::Tls { address } => format!(
                "spice://{}?tls-port={}",
                host(address, machine),
                address.port()
            ),
            Self::Unix { path } => format!("spice+unix://{}", absolute(path).display()),
        }
    }

    /// True where it can be reached from this machine alone.
    pub(super) fn is_local(&self) -> bool {
        match self {
            Self::Tcp { address } | Self::Tls { address } => is_local(address),
            Self::Unix { .. } => true,
        }
    }
}

/// The host to name in a URI: of an address that stands for all, `machine`.
fn host(address: &SocketAddr, machine: &str) -> String {
    let ip = address.ip();
    match ip {
        _ if ip.is_unspecified() => machine.to_owned(),
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

/// Viewers are started elsewhere.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// What others call this machine.
pub(super) fn machine() -> String {
    let name = rustix::system::uname();
    match name.nodename().to_str() {
        Ok(name) if !name.is_empty() => name.to_owned(),
        _ => "localhost".to_owned(),
    }
}

/// What goes into a file for remote-viewer beside the way in.
#[derive(Default)]
pub(super) struct Viewer<'a> {
    pub(super) title: &'a str,
    /// As it is now; the file is as good as a key then.
    pub(super) password: Option<Zeroizing<String>>,
    /// PEM.
    pub(super) ca: Option<String>,
}

/// The file: by TLS where there is a way, else by TCP, else by a Unix socket.
/// `None` where there is no way in at all.
pub(super) fn vv(
    entrances: &[Entrance],
    machine: &str,
    viewer: &Viewer<'_>,
) -> Option<Zeroizing<String>> {
    let rank = |entrance: &&Entrance| match entrance {
        Entrance::Tls { .. } => 0,
        Entrance::Tcp { .. } => 1,
        Entrance::Unix { .. } => 2,
    };
    let best = entrances.iter().min_by_key(rank)?;
    let mut text = Zeroizing::new("[virt-viewer]\ntype=spice\n".to_owned());
    let mut line = |key: &str, value: &str| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{key}={}", *escaped(value));
    };
    // Unlike a URI, the file takes an IPv6 address bare.
    let bare = |address| host(address, machine).trim_matches(['[', ']']).to_owned();
    match best {
        Entrance::Tls { address } => {
            line("host", &bare(address));
            line("tls-port", &address.port().to_string());
            line("secure-channels", "all");
        }
        Entrance::Tcp { address } => {
            line("host", &bare(address));
            line("port", &address.port().to_string());
        }
        Entrance::Unix { path } => line("unix-path", &absolute(path).display().to_string()),
    }
    if let Some(password) = &viewer.password {
        line("password", password);
    }
    if let Some(ca) = &viewer.ca {
        line("ca", ca);
    }
    line("title", viewer.title);
    line("delete-this-file", "0");
    Some(text)
}

/// A value as GLib's key files have it.
fn escaped(value: &str) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(value.len() + 8));
    for (at, c) in value.chars().enumerate() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            ' ' if at == 0 => out.push_str("\\s"),
            c => out.push(c),
        }
    }
    out
}

/// Names that are tried for the file that becomes the one asked for.
const PARTIALS_MAX: u32 = 16;

/// Writes `text` into `path`, whole or not at all, readable by its owner alone
/// from the first byte on, whatever was there.
pub(super) fn write_private(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |e| Failure::output(path.display(), &e);
    let name = path.file_name().unwrap_or_default();
    let create = |attempt: u32| -> io::Result<(File, PathBuf)> {
        let mut name = name.to_owned();
        name.push(format!(".{}.{attempt}.part", std::process::id()));
        let partial = path.with_file_name(name);
        // A name that is there already is somebody else's, or a link to elsewhere ...
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&partial)?;
        Ok((file, partial))
    };
    // ... or what a crash has left: in a container every start may have the same number.
    let mut created = create(0);
    for attempt in 1..PARTIALS_MAX {
        match &created {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => created = create(attempt),
            _ => break,
        }
    }
    let (mut file, partial) = created.map_err(failed)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| fs::rename(&partial, path));
    written.map_err(|e| {
        let _ = fs::remove_file(&partial);
        failed(e)
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_a_crash_left_does_not_keep_a_file_from_being_written() {
        let folder = std::env::temp_dir().join(format!("scanout-partial-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("x.vv");
        let left = folder.join(format!("x.vv.{}.0.part", std::process::id()));
        fs::write(&left, "left").unwrap();
        write_private(&path, "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::read_to_string(&left).unwrap(), "left");
        fs::remove_dir_all(&folder).unwrap();
    }

    fn tcp(text: &str) -> Entrance {
        Entrance::Tcp {
            address: text.parse().unwrap(),
        }
    }

    fn tls(text: &str) -> Entrance {
        Entrance::Tls {
            address: text.parse().unwrap(),
        }
    }

    #[test]
    fn a_uri_names_an_address_that_others_can_use() {
        assert_eq!(tcp("127.0.0.1:5900").uri("desk"), "spice://127.0.0.1:5900");
        assert_eq!(tcp("0.0.0.0:5900").uri("desk"), "spice://desk:5900");
        assert_eq!(tcp("[::1]:5900").uri("desk"), "spice://[::1]:5900");
        assert_eq!(tls("[::]:5901").uri("desk"), "spice://desk?tls-port=5901");
        let unix = Entrance::Unix {
            path: "/run/s".into(),
        };
        assert_eq!(unix.uri("desk"), "spice+unix:///run/s");
    }

    #[test]
    fn a_file_takes_the_safest_way_and_holds_no_more_than_asked() {
        let viewer = Viewer {
            title: " a\\b",
            ..Viewer::default()
        };
        let entrances = [tcp("[::1]:5900"), tls("[::1]:5901")];
        let text = vv(&entrances, "desk", &viewer).unwrap();
        assert_eq!(
            *text,
            "[virt-viewer]\ntype=spice\nhost=::1\ntls-port=5901\nsecure-channels=all\n\
             title=\\sa\\\\b\ndelete-this-file=0\n"
        );
        let viewer = Viewer {
            title: "x",
            password: Some(Zeroizing::new("se\tcret".to_owned())),
            ca: Some("-----BEGIN\nxyz\n".to_owned()),
        };
        let text = vv(&entrances[..1], "desk", &viewer).unwrap();
        assert!(text.contains("\nhost=::1\nport=5900\npassword=se\\tcret\n"));
        assert!(text.contains("\nca=-----BEGIN\\nxyz\\n\n"));
        assert!(vv(&[], "desk", &viewer).is_none());
    }

    #[test]
    fn a_file_is_private_whatever_was_there_before() {
        let folder = std::env::temp_dir().join(format!("scanout-vv-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("x.vv");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        write_private(&path, "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        let failure = write_private(&folder.join("none/x.vv"), "x").unwrap_err();
        assert!(failure.line().contains("none/x.vv"), "{failure}");
        fs::remove_dir_all(&folder).unwrap();
    }
}
