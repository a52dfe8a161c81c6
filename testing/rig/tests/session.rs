//! A session over real dma-bufs: fences that come late, never or with an error, and each
//! source given back exactly once.

mod session_support;

use std::time::{Duration, Instant};

use scanout_core::geometry::Size;
use scanout_core::session::SessionConfig;
use scanout_core::sync::Acquire;
use scanout_rig::fences::Kind;
use scanout_rig::machine;
use session_support::{LONG, Running, SIZE, Scanout, acquire, expected, scene, until};

const SHORT: Duration = Duration::from_millis(60);

#[test]
fn every_picture_is_what_was_drawn_by_the_time_its_fence_signalled() {
    for kind in Kind::ALL {
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
    for kind in Kind::ALL {
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
    for kind in Kind::ALL {
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
    for kind in Kind::ALL {
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
    for kind in Kind::ALL {
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
    for kind in Kind::ALL {
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
    for kind in Kind::ALL {
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
        let kind = Kind::ALL[(random >> 20) as usize % 2];
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
