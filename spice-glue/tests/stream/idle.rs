//! Sources that nobody watches, and viewers of sources that nothing happens on.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use scanout_core::geometry::{Damage, Size};
use scanout_spice::gl::{Outgoing, VideoCodec};
use scanout_spice::stream::GlStream;

use crate::support::*;

const SIZE: Size = Size::new(320, 200);

/// What this process has used of a processor so far.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    let nanos = stat.split(' ').next().unwrap().parse().unwrap();
    // The file counts the first thread only; the others have files of their own.
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let all: u64 = tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
        .filter_map(|stat| stat.split(' ').next()?.parse::<u64>().ok())
        .sum();
    Duration::from_nanos(all.max(nanos))
}

#[test]
fn unwatched_draws_are_answered_at_once_and_nothing_is_opened() {
    let _alone = alone();
    let (config, control) = noop();
    let stream = GlStream::start(config).unwrap();
    let owner = Arc::new(Owner::default());
    stream.scanout(image(SIZE));
    for _ in 0..100 {
        owner.draw(&stream, Damage::full(SIZE));
        owner.wait();
    }
    let stats = stream.stop(PATIENCE).unwrap();
    assert_eq!((stats.draws, stats.unstaged, stats.staged), (100, 100, 0));
    assert_eq!((stats.stagings, stats.overdue), (0, 0));
    assert_eq!(control.opened.load(Ordering::SeqCst), 0);
}

#[test]
fn a_viewer_of_an_idle_source_gets_its_picture_and_takes_the_encoder_with_it() {
    let _alone = alone();
    let (config, control) = noop();
    let stream = GlStream::start(config).unwrap();
    stream.scanout(image(SIZE));
    for _ in 0..3 {
        let (channel, handle) = Channel::join(&stream, &[VideoCodec::Vp8]);
        channel.wait_for_pictures(1);
        let kinds: Vec<_> = channel
            .messages()
            .iter()
            .map(|message| match message {
                Outgoing::SurfaceCreate { size, .. } => {
                    assert_eq!(*size, SIZE);
                    "surface"
                }
                Outgoing::Mark => "mark",
                Outgoing::StreamCreate { .. } => "stream",
                Outgoing::ActivateReport { .. } => "report",
                Outgoing::StreamData { .. } => "data",
                _ => "other",
            })
            .collect();
        assert_eq!(kinds, ["surface", "mark", "stream", "report", "data"]);
        drop(handle);
        wait_until("the encoder is closed", || {
            control.alive.load(Ordering::SeqCst) == 0
        });
        wait_until("the outlet is dropped", || channel.is_dropped());
        wait_until("the session's threads end", || threads().len() <= 1);
    }
    let stats = stream.stop(PATIENCE).unwrap();
    assert_eq!((stats.draws, stats.stagings), (0, 3));
    assert!(threads().is_empty(), "{:?}", threads());
}

#[test]
fn an_expected_client_finds_an_encoder_open() {
    let _alone = alone();
    let (config, control) = noop();
    let stream = GlStream::start(config).unwrap();
    stream.scanout(image(SIZE));
    let expected = stream.viewers().expect();
    wait_until("an encoder is open", || {
        control.alive.load(Ordering::SeqCst) == 1
    });
    let (channel, handle) = Channel::join(&stream, &[VideoCodec::Vp8]);
    drop(expected);
    channel.wait_for_pictures(1);
    assert_eq!(control.opened.load(Ordering::SeqCst), 1);
    drop(handle);
    wait_until("the encoder is closed", || {
        control.alive.load(Ordering::SeqCst) == 0
    });
}

#[test]
fn an_idle_stream_costs_no_processor() {
    let _alone = alone();
    let seconds = std::env::var("SCANOUT_IDLE_SECONDS");
    let time = Duration::from_secs(seconds.map_or(1, |s| s.parse().unwrap()));
    let (config, _control) = noop();
    let stream = GlStream::start(config).unwrap();
    stream.scanout(image(SIZE));
    std::thread::sleep(Duration::from_millis(100));
    let measure = || {
        let (begun, before) = (Instant::now(), cpu_time());
        std::thread::sleep(time);
        cpu_time().saturating_sub(before).as_secs_f64() / begun.elapsed().as_secs_f64()
    };
    let unwatched = measure();
    let (channel, _handle) = Channel::join(&stream, &[VideoCodec::Vp8]);
    channel.wait_for_pictures(1);
    std::thread::sleep(Duration::from_millis(100));
    let watched = measure();
    println!(
        "of a core: {:.4} % unwatched, {:.4} % watched",
        unwatched * 1e2,
        watched * 1e2
    );
    assert!(unwatched < 0.001, "{unwatched}");
    assert!(watched < 0.01, "{watched}");
}

#[test]
fn viewers_are_let_go_when_the_stream_stops() {
    let _alone = alone();
    let (config, control) = noop();
    let stream = GlStream::start(config).unwrap();
    stream.scanout(image(SIZE));
    let (channel, handle) = Channel::join(&stream, &[VideoCodec::Vp8]);
    channel.wait_for_pictures(1);
    let viewers = stream.viewers();
    stream.stop(PATIENCE).unwrap();
    assert!(channel.is_dropped());
    assert_eq!(control.alive.load(Ordering::SeqCst), 0);
    let refused = viewers.join(Default::default(), Box::new(Nowhere));
    assert!(refused.is_err());
    // Words to a stream that is gone are no error.
    handle.prefer(vec![VideoCodec::H264]);
    drop(handle);
}

struct Nowhere;
impl scanout_spice::stream::Outlet for Nowhere {
    fn send(&self, _: scanout_spice::gl::Batch) -> scanout_spice::gl::Backlog {
        Default::default()
    }
    fn close(&self, _: scanout_spice::gl::CloseReason) {}
}

#[test]
fn who_begins_with_a_picture_that_was_kept_counts_among_its_encoders_viewers() {
    let _alone = alone();
    let (config, _control) = noop();
    let stream = GlStream::start(config).unwrap();
    stream.scanout(image(SIZE));
    let mut there = Vec::new();
    for _ in 0..3 {
        let (channel, handle) = Channel::join(&stream, &[VideoCodec::Vp8]);
        channel.wait_for_pictures(1);
        there.push((channel, handle));
    }
    wait_until("all are counted", || {
        stream
            .stats()
            .groups
            .iter()
            .map(|g| g.viewers)
            .sum::<usize>()
            == 3
    });
    drop(there);
    stream.stop(PATIENCE).unwrap();
}
