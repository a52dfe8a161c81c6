//! What is written reads back the same, and no bytes make a reader panic.
#![allow(missing_docs)]

mod codec_support;

use codec_support::cases;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use scanout_core::codec::annexb::{self, LengthSize, nal_units, write_nal};
use scanout_core::codec::bits::{BitReader, BitWriter, SyntaxError, escape_into, unescape_into};
use scanout_core::codec::h264::pps::{HighPps, SliceGroupMap, SliceGroups};
use scanout_core::codec::h264::scaling::ScalingList;
use scanout_core::codec::h264::slice::*;
use scanout_core::codec::h264::sps::{Crop, HighFields, PocType};
use scanout_core::codec::h264::vui::*;
use scanout_core::codec::h264::*;
use scanout_core::codec::{av1, hevc, vp8, vp9};
use scanout_core::geometry::Size;

/// A coded list of at most `size` scales: ends at the first next scale of 0.
fn scaling_list(size: usize) -> impl Strategy<Value = ScalingList> {
    vec(any::<i8>(), size).prop_map(|deltas| {
        let mut list = ScalingList::default();
        let mut last = 8u8;
        for delta in deltas {
            list.deltas.push(delta);
            last = last.wrapping_add_signed(delta);
            if last == 0 {
                break;
            }
        }
        list
    })
}

fn lists(count: usize) -> impl Strategy<Value = scaling::ScalingLists> {
    (
        vec(of(scaling_list(16)), 6),
        vec(of(scaling_list(64)), count - 6),
    )
        .prop_map(|(small, large)| small.into_iter().chain(large).collect())
}

fn high() -> impl Strategy<Value = HighFields> {
    (0u8..4, any::<bool>(), 0u8..7, 0u8..7, any::<bool>()).prop_flat_map(
        |(format, separate, luma, chroma, bypass)| {
            of(lists(if format == 3 { 12 } else { 8 })).prop_map(move |scaling| HighFields {
                chroma_format_idc: format,
                separate_colour_plane: separate && format == 3,
                bit_depth_luma_minus8: luma,
                bit_depth_chroma_minus8: chroma,
                transform_bypass: bypass,
                scaling,
            })
        },
    )
}

fn hrd() -> impl Strategy<Value = Hrd> {
    (
        (0u8..16, 0u8..16, 0u8..32, 0u8..32, 0u8..32, 0u8..32),
        vec((0..u32::MAX - 1, 0..u32::MAX - 1, any::<bool>()), 1..=32),
    )
        .prop_map(|((rate, size, a, b, c, d), cpbs)| Hrd {
            bit_rate_scale: rate,
            cpb_size_scale: size,
            cpbs: cpbs
                .into_iter()
                .map(|(rate, size, cbr)| Cpb {
                    bit_rate_value_minus1: rate,
                    cpb_size_value_minus1: size,
                    cbr,
                })
                .collect(),
            initial_cpb_removal_delay_length_minus1: a,
            cpb_removal_delay_length_minus1: b,
            dpb_output_delay_length_minus1: c,
            time_offset_length: d,
        })
}

fn vui() -> impl Strategy<Value = Vui> {
    let ratio = prop_oneof![
        (0u8..255).prop_map(|idc| AspectRatio { idc, sar: (0, 0) }),
        any::<(u16, u16)>().prop_map(|sar| AspectRatio { idc: 255, sar }),
    ];
    let codes = any::<(u8, u8, u8)>().prop_map(|(primaries, transfer, matrix)| ColorCodes {
        primaries,
        transfer,
        matrix,
    });
    let signal =
        (0u8..8, any::<bool>(), of(codes)).prop_map(|(format, full_range, color)| VideoSignal {
            format,
            full_range,
            color,
        });
    let location = (0u8..6, 0u8..6).prop_map(|(top, bottom)| ChromaLocation { top, bottom });
    let timing = (1u32.., 1u32.., any::<bool>()).prop_map(|(n, t, fixed)| Timing {
        num_units_in_tick: n,
        time_scale: t,
        fixed_frame_rate: fixed,
    });
    let limits = (
        any::<bool>(),
        0u8..17,
        0u8..17,
        0u8..17,
        0u8..17,
        0u8..17,
        0u8..17,
    )
        .prop_map(|(over, a, b, c, d, x, y)| BitstreamRestriction {
            motion_vectors_over_pic_boundaries: over,
            max_bytes_per_pic_denom: a,
            max_bits_per_mb_denom: b,
            log2_max_mv_length_horizontal: c,
            log2_max_mv_length_vertical: d,
            max_num_reorder_frames: x.min(y),
            max_dec_frame_buffering: x.max(y),
        });
    (
        of(ratio),
        of(any::<bool>()),
        of(signal),
        of(location),
        of(timing),
        of(hrd()),
        of(hrd()),
        any::<(bool, bool)>(),
        of(limits),
    )
        .prop_map(
            |(
                aspect_ratio,
                overscan,
                video_signal,
                chroma_location,
                timing,
                nal,
                vcl,
                flags,
                restriction,
            )| Vui {
                aspect_ratio,
                overscan_appropriate: overscan,
                video_signal,
                chroma_location,
                timing,
                low_delay_hrd: flags.0 && (nal.is_some() || vcl.is_some()),
                nal_hrd: nal,
                vcl_hrd: vcl,
                pic_struct_present: flags.1,
                restriction,
            },
        )
}

fn poc() -> impl Strategy<Value = PocType> {
    let any_i32 = || -i32::MAX..=i32::MAX;
    prop_oneof![
        (0u8..13).prop_map(|bits| PocType::Lsb {
            log2_max_lsb_minus4: bits
        }),
        (any::<bool>(), any_i32(), any_i32(), vec(any_i32(), 0..=255)).prop_map(
            |(zero, a, b, offsets)| PocType::Cycle {
                delta_always_zero: zero,
                offset_for_non_ref_pic: a,
                offset_for_top_to_bottom_field: b,
                offsets,
            }
        ),
        Just(PocType::CodingOrder),
    ]
}

fn sps() -> impl Strategy<Value = Sps> {
    let profile = prop_oneof![
        prop_oneof![Just(66u8), Just(77), Just(88)].prop_map(|p| (p, None)),
        (
            prop_oneof![Just(100u8), Just(110), Just(122), Just(244), Just(44)],
            high()
        )
            .prop_map(|(p, h)| (p, Some(h))),
    ];
    (
        (
            profile,
            any::<u8>(),
            any::<u8>(),
            0u8..32,
            0u8..13,
            poc(),
            0u8..17,
        ),
        (
            any::<bool>(),
            0u32..4096,
            0u32..2048,
            of(any::<bool>()),
            any::<bool>(),
        ),
        of((any::<(u32, u32, u32, u32)>(),)),
        of(vui()),
    )
        .prop_map(
            |(head, (gaps, width, height, interlaced, direct), crop, vui)| {
                let ((profile_idc, high), constraint_flags, level_idc, id, log2, poc, refs) = head;
                let mut sps = Sps {
                    profile_idc,
                    constraint_flags,
                    level_idc,
                    id,
                    high,
                    log2_max_frame_num_minus4: log2,
                    poc,
                    max_num_ref_frames: refs,
                    gaps_in_frame_num_allowed: gaps,
                    pic_width_in_mbs_minus1: width,
                    pic_height_in_map_units_minus1: height,
                    interlaced,
                    direct_8x8_inference: direct,
                    crop: None,
                    vui,
                };
                let (unit, coded) = (sps.crop_unit(), sps.coded_size());
                let (x, y) = ((coded.width - 1) / unit.0, (coded.height - 1) / unit.1);
                sps.crop = crop.map(|((a, b, c, d),)| {
                    let (left, top) = (a % (x + 1), c % (y + 1));
                    Crop {
                        left,
                        right: b % (x - left + 1),
                        top,
                        bottom: d % (y - top + 1),
                    }
                });
                sps
            },
        )
}

fn slice_groups() -> impl Strategy<Value = SliceGroups> {
    (1u8..8).prop_flat_map(|count_minus1| {
        let n = usize::from(count_minus1);
        let unit = || 0u32..(1 << 20);
        prop_oneof![
            vec(unit(), n + 1).prop_map(SliceGroupMap::Interleaved),
            Just(SliceGroupMap::Dispersed),
            vec((unit(), unit()), n).prop_map(SliceGroupMap::Foreground),
            (3u8..6, any::<bool>(), unit()).prop_map(|(map_type, direction, rate_minus1)| {
                SliceGroupMap::Changing {
                    map_type,
                    direction,
                    rate_minus1,
                }
            }),
            vec(0..=count_minus1, 1..200).prop_map(SliceGroupMap::Explicit),
        ]
        .prop_map(move |map| SliceGroups { count_minus1, map })
    })
}

fn pps(sps: &Sps) -> impl Strategy<Value = Pps> + use<> {
    let (sps_id, format) = (sps.id, sps.chroma_format_idc());
    let high = any::<bool>().prop_flat_map(move |transform_8x8| {
        let large = if !transform_8x8 {
            0
        } else if format == 3 {
            6
        } else {
            2
        };
        (of(lists(6 + large)), -12i32..=12).prop_map(move |(scaling, offset)| HighPps {
            transform_8x8,
            scaling,
            second_chroma_qp_index_offset: offset,
        })
    });
    (
        any::<(u8, bool, bool, bool, bool, bool, bool)>(),
        (of(slice_groups()), 0u8..32, 0u8..32, 0u8..3),
        (-26i32..=25, -26i32..=25, -12i32..=12),
        of(high),
    )
        .prop_map(
            move |(
                (id, cabac, bottom, weighted, deblocking, intra, redundant),
                (groups, l0, l1, bipred),
                (qp, qs, chroma),
                high,
            )| Pps {
                id,
                sps_id,
                cabac,
                bottom_field_pic_order: bottom,
                slice_groups: groups,
                num_ref_idx_l0_default_minus1: l0,
                num_ref_idx_l1_default_minus1: l1,
                weighted_pred: weighted,
                weighted_bipred_idc: bipred,
                pic_init_qp_minus26: qp,
                pic_init_qs_minus26: qs,
                chroma_qp_index_offset: chroma,
                deblocking_control: deblocking,
                constrained_intra_pred: intra,
                redundant_pic_cnt: redundant,
                high,
            },
        )
}

/// A header with every field set; what the syntax does not code is dropped by reading it back.
fn slice() -> impl Strategy<Value = SliceHeader> {
    let command = prop_oneof![
        (0u32..1 << 17).prop_map(ListCommand::Subtract),
        (0u32..1 << 17).prop_map(ListCommand::Add),
        (0u32..32).prop_map(ListCommand::LongTerm),
    ];
    let modification =
        of(vec(command, 0..=32).prop_map(|c| c.into_iter().collect::<ListModification>()));
    let marking = prop_oneof![
        any::<u16>().prop_map(|d| MarkingOp::ForgetShortTerm {
            difference_minus1: d.into()
        }),
        (0u32..32).prop_map(|pic_num| MarkingOp::ForgetLongTerm { pic_num }),
        (any::<u16>(), 0u32..16).prop_map(|(d, index)| MarkingOp::ShortToLongTerm {
            difference_minus1: d.into(),
            index
        }),
        (0u32..=16).prop_map(|count| MarkingOp::LongTermLimit { count }),
        Just(MarkingOp::ForgetAll),
        (0u32..16).prop_map(|index| MarkingOp::CurrentToLongTerm { index }),
    ];
    let pair = || (-128i32..=127, -128i32..=127).prop_map(|(a, b)| [a, b]);
    let weight = (of(pair()), of((pair(), pair()).prop_map(|(a, b)| [a, b])))
        .prop_map(|(luma, chroma)| Weight { luma, chroma });
    let kind = prop_oneof![
        Just(SliceType::P),
        Just(SliceType::B),
        Just(SliceType::I),
        Just(SliceType::Sp),
        Just(SliceType::Si)
    ];
    (
        (
            kind,
            any::<bool>(),
            0u8..3,
            any::<u16>(),
            -12i32..=12,
            any::<[i32; 3]>(),
        ),
        (
            0u8..128,
            any::<bool>(),
            [1u8..=16, 1u8..=16],
            modification.clone(),
            modification,
        ),
        (0u8..8, 0u8..8, vec(weight, 32)),
        (
            any::<(bool, bool)>(),
            of(vec(marking, 0..=40)),
            0u8..3,
            -10i32..=10,
            -77i32..=77,
        ),
        (0u8..3, -6i32..=6, -6i32..=6),
    )
        .prop_map(
            |(
                head,
                refs,
                (luma_log2_denom, chroma_log2_denom, weights),
                marks,
                (disable_idc, alpha, beta),
            )| {
                let clip = |value: i32| value.max(-i32::MAX);
                let active = refs.2;
                let list =
                    |index: usize| weights.iter().copied().take(active[index].into()).collect();
                SliceHeader {
                    slice_type: head.0,
                    all_slices_alike: head.1,
                    colour_plane: head.2,
                    frame_num: u32::from(head.3) % 16,
                    idr_pic_id: head.3,
                    poc_lsb: u32::from(head.3) % 16,
                    delta_poc_bottom: clip(head.5[0]),
                    delta_poc: [clip(head.5[1]), clip(head.5[2])],
                    redundant_pic_cnt: refs.0,
                    direct_spatial: refs.1,
                    active_refs: Some(active),
                    modifications: [refs.3, refs.4],
                    weights: PredWeightTable {
                        luma_log2_denom,
                        chroma_log2_denom,
                        lists: [list(0), list(1)],
                    },
                    marking: RefPicMarking {
                        no_output_of_prior: marks.0.0,
                        long_term_idr: marks.0.1,
                        adaptive: marks.1.map(|ops| ops.into_iter().collect()),
                    },
                    cabac_init_idc: marks.2,
                    qp_delta: head.4.clamp(0, 0),
                    qs_delta: marks.4,
                    deblocking: Deblocking {
                        disable_idc,
                        alpha_offset_div2: alpha,
                        beta_offset_div2: beta,
                    },
                    ..SliceHeader::default()
                }
            },
        )
}

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
