//! The face that a server sees: clients come, report and go.

use std::sync::Arc;

use scanout_core::geometry::Size;

use crate::gl::{Backlog, Batch, CloseReason, Report, StreamClock, VideoCodec, ViewerCaps};

/// The way to one client's display channel. Called on the stream's thread: it must
/// neither block nor call back into the stream.
pub trait Outlet: Send {
    /// Takes a batch into the queue; what waits with it.
    fn send(&self, batch: Batch) -> Backlog;

    /// Nothing follows; the channel is to be closed.
    fn close(&self, reason: CloseReason);
}

/// A pointer's picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CursorShape {
    /// Its size.
    pub size: Size,
    /// The pixel of it that points.
    pub hot: (u16, u16),
    /// Its rows from the top, four bytes B, G, R, A a pixel, alpha premultiplied.
    pub bgra: Arc<[u8]>,
}

/// The guest's pointer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// What it looks like; `None`: not known, or hidden.
    pub shape: Option<CursorShape>,
    /// Where it is, of its hot pixel.
    pub position: (i32, i32),
    /// It is shown.
    pub visible: bool,
}

/// Takes a console's pointer. Called on the producer's thread: it must not block.
pub trait CursorOutlet: Send + Sync {
    /// What the pointer is like now; only the last call counts.
    fn cursor(&self, cursor: &Cursor);
}

/// The console cannot take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ViewerError {
    /// The stream has stopped.
    #[error("the stream has stopped")]
    Stopped,
    /// As many viewers as a console takes.
    #[error("{limit} viewers are there, the most of one console")]
    TooMany {
        /// The bound.
        limit: usize,
    },
}

/// Where a console's viewers come in. Cheap to clone, for any thread; no call blocks.
#[derive(Clone, Debug)]
pub struct Viewers {}

impl Viewers {
    /// The clock of the stamps: what MAIN_INIT and MULTI_MEDIA_TIME carry.
    pub fn clock(&self) -> StreamClock {
        todo_by_stream()
    }

    /// A client's main channel is there, its display channel will follow: encoders are
    /// opened ahead while the guard lives.
    pub fn expect(&self) -> Expected {
        todo_by_stream()
    }

    /// A display channel that has sent INIT. It has left when the handle is dropped.
    pub fn join(
        &self,
        _caps: ViewerCaps,
        _outlet: Box<dyn Outlet>,
    ) -> Result<ViewerHandle, ViewerError> {
        todo_by_stream()
    }

    /// From now on `outlet` is told of the pointer, first of what it is like now.
    /// Until the outlet is dropped everywhere else: it is held weakly.
    pub fn watch_cursor(&self, _outlet: &Arc<dyn CursorOutlet>) {}
}

/// A client's display channel that was announced and has not come yet.
#[must_use]
#[derive(Debug)]
pub struct Expected {}

/// A display channel.
#[must_use]
#[derive(Debug)]
pub struct ViewerHandle {}

impl ViewerHandle {
    /// PREFERRED_VIDEO_CODEC_TYPE.
    pub fn prefer(&self, _codecs: Vec<VideoCodec>) {}

    /// STREAM_REPORT.
    pub fn report(&self, _report: Report) {}

    /// Something was written or acknowledged. Worth a call for every batch written.
    pub fn progress(&self, _backlog: Backlog) {}
}

fn todo_by_stream<T>() -> T {
    unreachable!("skeleton")
}
