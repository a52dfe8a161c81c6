//! What Scanout's benches share: the workload, the drivers of Scanout and of
//! the programs beside it, and the arithmetic of their results.
//!
//! A comparison states its work (content, size, frames, settings read back
//! from the streams themselves), alternates its rows so that the machine's
//! noise falls on all of them, and prints medians and ratios.
#![forbid(unsafe_code)]

pub mod clock;
pub mod peers;
pub mod report;
pub mod scanout;
pub mod stream;
pub mod workload;

/// Why a bench gives up; benches have one caller, who reads it.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
