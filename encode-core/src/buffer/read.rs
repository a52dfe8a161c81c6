use std::os::fd::AsFd;
use std::time::Duration;

use arrayvec::ArrayVec;
use rustix::io::Errno;

use super::{
    Access, BufferKey, CacheBudget, CacheStats, DmaBuf, ImportCache, Layout, MAX_PLANES,
    MemoryImage, Object, ObjectKind, SourceBuffer, sys, wait_readable,
};
use crate::format::{FormatInfo, Modifier};
use crate::sync::SyncError;

/// The CPU could not read a buffer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Tiled or compressed.
    #[error("the CPU reads LINEAR buffers only, this one is {modifier:?}")]
    NotLinear {
        /// Its modifier.
        modifier: Modifier,
    },
    /// The exporter does not let it be mapped, or memory is out.
    #[error("cannot map the {size} bytes of object {object}: {errno}")]
    Map {
        /// The object.
        object: usize,
        /// Its size.
        size: u64,
        /// What the kernel answered.
        errno: Errno,
    },
    /// Begin or end of CPU access was refused.
    #[error("DMA_BUF_IOCTL_SYNC on object {object} failed: {errno}")]
    Access {
        /// The object.
        object: usize,
        /// What the kernel answered.
        errno: Errno,
    },
    /// pread failed.
    #[error("pread of {bytes} bytes at {offset} of object {object} failed: {errno}")]
    Pread {
        /// The object.
        object: usize,
        /// Where.
        offset: u64,
        /// How much.
        bytes: u64,
        /// What the kernel answered.
        errno: Errno,
    },
    /// The producer made the object smaller since it was imported.
    #[error("object {object} ends at byte {end}, but plane {plane} needs {needed}: it was shrunk")]
    Shrunk {
        /// The object.
        object: usize,
        /// Where it ends now.
        end: u64,
        /// The plane.
        plane: usize,
        /// One past the plane's last byte.
        needed: u64,
    },
    /// The bytes of an image changed their length since it was made, or a plane does not
    /// fit this machine's addresses.
    #[error("plane {plane} ends at byte {end}, outside of the {available} that can be read")]
    OutOfBounds {
        /// The plane.
        plane: usize,
        /// One past its last byte.
        end: u64,
        /// Bytes there are.
        available: u64,
    },
    /// Waiting for the producer failed.
    #[error("waiting for the producer's writes: {0}")]
    Sync(#[from] SyncError),
}

/// The bytes of one plane, from its first row's first byte to its last row's last.
#[derive(Clone, Copy, Debug)]
pub struct PlaneView<'a> {
    /// Exactly `stride * (rows - 1) + row_bytes` bytes.
    pub data: &'a [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
    /// Bytes of a row that hold pixels.
    pub row_bytes: usize,
    /// Rows.
    pub rows: usize,
}

impl<'a> PlaneView<'a> {
    /// The pixels of row `y` in memory; empty beyond the last.
    pub fn row(&self, y: usize) -> &'a [u8] {
        let start = y.saturating_mul(self.stride);
        self.data
            .get(start..start.saturating_add(self.row_bytes))
            .unwrap_or(&[])
    }
}

/// Where a plane's bytes lie in its object.
struct Extent {
    start: u64,
    len: u64,
    stride: usize,
    row_bytes: usize,
    rows: usize,
}

impl Extent {
    fn of(layout: &Layout, format: &FormatInfo, index: usize) -> Option<Self> {
        let plane = layout.planes.get(index)?;
        let info = format.planes.get(index)?;
        let (row_bytes, rows) = (
            info.row_bytes(layout.size.width),
            info.rows(layout.size.height),
        );
        // Validation has bounded the end by the object's size.
        let len = u64::from(plane.stride)
            .checked_mul(rows.checked_sub(1)?)?
            .checked_add(row_bytes)?;
        Some(Self {
            start: plane.offset.into(),
            len,
            stride: plane.stride.try_into().ok()?,
            row_bytes: row_bytes.try_into().ok()?,
            rows: rows.try_into().ok()?,
        })
    }

    fn view<'a>(&self, plane: usize, bytes: &'a [u8]) -> Result<PlaneView<'a>, ReadError> {
        let end = self.start.saturating_add(self.len);
        let range = usize::try_from(self.start)
            .ok()
            .zip(usize::try_from(end).ok());
        let data =
            range
                .and_then(|(start, end)| bytes.get(start..end))
                .ok_or(ReadError::OutOfBounds {
                    plane,
                    end,
                    available: bytes.len() as u64,
                })?;
        Ok(PlaneView {
            data,
            stride: self.stride,
            row_bytes: self.row_bytes,
            rows: self.rows,
        })
    }
}

type Planes<'a> = ArrayVec<PlaneView<'a>, MAX_PLANES>;

fn planes_of<'a>(
    layout: &Layout,
    format: &FormatInfo,
    bytes_of: impl Fn(u8) -> &'a [u8],
) -> Result<Planes<'a>, ReadError> {
    let mut planes = Planes::new();
    for (index, plane) in layout.planes.iter().enumerate() {
        let bytes = bytes_of(plane.object);
        let extent = Extent::of(layout, format, index).ok_or(ReadError::OutOfBounds {
            plane: index,
            end: u64::MAX,
            available: bytes.len() as u64,
        })?;
        planes.push(extent.view(index, bytes)?);
    }
    Ok(planes)
}

/// Reads buffers with the CPU: maps what may be mapped and keeps the maps, copies by
/// pread what may not, borrows what is ours. In steady state it allocates nothing.
///
/// # Shared memory as `&[u8]`
///
/// The producer may write while we read; no protocol can keep a hostile guest from
/// it. In Rust's memory model a concurrent write to a `&[u8]` is a data race;
/// yet atomic or volatile access to each byte rules out the vector loads that the
/// conversion lives on, and a private copy first would read the whole picture one
/// more time. We therefore hand out plain slices under these rules:
///
/// * the writer is another process, so the compiler cannot see or reason about it;
///   what can go wrong is only that two reads of a byte differ;
/// * users treat the bytes as pixels: every bit pattern is valid, none of them is
///   an index, a length or a pointer, and no decision taken on one read is
///   trusted in another. Headers and lengths never come from here;
/// * bounds come from the validated layout and the object's size at import, never
///   from the memory, and the pages cannot go away: see [`Access`].
#[derive(Debug)]
pub struct CpuReader {
    maps: ImportCache<ArrayVec<sys::Map, MAX_PLANES>>,
    bounce: Vec<u8>,
}

impl CpuReader {
    /// A reader that keeps maps within `budget`.
    pub fn new(budget: CacheBudget) -> Self {
        Self {
            maps: ImportCache::new(budget),
            bounce: Vec::new(),
        }
    }

    /// Waits for the writes that the kernel tracks, for at most `limit`, and
    /// begins reading. Explicit fences are waited for before, by
    /// [`wait_acquired`](super::wait_acquired).
    ///
    /// The begin of CPU access waits for fences too, and the kernel does not bound
    /// that; a fence that a producer adds right between the two can therefore hold
    /// it longer than `limit`.
    pub fn read<'a>(
        &'a mut self,
        source: &'a SourceBuffer,
        limit: Duration,
    ) -> Result<CpuRead<'a>, ReadError> {
        let modifier = source.layout().modifier;
        if !modifier.is_linear() {
            return Err(ReadError::NotLinear { modifier });
        }
        match source {
            SourceBuffer::Memory(image) => Self::borrow(image),
            SourceBuffer::DmaBuf(buffer) => {
                wait_readable(buffer, limit)?;
                if buffer.is_mappable() {
                    self.map(buffer)
                } else {
                    self.copy(buffer)
                }
            }
        }
    }

    /// Gives up the maps of a buffer: its scanout was replaced or disabled.
    pub fn retire(&mut self, key: &BufferKey) {
        self.maps.retire(key);
    }

    /// Gives up all maps and the memory for copies.
    pub fn clear(&mut self) {
        self.maps.clear();
        self.bounce = Vec::new();
    }

    /// What the cache of maps has done.
    pub fn stats(&self) -> CacheStats {
        self.maps.stats()
    }

    fn borrow(image: &MemoryImage) -> Result<CpuRead<'_>, ReadError> {
        Ok(CpuRead {
            planes: planes_of(image.layout(), image.format(), |_| image.bytes())?,
            begun: &[],
        })
    }

    fn map<'a>(&'a mut self, buffer: &'a DmaBuf) -> Result<CpuRead<'a>, ReadError> {
        let maps = &*self
            .maps
            .get_or_try_insert(buffer.key(), buffer.bytes(), || map_objects(buffer))?;
        let mut read = CpuRead {
            planes: Planes::new(),
            begun: &[],
        };
        for (index, object) in buffer.objects().iter().enumerate() {
            if object.kind() == ObjectKind::DmaBuf {
                sys::sync_read(object.as_fd(), false).map_err(|errno| ReadError::Access {
                    object: index,
                    errno,
                })?;
            }
            read.begun = buffer.objects().get(..=index).unwrap_or_default();
        }
        read.planes = planes_of(buffer.layout(), buffer.format(), |object| {
            maps.get(usize::from(object)).map_or(&[], sys::Map::bytes)
        })?;
        Ok(read)
    }

    fn copy<'a>(&'a mut self, buffer: &DmaBuf) -> Result<CpuRead<'a>, ReadError> {
        let (layout, format) = (buffer.layout(), buffer.format());
        let mut extents = ArrayVec::<Extent, MAX_PLANES>::new();
        let mut end = 0u64;
        for index in 0..layout.planes.len() {
            let out_of_bounds = || ReadError::OutOfBounds {
                plane: index,
                end: u64::MAX,
                available: buffer.bytes(),
            };
            let mut extent = Extent::of(layout, format, index).ok_or_else(out_of_bounds)?;
            // From here on `start` counts in the bounce buffer.
            extent.start = end;
            end = end.checked_add(extent.len).ok_or_else(out_of_bounds)?;
            extents.push(extent);
        }
        let total = usize::try_from(end).map_err(|_| ReadError::OutOfBounds {
            plane: 0,
            end,
            available: buffer.bytes(),
        })?;
        if self.bounce.len() < total {
            self.bounce.resize(total, 0);
        }
        let mut rest = self.bounce.as_mut_slice();
        for (index, (extent, plane)) in extents.iter().zip(&layout.planes).enumerate() {
            // The lengths add up to `total`, which fits usize and the buffer.
            let Some((into, after)) =
                std::mem::take(&mut rest).split_at_mut_checked(extent.len as usize)
            else {
                break;
            };
            rest = after;
            let number = usize::from(plane.object);
            if let Some(object) = buffer.objects().get(number) {
                pread_plane(object, number, index, plane.offset.into(), into)?;
            }
        }
        let bounce = self.bounce.as_slice();
        let mut planes = Planes::new();
        for (index, extent) in extents.iter().enumerate() {
            planes.push(extent.view(index, bounce)?);
        }
        Ok(CpuRead { planes, begun: &[] })
    }
}

impl Default for CpuReader {
    fn default() -> Self {
        Self::new(CacheBudget::default())
    }
}

fn map_objects(buffer: &DmaBuf) -> Result<ArrayVec<sys::Map, MAX_PLANES>, ReadError> {
    let mut maps = ArrayVec::new();
    for (index, object) in buffer.objects().iter().enumerate() {
        debug_assert_eq!(object.access(), Access::Map);
        let size = object.size();
        let map = usize::try_from(size)
            .map_err(|_| Errno::OVERFLOW)
            .and_then(|len| sys::Map::new(object.as_fd(), len))
            .map_err(|errno| ReadError::Map {
                object: index,
                size,
                errno,
            })?;
        maps.push(map);
    }
    Ok(maps)
}

/// Fills `into` from `offset` of `object`.
fn pread_plane(
    object: &Object,
    number: usize,
    plane: usize,
    offset: u64,
    into: &mut [u8],
) -> Result<(), ReadError> {
    let needed = offset.saturating_add(into.len() as u64);
    let mut done = 0;
    while let Some(left) = into.get_mut(done..).filter(|left| !left.is_empty()) {
        let bytes = left.len() as u64;
        let at = offset.saturating_add(done as u64);
        match rustix::io::pread(object, left, at) {
            Ok(0) => {
                return Err(ReadError::Shrunk {
                    object: number,
                    end: at,
                    plane,
                    needed,
                });
            }
            Ok(read) => done += read,
            Err(Errno::INTR) => {}
            Err(errno) => {
                return Err(ReadError::Pread {
                    object: number,
                    offset: at,
                    bytes,
                    errno,
                });
            }
        }
    }
    Ok(())
}

/// An access of the CPU to a buffer, from begin to drop.
#[must_use = "the access ends when this is dropped"]
#[derive(Debug)]
pub struct CpuRead<'a> {
    planes: Planes<'a>,
    /// Objects whose access has begun and is to be ended.
    begun: &'a [Object],
}

impl<'a> CpuRead<'a> {
    /// The planes, in the order of the layout.
    pub fn planes(&self) -> &[PlaneView<'a>] {
        &self.planes
    }
}

impl Drop for CpuRead<'_> {
    fn drop(&mut self) {
        for (index, object) in self.begun.iter().enumerate() {
            if object.kind() == ObjectKind::DmaBuf
                && let Err(errno) = sys::sync_read(object.as_fd(), true)
            {
                tracing::warn!(object = index, %errno, "could not end the CPU's access to a dma-buf");
            }
        }
    }
}
