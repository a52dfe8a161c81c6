//! Conversion on the CPU: a source's pixels into our own pictures (NV12, I420,
//! I444), damaged blocks only.
//!
//! The result is defined by exact arithmetic, not by an implementation: every
//! sample is the correctly rounded value of the H.273 equations, with the
//! chroma filter that the signalled siting implies applied *before* rounding.
//! [`mod@reference`] writes that down in rationals; [`Converter`] is the fast path
//! and gives the same bytes. That has three consequences worth the care:
//! pictures do not depend on the CPU's instruction set, nor on how damage was
//! split into blocks, and a shader can be judged against them.
//!
//! * Rounding: to nearest, ties away from zero (of the signed value, before
//!   the offset of 128 is added), which is `Round()` of H.273.
//! * Chroma filter of 4:2:0: [`ChromaSite::Left`](crate::color::ChromaSite::Left)
//!   is `[1 2 1]/4` across, centred on the even column, times `[1 1]/2` down;
//!   [`ChromaSite::Center`](crate::color::ChromaSite::Center) is the mean of two
//!   by two. Edges are replicated.
//! * 5 and 6-bit components are widened to 8 bits by repeating their top bits;
//!   10-bit components are used as they are (black 0, white 1023). Alpha is
//!   ignored: a scanout is opaque.
//! * Y'CbCr sources are repacked, never changed: their colour description is
//!   the picture's.
//!
//! ```
//! use scanout_core::color::ColorSpec;
//! use scanout_core::convert::{Converter, PictureFormat, PictureLayout, PlaneView, Source};
//! use scanout_core::format::Fourcc;
//! use scanout_core::geometry::{Damage, Size};
//!
//! # fn main() -> Result<(), scanout_core::convert::ConvertError> {
//! let size = Size::new(1366, 767);
//! let pixels = vec![0xff; 1366 * 4 * 767];
//! let layout = PictureLayout::new(PictureFormat::Nv12, size)?;
//! assert_eq!(layout.coded(), Size::new(1366, 768));
//!
//! let mut converter = Converter::new(Fourcc::XRGB8888, size, layout, ColorSpec::DESKTOP)?;
//! let mut picture = vec![0; layout.total_bytes()];
//! let source = Source::packed(Fourcc::XRGB8888, size, PlaneView::new(&pixels, 1366 * 4));
//! converter.convert(&source, &mut picture, &Damage::full(size))?;
//! assert_eq!(picture[0], 235);
//! # Ok(())
//! # }
//! ```

pub mod age;
mod blocks;
mod converter;
mod error;
mod kernel;
mod layout;
mod planar;
pub mod quality;
mod quantizer;
pub mod reference;
mod source;
pub mod tiles;
mod unpack;

pub use converter::{Converted, Converter};
pub use error::ConvertError;
pub use layout::{PictureFormat, PictureLayout, PicturePlane};
pub use source::{PlaneView, Source};
