//! Staging as backends use it: a frame submitted to the thread of `CpuStaging`,
//! until the source is free and until the picture is there.

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use rustix::event::{PollFd, PollFlags, poll};
use scanout_benches::scanout::to_frame;
use scanout_benches::workload::Workload;
use scanout_core::convert::PictureFormat;
use scanout_core::encoder::{PathClass, StageConfig, StageEvent};
use scanout_core::geometry::{Damage, Size};
use scanout_core::staging::CpuStaging;
use scanout_trace::desktop::Scenario;

const SIZE: Size = Size::new(1920, 1080);

/// Stages frame after frame; the time until each source was free.
fn stage(staging: &mut CpuStaging, workload: &Workload, rounds: u64, whole: bool) -> Duration {
    let mut held = Duration::ZERO;
    for round in 0..rounds {
        let frame = &workload.frames[round as usize % workload.frames.len()];
        let mut frame = to_frame(round as usize, frame);
        if whole {
            frame.damage = Damage::full(SIZE);
        }
        let began = Instant::now();
        staging.stage(frame).expect("room");
        'ready: loop {
            while let Some(event) = staging.poll().expect("a running thread") {
                match event {
                    StageEvent::SourceFree(..) => held += began.elapsed(),
                    StageEvent::Ready(..) => break 'ready,
                    other => panic!("{other:?}"),
                }
            }
            let wake = staging.wake();
            poll(&mut [PollFd::from_borrowed_fd(wake, PollFlags::IN)], None).expect("poll");
        }
    }
    held
}

fn hold(c: &mut Criterion) {
    let mut group = c.benchmark_group("stage/hold");
    for scenario in [Scenario::Typing, Scenario::Video, Scenario::Flip] {
        let workload = Workload::draw(SIZE, scenario, 30, 60).expect("a desktop");
        for whole in [false, true] {
            let config = StageConfig::new(SIZE);
            let mut staging = CpuStaging::new(&config, PictureFormat::Nv12, PathClass::Software)
                .expect("staging");
            let name = if whole { "whole" } else { "damaged" };
            group.bench_function(BenchmarkId::new(scenario.to_string(), name), |b| {
                b.iter_custom(|rounds| stage(&mut staging, &workload, rounds, whole));
            });
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = hold
}
criterion_main!(benches);
