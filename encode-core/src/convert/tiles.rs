//! True damage by comparison, for producers whose damage is always the whole
//! frame (blob flushes of virtio-gpu, vfio displays).

use crate::geometry::{Damage, Rect, Size};

use super::{ConvertError, Source};

/// Side of a tile in pixels: a 64-byte line of 32-bit pixels is a quarter of
/// its row, and the coding block of the codecs is 64 at most.
pub const TILE: u32 = 64;

/// Compares each frame with a copy of the one before, tile by tile.
///
/// The comparison is of bytes, exact: a hash could miss a change and leave a
/// stale tile on the screen for good. The copy costs one frame of memory;
/// only tiles that changed are written to it. Allocates on the first frame
/// and when the format changes, never in between.
#[derive(Clone, Debug, Default)]
pub struct TileComparer {
    key: Option<(u32, Size, bool)>,
    row_bytes: usize,
    previous: Vec<u8>,
}

impl TileComparer {
    /// A comparer that has seen nothing.
    pub const fn new() -> Self {
        Self {
            key: None,
            row_bytes: 0,
            previous: Vec::new(),
        }
    }

    /// The tiles of `source` (packed RGB) that lie in `candidates` and differ
    /// from the last frame, in top-down coordinates; all of it for the first
    /// frame and after a change of size, format or orientation.
    ///
    /// Changes outside `candidates` are not looked for; pass
    /// [`Damage::full`] when the producer does not say.
    ///
    /// # Errors
    /// [`ConvertError::NotPacked`] for a format with several planes or one
    /// unknown here; errors of a source whose plane is too short.
    pub fn compare(
        &mut self,
        source: &Source<'_>,
        candidates: &Damage,
    ) -> Result<Damage, ConvertError> {
        let unpack = super::unpack::Unpack::of(source.fourcc).ok_or(ConvertError::NotPacked {
            format: source.fourcc,
        })?;
        let Some(plane) = source.planes.first() else {
            return Err(ConvertError::PlaneCount {
                format: source.fourcc,
                have: 0,
                need: 1,
            });
        };
        let pixel = unpack.pixel_bytes();
        let (width, height) = (source.size.width as usize, source.size.height as usize);
        let row_bytes = width * pixel;
        plane.check(0, row_bytes, height)?;
        let key = (source.fourcc.0, source.size, source.bottom_up);
        if self.key != Some(key) {
            self.key = Some(key);
            self.row_bytes = row_bytes;
            self.previous.clear();
            // The plane was checked, so this is bounded by memory that exists.
            for y in 0..height {
                self.previous.extend_from_slice(plane.row(y, 0, row_bytes));
            }
            return Ok(Damage::full(source.size));
        }
        let mut found = Damage::none();
        for top in (0..source.size.height).step_by(TILE as usize) {
            // Neighbours in a row of tiles are one rectangle: sixteen are kept apart at most.
            let mut run = Rect::default();
            for left in (0..source.size.width).step_by(TILE as usize) {
                let tile = Rect::new(left, top, TILE, TILE).clip(source.size);
                let wanted = candidates
                    .rects()
                    .iter()
                    .any(|r| !r.intersect(tile).is_empty());
                if wanted && self.update(source, plane, tile, pixel) {
                    run = run.bounding(tile);
                } else {
                    found.add(std::mem::take(&mut run));
                }
            }
            found.add(run);
        }
        Ok(found)
    }

    /// Forgets the last frame: another producer.
    pub fn reset(&mut self) {
        self.key = None;
    }

    /// Brings the copy of `tile` up to date; true where it was not.
    fn update(
        &mut self,
        source: &Source<'_>,
        plane: &super::PlaneView<'_>,
        tile: Rect,
        pixel: usize,
    ) -> bool {
        let (start, bytes) = (tile.x as usize * pixel, tile.width as usize * pixel);
        let mut changed = false;
        for y in tile.y..tile.bottom() {
            let y = if source.bottom_up {
                source.size.height - 1 - y
            } else {
                y
            } as usize;
            let row = plane.row(y, start, bytes);
            let at = y * self.row_bytes + start;
            if let Some(before) = self.previous.get_mut(at..at + bytes)
                && before != row
                && before.len() == row.len()
            {
                before.copy_from_slice(row);
                changed = true;
            }
        }
        changed
    }
}
