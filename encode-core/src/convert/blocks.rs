//! From damage to the spans of columns and rows that are converted.

use arrayvec::ArrayVec;

use crate::geometry::{Damage, Rect};

use super::PictureLayout;

/// Columns of a block: what one pass of the widest vectors takes.
const BLOCK_WIDTH: u32 = 32;
/// Rows of a block: a chroma row.
const BLOCK_HEIGHT: u32 = 2;

/// Damage grown to whole blocks of the coded picture, parted into slabs of
/// rows with disjoint spans of columns: no block is converted twice, however
/// much the rectangles overlap.
#[derive(Debug)]
pub(super) struct Blocks {
    rects: ArrayVec<Rect, { Damage::MAX_RECTS }>,
    /// Rows where the set of rectangles changes, ascending.
    edges: ArrayVec<u32, { 2 * Damage::MAX_RECTS }>,
}

/// Columns `start..end` of a slab.
pub(super) type Spans = ArrayVec<(u32, u32), { Damage::MAX_RECTS }>;

impl Blocks {
    /// `reach` is the number of columns right of a pixel where chroma depends on it.
    pub(super) fn new(damage: &Damage, layout: &PictureLayout, reach: u32) -> Self {
        let (visible, coded) = (layout.visible(), layout.coded());
        // The last visible column and row fill the coded padding.
        let grow = |start: u32, end: u32, visible: u32, coded: u32, block: u32, reach: u32| {
            let end = end + reach;
            let end = if end >= visible {
                coded
            } else {
                end.next_multiple_of(block).min(coded)
            };
            (start / block * block, end)
        };
        let mut rects = ArrayVec::new();
        let mut edges = ArrayVec::new();
        for rect in damage.rects() {
            let rect = rect.clip(visible);
            if rect.is_empty() {
                continue;
            }
            let (left, right) = grow(
                rect.x,
                rect.right(),
                visible.width,
                coded.width,
                BLOCK_WIDTH,
                reach,
            );
            let (top, bottom) = grow(
                rect.y,
                rect.bottom(),
                visible.height,
                coded.height,
                BLOCK_HEIGHT,
                0,
            );
            rects.push(Rect::new(left, top, right - left, bottom - top));
            edges.push(top);
            edges.push(bottom);
        }
        edges.sort_unstable();
        Self { rects, edges }
    }

    /// Calls `each` with the rows and the spans of every slab, from the top.
    pub(super) fn for_each_slab(&self, mut each: impl FnMut(u32, u32, &Spans)) {
        for pair in self.edges.windows(2) {
            let &[top, bottom] = pair else { continue };
            if top == bottom {
                continue;
            }
            let mut spans: Spans = self
                .rects
                .iter()
                .filter(|r| r.y <= top && top < r.bottom())
                .map(|r| (r.x, r.right()))
                .collect();
            spans.sort_unstable();
            let mut merged = Spans::new();
            for (start, end) in spans {
                match merged.last_mut() {
                    Some((_, last)) if start <= *last => *last = end.max(*last),
                    _ => merged.push((start, end)),
                }
            }
            if !merged.is_empty() {
                each(top, bottom, &merged);
            }
        }
    }
}
