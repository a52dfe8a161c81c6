//! In steady state the machine allocates what it hands out, and nothing else. One test
//! alone in its process, because it counts what the whole process does.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use scanout_core::color::ColorSpec;
use scanout_core::encoder::{
    Chroma, Codec, FrameTimes, Packet, PacketBytes, PictureId, StreamInfo,
};
use scanout_core::geometry::{Damage, Rect, Size};
use scanout_spice::gl::*;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(ptr, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const VIEWERS: u64 = 4;
const FRAMES: u64 = 1000;

#[test]
fn a_frame_costs_a_batch_for_each_viewer_and_the_two_lists_of_its_staging() {
    let size = Size::new(1280, 720);
    let offer = Offer {
        codec: VideoCodec::H264,
        stage: StageSpec {
            device: 0,
            chroma: Chroma::C420,
            color: Some(ColorSpec::DESKTOP),
        },
    };
    let mut now = Instant::now();
    let config = MachineConfig::new(StreamClock::showing(now, 1000));
    let mut machine = Machine::new(config, vec![offer], now);
    let mut actions = Vec::with_capacity(64);
    let scanout = ScanoutId(1);
    machine.handle(now, Event::Scanout { scanout, size }, &mut actions);
    for viewer in 0..VIEWERS {
        let joined = Event::Joined {
            viewer: ViewerId(viewer),
            caps: ViewerCaps {
                codecs: vec![VideoCodec::H264],
                reports: false,
            },
        };
        machine.handle(now, joined, &mut actions);
    }
    let stage = actions.iter().find_map(|action| match action {
        Action::OpenStage { stage, .. } => Some(*stage),
        _ => None,
    });
    machine.handle(now, Event::StageOpened(stage.unwrap()), &mut actions);
    let coder = actions.iter().find_map(|action| match action {
        Action::OpenCoder { coder, .. } => Some(*coder),
        _ => None,
    });
    let coder = coder.unwrap();
    machine.handle(now, Event::CoderOpened(coder), &mut actions);

    let color = ColorSpec::DESKTOP;
    let info = StreamInfo::new(Codec::H264, "none", size, size, Chroma::C420, color);
    let bytes = PacketBytes::from(vec![0, 0, 0, 1, 0x41, 7, 7, 7]);
    let mut sent = 0;
    let mut before = 0;
    for frame in 0..FRAMES + 100 {
        if frame == 100 {
            before = ALLOCATIONS.load(Ordering::Relaxed);
            sent = 0;
        }
        now += Duration::from_millis(20);
        actions.clear();
        let draw = Event::Draw {
            draw: DrawId(frame),
            damage: Damage::from(Rect::new(1, 2, 3, 4)),
        };
        machine.handle(now, draw, &mut actions);
        let packet = Packet::new(
            PictureId(frame),
            frame,
            Duration::ZERO,
            bytes.clone(),
            frame == 0,
            FrameTimes::at(now),
        );
        let packet = Event::Packet {
            coder,
            info: &info,
            packet: &packet,
        };
        machine.handle(now, packet, &mut actions);
        let is_batch = |action: &&Action| matches!(action, Action::Send(..));
        sent += actions.iter().filter(is_batch).count() as u64;
        for viewer in 0..VIEWERS {
            let progress = Event::Progress(ViewerId(viewer), Backlog::default());
            machine.handle(now, progress, &mut actions);
        }
        machine.handle(now, Event::Tick, &mut actions);
    }
    let allocated = ALLOCATIONS.load(Ordering::Relaxed) - before;
    assert_eq!(sent, FRAMES * VIEWERS);
    assert_eq!(allocated, sent + 2 * FRAMES);
}
