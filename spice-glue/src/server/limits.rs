//! What peers may cost before they have shown a ticket.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::config::Limits;
use super::error::Refusal;

/// Addresses whose wrong tickets are remembered.
const FAILURES_MAX: usize = 1024;
/// After so long without another one they are forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(600);
/// Lines about refused links in one [`LOG_SPAN`].
const LOG_LINES: u32 = 20;
const LOG_SPAN: Duration = Duration::from_secs(10);

/// Who is counted as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Peer {
    /// An IPv4 address, or the /64 of an IPv6 address: who has one has all of them.
    Ip(IpAddr),
    /// A user at a Unix socket.
    User(u32),
}

impl Peer {
    pub(super) fn ip(address: IpAddr) -> Self {
        Self::Ip(match address.to_canonical() {
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            v4 => v4,
        })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(v4 @ IpAddr::V4(_)) => v4.fmt(f),
            Self::Ip(v6) => write!(f, "{v6}/64"),
            Self::User(uid) => write!(f, "user {uid}"),
        }
    }
}

/// Lets links in to authenticate, so many at once.
pub(super) struct Gate {
    state: Mutex<State>,
    limits: Limits,
}

#[derive(Default)]
struct State {
    links: usize,
    /// Never more entries than `links`.
    by_peer: HashMap<Peer, usize>,
    failures: HashMap<Peer, Failures>,
    log: LogBudget,
}

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

/// A place among those who authenticate. Dropping it frees the place.
#[must_use]
pub(super) struct Slot {
    gate: Arc<Gate>,
    peer: Peer,
}

impl Gate {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            limits,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for `peer`, or why there is none: the link is closed at once then.
    pub(super) fn enter(self: &Arc<Self>, peer: Peer) -> Result<Slot, Refusal> {
        let mut state = self.state();
        if state.links >= self.limits.links {
            return Err(Refusal::Crowded);
        }
        let here = state.by_peer.get(&peer).copied().unwrap_or_default();
        if here >= self.limits.links_per_peer {
            return Err(Refusal::PeerCrowded);
        }
        state.by_peer.insert(peer, here + 1);
        state.links += 1;
        Ok(Slot {
            gate: Arc::clone(self),
            peer,
        })
    }

    /// Links that authenticate now.
    pub(super) fn links(&self) -> usize {
        self.state().links
    }

    /// `peer` has shown a wrong ticket: how long its place stays taken before it is told.
    ///
    /// Only wrong tickets wait. Somebody who guesses holds its few places meanwhile,
    /// whether it waits for the answer or not; who knows the password is not slowed.
    pub(super) fn failed(&self, peer: Peer, now: Instant) -> Duration {
        let mut state = self.state();
        let failures = &mut state.failures;
        failures.retain(|_, f| now.saturating_duration_since(f.last) < FORGET_AFTER);
        if failures.len() >= FAILURES_MAX
            && !failures.contains_key(&peer)
            && let Some(oldest) = failures.iter().min_by_key(|(_, f)| f.last).map(|(p, _)| *p)
        {
            failures.remove(&oldest);
        }
        let entry = failures.entry(peer).or_insert(Failures {
            count: 0,
            last: now,
        });
        entry.last = now;
        let times = 1u32.checked_shl(entry.count).unwrap_or(u32::MAX);
        entry.count = entry.count.saturating_add(1);
        let Limits {
            failure_delay,
            failure_delay_max,
            ..
        } = self.limits;
        failure_delay.saturating_mul(times).min(failure_delay_max)
    }

    /// Whether a refused link is worth a line now, and how many were not since the last
    /// one: a flood must not fill the disk.
    pub(super) fn may_log(&self, now: Instant) -> Option<u64> {
        self.state().log.take(now)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        state.links = state.links.saturating_sub(1);
        if let Some(count) = state.by_peer.get_mut(&self.peer) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                state.by_peer.remove(&self.peer);
            }
        }
    }
}

/// So many lines in so long.
#[derive(Default)]
struct LogBudget {
    since: Option<Instant>,
    lines: u32,
    left_out: u64,
}

impl LogBudget {
    fn take(&mut self, now: Instant) -> Option<u64> {
        if self
            .since
            .is_none_or(|s| now.saturating_duration_since(s) >= LOG_SPAN)
        {
            self.since = Some(now);
            self.lines = 0;
        }
        if self.lines >= LOG_LINES {
            self.left_out += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: u32) -> Peer {
        Peer::ip(IpAddr::V4(n.into()))
    }

    #[test]
    fn one_address_gets_eight_places_and_all_together_sixty_four() {
        let gate = Gate::new(Limits::default());
        let mut slots: Vec<_> = (0..8).map(|_| gate.enter(peer(1)).unwrap()).collect();
        assert_eq!(gate.enter(peer(1)).err(), Some(Refusal::PeerCrowded));
        for n in 2..9 {
            slots.extend((0..8).map(|_| gate.enter(peer(n)).unwrap()));
        }
        assert_eq!(gate.enter(peer(9)).err(), Some(Refusal::Crowded));
        slots.pop();
        let last = gate.enter(peer(9)).unwrap();
        assert_eq!(gate.links(), 64);
        drop((slots, last));
        assert_eq!(gate.links(), 0);
        assert!(gate.state().by_peer.is_empty());
    }

    #[test]
    fn an_ipv6_network_counts_as_one_and_a_mapped_address_as_ipv4() {
        let of = |text: &str| Peer::ip(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::3"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::3"), of("2001:db8:1:3::3"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.2"), of("192.0.2.1"));
    }

    #[test]
    fn wrong_tickets_wait_longer_each_time_up_to_a_bound_and_are_forgotten() {
        let gate = Gate::new(Limits::default());
        let start = Instant::now();
        let seconds: Vec<_> = (0..40)
            .map(|_| gate.failed(peer(1), start).as_secs_f32())
            .collect();
        assert_eq!(seconds[..6], [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]);
        assert_eq!(seconds[39], 8.0);
        assert_eq!(gate.failed(peer(2), start), Duration::from_millis(500));
        let later = start + FORGET_AFTER;
        assert_eq!(gate.failed(peer(1), later), Duration::from_millis(500));
    }

    #[test]
    fn the_table_of_failures_is_bounded_and_drops_the_oldest() {
        let gate = Gate::new(Limits::default());
        let start = Instant::now();
        for n in 0..10_000 {
            let now = start + Duration::from_millis(u64::from(n));
            gate.failed(peer(n), now);
        }
        let now = start + Duration::from_secs(10);
        assert_eq!(gate.state().failures.len(), FAILURES_MAX);
        assert_eq!(gate.failed(peer(9_999), now), Duration::from_secs(1));
        assert_eq!(gate.failed(peer(0), now), Duration::from_millis(500));
    }

    #[test]
    fn a_flood_is_logged_in_a_few_lines_that_say_how_many_there_were() {
        let mut log = LogBudget::default();
        let start = Instant::now();
        let lines = (0..1000).filter(|_| log.take(start).is_some()).count();
        assert_eq!(lines, LOG_LINES as usize);
        assert_eq!(
            log.take(start + LOG_SPAN),
            Some(1000 - u64::from(LOG_LINES))
        );
        assert_eq!(log.take(start + LOG_SPAN), Some(0));
    }
}
