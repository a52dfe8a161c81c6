//! The whole path with x264, as criterion sees it: seconds of a small desktop
//! through a session. The comparison with other programs is `whole-path`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use scanout_benches::scanout::{Feed, Settings, run};
use scanout_benches::workload::Workload;
use scanout_core::encoder::Bitrate;
use scanout_core::geometry::Size;
use scanout_trace::desktop::Scenario;

fn x264(c: &mut Criterion) {
    let workload =
        Workload::draw(Size::new(1280, 720), Scenario::Mixed, 30, 90).expect("a desktop");
    let mut group = c.benchmark_group("whole-path/x264");
    group.sample_size(10);
    group.throughput(Throughput::Elements(workload.frames.len() as u64));
    for threads in [1, 2] {
        let settings = Settings {
            threads,
            bitrate: Bitrate::kbps(4000),
        };
        group.bench_function(BenchmarkId::new("threads", threads), |b| {
            // Opening and closing the encoder is not what a frame costs.
            b.iter_custom(|rounds| {
                (0..rounds)
                    .map(|_| {
                        let run = run(&workload, settings, Feed::AsFastAsTaken, false);
                        std::time::Duration::from_secs_f64(run.expect("x264enc is here").wall_s)
                    })
                    .sum()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, x264);
criterion_main!(benches);
