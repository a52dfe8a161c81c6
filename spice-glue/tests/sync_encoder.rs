//! The synchronous encoder, called as spice-server's `dcc-send` calls its encoders.

use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use scanout_core::buffer::alloc::{Canvas, Provider};
use scanout_core::buffer::{ImportPolicy, Orientation};
use scanout_core::encoder::{Backend, Codec, Device, DeviceKind};
use scanout_core::format::{Fourcc, Modifier};
use scanout_core::geometry::Size;
use scanout_core::noop::{NoopBackend, NoopControl};
use scanout_spice::gl::Report;
use scanout_spice::stream::EncoderChoice;
use scanout_spice::sync_encoder::{DmabufFrame, Outcome, SyncConfig, SyncEncoder, VideoBytes};

const SIZES: [Size; 2] = [Size::new(64, 48), Size::new(33, 21)];

fn encoder(backend: Arc<dyn Backend>, limit: Duration) -> SyncEncoder {
    let device = Device::new("none", "no device", DeviceKind::Cpu);
    let mut config = SyncConfig::new(EncoderChoice::new(backend, device, "noop", Codec::H264));
    config.limit = limit;
    config.policy = ImportPolicy::default().with_memfd();
    SyncEncoder::new(config).unwrap()
}

fn canvas(size: Size) -> Canvas {
    let bytes = u64::from(size.width) * 4 * u64::from(size.height);
    let memory = Provider::Memfd.allocate(bytes).unwrap();
    memory.into_canvas().unwrap()
}

fn frame(fd: BorrowedFd<'_>, size: Size) -> DmabufFrame<'_> {
    DmabufFrame {
        fd,
        size,
        stride: size.width * 4,
        offset: 0,
        fourcc: Fourcc::XRGB8888,
        modifier: Some(Modifier::LINEAR),
        orientation: Orientation::TopDown,
    }
}

/// Frames and completions as `red_marshall_gl_draw_stream` counts them: the frame is the
/// encoder's to free where it says DONE, and the caller's else.
struct DccSend {
    encoder: SyncEncoder,
    memory: [Canvas; 2],
    mm_time: u32,
    /// Draws completed; each frame completes one.
    completed: u64,
    frames: u64,
    /// A packet was lost since the last that was delivered.
    lost: bool,
    delivered: u64,
}

impl DccSend {
    fn new(encoder: SyncEncoder) -> Self {
        Self {
            encoder,
            memory: SIZES.map(canvas),
            mm_time: u32::MAX - 40,
            completed: 0,
            frames: 0,
            lost: true,
            delivered: 0,
        }
    }

    fn send(&mut self, which: usize) -> Option<VideoBytes> {
        let frame = frame(self.memory[which].as_fd(), SIZES[which]);
        self.frames += 1;
        self.mm_time = self.mm_time.wrapping_add(16);
        let freed = Cell::new(0);
        let here = std::thread::current().id();
        let outcome = self.encoder.encode_dmabuf(self.mm_time, &frame, || {
            assert_eq!(std::thread::current().id(), here);
            freed.set(freed.get() + 1);
        });
        let freed = freed.get();
        self.completed += freed;
        match outcome {
            Outcome::Done(bytes) => {
                assert_eq!(freed, 1, "DONE is exactly one free");
                if bytes.is_empty() {
                    self.lost = true;
                    return None;
                }
                assert!(
                    !self.lost || bytes.is_keyframe(),
                    "a packet after a gap that refers into it"
                );
                self.lost = false;
                self.delivered += 1;
                Some(bytes)
            }
            Outcome::Drop | Outcome::Unsupported => {
                assert_eq!(freed, 0, "without DONE the caller frees");
                self.completed += 1;
                // Whether it got as far as the encoder or not.
                self.lost = true;
                None
            }
        }
    }

    /// Sends until a packet comes.
    fn send_until_coded(&mut self, which: usize) -> VideoBytes {
        let begun = Instant::now();
        loop {
            if let Some(bytes) = self.send(which) {
                return bytes;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "{:?}",
                self.encoder.last_error()
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Send(usize),
    StageFails,
    DeviceLost,
    StagePanics,
    StageHangs(bool),
    StageBlocks(u64),
    EncodeFails,
    EncodeStalls(bool),
    Keyframe,
    NotSent,
    Late,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0usize..2).prop_map(Step::Send),
        1 => Just(Step::StageFails),
        1 => Just(Step::DeviceLost),
        1 => Just(Step::StagePanics),
        1 => any::<bool>().prop_map(Step::StageHangs),
        1 => (0u64..30).prop_map(Step::StageBlocks),
        1 => Just(Step::EncodeFails),
        1 => any::<bool>().prop_map(Step::EncodeStalls),
        1 => Just(Step::Keyframe),
        1 => Just(Step::NotSent),
        1 => Just(Step::Late),
    ]
}

fn apply(step: Step, control: &NoopControl, dcc: &mut DccSend) {
    match step {
        Step::Send(which) => drop(dcc.send(which)),
        Step::StageFails => control.stage_fails.store(1, Ordering::SeqCst),
        Step::DeviceLost => control.device_lost.store(true, Ordering::SeqCst),
        Step::StagePanics => control.stage_panics.store(true, Ordering::SeqCst),
        Step::StageHangs(hangs) => control.stage_hangs.store(hangs, Ordering::SeqCst),
        Step::StageBlocks(ms) => control.stage_blocks_ms.store(ms, Ordering::SeqCst),
        Step::EncodeFails => control.encode_fails.store(true, Ordering::SeqCst),
        Step::EncodeStalls(true) => control.encode_stalls.store(true, Ordering::SeqCst),
        Step::EncodeStalls(false) => control.unstall(),
        Step::Keyframe => dcc.encoder.request_keyframe(),
        Step::NotSent => {
            dcc.encoder.notify_server_frame_drop();
            dcc.lost = true;
        }
        Step::Late => dcc.encoder.client_stream_report(&Report {
            stream: 0,
            unique_id: 1,
            start_mm_time: 0,
            end_mm_time: 1,
            frames: 5,
            drops: 4,
            last_frame_delay_ms: -300,
        }),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever stagers and encoders do: each frame completes exactly one draw, DONE is one
    /// free and all else none, and no packet follows a gap without being a keyframe.
    #[test]
    fn every_frame_is_freed_exactly_once(steps in prop::collection::vec(step(), 1..40)) {
        let noop = NoopBackend::default();
        let control = Arc::clone(&noop.control);
        let mut dcc = DccSend::new(encoder(Arc::new(noop), Duration::from_millis(10)));
        for step in steps {
            apply(step, &control, &mut dcc);
            prop_assert_eq!(dcc.completed, dcc.frames);
        }
        control.stage_hangs.store(false, Ordering::SeqCst);
        control.unstall();
    }
}

#[test]
fn frames_come_out_one_for_one() {
    let noop = NoopBackend::default();
    let mut dcc = DccSend::new(encoder(Arc::new(noop), Duration::from_secs(20)));
    assert!(dcc.send(0).unwrap().is_keyframe());
    for _ in 0..20 {
        assert!(!dcc.send(0).unwrap().is_keyframe());
    }
    dcc.encoder.request_keyframe();
    assert!(dcc.send(0).unwrap().is_keyframe());
    // Another size is another encoder.
    assert!(dcc.send(1).unwrap().is_keyframe());
    assert_eq!(dcc.delivered, dcc.frames);
}

#[test]
fn a_failed_encode_after_the_free_is_done_and_empty() {
    let noop = NoopBackend::default();
    let control = Arc::clone(&noop.control);
    let mut dcc = DccSend::new(encoder(Arc::new(noop), Duration::from_secs(20)));
    dcc.send_until_coded(0);
    control.encode_fails.store(true, Ordering::SeqCst);
    let memory = canvas(SIZES[0]);
    let freed = Cell::new(0);
    let outcome = dcc
        .encoder
        .encode_dmabuf(1, &frame(memory.as_fd(), SIZES[0]), || {
            freed.set(freed.get() + 1)
        });
    assert!(matches!(outcome, Outcome::Done(bytes) if bytes.is_empty()));
    assert_eq!(freed.get(), 1);
    dcc.lost = true;
    assert!(dcc.send_until_coded(0).is_keyframe());
}

#[test]
fn a_stage_that_fails_is_drop() {
    let noop = NoopBackend::default();
    let control = Arc::clone(&noop.control);
    let mut dcc = DccSend::new(encoder(Arc::new(noop), Duration::from_secs(20)));
    dcc.send_until_coded(0);
    control.stage_fails.store(1, Ordering::SeqCst);
    let memory = canvas(SIZES[0]);
    let frame = frame(memory.as_fd(), SIZES[0]);
    let outcome = dcc.encoder.encode_dmabuf(1, &frame, || panic!("freed"));
    assert!(matches!(outcome, Outcome::Drop));
    assert!(dcc.encoder.last_error().unwrap().contains("surfaces"));
}

#[test]
fn a_stalled_encoder_costs_a_call_its_limit_and_no_more_frames_are_lost_than_while_it_stalls() {
    let limit = Duration::from_millis(60);
    let noop = NoopBackend::default();
    let control = Arc::clone(&noop.control);
    let mut dcc = DccSend::new(encoder(Arc::new(noop), limit));
    dcc.send_until_coded(0);
    control.encode_stalls.store(true, Ordering::SeqCst);
    for _ in 0..5 {
        let begun = Instant::now();
        assert!(dcc.send(0).is_none());
        assert!(begun.elapsed() >= limit);
        assert!(begun.elapsed() < Duration::from_secs(5), "not bounded");
    }
    control.unstall();
    assert!(dcc.send_until_coded(0).is_keyframe());
    assert_eq!(control.opened.load(Ordering::SeqCst), 1);
}

#[test]
fn what_cannot_be_imported_is_unsupported_and_says_why() {
    let noop = NoopBackend::default();
    let mut dcc = DccSend::new(encoder(Arc::new(noop), Duration::from_secs(20)));
    let memory = canvas(SIZES[0]);
    let good = frame(memory.as_fd(), SIZES[0]);
    for (bad, word) in [
        (DmabufFrame { stride: 4, ..good }, "stride"),
        (
            DmabufFrame {
                offset: 1 << 20,
                ..good
            },
            "byte",
        ),
        (
            DmabufFrame {
                size: Size::new(0, 4),
                ..good
            },
            "0x4",
        ),
        (
            DmabufFrame {
                modifier: Some(Modifier(0x0100_0000_0000_0001)),
                ..good
            },
            "",
        ),
    ] {
        let outcome = dcc.encoder.encode_dmabuf(1, &bad, || panic!("freed"));
        assert!(matches!(outcome, Outcome::Unsupported), "{bad:?}");
        let why = dcc.encoder.last_error().unwrap();
        assert!(why.contains(word), "{why}");
    }
    // A null file is no dma-buf, whatever is said of it.
    let null = std::fs::File::open("/dev/null").unwrap();
    let outcome = dcc.encoder.encode_dmabuf(
        1,
        &DmabufFrame {
            fd: null.as_fd(),
            ..good
        },
        || panic!("freed"),
    );
    assert!(matches!(outcome, Outcome::Unsupported));
    dcc.send_until_coded(0);
}

#[test]
fn a_client_that_cannot_decode_ends_it() {
    let noop = NoopBackend::default();
    let mut dcc = DccSend::new(encoder(Arc::new(noop), Duration::from_secs(20)));
    dcc.send_until_coded(0);
    dcc.encoder.client_stream_report(&Report {
        stream: 0,
        unique_id: 1,
        start_mm_time: 0,
        end_mm_time: 0,
        frames: 0,
        drops: u32::MAX,
        last_frame_delay_ms: 0,
    });
    let memory = canvas(SIZES[0]);
    let frame = frame(memory.as_fd(), SIZES[0]);
    let outcome = dcc.encoder.encode_dmabuf(1, &frame, || panic!("freed"));
    assert!(matches!(outcome, Outcome::Unsupported));
}

#[test]
fn no_descriptor_and_no_encoder_is_left_behind() {
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let noop = NoopBackend::default();
    let control = Arc::clone(&noop.control);
    let round = || {
        let backend = Arc::new(NoopBackend {
            control: Arc::clone(&control),
        });
        let mut dcc = DccSend::new(encoder(backend, Duration::from_secs(20)));
        for which in [0, 1, 0, 1] {
            dcc.send_until_coded(which);
        }
        drop(dcc);
        let begun = Instant::now();
        // The pumps of sizes before end by themselves.
        while control.alive.load(Ordering::SeqCst) > 0 {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "encoders are left"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    round();
    let before = open();
    for _ in 0..20 {
        round();
    }
    // Other tests of this program open descriptors meanwhile: a leak would be hundreds.
    assert!(open() < before + 60, "{before} became {}", open());
}
