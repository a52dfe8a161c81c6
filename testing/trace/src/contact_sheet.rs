//! A picture of pictures: source, decoded, and what differs, row by row.

use scanout_core::geometry::Size;

use crate::desktop::FontError;
use crate::desktop::surface::{Area, Surface, rgb};
use crate::desktop::text::{Face, Type};
use crate::source::{SizeError, checked_size};

/// A picture in XRGB8888 (bytes B, G, R, X).
#[derive(Clone, Copy, Debug)]
pub struct SheetImage<'a> {
    /// Width and height.
    pub size: Size,
    /// Bytes from row to row.
    pub stride: usize,
    /// The bytes.
    pub pixels: &'a [u8],
}

/// One row of the sheet.
#[derive(Clone, Copy, Debug)]
pub struct SheetRow<'a> {
    /// What is written above it; printable ASCII.
    pub label: &'a str,
    /// What went in.
    pub source: SheetImage<'a>,
    /// What came out, of the same size.
    pub decoded: SheetImage<'a>,
}

/// How the sheet looks.
#[derive(Clone, Copy, Debug)]
pub struct SheetOptions {
    /// Width of each of the three columns; wider pictures are scaled down to
    /// it, by a box filter, and narrower ones stay as they are.
    pub column_width: u32,
    /// Differences are multiplied by this.
    pub gain: u32,
}

impl Default for SheetOptions {
    fn default() -> Self {
        Self {
            column_width: 640,
            gain: 8,
        }
    }
}

/// Why there is no sheet.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SheetError {
    /// Nothing to show.
    #[error("a contact sheet needs at least one row")]
    Empty,
    /// The decoded picture has another size.
    #[error("row {row}: source {source_size}, decoded {decoded}")]
    SizesDiffer {
        /// Number of the row from 0.
        row: usize,
        /// Size of the source.
        source_size: Size,
        /// Size of the decoded picture.
        decoded: Size,
    },
    /// A picture does not hold its pixels.
    #[error(
        "row {row}: {bytes} bytes with a stride of {stride} do not hold {size} pixels of 4 bytes"
    )]
    Short {
        /// Number of the row from 0.
        row: usize,
        /// Bytes given.
        bytes: usize,
        /// Stride given.
        stride: usize,
        /// Size stated.
        size: Size,
    },
    /// The sheet would be too large.
    #[error("contact sheet: {0}")]
    Size(#[from] SizeError),
    /// The built-in fonts are broken.
    #[error(transparent)]
    Font(#[from] FontError),
    /// The PNG cannot be written.
    #[error("contact sheet: {0}")]
    Png(#[from] png::EncodingError),
}

const GAP: i32 = 8;

impl SheetImage<'_> {
    fn check(&self, row: usize) -> Result<(), SheetError> {
        checked_size(self.size.width.into(), self.size.height.into())?;
        let line = self.size.width as usize * 4;
        let needed = self
            .stride
            .checked_mul(self.size.height as usize - 1)
            .and_then(|bytes| bytes.checked_add(line));
        if self.stride < line || needed.is_none_or(|needed| self.pixels.len() < needed) {
            return Err(SheetError::Short {
                row,
                bytes: self.pixels.len(),
                stride: self.stride,
                size: self.size,
            });
        }
        Ok(())
    }

    fn at(&self, x: u32, y: u32) -> [i32; 3] {
        let start = y as usize * self.stride + x as usize * 4;
        match self.pixels.get(start..start + 3) {
            Some(&[b, g, r]) => [b.into(), g.into(), r.into()],
            _ => [0; 3],
        }
    }
}

/// The mean of `value` over the box of each pixel of the scaled picture.
fn scale(
    on: &mut Surface,
    area: Area,
    size: Size,
    gain: u32,
    value: impl Fn(u32, u32) -> [i32; 3],
) {
    let bounds = |at: i32, to: i32, of: u32| {
        let start = (at as u64 * u64::from(of) / to as u64) as u32;
        let end = ((at as u64 + 1) * u64::from(of)).div_ceil(to as u64) as u32;
        (start, end.min(of).max(start + 1))
    };
    on.shade(area, |x, y| {
        let (left, right) = bounds(x, area.width, size.width);
        let (top, bottom) = bounds(y, area.height, size.height);
        let mut sum = [0u64; 3];
        for y in top..bottom {
            for x in left..right {
                for (sum, value) in sum.iter_mut().zip(value(x, y)) {
                    *sum += u64::from(value.unsigned_abs());
                }
            }
        }
        let count = u64::from(right - left) * u64::from(bottom - top);
        let mean = sum.map(|sum| ((sum * u64::from(gain) + count / 2) / count).min(255) as u8);
        [mean[0], mean[1], mean[2], 0xff]
    });
}

/// Draws the sheet and gives it as a PNG file.
pub fn contact_sheet(rows: &[SheetRow<'_>], options: &SheetOptions) -> Result<Vec<u8>, SheetError> {
    let text = Type::new(1)?;
    let line = text.line_height(Face::Ui) + 4;
    let mut places = Vec::with_capacity(rows.len());
    let mut column = 1;
    let mut bottom = (line + GAP) as u64;
    for (n, row) in rows.iter().enumerate() {
        row.source.check(n)?;
        row.decoded.check(n)?;
        let size = row.source.size;
        if size != row.decoded.size {
            return Err(SheetError::SizesDiffer {
                row: n,
                source_size: size,
                decoded: row.decoded.size,
            });
        }
        let width = size.width.min(options.column_width.max(1));
        let height = (u64::from(size.height) * u64::from(width) / u64::from(size.width)).max(1);
        places.push((bottom, width, height));
        column = column.max(width);
        bottom += line as u64 + height + GAP as u64;
    }
    if places.is_empty() {
        return Err(SheetError::Empty);
    }
    let width = 3 * u64::from(column) + 4 * GAP as u64;
    let size = checked_size(width, bottom)?;
    let mut sheet = Surface::new(size, rgb(0x202226));

    let left = |n: i32| GAP + n * (column as i32 + GAP);
    let difference = format!("difference x {}", options.gain);
    for (n, title) in ["source", "decoded", &difference].into_iter().enumerate() {
        let at = (left(n as i32), GAP / 2);
        text.draw(&mut sheet, Face::Ui, at, title.as_bytes(), rgb(0x9fb4c8));
    }
    for (row, (top, width, height)) in rows.iter().zip(places) {
        // Inside the sheet, whose size was checked.
        let (top, width, height) = (top as i32, width as i32, height as i32);
        let label = (left(0), top + 2);
        text.draw(
            &mut sheet,
            Face::Ui,
            label,
            row.label.as_bytes(),
            rgb(0xf0f0f0),
        );
        let area = |n| Area::new(left(n), top + line, width, height);
        let (source, decoded) = (row.source, row.decoded);
        scale(&mut sheet, area(0), source.size, 1, |x, y| source.at(x, y));
        scale(&mut sheet, area(1), source.size, 1, |x, y| decoded.at(x, y));
        scale(&mut sheet, area(2), source.size, options.gain, |x, y| {
            let (a, b) = (source.at(x, y), decoded.at(x, y));
            std::array::from_fn(|n| a[n] - b[n])
        });
    }
    encode(&sheet)
}

fn encode(sheet: &Surface) -> Result<Vec<u8>, SheetError> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, sheet.size().width, sheet.size().height);
    encoder.set_color(png::ColorType::Rgb);
    let mut data = Vec::with_capacity(sheet.bytes().len() / 4 * 3);
    for pixel in sheet.bytes().chunks_exact(4) {
        data.extend([pixel[2], pixel[1], pixel[0]]);
    }
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&data)?;
    writer.finish()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(file: &[u8]) -> (Size, Vec<u8>) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(file))
            .read_info()
            .unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        (Size::new(info.width, info.height), pixels)
    }

    #[test]
    fn columns_hold_the_means_and_the_amplified_difference() {
        let size = Size::new(4, 4);
        // A checkerboard has the mean 100; one pixel of two differs by 10.
        let picture = |extra: u8| -> Vec<u8> {
            (0..16u8)
                .flat_map(|n| {
                    let v = if (n % 4 + n / 4) % 2 == 0 { 200 } else { extra };
                    [v, v, v, 0xff]
                })
                .collect()
        };
        let (a, b) = (picture(0), picture(10));
        let image = |pixels| SheetImage {
            size,
            stride: 16,
            pixels,
        };
        let row = SheetRow {
            label: "frame 0",
            source: image(&a),
            decoded: image(&b),
        };
        let options = SheetOptions {
            column_width: 2,
            gain: 4,
        };
        let (sheet, pixels) = decode(&contact_sheet(&[row], &options).unwrap());
        let gap = GAP as usize;
        let at = |column: usize| {
            let y = sheet.height as usize - 1 - gap;
            pixels[(y * sheet.width as usize + gap + column * (2 + gap)) * 3]
        };
        assert_eq!([at(0), at(1), at(2)], [100, 105, 20]);
    }

    #[test]
    fn pictures_that_do_not_fit_are_refused() {
        let pixels = [0u8; 64];
        let image = |w, h, stride| SheetImage {
            size: Size::new(w, h),
            stride,
            pixels: &pixels,
        };
        let sheet = |source, decoded| {
            contact_sheet(
                &[SheetRow {
                    label: "",
                    source,
                    decoded,
                }],
                &SheetOptions::default(),
            )
        };
        let good = image(4, 4, 16);
        assert!(sheet(good, good).is_ok());
        assert!(matches!(
            sheet(good, image(2, 4, 16)),
            Err(SheetError::SizesDiffer { .. })
        ));
        assert!(matches!(
            sheet(good, image(4, 4, 15)),
            Err(SheetError::Short { .. })
        ));
        assert!(matches!(
            sheet(good, image(4, 5, 16)),
            Err(SheetError::Short { .. })
        ));
        assert!(matches!(
            sheet(image(0, 4, 16), good),
            Err(SheetError::Size(_))
        ));
        assert!(matches!(
            contact_sheet(&[], &SheetOptions::default()),
            Err(SheetError::Empty)
        ));
    }
}
