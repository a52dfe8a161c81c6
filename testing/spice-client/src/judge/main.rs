//! The main channel: INIT first and once, the list when it was asked for.

use scanout_spice::wire::main::{MainServerMessage, MouseModes};

use super::{Fault, Verdict, base, malformed};
use crate::log::Event;

/// Judges the main channel.
#[derive(Debug, Default)]
pub struct MainJudge {
    begun: bool,
    attached: bool,
}

impl MainJudge {
    /// The client has asked for the list of channels.
    pub fn attached(&mut self) {
        self.attached = true;
    }

    pub(super) fn message(&mut self, kind: u16, body: &[u8]) -> Verdict {
        let message = match MainServerMessage::decode(kind, body) {
            Ok(message) => message,
            Err(error) => return malformed(kind, error),
        };
        let mut faults = Vec::new();
        if !self.begun
            && !matches!(
                message,
                MainServerMessage::Base(_) | MainServerMessage::Init(_)
            )
        {
            faults.push(Fault::TooEarly { kind });
        }
        let event = match message {
            MainServerMessage::Base(message) => base(&message, &mut faults),
            MainServerMessage::Init(init) => {
                if std::mem::replace(&mut self.begun, true) {
                    faults.push(Fault::InitTwice);
                }
                for (name, value) in [
                    ("the session's id", init.session_id),
                    ("the clock", init.multi_media_time),
                ] {
                    if value == 0 {
                        faults.push(Fault::Zero(name));
                    }
                }
                mouse_mode(
                    init.supported_mouse_modes,
                    init.current_mouse_mode,
                    &mut faults,
                );
                Event::Session(init)
            }
            MainServerMessage::ChannelsList(channels) => {
                if !self.attached {
                    faults.push(Fault::ListUnasked);
                }
                Event::Channels(channels)
            }
            MainServerMessage::MouseMode { supported, current } => {
                mouse_mode(supported, current, &mut faults);
                Event::MouseMode(current)
            }
            MainServerMessage::MultiMediaTime(time) => {
                if time == 0 {
                    faults.push(Fault::Zero("the clock"));
                }
                Event::Clock(time)
            }
            MainServerMessage::Name(name) => Event::Name(name.to_vec()),
            _ => Event::Other(kind),
        };
        Verdict { event, faults }
    }
}

fn mouse_mode(supported: MouseModes, current: MouseModes, faults: &mut Vec<Fault>) {
    let one = current == MouseModes::SERVER || current == MouseModes::CLIENT;
    if !one || !supported.contains(current) || !MouseModes::all().contains(supported) {
        faults.push(Fault::MouseMode {
            current: current.bits(),
            supported: supported.bits(),
        });
    }
}
