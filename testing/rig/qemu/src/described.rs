//! What QEMU says of a picture, in the terms of [`scanout_core`]. Nothing is checked here
//! but that it can be said in them; the import checks the rest.

use std::os::fd::{AsFd, BorrowedFd};

use scanout_core::buffer::{Layout, Plane};
use scanout_core::format::{self, Family, Fourcc, Modifier};
use scanout_core::geometry::{Rect, Size};
use scanout_trace::recording::fourcc_of_pixman;

use crate::call::{Dmabuf, RawRect, Surface};
use crate::screen::ScreenError;

/// The part of `raw` that lies in a picture of `size`. The guest chooses these
/// numbers, and QEMU hands some of them on unseen.
pub(crate) fn clip(raw: RawRect, size: Size) -> Option<Rect> {
    let side = |start: i32, length: i32, limit: u32| {
        let (start, length, limit) = (i64::from(start), i64::from(length), i64::from(limit));
        let end = (start + length.max(0)).min(limit);
        let start = start.max(0);
        let length = u32::try_from(end - start)
            .ok()
            .filter(|length| *length > 0)?;
        Some((u32::try_from(start).ok()?, length))
    };
    let (x, width) = side(raw.x, raw.width, size.width)?;
    let (y, height) = side(raw.y, raw.height, size.height)?;
    Some(Rect::new(x, y, width, height))
}

/// The layout of bytes or shared memory, from `offset` on.
pub(crate) fn layout_of(surface: Surface, offset: u32) -> Result<Layout, ScreenError> {
    let fourcc = fourcc_of_pixman(surface.pixman).ok_or(ScreenError::Pixman {
        pixman: surface.pixman,
    })?;
    Ok(Layout {
        fourcc,
        modifier: Modifier::LINEAR,
        size: Size::new(surface.width, surface.height),
        planes: [Plane {
            object: 0,
            offset,
            stride: surface.stride,
        }]
        .into_iter()
        .collect(),
    })
}

/// The layout of dma-bufs, and those of the descriptors that count.
pub(crate) fn layout_of_dmabuf(
    dmabuf: &Dmabuf,
) -> Result<(Layout, Vec<BorrowedFd<'_>>), ScreenError> {
    let fourcc = Fourcc(dmabuf.fourcc);
    if format::info(fourcc)
        .is_some_and(|format| format.planes.len() != 1 || format.family != Family::Rgb)
    {
        return Err(ScreenError::NotRgb { fourcc });
    }
    let count = dmabuf.num_planes as usize;
    let mut layout = Layout {
        fourcc,
        modifier: Modifier(dmabuf.modifier),
        size: Size::new(dmabuf.backing_width, dmabuf.backing_height),
        planes: Default::default(),
    };
    let described = dmabuf.offsets.iter().zip(&dmabuf.strides).take(count);
    for (object, (&offset, &stride)) in (0..=u8::MAX).zip(described) {
        let plane = Plane {
            object,
            offset,
            stride,
        };
        if layout.planes.try_push(plane).is_err() {
            break;
        }
    }
    let fds: Vec<_> = dmabuf.fds.iter().take(count).map(AsFd::as_fd).collect();
    if count == 0 || layout.planes.len() != count || fds.len() != count {
        return Err(ScreenError::Planes {
            num_planes: dmabuf.num_planes,
            fds: dmabuf.fds.len(),
            offsets: dmabuf.offsets.len(),
            strides: dmabuf.strides.len(),
        });
    }
    Ok((layout, fds))
}
