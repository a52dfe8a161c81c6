//! What a server has done and does.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::config::Security;
use super::error::Refusal;

/// What a server has done since its start, and who is there.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ServerStats {
    /// Who is there, the longest first.
    pub clients: Vec<ClientStats>,
    /// Links that authenticate now.
    pub links_pending: usize,
    /// Channels that were let in.
    pub channels_linked: u64,
    /// Links that were not let in.
    pub refused: Refusals,
    /// Keys made for links.
    pub keys_made: u64,
    /// Bytes read from channels.
    pub bytes_read: u64,
    /// Bytes written to channels.
    pub bytes_written: u64,
    /// Messages to display channels.
    pub display_messages: u64,
    /// Messages that were skipped: not known, or for an agent that is not there.
    pub skipped: u64,
    /// Keys and pointer events that were handed on.
    pub inputs: u64,
    /// Keys and pointer events of clients that may only look.
    pub inputs_ignored: u64,
    /// Clients that were disconnected as they gave no sign of life.
    pub silent: u64,
    /// Channels that were closed as their peer took nothing.
    pub stalled: u64,
    /// Channels that were closed as what came made no sense.
    pub malformed: u64,
}

/// A client that is there.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientStats {
    /// Its address, or its user at a Unix socket.
    pub peer: String,
    /// How it is protected.
    pub security: Security,
    /// How long it is there.
    pub connected: Duration,
    /// Channels it has.
    pub channels: usize,
    /// Its keys and pointer count.
    pub input: bool,
    /// Bytes written to its channels.
    pub bytes_written: u64,
    /// The last time that a PING took, there and back.
    pub round_trip: Option<Duration>,
}

/// How many links were not let in, by reason.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Refusals([u64; Refusal::ALL.len()]);

impl Refusals {
    /// Those for this reason.
    pub fn of(&self, refusal: Refusal) -> u64 {
        self.0.get(refusal as usize).copied().unwrap_or_default()
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Each reason with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Refusal, u64)> {
        Refusal::ALL.into_iter().zip(self.0)
    }
}

impl fmt::Debug for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let some = self.iter().filter(|(_, count)| *count > 0);
        f.debug_map()
            .entries(some.map(|(refusal, count)| (refusal.name(), count)))
            .finish()
    }
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counts of a server.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) channels_linked: Counter,
    pub(super) bytes_read: Counter,
    pub(super) bytes_written: Counter,
    pub(super) display_messages: Counter,
    pub(super) skipped: Counter,
    pub(super) inputs: Counter,
    pub(super) inputs_ignored: Counter,
    pub(super) silent: Counter,
    pub(super) stalled: Counter,
    pub(super) malformed: Counter,
    refused: [Counter; Refusal::ALL.len()],
}

impl Counters {
    pub(super) fn refused(&self, refusal: Refusal) {
        if let Some(counter) = self.refused.get(refusal as usize) {
            counter.add(1);
        }
    }

    /// All but what others know: clients, pending links and keys.
    pub(super) fn snapshot(&self) -> ServerStats {
        ServerStats {
            clients: Vec::new(),
            links_pending: 0,
            keys_made: 0,
            channels_linked: self.channels_linked.get(),
            refused: Refusals(self.refused.each_ref().map(Counter::get)),
            bytes_read: self.bytes_read.get(),
            bytes_written: self.bytes_written.get(),
            display_messages: self.display_messages.get(),
            skipped: self.skipped.get(),
            inputs: self.inputs.get(),
            inputs_ignored: self.inputs_ignored.get(),
            silent: self.silent.get(),
            stalled: self.stalled.get(),
            malformed: self.malformed.get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_is_counted_by_its_own_name() {
        let counters = Counters::default();
        for (n, refusal) in Refusal::ALL.into_iter().enumerate() {
            (0..=n).for_each(|_| counters.refused(refusal));
        }
        let refused = counters.snapshot().refused;
        for (n, (refusal, count)) in refused.iter().enumerate() {
            assert_eq!(count, n as u64 + 1, "{}", refusal.name());
            assert_eq!(refused.of(refusal), count);
        }
        let names: std::collections::HashSet<_> = Refusal::ALL.map(Refusal::name).into();
        assert_eq!(names.len(), Refusal::ALL.len());
    }
}
