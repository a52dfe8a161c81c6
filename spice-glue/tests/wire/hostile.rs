//! Messages that are cut, too long, or nothing at all.

use proptest::collection::vec;
use proptest::prelude::*;
use scanout_spice::wire::WireError;
use scanout_spice::wire::agent::AgentHeader;
use scanout_spice::wire::base::{self, BaseServerMessage, NOTICE_MAX, Notice, Severity};
use scanout_spice::wire::cursor::CursorServerMessage;
use scanout_spice::wire::display::{
    CLIP_MAX, Clip, DisplayClientMessage, DisplayServerMessage, HEADS_MAX, Rect, StreamDataHeader,
};
use scanout_spice::wire::frame::MINI_HEADER_LEN;
use scanout_spice::wire::inputs::{InputsClientMessage, InputsServerMessage, SCANCODES_MAX};
use scanout_spice::wire::link::{ChannelType, LinkHeader, LinkMessage, LinkReply};
use scanout_spice::wire::main::{
    AGENT_DATA_MAX, CHANNELS_MAX, ChannelId, MainClientMessage, MainServerMessage, NAME_MAX,
};

use super::alloc::bytes_taken;
use super::messages::*;

/// Decodes by every decoder: none panics, and memory is taken in proportion to what
/// is there, whatever a count in it says. What is accepted is stable.
fn decode_all(kind: u16, body: &[u8]) {
    macro_rules! decode {
        ($($type:ident),*) => {$(
            let (taken, result) = bytes_taken(|| $type::decode(kind, body));
            assert!(taken <= 4 * body.len(), "{taken} bytes for {} of {kind}", body.len());
            match result {
                Ok(message) => {
                    let mut bytes = Vec::new();
                    message.encode(&mut bytes);
                    assert_eq!($type::decode(message.kind(), &bytes[MINI_HEADER_LEN..]), Ok(message));
                }
                Err(error) => in_message(error, body.len()),
            }
        )*};
    }
    decode!(
        MainServerMessage,
        MainClientMessage,
        DisplayServerMessage,
        DisplayClientMessage,
        InputsServerMessage,
        InputsClientMessage,
        CursorServerMessage
    );
    let _ = AgentHeader::decode(body);
    let _ = StreamDataHeader::decode(body, body.len());
    let (taken, _) = bytes_taken(|| (LinkMessage::decode(body), LinkReply::decode(body)));
    assert_eq!(taken, 0);
    if let Some(head) = body.first_chunk() {
        let _ = (LinkHeader::from_client(head), LinkHeader::from_server(head));
    }
}

/// The offset of an error lies in the message.
fn in_message(error: WireError, len: usize) {
    match error {
        WireError::Short {
            offset,
            need,
            len: seen,
            ..
        } => {
            assert!(
                seen == len && offset <= len && need > len - offset,
                "{error:?}"
            );
        }
        WireError::Trailing { offset, .. } => assert!(offset < len, "{error:?}"),
        WireError::OutOfBounds {
            offset,
            seen,
            min,
            max,
            ..
        } => {
            assert!(offset <= len && !(min..=max).contains(&seen), "{error:?}");
        }
        WireError::BadValue { offset, .. } => assert!(offset < len, "{error:?}"),
        error => panic!("{error:?} of a message"),
    }
    assert!(!error.to_string().is_empty());
}

/// Whether `decode` refuses every head of what a server sends, and more bytes too.
macro_rules! must_fit {
    ($type:ident, $message:expr) => {{
        let message = $message;
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        let body = &bytes[MINI_HEADER_LEN..];
        // The zero after a notice is not counted, and may be missing.
        let heads = body.len() - usize::from(message.kind() == base::kind::NOTIFY);
        for len in 0..heads {
            let result = $type::decode(message.kind(), &body[..len]);
            assert_ne!(result.as_ref(), Ok(&message), "{len} of {}", body.len());
        }
        let longer = [body, &[1]].concat();
        assert_ne!($type::decode(message.kind(), &longer), Ok(message));
    }};
}

/// The same for a client, whose messages may be longer.
macro_rules! must_not_be_cut {
    ($type:ident, $message:expr) => {{
        let message = $message;
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        let body = &bytes[MINI_HEADER_LEN..];
        for len in 0..body.len() {
            let result = $type::decode(message.kind(), &body[..len]);
            assert_ne!(result.as_ref(), Ok(&message), "{len} of {}", body.len());
        }
    }};
}

proptest! {
    #[test]
    fn random_bytes_neither_panic_nor_take_memory(kind in 0u16..130, bytes in vec(any::<u8>(), 0..200)) {
        decode_all(kind, &bytes);
        decode_all(kind + 200, &bytes);
    }

    #[test]
    fn small_numbers_neither_panic_nor_take_memory(kind in 0u16..330, bytes in vec(0u8..4, 0..80)) {
        decode_all(kind, &bytes);
    }

    #[test]
    fn no_head_of_a_message_is_taken_for_it(numbers in vec(any::<u8>(), 0..200), data in vec(1u8..255, 1..40)) {
        let pixels = vec![0x5a; PIXELS];
        for which in 0..MAIN_SERVER {
            must_fit!(MainServerMessage, main_server(which, &mut Numbers(&numbers), &data));
        }
        for which in 0..MAIN_CLIENT {
            must_not_be_cut!(MainClientMessage, main_client(which, &mut Numbers(&numbers), &data));
        }
        for which in 0..DISPLAY_SERVER {
            must_fit!(DisplayServerMessage, display_server(which, &mut Numbers(&numbers), &data));
        }
        for which in 0..DISPLAY_CLIENT {
            must_not_be_cut!(DisplayClientMessage, display_client(which, &mut Numbers(&numbers), &data));
        }
        for which in 0..INPUTS_SERVER {
            must_fit!(InputsServerMessage, inputs_server(which, &mut Numbers(&numbers), &data));
        }
        for which in 0..INPUTS_CLIENT {
            must_not_be_cut!(InputsClientMessage, inputs_client(which, &mut Numbers(&numbers), &data));
        }
        for which in [1, 3, 4, 5, 6, 7, 8] {
            must_fit!(CursorServerMessage, cursor_server(which, &mut Numbers(&numbers), &data, &pixels));
        }
    }

    #[test]
    fn a_byte_changed_anywhere_neither_panics_nor_takes_memory(
        which in 0u32..DISPLAY_SERVER, numbers in vec(any::<u8>(), 0..200), at: prop::sample::Index, value: u8,
    ) {
        let message = display_server(which, &mut Numbers(&numbers), &[1, 2, 3]);
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        let body = &mut bytes[MINI_HEADER_LEN..];
        if !body.is_empty() {
            let at = at.index(body.len());
            body[at] = value;
        }
        decode_all(message.kind(), body);
    }
}

#[test]
fn counts_of_all_ones_take_no_memory() {
    let ones = [0xff; 64];
    for kind in 0..400 {
        for len in 0..ones.len() {
            decode_all(kind, &ones[..len]);
        }
    }
}

#[test]
fn a_count_beyond_its_bound_is_refused_though_the_bytes_are_there() {
    let body = |count: u32, item: usize| {
        let mut body = count.to_le_bytes().to_vec();
        body.resize(4 + count as usize * item, 0);
        body
    };
    let error = MainServerMessage::decode(104, &body(CHANNELS_MAX as u32 + 1, 2)).unwrap_err();
    assert!(
        matches!(
            error,
            WireError::OutOfBounds {
                seen: 257,
                max: 256,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(MainServerMessage::decode(113, &body(NAME_MAX as u32 + 2, 1)).is_err());
    let mut heads = vec![HEADS_MAX as u8 + 1, 0, 0, 0];
    heads.resize(4 + 28 * (HEADS_MAX + 1), 0);
    assert!(DisplayServerMessage::decode(317, &heads).is_err());
    let mut clip = vec![0, 0, 0, 0, 1];
    clip.extend(body(CLIP_MAX as u32 + 1, 16));
    assert!(DisplayServerMessage::decode(124, &clip).is_err());
    assert!(MainClientMessage::decode(107, &[0; AGENT_DATA_MAX + 1]).is_err());
    assert!(MainServerMessage::decode(109, &[0; AGENT_DATA_MAX + 1]).is_err());
    assert!(InputsClientMessage::decode(104, &[0; SCANCODES_MAX + 1]).is_err());
}

#[test]
fn what_is_beyond_a_bound_is_not_sent() {
    let encoded = |encode: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = Vec::new();
        encode(&mut bytes);
        bytes.split_off(MINI_HEADER_LEN)
    };
    let long = vec![b'x'; 5000];
    let many = vec![
        ChannelId {
            channel_type: ChannelType::Display,
            id: 0
        };
        300
    ];
    let bytes = encoded(&|out| MainServerMessage::ChannelsList(many.clone()).encode(out));
    assert!(
        matches!(MainServerMessage::decode(104, &bytes), Ok(MainServerMessage::ChannelsList(list)) if list.len() == 256)
    );
    let bytes = encoded(&|out| MainServerMessage::Name(&long).encode(out));
    assert!(
        matches!(MainServerMessage::decode(113, &bytes), Ok(MainServerMessage::Name(name)) if name.len() == 256)
    );
    let notice = Notice {
        timestamp: 0,
        severity: Severity::Info,
        visibility: 0,
        what: 0,
        message: &long,
    };
    let bytes = encoded(&|out| BaseServerMessage::Notify(notice).encode(out));
    let Ok(BaseServerMessage::Notify(notice)) = BaseServerMessage::decode(7, &bytes) else {
        panic!("no notice");
    };
    assert_eq!(notice.message.len(), NOTICE_MAX);
    let clip = Clip::Rects(vec![Rect::default(); CLIP_MAX + 5]);
    let bytes = encoded(&|out| {
        DisplayServerMessage::StreamClip {
            stream_id: 0,
            clip: clip.clone(),
        }
        .encode(out)
    });
    assert_eq!(bytes.len(), 4 + 1 + 4 + 16 * CLIP_MAX);
}

#[test]
fn a_clients_message_may_grow_and_a_servers_may_not() {
    assert_eq!(
        MainClientMessage::decode(105, &[2, 0, 9, 9]),
        MainClientMessage::decode(105, &[2, 0])
    );
    assert!(DisplayClientMessage::decode(101, &[0; 20]).is_ok());
    assert!(matches!(
        DisplayServerMessage::decode(315, &[0; 5]),
        Err(WireError::Trailing {
            offset: 4,
            len: 5,
            ..
        })
    ));
    assert!(DisplayServerMessage::decode(102, &[0]).is_err());
    assert!(InputsServerMessage::decode(101, &[0; 3]).is_err());
}

#[test]
fn a_stream_id_beyond_63_is_refused_where_a_server_names_it() {
    for kind in [124, 125, 319] {
        let mut body = vec![0; 16];
        body[0] = 64;
        let error = DisplayServerMessage::decode(kind, &body).unwrap_err();
        assert!(
            matches!(
                error,
                WireError::OutOfBounds {
                    seen: 64,
                    max: 63,
                    offset: 0,
                    ..
                }
            ),
            "{error:?}"
        );
    }
}

#[test]
fn a_cursor_of_more_than_512_pixels_a_side_is_refused_though_the_bytes_are_there() {
    // SET, type MONO, which has the fewest bytes.
    let set = |width: u16, height: u16| {
        let mut body = vec![0; 7 + 17];
        body[7 + 8] = 1;
        body[7 + 9..7 + 11].copy_from_slice(&width.to_le_bytes());
        body[7 + 11..7 + 13].copy_from_slice(&height.to_le_bytes());
        let pixels = usize::from(width).div_ceil(8) * 2 * usize::from(height);
        body.resize(body.len() + pixels, 0);
        CursorServerMessage::decode(103, &body).map(drop)
    };
    assert_eq!(set(512, 512), Ok(()));
    for (width, height, offset) in [(513, 1, 16), (1, 513, 18), (u16::MAX, 1, 16)] {
        let error = set(width, height).unwrap_err();
        assert!(
            matches!(error, WireError::OutOfBounds { max: 512, offset: seen, .. } if seen == offset),
            "{error:?}"
        );
    }
}
