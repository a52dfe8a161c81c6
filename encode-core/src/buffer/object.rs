use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, SealFlags, SeekFrom};

use super::ImportError;

/// `DMA_BUF_MAGIC` of `linux/magic.h`
const DMA_BUF_MAGIC: u64 = 0x444d_4142;
/// `TMPFS_MAGIC`
const TMPFS_MAGIC: u64 = 0x0102_1994;
/// `HUGETLBFS_MAGIC`
const HUGETLBFS_MAGIC: u64 = 0x9584_58f6;

/// What backs a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ObjectKind {
    /// A dma-buf.
    DmaBuf,
    /// Anonymous shared memory (memfd).
    Memfd,
}

/// How the CPU may read an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Access {
    /// Through a map: its size is fixed.
    Map,
    /// By pread only. Whoever holds the other end may shrink it, and touching the
    /// lost pages of a map would kill the process with SIGBUS.
    Pread,
}

/// Which object it is, whatever its descriptor's number. Numbers are reused as soon
/// as a descriptor is closed; an inode is not while somebody holds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ObjectId {
    /// `st_dev`
    pub dev: u64,
    /// `st_ino`
    pub inode: u64,
}

/// One object behind a buffer: our own descriptor and what was found out about it.
#[derive(Debug)]
pub struct Object {
    fd: OwnedFd,
    id: ObjectId,
    size: u64,
    kind: ObjectKind,
    access: Access,
}

impl Object {
    /// Duplicates `fd` and finds out what it is.
    pub(super) fn examine(
        index: usize,
        fd: BorrowedFd<'_>,
        allow_memfd: bool,
    ) -> Result<Self, ImportError> {
        let os = |call| {
            move |errno| ImportError::Os {
                index,
                fd: fd.as_raw_fd(),
                call,
                errno,
            }
        };
        let fd = rustix::io::fcntl_dupfd_cloexec(fd, 3).map_err(os("fcntl(F_DUPFD_CLOEXEC)"))?;
        let stat = rustix::fs::fstat(&fd).map_err(os("fstat"))?;
        let magic = rustix::fs::fstatfs(&fd).map_err(os("fstatfs"))?.f_type as u64;
        let file_type = FileType::from_raw_mode(stat.st_mode);
        // Only memfds have no name in a file system (an unlinked temporary file has
        // none either and is read just as safely).
        let memory = matches!(magic, TMPFS_MAGIC | HUGETLBFS_MAGIC)
            && file_type == FileType::RegularFile
            && stat.st_nlink == 0;
        let (kind, access) = if magic == DMA_BUF_MAGIC {
            (ObjectKind::DmaBuf, Access::Map)
        } else if !memory {
            return Err(ImportError::NotADmaBuf {
                index,
                found: found(file_type, magic),
                magic,
            });
        } else if !allow_memfd {
            return Err(ImportError::MemfdNotAllowed { index });
        } else {
            let sealed = rustix::fs::fcntl_get_seals(&fd)
                .is_ok_and(|seals| seals.contains(SealFlags::SHRINK));
            // A huge page is only found missing when it is touched, by SIGBUS too.
            let access = if sealed && magic == TMPFS_MAGIC {
                Access::Map
            } else {
                Access::Pread
            };
            (ObjectKind::Memfd, access)
        };
        let size = match kind {
            // Dma-bufs move no file position, so this disturbs no one.
            ObjectKind::DmaBuf => {
                rustix::fs::seek(&fd, SeekFrom::End(0)).map_err(os("lseek(SEEK_END)"))?
            }
            ObjectKind::Memfd => u64::try_from(stat.st_size).unwrap_or(0),
        };
        if size == 0 {
            return Err(ImportError::EmptyObject { index });
        }
        Ok(Self {
            fd,
            id: ObjectId {
                dev: stat.st_dev,
                inode: stat.st_ino,
            },
            size,
            kind,
            access,
        })
    }

    /// Which object it is.
    pub fn id(&self) -> ObjectId {
        self.id
    }

    /// Bytes, as found at import.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What it is.
    pub fn kind(&self) -> ObjectKind {
        self.kind
    }

    /// How it may be read.
    pub fn access(&self) -> Access {
        self.access
    }

    /// The exporter's name where `/proc` tells it: `exp_name` of a dma-buf.
    pub(super) fn exporter(&self) -> Option<String> {
        let path = format!("/proc/self/fdinfo/{}", self.fd.as_raw_fd());
        exporter_of(&std::fs::read_to_string(path).ok()?).map(str::to_owned)
    }
}

impl AsFd for Object {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The value of `exp_name` in a dma-buf's fdinfo. The first one counts: the name that
/// user space gave to the buffer follows it, and may hold a line break and a forgery.
pub(super) fn exporter_of(fdinfo: &str) -> Option<&str> {
    fdinfo
        .lines()
        .find_map(|line| line.strip_prefix("exp_name:"))
        .map(str::trim)
}

/// True for exporters whose memory has no tiling that a modifier could have named: by
/// them, a buffer with modifier `INVALID` is linear. `name` is the kernel's: `exp_name`
/// in `/proc/self/fdinfo`.
pub fn exporter_is_linear(name: &str) -> bool {
    // udmabuf exports memfds; the heaps export pages (system, and CMA under its
    // various names), all without knowing of pixels.
    matches!(
        name,
        "udmabuf"
            | "system"
            | "system-uncached"
            | "system_heap"
            | "cma_heap"
            | "linux,cma"
            | "reserved"
            | "default_cma_region"
    )
}

fn found(file_type: FileType, magic: u64) -> &'static str {
    match file_type {
        FileType::Fifo => "a pipe",
        FileType::Socket => "a socket",
        FileType::CharacterDevice => "a character device",
        FileType::BlockDevice => "a block device",
        FileType::Directory => "a directory",
        FileType::Symlink => "a symbolic link",
        FileType::RegularFile if magic == TMPFS_MAGIC => "a file in a tmpfs",
        FileType::RegularFile => "a regular file",
        _ => "some other descriptor",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffers_own_name_cannot_forge_its_exporter() {
        let fdinfo = "pos:\t0\nflags:\t02000002\nsize:\t8294400\ncount:\t2\nexp_name:\ti915\nname:\tx\nexp_name:\tudmabuf\n";
        assert_eq!(exporter_of(fdinfo), Some("i915"));
        assert_eq!(exporter_of("pos:\t0\n"), None);
    }

    #[test]
    fn only_exporters_without_tiling_count_as_linear() {
        for linear in ["udmabuf", "system"] {
            assert!(exporter_is_linear(linear), "{linear}");
        }
        for tiling in [
            "",
            "i915",
            "xe",
            "amdgpu",
            "drm",
            "nvidia_drm",
            "virtio_gpu",
            "udmabuf2",
        ] {
            assert!(!exporter_is_linear(tiling), "{tiling}");
        }
    }
}
