//! Links: over what, with what, and what when they fail.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use scanout_spice::wire::link::{ChannelType, CommonCap, LinkError};
use scanout_spice_client::link::{LinkFailure, Request, link};
use scanout_spice_client::{Address, Client, Config, ConnectError, End, Raw};

use super::peer::{LONG, Listener, Peer, Stream, main_start, session_on};

fn request() -> Request {
    let mut request = Request::new(ChannelType::Main, 0, 0, "secret");
    request.limit = LONG;
    request
}

/// A folder of its own, gone afterwards.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!(
            "scanout-spice-client-{}-{name}",
            std::process::id()
        ));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_session_is_linked_over_a_unix_socket() {
    let folder = Folder::new("unix");
    let (listener, address) = Listener::unix(&folder.0.join("socket"));
    let (main, _display, client) = session_on(&listener, address, |_| {});
    assert!(
        main.link.common_caps.has(CommonCap::MiniHeader)
            && main.link.common_caps.has(CommonCap::AuthSelection)
    );
    assert_eq!(main.link.channel_caps.word(0), 0xf);
    assert_eq!(client.violations(), []);
}

impl Stream for StreamOwned<ServerConnection, std::net::TcpStream> {
    fn limit(&self) -> std::io::Result<()> {
        self.sock.limit()
    }
}

#[test]
fn a_link_over_tls_trusts_only_what_it_was_told_to() {
    let folder = Folder::new("tls");
    let certified = rcgen::generate_simple_self_signed(["display.test".to_owned()]).unwrap();
    let trust = folder.0.join("trust.pem");
    std::fs::write(&trust, certified.cert.pem()).unwrap();
    let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
    let config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key.into())
            .unwrap();
    let config = Arc::new(config);
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let mut passwords = Vec::new();
        for _ in 0..2 {
            let stream = listener.accept().unwrap().0;
            stream.limit().unwrap();
            let mut tls =
                StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream);
            if tls.conn.complete_io(&mut tls.sock).is_err() {
                continue;
            }
            let (mut peer, password) = Peer::greet(Box::new(tls), LinkError::Ok);
            peer.send(&LinkError::Ok.encode());
            passwords.push(password);
        }
        passwords
    });
    let address = |name: &str| Address::Tls {
        addr,
        name: name.to_owned(),
        trust: trust.clone(),
    };
    let linked = link(&address("display.test"), &request()).unwrap();
    assert!(linked.common_caps.has(CommonCap::AuthSpice));
    let wrong = link(&address("other.test"), &request());
    assert!(
        matches!(
            wrong,
            Err(LinkFailure::Io {
                step: "connect",
                ..
            })
        ),
        "{wrong:?}"
    );
    assert_eq!(server.join().unwrap(), [b"secret\0"]);
}

#[test]
fn a_refusal_and_a_denial_are_told_apart() {
    let (listener, address) = Listener::tcp();
    let server = std::thread::spawn(move || {
        Peer::greet(listener.accept(), LinkError::NeedSecured);
        let (mut peer, _) = Peer::greet(listener.accept(), LinkError::Ok);
        peer.send(&LinkError::PermissionDenied.encode());
        // Neither a SPICE server nor one that stays.
        listener
            .accept()
            .write_all(b"HTTP/1.1 400 Bad Request\r\n")
            .unwrap();
        drop(listener.accept());
    });
    let failure = |address| link(address, &request()).unwrap_err();
    assert!(matches!(
        failure(&address),
        LinkFailure::Refused(LinkError::NeedSecured)
    ));
    assert!(matches!(
        failure(&address),
        LinkFailure::Denied(LinkError::PermissionDenied)
    ));
    assert!(matches!(
        failure(&address),
        LinkFailure::Wire(_) | LinkFailure::Io { .. }
    ));
    assert!(matches!(failure(&address), LinkFailure::Io { .. }));
    server.join().unwrap();
}

#[test]
fn a_display_that_is_not_listed_is_not_linked() {
    let (listener, address) = Listener::tcp();
    let server = std::thread::spawn(move || main_start(&listener, &[ChannelType::Inputs]));
    let mut config = Config::new(address, "secret");
    config.limit = LONG;
    let error = Client::connect(&config).unwrap_err();
    assert!(
        matches!(&error, ConnectError::NotListed { wanted, .. } if wanted.channel_type == ChannelType::Display),
        "{error}"
    );
    drop(server.join().unwrap());
}

#[test]
fn a_server_that_says_nothing_more_is_waited_for_no_longer_than_said() {
    let (listener, address) = Listener::tcp();
    let server = std::thread::spawn(move || listener.link());
    let mut config = Config::new(address, "secret");
    config.limit = Duration::from_millis(300);
    // Long enough for the link itself on a slow machine, or the link fails by it: both end.
    let error = Client::connect(&config).unwrap_err();
    assert!(
        matches!(error, ConnectError::TimedOut(_) | ConnectError::Link { .. }),
        "{error}"
    );
    let _ = server.join();
}

#[test]
fn half_a_link_is_sent_and_the_answer_to_it_read() {
    let (listener, address) = Listener::tcp();
    let server = std::thread::spawn(move || {
        let mut stream = listener.accept();
        let mut bytes = [0; 6];
        stream.read_exact(&mut bytes).unwrap();
        stream.write_all(b"no").unwrap();
        bytes
    });
    let mut raw = Raw::connect(&address, LONG).unwrap();
    raw.send(b"RE").unwrap();
    raw.drip(b"DQ\x01\x02", Duration::from_millis(1)).unwrap();
    assert_eq!(raw.read_all(100, LONG), (b"no".to_vec(), true));
    assert_eq!(server.join().unwrap(), *b"REDQ\x01\x02");

    let (listener, address) = Listener::tcp();
    let mut raw = Raw::connect(&address, LONG).unwrap();
    let server = listener.accept();
    assert_eq!(
        raw.read_all(100, Duration::from_millis(20)),
        (vec![], false),
        "it is open"
    );
    drop(server);
    assert_eq!(raw.read_all(100, LONG), (vec![], true));
}

#[test]
fn how_a_channel_ended_is_known() {
    let ended = |script: &dyn Fn(&mut Peer)| {
        let (listener, address) = Listener::tcp();
        let (_main, mut display, client) = session_on(&listener, address, |_| {});
        script(&mut display);
        drop(display);
        client.display(0).unwrap().wait_for_end(LONG).unwrap()
    };
    assert_eq!(ended(&|_| {}), End::ServerClosed);
    assert_eq!(ended(&|peer| peer.send(&[102, 0, 1])), End::Cut(3));
    assert_eq!(ended(&|peer| peer.send(&[102, 0, 1, 0, 0, 0])), End::Cut(6));
    // More than any message may have: what follows cannot be told from it.
    assert!(matches!(
        ended(&|peer| peer.send(&[123, 0, 0xff, 0xff, 0xff, 0xff])),
        End::Lost(_)
    ));

    let (listener, address) = Listener::tcp();
    let (_main, mut display, mut client) = session_on(&listener, address, |_| {});
    client.open(ChannelType::Inputs, 0).unwrap_err();
    let channel = client.display(0).unwrap();
    assert_eq!(channel.end(), None);
    client.close();
    let mut rest = Vec::new();
    // Closed, or reset where bytes were on their way.
    let _ = std::io::Read::read_to_end(&mut display.stream, &mut rest);
}
