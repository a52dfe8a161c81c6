//! Conversion on one thread: whole pictures by source and picture format, and
//! the damage of a desktop only.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use scanout_benches::workload::{Workload, source};
use scanout_core::color::ColorSpec;
use scanout_core::convert::{Converter, PictureFormat, PictureLayout, PlaneView, Source};
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Size};
use scanout_trace::desktop::Scenario;

const SIZE: Size = Size::new(1920, 1080);

fn pictures(c: &mut Criterion) {
    let workload = Workload::draw(SIZE, Scenario::Mixed, 30, 1).expect("a desktop");
    let bgrx = workload.frames[0].image.bytes();
    let mut group = c.benchmark_group("convert/whole");
    group.throughput(Throughput::Elements(SIZE.area()));
    for fourcc in [
        Fourcc::XRGB8888,
        Fourcc::XBGR8888,
        Fourcc::RGBX8888,
        Fourcc::XRGB2101010,
        Fourcc::RGB565,
    ] {
        for format in [
            PictureFormat::Nv12,
            PictureFormat::I420,
            PictureFormat::I444,
        ] {
            let layout = PictureLayout::new(format, SIZE).expect("1080p");
            let mut converter =
                Converter::new(fourcc, SIZE, layout, ColorSpec::DESKTOP).expect("a known pair");
            let row =
                scanout_core::format::info(fourcc).expect("known").planes[0].row_bytes(SIZE.width);
            let frame = Source::packed(fourcc, SIZE, PlaneView::new(bgrx, row as usize));
            let mut picture = vec![0; layout.total_bytes()];
            let damage = Damage::full(SIZE);
            group.bench_function(
                BenchmarkId::new(fourcc.to_string(), format!("{format:?}")),
                |b| {
                    b.iter(|| converter.convert(black_box(&frame), &mut picture, &damage));
                },
            );
        }
    }
    group.finish();
}

fn damage(c: &mut Criterion) {
    let mut group = c.benchmark_group("convert/damaged");
    for scenario in Scenario::ALL {
        let workload = Workload::draw(SIZE, scenario, 30, 60).expect("a desktop");
        let layout = PictureLayout::new(PictureFormat::Nv12, SIZE).expect("1080p");
        let mut converter = Converter::new(Fourcc::XRGB8888, SIZE, layout, ColorSpec::DESKTOP)
            .expect("a known pair");
        let mut picture = vec![0; layout.total_bytes()];
        // Frames per second of conversion; the first frame, which is whole, is left out.
        group.throughput(Throughput::Elements(workload.frames.len() as u64 - 1));
        group.bench_function(BenchmarkId::from_parameter(scenario), |b| {
            b.iter(|| {
                for frame in &workload.frames[1..] {
                    converter
                        .convert(black_box(&source(frame)), &mut picture, &frame.damage)
                        .expect("a valid frame");
                }
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = pictures, damage
}
criterion_main!(benches);
