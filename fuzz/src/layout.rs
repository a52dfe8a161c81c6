//! What a producer says of its buffer.

use std::sync::Arc;

use arrayvec::ArrayVec;
use scanout_core::buffer::{
    Layout, LayoutLimits, MAX_PLANES, MemoryImage, Plane, SourceBuffer, validate,
};
use scanout_core::convert::{Converter, PictureFormat, PictureLayout, PlaneView, Source};
use scanout_core::format::{self, Fourcc, Modifier};
use scanout_core::geometry::{Damage, Rect, Size};

use crate::take::Take;

/// Bytes behind the images that are really read: enough for small pictures of
/// every format, small enough to run thousands of times in a second.
const IMAGE_BYTES: usize = 64 * 1024;

fn layout(take: &mut Take<'_>) -> Layout {
    // One in four codes is taken as it comes, the others from the table, as
    // random ones are next to never known.
    let pick = take.u8();
    let fourcc = if pick & 3 == 0 {
        Fourcc(take.u32())
    } else {
        let all: Vec<_> = format::all().collect();
        all[usize::from(take.u16()) % all.len()].fourcc
    };
    let modifier = match (pick >> 2) & 7 {
        0..4 => Modifier::LINEAR,
        4 => Modifier::INVALID,
        5 => Modifier((1 << 56) | u64::from(take.u8() & 31)),
        _ => Modifier(take.u64()),
    };
    let size = if pick & 0x20 == 0 {
        Size::new(take.u8().into(), take.u8().into())
    } else {
        Size::new(take.u32(), take.u32())
    };
    let mut planes = ArrayVec::new();
    for _ in 0..usize::from(take.u8()) % (MAX_PLANES + 1) {
        planes.push(Plane {
            object: take.u8() & 7,
            offset: take.u32(),
            stride: take.u32(),
        });
    }
    Layout {
        fourcc,
        modifier,
        size,
        planes,
    }
}

pub(crate) fn run(data: &[u8]) {
    reach(data);
}

/// The target's body; true when it got as far as reading pixels.
fn reach(data: &[u8]) -> bool {
    let mut take = Take::new(data);
    let layout = layout(&mut take);
    let sizes: ArrayVec<u64, MAX_PLANES> = (0..usize::from(take.u8()) % (MAX_PLANES + 1))
        .map(|_| take.u64() >> (take.u8() & 63))
        .collect();
    match validate(&layout, &sizes, &LayoutLimits::default()) {
        Ok(info) => {
            // Every byte of every pixel lies within its object, in arithmetic wide
            // enough for any input.
            for (index, plane) in info.planes.iter().enumerate() {
                let given = layout.planes[index];
                let rows = u128::from(plane.rows(layout.size.height));
                let row_bytes = u128::from(plane.row_bytes(layout.size.width));
                assert!(u128::from(given.stride) >= row_bytes);
                let end =
                    u128::from(given.offset) + u128::from(given.stride) * (rows - 1) + row_bytes;
                assert!(end <= u128::from(sizes[usize::from(given.object)]));
            }
        }
        // What refuses must be able to say why.
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    read(layout, &mut take)
}

/// What is accepted for memory of ours must be readable to the last pixel.
/// True when pixels were read.
fn read(mut layout: Layout, take: &mut Take<'_>) -> bool {
    for plane in &mut layout.planes {
        plane.object = 0;
    }
    let Ok(image) = MemoryImage::new(Arc::new(vec![0x5a; IMAGE_BYTES]), layout.clone()) else {
        return false;
    };
    let size = layout.size;
    let source = SourceBuffer::from(image.clone());
    assert_eq!(source.content_size(), size);
    let format = match take.u8() % 3 {
        0 => PictureFormat::Nv12,
        1 => PictureFormat::I420,
        _ => PictureFormat::I444,
    };
    let Ok(target) = PictureLayout::new(format, size) else {
        return false;
    };
    let Ok(mut converter) = Converter::new(
        layout.fourcc,
        size,
        target,
        scanout_core::color::ColorSpec::DESKTOP,
    ) else {
        return false;
    };
    let planes = layout.planes.iter().map(|plane| {
        PlaneView::new(
            image
                .bytes()
                .get(plane.offset as usize..)
                .unwrap_or_default(),
            plane.stride as usize,
        )
    });
    let damage = Damage::from(Rect::new(take.u32(), take.u32(), take.u32(), take.u32()));
    let mut picture = vec![0; target.total_bytes()];
    let source = Source::new(layout.fourcc, size, planes);
    // Damage from outside is clipped; a validated source is never refused.
    converter
        .convert(&source, &mut picture, &damage)
        .expect("a validated layout converts");
    true
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_plain_input_of_the_corpus_gets_as_far_as_pixels() {
        assert!(super::reach(include_bytes!("../corpus/layout/one-plane")));
        assert!(!super::reach(include_bytes!("../corpus/layout/zero-size")));
    }
}
