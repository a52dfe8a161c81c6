//! Headers of coded video, read and written: Annex-B and length-prefixed NAL
//! units, H.264 parameter sets, slice headers and SEI, and as much of HEVC,
//! AV1, VP8, VP9 and JPEG as it takes to find keyframes, sizes and colours.
//!
//! Every reader is total: any bytes give a value or a [`SyntaxError`] that names
//! the element, its bit position, the value seen and the bound. Counts are
//! checked before anything is allocated for them.
//!
//! ```
//! use scanout_core::codec::h264::{Profile, Sps, SpsConfig};
//! use scanout_core::geometry::Size;
//!
//! let sps = Sps::new(&SpsConfig::new(Profile::High, Size::new(1366, 767)))?;
//! assert_eq!(sps.visible_size(), Size::new(1366, 768)); // 4:2:0 crops in steps of two
//! assert_eq!(Sps::read_nal(&sps.to_nal()?)?, sps);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod annexb;
pub mod av1;
pub mod avcc;
pub mod bits;
pub mod h264;
pub mod hevc;
pub mod jpeg;
mod syntax;
pub mod vp8;
pub mod vp9;

pub use bits::SyntaxError;
