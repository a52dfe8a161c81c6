//! What is written reads back the same, and no bytes make a reader panic.
#![allow(missing_docs)]

mod codec_support;
#[path = "codec_support/values.rs"]
mod values;

use codec_support::cases;
use proptest::collection::vec;
use proptest::prelude::*;
use scanout_core::codec::annexb::{self, LengthSize, nal_units, write_nal};
use scanout_core::codec::bits::{BitReader, BitWriter, SyntaxError, escape_into, unescape_into};
use scanout_core::codec::h264::*;
use scanout_core::codec::{av1, hevc, vp8, vp9};
use scanout_core::color::ColorSpec;
use scanout_core::geometry::Size;
use values::{pps, slice, sps};

fn write_slice(
    slice: &SliceHeader,
    nal: NalHeader,
    sps: &Sps,
    pps: &Pps,
) -> Result<Vec<u8>, SyntaxError> {
    let mut writer = BitWriter::new();
    slice.write(&mut writer, &SliceContext { nal, sps, pps })?;
    writer.finish();
    Ok(nal.nal(writer.bytes()))
}

/// Every reader over `data`; the only result that counts is that there is one.
fn read_everything(data: &[u8]) {
    let mut sets = ParameterSets::default();
    for nal in nal_units(data) {
        let _ = sets.note(nal.bytes);
        let _ = sets.slice(nal.bytes);
        let _ = read_sei(nal.bytes);
        let _ = hevc::NalHeader::split(nal.bytes);
    }
    let total: usize = access_units(data).map(|unit| unit.bytes.len()).sum();
    assert!(total <= data.len());
    for nal in [
        data,
        &[&[0x67], data].concat(),
        &[&[0x68], data].concat(),
        &[&[0x65], data].concat(),
        &[&[0x06], data].concat(),
    ] {
        if let Ok(sps) = Sps::read_nal(nal) {
            let (visible, coded) = (sps.visible_size(), sps.coded_size());
            assert!(
                !visible.is_empty()
                    && visible.width <= coded.width
                    && visible.height <= coded.height
            );
            let written = sps.to_nal().unwrap();
            assert_eq!(Sps::read_nal(&written).unwrap(), sps);
        }
        let sps = Sps::new(&SpsConfig::new(Profile::High, Size::new(640, 480))).unwrap();
        if let Ok(pps) = Pps::read_nal(nal, |_| Some(&sps)) {
            assert_eq!(
                Pps::read_nal(&pps.to_nal(&sps).unwrap(), |_| Some(&sps)).unwrap(),
                pps
            );
        }
        let _ = SliceHeader::read_nal(nal, &sps, &Pps::default());
        if let Ok(messages) = read_sei(nal) {
            assert_eq!(read_sei(&sei_nal(&messages).unwrap()).unwrap(), messages);
        }
    }
    let mut out = Vec::new();
    for size in [LengthSize::One, LengthSize::Two, LengthSize::Four] {
        let _ = annexb::from_length_prefixed(data, size, &mut out);
    }
    let _ = SpsRewriter::new()
        .assert_no_reordering()
        .rewrite(data, &mut out);
    let _ = hevc::contents(data);
    let _ = av1::contents(data, None);
    let _ = av1::SequenceHeader::read(data);
    let _ = vp8::FrameHeader::read(data);
    let _ = vp9::FrameHeader::read(data);
}

proptest! {
    #![proptest_config(cases(1000))]

    #[test]
    fn sps_reads_as_written(sps in sps()) {
        let nal = sps.to_nal().unwrap();
        prop_assert_eq!(Sps::read_nal(&nal).unwrap(), sps);
        prop_assert!(nal_units(&[&[0, 0, 0, 1], &nal[..]].concat()).count() == 1, "a start code inside");
    }

    #[test]
    fn pps_reads_as_written((sps, pps) in sps().prop_flat_map(|sps| (Just(sps.clone()), pps(&sps)))) {
        let nal = pps.to_nal(&sps).unwrap();
        prop_assert_eq!(Pps::read_nal(&nal, |id| (id == sps.id).then_some(&sps)).unwrap(), pps);
    }

    /// Fields that the syntax leaves out are lost in the first writing; then nothing more is.
    #[test]
    fn slice_header_reads_as_written(
        (sps, pps) in sps().prop_flat_map(|sps| (Just(sps.clone()), pps(&sps))),
        slice in slice(), idr in any::<bool>(), ref_idc in 0u8..4,
    ) {
        let nal = NalHeader::new(if idr { 3 } else { ref_idc }, if idr { NalType::IDR } else { NalType::SLICE });
        let slice = SliceHeader { pps_id: pps.id, ..slice };
        let first = write_slice(&slice, nal, &sps, &pps).unwrap();
        let (read, _) = SliceHeader::read_nal(&first, &sps, &pps).unwrap();
        prop_assert_eq!(read.slice_type, slice.slice_type);
        prop_assert_eq!(read.frame_num, slice.frame_num);
        if read.slice_type.is_predicted() {
            prop_assert_eq!(&read.modifications[0], &slice.modifications[0]);
            prop_assert_eq!(read.active_refs.unwrap()[0], slice.active_refs.unwrap()[0]);
        }
        if nal.ref_idc != 0 && !idr {
            prop_assert_eq!(&read.marking.adaptive, &slice.marking.adaptive);
        }
        let second = write_slice(&read, nal, &sps, &pps).unwrap();
        prop_assert_eq!(&second, &first);
        prop_assert_eq!(SliceHeader::read_nal(&second, &sps, &pps).unwrap().0, read);
    }

    #[test]
    fn sei_reads_as_written(uuid in any::<[u8; 16]>(), data in vec(any::<u8>(), 0..600), frames in 0u32..65536, kind in 7u32..2000) {
        let messages = vec![
            SeiMessage::UserData { uuid, data: data.clone() },
            SeiMessage::RecoveryPoint(RecoveryPoint { frames, exact_match: true, ..RecoveryPoint::default() }),
            SeiMessage::Other { payload_type: kind, payload: data },
        ];
        prop_assert_eq!(read_sei(&sei_nal(&messages).unwrap()).unwrap(), messages);
    }

    #[test]
    fn escaping_hides_start_codes_and_comes_off_again(rbsp in vec(prop_oneof![3 => Just(0u8), 1 => 0u8..5, 1 => any::<u8>()], 0..300)) {
        // As every RBSP it ends with a stop bit.
        let rbsp = [&rbsp[..], &[0x80]].concat();
        let (mut escaped, mut back) = (vec![0x67], Vec::new());
        escape_into(&rbsp, &mut escaped);
        prop_assert!(!escaped.windows(3).any(|w| w[..2] == [0, 0] && w[2] < 3));
        prop_assert_ne!(escaped.last(), Some(&0));
        unescape_into(&escaped[1..], &mut back);
        prop_assert_eq!(&back, &rbsp);
        let mut reader = BitReader::escaped(&escaped[1..]);
        for byte in &rbsp {
            prop_assert_eq!(reader.read_bits("byte", 8).unwrap(), u32::from(*byte));
        }
    }

    #[test]
    fn codes_read_as_written(values in vec((0..u32::MAX, -i32::MAX..=i32::MAX, any::<u32>(), 0u32..=32), 0..50)) {
        let mut writer = BitWriter::new();
        for (ue, se, bits, count) in &values {
            writer.write_ue(*ue);
            writer.write_se(*se);
            writer.write_bits(u64::from(*bits), *count);
        }
        writer.finish();
        let mut reader = BitReader::new(writer.bytes());
        for (ue, se, bits, count) in &values {
            prop_assert!(reader.more_rbsp_data());
            prop_assert_eq!(reader.read_ue("ue").unwrap(), *ue);
            prop_assert_eq!(reader.read_se("se").unwrap(), *se);
            let mask = (1u64 << count) - 1;
            prop_assert_eq!(u64::from(reader.read_bits("u", *count).unwrap()), u64::from(*bits) & mask);
        }
        prop_assert!(!reader.more_rbsp_data());
        reader.finish("codes").unwrap();
    }

    #[test]
    fn arbitrary_bytes_never_panic(data in vec(prop_oneof![2 => Just(0u8), 1 => 0u8..4, 3 => any::<u8>()], 0..400)) {
        read_everything(&data);
    }

    /// Whole streams with a few bytes changed or cut get further into the readers than noise.
    #[test]
    fn damaged_streams_never_panic(
        (sps, pps) in sps().prop_flat_map(|sps| (Just(sps.clone()), pps(&sps))), slice in slice(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6), cut in any::<prop::sample::Index>(),
    ) {
        let mut stream = Vec::new();
        write_nal(&access_unit_delimiter(7), &mut stream);
        write_nal(&sps.to_nal().unwrap(), &mut stream);
        write_nal(&pps.to_nal(&sps).unwrap(), &mut stream);
        let nal = NalHeader::new(2, NalType::SLICE);
        write_nal(&write_slice(&SliceHeader { pps_id: pps.id, ..slice }, nal, &sps, &pps).unwrap(), &mut stream);
        for (at, byte) in damage {
            let at = at.index(stream.len());
            stream[at] = byte;
        }
        stream.truncate(cut.index(stream.len()) + 1);
        read_everything(&stream);
    }

    #[test]
    fn the_chosen_level_is_the_lowest_that_holds(
        width in 1u32..9000, height in 1u32..9000, refs in 1u8..=16, fps in 1u32..241, rate in 1u64..300_000_000,
    ) {
        let mut config = SpsConfig::new(Profile::High, Size::new(width, height));
        config.max_refs = refs;
        config.rate = Some((fps, 1));
        config.bitrate_ceiling_bps = Some(rate);
        // Table A-1 and A.3 in another form: 64-bit arithmetic over all rows.
        let (w, h) = (u64::from(width.div_ceil(16)), u64::from(height.div_ceil(16)));
        let fits = |l: &&Level| {
            w * h <= l.max_frame_mbs && w * w <= 8 * l.max_frame_mbs && h * h <= 8 * l.max_frame_mbs
                && w * h * u64::from(refs) <= l.max_dpb_mbs && w * h * u64::from(fps) <= l.max_mbps
                && rate <= l.max_bit_rate * 1250
        };
        match Sps::new(&config) {
            Ok(sps) => {
                prop_assert_eq!(Some(sps.level_idc), level::LEVELS.iter().find(fits).map(|l| l.idc));
                prop_assert_eq!(sps.visible_size(), config.size.align_up(2).unwrap());
                prop_assert_eq!(sps.coded_size(), config.size.align_up(16).unwrap());
            }
            Err(_) => prop_assert!(level::LEVELS.iter().find(fits).is_none()),
        }
    }

    #[test]
    fn leb128_reads_as_written(value in any::<u32>(), rest in vec(any::<u8>(), 0..4)) {
        let mut bytes = Vec::new();
        av1::write_leb128(value, &mut bytes);
        bytes.extend(&rest);
        prop_assert_eq!(av1::read_leb128(&bytes).unwrap(), (value, &rest[..]));
    }
}

#[test]
fn start_codes_of_both_lengths_and_trailing_zeros() {
    let stream = [
        9, 0, 0, 0, 1, 0x67, 1, 0, 0, 0, 0, 1, 0x68, 2, 0, 0, 1, 0x65, 3, 0, 0, 0,
    ];
    let units: Vec<_> = nal_units(&stream)
        .map(|n| (n.start, n.offset, n.bytes))
        .collect();
    assert_eq!(
        units,
        [
            (1, 5, &[0x67, 1][..]),
            (8, 12, &[0x68, 2]),
            (14, 17, &[0x65, 3])
        ]
    );
}

#[test]
fn refusals_name_element_value_and_bound() {
    let mut sps = Sps::new(&SpsConfig::new(Profile::High, Size::new(64, 64))).unwrap();
    sps.max_num_ref_frames = 17;
    let error = sps.to_nal().unwrap_err();
    assert_eq!(
        error.to_string(),
        "max_num_ref_frames at bit 40 is 17, allowed are 0 to 16"
    );
    let mut config = SpsConfig::new(Profile::High, Size::new(1920, 1080));
    config.rate = Some((100_000, 1));
    assert_eq!(
        Sps::new(&config).unwrap_err().to_string(),
        "the number of macroblocks per second is 816000000, the highest level (6.2) allows 16711680"
    );
    let sps = Sps::new(&SpsConfig::new(Profile::High, Size::new(64, 64))).unwrap();
    let mut rbsp = sps.to_rbsp().unwrap();
    rbsp.push(0x80);
    let nal = NalHeader::new(3, NalType::SPS).nal(&rbsp);
    assert!(matches!(
        Sps::read_nal(&nal),
        Err(SyntaxError::TrailingData { .. })
    ));
}

#[test]
fn odd_sizes_show_the_next_even_size_in_420_and_themselves_in_444() {
    let mut config = SpsConfig::new(Profile::High444Predictive, Size::new(1366, 767));
    assert_eq!(
        Sps::new(&config).unwrap().visible_size(),
        Size::new(1366, 768)
    );
    config.chroma = ChromaFormat::Yuv444;
    assert_eq!(
        Sps::new(&config).unwrap().visible_size(),
        Size::new(1366, 767)
    );
    let sps = Sps::new(&SpsConfig::new(Profile::High, Size::new(1920, 1080))).unwrap();
    assert_eq!(
        (sps.coded_size(), sps.visible_size()),
        (Size::new(1920, 1088), Size::new(1920, 1080))
    );
    assert_eq!(sps.codec_string(), "avc1.640028");
}

/// What passes through unchanged costs neither a copy nor memory.
#[test]
fn rewriting_leaves_the_buffer_alone_where_nothing_changes() {
    let sps = Sps::new(&SpsConfig::new(Profile::High, Size::new(64, 64))).unwrap();
    let rewriter = SpsRewriter::new()
        .color(ColorSpec::DESKTOP)
        .assert_no_reordering();
    let mut out = Vec::new();
    let slice = [0, 0, 0, 1, 0x41, 0x9A, 0, 0, 1, 0x67, 0xFF];
    assert_eq!(
        rewriter.rewrite(&slice, &mut out).unwrap(),
        Rewrite::Unchanged
    );
    let mut already = Vec::new();
    write_nal(&sps.to_nal().unwrap(), &mut already);
    assert_eq!(
        rewriter.rewrite(&already, &mut out).unwrap(),
        Rewrite::Unchanged
    );
    assert_eq!(out.capacity(), 0);
    let mut bare = Vec::new();
    write_nal(
        &Sps {
            vui: None,
            ..sps.clone()
        }
        .to_nal()
        .unwrap(),
        &mut bare,
    );
    assert_eq!(
        rewriter.rewrite(&bare, &mut out).unwrap(),
        Rewrite::Rewritten
    );
    let rewritten = Sps::read_nal(nal_units(&out).next().unwrap().bytes).unwrap();
    assert_eq!(rewritten.color(), sps.color());
    assert_eq!(rewritten.reorder(), sps.reorder());
}
