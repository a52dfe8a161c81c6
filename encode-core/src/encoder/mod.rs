//! encoder.
