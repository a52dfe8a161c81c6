//! Messages against bytes written by hand after the protocol's description.

/// Holds a message against its number and body, both ways.
macro_rules! layout {
    ($type:ident, $message:expr, $kind:literal, $body:expr) => {{
        let message = $message;
        let body: &[u8] = &$body;
        let mut expected = Vec::new();
        expected.extend_from_slice(&u16::to_le_bytes($kind));
        expected.extend_from_slice(&u32::to_le_bytes(body.len() as u32));
        expected.extend_from_slice(body);
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        assert_eq!(bytes, expected, "{message:?}");
        assert_eq!($type::decode($kind, body).as_ref(), Ok(&message));
    }};
}

mod cursor;
mod display;
mod inputs;
mod link;
mod main;
