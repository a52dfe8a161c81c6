use super::*;

const SIZES: [Size; 5] = [
    Size::new(1366, 767),
    Size::new(640, 480),
    Size::new(97, 61),
    Size::new(16, 16),
    Size::new(800, 16),
];

fn run(size: Size, scenario: Scenario, seed: u64, fps: u32, frames: u64) -> u64 {
    let mut desktop = Desktop::new(size, scenario, seed, fps).unwrap();
    let mut sum = 0;
    for _ in 0..frames {
        desktop.next_frame();
        for word in desktop.pixels().chunks_exact(8) {
            sum = u64::from_le_bytes(word.try_into().unwrap())
                ^ u64::rotate_left(sum, 7).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }
    sum
}

/// Pixels outside the damage must not change; a copy that is kept up by
/// damage alone proves it, and proves `draw_into` as well.
#[test]
fn damage_names_every_pixel_that_changed() {
    for size in SIZES {
        for scenario in Scenario::ALL {
            // A rate that meets no event evenly, and enough for a whole cycle.
            let (fps, frames) = if size.area() > 400_000 {
                (7, 75)
            } else {
                (13, 140)
            };
            let mut desktop = Desktop::new(size, scenario, 3, fps).unwrap();
            let stride = desktop.stride() + 12;
            let mut copy = vec![0; stride * size.height as usize];
            for _ in 0..frames {
                let step = desktop.next_frame();
                desktop.draw_into(&mut copy, stride, &step.damage).unwrap();
                for rect in step.damage.rects() {
                    assert!(Rect::of(size).contains(*rect), "{rect} leaves {size}");
                }
                let same = desktop
                    .pixels()
                    .chunks(desktop.stride())
                    .zip(copy.chunks(stride))
                    .all(|(a, b)| a == &b[..a.len()]);
                assert!(same, "{scenario} {size} frame {}", step.frame);
            }
        }
    }
}

/// Composing only the damage gives what composing everything gives.
#[test]
fn partial_drawing_equals_full_drawing() {
    for scenario in Scenario::ALL {
        let size = Size::new(800, 600);
        let mut desktop = Desktop::new(size, scenario, 11, 9).unwrap();
        for _ in 0..100 {
            let step = desktop.next_frame();
            let partial = desktop.canvas.clone();
            desktop.compose(Area::of(size));
            assert!(
                partial.bytes() == desktop.pixels(),
                "{scenario} frame {}",
                step.frame
            );
        }
    }
}

/// A window that is scrolled or edited in place looks like one drawn anew.
#[test]
fn windows_drawn_in_steps_equal_windows_drawn_at_once() {
    for scenario in [Scenario::Typing, Scenario::Scroll, Scenario::ColorText] {
        let mut desktop = Desktop::new(Size::new(1000, 700), scenario, 5, 10).unwrap();
        for _ in 0..200 {
            desktop.next_frame();
        }
        let index = Desktop::window_of(scenario).unwrap();
        let app: &mut dyn App = match scenario {
            Scenario::Typing => &mut desktop.editor,
            Scenario::Scroll => &mut desktop.reader,
            _ => &mut desktop.terminal,
        };
        let mut anew = desktop.windows[index].client.clone();
        app.paint(&mut anew, &desktop.text);
        assert!(
            anew.bytes() == desktop.windows[index].client.bytes(),
            "{scenario}"
        );
    }
}

/// Mean share of the picture that is damaged, in millionths.
fn mean_damage(scenario: Scenario) -> u64 {
    let size = Size::new(1280, 720);
    let mut desktop = Desktop::new(size, scenario, 1, 30).unwrap();
    desktop.next_frame();
    let frames = 150;
    let sum: u64 = (0..frames)
        .map(|_| desktop.next_frame().damage.area())
        .sum();
    sum * 1_000_000 / frames / size.area()
}

#[test]
fn damage_is_as_small_as_the_change() {
    let limits = [
        (Scenario::Idle, 0..500),
        (Scenario::Typing, 10..30_000),
        (Scenario::ColorText, 10_000..130_000),
        (Scenario::Scroll, 50_000..450_000),
        (Scenario::Video, 100_000..250_000),
        (Scenario::Drag, 200_000..800_000),
        (Scenario::Flip, 20_000..100_000),
    ];
    for (scenario, limit) in limits {
        let mean = mean_damage(scenario);
        assert!(
            limit.contains(&mean),
            "{scenario}: {mean} millionths, not {limit:?}"
        );
    }
}

#[test]
fn something_happens_in_every_scenario() {
    for scenario in Scenario::ALL {
        let mut desktop = Desktop::new(Size::new(640, 360), scenario, 1, 20).unwrap();
        desktop.next_frame();
        let first = desktop.pixels().to_vec();
        for _ in 0..40 {
            desktop.next_frame();
        }
        assert!(first != desktop.pixels(), "{scenario}");
    }
}

#[test]
fn the_same_seed_gives_the_same_pixels_and_another_does_not() {
    for scenario in Scenario::ALL {
        let size = Size::new(320, 240);
        let one = run(size, scenario, 1, 10, 30);
        assert_eq!(one, run(size, scenario, 1, 10, 30), "{scenario}");
        assert_ne!(one, run(size, scenario, 2, 10, 30), "{scenario}");
    }
}

#[test]
fn the_first_frame_is_all_damage_and_time_follows_the_rate() {
    let size = Size::new(64, 64);
    let mut desktop = Desktop::new(size, Scenario::Mixed, 1, 50).unwrap();
    assert!(desktop.next_frame().damage.covers(size));
    let second = desktop.next_frame();
    assert_eq!((second.frame, second.time), (1, Duration::from_millis(20)));
    assert!(desktop.pixels().chunks(4).all(|p| p[3] == 0xff));
}

#[test]
fn impossible_desktops_are_refused_with_their_bounds() {
    let open = |w, h, fps| Desktop::new(Size::new(w, h), Scenario::Idle, 0, fps);
    for (w, h) in [
        (0, 0),
        (15, 100),
        (100, 15),
        (100_000, 100),
        (u32::MAX, u32::MAX),
    ] {
        let error = open(w, h, 30).unwrap_err();
        assert!(matches!(error, DesktopError::Side { .. }));
        assert!(error.to_string().contains("16 to 16384"), "{error}");
    }
    assert!(matches!(
        open(16384, 16384, 30),
        Err(DesktopError::Pixels { .. })
    ));
    assert!(matches!(open(100, 100, 0), Err(DesktopError::Fps { .. })));
    assert!(matches!(
        open(100, 100, 1001),
        Err(DesktopError::Fps { .. })
    ));
    let desktop = open(20, 20, 1).unwrap();
    let damage = Damage::full(desktop.size());
    assert!(desktop.draw_into(&mut [0; 1600], 79, &damage).is_err());
    assert!(desktop.draw_into(&mut [0; 1599], 80, &damage).is_err());
    assert!(
        desktop
            .draw_into(&mut [0; 1600], usize::MAX, &damage)
            .is_err()
    );
    assert!(desktop.draw_into(&mut [0; 1600], 80, &damage).is_ok());
}

/// Seeds, rates and shapes at their limits: arithmetic that overflows panics in tests.
#[test]
fn extreme_seeds_rates_and_shapes_draw() {
    let shapes = [
        (Size::new(16384, 16), 1, 25),
        (Size::new(16, 16384), 1, 25),
        (Size::new(320, 200), Desktop::MAX_FPS, 700),
    ];
    for (size, fps, frames) in shapes {
        for seed in [0, u64::MAX] {
            let mut desktop = Desktop::new(size, Scenario::Mixed, seed, fps).unwrap();
            let damaged = (0..frames)
                .filter(|_| !desktop.next_frame().damage.is_none())
                .count();
            assert!(damaged > 1, "{size} at {fps}");
        }
    }
}
