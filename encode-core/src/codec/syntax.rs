//! One description of a header's syntax, walked in two directions.
//!
//! A structure states its elements once, in a function generic over [`Syntax`];
//! a [`BitReader`] fills the fields, a [`BitWriter`] writes them. So reading and
//! writing cannot drift apart, and both refuse the same values.

use std::ops::RangeInclusive;

use super::bits::{BitReader, BitWriter, SyntaxError, out_of_range};

/// The largest value of `ue(v)`.
pub(crate) const UE_MAX: u32 = u32::MAX - 1;

pub(crate) trait Syntax {
    /// Where the next element starts.
    fn at(&self) -> usize;
    /// `u(count)`, any value.
    fn raw_u(
        &mut self,
        element: &'static str,
        count: u32,
        value: &mut u32,
    ) -> Result<(), SyntaxError>;
    fn raw_ue(&mut self, element: &'static str, value: &mut u32) -> Result<(), SyntaxError>;
    fn raw_se(&mut self, element: &'static str, value: &mut i32) -> Result<(), SyntaxError>;
    /// `more_rbsp_data()`; a writer has more when the structure says so.
    fn more(&self, has: bool) -> bool;
    /// Refuses a count of entries that the data cannot hold, before memory is taken for it.
    fn room_for(
        &self,
        element: &'static str,
        entries: usize,
        bits_each: usize,
    ) -> Result<(), SyntaxError>;

    fn flag(&mut self, element: &'static str, value: &mut bool) -> Result<(), SyntaxError> {
        let mut bit = u32::from(*value);
        self.raw_u(element, 1, &mut bit)?;
        *value = bit == 1;
        Ok(())
    }

    /// The presence flag of an optional part.
    fn present<T: Default>(
        &mut self,
        element: &'static str,
        value: &mut Option<T>,
    ) -> Result<bool, SyntaxError> {
        let mut flag = value.is_some();
        self.flag(element, &mut flag)?;
        if flag {
            value.get_or_insert_with(T::default);
        } else {
            *value = None;
        }
        Ok(flag)
    }

    fn u<T: Int>(
        &mut self,
        element: &'static str,
        count: u32,
        value: &mut T,
    ) -> Result<(), SyntaxError> {
        let max = if count >= 32 {
            u32::MAX
        } else {
            (1 << count) - 1
        };
        self.u_in(element, count, 0..=max, value)
    }

    fn u_in<T: Int>(
        &mut self,
        element: &'static str,
        count: u32,
        range: RangeInclusive<u32>,
        value: &mut T,
    ) -> Result<(), SyntaxError> {
        let bit = self.at();
        let mut wide = value.wide();
        check(element, bit, wide, &range, Self::writes(self))?;
        self.raw_u(element, count, &mut wide)?;
        check(element, bit, wide, &range, true)?;
        *value = T::narrow(wide, element, bit)?;
        Ok(())
    }

    fn ue<T: Int>(
        &mut self,
        element: &'static str,
        range: RangeInclusive<u32>,
        value: &mut T,
    ) -> Result<(), SyntaxError> {
        let bit = self.at();
        let mut wide = value.wide();
        check(element, bit, wide, &range, Self::writes(self))?;
        self.raw_ue(element, &mut wide)?;
        check(element, bit, wide, &range, true)?;
        *value = T::narrow(wide, element, bit)?;
        Ok(())
    }

    fn se(
        &mut self,
        element: &'static str,
        range: RangeInclusive<i32>,
        value: &mut i32,
    ) -> Result<(), SyntaxError> {
        let bit = self.at();
        let within = |value: i32| {
            if range.contains(&value) {
                Ok(())
            } else {
                Err(out_of_range(
                    element,
                    bit,
                    value.into(),
                    (*range.start()).into(),
                    (*range.end()).into(),
                ))
            }
        };
        if self.writes() {
            within(*value)?;
        }
        self.raw_se(element, value)?;
        within(*value)
    }

    fn writes(&self) -> bool;

    /// A list whose length other elements imply, each entry of at least `bits_each` bits.
    fn list<T: Default + Clone>(
        &self,
        element: &'static str,
        entries: usize,
        bits_each: usize,
        list: &mut Vec<T>,
    ) -> Result<(), SyntaxError> {
        if self.writes() {
            return if list.len() == entries {
                Ok(())
            } else {
                Err(SyntaxError::Length {
                    element,
                    value: list.len(),
                    expected: entries,
                })
            };
        }
        self.room_for(element, entries, bits_each)?;
        list.clear();
        list.resize(entries, T::default());
        Ok(())
    }
}

fn check(
    element: &'static str,
    bit: usize,
    value: u32,
    range: &RangeInclusive<u32>,
    applies: bool,
) -> Result<(), SyntaxError> {
    if applies && !range.contains(&value) {
        return Err(out_of_range(
            element,
            bit,
            value.into(),
            (*range.start()).into(),
            (*range.end()).into(),
        ));
    }
    Ok(())
}

/// The unsigned types that fields have.
pub(crate) trait Int: Copy {
    fn wide(self) -> u32;
    fn narrow(wide: u32, element: &'static str, bit: usize) -> Result<Self, SyntaxError>;
}

macro_rules! int {
    ($($type:ty),*) => {$(
        impl Int for $type {
            fn wide(self) -> u32 {
                self.into()
            }
            fn narrow(wide: u32, element: &'static str, bit: usize) -> Result<Self, SyntaxError> {
                Self::try_from(wide).map_err(|_| out_of_range(element, bit, wide.into(), 0, Self::MAX.into()))
            }
        }
    )*};
}
int!(u8, u16, u32);

impl Syntax for BitReader<'_> {
    fn at(&self) -> usize {
        self.position()
    }
    fn raw_u(
        &mut self,
        element: &'static str,
        count: u32,
        value: &mut u32,
    ) -> Result<(), SyntaxError> {
        *value = self.read_bits(element, count)?;
        Ok(())
    }
    fn raw_ue(&mut self, element: &'static str, value: &mut u32) -> Result<(), SyntaxError> {
        *value = self.read_ue(element)?;
        Ok(())
    }
    fn raw_se(&mut self, element: &'static str, value: &mut i32) -> Result<(), SyntaxError> {
        *value = self.read_se(element)?;
        Ok(())
    }
    fn more(&self, _has: bool) -> bool {
        self.more_rbsp_data()
    }
    fn room_for(
        &self,
        element: &'static str,
        entries: usize,
        bits_each: usize,
    ) -> Result<(), SyntaxError> {
        if entries.saturating_mul(bits_each) > self.remaining() {
            return Err(SyntaxError::Truncated {
                element,
                bit: self.position(),
            });
        }
        Ok(())
    }
    fn writes(&self) -> bool {
        false
    }
}

impl Syntax for BitWriter {
    fn at(&self) -> usize {
        self.position()
    }
    fn raw_u(
        &mut self,
        _element: &'static str,
        count: u32,
        value: &mut u32,
    ) -> Result<(), SyntaxError> {
        self.write_bits((*value).into(), count);
        Ok(())
    }
    fn raw_ue(&mut self, _element: &'static str, value: &mut u32) -> Result<(), SyntaxError> {
        self.write_ue(*value);
        Ok(())
    }
    fn raw_se(&mut self, _element: &'static str, value: &mut i32) -> Result<(), SyntaxError> {
        self.write_se(*value);
        Ok(())
    }
    fn more(&self, has: bool) -> bool {
        has
    }
    fn room_for(
        &self,
        _element: &'static str,
        _entries: usize,
        _bits_each: usize,
    ) -> Result<(), SyntaxError> {
        Ok(())
    }
    fn writes(&self) -> bool {
        true
    }
}
