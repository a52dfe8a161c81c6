//! The last picture of an idle source is coded again until it is good, and no longer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use scanout_core::buffer::{Layout, MemoryImage};
use scanout_core::encoder::{
    Bitrate, BoxedError, Codec, EncoderConfig, Frame, Packet, RateControl, StageConfig, StreamInfo,
};
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Rect, Size};
use scanout_core::noop::{NoopControl, NoopStager};
use scanout_core::session::{
    PacketSink, Refinement, Session, SessionConfig, StreamError, StreamId,
};
use scanout_core::sync::{Release, ReleaseSink, SyncFile};

/// A byte per 1000 pixels is 10 bytes: the packets of 8 are tiny, those of 100 are not.
const SIZE: Size = Size::new(100, 100);
const LIMIT: Duration = Duration::from_secs(5);
const AFTER: Duration = Duration::from_millis(20);

struct Nobody;

impl ReleaseSink for Nobody {
    fn released(&self, _: u64, _: Option<SyncFile>) {}
}

#[derive(Clone)]
struct Kept {
    packets: Arc<Mutex<Vec<(u64, bool, Duration)>>>,
    open: Arc<AtomicBool>,
}

impl PacketSink for Kept {
    fn packet(&mut self, _: &StreamInfo, packet: &Packet) -> Result<(), BoxedError> {
        let mut packets = self.packets.lock().unwrap();
        packets.push((packet.number, packet.keyframe, packet.timestamp));
        Ok(())
    }

    fn room(&mut self) -> bool {
        self.open.load(Ordering::SeqCst)
    }

    fn ended(&mut self, _: Result<(), StreamError>) {}
}

impl Kept {
    fn numbers(&self) -> Vec<u64> {
        let packets = self.packets.lock().unwrap();
        packets.iter().map(|(number, ..)| *number).collect()
    }

    fn count(&self) -> usize {
        self.packets.lock().unwrap().len()
    }
}

struct Rig {
    control: Arc<NoopControl>,
    session: Session,
    image: MemoryImage,
}

impl Rig {
    fn new(pictures: u32, packet_bytes: usize) -> Self {
        let control = Arc::new(NoopControl::default());
        control.keep_requests.store(true, Ordering::SeqCst);
        control.packet_bytes.store(packet_bytes, Ordering::SeqCst);
        let stager = NoopStager::new(Arc::clone(&control), &StageConfig::new(SIZE)).unwrap();
        let mut config = SessionConfig::live();
        let mut refine = Refinement::new();
        refine.after = AFTER;
        refine.pictures = pictures;
        config.refine = Some(refine);
        let (layout, bytes) = Layout::packed(Fourcc::XRGB8888, SIZE, 4).unwrap();
        Self {
            control,
            session: Session::start(Box::new(stager), config).unwrap(),
            image: MemoryImage::new(Arc::new(vec![0u8; bytes as usize]), layout).unwrap(),
        }
    }

    fn stream(&self) -> (StreamId, Kept) {
        self.stream_of(EncoderConfig::new(Codec::H264))
    }

    fn stream_of(&self, config: EncoderConfig) -> (StreamId, Kept) {
        let kept = Kept {
            packets: Arc::default(),
            open: Arc::new(AtomicBool::new(true)),
        };
        let sink = Box::new(kept.clone());
        (self.session.add_stream(config, sink).unwrap(), kept)
    }

    fn submit(&self, number: u64, damage: Damage) {
        let frame = Frame::new(number, self.image.clone().into(), damage, Duration::ZERO);
        let release = Release::new(Arc::new(Nobody), number);
        self.session.submit(frame, release).unwrap();
    }

    fn refined(&self) -> u64 {
        self.session.stats().streams[0].refined
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !done() {
        assert!(Instant::now() < deadline, "{what}: not within {LIMIT:?}");
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Waits for `count` packets, and then whether there are more.
fn comes_to(kept: &Kept, count: usize) {
    until("the packets", || kept.count() >= count);
    std::thread::sleep(10 * AFTER);
    assert_eq!(kept.count(), count, "{:?}", kept.packets);
}

#[test]
fn a_picture_that_stays_is_coded_again_so_often_and_later_each_time() {
    let rig = Rig::new(5, 100);
    let (_, kept) = rig.stream();
    rig.submit(7, Damage::full(SIZE));
    comes_to(&kept, 6);
    let packets = kept.packets.lock().unwrap().clone();
    assert!(packets.iter().all(|(number, ..)| *number == 7));
    let keyframes: Vec<bool> = packets.iter().map(|(_, keyframe, _)| *keyframe).collect();
    assert_eq!(keyframes, [true, false, false, false, false, false]);
    for pair in packets.windows(2) {
        assert!(pair[1].2 >= pair[0].2 + AFTER, "{packets:?}");
    }
    let stats = &rig.session.stats().streams[0];
    assert_eq!((stats.coded, stats.refined), (6, 5));
    assert_eq!((stats.total.count, stats.queue.count), (1, 1));
    // Skipped by an encoder that believes it, the whole would be for nothing.
    let requests = rig.control.requests.lock().unwrap();
    assert!(requests.iter().all(|(_, asked)| asked.damage.is_none()));
}

#[test]
fn without_being_asked_for_nothing_is_coded_again() {
    for config in [SessionConfig::live(), SessionConfig::every_frame()] {
        assert_eq!(config.refine, None);
    }
    let rig = Rig::new(0, 100);
    let (_, kept) = rig.stream();
    rig.submit(0, Damage::full(SIZE));
    comes_to(&kept, 1);
}

#[test]
fn four_tiny_packets_in_a_row_end_it() {
    let rig = Rig::new(100, 100);
    let (_, kept) = rig.stream();
    rig.submit(0, Damage::full(SIZE));
    until("some", || kept.count() >= 5);
    rig.control.packet_bytes.store(8, Ordering::SeqCst);
    let before = kept.count();
    until("tiny ones", || kept.count() >= before + 3);
    std::thread::sleep(10 * AFTER);
    let after = kept.count();
    assert!(after <= before + 6, "{before} {after}");
    std::thread::sleep(10 * AFTER);
    assert_eq!(kept.count(), after);
}

#[test]
fn a_small_change_of_a_fine_picture_costs_two_at_most() {
    let rig = Rig::new(6, 100);
    let (stream, kept) = rig.stream();
    rig.submit(0, Damage::full(SIZE));
    comes_to(&kept, 7);
    rig.submit(1, Damage::from(Rect::new(0, 0, 1, 1)));
    comes_to(&kept, 10);
    // Tiny at once: it is fine.
    rig.control.packet_bytes.store(8, Ordering::SeqCst);
    rig.submit(2, Damage::from(Rect::new(0, 0, 1, 1)));
    comes_to(&kept, 12);
    // Much changes, and it starts over.
    rig.control.packet_bytes.store(1000, Ordering::SeqCst);
    rig.session.request_keyframe(stream).unwrap();
    comes_to(&kept, 19);
    assert_eq!(rig.refined(), 6 + 2 + 1 + 6);
}

#[test]
fn whatever_is_new_comes_first_and_starts_over() {
    let rig = Rig::new(3, 1000);
    let (_, kept) = rig.stream();
    rig.submit(0, Damage::full(SIZE));
    until("once more", || kept.count() >= 2);
    rig.submit(1, Damage::from(Rect::new(0, 0, 8, 8)));
    until("the new one", || kept.numbers().contains(&1));
    let before = kept.numbers().iter().filter(|n| **n == 0).count();
    comes_to(&kept, before + 4);
    assert!(kept.numbers().is_sorted(), "an old one after a new one");
    // After all that of the first the damage of the second is known again.
    let requests = rig.control.requests.lock().unwrap();
    let (_, asked) = requests.iter().find(|(number, _)| *number == 1).unwrap();
    assert_eq!(asked.damage, Some(Damage::from(Rect::new(0, 0, 8, 8))));
}

#[test]
fn a_sink_without_room_gets_nothing_until_it_has_some() {
    let rig = Rig::new(20, 100);
    let (_, kept) = rig.stream();
    let (_, other) = rig.stream();
    kept.open.store(false, Ordering::SeqCst);
    rig.submit(0, Damage::full(SIZE));
    comes_to(&other, 21);
    assert_eq!(kept.count(), 0);
    kept.open.store(true, Ordering::SeqCst);
    rig.session.waker().wake();
    until("the first", || kept.count() >= 1);
    kept.open.store(false, Ordering::SeqCst);
    std::thread::sleep(5 * AFTER);
    let closed = kept.count();
    std::thread::sleep(10 * AFTER);
    assert_eq!(kept.count(), closed, "coded for a sink without room");
    kept.open.store(true, Ordering::SeqCst);
    comes_to(&kept, 21);
}

#[test]
fn a_stream_that_is_gone_is_not_refined_and_finishing_waits_for_nothing() {
    let rig = Rig::new(u32::MAX, 100);
    let (gone, kept) = rig.stream();
    let (_, stays) = rig.stream();
    rig.submit(0, Damage::full(SIZE));
    until("some", || kept.count() >= 3);
    rig.session.remove_stream(gone).unwrap();
    let (before, other) = (kept.count(), stays.count());
    until("more", || stays.count() >= other + 3);
    assert_eq!(kept.count(), before);
    let control = Arc::clone(&rig.control);
    rig.session.finish(LIMIT).unwrap();
    assert_eq!(control.alive.load(Ordering::SeqCst), 0);
}

#[test]
fn a_whole_picture_is_coded_again_only_while_it_was_short_of_bits() {
    let rig = Rig::new(8, 1000);
    // At 4 Mbit/s a window of 250 ms has 125 KB.
    let mut config = EncoderConfig::new(Codec::Mjpeg);
    config.rate = RateControl::constant(Bitrate::kbps(4000));
    let (_, kept) = rig.stream_of(config);
    let mut packets = 0;
    for (number, sizes) in [
        (0, &[70_000][..]),
        (1, &[1000, 2000, 4000, 4100]),
        (2, &[1000, 70_000]),
    ] {
        for (again, &bytes) in sizes.iter().enumerate() {
            rig.control.packet_bytes.store(bytes, Ordering::SeqCst);
            if again == 0 {
                rig.submit(number, Damage::full(SIZE));
            }
            packets += 1;
            until("a packet", || kept.count() >= packets);
        }
        std::thread::sleep(Duration::from_millis(600));
        assert_eq!(kept.count(), packets, "{number}: {sizes:?}");
    }
    let shown = kept.packets.lock().unwrap();
    for pair in shown.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
        assert!(pair[1].2 - pair[0].2 >= Duration::from_millis(250));
    }
}
