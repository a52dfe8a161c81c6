//! Viewers on links that do not keep up.

use scanout_core::encoder::Bitrate;
use scanout_spice::gl::VideoCodec::*;
use scanout_spice::gl::*;

use crate::world::*;

/// A source at 60 pictures a second; the slow ones take so many bytes a second.
fn watch(world: &mut World, seconds: u64, links: &[(ViewerId, usize)]) {
    for tick in 0..seconds * 60 {
        world.draw();
        world.pass(ms(if tick % 3 == 0 { 16 } else { 17 }));
        world.work();
        for (viewer, bytes) in links {
            world.take(*viewer, bytes / 60);
            world.work();
        }
    }
}

fn slow(world: &mut World, viewer: ViewerId) {
    world.clients.get_mut(&viewer).unwrap().healthy = false;
}

fn shared(world: &World) -> &Coder {
    let mut coders = world.coders.values();
    coders
        .find(|coder| coder.bitrate == world.config.bitrate)
        .unwrap()
}

fn two() -> (World, ViewerId, ViewerId) {
    let mut world = World::new(vec![offer(H264)]);
    // About 8 Mbit/s at 60 pictures a second.
    world.sizes = (100_000, 16_000);
    world.scanout(HD);
    let good = world.join(&[H264]);
    let bad = world.join(&[H264]);
    world.work();
    slow(&mut world, bad);
    (world, good, bad)
}

/// Upstream: the slowest of several clients gates all (defect d), and a report of late
/// frames halves the rate (defect k).
#[test]
fn a_slow_viewer_costs_the_others_neither_frames_nor_rate() {
    let (mut world, good, bad) = two();
    world.log.clear();
    let before = world.clients[&good].frames;
    watch(&mut world, 20, &[(bad, 100_000)]);
    let frames = world.clients[&good].frames - before;
    // The last may wait for its slot.
    assert!(frames >= 20 * 60 - 1, "{frames}");
    let shared = *world.coders.keys().next().unwrap();
    for (_, action) in &world.log {
        match action {
            Action::Adjust(coder, _) | Action::Gate { coder, .. } => assert_ne!(*coder, shared),
            Action::Keyframe(coder) => assert_ne!(*coder, shared),
            _ => {}
        }
    }
    assert!(
        world.clients[&bad].frames > 20,
        "the slow one sees something"
    );
    let most = world.answered.iter().map(|(_, waited, _)| *waited).max();
    assert!(most <= Some(ms(17)), "a draw waited {most:?}");
}

#[test]
fn nothing_is_sent_to_a_viewer_over_its_bound_until_its_queue_is_empty() {
    let (mut world, _, bad) = two();
    watch(&mut world, 10, &[]);
    let client = &world.clients[&bad];
    // Half a second of 8 Mbit/s and one more packet.
    assert!(
        client.most_bytes <= 500_000 + 100_200,
        "{}",
        client.most_bytes
    );
    assert!(client.queue.messages <= 30 + 16 + 5, "{:?}", client.queue);
    let frames = client.frames;
    world.take(bad, world.clients[&bad].queue.bytes - 1);
    world.work();
    assert_eq!(world.clients[&bad].frames, frames);
    world.take(bad, 1);
    world.work();
    let client = &world.clients[&bad];
    assert_eq!(client.frames, frames + 1);
    assert_eq!(client.last_batch(), ["stream-data"], "the stream goes on");
    assert_eq!(client.shown, Some(world.content), "with the newest picture");
}

#[test]
fn slow_viewers_share_one_coder_of_their_own() {
    let (mut world, _, bad) = two();
    let more: Vec<_> = (0..5).map(|_| world.join(&[H264])).collect();
    world.work();
    let mut links = vec![(bad, 150_000)];
    for viewer in more {
        slow(&mut world, viewer);
        links.push((viewer, 150_000));
    }
    watch(&mut world, 10, &links);
    assert_eq!(world.coders.len(), 2);
}

#[test]
fn a_slow_tier_has_a_keyframe_a_second_at_most() {
    let (mut world, _, bad) = two();
    // Each keyframe overruns the link anew.
    world.sizes = (600_000, 16_000);
    let more: Vec<_> = (0..4).map(|_| world.join(&[H264])).collect();
    world.work();
    let mut links = vec![(bad, 500_000)];
    for (viewer, speed) in more.into_iter().zip([700_000, 300_000, 900_000, 200_000]) {
        slow(&mut world, viewer);
        links.push((viewer, speed));
    }
    world.log.clear();
    watch(&mut world, 20, &links);
    let full = shared(&world).bitrate;
    assert_eq!(full, world.config.bitrate);
    let keyframes = world.log.iter();
    let keyframes = keyframes.filter(|(_, action)| matches!(action, Action::Keyframe(_)));
    assert!(keyframes.count() <= 21);
}

#[test]
fn the_slow_tiers_rate_falls_to_what_the_link_takes_and_rises_again_with_it() {
    let (mut world, _, bad) = two();
    watch(&mut world, 10, &[(bad, 100_000)]);
    let rates = |world: &World| {
        let adjusted = world.log.iter().filter_map(|(_, action)| match action {
            Action::Adjust(_, rate) => Some(*rate),
            _ => None,
        });
        adjusted.collect::<Vec<_>>()
    };
    watch(&mut world, 25, &[(bad, 20_000)]);
    let fallen = rates(&world);
    assert!(fallen.len() > 2, "{fallen:?}");
    assert_eq!(*fallen.last().unwrap(), world.config.slow_floor);
    // The world's packets do not shrink with the rate; a far better link all the same
    // lets every picture through.
    world.log.clear();
    watch(&mut world, 5, &[(bad, 2_000_000)]);
    let risen = rates(&world);
    assert!(risen.len() > 2 && risen.is_sorted(), "{risen:?}");
}

/// Defect e: what was not sent while nothing could leave is sent when something can.
#[test]
fn the_newest_picture_reaches_a_slow_viewer_when_the_source_falls_silent() {
    for speed in [3_000, 30_000, 300_000] {
        let (mut world, _, bad) = two();
        watch(&mut world, 5, &[(bad, speed)]);
        for _ in 0..60 * 300 {
            world.take(bad, speed / 60);
            world.work();
            world.pass(ms(16));
            world.work();
        }
        assert_eq!(world.clients[&bad].shown, Some(world.content), "{speed}");
    }
}

#[test]
fn encode_only_what_can_leave() {
    let (mut world, _, bad) = two();
    watch(&mut world, 10, &[(bad, 100_000)]);
    let slow_coder = world
        .coders
        .values()
        .find(|c| c.bitrate != world.config.bitrate);
    let coded = slow_coder.unwrap().packets;
    watch(&mut world, 10, &[(bad, 100_000)]);
    let slow_coder = world
        .coders
        .values()
        .find(|c| c.bitrate != world.config.bitrate);
    let coded = slow_coder.unwrap().packets - coded;
    // 16 kB each over 100 kB/s: six a second of sixty.
    assert!((30..=90).contains(&coded), "{coded} in ten seconds");
}

#[test]
fn a_viewer_without_trouble_for_long_goes_back_and_a_relapse_doubles_the_wait() {
    let (mut world, good, bad) = two();
    let mut waits = Vec::new();
    for _ in 0..3 {
        // A hiccup ...
        watch(&mut world, 2, &[]);
        assert_eq!(
            world.coders.len(),
            1,
            "no slow coder before its queue is empty"
        );
        // ... and then nothing is wrong.
        let since = world.now;
        watch(&mut world, 1, &[(bad, 10_000_000)]);
        assert_eq!(world.coders.len(), 2);
        while world.coders.len() == 2 {
            watch(&mut world, 1, &[(bad, 10_000_000)]);
        }
        waits.push((world.now - since).as_secs());
    }
    assert!((29..=33).contains(&waits[0]), "{waits:?}");
    assert!((59..=64).contains(&waits[1]), "{waits:?}");
    assert!((118..=126).contains(&waits[2]), "{waits:?}");
    world.draw();
    world.pass(ms(20));
    world.work();
    for viewer in [good, bad] {
        world.take(viewer, usize::MAX);
        assert_eq!(world.clients[&viewer].shown, Some(world.content));
    }
}

#[test]
fn a_viewer_that_takes_nothing_for_a_minute_is_closed() {
    let (mut world, good, bad) = two();
    watch(&mut world, 59, &[]);
    assert!(world.closed.is_empty());
    watch(&mut world, 3, &[]);
    assert_eq!(world.closed, [(bad, CloseReason::Stalled { seconds: 60 })]);
    assert!(world.clients.contains_key(&good));
    assert_eq!(world.coders.len(), 1);
}

#[test]
fn an_idle_viewer_whose_queue_is_empty_is_never_stalled() {
    let (mut world, good, _) = two();
    world.take(good, usize::MAX);
    world.event(Event::Progress(
        good,
        Backlog {
            bytes: 0,
            messages: 0,
            unacknowledged: 19,
        },
    ));
    world.pass(ms(600_000));
    assert!(world.clients.contains_key(&good));
}

#[test]
fn a_client_that_reads_but_never_acknowledges_is_slow_too() {
    let mut world = World::new(vec![offer(H264)]);
    world.scanout(HD);
    let viewer = world.join(&[H264]);
    world.work();
    slow(&mut world, viewer);
    for unacknowledged in 0..400 {
        world.draw();
        world.pass(ms(17));
        world.work();
        world.clients.get_mut(&viewer).unwrap().queue = Backlog::default();
        let backlog = Backlog {
            unacknowledged,
            ..Backlog::default()
        };
        world.event(Event::Progress(viewer, backlog));
    }
    let frames = world.clients[&viewer].frames;
    assert!(frames < 200, "{frames} sent to one that acknowledges none");
}

#[test]
fn a_rate_below_the_floor_is_the_floor() {
    let mut world = World::with(vec![offer(H264)], |config| {
        config.bitrate = Bitrate::kbps(200);
        config.slow_floor = Bitrate::kbps(200);
    });
    world.scanout(HD);
    let bad = world.join(&[H264]);
    world.work();
    slow(&mut world, bad);
    watch(&mut world, 20, &[(bad, 10_000)]); // The world checks the bounds.
    assert!(world.clients[&bad].frames > 5);
}

/// The client has so many messages that it has not acknowledged.
fn unacknowledged(world: &mut World, viewer: ViewerId, unacknowledged: u32) {
    world.clients.get_mut(&viewer).unwrap().queue = Backlog::default();
    let backlog = Backlog {
        unacknowledged,
        ..Backlog::default()
    };
    world.event(Event::Progress(viewer, backlog));
    world.work();
}

/// A viewer that follows the slow coder, and that coder.
fn one_slow() -> (World, ViewerId, CoderId) {
    let (mut world, _, bad) = two();
    watch(&mut world, 2, &[]);
    unacknowledged(&mut world, bad, 0);
    watch(&mut world, 3, &[(bad, 10_000_000)]);
    let coder = *world.coders.keys().last().unwrap();
    assert_eq!(world.coders.len(), 2);
    (world, bad, coder)
}

#[test]
fn a_slow_viewer_that_falls_behind_again_costs_nothing_until_its_queue_is_empty() {
    let (mut world, bad, coder) = one_slow();
    let rate = world.coders[&coder].bitrate;
    unacknowledged(&mut world, bad, 41);
    world.pass(ms(20));
    // The picture that waits at the gate has a place in the queue, the next has not.
    unacknowledged(&mut world, bad, 200);
    world.coders.get_mut(&coder).unwrap().pending = Some(world.content);
    world.code(coder);
    assert!(world.coders[&coder].bitrate < rate, "the rate was too high");
    world.log.clear();
    let (packets, frames) = (world.coders[&coder].packets, world.clients[&bad].frames);
    for waiting in [200, 150, 100, 41] {
        unacknowledged(&mut world, bad, waiting);
        watch(&mut world, 2, &[]);
    }
    assert_eq!(world.coders[&coder].packets, packets, "coded for nobody");
    assert_eq!(world.clients[&bad].frames, frames);
    let keyframes = world.log.iter();
    let keyframes = keyframes.filter(|(_, action)| matches!(action, Action::Keyframe(_)));
    assert_eq!(keyframes.count(), 0);
    unacknowledged(&mut world, bad, 0);
    assert_eq!(world.coders[&coder].packets, packets + 1);
    assert_eq!(world.clients[&bad].shown, Some(world.content));
}

#[test]
fn until_a_slow_keyframe_may_be_made_nothing_is_coded() {
    let (mut world, bad, coder) = one_slow();
    for round in 0..3 {
        // Too much for a moment.
        unacknowledged(&mut world, bad, 200);
        world.coders.get_mut(&coder).unwrap().pending = Some(world.content);
        world.code(coder);
        let before = world.coders[&coder].packets;
        unacknowledged(&mut world, bad, 0);
        if round > 0 {
            for _ in 0..12 {
                world.draw();
                world.pass(ms(17));
                world.work();
            }
            assert_eq!(
                world.coders[&coder].packets, before,
                "a fifth of a second is too soon"
            );
        }
        for _ in 0..40 {
            world.draw();
            world.pass(ms(17));
            world.work();
            world.take(bad, usize::MAX);
            world.work();
        }
        world.draw();
        world.pass(ms(17));
        world.work();
        assert_eq!(world.clients[&bad].shown, Some(world.content));
    }
}

#[test]
fn slow_viewers_who_are_ready_one_after_the_other_wait_for_a_common_keyframe() {
    let (mut world, _, bad) = two();
    let mut slow_ones = vec![bad];
    for _ in 0..20 {
        let viewer = world.join(&[H264]);
        world.work();
        slow(&mut world, viewer);
        slow_ones.push(viewer);
    }
    watch(&mut world, 2, &[]);
    world.log.clear();
    // Their queues empty over two seconds.
    for viewer in &slow_ones {
        unacknowledged(&mut world, *viewer, 0);
        for _ in 0..6 {
            world.draw();
            world.pass(ms(17));
            world.work();
        }
    }
    let keyframes = world.log.iter();
    let keyframes = keyframes.filter(|(_, action)| matches!(action, Action::Keyframe(_)));
    assert!(keyframes.count() <= 3);
}

#[test]
fn many_small_messages_are_bounded_too() {
    let (mut world, _, bad) = two();
    world.sizes = (200, 20);
    watch(&mut world, 5, &[]);
    let queue = world.clients[&bad].queue;
    assert!(queue.messages <= 30 + 16 + 5, "{queue:?}");
}

/// Defect q: no product of sizes and rates wraps.
#[test]
fn rates_of_any_size_are_counted_with() {
    for bps in [1, 1_593_000_000, u64::MAX] {
        let mut world = World::with(vec![offer(H264)], |config| {
            config.bitrate = Bitrate::bps(bps);
            config.slow_floor = Bitrate::bps(bps);
            config.recovery = std::time::Duration::MAX;
            config.stall_limit = std::time::Duration::MAX;
        });
        world.scanout(scanout_core::geometry::Size::new(u32::MAX, u32::MAX - 1));
        world.scanout(HD);
        let bad = world.join(&[H264]);
        world.pass(ms(100));
        world.work();
        slow(&mut world, bad);
        for _ in 0..600 {
            world.draw();
            world.pass(ms(17));
            world.work();
            world.take(bad, 2000);
        }
        assert!(world.clients[&bad].frames > 0);
    }
}
