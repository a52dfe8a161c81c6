use std::time::Duration;

use scanout_core::geometry::{Rect, Size};

use super::{
    MAX_CURSOR_SIDE, MAX_DURATION, MAX_EXPORTER, MAX_KEPT_BYTES, MAX_PATCHES, MAX_PRODUCER,
    MAX_RECORD, VERSION,
};

/// Why a recording cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// Cannot be read or written.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Some other file.
    #[error("not a recording: it begins with {seen:02x?} instead of {expected:02x?}")]
    Magic {
        /// The first bytes.
        seen: Vec<u8>,
        /// What they should be.
        expected: [u8; 8],
    },
    /// Too short for a recording.
    #[error("the file ends after {bytes} bytes, within its head")]
    Head {
        /// Its length.
        bytes: u64,
    },
    /// Written by a later program.
    #[error("version {version} of the format, but only version {VERSION} is read")]
    Version {
        /// The version seen.
        version: u16,
    },
    /// A length out of bounds.
    #[error("record {record}: {what} of {value}: it must be {min} to {max}")]
    Bound {
        /// Number of the record, from 1.
        record: u64,
        /// What has the length.
        what: &'static str,
        /// The value seen.
        value: u64,
        /// The least that is allowed.
        min: u64,
        /// The most that is allowed.
        max: u64,
    },
    /// The name of the producer is no text, or too long.
    #[error(
        "the producer's name has {bytes} bytes or is no UTF-8: at most {MAX_PRODUCER} bytes are allowed"
    )]
    Producer {
        /// Its length.
        bytes: usize,
    },
    /// The compressed bytes of a record are broken.
    #[error("record {record} cannot be decompressed: {source}")]
    Deflate {
        /// Number of the record, from 1.
        record: u64,
        /// What is wrong.
        source: std::io::Error,
    },
    /// A record is longer or shorter than it says.
    #[error("record {record} says that it has {said} bytes, but {seen} are there")]
    Length {
        /// Number of the record, from 1.
        record: u64,
        /// What its head says.
        said: u64,
        /// What was found; one more than said stands for any number above it.
        seen: u64,
    },
    /// A field of a record holds what it cannot.
    #[error("record {record}: {what} is {value}, which has no meaning")]
    Value {
        /// Number of the record, from 1.
        record: u64,
        /// The field.
        what: &'static str,
        /// The value seen.
        value: u64,
    },
    /// A record ends within a field, or goes on after the last.
    #[error("record {record} {} in {what}", if *.too_long { "has bytes left" } else { "ends" })]
    Form {
        /// Number of the record, from 1.
        record: u64,
        /// Where.
        what: &'static str,
        /// Whether it is too long.
        too_long: bool,
    },
    /// There is something behind the end.
    #[error("the file goes on after the recording's end")]
    AfterEnd,
    /// Time goes back.
    #[error("time {time:?} after {last:?}: it must not go back")]
    TimeBackwards {
        /// The time seen.
        time: Duration,
        /// The time of the event before.
        last: Duration,
    },
    /// Later than any recording is long.
    #[error("time {time:?}: a recording has at most {MAX_DURATION:?}")]
    TimeBeyond {
        /// The time seen.
        time: Duration,
    },
    /// A size that no display has.
    #[error(transparent)]
    Size(#[from] crate::source::SizeError),
    /// A scanout with too few or too many objects or planes.
    #[error("scanout with {count} {what}: it must have 1 to {max}")]
    Count {
        /// Objects or planes.
        what: &'static str,
        /// How many.
        count: usize,
        /// Most allowed.
        max: usize,
    },
    /// An object is listed twice.
    #[error("object {id} is listed twice: planes in one object share its number")]
    ObjectTwice {
        /// The object's id.
        id: u32,
    },
    /// Objects that are too small or too large.
    #[error(
        "objects of {bytes} bytes: each must have 1 byte at least, and all at most {MAX_KEPT_BYTES}"
    )]
    ObjectSize {
        /// The size that is too much, or zero.
        bytes: u64,
    },
    /// The name of an exporter is too long.
    #[error("exporter's name of {bytes} bytes: at most {MAX_EXPORTER} are allowed")]
    Exporter {
        /// Its length.
        bytes: usize,
    },
    /// A plane or a patch names an object that is not there.
    #[error("{what} in object {object}, but there are only {objects}")]
    NoSuchObject {
        /// A plane or a patch.
        what: &'static str,
        /// The object.
        object: u8,
        /// How many there are.
        objects: usize,
    },
    /// The picture is said to lie outside of the buffer, or to be empty.
    #[error("content rectangle {content} is empty or leaves the buffer of {size}")]
    ContentOutside {
        /// The rectangle.
        content: Rect,
        /// The buffer.
        size: Size,
    },
    /// A plane leaves its object.
    #[error("plane {plane} leaves object {object} of {size} bytes")]
    PlaneOutside {
        /// The plane.
        plane: usize,
        /// The object.
        object: u8,
        /// Its size.
        size: u64,
    },
    /// An update before there is anything to update.
    #[error("update of {rect} while nothing is shown")]
    NothingShown {
        /// What was updated.
        rect: Rect,
    },
    /// An update outside of the picture.
    #[error("update of {rect} leaves the picture of {size}")]
    RectOutside {
        /// What was updated.
        rect: Rect,
        /// The picture.
        size: Size,
    },
    /// A patch leaves its object.
    #[error("patch ends at byte {end}, but object {object} has only {size}")]
    PatchOutside {
        /// One past its last byte.
        end: u64,
        /// The object.
        object: u8,
        /// Its size.
        size: u64,
    },
    /// A patch that is empty, whose rows overlap or whose bytes are not all there.
    #[error(
        "patch of {rows} rows of {row_bytes} bytes with stride {stride} and {data} bytes of data: rows must not be empty nor overlap, and all of them be there"
    )]
    PatchShape {
        /// Number of rows.
        rows: u32,
        /// Bytes of a row.
        row_bytes: u32,
        /// Bytes from row to row.
        stride: u32,
        /// Bytes that are there.
        data: u64,
    },
    /// More patches than a record may have.
    #[error("event with {count} patches: a record holds at most {MAX_PATCHES}")]
    TooManyPatches {
        /// How many.
        count: usize,
    },
    /// A pointer without size, too large, or without all of its pixels.
    #[error(
        "pointer of {size} with {bytes} bytes: sides must be 1 to {MAX_CURSOR_SIDE}, and 4 bytes a pixel"
    )]
    Cursor {
        /// Its size.
        size: Size,
        /// Bytes that are there.
        bytes: usize,
    },
    /// More in one event than a record holds.
    #[error("event of {bytes} bytes: a record holds at most {MAX_RECORD}")]
    TooLarge {
        /// Its size.
        bytes: u64,
    },
}
