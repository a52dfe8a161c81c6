//! True damage by comparison, for producers whose damage is always the whole
//! frame (blob flushes of virtio-gpu, vfio displays).

use std::ops::Range;

use crate::format::Fourcc;
use crate::geometry::{Damage, Rect, Size};

use super::unpack::Unpack;
use super::{ConvertError, PlaneView, Source};

/// Side of a tile in pixels: a 64-byte line of 32-bit pixels is a quarter of
/// its row, and the coding block of the codecs is 64 at most.
pub const TILE: u32 = 64;

/// Compares each frame with a copy of the one before, tile by tile.
///
/// At 1080p it takes a fifth to a third of the time of a conversion (bench `tiles`).
/// The whole frame is compared before any of it is converted, though a row of tiles
/// at a time would find it in a nearer cache: it is known then that nothing has changed
/// before any work is done, and the source is let go before the conversion.
///
/// The comparison is of bytes, exact: a hash could miss a change and leave a
/// stale tile on the screen for good. The copy costs one frame of memory;
/// only tiles that changed are written to it. Allocates on the first frame
/// and when the format changes, never in between.
///
/// A producer may draw into the frame while it is compared. Whoever converts
/// afterwards takes the pixels from [`last`](Self::last), not from the frame: a
/// pixel that was another one for a moment would be in the picture and not in the
/// copy, and once it is back, no comparison would ever find it again.
#[derive(Clone, Debug, Default)]
pub struct TileComparer {
    key: Option<Key>,
    previous: Vec<u8>,
    /// Of the row of tiles at hand, those that have changed.
    changed: Vec<bool>,
    /// Changed runs of the row of tiles above, and of the one at hand.
    above: Vec<Rect>,
    runs: Vec<Rect>,
}

/// What makes a frame comparable with the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    fourcc: Fourcc,
    size: Size,
    bottom_up: bool,
    pixel_bytes: usize,
}

impl Key {
    fn of(source: &Source<'_>) -> Result<Self, ConvertError> {
        let unpack = Unpack::of(source.fourcc).ok_or(ConvertError::NotPacked {
            format: source.fourcc,
        })?;
        Ok(Self {
            fourcc: source.fourcc,
            size: source.size,
            bottom_up: source.bottom_up,
            pixel_bytes: unpack.pixel_bytes(),
        })
    }

    const fn row_bytes(&self) -> usize {
        self.size.width as usize * self.pixel_bytes
    }

    /// The row in memory of row `y` of the picture.
    const fn row(&self, y: u32) -> usize {
        (if self.bottom_up {
            self.size.height - 1 - y
        } else {
            y
        }) as usize
    }
}

impl TileComparer {
    /// A comparer that has seen nothing.
    pub const fn new() -> Self {
        Self {
            key: None,
            previous: Vec::new(),
            changed: Vec::new(),
            above: Vec::new(),
            runs: Vec::new(),
        }
    }

    /// True for frames that can be compared: packed RGB.
    pub fn supports(fourcc: Fourcc) -> bool {
        Unpack::of(fourcc).is_some()
    }

    /// The parts of tiles of `source` (packed RGB) that lie in `candidates` and
    /// differ from the last frame, in top-down coordinates; all of it for the first
    /// frame and after a change of size, format or orientation.
    ///
    /// Changes outside `candidates` are not looked for, and are found when they lie
    /// in those of a later frame; pass [`Damage::full`] when the producer does not say.
    ///
    /// # Errors
    /// [`ConvertError::NotPacked`] for a format with several planes or one
    /// unknown here; errors of a source whose plane is too short.
    pub fn compare(
        &mut self,
        source: &Source<'_>,
        candidates: &Damage,
    ) -> Result<Damage, ConvertError> {
        let key = Key::of(source)?;
        let Some(plane) = source.planes.first() else {
            return Err(ConvertError::PlaneCount {
                format: source.fourcc,
                have: 0,
                need: 1,
            });
        };
        let row_bytes = key.row_bytes();
        plane.check(0, row_bytes, key.size.height as usize)?;
        if self.key != Some(key) {
            self.begin(key, plane);
            return Ok(Damage::full(key.size));
        }
        let mut found = Damage::none();
        for rect in candidates.rects() {
            self.compare_rect(key, plane, rect.clip(key.size), &mut found);
        }
        Ok(found)
    }

    /// The last frame as it was compared, to be converted in the place of the frame
    /// itself; `None` before the first. Where earlier candidates left changes out, it
    /// is older than the frame.
    pub fn last(&self) -> Option<Source<'_>> {
        let key = self.key?;
        let plane = PlaneView::new(&self.previous, key.row_bytes());
        let mut source = Source::packed(key.fourcc, key.size, plane);
        source.bottom_up = key.bottom_up;
        Some(source)
    }

    /// Forgets the last frame: another producer.
    pub fn reset(&mut self) {
        self.key = None;
    }

    /// Takes a first frame as it is.
    fn begin(&mut self, key: Key, plane: &PlaneView<'_>) {
        self.key = Some(key);
        self.previous.clear();
        // The plane was checked, so this is bounded by memory that exists.
        for y in 0..key.size.height as usize {
            let row = plane.row(y, 0, key.row_bytes());
            self.previous.extend_from_slice(row);
        }
        let tiles = key.size.width.div_ceil(TILE) as usize;
        self.changed.clear();
        self.changed.resize(tiles, false);
        // Every second tile, at most.
        self.above = Vec::with_capacity(tiles / 2 + 1);
        self.runs = Vec::with_capacity(tiles / 2 + 1);
    }

    /// Brings the copy of `rect` up to date, and adds to `found` what was not.
    fn compare_rect(&mut self, key: Key, plane: &PlaneView<'_>, rect: Rect, found: &mut Damage) {
        if rect.is_empty() {
            return;
        }
        self.above.clear();
        let (first, last) = (rect.x / TILE, (rect.right() - 1) / TILE);
        let mut top = rect.y;
        while top < rect.bottom() {
            let bottom = (top / TILE + 1).saturating_mul(TILE).min(rect.bottom());
            self.update(key, plane, rect, top..bottom);
            // Neighbours in a row of tiles are one rectangle, and so are runs below
            // each other: sixteen are kept apart at most.
            let mut run = Rect::default();
            for column in first..=last {
                let tile = Rect::new(column * TILE, top, TILE, bottom - top).intersect(rect);
                if self.changed.get(column as usize) == Some(&true) {
                    run = run.bounding(tile);
                } else if !run.is_empty() {
                    self.runs.push(std::mem::take(&mut run));
                }
            }
            if !run.is_empty() {
                self.runs.push(run);
            }
            for run in &mut self.runs {
                let joined = self.above.iter().position(|above| {
                    (above.x, above.width, above.bottom()) == (run.x, run.width, run.y)
                });
                if let Some(index) = joined {
                    *run = run.bounding(self.above.swap_remove(index));
                }
            }
            for done in self.above.drain(..) {
                found.add(done);
            }
            std::mem::swap(&mut self.above, &mut self.runs);
            top = bottom;
        }
        for done in self.above.drain(..) {
            found.add(done);
        }
    }

    /// Compares the `rows` of `rect`, which lie in one row of tiles, and notes
    /// those that have changed.
    ///
    /// Row by row through all tiles: the source is read once from its beginning to
    /// its end, which is how memory is fast, cached or not. Of a tile that has
    /// changed the rest is copied without another look at the copy.
    fn update(&mut self, key: Key, plane: &PlaneView<'_>, rect: Rect, rows: Range<u32>) {
        let pixel = key.pixel_bytes;
        let (first, last) = (rect.x / TILE, (rect.right() - 1) / TILE);
        let Some(changed) = self.changed.get_mut(first as usize..=last as usize) else {
            return;
        };
        changed.fill(false);
        let (start, bytes) = (rect.x as usize * pixel, rect.width as usize * pixel);
        // What of `rect` lies in its first tile.
        let head = ((first + 1) * TILE).min(rect.right()) - rect.x;
        let (head, tile) = (head as usize * pixel, TILE as usize * pixel);
        let (mut any, mut all) = (false, false);
        for y in rows {
            let y = key.row(y);
            let now = plane.row(y, start, bytes);
            let at = y * key.row_bytes() + start;
            let Some(before) = self.previous.get_mut(at..at + bytes) else {
                return;
            };
            if now.len() != before.len() {
                return;
            }
            if all {
                before.copy_from_slice(now);
                continue;
            }
            // Whole rows are compared fastest; once it is known that they differ, it
            // would only be a second reading.
            if !any && before == now {
                continue;
            }
            any = true;
            let (now_head, now) = now.split_at(head);
            let (before_head, before) = before.split_at_mut(head);
            let tiles = before.chunks_mut(tile).zip(now.chunks(tile));
            all = true;
            for (changed, (before, now)) in changed
                .iter_mut()
                .zip(std::iter::once((before_head, now_head)).chain(tiles))
            {
                if *changed || before != now {
                    before.copy_from_slice(now);
                    *changed = true;
                } else {
                    all = false;
                }
            }
        }
    }
}
