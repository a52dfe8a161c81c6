//! Stagers and encoders that stall, fail, hang and panic.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use scanout_core::geometry::{Damage, Size};
use scanout_core::sync::{Acquire, Release, ReleaseSink, SyncFile};
use scanout_spice::gl::{CloseReason, VideoCodec};
use scanout_spice::stream::GlStream;

use crate::support::*;

const SIZE: Size = Size::new(320, 200);

#[test]
fn a_stalled_encoder_holds_no_draw_and_the_last_picture_comes_when_it_goes_on() {
    let _alone = alone();
    let (config, control) = noop();
    let stream = GlStream::start(config).unwrap();
    stream.scanout(image(SIZE));
    let (channel, _handle) = Channel::join(&stream, &[VideoCodec::Vp8]);
    channel.wait_for_pictures(1);
    control.encode_stalls.store(true, Ordering::SeqCst);
    let owner = Arc::new(Owner::default());
    for i in 0..30 {
        owner.draw(&stream, part(i, 0));
        owner.wait();
    }
    let stats = stream.stats();
    assert_eq!(stats.overdue, 0, "{stats:?}");
    assert_eq!(stats.work.count, stats.staged);
    let before = channel.pictures().len();
    control.unstall();
    // The one inside of the encoder and the newest: none of those between.
    channel.wait_for_pictures(before + 2);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(channel.pictures().len(), before + 2);
    // A noop packet is the number of its frame.
    let newest = channel.pictures().pop().unwrap();
    let number = u64::from_le_bytes(newest.body[..8].try_into().unwrap());
    assert_eq!(number, stream.stats().stagings);
    stream.stop(PATIENCE).unwrap();
}

#[test]
fn a_stager_that_panics_answers_its_draw_and_viewers_see_the_next_picture() {
    let _alone = alone();
    let (config, control) = noop();
    let stream = GlStream::start(config).unwrap();
    stream.scanout(image(SIZE));
    let (channel, _handle) = Channel::join(&stream, &[VideoCodec::Vp8]);
    channel.wait_for_pictures(1);
    control.stage_panics.store(true, Ordering::SeqCst);
    let owner = Arc::new(Owner::default());
    owner.draw(&stream, Damage::full(SIZE));
    owner.wait();
    // Of the scanout that is kept: nobody draws.
    channel.wait_for_pictures(2);
    owner.draw(&stream, Damage::full(SIZE));
    owner.wait();
    let stats = stream.stop(PATIENCE).unwrap();
    assert_eq!(stats.failures, 1, "{:?}", stats.last_failure);
    assert_eq!(channel.closed(), None);
}

#[test]
fn a_lost_device_is_opened_again_without_a_draw() {
    let _alone = alone();
    let (config, control) = noop();
    let stream = GlStream::start(config).unwrap();
    stream.scanout(image(SIZE));
    let (channel, _handle) = Channel::join(&stream, &[VideoCodec::Vp8]);
    channel.wait_for_pictures(1);
    control.device_lost.store(true, Ordering::SeqCst);
    let owner = Arc::new(Owner::default());
    owner.draw(&stream, Damage::full(SIZE));
    owner.wait();
    channel.wait_for_pictures(2);
    assert_eq!(control.opened.load(Ordering::SeqCst), 2);
    stream.stop(PATIENCE).unwrap();
}

#[test]
fn an_encoder_that_fails_is_opened_again() {
    let _alone = alone();
    let (config, control) = noop();
    let stream = GlStream::start(config).unwrap();
    stream.scanout(image(SIZE));
    let (channel, _handle) = Channel::join(&stream, &[VideoCodec::Vp8]);
    channel.wait_for_pictures(1);
    control.encode_fails.store(true, Ordering::SeqCst);
    let owner = Arc::new(Owner::default());
    owner.draw(&stream, Damage::full(SIZE));
    owner.wait();
    channel.wait_for_pictures(2);
    stream.stop(PATIENCE).unwrap();
}

#[test]
fn a_stager_that_hangs_costs_each_draw_the_limit_at_most() {
    let _alone = alone();
    let (mut config, control) = noop();
    config.hold_limit = Duration::from_millis(100);
    let stream = GlStream::start(config).unwrap();
    stream.scanout(image(SIZE));
    let (channel, _handle) = Channel::join(&stream, &[VideoCodec::Vp8]);
    channel.wait_for_pictures(1);
    control.stage_hangs.store(true, Ordering::SeqCst);
    let owner = Arc::new(Owner::default());
    for _ in 0..12 {
        owner.draw(&stream, Damage::full(SIZE));
        owner.wait();
    }
    let stats = stream.stats();
    assert!(stats.overdue > 0 && stats.failures > 0, "{stats:?}");
    control.stage_hangs.store(false, Ordering::SeqCst);
    let before = channel.pictures().len();
    channel.wait_for_pictures(before + 1);
    let begun = Instant::now();
    drop(stream);
    assert!(begun.elapsed() < PATIENCE);
}

#[test]
fn a_viewer_without_a_codec_that_is_coded_is_sent_away() {
    let _alone = alone();
    let (config, _control) = noop();
    let stream = GlStream::start(config).unwrap();
    stream.scanout(image(SIZE));
    let (channel, _handle) = Channel::join(&stream, &[VideoCodec::H265]);
    wait_until("it is told", || channel.closed().is_some());
    assert_eq!(channel.closed(), Some(CloseReason::NoCodec));
    assert!(channel.is_dropped());
}

/// Panics whenever a draw is answered.
struct Clumsy;

impl ReleaseSink for Clumsy {
    fn released(&self, _cookie: u64, _fence: Option<SyncFile>) {
        panic!("asked to panic");
    }
}

#[test]
fn an_owner_that_panics_when_nobody_watches_does_not_end_the_stream() {
    let _alone = alone();
    let (config, _control) = noop();
    let stream = GlStream::start(config).unwrap();
    stream.scanout(image(SIZE));
    let release = Release::new(Arc::new(Clumsy), 0);
    stream.draw(Damage::full(SIZE), Acquire::Implicit, release);
    let owner = Arc::new(Owner::default());
    wait_until("the draw is answered", || stream.stats().unstaged == 1);
    owner.draw(&stream, Damage::full(SIZE));
    owner.wait();
    let (channel, _handle) = Channel::join(&stream, &[VideoCodec::Vp8]);
    channel.wait_for_pictures(1);
    stream.stop(PATIENCE).unwrap();
}
