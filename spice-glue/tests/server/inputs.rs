//! Keys and pointer: what goes down comes up.

use scanout_spice::server::Sharing;
use scanout_spice::wire::inputs::{
    Buttons, InputsClientMessage, KeyModifiers, MouseButton, kind::MOUSE_MOTION_ACK,
};
use scanout_spice::wire::link::ChannelType;

use super::client::Client;
use super::double::{Input, eventually};
use super::rig::Rig;

const A: u32 = 0x1e;
const UP: u32 = 0x80;
/// The right control key: `0xe0 0x1d`.
const RIGHT_CTRL: u32 = 0x1de0;
const RIGHT_CTRL_QNUM: u8 = 0x9d;

fn send(inputs: &mut Client, message: InputsClientMessage<'_>) {
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    inputs.send(&bytes);
}

fn press(inputs: &mut Client, button: MouseButton) {
    send(
        inputs,
        InputsClientMessage::MousePress {
            button: Some(button),
            buttons: button.mask(),
        },
    );
}

fn release(inputs: &mut Client, button: MouseButton) {
    send(
        inputs,
        InputsClientMessage::MouseRelease {
            button: Some(button),
            buttons: Buttons::empty(),
        },
    );
}

fn position(inputs: &mut Client, x: u32, display_id: u8) {
    send(
        inputs,
        InputsClientMessage::MousePosition {
            x,
            y: 7,
            buttons: Buttons::empty(),
            display_id,
        },
    );
}

/// Waits until the sink was told so many things.
fn told(rig: &Rig, n: usize) -> Vec<Input> {
    rig.hand.seen.wait("input arrives", |seen| seen.len() >= n)
}

fn inputs(rig: &Rig, session: u32) -> Client {
    let mut inputs = rig.channel(session, ChannelType::Inputs);
    assert_eq!(inputs.message().unwrap(), (101, vec![0, 0]));
    inputs
}

#[test]
fn keys_buttons_wheel_and_places_arrive_in_order() {
    let rig = Rig::new();
    let (_main, session) = rig.main();
    let mut inputs = inputs(&rig, session);
    send(&mut inputs, InputsClientMessage::KeyDown(A));
    send(&mut inputs, InputsClientMessage::KeyUp(A | UP));
    send(&mut inputs, InputsClientMessage::KeyScancode(&[0xe0]));
    send(&mut inputs, InputsClientMessage::KeyScancode(&[0x1d]));
    send(&mut inputs, InputsClientMessage::KeyScancode(&[0xe0, 0x9d]));
    position(&mut inputs, 11, 0);
    // A display that there is not.
    position(&mut inputs, 99, 3);
    press(&mut inputs, MouseButton::Right);
    release(&mut inputs, MouseButton::Right);
    press(&mut inputs, MouseButton::Down);
    release(&mut inputs, MouseButton::Down);
    let motion = InputsClientMessage::MouseMotion {
        dx: -3,
        dy: 4,
        buttons: Buttons::empty(),
    };
    send(&mut inputs, motion);
    assert_eq!(
        told(&rig, 9),
        [
            Input::Key(0x1e, true),
            Input::Key(0x1e, false),
            Input::Key(RIGHT_CTRL_QNUM, true),
            Input::Key(RIGHT_CTRL_QNUM, false),
            Input::Position(11, 7),
            Input::Button(MouseButton::Right, true),
            Input::Button(MouseButton::Right, false),
            Input::Wheel(false),
            Input::Motion(-3, 4),
        ]
    );
}

#[test]
fn four_motions_are_acknowledged_together() {
    let rig = Rig::new();
    let (_main, session) = rig.main();
    let mut inputs = inputs(&rig, session);
    for x in 0..12 {
        position(&mut inputs, x, 0);
    }
    for _ in 0..3 {
        assert_eq!(inputs.message().unwrap().0, MOUSE_MOTION_ACK);
    }
}

fn hold(inputs: &mut Client) {
    send(inputs, InputsClientMessage::KeyDown(A));
    send(inputs, InputsClientMessage::KeyDown(RIGHT_CTRL));
    press(inputs, MouseButton::Left);
}

fn released(rig: &Rig) {
    let mut seen = told(rig, 6).split_off(3);
    seen.sort_by_key(|input| format!("{input:?}"));
    assert_eq!(
        seen,
        [
            Input::Button(MouseButton::Left, false),
            Input::Key(RIGHT_CTRL_QNUM, false),
            Input::Key(0x1e, false),
        ]
    );
}

#[test]
fn what_is_held_comes_up_when_the_channel_is_cut() {
    let rig = Rig::new();
    let (_main, session) = rig.main();
    let mut inputs = inputs(&rig, session);
    hold(&mut inputs);
    told(&rig, 3);
    drop(inputs);
    released(&rig);
}

#[test]
fn what_is_held_comes_up_when_the_client_is_taken_over() {
    let rig = Rig::new();
    let (_main, session) = rig.main();
    let mut inputs = inputs(&rig, session);
    hold(&mut inputs);
    told(&rig, 3);
    let _new = rig.main();
    released(&rig);
}

#[test]
fn what_is_held_comes_up_when_the_client_sends_nonsense() {
    let rig = Rig::new();
    let (_main, session) = rig.main();
    let mut inputs = inputs(&rig, session);
    hold(&mut inputs);
    inputs.send(&[101, 0, 0xff, 0xff, 0xff, 0xff]);
    released(&rig);
    assert_eq!(inputs.message(), None);
}

#[test]
fn what_is_held_comes_up_when_the_server_stops() {
    let rig = Rig::new();
    let (_main, session) = rig.main();
    let mut inputs = inputs(&rig, session);
    hold(&mut inputs);
    told(&rig, 3);
    rig.server.handle().stop();
    released(&rig);
}

#[test]
fn a_key_that_was_not_down_does_not_come_up() {
    let rig = Rig::new();
    let (_main, session) = rig.main();
    let mut inputs = inputs(&rig, session);
    send(&mut inputs, InputsClientMessage::KeyUp(A | UP));
    release(&mut inputs, MouseButton::Left);
    send(&mut inputs, InputsClientMessage::KeyDown(A));
    assert_eq!(told(&rig, 1), [Input::Key(0x1e, true)]);
}

#[test]
fn those_who_came_later_only_look_until_the_first_one_goes() {
    let rig = Rig::with(|config, _| config.sharing = Sharing::Shared);
    let (first_main, first) = rig.main();
    let (_second_main, second) = rig.main();
    let mut first = inputs(&rig, first);
    let mut second = inputs(&rig, second);
    send(&mut second, InputsClientMessage::KeyDown(A));
    // Its motions are acknowledged all the same, or its client would stall.
    (0..4).for_each(|x| position(&mut second, x, 0));
    assert_eq!(second.message().unwrap().0, MOUSE_MOTION_ACK);
    assert_eq!(rig.hand.seen.all(), []);
    send(&mut first, InputsClientMessage::KeyDown(0x20));
    assert_eq!(told(&rig, 1), [Input::Key(0x20, true)]);
    assert_eq!(rig.stats().inputs_ignored, 5);
    drop(first_main);
    told(&rig, 2);
    eventually("the second one works", || rig.stats().clients[0].input);
    send(&mut second, InputsClientMessage::KeyDown(A));
    assert_eq!(told(&rig, 3)[2], Input::Key(0x1e, true));
}

#[test]
fn with_shared_input_all_work() {
    let rig = Rig::with(|config, _| {
        config.sharing = Sharing::Shared;
        config.shared_input = true;
    });
    let (_first_main, _first) = rig.main();
    let (_second_main, second) = rig.main();
    let mut second = inputs(&rig, second);
    send(&mut second, InputsClientMessage::KeyDown(A));
    assert_eq!(told(&rig, 1), [Input::Key(0x1e, true)]);
}

#[test]
fn locks_become_the_guests_by_keys() {
    let rig = Rig::new();
    *rig.hand.locks.lock().unwrap() = Some(KeyModifiers::NUM_LOCK);
    let (_main, session) = rig.main();
    let mut inputs = rig.channel(session, ChannelType::Inputs);
    assert_eq!(inputs.message().unwrap(), (101, vec![2, 0]));
    let caps = KeyModifiers::CAPS_LOCK | KeyModifiers::NUM_LOCK;
    send(&mut inputs, InputsClientMessage::KeyModifiers(caps));
    assert_eq!(
        told(&rig, 2),
        [Input::Key(0x3a, true), Input::Key(0x3a, false)]
    );
    *rig.hand.locks.lock().unwrap() = Some(caps);
    send(&mut inputs, InputsClientMessage::KeyModifiers(caps));
    assert_eq!(inputs.message().unwrap(), (102, vec![6, 0]));
    assert_eq!(rig.hand.seen.all().len(), 2);
}

#[test]
fn more_than_the_rate_waits_and_is_not_lost() {
    let rig = Rig::with(|config, _| config.limits.inputs_per_second = 50);
    let (_main, session) = rig.main();
    let mut inputs = inputs(&rig, session);
    let start = std::time::Instant::now();
    for n in 0..100 {
        position(&mut inputs, n, 0);
    }
    let last = told(&rig, 100).pop();
    assert_eq!(last, Some(Input::Position(99, 7)));
    // The first 50 at once, the rest takes its second.
    assert!(start.elapsed().as_millis() >= 900);
}
