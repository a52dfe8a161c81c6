//! A frame is read when its fence has signalled, not before, and not at all when the
//! fence fails or never comes: for fences in the dma-buf and for those beside it.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use scanout_core::buffer::{DmaBuf, ImportPolicy, SourceBuffer, wait_acquired};
use scanout_core::encoder::{Frame, StageError};
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Size};
use scanout_core::sync::{Acquire, SyncError, SyncFile};
use scanout_rig::drawing::Arrangement;
use scanout_rig::fences::Kind;
use scanout_rig::sw_sync::Timeline;
use scanout_rig::udmabuf::Udmabuf;
use scanout_rig::{fences, machine, staged};

const SIZE: Size = Size::new(48, 32);
const FORMAT: Fourcc = Fourcc::XRGB8888;
const SHORT: Duration = Duration::from_millis(60);
const LONG: Duration = Duration::from_secs(5);

/// A buffer that is drawn into whatever its fences say, as a GPU does.
struct Scene {
    arrangement: Arrangement,
    memory: Udmabuf,
    timeline: Timeline,
}

impl Scene {
    fn new() -> Option<Self> {
        let arrangement = Arrangement::all(FORMAT, SIZE).remove(1);
        let scene = Self {
            timeline: machine::timeline()?,
            memory: machine::udmabuf(arrangement.objects[0])?,
            arrangement,
        };
        scene.draw(1);
        Some(scene)
    }

    fn draw(&self, seed: u32) {
        let mut pixels = vec![0; self.arrangement.objects[0] as usize];
        self.arrangement.draw(0, &mut pixels, seed);
        self.memory.write(&pixels, 0).unwrap();
    }

    fn source(&self) -> SourceBuffer {
        let fds = [self.memory.as_fd()];
        let policy = ImportPolicy::default();
        DmaBuf::import(&fds, &self.arrangement.layout, &policy)
            .unwrap()
            .into()
    }

    /// The fence of the timeline's `point`, put where `kind` says.
    fn acquire(&self, kind: Kind, point: u32) -> Acquire {
        let fence = self.timeline.fence(point).unwrap();
        kind.acquire(&self.memory, fence).unwrap()
    }

    fn frame(&self, acquire: Acquire) -> Frame {
        let mut frame = Frame::new(0, self.source(), Damage::full(SIZE), Duration::ZERO);
        frame.acquire = acquire;
        frame
    }
}

fn expected(seed: u32) -> Vec<u8> {
    staged::expected(FORMAT, SIZE, seed).unwrap()
}

#[test]
fn waiting_ends_with_the_fence() {
    for kind in Kind::ALL {
        let Some(scene) = Scene::new() else { return };
        let acquire = scene.acquire(kind, 1);
        let start = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(SHORT);
                scene.timeline.advance(1).unwrap();
            });
            wait_acquired(&scene.source(), &acquire, LONG).unwrap();
        });
        assert!(start.elapsed() >= SHORT, "{kind:?}");
        wait_acquired(&scene.source(), &acquire, Duration::ZERO).unwrap();
    }
}

#[test]
fn waiting_for_what_never_comes_ends_with_the_limit() {
    for kind in Kind::ALL {
        let Some(scene) = Scene::new() else { return };
        let acquire = scene.acquire(kind, 1);
        let start = Instant::now();
        let error = wait_acquired(&scene.source(), &acquire, SHORT).unwrap_err();
        assert!(
            matches!(error, SyncError::TimedOut { limit: SHORT }),
            "{kind:?}: {error}"
        );
        assert!(
            start.elapsed() >= SHORT && start.elapsed() < LONG,
            "{kind:?}"
        );
    }
}

#[test]
fn waiting_for_what_fails_ends_with_the_failure() {
    for kind in Kind::ALL {
        let Some(scene) = Scene::new() else { return };
        let (acquire, source) = (scene.acquire(kind, 1), scene.source());
        std::thread::scope(|scope| {
            scope.spawn(move || {
                std::thread::sleep(SHORT);
                scene.timeline.fail();
            });
            let error = wait_acquired(&source, &acquire, LONG).unwrap_err();
            assert!(
                matches!(error, SyncError::Failed(Errno::NOENT)),
                "{kind:?}: {error}"
            );
        });
    }
}

/// The producer draws the picture while the frame waits, and signals then.
#[test]
fn staging_reads_what_was_drawn_before_the_fence_signalled() {
    for kind in Kind::ALL {
        let Some(scene) = Scene::new() else { return };
        let mut staging = staged::staging(SIZE, LONG).unwrap();
        for seed in 2..6 {
            let frame = scene.frame(scene.acquire(kind, seed - 1));
            staging.stage(frame).unwrap();
            let start = Instant::now();
            while start.elapsed() < SHORT {
                let early = staging.poll().unwrap();
                assert!(early.is_none(), "{kind:?}: {early:?}");
                std::thread::sleep(Duration::from_millis(5));
            }
            scene.draw(seed);
            scene.timeline.advance(1).unwrap();
            let picture = finish(&mut staging).unwrap();
            assert!(staged::bytes(&picture) == expected(seed), "{kind:?} {seed}");
        }
    }
}

/// The end of the frame that is being staged.
fn finish(
    staging: &mut scanout_core::staging::CpuStaging,
) -> Result<scanout_core::encoder::Picture, StageError> {
    use scanout_core::encoder::StageEvent;
    let deadline = Instant::now() + LONG;
    loop {
        match staging.poll()? {
            Some(StageEvent::Ready(_, picture)) => return Ok(picture),
            Some(StageEvent::Failed(_, error)) => return Err(error),
            Some(_) => {}
            None => {
                assert!(Instant::now() < deadline, "staging did not answer");
                std::thread::sleep(Duration::from_micros(100));
            }
        }
    }
}

#[test]
fn staging_gives_up_a_frame_whose_fence_never_comes_and_takes_the_next() {
    for kind in Kind::ALL {
        let Some(scene) = Scene::new() else { return };
        let mut staging = staged::staging(SIZE, SHORT).unwrap();
        let start = Instant::now();
        let error = staged::stage(&mut staging, scene.frame(scene.acquire(kind, 1))).unwrap_err();
        assert!(
            matches!(
                error,
                StageError::Acquire(SyncError::TimedOut { limit: SHORT })
            ),
            "{kind:?}: {error}"
        );
        assert!(error.to_string().contains("60ms"), "{error}");
        assert!(start.elapsed() >= SHORT, "{kind:?}");
        scene.timeline.advance(1).unwrap();
        scene.draw(7);
        let picture = staged::stage(&mut staging, scene.frame(Acquire::Implicit)).unwrap();
        assert!(staged::bytes(&picture) == expected(7), "{kind:?}");
    }
}

#[test]
fn staging_gives_up_a_frame_whose_writer_failed() {
    for kind in Kind::ALL {
        let Some(scene) = Scene::new() else { return };
        let mut staging = staged::staging(SIZE, LONG).unwrap();
        let frame = scene.frame(scene.acquire(kind, 1));
        let next = scene.frame(Acquire::Implicit);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                std::thread::sleep(SHORT);
                scene.timeline.fail();
            });
            let error = staged::stage(&mut staging, frame).unwrap_err();
            assert!(
                matches!(error, StageError::Acquire(SyncError::Failed(Errno::NOENT))),
                "{kind:?}: {error}"
            );
        });
        let picture = staged::stage(&mut staging, next).unwrap();
        assert!(staged::bytes(&picture) == expected(1), "{kind:?}");
    }
}

/// A sync file keeps a failure for ever. A buffer does not: the kernel forgets a fence
/// that has signalled, well or not.
#[test]
fn a_failure_of_before_is_told_by_a_sync_file_only() {
    let Some(scene) = Scene::new() else { return };
    let explicit = scene.acquire(Kind::Explicit, 1);
    let implicit = scene.acquire(Kind::Implicit, 1);
    let source = scene.source();
    scene.timeline.fail();
    let error = wait_acquired(&source, &explicit, LONG).unwrap_err();
    assert!(matches!(error, SyncError::Failed(Errno::NOENT)), "{error}");
    wait_acquired(&source, &implicit, LONG).unwrap();
}

/// "Ready" and a sync file are the producer's words; who writes to a dma-buf the
/// kernel knows better, and its begin of CPU access would wait without a limit.
#[test]
fn a_buffer_that_is_written_is_not_read_whatever_its_producer_says() {
    let Some(scene) = Scene::new() else { return };
    let signalled = scene.timeline.fence(0).unwrap();
    let never = scene.timeline.fence(100).unwrap();
    fences::attach_writer(&scene.memory, &never).unwrap();
    let mut staging = staged::staging(SIZE, SHORT).unwrap();
    for acquire in [Acquire::Ready, Acquire::SyncFile(signalled)] {
        let error = staged::stage(&mut staging, scene.frame(acquire)).unwrap_err();
        assert!(
            matches!(
                error,
                StageError::Acquire(SyncError::TimedOut { limit: SHORT })
            ),
            "{error}"
        );
    }
}

/// One limit bounds a frame, not one for each of its fences.
#[test]
fn fences_of_both_kinds_share_the_limit() {
    let Some(scene) = Scene::new() else { return };
    let limit = Duration::from_millis(400);
    let explicit = scene.acquire(Kind::Explicit, 1);
    let never = scene.timeline.fence(100).unwrap();
    fences::attach_writer(&scene.memory, &never).unwrap();
    let mut staging = staged::staging(SIZE, limit).unwrap();
    let start = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(limit * 3 / 4);
            scene.timeline.advance(1).unwrap();
        });
        let error = staged::stage(&mut staging, scene.frame(explicit)).unwrap_err();
        let StageError::Acquire(SyncError::TimedOut { limit: told }) = error else {
            panic!("{error}");
        };
        assert_eq!(told, limit);
    });
    let waited = start.elapsed();
    assert!(waited >= limit && waited < limit * 3 / 2, "{waited:?}");
}

#[test]
fn what_is_no_fence_is_no_reason_to_read() {
    let Some(scene) = Scene::new() else { return };
    let mut staging = staged::staging(SIZE, SHORT).unwrap();
    // The dma-buf itself, which poll finds readable.
    let confused = scene.memory.as_fd().try_clone_to_owned().unwrap();
    let frame = scene.frame(Acquire::SyncFile(SyncFile::new(confused)));
    let error = staged::stage(&mut staging, frame).unwrap_err();
    assert!(
        matches!(
            error,
            StageError::Acquire(SyncError::NotASyncFile(Errno::NOTTY))
        ),
        "{error}"
    );
    let syncobj = scene.memory.as_fd().try_clone_to_owned().unwrap();
    let frame = scene.frame(Acquire::Timeline { syncobj, point: 3 });
    let error = staged::stage(&mut staging, frame).unwrap_err();
    assert!(
        matches!(
            error,
            StageError::Acquire(SyncError::TimelineNeedsDevice { point: 3 })
        ),
        "{error}"
    );
}
