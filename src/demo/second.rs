//! Another judge: a decoder of GStreamer, fed packet by packet.

use std::time::Duration;

use scanout_core::encoder::{Codec, Packet};
use scanout_gst::{DecodeError, Decoder};

use crate::failure::{Exit, Failure};

/// Pictures that may be inside: decoders with a thread per picture hold some
/// back. It bounds the memory of those that came out and were not taken yet.
const INSIDE: u64 = 24;

/// Longest wait for one picture.
const LIMIT: Duration = Duration::from_secs(10);

/// Decodes `packets` and shows each picture to `each`. Returns the decoder's
/// name, or `None` where none is installed.
pub(super) fn decode(
    codec: Codec,
    packets: &[Packet],
    each: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<Option<String>, Failure> {
    let failed = |e: DecodeError| Failure::new(Exit::Verification, e);
    let mut decoder = match Decoder::open(codec) {
        Ok(decoder) => decoder,
        Err(DecodeError::Missing { .. }) => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut inside = 0;
    for packet in packets {
        decoder.push(packet).map_err(failed)?;
        inside += 1;
        let limit = if inside >= INSIDE {
            LIMIT
        } else {
            Duration::ZERO
        };
        match decoder.next(limit) {
            Ok(Some(picture)) => {
                inside -= 1;
                each(&picture.samples)?;
            }
            // Not there yet, or it ended early, which the end will tell.
            Ok(None) => {}
            Err(DecodeError::TimedOut { .. }) if limit.is_zero() => {}
            Err(error) => return Err(failed(error)),
        }
    }
    decoder.end().map_err(failed)?;
    while let Some(picture) = decoder.next(LIMIT).map_err(failed)? {
        each(&picture.samples)?;
    }
    Ok(Some(decoder.name().to_owned()))
}
