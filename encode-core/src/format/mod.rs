//! Pixel formats: one table, one row per DRM fourcc, with the names that the
//! other worlds (GStreamer, VA-API, Vulkan) give to the same bytes in memory.

mod fourcc;

pub use fourcc::{Fourcc, ParseFourccError};
