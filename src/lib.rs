//! Scanout turns the frames of a Linux display (dma-bufs) into an encoded
//! video stream, on whatever encoder the machine has.
#![forbid(unsafe_code)]

pub use scanout_core as core;
#[cfg(feature = "gst")]
pub use scanout_gst as gst;

use scanout_core::encoder::Backend;

/// Every backend that this build has, each behind its cargo feature.
pub fn backends() -> Vec<Box<dyn Backend>> {
    #[allow(unused_mut)]
    let mut all: Vec<Box<dyn Backend>> = Vec::new();
    all
}
