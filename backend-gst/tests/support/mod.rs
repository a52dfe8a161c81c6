//! Frames with known content, encoders driven one picture at a time, and
//! ffmpeg as the judge of what comes out.
#![allow(dead_code, unreachable_pub)]

pub mod drawn;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use scanout_core::buffer::{Layout, MemoryImage, SourceBuffer};
use scanout_core::convert::{PictureFormat, PictureLayout};
use scanout_core::encoder::{
    Backend, Chroma, Codec, EncodeError, Encoder, EncoderConfig, Frame, HostSurface, Packet,
    Picture, PictureRequest, StageConfig, StageEvent, Stager,
};
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Size};
use scanout_core::sync::Acquire;
use scanout_gst::GstBackend;

/// Longest wait for anything in a test.
pub const LIMIT: Duration = Duration::from_secs(20);

pub const SOFTWARE: [&str; 9] = [
    "x264enc",
    "openh264enc",
    "x265enc",
    "svtav1enc",
    "av1enc",
    "rav1enc",
    "vp8enc",
    "vp9enc",
    "jpegenc",
];

/// The software elements that are installed and can be opened; the others are
/// named on stderr.
pub fn installed() -> Vec<&'static str> {
    GstBackend::new().unwrap();
    let (have, lack): (Vec<&str>, Vec<&str>) = SOFTWARE
        .into_iter()
        .filter(|name| {
            scanout_gst::elements::find(name)
                .unwrap()
                .withholds
                .is_none()
        })
        .partition(|name| gstreamer::ElementFactory::find(name).is_some());
    for name in lack {
        eprintln!("SKIPPED: {name} is not installed");
    }
    have
}

pub fn codec_of(element: &str) -> Codec {
    scanout_gst::elements::find(element).unwrap().codec
}

pub fn stager(config: &StageConfig) -> Box<dyn Stager> {
    let backend = GstBackend::new().unwrap();
    let cpu = backend
        .devices()
        .unwrap()
        .into_iter()
        .find(|d| d.id == "cpu")
        .unwrap();
    backend.open(&cpu, config).unwrap()
}

/// Pictures for `element`, in the colour that its codec is best shown in.
pub fn stage_config(element: &str, size: Size) -> StageConfig {
    let mut config = StageConfig::new(size);
    config.color = codec_of(element).preferred_color(size);
    config
}

/// The worst quantiser of a codec.
pub fn worst_qp(codec: Codec) -> u8 {
    match codec {
        Codec::H264 | Codec::H265 => 51,
        Codec::Mjpeg => 100,
        _ => 63,
    }
}

pub fn config(element: &str) -> EncoderConfig {
    let mut config = EncoderConfig::new(codec_of(element));
    config.encoder = Some(element.to_owned());
    config.threads = std::num::NonZeroU32::new(2);
    config
}

/// A desktop of coloured areas and fine stripes with a square that moves.
pub fn frame(number: u64, size: Size) -> Frame {
    let (width, height) = (size.width as usize, size.height as usize);
    let mut bytes = vec![0u8; width * height * 4];
    let at = (number as usize * 7) % width.max(1);
    for (y, row) in bytes.chunks_exact_mut(width * 4).enumerate() {
        for (x, pixel) in row.chunks_exact_mut(4).enumerate() {
            let inside = x >= at && x < at + width / 8 && y >= height / 4 && y < height / 2;
            let color: [u8; 3] = if inside {
                [32, 64, 240]
            } else if y > height * 3 / 4 {
                // Text-like detail in the lower quarter.
                if (x / 2 + y / 3) % 2 == 0 {
                    [250; 3]
                } else {
                    [20; 3]
                }
            } else {
                [
                    (x * 200 / width) as u8,
                    (y * 200 / height) as u8,
                    ((x + y) * 100 / (width + height)) as u8 + 60,
                ]
            };
            pixel[..3].copy_from_slice(&color);
        }
    }
    let (layout, _) = Layout::packed(Fourcc::XRGB8888, size, 4).unwrap();
    let image = MemoryImage::new(Arc::new(bytes), layout).unwrap();
    let mut frame = Frame::new(
        number,
        SourceBuffer::Memory(image),
        Damage::full(size),
        Duration::from_millis(number * 1000 / 60),
    );
    frame.acquire = Acquire::Ready;
    frame
}

/// Sleeps until `fd` is readable or the deadline has passed.
fn sleep(fd: std::os::fd::BorrowedFd<'_>, deadline: Instant) {
    let left = deadline.saturating_duration_since(Instant::now());
    assert!(!left.is_zero(), "nothing came within {LIMIT:?}");
    let timeout = Timespec {
        tv_sec: left.as_secs() as i64,
        tv_nsec: left.subsec_nanos().into(),
    };
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    poll(&mut fds, Some(&timeout)).unwrap();
}

/// Stages one frame and waits for its picture.
pub fn stage(stager: &mut dyn Stager, frame: Frame) -> Picture {
    let deadline = Instant::now() + LIMIT;
    while stager.room() == 0 {
        assert!(stager.poll().unwrap().is_none());
        sleep(stager.wake(), deadline);
    }
    stager.stage(frame).unwrap();
    loop {
        match stager.poll().unwrap() {
            Some(StageEvent::Ready(_, picture)) => return picture,
            Some(StageEvent::Failed(_, error)) => panic!("{error}"),
            Some(_) => {}
            None => sleep(stager.wake(), deadline),
        }
    }
}

/// Waits for the next packet, which must not need another picture.
pub fn next_packet(encoder: &mut dyn Encoder) -> Result<Packet, EncodeError> {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(packet) = encoder.poll()? {
            return Ok(packet);
        }
        sleep(encoder.wake(), deadline);
    }
}

/// One picture in, its packet out, before anything else goes in.
pub fn encode(
    encoder: &mut dyn Encoder,
    picture: &Picture,
    request: &PictureRequest,
) -> Result<Packet, EncodeError> {
    let deadline = Instant::now() + LIMIT;
    while encoder.room() == 0 {
        assert!(encoder.poll()?.is_none());
        if encoder.room() == 0 {
            sleep(encoder.wake(), deadline);
        }
    }
    let id = encoder.encode(picture, request)?;
    let packet = next_packet(encoder)?;
    assert_eq!(packet.picture, id, "a packet of another picture");
    Ok(packet)
}

/// Drains `encoder`, which must hold nothing back.
pub fn drain(encoder: &mut dyn Encoder) {
    encoder.drain().unwrap();
    let deadline = Instant::now() + LIMIT;
    while !encoder.drained() {
        let late = encoder.poll().unwrap();
        assert!(late.is_none(), "a packet was held back: {late:?}");
        if !encoder.drained() {
            sleep(encoder.wake(), deadline);
        }
    }
}

/// The samples of a picture, cropped to `size`, planes one after the other.
pub fn samples(picture: &Picture, size: Size) -> Vec<u8> {
    let surface = picture.surface::<HostSurface>().unwrap();
    samples_of(surface.layout(), surface.bytes(), size)
}

/// The same of the bytes of a picture.
pub fn samples_of(layout: &PictureLayout, bytes: &[u8], size: Size) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, plane) in layout.planes().iter().enumerate() {
        let sub = if index > 0 && layout.format().is_subsampled() {
            2
        } else {
            1
        };
        let (width, height) = (size.width.div_ceil(sub), size.height.div_ceil(sub));
        // Cb and Cr in turn.
        let pair = index > 0 && layout.format() == PictureFormat::Nv12;
        let row = width as usize * if pair { 2 } else { 1 };
        for y in 0..height as usize {
            let start = plane.offset + y * plane.stride;
            out.extend_from_slice(&bytes[start..start + row]);
        }
    }
    out
}

pub fn psnr(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    let sum: u64 = a
        .iter()
        .zip(b)
        .map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2))
        .sum();
    10.0 * (255.0 * 255.0 * a.len() as f64 / sum.max(1) as f64).log10()
}

/// A folder that goes away with the value.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("scanout-gst-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Of a file that [`write_stream`] makes.
pub fn extension(codec: Codec) -> &'static str {
    match codec {
        Codec::H264 => "h264",
        Codec::H265 => "h265",
        Codec::Mjpeg => "mjpeg",
        _ => "ivf",
    }
}

/// Writes packets so that ffmpeg can read them: as they are, or in IVF.
pub fn write_stream(path: &Path, codec: Codec, size: Size, packets: &[Packet]) {
    let mut file = std::fs::File::create(path).unwrap();
    if codec.is_annex_b() || codec == Codec::Mjpeg {
        for packet in packets {
            file.write_all(&packet.bytes).unwrap();
        }
        return;
    }
    let tag = match codec {
        Codec::Vp8 => b"VP80",
        Codec::Vp9 => b"VP90",
        _ => b"AV01",
    };
    let mut header = Vec::from(*b"DKIF\0\0\x20\0");
    header.extend_from_slice(tag);
    header.extend_from_slice(&(size.width as u16).to_le_bytes());
    header.extend_from_slice(&(size.height as u16).to_le_bytes());
    header.extend_from_slice(&60u32.to_le_bytes());
    header.extend_from_slice(&1u32.to_le_bytes());
    header.extend_from_slice(&(packets.len() as u32).to_le_bytes());
    header.extend_from_slice(&[0; 4]);
    file.write_all(&header).unwrap();
    for (index, packet) in packets.iter().enumerate() {
        file.write_all(&(packet.bytes.len() as u32).to_le_bytes())
            .unwrap();
        file.write_all(&(index as u64).to_le_bytes()).unwrap();
        file.write_all(&packet.bytes).unwrap();
    }
}

/// ffmpeg's name for the samples of a codec's pictures: by another of the same shape
/// it changes them.
pub fn pix_fmt(codec: Codec, chroma: Chroma) -> &'static str {
    match (chroma, codec) {
        (Chroma::C444, Codec::Mjpeg) => "yuvj444p",
        (_, Codec::Mjpeg) => "yuvj420p",
        (Chroma::C444, _) => "yuv444p",
        _ => "yuv420p",
    }
}

/// Decodes with ffmpeg, which must have nothing to say, into raw planes.
pub fn ffmpeg_decode(path: &Path, pix_fmt: &str) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-v", "warning", "-xerror", "-err_detect", "explode", "-i"])
        .arg(path)
        .args([
            "-vsync",
            "passthrough",
            "-f",
            "rawvideo",
            "-pix_fmt",
            pix_fmt,
            "-",
        ])
        .stdin(Stdio::null())
        .output()
        .expect("ffmpeg is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", path.display());
    let said: Vec<&str> = said
        .lines()
        // Of raw streams, which carry no times.
        .filter(|l| !l.contains("Timestamps are unset") && !l.contains("deprecated"))
        // Of few and small pictures without a container.
        .filter(|l| !l.contains("misdetection possible"))
        .filter(|l| !l.trim().is_empty())
        .collect();
    assert!(said.is_empty(), "{}: {said:?}", path.display());
    output.stdout
}

/// What ffprobe says of the first video stream.
pub fn ffprobe(path: &Path, entries: &str) -> String {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v:0", "-count_frames"])
        .args(["-show_entries", &format!("stream={entries}")])
        .args(["-of", "default=noprint_wrappers=1"])
        .arg(path)
        .output()
        .expect("ffprobe is installed");
    assert!(output.status.success());
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
