//! A thread around [`gl`](crate::gl) that owns sources and encoders.

mod viewers;

pub use viewers::{
    Cursor, CursorOutlet, CursorShape, Expected, Outlet, ViewerError, ViewerHandle, Viewers,
};
