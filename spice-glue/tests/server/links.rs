//! Who is let in, and what the others are told.

use std::io::{Read, Write};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use scanout_spice::gl::Outgoing;
use scanout_spice::server::{Listen, Refusal, Security, TlsFiles};
use scanout_spice::wire::link::{
    AuthMechanism, Capabilities, ChannelType, CommonCap, LinkError, LinkMessage,
};

use super::client::{
    Client, Refused, connect, connect_tls, connect_unix, link_message, read_reply, read_result,
    ticket,
};
use super::double::{eventually, picture};
use super::rig::{PASSWORD, Rig};

fn main_message() -> LinkMessage {
    link_message(0, ChannelType::Main, 0)
}

fn link_with(rig: &Rig, password: &str) -> Result<Client, Refused> {
    Client::link(connect(rig.addr), &main_message(), password)
}

const DENIED: Refused = Refused::Result(LinkError::PermissionDenied);

/// The server's answer to these bytes in place of a link message.
fn answer(rig: &Rig, bytes: &[u8]) -> Refused {
    let mut wire = connect(rig.addr);
    wire.write_all(bytes).unwrap();
    let refused = read_reply(&mut wire).unwrap_err();
    // And then it closes.
    assert_eq!(wire.read(&mut [0]).unwrap_or(0), 0);
    refused
}

#[test]
fn the_right_password_lets_in_and_a_wrong_one_does_not() {
    let rig = Rig::new();
    let (_main, session) = rig.main();
    assert_ne!(session, 0);
    for wrong in ["", "Correct horse", "correct horse ", "x"] {
        assert_eq!(link_with(&rig, wrong).err(), Some(DENIED), "{wrong:?}");
    }
    eventually("each is counted", || {
        rig.stats().refused.of(Refusal::Ticket) == 4
    });
    assert_eq!(rig.stats().clients.len(), 1);
}

#[test]
fn a_ticket_that_is_noise_is_a_wrong_password() {
    let rig = Rig::new();
    let mut wire = connect(rig.addr);
    let mut bytes = Vec::new();
    main_message().encode(&mut bytes);
    wire.write_all(&bytes).unwrap();
    read_reply(&mut wire).unwrap();
    wire.write_all(&AuthMechanism::Spice.encode()).unwrap();
    wire.write_all(&[0x5a; 128]).unwrap();
    assert_eq!(read_result(&mut wire), Err(DENIED));
}

#[test]
fn each_link_has_its_own_key_so_an_old_ticket_is_worth_nothing() {
    let rig = Rig::new();
    let begin = || {
        let mut wire = connect(rig.addr);
        let mut bytes = Vec::new();
        main_message().encode(&mut bytes);
        wire.write_all(&bytes).unwrap();
        let reply = read_reply(&mut wire).unwrap();
        (wire, reply)
    };
    let (mut first, first_reply) = begin();
    let (mut second, second_reply) = begin();
    assert_ne!(first_reply.public_key, second_reply.public_key);
    let bytes = [
        &AuthMechanism::Spice.encode()[..],
        &ticket(&first_reply, PASSWORD),
    ]
    .concat();
    first.write_all(&bytes).unwrap();
    second.write_all(&bytes).unwrap();
    assert_eq!(read_result(&mut first), Ok(()));
    assert_eq!(read_result(&mut second), Err(DENIED));
}

#[test]
fn a_password_counts_as_soon_as_the_file_has_it_and_ends_when_the_file_says() {
    let rig = Rig::new();
    let file = rig.folder.0.join("password");
    link_with(&rig, PASSWORD).unwrap();
    std::fs::write(&file, "other\n").unwrap();
    assert_eq!(link_with(&rig, PASSWORD).err(), Some(DENIED));
    link_with(&rig, "other").unwrap();
    std::fs::write(&file, "other\n2001-09-09T01:46:40Z\n").unwrap();
    assert_eq!(link_with(&rig, "other").err(), Some(DENIED));
    std::fs::write(&file, "other\n2101-09-09T01:46:40Z\n").unwrap();
    link_with(&rig, "other").unwrap();
    std::fs::write(&file, "\n").unwrap();
    assert_eq!(link_with(&rig, "").err(), Some(DENIED));
    std::fs::remove_file(&file).unwrap();
    assert_eq!(link_with(&rig, "other").err(), Some(DENIED));
    let refused = rig.stats().refused;
    assert_eq!(refused.of(Refusal::Password), 3);
    assert_eq!(refused.of(Refusal::Ticket), 1);
}

#[test]
fn what_is_not_spice_is_told_so_and_closed() {
    let rig = Rig::new();
    let magic = answer(&rig, b"GET / HTTP/1.1\r\n");
    assert_eq!(magic, Refused::Reply(LinkError::InvalidMagic));
    let header = |major: u32, size: u32| {
        let words = [u32::from_le_bytes(*b"REDQ"), major, 2, size];
        words.map(u32::to_le_bytes).concat()
    };
    let version = Refused::Reply(LinkError::VersionMismatch);
    assert_eq!(answer(&rig, &header(1, 18)), version);
    assert_eq!(answer(&rig, &header(3, 18)), version);
    for size in [0, 1, 17, 4097, 0x8000_0000, u32::MAX] {
        let data = answer(&rig, &header(2, size));
        assert_eq!(data, Refused::Reply(LinkError::InvalidData), "{size}");
    }
    // Capabilities that would lie outside the message.
    for caps in [[u32::MAX, 0, 18], [0, 1, 18], [1, 0, u32::MAX], [1, 1, 0]] {
        let mut bytes = header(2, 18);
        bytes.extend_from_slice(&[0, 0, 0, 0, 1, 0]);
        bytes.extend(caps.map(u32::to_le_bytes).concat());
        let data = answer(&rig, &bytes);
        assert_eq!(data, Refused::Reply(LinkError::InvalidData), "{caps:?}");
    }
    let refused = rig.stats().refused;
    assert_eq!(refused.of(Refusal::Magic), 1);
    assert_eq!(refused.of(Refusal::Version), 2);
    assert_eq!(refused.of(Refusal::Malformed), 10);
    rig.main();
}

#[test]
fn a_client_that_speaks_another_dialect_is_refused_and_an_old_one_is_not() {
    let rig = Rig::new();
    let mut message = main_message();
    message.common_caps = Capabilities::of([CommonCap::AuthSelection, CommonCap::AuthSpice]);
    let refused = rig.link(&message).err();
    assert_eq!(refused, Some(Refused::Reply(LinkError::InvalidData)));

    // SASL, and a mechanism that does not exist.
    for mechanism in [2u32, 7] {
        let mut wire = connect(rig.addr);
        let mut bytes = Vec::new();
        main_message().encode(&mut bytes);
        wire.write_all(&bytes).unwrap();
        let reply = read_reply(&mut wire).unwrap();
        wire.write_all(&mechanism.to_le_bytes()).unwrap();
        wire.write_all(&ticket(&reply, PASSWORD)).unwrap();
        let refused = Refused::Result(LinkError::InvalidData);
        assert_eq!(read_result(&mut wire), Err(refused));
    }

    // Without AUTH_SELECTION no mechanism is named.
    let mut wire = connect(rig.addr);
    message.common_caps = Capabilities::of([CommonCap::AuthSpice, CommonCap::MiniHeader]);
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    wire.write_all(&bytes).unwrap();
    let reply = read_reply(&mut wire).unwrap();
    wire.write_all(&ticket(&reply, PASSWORD)).unwrap();
    assert_eq!(read_result(&mut wire), Ok(()));
}

#[test]
fn channels_belong_to_a_session_and_there_is_one_of_each() {
    let rig = Rig::new();
    let (_main, session) = rig.main();
    let link = |id, channel, n| rig.link(&link_message(id, channel, n));
    let id = Refused::Result(LinkError::BadConnectionId);
    let missing = Refused::Result(LinkError::ChannelNotAvailable);
    let display = ChannelType::Display;
    assert_eq!(link(0, display, 0).err().unwrap(), id);
    assert_eq!(link(session ^ 1, display, 0).err().unwrap(), id);
    // A migration, which there is not.
    assert_eq!(link(session, ChannelType::Main, 0).err().unwrap(), id);
    assert_eq!(link(0, ChannelType::Main, 1).err().unwrap(), missing);
    for (channel, n) in [
        (display, 1),
        (display, 255),
        (ChannelType::Inputs, 1),
        (ChannelType::Cursor, 1),
        (ChannelType::Playback, 0),
        (ChannelType::Other(99), 0),
    ] {
        assert_eq!(link(session, channel, n).err().unwrap(), missing);
    }
    let first = link(session, display, 0).unwrap();
    assert_eq!(link(session, display, 0).err().unwrap(), missing);
    assert_eq!(rig.stats().clients[0].channels, 2);
    drop(first);
    // Its place is free again.
    eventually("another display", || link(session, display, 0).is_ok());
}

#[test]
fn a_further_channel_needs_its_own_ticket() {
    let rig = Rig::new();
    let (_main, session) = rig.main();
    let message = link_message(session, ChannelType::Inputs, 0);
    let refused = Client::link(connect(rig.addr), &message, "guess").err();
    assert_eq!(refused, Some(DENIED));
}

#[test]
fn a_link_that_takes_too_long_is_closed() {
    // Enough for a busy machine to make a key for the third.
    let rig = Rig::with(|config, _| config.limits.link_time = Duration::from_secs(3));
    let mut silent = connect(rig.addr);
    let mut halfway = connect(rig.addr);
    let mut bytes = Vec::new();
    main_message().encode(&mut bytes);
    halfway.write_all(&bytes[..20]).unwrap();
    let mut no_ticket = connect(rig.addr);
    no_ticket.write_all(&bytes).unwrap();
    read_reply(&mut no_ticket).unwrap();
    for wire in [&mut silent, &mut halfway, &mut no_ticket] {
        assert_eq!(wire.read(&mut [0]).unwrap_or(0), 0);
    }
    eventually("all are counted", || {
        rig.stats().refused.of(Refusal::TooLate) == 3 && rig.stats().links_pending == 0
    });
}

#[test]
fn a_wrong_ticket_waits_and_a_right_one_does_not() {
    let rig = Rig::with(|config, _| {
        config.limits.failure_delay = Duration::from_secs(40);
        config.limits.failure_delay_max = Duration::from_secs(40);
    });
    let mut wire = connect(rig.addr);
    let mut bytes = Vec::new();
    main_message().encode(&mut bytes);
    wire.write_all(&bytes).unwrap();
    let reply = read_reply(&mut wire).unwrap();
    wire.write_all(&AuthMechanism::Spice.encode()).unwrap();
    wire.write_all(&ticket(&reply, "wrong")).unwrap();
    eventually("the ticket is judged", || {
        rig.stats().refused.of(Refusal::Ticket) == 1
    });
    // Somebody else at the same address.
    rig.main();
    // The guess holds its place, even when who made it does not wait.
    drop(wire);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(rig.stats().links_pending, 1);
}

fn tls_rig() -> (Rig, std::net::SocketAddr, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let rig = Rig::with(|config, folder| {
        let files = TlsFiles {
            certificate: folder.0.join("cert.pem"),
            key: folder.0.join("key.pem"),
        };
        std::fs::write(&files.certificate, made.cert.pem()).unwrap();
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        config.tls = Some(files);
        config.name = Some("a desk".into());
        config.uuid = Some([1; 16]);
        config
            .listen
            .push(Listen::Tls("127.0.0.1:0".parse().unwrap()));
    });
    let addr = rig
        .server
        .handle()
        .addresses()
        .iter()
        .find_map(|l| match l {
            Listen::Tls(addr) => Some(*addr),
            _ => None,
        });
    let certificate = CertificateDer::from_pem_slice(made.cert.pem().as_bytes()).unwrap();
    (rig, addr.unwrap(), certificate)
}

#[test]
fn a_session_is_protected_on_all_its_channels_alike() {
    let (rig, tls, certificate) = tls_rig();
    let tls_link = |message: &LinkMessage| {
        Client::link(connect_tls(tls, certificate.clone()), message, PASSWORD)
    };
    let mut main = tls_link(&main_message()).unwrap();
    let session = main.main_init().session_id;
    assert_eq!(rig.stats().clients[0].security, Security::Tls);
    let message = link_message(session, ChannelType::Inputs, 0);
    let plain = rig.link(&message).err();
    assert_eq!(plain, Some(Refused::Reply(LinkError::NeedSecured)));
    let mut inputs = tls_link(&message).unwrap();
    assert_eq!(inputs.message().unwrap().0, 101);

    // The other way round.
    let (_main, session) = rig.main();
    let message = link_message(session, ChannelType::Inputs, 0);
    let secured = tls_link(&message).err();
    assert_eq!(secured, Some(Refused::Reply(LinkError::NeedUnsecured)));
    rig.link(&message).unwrap();
    assert_eq!(rig.stats().refused.of(Refusal::Security), 2);
}

#[test]
fn over_tls_no_record_holds_parts_of_two_messages() {
    let (rig, addr, certificate) = tls_rig();
    let link = |message: &LinkMessage| {
        let tls = connect_tls(addr, certificate.clone());
        Client::link_over(tls, message, PASSWORD).unwrap()
    };
    let mut main = link(&main_message());
    let session = main.main_init().session_id;
    // A name and a UUID follow at once.
    for _ in 0..2 {
        assert_eq!(main.wire.decrypted(), 0);
        main.message().unwrap();
    }
    let mut display = link(&link_message(session, ChannelType::Display, 0));
    display.display_init();
    rig.screen.wait_joined(1);
    display.display();
    // One shorter than a record, one longer, one that just fills one.
    let mut batch = picture(100, 1);
    batch.push(Outgoing::Mark);
    batch.extend(picture(100_000, 2));
    batch.extend(picture((16 << 10) - 18, 3));
    batch.push(Outgoing::StreamDestroy { stream: 1 });
    let messages = batch.len();
    rig.screen.send(0, batch);
    for _ in 0..messages {
        display.display();
        assert_eq!(display.wire.decrypted(), 0);
    }
}

#[test]
fn plain_text_at_the_tls_port_is_closed_and_counted() {
    let (rig, tls, certificate) = tls_rig();
    let mut wire = connect(tls);
    let mut bytes = Vec::new();
    main_message().encode(&mut bytes);
    wire.write_all(&bytes).unwrap();
    let _ = wire.read_to_end(&mut Vec::new());
    eventually("it is counted", || {
        rig.stats().refused.of(Refusal::Tls) == 1
    });
    let tls = connect_tls(tls, certificate);
    Client::link(tls, &main_message(), PASSWORD).unwrap();
}

#[test]
fn a_renewed_certificate_counts_without_a_restart() {
    let (rig, tls, old) = tls_rig();
    let renewed = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let folder = &rig.folder.0;
    std::fs::write(folder.join("key.pem"), renewed.signing_key.serialize_pem()).unwrap();
    std::fs::write(folder.join("cert.pem"), renewed.cert.pem()).unwrap();
    let certificate = CertificateDer::from_pem_slice(renewed.cert.pem().as_bytes()).unwrap();
    let stream = connect_tls(tls, certificate);
    Client::link(stream, &main_message(), PASSWORD).unwrap();
    let mut stale = connect_tls(tls, old);
    assert!(
        stale
            .write_all(b"REDQ")
            .and_then(|()| stale.flush())
            .is_err()
    );
}

#[test]
fn a_unix_socket_serves_and_goes_with_the_server() {
    let rig = Rig::with(|config, folder| {
        config.listen = vec![Listen::Unix(folder.0.join("socket"))];
    });
    let path = rig.folder.0.join("socket");
    let link = |message: &LinkMessage| Client::link(connect_unix(&path), message, PASSWORD);
    let mut main = link(&main_message()).unwrap();
    let session = main.main_init().session_id;
    link(&link_message(session, ChannelType::Cursor, 0)).unwrap();
    assert_eq!(rig.stats().clients[0].security, Security::Unix);
    rig.server.stop().unwrap();
    assert!(!path.exists());
}
