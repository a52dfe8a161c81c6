//! What viewers see at the end is what the source shows.

use std::sync::Arc;
use std::time::Duration;

use scanout_core::buffer::Orientation;
use scanout_core::buffer::alloc::Provider;
use scanout_core::encoder::Codec;
use scanout_core::geometry::{Damage, Size};
use scanout_spice::gl::{Outgoing, VideoCodec};

use crate::desk::*;
use crate::support::*;

fn shows_the_last_picture(encoder: &str, codec: Codec, size: Size, orientation: Orientation) {
    if !scanout_gst_has(encoder) {
        eprintln!("SKIPPED: {encoder} is not installed");
        return;
    }
    let stream = stream_of(encoder, codec);
    let viewer_codec = VideoCodec::of(codec).unwrap();
    let mut desk = Desk::new(&Provider::Memfd, size, orientation);
    stream.scanout(desk.buffer().into());
    let (channel, _handle) = Channel::join(&stream, &[viewer_codec]);
    channel.wait_for_pictures(1);
    let owner = Arc::new(Owner::default());
    for step in 1..30 {
        let damage = desk.step(step * 5 % 200, step * 3 % 100);
        owner.draw(&stream, damage);
        owner.wait();
    }
    // A second viewer of a source that is idle now.
    let (late, _second) = Channel::join(&stream, &[viewer_codec]);
    late.wait_for_pictures(1);
    // The last draw's picture is out when nothing has come for a while.
    let mut seen = 0;
    wait_until("no picture comes", || {
        std::thread::sleep(Duration::from_millis(300));
        std::mem::replace(&mut seen, channel.pictures().len()) == seen
    });
    let stats = stream.stats();
    assert_eq!(stats.groups.len(), 1, "one encode serves both");
    assert_eq!(stats.groups[0].viewers, 2);
    assert_eq!(stats.groups[0].size, size);
    assert_eq!(stats.overdue, 0, "{stats:?}");
    for channel in [&channel, &late] {
        let created = channel
            .messages()
            .into_iter()
            .find_map(|message| match message {
                Outgoing::StreamCreate { visible, coded, .. } => Some((visible, coded)),
                _ => None,
            });
        assert_eq!(created.unwrap().0, size);
        let (decoded, width) = last_picture(channel, codec, size);
        let distance = desk.distance(&decoded, width, codec);
        assert!(distance < 2.5, "{encoder}: mean difference of {distance}");
    }
    println!(
        "{encoder}: work p50 {:.2} p99 {:.2} ms, pacing p50 {:.2} ms, {} pictures of {} draws",
        stats.work.p50_ms,
        stats.work.p99_ms,
        stats.pacing.p50_ms,
        stats.groups[0].pictures,
        stats.draws
    );
    stream.stop(PATIENCE).unwrap();
}

#[test]
fn h264_viewers_see_the_last_picture() {
    let _alone = alone();
    shows_the_last_picture(
        "x264enc",
        Codec::H264,
        Size::new(256, 144),
        Orientation::TopDown,
    );
}

#[test]
fn vp8_viewers_see_the_last_picture_of_a_source_that_is_upside_down() {
    let _alone = alone();
    shows_the_last_picture(
        "vp8enc",
        Codec::Vp8,
        Size::new(257, 145),
        Orientation::BottomUp,
    );
}

#[test]
fn a_resize_keeps_the_viewer_and_shows_the_new_source() {
    let _alone = alone();
    let stream = stream_of("vp8enc", Codec::Vp8);
    let small = Desk::new(&Provider::Memfd, Size::new(256, 144), Orientation::TopDown);
    let large = Desk::new(&Provider::Memfd, Size::new(320, 200), Orientation::TopDown);
    stream.scanout(small.buffer().into());
    let (channel, _handle) = Channel::join(&stream, &[VideoCodec::Vp8]);
    channel.wait_for_pictures(1);
    stream.scanout(large.buffer().into());
    wait_until("a second surface", || {
        let is_surface = |m: &&Outgoing| matches!(m, Outgoing::SurfaceCreate { .. });
        channel.messages().iter().filter(is_surface).count() == 2
    });
    let messages = channel.messages();
    let last_create = messages
        .iter()
        .rposition(|m| matches!(m, Outgoing::SurfaceCreate { .. }))
        .unwrap();
    // The new surface, its stream and its first picture come in one batch.
    let Outgoing::SurfaceCreate { size, .. } = &messages[last_create] else {
        unreachable!()
    };
    assert_eq!(*size, Size::new(320, 200));
    assert!(
        messages[last_create..]
            .iter()
            .any(|m| matches!(m, Outgoing::StreamData { .. }))
    );
    stream.stop(PATIENCE).unwrap();
}

#[test]
fn full_damage_of_a_source_that_has_not_changed_is_answered_and_neither_coded_nor_sent() {
    let _alone = alone();
    let stream = stream_of("vp8enc", Codec::Vp8);
    let size = Size::new(256, 144);
    let mut desk = Desk::new(&Provider::Memfd, size, Orientation::TopDown);
    stream.scanout(desk.buffer().into());
    let (channel, _handle) = Channel::join(&stream, &[VideoCodec::Vp8]);
    channel.wait_for_pictures(1);
    let owner = Arc::new(Owner::default());
    for _ in 0..20 {
        owner.draw(&stream, Damage::full(size));
        owner.wait();
    }
    let stats = stream.stats();
    // The first may be the one whose picture is there.
    assert!(stats.unchanged >= 19, "{stats:?}");
    assert!(channel.pictures().len() <= 2);
    let before = channel.pictures().len();
    desk.step(100, 60);
    owner.draw(&stream, Damage::full(size));
    owner.wait();
    channel.wait_for_pictures(before + 1);
    stream.stop(PATIENCE).unwrap();
}
