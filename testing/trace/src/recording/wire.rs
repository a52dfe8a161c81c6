//! Records as bytes. All numbers are little-endian.

use std::time::Duration;

use arrayvec::ArrayVec;
use scanout_core::buffer::{Layout, Orientation, Plane, View};
use scanout_core::format::{Fourcc, Modifier};
use scanout_core::geometry::{Rect, Size};

use super::{
    CursorShape, Delivery, Event, EventKind, MAX_PATCHES, MouseSet, Object, Patch, RecordingError,
    Scanout, Update,
};

const END: u8 = 0;
const SCANOUT: u8 = 1;
const UPDATE: u8 = 2;
const DISABLE: u8 = 3;
const CURSOR: u8 = 4;
const MOUSE: u8 = 5;

/// Bytes of a patch beside its data.
pub(super) const PATCH_HEAD: usize = 1 + 8 + 4 + 4 + 4;

/// What a record holds.
#[derive(Debug)]
pub(super) enum Record {
    Event(Event),
    /// The recording ends at this time.
    End(Duration),
}

pub(super) fn write_end(out: &mut Vec<u8>, time: Duration) {
    out.push(END);
    put_time(out, time);
}

/// Writes `event`, whose patches are taken from `patches` instead.
pub(super) fn write_event<'a>(out: &mut Vec<u8>, event: &'a Event, patches: &[PatchRows<'a>]) {
    out.push(match &event.kind {
        EventKind::Scanout(_) => SCANOUT,
        EventKind::Update(_) => UPDATE,
        EventKind::Disable => DISABLE,
        EventKind::CursorDefine(_) => CURSOR,
        EventKind::MouseSet(_) => MOUSE,
    });
    put_time(out, event.time);
    out.push(event.reply.is_some().into());
    if let Some(reply) = event.reply {
        put_time(out, reply);
    }
    match &event.kind {
        EventKind::Scanout(scanout) => put_scanout(out, scanout),
        EventKind::Update(update) => put_rect(out, update.rect),
        EventKind::Disable => {}
        EventKind::CursorDefine(cursor) => {
            put_size(out, cursor.size);
            out.extend(cursor.hot_x.to_le_bytes());
            out.extend(cursor.hot_y.to_le_bytes());
            out.extend(&cursor.argb);
        }
        EventKind::MouseSet(mouse) => {
            out.extend(mouse.x.to_le_bytes());
            out.extend(mouse.y.to_le_bytes());
            out.push(mouse.visible.into());
        }
    }
    if matches!(event.kind, EventKind::Scanout(_) | EventKind::Update(_)) {
        out.extend((patches.len() as u32).to_le_bytes());
        for rows in patches {
            rows.put(out);
        }
    }
}

/// Some rows of a patch.
#[derive(Clone, Copy, Debug)]
pub(super) struct PatchRows<'a> {
    pub(super) patch: &'a Patch,
    pub(super) first: u32,
    pub(super) rows: u32,
}

impl PatchRows<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        let patch = self.patch;
        out.push(patch.object);
        let offset = patch.offset + u64::from(self.first) * u64::from(patch.stride);
        out.extend(offset.to_le_bytes());
        out.extend(patch.stride.to_le_bytes());
        out.extend(patch.row_bytes.to_le_bytes());
        out.extend(self.rows.to_le_bytes());
        let row = patch.row_bytes as usize;
        let start = self.first as usize * row;
        let data = patch.data.get(start..start + self.rows as usize * row);
        out.extend(data.unwrap_or_default());
    }
}

fn put_time(out: &mut Vec<u8>, time: Duration) {
    let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    out.extend(nanos.to_le_bytes());
}

fn put_size(out: &mut Vec<u8>, size: Size) {
    out.extend(size.width.to_le_bytes());
    out.extend(size.height.to_le_bytes());
}

fn put_rect(out: &mut Vec<u8>, rect: Rect) {
    for value in [rect.x, rect.y, rect.width, rect.height] {
        out.extend(value.to_le_bytes());
    }
}

fn put_scanout(out: &mut Vec<u8>, scanout: &Scanout) {
    out.push(match scanout.delivery {
        Delivery::DmaBuf => 1,
        Delivery::Map => 2,
        Delivery::Inline => 3,
    });
    let layout = &scanout.layout;
    out.extend(layout.fourcc.0.to_le_bytes());
    out.extend(layout.modifier.0.to_le_bytes());
    put_size(out, layout.size);
    out.push(layout.planes.len() as u8);
    for plane in &layout.planes {
        out.push(plane.object);
        out.extend(plane.offset.to_le_bytes());
        out.extend(plane.stride.to_le_bytes());
    }
    put_rect(out, scanout.view.content);
    out.push((scanout.view.orientation == Orientation::BottomUp).into());
    out.push(scanout.objects.len() as u8);
    for object in &scanout.objects {
        out.extend(object.id.to_le_bytes());
        out.extend(object.size.to_le_bytes());
        let exporter = object.exporter.as_deref();
        out.push(exporter.is_some().into());
        if let Some(exporter) = exporter {
            out.push(exporter.len() as u8);
            out.extend(exporter.as_bytes());
        }
    }
}

/// Reads the bytes of record number `record`. That values fit together is
/// checked elsewhere.
pub(super) fn read(record: u64, bytes: &[u8]) -> Result<Record, RecordingError> {
    let mut fields = Fields {
        record,
        rest: bytes,
    };
    let kind = fields.u8("its kind")?;
    let time = fields.time("its time")?;
    let result = if kind == END {
        Record::End(time)
    } else {
        let reply = fields
            .flag("the flag of an answer")?
            .then(|| fields.time("the time of the answer"))
            .transpose()?;
        let kind = match kind {
            SCANOUT => EventKind::Scanout(fields.scanout()?),
            UPDATE => EventKind::Update(Update {
                rect: fields.rect("the updated rectangle")?,
                patches: fields.patches()?,
            }),
            DISABLE => EventKind::Disable,
            CURSOR => EventKind::CursorDefine(CursorShape {
                size: fields.size("the pointer's size")?,
                hot_x: fields.i32("the pointer's hot spot")?,
                hot_y: fields.i32("the pointer's hot spot")?,
                argb: std::mem::take(&mut fields.rest).to_vec(),
            }),
            MOUSE => EventKind::MouseSet(MouseSet {
                x: fields.i32("the pointer's place")?,
                y: fields.i32("the pointer's place")?,
                visible: fields.flag("the flag of a visible pointer")?,
            }),
            other => return Err(fields.value("the kind of event", other.into())),
        };
        Record::Event(Event { time, reply, kind })
    };
    if fields.rest.is_empty() {
        return Ok(result);
    }
    Err(RecordingError::Form {
        record,
        what: "its end",
        too_long: true,
    })
}

struct Fields<'a> {
    record: u64,
    rest: &'a [u8],
}

type Field<T> = Result<T, RecordingError>;

impl<'a> Fields<'a> {
    fn value(&self, what: &'static str, value: u64) -> RecordingError {
        RecordingError::Value {
            record: self.record,
            what,
            value,
        }
    }

    fn bytes(&mut self, count: u64, what: &'static str) -> Field<&'a [u8]> {
        let parts = usize::try_from(count)
            .ok()
            .and_then(|count| self.rest.split_at_checked(count));
        let (bytes, rest) = parts.ok_or(RecordingError::Form {
            record: self.record,
            what,
            too_long: false,
        })?;
        self.rest = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Field<[u8; N]> {
        let bytes = self.bytes(N as u64, what)?;
        let mut array = [0; N];
        array.copy_from_slice(bytes);
        Ok(array)
    }

    fn u8(&mut self, what: &'static str) -> Field<u8> {
        self.array(what).map(u8::from_le_bytes)
    }

    fn u32(&mut self, what: &'static str) -> Field<u32> {
        self.array(what).map(u32::from_le_bytes)
    }

    fn i32(&mut self, what: &'static str) -> Field<i32> {
        self.array(what).map(i32::from_le_bytes)
    }

    fn u64(&mut self, what: &'static str) -> Field<u64> {
        self.array(what).map(u64::from_le_bytes)
    }

    fn time(&mut self, what: &'static str) -> Field<Duration> {
        self.u64(what).map(Duration::from_nanos)
    }

    fn flag(&mut self, what: &'static str) -> Field<bool> {
        match self.u8(what)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.value(what, other.into())),
        }
    }

    fn size(&mut self, what: &'static str) -> Field<Size> {
        Ok(Size::new(self.u32(what)?, self.u32(what)?))
    }

    fn rect(&mut self, what: &'static str) -> Field<Rect> {
        let [x, y] = [self.u32(what)?, self.u32(what)?];
        let size = self.size(what)?;
        Ok(Rect::new(x, y, size.width, size.height))
    }

    fn scanout(&mut self) -> Field<Scanout> {
        let delivery = match self.u8("the way a scanout came")? {
            1 => Delivery::DmaBuf,
            2 => Delivery::Map,
            3 => Delivery::Inline,
            other => return Err(self.value("the way a scanout came", other.into())),
        };
        let fourcc = Fourcc(self.u32("the format")?);
        let modifier = Modifier(self.u64("the modifier")?);
        let size = self.size("the buffer's size")?;
        let mut planes = ArrayVec::new();
        let count = self.u8("the number of planes")?;
        for _ in 0..count {
            let plane = Plane {
                object: self.u8("a plane")?,
                offset: self.u32("a plane")?,
                stride: self.u32("a plane")?,
            };
            if planes.try_push(plane).is_err() {
                return Err(self.value("the number of planes", count.into()));
            }
        }
        let content = self.rect("the content rectangle")?;
        let orientation = match self.flag("the flag of a picture from its bottom up")? {
            true => Orientation::BottomUp,
            false => Orientation::TopDown,
        };
        let objects = self.u8("the number of objects")?;
        let objects = (0..objects).map(|_| self.object()).collect::<Field<_>>()?;
        Ok(Scanout {
            delivery,
            layout: Layout {
                fourcc,
                modifier,
                size,
                planes,
            },
            view: View {
                content,
                orientation,
            },
            objects,
            patches: self.patches()?,
        })
    }

    fn object(&mut self) -> Field<Object> {
        let id = self.u32("an object")?;
        let size = self.u64("an object")?;
        let exporter = if self.flag("the flag of an exporter")? {
            let length = self.u8("an exporter's name")?;
            let name = self.bytes(length.into(), "an exporter's name")?;
            let name = std::str::from_utf8(name)
                .map_err(|_| self.value("the length of a name that is no UTF-8", length.into()))?;
            Some(name.to_owned())
        } else {
            None
        };
        Ok(Object { id, size, exporter })
    }

    fn patches(&mut self) -> Field<Vec<Patch>> {
        let count = self.u32("the number of patches")?;
        // Each takes more than its head, so the record itself bounds them.
        let most = (self.rest.len() / PATCH_HEAD).min(MAX_PATCHES);
        if count as usize > most {
            return Err(RecordingError::Bound {
                record: self.record,
                what: "number of patches",
                value: count.into(),
                min: 0,
                max: most as u64,
            });
        }
        (0..count).map(|_| self.patch()).collect()
    }

    fn patch(&mut self) -> Field<Patch> {
        let what = "a patch";
        let object = self.u8(what)?;
        let offset = self.u64(what)?;
        let (stride, row_bytes, rows) = (self.u32(what)?, self.u32(what)?, self.u32(what)?);
        let data = self.bytes(u64::from(row_bytes) * u64::from(rows), what)?;
        Ok(Patch {
            object,
            offset,
            stride,
            row_bytes,
            rows,
            data: data.to_vec(),
        })
    }
}
