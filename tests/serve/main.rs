//! `scanout serve`, judged by stock SPICE clients: what they show is compared with
//! what the source drew, pixel by pixel.

#[path = "../support/mod.rs"]
mod support;

mod client;
mod command;
mod idle;
mod picture;
mod screenshots;
mod server;
mod viewer;
