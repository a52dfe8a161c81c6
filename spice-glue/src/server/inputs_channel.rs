//! Keys and pointer.

use std::sync::Arc;
use std::time::Instant;

use super::Shared;
use super::channel::{self, Channel, Ended};
use super::console::InputSink;
use super::pace::Pace;
use crate::wire::inputs::{
    InputsClientMessage, InputsServerMessage, KeyModifiers, MOTIONS_PER_ACK, MouseButton,
};
use crate::wire::keys::{KeyEvent, Scancodes};

/// QEMU's numbers of the keys with a lock.
const LOCK_KEYS: [(KeyModifiers, u8); 3] = [
    (KeyModifiers::SCROLL_LOCK, 0x46),
    (KeyModifiers::NUM_LOCK, 0x45),
    (KeyModifiers::CAPS_LOCK, 0x3a),
];

pub(super) async fn run(channel: Channel<'_>) -> Ended {
    let Channel {
        incoming,
        outflow,
        claim,
        server,
        ..
    } = channel;
    let mut inputs = Inputs::new(server, claim.session.id);
    let mut pace = Pace::new(server.config.limits.inputs_per_second, Instant::now());
    let mut out = Vec::new();
    InputsServerMessage::Init(inputs.told).encode(&mut out);
    loop {
        if !out.is_empty() {
            outflow.send(&out).await?;
            out.clear();
        }
        let (kind, body) = incoming.message().await?;
        let message = InputsClientMessage::decode(kind, body)?;
        if let InputsClientMessage::Base(message) = &message {
            channel::base(message, server)?;
        } else {
            inputs.message(message, &mut out);
            inputs.tell_locks(&mut out);
        }
        // A message of scan codes may hold many keys.
        let cost = u32::try_from(body.len().div_ceil(16)).unwrap_or(u32::MAX);
        pace.wait(cost.max(1)).await;
    }
}

/// What one client holds down. Dropping it lets go.
struct Inputs<'a> {
    server: &'a Shared,
    session: u32,
    codes: Scancodes,
    keys: [bool; 256],
    /// A button, and the console where it went down.
    buttons: Vec<(MouseButton, Arc<dyn InputSink>)>,
    /// The console where the pointer was last.
    pointed: usize,
    motions: u32,
    /// The guest's locks as the client knows them.
    told: KeyModifiers,
}

impl<'a> Inputs<'a> {
    fn new(server: &'a Shared, session: u32) -> Self {
        let locks = server.consoles.first().and_then(|c| c.input.locks());
        Self {
            server,
            session,
            told: locks.unwrap_or(KeyModifiers::empty()),
            codes: Scancodes::default(),
            keys: [false; 256],
            buttons: Vec::new(),
            pointed: 0,
            motions: 0,
        }
    }

    fn sink(&self, console: usize) -> Option<&Arc<dyn InputSink>> {
        self.server.consoles.get(console).map(|c| &c.input)
    }

    /// The guest's locks, if they are others than the client was told.
    fn tell_locks(&mut self, out: &mut Vec<u8>) {
        if let Some(locks) = self.sink(0).and_then(|sink| sink.locks())
            && locks != self.told
        {
            self.told = locks;
            InputsServerMessage::KeyModifiers(locks).encode(out);
        }
    }

    fn message(&mut self, message: InputsClientMessage<'_>, out: &mut Vec<u8>) {
        if let InputsClientMessage::Unknown { .. } = message {
            return self.server.counters.skipped.add(1);
        }
        // Clients stop to send motions that are not acknowledged, looked at or not.
        if let InputsClientMessage::MouseMotion { .. } | InputsClientMessage::MousePosition { .. } =
            message
        {
            self.motions += 1;
            if self.motions == MOTIONS_PER_ACK {
                self.motions = 0;
                InputsServerMessage::MouseMotionAck.encode(out);
            }
        }
        if !self.server.registry.may_type(self.session) {
            return self.server.counters.inputs_ignored.add(1);
        }
        self.server.counters.inputs.add(1);
        match message {
            InputsClientMessage::KeyDown(code) | InputsClientMessage::KeyUp(code) => {
                Scancodes::code(code).for_each(|key| self.key(key));
            }
            InputsClientMessage::KeyScancode(codes) => {
                for code in codes {
                    if let Some(key) = self.codes.push(*code) {
                        self.key(key);
                    }
                }
            }
            InputsClientMessage::KeyModifiers(wanted) => self.set_locks(wanted),
            InputsClientMessage::MouseMotion { dx, dy, .. } => {
                self.pointed = 0;
                if let Some(sink) = self.sink(0) {
                    sink.motion(dx, dy);
                }
            }
            InputsClientMessage::MousePosition {
                x, y, display_id, ..
            } => self.position(display_id.into(), x, y),
            InputsClientMessage::MousePress {
                button: Some(button),
                ..
            } => self.press(button),
            InputsClientMessage::MouseRelease {
                button: Some(button),
                ..
            } => self.release(button),
            _ => {}
        }
    }

    fn key(&mut self, KeyEvent { qnum, down }: KeyEvent) {
        let Some(held) = self.keys.get_mut(usize::from(qnum)) else {
            return;
        };
        // What was never down cannot come up: it may be another client's.
        if !down && !*held {
            return;
        }
        *held = down;
        if let Some(sink) = self.sink(0) {
            sink.key(qnum, down);
        }
    }

    /// Taps the keys whose locks are not as `wanted`, where the guest's are known.
    fn set_locks(&self, wanted: KeyModifiers) {
        let Some(sink) = self.sink(0) else { return };
        let Some(locks) = sink.locks() else { return };
        for (lock, qnum) in LOCK_KEYS {
            if locks.contains(lock) != wanted.contains(lock) {
                sink.key(qnum, true);
                sink.key(qnum, false);
            }
        }
    }

    fn position(&mut self, console: usize, x: u32, y: u32) {
        let Some(sink) = self.sink(console) else {
            return;
        };
        if sink.takes_positions() {
            sink.position(x, y);
            self.pointed = console;
        }
    }

    fn press(&mut self, button: MouseButton) {
        let Some(sink) = self.sink(self.pointed).cloned() else {
            return;
        };
        match button {
            MouseButton::Up => sink.wheel(true),
            MouseButton::Down => sink.wheel(false),
            _ => {
                if self.buttons.iter().all(|(held, _)| *held != button) {
                    sink.button(button, true);
                    self.buttons.push((button, sink));
                }
            }
        }
    }

    fn release(&mut self, button: MouseButton) {
        if let Some(at) = self.buttons.iter().position(|(held, _)| *held == button) {
            let (button, sink) = self.buttons.swap_remove(at);
            sink.button(button, false);
        }
    }
}

impl Drop for Inputs<'_> {
    fn drop(&mut self) {
        if let Some(sink) = self.sink(0) {
            for (qnum, _) in (0..=u8::MAX).zip(self.keys).filter(|(_, held)| *held) {
                sink.key(qnum, false);
            }
        }
        for (button, sink) in self.buttons.drain(..) {
            sink.button(button, false);
        }
    }
}
