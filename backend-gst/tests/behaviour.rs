//! What encoders do beside coding: live changes, refusals, ends.

mod support;

use std::time::{Duration, Instant};

use scanout_core::buffer::{Layout, MemoryImage, SourceBuffer};
use scanout_core::encoder::{
    Adjustment, Applied, Backend, Bitrate, Chroma, Codec, Effort, EncodeError, Encoder,
    EncoderConfig, Frame, Keyframes, OpenError, Picture, PictureRequest, QpBounds, RateControl,
    RateMode, StageConfig, Stager,
};
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Size};
use scanout_core::sync::Acquire;
use scanout_gst::elements::Live;
use scanout_gst::{GstBackend, reaper};
use support::*;

const SIZE: Size = Size::new(160, 120);

/// A frame of noise: as many bits as rate control lets it have.
fn noise(number: u64) -> Frame {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let bytes: Vec<u8> = (0..SIZE.width * SIZE.height * 4)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8 & 0x7f
        })
        .collect();
    let (layout, _) = Layout::packed(Fourcc::XRGB8888, SIZE, 4).unwrap();
    let image = MemoryImage::new(std::sync::Arc::new(bytes), layout).unwrap();
    let mut frame = Frame::new(
        number,
        SourceBuffer::Memory(image),
        Damage::full(SIZE),
        Duration::from_millis(number * 1000 / 60),
    );
    frame.acquire = Acquire::Ready;
    frame
}

/// Mean bytes of the last 30 of 60 pictures.
fn phase(stager: &mut dyn Stager, encoder: &mut dyn Encoder, next: &mut u64) -> f64 {
    let mut bytes = 0;
    for index in 0..60 {
        let picture = stage(stager, noise(*next));
        *next += 1;
        let packet = encode(encoder, &picture, &PictureRequest::plain()).unwrap();
        if index >= 30 {
            bytes += packet.bytes.len();
        }
    }
    bytes as f64 / 30.0
}

#[test]
fn packets_follow_another_bit_rate() {
    for element in installed() {
        let row = scanout_gst::elements::find(element).unwrap();
        let mut stager = stager(&stage_config(element, SIZE));
        let mut config = config(element);
        // Nothing refers to another picture there: noise takes more.
        let unit = if codec_of(element).is_intra_only() {
            2500
        } else {
            1000
        };
        config.rate = RateControl::constant(Bitrate::kbps(unit));
        let mut encoder = stager.encoder(&config).unwrap();
        let mut next = 0;
        let before = phase(&mut *stager, &mut *encoder, &mut next);
        let applied = encoder
            .adjust(&Adjustment::bitrate(Bitrate::kbps(4 * unit)))
            .unwrap();
        let expected = match row.live_bitrate {
            Live::InPlace => Applied::InPlace,
            Live::Reopen => Applied::Reopened,
        };
        assert_eq!(applied, expected, "{element}");
        let after = phase(&mut *stager, &mut *encoder, &mut next);
        encoder
            .adjust(&Adjustment::bitrate(Bitrate::kbps(unit)))
            .unwrap();
        let again = phase(&mut *stager, &mut *encoder, &mut next);
        eprintln!(
            "{element}: {applied:?} {before:.0} -> {after:.0} -> {again:.0} bytes at {unit}, 4 and 1 times that kbit/s"
        );
        assert!(after > 2.0 * before, "{element}: {before:.0} -> {after:.0}");
        assert!(again < 0.6 * after, "{element}: {after:.0} -> {again:.0}");
    }
}

#[test]
fn packets_follow_other_quantiser_bounds() {
    for element in installed() {
        let mut stager = stager(&stage_config(element, SIZE));
        let mut config = config(element);
        config.rate = RateControl::constant(Bitrate::kbps(8000));
        let mut encoder = stager.encoder(&config).unwrap();
        let mut next = 0;
        let before = phase(&mut *stager, &mut *encoder, &mut next);
        let max = worst_qp(codec_of(element));
        let bounds = QpBounds { min: max - 6, max };
        let applied = encoder.adjust(&Adjustment::qp(bounds)).unwrap();
        let after = phase(&mut *stager, &mut *encoder, &mut next);
        eprintln!("{element}: {applied:?} {before:.0} -> {after:.0} bytes");
        assert!(after < 0.7 * before, "{element}: {before:.0} -> {after:.0}");
    }
}

#[test]
fn no_effort_and_no_number_of_threads_brings_delay_or_reordering() {
    for element in installed() {
        for effort in [Effort::Fastest, Effort::Balanced, Effort::Quality] {
            for threads in [
                None,
                std::num::NonZeroU32::new(1),
                std::num::NonZeroU32::new(3),
            ] {
                let mut stager = stager(&stage_config(element, SIZE));
                let mut config = config(element);
                config.effort = effort;
                config.threads = threads;
                let mut encoder = stager.encoder(&config).unwrap();
                for number in 0..8 {
                    let picture = stage(&mut *stager, frame(number, SIZE));
                    // Fails where a packet waits for the next picture.
                    encode(&mut *encoder, &picture, &PictureRequest::plain()).unwrap();
                }
                let info = encoder.stream();
                assert_eq!(
                    info.reorder_depth,
                    Some(0),
                    "{element} {effort} {threads:?}"
                );
                let lacking = &info.not_applied;
                let known = |said: &String| match element {
                    "jpegenc" => said.contains("number of threads"),
                    _ => said.contains("rate buffer"),
                };
                assert!(lacking.iter().all(known), "{element}: {lacking:?}");
            }
        }
    }
}

#[test]
fn keyframes_come_at_the_interval_asked_for() {
    for element in installed() {
        let mut stager = stager(&stage_config(element, SIZE));
        let mut config = config(element);
        config.keyframes = Keyframes::Every(std::num::NonZeroU32::new(10).unwrap());
        let mut encoder = stager.encoder(&config).unwrap();
        let mut keyframes = Vec::new();
        for number in 0..35 {
            let picture = stage(&mut *stager, frame(number, SIZE));
            let packet = encode(&mut *encoder, &picture, &PictureRequest::plain()).unwrap();
            if packet.keyframe {
                keyframes.push(number);
            }
        }
        assert_eq!(keyframes[0], 0, "{element}");
        if codec_of(element).is_intra_only() {
            assert_eq!(keyframes.len(), 35, "{element}");
        }
        assert!(
            keyframes.windows(2).all(|w| w[1] - w[0] <= 10) && keyframes.len() >= 4,
            "{element}: {keyframes:?}"
        );
    }
}

/// libaom and libvpx are built with assertions, which end the process.
#[test]
fn any_bounds_and_quantisers_are_survived() {
    for element in installed() {
        let max = worst_qp(codec_of(element));
        let mut stager = stager(&stage_config(element, SIZE));
        let mut encoder = stager.encoder(&config(element)).unwrap();
        let mut number = 0;
        let mut push = |encoder: &mut dyn Encoder| {
            for _ in 0..4 {
                let picture = stage(&mut *stager, noise(number));
                number += 1;
                encode(encoder, &picture, &PictureRequest::plain()).unwrap();
            }
        };
        push(&mut *encoder);
        for (min, max) in [
            (0, 10),
            (max - 5, max),
            (0, max),
            (30, 30),
            (max, max),
            (0, 0),
        ] {
            match encoder.adjust(&Adjustment::qp(QpBounds { min, max })) {
                // Below what the library has: refused, and coded as before.
                Err(EncodeError::Unsupported { detail, .. })
                    if element == "openh264enc" && max < 12 =>
                {
                    assert!(detail.contains("12 to 51"), "{detail}");
                }
                applied => drop(applied.unwrap()),
            }
            push(&mut *encoder);
            encoder
                .adjust(&Adjustment::bitrate(Bitrate::kbps(100)))
                .unwrap();
            push(&mut *encoder);
        }
        let inverted = encoder.adjust(&Adjustment::qp(QpBounds { min: 40, max: 20 }));
        assert!(inverted.is_err(), "{element}");
    }
}

#[test]
fn a_constant_quantiser_is_constant() {
    for element in installed() {
        let mut sizes = Vec::new();
        let max = worst_qp(codec_of(element));
        for qp in [max / 4, max - max / 4] {
            let mut stager = stager(&stage_config(element, SIZE));
            let mut config = config(element);
            config.rate = RateControl::ConstantQp { qp };
            let mut encoder = stager.encoder(&config).unwrap();
            let mut next = 0;
            sizes.push(phase(&mut *stager, &mut *encoder, &mut next));
            let error = encoder.adjust(&Adjustment::bitrate(Bitrate::kbps(1000)));
            assert!(
                matches!(error, Err(EncodeError::Unsupported { .. })),
                "{element}"
            );
        }
        eprintln!("{element}: {sizes:.0?} bytes");
        assert!(sizes[0] > 1.5 * sizes[1], "{element}: {sizes:.0?}");
    }
}

#[test]
fn a_reopened_encoder_goes_on_in_order_from_a_keyframe() {
    let mut stager = stager(&StageConfig::new(SIZE));
    let mut encoder = stager.encoder(&config("x264enc")).unwrap();
    let picture = stage(&mut *stager, noise(0));
    let plain = PictureRequest::plain();
    encode(&mut *encoder, &picture, &plain).unwrap();
    // Two inside the old element while the new one starts.
    encoder.encode(&picture, &plain).unwrap();
    encoder.encode(&picture, &plain).unwrap();
    assert_eq!(encoder.room(), 0);
    let full = encoder.encode(&picture, &plain);
    assert!(
        matches!(full, Err(EncodeError::Busy { held: 2 })),
        "{full:?}"
    );
    let qp = QpBounds { min: 20, max: 40 };
    assert_eq!(
        encoder.adjust(&Adjustment::qp(qp)).unwrap(),
        Applied::Reopened
    );
    for expected in 1..=2 {
        assert_eq!(next_packet(&mut *encoder).unwrap().picture.0, expected);
    }
    let packet = encode(&mut *encoder, &picture, &plain).unwrap();
    assert_eq!(packet.picture.0, 3);
    assert!(packet.keyframe);
    drain(&mut *encoder);
}

#[test]
fn what_is_not_there_is_said_with_what_to_install() {
    let stager = stager(&StageConfig::new(SIZE));
    let mut config = EncoderConfig::new(Codec::H264);
    for (name, reason) in [
        ("nosuchenc", "table"),
        ("vah264enc", "CPU"),
        ("vp8enc", "vp8"),
        ("x264enc; rm", "table"),
    ] {
        config.encoder = Some(name.to_owned());
        let error = stager.encoder(&config).err().unwrap();
        assert!(matches!(error, OpenError::NoSuchEncoder { .. }), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    }
    if gstreamer::ElementFactory::find("svtav1enc").is_none() {
        let mut config = EncoderConfig::new(Codec::Av1);
        config.encoder = Some("svtav1enc".to_owned());
        let error = stager.encoder(&config).err().unwrap().to_string();
        assert!(error.contains("gstreamer1.0-plugins-bad"), "{error}");
    }
}

#[test]
fn settings_out_of_range_are_refused_with_the_bounds() {
    let stager = stager(&StageConfig::new(SIZE));
    let open = |element: &str, rate| {
        let mut config = config(element);
        config.rate = rate;
        stager.encoder(&config).err().unwrap().to_string()
    };
    let error = open("x264enc", RateControl::ConstantQp { qp: 60 });
    assert!(error.contains("60") && error.contains("51"), "{error}");
    let error = open(
        "x264enc",
        RateControl::constant(Bitrate::bps(10_000_000_000_000)),
    );
    assert!(error.contains("2048000"), "{error}");
    let error = open("x265enc", RateControl::constant(Bitrate::kbps(500_000)));
    assert!(error.contains("102400"), "{error}");
}

#[test]
fn sizes_that_an_element_does_not_take_are_refused_with_its_own() {
    let stager = stager(&StageConfig::new(Size::new(8, 8)));
    let error = stager.encoder(&config("x265enc")).err().unwrap();
    assert!(matches!(error, OpenError::Size { .. }), "{error}");
    assert!(error.to_string().contains("16"), "{error}");
}

#[test]
fn full_chroma_is_refused_where_the_codec_has_none() {
    let mut config = StageConfig::new(SIZE);
    config.chroma = Chroma::C444;
    let stager = stager(&config);
    assert!(stager.encoder(&EncoderConfig::new(Codec::Vp8)).is_err());
    assert!(stager.encoder(&support::config("openh264enc")).is_err());
}

#[test]
fn a_picture_of_another_size_is_refused() {
    let mut small = stager(&StageConfig::new(SIZE));
    let other = stager(&StageConfig::new(Size::new(64, 64)));
    let picture = stage(&mut *small, noise(0));
    let mut encoder = other.encoder(&config("x264enc")).unwrap();
    let error = encoder.encode(&picture, &PictureRequest::plain());
    assert!(
        matches!(error, Err(EncodeError::ForeignPicture { .. })),
        "{error:?}"
    );
}

#[test]
fn after_the_end_nothing_is_taken() {
    let mut stager = stager(&StageConfig::new(SIZE));
    let mut encoder = stager.encoder(&config("x264enc")).unwrap();
    let picture = stage(&mut *stager, noise(0));
    encode(&mut *encoder, &picture, &PictureRequest::plain()).unwrap();
    drain(&mut *encoder);
    let error = encoder.encode(&picture, &PictureRequest::plain());
    assert!(matches!(error, Err(EncodeError::Ended { .. })), "{error:?}");
    // Drained without a picture.
    let mut unused = stager.encoder(&config("x264enc")).unwrap();
    drain(&mut *unused);
}

#[test]
fn an_encoder_dropped_in_mid_run_gives_its_pictures_back() {
    for element in installed() {
        let mut config = stage_config(element, SIZE);
        config.pictures = 2;
        let mut stager = stager(&config);
        let mut encoder = stager.encoder(&support::config(element)).unwrap();
        let pictures: Vec<Picture> = (0..2).map(|n| stage(&mut *stager, noise(n))).collect();
        for picture in &pictures {
            encoder.encode(picture, &PictureRequest::plain()).unwrap();
        }
        drop(pictures);
        drop(encoder);
        assert!(reaper::settle(LIMIT));
        // Only a surface that came back makes room.
        stage(&mut *stager, noise(2));
        stage(&mut *stager, noise(3));
    }
    assert_eq!(reaper::given_up(), 0);
}

#[test]
fn one_staging_feeds_several_encoders() {
    let mut stager = stager(&StageConfig::new(SIZE));
    let mut first = stager.encoder(&config("x264enc")).unwrap();
    let mut second = stager.encoder(&config("vp8enc")).unwrap();
    for number in 0..5 {
        let picture = stage(&mut *stager, noise(number));
        for encoder in [&mut first, &mut second] {
            let packet = encode(&mut **encoder, &picture, &PictureRequest::plain()).unwrap();
            assert_eq!(packet.number, number);
        }
    }
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

#[test]
fn encoders_leave_neither_descriptors_nor_threads() {
    // The count is the process's: this test stays the only one of its kind to
    // run here, in a process of its own.
    if std::env::var_os("SCANOUT_GST_ALONE").is_none() {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "encoders_leave_neither_descriptors_nor_threads"])
            .env("SCANOUT_GST_ALONE", "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let size = Size::new(64, 64);
    let mut stager = stager(&StageConfig::new(size));
    let mut counts = Vec::new();
    for round in 0..200 {
        let element = ["x264enc", "openh264enc", "vp8enc"][round % 3];
        let mut encoder = stager.encoder(&config(element)).unwrap();
        let picture = stage(&mut *stager, frame(round as u64, size));
        encode(&mut *encoder, &picture, &PictureRequest::plain()).unwrap();
        if round % 2 == 0 {
            drain(&mut *encoder);
        }
        drop(encoder);
        if round == 20 || round == 199 {
            assert!(reaper::settle(LIMIT));
            // Threads end a little after they are joined by count.
            let deadline = Instant::now() + Duration::from_secs(2);
            while counts
                .first()
                .is_some_and(|c| *c != (open_files(), threads()))
                && Instant::now() < deadline
            {
                std::thread::sleep(Duration::from_millis(20));
            }
            if counts.is_empty() {
                std::thread::sleep(Duration::from_millis(300));
            }
            counts.push((open_files(), threads()));
        }
    }
    // GLib keeps a few idle threads of its own; a leak would be 179 of them.
    assert!(
        counts[1].0 <= counts[0].0 && counts[1].1 <= counts[0].1 + 3,
        "{counts:?}"
    );
}

#[test]
fn the_cpu_is_a_device_with_every_installed_software_element() {
    let mut installed = installed();
    let backend = GstBackend::new().unwrap();
    let devices = backend.devices().unwrap();
    let cpu = devices.iter().find(|d| d.id == "cpu").unwrap();
    let capabilities = backend.capabilities(cpu).unwrap();
    let mut names: Vec<&str> = capabilities
        .encoders
        .iter()
        .map(|e| e.name.as_str())
        .collect();
    names.sort_unstable();
    for row in scanout_gst::elements::table().filter(|row| row.withholds.is_some()) {
        let Some(caps) = capabilities.encoders.iter().find(|e| e.name == row.name) else {
            continue;
        };
        installed.push(row.name);
        assert!(caps.notes.iter().any(|n| n.contains("cannot be used")));
        let mut config = EncoderConfig::new(row.codec);
        config.encoder = Some(row.name.to_owned());
        let refused = stager(&StageConfig::new(Size::new(64, 64))).encoder(&config);
        let text = refused.map(drop).unwrap_err().to_string();
        assert!(text.contains("one picture in, one packet out"), "{text}");
    }
    installed.sort_unstable();
    assert_eq!(names, installed);
    let x264 = capabilities
        .encoders
        .iter()
        .find(|e| e.name == "x264enc")
        .unwrap();
    assert!(x264.live_bitrate && x264.qp_bounds);
    assert!(x264.rates.contains(&RateMode::Constant));
    assert!(x264.notes.is_empty(), "{:?}", x264.notes);
    assert!(
        capabilities
            .imports
            .iter()
            .any(|i| i.fourcc == Fourcc::XRGB8888)
    );
    let mut nowhere = cpu.clone();
    nowhere.id = "renderD999".to_owned();
    assert!(backend.capabilities(&nowhere).is_err());
    assert!(backend.open(&nowhere, &StageConfig::new(SIZE)).is_err());
}

#[test]
fn headers_carry_the_colour_and_forbid_reordering() {
    let folder = Folder::new("colour");
    for element in installed() {
        let codec = codec_of(element);
        let mut stager = stager(&stage_config(element, SIZE));
        let mut encoder = stager.encoder(&config(element)).unwrap();
        let picture = stage(&mut *stager, frame(0, SIZE));
        let packet = encode(&mut *encoder, &picture, &PictureRequest::plain()).unwrap();
        let path = folder.path(&format!("{element}.{}", extension(codec)));
        write_stream(&path, codec, SIZE, &[packet]);
        let seen = ffprobe(
            &path,
            "color_range,color_space,color_transfer,color_primaries,has_b_frames,chroma_location",
        );
        eprintln!("{element}: {}", seen.replace('\n', " "));
        let said = encoder.stream().color_in_headers;
        let matrix = seen.contains("color_space=bt709");
        match codec {
            Codec::H264 | Codec::H265 => {
                assert!(
                    matrix && seen.contains("color_range=tv"),
                    "{element}: {seen}"
                );
                assert!(
                    seen.contains("color_transfer=iec61966-2-1"),
                    "{element}: {seen}"
                );
                assert!(seen.contains("color_primaries=bt709"), "{element}: {seen}");
                assert!(seen.contains("has_b_frames=0"), "{element}: {seen}");
                assert!(seen.contains("chroma_location=left"), "{element}: {seen}");
                assert_eq!(said, Some(true), "{element}");
                assert_eq!(encoder.stream().reorder_depth, Some(0), "{element}");
            }
            Codec::Mjpeg => {
                assert!(seen.contains("color_range=pc"), "{element}: {seen}");
                assert!(seen.contains("color_space=bt470bg"), "{element}: {seen}");
                assert!(seen.contains("chroma_location=center"), "{element}: {seen}");
                assert_eq!(said, Some(true), "{element}");
            }
            _ => assert_eq!(said, Some(matrix), "{element}: {seen}"),
        }
        assert!(encoder.stream().codec_string.is_some(), "{element}");
    }
}
