//! The core of Scanout: what a frame is, how it is validated, converted and
//! handed over, and the contract that every encoder backend fulfils.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used))]

pub mod buffer;
pub mod codec;
pub mod color;
pub mod convert;
pub mod encoder;
pub mod format;
pub mod geometry;
pub mod session;
pub mod sync;
