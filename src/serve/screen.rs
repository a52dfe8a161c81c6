//! The stream, as those who share it see it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use scanout::spice::stream::{GlStream, GlStreamError, GlStreamStats};

/// A stream that one of its owners can stop, whatever the others do: a source may
/// be stuck in a pipe that nobody writes to.
#[derive(Clone, Debug)]
pub(super) struct Screen(Arc<Mutex<Option<GlStream>>>);

impl Screen {
    pub(super) fn new(stream: GlStream) -> Self {
        Self(Arc::new(Mutex::new(Some(stream))))
    }

    fn lock(&self) -> MutexGuard<'_, Option<GlStream>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` once it has stopped.
    pub(super) fn with<T>(&self, act: impl FnOnce(&GlStream) -> T) -> Option<T> {
        self.lock().as_ref().map(act)
    }

    /// Counts and times so far; nothing once it has stopped.
    pub(super) fn stats(&self) -> GlStreamStats {
        self.with(GlStream::stats).unwrap_or_default()
    }

    /// Stops it: every source is answered.
    pub(super) fn stop(&self, limit: Duration) -> Result<GlStreamStats, GlStreamError> {
        // Taken out first: others go on without waiting for the end.
        let stream = self.lock().take();
        stream.map_or_else(|| Ok(GlStreamStats::default()), |s| s.stop(limit))
    }
}
