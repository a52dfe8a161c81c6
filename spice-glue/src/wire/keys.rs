//! Key codes: the PC's scan codes, set 1, and QEMU's numbers.
//!
//! SPICE carries the bytes of a PC keyboard: one for most keys, `0xe0` and one more
//! for those that came with the AT, and bit 7 of the last byte for a key that goes
//! up. QEMU's `qnum` is the byte without that bit, and bit 7 for the `0xe0`.

/// Goes before the code of an extended key.
const EXTENDED: u8 = 0xe0;
/// Goes before the two codes of Pause.
const PAUSE_PREFIX: u8 = 0xe1;
/// Bit of a key that goes up; in a qnum, of an extended key.
const HIGH: u8 = 0x80;

/// QEMU's number of Pause, which has no scan code like others.
pub const QNUM_PAUSE: u8 = 0xc6;

/// A key goes down or up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyEvent {
    /// QEMU's number of the key, 1 to 255.
    pub qnum: u8,
    /// Whether it goes down.
    pub down: bool,
}

impl KeyEvent {
    /// The key as KEY_DOWN or KEY_UP carry it.
    pub fn to_code(self) -> u32 {
        let up = if self.down { 0 } else { HIGH };
        let code = (self.qnum & !HIGH) | up;
        match self.qnum & HIGH {
            0 => u32::from(code),
            _ => u32::from(EXTENDED) | u32::from(code) << 8,
        }
    }
}

/// Makes key events of scan codes. Codes of one key may come apart, as clients with
/// KEY_SCANCODE send them one at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scancodes(Before);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Before {
    #[default]
    Nothing,
    Extended,
    /// Pause, and how many of its two codes came.
    Pause {
        codes: u8,
    },
}

impl Scancodes {
    /// Takes the code of a KEY_DOWN or KEY_UP: its bytes from the lowest up to the
    /// first that is zero. A message is whole, so what came before it is forgotten.
    ///
    /// Whether the key goes down is in the code itself; clients set it as they do
    /// the message.
    pub fn code(code: u32) -> impl Iterator<Item = KeyEvent> {
        let mut keys = Self::default();
        let bytes = code.to_le_bytes().into_iter().take_while(|byte| *byte != 0);
        bytes.filter_map(move |byte| keys.push(byte))
    }

    /// Takes one scan code, and gives the key that it ends.
    pub fn push(&mut self, byte: u8) -> Option<KeyEvent> {
        let before = std::mem::take(&mut self.0);
        if byte == EXTENDED {
            self.0 = Before::Extended;
            return None;
        }
        if byte == PAUSE_PREFIX {
            self.0 = Before::Pause { codes: 0 };
            return None;
        }
        let (key, down) = (byte & !HIGH, byte & HIGH == 0);
        match before {
            // No key has the code 0: it is what a keyboard says that lost count.
            Before::Nothing | Before::Extended if key == 0 => None,
            Before::Nothing => Some(KeyEvent { qnum: key, down }),
            // A shift that surrounds some keys for keyboards of 1981, and no key.
            Before::Extended if matches!(key, 0x2a | 0x36) => None,
            Before::Extended => Some(KeyEvent {
                qnum: key | HIGH,
                down,
            }),
            Before::Pause { codes: 0 } => {
                self.0 = Before::Pause { codes: 1 };
                None
            }
            Before::Pause { .. } => Some(KeyEvent {
                qnum: QNUM_PAUSE,
                down,
            }),
        }
    }
}
