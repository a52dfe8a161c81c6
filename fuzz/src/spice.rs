//! The SPICE wire format: what a client or a server could send.

use scanout_spice::wire::agent::AgentHeader;
use scanout_spice::wire::cursor::CursorServerMessage;
use scanout_spice::wire::display::{
    DisplayClientMessage, DisplayServerMessage, STREAM_DATA_LEN, StreamDataHeader,
};
use scanout_spice::wire::frame::{MINI_HEADER_LEN, MiniHeader, client_bound, server_bound};
use scanout_spice::wire::inputs::{InputsClientMessage, InputsServerMessage};
use scanout_spice::wire::keys::Scancodes;
use scanout_spice::wire::link::{
    ChannelType, LINK_BODY_MAX, LINK_HEADER_LEN, LinkHeader, LinkMessage, LinkReply,
};
use scanout_spice::wire::main::{MainClientMessage, MainServerMessage};

/// A header and a body, as either side of a link sends them.
pub(crate) fn link(data: &[u8]) {
    let Some((head, body)) = data.split_first_chunk::<LINK_HEADER_LEN>() else {
        return;
    };
    for side in [LinkHeader::from_client, LinkHeader::from_server] {
        match side(head) {
            Ok(header) => {
                assert!(header.size as usize <= LINK_BODY_MAX);
                // The minor version is the only thing in it that may differ.
                assert_eq!(header.encode(), *head);
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    let mut again = Vec::new();
    if let Ok(message) = LinkMessage::decode(body) {
        message.encode(&mut again);
        assert_eq!(LinkMessage::decode(&again[LINK_HEADER_LEN..]), Ok(message));
    }
    again.clear();
    if let Ok(reply) = LinkReply::decode(body) {
        reply.encode(&mut again);
        assert_eq!(LinkReply::decode(&again[LINK_HEADER_LEN..]), Ok(reply));
    }
}

/// The first byte says which channel; messages with their headers follow.
pub(crate) fn messages(data: &[u8]) {
    read(data);
}

/// The messages that were accepted, and those that were not.
fn read(data: &[u8]) -> [usize; 2] {
    let Some((channel, stream)) = data.split_first() else {
        return [0; 2];
    };
    let channel = ChannelType::from_wire(channel & 0x7f);
    if data[0] & 0x80 == 0 {
        let header = |head: &[u8]| MiniHeader::from_client(head, channel);
        walk(stream, header, client_bound(channel), |kind, body| {
            client(channel, kind, body)
        })
    } else {
        let header = |head: &[u8]| MiniHeader::from_server(head, channel);
        walk(stream, header, server_bound(channel), |kind, body| {
            server(channel, kind, body)
        })
    }
}

/// Goes from message to message; what is left at the end is one that was cut.
fn walk<E: std::fmt::Display>(
    mut stream: &[u8],
    header: impl Fn(&[u8]) -> Result<MiniHeader, E>,
    bound: u32,
    message: impl Fn(u16, &[u8]) -> bool,
) -> [usize; 2] {
    let mut counts = [0; 2];
    loop {
        let header = match header(stream) {
            Ok(header) => header,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                return counts;
            }
        };
        assert!(header.size <= bound);
        let body = &stream[MINI_HEADER_LEN..];
        let len = body.len().min(header.size as usize);
        let refused = !message(header.kind, &body[..len]);
        counts[usize::from(refused)] += 1;
        stream = &body[len..];
    }
}

/// What is accepted is written so that it is accepted again, and is the same.
macro_rules! stable {
    ($type:ident, $kind:expr, $body:expr) => {
        match $type::decode($kind, $body) {
            Ok(message) => {
                let mut bytes = Vec::new();
                message.encode(&mut bytes);
                let again = $type::decode(message.kind(), &bytes[MINI_HEADER_LEN..]);
                assert_eq!(again.as_ref(), Ok(&message));
                Some(bytes)
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                None
            }
        }
    };
}

fn client(channel: ChannelType, kind: u16, body: &[u8]) -> bool {
    let written = match channel {
        ChannelType::Display => stable!(DisplayClientMessage, kind, body),
        ChannelType::Inputs => stable!(InputsClientMessage, kind, body),
        _ => stable!(MainClientMessage, kind, body),
    };
    // Nothing that is read grows when it is written.
    let limit = MINI_HEADER_LEN + body.len();
    assert!(written.as_ref().is_none_or(|bytes| bytes.len() <= limit));
    let mut keys = Scancodes::default();
    for event in body.iter().filter_map(|byte| keys.push(*byte)) {
        assert_ne!(event.qnum & 0x7f, 0);
    }
    let _ = AgentHeader::decode(body);
    written.is_some()
}

fn server(channel: ChannelType, kind: u16, body: &[u8]) -> bool {
    let written = match channel {
        ChannelType::Display => stable!(DisplayServerMessage, kind, body),
        ChannelType::Inputs => stable!(InputsServerMessage, kind, body),
        ChannelType::Cursor => stable!(CursorServerMessage, kind, body),
        _ => stable!(MainServerMessage, kind, body),
    };
    // But for the zero at the end of a text.
    let limit = MINI_HEADER_LEN + body.len() + 1;
    assert!(written.as_ref().is_none_or(|bytes| bytes.len() <= limit));
    if let Ok(head) = StreamDataHeader::decode(body, body.len()) {
        assert_eq!(head.size as usize, body.len() - STREAM_DATA_LEN);
    }
    written.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_of_the_corpus_that_is_meant_well_is_accepted() {
        let target = crate::target("spice_messages").unwrap();
        for (name, count) in [
            ("main-client", 12),
            ("display-client", 9),
            ("inputs-client", 12),
            ("main-server", 16),
            ("display-server", 18),
            ("cursor-server", 9),
            ("inputs-server", 8),
        ] {
            let bytes = std::fs::read(crate::corpus_dir(&target).join(name)).unwrap();
            assert_eq!(read(&bytes), [count, 0], "{name}");
        }
    }
}
