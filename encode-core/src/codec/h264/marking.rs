//! Reordering of reference lists (7.3.3.1) and marking of reference pictures (7.3.3.3).

use arrayvec::ArrayVec;

use super::super::bits::{SyntaxError, out_of_range};
use super::super::syntax::{Syntax, UE_MAX};

/// Commands that reorder a reference list, at most as many as the list is long.
pub type ListModification = ArrayVec<ListCommand, 32>;

/// One command of `ref_pic_list_modification`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListCommand {
    /// Idc 0: `abs_diff_pic_num_minus1` is subtracted.
    Subtract(u32),
    /// Idc 1: `abs_diff_pic_num_minus1` is added.
    Add(u32),
    /// Idc 2: `long_term_pic_num`.
    LongTerm(u32),
}

/// `dec_ref_pic_marking()`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefPicMarking {
    /// `no_output_of_prior_pics_flag`, IDR only.
    pub no_output_of_prior: bool,
    /// `long_term_reference_flag`, IDR only.
    pub long_term_idr: bool,
    /// `memory_management_control_operation`s; `None` is the sliding window.
    pub adaptive: Option<ArrayVec<MarkingOp, 40>>,
}

/// `memory_management_control_operation` (table 7-9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkingOp {
    /// 1: a short-term picture is no longer a reference.
    ForgetShortTerm {
        /// `difference_of_pic_nums_minus1`
        difference_minus1: u32,
    },
    /// 2: a long-term picture is no longer a reference.
    ForgetLongTerm {
        /// `long_term_pic_num`
        pic_num: u32,
    },
    /// 3: a short-term picture becomes a long-term one.
    ShortToLongTerm {
        /// `difference_of_pic_nums_minus1`
        difference_minus1: u32,
        /// `long_term_frame_idx`
        index: u32,
    },
    /// 4: how many long-term indices there are.
    LongTermLimit {
        /// `max_long_term_frame_idx_plus1`
        count: u32,
    },
    /// 5: all references are forgotten.
    ForgetAll,
    /// 6: the current picture becomes a long-term one.
    CurrentToLongTerm {
        /// `long_term_frame_idx`
        index: u32,
    },
}

pub(super) fn walk_commands<S: Syntax>(
    s: &mut S,
    commands: &mut ListModification,
) -> Result<(), SyntaxError> {
    const IDC: &str = "modification_of_pic_nums_idc";
    let coded = std::mem::take(commands);
    let mut coded = coded.into_iter();
    loop {
        let bit = s.at();
        let next = coded.next();
        let mut idc = match next {
            Some(ListCommand::Subtract(_)) => 0u8,
            Some(ListCommand::Add(_)) => 1,
            Some(ListCommand::LongTerm(_)) => 2,
            None => 3,
        };
        s.ue(IDC, 0..=3, &mut idc)?;
        let mut value = match next {
            Some(ListCommand::Subtract(v) | ListCommand::Add(v) | ListCommand::LongTerm(v)) => v,
            None => 0,
        };
        let command = match idc {
            0 => {
                s.ue("abs_diff_pic_num_minus1", 0..=(1 << 17) - 1, &mut value)?;
                ListCommand::Subtract(value)
            }
            1 => {
                s.ue("abs_diff_pic_num_minus1", 0..=(1 << 17) - 1, &mut value)?;
                ListCommand::Add(value)
            }
            2 => {
                s.ue("long_term_pic_num", 0..=31, &mut value)?;
                ListCommand::LongTerm(value)
            }
            _ => return Ok(()),
        };
        commands
            .try_push(command)
            .map_err(|_| out_of_range(IDC, bit, idc.into(), 3, 3))?;
    }
}

impl RefPicMarking {
    pub(super) fn walk<S: Syntax>(&mut self, s: &mut S, idr: bool) -> Result<(), SyntaxError> {
        if idr {
            s.flag("no_output_of_prior_pics_flag", &mut self.no_output_of_prior)?;
            return s.flag("long_term_reference_flag", &mut self.long_term_idr);
        }
        if !s.present("adaptive_ref_pic_marking_mode_flag", &mut self.adaptive)? {
            return Ok(());
        }
        let Some(ops) = &mut self.adaptive else {
            return Ok(());
        };
        let coded = std::mem::take(ops);
        let mut coded = coded.into_iter();
        loop {
            let bit = s.at();
            let mut op = coded.next();
            let mut code = op.map_or(0, MarkingOp::code);
            s.ue("memory_management_control_operation", 0..=6, &mut code)?;
            if !s.writes() {
                op = MarkingOp::of_code(code);
            }
            let Some(mut op) = op else {
                return Ok(());
            };
            op.walk(s)?;
            ops.try_push(op).map_err(|_| {
                out_of_range(
                    "memory_management_control_operation",
                    bit,
                    code.into(),
                    0,
                    0,
                )
            })?;
        }
    }
}

impl MarkingOp {
    fn code(self) -> u8 {
        match self {
            Self::ForgetShortTerm { .. } => 1,
            Self::ForgetLongTerm { .. } => 2,
            Self::ShortToLongTerm { .. } => 3,
            Self::LongTermLimit { .. } => 4,
            Self::ForgetAll => 5,
            Self::CurrentToLongTerm { .. } => 6,
        }
    }

    fn of_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::ForgetShortTerm {
                difference_minus1: 0,
            },
            2 => Self::ForgetLongTerm { pic_num: 0 },
            3 => Self::ShortToLongTerm {
                difference_minus1: 0,
                index: 0,
            },
            4 => Self::LongTermLimit { count: 0 },
            5 => Self::ForgetAll,
            6 => Self::CurrentToLongTerm { index: 0 },
            _ => return None,
        })
    }

    fn walk<S: Syntax>(&mut self, s: &mut S) -> Result<(), SyntaxError> {
        const DIFFERENCE: &str = "difference_of_pic_nums_minus1";
        match self {
            Self::ForgetShortTerm { difference_minus1 } => {
                s.ue(DIFFERENCE, 0..=UE_MAX, difference_minus1)
            }
            Self::ForgetLongTerm { pic_num } => s.ue("long_term_pic_num", 0..=31, pic_num),
            Self::ShortToLongTerm {
                difference_minus1,
                index,
            } => {
                s.ue(DIFFERENCE, 0..=UE_MAX, difference_minus1)?;
                s.ue("long_term_frame_idx", 0..=15, index)
            }
            Self::LongTermLimit { count } => s.ue("max_long_term_frame_idx_plus1", 0..=16, count),
            Self::ForgetAll => Ok(()),
            Self::CurrentToLongTerm { index } => s.ue("long_term_frame_idx", 0..=15, index),
        }
    }
}
