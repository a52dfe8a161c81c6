//! A session over real encoders: every frame comes out, sources are let go.

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use scanout_core::encoder::{Adjustment, Bitrate, BoxedError, Packet, StageConfig, StreamInfo};
use scanout_core::geometry::Size;
use scanout_core::session::{PacketSink, Session, SessionConfig, StreamError};
use scanout_core::sync::{Release, ReleaseSink, SyncFile};
use support::*;

#[derive(Clone, Default)]
struct Kept {
    numbers: Arc<Mutex<Vec<(u64, bool)>>>,
    clean: Arc<AtomicUsize>,
}

impl PacketSink for Kept {
    fn packet(&mut self, _stream: &StreamInfo, packet: &Packet) -> Result<(), BoxedError> {
        self.numbers
            .lock()
            .unwrap()
            .push((packet.number, packet.keyframe));
        Ok(())
    }

    fn ended(&mut self, outcome: Result<(), StreamError>) {
        outcome.unwrap();
        self.clean.fetch_add(1, Ordering::SeqCst);
    }
}

#[derive(Default)]
struct Released(AtomicUsize);

impl ReleaseSink for Released {
    fn released(&self, _cookie: u64, _fence: Option<SyncFile>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_session_codes_every_frame_with_every_element() {
    let size = Size::new(161, 91);
    for element in installed() {
        let stager = stager(&stage_config(element, size));
        let session = Session::start(stager, SessionConfig::every_frame()).unwrap();
        let kept = Kept::default();
        let stream = session
            .add_stream(config(element), Box::new(kept.clone()))
            .unwrap();
        let released = Arc::new(Released::default());
        for number in 0..40 {
            if number == 10 {
                session.request_keyframe(stream).unwrap();
            }
            if number == 20 {
                session
                    .adjust(stream, Adjustment::bitrate(Bitrate::kbps(500)))
                    .unwrap();
            }
            let release = Release::new(released.clone(), number);
            session.submit(frame(number, size), release).unwrap();
        }
        session.finish(LIMIT).unwrap();
        let numbers = kept.numbers.lock().unwrap();
        let mut seen: Vec<u64> = numbers.iter().map(|(number, _)| *number).collect();
        assert!(seen.is_sorted(), "{element}: {seen:?}");
        // A keyframe on request may code the picture before a second time.
        seen.dedup();
        assert_eq!(seen, (0..40).collect::<Vec<_>>(), "{element}");
        let keyframes = numbers.iter().filter(|(_, keyframe)| *keyframe).count();
        assert!(keyframes >= 2, "{element}: {numbers:?}");
        assert_eq!(kept.clean.load(Ordering::SeqCst), 1, "{element}");
        assert_eq!(released.0.load(Ordering::SeqCst), 40, "{element}");
    }
}

#[test]
fn one_staging_feeds_h264_and_vp8_of_one_source() {
    let have = installed();
    if !["x264enc", "vp8enc"].iter().all(|name| have.contains(name)) {
        return;
    }
    const FRAMES: u64 = 30;
    let size = Size::new(320, 180);
    let session = Session::start(
        stager(&StageConfig::new(size)),
        SessionConfig::every_frame(),
    )
    .unwrap();
    let sinks = ["x264enc", "vp8enc"].map(|element| {
        let sink = Bytes::default();
        session
            .add_stream(config(element), Box::new(sink.clone()))
            .unwrap();
        (element, sink)
    });
    let released = Arc::new(Released::default());
    for number in 0..FRAMES {
        let release = Release::new(released.clone(), number);
        session.submit(frame(number, size), release).unwrap();
    }
    let stats = session.finish(LIMIT).unwrap();
    assert_eq!(
        stats.frames.staged, FRAMES,
        "staged more than once, or not at all"
    );
    assert_eq!(released.0.load(Ordering::SeqCst), FRAMES as usize);
    let folder = Folder::new("two-codecs");
    for (element, sink) in sinks {
        let packets = sink.0.lock().unwrap();
        assert_eq!(packets.len() as u64, FRAMES, "{element}");
        let file = folder.path(element);
        write_stream(&file, codec_of(element), size, &packets);
        let decoded = ffmpeg_decode(&file, "yuv420p");
        assert_eq!(
            decoded.len() as u64,
            FRAMES * 320 * 180 * 3 / 2,
            "{element}"
        );
    }
}

#[derive(Clone, Default)]
struct Bytes(Arc<Mutex<Vec<Packet>>>);

impl PacketSink for Bytes {
    fn packet(&mut self, _stream: &StreamInfo, packet: &Packet) -> Result<(), BoxedError> {
        self.0.lock().unwrap().push(packet.clone());
        Ok(())
    }

    fn ended(&mut self, outcome: Result<(), StreamError>) {
        outcome.unwrap();
    }
}
