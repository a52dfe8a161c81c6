//! Memory for producers of our own: tests, the synthetic source, a look at how
//! a machine's dma-bufs behave. All of it is linear; buffers of GBM, which may be
//! tiled, need libgbm and are not made here.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;

use super::sys;

/// Memory could not be had.
#[derive(Debug, thiserror::Error)]
#[error("{call} on {device} for {bytes} bytes failed: {errno}{}", hint(.call, *.errno))]
pub struct AllocError {
    /// The device, or `memfd`.
    pub device: PathBuf,
    /// The call or ioctl.
    pub call: &'static str,
    /// Bytes asked for.
    pub bytes: u64,
    /// What the kernel answered.
    pub errno: Errno,
}

const CREATE_DUMB: &str = "DRM_IOCTL_MODE_CREATE_DUMB";

fn hint(call: &str, errno: Errno) -> &'static str {
    match errno {
        // The kernel's answer on nodes that are for rendering only.
        Errno::ACCESS if call == CREATE_DUMB => {
            " (render nodes make no dumb buffers, name the /dev/dri/cardN of that device)"
        }
        Errno::NOENT | Errno::NODEV => " (this machine has no such device)",
        Errno::ACCESS | Errno::PERM => " (this user may not open it)",
        _ => "",
    }
}

/// Where the memory comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Provider {
    /// A memfd, sealed against shrinking and growing. Works everywhere; no dma-buf.
    Memfd,
    /// A dma-buf over such a memfd, by `/dev/udmabuf`.
    Udmabuf,
    /// A dma-buf out of `/dev/dma_heap/NAME`.
    DmaHeap(String),
    /// A dumb buffer of a DRM node, exported.
    Dumb(PathBuf),
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memfd => f.write_str("memfd"),
            Self::Udmabuf => f.write_str("udmabuf"),
            Self::DmaHeap(heap) => write!(f, "dma-heap:{heap}"),
            Self::Dumb(node) => write!(f, "dumb:{}", node.display()),
        }
    }
}

/// The text names no provider.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no memory provider: write memfd, udmabuf, dma-heap[:NAME] or dumb:NODE")]
pub struct ParseProviderError(String);

impl FromStr for Provider {
    type Err = ParseProviderError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || ParseProviderError(text.to_owned());
        match text.split_once(':').unwrap_or((text, "")) {
            ("memfd", "") => Ok(Self::Memfd),
            ("udmabuf", "") => Ok(Self::Udmabuf),
            ("dma-heap", "") => Ok(Self::DmaHeap("system".to_owned())),
            // A heap is a name in one directory, not a way out of it.
            ("dma-heap", heap) if !heap.contains('/') && heap != ".." && heap != "." => {
                Ok(Self::DmaHeap(heap.to_owned()))
            }
            ("dumb", node) if !node.is_empty() => Ok(Self::Dumb(node.into())),
            _ => Err(bad()),
        }
    }
}

/// Memory that was had.
#[derive(Debug)]
pub struct Allocation {
    fd: OwnedFd,
    size: u64,
    dma_buf: bool,
}

impl Provider {
    /// At least `bytes` bytes, zeroed by the kernel.
    pub fn allocate(&self, bytes: u64) -> Result<Allocation, AllocError> {
        match self {
            Self::Memfd => memfd(bytes),
            Self::Udmabuf => udmabuf(bytes),
            Self::DmaHeap(heap) => dma_heap(heap, bytes),
            Self::Dumb(node) => dumb(node, bytes),
        }
    }
}

fn failed(
    device: impl Into<PathBuf>,
    call: &'static str,
    bytes: u64,
) -> impl FnOnce(Errno) -> AllocError {
    let device = device.into();
    move |errno| AllocError {
        device,
        call,
        bytes,
        errno,
    }
}

fn open(path: &Path, bytes: u64) -> Result<OwnedFd, AllocError> {
    rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .map_err(failed(path, "open", bytes))
}

/// `bytes` rounded up to whole pages, which every provider counts in.
fn whole_pages(device: &Path, bytes: u64) -> Result<u64, AllocError> {
    bytes
        .max(1)
        .checked_next_multiple_of(rustix::param::page_size() as u64)
        .ok_or(Errno::OVERFLOW)
        .map_err(failed(device, "rounding up to pages", bytes))
}

fn memfd(bytes: u64) -> Result<Allocation, AllocError> {
    let size = whole_pages(Path::new("memfd"), bytes)?;
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd = rustix::fs::memfd_create("scanout", flags).map_err(failed(
        "memfd",
        "memfd_create",
        bytes,
    ))?;
    rustix::fs::ftruncate(&fd, size).map_err(failed("memfd", "ftruncate", bytes))?;
    // udmabuf wants exactly this: no shrinking, but writable.
    rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW).map_err(failed(
        "memfd",
        "fcntl(F_ADD_SEALS)",
        bytes,
    ))?;
    Ok(Allocation {
        fd,
        size,
        dma_buf: false,
    })
}

fn udmabuf(bytes: u64) -> Result<Allocation, AllocError> {
    let path = Path::new("/dev/udmabuf");
    let device = open(path, bytes)?;
    let memory = memfd(bytes)?;
    let fd = sys::udmabuf_create(device.as_fd(), memory.as_fd(), memory.size).map_err(failed(
        path,
        "UDMABUF_CREATE",
        bytes,
    ))?;
    Ok(Allocation {
        fd,
        size: memory.size,
        dma_buf: true,
    })
}

fn dma_heap(heap: &str, bytes: u64) -> Result<Allocation, AllocError> {
    let path = Path::new("/dev/dma_heap").join(heap);
    let device = open(&path, bytes)?;
    let size = whole_pages(&path, bytes)?;
    let fd = sys::dma_heap_alloc(device.as_fd(), size).map_err(failed(
        path,
        "DMA_HEAP_IOCTL_ALLOC",
        bytes,
    ))?;
    Ok(Allocation {
        fd,
        size,
        dma_buf: true,
    })
}

fn dumb(node: &Path, bytes: u64) -> Result<Allocation, AllocError> {
    // Dumb buffers are made by size in pixels: rows of one page each, so that the
    // driver's rounding of the pitch does not matter.
    const WIDTH: u32 = 1024;
    const BPP: u32 = 32;
    let device = open(node, bytes)?;
    let height = u32::try_from(bytes.max(1).div_ceil(u64::from(WIDTH) * u64::from(BPP / 8)))
        .map_err(|_| Errno::FBIG)
        .map_err(failed(node, CREATE_DUMB, bytes))?;
    let buffer =
        sys::dumb(device.as_fd(), WIDTH, height, BPP).map_err(failed(node, CREATE_DUMB, bytes))?;
    if buffer.size < bytes {
        return Err(failed(node, CREATE_DUMB, bytes)(Errno::NOSPC));
    }
    Ok(Allocation {
        fd: buffer.fd,
        size: buffer.size,
        dma_buf: true,
    })
}

impl Allocation {
    /// Bytes, at least as many as asked for.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// True for a dma-buf, false for a memfd.
    pub fn is_dma_buf(&self) -> bool {
        self.dma_buf
    }

    /// The descriptor, given up.
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// Maps it for writing.
    pub fn into_canvas(self) -> Result<Canvas, AllocError> {
        let refused = |errno| failed("the allocation", "mmap", self.size)(errno);
        let map = usize::try_from(self.size)
            .map_err(|_| Errno::OVERFLOW)
            .and_then(|len| sys::MapMut::new(self.fd.as_fd(), len))
            .map_err(refused)?;
        Ok(Canvas {
            map,
            allocation: self,
        })
    }
}

impl AsFd for Allocation {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// An allocation to draw into.
///
/// # Drawing while somebody reads
///
/// A canvas plays the producer, and as any producer's its bytes may lie under a
/// [`CpuRead`](super::CpuRead) of this same process. Neither type keeps the other from its
/// access: the two go through maps of their own at different addresses, as if the producer
/// were another process, and the rules that [`CpuReader`](super::CpuReader) gives for
/// that hold here too. Drawing at such a time is a data race whose effect is that the reader
/// sees some old and some new pixels. Draw between a frame's
/// [`Release`](crate::sync::Release) and the next frame, as every producer has to; only
/// tests of what happens otherwise have a reason to do otherwise.
#[derive(Debug)]
pub struct Canvas {
    map: sys::MapMut,
    allocation: Allocation,
}

impl Canvas {
    /// Runs `draw` on the bytes, bracketed by the ioctls that make a dma-buf coherent.
    ///
    /// The first of them waits, without a limit, for every fence in the dma-buf: of those
    /// who write and of those who read.
    pub fn draw<R>(&mut self, draw: impl FnOnce(&mut [u8]) -> R) -> Result<R, AllocError> {
        if !self.allocation.dma_buf {
            return Ok(draw(self.map.bytes_mut()));
        }
        let size = self.allocation.size;
        let refused = failed("the dma-buf", "DMA_BUF_IOCTL_SYNC", size);
        let writing = Writing::begin(self.allocation.fd.as_fd());
        let writing = match writing {
            Ok(writing) => writing,
            Err(errno) => return Err(refused(errno)),
        };
        let drawn = draw(self.map.bytes_mut());
        writing.end().map_err(refused)?;
        Ok(drawn)
    }

    /// The memory drawn into.
    pub fn allocation(&self) -> &Allocation {
        &self.allocation
    }
}

/// The CPU's access for writing, ended even where the drawing panics.
struct Writing<'a> {
    dma_buf: Option<BorrowedFd<'a>>,
}

impl<'a> Writing<'a> {
    fn begin(dma_buf: BorrowedFd<'a>) -> Result<Self, Errno> {
        sys::sync_write(dma_buf, false)?;
        Ok(Self {
            dma_buf: Some(dma_buf),
        })
    }

    fn end(mut self) -> Result<(), Errno> {
        match self.dma_buf.take() {
            Some(dma_buf) => sys::sync_write(dma_buf, true),
            None => Ok(()),
        }
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if let Some(dma_buf) = self.dma_buf
            && let Err(errno) = sys::sync_write(dma_buf, true)
        {
            tracing::warn!(%errno, "could not end the CPU's drawing into a dma-buf");
        }
    }
}

impl AsFd for Canvas {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.allocation.as_fd()
    }
}
