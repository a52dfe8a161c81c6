//! The programme that is typed in the editor, and the colours of its words.

use super::surface::{Pixel, rgb};

pub(super) const LINES: &[&str] = &[
    "use std::collections::BTreeMap;",
    "use std::time::{Duration, Instant};",
    "",
    "/// Frames that wait for their fence, oldest first.",
    "pub struct Queue<T> {",
    "    slots: BTreeMap<u64, Slot<T>>,",
    "    limit: usize,",
    "    late: u64,",
    "}",
    "",
    "impl<T: Send> Queue<T> {",
    "    pub fn with_limit(limit: usize) -> Self {",
    "        assert!(limit > 0, \"a queue of {limit} holds nothing\");",
    "        Self { slots: BTreeMap::new(), limit, late: 0 }",
    "    }",
    "",
    "    // The newest frame wins: what it replaces is given back at once.",
    "    pub fn push(&mut self, stamp: u64, frame: T) -> Option<T> {",
    "        let slot = Slot::new(frame, Instant::now());",
    "        if self.slots.len() >= self.limit {",
    "            self.late += 1;",
    "            let (_, old) = self.slots.pop_first()?;",
    "            self.slots.insert(stamp, slot);",
    "            return Some(old.into_inner());",
    "        }",
    "        self.slots.insert(stamp, slot).map(Slot::into_inner)",
    "    }",
    "",
    "    pub fn expire(&mut self, now: Instant) -> usize {",
    "        let before = self.slots.len();",
    "        let limit = Duration::from_millis(250);",
    "        self.slots.retain(|_, slot| now - slot.since < limit);",
    "        before - self.slots.len()",
    "    }",
    "}",
    "",
    "fn luma(r: u32, g: u32, b: u32) -> u32 {",
    "    // BT.709, limited range, in 16 bits",
    "    (11966 * r + 40254 * g + 4064 * b + 0x10_8000) >> 16",
    "}",
    "",
    "#[test]",
    "fn white_is_235() {",
    "    for (grey, y) in [(0, 16), (128, 126), (255, 235)] {",
    "        assert_eq!(luma(grey, grey, grey), y, \"grey {grey}\");",
    "    }",
    "}",
    "",
];

const KEYWORDS: &[&str] = &[
    "use", "pub", "struct", "impl", "fn", "let", "mut", "if", "return", "for", "in", "self", "Self",
];

pub(super) const GROUND: u32 = 0x1e2029;
const PLAIN: Pixel = rgb(0xd6d9e0);
const KEYWORD: Pixel = rgb(0xff7ab2);
const TYPE: Pixel = rgb(0x6bdfff);
const CALL: Pixel = rgb(0x67b7a4);
const NUMBER: Pixel = rgb(0xd9c97c);
const STRING: Pixel = rgb(0xff8170);
const COMMENT: Pixel = rgb(0x7f8c98);
const SIGN: Pixel = rgb(0xa3b1c2);

/// Calls `run(start, end, colour)` for the runs of one colour in `line`. The
/// colours are those of the finished line, so that what has been typed is
/// never drawn anew in another colour.
pub(super) fn colours(line: &str, mut run: impl FnMut(usize, usize, Pixel)) {
    let bytes = line.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let rest = &bytes[at..];
        let word = |ok: fn(u8) -> bool| rest.iter().take_while(|b| ok(**b)).count();
        let (len, colour) = if rest.starts_with(b"//") {
            (rest.len(), COMMENT)
        } else if byte == b'"' {
            let inner = rest[1..].iter().position(|b| *b == b'"');
            (inner.map_or(rest.len(), |n| n + 2), STRING)
        } else if byte.is_ascii_digit() {
            (word(|b| b.is_ascii_alphanumeric() || b == b'_'), NUMBER)
        } else if byte.is_ascii_alphabetic() || byte == b'_' {
            let len = word(|b| b.is_ascii_alphanumeric() || b == b'_');
            let text = &line[at..at + len];
            let colour = if KEYWORDS.contains(&text) {
                KEYWORD
            } else if byte.is_ascii_uppercase() || matches!(text, "u32" | "u64" | "usize") {
                TYPE
            } else if matches!(bytes.get(at + len), Some(b'(' | b'!')) {
                CALL
            } else {
                PLAIN
            };
            (len, colour)
        } else {
            (1, SIGN)
        };
        run(at, at + len, colour);
        at += len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_cover_each_line_once() {
        for line in LINES {
            let mut next = 0;
            colours(line, |start, end, _| {
                assert_eq!(start, next);
                assert!(end > start);
                next = end;
            });
            assert_eq!(next, line.len());
        }
    }
}
