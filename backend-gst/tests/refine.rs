//! A still desktop gets sharper while nothing moves.

mod support;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use scanout_core::buffer::{Layout, MemoryImage};
use scanout_core::encoder::{
    Bitrate, BoxedError, FrameRate, Packet, RateControl, StageConfig, StreamInfo,
};
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Size};
use scanout_core::session::{PacketSink, Refinement, Session, SessionConfig, StreamError};
use scanout_core::sync::{Release, ReleaseSink, SyncFile};
use support::*;

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Packet>>>);

impl PacketSink for Kept {
    fn packet(&mut self, _: &StreamInfo, packet: &Packet) -> Result<(), BoxedError> {
        self.0.lock().unwrap().push(packet.clone());
        Ok(())
    }

    fn ended(&mut self, outcome: Result<(), StreamError>) {
        outcome.unwrap();
    }
}

struct Nobody;

impl ReleaseSink for Nobody {
    fn released(&self, _: u64, _: Option<SyncFile>) {}
}

/// Lines of letters, dark on white, each letter a pattern of its own, over a wallpaper.
fn page(size: Size) -> scanout_core::encoder::Frame {
    let mut frame = frame(0, size);
    let (width, height) = (size.width as usize, size.height as usize);
    let mut bytes = vec![0u8; width * height * 4];
    for (y, row) in bytes.chunks_exact_mut(width * 4).enumerate() {
        for (x, pixel) in row.chunks_exact_mut(4).enumerate() {
            let paper = x > width / 8 && x < width * 7 / 8 && y > height / 8;
            let (column, line) = (x / 8, y / 16);
            let letter = (column * 7919 + line * 104_729) % 61;
            let stroke = (letter * 2_654_435_761) >> ((x % 8) / 2 * 4 + (y % 16) / 4);
            let ink = x % 8 < 6 && (3..13).contains(&(y % 16)) && letter > 9 && stroke & 1 == 1;
            let color: [u8; 3] = match (paper, ink) {
                (true, true) => [30, 25, 20],
                (true, false) => [250, 250, 252],
                _ => [
                    (x * 120 / width) as u8 + 60,
                    (y * 160 / height) as u8,
                    ((x * 3 + y * 2) % 97) as u8,
                ],
            };
            pixel[..3].copy_from_slice(&color);
        }
    }
    let (layout, _) = Layout::packed(Fourcc::XRGB8888, size, 4).unwrap();
    frame.buffer = MemoryImage::new(Arc::new(bytes), layout).unwrap().into();
    frame.damage = Damage::full(size);
    frame
}

/// The packets of a page that stays, and the PSNR of each as ffmpeg shows it.
fn still(element: &str, size: Size, kbps: u32) -> (Vec<Packet>, Vec<f64>) {
    let stage_config: StageConfig = stage_config(element, size);
    let mut alone = stager(&stage_config);
    let staged = stage(&mut *alone, page(size));
    let truth = samples(&staged, size);

    let mut live = SessionConfig::live();
    live.refine = Some(Refinement::new());
    let session = Session::start(stager(&stage_config), live).unwrap();
    let mut encoder = config(element);
    encoder.rate = RateControl::constant(Bitrate::kbps(kbps));
    encoder.frame_rate = FrameRate::whole(60);
    let kept = Kept::default();
    session.add_stream(encoder, Box::new(kept.clone())).unwrap();
    let release = Release::new(Arc::new(Nobody), 0);
    session.submit(page(size), release).unwrap();
    let packets = || kept.0.lock().unwrap().len();
    let begin = Instant::now();
    let mut seen = (0, Instant::now());
    // Far longer than the session waits, whatever the machine is busy with.
    while seen.1.elapsed() < Duration::from_secs(2) || seen.0 == 0 {
        assert!(begin.elapsed() < 3 * LIMIT, "{element} does not end");
        std::thread::sleep(Duration::from_millis(10));
        if packets() != seen.0 {
            seen = (packets(), Instant::now());
        }
    }
    let stats = session.finish(LIMIT).unwrap();
    let packets = kept.0.lock().unwrap().clone();
    assert_eq!(stats.streams[0].refined as usize, packets.len() - 1);

    let folder = Folder::new(&format!("refine-{element}"));
    let file = folder.path("still");
    write_stream(&file, codec_of(element), size, &packets);
    let decoded = ffmpeg_decode(&file, pix_fmt(codec_of(element), stage_config.chroma));
    let shown: Vec<f64> = decoded
        .chunks_exact(truth.len())
        .map(|picture| psnr(picture, &truth))
        .collect();
    assert_eq!(shown.len(), packets.len());
    (packets, shown)
}

#[test]
fn a_still_desktop_gets_sharper_until_it_is_sharp() {
    let size = Size::new(1920, 1080);
    // With x264 164 it is 13 dB, with libvpx 1.12 it is 21. Pictures wait for their time at
    // the least, so that a slow machine has no fewer.
    for (element, gain) in [("x264enc", 8.0), ("vp8enc", 15.0)] {
        if !installed().contains(&element) {
            continue;
        }
        let (packets, shown) = still(element, size, 8000);
        assert!(packets[0].keyframe && packets[1..].iter().all(|packet| !packet.keyframe));
        let (first, last) = (shown[0], shown[shown.len() - 1]);
        eprintln!(
            "{element}: {first:.1} dB, {} packets later {last:.1}",
            packets.len() - 1
        );
        assert!(last > first + gain, "{element}: {shown:.1?}");
        for pair in shown.windows(2) {
            assert!(pair[1] > pair[0] - 0.5, "{element}: {shown:.1?}");
        }
        // All of it together stays within the rate, the keyframe's window included.
        let bytes: usize = packets.iter().map(|packet| packet.bytes.len()).sum();
        let time = packets[packets.len() - 1].timestamp + Duration::from_millis(250);
        let rate = bytes as f64 * 8.0 / time.as_secs_f64();
        assert!(rate < 8e6, "{element}: {rate} bit/s");
    }
}

#[test]
fn a_jpeg_that_filled_its_window_is_not_made_worse() {
    let (packets, _) = still("jpegenc", Size::new(1920, 1080), 8000);
    assert_eq!(packets.len(), 1);
}
