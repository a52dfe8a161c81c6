//! The link, byte by byte.

use scanout_spice::wire::WireError;
use scanout_spice::wire::frame::{MiniHeader, client_bound, require_mini_header, server_bound};
use scanout_spice::wire::link::{
    AuthMechanism, Capabilities, ChannelType, CommonCap, DisplayCap, InputsCap, LINK_BODY_MAX,
    LINK_HEADER_LEN, LINK_REPLY_LEN, LinkError, LinkHeader, LinkMessage, LinkReply, MainCap,
};

/// What a stock client (spice-gtk 0.42) sends for its first display channel.
#[rustfmt::skip]
const CLIENT: [u8; 42] = [
    b'R', b'E', b'D', b'Q', 2, 0, 0, 0, 2, 0, 0, 0, 26, 0, 0, 0, // header, 26 bytes follow
    0x78, 0x56, 0x34, 0x12, 2, 0, // session, display 0
    1, 0, 0, 0, 1, 0, 0, 0, 18, 0, 0, 0, // one word each, after 18 bytes
    0x0d, 0, 0, 0, 0xbf, 0x6f, 0, 0,
];

fn header(bytes: &[u8]) -> [u8; LINK_HEADER_LEN] {
    *bytes.first_chunk().unwrap()
}

#[test]
fn a_stock_clients_link_is_read() {
    let head = LinkHeader::from_client(&header(&CLIENT)).unwrap();
    assert_eq!((head.minor, head.size), (2, 26));
    let link = LinkMessage::decode(&CLIENT[LINK_HEADER_LEN..]).unwrap();
    assert_eq!(link.connection_id, 0x1234_5678);
    assert_eq!(
        (link.channel_type, link.channel_id),
        (ChannelType::Display, 0)
    );
    assert_eq!(require_mini_header(&link), Ok(()));
    assert!(
        link.common_caps.has(CommonCap::AuthSelection)
            && !link.common_caps.has(CommonCap::AuthSpice)
    );
    // "All but 6 and 12."
    for cap in [
        DisplayCap::SizedStream,
        DisplayCap::StreamReport,
        DisplayCap::MultiCodec,
        DisplayCap::CodecMjpeg,
        DisplayCap::CodecVp8,
        DisplayCap::CodecH264,
        DisplayCap::CodecVp9,
        DisplayCap::CodecH265,
    ] {
        assert!(link.channel_caps.has(cap), "{cap:?}");
    }
    assert!(!link.channel_caps.has(DisplayCap::PrefCompression));
    assert!(!link.channel_caps.has(DisplayCap::PrefVideoCodecType));
    // And written as it was.
    let mut bytes = Vec::new();
    link.encode(&mut bytes);
    assert_eq!(bytes, CLIENT);
}

#[test]
fn a_reply_has_178_bytes_and_its_capabilities() {
    let reply = LinkReply {
        error: LinkError::Ok,
        public_key: std::array::from_fn(|at| at as u8),
        common_caps: Capabilities::of([
            CommonCap::AuthSelection,
            CommonCap::AuthSpice,
            CommonCap::MiniHeader,
        ]),
        channel_caps: Capabilities::of([
            DisplayCap::StreamReport,
            DisplayCap::MultiCodec,
            DisplayCap::PrefVideoCodecType,
        ]),
    };
    let mut bytes = Vec::new();
    reply.encode(&mut bytes);
    let mut expected = b"REDQ\x02\0\0\0\x02\0\0\0\xba\0\0\0\0\0\0\0".to_vec();
    expected.extend(0..162);
    expected.extend_from_slice(&[
        1, 0, 0, 0, 1, 0, 0, 0, 178, 0, 0, 0, 0x0b, 0, 0, 0, 0x10, 0x11, 0, 0,
    ]);
    assert_eq!(bytes, expected);
    assert_eq!(LinkHeader::from_server(&header(&bytes)).unwrap().size, 186);
}

#[test]
fn a_refusal_is_a_whole_reply_of_zeros() {
    let mut bytes = Vec::new();
    LinkReply::refusal(LinkError::NeedSecured).encode(&mut bytes);
    assert_eq!(bytes.len(), LINK_HEADER_LEN + LINK_REPLY_LEN);
    assert_eq!(
        bytes[..20],
        *b"REDQ\x02\0\0\0\x02\0\0\0\xb2\0\0\0\x05\0\0\0"
    );
    assert!(bytes[20..190].iter().all(|byte| *byte == 0));
    assert_eq!(bytes[190..], [178, 0, 0, 0]);
}

#[test]
fn errors_and_mechanisms_have_their_numbers() {
    for (number, error) in LinkError::ALL.into_iter().enumerate() {
        assert_eq!(error.encode(), (number as u32).to_le_bytes());
        assert_eq!(LinkError::decode(error.encode()), Ok(error));
    }
    assert_eq!(LinkError::PermissionDenied.to_wire(), 7);
    assert!(matches!(
        LinkError::decode([10, 0, 0, 0]),
        Err(WireError::BadValue { seen: 10, .. })
    ));
    assert_eq!(
        AuthMechanism::decode([1, 0, 0, 0]),
        Ok(AuthMechanism::Spice)
    );
    assert_eq!(
        AuthMechanism::decode(AuthMechanism::Sasl.encode()),
        Ok(AuthMechanism::Sasl)
    );
    assert!(AuthMechanism::decode([0, 0, 0, 0]).is_err());
}

#[test]
fn channels_have_their_numbers() {
    let numbers = [1, 2, 3, 4, 5, 6, 8, 9, 10, 11];
    let channels = [
        ChannelType::Main,
        ChannelType::Display,
        ChannelType::Inputs,
        ChannelType::Cursor,
        ChannelType::Playback,
        ChannelType::Record,
        ChannelType::Smartcard,
        ChannelType::Usbredir,
        ChannelType::Port,
        ChannelType::Webdav,
    ];
    assert_eq!(channels.map(ChannelType::to_wire), numbers);
    for number in 0..=255 {
        assert_eq!(ChannelType::from_wire(number).to_wire(), number);
    }
}

#[test]
fn capabilities_have_their_bits() {
    let caps = Capabilities::of([
        MainCap::NameAndUuid,
        MainCap::AgentConnectedTokens,
        MainCap::SeamlessMigrate,
    ]);
    assert_eq!(caps.words(), [0x0e]);
    assert_eq!(Capabilities::of([InputsCap::KeyScancode]).words(), [1]);
    assert!(Capabilities::default().words().is_empty());
    // A bit of a later word is not one of the first.
    assert!(!Capabilities::from_words([0, 0xffff_ffff]).has(CommonCap::AuthSelection));
}

#[test]
fn a_wrong_header_says_what_to_answer() {
    let with = |at: usize, bytes: [u8; 4]| {
        let mut header = header(&CLIENT);
        header[at..at + 4].copy_from_slice(&bytes);
        LinkHeader::from_client(&header)
    };
    let error = with(0, *b"GET ").unwrap_err();
    assert_eq!(error, WireError::BadMagic { seen: *b"GET " });
    assert_eq!(error.link_error(), LinkError::InvalidMagic);
    let error = with(4, [1, 0, 0, 0]).unwrap_err();
    assert_eq!(error, WireError::BadVersion { major: 1, minor: 2 });
    assert_eq!(error.link_error(), LinkError::VersionMismatch);
    assert!(
        with(8, [99, 0, 0, 0]).is_ok(),
        "a minor version hinders nobody"
    );
    for size in [0u32, 17, 4097, u32::MAX] {
        let error = with(12, size.to_le_bytes()).unwrap_err();
        assert_eq!(error.link_error(), LinkError::InvalidData);
        let WireError::OutOfBounds {
            seen,
            min,
            max,
            offset,
            ..
        } = error
        else {
            panic!("{error:?}");
        };
        assert_eq!((seen, min, max, offset), (size.into(), 18, 4096, 12));
    }
    for size in [18u32, 4096] {
        assert_eq!(
            with(12, size.to_le_bytes()).map(|header| header.size),
            Ok(size)
        );
    }
}

#[test]
fn capabilities_lie_where_the_message_says_and_nowhere_else() {
    let body = |common: u32, channel: u32, offset: u32, rest: &[u8]| {
        let mut body = vec![0, 0, 0, 0, 1, 0];
        for word in [common, channel, offset] {
            body.extend_from_slice(&word.to_le_bytes());
        }
        body.extend_from_slice(rest);
        LinkMessage::decode(&body).map(|link| (link.common_caps.word(0), link.channel_caps.word(0)))
    };
    assert_eq!(body(1, 1, 18, &[1, 0, 0, 0, 2, 0, 0, 0]), Ok((1, 2)));
    // Further back, as the offset allows.
    assert_eq!(body(1, 0, 20, &[9, 9, 7, 0, 0, 0]), Ok((7, 0)));
    // No capabilities: the offset says nothing.
    assert_eq!(body(0, 0, u32::MAX, &[]), Ok((0, 0)));
    for (common, channel, offset) in [
        (1, 0, 17),
        (1, 0, 19),
        (1, 0, 0),
        (1, 0, u32::MAX),
        (2, 0, 18),
        (0, 2, 18),
        (1025, 0, 18),
        (u32::MAX, u32::MAX, 18),
        (0x4000_0001, 0, 18),
    ] {
        assert!(
            body(common, channel, offset, &[0; 4]).is_err(),
            "{common} {channel} {offset}"
        );
    }
    // Words beyond those kept are read past, and the channel's are those after them.
    let words: Vec<u8> = (1..=9u32).flat_map(u32::to_le_bytes).collect();
    assert_eq!(body(8, 1, 18, &words), Ok((1, 9)));
    assert!(LinkMessage::decode(&[0; LINK_BODY_MAX + 1]).is_err());
    assert!(LinkMessage::decode(&[0; 17]).is_err());
}

#[test]
fn who_lacks_the_small_header_is_refused() {
    let mut link = LinkMessage::decode(&CLIENT[LINK_HEADER_LEN..]).unwrap();
    link.common_caps = Capabilities::of([CommonCap::AuthSelection]);
    assert_eq!(
        require_mini_header(&link),
        Err(WireError::NoMiniHeader { caps: 1 })
    );
}

#[test]
fn each_channel_bounds_its_messages_before_they_are_read() {
    for number in 0..=255 {
        let channel = ChannelType::from_wire(number);
        let bounds = [client_bound(channel), server_bound(channel)];
        for (side, bound) in [MiniHeader::from_client, MiniHeader::from_server]
            .into_iter()
            .zip(bounds)
        {
            let with = |size: u32| side(&MiniHeader { kind: 101, size }.encode(), channel);
            assert_eq!(with(bound).map(|header| header.size), Ok(bound));
            for size in [bound + 1, u32::MAX] {
                let error = with(size).unwrap_err();
                assert!(
                    matches!(error, WireError::OutOfBounds { seen, max, offset: 2, .. }
                        if seen == u64::from(size) && max == u64::from(bound)),
                    "{error:?}"
                );
            }
        }
    }
    assert!(MiniHeader::from_client(&[0; 5], ChannelType::Main).is_err());
    // A client may make a server keep this much for a message, and no more.
    assert!((0..=255).all(|number| client_bound(ChannelType::from_wire(number)) <= 4096));
}
