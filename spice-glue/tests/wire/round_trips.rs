//! What is encoded is decoded to the same, and its header says how long it is.

use proptest::collection::vec;
use proptest::prelude::*;
use scanout_spice::wire::agent::AgentHeader;
use scanout_spice::wire::cursor::CursorServerMessage;
use scanout_spice::wire::display::{
    DisplayClientMessage, DisplayServerMessage, STREAM_DATA_LEN, StreamData, StreamDataHeader,
};
use scanout_spice::wire::frame::{MINI_HEADER_LEN, MiniHeader};
use scanout_spice::wire::inputs::{InputsClientMessage, InputsServerMessage};
use scanout_spice::wire::link::{ChannelType, LINK_HEADER_LEN, LinkHeader, LinkMessage, LinkReply};
use scanout_spice::wire::main::{MainClientMessage, MainServerMessage};

use super::messages::*;

/// Encodes after other bytes, decodes by the header, compares.
macro_rules! round_trip {
    ($side:ident, $channel:expr, $type:ident, $message:expr) => {{
        let message = $message;
        let mut bytes = vec![0xaa; 3];
        message.encode(&mut bytes);
        prop_assert_eq!(&bytes[..3], [0xaa; 3]);
        let header = MiniHeader::$side(&bytes[3..], $channel).unwrap();
        let body = &bytes[3 + MINI_HEADER_LEN..];
        prop_assert_eq!(header.size as usize, body.len());
        prop_assert_eq!(header.kind, message.kind());
        prop_assert_eq!($type::decode(header.kind, body), Ok(message));
    }};
}

proptest! {
    #[test]
    fn every_message_comes_back(numbers in vec(any::<u8>(), 0..400), data in vec(any::<u8>(), 0..200)) {
        use ChannelType::{Cursor, Display, Inputs, Main};
        // A name ends before its first zero or after all its bytes.
        let data: Vec<u8> = data.into_iter().map(|byte| byte | 1).collect();
        let pixels = vec![0x5a; PIXELS];
        for which in 0..MAIN_SERVER {
            round_trip!(from_server, Main, MainServerMessage, main_server(which, &mut Numbers(&numbers), &data));
        }
        for which in 0..MAIN_CLIENT {
            round_trip!(from_client, Main, MainClientMessage, main_client(which, &mut Numbers(&numbers), &data));
        }
        for which in 0..DISPLAY_SERVER {
            round_trip!(from_server, Display, DisplayServerMessage, display_server(which, &mut Numbers(&numbers), &data));
        }
        for which in 0..DISPLAY_CLIENT {
            round_trip!(from_client, Display, DisplayClientMessage, display_client(which, &mut Numbers(&numbers), &data));
        }
        for which in 0..INPUTS_SERVER {
            round_trip!(from_server, Inputs, InputsServerMessage, inputs_server(which, &mut Numbers(&numbers), &data));
        }
        for which in 0..INPUTS_CLIENT {
            round_trip!(from_client, Inputs, InputsClientMessage, inputs_client(which, &mut Numbers(&numbers), &data));
        }
        for which in 0..CURSOR_SERVER {
            let message = cursor_server(which, &mut Numbers(&numbers), &data, &pixels);
            round_trip!(from_server, Cursor, CursorServerMessage, message);
        }
    }

    #[test]
    fn links_come_back(numbers in vec(any::<u8>(), 0..250)) {
        let message = link_message(&mut Numbers(&numbers));
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        let (head, body) = bytes.split_first_chunk::<LINK_HEADER_LEN>().unwrap();
        prop_assert_eq!(LinkHeader::from_client(head), Ok(LinkHeader::of(body.len())));
        prop_assert_eq!(LinkMessage::decode(body), Ok(message));

        let reply = link_reply(&mut Numbers(&numbers));
        let mut bytes = Vec::new();
        reply.encode(&mut bytes);
        let (head, body) = bytes.split_first_chunk::<LINK_HEADER_LEN>().unwrap();
        prop_assert_eq!(LinkHeader::from_server(head), Ok(LinkHeader::of(body.len())));
        prop_assert_eq!(LinkReply::decode(body), Ok(reply));
    }

    #[test]
    fn agent_headers_come_back(kind: u32, opaque: u64, size: u32) {
        let header = AgentHeader { kind, opaque, size };
        let mut bytes = Vec::new();
        header.encode(&mut bytes);
        prop_assert_eq!(AgentHeader::decode(&bytes), Ok(header));
    }

    #[test]
    fn a_picture_in_pieces_is_the_message_in_one(stream_id in 0u32..64, mm_time: u32, data in vec(any::<u8>(), 0..100)) {
        let mut whole = Vec::new();
        DisplayServerMessage::StreamData(StreamData { stream_id, mm_time, data: &data }).encode(&mut whole);
        let head = StreamDataHeader { stream_id, mm_time, size: data.len() as u32 };
        let mut pieces = head.encode().to_vec();
        pieces.extend_from_slice(&data);
        prop_assert_eq!(&whole, &pieces);
        let body = &whole[MINI_HEADER_LEN..];
        prop_assert_eq!(StreamDataHeader::decode(&body[..STREAM_DATA_LEN], body.len()), Ok(head));
    }
}
