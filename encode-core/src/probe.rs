//! What the encoders of a machine can really do: each one that is advertised
//! is opened, given a few frames, and judged by what comes out.
//!
//! This runs in the calling process. A driver that crashes takes the process
//! with it; one that hangs is given up after [`ProbeOptions::limit`] where its
//! calls return at all.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;

use crate::buffer::{Layout, MemoryImage};
use crate::encoder::{
    Backend, BackendName, Capabilities, Chroma, Device, Encoder, EncoderCaps, EncoderConfig, Frame,
    OpenError, Packet, PathClass, Picture, PictureRequest, StageConfig, StageEvent, Stager,
};
use crate::format::Fourcc;
use crate::geometry::{Damage, Size};

/// Version of the report's form; counts up when a field changes its meaning.
pub const SCHEMA: u32 = 1;

/// How thoroughly to look.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ProbeOptions {
    /// Encode for real; without it the report holds what is advertised.
    pub trial: bool,
    /// Size of the trial's pictures.
    pub size: Size,
    /// Pictures per trial.
    pub frames: u32,
    /// Longest wait for any single step of a trial.
    pub limit: Duration,
}

impl Default for ProbeOptions {
    /// Ten pictures of 640x360, five seconds per step.
    fn default() -> Self {
        Self {
            trial: true,
            size: Size::new(640, 360),
            frames: 10,
            limit: Duration::from_secs(5),
        }
    }
}

/// What a machine has.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ProbeReport {
    /// Version of this form, [`SCHEMA`].
    pub schema: u32,
    /// One row per encoder that is advertised.
    pub candidates: Vec<Candidate>,
    /// Backends and devices that could not even be asked.
    pub unavailable: Vec<Unavailable>,
}

/// A backend or device without an answer.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Unavailable {
    /// The backend.
    pub backend: BackendName,
    /// The device, where it came so far.
    pub device: Option<String>,
    /// Why.
    pub reason: String,
}

/// One encoder of one device through one backend.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Candidate {
    /// The backend.
    pub backend: BackendName,
    /// The device.
    pub device: Device,
    /// What is advertised.
    pub advertised: EncoderCaps,
    /// What the trial showed.
    pub verdict: Verdict,
}

/// The outcome of a trial.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Verdict {
    /// It encoded, and the stream is what was asked for.
    Verified(Verified),
    /// It did not.
    Failed {
        /// Why, in a sentence.
        reason: String,
    },
    /// No trial was made.
    Untried,
}

/// What a successful trial showed.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Verified {
    /// Opening the stager and the encoder, in milliseconds.
    pub open_ms: f64,
    /// First frame handed over until its packet was out, in milliseconds: some
    /// encoders do their set-up here.
    pub first_packet_ms: f64,
    /// Shortest time of a further frame in the encoder, in milliseconds, at the
    /// trial's size: the others measure what else the machine was doing.
    pub encode_ms: f64,
    /// Size of the trial's pictures.
    pub size: Size,
    /// Pictures that the encoder holds back before the first comes out.
    pub delay_frames: u32,
    /// Path that the pixels took.
    pub path: PathClass,
    /// RFC 6381 name of the stream.
    pub codec_string: Option<String>,
    /// The stream's headers say what the colours mean.
    pub color_in_headers: Option<bool>,
    /// Pictures that a decoder must hold back, where headers tell.
    pub reorder_depth: Option<u32>,
    /// A keyframe came when it was asked for.
    pub keyframe_on_request: bool,
    /// Settings that the encoder does not have.
    pub not_applied: Vec<String>,
}

/// Says how far a probe has come, for progress bars.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProbeProgress<'a> {
    /// What is tried now.
    pub encoder: &'a str,
    /// Trials finished.
    pub done: usize,
    /// Trials in all, as far as known.
    pub total: usize,
}

/// Asks every backend for its devices and encoders, and tries each.
pub fn probe(
    backends: &[Box<dyn Backend>],
    options: &ProbeOptions,
    progress: &mut dyn FnMut(ProbeProgress<'_>),
) -> ProbeReport {
    probe_while(backends, options, progress, &|| true)
}

/// Like [`probe`] as long as `go_on` says so, which is asked before each picture
/// of a trial. Encoders whose trial has not ended by then are
/// [`Untried`](Verdict::Untried).
pub fn probe_while(
    backends: &[Box<dyn Backend>],
    options: &ProbeOptions,
    progress: &mut dyn FnMut(ProbeProgress<'_>),
    go_on: &dyn Fn() -> bool,
) -> ProbeReport {
    let mut report = ProbeReport {
        schema: SCHEMA,
        candidates: Vec::new(),
        unavailable: Vec::new(),
    };
    let mut trials: Vec<(&dyn Backend, Device, EncoderCaps)> = Vec::new();
    for backend in backends {
        let backend = backend.as_ref();
        let mut refuse = |device: Option<&Device>, reason: String| {
            report.unavailable.push(Unavailable {
                backend: backend.name(),
                device: device.map(|d| d.id.clone()),
                reason,
            });
        };
        let devices = match backend.devices() {
            Ok(devices) => devices,
            Err(error) => {
                refuse(None, error.to_string());
                continue;
            }
        };
        for device in devices {
            match backend.capabilities(&device) {
                Ok(Capabilities { encoders, .. }) => {
                    trials.extend(encoders.into_iter().map(|e| (backend, device.clone(), e)));
                }
                Err(error) => refuse(Some(&device), error.to_string()),
            }
        }
    }
    let total = trials.len();
    for (done, (backend, device, advertised)) in trials.into_iter().enumerate() {
        progress(ProbeProgress {
            encoder: &advertised.name,
            done,
            total,
        });
        let verdict = if !options.trial || !go_on() {
            Verdict::Untried
        } else {
            match trial(backend, &device, &advertised, options, go_on) {
                Ok(verified) => Verdict::Verified(verified),
                Err(_) if !go_on() => Verdict::Untried,
                Err(reason) => Verdict::Failed { reason },
            }
        };
        report.candidates.push(Candidate {
            backend: backend.name(),
            device,
            advertised,
            verdict,
        });
    }
    report
}

/// Makes the frames of a trial: a gradient that moves, so that P pictures have
/// something to do.
fn frame(number: u64, size: Size) -> Result<Frame, String> {
    let (layout, bytes) =
        Layout::packed(Fourcc::XRGB8888, size, 4).ok_or_else(|| format!("no layout for {size}"))?;
    let mut pixels = vec![0u8; usize::try_from(bytes).map_err(|e| e.to_string())?];
    let width = size.width as usize;
    for (i, pixel) in pixels.chunks_exact_mut(4).enumerate() {
        let (x, y) = (i % width, i / width);
        let shifted = x + 3 * number as usize;
        pixel.copy_from_slice(&[
            (shifted & 0xff) as u8,
            (y & 0xff) as u8,
            ((shifted ^ y) & 0xff) as u8,
            0xff,
        ]);
    }
    let image = MemoryImage::new(Arc::new(pixels), layout).map_err(|e| e.to_string())?;
    let timestamp = Duration::from_nanos(number * 1_000_000_000 / 60);
    Ok(Frame::new(
        number,
        image.into(),
        Damage::full(size),
        timestamp,
    ))
}

fn trial(
    backend: &dyn Backend,
    device: &Device,
    advertised: &EncoderCaps,
    options: &ProbeOptions,
    go_on: &dyn Fn() -> bool,
) -> Result<Verified, String> {
    let text = |error: OpenError| error.to_string();
    let size = Size::new(
        options
            .size
            .width
            .clamp(advertised.min_size.width, advertised.max_size.width),
        options
            .size
            .height
            .clamp(advertised.min_size.height, advertised.max_size.height),
    );
    let mut stage = StageConfig::new(size);
    if !advertised.chroma.contains(&Chroma::C420) {
        stage.chroma = *advertised.chroma.first().unwrap_or(&Chroma::C420);
    }
    // A trial may find an encoder that holds pictures back.
    stage.pictures = MAX_DELAY as usize + 3;
    let mut config = EncoderConfig::new(advertised.codec);
    config.encoder = Some(advertised.name.clone());
    let opening = Instant::now();
    let mut stager = backend.open(device, &stage).map_err(text)?;
    let mut encoder = stager.encoder(&config).map_err(text)?;
    let open_ms = ms(opening.elapsed());

    let frames = options.frames.max(3);
    let asked_at = u64::from(frames / 2);
    let mut packets: Vec<Packet> = Vec::with_capacity(frames as usize);
    let mut delay_frames = 0;
    let mut path = PathClass::Software;
    for number in 0..u64::from(frames) {
        if !go_on() {
            return Err(format!("ended before picture {number}"));
        }
        let picture = staged(stager.as_mut(), frame(number, size)?, options.limit)?;
        path = picture.info().path;
        let request = if number == 0 || number == asked_at {
            PictureRequest::keyframe()
        } else {
            PictureRequest::plain()
        };
        encoder
            .encode(&picture, &request)
            .map_err(|e| e.to_string())?;
        drop(picture);
        // An encoder without delay answers before the next picture comes.
        if number < u64::from(delay_frames) {
            continue;
        }
        while (packets.len() as u64) + u64::from(delay_frames) < number + 1 {
            match packet(encoder.as_mut(), options.limit)? {
                Some(packet) => packets.push(packet),
                None if packets.is_empty() && delay_frames < MAX_DELAY => delay_frames += 1,
                None => {
                    return Err(format!(
                        "no packet for picture {number} within {:?}",
                        options.limit
                    ));
                }
            }
        }
    }
    encoder.drain().map_err(|e| e.to_string())?;
    let deadline = Instant::now() + options.limit;
    while !encoder.drained() {
        if let Some(packet) = packet(encoder.as_mut(), options.limit)? {
            packets.push(packet);
        } else if Instant::now() >= deadline {
            return Err(format!("it did not drain within {:?}", options.limit));
        }
    }
    judge(
        encoder.as_ref(),
        &packets,
        frames,
        asked_at,
        Verified {
            open_ms,
            first_packet_ms: 0.0,
            encode_ms: 0.0,
            size,
            delay_frames,
            path,
            codec_string: None,
            color_in_headers: None,
            reorder_depth: None,
            keyframe_on_request: false,
            not_applied: Vec::new(),
        },
    )
}

/// Pictures that an encoder may hold back before the trial gives up on it.
const MAX_DELAY: u32 = 4;

fn judge(
    encoder: &dyn Encoder,
    packets: &[Packet],
    frames: u32,
    asked_at: u64,
    mut verified: Verified,
) -> Result<Verified, String> {
    let first = packets.first().ok_or("it delivered nothing")?;
    if packets.len() != frames as usize {
        return Err(format!(
            "{frames} pictures went in, {} packets came out",
            packets.len()
        ));
    }
    if !first.keyframe {
        return Err("its first packet is no keyframe".to_owned());
    }
    if let Some(packet) = packets.iter().find(|p| p.bytes.is_empty()) {
        return Err(format!("packet {} is empty", packet.number));
    }
    if packets
        .windows(2)
        .any(|pair| pair[0].number >= pair[1].number)
    {
        return Err("its packets are out of order".to_owned());
    }
    let stream = encoder.stream();
    if stream.reorder_depth.is_some_and(|depth| depth > 0) {
        return Err(format!(
            "its headers allow reordering by {} pictures, which makes decoders wait",
            stream.reorder_depth.unwrap_or(0)
        ));
    }
    verified.first_packet_ms = ms(first
        .times
        .coded
        .map_or(Duration::ZERO, |c| c.duration_since(first.times.received)));
    let mut times: Vec<f64> = packets
        .iter()
        .skip(1)
        .filter_map(|p| Some(ms(p.times.coded?.duration_since(p.times.submitted?))))
        .collect();
    times.sort_by(f64::total_cmp);
    verified.encode_ms = times.first().copied().unwrap_or(0.0);
    verified.keyframe_on_request = packets.iter().any(|p| p.number == asked_at && p.keyframe);
    verified.codec_string = stream.codec_string.clone();
    verified.color_in_headers = stream.color_in_headers;
    verified.reorder_depth = stream.reorder_depth;
    verified.not_applied = stream.not_applied.clone();
    Ok(verified)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn staged(stager: &mut dyn Stager, frame: Frame, limit: Duration) -> Result<Picture, String> {
    let deadline = Instant::now() + limit;
    while stager.room() == 0 {
        wait(stager.wake(), deadline, "a free surface")?;
        // Makes the descriptor unreadable again.
        let _ = stager.poll();
    }
    stager.stage(frame).map_err(|e| e.to_string())?;
    loop {
        match stager.poll().map_err(|e| e.to_string())? {
            Some(StageEvent::Ready(_, picture)) => return Ok(picture),
            Some(StageEvent::Failed(_, error)) => return Err(error.to_string()),
            Some(StageEvent::SourceFree(..)) => {}
            None => wait(stager.wake(), deadline, "staging")?,
        }
    }
}

/// The next packet, or `None` when there is none within `limit`.
fn packet(encoder: &mut dyn Encoder, limit: Duration) -> Result<Option<Packet>, String> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(packet) = encoder.poll().map_err(|e| e.to_string())? {
            return Ok(Some(packet));
        }
        if encoder.drained() || wait(encoder.wake(), deadline, "a packet").is_err() {
            return Ok(None);
        }
    }
}

fn wait(fd: BorrowedFd<'_>, deadline: Instant, what: &str) -> Result<(), String> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(format!("{what} took too long"));
    }
    let limit = Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: left.subsec_nanos().into(),
    };
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    // Interrupted: the caller looks and waits again.
    let _ = poll(&mut fds, Some(&limit));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::noop::NoopBackend;

    fn verdict(prepare: impl FnOnce(&NoopBackend)) -> Verdict {
        let backend = NoopBackend::default();
        prepare(&backend);
        let options = ProbeOptions {
            limit: Duration::from_millis(20),
            ..ProbeOptions::default()
        };
        let mut seen = 0;
        let mut report = probe(&[Box::new(backend)], &options, &mut |_| seen += 1);
        assert_eq!((seen, report.candidates.len()), (1, 1));
        report.candidates.remove(0).verdict
    }

    #[test]
    fn a_probe_that_shall_end_does_so_before_the_next_picture() {
        // Asked before the trial, before each picture, and after a failure.
        for end_after in [0, 1, 4] {
            let backends: [Box<dyn Backend>; 2] = [
                Box::new(NoopBackend::default()),
                Box::new(NoopBackend::default()),
            ];
            let asked = std::cell::Cell::new(0);
            let go_on = || {
                asked.set(asked.get() + 1);
                asked.get() <= end_after
            };
            let report = probe_while(&backends, &ProbeOptions::default(), &mut |_| {}, &go_on);
            assert_eq!(report.candidates.len(), 2);
            let untried = |c: &Candidate| matches!(c.verdict, Verdict::Untried);
            assert!(report.candidates.iter().all(untried), "{end_after}");
            assert!(asked.get() <= end_after + 3, "{end_after}: {asked:?}");
        }
    }

    #[test]
    fn an_encoder_that_works_is_verified() {
        let Verdict::Verified(verified) = verdict(|_| {}) else {
            panic!("not verified");
        };
        assert_eq!(verified.delay_frames, 0);
        assert!(verified.keyframe_on_request);
    }

    #[test]
    fn an_encoder_that_does_not_work_fails_with_the_reason() {
        let reason = |verdict| match verdict {
            Verdict::Failed { reason } => reason,
            other => panic!("{other:?}"),
        };
        let stalled = verdict(|b| b.control.encode_stalls.store(true, Ordering::SeqCst));
        assert!(reason(stalled).contains("holds 1 pictures"));
        let failing = verdict(|b| b.control.encode_fails.store(true, Ordering::SeqCst));
        assert!(reason(failing).contains("asked to"));
        let stuck = verdict(|b| b.control.stage_hangs.store(true, Ordering::SeqCst));
        assert!(reason(stuck).contains("staging took too long"));
        let lost = verdict(|b| b.control.device_lost.store(true, Ordering::SeqCst));
        assert!(reason(lost).contains("device lost"));
    }
}
