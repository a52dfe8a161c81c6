//! What it costs to distrust a producer: layouts, and whole imports.

use std::hint::black_box;
use std::os::fd::AsFd;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use scanout_core::buffer::alloc::Provider;
use scanout_core::buffer::{DmaBuf, ImportPolicy, Layout, LayoutLimits, validate};
use scanout_core::format::{Fourcc, Modifier};
use scanout_core::geometry::Size;

const SIZE: Size = Size::new(1920, 1080);

fn layouts(c: &mut Criterion) {
    let mut group = c.benchmark_group("validate");
    let limits = LayoutLimits::default();
    for fourcc in [Fourcc::XRGB8888, Fourcc::NV12, Fourcc::YUV420] {
        let (layout, bytes) = Layout::packed(fourcc, SIZE, 64).expect("a known format");
        group.bench_function(BenchmarkId::new("linear", fourcc), |b| {
            b.iter(|| validate(black_box(&layout), &[bytes], &limits));
        });
    }
    let (mut tiled, bytes) =
        Layout::packed(Fourcc::XRGB8888, Size::new(1920, 1088), 512).expect("known");
    // I915_FORMAT_MOD_Y_TILED
    tiled.modifier = Modifier((1 << 56) | 2);
    group.bench_function("tiled/XR24", |b| {
        b.iter(|| validate(black_box(&tiled), &[bytes], &limits));
    });
    let mut overrun = tiled.clone();
    overrun.planes[0].offset = 4096 * 1024;
    group.bench_function("refused/XR24", |b| {
        b.iter(|| validate(black_box(&overrun), &[bytes], &limits).is_err());
    });
    group.finish();
}

fn imports(c: &mut Criterion) {
    let (layout, bytes) = Layout::packed(Fourcc::XRGB8888, SIZE, 64).expect("a known format");
    let fd = Provider::Memfd.allocate(bytes).expect("a memfd").into_fd();
    let policy = ImportPolicy::default().with_memfd();
    c.bench_function("import/memfd", |b| {
        b.iter(|| {
            DmaBuf::import(&[black_box(fd.as_fd())], &layout, &policy).expect("a good buffer")
        });
    });
}

criterion_group!(benches, layouts, imports);
criterion_main!(benches);
