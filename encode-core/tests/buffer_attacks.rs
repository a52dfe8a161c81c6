//! What a hostile producer may send: each attack is refused by a typed error that
//! says the value and the bound, or does no harm.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::fs::{MemfdFlags, SealFlags, ftruncate, memfd_create};
use scanout_core::buffer::alloc::Provider;
use scanout_core::buffer::{
    Access, AllowedModifiers, CpuReader, DmaBuf, ImplicitModifier, ImportError, ImportPolicy,
    Layout, LayoutError, MemoryImage, Plane, ReadError, SourceBuffer,
};
use scanout_core::format::{Fourcc, Modifier};
use scanout_core::geometry::{Rect, Size};

const LIMIT: Duration = Duration::from_secs(1);

fn xr24(width: u32, height: u32, offset: u32, stride: u32) -> Layout {
    Layout {
        fourcc: Fourcc::XRGB8888,
        modifier: Modifier::LINEAR,
        size: Size::new(width, height),
        planes: [Plane {
            object: 0,
            offset,
            stride,
        }]
        .into_iter()
        .collect(),
    }
}

fn memfd(size: u64, seals: SealFlags) -> OwnedFd {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd = memfd_create("test", flags).unwrap();
    ftruncate(&fd, size).unwrap();
    rustix::fs::fcntl_add_seals(&fd, seals).unwrap();
    fd
}

fn policy() -> ImportPolicy {
    ImportPolicy::default().with_memfd()
}

/// Imports a sealed memfd of `size` bytes under `layout`, which must be refused.
fn refused(size: u64, layout: &Layout) -> LayoutError {
    let fd = memfd(size, SealFlags::SHRINK);
    match DmaBuf::import(&[fd.as_fd()], layout, &policy()) {
        Err(ImportError::Layout(error)) => error,
        other => panic!("{layout:?} in {size} bytes gave {other:?}"),
    }
}

fn says(error: impl std::fmt::Display, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "{text:?} lacks {part:?}");
    }
}

#[test]
fn stride_times_height_that_wraps_32_bits() {
    // 0x10000 * 0x10000 is 0 in 32 bits; a check done there lets it pass.
    let mut limited = policy();
    limited.limits.max_size = Size::new(u32::MAX, u32::MAX);
    let fd = memfd(4096, SealFlags::SHRINK);
    let error = DmaBuf::import(&[fd.as_fd()], &xr24(16, 0x1_0000, 0, 0x1_0000), &limited);
    let Err(ImportError::Layout(error)) = error else {
        panic!("{error:?}")
    };
    let end = 0x1_0000u64 * 0xffff + 64;
    assert_eq!(
        error,
        LayoutError::PlaneOverrun {
            plane: 0,
            end,
            object: 0,
            size: 4096
        }
    );
    says(error, &[&end.to_string(), "4096"]);
}

#[test]
fn width_times_four_that_wraps_32_bits() {
    let mut limited = policy();
    limited.limits.max_size = Size::new(u32::MAX, u32::MAX);
    let fd = memfd(4096, SealFlags::SHRINK);
    // 0x40000001 * 4 is 4 in 32 bits.
    let error = DmaBuf::import(&[fd.as_fd()], &xr24(0x4000_0001, 1, 0, 4), &limited).unwrap_err();
    says(error, &["stride of 4 bytes", "4294967300 bytes of a row"]);
}

#[test]
fn stride_of_zero_or_shorter_than_a_row() {
    for stride in [0, 4, 252] {
        let error = refused(1 << 20, &xr24(64, 64, 0, stride));
        says(error, &[&format!("stride of {stride} bytes"), "256"]);
    }
    assert!(matches!(
        refused(1 << 20, &xr24(64, 64, 0, 258)),
        LayoutError::StrideUnaligned {
            stride: 258,
            align: 4,
            ..
        }
    ));
}

#[test]
fn offset_past_the_end_or_wrapping_with_the_stride() {
    let size = 64 * 256u64;
    says(
        refused(size, &xr24(64, 64, 1 << 20, 256)),
        &["1064960", "16384"],
    );
    // offset + stride is 0 in 32 bits.
    says(
        refused(size, &xr24(64, 64, 0xffff_ff00, 256)),
        &["4294983424", "16384"],
    );
    // One row too far, and one byte too few.
    says(refused(size, &xr24(64, 64, 256, 256)), &["16640", "16384"]);
    says(refused(4096, &xr24(64, 17, 0, 256)), &["4352", "4096"]);
    assert!(matches!(
        refused(size, &xr24(64, 32, 2, 256)),
        LayoutError::OffsetUnaligned {
            offset: 2,
            align: 4,
            ..
        }
    ));
}

#[test]
fn sizes_of_nothing_and_of_too_much() {
    for (w, h) in [
        (0, 0),
        (0, 64),
        (64, 0),
        (100_000, 100_000),
        (16385, 1),
        (u32::MAX, 1),
    ] {
        let error = refused(1 << 20, &xr24(w, h, 0, 256));
        says(error, &[&format!("{w}x{h}"), "1x1", "16384x16384"]);
    }
}

#[test]
fn plane_counts_that_do_not_fit_the_format_or_modifier() {
    let mut two = xr24(64, 64, 0, 256);
    two.planes.push(two.planes[0]);
    says(refused(1 << 20, &two), &["2 planes", "XR24", "has 1"]);
    let mut none = xr24(64, 64, 0, 256);
    none.planes.clear();
    says(refused(1 << 20, &none), &["0 planes", "has 1"]);
    let nv12 = Layout {
        fourcc: Fourcc::NV12,
        ..xr24(64, 64, 0, 256)
    };
    says(refused(1 << 20, &nv12), &["1 planes", "NV12", "has 2"]);
    // The CCS of a compressed surface is missing.
    let ccs = Layout {
        modifier: Modifier::INTEL_Y_TILED_GEN12_RC_CCS,
        ..xr24(64, 64, 0, 512)
    };
    says(refused(1 << 20, &ccs), &["1 planes", "RC_CCS", "has 2"]);
    let mut absent = xr24(64, 64, 0, 256);
    absent.planes[0].object = 1;
    says(refused(1 << 20, &absent), &["object 1", "only 1"]);
}

#[test]
fn compression_planes_are_bounded_too() {
    let ccs = |offset, stride| {
        let mut layout = Layout {
            modifier: Modifier::INTEL_Y_TILED_GEN12_RC_CCS,
            ..xr24(128, 64, 0, 512)
        };
        layout.planes.push(Plane {
            object: 0,
            offset,
            stride,
        });
        layout
    };
    let size = 64 * 512 + 128;
    let fd = memfd(size, SealFlags::SHRINK);
    DmaBuf::import(&[fd.as_fd()], &ccs(64 * 512, 64), &policy()).unwrap();
    says(
        refused(size, &ccs(64 * 512 + 64, 64)),
        &["plane 1", "32960", "32896"],
    );
    says(
        refused(size, &ccs(64 * 512, 0)),
        &["plane 1", "stride of 0"],
    );
}

#[test]
fn tiled_planes_need_whole_tiles() {
    let tiled = |rows| Layout {
        modifier: Modifier::INTEL_4_TILED,
        ..xr24(64, rows, 0, 256)
    };
    // 33 rows take two rows of tiles: 64 * 256 bytes.
    says(refused(33 * 256, &tiled(33)), &["16384", "8448"]);
    let narrow = Layout {
        modifier: Modifier::INTEL_X_TILED,
        ..xr24(64, 8, 0, 256)
    };
    says(refused(1 << 20, &narrow), &["stride of 256", "512"]);
}

#[test]
fn modifiers_that_were_not_asked_for() {
    let fd = memfd(1 << 20, SealFlags::SHRINK);
    let import = |modifier, policy: ImportPolicy| {
        let layout = Layout {
            modifier,
            ..xr24(64, 64, 0, 512)
        };
        DmaBuf::import(&[fd.as_fd()], &layout, &policy)
    };
    let linear = policy().with_modifiers(AllowedModifiers::Linear);
    let error = import(Modifier::INTEL_X_TILED, linear).unwrap_err();
    says(error, &["INTEL_X_TILED", "among the 1"]);
    let list = policy().with_modifiers(AllowedModifiers::List(vec![
        Modifier::LINEAR,
        Modifier::INTEL_4_TILED,
    ]));
    let error = import(Modifier(0xee << 56 | 1), list.clone()).unwrap_err();
    says(error, &["VENDOR_238(0x1)", "among the 2"]);
    import(Modifier::LINEAR, list).unwrap();
}

#[test]
fn invalid_modifier_is_linear_only_on_someones_word() {
    let fd = memfd(1 << 20, SealFlags::SHRINK);
    let layout = Layout {
        modifier: Modifier::INVALID,
        ..xr24(64, 64, 0, 256)
    };
    let import = |implicit| {
        DmaBuf::import(
            &[fd.as_fd()],
            &layout,
            &policy().with_implicit_modifier(implicit),
        )
    };
    assert!(matches!(
        import(ImplicitModifier::Refuse),
        Err(ImportError::Layout(LayoutError::ModifierUnknown))
    ));
    for implicit in [
        ImplicitModifier::AssumeLinear,
        ImplicitModifier::LinearIfExporterKnown,
    ] {
        let buffer = import(implicit).unwrap();
        assert_eq!(buffer.layout().modifier, Modifier::LINEAR);
    }
    let unknown = ImportError::ImplicitModifier {
        exporter: "i915".to_owned(),
    };
    says(unknown, &["i915", "udmabuf"]);
    // Memory images have no exporter: INVALID is refused.
    let bytes = std::sync::Arc::new(vec![0u8; 1 << 20]);
    assert!(MemoryImage::new(bytes, layout.clone()).is_err());
}

#[test]
fn unknown_formats() {
    let layout = Layout {
        fourcc: Fourcc::from_chars(*b"ZZZZ"),
        ..xr24(64, 64, 0, 256)
    };
    says(refused(1 << 20, &layout), &["ZZZZ", "0x5a5a5a5a"]);
}

#[test]
fn descriptors_that_are_no_buffers() {
    let (reader, _writer) = std::io::pipe().unwrap();
    let (socket, _peer) = UnixStream::pair().unwrap();
    let path = std::env::temp_dir().join(format!("scanout-attack-{}", std::process::id()));
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(1 << 20).unwrap();
    let zero = std::fs::File::open("/dev/zero").unwrap();
    let directory = std::fs::File::open("/").unwrap();
    for (fd, kind) in [
        (reader.as_fd(), "a pipe"),
        (socket.as_fd(), "a socket"),
        (file.as_fd(), "file"),
        (zero.as_fd(), "a character device"),
        (directory.as_fd(), "a directory"),
    ] {
        let error = DmaBuf::import(&[fd], &xr24(64, 64, 0, 256), &policy()).unwrap_err();
        assert!(
            matches!(error, ImportError::NotADmaBuf { index: 0, .. }),
            "{kind}: {error:?}"
        );
        says(error, &[kind, "0x444d4142"]);
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_memfd_where_dma_bufs_are_wanted() {
    let fd = memfd(1 << 20, SealFlags::SHRINK);
    let error = DmaBuf::import(
        &[fd.as_fd()],
        &xr24(64, 64, 0, 256),
        &ImportPolicy::default(),
    )
    .unwrap_err();
    assert!(matches!(error, ImportError::MemfdNotAllowed { index: 0 }));
}

#[test]
fn a_closed_descriptor() {
    // SAFETY: the number is far above any limit on open descriptors, so it borrows
    // nobody's descriptor; that it is not open is the point of the test.
    let closed = unsafe { BorrowedFd::borrow_raw(0x3fff_fff0) };
    let error = DmaBuf::import(&[closed], &xr24(64, 64, 0, 256), &policy()).unwrap_err();
    assert!(matches!(
        error,
        ImportError::Os {
            errno: rustix::io::Errno::BADF,
            ..
        }
    ));
    says(error, &["1073741808", "F_DUPFD_CLOEXEC"]);
}

#[test]
fn too_few_too_many_and_unused_objects() {
    let fd = memfd(1 << 20, SealFlags::SHRINK);
    let layout = xr24(64, 64, 0, 256);
    says(
        DmaBuf::import(&[], &layout, &policy()).unwrap_err(),
        &["0 descriptors", "1 to 4"],
    );
    says(
        DmaBuf::import(&[fd.as_fd(); 5], &layout, &policy()).unwrap_err(),
        &["5 descriptors", "1 to 4"],
    );
    says(
        DmaBuf::import(&[fd.as_fd(); 2], &layout, &policy()).unwrap_err(),
        &["object 1 of 2", "1 planes"],
    );
    let empty = memfd(0, SealFlags::empty());
    says(
        DmaBuf::import(&[empty.as_fd()], &layout, &policy()).unwrap_err(),
        &["0 bytes", "at least 1"],
    );
}

#[test]
fn an_unsealed_memfd_shrunk_under_us_is_no_sigbus() {
    let fd = memfd(1 << 20, SealFlags::empty());
    rustix::io::pwrite(&fd, &[0xab; 16384], 0).unwrap();
    let buffer = DmaBuf::import(&[fd.as_fd()], &xr24(64, 64, 0, 256), &policy()).unwrap();
    assert_eq!(buffer.objects()[0].access(), Access::Pread);
    let source = SourceBuffer::from(buffer);
    let mut reader = CpuReader::default();
    let read = reader.read(&source, LIMIT).unwrap();
    assert_eq!(read.planes()[0].data, &[0xab; 16384][..]);
    drop(read);
    ftruncate(&fd, 1000).unwrap();
    let error = reader.read(&source, LIMIT).unwrap_err();
    assert!(matches!(
        error,
        ReadError::Shrunk {
            object: 0,
            end: 1000,
            plane: 0,
            needed: 16384
        }
    ));
    says(error, &["1000", "16384"]);
}

#[test]
fn a_sealed_memfd_is_mapped_and_cannot_be_shrunk() {
    let fd = memfd(1 << 20, SealFlags::SHRINK);
    let buffer = DmaBuf::import(&[fd.as_fd()], &xr24(64, 64, 0, 256), &policy()).unwrap();
    assert_eq!(buffer.objects()[0].access(), Access::Map);
    assert!(ftruncate(&fd, 0).is_err());
    let source = SourceBuffer::from(buffer);
    let mut reader = CpuReader::default();
    assert_eq!(reader.read(&source, LIMIT).unwrap().planes()[0].rows, 64);
}

#[test]
fn a_reused_descriptor_number_is_another_buffer() {
    let layout = xr24(64, 64, 0, 256);
    let first = memfd(1 << 20, SealFlags::SHRINK);
    rustix::io::pwrite(&first, &[1; 16384], 0).unwrap();
    let number = first.as_raw_fd();
    let a = DmaBuf::import(&[first.as_fd()], &layout, &policy()).unwrap();
    let again = DmaBuf::import(&[first.as_fd()], &layout, &policy()).unwrap();
    assert_eq!(a.key(), again.key(), "one object, one layout: one import");
    let second = memfd(1 << 20, SealFlags::SHRINK);
    rustix::io::pwrite(&second, &[2; 16384], 0).unwrap();
    // The second object takes over the first one's number, whatever other tests open.
    let mut taken = first;
    rustix::io::dup2(&second, &mut taken).unwrap();
    assert_eq!(taken.as_raw_fd(), number);
    let b = DmaBuf::import(&[taken.as_fd()], &layout, &policy()).unwrap();
    assert_ne!(a.key(), b.key());
    let mut reader = CpuReader::default();
    for (buffer, byte) in [(a, 1), (b, 2)] {
        let source = SourceBuffer::from(buffer);
        let read = reader.read(&source, LIMIT).unwrap();
        assert!(read.planes()[0].data.iter().all(|b| *b == byte));
    }
}

#[test]
fn one_object_described_anew_is_another_import() {
    let fd = memfd(1 << 20, SealFlags::SHRINK);
    let import = |layout| DmaBuf::import(&[fd.as_fd()], &layout, &policy()).unwrap();
    let a = import(xr24(64, 64, 0, 256));
    let b = import(xr24(64, 63, 0, 256));
    assert_eq!(a.objects()[0].id(), b.objects()[0].id());
    assert_ne!(a.key(), b.key());
}

#[test]
fn content_outside_of_the_buffer() {
    let fd = memfd(1 << 20, SealFlags::SHRINK);
    let buffer = DmaBuf::import(&[fd.as_fd()], &xr24(64, 64, 0, 256), &policy()).unwrap();
    for rect in [
        Rect::new(0, 0, 0, 1),
        Rect::new(1, 0, 64, 1),
        Rect::new(u32::MAX, 0, 2, 2),
        Rect::new(0, 63, 1, 2),
    ] {
        says(
            buffer.clone().with_content(rect).unwrap_err(),
            &[&rect.to_string(), "64x64"],
        );
    }
    buffer.with_content(Rect::new(1, 1, 63, 63)).unwrap();
}

#[test]
fn the_cpu_refuses_tiled_buffers() {
    let fd = memfd(1 << 20, SealFlags::SHRINK);
    let layout = Layout {
        modifier: Modifier::INTEL_X_TILED,
        ..xr24(64, 64, 0, 512)
    };
    let source = SourceBuffer::from(DmaBuf::import(&[fd.as_fd()], &layout, &policy()).unwrap());
    let error = CpuReader::default().read(&source, LIMIT).unwrap_err();
    says(error, &["LINEAR", "INTEL_X_TILED"]);
}

#[test]
fn missing_devices_are_named() {
    for (provider, device) in [
        ("dma-heap:no-such-heap", "/dev/dma_heap/no-such-heap"),
        ("dumb:/dev/dri/no-such-node", "/dev/dri/no-such-node"),
    ] {
        let provider: Provider = provider.parse().unwrap();
        let error = provider.allocate(4096).unwrap_err();
        assert_eq!(error.errno, rustix::io::Errno::NOENT);
        says(error, &[device, "4096 bytes", "no such device"]);
    }
    // A node that is no DRM device refuses the ioctl.
    let error = Provider::Dumb("/dev/null".into())
        .allocate(4096)
        .unwrap_err();
    says(error, &["/dev/null", "CREATE_DUMB"]);
    for bad in [
        "",
        "gbm:/dev/dri/card0",
        "dma-heap:../null",
        "dumb",
        "memfd:x",
    ] {
        assert!(bad.parse::<Provider>().is_err(), "{bad}");
    }
}
