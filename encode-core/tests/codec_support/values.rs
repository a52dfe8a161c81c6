//! Random valid values of every structure.
#![allow(dead_code, unreachable_pub, missing_docs)]

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use scanout_core::codec::h264::pps::{HighPps, SliceGroupMap, SliceGroups};
use scanout_core::codec::h264::scaling::ScalingList;
use scanout_core::codec::h264::slice::*;
use scanout_core::codec::h264::sps::{Crop, HighFields, PocType};
use scanout_core::codec::h264::vui::*;
use scanout_core::codec::h264::*;

/// A coded list of at most `size` scales: ends at the first next scale of 0.
pub fn scaling_list(size: usize) -> impl Strategy<Value = ScalingList> {
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

pub fn lists(count: usize) -> impl Strategy<Value = scaling::ScalingLists> {
    (
        vec(of(scaling_list(16)), 6),
        vec(of(scaling_list(64)), count - 6),
    )
        .prop_map(|(small, large)| small.into_iter().chain(large).collect())
}

pub fn high() -> impl Strategy<Value = HighFields> {
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

pub fn hrd() -> impl Strategy<Value = Hrd> {
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

pub fn vui() -> impl Strategy<Value = Vui> {
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

pub fn poc() -> impl Strategy<Value = PocType> {
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

pub fn sps() -> impl Strategy<Value = Sps> {
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

pub fn slice_groups() -> impl Strategy<Value = SliceGroups> {
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

pub fn pps(sps: &Sps) -> impl Strategy<Value = Pps> + use<> {
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
pub fn slice() -> impl Strategy<Value = SliceHeader> {
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
