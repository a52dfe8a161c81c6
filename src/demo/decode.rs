//! The judges: decoders that are none of ours.

use std::io::{self, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use scanout_core::convert::PictureLayout;
use scanout_core::encoder::{Chroma, Codec, StreamInfo};
use scanout_core::geometry::Size;

use crate::failure::{Exit, Failure};

/// Most of a decoder's complaints that are kept.
const MAX_COMPLAINTS: u64 = 64 * 1024;

/// Size and planes of what a decoder gives.
#[derive(Clone, Copy, Debug)]
pub(super) struct DecodedShape {
    /// Luma.
    pub(super) size: Size,
    /// Chroma.
    pub(super) chroma: Size,
}

impl DecodedShape {
    /// What decoders give for `stream`: its visible size, made even where the
    /// bitstream cannot crop to an odd one.
    pub(super) fn of(stream: &StreamInfo) -> Self {
        let visible = stream.visible;
        let subsampled = stream.chroma != Chroma::C444;
        let size = if subsampled && !stream.codec.carries_odd_sizes() {
            visible.align_up(2).unwrap_or(visible)
        } else {
            visible
        };
        let chroma = if subsampled {
            Size::new(size.width.div_ceil(2), size.height.div_ceil(2))
        } else {
            size
        };
        Self { size, chroma }
    }

    /// Bytes of a frame, planes one after the other without gaps.
    pub(super) fn bytes(&self) -> usize {
        (self.size.area() + 2 * self.chroma.area()) as usize
    }

    /// The planes of a frame with their strides.
    pub(super) fn planes<'a>(&self, frame: &'a [u8]) -> [(&'a [u8], usize); 3] {
        let (luma, chroma) = (self.size.area() as usize, self.chroma.area() as usize);
        let part = |start: usize, len: usize| frame.get(start..start + len).unwrap_or_default();
        [
            (part(0, luma), self.size.width as usize),
            (part(luma, chroma), self.chroma.width as usize),
            (part(luma + chroma, chroma), self.chroma.width as usize),
        ]
    }

    /// That a picture of ours can be compared with it.
    pub(super) fn fits(&self, layout: &PictureLayout) -> bool {
        layout.visible().width <= self.size.width && layout.visible().height <= self.size.height
    }
}

/// True where the `ffmpeg` program is there.
pub(super) fn have_ffmpeg() -> bool {
    let ran = Command::new("ffmpeg")
        .arg("-version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    ran.is_ok_and(|status| status.success())
}

/// ffmpeg, told to be strict: any error ends it, any warning is an error to us.
fn ffmpeg(file: &Path) -> Command {
    let mut command = Command::new("ffmpeg");
    command
        .args(["-hide_banner", "-nostdin", "-loglevel", "warning"])
        .args(["-xerror", "-err_detect", "explode", "-i"])
        .arg(file)
        .args(["-map", "0:v:0", "-fps_mode", "passthrough"])
        .stdin(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// Decodes `file` and shows each picture to `each`; its end must be a silent one.
pub(super) fn with_ffmpeg(
    file: &Path,
    stream: &StreamInfo,
    each: &mut dyn FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let name = format!("ffmpeg on {}", file.display());
    // By another name of full range, ffmpeg would change the samples.
    let pixels = match (stream.chroma, stream.codec) {
        (Chroma::C444, Codec::Mjpeg) => "yuvj444p",
        (_, Codec::Mjpeg) => "yuvj420p",
        (Chroma::C444, _) => "yuv444p",
        _ => "yuv420p",
    };
    let child = ffmpeg(file)
        .args(["-f", "rawvideo", "-pix_fmt", pixels, "pipe:1"])
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| Failure::new(Exit::Verification, format_args!("starting ffmpeg: {e}")))?;
    let mut child = Reaped(child);
    let stdout = child.0.stdout.take();
    let stdout = stdout.ok_or_else(|| Failure::new(Exit::Internal, "ffmpeg has no pipe"))?;
    let complaints = listen(&mut child.0)?;
    let mut pictures = BufReader::with_capacity(1 << 20, stdout);
    let needed = DecodedShape::of(stream).bytes();
    let mut picture = Vec::with_capacity(needed);
    loop {
        picture.clear();
        pictures
            .by_ref()
            .take(needed as u64)
            .read_to_end(&mut picture)
            .map_err(|e| Failure::new(Exit::Verification, format_args!("{name}: {e}")))?;
        if picture.len() < needed {
            break;
        }
        each(&picture)?;
    }
    // First its own words: they say why a picture is cut short.
    silent(&mut child.0, complaints, &name)?;
    if picture.is_empty() {
        return Ok(());
    }
    let seen = picture.len();
    Err(Failure::new(
        Exit::Verification,
        format_args!("{name}: {seen} bytes where a picture has {needed}"),
    ))
}

/// A child that does not outlive an error here.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        // It has ended already where all went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Decodes all of `file` and throws the pictures away.
pub(super) fn check_with_ffmpeg(file: &Path) -> Result<(), Failure> {
    let mut child = ffmpeg(file)
        .args(["-f", "null", "-"])
        .stdout(Stdio::null())
        .spawn()
        .map_err(|e| Failure::new(Exit::Verification, format_args!("starting ffmpeg: {e}")))?;
    let complaints = listen(&mut child)?;
    silent(
        &mut child,
        complaints,
        &format!("ffmpeg on {}", file.display()),
    )
}

fn listen(child: &mut Child) -> Result<JoinHandle<String>, Failure> {
    let stderr = child.stderr.take();
    let listen = move || {
        let mut text = Vec::new();
        if let Some(mut stderr) = stderr {
            // What was heard so far is worth telling, whatever ends it.
            let _ = stderr.by_ref().take(MAX_COMPLAINTS).read_to_end(&mut text);
            let _ = io::copy(&mut stderr, &mut io::sink());
        }
        String::from_utf8_lossy(&text).trim().to_owned()
    };
    std::thread::Builder::new()
        .name("scanout-listen".to_owned())
        .spawn(listen)
        .map_err(|e| Failure::new(Exit::Internal, format_args!("starting a thread: {e}")))
}

fn silent(child: &mut Child, complaints: JoinHandle<String>, name: &str) -> Result<(), Failure> {
    let failed = |why: &dyn std::fmt::Display| {
        Failure::new(Exit::Verification, format_args!("{name}: {why}"))
    };
    let status = child.wait().map_err(|e| failed(&e))?;
    let complaints = complaints.join().unwrap_or_default();
    if !complaints.is_empty() {
        return Err(failed(&complaints));
    }
    if !status.success() {
        return Err(failed(&status));
    }
    Ok(())
}
