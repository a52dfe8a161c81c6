//! What a display producer hands over, as it is recorded.

use std::time::Duration;

use scanout_core::buffer::{Layout, Orientation, View};
use scanout_core::geometry::{Rect, Size};

use super::RecordingError;

/// One thing that a producer handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When it arrived, from the recording's start on.
    pub time: Duration,
    /// How long the producer waited for the listener's answer, where that was
    /// measured.
    pub reply: Option<Duration>,
    /// What it was.
    pub kind: EventKind,
}

impl Event {
    /// An event whose answer was not measured.
    pub fn new(time: Duration, kind: EventKind) -> Self {
        Self {
            time,
            reply: None,
            kind,
        }
    }
}

/// What a producer handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// From here on this is shown; all of it is new.
    Scanout(Scanout),
    /// Part of what is shown was drawn anew.
    Update(Update),
    /// Nothing is shown.
    Disable,
    /// The pointer has another shape.
    CursorDefine(CursorShape),
    /// The pointer is elsewhere.
    MouseSet(MouseSet),
}

/// How a scanout came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Delivery {
    /// As dma-bufs: QEMU's `ScanoutDMABUF` and `ScanoutDMABUF2`.
    DmaBuf,
    /// As shared memory: QEMU's `ScanoutMap`.
    Map,
    /// As bytes of the message: QEMU's `Scanout` and `Update`.
    Inline,
}

impl std::fmt::Display for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::DmaBuf => "dma-buf",
            Self::Map => "shared memory",
            Self::Inline => "bytes",
        })
    }
}

/// A piece of memory that planes lie in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Tells objects of one recording apart: the same number is the same memory
    /// (the same inode), whatever descriptor it came as. An object that was
    /// shown before still has the bytes that it had then. Bytes of messages,
    /// which have no identity, may take any number, the same one each time.
    pub id: u32,
    /// Its size in bytes.
    pub size: u64,
    /// Who made it, as in `exp_name` of `/proc/self/fdinfo`, where that is known.
    pub exporter: Option<String>,
}

/// A buffer that is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scanout {
    /// How it came.
    pub delivery: Delivery,
    /// What its bytes mean, as the producer said: whether that can be is for
    /// those to check who read the buffer.
    pub layout: Layout,
    /// What is shown of it, and which way up ([`Orientation::from_y0_top`]).
    pub view: View,
    /// The memory, in the order in which the planes number it.
    pub objects: Vec<Object>,
    /// All bytes of all objects; see [`Scanout::capture`]. What no patch names
    /// is as it was when the object was last shown, and zero where it never was.
    pub patches: Vec<Patch>,
}

/// Something was drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// Where, in pixels of the picture: (0, 0) is the top left corner of the
    /// content as it is shown, whichever way up it lies in memory.
    pub rect: Rect,
    /// The bytes that it changed; see [`Scanout::capture_rect`].
    pub patches: Vec<Patch>,
}

/// The shape of a pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CursorShape {
    /// Width and height.
    pub size: Size,
    /// Where it points, from its left edge on.
    pub hot_x: i32,
    /// Where it points, from its top on.
    pub hot_y: i32,
    /// B, G, R and A of each pixel, row by row: 4 * width * height bytes.
    pub argb: Vec<u8>,
}

/// Where the pointer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MouseSet {
    /// From the left.
    pub x: i32,
    /// From the top.
    pub y: i32,
    /// Whether it is shown.
    pub visible: bool,
}

/// Bytes of an object: `rows` runs of `row_bytes` bytes, `stride` bytes apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// Which of the scanout's objects, as planes number them.
    pub object: u8,
    /// Where in the object the first row begins.
    pub offset: u64,
    /// Bytes from row to row.
    pub stride: u32,
    /// Bytes of a row.
    pub row_bytes: u32,
    /// Number of rows.
    pub rows: u32,
    /// The rows without gaps: `rows * row_bytes` bytes.
    pub data: Vec<u8>,
}

/// Length of the rows that a whole object is cut to. Unchanged rows are not
/// written, and this is a page, the unit in which memory is zero.
const WHOLE_ROW: usize = 4096;

impl Patch {
    /// All bytes of an object, as one patch or two (the last row may be short).
    pub fn whole(object: u8, bytes: &[u8]) -> Vec<Self> {
        let rows = bytes.len() / WHOLE_ROW;
        let (full, rest) = bytes.split_at(rows * WHOLE_ROW);
        let row = |offset: usize, row_bytes: usize, rows: usize, data: &[u8]| Self {
            object,
            offset: offset as u64,
            stride: row_bytes as u32,
            row_bytes: row_bytes as u32,
            rows: rows as u32,
            data: data.to_vec(),
        };
        let mut patches = Vec::new();
        if !full.is_empty() {
            patches.push(row(0, WHOLE_ROW, rows, full));
        }
        if !rest.is_empty() {
            patches.push(row(full.len(), rest.len(), 1, rest));
        }
        patches
    }

    /// Cuts `rows` rows out of `bytes`, which are all bytes of the object.
    /// `None` where a row would leave them, or lie over the one before.
    pub fn cut(
        object: u8,
        bytes: &[u8],
        offset: u64,
        stride: u32,
        row_bytes: u32,
        rows: u32,
    ) -> Option<Self> {
        let start = usize::try_from(offset).ok()?;
        // A stride of 0 would make any number of rows of one.
        if rows > 1 && stride < row_bytes {
            return None;
        }
        let mut data = Vec::new();
        for row in 0..rows as usize {
            let at = start.checked_add(row.checked_mul(stride as usize)?)?;
            data.extend_from_slice(bytes.get(at..at.checked_add(row_bytes as usize)?)?);
        }
        Some(Self {
            object,
            offset,
            stride,
            row_bytes,
            rows,
            data,
        })
    }

    /// Rows whose bytes already lie one after the other `stride` bytes apart, as
    /// in the message of an inline update. `None` where there are too few.
    pub fn of_rows(
        object: u8,
        offset: u64,
        object_stride: u32,
        row_bytes: u32,
        rows: u32,
        (bytes, stride): (&[u8], u32),
    ) -> Option<Self> {
        let patch = Self::cut(object, bytes, 0, stride, row_bytes, rows)?;
        Some(Self {
            offset,
            stride: object_stride,
            ..patch
        })
    }
}

impl Scanout {
    /// The patches of a scanout: all bytes of all objects, given in their order.
    pub fn capture(objects: &[&[u8]]) -> Vec<Patch> {
        // More than 255 objects cannot be numbered, and are refused when written.
        (0..=u8::MAX)
            .zip(objects)
            .flat_map(|(object, bytes)| Patch::whole(object, bytes))
            .collect()
    }

    /// The patches of an update of `rect` (pixels of the picture, as in
    /// [`Update::rect`]): its rows where the layout is linear, of a known format
    /// and without rows that overlap, else all bytes of all objects.
    ///
    /// `linear` says how to take modifier `INVALID`, which does not tell.
    pub fn capture_rect(
        &self,
        rect: Rect,
        linear: bool,
        objects: &[&[u8]],
    ) -> Result<Vec<Patch>, RecordingError> {
        self.check()?;
        let size = self.view.content.size();
        if !Rect::of(size).contains(rect) {
            return Err(RecordingError::RectOutside { rect, size });
        }
        let linear = self.layout.modifier.is_linear()
            || (linear && self.layout.modifier == scanout_core::format::Modifier::INVALID);
        let format = scanout_core::format::info(self.layout.fourcc)
            .filter(|format| linear && format.planes.len() == self.layout.planes.len());
        let Some(format) = format else {
            return Ok(Self::capture(objects));
        };
        if rect.is_empty() {
            return Ok(Vec::new());
        }
        let (left, top) = self.in_memory(rect);
        let mut patches = Vec::with_capacity(format.planes.len());
        for (index, (plane, info)) in self.layout.planes.iter().zip(format.planes).enumerate() {
            let (h_sub, v_sub) = (u64::from(info.h_sub), u64::from(info.v_sub));
            let (first, last) = (left / h_sub, (left + u64::from(rect.width)).div_ceil(h_sub));
            let (row, end) = (top / v_sub, (top + u64::from(rect.height)).div_ceil(v_sub));
            let block = u64::from(info.block_bytes);
            let offset = u64::from(plane.offset) + row * u64::from(plane.stride) + first * block;
            let bytes = objects
                .get(usize::from(plane.object))
                .copied()
                .unwrap_or_default();
            let row_bytes = (last - first) * block;
            if u64::from(plane.stride) < info.row_bytes(self.layout.size.width) {
                return Ok(Self::capture(objects));
            }
            // Sides of a picture are far below 32 bits.
            let (row_bytes, rows) = (row_bytes as u32, (end - row) as u32);
            let patch = Patch::cut(plane.object, bytes, offset, plane.stride, row_bytes, rows);
            patches.push(patch.ok_or(RecordingError::PlaneOutside {
                plane: index,
                object: plane.object,
                size: bytes.len() as u64,
            })?);
        }
        Ok(patches)
    }

    /// Column and row of the buffer at which the memory of `rect`, which lies in
    /// the content, begins.
    pub(super) fn in_memory(&self, rect: Rect) -> (u64, u64) {
        let content = self.view.content;
        let down = match self.view.orientation {
            Orientation::TopDown => rect.y,
            Orientation::BottomUp => content.height.saturating_sub(rect.bottom()),
        };
        (
            u64::from(content.x) + u64::from(rect.x),
            u64::from(content.y) + u64::from(down),
        )
    }
}
