//! Colours as a stock client shows them: coded here, decoded as spice-gtk does
//! it (GStreamer chooses the decoder, `videoconvert` makes BGRx), compared with
//! the desktop's own pixels.

mod support;

use std::sync::Arc;
use std::time::Duration;

use gstreamer::prelude::*;
use scanout_core::buffer::{Layout, MemoryImage, SourceBuffer};
use scanout_core::color::{ColorSpec, Matrix, Range};
use scanout_core::encoder::{
    Chroma, Codec, EncoderConfig, Frame, PictureRequest, RateControl, StageConfig,
};
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Size};
use scanout_core::sync::Acquire;
use support::*;

/// Steps of each component in the chart.
const STEPS: [u8; 5] = [0, 64, 128, 192, 255];
/// Patches side by side, and above each other.
const ACROSS: usize = 16;
const DOWN: usize = 8;

/// The colour of a patch.
fn patch(index: usize) -> [u8; 3] {
    let index = index.min(124);
    [index / 25, index / 5 % 5, index % 5].map(|step| STEPS[step])
}

fn patch_at(x: usize, y: usize, size: Size) -> usize {
    let (width, height) = (size.width as usize, size.height as usize);
    y * DOWN / height * ACROSS + x * ACROSS / width
}

/// A chart of patches as BGRx.
fn chart(size: Size) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size.area() as usize * 4);
    for y in 0..size.height as usize {
        for x in 0..size.width as usize {
            let [r, g, b] = patch(patch_at(x, y, size));
            bytes.extend_from_slice(&[b, g, r, 0]);
        }
    }
    bytes
}

fn frame_of(bytes: Vec<u8>, size: Size) -> Frame {
    let (layout, _) = Layout::packed(Fourcc::XRGB8888, size, 4).unwrap();
    let image = MemoryImage::new(Arc::new(bytes), layout).unwrap();
    let buffer = SourceBuffer::Memory(image);
    let mut frame = Frame::new(0, buffer, Damage::full(size), Duration::ZERO);
    frame.acquire = Acquire::Ready;
    frame
}

/// What a client of GStreamer shows of one packet, as BGRx, with the decoder's caps.
fn shown(codec: Codec, packet: &[u8], size: Size) -> (Vec<u8>, String) {
    gstreamer::init().unwrap();
    let caps = match codec {
        Codec::H264 => "video/x-h264,stream-format=byte-stream",
        Codec::H265 => "video/x-h265,stream-format=byte-stream",
        Codec::Vp8 => "video/x-vp8",
        Codec::Vp9 => "video/x-vp9",
        Codec::Mjpeg => "image/jpeg",
        _ => "video/x-av1",
    };
    let pipeline = gstreamer::parse::launch(&format!(
        "appsrc name=in format=time caps={caps} ! decodebin ! videoconvert name=convert ! \
         video/x-raw,format=BGRx ! appsink name=out sync=false"
    ))
    .unwrap()
    .downcast::<gstreamer::Pipeline>()
    .unwrap();
    let by_name = |name: &str| pipeline.by_name(name).unwrap();
    let source = by_name("in").downcast::<gstreamer_app::AppSrc>().unwrap();
    let sink = by_name("out").downcast::<gstreamer_app::AppSink>().unwrap();
    pipeline.set_state(gstreamer::State::Playing).unwrap();
    let mut buffer = gstreamer::Buffer::from_slice(packet.to_vec());
    buffer.make_mut().set_pts(gstreamer::ClockTime::ZERO);
    source.push_buffer(buffer).unwrap();
    source.end_of_stream().unwrap();
    let limit = gstreamer::ClockTime::from_seconds(LIMIT.as_secs());
    let sample = sink.try_pull_sample(limit).expect("a picture");
    let decoded = by_name("convert").static_pad("sink").unwrap();
    let decoded = decoded.current_caps().unwrap().to_string();
    let map = sample.buffer().unwrap().map_readable().unwrap();
    // Rows of BGRx have no gaps.
    assert!(map.len() >= size.area() as usize * 4);
    let bytes = map[..size.area() as usize * 4].to_vec();
    drop(map);
    pipeline.set_state(gstreamer::State::Null).unwrap();
    (bytes, decoded)
}

fn coded(
    codec: Codec,
    chroma: Chroma,
    color: ColorSpec,
    size: Size,
    bytes: Vec<u8>,
    qp: u8,
) -> Vec<u8> {
    let mut stage_config = StageConfig::new(size);
    stage_config.chroma = chroma;
    stage_config.color = color;
    let mut stager = stager(&stage_config);
    let picture = stage(&mut *stager, frame_of(bytes, size));
    let mut config = EncoderConfig::new(codec);
    config.rate = RateControl::ConstantQp { qp };
    let mut encoder = stager.encoder(&config).unwrap();
    let packet = encode(&mut *encoder, &picture, &PictureRequest::plain()).unwrap();
    packet.bytes.to_vec()
}

/// Mean and largest error over the middles of the patches, in steps of 255.
fn errors(shown: &[u8], size: Size) -> (f64, u8) {
    let (width, height) = (size.width as usize, size.height as usize);
    let (mut sum, mut worst, mut count) = (0, 0, 0);
    for row in 0..DOWN {
        for column in 0..ACROSS {
            let x = (2 * column + 1) * width / (2 * ACROSS);
            let y = (2 * row + 1) * height / (2 * DOWN);
            let at = (y * width + x) * 4;
            let [r, g, b] = patch(patch_at(x, y, size));
            for (seen, sent) in shown[at..at + 3].iter().zip([b, g, r]) {
                let error = seen.abs_diff(sent);
                sum += u64::from(error);
                worst = worst.max(error);
                count += 1;
            }
        }
    }
    (sum as f64 / f64::from(count), worst)
}

/// What a client makes of the chart, coded finely enough that only colour counts.
fn shown_chart(codec: Codec, chroma: Chroma, color: ColorSpec, size: Size) -> (f64, u8, String) {
    let qp = if codec.is_annex_b() { 8 } else { 4 };
    let packet = coded(codec, chroma, color, size, chart(size), qp);
    let (bytes, caps) = shown(codec, &packet, size);
    let (mean, worst) = errors(&bytes, size);
    let told: Vec<&str> = caps.split(", ").filter(|c| c.starts_with("col")).collect();
    (mean, worst, told.concat())
}

/// The numbers in the table of `Codec::preferred_color` are printed here.
#[test]
fn a_stock_client_shows_the_colours_that_were_sent() {
    let codecs = [
        (Codec::H264, "x264enc"),
        (Codec::H265, "x265enc"),
        (Codec::Vp8, "vp8enc"),
        (Codec::Vp9, "vp9enc"),
        (Codec::Mjpeg, "jpegenc"),
    ];
    let sizes = [Size::new(640, 480), Size::new(1280, 720)];
    let installed = installed();
    for (codec, element) in codecs {
        if !installed.contains(&element) {
            continue;
        }
        let row = scanout_gst::elements::find(element).unwrap();
        for (size, &chroma) in sizes
            .into_iter()
            .flat_map(|size| row.chroma.iter().map(move |chroma| (size, chroma)))
        {
            let color = codec.preferred_color(size);
            let (mean, worst, told) = shown_chart(codec, chroma, color, size);
            eprintln!(
                "{codec} {chroma} {size} as {color}: mean {mean:.2}, at most {worst} [{told}]"
            );
            // The conversion of a client is of eight bits, without rounding.
            assert!(mean < 2.5, "{codec} {chroma} {size}: {mean}");
            assert!(worst < 8, "{codec} {chroma} {size}: {worst}");
        }
    }
}

/// VP8 carries no colour: clients guess it by the height.
#[test]
fn the_colour_of_vp8_is_the_one_that_clients_guess() {
    if !installed().contains(&"vp8enc") {
        return;
    }
    for size in [
        Size::new(1024, 576),
        Size::new(1024, 578),
        Size::new(320, 1024),
    ] {
        let right = Codec::Vp8.preferred_color(size);
        let (mean, ..) = shown_chart(Codec::Vp8, Chroma::C420, right, size);
        assert!(mean < 2.5, "{size} as {right}: {mean}");
        let wrong = ColorSpec {
            matrix: if right.matrix == Matrix::Bt601 {
                Matrix::Bt709
            } else {
                Matrix::Bt601
            },
            ..right
        };
        let (mean, ..) = shown_chart(Codec::Vp8, Chroma::C420, wrong, size);
        assert!(mean > 5.0, "{size} as {wrong}: {mean}");
    }
}

/// Why VP9 is not coded in BT.601, which its headers could say: the decoder of
/// GStreamer 1.22 does not hand that on.
#[test]
fn the_colour_of_vp9_is_one_that_clients_are_told() {
    if !installed().contains(&"vp9enc") {
        return;
    }
    let size = Size::new(1280, 720);
    let (mean, _, told) = shown_chart(Codec::Vp9, Chroma::C420, ColorSpec::DESKTOP, size);
    assert!(mean < 2.5 && !told.is_empty(), "{mean} [{told}]");
}

#[test]
fn pictures_of_another_colour_are_no_jpegs() {
    if !installed().contains(&"jpegenc") {
        return;
    }
    let mut limited = ColorSpec::JFIF;
    limited.range = Range::Limited;
    for color in [ColorSpec::DESKTOP, limited] {
        let mut config = StageConfig::new(Size::new(64, 64));
        config.color = color;
        let stager = stager(&config);
        let Err(error) = stager.encoder(&EncoderConfig::new(Codec::Mjpeg)) else {
            panic!("{color} was taken");
        };
        let said = error.to_string();
        assert!(said.contains("1/13/6 full center"), "{said}");
    }
}
