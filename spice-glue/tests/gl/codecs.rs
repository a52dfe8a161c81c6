//! Which codec a viewer gets, and what becomes of encoders that fail.

use scanout_spice::gl::VideoCodec::*;
use scanout_spice::gl::*;

use crate::world::*;

fn codec(world: &World, viewer: ViewerId) -> VideoCodec {
    world.clients[&viewer].stream.as_ref().unwrap().1.codec
}

#[test]
fn a_viewer_gets_the_servers_first_that_it_shows_unless_it_says_its_own_order() {
    let mut world = World::new([H264, Vp8, Mjpeg].map(offer).to_vec());
    world.scanout(HD);
    let any = world.join(&[Mjpeg, Vp8, H264]);
    let old = world.join(&[Mjpeg]);
    world.work();
    assert_eq!((codec(&world, any), codec(&world, old)), (H264, Mjpeg));
    assert_eq!(world.stages.len(), 1, "one staging feeds both");
    world.event(Event::Preferred(any, vec![Vp9, Vp8]));
    world.work();
    assert_eq!(codec(&world, any), Vp8);
    assert_eq!(world.clients[&any].shown, Some(world.content));
    assert_eq!(world.clients[&any].surface, Some(HD));
}

/// Upstream: the encoder is destroyed and made again with the same codec (defect l).
#[test]
fn a_codec_that_a_viewer_refuses_is_never_used_for_it_again() {
    let mut world = World::new([H264, Vp8, Mjpeg].map(offer).to_vec());
    world.scanout(HD);
    let picky = world.join(&[H264, Vp8]);
    let other = world.join(&[H264, Vp8]);
    world.work();
    let before = world.clients[&picky].batches.len();
    world.refuse(picky);
    world.work();
    let client = &world.clients[&picky];
    assert_eq!(client.batches.len(), before + 1);
    assert_eq!(
        client.last_batch(),
        [
            "stream-destroy",
            "stream-create",
            "activate-report",
            "stream-data"
        ],
        "on the surface that is there"
    );
    assert_eq!((codec(&world, picky), codec(&world, other)), (Vp8, H264));
    // Neither when it asks for it, nor after a resize; the world checks it too.
    world.event(Event::Preferred(picky, vec![H264]));
    world.scanout(FULL_HD);
    world.pass(ms(100));
    world.work();
    assert_eq!(codec(&world, picky), Vp8);
    world.refuse(picky);
    assert_eq!(world.closed, [(picky, CloseReason::NoCodec)]);
    assert_eq!(codec(&world, other), H264);
}

#[test]
fn a_late_refusal_of_an_old_stream_refuses_nothing() {
    let mut world = World::new([H264, Vp8].map(offer).to_vec());
    world.scanout(HD);
    let viewer = world.join(&[H264, Vp8]);
    world.work();
    let (old, _) = world.clients[&viewer].stream.clone().unwrap();
    world.scanout(FULL_HD);
    world.pass(ms(100));
    world.work();
    let report = Report {
        stream: old,
        unique_id: 0,
        start_mm_time: 0,
        end_mm_time: 0,
        frames: 0,
        drops: u32::MAX,
        last_frame_delay_ms: 0,
    };
    world.report(viewer, report);
    world.work();
    assert_eq!(codec(&world, viewer), H264);
}

#[test]
fn a_viewer_that_shows_nothing_we_code_is_told_so() {
    let mut world = World::new(vec![offer(H264)]);
    world.scanout(HD);
    let viewer = world.join(&[Vp9]);
    assert_eq!(world.closed, [(viewer, CloseReason::NoCodec)]);
}

/// Defects b and r: a failure is no end of the picture, and completes nothing twice.
#[test]
fn when_a_coder_fails_its_viewers_go_on_with_the_next_offer_on_the_same_surface() {
    let mut world = World::new(vec![offer_on(H264, 1), offer_on(H264, 0)]);
    world.scanout(HD);
    let viewer = world.join(&[H264]);
    world.work();
    world.draw();
    let coder = *world.coders.keys().next().unwrap();
    world.fail_coder(coder);
    world.work();
    let client = &world.clients[&viewer];
    assert_eq!(
        client.last_batch(),
        [
            "stream-destroy",
            "stream-create",
            "activate-report",
            "stream-data"
        ]
    );
    assert_eq!(client.shown, Some(world.content));
    let device = world.stages.values().next().unwrap().spec.device;
    assert_eq!((world.stages.len(), device), (1, 0));
}

#[test]
fn when_a_device_fails_its_viewers_go_on_with_another_and_draws_are_answered() {
    let mut world = World::new(vec![offer_on(H264, 1), offer_on(Vp8, 1), offer_on(H264, 0)]);
    world.scanout(HD);
    let viewer = world.join(&[Vp8, H264]);
    world.work();
    world.broken_devices.insert(1);
    let stage = *world.stages.keys().next().unwrap();
    world.draw();
    world.draw();
    world.fail_stage(stage);
    world.work();
    assert!(world.draws.is_empty());
    assert_eq!(world.clients[&viewer].shown, Some(world.content));
    assert_eq!(world.stages.values().next().unwrap().spec.device, 0);
}

#[test]
fn the_only_offer_is_tried_again_after_a_growing_time_and_then_given_up() {
    let mut world = World::new(vec![offer(H264)]);
    world.broken.insert(OfferId(0));
    world.scanout(HD);
    let viewer = world.join(&[H264]);
    world.work();
    world.pass(ms(10_000));
    let opened: Vec<_> = world
        .log
        .iter()
        .filter(|(_, action)| matches!(action, Action::OpenCoder { .. }))
        .map(|(at, _)| (*at - world.start).as_millis())
        .collect();
    assert_eq!(opened, [0, 250, 750]);
    assert_eq!(world.closed, [(viewer, CloseReason::NoCodec)]);
}

#[test]
fn an_offer_that_fails_once_in_a_while_is_used_again() {
    let mut world = World::new(vec![offer(H264)]);
    world.scanout(HD);
    let viewer = world.join(&[H264]);
    world.work();
    for _ in 0..10 {
        let coder = *world.coders.keys().next().unwrap();
        world.fail_coder(coder);
        for _ in 0..15 {
            world.pass(ms(1000));
            world.draw();
            world.work();
        }
        assert_eq!(world.clients[&viewer].shown, Some(world.content));
    }
}

#[test]
fn another_size_forgives_what_failed_for_the_last() {
    let mut world = World::new(vec![offer_on(H264, 1), offer_on(H264, 0)]);
    world.broken_devices.insert(1);
    world.scanout(FULL_HD);
    world.join(&[H264]);
    world.work();
    assert_eq!(world.stages.values().next().unwrap().spec.device, 0);
    world.broken_devices.clear();
    world.scanout(HD);
    world.pass(ms(100));
    world.work();
    assert_eq!(world.stages.values().next().unwrap().spec.device, 1);
}

/// Defect c: upstream waits for its encoder without a limit.
#[test]
fn a_coder_that_never_opens_or_never_delivers_is_left_for_the_next() {
    for opens in [false, true] {
        let mut world = World::new(vec![offer(H264), offer(Vp8)]);
        world.busy = false;
        world.scanout(HD);
        let viewer = world.join(&[H264, Vp8]);
        world.open_next();
        if opens {
            world.open_next();
        }
        world.pass(ms(21_000));
        world.work();
        assert_eq!(codec(&world, viewer), Vp8);
        assert_eq!(world.clients[&viewer].shown, Some(world.content));
    }
}

#[test]
fn a_stage_that_never_opens_is_left_for_another_device() {
    let mut world = World::new(vec![offer_on(H264, 1), offer_on(H264, 0)]);
    world.busy = false;
    world.scanout(HD);
    let viewer = world.join(&[H264]);
    world.pass(ms(21_000));
    assert_eq!(world.stages.values().next().unwrap().spec.device, 0);
    world.work();
    assert_eq!(world.clients[&viewer].shown, Some(world.content));
}

/// Between the choice of another codec and its failure the first coder goes on, here
/// for a client that is expected: what it made meanwhile is missing.
#[test]
fn a_viewer_that_comes_back_to_a_coder_begins_with_a_keyframe() {
    let mut world = World::new(vec![offer(H264), offer(Vp8)]);
    world.broken.insert(OfferId(1));
    world.scanout(HD);
    world.expect(1);
    let viewer = world.join(&[H264, Vp8]);
    world.work();
    world.pass(ms(20));
    world.draw();
    world.work();
    world.busy = false;
    world.event(Event::Preferred(viewer, vec![Vp8]));
    for _ in 0..3 {
        world.pass(ms(20));
        world.draw();
        let shared = world.codable().unwrap();
        world.code(shared);
    }
    world.work();
    assert_eq!(world.clients[&viewer].shown, Some(world.content));
}

/// Defects 6 and 7: 4:4:4 beside 4:2:0, each for those who show its codec.
#[test]
fn pictures_of_two_kinds_are_staged_together_and_a_draw_waits_for_both_at_once() {
    let mut sharp = offer(H264);
    sharp.stage.chroma = scanout_core::encoder::Chroma::C444;
    let mut world = World::new(vec![sharp, offer(Vp8)]);
    world.scanout(HD);
    let viewers = [world.join(&[H264]), world.join(&[Vp8])];
    world.work();
    world.pass(ms(1000));
    world.log.clear();
    world.draw();
    let [(_, Action::Stage { stages, draws, .. })] = &world.log[..] else {
        panic!("{:?}", world.log)
    };
    assert_eq!((stages.len(), draws.len()), (2, 1));
    world.work();
    for viewer in viewers {
        assert_eq!(world.clients[&viewer].shown, Some(world.content));
    }
    world.leave(viewers[0]);
    assert_eq!(world.stages.len(), 1);
}
