//! The display channel: surfaces, streams of video, and what clients say of them.

mod client;
mod server;
mod stream;

pub use client::{DisplayClientMessage, DisplayInit, StreamReport};
pub use server::{
    DisplayServerMessage, HEADS_MAX, Head, SURFACE_FORMAT_XRGB, StreamData, StreamDataSized,
    SurfaceCreate, SurfaceFlags,
};
pub use stream::{
    CLIP_MAX, Clip, Codec, STREAM_DATA_LEN, STREAMS_MAX, StreamCreate, StreamDataHeader,
    StreamFlags,
};

/// Numbers of the messages.
pub mod kind {
    /// Server: resolution, of old servers.
    pub const MODE: u16 = 101;
    /// Server: what was drawn may be shown.
    pub const MARK: u16 = 102;
    /// Server: forget everything.
    pub const RESET: u16 = 103;
    /// Server: a stream begins.
    pub const STREAM_CREATE: u16 = 122;
    /// Server: a picture of a stream.
    pub const STREAM_DATA: u16 = 123;
    /// Server: where a stream is seen.
    pub const STREAM_CLIP: u16 = 124;
    /// Server: a stream ends.
    pub const STREAM_DESTROY: u16 = 125;
    /// Server: all streams end.
    pub const STREAM_DESTROY_ALL: u16 = 126;
    /// Server: a surface to draw on.
    pub const SURFACE_CREATE: u16 = 314;
    /// Server: a surface is gone.
    pub const SURFACE_DESTROY: u16 = 315;
    /// Server: a picture of a stream, of another size.
    pub const STREAM_DATA_SIZED: u16 = 316;
    /// Server: where the monitors are.
    pub const MONITORS_CONFIG: u16 = 317;
    /// Server: report how a stream does.
    pub const STREAM_ACTIVATE_REPORT: u16 = 319;

    /// Client: caches; the channel begins.
    pub const INIT: u16 = 101;
    /// Client: how a stream does.
    pub const STREAM_REPORT: u16 = 102;
    /// Client: the compression wanted.
    pub const PREFERRED_COMPRESSION: u16 = 103;
    /// Client: a scanout was drawn.
    pub const GL_DRAW_DONE: u16 = 104;
    /// Client: the codecs wanted.
    pub const PREFERRED_VIDEO_CODEC_TYPE: u16 = 105;
}

/// A rectangle, in the protocol's order. The right and bottom edges are outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rect {
    /// First line.
    pub top: i32,
    /// First column.
    pub left: i32,
    /// The line after the last.
    pub bottom: i32,
    /// The column after the last.
    pub right: i32,
}

impl Rect {
    /// From the origin, of that size; beyond 2^31-1 cut.
    pub fn of_size(width: u32, height: u32) -> Self {
        Self {
            top: 0,
            left: 0,
            bottom: i32::try_from(height).unwrap_or(i32::MAX),
            right: i32::try_from(width).unwrap_or(i32::MAX),
        }
    }
}
