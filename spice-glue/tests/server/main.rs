//! A server as its peers see it: each rule by a client that keeps it or breaks it.
#![cfg(feature = "server")]

mod client;
mod double;
mod rig;

mod channels;
mod hostile;
mod inputs;
mod links;
mod sharing;
mod stock;
