//! The cursor channel: INIT first, and no shape from the cache that was not put there.

use std::collections::HashSet;

use scanout_spice::wire::cursor::{CursorHeader, CursorServerMessage, CursorShape};

use super::{Fault, Verdict, base, malformed};
use crate::log::Event;

/// Judges a cursor channel.
#[derive(Debug, Default)]
pub struct CursorJudge {
    begun: bool,
    cache: HashSet<u64>,
}

impl CursorJudge {
    pub(super) fn message(&mut self, kind: u16, body: &[u8]) -> Verdict {
        let message = match CursorServerMessage::decode(kind, body) {
            Ok(message) => message,
            Err(error) => return malformed(kind, error),
        };
        let mut faults = Vec::new();
        if !self.begun
            && !matches!(
                message,
                CursorServerMessage::Base(_) | CursorServerMessage::Init { .. }
            )
        {
            faults.push(Fault::TooEarly { kind });
        }
        let event = match message {
            CursorServerMessage::Base(message) => base(&message, &mut faults),
            CursorServerMessage::Init { visible, shape, .. } => {
                if std::mem::replace(&mut self.begun, true) {
                    faults.push(Fault::InitTwice);
                }
                self.shape(visible, shape, &mut faults)
            }
            CursorServerMessage::Set { visible, shape, .. } => {
                self.shape(visible, shape, &mut faults)
            }
            CursorServerMessage::Move(position) => Event::Pointer(position),
            CursorServerMessage::Hide => Event::PointerHidden,
            CursorServerMessage::InvalOne(unique) => {
                if !self.cache.remove(&unique) {
                    faults.push(Fault::NotCached(unique));
                }
                Event::Other(kind)
            }
            CursorServerMessage::Reset | CursorServerMessage::InvalAll => {
                self.cache.clear();
                Event::Other(kind)
            }
            _ => Event::Other(kind),
        };
        Verdict { event, faults }
    }

    fn shape(&mut self, visible: bool, shape: CursorShape<'_>, faults: &mut Vec<Fault>) -> Event {
        let size = match shape {
            CursorShape::None => None,
            CursorShape::Shape { header, cache, .. } => {
                if cache {
                    if header.unique == 0 {
                        faults.push(Fault::Zero("the name of a cursor to keep"));
                    }
                    self.cache.insert(header.unique);
                }
                Some(checked(header, faults))
            }
            CursorShape::FromCache { header } => {
                if !self.cache.contains(&header.unique) {
                    faults.push(Fault::NotCached(header.unique));
                }
                Some((header.width, header.height))
            }
        };
        Event::Shape { visible, size }
    }
}

fn checked(header: CursorHeader, faults: &mut Vec<Fault>) -> (u16, u16) {
    let (size, hot) = (
        (header.width, header.height),
        (header.hot_spot_x, header.hot_spot_y),
    );
    if size.0 == 0 || size.1 == 0 {
        faults.push(Fault::Zero("a side of a cursor"));
    } else if hot.0 >= size.0 || hot.1 >= size.1 {
        faults.push(Fault::HotSpot { hot, size });
    }
    size
}
