//! Criterion benches of Scanout.
