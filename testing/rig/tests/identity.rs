//! A buffer is known by its inode and layout, never by a descriptor's number.

use std::collections::HashSet;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use scanout_core::buffer::{BufferKey, CpuReader, DmaBuf, ImportPolicy, SourceBuffer};
use scanout_core::format::Fourcc;
use scanout_core::geometry::Size;
use scanout_rig::drawing::{self, Arrangement};
use scanout_rig::machine;

const SIZE: Size = Size::new(32, 32);
const LIMIT: Duration = Duration::from_secs(5);

fn arrangement() -> Arrangement {
    Arrangement::all(Fourcc::XRGB8888, SIZE).remove(1)
}

#[test]
fn duplicates_of_a_descriptor_are_one_buffer() {
    for provider in machine::providers() {
        let scanout = arrangement().allocate(&provider, 1).unwrap();
        let first = scanout.import().unwrap();
        let duplicate = scanout.fds()[0].try_clone_to_owned().unwrap();
        let layout = scanout.layout();
        let policy = ImportPolicy::default();
        let second = DmaBuf::import(&[duplicate.as_fd()], layout, &policy).unwrap();
        // A producer passes a new duplicate with each frame.
        assert_eq!(first.key(), second.key(), "{provider}");
        let mut reader = CpuReader::default();
        for buffer in [first, second] {
            drop(reader.read(&buffer.into(), LIMIT).unwrap());
        }
        assert_eq!(
            (reader.stats().misses, reader.stats().hits),
            (1, 1),
            "{provider}"
        );
    }
}

#[test]
fn a_descriptors_number_given_to_another_buffer_is_another_buffer() {
    for provider in machine::providers() {
        let arrangement = arrangement();
        let policy = ImportPolicy::default();
        let old = arrangement.allocate(&provider, 1).unwrap();
        let new = arrangement.allocate(&provider, 2).unwrap();
        let mut number = old.fds()[0].try_clone_to_owned().unwrap();
        let raw = number.as_raw_fd();
        let import =
            |fd: &OwnedFd| DmaBuf::import(&[fd.as_fd()], &arrangement.layout, &policy).unwrap();
        let first = SourceBuffer::from(import(&number));
        let mut reader = CpuReader::default();
        drop(reader.read(&first, LIMIT).unwrap());
        // The producer closes its buffer, and the number goes to the next.
        drop(old);
        rustix::io::dup2(new.fds()[0], &mut number).unwrap();
        assert_eq!(number.as_raw_fd(), raw);
        let second = SourceBuffer::from(import(&number));
        assert_ne!(first.key(), second.key(), "{provider}");
        for (source, seed) in [(&first, 1), (&second, 2), (&first, 1)] {
            let read = reader.read(source, LIMIT).unwrap();
            let difference = drawing::difference(read.planes(), Fourcc::XRGB8888, SIZE, seed);
            assert_eq!(difference, None, "{provider}");
        }
    }
}

/// Two layouts of one object are two imports, and each shows its own pixels.
#[test]
fn one_object_described_twice_is_two_imports() {
    for provider in machine::providers() {
        let scanout = arrangement().allocate(&provider, 1).unwrap();
        let upper = scanout.layout().clone();
        let mut lower = upper.clone();
        lower.size.height = 16;
        lower.planes[0].offset += 16 * lower.planes[0].stride;
        let policy = ImportPolicy::default();
        let import = |layout| DmaBuf::import(&scanout.fds(), layout, &policy).unwrap();
        let (upper, lower) = (import(&upper), import(&lower));
        assert_eq!(upper.objects()[0].id(), lower.objects()[0].id());
        assert_ne!(upper.key(), lower.key(), "{provider}");
        let (upper, lower) = (SourceBuffer::from(upper), SourceBuffer::from(lower));
        let mut reader = CpuReader::default();
        for _ in 0..2 {
            let read = reader.read(&upper, LIMIT).unwrap();
            let row = |y| {
                (0..128)
                    .map(|x| drawing::byte(0, y, x, 1))
                    .collect::<Vec<_>>()
            };
            assert_eq!(read.planes()[0].row(0), row(0), "{provider}");
            assert_eq!(read.planes()[0].row(31), row(31), "{provider}");
            drop(read);
            let read = reader.read(&lower, LIMIT).unwrap();
            assert_eq!(read.planes()[0].rows, 16, "{provider}");
            assert_eq!(read.planes()[0].row(0), row(16), "{provider}");
        }
        assert_eq!((reader.stats().misses, reader.stats().hits), (2, 2));
        // Retiring one description leaves the other.
        reader.retire(upper.key());
        drop(reader.read(&lower, LIMIT).unwrap());
        assert_eq!(reader.stats().hits, 3, "{provider}");
    }
}

/// What a cache relies on: as long as something holds a buffer no other has its inode,
/// and the kernel gives none twice in a row either.
#[test]
fn inodes_are_not_given_again() {
    for provider in machine::providers() {
        let arrangement = arrangement();
        let kept = arrangement.allocate(&provider, 0).unwrap();
        let mut seen: HashSet<BufferKey> = [kept.import().unwrap().key().clone()].into();
        for _ in 0..200 {
            let memory = provider.allocate(arrangement.objects[0]).unwrap();
            let policy = ImportPolicy::default();
            let buffer = DmaBuf::import(&[memory.as_fd()], &arrangement.layout, &policy).unwrap();
            assert!(seen.insert(buffer.key().clone()), "{provider}");
        }
    }
}
