//! What `scanout serve` can be told.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, ValueEnum};
use scanout_core::buffer::Orientation;
use scanout_core::encoder::{Bitrate, Chroma, Codec, Effort};
use scanout_core::geometry::Size;

use super::address::{Address, TcpAddress};
use crate::cli::values;
use crate::encode::ChoiceArgs;
use crate::memory::{BUFFERS, Memory};
use crate::source::SourceArgs;

#[derive(Clone, Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(super) source: SourceArgs,
    #[command(flatten)]
    pub(super) play: PlayArgs,
    #[command(flatten)]
    pub(super) listen: ListenArgs,
    #[command(flatten)]
    pub(super) clients: ClientArgs,
    #[command(flatten)]
    pub(super) stream: StreamArgs,
    #[command(flatten)]
    pub(super) choice: ChoiceArgs,
    #[command(flatten)]
    pub(super) watch: WatchArgs,
}

/// How the source is shown.
#[derive(Clone, Debug, Args)]
pub(super) struct PlayArgs {
    /// Begin again when the source has ended. Without it the last frame stays
    #[arg(long, conflicts_with = "once")]
    pub(super) r#loop: bool,
    /// Stop when the source has ended
    #[arg(long)]
    pub(super) once: bool,
    /// How rows lie in the source's buffers: top-down or bottom-up (as OpenGL
    /// draws). Clients see the same picture
    #[arg(long, value_name = "WAY", default_value = "top-down", value_parser = orientation)]
    pub(super) orientation: Orientation,
    /// Where the frames live, as for `scanout encode`
    #[arg(long, default_value = "memfd")]
    pub(super) memory: Memory,
    /// Buffers that the source draws into in turn: 1 is drawn into again and
    /// again as a GL guest does, 2 to 4 are flipped
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = buffers)]
    pub(super) buffers: u8,
    /// Change the desktop's size so often, to the next of --sizes
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub(super) resize_every: Option<Duration>,
    /// Sizes that --resize-every goes through, again and again
    #[arg(
        long, value_name = "WxH,...", value_parser = values::size, value_delimiter = ',',
        default_value = "1280x720,1920x1080", requires = "resize_every"
    )]
    pub(super) sizes: Vec<Size>,
}

/// Where and whom.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Who can connect")]
#[command(group = ArgGroup::new("who").required(true).args(["password_file", "no_password"]))]
pub(super) struct ListenArgs {
    /// Where clients connect in plain text: HOST:PORT or unix:PATH (a socket
    /// that only you can open); port 0 takes a free one. May be repeated
    /// [default: 127.0.0.1:5900 where --tls-listen is not given]
    #[arg(long, value_name = "ADDRESS")]
    pub(super) listen: Vec<Address>,
    /// Where clients connect by TLS: HOST:PORT. May be repeated
    #[arg(long, value_name = "HOST:PORT", requires = "tls_cert")]
    pub(super) tls_listen: Vec<TcpAddress>,
    /// The same on the hosts of --listen, at this port
    #[arg(
        long,
        value_name = "PORT",
        requires = "tls_cert",
        conflicts_with = "tls_listen"
    )]
    pub(super) tls_port: Option<u16>,
    /// Certificate chain, PEM; read again when it changes
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(super) tls_cert: Option<PathBuf>,
    /// Private key of the certificate, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(super) tls_key: Option<PathBuf>,
    /// File with the password; read again for each client
    #[arg(long, value_name = "FILE")]
    pub(super) password_file: Option<PathBuf>,
    /// Let in whoever can connect: loopback and Unix sockets only
    #[arg(long)]
    pub(super) no_password: bool,
    /// Allow --listen beyond this machine, where the picture and all that is
    /// typed can be read on the way
    #[arg(long)]
    pub(super) insecure_plaintext: bool,
}

/// What clients may do.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Clients")]
pub(super) struct ClientArgs {
    /// What happens when a client comes while another is there
    #[arg(long, value_enum, default_value_t = SharingArg::Takeover)]
    pub(super) sharing: SharingArg,
    /// With --sharing shared: all clients may type and point, not the first alone
    #[arg(long)]
    pub(super) shared_input: bool,
    /// What clients show as the screen's name [default: the source]
    #[arg(long, value_name = "TEXT")]
    pub(super) name: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum SharingArg {
    /// The new one takes over, the old one is disconnected
    Takeover,
    /// The new one is refused
    Exclusive,
    /// All look
    Shared,
}

/// What clients get.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Streams")]
pub(super) struct StreamArgs {
    /// Codecs in order of preference, of h264, h265, vp8, vp9 and mjpeg: a client
    /// gets the first that it shows
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = DEFAULT_CODECS
    )]
    pub(super) codec: Vec<Codec>,
    /// Chroma: 420 or 444, which keeps coloured text sharp. Where 444 is asked
    /// for, codecs without it are offered in 420
    #[arg(long, default_value_t = Chroma::C420)]
    pub(super) chroma: Chroma,
    /// Bits per second of each stream at its best; a slow network lowers it
    #[arg(long, value_name = "RATE", default_value = "8M")]
    pub(super) bitrate: Bitrate,
    /// Most frames per second that are taken from the source: it waits with what
    /// is drawn earlier
    #[arg(long, value_name = "N", default_value_t = NonZeroU32::MIN.saturating_add(59), value_parser = max_fps)]
    pub(super) max_fps: NonZeroU32,
    /// Time spent per picture: fastest, balanced or quality
    #[arg(long, default_value_t = Effort::Fastest)]
    pub(super) effort: Effort,
    /// Threads of a software encoder [default: as the encoder likes]
    #[arg(long, value_name = "N")]
    pub(super) threads: Option<NonZeroU32>,
}

/// How others learn of it.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "To connect and to watch")]
pub(super) struct WatchArgs {
    /// Write a file that `remote-viewer FILE` connects with, readable by you alone
    #[arg(long, value_name = "FILE")]
    pub(super) write_vv: Option<PathBuf>,
    /// Put the password as it is now into the file of --write-vv: whoever reads
    /// it can connect. Without it the viewer asks
    #[arg(long, requires = "write_vv", requires = "password_file")]
    pub(super) vv_password: bool,
    /// Certificate of the authority that signed --tls-cert (a self-signed one:
    /// itself), PEM, for the file of --write-vv
    #[arg(
        long,
        value_name = "FILE",
        requires = "write_vv",
        requires = "tls_cert"
    )]
    pub(super) vv_ca: Option<PathBuf>,
    /// Serve http://ADDRESS/metrics in Prometheus' text form
    #[arg(long, value_name = "IP:PORT")]
    pub(super) metrics: Option<SocketAddr>,
    /// Allow --metrics beyond this machine: it is plain text and asks for no password
    #[arg(long, requires = "metrics")]
    pub(super) metrics_insecure: bool,
}

/// What stock clients show: the one that is cheapest to code and to send, one for
/// clients without a decoder of it, and one that every client has.
const DEFAULT_CODECS: &str = "h264,vp8,mjpeg";

fn orientation(text: &str) -> Result<Orientation, String> {
    match text {
        "top-down" => Ok(Orientation::TopDown),
        "bottom-up" => Ok(Orientation::BottomUp),
        _ => Err(format!(
            "{text:?} is no way that rows lie: one of top-down, bottom-up"
        )),
    }
}

fn buffers(text: &str) -> Result<u8, String> {
    match text.parse::<u8>() {
        Ok(n) if (1..=BUFFERS).contains(&usize::from(n)) => Ok(n),
        _ => Err(format!(
            "{text:?} is no number of buffers from 1 to {BUFFERS}"
        )),
    }
}

fn max_fps(text: &str) -> Result<NonZeroU32, String> {
    match text.parse::<NonZeroU32>() {
        Ok(n) if (4..=240).contains(&n.get()) => Ok(n),
        _ => Err(format!("{text:?} is no frame rate from 4 to 240")),
    }
}
