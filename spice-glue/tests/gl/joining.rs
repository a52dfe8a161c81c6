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
