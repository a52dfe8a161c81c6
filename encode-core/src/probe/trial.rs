//! One trial: a few frames through a stager and an encoder, and what to think
//! of the packets.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{ProbeOptions, Verified};
use crate::buffer::{Layout, MemoryImage};
use crate::encoder::{
    Backend, Chroma, Device, Encoder, EncoderCaps, EncoderConfig, Frame, OpenError, Packet,
    PathClass, Picture, PictureRequest, StageConfig, StageEvent, Stager,
};
use crate::format::Fourcc;
use crate::geometry::{Damage, Size};

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

/// What `advertised` does with a few frames; the error is the reason, in a sentence.
pub(super) fn trial(
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
    stage.color = advertised.codec.preferred_color(size);
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
            // Not asked for, and each frame of a trial differs from the one before.
            Some(StageEvent::Unchanged(_)) => return Err("a frame is not staged".to_owned()),
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
