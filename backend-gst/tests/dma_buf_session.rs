//! Sessions over dma-bufs that go round: each source is let go exactly once,
//! before its picture is coded, and no descriptor stays behind.

mod support;

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use scanout_core::buffer::alloc::Provider;
use scanout_core::encoder::{BoxedError, Frame, Packet, StageConfig, StreamInfo};
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Size};
use scanout_core::session::{PacketSink, Session, SessionConfig, StreamError};
use scanout_core::sync::{Release, ReleaseSink, SyncFile};
use support::drawn::{self, Drawn};
use support::*;

const SIZE: Size = Size::new(96, 64);
const FRAMES: u32 = 300;
const BUFFERS: usize = 3;

/// How often each frame was let go, and a channel for its buffer's way back.
struct Sources {
    released: Mutex<Vec<u32>>,
    back: Mutex<mpsc::Sender<u64>>,
}

impl ReleaseSink for Sources {
    fn released(&self, cookie: u64, fence: Option<SyncFile>) {
        assert!(fence.is_none(), "a copy on the CPU has ended by now");
        self.released.lock().unwrap()[cookie as usize] += 1;
        let _ = self.back.lock().unwrap().send(cookie);
    }
}

/// Packets, and how often each one's source had been let go when it came.
#[derive(Clone)]
struct Coded {
    sources: Arc<Sources>,
    packets: Arc<Mutex<Vec<(u32, Packet)>>>,
}

impl PacketSink for Coded {
    fn packet(&mut self, _stream: &StreamInfo, packet: &Packet) -> Result<(), BoxedError> {
        let released = self.sources.released.lock().unwrap()[packet.number as usize];
        self.packets
            .lock()
            .unwrap()
            .push((released, packet.clone()));
        Ok(())
    }

    fn ended(&mut self, outcome: Result<(), StreamError>) {
        outcome.unwrap();
    }
}

fn run(provider: &Provider, element: &str) {
    let what = format!("{provider}, {element}");
    let layout = drawn::layout(Fourcc::XRGB8888, SIZE, &[(0, 52, 96 * 4 + 12)]);
    let mut ring: Vec<Drawn> = (0..BUFFERS)
        .map(|_| Drawn::new(provider, &layout, 0))
        .collect();
    let descriptors = |ring: &[Drawn]| ring.iter().map(Drawn::descriptors).sum::<usize>();
    let own = descriptors(&ring);
    // The allocation's and the import's.
    assert_eq!(own, 2 * BUFFERS, "{what}");

    let (back, returned) = mpsc::channel();
    let sources = Arc::new(Sources {
        released: Mutex::new(vec![0; FRAMES as usize]),
        back: Mutex::new(back),
    });
    let coded = Coded {
        sources: Arc::clone(&sources),
        packets: Arc::default(),
    };
    let config = support::config(element);
    let session = Session::start(
        stager(&StageConfig::new(SIZE)),
        SessionConfig::every_frame(),
    )
    .unwrap();
    session.add_stream(config, Box::new(coded.clone())).unwrap();
    let mut shown = vec![0; FRAMES as usize];
    let mut early = 0;
    for number in 0..FRAMES {
        let index = match number as usize {
            number if number < BUFFERS => number,
            _ => shown[returned.recv_timeout(LIMIT).unwrap() as usize],
        };
        shown[number as usize] = index;
        ring[index].redraw(number, |_, _| true);
        let frame = Frame::new(
            number.into(),
            ring[index].buffer.clone().into(),
            Damage::full(SIZE),
            Duration::from_millis(u64::from(number) * 16),
        );
        let release = Release::new(sources.clone(), number.into());
        session.submit(frame, release).unwrap();
        let now = descriptors(&ring);
        match number {
            // By then each buffer has been seen.
            0..20 => early = early.max(now),
            _ => assert!(now <= early, "{what}: {now} descriptors for {early}"),
        }
    }
    let stats = session.finish(LIMIT).unwrap();
    assert_eq!(stats.frames.staged, u64::from(FRAMES), "{what}");
    assert_eq!(descriptors(&ring), own, "{what}: after the session");
    assert_eq!(
        *sources.released.lock().unwrap(),
        [1; FRAMES as usize],
        "{what}"
    );
    let ids: Vec<_> = ring.iter().flat_map(Drawn::ids).collect();
    drop(ring);
    let left = drawn::descriptors_of(&ids);
    assert_eq!(left, 0, "{what}: after the producer");
    let packets = coded.packets.lock().unwrap();
    assert_eq!(packets.len(), FRAMES as usize, "{what}");
    for (number, (released, packet)) in packets.iter().enumerate() {
        assert_eq!(packet.number, number as u64, "{what}");
        assert_eq!(*released, 1, "{what}: {number} was held for the encoder");
    }
}

#[test]
fn sources_are_let_go_once_before_they_are_coded_and_leave_no_descriptor() {
    let elements = ["x264enc", "vp8enc"];
    let elements: Vec<_> = installed()
        .into_iter()
        .filter(|element| elements.contains(element))
        .collect();
    let providers = drawn::real_providers().unwrap_or_default();
    for (index, provider) in providers.iter().enumerate() {
        // Each provider and each element once, not every pair.
        if let Some(element) = elements.get(index % elements.len().max(1)) {
            println!("{provider} {element}");
            run(provider, element);
        }
    }
}
