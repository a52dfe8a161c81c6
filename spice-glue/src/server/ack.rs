//! How far a client is behind, by its own word.

/// Messages between two acknowledgements, as upstream has it. At 60 pictures per second
/// and a third of a second there and back the client is never waited for.
pub(super) const WINDOW: u32 = 20;
/// So many messages may be without.
const UNACKNOWLEDGED_MAX: u32 = 2 * WINDOW;

/// Counts messages and their acknowledgements.
#[derive(Debug, Default)]
pub(super) struct Acks {
    unacknowledged: u32,
}

impl Acks {
    /// The generation in SET_ACK: there is only one.
    pub(super) const GENERATION: u32 = 1;

    /// Something may be sent. A batch that goes beyond the bound is still whole.
    pub(super) fn room(&self) -> bool {
        self.unacknowledged < UNACKNOWLEDGED_MAX
    }

    pub(super) fn sent(&mut self, messages: u32) {
        self.unacknowledged = self.unacknowledged.saturating_add(messages);
    }

    /// ACK. More of them than messages gain a client nothing.
    pub(super) fn acknowledged(&mut self) {
        self.unacknowledged = self.unacknowledged.saturating_sub(WINDOW);
    }

    pub(super) fn unacknowledged(&self) -> u32 {
        self.unacknowledged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_acknowledges_is_never_waited_for_and_one_that_does_not_is() {
        let mut acks = Acks::default();
        for n in 1..=10_000 {
            assert!(acks.room());
            acks.sent(1);
            if n % WINDOW == 0 {
                acks.acknowledged();
            }
        }
        for _ in 0..UNACKNOWLEDGED_MAX {
            assert!(acks.room());
            acks.sent(1);
        }
        assert!(!acks.room());
        acks.acknowledged();
        assert!(acks.room());
    }

    #[test]
    fn acknowledging_what_was_not_sent_gives_no_credit() {
        let mut acks = Acks::default();
        (0..1000).for_each(|_| acks.acknowledged());
        acks.sent(UNACKNOWLEDGED_MAX);
        assert!(!acks.room());
    }
}
