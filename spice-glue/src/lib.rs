//! SPICE for Scanout: `gl_scanout`/`gl_draw` streams to stock remote clients.
//!
//! | module | what |
//! |---|---|
//! | [`gl`] | what to stage, code and send when: a state machine without sockets, threads or clocks |
//! | [`stream`] | a thread around it that owns sources and encoders |
//! | [`server`] | sockets, tickets, TLS and the channels of stock clients |
//! | [`sync_encoder`] | a buffer in, bytes out, on the calling thread: for a C ABI |
//! | [`wire`] | the messages of the protocol, encoded and decoded |
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used))]

pub mod gl;
#[cfg(feature = "server")]
pub mod server;
pub mod stream;
pub mod sync_encoder;
pub mod wire;
