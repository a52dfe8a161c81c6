//! Validation of layouts against a model in 128 bits that shares no arithmetic and
//! no table with it. `SCANOUT_PROPTEST_CASES` says how many cases (default 50,000).

use scanout_core::buffer::{Layout, LayoutLimits, Plane, validate};
use scanout_core::format::{Fourcc, Modifier};
use scanout_core::geometry::Size;

/// xorshift64*: fast, and the same sequence everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// Per plane: bytes of a block, its width and its height in pixels.
type ModelPlanes = &'static [(u128, u128, u128)];

const FORMATS: &[(&str, ModelPlanes)] = &[
    ("XR24", &[(4, 1, 1)]),
    ("AB24", &[(4, 1, 1)]),
    ("RG24", &[(3, 1, 1)]),
    ("BG16", &[(2, 1, 1)]),
    ("AR30", &[(4, 1, 1)]),
    ("AB48", &[(8, 1, 1)]),
    ("R8  ", &[(1, 1, 1)]),
    ("YUYV", &[(4, 2, 1)]),
    ("Y210", &[(8, 2, 1)]),
    ("Y410", &[(4, 1, 1)]),
    ("NV12", &[(1, 1, 1), (2, 2, 2)]),
    ("NV16", &[(1, 1, 1), (2, 2, 1)]),
    ("NV24", &[(1, 1, 1), (2, 1, 1)]),
    ("P010", &[(2, 1, 1), (4, 2, 2)]),
    ("YU12", &[(1, 1, 1), (1, 2, 2), (1, 2, 2)]),
    ("YV12", &[(1, 1, 1), (1, 2, 2), (1, 2, 2)]),
    ("YU16", &[(1, 1, 1), (1, 2, 1), (1, 2, 1)]),
    ("YU24", &[(1, 1, 1), (1, 1, 1), (1, 1, 1)]),
    ("ZZZZ", &[(4, 1, 1)]),
];

#[derive(Clone, Copy)]
enum Shape {
    Linear,
    /// Width in bytes, rows, stride alignment, offset alignment.
    Tiled(u128, u128, u128, u128),
    Unknown,
    Invalid,
}

const MODIFIERS: &[(u64, Shape)] = &[
    (0, Shape::Linear),
    (0x00ff_ffff_ffff_ffff, Shape::Invalid),
    (1 << 56 | 1, Shape::Tiled(512, 8, 512, 4096)),
    (1 << 56 | 2, Shape::Tiled(128, 32, 128, 4096)),
    (1 << 56 | 9, Shape::Tiled(128, 32, 128, 4096)),
    (1 << 56 | 10, Shape::Tiled(128, 32, 512, 4096)),
    (1 << 56 | 11, Shape::Tiled(128, 32, 512, 4096)),
    (1 << 56 | 16, Shape::Tiled(128, 32, 128, 4096)),
    (3 << 56 | 0x10 | 4, Shape::Tiled(64, 128, 64, 512)),
    (3 << 56 | 0x10 | 15, Shape::Tiled(64, 8 << 15, 64, 512)),
    (2 << 56 | 3 | 27 << 8, Shape::Unknown),
    (8 << 56 | 1 | 1 << 6, Shape::Unknown),
    (0xee << 56 | 5, Shape::Unknown),
];

fn up(value: u128, to: u128) -> u128 {
    value.div_ceil(to) * to
}

/// The largest power of two that divides `value`.
fn natural(value: u128) -> u128 {
    value & value.wrapping_neg()
}

/// What a plane of the model needs.
struct Need {
    min_stride: u128,
    stride_align: u128,
    offset_align: u128,
    /// Bytes from the offset on, for a stride.
    bytes: Box<dyn Fn(u128) -> u128>,
}

fn need(plane: (u128, u128, u128), shape: Shape, size: Size) -> Need {
    let (bytes, w, h) = plane;
    let row = u128::from(size.width).div_ceil(w) * bytes;
    let rows = u128::from(size.height).div_ceil(h);
    let align = natural(bytes);
    match shape {
        Shape::Linear => Need {
            min_stride: row,
            stride_align: align,
            offset_align: align,
            bytes: Box::new(move |stride| stride * rows.saturating_sub(1) + row),
        },
        Shape::Tiled(tile_width, tile_rows, stride_align, offset_align) => Need {
            min_stride: up(row, tile_width),
            stride_align,
            offset_align,
            bytes: Box::new(move |stride| stride * up(rows, tile_rows)),
        },
        Shape::Unknown | Shape::Invalid => Need {
            min_stride: row,
            stride_align: align,
            offset_align: align,
            bytes: Box::new(move |stride| stride * rows),
        },
    }
}

fn model(
    format: (&str, ModelPlanes),
    shape: Shape,
    layout: &Layout,
    objects: &[u64],
    max: Size,
) -> bool {
    let size = layout.size;
    format.0 != "ZZZZ"
        && !matches!(shape, Shape::Invalid)
        && (1..=max.width).contains(&size.width)
        && (1..=max.height).contains(&size.height)
        && layout.planes.len() == format.1.len()
        && layout.planes.iter().zip(format.1).all(|(plane, &info)| {
            let need = need(info, shape, size);
            let (stride, offset) = (u128::from(plane.stride), u128::from(plane.offset));
            objects
                .get(usize::from(plane.object))
                .is_some_and(|&object| {
                    stride >= need.min_stride
                        && stride % need.stride_align == 0
                        && offset % need.offset_align == 0
                        && offset + (need.bytes)(stride) <= u128::from(object)
                })
        })
}

/// A value at or beside `value`, or a boundary of its own.
fn nudge(random: &mut Random, value: u128) -> u32 {
    let near = match random.below(8) {
        0 => value.wrapping_add(1),
        1 => value.wrapping_sub(1),
        2 => value.wrapping_add(4),
        3 => value / 2,
        4 => return random.pick(&[0, 1, 2, 0x7fff_ffff, 0x8000_0000, 0xffff_fffc, u32::MAX]),
        5 => return random.next() as u32,
        6 => value.wrapping_add(4096),
        _ => value.wrapping_add(512),
    };
    near as u32
}

fn side(random: &mut Random) -> u32 {
    match random.below(10) {
        0 => random.pick(&[0, 16385, 100_000, 0x7fff_ffff, 0x8000_0001, u32::MAX]),
        1 => random.pick(&[1, 2, 3, 16383, 16384]),
        2..=5 => random.pick(&[16, 17, 720, 767, 1080, 1366, 1920, 2160, 3840]),
        _ => 1 + random.below(4096) as u32,
    }
}

#[test]
fn validation_agrees_with_a_model_in_128_bits() {
    let cases: u64 = std::env::var("SCANOUT_PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(50_000);
    let seed = std::env::var("SCANOUT_PROPTEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(0x5ca0_0417);
    let mut random = Random(seed);
    let mut accepted = 0u64;
    for case in 0..cases {
        let format = random.pick(FORMATS);
        let (modifier, shape) = if random.one_in(2) {
            MODIFIERS[0]
        } else {
            random.pick(MODIFIERS)
        };
        let size = Size::new(side(&mut random), side(&mut random));
        let max = if random.one_in(4) {
            Size::new(u32::MAX, u32::MAX)
        } else {
            Size::new(16384, 16384)
        };
        // A layout that just fits ...
        let objects_wanted = 1 + random.below(3) as usize;
        let mut ends = [0u128; 4];
        let mut planes: Vec<Plane> = Vec::new();
        for (index, &info) in format.1.iter().enumerate() {
            let need = need(info, shape, size);
            let object = index.min(objects_wanted - 1);
            let offset = up(ends[object], need.offset_align);
            let padding = need.stride_align * u128::from(random.pick(&[0u64, 0, 1, 7]));
            let stride = up(need.min_stride, need.stride_align) + padding;
            ends[object] = offset + (need.bytes)(stride);
            planes.push(Plane {
                object: object as u8,
                offset: offset as u32,
                stride: stride as u32,
            });
        }
        let used = planes.iter().map(|p| p.object).max().map_or(0, usize::from) + 1;
        let mut objects: Vec<u64> = ends[..used].iter().map(|&end| end as u64).collect();
        // ... and up to two things wrong with it, or not quite wrong.
        for _ in 0..random.below(3) {
            let plane = random.below(planes.len().max(1) as u64) as usize;
            match random.below(8) {
                0 if !planes.is_empty() => {
                    planes[plane].stride = nudge(&mut random, planes[plane].stride.into());
                }
                1 if !planes.is_empty() => {
                    planes[plane].offset = nudge(&mut random, planes[plane].offset.into());
                }
                2 if !planes.is_empty() => planes[plane].object = random.next() as u8 % 6,
                3 => {
                    let object = random.below(objects.len() as u64) as usize;
                    let size = objects[object];
                    objects[object] = random.pick(&[
                        size.wrapping_sub(1),
                        size.wrapping_add(1),
                        size & 0xffff_ffff,
                        0,
                        1,
                        u64::MAX,
                        u64::from(u32::MAX),
                    ]);
                }
                4 if planes.len() < 4 => planes.push(Plane::default()),
                5 => {
                    planes.pop();
                }
                6 => objects.iter_mut().for_each(|size| *size = u64::MAX),
                _ => {}
            }
        }
        let layout = Layout {
            fourcc: format.0.parse::<Fourcc>().unwrap(),
            modifier: Modifier(modifier),
            size,
            planes: planes.into_iter().collect(),
        };
        let mut limits = LayoutLimits::default();
        limits.max_size = max;
        let got = validate(&layout, &objects, &limits);
        let expected = model(format, shape, &layout, &objects, max);
        assert_eq!(
            got.is_ok(),
            expected,
            "case {case} of seed {seed}: {layout:?} in objects {objects:?}: {:?}",
            got.err()
        );
        accepted += u64::from(expected);
        if let Err(error) = got {
            assert!(!error.to_string().is_empty());
        }
    }
    // Else the generator has gone to sleep.
    assert!(accepted * 10 > cases, "{accepted} of {cases} accepted");
    assert!(
        (cases - accepted) * 10 > cases,
        "{accepted} of {cases} accepted"
    );
}
