//! What the kernel says of its own dma-bufs is what an import goes by, and what is no
//! dma-buf is told apart.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::fs::{Mode, OFlags, SealFlags};
use rustix::io::{Errno, FdFlags};
use scanout_core::buffer::{
    Access, CpuReader, DmaBuf, ImportError, ImportPolicy, Layout, LayoutError, ObjectKind,
    ReadError, SourceBuffer,
};
use scanout_core::format::Fourcc;
use scanout_core::geometry::Size;
use scanout_core::sync::EventFd;
use scanout_rig::drawing::{self, Arrangement};
use scanout_rig::{machine, process, udmabuf};

const SIZE: Size = Size::new(64, 16);
const BYTES: u64 = 64 * 16 * 4;
const LIMIT: Duration = Duration::from_secs(5);

fn layout() -> Layout {
    Layout::packed(Fourcc::XRGB8888, SIZE, 4).unwrap().0
}

fn import(fd: BorrowedFd<'_>, policy: &ImportPolicy) -> Result<DmaBuf, ImportError> {
    DmaBuf::import(&[fd], &layout(), policy)
}

#[test]
fn every_exporters_buffers_are_dma_bufs_of_the_size_that_the_kernel_says() {
    for provider in machine::providers() {
        let memory = provider.allocate(5 * 4096).unwrap();
        let buffer = import(memory.as_fd(), &ImportPolicy::default()).unwrap();
        let object = &buffer.objects()[0];
        assert_eq!(object.kind(), ObjectKind::DmaBuf, "{provider}");
        assert_eq!(object.access(), Access::Map, "{provider}");
        assert_eq!(object.size(), memory.size(), "{provider}");
        assert!(buffer.is_dma_buf() && buffer.is_mappable(), "{provider}");
        assert_eq!(buffer.bytes(), memory.size());
    }
}

/// The producer says one byte more than the kernel: what it says elsewhere (in a
/// message, of another descriptor) does not count.
#[test]
fn a_plane_that_ends_one_byte_behind_the_buffer_is_refused() {
    for provider in machine::providers() {
        let memory = provider.allocate(BYTES).unwrap();
        let size = memory.size();
        let mut layout = Layout::packed(Fourcc::R8, SIZE, 1).unwrap().0;
        let last = size - 64 * 16;
        for (offset, fits) in [(last, true), (last + 1, false)] {
            layout.planes[0].offset = offset as u32;
            let imported = DmaBuf::import(&[memory.as_fd()], &layout, &ImportPolicy::default());
            match imported {
                Ok(_) => assert!(fits, "{provider}: taken"),
                Err(ImportError::Layout(LayoutError::PlaneOverrun {
                    end, size: seen, ..
                })) => {
                    assert!(!fits, "{provider}: refused");
                    assert_eq!((end, seen), (size + 1, size), "{provider}");
                }
                Err(other) => panic!("{provider}: {other}"),
            }
        }
    }
}

#[test]
fn an_import_outlives_the_producers_descriptor_and_closes_its_own() {
    for provider in machine::providers() {
        let arrangement = &Arrangement::all(Fourcc::XRGB8888, SIZE)[1];
        let scanout = arrangement.allocate(&provider, 3).unwrap();
        let buffer = scanout.import().unwrap();
        let id = buffer.objects()[0].id();
        drop(scanout);
        assert_eq!(process::descriptors_of(id).unwrap(), 1, "{provider}");
        for fd in buffer.fds() {
            let flags = rustix::io::fcntl_getfd(fd).unwrap();
            assert!(flags.contains(FdFlags::CLOEXEC), "{provider}");
        }
        let source = SourceBuffer::from(buffer);
        let mut reader = CpuReader::default();
        let read = reader.read(&source, LIMIT).unwrap();
        let difference = drawing::difference(read.planes(), Fourcc::XRGB8888, SIZE, 3);
        assert_eq!(difference, None, "{provider}");
        drop(read);
        drop(source);
        assert_eq!(process::descriptors_of(id).unwrap(), 0, "{provider}");
    }
}

#[test]
fn a_memfd_is_no_dma_buf_even_where_a_dma_buf_lies_over_it() {
    let sealed = udmabuf::memfd(BYTES, SealFlags::SHRINK).unwrap();
    let over = machine::or_skip("udmabuf", udmabuf::over(&sealed, BYTES).ok());
    let strict = ImportPolicy::default();
    let error = import(sealed.as_fd(), &strict).unwrap_err();
    assert!(matches!(error, ImportError::MemfdNotAllowed { index: 0 }));
    let lax = strict.clone().with_memfd();
    let memfd = import(sealed.as_fd(), &lax).unwrap();
    assert_eq!(memfd.objects()[0].kind(), ObjectKind::Memfd);
    assert!(!memfd.is_dma_buf());
    let Some(over) = over else { return };
    let dma_buf = import(over.as_fd(), &strict).unwrap();
    assert!(dma_buf.is_dma_buf());
    assert_ne!(
        dma_buf.key(),
        memfd.key(),
        "two objects, though one's memory"
    );
}

#[test]
fn devices_pipes_and_fences_are_no_dma_bufs() {
    let (pipe, _writer) = std::io::pipe().unwrap();
    let (socket, _peer) = UnixStream::pair().unwrap();
    let event = EventFd::new().unwrap();
    let null = std::fs::File::open("/dev/null").unwrap();
    let fence = machine::timeline().map(|timeline| timeline.fence(1).unwrap());
    let nodes = [machine::nodes("card"), machine::nodes("renderD")].concat();
    let open = |path: &std::path::Path| {
        rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).ok()
    };
    let devices: Vec<OwnedFd> = ["/dev/udmabuf", "/dev/dma_heap/system"]
        .into_iter()
        .map(std::path::Path::new)
        .chain(nodes.iter().map(|node| node.path.as_path()))
        .filter_map(open)
        .collect();
    assert!(!machine::in_rig() || devices.len() == 5);
    let mut others = vec![pipe.as_fd(), socket.as_fd(), event.as_fd(), null.as_fd()];
    others.extend(fence.iter().map(AsFd::as_fd));
    others.extend(devices.iter().map(AsFd::as_fd));
    for policy in [
        ImportPolicy::default(),
        ImportPolicy::default().with_memfd(),
    ] {
        for (index, fd) in others.iter().enumerate() {
            let error = import(*fd, &policy).unwrap_err();
            assert!(
                matches!(error, ImportError::NotADmaBuf { index: 0, magic, .. } if magic != 0x444d_4142),
                "{index}: {error}"
            );
        }
    }
}

/// Renderers export without write access unless they are asked for it.
#[test]
fn an_export_for_reading_is_read_and_one_for_writing_only_is_refused() {
    let heap = |access| udmabuf::from_heap(BYTES, access).ok();
    let Some(read_only) = machine::or_skip("system heap", heap(OFlags::RDONLY)) else {
        return;
    };
    let write_only = heap(OFlags::WRONLY).unwrap();
    let mut reader = CpuReader::default();
    let policy = ImportPolicy::default();
    let source = SourceBuffer::from(import(read_only.as_fd(), &policy).unwrap());
    drop(reader.read(&source, LIMIT).unwrap());
    let source = SourceBuffer::from(import(write_only.as_fd(), &policy).unwrap());
    let error = reader.read(&source, LIMIT).unwrap_err();
    assert!(
        matches!(
            error,
            ReadError::Map {
                object: 0,
                size: BYTES,
                errno: Errno::ACCESS
            }
        ),
        "{error}"
    );
}
