//! What a draw's answer waits for, and what it never waits for.

use scanout_core::geometry::Rect;
use scanout_spice::gl::VideoCodec::*;
use scanout_spice::gl::*;

use crate::world::*;

fn stagings(world: &World) -> usize {
    let staged = |(_, action): &&(_, Action)| matches!(action, Action::Stage { .. });
    world.log.iter().filter(staged).count()
}

fn watched() -> (World, ViewerId) {
    let mut world = World::new(vec![offer(H264)]);
    world.scanout(HD);
    let viewer = world.join(&[H264]);
    world.work();
    world.pass(ms(1000));
    world.log.clear();
    (world, viewer)
}

#[test]
fn nobody_watches_and_a_draw_is_answered_at_once_without_staging() {
    let mut world = World::new(vec![offer(H264)]);
    world.scanout(HD);
    for _ in 0..100 {
        world.draw(); // The world checks that it does not wait.
    }
    assert_eq!(world.answered.len(), 100);
    assert_eq!(stagings(&world), 0);
    assert_eq!(world.machine.deadline(), None);
}

/// Upstream: the guest waits for pipeline set-up, encode and network (defects c and d).
#[test]
fn a_draw_never_waits_for_a_stage_that_opens_and_its_change_is_staged_when_it_is_open() {
    let mut world = World::new(vec![offer(H264)]);
    world.scanout(HD);
    let viewer = world.join(&[H264]);
    for _ in 0..3 {
        world.draw();
        assert!(world.draws.is_empty());
        world.pass(ms(5));
    }
    world.work();
    assert_eq!(world.clients[&viewer].shown, Some(world.content));
}

/// Defect a: every path on which nothing can be coded answers all the same.
#[test]
fn a_draw_is_answered_whatever_fails() {
    let (mut world, _) = watched();
    world.draw();
    world.draw();
    assert_eq!(world.draws.len(), 1, "the second waits for its slot");
    let stage = *world.stages.keys().next().unwrap();
    world.fail_stage(stage);
    assert!(world.draws.is_empty());
    world.draw();
    assert!(world.draws.is_empty());
}

#[test]
fn a_lone_draw_after_idle_is_staged_at_once() {
    let (mut world, _) = watched();
    let draw = world.draw();
    assert_eq!(
        world.answered.last(),
        Some(&(draw, ms(0), Answered::Staged))
    );
}

#[test]
fn many_draws_in_a_slot_are_united_staged_once_and_all_answered() {
    let (mut world, _) = watched();
    world.draw();
    world.log.clear();
    world.answered.clear();
    for x in 0..10 {
        world.pass(ms(1));
        world.draw_in(Rect::new(x * 100, 0, 50, 50));
    }
    assert_eq!(stagings(&world), 0);
    world.pass(ms(17));
    assert_eq!(stagings(&world), 1);
    assert_eq!(world.answered.len(), 10);
}

#[test]
fn a_source_that_draws_as_fast_as_it_is_answered_causes_max_fps_stagings_a_second() {
    for fps in [4, 30, 60, 144, 240] {
        let mut world = World::with(vec![offer(H264)], |config| config.max_fps = fps);
        world.scanout(HD);
        world.join(&[H264]);
        world.work();
        world.pass(ms(1000));
        world.log.clear();
        let end = world.now + ms(10_000);
        while world.now < end {
            if world.draws.is_empty() {
                world.draw();
            }
            world.work();
            // A clock that is read late, as on a busy machine.
            world.pass(ms(1));
        }
        let staged = stagings(&world);
        assert!(staged <= 10 * fps as usize + 1, "{staged} at {fps}");
        assert!(staged >= 10 * fps as usize - 2, "{staged} at {fps}");
        let times: Vec<_> = world
            .log
            .iter()
            .filter(|(_, a)| matches!(a, Action::Stage { .. }))
            .map(|(t, _)| *t)
            .collect();
        for (i, time) in times.iter().enumerate() {
            let second = times[i..]
                .iter()
                .take_while(|t| **t < *time + ms(1000))
                .count();
            assert!(second <= fps as usize + 1, "{second} in a second at {fps}");
        }
    }
}

/// A clock that is always read late must not make the source slower than it may be.
#[test]
fn slots_follow_each_other_without_drift() {
    let (mut world, _) = watched();
    let mut late = 0;
    for tick in 0..20_000 {
        world.now += ms(1);
        if world.draws.is_empty() {
            world.draw();
        }
        late += u64::from(world.machine.deadline().is_some_and(|d| d <= world.now));
        if late >= 3 || tick % 7 == 0 {
            late = 0;
            world.event(Event::Tick);
        }
        world.work();
    }
    let staged = stagings(&world);
    assert!((1190..=1201).contains(&staged), "{staged} in 20 s");
}

#[test]
fn no_draw_waits_longer_than_its_limit_and_what_it_changed_is_kept() {
    let mut world = World::with(vec![offer(H264)], |config| {
        config.max_fps = 4;
        config.draw_limit = ms(100);
    });
    world.scanout(HD);
    let viewer = world.join(&[H264]);
    world.work();
    world.pass(ms(1000));
    world.draw();
    let late = world.draw_in(Rect::new(3, 4, 5, 6));
    world.pass(ms(100));
    assert_eq!(
        world.answered.last(),
        Some(&(late, ms(100), Answered::Alone))
    );
    world.pass(ms(200));
    world.work();
    assert_eq!(world.clients[&viewer].shown, Some(world.content));
}

#[test]
fn a_source_with_endless_draws_outstanding_costs_bounded_memory() {
    let (mut world, _) = watched();
    world.draw();
    for _ in 0..10_000 {
        world.draw();
    }
    assert!(world.draws.len() <= 256, "{}", world.draws.len());
    world.pass(ms(20));
    assert!(world.draws.is_empty());
}

/// Defect h.
#[test]
fn damage_is_what_was_drawn_since_the_last_staging() {
    let (mut world, _) = watched();
    let rect = Rect::new(10, 20, 30, 40);
    world.draw_in(rect);
    let Some((_, Action::Stage { damage, .. })) = world.log.last() else {
        panic!("{:?}", world.log)
    };
    assert_eq!(damage.rects(), [rect]);
}

#[test]
fn a_draw_of_nothing_is_answered_and_nothing_is_staged() {
    let (mut world, _) = watched();
    world.draw_in(Rect::new(0, 0, 0, 0));
    world.draw_in(Rect::new(5000, 0, 10, 10));
    assert!(world.draws.is_empty());
    assert_eq!(stagings(&world), 0);
}

/// Defect d: a client that takes nothing does not reach the guest.
#[test]
fn a_draw_never_waits_for_a_client() {
    let (mut world, viewer) = watched();
    world.clients.get_mut(&viewer).unwrap().healthy = false;
    for _ in 0..600 {
        world.draw();
        world.work();
        world.pass(ms(17));
    }
    let most = world.answered.iter().map(|(_, waited, _)| *waited).max();
    assert!(most <= Some(ms(17)), "{most:?}");
}
