//! Memory whose owner can take it away while we look at it. Touching what is gone of a
//! map would end the process by SIGBUS, and so would these tests end.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::fs::{FallocateFlags, Mode, OFlags, SealFlags};
use rustix::io::Errno;
use scanout_core::buffer::{
    Access, CpuReader, DmaBuf, ImportPolicy, Layout, ReadError, SourceBuffer,
};
use scanout_core::encoder::{Frame, StageError};
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Size};
use scanout_rig::udmabuf;
use scanout_rig::{machine, process, staged};

const SIZE: Size = Size::new(128, 64);
const BYTES: u64 = 128 * 64 * 4;
const LIMIT: Duration = Duration::from_secs(5);

fn layout() -> Layout {
    Layout::packed(Fourcc::XRGB8888, SIZE, 4).unwrap().0
}

fn import(fd: impl AsFd) -> SourceBuffer {
    let policy = ImportPolicy::default().with_memfd();
    DmaBuf::import(&[fd.as_fd()], &layout(), &policy)
        .unwrap()
        .into()
}

fn access(source: &SourceBuffer) -> Access {
    let SourceBuffer::DmaBuf(buffer) = source else {
        panic!("{source:?}");
    };
    buffer.objects()[0].access()
}

fn fill(memfd: &OwnedFd, byte: u8) {
    let pixels = vec![byte; BYTES as usize];
    assert_eq!(rustix::io::pwrite(memfd, &pixels, 0).unwrap(), pixels.len());
}

fn maps(source: &SourceBuffer) -> usize {
    process::maps_of(source.key().objects()[0]).unwrap()
}

#[test]
fn a_memfd_that_may_shrink_is_never_mapped() {
    let memfd = udmabuf::memfd(BYTES, SealFlags::empty()).unwrap();
    fill(&memfd, 7);
    let source = import(&memfd);
    assert_eq!(access(&source), Access::Pread);
    let mut reader = CpuReader::default();
    let read = reader.read(&source, LIMIT).unwrap();
    assert_eq!(maps(&source), 0);
    assert!(read.planes()[0].data.iter().all(|byte| *byte == 7));
    // What is being read is ours already.
    rustix::fs::ftruncate(&memfd, 0).unwrap();
    assert!(read.planes()[0].data.iter().all(|byte| *byte == 7));
    drop(read);
    let error = reader.read(&source, LIMIT).unwrap_err();
    assert!(
        matches!(
            error,
            ReadError::Shrunk {
                object: 0,
                end: 0,
                plane: 0,
                needed: BYTES
            }
        ),
        "{error}"
    );
}

#[test]
fn a_memfd_that_shrinks_and_grows_while_it_is_read_costs_frames_only() {
    let memfd = udmabuf::memfd(BYTES, SealFlags::empty()).unwrap();
    let source = import(&memfd);
    let mut staging = staged::staging(SIZE, LIMIT).unwrap();
    let done = AtomicBool::new(false);
    let (mut staged, mut shrunk, mut misjudged) = (0, 0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Never a whole number of pages, so that a page's rest is cut off too.
            for size in (0..BYTES).step_by(997).cycle() {
                rustix::fs::ftruncate(&memfd, size).unwrap();
                rustix::fs::ftruncate(&memfd, BYTES).unwrap();
                // On one CPU too, some frames shall find it whole and some not.
                std::thread::yield_now();
                if done.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        for number in 0..500 {
            let frame = Frame::new(number, source.clone(), Damage::full(SIZE), Duration::ZERO);
            match staged::stage(&mut staging, frame) {
                Ok(_) => staged += 1,
                Err(StageError::Read(ReadError::Shrunk { end, needed, .. })) => {
                    misjudged += u32::from(end >= needed);
                    shrunk += 1;
                }
                Err(other) => {
                    done.store(true, Ordering::Relaxed);
                    panic!("{other}");
                }
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(misjudged, 0, "long enough, yet refused");
    println!("{staged} staged, {shrunk} refused");
    // After the last change it is whole.
    rustix::fs::ftruncate(&memfd, 0).unwrap();
    let frame = || Frame::new(500, source.clone(), Damage::full(SIZE), Duration::ZERO);
    let error = staged::stage(&mut staging, frame()).unwrap_err();
    assert!(
        matches!(error, StageError::Read(ReadError::Shrunk { .. })),
        "{error}"
    );
    rustix::fs::ftruncate(&memfd, BYTES).unwrap();
    staged::stage(&mut staging, frame()).unwrap();
}

#[test]
fn a_memfd_that_cannot_shrink_is_mapped_and_a_hole_in_it_is_black() {
    let memfd = udmabuf::memfd(BYTES, SealFlags::SHRINK).unwrap();
    fill(&memfd, 9);
    let source = import(&memfd);
    assert_eq!(access(&source), Access::Map);
    let mut reader = CpuReader::default();
    let read = reader.read(&source, LIMIT).unwrap();
    assert_eq!(maps(&source), 1);
    assert_eq!(rustix::fs::ftruncate(&memfd, 0), Err(Errno::PERM));
    punch(&memfd);
    assert!(read.planes()[0].data.iter().all(|byte| *byte == 0));
}

/// Frees the pages, which no seal but that against writing forbids.
fn punch(memfd: &OwnedFd) {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    rustix::fs::fallocate(memfd, flags, 0, BYTES).unwrap();
}

#[test]
fn a_file_in_a_tmpfs_without_a_name_is_no_better_than_a_memfd_that_may_shrink() {
    let shared_memory = || {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        rustix::fs::open("/dev/shm", flags, Mode::RUSR | Mode::WUSR).ok()
    };
    let Some(file) = machine::or_skip("tmpfs at /dev/shm", shared_memory()) else {
        return;
    };
    rustix::fs::ftruncate(&file, BYTES).unwrap();
    fill(&file, 3);
    let source = import(&file);
    assert_eq!(access(&source), Access::Pread);
    let mut reader = CpuReader::default();
    let read = reader.read(&source, LIMIT).unwrap();
    assert!(read.planes()[0].data.iter().all(|byte| *byte == 3));
    drop(read);
    rustix::fs::ftruncate(&file, 100).unwrap();
    let error = reader.read(&source, LIMIT).unwrap_err();
    assert!(
        matches!(error, ReadError::Shrunk { end: 100, .. }),
        "{error}"
    );
}

#[test]
fn the_memory_of_a_udmabuf_cannot_be_taken_away() {
    let Some(buffer) = machine::udmabuf(BYTES) else {
        return;
    };
    let unsealed = udmabuf::memfd(BYTES, SealFlags::empty()).unwrap();
    assert_eq!(
        udmabuf::over(&unsealed, BYTES).unwrap_err(),
        Errno::INVAL,
        "the driver insists on the seal"
    );
    assert_eq!(rustix::fs::ftruncate(buffer.memfd(), 0), Err(Errno::PERM));
    fill(buffer.memfd(), 5);
    let source = import(&buffer);
    assert_eq!(access(&source), Access::Map);
    let mut reader = CpuReader::default();
    let read = reader.read(&source, LIMIT).unwrap();
    // The dma-buf holds the pages, whatever becomes of the memfd's.
    punch(buffer.memfd());
    fill(buffer.memfd(), 6);
    assert!(read.planes()[0].data.iter().all(|byte| *byte == 5));
    drop(read);
    let read = reader.read(&source, LIMIT).unwrap();
    assert!(read.planes()[0].data.iter().all(|byte| *byte == 5));
}
