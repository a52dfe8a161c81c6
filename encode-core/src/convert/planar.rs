use crate::format::Fourcc;

use super::converter::row_mut;
use super::kernel;
use super::{ConvertError, PictureFormat, PictureLayout, Source};

/// Y'CbCr sources whose samples only change places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Repack {
    format: PictureFormat,
    chroma: Chroma,
    subsampled: bool,
}

/// Where the source keeps its chroma.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chroma {
    /// Two planes; true where Cr comes first.
    Planar { swapped: bool },
    /// One plane of pairs; true where Cr comes first.
    Paired { swapped: bool },
}

impl Repack {
    pub(super) fn of(fourcc: Fourcc, format: PictureFormat) -> Option<Self> {
        let (chroma, subsampled) = match fourcc {
            Fourcc::YUV420 => (Chroma::Planar { swapped: false }, true),
            Fourcc::YVU420 => (Chroma::Planar { swapped: true }, true),
            Fourcc::NV12 => (Chroma::Paired { swapped: false }, true),
            Fourcc::NV21 => (Chroma::Paired { swapped: true }, true),
            Fourcc::YUV444 => (Chroma::Planar { swapped: false }, false),
            Fourcc::NV24 => (Chroma::Paired { swapped: false }, false),
            _ => return None,
        };
        // Another subsampling would change sample values.
        (subsampled == format.is_subsampled()).then_some(Self {
            format,
            chroma,
            subsampled,
        })
    }

    /// Chroma columns and rows of the source.
    fn chroma_size(&self, source: &Source<'_>) -> (usize, usize) {
        let (width, height) = (source.size.width as usize, source.size.height as usize);
        if self.subsampled {
            (width.div_ceil(2), height.div_ceil(2))
        } else {
            (width, height)
        }
    }

    pub(super) fn check(&self, source: &Source<'_>) -> Result<(), ConvertError> {
        let (columns, rows) = self.chroma_size(source);
        let (need, row_bytes) = match self.chroma {
            Chroma::Planar { .. } => (3, columns),
            Chroma::Paired { .. } => (2, 2 * columns),
        };
        if source.planes.len() < need {
            return Err(ConvertError::PlaneCount {
                format: source.fourcc,
                have: source.planes.len(),
                need,
            });
        }
        for (index, plane) in source.planes.iter().take(need).enumerate() {
            if index == 0 {
                plane.check(0, source.size.width as usize, source.size.height as usize)?;
            } else {
                plane.check(index, row_bytes, rows)?;
            }
        }
        Ok(())
    }

    pub(super) fn slab(
        &self,
        source: &Source<'_>,
        layout: &PictureLayout,
        planes: &mut [&mut [u8]; 3],
        top: u32,
        bottom: u32,
        spans: &[(u32, u32)],
    ) {
        let (width, height) = (source.size.width as usize, source.size.height as usize);
        let (chroma_width, chroma_height) = self.chroma_size(source);
        let from = |y: usize, rows: usize| {
            let y = y.min(rows - 1);
            if source.bottom_up { rows - 1 - y } else { y }
        };
        let [luma, first, second] = planes;
        let stride = |plane: usize| layout.planes().get(plane).map_or(0, |p| p.stride);
        let shift = usize::from(self.subsampled);
        for &(left, right) in spans {
            let (left, right) = (left as usize, right as usize);
            for y in top as usize..bottom as usize {
                let Some(plane) = source.planes.first() else {
                    return;
                };
                let row = plane.row(from(y, height), 0, width);
                let out = row_mut(luma, stride(0), y, left, right - left);
                place(row, left, out, 1, |row, out| out.copy_from_slice(row));
            }
            let (left, right) = (left >> shift, right >> shift);
            let columns = right - left;
            for y in top as usize >> shift..bottom as usize >> shift {
                let at = from(y, chroma_height);
                match self.chroma {
                    Chroma::Planar { swapped } => {
                        let (cb, cr) = if swapped { (2, 1) } else { (1, 2) };
                        let row = |plane: usize| {
                            source
                                .planes
                                .get(plane)
                                .map_or(&[][..], |p| p.row(at, 0, chroma_width))
                        };
                        let (cb, cr) = (row(cb), row(cr));
                        if self.format == PictureFormat::Nv12 {
                            let out = row_mut(first, stride(1), y, 2 * left, 2 * columns);
                            weave(cb, cr, left, out);
                        } else {
                            let out = row_mut(first, stride(1), y, left, columns);
                            place(cb, left, out, 1, |row, out| out.copy_from_slice(row));
                            let out = row_mut(second, stride(2), y, left, columns);
                            place(cr, left, out, 1, |row, out| out.copy_from_slice(row));
                        }
                    }
                    Chroma::Paired { swapped } => {
                        let pairs = source
                            .planes
                            .get(1)
                            .map_or(&[][..], |p| p.row(at, 0, 2 * chroma_width));
                        if self.format == PictureFormat::Nv12 {
                            let out = row_mut(first, stride(1), y, 2 * left, 2 * columns);
                            place(pairs, 2 * left, out, 2, |row, out| {
                                if swapped {
                                    kernel::swap_pairs(row, out);
                                } else {
                                    out.copy_from_slice(row);
                                }
                            });
                        } else {
                            let cb = row_mut(first, stride(1), y, left, columns);
                            let cr = row_mut(second, stride(2), y, left, columns);
                            let (cb, cr) = if swapped { (cr, cb) } else { (cb, cr) };
                            part(pairs, left, cb, cr);
                        }
                    }
                }
            }
        }
    }
}

/// Puts `row` from byte `start` on into `out` by `copy`, and repeats its last
/// sample of `sample` bytes where `out` reaches beyond it.
fn place(row: &[u8], start: usize, out: &mut [u8], sample: usize, copy: impl Fn(&[u8], &mut [u8])) {
    let start = start.min(row.len().saturating_sub(sample));
    let rest = row.get(start..).unwrap_or(&[]);
    let have = rest.len().min(out.len());
    let (inside, padding) = out.split_at_mut(have);
    copy(&rest[..have], inside);
    if !padding.is_empty()
        && let Some(edge) = inside.len().checked_sub(sample).map(|at| &inside[at..])
    {
        for pixel in padding.chunks_exact_mut(sample) {
            pixel.copy_from_slice(edge);
        }
    }
}

/// Two rows of chroma into one of pairs, the edge repeated.
fn weave(cb: &[u8], cr: &[u8], start: usize, out: &mut [u8]) {
    let start = start.min(cb.len().saturating_sub(1));
    let (cb, cr) = (
        cb.get(start..).unwrap_or(&[]),
        cr.get(start..).unwrap_or(&[]),
    );
    let have = cb.len().min(out.len() / 2);
    let (inside, padding) = out.split_at_mut(2 * have);
    kernel::interleave(&cb[..have], &cr[..have.min(cr.len())], inside);
    if let (Some(b), Some(r)) = (cb.last(), cr.last()) {
        for pair in padding.chunks_exact_mut(2) {
            pair.copy_from_slice(&[*b, *r]);
        }
    }
}

/// One row of pairs into two rows, the edge repeated.
fn part(pairs: &[u8], start: usize, first: &mut [u8], second: &mut [u8]) {
    let start = (2 * start).min(pairs.len().saturating_sub(2));
    let rest = pairs.get(start..).unwrap_or(&[]);
    let have = (rest.len() / 2).min(first.len());
    let (first, first_padding) = first.split_at_mut(have);
    let (second, second_padding) = second.split_at_mut(have.min(second.len()));
    kernel::deinterleave(&rest[..2 * have], first, second);
    if let (Some(a), Some(b)) = (first.last(), second.last()) {
        first_padding.fill(*a);
        second_padding.fill(*b);
    }
}
