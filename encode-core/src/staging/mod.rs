//! Staging on the CPU: what every backend without a GPU converter does.
//!
//! [`CpuStaging`] has the verbs of [`Stager`](crate::encoder::Stager) except
//! for the opening of encoders: a backend wraps it and adds those.

mod cpu;

pub use cpu::CpuStaging;
