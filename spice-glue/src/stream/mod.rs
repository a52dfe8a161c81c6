//! A thread around [`gl`](crate::gl) that owns sources and encoders.
//!
//! [`GlStream`] is the producer's face, [`Viewers`] the server's. Both leave what they have
//! to say in a bounded inbox and go on; the stream's thread alone drives the state machine.
//! It never waits for a driver, an encoder or a socket: stagers and encoders are opened,
//! changed and closed on a thread per stage.

mod config;
mod control;
mod cursor;
mod handle;
mod inbox;
mod joint;
mod keeper;
mod sink;
mod source;
mod stats;
#[cfg(test)]
mod tests;
mod viewers;

pub use config::{EncoderChoice, GlStreamConfig, GlStreamError};
pub use handle::GlStream;
pub use stats::{GlStreamStats, GroupStats};
pub use viewers::{
    Cursor, CursorOutlet, CursorShape, Expected, Outlet, ViewerError, ViewerHandle, Viewers,
};
