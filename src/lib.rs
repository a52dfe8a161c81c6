//! Scanout.
