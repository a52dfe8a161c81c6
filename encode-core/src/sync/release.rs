use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::SyncFile;

/// Told when a source may be used again.
///
/// The call comes from whichever thread finished with the source, so it should
/// do little: send a message, signal an eventfd.
pub trait ReleaseSink: Send + Sync {
    /// The source that was handed over with `cookie` will not be read after
    /// `fence` signals; without a fence it is already no longer read.
    fn released(&self, cookie: u64, fence: Option<SyncFile>);
}

/// Whoever holds this holds the source. Completing it, by drop or by name,
/// tells the owner exactly once.
///
/// It is two words and a shared handle, so that making one per frame allocates
/// nothing. If the sink panics the source still counts as released: it is not
/// told a second time. A panic of the sink during another panic's unwinding is
/// contained and logged, as it would otherwise abort the process.
#[must_use = "dropping a Release tells the owner at once that its buffer is free"]
#[derive(Default)]
pub struct Release {
    pending: Option<(Arc<dyn ReleaseSink>, u64)>,
}

impl Release {
    /// A guard whose completion calls `sink` with `cookie`.
    pub fn new(sink: Arc<dyn ReleaseSink>, cookie: u64) -> Self {
        Self {
            pending: Some((sink, cookie)),
        }
    }

    /// A guard for a source whose owner does not want to be told.
    pub fn noop() -> Self {
        Self { pending: None }
    }

    /// The source is no longer read.
    pub fn complete(mut self) {
        self.tell(None);
    }

    /// The source is no longer read once `fence` signals.
    pub fn complete_with(mut self, fence: SyncFile) {
        self.tell(Some(fence));
    }

    fn tell(&mut self, fence: Option<SyncFile>) {
        // Taken first: from here on nothing can tell the sink again.
        let Some((sink, cookie)) = self.pending.take() else {
            return;
        };
        if !std::thread::panicking() {
            sink.released(cookie, fence);
        } else if catch_unwind(AssertUnwindSafe(|| sink.released(cookie, fence))).is_err() {
            tracing::error!(cookie, "a release sink panicked while unwinding");
        }
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        self.tell(None);
    }
}

impl fmt::Debug for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cookie = self.pending.as_ref().map(|(_, cookie)| *cookie);
        f.debug_struct("Release").field("cookie", &cookie).finish()
    }
}
