//! What is done for each frame allocates nothing and leaks no descriptor.

use std::alloc::{GlobalAlloc, Layout as HeapLayout, System};
use std::cell::Cell;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use scanout_core::buffer::alloc::Provider;
use scanout_core::buffer::{
    CpuReader, DmaBuf, ImportCache, ImportPolicy, Layout, MemoryImage, SourceBuffer,
};
use scanout_core::format::Fourcc;
use scanout_core::geometry::Size;
use scanout_core::sync::{EventFd, Release, ReleaseSink, SyncFile};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: everything is handed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: HeapLayout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: HeapLayout) {
        // SAFETY: the pointer came from `alloc` above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.with(Cell::get);
    work();
    ALLOCATIONS.with(Cell::get) - before
}

#[derive(Default)]
struct Sink(AtomicU64);

impl ReleaseSink for Sink {
    fn released(&self, _cookie: u64, _fence: Option<SyncFile>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(1)))), 1);
}

#[test]
fn a_frame_in_steady_state_allocates_nothing() {
    let (layout, bytes) = Layout::packed(Fourcc::NV12, Size::new(320, 200), 64).unwrap();
    let policy = ImportPolicy::default().with_memfd();
    let sealed = Provider::Memfd.allocate(bytes).unwrap();
    let unsealed = rustix::fs::memfd_create("test", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    rustix::fs::ftruncate(&unsealed, bytes).unwrap();
    let image = MemoryImage::new(Arc::new(vec![0u8; bytes as usize]), layout.clone()).unwrap();
    let sources: [SourceBuffer; 3] = [
        DmaBuf::import(&[sealed.as_fd()], &layout, &policy)
            .unwrap()
            .into(),
        DmaBuf::import(&[unsealed.as_fd()], &layout, &policy)
            .unwrap()
            .into(),
        image.into(),
    ];
    let mut reader = CpuReader::default();
    let mut cache = ImportCache::<SourceBuffer>::default();
    let sink = Arc::new(Sink::default());
    let event = EventFd::new().unwrap();
    let mut frame = |source: &SourceBuffer| {
        let release = Release::new(sink.clone(), 1);
        let kept = cache.get_or_try_insert(source.key(), bytes, || Ok::<_, ()>(source.clone()));
        assert!(kept.is_ok());
        let key = source.key().clone();
        assert!(key == *source.key());
        let read = reader.read(source, Duration::from_secs(1)).unwrap();
        assert_eq!(read.planes().len(), 2);
        drop(read);
        event.signal();
        assert!(event.drain());
        release.complete();
    };
    sources.iter().for_each(&mut frame);
    let count = allocations(|| {
        for _ in 0..1000 {
            sources.iter().for_each(&mut frame);
        }
    });
    assert_eq!(count, 0, "allocations in 3000 frames");
    assert_eq!(sink.0.load(Ordering::Relaxed), 3003);
}

#[test]
fn imports_leak_no_descriptor() {
    let (layout, bytes) = Layout::packed(Fourcc::XRGB8888, Size::new(64, 64), 64).unwrap();
    let policy = ImportPolicy::default().with_memfd();
    let memory = Provider::Memfd.allocate(bytes).unwrap();
    let mut reader = CpuReader::default();
    for _ in 0..5000 {
        let buffer = DmaBuf::import(&[memory.as_fd()], &layout, &policy).unwrap();
        let mut wrong = layout.clone();
        wrong.planes[0].stride = 0;
        assert!(DmaBuf::import(&[memory.as_fd()], &wrong, &policy).is_err());
        let source = SourceBuffer::from(buffer);
        drop(reader.read(&source, Duration::from_secs(1)).unwrap());
    }
    // More than the usual limit of 1024 would have been open by now; this one
    // object may have one import open and a few descriptors of its own.
    let id = rustix::fs::fstat(&memory).unwrap().st_ino;
    let open = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| std::fs::metadata(entry.ok()?.path()).ok())
        .filter(|meta| std::os::unix::fs::MetadataExt::ino(meta) == id)
        .count();
    assert_eq!(open, 1, "only the test's own");
}
