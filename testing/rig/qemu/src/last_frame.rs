//! A picture as a PNG file, for people to look at.

use std::io::Write;

use scanout_core::format::{self, Component, Family, Fourcc};

use crate::screen::Picture;

/// The picture could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PngError {
    /// Not 8 bits a component.
    #[error("no PNG of {fourcc}: only RGB with 8 bits a component and whole bytes")]
    Format {
        /// The format.
        fourcc: Fourcc,
    },
    /// The encoder or the file.
    #[error(transparent)]
    Png(#[from] png::EncodingError),
}

/// The red, green and blue bytes of `picture`; `None` for formats of other than 8 bits
/// a component.
pub fn rgb(picture: &Picture) -> Option<Vec<u8>> {
    let format = format::info(picture.fourcc)?;
    let [plane] = format.planes else { return None };
    let bytes = usize::from(plane.block_bytes);
    if format.family != Family::Rgb || format.bits != 8 || plane.order.len() != bytes {
        return None;
    }
    let place = |wanted| {
        plane
            .order
            .iter()
            .position(|component| *component == wanted)
    };
    let (r, g, b) = (
        place(Component::R)?,
        place(Component::G)?,
        place(Component::B)?,
    );
    let mut rgb = Vec::with_capacity(picture.pixels.len() / bytes * 3);
    for pixel in picture.pixels.chunks_exact(bytes) {
        rgb.extend([r, g, b].iter().filter_map(|at| pixel.get(*at)));
    }
    Some(rgb)
}

/// Writes `picture` as a PNG.
pub fn write_png(picture: &Picture, output: impl Write) -> Result<(), PngError> {
    let rgb = rgb(picture).ok_or(PngError::Format {
        fourcc: picture.fourcc,
    })?;
    let mut encoder = png::Encoder::new(output, picture.size.width, picture.size.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&rgb)?;
    writer.finish()?;
    Ok(())
}
