//! What the client sends of itself, and how it reads.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use scanout_spice::wire::base::{BaseClientMessage, BaseServerMessage};
use scanout_spice::wire::display::{Codec, DisplayClientMessage, DisplayServerMessage};
use scanout_spice::wire::inputs::{
    Buttons, InputsClientMessage, InputsServerMessage, KeyModifiers,
};
use scanout_spice::wire::link::ChannelType;
use scanout_spice_client::{Client, Config, Event, Pace, Reports};

use super::peer::{LONG, Listener, Peer, encoded, jpeg, main_start, session, start};

fn base(encode: BaseServerMessage<'_>) -> Vec<u8> {
    encoded(|out| encode.encode(out))
}

fn received(peer: &mut Peer) -> BaseClientMessage {
    let (kind, body) = peer.receive();
    BaseClientMessage::decode(kind, &body).unwrap()
}

#[test]
fn pings_are_answered_and_windows_acknowledged() {
    let (_main, mut peer, client) = session(|_| {});
    peer.send(&base(BaseServerMessage::Ping {
        id: 7,
        timestamp: 9,
        data: b"ballast",
    }));
    assert_eq!(
        received(&mut peer),
        BaseClientMessage::Pong {
            id: 7,
            timestamp: 9
        }
    );
    peer.send(&base(BaseServerMessage::SetAck {
        generation: 3,
        window: 2,
    }));
    assert_eq!(
        received(&mut peer),
        BaseClientMessage::AckSync { generation: 3 }
    );
    // SURFACE_CREATE, MARK, STREAM_CREATE and a picture: two windows.
    peer.send(&start(Codec::Mjpeg));
    peer.send(&jpeg(5, 10));
    assert_eq!(received(&mut peer), BaseClientMessage::Ack);
    assert_eq!(received(&mut peer), BaseClientMessage::Ack);
    let display = client.display(0).unwrap();
    assert_eq!(display.look(|log| log.acks), 2);
    // And are not when they are not to be.
    display.set_pongs(false);
    display.set_acks(false);
    for id in 0..5 {
        peer.send(&base(BaseServerMessage::Ping {
            id,
            timestamp: 0,
            data: &[],
        }));
    }
    display
        .wait_for(LONG, |log| {
            log.events()
                .find(|event| **event == Event::Ping(4))
                .map(drop)
        })
        .unwrap();
    display.send(b"end of it");
    let mut rest = [0; 9];
    peer.stream.read_exact(&mut rest).unwrap();
    assert_eq!(&rest, b"end of it");
    assert_eq!(client.violations(), []);
}

#[test]
fn a_report_for_each_picture_where_that_is_asked_for() {
    let (_main, mut peer, client) = session(|_| {});
    peer.send(&start(Codec::Mjpeg));
    let ask = DisplayServerMessage::StreamActivateReport {
        stream_id: 1,
        unique_id: 77,
        max_window_size: 1,
        timeout_ms: 1000,
    };
    peer.send(&encoded(|out| ask.encode(out)));
    for stamp in [1_000_010, 2_000_000] {
        peer.send(&jpeg(stamp, 10));
        let (kind, body) = peer.receive();
        let Ok(DisplayClientMessage::StreamReport(report)) =
            DisplayClientMessage::decode(kind, &body)
        else {
            panic!("{kind}: {body:?}");
        };
        assert_eq!(
            (report.stream_id, report.unique_id, report.num_frames),
            (1, 77, 1)
        );
        assert_eq!(
            (report.start_frame_mm_time, report.end_frame_mm_time),
            (stamp, stamp)
        );
        assert_eq!(report.num_drops, u32::from(report.last_frame_delay < 0));
        // The second is a thousand seconds early.
        assert_eq!(
            report.last_frame_delay > 500_000,
            stamp == 2_000_000,
            "{report:?}"
        );
    }
    assert_eq!(client.display(0).unwrap().look(|log| log.reports), 2);
    assert_eq!(client.violations(), []);
}

#[test]
fn a_codec_is_refused_and_its_coming_again_a_fault() {
    let (_main, mut peer, client) =
        session(|config| config.reports = Reports::Refuse(vec![Codec::H265]));
    peer.send(&start(Codec::H265));
    let (kind, body) = peer.receive();
    let Ok(DisplayClientMessage::StreamReport(report)) = DisplayClientMessage::decode(kind, &body)
    else {
        panic!("{kind}: {body:?}");
    };
    assert!(report.unsupported() && report.stream_id == 1);
    assert_eq!(client.violations(), []);
    peer.send(&encoded(|out| {
        DisplayServerMessage::StreamDestroy { stream_id: 1 }.encode(out)
    }));
    peer.send(&start(Codec::H265).split_off(26 + 6));
    let display = client.display(0).unwrap();
    display
        .wait_for(LONG, |log| (!log.violations.is_empty()).then_some(()))
        .unwrap();
}

/// Writes until the peer takes no more; the bytes that it took.
fn fill(stream: &mut TcpStream, bytes: &[u8]) -> usize {
    use std::io::Write;
    stream
        .set_write_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let mut written = 0;
    while written < bytes.len() {
        match stream.write(&bytes[written..]) {
            Ok(count) => written += count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    written
}

#[test]
fn a_stalled_channel_takes_nothing_still_sends_and_goes_on_when_told() {
    let (listener, address) = Listener::tcp();
    let mut config = Config::new(address, "secret");
    (config.inputs, config.cursor, config.limit, config.pace) = (false, false, LONG, Pace::Stalled);
    config.receive_buffer = Some(16 << 10);
    let server = std::thread::spawn(move || {
        let main = main_start(&listener, &[ChannelType::Display]);
        let Listener::Tcp(inner) = &listener else {
            unreachable!()
        };
        let (stream, _) = inner.accept().unwrap();
        super::peer::Stream::limit(&stream).unwrap();
        let copy = stream.try_clone().unwrap();
        let (mut peer, _) = Peer::greet(Box::new(stream), scanout_spice::wire::link::LinkError::Ok);
        peer.send(&[0; 4]);
        assert_eq!(peer.receive().0, 101);
        (main, peer, copy)
    });
    let client = Client::connect(&config).unwrap();
    let (_main, mut peer, mut stream) = server.join().unwrap();
    let mut bytes = start(Codec::Mjpeg);
    for stamp in 0..64u32 {
        bytes.extend(jpeg(stamp + 1, 1 << 20));
    }
    let written = fill(&mut stream, &bytes);
    assert!(
        written < bytes.len(),
        "64 MiB fit into buffers of the system"
    );
    let display = client.display(0).unwrap();
    assert_eq!(display.look(|log| log.bytes), 0);
    display.send(b"still here");
    let mut said = [0; 10];
    peer.stream.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"still here");
    display.set_pace(Pace::Free);
    stream.set_write_timeout(Some(LONG)).unwrap();
    peer.send(&bytes[written..]);
    display
        .wait_for(LONG, |log| (log.pictures().count() == 64).then_some(()))
        .unwrap();
    assert_eq!(client.violations(), []);
}

#[test]
fn a_slow_channel_takes_no_more_than_it_says() {
    let (_main, mut peer, client) = session(|config| config.pace = Pace::Slow(100_000));
    let began = Instant::now();
    peer.send(&start(Codec::Mjpeg));
    peer.send(&jpeg(1, 30_000));
    let display = client.display(0).unwrap();
    let size = display.wait_for(LONG, |log| {
        log.pictures().next().map(|picture| picture.size)
    });
    assert_eq!(size.unwrap(), 30_000);
    // All of it but the first burst has to wait for its time, however slow the machine.
    assert!(
        began.elapsed() >= Duration::from_millis(200),
        "{:?}",
        began.elapsed()
    );
    display.look(|log| {
        assert!(log.records.last().unwrap().at - log.records.last().unwrap().began > Duration::ZERO)
    });
    assert_eq!(client.violations(), []);
}

#[test]
fn nothing_may_come_before_init_where_none_is_sent() {
    let (_main, mut peer, client) = session(|config| config.init = false);
    peer.send(&start(Codec::Mjpeg));
    let display = client.display(0).unwrap();
    display
        .wait_for(LONG, |log| (log.violations.len() == 3).then_some(()))
        .unwrap();
}

#[test]
fn motions_that_were_sent_may_be_acknowledged() {
    let (listener, address) = Listener::tcp();
    let mut config = Config::new(address, "secret");
    (config.displays, config.cursor, config.limit) = (vec![], false, LONG);
    let server = std::thread::spawn(move || {
        let main = main_start(&listener, &[ChannelType::Inputs]);
        (main, listener.link())
    });
    let client = Client::connect(&config).unwrap();
    let (_main, mut peer) = server.join().unwrap();
    peer.send(&encoded(|out| {
        InputsServerMessage::Init(KeyModifiers::empty()).encode(out)
    }));
    let inputs = client.inputs().unwrap();
    let motion = InputsClientMessage::MouseMotion {
        dx: 1,
        dy: 2,
        buttons: Buttons::empty(),
    };
    for _ in 0..4 {
        inputs.send_motion(&encoded(|out| motion.encode(out)));
    }
    for _ in 0..4 {
        let (kind, body) = peer.receive();
        assert_eq!(InputsClientMessage::decode(kind, &body), Ok(motion));
    }
    let ack = encoded(|out| InputsServerMessage::MouseMotionAck.encode(out));
    peer.send(&ack);
    inputs
        .wait_for(LONG, |log| {
            log.events()
                .find(|event| **event == Event::MotionAck)
                .map(drop)
        })
        .unwrap();
    assert_eq!(client.violations(), []);
    peer.send(&ack);
    inputs
        .wait_for(LONG, |log| (log.violations.len() == 1).then_some(()))
        .unwrap();
}
