//! A stream with x264 and a server of it, on loopback.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use scanout_benches::Error;
use scanout_core::encoder::{Backend, Codec};
use scanout_gst::GstBackend;
use scanout_spice::server::{Auth, Console, Listen, NoInput, Running, ServerConfig, Sharing};
use scanout_spice::stream::{EncoderChoice, GlStream, GlStreamConfig};
use scanout_spice_client::{Address, Client, Config, Picture};

/// For anything that should be there at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Keys that a server keeps ready, one for each channel that links: sixteen, and the one
/// that waits for room.
const KEYS: u64 = 17;

pub(crate) struct Serving {
    pub(crate) stream: GlStream,
    server: Running,
    pub(crate) address: SocketAddr,
}

impl Serving {
    /// x264 as `scanout serve` opens it, 8 Mbit/s.
    pub(crate) fn start(threads: Option<NonZeroU32>, sharing: Sharing) -> Result<Self, Error> {
        let backend = Arc::new(GstBackend::new()?);
        let devices = backend.devices()?;
        let cpu = devices.into_iter().find(|device| device.id == "cpu");
        let cpu = cpu.ok_or("no device cpu")?;
        let choice = EncoderChoice::new(backend, cpu, "x264enc", Codec::H264);
        let mut config = GlStreamConfig::new(vec![choice]);
        config.threads = threads;
        let stream = GlStream::start(config)?;

        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut config = ServerConfig::new(vec![Listen::Tcp(anywhere)], Auth::Open);
        config.sharing = sharing;
        let console = Console::new(stream.viewers(), NoInput);
        let server = Running::start(config, vec![console])?;
        let Some(Listen::Tcp(address)) = server.handle().addresses().first().cloned() else {
            return Err("the server has no TCP address".into());
        };
        Ok(Self {
            stream,
            server,
            address,
        })
    }

    /// A client of one display and nothing else. `receive_buffer` is what the kernel keeps
    /// of what it does not read.
    pub(crate) fn connect(&self, receive_buffer: Option<usize>) -> Result<Client, Error> {
        let mut config = Config::new(Address::Tcp(self.address), "");
        config.inputs = false;
        config.cursor = false;
        config.receive_buffer = receive_buffer;
        config.limit = PATIENCE;
        Ok(Client::connect(&config)?)
    }

    /// Waits until the server has as many keys in hand as it keeps.
    pub(crate) fn wait_for_keys(&self) -> Result<(), Error> {
        let begun = Instant::now();
        loop {
            let stats = self.server.handle().stats();
            if stats.keys_made >= stats.channels_linked + KEYS {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("{} keys made in all", stats.keys_made).into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until nobody looks and all encoders are closed.
    pub(crate) fn wait_for_nobody(&self) -> Result<(), Error> {
        let begun = Instant::now();
        loop {
            let stats = self.stream.stats();
            let clients = self.server.handle().stats().clients.len();
            if stats.viewers == 0 && clients == 0 && stats.groups.is_empty() {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("{clients} clients stay, {} viewers", stats.viewers).into());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub(crate) fn stop(self) -> Result<(), Error> {
        self.server.stop()?;
        self.stream.stop(PATIENCE)?;
        Ok(())
    }
}

/// The first picture of a client's display.
pub(crate) fn first_picture(client: &Client) -> Result<Picture, Error> {
    let display = client.display(0).ok_or("no display")?;
    Ok(display.wait_for(PATIENCE, |log| log.pictures().next().cloned())?)
}

/// Keeps what a client found wrong.
pub(crate) fn judge(part: &str, client: &Client, violations: &mut Vec<String>) {
    let found = client.violations().into_iter();
    violations.extend(found.map(|v| {
        format!(
            "{part}: {:?} channel, message {} ({}): {}",
            v.channel_type, v.message, v.kind, v.fault
        )
    }));
}

/// Milliseconds.
pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
