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
    /// What the newest draw said to wait for, and all before it.
    acquire: Acquire,
}

/// Scanouts that the machine has not retired, and buffers that linger.
#[derive(Default)]
pub(super) struct Sources {
    shown: Vec<Source>,
    lingering: VecDeque<(Instant, BufferKey)>,
}

impl Sources {
    pub(super) fn show(&mut self, id: ScanoutId, buffer: SourceBuffer) {
        self.lingering.retain(|(_, key)| key != buffer.key());
        let acquire = Acquire::Implicit;
        self.shown.push(Source {
            id,
            buffer,
            acquire,
        });
    }

    /// A draw into what is shown now.
    pub(super) fn drawn(&mut self, acquire: Acquire) {
        if let Some(source) = self.shown.last_mut() {
            let before = std::mem::take(&mut source.acquire);
            source.acquire = both(before, acquire);
        }
    }

    /// The buffer, and what to wait for before it is read.
    pub(super) fn read(&self, id: ScanoutId) -> Option<(SourceBuffer, Acquire)> {
        let source = self.shown.iter().find(|source| source.id == id)?;
        Some((source.buffer.clone(), duplicate(&source.acquire)))
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
