//! Streams with their real machine: producers, viewers, encoders that fail, encoders that
//! work.

mod idle;
mod pictures;
mod random;
mod support;
mod trouble;
