//! PSNR and SSIM of 8-bit planes, as ffmpeg's filters of those names define them.

use multiversion::multiversion;

use crate::geometry::Size;

use super::{ConvertError, PlaneView};

/// Sum of squared differences of two planes of `size` samples.
///
/// # Errors
/// [`ConvertError::Stride`] or [`ConvertError::SourceTooShort`] when a plane does not hold `size`.
pub fn squared_error(
    first: PlaneView<'_>,
    second: PlaneView<'_>,
    size: Size,
) -> Result<u64, ConvertError> {
    let (width, height) = check(&first, &second, size)?;
    Ok((0..height)
        .map(|y| row_squared_error(first.row(y, 0, width), second.row(y, 0, width)))
        .sum())
}

/// Peak signal to noise ratio in dB for 8-bit samples; infinite for equal planes.
///
/// To average several frames as ffmpeg does, add up [`squared_error`] and use
/// [`psnr_of`] on the sum.
///
/// # Errors
/// As [`squared_error`].
///
/// ```
/// use scanout_core::convert::{PlaneView, quality};
/// use scanout_core::geometry::Size;
///
/// let (a, b) = ([100u8; 64], [101u8; 64]);
/// let psnr = quality::psnr(PlaneView::new(&a, 8), PlaneView::new(&b, 8), Size::new(8, 8)).unwrap();
/// assert!((psnr - 48.13).abs() < 0.01);
/// ```
pub fn psnr(first: PlaneView<'_>, second: PlaneView<'_>, size: Size) -> Result<f64, ConvertError> {
    Ok(psnr_of(squared_error(first, second, size)?, size.area()))
}

/// PSNR in dB of a sum of squared differences of `samples` 8-bit samples.
pub fn psnr_of(squared_error: u64, samples: u64) -> f64 {
    10.0 * (255.0 * 255.0 * samples as f64 / squared_error as f64).log10()
}

/// Structural similarity, 1 for equal planes: the mean over windows of 8 by 8
/// samples in steps of 4 (as ffmpeg's `ssim` and x264), without the Gaussian
/// of the original paper.
///
/// Planes of less than 8 samples on a side have no window and give 1 when
/// they are equal, else 0.
///
/// # Errors
/// As [`squared_error`].
pub fn ssim(first: PlaneView<'_>, second: PlaneView<'_>, size: Size) -> Result<f64, ConvertError> {
    let (width, height) = check(&first, &second, size)?;
    let (columns, rows) = (width / 4, height / 4);
    if columns < 2 || rows < 2 {
        let equal = squared_error(first, second, size)? == 0;
        return Ok(f64::from(u8::from(equal)));
    }
    let mut above = vec![Sums::default(); columns];
    let mut below = vec![Sums::default(); columns];
    let mut total = 0.0;
    for row in 0..rows {
        std::mem::swap(&mut above, &mut below);
        below.fill(Sums::default());
        for y in 4 * row..4 * row + 4 {
            add_row(first.row(y, 0, width), second.row(y, 0, width), &mut below);
        }
        if row > 0 {
            total += above
                .windows(2)
                .zip(below.windows(2))
                .map(|(a, b)| match (a, b) {
                    ([a0, a1], [b0, b1]) => similarity(&[*a0, *a1, *b0, *b1]),
                    _ => 1.0,
                })
                .sum::<f64>();
        }
    }
    Ok(total / ((columns - 1) * (rows - 1)) as f64)
}

/// Sums over a block of 4 by 4: of each plane, of both planes' squares, of the products.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    first: u32,
    second: u32,
    squares: u32,
    products: u32,
}

/// SSIM of the window of four blocks.
fn similarity(blocks: &[Sums; 4]) -> f64 {
    let mut all = Sums::default();
    for block in blocks {
        all.first += block.first;
        all.second += block.second;
        all.squares += block.squares;
        all.products += block.products;
    }
    // (0.01 * 255)^2 and (0.03 * 255)^2 for sums over 64 samples, the
    // second for variances with 63 degrees of freedom, rounded as there.
    let c1 = (0.01f64 * 0.01 * 255.0 * 255.0 * 64.0 + 0.5).floor();
    let c2 = (0.03f64 * 0.03 * 255.0 * 255.0 * 64.0 * 63.0 + 0.5).floor();
    let (first, second) = (f64::from(all.first), f64::from(all.second));
    let variances = f64::from(all.squares) * 64.0 - first * first - second * second;
    let covariance = f64::from(all.products) * 64.0 - first * second;
    (2.0 * first * second + c1) * (2.0 * covariance + c2)
        / ((first * first + second * second + c1) * (variances + c2))
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn add_row(first: &[u8], second: &[u8], sums: &mut [Sums]) {
    let (first, _) = first.as_chunks::<4>();
    let (second, _) = second.as_chunks::<4>();
    for ((sums, a), b) in sums.iter_mut().zip(first).zip(second) {
        for (a, b) in a.iter().zip(b) {
            let (a, b) = (u32::from(*a), u32::from(*b));
            sums.first += a;
            sums.second += b;
            sums.squares += a * a + b * b;
            sums.products += a * b;
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn row_squared_error(first: &[u8], second: &[u8]) -> u64 {
    let mut total = 0;
    // 4096 squares of 255 fit 32 bits.
    for (a, b) in first.chunks(4096).zip(second.chunks(4096)) {
        let part: u32 = a
            .iter()
            .zip(b)
            .map(|(a, b)| {
                let difference = i32::from(*a) - i32::from(*b);
                (difference * difference) as u32
            })
            .sum();
        total += u64::from(part);
    }
    total
}

fn check(
    first: &PlaneView<'_>,
    second: &PlaneView<'_>,
    size: Size,
) -> Result<(usize, usize), ConvertError> {
    let (width, height) = (size.width as usize, size.height as usize);
    first.check(0, width, height)?;
    second.check(1, width, height)?;
    Ok((width, height))
}
