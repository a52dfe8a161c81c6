//! Main, inputs and cursor.

use std::time::Instant;

use scanout_spice::wire::cursor::{
    CursorHeader, CursorServerMessage, CursorShape, CursorType, Point16,
};
use scanout_spice::wire::frame::MINI_HEADER_LEN;
use scanout_spice::wire::inputs::{InputsServerMessage, KeyModifiers};
use scanout_spice::wire::link::ChannelType;
use scanout_spice::wire::main::{MainInit, MainServerMessage, MouseModes};

use super::judge;
use crate::judge::*;

#[test]
fn a_session_begins_once_with_numbers_that_are_not_zero() {
    let good = MainInit {
        session_id: 5,
        display_channels_hint: 1,
        supported_mouse_modes: MouseModes::all(),
        current_mouse_mode: MouseModes::CLIENT,
        agent_connected: false,
        agent_tokens: 0,
        multi_media_time: 1,
        ram_hint: 0,
    };
    let mut judge = judge(ChannelType::Main);
    judged!(
        judge,
        MainServerMessage::MultiMediaTime(5),
        [Fault::TooEarly { kind: 106 }]
    );
    judged!(judge, MainServerMessage::Init(good), []);
    judged!(judge, MainServerMessage::Init(good), [Fault::InitTwice]);
    judged!(
        judge,
        MainServerMessage::ChannelsList(vec![]),
        [Fault::ListUnasked]
    );
    let Judge::Main(main) = &mut judge else {
        unreachable!()
    };
    main.attached();
    judged!(judge, MainServerMessage::ChannelsList(vec![]), []);
    judged!(
        judge,
        MainServerMessage::MultiMediaTime(0),
        [Fault::Zero(_)]
    );
    let zeros = MainInit {
        session_id: 0,
        multi_media_time: 0,
        ..good
    };
    judged!(
        judge,
        MainServerMessage::Init(zeros),
        [Fault::InitTwice, Fault::Zero(_), Fault::Zero(_)]
    );
    for (supported, current) in [
        (MouseModes::SERVER, MouseModes::CLIENT),
        (MouseModes::all(), MouseModes::all()),
        (MouseModes::all(), MouseModes::empty()),
    ] {
        judged!(
            judge,
            MainServerMessage::MouseMode { supported, current },
            [Fault::MouseMode { .. }]
        );
    }
}

#[test]
fn motions_are_acknowledged_by_fours() {
    let mut judge = judge(ChannelType::Inputs);
    judged!(
        judge,
        InputsServerMessage::KeyModifiers(KeyModifiers::empty()),
        [Fault::TooEarly { .. }]
    );
    judged!(judge, InputsServerMessage::Init(KeyModifiers::empty()), []);
    let Judge::Inputs(inputs) = &mut judge else {
        unreachable!()
    };
    (0..7).for_each(|_| inputs.moved());
    judged!(judge, InputsServerMessage::MouseMotionAck, []);
    judged!(
        judge,
        InputsServerMessage::MouseMotionAck,
        [Fault::MotionAck {
            acks: 2,
            motions: 7
        }]
    );
    judged!(
        judge,
        InputsServerMessage::Init(KeyModifiers::empty()),
        [Fault::InitTwice]
    );
}

#[test]
fn cursors_come_from_the_cache_only_when_they_are_in_it() {
    let header = CursorHeader {
        unique: 7,
        cursor_type: CursorType::Alpha,
        width: 1,
        height: 1,
        hot_spot_x: 0,
        hot_spot_y: 0,
    };
    let set = |shape| CursorServerMessage::Set {
        position: Point16::default(),
        visible: true,
        shape,
    };
    let kept = CursorShape::Shape {
        header,
        cache: true,
        data: b"BGRA",
    };
    let mut judge = judge(ChannelType::Cursor);
    judged!(
        judge,
        set(CursorShape::None),
        [Fault::TooEarly { kind: 103 }]
    );
    let init = CursorServerMessage::Init {
        position: Point16::default(),
        trail_length: 0,
        trail_frequency: 0,
        visible: false,
        shape: CursorShape::None,
    };
    judged!(judge, init.clone(), []);
    judged!(judge, init, [Fault::InitTwice]);
    judged!(
        judge,
        set(CursorShape::FromCache { header }),
        [Fault::NotCached(7)]
    );
    judged!(judge, set(kept), []);
    judged!(judge, set(CursorShape::FromCache { header }), []);
    judged!(judge, CursorServerMessage::InvalAll, []);
    judged!(
        judge,
        set(CursorShape::FromCache { header }),
        [Fault::NotCached(7)]
    );
    judged!(
        judge,
        CursorServerMessage::InvalOne(7),
        [Fault::NotCached(7)]
    );
    let nameless = CursorHeader {
        unique: 0,
        ..header
    };
    judged!(
        judge,
        set(CursorShape::Shape {
            header: nameless,
            cache: true,
            data: b"BGRA"
        }),
        [Fault::Zero(_)]
    );
    let off = CursorHeader {
        hot_spot_x: 1,
        ..header
    };
    judged!(
        judge,
        set(CursorShape::Shape {
            header: off,
            cache: false,
            data: b"BGRA"
        }),
        [Fault::HotSpot { .. }]
    );
    let flat = CursorHeader {
        height: 0,
        ..header
    };
    judged!(
        judge,
        set(CursorShape::Shape {
            header: flat,
            cache: false,
            data: &[]
        }),
        [Fault::Zero(_)]
    );
}
