//! A server with a console that is a double, on a port of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use scanout_spice::server::{Auth, Console, Listen, Running, ServerConfig, ServerStats};
use scanout_spice::wire::link::{ChannelType, LinkMessage};

use super::client::{Client, Refused, connect, link_message};
use super::double::{Double, Hand};

pub(crate) const PASSWORD: &str = "correct horse";

/// A folder that goes when the test ends.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("scanout-server-{}-{n}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) struct Rig {
    pub(crate) screen: Double,
    pub(crate) hand: Hand,
    pub(crate) server: Running,
    pub(crate) folder: Folder,
    pub(crate) addr: SocketAddr,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(|_, _| {})
    }

    /// The configuration can be changed before the server starts.
    pub(crate) fn with(change: impl FnOnce(&mut ServerConfig, &Folder)) -> Self {
        let folder = Folder::new();
        let password = folder.0.join("password");
        std::fs::write(&password, format!("{PASSWORD}\n")).unwrap();
        let loopback = "127.0.0.1:0".parse().unwrap();
        let mut config =
            ServerConfig::new(vec![Listen::Tcp(loopback)], Auth::PasswordFile(password));
        config.limits.failure_delay = Duration::from_millis(1);
        config.limits.failure_delay_max = Duration::from_millis(1);
        // Tests open many links from one address.
        config.limits.links_per_peer = 64;
        change(&mut config, &folder);
        let screen = Double::default();
        let hand = Hand::default();
        let console = Console::new(screen.clone(), hand.clone());
        let server = Running::start(config, vec![console]).unwrap();
        let addr = server.handle().addresses().iter().find_map(|l| match l {
            Listen::Tcp(addr) => Some(*addr),
            _ => None,
        });
        Self {
            screen,
            hand,
            server,
            folder,
            addr: addr.unwrap_or(loopback),
        }
    }

    pub(crate) fn link(&self, message: &LinkMessage) -> Result<Client, Refused> {
        Client::link(connect(self.addr), message, PASSWORD)
    }

    /// A main channel, and the id of its session.
    pub(crate) fn main(&self) -> (Client, u32) {
        let message = link_message(0, ChannelType::Main, 0);
        let mut main = self.link(&message).unwrap();
        let session = main.main_init().session_id;
        (main, session)
    }

    pub(crate) fn channel(&self, session: u32, channel: ChannelType) -> Client {
        self.link(&link_message(session, channel, 0)).unwrap()
    }

    /// A display channel that has said INIT and is past SET_ACK; it joined as the `n`th.
    pub(crate) fn display(&self, session: u32, n: usize) -> Client {
        let mut display = self.channel(session, ChannelType::Display);
        display.display_init();
        self.screen.wait_joined(n);
        assert_eq!(display.display().0, 3);
        display
    }

    pub(crate) fn stats(&self) -> ServerStats {
        self.server.handle().stats()
    }
}
