//! The wire format against hand-written bytes, random messages and hostile ones.

mod alloc;
mod hostile;
mod keys;
mod layouts;
mod messages;
mod round_trips;
