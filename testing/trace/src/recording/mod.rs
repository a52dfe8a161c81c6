//! Recordings of what a display producer (an unmodified QEMU) handed to a
//! listener: scanouts, updates with their damage, and the pointer, with their
//! times and the pixels, exact enough to be replayed as buffers of the same layout.
//!
//! * [`RecordingWriter`] writes [`Event`]s as they come, [`RecordingReader`]
//!   gives them back. Files are named `*.scanrec`.
//! * [`Player`] holds what is shown after each event, byte by byte.
//! * [`RecordingSource`](crate::source::RecordingSource) makes frames of it.
//! * [`Recording`] says what is in a file.
//!
//! # The file
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `89 53 43 4e 52 45 43 0a` |
//! | 2 | version, 1 |
//! | 2, n | length of the producer's name and the name, UTF-8 |
//! | | records, each of them: |
//! | 4 | compressed length |
//! | 4 | length |
//! | n | zlib stream of kind, time and fields |
//!
//! All numbers are little-endian. The last record is the end; a file without it
//! was cut short, and is good up to there. A patch holds rows of bytes; rows
//! that are as they were are left out. An object that was shown before has the
//! bytes that it had then, if it is among the last [`MAX_KEPT`] shown, of
//! [`MAX_KEPT_BYTES`] in all, and has the same size; else it is zero.

mod check;
mod error;
mod event;
mod objects;
mod pixman;
mod player;
mod reader;
mod summary;
#[cfg(test)]
mod tests;
mod wire;
mod writer;

use std::time::Duration;

pub use error::RecordingError;
pub use event::{
    CursorShape, Delivery, Event, EventKind, MouseSet, Object, Patch, Scanout, Update,
};
pub use pixman::fourcc_of_pixman;
pub use player::Player;
pub use reader::{End, RecordingReader};
pub use summary::{Picture, Recording};
pub use writer::RecordingWriter;

/// The first bytes of a file: what is no text and does not survive being taken for one.
const MAGIC: [u8; 8] = *b"\x89SCNREC\n";
/// The version that is written and read.
pub const VERSION: u16 = 1;
/// Longest name of a producer in bytes.
pub const MAX_PRODUCER: usize = 1024;
/// Longest name of an exporter in bytes; the kernel's are far shorter.
pub const MAX_EXPORTER: usize = 255;
/// Longest recording.
pub const MAX_DURATION: Duration = Duration::from_secs(24 * 60 * 60);
/// Bytes of all objects of a scanout, and of all that are kept besides: a
/// picture of 8192 x 8192 with 4 bytes a pixel.
pub const MAX_KEPT_BYTES: u64 = 256 << 20;
/// Objects that are kept besides those that are shown: more than any compositor's swapchain has.
pub const MAX_KEPT: usize = 16;
/// Longest record, uncompressed: all objects of a scanout, and what is said of them.
pub const MAX_RECORD: u64 = MAX_KEPT_BYTES + (4 << 20);
/// Patches of a record: some for each row of the largest picture. What is kept of one
/// while it is read takes several times the bytes that it has in a record.
pub const MAX_PATCHES: usize = 1 << 18;
/// Longest side of a pointer's shape; QEMU allows no more.
pub const MAX_CURSOR_SIDE: u32 = 512;
