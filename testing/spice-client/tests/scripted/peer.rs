//! A server that does what a test's script says.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use rsa::pkcs8::EncodePublicKey;
use rsa::{Oaep, RsaPrivateKey};
use scanout_spice::wire::display::{
    Clip, Codec, DisplayServerMessage, Rect, SURFACE_FORMAT_XRGB, StreamCreate, StreamData,
    StreamFlags, SurfaceCreate, SurfaceFlags,
};
use scanout_spice::wire::frame::{MINI_HEADER_LEN, MiniHeader};
use scanout_spice::wire::link::{
    Capabilities, ChannelType, CommonCap, DisplayCap, LINK_HEADER_LEN, LinkError, LinkHeader,
    LinkMessage, LinkReply, TICKET_LEN,
};
use scanout_spice::wire::main::{ChannelId, MainInit, MainServerMessage, MouseModes};
use scanout_spice_client::{Address, Client, Config};
use sha1::Sha1;

/// The limit of every wait of these tests; none is that long where all is well.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// One key for all tests: making one takes a while.
fn key() -> &'static RsaPrivateKey {
    static KEY: OnceLock<RsaPrivateKey> = OnceLock::new();
    KEY.get_or_init(|| RsaPrivateKey::new(&mut rand_core::OsRng, 1024).unwrap())
}

pub(crate) trait Stream: Read + Write + Send {
    fn limit(&self) -> io::Result<()>;
}

impl Stream for TcpStream {
    fn limit(&self) -> io::Result<()> {
        self.set_read_timeout(Some(LONG))
            .and(self.set_write_timeout(Some(LONG)))
    }
}

impl Stream for UnixStream {
    fn limit(&self) -> io::Result<()> {
        self.set_read_timeout(Some(LONG))
            .and(self.set_write_timeout(Some(LONG)))
    }
}

pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    pub(crate) fn tcp() -> (Self, Address) {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = Address::Tcp(listener.local_addr().unwrap());
        (Self::Tcp(listener), address)
    }

    pub(crate) fn unix(path: &Path) -> (Self, Address) {
        (
            Self::Unix(UnixListener::bind(path).unwrap()),
            Address::Unix(path.to_owned()),
        )
    }

    pub(crate) fn accept(&self) -> Box<dyn Stream> {
        let stream: Box<dyn Stream> = match self {
            Self::Tcp(listener) => Box::new(listener.accept().unwrap().0),
            Self::Unix(listener) => Box::new(listener.accept().unwrap().0),
        };
        stream.limit().unwrap();
        stream
    }

    /// Accepts a link whatever its password.
    pub(crate) fn link(&self) -> Peer {
        let (mut peer, password) = Peer::greet(self.accept(), LinkError::Ok);
        assert_eq!(password, b"secret\0");
        peer.stream.write_all(&LinkError::Ok.encode()).unwrap();
        peer
    }
}

/// One linked channel of the server.
pub(crate) struct Peer {
    pub(crate) stream: Box<dyn Stream>,
    pub(crate) link: LinkMessage,
}

impl Peer {
    /// Reads the link message and answers it; without an error reads the ticket too.
    pub(crate) fn greet(mut stream: Box<dyn Stream>, error: LinkError) -> (Self, Vec<u8>) {
        let mut head = [0; LINK_HEADER_LEN];
        stream.read_exact(&mut head).unwrap();
        let head = LinkHeader::from_client(&head).unwrap();
        let mut body = vec![0; head.size as usize];
        stream.read_exact(&mut body).unwrap();
        let link = LinkMessage::decode(&body).unwrap();
        let mut reply = LinkReply::refusal(error);
        if error == LinkError::Ok {
            let der = key().to_public_key().to_public_key_der().unwrap();
            reply.public_key = der.as_bytes().try_into().unwrap();
            reply.common_caps = Capabilities::of([
                CommonCap::AuthSelection,
                CommonCap::AuthSpice,
                CommonCap::MiniHeader,
            ]);
            if link.channel_type == ChannelType::Display {
                reply.channel_caps =
                    Capabilities::of([DisplayCap::StreamReport, DisplayCap::MultiCodec]);
            }
        }
        let mut bytes = Vec::new();
        reply.encode(&mut bytes);
        stream.write_all(&bytes).unwrap();
        let mut peer = Self { stream, link };
        if error != LinkError::Ok {
            return (peer, Vec::new());
        }
        let mut ticket = [0; 4 + TICKET_LEN];
        peer.stream.read_exact(&mut ticket).unwrap();
        assert_eq!(ticket[..4], [1, 0, 0, 0]);
        let password = key().decrypt(Oaep::new::<Sha1>(), &ticket[4..]).unwrap();
        (peer, password)
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// The client's next message: its number and body.
    pub(crate) fn receive(&mut self) -> (u16, Vec<u8>) {
        let mut head = [0; MINI_HEADER_LEN];
        self.stream.read_exact(&mut head).unwrap();
        let header = MiniHeader::from_client(&head, self.link.channel_type).unwrap();
        let mut body = vec![0; header.size as usize];
        self.stream.read_exact(&mut body).unwrap();
        (header.kind, body)
    }
}

pub(crate) const SESSION: u32 = 0x0102_0304;

/// Main's first messages, and the client's between them.
pub(crate) fn main_start(listener: &Listener, channels: &[ChannelType]) -> Peer {
    let mut main = listener.link();
    assert_eq!(
        (main.link.channel_type, main.link.connection_id),
        (ChannelType::Main, 0)
    );
    let init = MainInit {
        session_id: SESSION,
        display_channels_hint: 1,
        supported_mouse_modes: MouseModes::all(),
        current_mouse_mode: MouseModes::CLIENT,
        agent_connected: false,
        agent_tokens: 0,
        multi_media_time: 1_000_000,
        ram_hint: 0,
    };
    main.send(&encoded(|out| MainServerMessage::Init(init).encode(out)));
    assert_eq!(main.receive(), (104, vec![]), "ATTACH_CHANNELS");
    let channels = channels.iter().map(|channel_type| ChannelId {
        channel_type: *channel_type,
        id: 0,
    });
    main.send(&encoded(|out| {
        MainServerMessage::ChannelsList(channels.collect()).encode(out)
    }));
    main
}

/// A session with one display: the server's sides of both channels, and the client.
pub(crate) fn session(change: impl FnOnce(&mut Config)) -> (Peer, Peer, Client) {
    let (listener, address) = Listener::tcp();
    session_on(&listener, address, change)
}

pub(crate) fn session_on(
    listener: &Listener,
    address: Address,
    change: impl FnOnce(&mut Config),
) -> (Peer, Peer, Client) {
    let mut config = Config::new(address, "secret");
    (config.inputs, config.cursor, config.limit) = (false, false, LONG);
    change(&mut config);
    let init = config.init;
    std::thread::scope(|scope| {
        let server = scope.spawn(|| {
            let main = main_start(listener, &[ChannelType::Display]);
            let mut display = listener.link();
            assert_eq!(display.link.channel_type, ChannelType::Display);
            assert_eq!(display.link.connection_id, SESSION);
            if init {
                let (kind, body) = display.receive();
                assert_eq!((kind, body.len()), (101, 14), "display INIT");
            }
            (main, display)
        });
        let client = Client::connect(&config).unwrap();
        let (main, display) = server.join().unwrap();
        (main, display, client)
    })
}

pub(crate) fn encoded(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(&mut bytes);
    bytes
}

/// A surface of 64x48, and stream 1 of `codec` on it.
pub(crate) fn start(codec: Codec) -> Vec<u8> {
    encoded(|out| {
        let surface = SurfaceCreate {
            surface_id: 0,
            width: 64,
            height: 48,
            format: SURFACE_FORMAT_XRGB,
            flags: SurfaceFlags::PRIMARY,
        };
        DisplayServerMessage::SurfaceCreate(surface).encode(out);
        DisplayServerMessage::Mark.encode(out);
        let stream = StreamCreate {
            surface_id: 0,
            id: 1,
            flags: StreamFlags::TOP_DOWN,
            codec,
            stamp: 0,
            stream_width: 64,
            stream_height: 48,
            src_width: 64,
            src_height: 48,
            dest: Rect::of_size(64, 48),
            clip: Clip::None,
        };
        DisplayServerMessage::StreamCreate(stream).encode(out);
    })
}

/// A picture of stream 1, of `size` bytes that look like a JPEG.
pub(crate) fn jpeg(mm_time: u32, size: usize) -> Vec<u8> {
    let mut data = vec![0; size];
    data[..2].copy_from_slice(&[0xff, 0xd8]);
    data[size - 2..].copy_from_slice(&[0xff, 0xd9]);
    let picture = StreamData {
        stream_id: 1,
        mm_time,
        data: &data,
    };
    encoded(|out| DisplayServerMessage::StreamData(picture).encode(out))
}
