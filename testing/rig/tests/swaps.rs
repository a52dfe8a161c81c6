//! A guest that replaces its scanout all day leaves nothing behind: no descriptor, no
//! map, no dma-buf, no memory. One test, as the counts are those of the whole process.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use scanout_core::buffer::alloc::Provider;
use scanout_core::buffer::{CpuReader, DmaBuf, ImportPolicy, SourceBuffer};
use scanout_core::encoder::Frame;
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Size};
use scanout_core::staging::CpuStaging;
use scanout_core::sync::{Release, ReleaseSink, SyncFile};
use scanout_rig::drawing::{self, Arrangement, Scanout};
use scanout_rig::{machine, process, staged};

const SWAPS: u64 = 100_000;
/// Every so many swaps a buffer is replaced by a new one, so that inodes come and go.
const NEW_BUFFER: u64 = 100;
/// Every so many swaps the pixels are looked at: a page fault costs more than all the
/// rest of a swap in the rig.
const LOOK: u64 = 20;
/// Every so many swaps the frame is staged, on its thread, instead of read here.
const STAGE: u64 = 250;

const FORMAT: Fourcc = Fourcc::XRGB8888;
const SIZE: Size = Size::new(16, 16);
const LIMIT: Duration = Duration::from_secs(5);

#[derive(Default)]
struct Released {
    count: AtomicU64,
    sum: AtomicU64,
}

impl ReleaseSink for Released {
    fn released(&self, cookie: u64, _fence: Option<SyncFile>) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(cookie, Ordering::Relaxed);
    }
}

/// What must not grow.
#[derive(Debug)]
struct Held {
    descriptors: usize,
    maps: usize,
    resident: u64,
    /// Dma-bufs of the machine and bytes of its shared memory, where nobody else has any.
    of_machine: Option<(usize, u64)>,
}

impl Held {
    fn now() -> Self {
        Self {
            descriptors: process::descriptors().unwrap(),
            maps: std::fs::read_to_string("/proc/self/maps")
                .unwrap()
                .lines()
                .filter(|line| line.contains("/dmabuf:"))
                .count(),
            resident: process::resident_bytes().unwrap(),
            of_machine: machine::in_rig().then(|| {
                let alive = process::dma_bufs_alive().unwrap().len();
                (alive, process::shared_bytes().unwrap())
            }),
        }
    }
}

/// A producer with as many buffers as a guest flips between, and their consumer.
struct Flipping {
    provider: Provider,
    arrangement: Arrangement,
    scanouts: Vec<(Scanout, u32)>,
    reader: CpuReader,
    staging: CpuStaging,
    released: Arc<Released>,
}

impl Flipping {
    fn new(provider: Provider) -> Self {
        let arrangement = Arrangement::all(FORMAT, SIZE).remove(0);
        let scanouts = (0..3)
            .map(|seed| (arrangement.allocate(&provider, seed).unwrap(), seed))
            .collect();
        Self {
            provider,
            arrangement,
            scanouts,
            reader: CpuReader::default(),
            staging: staged::staging(SIZE, LIMIT).unwrap(),
            released: Arc::default(),
        }
    }

    fn swap(&mut self, number: u64) {
        let slot = (number % self.scanouts.len() as u64) as usize;
        if number.is_multiple_of(NEW_BUFFER) {
            let seed = number as u32;
            let scanout = self.arrangement.allocate(&self.provider, seed).unwrap();
            self.scanouts[slot] = (scanout, seed);
        }
        let (scanout, seed) = &self.scanouts[slot];
        let sink: Arc<dyn ReleaseSink> = Arc::clone(&self.released) as _;
        let release = Release::new(sink, number);
        let buffer = DmaBuf::import(
            &[scanout.fds()[0].as_fd()],
            scanout.layout(),
            &ImportPolicy::default(),
        );
        let source = SourceBuffer::from(buffer.unwrap());
        let key = source.key().clone();
        if number.is_multiple_of(STAGE) {
            let frame = Frame::new(number, source, Damage::full(SIZE), Duration::ZERO);
            let picture = staged::stage(&mut self.staging, frame).unwrap();
            release.complete();
            self.staging.retire(&key);
            let expected = staged::expected(FORMAT, SIZE, *seed).unwrap();
            assert!(staged::bytes(&picture) == expected, "swap {number}");
        } else {
            let read = self.reader.read(&source, LIMIT).unwrap();
            if number % LOOK == 1 {
                let difference = drawing::difference(read.planes(), FORMAT, SIZE, *seed);
                assert_eq!(difference, None, "swap {number}");
            }
            drop(read);
            release.complete();
            self.reader.retire(&key);
        }
    }
}

#[test]
fn a_hundred_thousand_swaps_leave_nothing_behind() {
    let providers = machine::providers();
    let Some(each) = SWAPS.checked_div(providers.len() as u64) else {
        return;
    };
    let start = Instant::now();
    let mut swaps = 0;
    for provider in providers {
        let name = provider.to_string();
        let mut flipping = Flipping::new(provider);
        // Pools, caches and the allocator have their size after the first tenth.
        let warm = each / 10;
        (0..warm).for_each(|number| flipping.swap(number));
        let before = Held::now();
        (warm..each).for_each(|number| flipping.swap(number));
        let after = Held::now();
        println!("{name}: {before:?}, {after:?}");
        assert_eq!(after.descriptors, before.descriptors, "{name}");
        // The staging thread may be about to unmap the one that it was told of last.
        assert!(after.maps <= before.maps + 1, "{name}");
        let mib = 1 << 20;
        assert!(after.resident < before.resident + mib, "{name}");
        if let (Some(before), Some(after)) = (before.of_machine, after.of_machine) {
            assert!(after.0 <= before.0 + 1, "{name}: dma-bufs");
            assert!(after.1 < before.1 + mib, "{name}: shared memory");
        }
        assert_eq!(flipping.released.count.load(Ordering::Relaxed), each);
        let sum = flipping.released.sum.load(Ordering::Relaxed);
        assert_eq!(sum, each * (each - 1) / 2, "{name}: each swap once");
        swaps += each;
    }
    println!("{swaps} swaps in {:?}", start.elapsed());
}
