//! Sizes, rectangles and damage, all in pixels with the origin at the top left.

use std::fmt;

use arrayvec::ArrayVec;
use serde::{Deserialize, Serialize};

/// A size in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Size {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Size {
    /// A size of `width` by `height` pixels.
    pub const fn new(width: u32, height: u32) -> Self {
        Self { width, height }
    }

    /// True when there is not a single pixel in it.
    pub const fn is_empty(self) -> bool {
        self.width == 0 || self.height == 0
    }

    /// Number of pixels.
    pub const fn area(self) -> u64 {
        self.width as u64 * self.height as u64
    }

    /// The next size whose sides are multiples of `step` (a power of two), or
    /// `None` where a side would leave `u32`.
    pub fn align_up(self, step: u32) -> Option<Self> {
        debug_assert!(step.is_power_of_two());
        Some(Self::new(
            self.width.checked_next_multiple_of(step)?,
            self.height.checked_next_multiple_of(step)?,
        ))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

impl std::str::FromStr for Size {
    type Err = ParseSizeError;

    /// Reads `WIDTHxHEIGHT`, as [`Display`](fmt::Display) writes it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || ParseSizeError(text.to_owned());
        let (width, height) = text.split_once('x').ok_or_else(bad)?;
        Ok(Self::new(
            width.parse().map_err(|_| bad())?,
            height.parse().map_err(|_| bad())?,
        ))
    }
}

/// The text is no `WIDTHxHEIGHT`.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no size: write WIDTHxHEIGHT, for example 1920x1080")]
pub struct ParseSizeError(String);

/// A rectangle in pixels; `x + width` and `y + height` never leave `u32`
/// after [`Rect::clip`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rect {
    /// Left edge.
    pub x: u32,
    /// Top edge.
    pub y: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Rect {
    /// The rectangle whose top left corner is (`x`, `y`).
    pub const fn new(x: u32, y: u32, width: u32, height: u32) -> Self {
        Self {
            x,
            y,
            width,
            height,
        }
    }

    /// The rectangle that covers all of `size`.
    pub const fn of(size: Size) -> Self {
        Self::new(0, 0, size.width, size.height)
    }

    /// Width and height without the position.
    pub const fn size(self) -> Size {
        Size::new(self.width, self.height)
    }

    /// True when there is not a single pixel in it.
    pub const fn is_empty(self) -> bool {
        self.width == 0 || self.height == 0
    }

    /// Number of pixels.
    pub const fn area(self) -> u64 {
        self.size().area()
    }

    /// One past the last column; saturates.
    pub const fn right(self) -> u32 {
        self.x.saturating_add(self.width)
    }

    /// One past the last row; saturates.
    pub const fn bottom(self) -> u32 {
        self.y.saturating_add(self.height)
    }

    /// The part of it that lies in a picture of `size`; empty (all zero) when none does.
    pub fn clip(self, size: Size) -> Self {
        self.intersect(Self::of(size))
    }

    /// What both rectangles cover; all zero when that is nothing.
    pub fn intersect(self, other: Self) -> Self {
        let x = self.x.max(other.x);
        let y = self.y.max(other.y);
        let width = self.right().min(other.right()).saturating_sub(x);
        let height = self.bottom().min(other.bottom()).saturating_sub(y);
        if width == 0 || height == 0 {
            return Self::default();
        }
        Self::new(x, y, width, height)
    }

    /// The smallest rectangle that holds both; an empty one adds nothing.
    pub fn bounding(self, other: Self) -> Self {
        if self.is_empty() {
            return other;
        }
        if other.is_empty() {
            return self;
        }
        let x = self.x.min(other.x);
        let y = self.y.min(other.y);
        Self::new(
            x,
            y,
            self.right().max(other.right()) - x,
            self.bottom().max(other.bottom()) - y,
        )
    }

    /// True when every pixel of `other` lies in it.
    pub fn contains(self, other: Self) -> bool {
        other.is_empty()
            || (self.x <= other.x
                && self.y <= other.y
                && self.right() >= other.right()
                && self.bottom() >= other.bottom())
    }
}

impl fmt::Display for Rect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{} {}x{}", self.x, self.y, self.width, self.height)
    }
}

/// The part of a picture that may have changed: a few rectangles that may
/// overlap. It may name more pixels than changed, never fewer.
///
/// Holds no heap memory, so that uniting damage in steady state allocates nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    rects: ArrayVec<Rect, { Damage::MAX_RECTS }>,
}

impl Damage {
    /// Rectangles kept apart; further ones are merged where that adds the fewest pixels.
    pub const MAX_RECTS: usize = 16;

    /// Nothing changed.
    pub const fn none() -> Self {
        Self {
            rects: ArrayVec::new_const(),
        }
    }

    /// All of a picture of `size` may have changed.
    pub fn full(size: Size) -> Self {
        Self::from(Rect::of(size))
    }

    /// True when nothing changed.
    pub fn is_none(&self) -> bool {
        self.rects.is_empty()
    }

    /// The rectangles; none of them is empty.
    pub fn rects(&self) -> &[Rect] {
        &self.rects
    }

    /// Adds `rect`; an empty one adds nothing.
    pub fn add(&mut self, rect: Rect) {
        if rect.is_empty() || self.rects.iter().any(|r| r.contains(rect)) {
            return;
        }
        self.rects.retain(|r| !rect.contains(*r));
        if self.rects.try_push(rect).is_err() {
            self.merge_cheapest(rect);
        }
    }

    /// Merges the two of the kept rectangles and `rect` whose common bounding
    /// box adds the fewest pixels.
    fn merge_cheapest(&mut self, rect: Rect) {
        let at = |i: usize| self.rects.get(i).copied().unwrap_or(rect);
        let count = self.rects.len() + 1;
        let mut best = (0, 1, u64::MAX);
        for i in 0..count {
            for j in i + 1..count {
                let (a, b) = (at(i), at(j));
                let cost = a
                    .bounding(b)
                    .area()
                    .saturating_sub(a.area().saturating_add(b.area()));
                if cost < best.2 {
                    best = (i, j, cost);
                }
            }
        }
        let merged = at(best.0).bounding(at(best.1));
        // `j` is the larger index, so removing it first keeps `i` valid; the
        // newcomer has the index one past the end and is not in the array.
        if best.1 < self.rects.len() {
            self.rects.swap_remove(best.1);
            self.rects.push(rect);
        }
        self.rects.swap_remove(best.0);
        self.add(merged);
    }

    /// Adds all that `other` names.
    pub fn unite(&mut self, other: &Self) {
        for rect in &other.rects {
            self.add(*rect);
        }
    }

    /// Drops what lies outside a picture of `size`.
    pub fn clip(&mut self, size: Size) {
        for rect in &mut self.rects {
            *rect = rect.clip(size);
        }
        self.rects.retain(|rect| !rect.is_empty());
    }

    /// The smallest rectangle that holds all of it; empty when nothing changed.
    pub fn bounding(&self) -> Rect {
        self.rects
            .iter()
            .fold(Rect::default(), |all, rect| all.bounding(*rect))
    }

    /// True when one rectangle covers all of `size`.
    pub fn covers(&self, size: Size) -> bool {
        self.rects.iter().any(|r| r.contains(Rect::of(size)))
    }

    /// An upper bound of the number of pixels named (overlaps count twice).
    pub fn area(&self) -> u64 {
        self.rects.iter().map(|r| r.area()).sum()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.rects.clear();
    }

    /// The same damage of a picture of `size` turned upside down.
    #[must_use]
    pub fn flipped_vertically(&self, size: Size) -> Self {
        let mut flipped = Self::none();
        for rect in &self.rects {
            let rect = rect.clip(size);
            if !rect.is_empty() {
                flipped.add(Rect {
                    y: size.height - rect.bottom(),
                    ..rect
                });
            }
        }
        flipped
    }
}

impl From<Rect> for Damage {
    fn from(rect: Rect) -> Self {
        let mut damage = Self::none();
        damage.add(rect);
        damage
    }
}

impl FromIterator<Rect> for Damage {
    fn from_iter<I: IntoIterator<Item = Rect>>(rects: I) -> Self {
        let mut damage = Self::none();
        for rect in rects {
            damage.add(rect);
        }
        damage
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// However many rectangles are added, each stays covered.
        #[test]
        fn damage_never_forgets(rects in prop::collection::vec((0u32..200, 0u32..200, 0u32..60, 0u32..60), 0..60)) {
            let rects: Vec<Rect> = rects.iter().map(|&(x, y, w, h)| Rect::new(x, y, w, h)).collect();
            let damage: Damage = rects.iter().copied().collect();
            prop_assert!(damage.rects().len() <= Damage::MAX_RECTS);
            for rect in rects.iter().filter(|r| !r.is_empty()) {
                for (x, y) in [(rect.x, rect.y), (rect.right() - 1, rect.bottom() - 1), (rect.x, rect.bottom() - 1)] {
                    prop_assert!(damage.rects().iter().any(|r| r.contains(Rect::new(x, y, 1, 1))), "{rect} lost");
                }
            }
        }
    }

    #[test]
    fn flipping_twice_is_the_identity() {
        let size = Size::new(64, 48);
        let damage: Damage = [Rect::new(1, 2, 3, 4), Rect::new(10, 40, 20, 8)]
            .into_iter()
            .collect();
        assert_eq!(
            damage.flipped_vertically(size).flipped_vertically(size),
            damage
        );
        assert_eq!(
            Damage::from(Rect::new(0, 0, 5, 1))
                .flipped_vertically(size)
                .rects(),
            &[Rect::new(0, 47, 5, 1)]
        );
    }

    #[test]
    fn sizes_read_as_written() {
        assert_eq!("1366x767".parse::<Size>().unwrap(), Size::new(1366, 767));
        for bad in ["", "x", "12", "-1x5", "1x2x3", "4294967296x1"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }
}
