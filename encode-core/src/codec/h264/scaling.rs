//! Scaling lists (7.3.2.1.1.1), kept as they were coded.

use arrayvec::ArrayVec;

use super::super::bits::{SyntaxError, out_of_range};
use super::super::syntax::Syntax;

/// One coded scaling list.
///
/// Several codings describe the same list, so the coded differences are what is
/// kept: a parameter set is written back bit for bit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScalingList {
    /// `delta_scale`, up to and including the one that makes the next scale 0.
    pub deltas: ArrayVec<i8, 64>,
}

impl ScalingList {
    /// The list of `N` (16 or 64) scales in zigzag order, `None` where the
    /// list says to use the default (`UseDefaultScalingMatrixFlag`).
    pub fn values<const N: usize>(&self) -> Option<[u8; N]> {
        let mut values = [0; N];
        let (mut last, mut next) = (8u8, 8u8);
        let mut deltas = self.deltas.iter();
        for (index, value) in values.iter_mut().enumerate() {
            if next != 0 {
                next = last.wrapping_add_signed(deltas.next().copied().unwrap_or(0));
                if index == 0 && next == 0 {
                    return None;
                }
            }
            if next != 0 {
                last = next;
            }
            *value = last;
        }
        Some(values)
    }

    pub(super) fn walk<S: Syntax>(&mut self, s: &mut S, size: usize) -> Result<(), SyntaxError> {
        let coded = std::mem::take(&mut self.deltas);
        let (mut last, mut next) = (8u8, 8u8);
        for index in 0..size {
            if next == 0 {
                break;
            }
            let mut delta = match coded.get(index) {
                Some(delta) => i32::from(*delta),
                None if s.writes() => {
                    return Err(SyntaxError::Length {
                        element: "delta_scale",
                        value: coded.len(),
                        expected: size,
                    });
                }
                None => 0,
            };
            let bit = s.at();
            s.se("delta_scale", -128..=127, &mut delta)?;
            let delta = i8::try_from(delta)
                .map_err(|_| out_of_range("delta_scale", bit, delta.into(), -128, 127))?;
            // (last + delta + 256) % 256
            next = last.wrapping_add_signed(delta);
            if next != 0 {
                last = next;
            }
            // `size` is at most 64, the capacity.
            let _ = self.deltas.try_push(delta);
        }
        if s.writes() && self.deltas.len() != coded.len() {
            return Err(SyntaxError::Length {
                element: "delta_scale",
                value: coded.len(),
                expected: self.deltas.len(),
            });
        }
        Ok(())
    }
}

/// The lists of a parameter set: six of 4x4, then up to six of 8x8. `None`
/// is a list that is not present and follows the fall-back rule (table 7-2).
pub type ScalingLists = ArrayVec<Option<ScalingList>, 12>;

pub(super) fn walk_lists<S: Syntax>(
    s: &mut S,
    lists: &mut ScalingLists,
    count: usize,
) -> Result<(), SyntaxError> {
    if s.writes() {
        if lists.len() != count {
            return Err(SyntaxError::Length {
                element: "scaling_list",
                value: lists.len(),
                expected: count,
            });
        }
    } else {
        lists.clear();
        for _ in 0..count.min(12) {
            lists.push(None);
        }
    }
    for (index, list) in lists.iter_mut().enumerate() {
        if s.present("scaling_list_present_flag", list)?
            && let Some(list) = list
        {
            list.walk(s, if index < 6 { 16 } else { 64 })?;
        }
    }
    Ok(())
}
