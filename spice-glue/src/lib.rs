//! SPICE for Scanout: `gl_scanout`/`gl_draw` streams to stock remote clients.
//!
//! | module | what |
//! |---|---|
//! | [`wire`] | the messages of the protocol, encoded and decoded |
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used))]

pub mod wire;
