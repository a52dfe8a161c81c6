//! Buffer age: which part of a pooled picture is out of date.

use crate::geometry::{Damage, Rect, Size};

/// For each slot of a pool of pictures, the damage since the slot was last
/// written.
///
/// Three or more pictures circulate, so the one that is written next holds an
/// older frame: converting only the newest damage into it would leave stale
/// blocks. Every draw is [`note`](Self::note)d for all slots, and whoever
/// writes a slot [`take`](Self::take)s what that slot missed.
///
/// ```
/// use scanout_core::convert::age::DamageHistory;
/// use scanout_core::geometry::{Damage, Rect, Size};
///
/// let mut history = DamageHistory::new(3, Size::new(640, 480));
/// assert!(history.take(0).covers(Size::new(640, 480))); // never written: all of it
/// history.note(&Damage::from(Rect::new(0, 0, 8, 8)));
/// history.note(&Damage::from(Rect::new(100, 100, 8, 8)));
/// assert_eq!(history.take(0).rects().len(), 2);
/// assert!(history.take(0).is_none());
/// ```
#[derive(Clone, Debug)]
pub struct DamageHistory {
    size: Size,
    missing: Vec<Damage>,
}

impl DamageHistory {
    /// A history for `slots` pictures of `size` (visible pixels), none of them written yet.
    pub fn new(slots: usize, size: Size) -> Self {
        Self {
            size,
            missing: vec![Damage::full(size); slots],
        }
    }

    /// A draw changed `damage` of the source, whether or not any slot is
    /// written for it. Allocates nothing.
    pub fn note(&mut self, damage: &Damage) {
        for missing in &mut self.missing {
            // `covers` saves the union for slots that wait for a full write.
            if !missing.covers(self.size) {
                for rect in damage.rects() {
                    missing.add(rect.clip(self.size));
                }
            }
        }
    }

    /// What `slot` lacks, for a write that follows now; the slot counts as up
    /// to date from here on. An unknown slot lacks everything.
    ///
    /// If the write fails, [`invalidate`](Self::invalidate) the slot.
    pub fn take(&mut self, slot: usize) -> Damage {
        match self.missing.get_mut(slot) {
            Some(missing) => std::mem::take(missing),
            None => Damage::full(self.size),
        }
    }

    /// What `slot` lacks, without taking it.
    pub fn missing(&self, slot: usize) -> Damage {
        match self.missing.get(slot) {
            Some(missing) => missing.clone(),
            None => Damage::full(self.size),
        }
    }

    /// Nothing in `slot` is to be relied on: a write failed half way, or the
    /// memory is new.
    pub fn invalidate(&mut self, slot: usize) {
        if let Some(missing) = self.missing.get_mut(slot) {
            *missing = Damage::from(Rect::of(self.size));
        }
    }

    /// Nothing in any slot is to be relied on: another source, another scanout.
    pub fn invalidate_all(&mut self) {
        for slot in 0..self.missing.len() {
            self.invalidate(slot);
        }
    }

    /// Number of slots.
    pub fn slots(&self) -> usize {
        self.missing.len()
    }
}
