//! A thousand things at random.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use scanout_core::geometry::{Damage, Size};
use scanout_core::noop::NoopControl;
use scanout_spice::gl::{Backlog, Report, VideoCodec};
use scanout_spice::stream::{GlStream, ViewerHandle};

use crate::support::*;

/// xorshift64*: the same run for the same seed, everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % sides
    }
}

const SIZES: [Size; 3] = [Size::new(320, 200), Size::new(64, 48), Size::new(33, 21)];

fn make_trouble(dice: &mut Dice, control: &NoopControl) {
    match dice.roll(6) {
        0 => control.stage_fails.store(2, Ordering::SeqCst),
        1 => control.device_lost.store(true, Ordering::SeqCst),
        2 => control.stage_panics.store(true, Ordering::SeqCst),
        3 => control.encode_fails.store(true, Ordering::SeqCst),
        4 => control.encode_stalls.store(true, Ordering::SeqCst),
        _ => control.unstall(),
    }
}

fn talk(dice: &mut Dice, viewer: &ViewerHandle) {
    match dice.roll(3) {
        0 => viewer.progress(Backlog {
            bytes: dice.roll(1 << 20) as usize,
            messages: dice.roll(50) as usize,
            unacknowledged: dice.roll(40) as u32,
        }),
        1 => viewer.report(Report {
            stream: dice.roll(3) as u32,
            unique_id: dice.roll(4) as u32,
            start_mm_time: 0,
            end_mm_time: dice.roll(1 << 32) as u32,
            frames: dice.roll(6) as u32,
            drops: dice.roll(6) as u32,
            last_frame_delay_ms: dice.roll(400) as i32 - 200,
        }),
        _ => viewer.prefer(vec![VideoCodec::H264, VideoCodec::Vp8]),
    }
}

/// Returns how many draws were staged.
fn run(seed: u64, steps: usize) -> u64 {
    let mut dice = Dice(seed);
    let (config, control) = noop();
    let stream = GlStream::start(config).unwrap();
    let owner = Arc::new(Owner::default());
    let mut viewers = Vec::new();
    let mut size = SIZES[0];
    stream.scanout(image(size));
    for _ in 0..steps {
        match dice.roll(40) {
            0..20 => {
                let (x, y) = (dice.roll(320) as u32, dice.roll(200) as u32);
                owner.draw(&stream, part(x, y));
            }
            20 => owner.draw(&stream, Damage::full(size)),
            21 => owner.draw(&stream, Damage::none()),
            22 => {
                size = SIZES[dice.roll(3) as usize];
                stream.scanout(image(size));
            }
            23 if dice.roll(4) == 0 => stream.disable(),
            24 | 25 if viewers.len() < 8 => {
                viewers.push(Channel::join(
                    &stream,
                    &[VideoCodec::Vp8, VideoCodec::Mjpeg],
                ));
            }
            26 if !viewers.is_empty() => {
                let index = dice.roll(viewers.len() as u64) as usize;
                drop(viewers.swap_remove(index));
            }
            27 if dice.roll(3) == 0 => make_trouble(&mut dice, &control),
            28..31 if !viewers.is_empty() => {
                let index = dice.roll(viewers.len() as u64) as usize;
                talk(&mut dice, &viewers[index].1);
            }
            31 => drop(stream.viewers().expect()),
            _ => std::thread::sleep(Duration::from_millis(dice.roll(8))),
        }
    }
    owner.wait();
    control.unstall();
    let draws = owner.draws() as u64;
    let stats = stream.stop(PATIENCE).unwrap();
    assert!(owner.all_answered());
    assert_eq!(stats.draws, draws);
    assert_eq!(
        stats.hold.count, draws,
        "each draw was held once: {stats:?}"
    );
    assert_eq!(control.alive.load(Ordering::SeqCst), 0);
    println!("seed {seed}: {stats:?}");
    stats.staged
}

#[test]
fn each_draw_is_answered_once_and_nothing_is_left_behind() {
    let _alone = alone();
    run(1, 200);
    let before = (descriptors(), threads());
    let staged: u64 = (2..7).map(|seed| run(seed, 1000)).sum();
    assert!(
        staged >= 100,
        "hardly anything was tested: {staged} draws staged"
    );
    assert_eq!((descriptors(), threads()), before);
}
