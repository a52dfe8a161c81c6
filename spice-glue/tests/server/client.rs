//! A client that does as it is told, right or wrong.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rsa::pkcs8::DecodePublicKey;
use rsa::rand_core::OsRng;
use rsa::{Oaep, RsaPublicKey};
use rustls::ClientConnection;
use rustls::pki_types::CertificateDer;
use scanout_spice::wire::base::BaseClientMessage;
use scanout_spice::wire::display::{DisplayClientMessage, DisplayInit, DisplayServerMessage};
use scanout_spice::wire::frame::{MINI_HEADER_LEN, MiniHeader};
use scanout_spice::wire::link::{
    AuthMechanism, Capabilities, Capability, ChannelType, CommonCap, DisplayCap, LINK_HEADER_LEN,
    LinkError, LinkHeader, LinkMessage, LinkReply, MainCap, TICKET_LEN,
};
use scanout_spice::wire::main::{MainClientMessage, MainInit, MainServerMessage};
use sha1::Sha1;

/// Nothing here takes so long on a machine that works.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) trait Wire: Read + Write + Send {}
impl<T: Read + Write + Send> Wire for T {}

/// How a link ended that was not let in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// In place of the key.
    Reply(LinkError),
    /// After the ticket.
    Result(LinkError),
    /// Without a word.
    Closed,
}

pub(crate) struct Client<W = Box<dyn Wire>> {
    pub(crate) wire: W,
    pub(crate) caps: Capabilities,
}

pub(crate) fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.set_write_timeout(Some(LIMIT)).unwrap();
    stream
}

pub(crate) fn connect_unix(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.set_write_timeout(Some(LIMIT)).unwrap();
    stream
}

/// TLS that trusts just this certificate, read one record at a time as OpenSSL does.
pub(crate) struct Tls {
    tcp: TcpStream,
    tls: ClientConnection,
}

impl Tls {
    fn flush_tls(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.tcp)?;
        }
        Ok(())
    }

    fn read_record(&mut self) -> io::Result<()> {
        let mut record = vec![0; 5];
        self.tcp.read_exact(&mut record)?;
        let len = u16::from_be_bytes([record[3], record[4]]);
        record.resize(5 + usize::from(len), 0);
        self.tcp.read_exact(&mut record[5..])?;
        let mut record = &record[..];
        while !record.is_empty() {
            self.tls.read_tls(&mut record)?;
            self.tls.process_new_packets().map_err(io::Error::other)?;
        }
        self.flush_tls()
    }

    /// Bytes of the last record that were not read.
    pub(crate) fn decrypted(&mut self) -> usize {
        self.tls
            .process_new_packets()
            .unwrap()
            .plaintext_bytes_to_read()
    }
}

impl Read for Tls {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.tls.reader().read(into) {
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                done => return done,
            }
            self.flush_tls()?;
            self.read_record()?;
        }
    }
}

impl Write for Tls {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        while self.tls.is_handshaking() {
            self.flush_tls()?;
            self.read_record()?;
        }
        self.tls.writer().write_all(from)?;
        self.flush_tls()?;
        Ok(from.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flush_tls()
    }
}

pub(crate) fn connect_tls(addr: SocketAddr, certificate: CertificateDer<'static>) -> Tls {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let tls = ClientConnection::new(Arc::new(config), name).unwrap();
    Tls {
        tcp: connect(addr),
        tls,
    }
}

pub(crate) fn common_caps() -> Capabilities {
    Capabilities::of([
        CommonCap::AuthSelection,
        CommonCap::AuthSpice,
        CommonCap::MiniHeader,
    ])
}

pub(crate) fn link_message(
    connection_id: u32,
    channel_type: ChannelType,
    channel_id: u8,
) -> LinkMessage {
    fn caps<C: Capability>(caps: &[C]) -> Capabilities {
        Capabilities::of(caps.iter().copied())
    }
    LinkMessage {
        connection_id,
        channel_type,
        channel_id,
        common_caps: common_caps(),
        channel_caps: match channel_type {
            ChannelType::Main => caps(&[MainCap::NameAndUuid]),
            ChannelType::Display => caps(&[
                DisplayCap::StreamReport,
                DisplayCap::MultiCodec,
                DisplayCap::CodecMjpeg,
                DisplayCap::CodecH264,
            ]),
            _ => Capabilities::default(),
        },
    }
}

/// Nothing, or a reset: closed.
fn or_closed<T>(result: io::Result<T>) -> Result<T, Refused> {
    result.map_err(|e| match e.kind() {
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
            Refused::Closed
        }
        _ => panic!("neither an answer nor an end: {e}"),
    })
}

pub(crate) fn read_reply(wire: &mut dyn Read) -> Result<LinkReply, Refused> {
    let mut header = [0; LINK_HEADER_LEN];
    or_closed(wire.read_exact(&mut header))?;
    let header = LinkHeader::from_server(&header).unwrap();
    let mut body = vec![0; header.size as usize];
    or_closed(wire.read_exact(&mut body))?;
    let reply = LinkReply::decode(&body).unwrap();
    match reply.error {
        LinkError::Ok => Ok(reply),
        error => Err(Refused::Reply(error)),
    }
}

pub(crate) fn read_result(wire: &mut dyn Read) -> Result<(), Refused> {
    let mut result = [0; 4];
    or_closed(wire.read_exact(&mut result))?;
    match LinkError::decode(result).unwrap() {
        LinkError::Ok => Ok(()),
        error => Err(Refused::Result(error)),
    }
}

pub(crate) fn ticket(reply: &LinkReply, password: &str) -> [u8; TICKET_LEN] {
    let key = RsaPublicKey::from_public_key_der(&reply.public_key).unwrap();
    let clear = [password.as_bytes(), &[0]].concat();
    let ticket = key.encrypt(&mut OsRng, Oaep::new::<Sha1>(), &clear);
    ticket.unwrap().try_into().unwrap()
}

impl Client {
    pub(crate) fn link(
        wire: impl Wire + 'static,
        message: &LinkMessage,
        password: &str,
    ) -> Result<Self, Refused> {
        let client = Client::link_over(wire, message, password)?;
        Ok(Self {
            wire: Box::new(client.wire),
            caps: client.caps,
        })
    }
}

impl<W: Wire> Client<W> {
    pub(crate) fn link_over(
        mut wire: W,
        message: &LinkMessage,
        password: &str,
    ) -> Result<Self, Refused> {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        or_closed(wire.write_all(&bytes))?;
        let reply = read_reply(&mut wire)?;
        let mut bytes = AuthMechanism::Spice.encode().to_vec();
        bytes.extend_from_slice(&ticket(&reply, password));
        or_closed(wire.write_all(&bytes))?;
        read_result(&mut wire)?;
        Ok(Self {
            wire,
            caps: reply.channel_caps,
        })
    }

    /// The next message's number and body, `None` when the server has closed.
    pub(crate) fn message(&mut self) -> Option<(u16, Vec<u8>)> {
        let mut header = [0; MINI_HEADER_LEN];
        or_closed(self.wire.read_exact(&mut header)).ok()?;
        let header = MiniHeader::decode(&header);
        let mut body = vec![0; header.size as usize];
        or_closed(self.wire.read_exact(&mut body)).ok()?;
        Some((header.kind, body))
    }

    /// The body of the next message of that number; others are read past.
    pub(crate) fn expect(&mut self, kind: u16) -> Vec<u8> {
        let end = Instant::now() + LIMIT;
        while Instant::now() < end {
            match self.message() {
                Some((seen, body)) if seen == kind => return body,
                Some(_) => {}
                None => panic!("closed before message {kind}"),
            }
        }
        panic!("no message {kind}");
    }

    /// Reads to the end: the numbers of all messages.
    pub(crate) fn rest(&mut self) -> Vec<u16> {
        let mut kinds = Vec::new();
        let end = Instant::now() + LIMIT;
        while let Some((kind, _)) = self.message() {
            assert!(Instant::now() < end, "does not end: {kinds:?}");
            kinds.push(kind);
        }
        kinds
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.wire.write_all(bytes).unwrap();
    }

    pub(crate) fn send_base(&mut self, message: BaseClientMessage) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        self.send(&bytes);
    }

    pub(crate) fn send_main(&mut self, message: MainClientMessage<'_>) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        self.send(&bytes);
    }

    pub(crate) fn send_display(&mut self, message: DisplayClientMessage<'_>) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        self.send(&bytes);
    }

    pub(crate) fn main_init(&mut self) -> MainInit {
        let (kind, body) = self.message().unwrap();
        match MainServerMessage::decode(kind, &body).unwrap() {
            MainServerMessage::Init(init) => init,
            other => panic!("not INIT: {other:?}"),
        }
    }

    pub(crate) fn display_init(&mut self) {
        self.send_display(DisplayClientMessage::Init(DisplayInit {
            pixmap_cache_id: 1,
            pixmap_cache_size: 1 << 20,
            glz_dictionary_id: 1,
            glz_dictionary_window_size: 1 << 20,
        }));
    }

    pub(crate) fn display(&mut self) -> (u16, Vec<u8>) {
        let (kind, body) = self.message().expect("a display message");
        DisplayServerMessage::decode(kind, &body).unwrap();
        (kind, body)
    }
}
