//! What a server serves: screens, and what takes their input.

use std::fmt;
use std::sync::Arc;

use crate::gl::{Backlog, Report, StreamClock, VideoCodec, ViewerCaps};
use crate::stream::{CursorOutlet, Outlet, ViewerError, ViewerHandle, Viewers};
use crate::wire::inputs::{KeyModifiers, MouseButton};

/// A screen with its keyboard and pointer: one display and one cursor channel.
#[derive(Clone)]
pub struct Console {
    /// What is seen.
    pub screen: Arc<dyn Screen>,
    /// What takes keys and pointer. The keyboard and movements by so much go to the first
    /// console, a pointer that is at a place goes to the console where it is.
    pub input: Arc<dyn InputSink>,
}

impl Console {
    /// A console.
    pub fn new(screen: impl Screen + 'static, input: impl InputSink + 'static) -> Self {
        Self {
            screen: Arc::new(screen),
            input: Arc::new(input),
        }
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").finish_non_exhaustive()
    }
}

/// Where viewers come in: [`Viewers`], or a double of it. No call blocks.
pub trait Screen: Send + Sync {
    /// See [`Viewers::clock`].
    fn clock(&self) -> StreamClock;

    /// See [`Viewers::expect`]; what is expected no more is dropped.
    fn expect(&self) -> Box<dyn Send + Sync>;

    /// See [`Viewers::join`].
    fn join(
        &self,
        caps: ViewerCaps,
        outlet: Box<dyn Outlet>,
    ) -> Result<Box<dyn Joined>, ViewerError>;

    /// See [`Viewers::watch_cursor`].
    fn watch_cursor(&self, outlet: &Arc<dyn CursorOutlet>);
}

/// A display channel that a screen knows: [`ViewerHandle`], or a double of it. It leaves
/// when this is dropped.
pub trait Joined: Send + Sync {
    /// See [`ViewerHandle::prefer`].
    fn prefer(&self, codecs: Vec<VideoCodec>);

    /// See [`ViewerHandle::report`].
    fn report(&self, report: Report);

    /// See [`ViewerHandle::progress`].
    fn progress(&self, backlog: Backlog);
}

impl Screen for Viewers {
    fn clock(&self) -> StreamClock {
        Self::clock(self)
    }

    fn expect(&self) -> Box<dyn Send + Sync> {
        Box::new(Self::expect(self))
    }

    fn join(
        &self,
        caps: ViewerCaps,
        outlet: Box<dyn Outlet>,
    ) -> Result<Box<dyn Joined>, ViewerError> {
        Ok(Box::new(Self::join(self, caps, outlet)?))
    }

    fn watch_cursor(&self, outlet: &Arc<dyn CursorOutlet>) {
        Self::watch_cursor(self, outlet);
    }
}

impl Joined for ViewerHandle {
    fn prefer(&self, codecs: Vec<VideoCodec>) {
        Self::prefer(self, codecs);
    }

    fn report(&self, report: Report) {
        Self::report(self, report);
    }

    fn progress(&self, backlog: Backlog) {
        Self::progress(self, backlog);
    }
}

/// Takes what clients type and point at. Called on the server's event loop: no call may
/// block.
///
/// Whatever goes down comes up: when a client leaves, what it holds is released.
pub trait InputSink: Send + Sync {
    /// The pointer can be put at a place (a tablet). May change at any time.
    fn takes_positions(&self) -> bool;

    /// A key, by QEMU's number.
    fn key(&self, qnum: u8, down: bool);

    /// The pointer moves by so much.
    fn motion(&self, dx: i32, dy: i32);

    /// The pointer is there. What clients send is not held against the screen's size.
    fn position(&self, x: u32, y: u32);

    /// A button; never [`MouseButton::Up`] or [`MouseButton::Down`].
    fn button(&self, button: MouseButton, down: bool);

    /// One step of the wheel.
    fn wheel(&self, up: bool);

    /// The locks of the guest's keyboard, where they are known. Clients' locks are made
    /// the guest's by keys then.
    fn locks(&self) -> Option<KeyModifiers> {
        None
    }
}

/// For screens that take no input.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoInput;

impl InputSink for NoInput {
    fn takes_positions(&self) -> bool {
        true
    }

    fn key(&self, _qnum: u8, _down: bool) {}

    fn motion(&self, _dx: i32, _dy: i32) {}

    fn position(&self, _x: u32, _y: u32) {}

    fn button(&self, _button: MouseButton, _down: bool) {}

    fn wheel(&self, _up: bool) {}
}
