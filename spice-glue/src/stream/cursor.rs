//! The guest's pointer, told to whoever watches it.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::viewers::{Cursor, CursorOutlet};

/// Watchers at a time: more than viewers, as one that has gone is only missed at the
/// next call.
const MAX_OUTLETS: usize = 256;

#[derive(Default)]
struct State {
    cursor: Cursor,
    outlets: Vec<Weak<dyn CursorOutlet>>,
}

#[derive(Default)]
pub(super) struct Pointer(Mutex<State>);

impl Pointer {
    /// The pointer is like this now.
    pub(super) fn set(&self, cursor: Cursor) {
        let mut watching = Vec::new();
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.outlets.retain(|outlet| match outlet.upgrade() {
            Some(outlet) => {
                watching.push(outlet);
                true
            }
            None => false,
        });
        // Told under the lock: the last to be told anything is told the newest.
        for outlet in &watching {
            outlet.cursor(&cursor);
        }
        state.cursor = cursor;
        drop(state);
        // Whatever an outlet's end runs, it runs outside of the lock.
        drop(watching);
    }

    /// Tells `outlet` from now on, first of what is.
    pub(super) fn watch(&self, outlet: &Arc<dyn CursorOutlet>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        outlet.cursor(&state.cursor);
        state.outlets.retain(|outlet| outlet.strong_count() > 0);
        if state.outlets.len() >= MAX_OUTLETS {
            tracing::warn!(limit = MAX_OUTLETS, "too many watch one pointer");
            return;
        }
        state.outlets.push(Arc::downgrade(outlet));
    }
}
