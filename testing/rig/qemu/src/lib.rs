//! Records what an unmodified QEMU hands to a listener on its D-Bus display.
//!
//! `qemu-system-x86_64 -display dbus,gl=on,rendernode=...` offers each console of its
//! guest to whoever registers a listener: scanouts as dma-bufs or shared memory, and an
//! update for each rectangle that the guest has drawn. The reply to an update tells QEMU
//! that the listener has read the buffer, so this crate reads first and answers then.
//!
//! * [`attach()`] finds QEMU on a bus and registers a listener with a console;
//! * [`call`] is what QEMU says to it, decoded;
//! * [`screen`] is what the console shows: buffers imported with every check that a
//!   hostile guest calls for, read by the CPU, updated by damage;
//! * [`record()`] ties them together, in the order in which the calls came, and writes a
//!   recording that [`scanout_trace::recording`] reads back.
//!
//! The program `qemu-recorder` is a command line around them.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used))]

pub mod attach;
pub mod call;
pub mod intake;
pub mod last_frame;
pub mod record;
pub mod screen;
pub mod statistics;

mod answer;
mod described;
mod within;

pub use attach::{Attach, AttachError, Attached, attach};
pub use record::{Ended, Limits, RecordError, Report, record};
