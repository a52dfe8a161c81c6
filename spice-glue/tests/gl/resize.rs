//! Another size, another buffer, nothing at all.

use scanout_core::geometry::Size;
use scanout_spice::gl::VideoCodec::*;
use scanout_spice::gl::*;

use crate::world::*;

/// Upstream: destroy, create and then an encoder: blank until it is there (defects s and 3).
#[test]
fn a_resize_keeps_the_old_picture_until_the_new_ones_keyframe_is_there_all_in_one_batch() {
    let mut world = World::new(vec![offer(H264)]);
    world.scanout(HD);
    let viewer = world.join(&[H264]);
    world.work();
    let before = world.clients[&viewer].batches.len();
    world.scanout(FULL_HD);
    while world.open_next() {
        assert_eq!(world.clients[&viewer].batches.len(), before);
        assert_eq!(world.clients[&viewer].surface, Some(HD));
    }
    world.pass(ms(60));
    world.work();
    let client = &world.clients[&viewer];
    assert_eq!(client.batches.len(), before + 1);
    assert_eq!(
        client.last_batch(),
        [
            "stream-destroy",
            "surface-destroy",
            "surface-create",
            "mark",
            "stream-create",
            "activate-report",
            "stream-data"
        ]
    );
    assert_eq!(client.surface, Some(FULL_HD));
    assert_eq!(client.shown, Some(world.content));
}

/// Upstream: size from the stream, buffer from the current scanout (defect f). The world
/// checks that no stage of another size is given a scanout.
#[test]
fn of_many_resizes_in_a_row_only_the_newest_counts_and_few_stages_are_opened() {
    let mut world = World::new(vec![offer(H264)]);
    world.scanout(HD);
    let viewer = world.join(&[H264]);
    world.work();
    world.log.clear();
    for step in 0..100 {
        world.scanout(Size::new(800 + step, 600));
        world.draw();
        world.pass(ms(2));
    }
    let opened = world.log.iter();
    let opened = opened
        .filter(|(_, action)| matches!(action, Action::OpenStage { .. }))
        .count();
    assert!((1..=6).contains(&opened), "{opened} stages in 200 ms");
    world.pass(ms(100));
    world.work();
    assert_eq!(world.stages.len(), 1);
    assert_eq!(world.clients[&viewer].surface, Some(Size::new(899, 600)));
    assert_eq!(world.clients[&viewer].shown, Some(world.content));
}

#[test]
fn another_buffer_of_the_same_size_is_shown_in_the_stream_that_lives_even_without_a_draw() {
    let mut world = World::new(vec![offer(H264)]);
    world.scanout(HD);
    let viewer = world.join(&[H264]);
    world.work();
    for _ in 0..5 {
        world.scanout(HD);
        world.pass(ms(40));
        world.work();
        let client = &world.clients[&viewer];
        assert_eq!(client.last_batch(), ["stream-data"]);
        assert_eq!(client.shown, Some(world.content));
    }
}

#[test]
fn a_flip_with_its_draw_is_staged_once() {
    let mut world = World::new(vec![offer(H264)]);
    world.scanout(HD);
    world.join(&[H264]);
    world.work();
    world.pass(ms(1000));
    world.log.clear();
    for _ in 0..10 {
        world.scanout(HD);
        world.draw();
        world.work();
        world.pass(ms(100));
    }
    let staged = |(_, action): &&(_, Action)| matches!(action, Action::Stage { .. });
    assert_eq!(world.log.iter().filter(staged).count(), 10);
    assert!(world.answered.iter().all(|(_, waited, _)| *waited == ms(0)));
}

#[test]
fn a_mode_switch_through_nothing_keeps_the_picture_and_the_coder() {
    let mut world = World::new(vec![offer(H264)]);
    world.scanout(HD);
    let viewer = world.join(&[H264]);
    world.work();
    let coder = *world.coders.keys().next().unwrap();
    world.disable();
    world.pass(ms(900));
    assert_eq!(world.clients[&viewer].surface, Some(HD));
    world.scanout(HD);
    world.pass(ms(100));
    world.work();
    assert!(world.coders.contains_key(&coder));
    assert_eq!(world.clients[&viewer].last_batch(), ["stream-data"]);
    assert_eq!(world.clients[&viewer].shown, Some(world.content));
}

#[test]
fn a_producer_that_shows_nothing_for_long_closes_everything_until_the_next_scanout() {
    let mut world = World::new(vec![offer(H264)]);
    world.scanout(HD);
    let viewer = world.join(&[H264]);
    world.work();
    world.disable();
    world.pass(ms(1001));
    world.work();
    assert!(world.stages.is_empty() && world.coders.is_empty());
    let client = &world.clients[&viewer];
    assert_eq!(client.last_batch(), ["stream-destroy", "surface-destroy"]);
    assert_eq!(world.machine.deadline(), None);
    world.draw();
    assert!(world.draws.is_empty(), "a draw into nothing waits");
    world.scanout(FULL_HD);
    world.work();
    assert_eq!(world.clients[&viewer].shown, Some(world.content));
}

/// Defect q's kin: sizes that 4:2:0 cannot say travel beside the stream.
#[test]
fn an_odd_size_is_told_as_it_is_coded_and_as_it_is_seen() {
    let mut world = World::new(vec![offer(H264)]);
    world.scanout(Size::new(1366, 767));
    let viewer = world.join(&[H264]);
    world.work();
    let (_, stream) = world.clients[&viewer].stream.as_ref().unwrap();
    assert_eq!(stream.coded, Size::new(1366, 768));
    assert_eq!(stream.visible, Size::new(1366, 767));
    assert_eq!(world.clients[&viewer].surface, Some(stream.visible));
}
