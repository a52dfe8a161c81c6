//! A session whose scanouts are replaced, resized and retired, and whose device reads
//! them longer than it says.

mod session_support;

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use scanout_core::buffer::import_read_fence;
use scanout_core::encoder::{
    Encoder, EncoderConfig, Frame, OpenError, StageConfig, StageError, StageEvent, Stager, Ticket,
};
use scanout_core::geometry::{Rect, Size};
use scanout_core::noop::{NoopControl, NoopStager};
use scanout_core::session::{Session, SessionConfig};
use scanout_core::sync::{Acquire, FenceStatus};
use scanout_rig::fences::{self, Kind};
use scanout_rig::process;
use scanout_rig::sw_sync::Timeline;
use session_support::{LONG, Running, SIZE, Scanout, acquire, expected, scene, until};

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
    // The staging thread closes it next, and the kernel lets go of it after that.
    until("the descriptor goes", || {
        process::descriptors_of(id).unwrap() == 0
    });
    until("the dma-buf goes", || {
        process::dma_bufs_alive().map_or(true, |alive| !alive.contains(&id.inode))
    });
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
