//! Files that others can read, and errors for those that cannot be written.

mod support;

use std::path::Path;
use std::time::Duration;

use scanout_core::encoder::{Chroma, FrameRate, Packet, PictureRequest, StreamInfo};
use scanout_core::geometry::Size;
use scanout_gst::Decoder;
use scanout_gst::mux::{MuxError, Muxer};
use support::*;

const SIZE: Size = Size::new(161, 91);
const COUNT: u64 = 20;

/// A short stream with what went in.
fn stream(element: &str, chroma: Chroma) -> (StreamInfo, Vec<Packet>, Vec<Vec<u8>>) {
    let mut stage_config = stage_config(element, SIZE);
    stage_config.chroma = chroma;
    let mut stager = stager(&stage_config);
    let mut encoder = stager.encoder(&config(element)).unwrap();
    let told = encoder.stream().coded;
    let (mut packets, mut pictures) = (Vec::new(), Vec::new());
    for number in 0..COUNT {
        let picture = stage(&mut *stager, frame(number, SIZE));
        packets.push(encode(&mut *encoder, &picture, &PictureRequest::plain()).unwrap());
        pictures.push(samples(&picture, told));
    }
    (encoder.stream().clone(), packets, pictures)
}

fn mux(path: &Path, info: &StreamInfo, packets: &[Packet]) -> Result<(), MuxError> {
    let mut muxer = Muxer::open(path, info, FrameRate::whole(60))?;
    for packet in packets {
        muxer.write(packet)?;
    }
    muxer.finish(LIMIT)
}

#[test]
fn containers_hold_every_frame_and_the_visible_size() {
    let folder = Folder::new("mux");
    for element in installed() {
        let (info, packets, _) = stream(element, Chroma::C420);
        for extension in ["mp4", "mkv"] {
            let path = folder.path(&format!("{element}.{extension}"));
            match mux(&path, &info, &packets) {
                Err(MuxError::Codec { .. })
                    if ["vp8enc", "jpegenc"].contains(&element) && extension == "mp4" =>
                {
                    continue;
                }
                other => other.unwrap(),
            }
            let seen = ffprobe(&path, "nb_read_frames,width,height");
            assert!(
                seen.contains(&format!("nb_read_frames={COUNT}")),
                "{element} {extension}: {seen}"
            );
            ffmpeg_decode(&path, "yuv420p");
            let bytes = std::fs::read(&path).unwrap();
            if extension == "mp4" {
                assert_eq!(
                    track_size(&bytes),
                    Some(SIZE),
                    "{element}: size in the track header"
                );
            } else {
                assert_eq!(
                    matroska_size(&bytes),
                    Some(SIZE),
                    "{element}: size of the track"
                );
            }
        }
    }
}

/// The presentation size in `tkhd`: its last eight bytes, 16.16 fixed point.
fn track_size(file: &[u8]) -> Option<Size> {
    let at = file.windows(4).position(|w| w == b"tkhd")?;
    let length = u32::from_be_bytes(file[at - 4..at].try_into().ok()?) as usize;
    let end = at - 4 + length;
    let side = |at: usize| u32::from(u16::from_be_bytes([file[at], file[at + 1]]));
    Some(Size::new(side(end - 8), side(end - 4)))
}

/// PixelWidth (0xB0) and PixelHeight (0xBA), each with a length of two or less.
fn matroska_size(file: &[u8]) -> Option<Size> {
    // Video (0xE0) precedes them; look for the pair with our order of sizes.
    let value = |id: u8| {
        let video = file
            .windows(2)
            .position(|w| w[0] == 0xE0 && w[1] & 0x80 != 0 || w == [0xE0, 0x01])?;
        let rest = &file[video..(video + 200).min(file.len())];
        rest.windows(4).find_map(|w| match (w[0] == id, w[1]) {
            (true, 0x81) => Some(u32::from(w[2])),
            (true, 0x82) => Some(u32::from(w[2]) << 8 | u32::from(w[3])),
            _ => None,
        })
    };
    Some(Size::new(value(0xB0)?, value(0xBA)?))
}

#[test]
fn our_own_decoder_gives_back_what_went_in() {
    for element in installed() {
        let row = scanout_gst::elements::find(element).unwrap();
        for &chroma in row.chroma {
            let (info, packets, pictures) = stream(element, chroma);
            let mut decoder = Decoder::open(info.codec).unwrap();
            for packet in &packets {
                decoder.push(packet).unwrap();
            }
            decoder.end().unwrap();
            for (number, sent) in pictures.iter().enumerate() {
                let frame = decoder.next(LIMIT).unwrap().unwrap();
                assert_eq!(frame.size, info.coded);
                assert_eq!(frame.chroma, chroma);
                let db = psnr(&frame.samples, sent);
                assert!(
                    db > 26.0,
                    "{element} {chroma}: frame {number} at {db:.1} dB"
                );
            }
            assert!(decoder.next(LIMIT).unwrap().is_none());
        }
    }
}

#[test]
fn a_broken_stream_is_an_error_of_the_decoder() {
    let (info, mut packets, _) = stream("x264enc", Chroma::C420);
    let mut broken = packets[1].bytes.to_vec();
    for byte in broken.iter_mut().skip(8) {
        *byte ^= 0x5a;
    }
    packets[1].bytes = broken.into();
    let mut decoder = Decoder::open(info.codec).unwrap();
    let mut outcome = Ok(());
    let mut frames = 0;
    for packet in &packets {
        outcome = outcome.and_then(|()| decoder.push(packet));
    }
    outcome = outcome.and_then(|()| decoder.end());
    while outcome.is_ok() {
        match decoder.next(LIMIT) {
            Ok(Some(_)) => frames += 1,
            Ok(None) => break,
            Err(error) => outcome = Err(error),
        }
    }
    assert!(outcome.is_err() || frames < COUNT, "nothing was noticed");
}

#[test]
fn files_that_cannot_be_written_are_errors_with_their_names() {
    let (info, packets, _) = stream("x264enc", Chroma::C420);
    let folder = Folder::new("refused");
    let nowhere = folder.path("no/such/folder/a.mp4");
    let error = mux(&nowhere, &info, &packets).unwrap_err().to_string();
    assert!(error.contains("no/such/folder/a.mp4"), "{error}");
    let error = mux(&folder.path("a.avi"), &info, &packets).unwrap_err();
    assert!(matches!(error, MuxError::Extension { .. }), "{error}");
    let empty = folder.path("empty.mp4");
    let error = mux(&empty, &info, &[]).unwrap_err();
    assert!(matches!(error, MuxError::Empty { .. }), "{error}");
    assert!(!empty.exists());
}

#[test]
fn a_full_disk_is_an_error_and_no_hang() {
    let (info, packets, _) = stream("x264enc", Chroma::C420);
    let folder = Folder::new("full");
    // Every write to it fails with ENOSPC.
    let path = folder.path("full.mkv");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let error = mux(&path, &info, &packets).unwrap_err();
    let MuxError::Write { cause, .. } = &error else {
        panic!("{error:?}");
    };
    // Places in GStreamer's source are for the log.
    assert!(
        cause.debug.as_deref().is_some_and(|d| d.contains(".c(")),
        "{cause:?}"
    );
    let told = error.to_string();
    assert!(told.starts_with(&format!("{}: ", path.display())), "{told}");
    assert!(told.ends_with(&cause.message), "{told}");
    assert!(!told.contains(".c(") && !told.contains('\n'), "{told}");
}

#[test]
fn packets_of_one_time_stay_apart() {
    let (info, mut packets, _) = stream("x264enc", Chroma::C420);
    for packet in &mut packets {
        packet.timestamp = Duration::from_secs(3);
    }
    let folder = Folder::new("times");
    let path = folder.path("a.mp4");
    mux(&path, &info, &packets).unwrap();
    let seen = ffprobe(&path, "nb_read_frames");
    assert!(seen.contains(&format!("={COUNT}")), "{seen}");
}
