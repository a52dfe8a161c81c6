//! A model of a decoder's reference handling (H.264 8.2.1, 8.2.4, 8.2.5), written
//! from the standard on the slice headers alone, must agree with [`Gop`].
#![allow(missing_docs)]

mod codec_support;

use std::collections::{HashMap, HashSet};
use std::num::{NonZeroU16, NonZeroU32};

use proptest::prelude::*;
use scanout_core::codec::bits::{BitWriter, escape_into};
use scanout_core::codec::h264::gop::PictureId;
use scanout_core::codec::h264::slice::{ListCommand, MarkingOp};
use scanout_core::codec::h264::{
    Gop, GopConfig, NalType, PictureKind, PictureRequest, Pps, Profile, SliceContext, SliceHeader,
    Sps, SpsConfig,
};
use scanout_core::geometry::Size;

#[derive(Clone, Debug)]
struct Stored {
    id: u64,
    frame_num: i64,
    long_term: Option<u32>,
}

#[derive(Default)]
struct Decoder {
    dpb: Vec<Stored>,
    max_frame_num: i64,
    max_refs: usize,
    prev_ref_frame_num: i64,
    prev_frame_num: i64,
    frame_num_offset: i64,
    prev_nal_ref_idc: u8,
    long_term_indices: u32,
}

impl Decoder {
    /// Gives list 0 and the picture order count.
    fn decode(&mut self, id: u64, nal: &[u8], sps: &Sps, pps: &Pps) -> (Vec<u64>, i64) {
        let (slice, _) = SliceHeader::read_nal(nal, sps, pps).unwrap();
        let (ref_idc, idr) = (nal[0] >> 5, NalType(nal[0] & 31) == NalType::IDR);
        let frame_num = i64::from(slice.frame_num);
        if idr {
            assert_eq!(frame_num, 0);
            self.dpb.clear();
            self.frame_num_offset = 0;
        } else {
            assert_eq!(
                frame_num,
                (self.prev_ref_frame_num + 1) % self.max_frame_num,
                "gap in frame_num"
            );
            assert!(
                ref_idc > 0 || self.prev_nal_ref_idc > 0,
                "POC type 2 forbids two in a row"
            );
            if self.prev_frame_num > frame_num {
                self.frame_num_offset += self.max_frame_num;
            }
        }
        let mut poc = 2 * (self.frame_num_offset + frame_num);
        if ref_idc == 0 {
            poc -= 1;
        }
        let list = if idr {
            Vec::new()
        } else {
            self.list(&slice, frame_num, pps)
        };
        if ref_idc > 0 {
            self.mark(id, &slice, frame_num, idr);
            self.prev_ref_frame_num = frame_num;
        }
        self.prev_frame_num = frame_num;
        self.prev_nal_ref_idc = ref_idc;
        (list, poc)
    }

    fn pic_num(&self, stored: &Stored, current: i64) -> i64 {
        if stored.frame_num > current {
            stored.frame_num - self.max_frame_num
        } else {
            stored.frame_num
        }
    }

    fn short(&self, pic_num: i64, current: i64) -> usize {
        let found: Vec<usize> = (0..self.dpb.len())
            .filter(|i| {
                self.dpb[*i].long_term.is_none() && self.pic_num(&self.dpb[*i], current) == pic_num
            })
            .collect();
        assert_eq!(
            found.len(),
            1,
            "picture number {pic_num} is ambiguous or absent"
        );
        found[0]
    }

    fn long(&self, index: u32) -> usize {
        self.dpb
            .iter()
            .position(|s| s.long_term == Some(index))
            .expect("no such long-term picture")
    }

    fn list(&self, slice: &SliceHeader, current: i64, pps: &Pps) -> Vec<u64> {
        let count = slice
            .active_refs
            .map_or(pps.num_ref_idx_l0_default_minus1 as usize + 1, |a| {
                a[0] as usize
            });
        let mut short: Vec<&Stored> = self.dpb.iter().filter(|s| s.long_term.is_none()).collect();
        short.sort_by_key(|s| -self.pic_num(s, current));
        let mut long: Vec<&Stored> = self.dpb.iter().filter(|s| s.long_term.is_some()).collect();
        long.sort_by_key(|s| s.long_term);
        let mut list: Vec<Option<u64>> = short.iter().chain(&long).map(|s| Some(s.id)).collect();
        list.resize(count.max(list.len()), None);
        list.truncate(count);
        let mut predicted = current;
        for (index, command) in slice.modifications[0].iter().flatten().enumerate() {
            let picked = match *command {
                ListCommand::LongTerm(number) => self.long(number),
                ListCommand::Subtract(d) | ListCommand::Add(d) => {
                    let d = i64::from(d) + 1;
                    predicted = if matches!(command, ListCommand::Subtract(_)) {
                        predicted - d
                            + if predicted - d < 0 {
                                self.max_frame_num
                            } else {
                                0
                            }
                    } else {
                        predicted + d
                            - if predicted + d >= self.max_frame_num {
                                self.max_frame_num
                            } else {
                                0
                            }
                    };
                    let number = if predicted > current {
                        predicted - self.max_frame_num
                    } else {
                        predicted
                    };
                    self.short(number, current)
                }
            };
            // 8.2.4.3.1: insert at the index, drop the duplicate behind it.
            let id = self.dpb[picked].id;
            list.insert(index, Some(id));
            let mut at = 0;
            list.retain(|entry| {
                at += 1;
                at - 1 <= index || *entry != Some(id)
            });
            list.truncate(count);
        }
        list.into_iter()
            .map(|entry| entry.expect("a list entry without a picture"))
            .collect()
    }

    fn mark(&mut self, id: u64, slice: &SliceHeader, current: i64, idr: bool) {
        let mut own = None;
        if idr {
            self.long_term_indices = u32::from(slice.marking.long_term_idr);
            own = slice.marking.long_term_idr.then_some(0);
        } else if let Some(ops) = &slice.marking.adaptive {
            for op in ops {
                match *op {
                    MarkingOp::ForgetShortTerm { difference_minus1 } => {
                        let at = self.short(current - i64::from(difference_minus1) - 1, current);
                        self.dpb.remove(at);
                    }
                    MarkingOp::LongTermLimit { count } => {
                        self.long_term_indices = count;
                        self.dpb
                            .retain(|s| s.long_term.is_none_or(|index| index < count));
                    }
                    MarkingOp::CurrentToLongTerm { index } => {
                        assert!(index < self.long_term_indices);
                        self.dpb.retain(|s| s.long_term != Some(index));
                        own = Some(index);
                    }
                    other => panic!("{other:?} is not expected"),
                }
            }
        } else if self.dpb.len() == self.max_refs {
            let oldest = (0..self.dpb.len())
                .filter(|i| self.dpb[*i].long_term.is_none())
                .min_by_key(|i| self.pic_num(&self.dpb[*i], current))
                .expect("the sliding window needs a short-term picture");
            self.dpb.remove(oldest);
        }
        self.dpb.push(Stored {
            id,
            frame_num: current,
            long_term: own,
        });
        assert!(
            self.dpb.len() <= self.max_refs,
            "more references than max_num_ref_frames"
        );
    }
}

#[derive(Clone, Debug)]
struct Step {
    keyframe: bool,
    disposable: bool,
    long_term: Option<u8>,
    lost: Option<u8>,
    acknowledge: Option<u8>,
    refresh: bool,
}

fn step() -> impl Strategy<Value = Step> {
    (
        prop::bool::weighted(0.02),
        prop::bool::weighted(0.2),
        prop::option::weighted(0.15, 0u8..4),
        prop::option::weighted(0.1, 0u8..12),
        prop::option::weighted(0.2, 0u8..12),
        prop::bool::weighted(0.05),
    )
        .prop_map(
            |(keyframe, disposable, long_term, lost, acknowledge, refresh)| Step {
                keyframe,
                disposable,
                long_term,
                lost,
                acknowledge,
                refresh,
            },
        )
}

fn config() -> impl Strategy<Value = GopConfig> {
    (
        1u8..=16,
        any::<u8>(),
        any::<u8>(),
        4u8..=6,
        prop::option::weighted(0.3, 1u32..50),
        prop::option::of(1u16..9),
    )
        .prop_map(|(max_refs, active, long, log2, period, refresh)| {
            let mut config = GopConfig::new(max_refs);
            config.active_refs = 1 + active % max_refs;
            config.long_term_slots = long % max_refs;
            config.log2_max_frame_num = log2;
            config.idr_period = period.and_then(NonZeroU32::new);
            config.intra_refresh = refresh.and_then(NonZeroU16::new);
            config
        })
}

proptest! {
    #![proptest_config(codec_support::cases(2000))]

    /// Whatever is asked, the decoder builds the same lists, counts the same order, holds the
    /// same pictures, and never needs one that was lost.
    #[test]
    fn a_decoder_agrees_with_the_bookkeeping(config in config(), steps in prop::collection::vec(step(), 1..150)) {
        let mut sps_config = SpsConfig::new(Profile::High, Size::new(64, 64));
        sps_config.max_refs = config.max_refs;
        sps_config.log2_max_frame_num = config.log2_max_frame_num;
        let sps = Sps::new(&sps_config).unwrap();
        let pps = Pps { num_ref_idx_l0_default_minus1: config.active_refs - 1, ..Pps::default() };
        let mut gop = Gop::new(config).unwrap();
        let mut decoder = Decoder {
            max_frame_num: i64::from(sps.max_frame_num()),
            max_refs: config.max_refs.into(),
            ..Decoder::default()
        };
        let mut ancestors: HashMap<u64, HashSet<u64>> = HashMap::new();
        let (mut damaged, mut good) = (HashSet::<u64>::new(), HashSet::<u64>::new());
        let mut since_idr = 0;
        for (number, step) in steps.iter().enumerate() {
            let number = number as u64;
            if let Some(id) = step.acknowledge.and_then(|back| number.checked_sub(u64::from(back) + 1))
                && !damaged.contains(&id)
            {
                gop.acknowledged(PictureId(id));
                good.extend(&ancestors[&id]);
            }
            let lost = step.lost.and_then(|back| number.checked_sub(u64::from(back) + 1)).filter(|id| !good.contains(id));
            if let Some(id) = lost {
                damaged.extend(ancestors.iter().filter(|(_, of)| of.contains(&id)).map(|(picture, _)| *picture));
            }
            let usable = decoder.dpb.iter().any(|s| !damaged.contains(&s.id));
            let before: HashSet<u64> = decoder.dpb.iter().map(|s| s.id).collect();
            let decision = gop.decide(&PictureRequest {
                keyframe: step.keyframe,
                invalidate: lost.map(PictureId),
                disposable: step.disposable,
                long_term: step.long_term,
                refresh: step.refresh,
            });
            prop_assert_eq!(decision.id, PictureId(number));
            let due = step.keyframe || !usable || config.idr_period.is_some_and(|p| since_idr >= p.get());
            prop_assert_eq!(decision.kind == PictureKind::Idr, due);
            since_idr = if due { 1 } else { since_idr + 1 };

            let header = decision.nal_header();
            let mut writer = BitWriter::new();
            decision.slice_header(&pps).write(&mut writer, &SliceContext { nal: header, sps: &sps, pps: &pps }).unwrap();
            writer.finish();
            let mut nal = vec![header.byte()];
            escape_into(writer.bytes(), &mut nal);
            let (list, poc) = decoder.decode(number, &nal, &sps, &pps);

            let expected: Vec<u64> = decision.references.iter().map(|r| r.id.0).collect();
            prop_assert_eq!(&list, &expected);
            prop_assert_eq!(poc, i64::from(decision.poc));
            prop_assert!(list.iter().all(|id| !damaged.contains(id)), "refers to a lost picture");
            prop_assert!(decision.held.iter().all(|r| r.slot != decision.setup_slot), "overwrites a reference");
            prop_assert!(decision.setup_slot < gop.slots());
            if decision.kind == PictureKind::P {
                let held: HashSet<u64> = decision.held.iter().map(|r| r.id.0).collect();
                prop_assert_eq!(&held, &before);
                prop_assert!(!list.is_empty());
            }
            let mut of: HashSet<u64> = list.iter().flat_map(|id| ancestors[id].iter().copied()).collect();
            of.insert(number);
            ancestors.insert(number, of);
        }
    }
}

#[test]
fn a_lost_picture_is_avoided_while_an_older_one_is_whole() {
    let mut gop = Gop::new(GopConfig::new(4)).unwrap();
    for _ in 0..3 {
        gop.decide(&PictureRequest::default());
    }
    let next = gop.decide(&PictureRequest {
        invalidate: Some(PictureId(1)),
        ..PictureRequest::default()
    });
    assert_eq!(next.kind, PictureKind::P);
    assert_eq!(next.references[0].id, PictureId(0));
    assert!(next.modification.is_some());
    let next = gop.decide(&PictureRequest {
        invalidate: Some(PictureId(0)),
        ..PictureRequest::default()
    });
    assert_eq!(next.kind, PictureKind::Idr);
    assert_eq!(next.idr_pic_id, 1);
}

#[test]
fn an_intra_refresh_announces_its_recovery_point() {
    let mut config = GopConfig::new(1);
    config.intra_refresh = NonZeroU16::new(3);
    let mut gop = Gop::new(config).unwrap();
    let points: Vec<_> = (0..8)
        .map(|_| gop.decide(&PictureRequest::default()).recovery_point)
        .collect();
    assert_eq!(
        points,
        [None, Some(2), None, None, Some(2), None, None, Some(2)]
    );
}
