//! What caches keep and what they give up, seen in this process's maps and in the
//! kernel's list of dma-bufs: nothing tells when a producer closes a buffer.

use std::time::Duration;

use scanout_core::buffer::alloc::Provider;
use scanout_core::buffer::{CacheBudget, CpuReader, ImportCache, ObjectId, SourceBuffer};
use scanout_core::encoder::Frame;
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Size};
use scanout_rig::drawing::Arrangement;
use scanout_rig::{machine, process, staged};

const SIZE: Size = Size::new(32, 32);
/// 32 * 32 * 4, and every provider rounds up to whole pages.
const BYTES: u64 = 4096;
const LIMIT: Duration = Duration::from_secs(5);

/// A buffer whose producer has closed it already.
fn orphan(provider: &Provider) -> SourceBuffer {
    let arrangement = Arrangement::all(Fourcc::XRGB8888, SIZE).remove(0);
    let scanout = arrangement.allocate(provider, 1).unwrap();
    scanout.source().unwrap()
}

fn id(source: &SourceBuffer) -> ObjectId {
    source.key().objects()[0]
}

fn mapped(id: ObjectId) -> bool {
    process::maps_of(id).unwrap() > 0
}

/// Whether the kernel still has the buffer; the maps alone must do where it does not tell.
fn alive(id: ObjectId) -> bool {
    match process::dma_bufs_alive() {
        Ok(inodes) => inodes.contains(&id.inode),
        Err(error) => {
            machine::or_skip::<()>(&format!("list of dma-bufs ({error})"), None);
            mapped(id)
        }
    }
}

#[test]
fn a_buffer_that_its_producer_closed_lives_until_it_is_retired() {
    for provider in machine::providers() {
        let mut reader = CpuReader::default();
        let source = orphan(&provider);
        let (key, id) = (source.key().clone(), id(&source));
        drop(reader.read(&source, LIMIT).unwrap());
        drop(source);
        assert_eq!(process::descriptors_of(id).unwrap(), 0, "{provider}");
        assert!(
            mapped(id) && alive(id),
            "{provider}: kept for the next frame"
        );
        reader.retire(&key);
        assert!(!mapped(id), "{provider}: unmapped");
        assert!(!alive(id), "{provider}: given back");
        assert_eq!(reader.stats().retired, 1);
    }
}

#[test]
fn every_object_of_a_retired_buffer_goes() {
    for provider in machine::providers() {
        let arrangement = Arrangement::all(Fourcc::YUV420, SIZE).remove(2);
        let scanout = arrangement.allocate(&provider, 1).unwrap();
        let source = scanout.source().unwrap();
        drop(scanout);
        let (key, objects) = (source.key().clone(), source.key().objects().to_vec());
        assert_eq!(objects.len(), 3);
        let mut reader = CpuReader::default();
        drop(reader.read(&source, LIMIT).unwrap());
        drop(source);
        assert!(objects.iter().all(|id| mapped(*id)), "{provider}");
        reader.retire(&key);
        assert!(!objects.iter().any(|id| alive(*id)), "{provider}");
    }
}

#[test]
fn the_least_recently_read_goes_when_there_are_too_many() {
    for provider in machine::providers() {
        let budget = CacheBudget {
            entries: 3,
            bytes: u64::MAX,
        };
        let mut reader = CpuReader::new(budget);
        let sources: Vec<_> = (0..4).map(|_| orphan(&provider)).collect();
        // 0, 1, 2, then 0 again: 1 is the oldest when 3 comes.
        for index in [0, 1, 2, 0, 3] {
            drop(reader.read(&sources[index], LIMIT).unwrap());
        }
        let kept: Vec<bool> = sources.iter().map(|source| mapped(id(source))).collect();
        assert_eq!(kept, [true, false, true, true], "{provider}");
        assert_eq!(reader.stats().evicted, 1);
        reader.clear();
        assert!(
            !sources.iter().any(|source| mapped(id(source))),
            "{provider}"
        );
    }
}

#[test]
fn old_maps_go_when_their_bytes_are_too_many() {
    for provider in machine::providers() {
        let budget = CacheBudget {
            entries: 100,
            bytes: 5 * BYTES,
        };
        let mut reader = CpuReader::new(budget);
        let sources: Vec<_> = (0..12).map(|_| orphan(&provider)).collect();
        for source in &sources {
            drop(reader.read(source, LIMIT).unwrap());
            let count = sources.iter().filter(|source| mapped(id(source))).count();
            assert!(count <= 5, "{provider}: {count} maps of a page each");
        }
        let kept: Vec<bool> = sources.iter().map(|source| mapped(id(source))).collect();
        assert!(kept[7..].iter().all(|kept| *kept), "{provider}: {kept:?}");
    }
}

#[test]
fn a_reader_that_is_dropped_keeps_nothing() {
    for provider in machine::providers() {
        let mut reader = CpuReader::default();
        let ids: Vec<_> = (0..5)
            .map(|_| {
                let source = orphan(&provider);
                drop(reader.read(&source, LIMIT).unwrap());
                id(&source)
            })
            .collect();
        assert!(ids.iter().all(|id| alive(*id)), "{provider}");
        drop(reader);
        assert!(!ids.iter().any(|id| alive(*id)), "{provider}");
    }
}

/// The same for the imports of drivers, of which a buffer stands in here.
#[test]
fn an_import_cache_closes_what_it_gives_up() {
    for provider in machine::providers() {
        let mut cache = ImportCache::new(CacheBudget {
            entries: 2,
            bytes: u64::MAX,
        });
        let mut ids = Vec::new();
        for _ in 0..4 {
            let source = orphan(&provider);
            ids.push((source.key().clone(), id(&source)));
            let bytes = BYTES;
            let kept =
                cache.get_or_try_insert(&source.key().clone(), bytes, || Ok::<_, ()>(source));
            kept.unwrap();
        }
        let open = |at: usize| process::descriptors_of(ids[at].1).unwrap();
        assert_eq!(
            [open(0), open(1), open(2), open(3)],
            [0, 0, 1, 1],
            "{provider}"
        );
        drop(cache.retire(&ids[2].0));
        assert_eq!(open(2), 0, "{provider}");
        assert!(!alive(ids[2].1), "{provider}");
        cache.clear();
        assert_eq!(open(3), 0, "{provider}");
    }
}

#[test]
fn staging_unmaps_what_is_retired_and_stages_what_came_before() {
    for provider in machine::providers() {
        let mut staging = staged::staging(SIZE, LIMIT).unwrap();
        let source = orphan(&provider);
        let (key, id) = (source.key().clone(), id(&source));
        let frame = || Frame::new(0, source.clone(), Damage::full(SIZE), Duration::ZERO);
        staged::stage(&mut staging, frame()).unwrap();
        assert!(mapped(id), "{provider}: kept for the next frame");
        // The last frame of the scanout, and the news that it is gone, in one go.
        staging.stage(frame()).unwrap();
        staging.retire(&key);
        drop(source);
        let deadline = std::time::Instant::now() + LIMIT;
        let mut pictures = 0;
        while mapped(id) || pictures == 0 {
            assert!(
                std::time::Instant::now() < deadline,
                "{provider}: {pictures}"
            );
            while let Some(event) = staging.poll().unwrap() {
                let ready = matches!(event, scanout_core::encoder::StageEvent::Ready(..));
                pictures += usize::from(ready);
            }
            std::thread::sleep(Duration::from_micros(100));
        }
        assert!(!alive(id), "{provider}");
    }
}
