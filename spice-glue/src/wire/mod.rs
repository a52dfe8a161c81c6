//! The messages of the SPICE protocol.
