//! A source with a known picture, encoders that work, decoders that judge.

use std::io::Write as _;
use std::num::NonZeroU32;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use scanout_core::buffer::alloc::{Canvas, Provider};
use scanout_core::buffer::{DmaBuf, ImportPolicy, Layout, Orientation};
use scanout_core::convert::reference::{Rgb, luma};
use scanout_core::encoder::{Backend, Codec, FrameTimes, Packet, PacketBytes, PictureId};
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Rect, Size};
use scanout_gst::{Decoder, GstBackend};
use scanout_spice::stream::{EncoderChoice, GlStream, GlStreamConfig};

use crate::support::*;

/// Memory that shows a dark ground with a light square on it.
pub(crate) struct Desk {
    pub(crate) canvas: Canvas,
    layout: Layout,
    orientation: Orientation,
    square: Rect,
}

impl Desk {
    pub(crate) fn new(provider: &Provider, size: Size, orientation: Orientation) -> Self {
        let (layout, bytes) = Layout::packed(Fourcc::XRGB8888, size, 64).unwrap();
        let canvas = provider.allocate(bytes).unwrap().into_canvas().unwrap();
        let mut desk = Self {
            canvas,
            layout,
            orientation,
            square: Rect::new(0, 0, 24, 24),
        };
        desk.fill(Rect::of(size), [60, 30, 20]);
        desk.fill(desk.square, [200, 220, 240]);
        desk
    }

    pub(crate) fn buffer(&self) -> DmaBuf {
        let policy = ImportPolicy::default().with_memfd();
        DmaBuf::import(&[self.canvas.as_fd()], &self.layout, &policy)
            .unwrap()
            .with_orientation(self.orientation)
    }

    fn fill(&mut self, rect: Rect, bgr: [u8; 3]) {
        let (stride, height) = (
            self.layout.planes[0].stride as usize,
            self.layout.size.height,
        );
        let bottom_up = self.orientation == Orientation::BottomUp;
        self.canvas
            .draw(|bytes| {
                for y in rect.y..rect.bottom() {
                    let row = if bottom_up { height - 1 - y } else { y } as usize * stride;
                    for x in rect.x..rect.right() {
                        let at = row + x as usize * 4;
                        bytes[at..at + 3].copy_from_slice(&bgr);
                    }
                }
            })
            .unwrap();
    }

    /// Moves the square; what changed.
    pub(crate) fn step(&mut self, x: u32, y: u32) -> Damage {
        let old = self.square;
        self.fill(old, [60, 30, 20]);
        self.square = Rect { x, y, ..old };
        self.fill(self.square, [200, 220, 240]);
        [old, self.square].into_iter().collect()
    }

    /// Mean difference between the luma of what is shown and that of `decoded`.
    pub(crate) fn distance(&self, decoded: &[u8], width: usize, codec: Codec) -> f64 {
        let spec = codec.preferred_color(self.layout.size);
        let size = self.layout.size;
        let of = |bgr: [u8; 3]| {
            let [b, g, r] = bgr.map(u16::from);
            let components = [r, g, b];
            i32::from(luma(
                spec,
                Rgb {
                    components,
                    peak: 255,
                },
            ))
        };
        let (dark, light) = (of([60, 30, 20]), of([200, 220, 240]));
        let mut sum = 0u64;
        for y in 0..size.height {
            for x in 0..size.width {
                let lit = self.square.contains(Rect::new(x, y, 1, 1));
                let want = if lit { light } else { dark };
                let at = y as usize * width + x as usize;
                sum += u64::from(want.abs_diff(decoded[at].into()));
            }
        }
        sum as f64 / size.area() as f64
    }
}

/// Luma of the last picture of a channel, as a decoder shows it, and its width.
pub(crate) fn last_picture(channel: &Channel, codec: Codec, size: Size) -> (Vec<u8>, usize) {
    if codec == Codec::H264 {
        return last_by_ffmpeg(channel, size);
    }
    let mut decoder = Decoder::open(codec).unwrap();
    for (index, payload) in channel.pictures().iter().enumerate() {
        let times = FrameTimes::at(Instant::now());
        let bytes = PacketBytes::from(payload.pieces().concat());
        let id = index as u64;
        let packet = Packet::new(PictureId(id), id, Duration::ZERO, bytes, index == 0, times);
        decoder.push(&packet).unwrap();
    }
    decoder.end().unwrap();
    let mut last = None;
    while let Some(frame) = decoder.next(PATIENCE).unwrap() {
        last = Some(frame);
    }
    let last = last.unwrap();
    (last.samples, last.size.width as usize)
}

/// The bytes as a client gets them, as one stream: ffmpeg finds the pictures in it.
fn last_by_ffmpeg(channel: &Channel, size: Size) -> (Vec<u8>, usize) {
    let pictures = channel.pictures();
    let mut bytes: Vec<u8> = pictures.iter().flat_map(|p| p.pieces().concat()).collect();
    // What follows the last picture is the beginning of one that never comes.
    let end = pictures.last().unwrap().tail.len();
    bytes.truncate(bytes.len() - end);
    let mut child = Command::new("ffmpeg")
        .args(["-v", "error", "-xerror", "-f", "h264", "-i", "-"])
        .args(["-f", "rawvideo", "-pix_fmt", "yuv420p", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the package ffmpeg judges H.264");
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && complaints.is_empty(),
        "{complaints}"
    );
    // Of even sizes.
    let frame = size.area() as usize * 3 / 2;
    // What follows the first picture of a stream is a message of its own.
    let coded = pictures.iter().filter(|p| p.body.len() > p.skip).count();
    assert_eq!(
        output.stdout.len(),
        frame * coded,
        "a picture for each message with one"
    );
    let last = output.stdout[output.stdout.len() - frame..].to_vec();
    (last, size.width as usize)
}

pub(crate) fn config_with(encoder: &str, codec: Codec) -> GlStreamConfig {
    let backend = GstBackend::new().unwrap();
    let devices = backend.devices().unwrap();
    let cpu = devices.into_iter().find(|d| d.id == "cpu").unwrap();
    let choice = EncoderChoice::new(Arc::new(backend), cpu, encoder, codec);
    let mut config = GlStreamConfig::new(vec![choice]);
    config.max_fps = NonZeroU32::new(200).unwrap();
    config
}

pub(crate) fn stream_of(encoder: &str, codec: Codec) -> GlStream {
    GlStream::start(config_with(encoder, codec)).unwrap()
}

pub(crate) fn scanout_gst_has(encoder: &str) -> bool {
    let backend = GstBackend::new().unwrap();
    let devices = backend.devices().unwrap();
    devices.iter().any(|device| {
        let caps = backend.capabilities(device).unwrap();
        caps.encoders.iter().any(|e| e.name == encoder)
    })
}
