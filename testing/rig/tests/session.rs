//! A session over real dma-bufs: fences that come late, never or with an error, scanouts
//! that are replaced and resized, and each source given back exactly once.

mod session_support;

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use scanout_core::buffer::import_read_fence;
use scanout_core::encoder::{
    Encoder, EncoderConfig, Frame, OpenError, StageConfig, StageError, StageEvent, Stager, Ticket,
};
use scanout_core::geometry::{Rect, Size};
use scanout_core::noop::{NoopControl, NoopStager};
use scanout_core::session::{Session, SessionConfig};
use scanout_core::sync::{Acquire, FenceStatus, SyncFile};
use scanout_rig::sw_sync::Timeline;
use scanout_rig::{fences, machine, process};
use session_support::{LONG, Running, Scanout, expected, until};

const SIZE: Size = Size::new(48, 32);
const SHORT: Duration = Duration::from_millis(60);

#[derive(Clone, Copy, Debug)]
enum Kind {
    Implicit,
    Explicit,
}

const KINDS: [Kind; 2] = [Kind::Implicit, Kind::Explicit];

fn acquire(kind: Kind, scanout: &Scanout, fence: SyncFile) -> Acquire {
    match kind {
        Kind::Implicit => {
            fences::attach_writer(&scanout.memory, &fence).unwrap();
            Acquire::Implicit
        }
        Kind::Explicit => Acquire::SyncFile(fence),
    }
}

/// A scanout with its fences, where the machine has both.
fn scene() -> Option<(Scanout, Timeline)> {
    let scanout = Scanout::new(SIZE)?;
    scanout.draw(0);
    Some((scanout, machine::timeline()?))
}

#[test]
fn every_picture_is_what_was_drawn_by_the_time_its_fence_signalled() {
    for kind in KINDS {
        let Some((first, timeline)) = scene() else {
            return;
        };
        let scanouts = [
            first,
            Scanout::new(SIZE).unwrap(),
            Scanout::new(SIZE).unwrap(),
        ];
        let running = Running::new(SIZE, SessionConfig::every_frame(), LONG);
        for number in 0..40 {
            let scanout = &scanouts[number as usize % 3];
            if number >= 3 {
                // As a guest does: a buffer is drawn into when it was given back.
                running.released.wait_for(number - 3);
            }
            let fence = timeline.fence(number as u32 + 1).unwrap();
            running.submit(scanout.frame(number, acquire(kind, scanout, fence)));
            scanout.draw(number as u32);
            timeline.advance(1).unwrap();
        }
        let stats = running.session.finish(LONG).unwrap();
        assert_eq!(
            stats.frames.failed, 0,
            "{kind:?}: {:?}",
            stats.first_failure
        );
        assert_eq!(
            running.pictures.numbers(),
            Vec::from_iter(0..40),
            "{kind:?}"
        );
        for number in 0..40 {
            let picture = running.pictures.of(number).unwrap();
            assert!(
                picture == expected(SIZE, number as u32),
                "{kind:?} {number}"
            );
        }
        assert_eq!(
            running.released.cookies(),
            Vec::from_iter(0..40),
            "{kind:?}"
        );
    }
}

#[test]
fn a_source_whose_fence_never_comes_is_given_back_once_and_the_session_says_why() {
    for kind in KINDS {
        let Some((scanout, timeline)) = scene() else {
            return;
        };
        let mut config = SessionConfig::live();
        config.hold_limit = LONG;
        let running = Running::new(SIZE, config, SHORT);
        let start = Instant::now();
        let never = timeline.fence(1).unwrap();
        running.submit(scanout.frame(0, acquire(kind, &scanout, never)));
        running.released.wait_for(0);
        assert!(start.elapsed() >= SHORT, "{kind:?}");
        timeline.advance(1).unwrap();
        scanout.draw(5);
        running.submit(scanout.frame(1, Acquire::Implicit));
        let stats = running.session.finish(LONG).unwrap();
        assert_eq!(running.released.cookies(), [0, 1], "{kind:?}");
        // Given back because the wait ended, not because the watchdog lost patience.
        assert_eq!(
            (stats.frames.failed, stats.frames.let_go),
            (1, 0),
            "{kind:?}"
        );
        let reason = stats.first_failure.unwrap();
        assert!(
            reason.contains("did not signal within the limit of 60ms"),
            "{reason}"
        );
        assert_eq!(running.pictures.numbers(), [1], "{kind:?}");
        assert!(
            running.pictures.of(1) == Some(expected(SIZE, 5)),
            "{kind:?}"
        );
    }
}

#[test]
fn the_watchdog_does_not_wait_for_a_stager_that_waits_too_long() {
    for kind in KINDS {
        let Some((scanout, timeline)) = scene() else {
            return;
        };
        let mut config = SessionConfig::live();
        config.hold_limit = SHORT;
        let running = Running::new(SIZE, config, SHORT * 5);
        let start = Instant::now();
        let never = timeline.fence(1).unwrap();
        running.submit(scanout.frame(0, acquire(kind, &scanout, never)));
        running.released.wait_for(0);
        assert!(start.elapsed() >= SHORT, "{kind:?}");
        assert_eq!(running.session.stats().frames.let_go, 1, "{kind:?}");
        // When the stager comes back it does not give the source back again.
        until("the frame fails", || {
            running.session.stats().frames.failed == 1
        });
        running.session.finish(LONG).unwrap();
        assert_eq!(running.released.cookies(), [0], "{kind:?}");
        assert_eq!(running.pictures.numbers(), [0; 0], "{kind:?}");
    }
}

/// A guest has one draw outstanding: if that waits behind a frame that does not come
/// back, nothing else would ever free it.
#[test]
fn the_watchdog_lets_go_of_the_frame_behind_a_stuck_one_and_it_is_shown_all_the_same() {
    for kind in KINDS {
        let Some((stuck, timeline)) = scene() else {
            return;
        };
        let behind = Scanout::new(SIZE).unwrap();
        behind.draw(2);
        let mut config = SessionConfig::live();
        config.hold_limit = SHORT;
        let running = Running::new(SIZE, config, LONG);
        let late = timeline.fence(1).unwrap();
        running.submit(stuck.frame(0, acquire(kind, &stuck, late)));
        running.released.wait_for(0);
        let start = Instant::now();
        running.submit(behind.frame(1, Acquire::Implicit));
        running.released.wait_for(1);
        assert!(start.elapsed() >= SHORT, "{kind:?}");
        assert_eq!(running.session.stats().frames.let_go, 2, "{kind:?}");
        // The newest picture is not lost for that.
        timeline.advance(1).unwrap();
        until("it is shown", || running.pictures.of(1).is_some());
        running.session.finish(LONG).unwrap();
        assert!(
            running.pictures.of(1) == Some(expected(SIZE, 2)),
            "{kind:?}"
        );
        assert_eq!(running.released.cookies(), [0, 1], "{kind:?}");
    }
}

#[test]
fn a_source_whose_writer_failed_is_given_back_once_and_never_shown() {
    for kind in KINDS {
        let Some((scanout, timeline)) = scene() else {
            return;
        };
        let running = Running::new(SIZE, SessionConfig::live(), LONG);
        let failing = timeline.fence(1).unwrap();
        running.submit(scanout.frame(0, acquire(kind, &scanout, failing)));
        // It must be waited for already: what failed before is forgotten by a dma-buf.
        std::thread::sleep(SHORT);
        timeline.fail();
        running.released.wait_for(0);
        scanout.draw(6);
        running.submit(scanout.frame(1, Acquire::Ready));
        let stats = running.session.finish(LONG).unwrap();
        assert_eq!(running.released.cookies(), [0, 1], "{kind:?}");
        assert_eq!(running.pictures.numbers(), [1], "{kind:?}");
        assert!(
            running.pictures.of(1) == Some(expected(SIZE, 6)),
            "{kind:?}"
        );
        let reason = stats.first_failure.unwrap();
        assert!(reason.contains("the writer's GPU job failed"), "{reason}");
    }
}

/// While one frame waits for its fence, newer ones replace each other.
#[test]
fn frames_behind_a_late_fence_replace_each_other_and_the_newest_is_shown() {
    for kind in KINDS {
        let Some((late, timeline)) = scene() else {
            return;
        };
        let newest = Scanout::new(SIZE).unwrap();
        newest.draw(9);
        let mut config = SessionConfig::live();
        config.hold_limit = LONG;
        let running = Running::new(SIZE, config, LONG);
        let fence = timeline.fence(1).unwrap();
        running.submit(late.frame(0, acquire(kind, &late, fence)));
        running.settle();
        for number in 1..6 {
            running.submit(newest.frame(number, Acquire::Implicit));
        }
        assert_eq!(
            running.released.cookies(),
            [1, 2, 3, 4],
            "{kind:?}: not the late one"
        );
        late.draw(8);
        timeline.advance(1).unwrap();
        until("both are given back", || {
            running.released.cookies().len() == 6
        });
        running.session.finish(LONG).unwrap();
        assert!(
            running.pictures.of(5) == Some(expected(SIZE, 9)),
            "{kind:?}"
        );
        assert_eq!(running.released.cookies(), [0, 1, 2, 3, 4, 5], "{kind:?}");
    }
}

#[test]
fn a_session_dropped_while_it_waits_for_a_fence_gives_everything_back() {
    for kind in KINDS {
        let Some((scanout, timeline)) = scene() else {
            return;
        };
        let mut config = SessionConfig::live();
        config.hold_limit = LONG;
        let running = Running::new(SIZE, config, Duration::from_secs(3));
        let never = timeline.fence(1).unwrap();
        running.submit(scanout.frame(0, acquire(kind, &scanout, never)));
        running.settle();
        running.submit(scanout.frame(1, Acquire::Implicit));
        let start = Instant::now();
        drop(running.session);
        assert!(start.elapsed() < Duration::from_secs(3), "{kind:?}");
        assert_eq!(running.released.cookies(), [0, 1], "{kind:?}");
        // Its thread may still be at it: it must not tell again when the wait ends.
        timeline.advance(1).unwrap();
        std::thread::sleep(SHORT);
        assert_eq!(running.released.cookies(), [0, 1], "{kind:?}");
    }
}

/// A guest that changes its resolution: each size has a session of its own, and the
/// frames that were under way at the change are answered all the same.
#[test]
fn frames_of_the_old_and_the_new_size_are_answered_across_a_resize() {
    let sizes = [SIZE, Size::new(72, 40), Size::new(33, 17)];
    let mut number = 0;
    let mut old: Option<Scanout> = None;
    for (round, size) in (0..).zip(sizes) {
        let Some(scanout) = Scanout::new(size) else {
            return;
        };
        let running = Running::new(size, SessionConfig::every_frame(), LONG);
        let first = number;
        // Of the size before: refused, counted, given back.
        if let Some(old) = &old {
            running.submit(old.frame(number, Acquire::Implicit));
            number += 1;
        }
        for seed in 0..5 {
            if seed > 0 {
                running.released.wait_for(number - 1);
            }
            scanout.draw(100 * round + seed);
            running.submit(scanout.frame(number, Acquire::Implicit));
            number += 1;
        }
        let refused = u64::from(old.is_some());
        let stats = running.session.finish(LONG).unwrap();
        assert_eq!(stats.frames.failed, refused, "{size}");
        assert_eq!(stats.frames.staged, 5, "{size}");
        assert_eq!(
            running.released.cookies(),
            Vec::from_iter(first..number),
            "{size}"
        );
        for seed in 0..5 {
            let picture = running.pictures.of(first + refused + u64::from(seed));
            assert!(
                picture == Some(expected(size, 100 * round + seed)),
                "{size} {seed}"
            );
        }
        old = Some(scanout);
    }
}

/// A guest that only moves its picture within larger buffers needs no new session.
#[test]
fn scanouts_of_any_size_are_staged_when_their_content_has_the_size() {
    let mut luma = Vec::new();
    let running = Running::new(SIZE, SessionConfig::every_frame(), LONG);
    let places = [(60, 40, 5, 3), (48, 32, 0, 0), (100, 33, 52, 1)];
    for (number, (width, height, x, y)) in (0..).zip(places) {
        let Some(scanout) = Scanout::new(Size::new(width, height)) else {
            return;
        };
        scanout.draw(3);
        let mut frame = scanout.frame(number, Acquire::Implicit);
        let content = Rect::new(x, y, SIZE.width, SIZE.height);
        frame.buffer = scanout.import().with_content(content).unwrap().into();
        running.submit(frame);
        running.released.wait_for(number);
        luma.push(scanout_rig::drawing::byte(
            0,
            y as usize,
            x as usize * 4 + 1,
            3,
        ));
    }
    let stats = running.session.finish(LONG).unwrap();
    assert_eq!((stats.frames.staged, stats.frames.failed), (3, 0));
    let greens: Vec<u8> = (0..3).map(|n| running.pictures.of(n).unwrap()[0]).collect();
    // Brighter green, brighter grey: enough to tell the corners apart.
    assert!(
        greens.iter().zip(&greens[1..]).all(|(a, b)| a != b),
        "{greens:?}"
    );
    assert!(running.pictures.of(1) == Some(expected(SIZE, 3)));
    assert_eq!(running.released.cookies(), [0, 1, 2]);
}

#[test]
fn a_retired_scanout_is_let_go_though_the_session_goes_on() {
    let Some(scanout) = Scanout::new(SIZE) else {
        return;
    };
    let running = Running::new(SIZE, SessionConfig::live(), LONG);
    running.submit(scanout.frame(0, Acquire::Implicit));
    running.released.wait_for(0);
    let key = scanout.source().key().clone();
    let id = key.objects()[0];
    assert!(process::maps_of(id).unwrap() > 0, "kept for the next frame");
    drop(scanout);
    running.session.retire(&key).unwrap();
    until("the map goes", || process::maps_of(id).unwrap() == 0);
    assert_eq!(process::descriptors_of(id).unwrap(), 0);
    if let Ok(alive) = process::dma_bufs_alive() {
        assert!(!alive.contains(&id.inode));
    }
    // What comes after is taken in anew.
    let next = Scanout::new(SIZE).unwrap();
    next.draw(4);
    running.submit(next.frame(1, Acquire::Implicit));
    running.session.finish(LONG).unwrap();
    assert!(running.pictures.of(1) == Some(expected(SIZE, 4)));
}

/// The news that a scanout is gone may overtake its last frame.
#[test]
fn a_frame_that_waits_is_staged_before_its_scanout_is_let_go() {
    let Some((late, timeline)) = scene() else {
        return;
    };
    let last = Scanout::new(SIZE).unwrap();
    last.draw(7);
    let mut config = SessionConfig::live();
    config.hold_limit = LONG;
    let running = Running::new(SIZE, config, LONG);
    let fence = timeline.fence(1).unwrap();
    running.submit(late.frame(0, acquire(Kind::Explicit, &late, fence)));
    running.settle();
    running.submit(last.frame(1, Acquire::Implicit));
    let key = last.source().key().clone();
    running.session.retire(&key).unwrap();
    running.settle();
    drop(last);
    timeline.advance(1).unwrap();
    running.released.wait_for(1);
    until("the map goes", || {
        process::maps_of(key.objects()[0]).unwrap() == 0
    });
    until("it is shown", || running.pictures.of(1).is_some());
    assert!(running.pictures.of(1) == Some(expected(SIZE, 7)));
    running.session.finish(LONG).unwrap();
    assert_eq!(running.released.cookies(), [0, 1]);
}

/// A stager on a device is done with a source before the device is: the fence travels
/// with the release, and in the dma-buf it holds back whoever writes next.
#[test]
fn a_fence_of_the_device_reaches_the_next_writer() {
    /// Says "free once this signals" of every source.
    struct Device(NoopStager, Timeline);

    impl Stager for Device {
        fn room(&self) -> usize {
            self.0.room()
        }

        fn stage(&mut self, frame: Frame) -> Result<Ticket, StageError> {
            self.0.stage(frame)
        }

        fn poll(&mut self) -> Result<Option<StageEvent>, StageError> {
            Ok(self.0.poll()?.map(|event| match event {
                StageEvent::SourceFree(ticket, None) => {
                    let fence = self.1.fence(ticket.0 as u32 + 1).unwrap();
                    StageEvent::SourceFree(ticket, Some(fence))
                }
                other => other,
            }))
        }

        fn encoder(&self, config: &EncoderConfig) -> Result<Box<dyn Encoder>, OpenError> {
            self.0.encoder(config)
        }

        fn wake(&self) -> BorrowedFd<'_> {
            self.0.wake()
        }
    }

    let Some((scanout, timeline)) = scene() else {
        return;
    };
    let signals = timeline.as_fd().try_clone_to_owned().unwrap();
    let config = StageConfig::new(SIZE);
    let noop = NoopStager::new(Arc::new(NoopControl::default()), &config).unwrap();
    let device = Box::new(Device(noop, timeline));
    let session = Session::start(device, SessionConfig::live()).unwrap();
    let released: Arc<session_support::Released> = Arc::default();
    let frame = scanout.frame(0, Acquire::Implicit);
    session.submit(frame, released.guard(0)).unwrap();
    released.wait_for(0);
    let fence = released.fence(0).unwrap();
    assert_eq!(fence.status().unwrap(), FenceStatus::Active);

    let buffer = scanout.import();
    assert!(import_read_fence(&buffer, &fence).unwrap());
    let writer = fences::for_writer(&scanout.memory).unwrap();
    assert_eq!(writer.status().unwrap(), FenceStatus::Active);
    Timeline::from(signals).advance(1).unwrap();
    assert_eq!(writer.status().unwrap(), FenceStatus::Signalled);
    session.finish(LONG).unwrap();
    assert_eq!(released.cookies(), [0]);
}

/// Everything at once, in an order that is always the same.
#[test]
fn whatever_becomes_of_a_frame_its_source_is_given_back_exactly_once() {
    let Some((scanout, timeline)) = scene() else {
        return;
    };
    let other_size = Scanout::new(Size::new(20, 20)).unwrap();
    let limit = Duration::from_millis(15);
    let running = Running::new(SIZE, SessionConfig::live(), limit);
    let mut point = 0;
    let mut lost = Vec::new();
    let mut random = 1u32;
    const FRAMES: u64 = 150;
    for number in 0..FRAMES {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let kind = KINDS[(random >> 20) as usize % 2];
        match (random >> 24) % 6 {
            0 => running.submit(scanout.frame(number, Acquire::Ready)),
            1 => running.submit(other_size.frame(number, Acquire::Implicit)),
            2 => {
                let failing = machine::timeline().unwrap();
                let fence = failing.fence(1).unwrap();
                running.submit(scanout.frame(number, acquire(kind, &scanout, fence)));
                failing.fail();
            }
            3 => {
                // Never within the limit; kept so that it does not fail instead.
                let never = machine::timeline().unwrap();
                let fence = never.fence(1).unwrap();
                running.submit(scanout.frame(number, Acquire::SyncFile(fence)));
                lost.push(never);
            }
            4 => {
                let retired = scanout.source().key().clone();
                running.session.retire(&retired).unwrap();
                running.submit(scanout.frame(number, Acquire::Implicit));
            }
            _ => {
                point += 1;
                let fence = timeline.fence(point).unwrap();
                running.submit(scanout.frame(number, acquire(kind, &scanout, fence)));
                timeline.advance(1).unwrap();
            }
        }
        // Some frames find the session idle and some busy.
        std::thread::sleep(Duration::from_millis((random >> 28).into()));
    }
    let stats = running.session.finish(LONG).unwrap();
    println!("{:?}", stats.frames);
    assert_eq!(running.released.cookies(), Vec::from_iter(0..FRAMES));
    let frames = stats.frames;
    assert_eq!(frames.submitted, FRAMES);
    assert_eq!(frames.replaced + frames.staged + frames.failed, FRAMES);
    assert!(frames.staged > 0 && frames.failed > 0);
}
