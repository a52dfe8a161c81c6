//! The main channel: the session, its clock and signs of life.

use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval_at};

use super::channel::{self, Channel, End, Ended};
use super::pace::Pace;
use super::registry::Goodbye;
use crate::wire::base::{BaseClientMessage, BaseServerMessage};
use crate::wire::link::MainCap::NameAndUuid;
use crate::wire::main::{MainClientMessage, MainInit, MainServerMessage, MouseModes};

/// Displays that have not come by then are waited for no more: an encoder that was
/// opened for them is let go of.
const EXPECT: Duration = Duration::from_secs(10);
/// What a client may send per second: answers to PINGs, and a few words.
const MESSAGES_PER_SECOND: u32 = 100;
/// Clocks that drift by 50 millionths are 3 ms apart by then.
const CLOCK_INTERVAL: Duration = Duration::from_secs(60);
/// A clock is sent right after an answer came this quickly, or as quickly as ever: one
/// that is late on its way would make the client late.
const CLOCK_ROUND_TRIP: Duration = Duration::from_millis(20);

/// What is known of the way to the client.
struct Life {
    /// PINGs sent.
    pings: u32,
    /// When the last one was, if its answer is awaited.
    last: Option<Instant>,
    /// Since when there is no sign of life to a PING.
    unanswered: Option<Instant>,
    best: Duration,
    clock_sent: Instant,
}

pub(super) async fn run(channel: Channel<'_>) -> Ended {
    let Channel {
        incoming,
        outflow,
        claim,
        caps,
        server,
    } = channel;
    let session = &claim.session;
    let limits = &server.config.limits;
    let started = Instant::now();
    let mut modes = mouse_modes(server, None);
    let mut out = Vec::new();
    MainServerMessage::Init(MainInit {
        session_id: session.id,
        display_channels_hint: u32::try_from(server.consoles.len()).unwrap_or(1),
        supported_mouse_modes: modes.0,
        current_mouse_mode: modes.1,
        agent_connected: false,
        agent_tokens: 0,
        multi_media_time: server.mm_time(),
        ram_hint: 0,
    })
    .encode(&mut out);
    if caps.has(NameAndUuid) {
        if let Some(name) = &server.config.name {
            MainServerMessage::Name(name.as_bytes()).encode(&mut out);
        }
        if let Some(uuid) = server.config.uuid {
            MainServerMessage::Uuid(uuid).encode(&mut out);
        }
    }
    let mut life = Life {
        pings: 0,
        last: None,
        unanswered: None,
        best: Duration::MAX,
        clock_sent: started,
    };
    let first = tokio::time::Instant::now() + limits.ping_interval;
    let mut tick = interval_at(first, limits.ping_interval);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut pace = Pace::new(MESSAGES_PER_SECOND, started);
    loop {
        if !out.is_empty() {
            outflow.send(&out).await?;
            out.clear();
        }
        tokio::select! {
            message = incoming.message() => {
                let (kind, body) = message?;
                life.unanswered = None;
                match MainClientMessage::decode(kind, body)? {
                    MainClientMessage::Base(BaseClientMessage::Pong { id, .. }) => {
                        if let Some(time) = life.pong(id) {
                            session.set_round_trip(time);
                            life.clock(time, || server.mm_time(), &mut out);
                        }
                    }
                    MainClientMessage::Base(message) => channel::base(&message, server)?,
                    MainClientMessage::AttachChannels => {
                        MainServerMessage::ChannelsList(server.registry.channels())
                            .encode(&mut out);
                    }
                    MainClientMessage::MouseModeRequest(wanted) => {
                        modes = mouse_modes(server, Some(wanted));
                        mouse_mode(modes, &mut out);
                    }
                    MainClientMessage::ClientInfo { .. } => {}
                    // There is no agent, and none was promised.
                    _ => server.counters.skipped.add(1),
                }
                pace.wait(1).await;
            }
            _ = tick.tick() => {
                if started.elapsed() >= EXPECT {
                    session.expect_no_more();
                }
                if life.unanswered.is_some_and(|since| since.elapsed() >= limits.silence) {
                    // The client's other channels go with this reason too.
                    session.close(Goodbye::Silent);
                    return Err(End::Goodbye(Goodbye::Silent));
                }
                life.ping(&mut out);
                let now = mouse_modes(server, Some(modes.1));
                if now != modes {
                    modes = now;
                    mouse_mode(modes, &mut out);
                }
            }
        }
    }
}

impl Life {
    fn ping(&mut self, out: &mut Vec<u8>) {
        let now = Instant::now();
        self.pings = self.pings.wrapping_add(1);
        self.last = Some(now);
        self.unanswered.get_or_insert(now);
        BaseServerMessage::Ping {
            id: self.pings,
            timestamp: channel::timestamp(),
            data: &[],
        }
        .encode(out);
    }

    /// How long the last PING took, if this is its answer.
    fn pong(&mut self, id: u32) -> Option<Duration> {
        let time = self.last.take_if(|_| id == self.pings)?.elapsed();
        self.best = self.best.min(time);
        Some(time)
    }

    /// The clock, if it is time and the way is free.
    fn clock(&mut self, round_trip: Duration, mm_time: impl Fn() -> u32, out: &mut Vec<u8>) {
        let quick = round_trip <= CLOCK_ROUND_TRIP.max(self.best);
        if quick && self.clock_sent.elapsed() >= CLOCK_INTERVAL {
            self.clock_sent = Instant::now();
            MainServerMessage::MultiMediaTime(mm_time()).encode(out);
        }
    }
}

/// Which modes there are, and the one that `wanted` comes to. Positions are better where
/// the guest takes them: the pointer does not lag.
fn mouse_modes(server: &super::Shared, wanted: Option<MouseModes>) -> (MouseModes, MouseModes) {
    let positions = server
        .consoles
        .iter()
        .all(|console| console.input.takes_positions());
    let supported = if positions {
        MouseModes::SERVER | MouseModes::CLIENT
    } else {
        MouseModes::SERVER
    };
    let current = match wanted {
        Some(MouseModes::SERVER) => MouseModes::SERVER,
        _ if positions => MouseModes::CLIENT,
        _ => MouseModes::SERVER,
    };
    (supported, current)
}

fn mouse_mode((supported, current): (MouseModes, MouseModes), out: &mut Vec<u8>) {
    MainServerMessage::MouseMode { supported, current }.encode(out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_sent_now_and_then_and_only_when_the_way_is_free() {
        let sent = Instant::now().checked_sub(CLOCK_INTERVAL).unwrap();
        let mut life = Life {
            pings: 0,
            last: None,
            unanswered: None,
            best: Duration::from_millis(80),
            clock_sent: sent,
        };
        let mut out = Vec::new();
        life.clock(Duration::from_millis(200), || 7, &mut out);
        assert_eq!(out, []);
        life.clock(Duration::from_millis(80), || 7, &mut out);
        assert_eq!(out, [106, 0, 4, 0, 0, 0, 7, 0, 0, 0]);
        life.clock(Duration::from_millis(80), || 7, &mut out);
        assert_eq!(out.len(), 10);
    }

    #[test]
    fn only_the_answer_to_the_last_ping_tells_a_time() {
        let mut life = Life {
            pings: 0,
            last: None,
            unanswered: None,
            best: Duration::MAX,
            clock_sent: Instant::now(),
        };
        assert_eq!(life.pong(0), None);
        life.ping(&mut Vec::new());
        life.ping(&mut Vec::new());
        assert_eq!(life.pong(1), None);
        assert!(life.pong(2).is_some());
        assert_eq!(life.pong(2), None);
    }
}
