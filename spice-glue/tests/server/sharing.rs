//! Several clients, and how they go.

use std::io::Read;
use std::time::Duration;

use scanout_spice::server::{
    Auth, Console, Listen, NoInput, Refusal, Server, ServerConfig, Sharing,
};
use scanout_spice::wire::base::{BaseClientMessage, kind::DISCONNECTING};
use scanout_spice::wire::link::{ChannelType, LinkError};

use super::client::{Client, Refused, connect, link_message};
use super::double::{Double, Seen, eventually};
use super::rig::Rig;

fn clients(rig: &Rig) -> usize {
    rig.stats().clients.len()
}

#[test]
fn a_new_client_takes_over_and_the_old_one_is_told_on_all_channels() {
    let rig = Rig::new();
    let (mut main, session) = rig.main();
    let mut display = rig.display(session, 1);
    let mut inputs = rig.channel(session, ChannelType::Inputs);
    let mut cursor = rig.channel(session, ChannelType::Cursor);
    let (_new, new_session) = rig.main();
    for old in [&mut main, &mut display, &mut inputs, &mut cursor] {
        assert_eq!(old.rest().last(), Some(&DISCONNECTING));
    }
    rig.screen
        .seen
        .wait("the old display leaves", |seen| seen.contains(&Seen::Left));
    assert_ne!(session, new_session);
    let late = rig.link(&link_message(session, ChannelType::Inputs, 0));
    let gone = Refused::Result(LinkError::BadConnectionId);
    assert_eq!(late.err(), Some(gone));
    assert_eq!(clients(&rig), 1);
    rig.channel(new_session, ChannelType::Inputs);
}

#[test]
fn while_one_takes_over_the_screen_is_never_without_a_viewer() {
    const CLIENTS: usize = 16;
    let rig = Rig::new();
    let held: Vec<_> = (1..=CLIENTS)
        .map(|n| {
            let (main, session) = rig.main();
            (main, rig.display(session, n))
        })
        .collect();
    let seen = rig.screen.seen.wait("all but the last leave", |seen| {
        seen.iter().filter(|event| **event == Seen::Left).count() == CLIENTS - 1
    });
    drop(held);
    let mut there = 0_i32;
    for (index, event) in seen.iter().enumerate() {
        there += match event {
            Seen::Expected | Seen::Joined(_) => 1,
            Seen::ExpectedNoMore | Seen::Left => -1,
            _ => 0,
        };
        // Encoders would be closed.
        assert!(there > 0, "nobody watches after {index} of {seen:?}");
    }
}

#[test]
fn a_wrong_password_takes_over_nothing() {
    let rig = Rig::new();
    let (mut main, session) = rig.main();
    let message = link_message(0, ChannelType::Main, 0);
    assert!(Client::link(connect(rig.addr), &message, "wrong").is_err());
    rig.channel(session, ChannelType::Inputs);
    main.send_base(BaseClientMessage::Ack);
    assert_eq!(clients(&rig), 1);
}

#[test]
fn with_exclusive_the_second_is_refused_until_the_first_has_gone() {
    let rig = Rig::with(|config, _| config.sharing = Sharing::Exclusive);
    let (main, session) = rig.main();
    let message = link_message(0, ChannelType::Main, 0);
    let busy = Refused::Closed;
    assert_eq!(rig.link(&message).err(), Some(busy));
    rig.channel(session, ChannelType::Inputs);
    assert_eq!(rig.stats().refused.of(Refusal::Busy), 1);
    drop(main);
    eventually("the next one gets in", || rig.link(&message).is_ok());
}

#[test]
fn with_shared_all_look_up_to_a_bound() {
    let rig = Rig::with(|config, _| {
        config.sharing = Sharing::Shared;
        config.limits.clients = 3;
    });
    let held: Vec<_> = (1..=3)
        .map(|n| {
            let (main, session) = rig.main();
            (main, rig.display(session, n))
        })
        .collect();
    assert_eq!(clients(&rig), 3);
    let message = link_message(0, ChannelType::Main, 0);
    let busy = Refused::Closed;
    assert_eq!(rig.link(&message).err(), Some(busy));
    drop(held);
    eventually("all have gone", || clients(&rig) == 0);
    let left = |seen: &[Seen]| seen.iter().filter(|e| **e == Seen::Left).count() == 3;
    rig.screen.seen.wait("all displays leave", left);
}

#[test]
fn when_the_main_channel_goes_all_others_go() {
    let rig = Rig::new();
    let (main, session) = rig.main();
    let mut display = rig.display(session, 1);
    let mut inputs = rig.channel(session, ChannelType::Inputs);
    drop(main);
    assert_eq!(display.rest().last(), Some(&DISCONNECTING));
    assert_eq!(inputs.rest().last(), Some(&DISCONNECTING));
    eventually("the client has gone", || clients(&rig) == 0);
}

#[test]
fn a_client_that_says_goodbye_is_gone() {
    let rig = Rig::new();
    let (mut main, session) = rig.main();
    let mut display = rig.display(session, 1);
    main.send_base(BaseClientMessage::Disconnecting {
        timestamp: 0,
        reason: 0,
    });
    main.rest();
    display.rest();
    eventually("the client has gone", || clients(&rig) == 0);
}

#[test]
fn a_server_that_stops_says_goodbye() {
    let rig = Rig::new();
    let (mut main, session) = rig.main();
    let mut display = rig.display(session, 1);
    let Rig { server, addr, .. } = rig;
    server.stop().unwrap();
    assert_eq!(main.rest().last(), Some(&DISCONNECTING));
    assert_eq!(display.rest().last(), Some(&DISCONNECTING));
    assert!(std::net::TcpStream::connect(addr).is_err());
}

#[test]
fn a_server_stops_at_once_whoever_is_half_way_in() {
    let rig = Rig::with(|config, _| config.limits.link_time = Duration::from_secs(3600));
    let mut half_open = connect(rig.addr);
    eventually("it has its place", || rig.stats().links_pending == 1);
    let handle = rig.server.handle().clone();
    rig.server.stop().unwrap();
    assert_eq!(half_open.read(&mut [0]).unwrap_or(0), 0);
    assert_eq!(handle.stats().links_pending, 0);
}

#[test]
fn a_server_whose_future_is_dropped_says_goodbye_too() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let listen = vec![Listen::Tcp("127.0.0.1:0".parse().unwrap())];
    let console = Console::new(Double::default(), NoInput);
    let server = Server::bind(ServerConfig::new(listen, Auth::Open), vec![console]).unwrap();
    let Listen::Tcp(addr) = server.addresses()[0] else {
        panic!("not the address asked for")
    };
    let running = runtime.spawn(server.run());
    // Nobody is asked for a password here.
    let message = link_message(0, ChannelType::Main, 0);
    let mut main = Client::link(connect(addr), &message, "whatever").unwrap();
    main.main_init();
    running.abort();
    assert_eq!(main.rest().last(), Some(&DISCONNECTING));
}
