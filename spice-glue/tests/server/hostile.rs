//! Peers that are half open, slow, silent or mad, and those beside them.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use scanout_spice::gl::{Outgoing, Payload};
use scanout_spice::server::{Refusal, Sharing};
use scanout_spice::wire::base::BaseClientMessage;
use scanout_spice::wire::display::DisplayClientMessage;
use scanout_spice::wire::link::ChannelType;
use scanout_spice::wire::main::{MainClientMessage, kind as main};

use super::client::{Refused, connect, link_message, read_reply};
use super::double::{Seen, eventually, picture};
use super::rig::Rig;

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}

#[test]
fn a_flood_of_half_open_links_is_cut_off_and_those_in_use_go_on() {
    let rig = Rig::with(|config, _| config.limits.links_per_peer = 8);
    let (mut client, session) = rig.main();
    let mut display = rig.display(session, 1);
    let before = resident_kib();
    // More than this at a time would need more descriptors than a test may have.
    for round in 0..10 {
        let held: Vec<_> = (0..300)
            .map(|n| {
                let mut wire = connect(rig.addr);
                if n % 2 == 0 {
                    let _ = wire.write_all(b"REDQ");
                }
                wire
            })
            .collect();
        eventually("all are looked at", || {
            let stats = rig.stats();
            let refused = stats.refused.of(Refusal::PeerCrowded) + stats.refused.of(Refusal::Gone);
            refused + stats.links_pending as u64 >= 300 * (round + 1) - 8
        });
        assert!(rig.stats().links_pending <= 8);
        client.send_main(MainClientMessage::AttachChannels);
        client.expect(main::CHANNELS_LIST);
        rig.screen.send(0, picture(1000, 1));
        assert_eq!(display.display().1.len(), 1012);
        drop(held);
    }
    assert!(rig.stats().refused.of(Refusal::PeerCrowded) >= 2900);
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < 32 << 10, "{grown} KiB for 3000 links");
    // Whoever comes now finds room.
    let inputs = link_message(session, ChannelType::Inputs, 0);
    eventually("a link is let in", || rig.link(&inputs).is_ok());
}

#[test]
fn one_address_has_its_share_of_places_and_no_more() {
    let rig = Rig::with(|config, _| config.limits.links_per_peer = 2);
    let _first = connect(rig.addr);
    let _second = connect(rig.addr);
    eventually("both have a place", || rig.stats().links_pending == 2);
    let mut third = connect(rig.addr);
    assert_eq!(third.read(&mut [0]).unwrap_or(0), 0);
    assert_eq!(rig.stats().refused.of(Refusal::PeerCrowded), 1);
}

#[test]
fn a_client_that_never_reads_costs_neither_the_source_nor_the_others() {
    // So that its time cannot be what closes it.
    let rig = Rig::with(|config, _| {
        config.sharing = Sharing::Shared;
        config.limits.write_stall = Duration::from_secs(3600);
    });
    let (_stuck_main, stuck_session) = rig.main();
    let _stuck = rig.display(stuck_session, 1);
    let (_main, session) = rig.main();
    let mut display = rig.display(session, 2);
    // 300 MB for the one that never reads: far beyond what the kernel takes.
    let shared: std::sync::Arc<Vec<u8>> = vec![3; 1 << 20].into();
    let body = scanout_core::encoder::PacketBytes::from(shared.to_vec());
    let data = || {
        vec![Outgoing::StreamData {
            stream: 1,
            mm_time: 5,
            payload: Payload {
                head: &[],
                body: body.clone(),
                skip: 0,
                tail: &[],
            },
        }]
    };
    let mut longest = Duration::ZERO;
    let mut backlog = 0;
    for n in 0..300 {
        let start = Instant::now();
        backlog = backlog.max(rig.screen.send(0, data()).bytes);
        rig.screen.send(1, data());
        longest = longest.max(start.elapsed());
        assert_eq!(display.display().1.len(), (1 << 20) + 12);
        if n % 20 == 19 {
            display.send_base(BaseClientMessage::Ack);
        }
    }
    // What waits is told, and at its bound the client is given up at once.
    assert!(backlog > 32 << 20 && backlog <= 64 << 20, "{backlog}");
    eventually("it is closed", || rig.stats().stalled == 1);
    // Handing over never waits for a socket: seconds would be needed for that.
    assert!(longest < Duration::from_secs(1), "{longest:?}");
}

#[test]
fn a_client_that_takes_nothing_is_closed_after_its_time() {
    let rig = Rig::with(|config, _| config.limits.write_stall = Duration::from_millis(300));
    let (_main, session) = rig.main();
    let mut display = rig.display(session, 1);
    // More than the kernel's buffers hold.
    for _ in 0..50 {
        rig.screen.send(0, picture(1 << 20, 1));
    }
    rig.screen
        .seen
        .wait("it leaves", |seen| seen.contains(&Seen::Left));
    eventually("it is counted", || rig.stats().stalled == 1);
    // No goodbye in the middle of a picture: the rest is cut off.
    while let Some((kind, _)) = display.message() {
        assert_eq!(kind, 123);
    }
}

#[test]
fn a_client_that_reads_and_never_acknowledges_is_closed_after_its_time() {
    let rig = Rig::with(|config, _| config.limits.write_stall = Duration::from_millis(300));
    let (_main, session) = rig.main();
    let mut display = rig.display(session, 1);
    for n in 0..41 {
        rig.screen.send(0, picture(10, n));
    }
    let kinds = display.rest();
    assert_eq!(kinds, vec![123; 40]);
    eventually("it is counted", || rig.stats().stalled == 1);
}

#[test]
fn an_idle_display_stays_however_long_nothing_is_sent() {
    let rig = Rig::with(|config, _| config.limits.write_stall = Duration::from_millis(100));
    let (_main, session) = rig.main();
    let mut display = rig.display(session, 1);
    std::thread::sleep(Duration::from_millis(500));
    rig.screen.send(0, picture(5, 1));
    assert_eq!(display.display().0, 123);
}

#[test]
fn a_client_without_a_sign_of_life_is_disconnected() {
    let rig = Rig::with(|config, _| {
        config.limits.ping_interval = Duration::from_millis(50);
        config.limits.silence = Duration::from_millis(300);
    });
    let (mut client, session) = rig.main();
    let mut display = rig.display(session, 1);
    assert_eq!(client.rest().last(), Some(&6));
    assert_eq!(display.rest(), [6]);
    assert_eq!(rig.stats().silent, 1);

    // One that answers stays.
    let (mut client, _) = rig.main();
    let end = Instant::now() + Duration::from_secs(1);
    while Instant::now() < end {
        let ping = client.expect(4);
        let id = u32::from_le_bytes(ping[..4].try_into().unwrap());
        client.send_base(BaseClientMessage::Pong { id, timestamp: 0 });
    }
    assert_eq!(rig.stats().clients.len(), 1);
}

#[test]
fn a_message_that_cannot_be_closes_its_channel_alone() {
    let rig = Rig::new();
    let (mut client, session) = rig.main();
    for (n, bytes) in [
        // A length beyond all bounds; one byte beyond; a body too short for its number.
        &[102, 0, 0xff, 0xff, 0xff, 0xff][..],
        &[99, 0, 0x01, 0x04, 0, 0],
        &[102, 0, 3, 0, 0, 0, 1, 2, 3],
        &[105, 0, 1, 0, 0, 0, 200],
        &[101, 0, 0, 0, 0, 0],
    ]
    .into_iter()
    .enumerate()
    {
        let mut display = rig.display(session, n + 1);
        display.send(bytes);
        assert_eq!(display.rest(), [] as [u16; 0], "{bytes:?}");
        eventually("it is counted and gone", || {
            let stats = rig.stats();
            stats.malformed == n as u64 + 1 && stats.clients[0].channels == 1
        });
    }
    client.send_main(MainClientMessage::AttachChannels);
    client.expect(main::CHANNELS_LIST);
}

#[test]
fn a_message_that_comes_byte_by_byte_is_a_message() {
    let rig = Rig::new();
    let (mut client, _) = rig.main();
    for byte in [104, 0, 0, 0, 0, 0] {
        client.send(&[byte]);
        std::thread::sleep(Duration::from_millis(5));
    }
    client.expect(main::CHANNELS_LIST);
    // And many at once are many.
    client.send(&[104, 0, 0, 0, 0, 0].repeat(1000));
    (0..1000).for_each(|_| drop(client.expect(main::CHANNELS_LIST)));
}

#[test]
fn reports_beyond_the_rate_wait_at_the_client() {
    let rig = Rig::new();
    let (_main, session) = rig.main();
    let mut display = rig.display(session, 1);
    let mut bytes = Vec::new();
    DisplayClientMessage::Unknown {
        kind: 102,
        size: 32,
    }
    .encode(&mut bytes);
    let start = Instant::now();
    display.send(&bytes.repeat(2500));
    let reports = |seen: &[Seen]| seen.iter().filter(|e| matches!(e, Seen::Report(_))).count();
    rig.screen
        .seen
        .wait("all arrive", |seen| reports(seen) == 2500);
    // A thousand at once, then a thousand per second.
    assert!(start.elapsed() >= Duration::from_millis(1400));
}

#[test]
fn keys_are_not_made_for_those_who_leave_without_a_ticket_as_fast_as_they_ask() {
    let rig = Rig::with(|config, _| {
        config.limits.links_per_peer = 2;
        config.limits.failure_delay = Duration::from_secs(3600);
        config.limits.failure_delay_max = Duration::from_secs(3600);
    });
    let mut bytes = Vec::new();
    link_message(0, ChannelType::Main, 0).encode(&mut bytes);
    for _ in 0..2 {
        let mut wire = connect(rig.addr);
        wire.write_all(&bytes).unwrap();
        read_reply(&mut wire).unwrap();
    }
    // Both are gone, and their places are not.
    eventually("they are missed", || {
        rig.stats().refused.of(Refusal::Gone) == 2
    });
    let mut wire = connect(rig.addr);
    let _ = wire.write_all(&bytes);
    assert_eq!(read_reply(&mut wire).err(), Some(Refused::Closed));
}

#[test]
fn no_goodbye_lands_in_the_middle_of_a_picture() {
    let rig = Rig::new();
    let (_main, session) = rig.main();
    let mut display = rig.display(session, 1);
    for _ in 0..40 {
        rig.screen.send(0, picture(1 << 20, 7));
    }
    let stuck = |seen: &[Seen]| seen.iter().any(|e| matches!(e, Seen::Progress(_)));
    rig.screen.seen.wait("something is written", stuck);
    // Whoever takes over ends it where it is.
    let _new = rig.main();
    let mut bytes = Vec::new();
    let _ = display.wire.read_to_end(&mut bytes);
    assert!(bytes.len() < 40 << 20, "all was written: {}", bytes.len());
    assert_eq!(bytes.last(), Some(&7));
}

/// A message that no channel knows.
const UNKNOWN: [u8; 6] = [0xf0, 0, 0, 0, 0, 0];
/// ACK, which every channel knows.
const ACK: [u8; 6] = [2, 0, 0, 0, 0, 0];

#[test]
fn a_client_with_much_to_say_is_read_at_a_pace() {
    for channel in [ChannelType::Main, ChannelType::Cursor] {
        let rig = Rig::new();
        let (mut main, session) = rig.main();
        let mut cursor = rig.channel(session, ChannelType::Cursor);
        let client = match channel {
            ChannelType::Main => &mut main,
            _ => &mut cursor,
        };
        let begun = Instant::now();
        client.send(&UNKNOWN.repeat(300));
        // Read later, and not lost.
        eventually("all of them are read", || {
            let read = rig.stats().skipped;
            let most = 101.0 + 100.0 * begun.elapsed().as_secs_f64();
            assert!(read as f64 <= most, "{channel:?}: {read} are read");
            read >= 300
        });
    }
}

#[test]
fn messages_of_every_channel_count_among_the_inputs_that_are_read_in_a_second() {
    let rig = Rig::with(|config, _| config.limits.inputs_per_second = 100);
    let (_main, session) = rig.main();
    let mut inputs = rig.channel(session, ChannelType::Inputs);
    let begun = Instant::now();
    inputs.send(&ACK.repeat(300));
    // KEY_DOWN of A.
    inputs.send(&[101, 0, 4, 0, 0, 0, 0x1e, 0, 0, 0]);
    rig.hand.seen.wait("the key", |seen| !seen.is_empty());
    assert!(begun.elapsed() >= Duration::from_millis(1900));
}
