//! Pictures whose bytes differ everywhere, in any arrangement of planes, so that a
//! wrong object, offset or stride shows.

use std::os::fd::{AsFd, BorrowedFd};

use scanout_core::buffer::alloc::{AllocError, Canvas, Provider};
use scanout_core::buffer::{
    DmaBuf, ImportError, ImportPolicy, Layout, Plane, PlaneView, SourceBuffer,
};
use scanout_core::format::{self, Fourcc};
use scanout_core::geometry::Size;

/// What no picture byte may be mistaken for lies between the planes and beside the rows.
const GAP: u8 = 0xee;

/// The byte at `x` of row `y` of a plane, in the picture numbered `seed`.
pub fn byte(plane: usize, y: usize, x: usize, seed: u32) -> u8 {
    let place = (plane as u32) << 28 ^ (y as u32) << 14 ^ x as u32;
    // The upper byte of a multiplicative hash: neighbours have nothing in common.
    let hash = (place ^ seed.wrapping_mul(0x85eb_ca6b)).wrapping_mul(0x9e37_79b1);
    (hash ^ hash >> 15).wrapping_mul(0x2c1b_3c6d).to_le_bytes()[3]
}

/// Bytes per row and rows of each plane of a picture.
pub fn extents(fourcc: Fourcc, size: Size) -> Vec<(usize, usize)> {
    let planes = format::info(fourcc).map_or(&[][..], |format| format.planes);
    planes
        .iter()
        .map(|plane| {
            let row = plane.row_bytes(size.width) as usize;
            (row, plane.rows(size.height) as usize)
        })
        .collect()
}

/// All bytes of one plane, row after row without gaps.
pub fn plane(fourcc: Fourcc, size: Size, plane: usize, seed: u32) -> Vec<u8> {
    let (row, rows) = extents(fourcc, size)
        .get(plane)
        .copied()
        .unwrap_or_default();
    (0..rows)
        .flat_map(|y| (0..row).map(move |x| byte(plane, y, x, seed)))
        .collect()
}

/// A layout and the objects that it needs.
#[derive(Clone, Debug)]
pub struct Arrangement {
    /// For messages.
    pub name: &'static str,
    /// The layout.
    pub layout: Layout,
    /// Bytes of each object.
    pub objects: Vec<u64>,
}

impl Arrangement {
    /// Every way that planes can lie: close together; in one object in the reverse
    /// order at odd places; each in an object of its own, there at odd places too.
    pub fn all(fourcc: Fourcc, size: Size) -> Vec<Self> {
        let rows = extents(fourcc, size);
        let alignment = |plane: usize| {
            let planes = format::info(fourcc).map_or(&[][..], |format| format.planes);
            planes.get(plane).map_or(1, |plane| plane.alignment())
        };
        // No page, cache line or vector fits such a stride, the format's own alignment aside.
        let odd_stride = |plane: usize| rows[plane].0 as u32 + 13 * alignment(plane);
        let of = |name, planes: Vec<Plane>| {
            let count = planes
                .iter()
                .map(|plane| plane.object)
                .max()
                .map_or(0, |o| o + 1);
            let mut objects = vec![0; count.into()];
            for (plane, (row, rows)) in planes.iter().zip(&rows) {
                let end = u64::from(plane.offset)
                    + u64::from(plane.stride) * (*rows as u64 - 1)
                    + *row as u64;
                let object: &mut u64 = &mut objects[usize::from(plane.object)];
                *object = end.max(*object);
            }
            Self {
                name,
                layout: Layout {
                    fourcc,
                    modifier: format::Modifier::LINEAR,
                    size,
                    planes: planes.into_iter().collect(),
                },
                objects,
            }
        };

        let mut close = Vec::new();
        let mut end = 0;
        for (plane, (row, rows)) in rows.iter().enumerate() {
            close.push(Plane {
                object: 0,
                offset: u32::next_multiple_of(end, alignment(plane)),
                stride: *row as u32,
            });
            end += (row * rows) as u32;
        }

        let mut reversed = vec![Plane::default(); rows.len()];
        let mut end = 4096 + 52;
        for plane in (0..rows.len()).rev() {
            let offset = u32::next_multiple_of(end, alignment(plane)) + 5 * alignment(plane);
            reversed[plane] = Plane {
                object: 0,
                offset,
                stride: odd_stride(plane),
            };
            end = offset + odd_stride(plane) * rows[plane].1 as u32;
        }

        let mut arrangements = vec![
            of("close together", close),
            of("reversed at odd places", reversed),
        ];
        if rows.len() > 1 {
            let apart = |plane: usize| Plane {
                // The last plane lies in the first object.
                object: (rows.len() - 1 - plane) as u8,
                offset: (plane as u32 * 4096 + 7) * alignment(plane),
                stride: odd_stride(plane),
            };
            let apart = (0..rows.len()).map(apart).collect();
            arrangements.push(of("an object for each plane", apart));
        }
        arrangements
    }

    /// Draws picture `seed` into the bytes of one object.
    pub fn draw(&self, object: usize, memory: &mut [u8], seed: u32) {
        memory.fill(GAP);
        let extents = extents(self.layout.fourcc, self.layout.size);
        let planes = self.layout.planes.iter().zip(extents).enumerate();
        for (index, (plane, (row, rows))) in planes {
            if usize::from(plane.object) != object {
                continue;
            }
            for y in 0..rows {
                let start = plane.offset as usize + y * plane.stride as usize;
                for (x, into) in memory[start..start + row].iter_mut().enumerate() {
                    *into = byte(index, y, x, seed);
                }
            }
        }
    }

    /// Memory for it, picture `seed` drawn.
    pub fn allocate(&self, provider: &Provider, seed: u32) -> Result<Scanout, AllocError> {
        let mut canvases = Vec::new();
        for (object, bytes) in self.objects.iter().enumerate() {
            let mut canvas = provider.allocate(*bytes)?.into_canvas()?;
            canvas.draw(|memory| self.draw(object, memory, seed))?;
            canvases.push(canvas);
        }
        Ok(Scanout {
            arrangement: self.clone(),
            canvases,
        })
    }
}

/// A picture in memory of some provider.
#[derive(Debug)]
pub struct Scanout {
    arrangement: Arrangement,
    canvases: Vec<Canvas>,
}

impl Scanout {
    /// How its planes lie.
    pub fn layout(&self) -> &Layout {
        &self.arrangement.layout
    }

    /// The objects' descriptors.
    pub fn fds(&self) -> Vec<BorrowedFd<'_>> {
        self.canvases.iter().map(AsFd::as_fd).collect()
    }

    /// Draws picture `seed` over what is there.
    pub fn redraw(&mut self, seed: u32) -> Result<(), AllocError> {
        let arrangement = &self.arrangement;
        for (object, canvas) in self.canvases.iter_mut().enumerate() {
            canvas.draw(|memory| arrangement.draw(object, memory, seed))?;
        }
        Ok(())
    }

    /// As a consumer gets it.
    pub fn import(&self) -> Result<DmaBuf, ImportError> {
        DmaBuf::import(&self.fds(), self.layout(), &ImportPolicy::default())
    }

    /// As a consumer reads it.
    pub fn source(&self) -> Result<SourceBuffer, ImportError> {
        self.import().map(SourceBuffer::from)
    }
}

/// Where `planes` differ from picture `seed` first: plane, row and byte; `None` where
/// they are that picture.
pub fn difference(
    planes: &[PlaneView<'_>],
    fourcc: Fourcc,
    size: Size,
    seed: u32,
) -> Option<(usize, usize, usize)> {
    let extents = extents(fourcc, size);
    if planes.len() != extents.len() {
        return Some((planes.len(), 0, 0));
    }
    for (index, (plane, (row, rows))) in planes.iter().zip(extents).enumerate() {
        for y in 0..rows {
            let seen = plane.row(y);
            let at = (0..row).find(|&x| seen.get(x) != Some(&byte(index, y, x, seed)));
            if let Some(x) = at {
                return Some((index, y, x));
            }
        }
    }
    None
}
