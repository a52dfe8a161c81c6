//! Fences that hold a source, in the dma-buf and beside it, signalled late, never
//! and with an error.

use scanout_core::format::Fourcc;
use scanout_core::sync::SyncError;
use scanout_rig::sw_sync::Timeline;
use scanout_rig::{fences, machine};

use super::dma_bufs::{RGB, SIZE, assert_near, each_provider, of, stager_of};
use super::*;
use crate::support::drawn::{self, Drawn};

/// Shorter than a test may take, longer than a conversion does.
const LATE: Duration = Duration::from_millis(150);

/// Where a producer's fence stands.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// In the dma-buf, as a writer's.
    Implicit,
    /// In the frame.
    Explicit,
}

const WAYS: [Way; 2] = [Way::Implicit, Way::Explicit];

/// A frame of `drawn` that waits for `fence`.
fn held(drawn: &Drawn, fence: SyncFile, way: Way, number: u64) -> Frame {
    let mut frame = of(drawn, number);
    match way {
        Way::Implicit => fences::attach_writer(&drawn.canvases[0], &fence).unwrap(),
        Way::Explicit => frame.acquire = Acquire::SyncFile(fence),
    }
    frame
}

/// The next event, within the limit of every test.
fn next_event(stager: &mut GpuStager) -> StageEvent {
    let deadline = Instant::now() + support::LIMIT;
    loop {
        assert!(Instant::now() < deadline);
        if let Some(event) = stager.poll().unwrap() {
            return event;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_source_is_read_once_its_fence_has_signalled_and_not_before() {
    each_provider(|provider| {
        for way in WAYS {
            let Some(timeline) = machine::timeline() else {
                return;
            };
            let layout = drawn::layout(Fourcc::XRGB8888, SIZE, RGB);
            let drawn = Drawn::new(provider, &layout, 3);
            let mut config = StageConfig::new(SIZE);
            config.acquire_limit = support::LIMIT;
            let mut stager = stager_of(&config);
            let frame = held(&drawn, timeline.fence(1).unwrap(), way, 0);
            stager.stage(frame).unwrap();
            let until = Instant::now() + LATE;
            while Instant::now() < until {
                let event = stager.poll().unwrap();
                assert!(event.is_none(), "{provider} {way:?}: {event:?}");
                std::thread::sleep(Duration::from_millis(5));
            }
            let signalled = Instant::now();
            timeline.advance(1).unwrap();
            let event = next_event(&mut stager);
            assert!(matches!(event, StageEvent::SourceFree(..)), "{event:?}");
            let StageEvent::Ready(_, picture) = next_event(&mut stager) else {
                panic!("{provider} {way:?}");
            };
            assert!(picture.info().times.acquired >= signalled);
            assert_near(&picture, &drawn, &format!("{provider} {way:?}"));
        }
    });
}

#[test]
fn a_fence_that_never_signals_or_fails_costs_its_frame_and_no_other() {
    each_provider(|provider| {
        for way in WAYS {
            let (Some(stuck), Some(broken)) = (machine::timeline(), machine::timeline()) else {
                return;
            };
            let layout = drawn::layout(Fourcc::XRGB8888, SIZE, RGB);
            let [never, failed, good] = [1, 2, 3].map(|seed| Drawn::new(provider, &layout, seed));
            let mut config = StageConfig::new(SIZE);
            config.acquire_limit = LATE;
            let mut stager = stager_of(&config);
            let mut refused = |frame: Frame, meanwhile: &mut dyn FnMut()| {
                let ticket = stager.stage(frame).unwrap();
                meanwhile();
                match next_event(&mut stager) {
                    StageEvent::Failed(seen, StageError::Acquire(error)) if seen == ticket => error,
                    event => panic!("{provider} {way:?}: {event:?}"),
                }
            };
            let error = refused(held(&never, stuck.fence(1).unwrap(), way, 0), &mut || {});
            let limit = matches!(error, SyncError::TimedOut { limit } if limit == LATE);
            assert!(limit, "{provider} {way:?}: {error}");
            let fence = broken.fence(1).unwrap();
            let frame = held(&failed, fence, way, 1);
            let mut broken = Some(broken);
            let error = refused(frame, &mut || {
                // Once it is waited for: the kernel takes no fence that has
                // signalled out of a dma-buf, whatever its error.
                std::thread::sleep(LATE / 3);
                broken.take().into_iter().for_each(Timeline::fail);
            });
            assert!(
                matches!(error, SyncError::Failed(_)),
                "{provider} {way:?}: {error}"
            );
            let picture = support::stage(&mut stager, of(&good, 2));
            assert_near(&picture, &good, &format!("{provider} {way:?}"));
            // Whoever draws next waits for it.
            stuck.advance(1).unwrap();
        }
    });
}
