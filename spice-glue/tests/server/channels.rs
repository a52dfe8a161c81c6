//! What the channels say.

use scanout_spice::gl::{CloseReason, Outgoing, Payload, VideoCodec, ViewerCaps};
use scanout_spice::server::{Auth, Console, Listen, Running, ServerConfig};
use scanout_spice::stream::{Cursor, CursorShape};
use scanout_spice::wire::base::{BaseClientMessage, kind as base};
use scanout_spice::wire::cursor::kind as cursor;
use scanout_spice::wire::display::{DisplayClientMessage, StreamReport, kind as display};
use scanout_spice::wire::inputs::{Buttons, InputsClientMessage, MouseButton};
use scanout_spice::wire::link::{ChannelType, DisplayCap, InputsCap};
use scanout_spice::wire::main::{MainClientMessage, MouseModes, kind as main};

use scanout_core::geometry::Size;

use super::client::{Client, connect, link_message};
use super::double::{Double, Hand, Input, Seen, picture};
use super::rig::Rig;

#[test]
fn main_begins_with_init_and_tells_the_channels_when_asked() {
    let rig = Rig::with(|config, _| {
        config.name = Some("a desk".into());
        config.uuid = Some([9; 16]);
    });
    let (mut client, _) = rig.main();
    assert_eq!(client.expect(main::NAME)[4..], *b"a desk\0");
    assert_eq!(client.expect(main::UUID), [9; 16]);
    client.send_main(MainClientMessage::AttachChannels);
    let body = client.expect(main::CHANNELS_LIST);
    assert_eq!(body, [3, 0, 0, 0, 2, 0, 4, 0, 3, 0]);
}

#[test]
fn init_says_what_the_pointer_can_do_and_the_client_may_choose() {
    let rig = Rig::new();
    let message = super::client::link_message(0, ChannelType::Main, 0);
    let mut client = rig.link(&message).unwrap();
    let init = client.main_init();
    assert_ne!(init.multi_media_time, 0);
    assert!(!init.agent_connected);
    assert_eq!(init.current_mouse_mode, MouseModes::CLIENT);
    client.send_main(MainClientMessage::MouseModeRequest(MouseModes::SERVER));
    assert_eq!(client.expect(main::MOUSE_MODE), [3, 0, 1, 0]);

    rig.hand
        .no_tablet
        .store(true, std::sync::atomic::Ordering::Relaxed);
    let mut client = rig.link(&message).unwrap();
    let init = client.main_init();
    assert_eq!(init.supported_mouse_modes, MouseModes::SERVER);
    assert_eq!(init.current_mouse_mode, MouseModes::SERVER);
    client.send_main(MainClientMessage::MouseModeRequest(MouseModes::CLIENT));
    assert_eq!(client.expect(main::MOUSE_MODE), [1, 0, 1, 0]);
}

#[test]
fn pings_are_sent_and_their_time_is_known() {
    let rig = Rig::with(|config, _| {
        config.limits.ping_interval = std::time::Duration::from_millis(50);
    });
    let (mut client, _) = rig.main();
    let ping = client.expect(base::PING);
    let id = u32::from_le_bytes(ping[..4].try_into().unwrap());
    let timestamp = u64::from_le_bytes(ping[4..12].try_into().unwrap());
    client.send_base(BaseClientMessage::Pong { id, timestamp });
    super::double::eventually("the time is known", || {
        rig.stats().clients[0].round_trip.is_some()
    });
}

#[test]
fn what_is_for_an_agent_and_what_is_not_known_is_skipped() {
    let rig = Rig::new();
    let (mut client, _) = rig.main();
    client.send_main(MainClientMessage::AgentStart { tokens: 10 });
    client.send_main(MainClientMessage::AgentData(&[1; 2048]));
    client.send_main(MainClientMessage::AgentToken { tokens: 1 });
    for kind in [99, 200, 0xffff] {
        client.send_main(MainClientMessage::Unknown { kind, size: 1000 });
    }
    client.send_main(MainClientMessage::AttachChannels);
    client.expect(main::CHANNELS_LIST);
    assert_eq!(rig.stats().skipped, 6);
}

#[test]
fn a_display_joins_with_init_and_not_before() {
    let rig = Rig::new();
    let (_main, session) = rig.main();
    let mut client = rig.channel(session, ChannelType::Display);
    for cap in [
        DisplayCap::StreamReport,
        DisplayCap::MultiCodec,
        DisplayCap::PrefVideoCodecType,
    ] {
        assert!(client.caps.has(cap));
    }
    // The client would wait for a message that is never sent.
    assert!(!client.caps.has(DisplayCap::MonitorsConfig));
    // Out of order: about streams that there are not.
    client.send_display(DisplayClientMessage::StreamReport(report()));
    client.send_base(BaseClientMessage::Ack);
    client.send_display(DisplayClientMessage::PreferredVideoCodecType(&[3, 9, 1, 3]));
    client.send_display(DisplayClientMessage::PreferredCompression(1));
    super::double::eventually("they are read", || rig.stats().skipped == 2);
    let only_expected = |seen: &[Seen]| seen.iter().all(|e| *e == Seen::Expected);
    assert!(only_expected(&rig.screen.seen.all()));
    client.display_init();
    let prefers = Seen::Prefers(vec![VideoCodec::H264, VideoCodec::Mjpeg]);
    let seen = rig
        .screen
        .seen
        .wait("it joins", |seen| seen.contains(&Seen::ExpectedNoMore));
    let joined = Seen::Joined(ViewerCaps {
        codecs: vec![VideoCodec::Mjpeg, VideoCodec::H264],
        reports: true,
    });
    assert_eq!(
        seen,
        [Seen::Expected, joined, prefers, Seen::ExpectedNoMore]
    );
}

#[test]
fn a_display_without_many_codecs_shows_motion_jpeg() {
    let rig = Rig::new();
    let (_main, session) = rig.main();
    let mut message = super::client::link_message(session, ChannelType::Display, 0);
    message.channel_caps = Default::default();
    let mut client = rig.link(&message).unwrap();
    client.display_init();
    let joined = Seen::Joined(ViewerCaps {
        codecs: vec![VideoCodec::Mjpeg],
        reports: false,
    });
    rig.screen
        .seen
        .wait("it joins", |seen| seen.contains(&joined));
}

fn report() -> StreamReport {
    StreamReport {
        stream_id: 1,
        unique_id: 2,
        start_frame_mm_time: 3,
        end_frame_mm_time: 4,
        num_frames: 5,
        num_drops: 6,
        last_frame_delay: -7,
        audio_delay: u32::MAX,
    }
}

#[test]
fn reports_and_preferences_reach_the_stream() {
    let rig = Rig::new();
    let (_main, session) = rig.main();
    let mut client = rig.display(session, 1);
    client.send_display(DisplayClientMessage::StreamReport(report()));
    client.send_display(DisplayClientMessage::PreferredVideoCodecType(&[1]));
    // A second INIT says nothing new.
    client.display_init();
    let seen = rig.screen.seen.wait("they arrive", |seen| {
        seen.contains(&Seen::Prefers(vec![VideoCodec::Mjpeg]))
    });
    let reports: Vec<_> = seen
        .iter()
        .filter_map(|e| match e {
            Seen::Report(report) => Some(*report),
            _ => None,
        })
        .collect();
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].last_frame_delay_ms, -7);
    assert_eq!((reports[0].frames, reports[0].drops), (5, 6));
}

#[test]
fn a_batch_arrives_whole_in_order_and_byte_for_byte() {
    let rig = Rig::new();
    let (_main, session) = rig.main();
    let mut client = rig.display(session, 1);
    let body: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let size = Size::new(640, 480);
    rig.screen.send(
        0,
        vec![
            Outgoing::SurfaceCreate { surface: 0, size },
            Outgoing::Mark,
            Outgoing::StreamCreate {
                stream: 4,
                surface: 0,
                codec: VideoCodec::H264,
                coded: Size::new(640, 496),
                visible: size,
            },
            Outgoing::ActivateReport {
                stream: 4,
                unique_id: 8,
                max_window: 1,
                timeout_ms: 1000,
            },
            Outgoing::StreamData {
                stream: 4,
                mm_time: 77,
                payload: Payload {
                    head: b"head",
                    body: body.clone().into(),
                    skip: 6,
                    tail: b"tail",
                },
            },
            Outgoing::StreamDestroy { stream: 4 },
            Outgoing::SurfaceDestroy { surface: 0 },
        ],
    );
    let words = |words: &[u32]| {
        words
            .iter()
            .flat_map(|w| w.to_le_bytes())
            .collect::<Vec<_>>()
    };
    let surface = words(&[0, 640, 480, 32, 1]);
    assert_eq!(client.display(), (display::SURFACE_CREATE, surface));
    assert_eq!(client.display(), (display::MARK, vec![]));
    let (kind, create) = client.display();
    assert_eq!((kind, create.len()), (display::STREAM_CREATE, 51));
    // Top-down, and H.264.
    assert_eq!(create[8..10], [1, 3]);
    assert_eq!(create[18..34], words(&[640, 496, 640, 480]));
    assert_eq!(create[34..50], words(&[0, 0, 496, 640]));
    let activate = words(&[4, 8, 1, 1000]);
    assert_eq!(
        client.display(),
        (display::STREAM_ACTIVATE_REPORT, activate)
    );
    let (kind, data) = client.display();
    assert_eq!(kind, display::STREAM_DATA);
    let len = body.len() - 6 + 8;
    assert_eq!(data[..12], words(&[4, 77, len as u32]));
    assert_eq!(data[12..], [b"head", &body[6..], b"tail"].concat());
    assert_eq!(client.display(), (display::STREAM_DESTROY, words(&[4])));
    assert_eq!(client.display(), (display::SURFACE_DESTROY, words(&[0])));
    assert_eq!(rig.stats().display_messages, 7);
    // All is written, and the stream knows.
    rig.screen.seen.wait("nothing waits", |seen| {
        matches!(seen.last(), Some(Seen::Progress(b)) if b.bytes == 0 && b.messages == 0 && b.unacknowledged == 7)
    });
}

#[test]
fn a_stream_may_send_a_viewer_away() {
    let rig = Rig::new();
    let (mut main, session) = rig.main();
    let mut client = rig.display(session, 1);
    rig.screen.close(0, CloseReason::NoCodec);
    assert_eq!(client.rest(), [base::DISCONNECTING]);
    rig.screen
        .seen
        .wait("it leaves", |seen| seen.contains(&Seen::Left));
    // The client's other channels stay.
    main.send_main(MainClientMessage::AttachChannels);
    main.expect(main::CHANNELS_LIST);
}

#[test]
fn pictures_stop_where_acknowledgements_do_and_go_on_with_them() {
    let rig = Rig::new();
    let (_main, session) = rig.main();
    let mut client = rig.display(session, 1);
    for n in 0..60 {
        rig.screen.send(0, picture(10, n));
    }
    // Nothing more is sent: what waits is asked for.
    super::double::eventually("40 are sent and 20 wait", || {
        let backlog = rig.screen.send(0, Vec::new());
        backlog.unacknowledged == 40 && backlog.messages == 20
    });
    for n in 0..40 {
        assert_eq!(client.display().1[12], n);
    }
    client.send_base(BaseClientMessage::AckSync { generation: 1 });
    client.send_base(BaseClientMessage::Ack);
    for n in 40..60 {
        assert_eq!(client.display().1[12], n);
    }
}

#[test]
fn the_pointer_is_sent_as_it_changes() {
    let rig = Rig::new();
    let shape = |fill| CursorShape {
        size: Size::new(2, 2),
        hot: (1, 0),
        bgra: vec![fill; 16].into(),
    };
    let mut now = Cursor {
        shape: Some(shape(1)),
        position: (10, 20),
        visible: true,
    };
    rig.screen.set_cursor(&now);
    let (_main, session) = rig.main();
    let mut client = rig.channel(session, ChannelType::Cursor);
    assert!(!client.caps.has(InputsCap::KeyScancode));
    let (kind, body) = client.message().unwrap();
    assert_eq!((kind, body.len()), (cursor::INIT, 9 + 2 + 17 + 16));
    assert_eq!(body[..4], [10, 0, 20, 0]);
    now.position = (11, 20);
    rig.screen.set_cursor(&now);
    assert_eq!(
        client.message().unwrap(),
        (cursor::MOVE, vec![11, 0, 20, 0])
    );
    now.shape = Some(shape(2));
    rig.screen.set_cursor(&now);
    let (kind, body) = client.message().unwrap();
    assert_eq!(
        (kind, &body[body.len() - 16..]),
        (cursor::SET, &[2; 16][..])
    );
    now.visible = false;
    rig.screen.set_cursor(&now);
    assert_eq!(client.message().unwrap(), (cursor::HIDE, vec![]));
}

#[test]
fn the_clock_of_init_is_the_streams() {
    let rig = Rig::new();
    let message = super::client::link_message(0, ChannelType::Main, 0);
    let first = rig.link(&message).unwrap().main_init().multi_media_time;
    let second = rig.link(&message).unwrap().main_init().multi_media_time;
    // One clock for all, which began at one second when the screen did.
    assert!(first >= 1000 && second >= first, "{first} {second}");
}

#[test]
fn each_console_has_its_own_display_and_pointer() {
    let (left, right) = (Double::default(), Double::default());
    let (left_hand, right_hand) = (Hand::default(), Hand::default());
    let listen = vec![Listen::Tcp("127.0.0.1:0".parse().unwrap())];
    let server = Running::start(
        ServerConfig::new(listen, Auth::Open),
        vec![
            Console::new(left.clone(), left_hand.clone()),
            Console::new(right.clone(), right_hand.clone()),
        ],
    )
    .unwrap();
    let Listen::Tcp(addr) = server.handle().addresses()[0] else {
        panic!("not the address asked for")
    };
    let link = |session, channel, id| {
        Client::link(connect(addr), &link_message(session, channel, id), "").unwrap()
    };
    let mut client = link(0, ChannelType::Main, 0);
    let session = client.main_init().session_id;
    client.send_main(MainClientMessage::AttachChannels);
    let body = client.expect(main::CHANNELS_LIST);
    assert_eq!(body, [5, 0, 0, 0, 2, 0, 2, 1, 4, 0, 4, 1, 3, 0]);
    let mut display = link(session, ChannelType::Display, 1);
    display.display_init();
    right.wait_joined(1);
    assert_eq!(left.joined(), 0);

    let mut inputs = link(session, ChannelType::Inputs, 0);
    let mut bytes = Vec::new();
    InputsClientMessage::MousePosition {
        x: 3,
        y: 4,
        buttons: Buttons::empty(),
        display_id: 1,
    }
    .encode(&mut bytes);
    InputsClientMessage::MousePress {
        button: Some(MouseButton::Left),
        buttons: Buttons::LEFT,
    }
    .encode(&mut bytes);
    InputsClientMessage::KeyDown(0x1e).encode(&mut bytes);
    inputs.send(&bytes);
    left_hand.seen.wait("the key", |seen| !seen.is_empty());
    assert_eq!(left_hand.seen.all(), [Input::Key(0x1e, true)]);
    let pointed = [
        Input::Position(3, 4),
        Input::Button(MouseButton::Left, true),
    ];
    assert_eq!(right_hand.seen.all(), pointed);
}
