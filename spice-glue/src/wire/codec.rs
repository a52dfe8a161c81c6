//! Little-endian fields without padding, read and written one after the other.

use super::WireError;
use super::display::Rect;

/// Reads the fields of one message.
pub(crate) struct Reader<'a> {
    what: &'static str,
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// `what` is the name that errors give the message.
    pub(crate) fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self {
            what,
            bytes,
            offset: 0,
        }
    }

    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    /// The bytes not read yet.
    pub(crate) fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.offset)
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8], WireError> {
        let end = self.offset.checked_add(len);
        match end.and_then(|end| self.bytes.get(self.offset..end)) {
            Some(bytes) => {
                self.offset += len;
                Ok(bytes)
            }
            None => Err(WireError::Short {
                what: self.what,
                offset: self.offset,
                need: len,
                len: self.bytes.len(),
            }),
        }
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N)?);
        Ok(array)
    }

    /// Everything that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        let rest = self.bytes.get(self.offset..).unwrap_or_default();
        self.offset = self.bytes.len();
        rest
    }

    /// The same, left where it is.
    pub(crate) fn peek(&self) -> &'a [u8] {
        self.bytes.get(self.offset..).unwrap_or_default()
    }

    pub(crate) fn u8(&mut self) -> Result<u8, WireError> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, WireError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, WireError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn i16(&mut self) -> Result<i16, WireError> {
        self.array().map(i16::from_le_bytes)
    }

    pub(crate) fn i32(&mut self) -> Result<i32, WireError> {
        self.array().map(i32::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, WireError> {
        self.array().map(i64::from_le_bytes)
    }

    /// Four coordinates, in the order of the protocol.
    pub(crate) fn rect(&mut self) -> Result<Rect, WireError> {
        Ok(Rect {
            top: self.i32()?,
            left: self.i32()?,
            bottom: self.i32()?,
            right: self.i32()?,
        })
    }

    /// A count of items of `item` bytes each, at most `max`, that are there.
    pub(crate) fn count(
        &mut self,
        field: &'static str,
        seen: u64,
        item: usize,
        max: usize,
    ) -> Result<usize, WireError> {
        let count = usize::try_from(seen).unwrap_or(usize::MAX);
        if count > max {
            return Err(WireError::OutOfBounds {
                what: field,
                offset: self.offset,
                seen,
                min: 0,
                max: max as u64,
            });
        }
        let need = count.saturating_mul(item);
        if need > self.left() {
            return Err(WireError::Short {
                what: field,
                offset: self.offset,
                need,
                len: self.bytes.len(),
            });
        }
        Ok(count)
    }

    /// The value of an enumeration that was read just now, in `width` bytes.
    pub(crate) fn known<T>(
        &self,
        field: &'static str,
        width: usize,
        seen: u64,
        allowed: &'static str,
        value: Option<T>,
    ) -> Result<T, WireError> {
        value.ok_or(WireError::BadValue {
            what: field,
            offset: self.offset.saturating_sub(width),
            seen,
            allowed,
        })
    }

    /// The end of a message that must fit exactly.
    pub(crate) fn finish<T>(self, value: T) -> Result<T, WireError> {
        match self.left() {
            0 => Ok(value),
            _ => Err(WireError::Trailing {
                what: self.what,
                offset: self.offset,
                len: self.bytes.len(),
            }),
        }
    }
}

/// Writes the fields of one message at the end of a buffer.
pub(crate) struct Writer<'a>(pub(crate) &'a mut Vec<u8>);

impl Writer<'_> {
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn zeros(&mut self, len: usize) {
        self.0.resize(self.0.len() + len, 0);
    }

    pub(crate) fn u8(&mut self, value: u8) -> &mut Self {
        self.bytes(&[value])
    }

    pub(crate) fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn i16(&mut self, value: i16) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn i32(&mut self, value: i32) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn i64(&mut self, value: i64) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn rect(&mut self, rect: &Rect) -> &mut Self {
        self.i32(rect.top)
            .i32(rect.left)
            .i32(rect.bottom)
            .i32(rect.right)
    }
}

/// The first `max` items: what a peer would refuse is not written.
pub(crate) fn at_most<T>(items: &[T], max: usize) -> &[T] {
    items.get(..max).unwrap_or(items)
}

/// Bytes without the zero that C strings end with.
pub(crate) fn without_nul(bytes: &[u8]) -> &[u8] {
    bytes.strip_suffix(&[0]).unwrap_or(bytes)
}
