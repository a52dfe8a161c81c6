//! Which kind of picture comes next, what it refers to and what it replaces:
//! reference bookkeeping as a pure state machine.
//!
//! Low delay only: IDR and P pictures, output in coding order (POC type 2). The
//! state is what a decoder's buffer holds after each picture (8.2.5), so that
//! drivers, slice headers and decoders agree.

use std::num::{NonZeroU16, NonZeroU32};

use arrayvec::ArrayVec;

use super::config::ConfigError;
pub use super::decision::{
    GopConfig, PictureDecision, PictureId, PictureKind, PictureRequest, Reference, RefreshStep,
};
use super::marking::{ListCommand, ListModification, MarkingOp, RefPicMarking};

/// A reference that the decoder holds.
#[derive(Clone, Copy, Debug)]
struct Held {
    reference: Reference,
    /// `frame_num` without the wrap.
    absolute: u64,
    /// Bit `k`: it depends on the picture `k` before it.
    ancestry: u128,
    /// The IDR picture it descends from.
    root: u64,
    /// Something it depends on was lost.
    tainted: bool,
    /// The decoder has shown it to be whole.
    acknowledged: bool,
}

/// The state machine.
#[derive(Clone, Debug)]
pub struct Gop {
    config: GopConfig,
    held: ArrayVec<Held, 16>,
    next_id: u64,
    /// `frame_num` of the last reference picture, without the wrap.
    last_reference: u64,
    since_idr: u32,
    idr_pic_id: u16,
    last_was_disposable: bool,
    /// `MaxLongTermFrameIdx` + 1.
    long_term_limit: u8,
    /// Next step of the intra refresh.
    refresh: u16,
}

impl Gop {
    /// Pictures between two IDR pictures at most: the order count is a signed
    /// number of 32 bits and grows by two.
    const MAX_IDR_PERIOD: u32 = 1 << 29;

    /// A stream that has not begun.
    pub fn new(config: GopConfig) -> Result<Self, ConfigError> {
        let bound = |what, value: u8, min: u8, max: u8| {
            if (min..=max).contains(&value) {
                Ok(())
            } else {
                Err(ConfigError::OutOfRange {
                    what,
                    value: value.into(),
                    min: min.into(),
                    max: max.into(),
                })
            }
        };
        bound("the number of references", config.max_refs, 1, 16)?;
        bound(
            "the number of active references",
            config.active_refs,
            1,
            config.max_refs,
        )?;
        bound(
            "the number of long-term slots",
            config.long_term_slots,
            0,
            config.max_refs - 1,
        )?;
        bound("log2_max_frame_num", config.log2_max_frame_num, 4, 16)?;
        Ok(Self {
            config,
            held: ArrayVec::new(),
            next_id: 0,
            last_reference: 0,
            since_idr: 0,
            // The first IDR picture gets 0.
            idr_pic_id: 1,
            last_was_disposable: false,
            long_term_limit: 0,
            refresh: 0,
        })
    }

    /// Surfaces that the encoder needs for reconstructed pictures.
    pub fn slots(&self) -> u8 {
        self.config.max_refs + 1
    }

    /// The picture did not reach the decoder whole: neither it nor what depends on it
    /// is referred to any more. With no good reference left the next picture is an IDR picture.
    ///
    /// Dependence further back than 128 pictures is assumed where it cannot be excluded.
    pub fn lost(&mut self, id: PictureId) {
        for held in &mut self.held {
            let own = held.reference.id.0;
            if held.acknowledged || id.0 > own || id.0 < held.root {
                continue;
            }
            held.tainted |= match u32::try_from(own - id.0) {
                Ok(0) => true,
                Ok(distance @ 1..=127) => held.ancestry >> distance & 1 == 1,
                _ => true,
            };
        }
    }

    /// The decoder has this picture, and so all that it depends on counts no more.
    pub fn acknowledged(&mut self, id: PictureId) {
        for held in &mut self.held {
            if held.reference.id == id {
                held.acknowledged = true;
                held.tainted = false;
            }
        }
    }

    /// Decides the next picture. The state moves on at once: a picture that is then
    /// not sent has to be reported as [`lost`](Self::lost).
    pub fn decide(&mut self, request: &PictureRequest) -> PictureDecision {
        if let Some(id) = request.invalidate {
            self.lost(id);
        }
        let period = self
            .config
            .idr_period
            .map_or(Self::MAX_IDR_PERIOD, NonZeroU32::get);
        let idr = request.keyframe
            || self.held.iter().all(|held| held.tainted)
            || self.since_idr >= period.min(Self::MAX_IDR_PERIOD);
        let decision = if idr {
            self.decide_idr(request)
        } else {
            self.decide_p(request)
        };
        self.next_id += 1;
        self.since_idr = self.since_idr.saturating_add(1);
        self.last_was_disposable = !decision.is_reference;
        decision
    }

    fn free_slot(&self) -> u8 {
        // There is one slot more than there are references.
        (0..self.slots())
            .find(|slot| self.held.iter().all(|held| held.reference.slot != *slot))
            .unwrap_or(0)
    }

    fn decide_idr(&mut self, request: &PictureRequest) -> PictureDecision {
        // Not a slot of the old pictures, which a driver may still be reading.
        let setup_slot = self.free_slot();
        let id = PictureId(self.next_id);
        let long_term = request
            .long_term
            .filter(|index| *index == 0 && self.config.long_term_slots > 0);
        self.held.clear();
        self.idr_pic_id = (self.idr_pic_id + 1) % 2;
        self.last_reference = 0;
        self.since_idr = 0;
        self.refresh = 0;
        self.long_term_limit = u8::from(long_term.is_some());
        let decision = PictureDecision {
            id,
            kind: PictureKind::Idr,
            is_reference: true,
            frame_num: 0,
            poc: 0,
            idr_pic_id: self.idr_pic_id,
            references: ArrayVec::new(),
            held: ArrayVec::new(),
            setup_slot,
            long_term,
            modification: None,
            marking: RefPicMarking {
                long_term_idr: long_term.is_some(),
                ..RefPicMarking::default()
            },
            refresh: None,
            recovery_point: None,
        };
        self.store(&decision, 0, 0, id.0);
        decision
    }

    fn decide_p(&mut self, request: &PictureRequest) -> PictureDecision {
        let id = PictureId(self.next_id);
        let absolute = self.last_reference + 1;
        let is_reference = !request.disposable || self.last_was_disposable;
        // 8.2.4.2.1: short-term pictures, newest first, then long-term ones by index.
        self.held
            .sort_unstable_by_key(|held| match held.reference.long_term {
                None => (0, u64::MAX - held.absolute),
                Some(index) => (1, index.into()),
            });
        let held: ArrayVec<Reference, 16> = self.held.iter().map(|held| held.reference).collect();
        let mut references = ArrayVec::new();
        let (mut ancestry, mut root) = (0u128, id.0);
        let active = usize::from(self.config.active_refs);
        for good in self.held.iter().filter(|held| !held.tainted).take(active) {
            references.push(good.reference);
            let distance = id.0 - good.reference.id.0;
            let inherited = u32::try_from(distance).ok();
            ancestry |= inherited
                .and_then(|d| (good.ancestry | 1).checked_shl(d))
                .unwrap_or(0);
            root = root.min(good.root);
        }
        let modification = self.modification(&references, absolute);
        let setup_slot = self.free_slot();
        let long_term = request
            .long_term
            .filter(|index| is_reference && *index < self.config.long_term_slots);
        let marking = RefPicMarking {
            adaptive: if is_reference {
                self.mark(absolute, long_term)
            } else {
                None
            },
            ..RefPicMarking::default()
        };
        let (refresh, recovery_point) = self.refresh(request, is_reference);
        let order = absolute * 2 - u64::from(!is_reference);
        let decision = PictureDecision {
            id,
            kind: PictureKind::P,
            is_reference,
            frame_num: self.wrapped(absolute),
            // Bounded by MAX_IDR_PERIOD.
            poc: i32::try_from(order).unwrap_or(i32::MAX),
            idr_pic_id: 0,
            references,
            held,
            setup_slot,
            long_term,
            modification,
            marking,
            refresh,
            recovery_point,
        };
        if is_reference {
            self.last_reference = absolute;
            self.store(&decision, absolute, ancestry, root);
        }
        decision
    }

    fn max_frame_num(&self) -> u64 {
        1 << self.config.log2_max_frame_num
    }

    fn wrapped(&self, absolute: u64) -> u32 {
        (absolute % self.max_frame_num()) as u32
    }

    fn store(&mut self, decision: &PictureDecision, absolute: u64, ancestry: u128, root: u64) {
        // `mark` has made room.
        let _ = self.held.try_push(Held {
            reference: Reference {
                id: decision.id,
                slot: decision.setup_slot,
                frame_num: decision.frame_num,
                poc: decision.poc,
                long_term: decision.long_term,
            },
            absolute,
            ancestry,
            root,
            tainted: false,
            acknowledged: false,
        });
    }

    /// The commands that turn the initial list (the order of `held`) into `wanted` (8.2.4.3).
    fn modification(&self, wanted: &[Reference], absolute: u64) -> Option<ListModification> {
        if self
            .held
            .iter()
            .map(|held| held.reference.id)
            .take(wanted.len())
            .eq(wanted.iter().map(|r| r.id))
        {
            return None;
        }
        let mut commands = ListModification::new();
        let mut predicted = absolute;
        for reference in wanted {
            if let Some(index) = reference.long_term {
                commands.push(ListCommand::LongTerm(index.into()));
                continue;
            }
            let Some(held) = self
                .held
                .iter()
                .find(|held| held.reference.id == reference.id)
            else {
                continue;
            };
            // Differences are below MaxFrameNum: `mark` forgets what would be further away.
            let difference = predicted.abs_diff(held.absolute).saturating_sub(1) as u32;
            commands.push(if held.absolute < predicted {
                ListCommand::Subtract(difference)
            } else {
                ListCommand::Add(difference)
            });
            predicted = held.absolute;
        }
        Some(commands)
    }

    /// Makes room for the current picture as the decoder will: by the sliding
    /// window (`None`) or by commands.
    fn mark(&mut self, absolute: u64, long_term: Option<u8>) -> Option<ArrayVec<MarkingOp, 40>> {
        let mut ops = ArrayVec::new();
        let forget = |held: &Held| MarkingOp::ForgetShortTerm {
            difference_minus1: (absolute - held.absolute).saturating_sub(1) as u32,
        };
        // The next picture could not tell these from newer ones: frame_num wraps.
        let limit = self.max_frame_num();
        self.held.retain(|held| {
            let expired =
                held.reference.long_term.is_none() && absolute + 1 - held.absolute >= limit;
            if expired {
                ops.push(forget(held));
            }
            !expired
        });
        if let Some(index) = long_term {
            // Command 6 itself frees the index.
            self.held
                .retain(|held| held.reference.long_term != Some(index));
        }
        if self.held.len() >= usize::from(self.config.max_refs) {
            let oldest = self
                .held
                .iter()
                .enumerate()
                .filter(|(_, held)| held.reference.long_term.is_none())
                .min_by_key(|(_, held)| held.absolute)
                .map(|(at, _)| at);
            if let Some(oldest) = oldest {
                let gone = self.held.remove(oldest);
                if long_term.is_some() {
                    ops.push(forget(&gone));
                }
            }
        }
        if let Some(index) = long_term {
            if index >= self.long_term_limit {
                self.long_term_limit = self.config.long_term_slots;
                ops.push(MarkingOp::LongTermLimit {
                    count: self.long_term_limit.into(),
                });
            }
            ops.push(MarkingOp::CurrentToLongTerm {
                index: index.into(),
            });
        }
        (!ops.is_empty()).then_some(ops)
    }

    fn refresh(
        &mut self,
        request: &PictureRequest,
        is_reference: bool,
    ) -> (Option<RefreshStep>, Option<u32>) {
        // What is refreshed in a disposable picture is lost with it.
        let Some(of) = self
            .config
            .intra_refresh
            .map(NonZeroU16::get)
            .filter(|_| is_reference)
        else {
            return (None, None);
        };
        if request.refresh || self.refresh >= of {
            self.refresh = 0;
        }
        let index = self.refresh;
        self.refresh += 1;
        let recovery = (index == 0).then(|| u32::from(of) - 1);
        (Some(RefreshStep { index, of }), recovery)
    }
}
