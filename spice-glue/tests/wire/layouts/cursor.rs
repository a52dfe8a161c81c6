//! Messages of the cursor channel.

use scanout_spice::wire::cursor::{
    CursorHeader, CursorServerMessage, CursorShape, CursorType, Point16,
};

#[test]
fn cursor_messages() {
    let header = CursorHeader {
        unique: 0x0102,
        cursor_type: CursorType::Alpha,
        width: 2,
        height: 1,
        hot_spot_x: 1,
        hot_spot_y: 0,
    };
    let head = [2, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 1, 0, 0, 0];
    let position = Point16 { x: -1, y: 5 };
    let data = b"BGRAbgra";
    let shape = CursorShape::Shape {
        header,
        cache: true,
        data,
    };
    layout!(
        CursorServerMessage,
        CursorServerMessage::Init {
            position,
            trail_length: 3,
            trail_frequency: 4,
            visible: true,
            shape
        },
        101,
        [&[255, 255, 5, 0, 3, 0, 4, 0, 1, 2, 0], &head[..], data].concat()
    );
    layout!(
        CursorServerMessage,
        CursorServerMessage::Set {
            position,
            visible: true,
            shape
        },
        103,
        [&[255, 255, 5, 0, 1, 2, 0], &head[..], data].concat()
    );
    let shape = CursorShape::Shape {
        header,
        cache: false,
        data,
    };
    layout!(
        CursorServerMessage,
        CursorServerMessage::Set {
            position,
            visible: true,
            shape
        },
        103,
        [&[255, 255, 5, 0, 1, 0, 0], &head[..], data].concat()
    );
    layout!(
        CursorServerMessage,
        CursorServerMessage::Set {
            position,
            visible: true,
            shape: CursorShape::FromCache { header }
        },
        103,
        [&[255, 255, 5, 0, 1, 4, 0], &head[..]].concat()
    );
    layout!(
        CursorServerMessage,
        CursorServerMessage::Set {
            position,
            visible: false,
            shape: CursorShape::None
        },
        103,
        [255, 255, 5, 0, 0, 1, 0]
    );
    layout!(CursorServerMessage, CursorServerMessage::Reset, 102, []);
    layout!(
        CursorServerMessage,
        CursorServerMessage::Move(position),
        104,
        [255, 255, 5, 0]
    );
    layout!(CursorServerMessage, CursorServerMessage::Hide, 105, []);
    layout!(
        CursorServerMessage,
        CursorServerMessage::Trail {
            length: 1,
            frequency: 2
        },
        106,
        [1, 0, 2, 0]
    );
    layout!(
        CursorServerMessage,
        CursorServerMessage::InvalOne(7),
        107,
        [7, 0, 0, 0, 0, 0, 0, 0]
    );
    layout!(CursorServerMessage, CursorServerMessage::InvalAll, 108, []);
}

#[test]
fn shapes_have_as_many_bytes_as_their_type_says() {
    let sizes = CursorType::ALL.map(|cursor_type| cursor_type.data_len(9, 2));
    // Mask: 2 bytes a line.
    assert_eq!(
        sizes,
        [72, 8, 10 + 64 + 4, 18 + 1024 + 4, 36 + 4, 54 + 4, 72 + 4]
    );
}
