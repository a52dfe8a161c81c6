//! The `scanout` command-line tool.
// Allowed in modules named `sys` only.
#![deny(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used))]

mod cli;
mod console;
mod cost;
mod demo;
mod encode;
mod failure;
mod interrupt;
mod memory;
mod probe;
#[cfg(feature = "serve")]
mod serve;
mod source;
mod trace;

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(cli::main().code())
}
