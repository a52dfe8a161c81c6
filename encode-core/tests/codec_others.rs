//! Keyframes, sizes and colours in the streams of other encoders' codecs.
#![allow(missing_docs)]

mod codec_support;

use codec_support::{Folder, encode, has_tool};
use scanout_core::codec::{SyntaxError, av1, hevc, jpeg, vp8, vp9};
use scanout_core::geometry::Size;

/// Frames of an IVF file.
fn ivf(file: &[u8]) -> Vec<&[u8]> {
    let mut frames = Vec::new();
    let mut rest = &file[32..];
    while rest.len() >= 12 {
        let size = u32::from_le_bytes(rest[..4].try_into().unwrap()) as usize;
        frames.push(&rest[12..12 + size]);
        rest = &rest[12 + size..];
    }
    frames
}

#[test]
fn keyframes_sizes_and_colours_of_the_other_codecs_are_found() {
    if !has_tool("ffmpeg") {
        return;
    }
    let folder = Folder::new("others");
    let color = [
        "-colorspace",
        "bt709",
        "-color_primaries",
        "bt709",
        "-color_trc",
        "iec61966-2-1",
        // Since 7.0 ffmpeg takes them from the frames.
        "-vf",
        "setparams=color_primaries=bt709:color_trc=iec61966-2-1:colorspace=bt709",
    ];
    let run = |name: &str, args: &[&str]| {
        encode(
            &folder,
            name,
            "323x181",
            6,
            &[&["-pix_fmt", "yuv420p", "-g", "3"], args, &color[..]].concat(),
        )
    };
    let size = Size::new(323, 181);

    let file = run(
        "a.ivf",
        &[
            "-c:v",
            "libvpx",
            "-deadline",
            "realtime",
            "-lag-in-frames",
            "0",
        ],
    );
    let headers: Vec<_> = ivf(&file)
        .iter()
        .map(|f| vp8::FrameHeader::read(f).unwrap())
        .collect();
    assert_eq!(headers[0].keyframe, Some(size));
    assert_eq!(headers.iter().filter(|h| h.keyframe.is_some()).count(), 2);

    let file = run(
        "b.ivf",
        &[
            "-c:v",
            "libvpx-vp9",
            "-deadline",
            "realtime",
            "-cpu-used",
            "8",
            "-lag-in-frames",
            "0",
        ],
    );
    let headers: Vec<_> = ivf(&file)
        .iter()
        .map(|f| vp9::FrameHeader::read(f).unwrap())
        .collect();
    let key = headers[0].keyframe.unwrap();
    assert_eq!(
        (
            key.size,
            key.color.color_space,
            key.color.full_range,
            key.color.bit_depth
        ),
        (size, 2, false, 8)
    );
    assert_eq!(headers.iter().filter(|h| h.keyframe.is_some()).count(), 2);

    let file = run(
        "c.ivf",
        &[
            "-c:v",
            "libaom-av1",
            "-usage",
            "realtime",
            "-cpu-used",
            "8",
            "-lag-in-frames",
            "0",
        ],
    );
    let mut sequence = None;
    let mut keyframes = 0;
    for unit in ivf(&file) {
        let contents = av1::contents(unit, sequence).unwrap();
        sequence = contents.sequence.or(sequence);
        keyframes += usize::from(contents.keyframe);
        assert_eq!(contents.frames, 1);
    }
    let sequence = sequence.unwrap();
    assert_eq!(
        (
            sequence.max_size,
            sequence.color.codes,
            sequence.color.bit_depth
        ),
        (size, (1, 13, 1), 8)
    );
    assert_eq!(keyframes, 2);
    assert!(
        sequence.codec_string().starts_with("av01.0."),
        "{}",
        sequence.codec_string()
    );

    let stream = encode(
        &folder,
        "d.h265",
        "322x182",
        2,
        &[
            "-pix_fmt",
            "yuv420p",
            "-c:v",
            "libx265",
            "-x265-params",
            "log-level=none:bframes=0",
        ],
    );
    let contents = hevc::contents(&stream);
    assert!(contents.vps && contents.sps && contents.pps && contents.keyframe);
    assert_eq!(contents.pictures, 2);
}

/// A JFIF picture's segments up to its scan: `sampling` is that of luma, chroma's is 1x1.
fn jpeg_head(marker: u8, sampling: u8, components: u8) -> Vec<u8> {
    let mut head = vec![0xFF, 0xD8];
    head.extend(b"\xFF\xE0\x00\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
    // A table, and fill bytes before the next marker.
    head.extend([0xFF, 0xC4, 0, 3, 0, 0xFF, 0xFF]);
    head.extend([0xFF, marker, 0, 8 + 3 * components, 8]);
    head.extend([181u16, 323].map(u16::to_be_bytes).concat());
    head.push(components);
    for component in 0..components {
        let factors = if component == 0 { sampling } else { 0x11 };
        head.extend([component + 1, factors, 0]);
    }
    head.extend([0xFF, 0xDA, 0, 2]);
    head
}

#[test]
fn sizes_and_sampling_of_jpegs_are_found() {
    let size = Size::new(323, 181);
    for (sampling, subsampling) in [
        (0x22, (true, true)),
        (0x21, (true, false)),
        (0x11, (false, false)),
    ] {
        let header = jpeg::FrameHeader::read(&jpeg_head(0xC0, sampling, 3)).unwrap();
        assert_eq!(header.subsampling, subsampling);
        assert_eq!((header.size, header.precision), (size, 8));
        assert!(header.jfif && header.baseline);
    }
    let grey = jpeg::FrameHeader::read(&jpeg_head(0xC2, 0x11, 1)).unwrap();
    assert_eq!((grey.components, grey.baseline), (1, false));
}

#[test]
fn what_is_no_jpeg_or_ends_early_is_an_error() {
    let whole = jpeg_head(0xC0, 0x22, 3);
    for length in 0..whole.len() {
        let seen = jpeg::FrameHeader::read(&whole[..length]);
        assert!(
            matches!(seen, Err(SyntaxError::Truncated { .. })),
            "{length}: {seen:?}"
        );
    }
    for (at, byte) in [(0, 0), (1, 0xD9), (2, 0), (5, 1), (36, 4)] {
        let mut broken = whole.clone();
        broken[at] = byte;
        assert!(jpeg::FrameHeader::read(&broken).is_err(), "{byte} at {at}");
    }
}

#[test]
fn a_jpeg_of_another_encoder_is_read() {
    if !has_tool("ffmpeg") {
        return;
    }
    let folder = Folder::new("jpeg");
    let args = ["-c:v", "mjpeg", "-pix_fmt", "yuvj420p"];
    let file = encode(&folder, "a.mjpeg", "323x181", 1, &args);
    let header = jpeg::FrameHeader::read(&file).unwrap();
    assert_eq!(header.size, Size::new(323, 181));
    assert_eq!(header.subsampling, (true, true));
}
