//! Which offer a viewer gets.
//!
//! The first, in the viewer's order of codecs and then the server's, that the viewer
//! shows and has not refused, and that works here. An offer that fails is tried again
//! after a growing time; one that failed [`CHANCES`] times in a row is nothing to wait for.

use std::time::{Duration, Instant};

use arrayvec::ArrayVec;

use super::{Offer, OfferId, VideoCodec};

/// Failures in a row after which nobody waits for an offer.
const CHANCES: u32 = 3;
/// First wait after a failure; doubled by each further one ...
const FIRST_RETRY: Duration = Duration::from_millis(250);
/// ... up to this.
const LAST_RETRY: Duration = Duration::from_secs(60);

/// A set of codecs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CodecSet(u8);

impl CodecSet {
    pub(super) const fn contains(self, codec: VideoCodec) -> bool {
        self.0 & (1 << codec as u8) != 0
    }

    pub(super) const fn insert(&mut self, codec: VideoCodec) {
        self.0 |= 1 << codec as u8;
    }
}

impl FromIterator<VideoCodec> for CodecSet {
    fn from_iter<I: IntoIterator<Item = VideoCodec>>(codecs: I) -> Self {
        let mut set = Self::default();
        codecs.into_iter().for_each(|codec| set.insert(codec));
        set
    }
}

/// What a viewer shows and likes.
#[derive(Clone, Debug, Default)]
pub(super) struct Taste {
    shows: CodecSet,
    refused: CodecSet,
    preferred: ArrayVec<VideoCodec, { VideoCodec::ALL.len() }>,
}

impl Taste {
    pub(super) fn new(shows: &[VideoCodec]) -> Self {
        Self {
            shows: shows.iter().copied().collect(),
            ..Self::default()
        }
    }

    pub(super) const fn refuse(&mut self, codec: VideoCodec) {
        self.refused.insert(codec);
    }

    /// The first naming of a codec counts.
    pub(super) fn prefer(&mut self, codecs: &[VideoCodec]) {
        self.preferred.clear();
        for codec in codecs {
            if !self.preferred.contains(codec) && !self.preferred.is_full() {
                self.preferred.push(*codec);
            }
        }
    }

    const fn takes(&self, codec: VideoCodec) -> bool {
        self.shows.contains(codec) && !self.refused.contains(codec)
    }
}

/// What the order says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// This one.
    Offer(OfferId),
    /// Perhaps one from then on.
    Later(Instant),
    /// None is left.
    Never,
}

#[derive(Debug)]
struct Entry {
    offer: Offer,
    failures: u32,
    retry_at: Option<Instant>,
    /// The largest packet so far.
    largest: usize,
}

impl Entry {
    fn usable(&self, now: Instant) -> bool {
        self.retry_at.is_none_or(|at| at <= now)
    }

    fn fail(&mut self, now: Instant) {
        let wait = FIRST_RETRY.saturating_mul(1 << self.failures.min(10));
        self.failures = self.failures.saturating_add(1);
        self.retry_at = Some(now + wait.min(LAST_RETRY));
    }
}

/// The table of offers, with what became of them.
#[derive(Debug)]
pub(super) struct CodecOrder {
    entries: Vec<Entry>,
}

impl CodecOrder {
    pub(super) fn new(offers: Vec<Offer>) -> Self {
        let entry = |offer| Entry {
            offer,
            failures: 0,
            retry_at: None,
            largest: 0,
        };
        Self {
            entries: offers.into_iter().map(entry).collect(),
        }
    }

    pub(super) fn get(&self, id: OfferId) -> Option<&Offer> {
        self.entries.get(id.0).map(|entry| &entry.offer)
    }

    /// What to make ready for a client of whom nothing is known.
    pub(super) fn first(&self, now: Instant) -> Option<OfferId> {
        self.entries
            .iter()
            .position(|entry| entry.usable(now))
            .map(OfferId)
    }

    pub(super) fn choose(&self, taste: &Taste, now: Instant) -> Choice {
        let preferred = taste.preferred.iter().flat_map(|codec| {
            let of_codec = move |(_, entry): &(usize, &Entry)| entry.offer.codec == *codec;
            self.entries.iter().enumerate().filter(of_codec)
        });
        let mut later: Option<Instant> = None;
        for (index, entry) in preferred.chain(self.entries.iter().enumerate()) {
            if !taste.takes(entry.offer.codec) {
                continue;
            }
            if entry.usable(now) {
                return Choice::Offer(OfferId(index));
            }
            if let Some(at) = entry.retry_at.filter(|_| entry.failures < CHANCES) {
                later = Some(later.map_or(at, |later| later.min(at)));
            }
        }
        later.map_or(Choice::Never, Choice::Later)
    }

    /// A coder of this offer has failed.
    pub(super) fn failed(&mut self, id: OfferId, now: Instant) {
        if let Some(entry) = self.entries.get_mut(id.0) {
            entry.fail(now);
        }
    }

    /// It has worked for a while.
    pub(super) fn proven(&mut self, id: OfferId) {
        if let Some(entry) = self.entries.get_mut(id.0) {
            entry.failures = 0;
            entry.retry_at = None;
        }
    }

    /// What failed may have failed for the size of the pictures, which is another now.
    pub(super) fn forgive(&mut self) {
        for entry in &mut self.entries {
            entry.failures = 0;
            entry.retry_at = None;
            entry.largest = 0;
        }
    }

    pub(super) fn note_packet(&mut self, id: OfferId, bytes: usize) {
        if let Some(entry) = self.entries.get_mut(id.0) {
            entry.largest = entry.largest.max(bytes);
        }
    }

    /// Bytes of the largest packet that this offer has made.
    pub(super) fn largest_packet(&self, id: OfferId) -> usize {
        self.entries.get(id.0).map_or(0, |entry| entry.largest)
    }
}
