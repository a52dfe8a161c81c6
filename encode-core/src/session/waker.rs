use std::sync::Arc;

use crate::sync::EventFd;

/// Wakes the thread of a [`Session`](super::Session), which then looks anew at
/// what it could do: at a [sink's room](super::PacketSink::room), say.
///
/// Cheap to clone. It may outlive the session: waking one that has ended does
/// nothing.
#[derive(Clone, Debug)]
pub struct SessionWaker(Arc<EventFd>);

impl SessionWaker {
    pub(super) const fn new(event: Arc<EventFd>) -> Self {
        Self(event)
    }

    /// Wakes the thread. Never blocks; calls that come faster than the thread
    /// wakes are one.
    pub fn wake(&self) {
        self.0.signal();
    }
}
