//! Reading by the CPU shows what the producer drew, within the planes' bounds, by every path.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use scanout_core::buffer::alloc::Provider;
use scanout_core::buffer::{
    BufferKey, CacheBudget, CpuReader, DmaBuf, ImportCache, ImportPolicy, Layout, MemoryImage,
    Orientation, SourceBuffer,
};
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Rect, Size};

const LIMIT: Duration = Duration::from_secs(1);

/// Every byte differs from its neighbours in row and column.
fn pattern(bytes: &mut [u8]) {
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = (at * 7 + at / 251) as u8;
    }
}

fn check(source: &SourceBuffer, expected: &[u8]) {
    let mut reader = CpuReader::default();
    for _ in 0..2 {
        let read = reader.read(source, LIMIT).unwrap();
        let layout = source.layout();
        assert_eq!(read.planes().len(), layout.planes.len());
        for (index, (view, plane)) in read.planes().iter().zip(&layout.planes).enumerate() {
            let format = source.format();
            let row = format.plane_row_bytes(index, layout.size.width).unwrap() as usize;
            let rows = format.plane_rows(index, layout.size.height).unwrap() as usize;
            assert_eq!((view.row_bytes, view.rows), (row, rows));
            assert_eq!(view.data.len(), view.stride * (rows - 1) + row);
            for y in 0..rows {
                let at = plane.offset as usize + y * plane.stride as usize;
                assert_eq!(
                    view.row(y),
                    &expected[at..at + row],
                    "plane {index} row {y}"
                );
            }
            assert!(view.row(rows).is_empty());
        }
    }
}

#[test]
fn all_ways_to_read_show_the_same_pixels() {
    for fourcc in [Fourcc::XRGB8888, Fourcc::NV12, Fourcc::YUV420, Fourcc::P010] {
        let (layout, bytes) = Layout::packed(fourcc, Size::new(101, 33), 64).unwrap();
        let mut expected = vec![0; bytes as usize];
        pattern(&mut expected);

        let image = MemoryImage::new(Arc::new(expected.clone()), layout.clone()).unwrap();
        check(&image.into(), &expected);

        let mut canvas = Provider::Memfd
            .allocate(bytes)
            .unwrap()
            .into_canvas()
            .unwrap();
        canvas
            .draw(|memory| memory[..expected.len()].copy_from_slice(&expected))
            .unwrap();
        let policy = ImportPolicy::default().with_memfd();
        let mapped = DmaBuf::import(&[canvas.as_fd()], &layout, &policy).unwrap();
        assert!(mapped.is_mappable() && !mapped.is_dma_buf());
        check(&mapped.into(), &expected);

        let unsealed = rustix::fs::memfd_create("test", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        rustix::io::pwrite(&unsealed, &expected, 0).unwrap();
        let copied = DmaBuf::import(&[unsealed.as_fd()], &layout, &policy).unwrap();
        assert!(!copied.is_mappable());
        check(&copied.into(), &expected);
    }
}

#[test]
fn planes_in_objects_of_their_own() {
    let (mut layout, bytes) = Layout::packed(Fourcc::NV12, Size::new(64, 32), 1).unwrap();
    assert_eq!(bytes, 64 * 48);
    layout.planes[1].object = 1;
    layout.planes[1].offset = 0;
    let luma = Provider::Memfd.allocate(64 * 32).unwrap();
    let chroma = Provider::Memfd.allocate(64 * 16).unwrap();
    rustix::io::pwrite(&luma, &[1; 64 * 32], 0).unwrap();
    rustix::io::pwrite(&chroma, &[2; 64 * 16], 0).unwrap();
    let policy = ImportPolicy::default().with_memfd();
    let fds = [luma.as_fd(), chroma.as_fd()];
    let source = SourceBuffer::from(DmaBuf::import(&fds, &layout, &policy).unwrap());
    let mut reader = CpuReader::default();
    let read = reader.read(&source, LIMIT).unwrap();
    assert!(read.planes()[0].data.iter().all(|b| *b == 1));
    assert!(read.planes()[1].data.iter().all(|b| *b == 2));
}

#[test]
fn drawing_after_the_import_is_seen_through_the_cached_map() {
    let (layout, bytes) = Layout::packed(Fourcc::R8, Size::new(64, 64), 1).unwrap();
    let mut canvas = Provider::Memfd
        .allocate(bytes)
        .unwrap()
        .into_canvas()
        .unwrap();
    let policy = ImportPolicy::default().with_memfd();
    let source = SourceBuffer::from(DmaBuf::import(&[canvas.as_fd()], &layout, &policy).unwrap());
    let mut reader = CpuReader::default();
    for round in 0..5 {
        canvas.draw(|memory| memory.fill(round)).unwrap();
        let read = reader.read(&source, LIMIT).unwrap();
        assert!(read.planes()[0].data.iter().all(|b| *b == round));
    }
    assert_eq!((reader.stats().misses, reader.stats().hits), (1, 4));
    reader.retire(source.key());
    drop(reader.read(&source, LIMIT).unwrap());
    assert_eq!(reader.stats().misses, 2);
}

#[test]
fn images_are_bounded_by_their_bytes() {
    let (layout, bytes) = Layout::packed(Fourcc::XRGB8888, Size::new(64, 64), 1).unwrap();
    let short = Arc::new(vec![0u8; bytes as usize - 1]);
    let error = MemoryImage::new(short, layout).unwrap_err().to_string();
    assert!(
        error.contains("16384") && error.contains("16383"),
        "{error}"
    );
}

#[test]
fn the_wire_flag_means_the_reverse_of_its_name() {
    assert_eq!(Orientation::from_y0_top(true), Orientation::BottomUp);
    assert_eq!(Orientation::from_y0_top(false), Orientation::TopDown);
    let (layout, bytes) = Layout::packed(Fourcc::R8, Size::new(4, 4), 1).unwrap();
    let image = MemoryImage::new(Arc::new(vec![0u8; bytes as usize]), layout).unwrap();
    let source = SourceBuffer::from(
        image
            .with_orientation(Orientation::BottomUp)
            .with_content(Rect::new(1, 1, 2, 3))
            .unwrap(),
    );
    assert_eq!(source.view().orientation, Orientation::BottomUp);
    assert_eq!(source.content_size(), Size::new(2, 3));
}

fn key() -> BufferKey {
    let (layout, bytes) = Layout::packed(Fourcc::R8, Size::new(4, 4), 1).unwrap();
    let image = MemoryImage::new(Arc::new(vec![0u8; bytes as usize]), layout).unwrap();
    image.key().clone()
}

#[test]
fn a_cache_keeps_to_both_budgets_and_gives_up_the_oldest() {
    let mut cache = ImportCache::new(CacheBudget {
        entries: 3,
        bytes: 100,
    });
    let keys: Vec<_> = (0..5).map(|_| key()).collect();
    for (index, key) in keys[..3].iter().enumerate() {
        cache.insert(key.clone(), 10, index);
    }
    assert_eq!(cache.get(&keys[0]), Some(&mut 0));
    cache.insert(keys[3].clone(), 10, 3);
    assert_eq!(cache.get(&keys[1]), None, "the least recently used went");
    assert_eq!(cache.get(&keys[0]), Some(&mut 0));
    assert_eq!((cache.len(), cache.bytes()), (3, 30));
    // The newest stays, though it alone exceeds the budget; all others go.
    cache.insert(keys[4].clone(), 1000, 4);
    assert_eq!((cache.len(), cache.bytes()), (1, 1000));
    assert_eq!(cache.retire(&keys[4]), Some(4));
    assert_eq!(cache.retire(&keys[4]), None);
    assert!(cache.is_empty());
    assert_eq!(cache.bytes(), 0);
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses), (2, 1));
    assert_eq!((stats.evicted, stats.retired), (4, 1));
}

#[test]
fn a_failed_import_is_not_cached() {
    let mut cache = ImportCache::<u32>::default();
    let key = key();
    assert_eq!(cache.get_or_try_insert(&key, 1, || Err("no")), Err("no"));
    assert_eq!(
        cache.get_or_try_insert(&key, 1, || Ok::<_, &str>(5)),
        Ok(&mut 5)
    );
    assert_eq!(
        cache.get_or_try_insert(&key, 1, || Err("unasked")),
        Ok(&mut 5)
    );
    // An entry of the same key is replaced, and its bytes are counted once.
    cache.insert(key.clone(), 7, 6);
    assert_eq!((cache.len(), cache.bytes()), (1, 7));
}

#[test]
fn explicit_fences_are_waited_for_with_a_limit() {
    use scanout_core::buffer::wait_acquired;
    use scanout_core::sync::{Acquire, SyncError, SyncFile};

    let (layout, bytes) = Layout::packed(Fourcc::R8, Size::new(4, 4), 1).unwrap();
    let image = MemoryImage::new(Arc::new(vec![0u8; bytes as usize]), layout).unwrap();
    let source = SourceBuffer::from(image);
    let limit = Duration::from_millis(10);
    for acquire in [Acquire::Implicit, Acquire::Ready] {
        wait_acquired(&source, &acquire, limit).unwrap();
    }
    let (silent, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
    let fence = Acquire::SyncFile(SyncFile::new(silent.into()));
    assert!(matches!(
        wait_acquired(&source, &fence, limit),
        Err(SyncError::TimedOut { .. })
    ));
    let (syncobj, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
    let timeline = Acquire::Timeline {
        syncobj: syncobj.into(),
        point: 7,
    };
    let error = wait_acquired(&source, &timeline, limit).unwrap_err();
    assert!(error.to_string().contains("point 7"), "{error}");
}

#[test]
fn buffers_travel_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<SourceBuffer>();
    shared::<CpuReader>();
}
