//! Streams of real dma-bufs, with fences that are real too.

#[allow(dead_code)]
#[path = "stream/desk.rs"]
mod desk;
#[allow(dead_code)]
#[path = "stream/support.rs"]
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use scanout_core::buffer::Orientation;
use scanout_core::encoder::Codec;
use scanout_core::geometry::{Damage, Size};
use scanout_core::sync::{Acquire, Release, ReleaseSink, SyncFile};
use scanout_rig::machine;
use scanout_spice::gl::VideoCodec;
use scanout_spice::stream::GlStream;

use desk::*;
use support::*;

const SIZE: Size = Size::new(192, 128);

#[test]
fn viewers_see_the_last_picture_of_every_kind_of_dma_buf_and_no_descriptor_stays() {
    let _alone = alone();
    for provider in machine::providers() {
        let run = || {
            let mut config = config_with("vp8enc", Codec::Vp8);
            // A machine that is all but still: nothing here is about time.
            config.hold_limit = PATIENCE;
            let stream = GlStream::start(config).unwrap();
            let mut desk = Desk::new(&provider, SIZE, Orientation::BottomUp);
            stream.scanout(desk.buffer().into());
            let (channel, handle) = Channel::join(&stream, &[VideoCodec::Vp8]);
            channel.wait_for_pictures(1);
            let owner = Arc::new(Owner::default());
            for step in 1..10 {
                let damage = desk.step(step * 11, step * 7);
                owner.draw(&stream, damage);
                owner.wait();
            }
            let mut distance = f64::MAX;
            wait_until("the last picture", || {
                std::thread::sleep(Duration::from_millis(100));
                let (decoded, width) = last_picture(&channel, Codec::Vp8, SIZE);
                distance = desk.distance(&decoded, width, Codec::Vp8);
                distance < 2.5
            });
            drop(handle);
            let stats = stream.stop(PATIENCE).unwrap();
            assert_eq!(stats.overdue, 0, "{stats:?}");
            println!(
                "{provider}: {distance:.2}, work p50 {:.2} ms",
                stats.work.p50_ms
            );
        };
        run();
        // Pipelines end on a thread of their own.
        let before = descriptors();
        run();
        wait_until("all descriptors are closed", || descriptors() <= before);
    }
}

/// Says when each draw was answered.
struct Times(std::sync::Mutex<Vec<Option<Instant>>>);

impl ReleaseSink for Times {
    fn released(&self, cookie: u64, _: Option<SyncFile>) {
        self.0.lock().unwrap()[cookie as usize] = Some(Instant::now());
    }
}

#[test]
fn a_draw_waits_for_its_fence_and_one_that_never_signals_is_answered_all_the_same() {
    let _alone = alone();
    let Some(provider) = machine::any_provider() else {
        return;
    };
    let Some(timeline) = machine::timeline() else {
        return;
    };
    let stream = stream_of("vp8enc", Codec::Vp8);
    let mut desk = Desk::new(&provider, SIZE, Orientation::TopDown);
    stream.scanout(desk.buffer().into());
    let (channel, _handle) = Channel::join(&stream, &[VideoCodec::Vp8]);
    channel.wait_for_pictures(1);

    let times = Arc::new(Times(std::sync::Mutex::new(vec![None; 3])));
    let answered = |draw: usize| times.0.lock().unwrap()[draw];
    let draw = |cookie, damage: Damage, fence| {
        let owner = Arc::clone(&times) as Arc<dyn ReleaseSink>;
        stream.draw(
            damage,
            Acquire::SyncFile(fence),
            Release::new(owner, cookie),
        );
    };
    let begun = Instant::now();
    let damage = desk.step(40, 40);
    draw(0, damage, timeline.fence(1).unwrap());
    std::thread::sleep(Duration::from_millis(30));
    assert_eq!(answered(0), None);
    let signalled = Instant::now();
    timeline.advance(1).unwrap();
    wait_until("the draw is answered", || answered(0).is_some());
    // On a machine that was stopped for so long, the limit of the wait has struck.
    if begun.elapsed() < Duration::from_millis(150) {
        assert!(answered(0).unwrap() >= signalled);
    }

    // Never: within the limit it is answered, and forgotten with the next draw.
    draw(1, Damage::full(SIZE), timeline.fence(99).unwrap());
    wait_until("the draw is answered", || answered(1).is_some());
    let damage = desk.step(80, 60);
    draw(2, damage, timeline.fence(1).unwrap());
    wait_until("the draw is answered", || answered(2).is_some());
    wait_until("the last picture is seen", || {
        std::thread::sleep(Duration::from_millis(100));
        let (decoded, width) = last_picture(&channel, Codec::Vp8, SIZE);
        desk.distance(&decoded, width, Codec::Vp8) < 2.5
    });
    stream.stop(PATIENCE).unwrap();
}
