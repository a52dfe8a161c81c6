//! Who sees what when they come and go.

use scanout_spice::gl::VideoCodec::*;
use scanout_spice::gl::*;

use crate::world::*;

const BEGINNING: [&str; 5] = [
    "surface-create",
    "mark",
    "stream-create",
    "activate-report",
    "stream-data",
];

/// Upstream: a client that connects to an idle guest sees black until the next draw
/// (defects 8 and m).
#[test]
fn a_client_that_joins_an_idle_source_gets_the_first_picture_at_once_in_one_batch() {
    let mut world = World::new(vec![offer(H264)]);
    world.scanout(HD);
    world.pass(ms(5000));
    let viewer = world.join(&[H264]);
    world.work();
    let client = &world.clients[&viewer];
    assert_eq!(client.shown, Some(world.content));
    assert_eq!(client.batches.len(), 1);
    assert_eq!(client.last_batch(), BEGINNING);
}

#[test]
fn a_client_without_reports_gets_no_activation() {
    let mut world = World::new(vec![offer(H264)]);
    world.scanout(HD);
    let viewer = world.join_as(ViewerCaps {
        codecs: vec![H264],
        reports: false,
    });
    world.work();
    assert_eq!(
        world.clients[&viewer].last_batch(),
        ["surface-create", "mark", "stream-create", "stream-data"]
    );
}

#[test]
fn who_joins_others_gets_a_keyframe_and_the_others_go_on_in_their_stream() {
    let mut world = World::new(vec![offer(H264)]);
    world.scanout(HD);
    let first = world.join(&[H264]);
    for _ in 0..10 {
        world.draw();
        world.work();
        world.pass(ms(17));
    }
    let second = world.join(&[H264]);
    world.work();
    assert_eq!(world.clients[&second].last_batch(), BEGINNING);
    assert_eq!(world.clients[&first].last_batch(), ["stream-data"]);
    assert_eq!(world.coders.len(), 1, "one encode for both");
    world.draw();
    world.pass(ms(17));
    world.work();
    for client in world.clients.values() {
        assert_eq!(client.shown, Some(world.content));
    }
}

#[test]
fn one_keyframe_serves_all_who_join_at_once() {
    let mut world = World::new(vec![offer(H264)]);
    world.scanout(HD);
    world.join(&[H264]);
    world.work();
    world.draw();
    world.pass(ms(200));
    world.work();
    let before = world.coders.values().next().unwrap().keyframes;
    let late: Vec<_> = (0..10).map(|_| world.join(&[H264])).collect();
    world.work();
    assert_eq!(world.coders.values().next().unwrap().keyframes, before + 1);
    for viewer in late {
        assert_eq!(world.clients[&viewer].shown, Some(world.content));
    }
}

#[test]
fn when_the_last_viewer_leaves_everything_is_closed_at_once() {
    let mut world = World::new(vec![offer(H264)]);
    world.scanout(HD);
    let viewer = world.join(&[H264]);
    world.work();
    assert_eq!((world.stages.len(), world.coders.len()), (1, 1));
    world.leave(viewer); // The world checks that nothing is open.
    assert_eq!(world.machine.deadline(), None, "it ticks for nobody");
}

/// Upstream: pipeline set-up comes after the first draw after the join (defect 8).
#[test]
fn an_expected_client_finds_its_first_keyframe_coded() {
    let mut world = World::new([H264, Vp8].map(offer).to_vec());
    world.scanout(HD);
    world.expect(1);
    world.work();
    assert_eq!((world.stages.len(), world.coders.len()), (1, 1));
    world.pass(ms(300));
    let viewer = world.join(&[H264]);
    // Nothing was coded since: it is sent by the very event.
    let client = &world.clients[&viewer];
    assert_eq!(client.last_batch(), BEGINNING);
    assert_eq!(client.shown, Some(world.content));
    world.expect(0);
    world.draw();
    world.work();
    assert_eq!(world.clients[&viewer].shown, Some(world.content));
}

#[test]
fn for_an_expected_client_pictures_are_staged_and_not_coded_until_it_is_there() {
    let mut world = World::new(vec![offer(H264)]);
    world.scanout(HD);
    world.expect(1);
    world.work();
    for _ in 0..100 {
        world.draw();
        world.pass(ms(17));
        world.work();
    }
    assert_eq!(world.coders.values().next().unwrap().packets, 1);
    let viewer = world.join(&[H264]);
    assert_eq!(world.clients[&viewer].frames, 1, "the keyframe at once");
    world.work();
    assert_eq!(
        world.clients[&viewer].shown,
        Some(world.content),
        "and what has come since"
    );
}

#[test]
fn a_client_that_is_expected_and_never_comes_costs_something_for_ten_seconds() {
    let mut world = World::new(vec![offer(H264)]);
    world.scanout(HD);
    world.expect(1);
    world.work();
    world.pass(ms(9_999));
    assert_eq!(world.stages.len(), 1);
    world.pass(ms(1));
    assert_eq!((world.stages.len(), world.machine.deadline()), (0, None));
    // One more is news; one less is not.
    world.expect(2);
    world.work();
    assert_eq!(world.stages.len(), 1);
    world.pass(ms(6_000));
    world.expect(1);
    world.pass(ms(6_000));
    assert!(world.stages.is_empty());
    world.expect(0);
    world.expect(1);
    assert_eq!(world.stages.len(), 1);
    world.expect(0); // The world checks that all is closed.
}

#[test]
fn what_was_made_ready_for_a_client_that_shows_something_else_is_closed() {
    let mut world = World::new([H264, Vp8].map(offer).to_vec());
    world.scanout(HD);
    world.expect(1);
    world.work();
    let viewer = world.join(&[Vp8]);
    world.expect(0);
    world.work();
    assert_eq!(world.coders.len(), 1);
    assert_eq!(world.clients[&viewer].shown, Some(world.content));
}

#[test]
fn who_comes_and_goes_all_the_time_does_not_turn_the_others_stream_into_keyframes() {
    let mut world = World::new(vec![offer(H264)]);
    world.scanout(HD);
    world.join(&[H264]);
    world.work();
    let coder = *world.coders.keys().next().unwrap();
    for _ in 0..600 {
        let restless = world.join(&[H264]);
        world.draw();
        world.pass(ms(17));
        world.work();
        world.leave(restless);
    }
    let coder = &world.coders[&coder];
    assert!(coder.keyframes <= 110, "{} in ten seconds", coder.keyframes);
}

/// A source without a scanout yet has nothing to show; its first one is shown at once.
#[test]
fn who_joins_before_the_first_scanout_sees_it_when_it_comes() {
    let mut world = World::new(vec![offer(H264)]);
    let viewer = world.join(&[H264]);
    world.work();
    assert_eq!(world.machine.deadline(), None);
    assert!(world.stages.is_empty());
    world.scanout(HD);
    world.work();
    assert_eq!(world.clients[&viewer].shown, Some(world.content));
}

#[test]
fn who_leaves_and_joins_again_takes_nobodys_stream_along() {
    let mut world = World::new(vec![offer(H264)]);
    world.scanout(HD);
    let stays = world.join(&[H264]);
    world.work();
    for _ in 0..100 {
        let guest = world.join(&[H264]);
        world.pass(ms(150));
        world.work();
        assert_eq!(world.clients[&guest].shown, Some(world.content));
        world.leave(guest);
    }
    world.draw();
    world.work();
    assert_eq!(world.clients[&stays].shown, Some(world.content));
}
