//! What the console shows, as far as QEMU can be believed.

use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use scanout_core::buffer::{
    AllowedModifiers, CpuReader, DmaBuf, ImportError, ImportPolicy, Layout, LayoutError, ObjectId,
    Orientation, ReadError, SourceBuffer, View, validate,
};
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Rect, Size};
use scanout_trace::recording::{
    CursorShape, Delivery, EventKind, MAX_CURSOR_SIDE, MouseSet, Object, Patch, RecordingError,
    Scanout, Update,
};

use crate::call::{Call, Dmabuf, RawRect, Surface};
use crate::described::{clip, layout_of, layout_of_dmabuf};

/// Largest picture: twice as many pixels as any display that a QEMU serves, and a
/// bound on what a guest can make us hold.
pub const MAX_SIZE: Size = Size::new(8192, 8192);
/// How long the writes of a producer may keep us from reading.
const READ_LIMIT: Duration = Duration::from_millis(250);
/// Number of the memory that stands for the bytes of messages.
const INLINE: u32 = 0;

/// Why a call was not followed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScreenError {
    /// A pixman format that is not in our table.
    #[error("pixman format {pixman:#010x} is unknown")]
    Pixman {
        /// The code seen.
        pixman: u32,
    },
    /// Something else than RGB in one plane.
    #[error("{fourcc} is not RGB in one plane, which is all that a console shows")]
    NotRgb {
        /// The format seen.
        fourcc: Fourcc,
    },
    /// The numbers of planes disagree.
    #[error(
        "{num_planes} planes announced with {fds} descriptors, {offsets} offsets and {strides} strides: each plane needs one of each, and 1 to 4 planes are possible"
    )]
    Planes {
        /// As announced.
        num_planes: u32,
        /// Descriptors.
        fds: usize,
        /// Offsets.
        offsets: usize,
        /// Strides.
        strides: usize,
    },
    /// The buffer is not what it should be.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// The layout is not what it should be.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The buffer cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An update of another kind than the scanout that it updates.
    #[error("{call} of {rect}, but what is shown came as {shown}")]
    OtherKind {
        /// The call.
        call: &'static str,
        /// What it was to update.
        rect: RawRect,
        /// How it came.
        shown: Delivery,
    },
    /// An update with its own bytes that leaves the picture.
    #[error("update of {rect} leaves the picture of {size}")]
    Outside {
        /// What it was to update.
        rect: RawRect,
        /// The picture.
        size: Size,
    },
    /// An update in another format than its scanout.
    #[error("update in {seen} of a picture in {shown}")]
    OtherFormat {
        /// The update's.
        seen: Fourcc,
        /// The picture's.
        shown: Fourcc,
    },
    /// A pointer that cannot be.
    #[error(
        "pointer of {width}x{height} with {bytes} bytes: sides must be 1 to {MAX_CURSOR_SIDE}, and 4 bytes a pixel"
    )]
    Cursor {
        /// Width.
        width: i32,
        /// Height.
        height: i32,
        /// Bytes that came.
        bytes: usize,
    },
    /// The recording cannot hold it.
    #[error(transparent)]
    Recording(#[from] RecordingError),
}

enum Memory {
    /// Shared with QEMU.
    Shared(SourceBuffer),
    /// Bytes of messages, ours.
    Ours(Vec<u8>),
}

struct Shown {
    /// Without patches.
    scanout: Scanout,
    memory: Memory,
}

/// A console's screen.
pub struct Screen {
    reader: CpuReader,
    policy: ImportPolicy,
    shown: Option<Shown>,
    numbers: HashMap<ObjectId, u32>,
}

/// The whole picture as it is, read anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Columns and rows.
    pub size: Size,
    /// The format of the pixels.
    pub fourcc: Fourcc,
    /// Rows without gaps, the top of the picture first.
    pub pixels: Vec<u8>,
}

impl Default for Screen {
    fn default() -> Self {
        Self::new()
    }
}

impl Screen {
    /// A screen that shows nothing yet.
    pub fn new() -> Self {
        let mut policy = ImportPolicy::default().with_modifiers(AllowedModifiers::Linear);
        policy.limits.max_size = MAX_SIZE;
        Self {
            reader: CpuReader::default(),
            policy,
            shown: None,
            numbers: HashMap::new(),
        }
    }

    /// Follows one call and reads what it brings. `None` where nothing that is shown
    /// changed: an update that lies wholly outside, or comes while nothing is shown, as
    /// QEMU sends one after `Disable` when the guest changes the mode.
    pub fn apply(&mut self, call: Call) -> Result<Option<EventKind>, ScreenError> {
        match call {
            Call::Scanout(surface, bytes) => self.inline(surface, bytes).map(Some),
            Call::Update(rect, part, bytes) => self.inline_update(rect, part, &bytes),
            Call::ScanoutMap(fd, offset, surface) => self.map(&fd, offset, surface).map(Some),
            Call::ScanoutDmabuf(dmabuf) => self.dmabuf(&dmabuf).map(Some),
            Call::UpdateMap(rect) => self.update("UpdateMap", Delivery::Map, rect),
            Call::UpdateDmabuf(rect) => self.update("UpdateDMABUF", Delivery::DmaBuf, rect),
            Call::Disable => {
                self.retire();
                Ok(Some(EventKind::Disable))
            }
            Call::CursorDefine {
                width,
                height,
                hot_x,
                hot_y,
                bytes,
            } => cursor(width, height, (hot_x, hot_y), bytes).map(Some),
            Call::MouseSet { x, y, on } => {
                let visible = on;
                Ok(Some(EventKind::MouseSet(MouseSet { x, y, visible })))
            }
        }
    }

    /// Reads all of what is shown, whatever was said to have changed.
    pub fn picture(&mut self) -> Result<Option<Picture>, ScreenError> {
        let Some(shown) = &self.shown else {
            return Ok(None);
        };
        let size = shown.scanout.view.content.size();
        let patches = read(&mut self.reader, shown, Rect::of(size))?;
        let mut rows: Vec<&[u8]> = Vec::new();
        for patch in &patches {
            rows.extend(patch.data.chunks_exact(patch.row_bytes.max(1) as usize));
        }
        if shown.scanout.view.orientation == Orientation::BottomUp {
            rows.reverse();
        }
        Ok(Some(Picture {
            size,
            fourcc: shown.scanout.layout.fourcc,
            pixels: rows.concat(),
        }))
    }

    /// Forgets what is shown, and gives up its memory.
    fn retire(&mut self) {
        if let Some(Shown {
            memory: Memory::Shared(SourceBuffer::DmaBuf(buffer)),
            ..
        }) = self.shown.take()
        {
            self.reader.retire(buffer.key());
        }
    }

    /// Puts something new in the place of what was shown.
    fn show(&mut self, scanout: Scanout, memory: Memory) -> Result<EventKind, ScreenError> {
        // What was there is gone in any case: QEMU shows something else now.
        self.retire();
        scanout.check()?;
        let all = Rect::of(scanout.view.content.size());
        let shown = Shown { scanout, memory };
        let patches = read(&mut self.reader, &shown, all)?;
        let scanout = shown.scanout.clone();
        self.shown = Some(shown);
        Ok(EventKind::Scanout(Scanout { patches, ..scanout }))
    }

    fn inline(&mut self, surface: Surface, bytes: Vec<u8>) -> Result<EventKind, ScreenError> {
        let layout = layout_of(surface, 0)?;
        let mut limits = self.policy.limits.clone();
        limits.modifiers = AllowedModifiers::Linear;
        validate(&layout, &[bytes.len() as u64], &limits)?;
        let scanout = Scanout {
            delivery: Delivery::Inline,
            view: View::of(layout.size),
            layout,
            objects: vec![Object {
                id: INLINE,
                size: bytes.len() as u64,
                exporter: None,
            }],
            patches: Vec::new(),
        };
        self.show(scanout, Memory::Ours(bytes))
    }

    fn inline_update(
        &mut self,
        raw: RawRect,
        part: Surface,
        bytes: &[u8],
    ) -> Result<Option<EventKind>, ScreenError> {
        let seen = layout_of(part, 0)?;
        let Some(Shown { scanout, memory }) = &mut self.shown else {
            return Ok(None);
        };
        let Memory::Ours(ours) = memory else {
            return Err(other_kind("Update", raw, scanout.delivery));
        };
        let (shown, size) = (scanout.layout.fourcc, scanout.layout.size);
        if seen.fourcc != shown {
            return Err(ScreenError::OtherFormat {
                seen: seen.fourcc,
                shown,
            });
        }
        let format = validate(&seen, &[bytes.len() as u64], &self.policy.limits)?;
        let rect = clip(raw, size).filter(|rect| rect.size() == seen.size);
        let (Some(rect), Some(plane), Some(info)) =
            (rect, scanout.layout.planes.first(), format.planes.first())
        else {
            return Err(ScreenError::Outside { rect: raw, size });
        };
        let offset = u64::from(rect.y) * u64::from(plane.stride) + info.row_bytes(rect.x);
        // A picture's row fits 32 bits: validation bounds width and format.
        let row_bytes = info.row_bytes(rect.width) as u32;
        let patch = Patch::of_rows(
            0,
            offset,
            plane.stride,
            row_bytes,
            rect.height,
            (bytes, part.stride),
        )
        .ok_or(ScreenError::Outside { rect: raw, size })?;
        write_rows(ours, &patch);
        let patches = vec![patch];
        Ok(Some(EventKind::Update(Update { rect, patches })))
    }

    fn map(
        &mut self,
        fd: &OwnedFd,
        offset: u32,
        surface: Surface,
    ) -> Result<EventKind, ScreenError> {
        let layout = layout_of(surface, offset)?;
        let policy = self.policy.clone().with_memfd();
        let buffer = DmaBuf::import(&[fd.as_fd()], &layout, &policy)?;
        self.shared(Delivery::Map, layout, buffer)
    }

    fn dmabuf(&mut self, dmabuf: &Dmabuf) -> Result<EventKind, ScreenError> {
        let (layout, fds) = layout_of_dmabuf(dmabuf)?;
        let content = Rect::new(dmabuf.x, dmabuf.y, dmabuf.width, dmabuf.height);
        let buffer = DmaBuf::import(&fds, &layout, &self.policy)?
            .with_orientation(Orientation::from_y0_top(dmabuf.y0_top))
            .with_content(content)?;
        self.shared(Delivery::DmaBuf, layout, buffer)
    }

    fn shared(
        &mut self,
        delivery: Delivery,
        layout: Layout,
        buffer: DmaBuf,
    ) -> Result<EventKind, ScreenError> {
        let objects = buffer
            .objects()
            .iter()
            .map(|object| {
                let next = self.numbers.len().saturating_add(1);
                let next = u32::try_from(next).unwrap_or(u32::MAX);
                Object {
                    id: *self.numbers.entry(object.id()).or_insert(next),
                    size: object.size(),
                    exporter: exporter(object.as_fd()),
                }
            })
            .collect();
        let scanout = Scanout {
            delivery,
            layout,
            view: buffer.view(),
            objects,
            patches: Vec::new(),
        };
        self.show(scanout, Memory::Shared(buffer.into()))
    }

    fn update(
        &mut self,
        call: &'static str,
        delivery: Delivery,
        raw: RawRect,
    ) -> Result<Option<EventKind>, ScreenError> {
        let Some(shown) = &self.shown else {
            return Ok(None);
        };
        if shown.scanout.delivery != delivery {
            return Err(other_kind(call, raw, shown.scanout.delivery));
        }
        let Some(rect) = clip(raw, shown.scanout.view.content.size()) else {
            return Ok(None);
        };
        let patches = read(&mut self.reader, shown, rect)?;
        Ok(Some(EventKind::Update(Update { rect, patches })))
    }
}

fn other_kind(call: &'static str, rect: RawRect, shown: Delivery) -> ScreenError {
    ScreenError::OtherKind { call, rect, shown }
}

/// Reads `rect` of the picture.
fn read(reader: &mut CpuReader, shown: &Shown, rect: Rect) -> Result<Vec<Patch>, ScreenError> {
    let scanout = &shown.scanout;
    let source = match &shown.memory {
        Memory::Ours(bytes) => return Ok(scanout.capture_rect(rect, true, &[bytes])?),
        Memory::Shared(source) => source,
    };
    let read = reader.read(source, READ_LIMIT)?;
    let bytes = read.planes().first().map_or(&[][..], |plane| plane.data);
    // What is read begins at the plane, not at the object.
    let mut from_plane = scanout.clone();
    let mut base = 0;
    if let Some(plane) = from_plane.layout.planes.first_mut() {
        base = std::mem::take(&mut plane.offset);
    }
    let mut patches = from_plane.capture_rect(rect, true, &[bytes])?;
    for patch in &mut patches {
        patch.offset = patch.offset.saturating_add(base.into());
    }
    Ok(patches)
}

/// Puts the rows of `patch`, which lies within `bytes`, in their place.
fn write_rows(bytes: &mut [u8], patch: &Patch) {
    let mut at = patch.offset as usize;
    for row in patch.data.chunks_exact(patch.row_bytes.max(1) as usize) {
        if let Some(into) = bytes.get_mut(at..at.saturating_add(row.len())) {
            into.copy_from_slice(row);
        }
        at = at.saturating_add(patch.stride as usize);
    }
}

/// The name of a dma-buf's exporter, where the kernel tells it.
fn exporter(fd: BorrowedFd<'_>) -> Option<String> {
    let path = format!("/proc/self/fdinfo/{}", fd.as_raw_fd());
    let info = std::fs::read_to_string(path).ok()?;
    // The first one: what follows may be a name that user space gave.
    let name = info.lines().find_map(|line| line.strip_prefix("exp_name:"));
    name.map(|name| name.trim().to_owned())
}

fn cursor(
    width: i32,
    height: i32,
    (hot_x, hot_y): (i32, i32),
    argb: Vec<u8>,
) -> Result<EventKind, ScreenError> {
    let side = |length: i32| {
        u32::try_from(length)
            .ok()
            .filter(|l| (1..=MAX_CURSOR_SIDE).contains(l))
    };
    let size = side(width).zip(side(height));
    let size = size.filter(|&(w, h)| Size::new(w, h).area() * 4 == argb.len() as u64);
    let Some((w, h)) = size else {
        return Err(ScreenError::Cursor {
            width,
            height,
            bytes: argb.len(),
        });
    };
    Ok(EventKind::CursorDefine(CursorShape {
        size: Size::new(w, h),
        hot_x,
        hot_y,
        argb,
    }))
}
