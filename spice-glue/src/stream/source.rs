//! What the producer shows, and has shown until lately.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use scanout_core::buffer::{BufferKey, SourceBuffer};
use scanout_core::sync::Acquire;

use crate::gl::ScanoutId;

/// A buffer is given up so long after something else was shown: producers that flip
/// between two or three show each again within a frame, and taking one in anew costs
/// more than a conversion.
const LINGER: Duration = Duration::from_secs(1);

/// Buffers that linger: a swap chain of four, less the one that is shown.
const MAX_LINGERING: usize = 4;

struct Source {
    id: ScanoutId,
    buffer: SourceBuffer,
    /// What the draws said to wait for, back to the last that was staged.
    acquire: Acquire,
    /// It was staged, so waited for, or given up.
    staged: bool,
    /// The newest draw.
    drawn: Option<Instant>,
}

/// A fence that has not signalled for so long never will: of later draws nobody waits
/// for it again.
const FENCE_LIMIT: Duration = Duration::from_secs(1);

/// Scanouts that the machine has not retired, and buffers that linger.
#[derive(Default)]
pub(super) struct Sources {
    shown: Vec<Source>,
    lingering: VecDeque<(Instant, BufferKey)>,
}

impl Sources {
    pub(super) fn show(&mut self, id: ScanoutId, buffer: SourceBuffer) {
        self.lingering.retain(|(_, key)| key != buffer.key());
        self.shown.push(Source {
            id,
            buffer,
            acquire: Acquire::Implicit,
            staged: false,
            drawn: None,
        });
    }

    /// A draw into what is shown now.
    pub(super) fn drawn(&mut self, acquire: Acquire, now: Instant) {
        let Some(source) = self.shown.last_mut() else {
            return;
        };
        let before = std::mem::take(&mut source.acquire);
        let recent = |drawn| now.saturating_duration_since(drawn) < FENCE_LIMIT;
        let waits = !source.staged && source.drawn.is_some_and(recent);
        source.acquire = if waits {
            both(before, acquire)
        } else {
            acquire
        };
        source.staged = false;
        source.drawn = Some(now);
    }

    /// The buffer, and for each of `readers` what to wait for before it is read.
    pub(super) fn read(
        &mut self,
        id: ScanoutId,
        readers: usize,
    ) -> Option<(SourceBuffer, Vec<Acquire>)> {
        let source = self.shown.iter_mut().find(|source| source.id == id)?;
        source.staged = true;
        let acquire = (0..readers).map(|_| duplicate(&source.acquire)).collect();
        Some((source.buffer.clone(), acquire))
    }

    /// The machine needs this scanout no more.
    pub(super) fn retire(&mut self, id: ScanoutId, now: Instant) {
        let Some(index) = self.shown.iter().position(|source| source.id == id) else {
            return;
        };
        let source = self.shown.remove(index);
        let key = source.buffer.key();
        let again = |other: &Source| other.buffer.key() == key;
        if !self.shown.iter().any(again) {
            self.lingering.push_back((now, key.clone()));
        }
    }

    /// Buffers to give up now.
    pub(super) fn overdue(&mut self, now: Instant) -> Vec<BufferKey> {
        let mut keys = Vec::new();
        while let Some((since, _)) = self.lingering.front()
            && (self.lingering.len() > MAX_LINGERING
                || now.saturating_duration_since(*since) >= LINGER)
        {
            keys.extend(self.lingering.pop_front().map(|(_, key)| key));
        }
        keys
    }

    /// When the next buffer is to be given up.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.lingering.front()?.0.checked_add(LINGER)
    }

    /// Nothing keeps the buffers any more: there is nobody to tell.
    pub(super) fn forget_lingering(&mut self) {
        self.lingering.clear();
    }
}

/// What is there when both are. Fences that have signalled vanish in the merge.
fn both(before: Acquire, newer: Acquire) -> Acquire {
    match (before, newer) {
        (Acquire::SyncFile(before), Acquire::SyncFile(newer)) => {
            Acquire::SyncFile(before.merge(&newer).unwrap_or_else(|error| {
                // A producer's fences are of one timeline, mostly: the newest counts.
                tracing::warn!(%error, "acquire fences cannot be joined");
                newer
            }))
        }
        (_, newer) => newer,
    }
}

fn duplicate(acquire: &Acquire) -> Acquire {
    let duplicate = match acquire {
        Acquire::SyncFile(fence) => fence
            .try_clone()
            .map(Acquire::SyncFile)
            .map_err(|error| error.to_string()),
        Acquire::Timeline { syncobj, point } => syncobj
            .try_clone()
            .map(|syncobj| Acquire::Timeline {
                syncobj,
                point: *point,
            })
            .map_err(|error| error.to_string()),
        Acquire::Ready => Ok(Acquire::Ready),
        _ => Ok(Acquire::Implicit),
    };
    duplicate.unwrap_or_else(|error| {
        // Out of descriptors: what the kernel tracks is better than nothing.
        tracing::warn!(error, "an acquire fence is lost");
        Acquire::Implicit
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use scanout_core::buffer::{Layout, MemoryImage};
    use scanout_core::format::Fourcc;
    use scanout_core::geometry::Size;
    use std::sync::Arc;

    fn image() -> MemoryImage {
        let (layout, bytes) = Layout::packed(Fourcc::XRGB8888, Size::new(8, 8), 64).unwrap();
        MemoryImage::new(Arc::new(vec![0; bytes as usize]), layout).unwrap()
    }

    #[test]
    fn a_buffer_shown_again_within_a_second_is_not_given_up() {
        let (one, other) = (image(), image());
        let mut sources = Sources::default();
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        for flip in 0..100 {
            let buffer = if flip % 2 == 0 { &one } else { &other };
            sources.show(ScanoutId(flip), buffer.clone().into());
            if flip > 0 {
                sources.retire(ScanoutId(flip - 1), at(flip * 16));
            }
            assert!(sources.overdue(at(flip * 16)).is_empty());
        }
        assert_eq!(sources.deadline(), Some(at(99 * 16 + 1000)));
        assert_eq!(sources.overdue(at(99 * 16 + 999)), []);
        assert_eq!(sources.overdue(at(99 * 16 + 1000)), [one.key().clone()]);
        assert_eq!(sources.deadline(), None);
    }

    #[test]
    fn buffers_that_linger_are_bounded() {
        let mut sources = Sources::default();
        let now = Instant::now();
        for id in 0..20 {
            sources.show(ScanoutId(id), image().into());
            sources.retire(ScanoutId(id), now);
        }
        assert_eq!(sources.overdue(now).len(), 20 - MAX_LINGERING);
    }

    #[test]
    fn each_reader_waits_for_what_the_draw_said() {
        let mut sources = Sources::default();
        sources.show(ScanoutId(0), image().into());
        let kinds = |sources: &mut Sources| {
            let (_, acquire) = sources.read(ScanoutId(0), 2).unwrap();
            format!("{acquire:?}")
        };
        assert_eq!(kinds(&mut sources), "[Implicit, Implicit]");
        sources.drawn(Acquire::Ready, Instant::now());
        assert_eq!(kinds(&mut sources), "[Ready, Ready]");
        assert!(sources.read(ScanoutId(1), 1).is_none());
    }
}
