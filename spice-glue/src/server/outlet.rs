//! What waits for a display channel: filled by the stream's thread, emptied by the event
//! loop.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::ack::Acks;
use super::registry::Goodbye;
use crate::gl::{Backlog, Batch, CloseReason, Outgoing};
use crate::stream::Outlet;

/// Streams are told what waits and code no more than can leave; should one not listen,
/// the client is given up here.
const BYTES_MAX: usize = 64 << 20;
const MESSAGES_MAX: usize = 4096;

/// The queue of one display channel.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// There is something to write, or room to write it in.
    changed: Notify,
    ended: Notify,
}

#[derive(Default)]
struct State {
    batches: VecDeque<Batch>,
    /// With those of the batch that is being written.
    bytes: usize,
    messages: usize,
    acks: Acks,
    end: Option<Goodbye>,
}

/// The stream's side.
pub(super) struct QueueOutlet(pub(super) Arc<Queue>);

impl Outlet for QueueOutlet {
    fn send(&self, batch: Batch) -> Backlog {
        let mut state = self.0.state();
        if state.end.is_none() {
            let bytes = state.bytes.saturating_add(batch_bytes(&batch));
            let messages = state.messages.saturating_add(batch.len());
            if bytes > BYTES_MAX || messages > MESSAGES_MAX {
                state.end(CloseReason::Stalled { seconds: 0 }.into());
                self.0.ended.notify_one();
            } else if !batch.is_empty() {
                state.bytes = bytes;
                state.messages = messages;
                state.batches.push_back(batch);
            }
        }
        let backlog = state.backlog();
        drop(state);
        self.0.changed.notify_one();
        backlog
    }

    fn close(&self, reason: CloseReason) {
        self.0.state().end(reason.into());
        self.0.ended.notify_one();
    }
}

impl State {
    fn backlog(&self) -> Backlog {
        Backlog {
            bytes: self.bytes,
            messages: self.messages,
            unacknowledged: self.acks.unacknowledged(),
        }
    }

    /// Packets go at once: their memory is wanted elsewhere.
    fn end(&mut self, why: Goodbye) {
        self.end.get_or_insert(why);
        self.batches.clear();
    }
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn backlog(&self) -> Backlog {
        self.state().backlog()
    }

    /// Waits for the end, whatever is being written.
    pub(super) async fn ended(&self) -> Goodbye {
        loop {
            if let Some(end) = self.state().end {
                return end;
            }
            self.ended.notified().await;
        }
    }

    /// The next batch, when the client has acknowledged enough. May be cancelled without
    /// losing one.
    pub(super) async fn next(&self) -> Batch {
        loop {
            {
                let mut state = self.state();
                if state.acks.room()
                    && let Some(batch) = state.batches.pop_front()
                {
                    let messages = u32::try_from(batch.len()).unwrap_or(u32::MAX);
                    state.acks.sent(messages);
                    return batch;
                }
            }
            self.changed.notified().await;
        }
    }

    /// Something waits and may not be written before the client acknowledges.
    pub(super) fn waits_for_client(&self) -> bool {
        let state = self.state();
        !state.acks.room() && !state.batches.is_empty()
    }

    /// So many bytes of the batch are on their way.
    pub(super) fn written(&self, bytes: usize) -> Backlog {
        let mut state = self.state();
        state.bytes = state.bytes.saturating_sub(bytes);
        state.backlog()
    }

    /// All of the batch is.
    pub(super) fn done(&self, messages: usize) -> Backlog {
        let mut state = self.state();
        state.messages = state.messages.saturating_sub(messages);
        state.backlog()
    }

    pub(super) fn acknowledged(&self) -> Backlog {
        let mut state = self.state();
        state.acks.acknowledged();
        let backlog = state.backlog();
        drop(state);
        self.changed.notify_one();
        backlog
    }
}

/// Bytes that a batch has on the wire, beside the headers.
pub(super) fn batch_bytes(batch: &Batch) -> usize {
    batch
        .iter()
        .map(|message| match message {
            Outgoing::StreamData { payload, .. } => payload.len(),
            _ => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gl::Payload;

    fn picture(len: usize) -> Batch {
        vec![Outgoing::StreamData {
            stream: 0,
            mm_time: 1,
            payload: Payload {
                head: &[],
                body: vec![0; len].into(),
                skip: 0,
                tail: &[],
            },
        }]
    }

    fn queue() -> (Arc<Queue>, QueueOutlet) {
        let queue = Arc::<Queue>::default();
        (Arc::clone(&queue), QueueOutlet(queue))
    }

    #[test]
    fn the_backlog_says_what_waits_until_it_is_written() {
        let (queue, outlet) = queue();
        outlet.send(picture(100));
        let backlog = outlet.send(picture(50));
        assert_eq!((backlog.bytes, backlog.messages), (150, 2));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let batch = runtime.block_on(queue.next());
        assert_eq!(queue.backlog().unacknowledged, 1);
        assert_eq!(queue.backlog().bytes, 150);
        assert_eq!(queue.written(60).bytes, 90);
        queue.written(40);
        assert_eq!(queue.done(batch.len()).messages, 1);
        assert_eq!(queue.backlog().bytes, 50);
    }

    #[test]
    fn a_stream_that_does_not_listen_cannot_fill_the_memory() {
        let (queue, outlet) = queue();
        for _ in 0..1000 {
            outlet.send(picture(1 << 20));
        }
        assert!(queue.state().batches.is_empty());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let end = runtime.block_on(queue.ended());
        assert!(matches!(end, Goodbye::Screen(CloseReason::Stalled { .. })));
        let (queue, outlet) = super::tests::queue();
        for _ in 0..=MESSAGES_MAX {
            outlet.send(picture(1));
        }
        assert!(queue.state().end.is_some());
    }
}
