//! Pixel formats: one table, one row per DRM fourcc, with the names that the
//! other worlds (GStreamer, VA-API, Vulkan) give to the same bytes in memory;
//! and format modifiers, which say how those bytes are spread over memory.
//!
//! ```
//! use scanout_core::format::{self, Fourcc, Modifier};
//!
//! let nv12 = format::info(Fourcc::NV12).ok_or("no such format")?;
//! assert_eq!(nv12.plane_row_bytes(1, 1365), Some(1366));
//! assert_eq!(nv12.plane_rows(1, 767), Some(384));
//! assert_eq!(Modifier(0x0100000000000009).to_string(), "INTEL_4_TILED");
//! # Ok::<(), &str>(())
//! ```

mod fourcc;
mod info;
mod modifier;
mod table;
mod vendor;

pub use fourcc::{Fourcc, ParseFourccError};
pub use info::{Component, Family, FormatInfo, PlaneInfo, VaFormat, all, from_gst_name, info};
pub use modifier::{AuxPlane, Modifier, ParseModifierError, Tile, Vendor};
pub use vendor::{AfbcFlags, AmdTiling, ArmAfbc, NvidiaBlockLinear};
