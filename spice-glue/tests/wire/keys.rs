//! Key codes against those of QEMU.

use proptest::prelude::*;
use scanout_spice::wire::keys::{KeyEvent, QNUM_PAUSE, Scancodes};

fn events(bytes: &[u8]) -> Vec<(u8, bool)> {
    let mut keys = Scancodes::default();
    let events = bytes.iter().filter_map(|byte| keys.push(*byte));
    events.map(|event| (event.qnum, event.down)).collect()
}

#[test]
fn codes_are_qemus_numbers() {
    // Of QEMU's keymaps: the code on the wire down, up, and the qnum.
    let table = [
        ("Esc", 0x01, 0x81, 0x01),
        ("A", 0x1e, 0x9e, 0x1e),
        ("Enter", 0x1c, 0x9c, 0x1c),
        ("keypad Enter", 0x1ce0, 0x9ce0, 0x9c),
        ("left Ctrl", 0x1d, 0x9d, 0x1d),
        ("right Ctrl", 0x1de0, 0x9de0, 0x9d),
        ("AltGr", 0x38e0, 0xb8e0, 0xb8),
        ("Up", 0x48e0, 0xc8e0, 0xc8),
        ("Delete", 0x53e0, 0xd3e0, 0xd3),
        ("left Super", 0x5be0, 0xdbe0, 0xdb),
        ("F12", 0x58, 0xd8, 0x58),
        ("Print", 0x37e0, 0xb7e0, 0xb7),
        ("Break", 0x46e0, 0xc6e0, 0xc6),
    ];
    for (name, down, up, qnum) in table {
        for (code, down) in [(down, true), (up, false)] {
            let events: Vec<_> = Scancodes::code(code).collect();
            assert_eq!(events, [KeyEvent { qnum, down }], "{name}");
            assert_eq!(KeyEvent { qnum, down }.to_code(), code, "{name}");
        }
    }
}

#[test]
fn scan_codes_may_come_one_at_a_time() {
    assert_eq!(events(&[0x1e]), [(0x1e, true)]);
    assert_eq!(events(&[0xe0]), []);
    assert_eq!(
        events(&[0xe0, 0x48, 0x1e, 0xe0, 0xc8, 0x9e]),
        [(0xc8, true), (0x1e, true), (0xc8, false), (0x1e, false)]
    );
}

#[test]
fn pause_is_one_key_of_six_codes() {
    let pause = [0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5];
    assert_eq!(events(&pause), [(QNUM_PAUSE, true), (QNUM_PAUSE, false)]);
    // It leaves nothing behind.
    assert_eq!(
        events(&[0xe1, 0x1d, 0x45, 0x1d]),
        [(QNUM_PAUSE, true), (0x1d, true)]
    );
}

#[test]
fn what_is_no_key_makes_no_event() {
    // Shifts around Print of old keyboards, overruns, and a prefix twice.
    assert_eq!(events(&[0xe0, 0x2a, 0xe0, 0x37]), [(0xb7, true)]);
    assert_eq!(events(&[0xe0, 0xb7, 0xe0, 0xaa]), [(0xb7, false)]);
    assert_eq!(events(&[0x00, 0x80, 0xe0, 0x80]), []);
    assert_eq!(events(&[0xe0, 0xe0, 0x48]), [(0xc8, true)]);
    assert_eq!(Scancodes::code(0).count(), 0);
    // A code of a message ends at its first zero.
    assert_eq!(Scancodes::code(0x1e00_001e).count(), 1);
}

proptest! {
    #[test]
    fn every_number_but_prefixes_and_false_shifts_goes_there_and_back(qnum in 1u8..=255, down: bool) {
        prop_assume!(!matches!(qnum, 0x80 | 0xaa | 0xb6 | 0x60 | 0x61 | 0xe0 | 0xe1));
        let event = KeyEvent { qnum, down };
        let back: Vec<_> = Scancodes::code(event.to_code()).collect();
        prop_assert_eq!(back, [event]);
    }

    #[test]
    fn a_code_is_at_most_four_events_none_of_them_zero(code: u32) {
        let events: Vec<_> = Scancodes::code(code).collect();
        prop_assert!(events.len() <= 4 && events.iter().all(|event| event.qnum & 0x7f != 0));
    }
}
