//! What a packet of a stream is, by its headers.

use scanout_core::codec::{annexb, hevc, vp8, vp9};
use scanout_spice::wire::display::Codec;

/// What a packet holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contents {
    /// A decoder may start here, if `headers` too.
    pub keyframe: bool,
    /// The parameter sets that a decoder needs to start; always true where codecs have none.
    pub headers: bool,
    /// At least one picture, and nothing that cannot be read.
    pub whole: bool,
    /// H.264: at least two NAL units follow the last slice, without which stock clients
    /// show a picture when the next one comes. True for other codecs.
    pub closed: bool,
}

/// Looks over a packet.
pub fn contents(codec: Codec, packet: &[u8]) -> Contents {
    match codec {
        Codec::H264 => h264(packet),
        Codec::H265 => {
            let found = hevc::contents(packet);
            Contents {
                keyframe: found.keyframe,
                headers: found.vps && found.sps && found.pps,
                whole: found.pictures == 1,
                closed: true,
            }
        }
        Codec::Vp8 => {
            let header = vp8::FrameHeader::read(packet);
            no_headers(
                header.is_ok_and(|header| header.keyframe.is_some()),
                vp8::FrameHeader::read(packet).is_ok(),
            )
        }
        Codec::Vp9 => {
            let header = vp9::FrameHeader::read(packet);
            no_headers(
                header
                    .as_ref()
                    .is_ok_and(|header| header.keyframe.is_some()),
                header.is_ok(),
            )
        }
        // A JPEG from its first marker to its last.
        _ => no_headers(
            true,
            packet.starts_with(&[0xff, 0xd8]) && packet.ends_with(&[0xff, 0xd9]),
        ),
    }
}

/// An H.264 message of an access unit's delimiter and one SEI, and nothing else: it ends
/// the picture before it for stock clients and holds none.
pub(crate) fn only_begins_the_next(codec: Codec, packet: &[u8]) -> bool {
    let types = annexb::nal_units(packet).map(|nal| nal.bytes.first().map_or(0, |b| b & 0x1f));
    codec == Codec::H264 && types.eq([9, 6])
}

fn no_headers(keyframe: bool, whole: bool) -> Contents {
    Contents {
        keyframe,
        headers: true,
        whole,
        closed: true,
    }
}

fn h264(packet: &[u8]) -> Contents {
    let (mut sps, mut pps, mut idr, mut slices, mut after) = (false, false, false, 0, 0);
    for nal in annexb::nal_units(packet) {
        let unit_type = nal.bytes.first().map_or(0, |byte| byte & 0x1f);
        after += 1;
        match unit_type {
            1..=5 => {
                idr |= unit_type == 5;
                slices += 1;
                after = 0;
            }
            7 => sps = true,
            8 => pps = true,
            _ => {}
        }
    }
    Contents {
        keyframe: idr,
        headers: sps && pps,
        whole: slices > 0,
        closed: slices > 0 && after >= 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_begins_the_next_picture_is_a_delimiter_and_an_sei() {
        let begins = [0, 0, 0, 1, 9, 0xf0, 0, 0, 1, 6, 1];
        assert!(only_begins_the_next(Codec::H264, &begins));
        assert!(!only_begins_the_next(Codec::H265, &begins));
        assert!(!only_begins_the_next(Codec::H264, &begins[..6]));
        let picture = [&begins[..], &[0, 0, 1, 0x41, 1]].concat();
        assert!(!only_begins_the_next(Codec::H264, &picture));
        assert!(!only_begins_the_next(Codec::H264, &[]));
    }

    #[test]
    fn h264_packets_are_told_apart() {
        let (aud, sps, pps) = (
            [0, 0, 0, 1, 9, 0xf0],
            [0, 0, 0, 1, 0x67, 1],
            [0, 0, 1, 0x68, 1],
        );
        let (idr, slice, sei) = ([0, 0, 1, 0x65, 1], [0, 0, 0, 1, 0x41, 1], [0, 0, 1, 6, 1]);
        let first = [&aud[..], &sps, &pps, &idr, &aud, &sei].concat();
        let expected = Contents {
            keyframe: true,
            headers: true,
            whole: true,
            closed: true,
        };
        assert_eq!(contents(Codec::H264, &first), expected);
        let next = [&slice[..], &slice, &aud, &sei].concat();
        let expected = Contents {
            keyframe: false,
            headers: false,
            whole: true,
            closed: true,
        };
        assert_eq!(contents(Codec::H264, &next), expected);
        let open = [&slice[..], &aud].concat();
        assert!(!contents(Codec::H264, &open).closed);
        assert!(!contents(Codec::H264, &[&aud[..], &sei].concat()).whole);
        assert!(!contents(Codec::H264, &[&sps[..], &idr].concat()).headers);
    }

    #[test]
    fn other_packets_are_told_apart() {
        assert!(contents(Codec::Mjpeg, &[0xff, 0xd8, 0, 0xff, 0xd9]).whole);
        assert!(!contents(Codec::Mjpeg, &[0xff, 0xd8, 0, 0xff]).whole);
        // A keyframe of VP8, 16x16, and a frame between.
        let key = contents(Codec::Vp8, &[0x10, 0, 0, 0x9d, 1, 0x2a, 16, 0, 16, 0]);
        assert!(key.keyframe && key.whole);
        let between = contents(Codec::Vp8, &[0x11, 0, 0, 1]);
        assert!(!between.keyframe && between.whole);
        assert!(!contents(Codec::Vp8, &[]).whole && !contents(Codec::Vp9, &[]).whole);
        assert!(!contents(Codec::H265, &[0, 0, 1, 0x40, 1]).whole);
    }
}
