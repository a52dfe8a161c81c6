//! The core of Scanout: what a frame is, how it is validated, converted and
//! handed over, and the contract that every encoder backend fulfils.
//!
//! Read it in the order of a frame's life: [`mod@format`] and [`buffer`] describe
//! and check the source, [`sync`] says when it may be read and who is told that
//! it was, [`convert`] and [`staging`] make a picture of it in the colours of
//! [`color`], [`encoder`] is the contract of those who code it, [`codec`] reads
//! and writes the headers of the result, and [`session`] runs all of it on
//! threads of its own.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used))]

pub mod buffer;
pub mod codec;
pub mod color;
pub mod convert;
pub mod encoder;
pub mod format;
pub mod geometry;
#[cfg(any(test, feature = "test-utils"))]
pub mod noop;
pub mod probe;
pub mod select;
pub mod session;
pub mod staging;
pub mod sync;
