//! A SPICE client that judges servers.
//!
//! It links channels, answers what it must, records what came when, and says what was
//! wrong with it: each message must fit to the byte and be allowed where it came. It
//! decodes no picture; stock clients judge those.
//!
//! Each channel has a thread over a blocking socket. What a channel does can be changed
//! while it runs: stop reading, read slowly, send any bytes. [`Raw`] is a connection
//! that has linked nothing, for links that are half open or wrong.
//!
//! ```no_run
//! use std::time::Duration;
//! use scanout_spice_client::{Address, Client, Config, Pace};
//!
//! let address = Address::Tcp("127.0.0.1:5900".parse()?);
//! let client = Client::connect(&Config::new(address, "secret"))?;
//! let display = client.display(0).ok_or("no display")?;
//! let first = display.wait_for(Duration::from_secs(5), |log| log.pictures().next().cloned())?;
//! println!("{} bytes of {:?}", first.size, first.codec);
//! display.set_pace(Pace::Stalled);
//! assert!(client.violations().is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`Address`], [`Raw`] | connections |
//! | [`link`] | the link, with a password |
//! | [`judge`] | what a server may send when, without sockets |
//! | [`Log`], [`Event`], [`Picture`] | what came |
//! | [`Channel`], [`Client`] | one channel, and a session of them |
#![forbid(unsafe_code)]

mod address;
mod channel;
mod client;
pub mod judge;
pub mod link;
mod log;
mod pictures;
mod raw;
mod reports;

pub use address::{Address, Connection};
pub use channel::{Channel, End, Pace, TimedOut};
pub use client::{Client, Config, ConnectError};
pub use log::{Event, Log, Picture, Record};
pub use pictures::{Contents, contents};
pub use raw::Raw;
pub use reports::Reports;
