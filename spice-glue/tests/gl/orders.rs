//! What holds in any order of events. The world checks every action as it comes: see
//! `world`. Here is what happens, and what must have become of it in the end.

use proptest::prelude::*;
use scanout_core::encoder::Bitrate;
use scanout_core::geometry::{Rect, Size};
use scanout_spice::gl::VideoCodec::*;
use scanout_spice::gl::*;

use crate::world::*;

#[derive(Clone, Debug)]
enum Step {
    Scanout(u32),
    Disable,
    Draw(u32, u32),
    Expect(usize),
    Join(u8, bool),
    Leave(usize),
    Prefer(usize, VideoCodec),
    Refuse(usize),
    Report(usize, i32, bool),
    Take(usize, usize),
    Healthy(usize, bool),
    OpenNext,
    FailStage(usize),
    FailCoder(usize),
    Break(usize, bool),
    Code,
    Pass(u64),
    Work,
    Stale(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let codec = prop::sample::select(VideoCodec::ALL.to_vec());
    prop_oneof![
        2 => (0u32..3).prop_map(Step::Scanout),
        1 => Just(Step::Disable),
        20 => (0u32..1000, 1u32..300).prop_map(|(at, side)| Step::Draw(at, side)),
        1 => (0usize..3).prop_map(Step::Expect),
        3 => (any::<u8>(), any::<bool>()).prop_map(|(codecs, reports)| Step::Join(codecs, reports)),
        2 => (0usize..8).prop_map(Step::Leave),
        1 => (0usize..8, codec).prop_map(|(viewer, codec)| Step::Prefer(viewer, codec)),
        1 => (0usize..8).prop_map(Step::Refuse),
        5 => (0usize..8, -60i32..60, any::<bool>()).prop_map(|(v, m, real)| Step::Report(v, m, real)),
        8 => (0usize..8, 1usize..400_000).prop_map(|(viewer, bytes)| Step::Take(viewer, bytes)),
        2 => (0usize..8, any::<bool>()).prop_map(|(viewer, healthy)| Step::Healthy(viewer, healthy)),
        8 => Just(Step::OpenNext),
        1 => (0usize..4).prop_map(Step::FailStage),
        1 => (0usize..4).prop_map(Step::FailCoder),
        1 => (0usize..4, any::<bool>()).prop_map(|(offer, broken)| Step::Break(offer, broken)),
        20 => Just(Step::Code),
        16 => prop_oneof![8 => 0u64..40, 2 => 0u64..2000, 1 => 0u64..20_000].prop_map(Step::Pass),
        6 => Just(Step::Work),
        2 => (0u64..400).prop_map(Step::Stale),
    ]
}

fn nth(world: &World, index: usize) -> Option<ViewerId> {
    let count = world.clients.len();
    world.clients.keys().nth(index.checked_rem(count)?).copied()
}

fn run(world: &mut World, step: Step) {
    match step {
        Step::Scanout(size) => {
            world.scanout([HD, FULL_HD, Size::new(801, 601)][size as usize]);
        }
        Step::Disable => world.disable(),
        Step::Draw(at, side) => {
            world.draw_in(Rect::new(at, at / 2, side, side / 2));
        }
        Step::Expect(clients) => world.expect(clients),
        Step::Join(codecs, reports) => {
            let shows = |codec: &VideoCodec| codecs & (1 << *codec as u8) != 0;
            let codecs = VideoCodec::ALL.into_iter().filter(shows).collect();
            if world.clients.len() < 8 {
                world.join_as(ViewerCaps { codecs, reports });
            }
        }
        Step::Leave(index) => {
            if let Some(viewer) = nth(world, index) {
                world.leave(viewer);
            }
        }
        Step::Prefer(index, codec) => {
            if let Some(viewer) = nth(world, index) {
                world.event(Event::Preferred(viewer, vec![codec, codec, Vp8]));
            }
        }
        Step::Refuse(index) => {
            if let Some(viewer) = nth(world, index)
                && world.clients[&viewer].stream.is_some()
            {
                world.refuse(viewer);
            }
        }
        Step::Report(index, margin, real) => {
            if let Some(viewer) = nth(world, index)
                && let Some((stream, live)) = &world.clients[&viewer].stream
            {
                let report = Report {
                    stream: *stream,
                    unique_id: live.report.filter(|_| real).map_or(77, |(id, _)| id),
                    start_mm_time: 0,
                    end_mm_time: live.stamp.filter(|_| real).unwrap_or(5),
                    frames: 1,
                    drops: 1,
                    last_frame_delay_ms: margin,
                };
                world.report(viewer, report);
            }
        }
        Step::Take(index, bytes) => {
            if let Some(viewer) = nth(world, index) {
                world.take(viewer, bytes);
            }
        }
        Step::Healthy(index, healthy) => {
            if let Some(viewer) = nth(world, index) {
                world.clients.get_mut(&viewer).unwrap().healthy = healthy;
            }
        }
        Step::OpenNext => {
            world.open_next();
        }
        Step::FailStage(index) => {
            if let Some(stage) = world.stages.keys().nth(index).copied() {
                world.fail_stage(stage);
            }
        }
        Step::FailCoder(index) => {
            if let Some(coder) = world.coders.keys().nth(index).copied() {
                world.fail_coder(coder);
            }
        }
        Step::Break(offer, broken) => {
            if broken {
                world.broken.insert(OfferId(offer));
            } else {
                world.broken.remove(&OfferId(offer));
            }
        }
        Step::Code => {
            if let Some(coder) = world.codable() {
                world.code(coder);
            }
        }
        Step::Pass(time) => world.pass(ms(time)),
        Step::Work => world.work(),
        Step::Stale(id) => stale(world, id),
    }
}

/// What comes too late, twice, or from nowhere.
fn stale(world: &mut World, id: u64) {
    let (stage, coder, viewer) = (StageId(id), CoderId(id), ViewerId(id));
    if !world.stages.contains_key(&stage) {
        world.event(Event::StageOpened(stage));
        world.event(Event::StageFailed(stage));
    }
    if !world.coders.contains_key(&coder) {
        world.event(Event::CoderOpened(coder));
        world.event(Event::CoderFailed(coder));
        world.stray_packet(coder);
    }
    if !world.clients.contains_key(&viewer) {
        world.event(Event::Left(viewer));
        world.event(Event::Progress(viewer, Backlog::default()));
        world.event(Event::Preferred(viewer, vec![Vp9]));
    }
    world.event(Event::Tick);
}

fn state(world: &World) -> String {
    format!(
        "{:?}\n{:?}\n{:#?}",
        world.stages, world.coders, world.machine
    )
}

fn offers() -> Vec<Offer> {
    vec![
        offer_on(H264, 1),
        offer_on(H264, 0),
        offer_on(Vp8, 0),
        offer_on(Mjpeg, 0),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_rules_hold_and_the_newest_picture_arrives(
        steps in prop::collection::vec(step(), 1..400)
    ) {
        // So little is allowed to wait that viewers become slow often.
        let mut world = World::with(offers(), |config| {
            config.bitrate = Bitrate::kbps(200);
            config.slow_floor = Bitrate::kbps(50);
        });
        world.sizes = (6000, 1500);
        world.keep_log = false;
        world.busy = false;
        for step in steps {
            run(&mut world, step);
        }
        // Peace at last: what works works, who listens listens.
        world.busy = true;
        world.broken.clear();
        world.expect(0);
        for client in world.clients.values_mut() {
            client.healthy = true;
        }
        world.work();
        world.pass(ms(5000));
        world.work();
        prop_assert!(world.draws.is_empty(), "{:?} wait", world.draws);
        for (viewer, client) in &world.clients {
            if world.source.is_some() {
                prop_assert_eq!(client.shown, Some(world.content), "{}: {}", viewer, state(&world));
            } else {
                prop_assert_eq!(client.surface, None, "{}", viewer);
            }
        }
        // An idle machine comes to rest: what is left are tries in the shared tier.
        let ticks = world.ticks;
        world.pass(ms(3_600_000));
        prop_assert!(world.ticks - ticks < 100, "{} ticks in an idle hour", world.ticks - ticks);
        for (viewer, client) in &world.clients {
            if world.source.is_some() {
                prop_assert_eq!(client.shown, Some(world.content), "{}", viewer);
            }
        }
        while let Some(viewer) = nth(&world, 0) {
            world.leave(viewer);
        }
        prop_assert_eq!(world.machine.deadline(), None);
    }
}
