//! What every event must fulfil, whether it is read, written or played.

use std::time::Duration;

use scanout_core::buffer::MAX_PLANES;
use scanout_core::geometry::{Rect, Size};

use super::{
    CursorShape, Event, EventKind, MAX_CURSOR_SIDE, MAX_DURATION, MAX_EXPORTER, MAX_KEPT_BYTES,
    MAX_PATCHES, Patch, RecordingError, Scanout,
};

/// What is known of the events before.
#[derive(Clone, Debug, Default)]
pub(super) struct Checker {
    last: Duration,
    shown: Option<Shown>,
}

#[derive(Clone, Debug)]
struct Shown {
    picture: Size,
    objects: Vec<u64>,
}

impl Checker {
    /// Accepts `event` as the next one; one that is refused changes nothing.
    pub(super) fn accept(&mut self, event: &Event) -> Result<(), RecordingError> {
        self.time(event.time)?;
        match &event.kind {
            EventKind::Scanout(scanout) => {
                scanout.check()?;
                let objects: Vec<u64> = scanout.objects.iter().map(|object| object.size).collect();
                patches(&scanout.patches, &objects)?;
                let picture = scanout.view.content.size();
                self.shown = Some(Shown { picture, objects });
            }
            EventKind::Update(update) => {
                let rect = update.rect;
                let shown = self.shown.as_ref();
                let shown = shown.ok_or(RecordingError::NothingShown { rect })?;
                if !Rect::of(shown.picture).contains(rect) {
                    let size = shown.picture;
                    return Err(RecordingError::RectOutside { rect, size });
                }
                patches(&update.patches, &shown.objects)?;
            }
            EventKind::Disable => self.shown = None,
            EventKind::CursorDefine(cursor) => check_cursor(cursor)?,
            EventKind::MouseSet(_) => {}
        }
        self.last = event.time;
        Ok(())
    }

    /// Accepts `time` as that of the next event.
    pub(super) fn time(&self, time: Duration) -> Result<(), RecordingError> {
        if time > MAX_DURATION {
            return Err(RecordingError::TimeBeyond { time });
        }
        if time < self.last {
            let last = self.last;
            return Err(RecordingError::TimeBackwards { time, last });
        }
        Ok(())
    }

    /// The time of the last event.
    pub(super) fn last(&self) -> Duration {
        self.last
    }
}

impl Scanout {
    /// Whether it can be recorded: sizes and counts within their bounds, planes
    /// in objects that are there, and the content in the buffer. Whether planes
    /// fit their objects is not asked: that is what was handed over.
    pub fn check(&self) -> Result<(), RecordingError> {
        let size = self.layout.size;
        crate::source::checked_size(size.width.into(), size.height.into())?;
        let content = self.view.content;
        if content.is_empty() || !Rect::of(size).contains(content) {
            return Err(RecordingError::ContentOutside { content, size });
        }
        let count = |what, count| match count {
            1..=MAX_PLANES => Ok(()),
            _ => Err(RecordingError::Count {
                what,
                count,
                max: MAX_PLANES,
            }),
        };
        count("planes", self.layout.planes.len())?;
        count("objects", self.objects.len())?;
        let mut total = 0u64;
        for (index, object) in self.objects.iter().enumerate() {
            total = total.saturating_add(object.size);
            if object.size == 0 || total > MAX_KEPT_BYTES {
                return Err(RecordingError::ObjectSize { bytes: object.size });
            }
            let bytes = object.exporter.as_deref().map_or(0, str::len);
            if bytes > MAX_EXPORTER {
                return Err(RecordingError::Exporter { bytes });
            }
            let id = object.id;
            if self.objects.iter().take(index).any(|o| o.id == id) {
                return Err(RecordingError::ObjectTwice { id });
            }
        }
        for plane in &self.layout.planes {
            if usize::from(plane.object) >= self.objects.len() {
                return Err(RecordingError::NoSuchObject {
                    what: "a plane lies",
                    object: plane.object,
                    objects: self.objects.len(),
                });
            }
        }
        Ok(())
    }
}

fn patches(patches: &[Patch], objects: &[u64]) -> Result<(), RecordingError> {
    if patches.len() > MAX_PATCHES {
        return Err(RecordingError::TooManyPatches {
            count: patches.len(),
        });
    }
    patches.iter().try_for_each(|patch| {
        let object = patch.object;
        let size = objects.get(usize::from(object));
        let size = *size.ok_or(RecordingError::NoSuchObject {
            what: "a patch lies",
            object,
            objects: objects.len(),
        })?;
        check_patch(patch, size)
    })
}

fn check_patch(patch: &Patch, size: u64) -> Result<(), RecordingError> {
    let Patch {
        object,
        stride,
        row_bytes,
        rows,
        ..
    } = *patch;
    let data = patch.data.len() as u64;
    let overlaps = rows > 1 && stride < row_bytes;
    if rows == 0 || row_bytes == 0 || overlaps || data != u64::from(rows) * u64::from(row_bytes) {
        return Err(RecordingError::PatchShape {
            rows,
            row_bytes,
            stride,
            data,
        });
    }
    // 32 by 32 bits and a 32-bit sum stay in 64; only the offset may leave them.
    let length = u64::from(stride) * u64::from(rows - 1) + u64::from(row_bytes);
    let end = length.saturating_add(patch.offset);
    if end > size {
        return Err(RecordingError::PatchOutside { end, object, size });
    }
    Ok(())
}

fn check_cursor(cursor: &CursorShape) -> Result<(), RecordingError> {
    let sides = 1..=MAX_CURSOR_SIDE;
    let (size, bytes) = (cursor.size, cursor.argb.len());
    if !sides.contains(&size.width)
        || !sides.contains(&size.height)
        || size.area() * 4 != bytes as u64
    {
        return Err(RecordingError::Cursor { size, bytes });
    }
    Ok(())
}
