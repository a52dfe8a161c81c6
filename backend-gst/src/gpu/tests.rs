//! The whole path with `videoflip ! videoconvert` in the place of vapostproc,
//! and memfds in the place of dma-bufs: wrapped, described and shared the same.

mod dma_bufs;
mod elements;
mod fences;
mod gl;
mod trial;

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use gstreamer_video::{self as video, prelude::*};
use scanout_core::buffer::alloc::{Canvas, Provider};
use scanout_core::buffer::{DmaBuf, ImportPolicy, Layout, Orientation, Plane};
use scanout_core::encoder::{Codec, HostSurface, Picture, PictureRequest, RateControl};
use scanout_core::format::{Fourcc, Modifier};
use scanout_core::geometry::{Damage, Rect, Size};
use scanout_core::sync::{Acquire, SyncFile};

use super::source::Imports;
use super::*;
use crate::stager::CpuStager;
use crate::{stand_in, support};

const SIZE: Size = Size::new(128, 64);

fn converter() -> Converter {
    Converter {
        elements: vec!["videoflip".to_owned(), "videoconvert".to_owned()],
        flips: 0,
        source: None,
        memory: None,
        any_memory: true,
    }
}

fn stager() -> GpuStager {
    let config = StageConfig::new(SIZE);
    GpuStager::new(&config, stand_in::offer(), &converter(), 0).unwrap()
}

fn ready() -> bool {
    stand_in::installed(&["videoflip", "videoconvert", "x264enc"])
}

fn memfd(bytes: &[u8]) -> Canvas {
    let allocation = Provider::Memfd.allocate(bytes.len() as u64).unwrap();
    let mut canvas = allocation.into_canvas().unwrap();
    canvas
        .draw(|map| map[..bytes.len()].copy_from_slice(bytes))
        .unwrap();
    canvas
}

fn import(canvases: &[&Canvas], layout: &Layout) -> DmaBuf {
    let fds: Vec<_> = canvases.iter().map(|c| c.allocation().as_fd()).collect();
    DmaBuf::import(&fds, layout, &ImportPolicy::default().with_memfd()).unwrap()
}

/// Coloured squares of 16 pixels, another set for each `seed`, in rows that are
/// longer than the picture and begin inside of the object.
fn squares(seed: u32) -> (Canvas, Layout) {
    const OFFSET: usize = 512;
    const STRIDE: usize = 640;
    let mut bytes = vec![0xee; OFFSET + STRIDE * SIZE.height as usize];
    for y in 0..SIZE.height {
        for x in 0..SIZE.width {
            let n = (x / 16 * 37 + y / 16 * 101 + seed * 59) % 251;
            let at = OFFSET + y as usize * STRIDE + x as usize * 4;
            let pixel = [n, (n * 7) % 256, (n * 13) % 256, 0].map(|v| v as u8);
            bytes[at..at + 4].copy_from_slice(&pixel);
        }
    }
    let mut layout = Layout::packed(Fourcc::XRGB8888, SIZE, 4).unwrap().0;
    layout.planes[0] = Plane {
        object: 0,
        offset: OFFSET as u32,
        stride: STRIDE as u32,
    };
    (memfd(&bytes), layout)
}

fn frame(number: u64, buffer: DmaBuf) -> Frame {
    let at = Duration::from_millis(number * 16);
    let mut frame = Frame::new(number, buffer.into(), Damage::full(SIZE), at);
    frame.acquire = Acquire::Ready;
    frame
}

/// Both planes of a picture of either kind, without padding.
fn nv12(picture: &Picture) -> Vec<u8> {
    nv12_of(picture, SIZE)
}

fn nv12_of(picture: &Picture, size: Size) -> Vec<u8> {
    let rows = [size.height as usize, size.height as usize / 2];
    let width = size.width as usize;
    let mut out = Vec::new();
    if let Some(host) = picture.surface::<HostSurface>() {
        for (plane, rows) in host.layout().planes().iter().zip(rows) {
            for row in 0..rows {
                let start = plane.offset + row * plane.stride;
                out.extend_from_slice(&host.bytes()[start..start + width]);
            }
        }
        return out;
    }
    let buffer = picture
        .surface::<GstSurface>()
        .unwrap()
        .buffer
        .as_ref()
        .unwrap();
    let info = video::VideoInfo::builder(video::VideoFormat::Nv12, size.width, size.height)
        .build()
        .unwrap();
    let map = video::VideoFrameRef::from_buffer_ref_readable(buffer, &info).unwrap();
    for (plane, rows) in rows.into_iter().enumerate() {
        let stride = map.plane_stride()[plane] as usize;
        for row in map
            .plane_data(plane as u32)
            .unwrap()
            .chunks(stride)
            .take(rows)
        {
            out.extend_from_slice(&row[..width]);
        }
    }
    out
}

/// The same frame converted by the core on the CPU.
fn reference(buffer: DmaBuf) -> Vec<u8> {
    let config = StageConfig::new(SIZE);
    let mut cpu = CpuStager::new(&config, stand_in::offer(), 0).unwrap();
    nv12(&support::stage(&mut cpu, frame(0, buffer)))
}

/// Compares in the middle of squares, where the filter of the chroma does not
/// reach over an edge.
fn assert_same_colours(seen: &[u8], expected: &[u8]) {
    let width = SIZE.width as usize;
    let luma = width * SIZE.height as usize;
    for y in (8..SIZE.height as usize).step_by(16) {
        for x in (8..width).step_by(16) {
            let chroma = luma + y / 2 * width + x;
            for at in [y * width + x, chroma, chroma + 1] {
                let difference = seen[at].abs_diff(expected[at]);
                assert!(
                    difference <= 2,
                    "{} for {} at {x},{y}",
                    seen[at],
                    expected[at]
                );
            }
        }
    }
}

#[test]
fn a_strided_buffer_with_an_offset_becomes_the_picture_that_the_core_makes() {
    if !ready() {
        return;
    }
    let mut stager = stager();
    for seed in 0..3 {
        let (canvas, layout) = squares(seed);
        let buffer = import(&[&canvas], &layout);
        let picture = support::stage(&mut stager, frame(seed.into(), buffer.clone()));
        assert_eq!(picture.info().path, PathClass::GpuCopy);
        assert_eq!(picture.info().number, u64::from(seed));
        assert_same_colours(&nv12(&picture), &reference(buffer));
    }
}

#[test]
fn a_bottom_up_buffer_becomes_a_picture_that_is_the_right_way_up() {
    if !ready() {
        return;
    }
    let mut stager = stager();
    let (canvas, layout) = squares(5);
    let down = import(&[&canvas], &layout);
    let up = down.clone().with_orientation(Orientation::BottomUp);
    // There and back: the element is told for each frame.
    for (number, buffer) in [down.clone(), up.clone(), down, up].into_iter().enumerate() {
        let picture = support::stage(&mut stager, frame(number as u64, buffer.clone()));
        assert_same_colours(&nv12(&picture), &reference(buffer));
    }
}

#[test]
fn planes_in_two_objects_are_found_in_each() {
    if !ready() {
        return;
    }
    let (width, height) = (SIZE.width as usize, SIZE.height as usize);
    // Strides and offsets of their own; the first object is longer than its plane.
    let mut luma = vec![0; 4096 + 192 * height];
    let mut chroma = vec![0; 256 + 160 * height / 2];
    let mut expected = Vec::new();
    for y in 0..height {
        for x in 0..width {
            luma[64 + y * 192 + x] = (16 + (x + 3 * y) % 200) as u8;
            expected.push(luma[64 + y * 192 + x]);
        }
    }
    for y in 0..height / 2 {
        for x in 0..width {
            chroma[128 + y * 160 + x] = (30 + (5 * x + y) % 190) as u8;
            expected.push(chroma[128 + y * 160 + x]);
        }
    }
    let mut layout = Layout::packed(Fourcc::NV12, SIZE, 4).unwrap().0;
    layout.planes[0] = Plane {
        object: 0,
        offset: 64,
        stride: 192,
    };
    layout.planes[1] = Plane {
        object: 1,
        offset: 128,
        stride: 160,
    };
    let (luma, chroma) = (memfd(&luma), memfd(&chroma));
    let buffer = import(&[&luma, &chroma], &layout);
    let picture = support::stage(&mut stager(), frame(0, buffer));
    assert_eq!(nv12(&picture), expected);
}

#[test]
fn a_buffer_seen_again_is_the_same_memory_and_no_new_descriptor() {
    gstreamer::init().unwrap();
    let mut imports = Imports::new();
    let (canvas, layout) = squares(1);
    let pointer = |imports: &mut Imports, layout: &Layout| {
        let wrapped = imports.wrap(&import(&[&canvas], layout)).unwrap();
        wrapped.peek_memory(0).as_ptr()
    };
    let first = pointer(&mut imports, &layout);
    for _ in 0..20 {
        assert_eq!(pointer(&mut imports, &layout), first);
    }
    let mut described_anew = layout.clone();
    described_anew.planes[0].offset = 0;
    assert_ne!(pointer(&mut imports, &described_anew), first);
}

#[test]
fn the_source_is_free_before_the_picture_is_ready_and_may_be_scribbled_over() {
    if !ready() {
        return;
    }
    let mut stager = stager();
    let (mut canvas, layout) = squares(2);
    let buffer = import(&[&canvas], &layout);
    let expected = reference(buffer.clone());
    let ticket = stager.stage(frame(7, buffer)).unwrap();
    let deadline = Instant::now() + support::LIMIT;
    let mut events = Vec::new();
    while events.len() < 2 {
        assert!(Instant::now() < deadline);
        events.extend(stager.poll().unwrap());
    }
    assert!(matches!(events[0], StageEvent::SourceFree(t, None) if t == ticket));
    canvas.draw(|map| map.fill(0x55)).unwrap();
    let StageEvent::Ready(seen, picture) = &events[1] else {
        panic!("{:?}", events[1]);
    };
    assert_eq!(*seen, ticket);
    assert_same_colours(&nv12(picture), &expected);
}

#[test]
fn a_fence_that_does_not_signal_blocks_nobody_and_fails_its_frame_only() {
    if !ready() {
        return;
    }
    let mut stager = stager();
    let (canvas, layout) = squares(6);
    let mut stuck = frame(0, import(&[&canvas], &layout));
    let never = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).unwrap();
    stuck.acquire = Acquire::SyncFile(SyncFile::new(never));
    let ticket = stager.stage(stuck).unwrap();
    // The fence holds the conversion for 200 ms.
    assert_eq!(stager.room(), 0, "one conversion at a time");
    let second = stager.stage(frame(1, import(&[&canvas], &layout)));
    assert!(matches!(second, Err(StageError::NoSurface { .. })));
    let deadline = Instant::now() + support::LIMIT;
    loop {
        assert!(Instant::now() < deadline);
        match stager.poll().unwrap() {
            Some(StageEvent::Failed(t, StageError::Acquire(_))) if t == ticket => break,
            Some(event) => panic!("{event:?}"),
            None => {}
        }
    }
    let picture = support::stage(&mut stager, frame(2, import(&[&canvas], &layout)));
    assert_eq!(picture.info().number, 2);
}

#[test]
fn surfaces_in_use_are_not_written_and_come_back_when_dropped() {
    if !ready() {
        return;
    }
    let mut config = StageConfig::new(SIZE);
    config.pictures = 2;
    let mut stager = GpuStager::new(&config, stand_in::offer(), &converter(), 0).unwrap();
    let mut held = Vec::new();
    for seed in 0..2 {
        let (canvas, layout) = squares(seed);
        let buffer = import(&[&canvas], &layout);
        let picture = support::stage(&mut stager, frame(seed.into(), buffer.clone()));
        held.push((picture, reference(buffer)));
    }
    assert_eq!(stager.room(), 0);
    let (canvas, layout) = squares(9);
    let refused = stager.stage(frame(9, import(&[&canvas], &layout)));
    assert!(matches!(refused, Err(StageError::NoSurface { count: 2 })));
    for (picture, expected) in &held {
        assert_same_colours(&nv12(picture), expected);
    }
    held.pop();
    assert_eq!(stager.room(), 1);
    support::stage(&mut stager, frame(9, import(&[&canvas], &layout)));
    assert_same_colours(&nv12(&held[0].0), &held[0].1);
}

#[test]
fn what_no_driver_imports_is_refused_by_its_way_and_reads_nothing() {
    if !ready() {
        return;
    }
    let cpu_way = |error: StageError| {
        assert!(
            matches!(
                error,
                StageError::Path {
                    path: PathClass::CpuUpload,
                    ceiling: PathClass::GpuCopy
                }
            ),
            "{error}"
        );
    };
    let mut stager = stager();
    cpu_way(stager.stage(support::frame(0, SIZE)).unwrap_err());
    stager.any_memory = false;
    let (canvas, layout) = squares(0);
    let buffer = import(&[&canvas], &layout);
    cpu_way(stager.stage(frame(0, buffer)).unwrap_err());
    assert_eq!(stager.room(), 1);
}

#[test]
fn a_part_of_a_buffer_and_another_size_are_refused_with_what_was_seen() {
    if !ready() {
        return;
    }
    let (canvas, layout) = squares(0);
    let whole = import(&[&canvas], &layout);
    let part = Rect::new(16, 0, 64, 64);
    let part = whole.clone().with_content(part).unwrap();
    let error = stager().stage(frame(0, part.clone())).unwrap_err();
    assert!(
        matches!(error, StageError::Size { seen, .. } if seen == Size::new(64, 64)),
        "{error}"
    );
    let config = StageConfig::new(Size::new(64, 64));
    let mut small = GpuStager::new(&config, stand_in::offer(), &converter(), 0).unwrap();
    let error = small.stage(frame(0, part)).unwrap_err();
    let said = error.to_string();
    assert!(said.contains("crop") && said.contains("128x64"), "{said}");
}

#[test]
fn a_layout_without_caps_fails_its_frame_only_and_its_damage_is_kept() {
    if !ready() {
        return;
    }
    let mut stager = stager();
    // X tiles of 512 bytes and 8 rows: the same object fits.
    let tiles = memfd(&vec![0; 512 * 64]);
    let mut tiled = Layout::packed(Fourcc::XRGB8888, SIZE, 512).unwrap().0;
    tiled.modifier = Modifier::INTEL_X_TILED;
    let ticket = stager.stage(frame(0, import(&[&tiles], &tiled))).unwrap();
    let deadline = Instant::now() + support::LIMIT;
    let error = loop {
        assert!(Instant::now() < deadline);
        match stager.poll().unwrap() {
            Some(StageEvent::Failed(t, error)) if t == ticket => break error,
            Some(event) => panic!("{event:?}"),
            None => {}
        }
    };
    assert!(error.to_string().contains("XR24"), "{error}");
    assert!(!error.is_device_lost());
    let (canvas, layout) = squares(4);
    let mut next = frame(1, import(&[&canvas], &layout));
    next.damage = Damage::none();
    let picture = support::stage(&mut stager, next);
    assert!(!picture.info().damage.is_none(), "damage of the lost frame");
}

#[test]
fn a_converter_that_fails_ends_the_stager_with_its_words() {
    if !ready() {
        return;
    }
    let mut broken = converter();
    // Converts nothing, so that RGB does not become NV12.
    broken.elements = vec!["identity".to_owned()];
    let config = StageConfig::new(SIZE);
    let mut stager = GpuStager::new(&config, stand_in::offer(), &broken, 0).unwrap();
    let (canvas, layout) = squares(0);
    let buffer = import(&[&canvas], &layout);
    stager.stage(frame(0, buffer.clone())).unwrap();
    let deadline = Instant::now() + support::LIMIT;
    let error = loop {
        assert!(Instant::now() < deadline);
        match stager.poll() {
            Ok(Some(StageEvent::Failed(_, error))) => break error,
            Ok(None) => {}
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(error, StageError::DeviceLost(_)), "{error}");
    assert_eq!(stager.room(), 0);
    assert!(matches!(stager.poll(), Err(StageError::Ended { .. })));
    let refused = stager.stage(frame(1, buffer));
    assert!(matches!(refused, Err(StageError::Ended { .. })));
}

#[test]
fn pictures_of_the_converter_are_coded_where_they_lie_by_several_encoders() {
    if !ready() {
        return;
    }
    let mut stager = stager();
    let mut config = EncoderConfig::new(Codec::H264);
    config.rate = RateControl::ConstantQp { qp: 16 };
    let mut encoders = [(); 2].map(|()| (stager.encoder(&config).unwrap(), Vec::new()));
    let mut staged = Vec::new();
    for number in 0..8 {
        let (canvas, layout) = squares(number);
        let picture = support::stage(
            &mut stager,
            frame(number.into(), import(&[&canvas], &layout)),
        );
        staged.extend(nv12(&picture));
        for (encoder, packets) in &mut encoders {
            let plain = PictureRequest::plain();
            packets.push(support::encode(&mut **encoder, &picture, &plain).unwrap());
        }
    }
    let folder = support::Folder::new("gpu");
    for (index, (mut encoder, packets)) in encoders.into_iter().enumerate() {
        support::drain(&mut *encoder);
        let file = folder.path(&format!("{index}.h264"));
        support::write_stream(&file, Codec::H264, SIZE, &packets);
        let psnr = support::psnr(&staged, &support::ffmpeg_decode(&file, "nv12"));
        assert!(psnr > 38.0, "{psnr} dB");
    }
}

#[test]
fn a_picture_inside_of_an_encoder_keeps_its_surface() {
    if !ready() {
        return;
    }
    let mut config = StageConfig::new(SIZE);
    config.pictures = 1;
    let mut stager = GpuStager::new(&config, stand_in::offer(), &converter(), 0).unwrap();
    let mut encoder = stager.encoder(&EncoderConfig::new(Codec::H264)).unwrap();
    let (canvas, layout) = squares(3);
    let picture = support::stage(&mut stager, frame(0, import(&[&canvas], &layout)));
    encoder.encode(&picture, &PictureRequest::plain()).unwrap();
    drop(picture);
    assert_eq!(stager.room(), 0, "lent again while it is coded");
    support::next_packet(&mut *encoder).unwrap();
    assert_eq!(stager.room(), 1);
}

#[test]
fn an_odd_size_is_refused_with_the_reason() {
    let config = StageConfig::new(Size::new(127, 64));
    let error = GpuStager::new(&config, stand_in::offer(), &converter(), 0).unwrap_err();
    let said = error.to_string();
    assert!(said.contains("127x64") && said.contains("even"), "{said}");
}
