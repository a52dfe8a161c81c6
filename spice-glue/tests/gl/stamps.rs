//! Stamps against a simulated client: its clock began when MAIN_INIT arrived, drifts,
//! and its frames come late and unevenly.

use std::collections::VecDeque;
use std::time::Instant;

use scanout_spice::gl::VideoCodec::*;
use scanout_spice::gl::*;

use crate::world::*;

#[derive(Clone, Copy, Debug)]
struct Way {
    /// How long MAIN_INIT took, which set the client's clock.
    init_ms: f64,
    drift_ppm: f64,
    delay_ms: f64,
    /// A frame takes up to so much longer.
    jitter_ms: f64,
}

struct Client {
    way: Way,
    start: Instant,
    random: u64,
    /// Frames on their way: arrival and stamp.
    frames: VecDeque<(f64, u32)>,
    /// Reports on their way back.
    reports: VecDeque<(f64, Report)>,
    seen: usize,
    counted: (u32, u32, u32),
    begun_ms: f64,
    margins: Vec<f64>,
    sent_reports: usize,
}

impl Client {
    fn new(world: &World, way: Way) -> Self {
        Self {
            way,
            start: world.now,
            random: 88172645463325252,
            frames: VecDeque::new(),
            reports: VecDeque::new(),
            seen: 0,
            counted: (0, 0, 0),
            begun_ms: 0.0,
            margins: Vec::new(),
            sent_reports: 0,
        }
    }

    fn random(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1u64 << 53) as f64
    }

    fn ms(&self, world: &World) -> f64 {
        (world.now - self.start).as_secs_f64() * 1e3
    }

    /// The client's clock at a true time, in the server's milliseconds since `start`.
    fn clock(&self, at: f64) -> f64 {
        at * (1.0 + self.way.drift_ppm / 1e6) - self.way.init_ms
    }

    /// One millisecond of the way to the client and back.
    fn go_on(&mut self, world: &mut World, viewer: ViewerId, zero: u32) {
        let now = self.ms(world);
        let batches = &world.clients[&viewer].batches;
        let new: Vec<u32> = batches[self.seen..]
            .iter()
            .flatten()
            .filter_map(|message| match message {
                Outgoing::StreamData { mm_time, .. } => Some(*mm_time),
                _ => None,
            })
            .collect();
        self.seen = batches.len();
        for stamp in new {
            let arrival = now + self.way.delay_ms + self.way.jitter_ms * self.random();
            let last = self.frames.back().map_or(0.0, |(at, _)| *at);
            self.frames.push_back((arrival.max(last), stamp));
        }
        while let Some((at, stamp)) = self.frames.front().copied().filter(|(at, _)| *at <= now) {
            self.frames.pop_front();
            let margin = f64::from(stamp.wrapping_sub(zero) as i32) - self.clock(at);
            self.margins.push(margin);
            self.count(world, viewer, at, stamp, margin);
        }
        while let Some((_, report)) = self.reports.front().copied().filter(|(at, _)| *at <= now) {
            self.reports.pop_front();
            world.report(viewer, report);
        }
    }

    /// As spice-gtk does: by window, time, or three late in a row.
    fn count(&mut self, world: &World, viewer: ViewerId, at: f64, stamp: u32, margin: f64) {
        let Some((stream, live)) = &world.clients[&viewer].stream else {
            return;
        };
        let Some((unique_id, window)) = live.report else {
            return;
        };
        let (frames, drops, in_a_row) = &mut self.counted;
        *frames += 1;
        if margin < 0.0 {
            *drops += 1;
            *in_a_row += 1;
        } else {
            *in_a_row = 0;
        }
        if *frames >= window || *in_a_row >= 3 || at - self.begun_ms >= 1000.0 {
            let report = Report {
                stream: *stream,
                unique_id,
                start_mm_time: 0,
                end_mm_time: stamp,
                frames: *frames,
                drops: *drops,
                last_frame_delay_ms: margin.round() as i32,
            };
            self.reports.push_back((at + self.way.delay_ms, report));
            self.sent_reports += 1;
            self.counted = (0, 0, 0);
            self.begun_ms = at;
        }
    }
}

/// Margins of the frames from the second second on.
fn margins(codec: VideoCodec, way: Way, seconds: u64) -> Vec<f64> {
    let mut world = World::new(vec![offer(codec)]);
    world.keep_log = false;
    world.scanout(HD);
    let viewer = world.join(&[codec]);
    world.work();
    let mut client = Client::new(&world, way);
    let mut settled = None;
    for tick in 0..seconds * 1000 {
        if tick % 17 == 0 {
            world.draw();
        }
        world.work();
        client.go_on(&mut world, viewer, 1000);
        world.pass(ms(1));
        // Frames sent before the first reports came have the first bias, and a stamp
        // never goes back: a large step of the bias takes its time again.
        if tick as f64 >= 1000.0 + 3.0 * way.delay_ms + 1.2 * way.init_ms {
            settled.get_or_insert(client.margins.len());
        }
    }
    client.margins.split_off(settled.unwrap())
}

fn ways() -> Vec<Way> {
    let mut ways = Vec::new();
    for init_ms in [0.0, 0.3, 40.0, 1500.0] {
        for drift_ppm in [-200.0, 0.0, 200.0] {
            for delay_ms in [0.2, 15.0, 120.0] {
                for jitter_ms in [0.0, 8.0] {
                    ways.push(Way {
                        init_ms,
                        drift_ppm,
                        delay_ms,
                        jitter_ms,
                    });
                }
            }
        }
    }
    ways
}

/// A positive margin delays every picture by itself.
#[test]
fn the_margin_converges_to_just_below_zero_and_stays_whatever_the_clocks_and_the_way_do() {
    for way in ways() {
        let margins = margins(H264, way, 10);
        let out = margins
            .iter()
            .filter(|m| !(-20.0..=0.0).contains(*m))
            .count();
        let range = margins
            .iter()
            .fold((f64::MAX, f64::MIN), |r, m| (r.0.min(*m), r.1.max(*m)));
        assert!(margins.len() > 300);
        assert_eq!(out, 0, "of {}: {range:?} for {way:?}", margins.len());
    }
}

/// A late MJPEG frame is dropped.
#[test]
fn mjpegs_margin_stays_just_above_zero() {
    for way in ways() {
        let way = Way {
            jitter_ms: way.jitter_ms / 4.0,
            ..way
        };
        let margins = margins(Mjpeg, way, 10);
        let late = margins.iter().filter(|m| **m < 0.0).count();
        let waits = margins.iter().filter(|m| **m > 6.0).count();
        let range = margins
            .iter()
            .fold((f64::MAX, f64::MIN), |r, m| (r.0.min(*m), r.1.max(*m)));
        assert_eq!((late, waits), (0, 0), "{range:?} for {way:?}");
    }
}

#[test]
fn a_clock_that_is_set_anew_is_followed() {
    let mut world = World::new(vec![offer(H264)]);
    world.keep_log = false;
    world.scanout(HD);
    let viewer = world.join(&[H264]);
    world.work();
    let way = Way {
        init_ms: 10.0,
        drift_ppm: 0.0,
        delay_ms: 5.0,
        jitter_ms: 2.0,
    };
    let mut client = Client::new(&world, way);
    for tick in 0..20_000u64 {
        match tick {
            6_000 => client.way.init_ms = 400.0,
            12_000 => client.way.init_ms = -300.0,
            _ => {}
        }
        if tick % 17 == 0 {
            world.draw();
        }
        world.work();
        client.go_on(&mut world, viewer, 1000);
        world.pass(ms(1));
        if matches!(tick, 6_000 | 12_000) {
            client.margins.clear();
        }
        if matches!(tick, 5_999 | 11_999 | 19_999) {
            let last = &client.margins[client.margins.len() - 100..];
            assert!(
                last.iter().all(|m| (-20.0..=0.0).contains(m)),
                "{tick}: {last:?}"
            );
        }
    }
}

#[test]
fn pictures_do_not_wait_after_a_second_of_congestion() {
    let mut world = World::new(vec![offer(H264)]);
    world.keep_log = false;
    world.scanout(HD);
    let viewer = world.join(&[H264]);
    world.work();
    let way = Way {
        init_ms: 20.0,
        drift_ppm: 50.0,
        delay_ms: 10.0,
        jitter_ms: 5.0,
    };
    let mut client = Client::new(&world, way);
    for tick in 0..12_000u64 {
        let congested = (5_000..6_000).contains(&tick);
        client.way.delay_ms = if congested { 400.0 } else { 10.0 };
        if tick % 17 == 0 {
            world.draw();
        }
        world.work();
        client.go_on(&mut world, viewer, 1000);
        world.pass(ms(1));
        if tick == 2_000 {
            client.margins.clear();
        }
    }
    let most = client.margins.iter().copied().fold(f64::MIN, f64::max);
    assert!(most <= 0.0, "a picture waits {most} ms");
}

fn stamps_of(world: &World, viewer: ViewerId) -> Vec<u32> {
    let batches = world.clients[&viewer].batches.iter().flatten();
    let stamp = |message: &Outgoing| match message {
        Outgoing::StreamData { mm_time, .. } => Some(*mm_time),
        _ => None,
    };
    batches.filter_map(stamp).collect()
}

#[test]
fn stamps_go_through_the_wrap_of_their_clock_without_a_zero_or_a_step_back() {
    for before in [0, 1, 7, 8, 9, 1500] {
        let mut world = World::with(vec![offer(H264)], |config| {
            config.clock = StreamClock::showing(Instant::now(), u32::MAX - before);
        });
        world.scanout(HD);
        let viewer = world.join(&[H264]);
        // The world checks each stamp.
        for _ in 0..600 {
            world.draw();
            world.work();
            world.pass(ms(5));
        }
        assert!(stamps_of(&world, viewer).last().unwrap() < &10_000);
    }
}

#[test]
fn frames_of_one_millisecond_have_stamps_of_their_own() {
    let mut world = World::with(vec![offer(H264)], |config| config.max_fps = 240);
    world.scanout(HD);
    let viewer = world.join(&[H264]);
    world.work();
    // An encoder that delivers several at a time.
    let coder = *world.coders.keys().next().unwrap();
    for _ in 0..20 {
        world.coders.get_mut(&coder).unwrap().pending = Some(world.content);
        world.code(coder);
    }
    let stamps = stamps_of(&world, viewer);
    assert!(stamps.len() > 20 && stamps.is_sorted());
}

#[test]
fn reports_of_another_activation_another_stream_or_an_unknown_frame_count_for_nothing() {
    let mut world = World::new(vec![offer(H264)]);
    world.scanout(HD);
    let viewer = world.join(&[H264]);
    world.work();
    let (stream, live) = world.clients[&viewer].stream.clone().unwrap();
    let good = Report {
        stream,
        unique_id: live.report.unwrap().0,
        start_mm_time: 0,
        end_mm_time: live.stamp.unwrap(),
        frames: 1,
        drops: 0,
        last_frame_delay_ms: 500,
    };
    let next_lag = |world: &mut World| {
        world.pass(ms(1000));
        world.draw();
        world.work();
        let now = world.config.clock.mm_time(world.now);
        now.wrapping_sub(*stamps_of(world, viewer).last().unwrap()) as i32
    };
    let mut others = [good; 3];
    others[0].stream += 1;
    others[1].unique_id += 1;
    // The stamp before is that of the same picture's first message.
    others[2].end_mm_time -= 2;
    for other in others {
        world.report(viewer, other);
    }
    assert_eq!(next_lag(&mut world), 8);
    world.report(viewer, good);
    assert!(next_lag(&mut world) > 500);
}

/// Defect k: late is not lost. Upstream halves its rate for it.
#[test]
fn late_frames_change_no_rate() {
    let mut world = World::new(vec![offer(H264)]);
    world.scanout(HD);
    let viewer = world.join(&[H264]);
    world.work();
    world.log.clear();
    for _ in 0..100 {
        world.draw();
        world.work();
        let (stream, live) = world.clients[&viewer].stream.clone().unwrap();
        let report = Report {
            stream,
            unique_id: live.report.unwrap().0,
            start_mm_time: 0,
            end_mm_time: live.stamp.unwrap(),
            frames: 3,
            drops: 3,
            last_frame_delay_ms: -40,
        };
        world.report(viewer, report);
        world.pass(ms(17));
    }
    let adjusts = |(_, action): &&(_, Action)| matches!(action, Action::Adjust(..));
    assert_eq!(world.log.iter().filter(adjusts).count(), 0);
}

/// Defect e, where it is the client that drops.
#[test]
fn a_last_mjpeg_frame_that_came_too_late_is_sent_again() {
    let mut world = World::new(vec![offer(Mjpeg)]);
    world.scanout(HD);
    let viewer = world.join(&[Mjpeg]);
    world.work();
    let late = |world: &mut World, margin: i32| {
        let (stream, live) = world.clients[&viewer].stream.clone().unwrap();
        let report = Report {
            stream,
            unique_id: live.report.unwrap().0,
            start_mm_time: 0,
            end_mm_time: live.stamp.unwrap(),
            frames: 1,
            drops: u32::from(margin < 0),
            last_frame_delay_ms: margin,
        };
        let frames = world.clients[&viewer].frames;
        world.report(viewer, report);
        world.work();
        world.clients[&viewer].frames - frames
    };
    assert_eq!(late(&mut world, 3), 0);
    assert_eq!(late(&mut world, -30), 1);
    let resent = world.clients[&viewer].batches.last().unwrap();
    let Outgoing::StreamData { mm_time, .. } = &resent[0] else {
        panic!("{resent:?}")
    };
    let ahead = mm_time.wrapping_sub(world.config.clock.mm_time(world.now)) as i32;
    assert!(
        ahead >= 20,
        "stamped {ahead} ms ahead for a way of 20 and more"
    );
    // A clock that runs away does not make it an endless stream.
    let again: u64 = (0..10).map(|_| late(&mut world, -500)).sum();
    assert!(again <= 3, "{again}");
}

#[test]
fn reports_come_often_until_the_clock_is_known_and_then_seldom() {
    let mut world = World::new(vec![offer(H264)]);
    world.scanout(HD);
    let viewer = world.join(&[H264]);
    world.work();
    let way = Way {
        init_ms: 10.0,
        drift_ppm: 0.0,
        delay_ms: 5.0,
        jitter_ms: 2.0,
    };
    let mut client = Client::new(&world, way);
    for tick in 0..2000u64 {
        if tick % 17 == 0 {
            world.draw();
        }
        world.work();
        client.go_on(&mut world, viewer, 1000);
        world.pass(ms(1));
    }
    let activations: Vec<u32> = world.clients[&viewer]
        .batches
        .iter()
        .flatten()
        .filter_map(|m| match m {
            Outgoing::ActivateReport { max_window, .. } => Some(*max_window),
            _ => None,
        })
        .collect();
    assert_eq!(activations, [1, 5]);
    assert!(client.sent_reports < 60, "{}", client.sent_reports);
}
