//! Recorded frames and what lies beside them: files from anywhere.

use std::io::{BufReader, Cursor};
use std::path::PathBuf;

use scanout_core::geometry::{Rect, Size};
use scanout_trace::damage_log::DamageLogReader;
use scanout_trace::source::{
    FrameRate, FrameReader, PngSequence, RawLayout, RawReader, SourceSpec, Y4mReader, parse_header,
};

/// Frames read of one input: the reader is the same for those that follow.
const FRAMES: usize = 16;
/// Larger frames cost only time: what bounds them is checked before.
pub(crate) const MAX_PIXELS: u64 = 1 << 20;

/// Reads frames and asserts that every plane lies in the data given.
pub(crate) fn read(mut reader: impl FrameReader) {
    let (size, fourcc) = (reader.size(), reader.fourcc());
    assert!(!size.is_empty());
    if size.area() > MAX_PIXELS {
        return;
    }
    let info = scanout_core::format::info(fourcc).expect("a format of the table");
    for index in 0..FRAMES {
        let Ok(Some(frame)) = reader.next_frame() else {
            return;
        };
        assert_eq!((frame.size, frame.fourcc), (size, fourcc));
        assert_eq!(frame.index, index as u64);
        assert_eq!(frame.planes.len(), info.planes.len());
        for (plane, place) in info.planes.iter().zip(frame.planes) {
            let (row, rows) = (plane.row_bytes(size.width), plane.rows(size.height));
            let end = place.offset as u64 + place.stride as u64 * (rows - 1) + row;
            assert!(place.stride as u64 >= row && end <= frame.data.len() as u64);
        }
        for rect in frame.damage.rects() {
            assert!(Rect::of(size).contains(*rect));
        }
    }
}

pub(crate) fn y4m(data: &[u8]) {
    if let Ok(header) = parse_header(data) {
        assert!(header.frame_bytes() > 0);
        assert!(header.fps.num > 0 && header.fps.den > 0);
    }
    if let Ok(reader) = Y4mReader::new(Cursor::new(data)) {
        read(reader);
    }
}

/// The first line is the layout's text, the frames follow.
pub(crate) fn raw_layout(data: &[u8]) {
    let end = data.iter().position(|b| *b == b'\n').unwrap_or(data.len());
    let Ok(text) = std::str::from_utf8(&data[..end]) else {
        return;
    };
    // The same text as a user could give it to the tool.
    let _ = text.parse::<SourceSpec>().map_err(|e| e.to_string());
    let _ = format!("raw:frames:{text}")
        .parse::<SourceSpec>()
        .map_err(|e| e.to_string());
    match text.parse::<RawLayout>() {
        Ok(layout) => {
            let frames = Cursor::new(data.get(end + 1..).unwrap_or_default());
            if let Ok(reader) = RawReader::new(frames, layout, FrameRate::whole(30)) {
                read(reader);
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

pub(crate) fn damage_log(data: &[u8]) {
    let Ok(mut reader) = DamageLogReader::new(BufReader::new(data)) else {
        return;
    };
    let size: Size = reader.size();
    assert!(!size.is_empty());
    while let Ok(Some(entry)) = reader.next_entry() {
        for rect in entry.damage.rects() {
            assert!(Rect::of(size).contains(*rect), "{rect:?} in {size}");
        }
    }
}

pub(crate) fn png(data: &[u8]) {
    // The reader takes paths. A picture that says it is large is one of the
    // reader's own checks, not worth the memory a thousand times.
    let says = |at: usize| match data.get(at..at + 4) {
        Some(&[a, b, c, d]) => u64::from(u32::from_be_bytes([a, b, c, d])),
        _ => 0,
    };
    if (1..=1 << 26).contains(&(says(16) * says(20))) && says(16) * says(20) > MAX_PIXELS {
        return;
    }
    let file = Scratch::new();
    std::fs::write(&file.0, data).expect("the temporary directory can be written");
    if let Ok(reader) = PngSequence::open(&file.0, FrameRate::whole(30)) {
        read(reader);
    }
}

/// A file of this thread that goes away even where the target panics.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let name = format!(
            "scanout-fuzz-{}-{:?}.png",
            std::process::id(),
            std::thread::current().id()
        );
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
