//! The inputs channel: INIT first, and no more acknowledgements than motions.

use scanout_spice::wire::inputs::{InputsServerMessage, MOTIONS_PER_ACK};

use super::{Fault, Verdict, base, malformed};
use crate::log::Event;

/// Judges the inputs channel.
#[derive(Debug, Default)]
pub struct InputsJudge {
    begun: bool,
    motions: u64,
    acks: u64,
}

impl InputsJudge {
    /// The client has sent a motion or a position.
    pub fn moved(&mut self) {
        self.motions += 1;
    }

    pub(super) fn message(&mut self, kind: u16, body: &[u8]) -> Verdict {
        let message = match InputsServerMessage::decode(kind, body) {
            Ok(message) => message,
            Err(error) => return malformed(kind, error),
        };
        let mut faults = Vec::new();
        if !self.begun
            && !matches!(
                message,
                InputsServerMessage::Base(_) | InputsServerMessage::Init(_)
            )
        {
            faults.push(Fault::TooEarly { kind });
        }
        let event = match message {
            InputsServerMessage::Base(message) => base(&message, &mut faults),
            InputsServerMessage::Init(modifiers) => {
                if std::mem::replace(&mut self.begun, true) {
                    faults.push(Fault::InitTwice);
                }
                Event::KeyModifiers(modifiers)
            }
            InputsServerMessage::KeyModifiers(modifiers) => Event::KeyModifiers(modifiers),
            _ => {
                self.acks += 1;
                if self.acks * u64::from(MOTIONS_PER_ACK) > self.motions {
                    faults.push(Fault::MotionAck {
                        acks: self.acks,
                        motions: self.motions,
                    });
                }
                Event::MotionAck
            }
        };
        Verdict { event, faults }
    }
}
