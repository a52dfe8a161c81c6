//! Messages of the inputs channel.

use scanout_spice::wire::inputs::{
    Buttons, InputsClientMessage, InputsServerMessage, KeyModifiers, MouseButton,
};

#[test]
fn inputs_messages() {
    let locks = KeyModifiers::NUM_LOCK | KeyModifiers::CAPS_LOCK;
    layout!(
        InputsServerMessage,
        InputsServerMessage::Init(locks),
        101,
        [6, 0]
    );
    layout!(
        InputsServerMessage,
        InputsServerMessage::KeyModifiers(KeyModifiers::SCROLL_LOCK),
        102,
        [1, 0]
    );
    layout!(
        InputsServerMessage,
        InputsServerMessage::MouseMotionAck,
        111,
        []
    );
    layout!(
        InputsClientMessage,
        InputsClientMessage::KeyDown(0x48e0),
        101,
        [0xe0, 0x48, 0, 0]
    );
    layout!(
        InputsClientMessage,
        InputsClientMessage::KeyUp(0xc8e0),
        102,
        [0xe0, 0xc8, 0, 0]
    );
    layout!(
        InputsClientMessage,
        InputsClientMessage::KeyModifiers(locks),
        103,
        [6, 0]
    );
    layout!(
        InputsClientMessage,
        InputsClientMessage::KeyScancode(&[0xe0, 0x48]),
        104,
        [0xe0, 0x48]
    );
    layout!(
        InputsClientMessage,
        InputsClientMessage::MouseMotion {
            dx: -1,
            dy: 2,
            buttons: Buttons::LEFT | Buttons::RIGHT
        },
        111,
        [255, 255, 255, 255, 2, 0, 0, 0, 5, 0]
    );
    // MOUSE_POSITION has 11 bytes.
    layout!(
        InputsClientMessage,
        InputsClientMessage::MousePosition {
            x: 258,
            y: 3,
            buttons: Buttons::MIDDLE,
            display_id: 1
        },
        112,
        [2, 1, 0, 0, 3, 0, 0, 0, 2, 0, 1]
    );
    layout!(
        InputsClientMessage,
        InputsClientMessage::MousePress {
            button: Some(MouseButton::Right),
            buttons: Buttons::RIGHT
        },
        113,
        [3, 4, 0]
    );
    layout!(
        InputsClientMessage,
        InputsClientMessage::MouseRelease {
            button: Some(MouseButton::Extra),
            buttons: Buttons::empty()
        },
        114,
        [7, 0, 0]
    );
    assert_eq!(
        InputsClientMessage::decode(113, &[9, 0, 0]),
        Ok(InputsClientMessage::MousePress {
            button: None,
            buttons: Buttons::empty()
        })
    );
}

#[test]
fn buttons_have_their_bits_and_qemus_numbers() {
    let masks = MouseButton::ALL.map(MouseButton::mask);
    assert_eq!(
        masks,
        [
            Buttons::LEFT,
            Buttons::MIDDLE,
            Buttons::RIGHT,
            Buttons::UP,
            Buttons::DOWN,
            Buttons::SIDE,
            Buttons::EXTRA
        ]
    );
    assert_eq!(
        MouseButton::ALL.map(MouseButton::to_qemu),
        [0, 1, 2, 3, 4, 5, 6]
    );
}
