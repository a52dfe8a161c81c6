//! Coded bytes: whatever an encoder, a file or a driver hands us.

use scanout_core::codec::annexb::{self, LengthSize};
use scanout_core::codec::h264::{self, ParameterSets, Pps, Sps, SpsRewriter};
use scanout_core::codec::{av1, hevc, jpeg, vp8, vp9};
use scanout_core::color::ColorSpec;

pub(crate) fn annexb(data: &[u8]) {
    let mut end = 0;
    let mut units = Vec::new();
    for nal in annexb::nal_units(data) {
        assert!(!nal.bytes.is_empty());
        assert!(nal.start >= end && nal.start < nal.offset);
        assert_eq!(&data[nal.range()], nal.bytes);
        end = nal.range().end;
        units.push(nal.bytes);
    }
    let mut prefixed = Vec::new();
    annexb::to_length_prefixed(data, &mut prefixed).expect("no unit here has 4 GiB");
    let mut stream = Vec::new();
    annexb::from_length_prefixed(&prefixed, LengthSize::Four, &mut stream)
        .expect("what we wrote can be read");
    let again: Vec<_> = annexb::nal_units(&stream).map(|nal| nal.bytes).collect();
    assert_eq!(units, again);

    // The same bytes taken for length-prefixed ones.
    for size in [LengthSize::One, LengthSize::Two, LengthSize::Four] {
        let _ = annexb::from_length_prefixed(data, size, &mut stream);
    }
}

pub(crate) fn h264(data: &[u8]) {
    let mut sets = ParameterSets::default();
    for nal in annexb::nal_units(data) {
        let nal = nal.bytes;
        let _ = sets.note(nal);
        if let Ok(sps) = Sps::read_nal(nal) {
            // What we can read we can write, and it means the same.
            let written = sps.to_nal().expect("an SPS that was read can be written");
            assert_eq!(Sps::read_nal(&written).as_ref(), Ok(&sps));
            let (visible, coded) = (sps.visible_size(), sps.coded_size());
            assert!(visible.width <= coded.width && visible.height <= coded.height);
            let _ = (sps.codec_string(), sps.color(), sps.reorder());
        }
        if let Ok(pps) = Pps::read_nal(nal, |id| sets.sps(id)) {
            let sps = sets.sps(pps.sps_id).expect("it was read by it");
            let written = pps.to_nal(sps).expect("a PPS that was read can be written");
            assert_eq!(
                Pps::read_nal(&written, |id| sets.sps(id)).as_ref(),
                Ok(&pps)
            );
        }
        let _ = sets.slice(nal);
        let _ = h264::read_sei(nal);
    }
    for unit in h264::access_units(data) {
        let _ = unit;
    }
    let mut out = Vec::new();
    let rewriter = SpsRewriter::new()
        .color(ColorSpec::DESKTOP)
        .assert_no_reordering();
    let _ = rewriter.rewrite(data, &mut out);
}

pub(crate) fn others(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    match first % 4 {
        0 => {
            let _ = hevc::contents(rest);
        }
        1 => {
            for obu in av1::obus(rest).flatten() {
                let _ = av1::SequenceHeader::read(obu.payload).map(|h| h.codec_string());
            }
        }
        2 => {
            let _ = vp8::FrameHeader::read(rest);
            let _ = jpeg::FrameHeader::read(rest);
        }
        _ => {
            let _ = vp9::FrameHeader::read(rest);
        }
    }
}
