//! True damage by comparison beside the conversion that it spares: a frame of which
//! nothing, one tile or all has changed. Prints what each costs as a part of a
//! whole conversion.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use scanout_benches::workload::{Workload, source};
use scanout_core::color::ColorSpec;
use scanout_core::convert::tiles::TileComparer;
use scanout_core::convert::{Converter, PictureFormat, PictureLayout, PlaneView, Source};
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Size};
use scanout_trace::desktop::Scenario;

const SIZE: Size = Size::new(1920, 1080);

/// What changes from one frame to the next.
#[derive(Clone, Copy, Debug)]
enum Change {
    Nothing,
    OneTile,
    All,
}

impl Change {
    const ALL: [Self; 3] = [Self::Nothing, Self::OneTile, Self::All];

    const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "unchanged",
            Self::OneTile => "one-tile",
            Self::All => "all",
        }
    }
}

/// Two frames between which `change` lies, to be shown in turn.
fn frames(first: &[u8], change: Change) -> [Vec<u8>; 2] {
    let mut second = first.to_vec();
    match change {
        Change::Nothing => {}
        Change::OneTile => second[(500 * SIZE.width as usize + 900) * 4] ^= 1,
        Change::All => second.iter_mut().for_each(|byte| *byte ^= 1),
    }
    [first.to_vec(), second]
}

fn packed(bytes: &[u8]) -> Source<'_> {
    let plane = PlaneView::new(bytes, SIZE.width as usize * 4);
    Source::packed(Fourcc::XRGB8888, SIZE, plane)
}

/// The way of a frame through staging.
struct Way {
    converter: Converter,
    comparer: TileComparer,
    picture: Vec<u8>,
}

impl Way {
    fn new() -> Self {
        let layout = PictureLayout::new(PictureFormat::I420, SIZE).expect("1080p");
        let converter = Converter::new(Fourcc::XRGB8888, SIZE, layout, ColorSpec::DESKTOP);
        Self {
            converter: converter.expect("a known pair"),
            comparer: TileComparer::new(),
            picture: vec![0; layout.total_bytes()],
        }
    }

    /// As without comparison: all of it is converted.
    fn convert(&mut self, frame: &Source<'_>) {
        self.converter
            .convert(frame, &mut self.picture, &Damage::full(SIZE))
            .expect("a valid frame");
    }

    fn compare(&mut self, frame: &Source<'_>) -> Damage {
        self.comparer
            .compare(frame, &Damage::full(SIZE))
            .expect("a valid frame")
    }

    /// With comparison: what has changed is converted, from the copy.
    fn both(&mut self, frame: &Source<'_>) {
        let found = self.compare(frame);
        let last = self.comparer.last().expect("a frame was compared");
        self.converter
            .convert(&last, &mut self.picture, &found)
            .expect("a valid frame");
    }
}

/// One way of a frame.
type Run = fn(&mut Way, &Source<'_>);

/// The median of a hundred runs.
fn median(mut run: impl FnMut(usize)) -> Duration {
    let mut times: Vec<Duration> = (0..100)
        .map(|round| {
            let began = Instant::now();
            run(round);
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

fn tiles(c: &mut Criterion) {
    let workload = Workload::draw(SIZE, Scenario::Mixed, 30, 1).expect("a desktop");
    let first = source(&workload.frames[0]);
    let first = first.planes[0].data;
    let mut group = c.benchmark_group("tiles");
    group.throughput(Throughput::Elements(SIZE.area()));
    let mut lines = Vec::new();
    for change in Change::ALL {
        let frames = frames(first, change);
        let frames = [packed(&frames[0]), packed(&frames[1])];
        let mut way = Way::new();
        way.compare(&frames[1]);
        // The two in one run, one after the other: both see the same machine.
        let whole = median(|round| way.convert(black_box(&frames[round % 2])));
        let compare = median(|round| drop(way.compare(black_box(&frames[round % 2]))));
        let both = median(|round| way.both(black_box(&frames[round % 2])));
        let part = |time: Duration| time.as_secs_f64() / whole.as_secs_f64();
        lines.push(format!(
            "{:>9}: comparison {compare:.2?} = {:.2}, with conversion {both:.2?} = {:.2} of a whole conversion of {whole:.2?}",
            change.name(),
            part(compare),
            part(both),
        ));
        let ways: [(&str, Run); 2] = [
            ("compare", |way, frame| drop(way.compare(frame))),
            ("compare+convert", Way::both),
        ];
        for (name, run) in ways {
            let mut round = 0;
            group.bench_function(BenchmarkId::new(name, change.name()), |b| {
                b.iter(|| {
                    round += 1;
                    run(&mut way, black_box(&frames[round % 2]));
                });
            });
        }
    }
    group.finish();
    for line in lines {
        println!("{line}");
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = tiles
}
criterion_main!(benches);
