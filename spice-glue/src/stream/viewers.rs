//! The face that a server sees: clients come, report and go.

use std::fmt;
use std::sync::Arc;

use scanout_core::geometry::Size;

use super::cursor::Pointer;
use super::inbox::Inbox;
use crate::gl::{
    Backlog, Batch, CloseReason, Report, StreamClock, VideoCodec, ViewerCaps, ViewerId,
};

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

/// Takes a console's pointer. Called on the producer's thread: it must neither block nor
/// call back into the stream.
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
#[derive(Clone)]
pub struct Viewers {
    inbox: Arc<Inbox>,
    pointer: Arc<Pointer>,
    clock: StreamClock,
}

impl Viewers {
    pub(super) const fn new(inbox: Arc<Inbox>, pointer: Arc<Pointer>, clock: StreamClock) -> Self {
        Self {
            inbox,
            pointer,
            clock,
        }
    }

    /// The clock of the stamps: what MAIN_INIT and MULTI_MEDIA_TIME carry.
    pub fn clock(&self) -> StreamClock {
        self.clock
    }

    /// A client's main channel is there, its display channel will follow: encoders are
    /// opened ahead while the guard lives.
    pub fn expect(&self) -> Expected {
        self.inbox.expect(1);
        Expected {
            inbox: Arc::clone(&self.inbox),
        }
    }

    /// A display channel that has sent INIT. It has left when the handle is dropped. The
    /// outlet is dropped when it was told to close, when the viewer has left, or when
    /// the stream has stopped.
    pub fn join(
        &self,
        caps: ViewerCaps,
        outlet: Box<dyn Outlet>,
    ) -> Result<ViewerHandle, ViewerError> {
        let viewer = self.inbox.join(caps, outlet)?;
        Ok(ViewerHandle {
            inbox: Arc::clone(&self.inbox),
            viewer,
        })
    }

    /// From now on `outlet` is told of the pointer, first of what it is like now.
    /// Until the outlet is dropped everywhere else: it is held weakly.
    pub fn watch_cursor(&self, outlet: &Arc<dyn CursorOutlet>) {
        self.pointer.watch(outlet);
    }
}

impl fmt::Debug for Viewers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Viewers").finish_non_exhaustive()
    }
}

/// A client's display channel that was announced and has not come yet.
#[must_use = "dropping it says that the client will not come"]
pub struct Expected {
    inbox: Arc<Inbox>,
}

impl Drop for Expected {
    fn drop(&mut self) {
        self.inbox.expect(-1);
    }
}

impl fmt::Debug for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expected").finish_non_exhaustive()
    }
}

/// A display channel. No call blocks; what the stream's thread has not seen yet is
/// put together with what comes.
#[must_use = "dropping it says that the client has left"]
pub struct ViewerHandle {
    inbox: Arc<Inbox>,
    viewer: ViewerId,
}

impl ViewerHandle {
    /// Its id, for logs.
    pub fn id(&self) -> ViewerId {
        self.viewer
    }

    /// PREFERRED_VIDEO_CODEC_TYPE.
    pub fn prefer(&self, codecs: Vec<VideoCodec>) {
        self.inbox
            .say(self.viewer, |said| said.preferred = Some(codecs));
    }

    /// STREAM_REPORT.
    pub fn report(&self, report: Report) {
        self.inbox.say(self.viewer, |said| said.report(report));
    }

    /// Something was written or acknowledged. Worth a call for every batch written.
    pub fn progress(&self, backlog: Backlog) {
        self.inbox
            .say(self.viewer, |said| said.progress = Some(backlog));
    }
}

impl Drop for ViewerHandle {
    fn drop(&mut self) {
        self.inbox.leave(self.viewer);
    }
}

impl fmt::Debug for ViewerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ViewerHandle({})", self.viewer)
    }
}
