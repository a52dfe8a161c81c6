//! What stock clients need an H.264 access unit to look like.
//!
//! spice-gtk feeds its parser a byte stream of no stated alignment: picture N comes out
//! once a whole NAL unit of picture N+1 went in. A desktop that falls silent after N
//! would never be seen. So each message ends with the *next* access unit's delimiter
//! (AUD, which ends picture N) and one SEI (whose start code ends the AUD), and the next
//! message begins without a delimiter of its own. Put together, a viewer's messages are
//! a valid stream: one AUD per access unit and first in it (7.4.1.2.3), the SEI before
//! the slices.
//!
//! A parser gives a picture the time of the message in which its access unit begins, which
//! is the one before it; and spice-gtk shows a picture only if the message of that time
//! waits for one. The first message's time is taken by its own picture. So a stream's first
//! picture goes without that end, which follows as a message of its own: otherwise the
//! second picture is dropped ("got an unexpected decoded buffer").
//!
//! The SEI is user data. An encoder that writes buffering periods wants those to be the
//! first SEI of their access unit (7.4.1.2.3 too); then ours comes before it, which
//! decoders do not mind.

use scanout_core::codec::annexb::nal_units;
use scanout_core::encoder::PacketBytes;

use super::{Payload, VideoCodec};

/// `nal_unit_type` of an access unit delimiter.
const AUD: u8 = 9;

/// AUD with `primary_pic_type` 7, any slice: 9, then 111 and the stop bit.
const DELIMITER: &[u8] = &[0, 0, 0, 1, AUD, 0xf0];

/// The same, and an SEI NAL unit of `user_data_unregistered`: a UUID without data.
const NEXT_BEGINS: &[u8] = &[
    0, 0, 0, 1, AUD, 0xf0, //
    0, 0, 1, 6, 5, 16, //
    0x8f, 0x3c, 0x51, 0xd2, 0x6a, 0x97, 0x4e, 0x1b, //
    0xa5, 0x74, 0xc8, 0x2d, 0xe9, 0x36, 0x5f, 0xb0, //
    0x80,
];

/// Length of what goes up to the end of an encoder's own AUD; 0 where it writes none.
pub(super) fn own_delimiter(codec: VideoCodec, packet: &[u8]) -> usize {
    if codec != VideoCodec::H264 {
        return 0;
    }
    match nal_units(packet).next() {
        Some(nal) if nal.bytes.first().is_some_and(|b| b & 0x1f == AUD) => nal.range().end,
        _ => 0,
    }
}

/// A packet as a viewer gets it. `begun`: the viewer's last message of this stream has
/// begun this access unit already.
pub(super) fn payload(
    codec: VideoCodec,
    body: &PacketBytes,
    own_delimiter: usize,
    begun: bool,
) -> Payload {
    let mut payload = Payload {
        head: &[],
        body: body.clone(),
        skip: 0,
        tail: &[],
    };
    if codec == VideoCodec::H264 {
        payload.tail = NEXT_BEGINS;
        if begun {
            payload.skip = own_delimiter;
        } else if own_delimiter == 0 {
            payload.head = DELIMITER;
        }
    }
    payload
}

/// The end of a stream's first message, as a message of its own; takes it from there.
pub(super) fn split_end(payload: &mut Payload) -> Option<Payload> {
    if payload.tail.is_empty() {
        return None;
    }
    let tail = std::mem::take(&mut payload.tail);
    Some(Payload {
        head: &[],
        body: Vec::new().into(),
        skip: 0,
        tail,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use scanout_core::codec::h264::{SeiMessage, access_unit_delimiter, read_sei};

    const SLICE: [u8; 9] = [0, 0, 0, 1, 0x65, 0x88, 0x80, 0x10, 0x42];

    fn with_aud() -> PacketBytes {
        [&[0, 0, 0, 1, 9, 0x10][..], &SLICE].concat().into()
    }

    fn types(stream: &[u8]) -> Vec<u8> {
        nal_units(stream).map(|nal| nal.bytes[0] & 0x1f).collect()
    }

    #[test]
    fn messages_together_have_one_delimiter_per_access_unit_and_the_sei_before_the_slices() {
        for (first, second) in [
            (with_aud(), with_aud()),
            (PacketBytes::from(SLICE.to_vec()), SLICE.to_vec().into()),
            (with_aud(), SLICE.to_vec().into()),
        ] {
            let mut stream = Vec::new();
            for (packet, begun) in [(&first, false), (&second, true)] {
                let own = own_delimiter(VideoCodec::H264, packet);
                for piece in payload(VideoCodec::H264, packet, own, begun).pieces() {
                    stream.extend_from_slice(piece);
                }
            }
            assert_eq!(types(&stream), [9, 5, 9, 6, 5, 9, 6]);
        }
    }

    #[test]
    fn the_constant_pieces_are_what_the_core_writes_and_reads() {
        let nals: Vec<_> = nal_units(NEXT_BEGINS).collect();
        assert_eq!(nals.len(), 2);
        assert_eq!(nals[0].bytes, access_unit_delimiter(7));
        let messages = read_sei(nals[1].bytes).unwrap();
        assert!(
            matches!(&messages[..], [SeiMessage::UserData { data, .. }] if data.is_empty()),
            "{messages:?}"
        );
        assert_eq!(DELIMITER, &NEXT_BEGINS[..DELIMITER.len()]);
    }

    #[test]
    fn other_codecs_go_as_they_are() {
        for codec in [VideoCodec::Vp8, VideoCodec::H265, VideoCodec::Mjpeg] {
            let packet = with_aud();
            let own = own_delimiter(codec, &packet);
            let payload = payload(codec, &packet, own, true);
            assert_eq!(payload.pieces(), [&[][..], &packet[..], &[][..]]);
        }
    }
}
