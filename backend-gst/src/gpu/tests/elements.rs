//! What elements on the CPU make of a dma-buf, found by trial: each is offered
//! one in four ways, and what it made of it is decoded and compared.
//!
//! `docs/gstreamer-dmabuf.md` has the table; this keeps it true.

use std::fmt;

use scanout_core::buffer::alloc::Provider;
use scanout_core::color::ColorSpec;
use scanout_core::format::Fourcc;
use scanout_core::geometry::Size;

use super::trial::{self, Refusal};
use crate::gpu::source::{self, Form, Imports};
use crate::support::drawn::{self, Drawn};
use crate::support::psnr;

/// Rows without gaps are what GStreamer lays out by default at this width.
const SIZE: Size = Size::new(128, 96);

/// How a buffer is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Caps of dma-bufs: `memory:DMABuf`, from 1.24 with `format=DMA_DRM`.
    DmaBufCaps,
    /// Plain caps over one dma-buf; `GstVideoMeta` tells strides and offsets.
    Plain,
    /// The same with a dma-buf for each plane.
    PlainObjects,
    /// One dma-buf in which the rows of Cb and Cr are not equally far apart.
    PlainUnequal,
    /// A copy in memory of the process, laid out by default.
    Copied,
}

const WAYS: [Way; 5] = [
    Way::DmaBufCaps,
    Way::Plain,
    Way::PlainObjects,
    Way::PlainUnequal,
    Way::Copied,
];

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// The same samples.
    Exact,
    /// Samples of a lossy coder that saw the picture: at least 30 dB.
    Close,
    /// Something else.
    Wrong,
    /// No negotiation: the element does not take such caps.
    NoCaps,
    /// What the element says.
    Failed(String),
    /// There is no such way for this format.
    None,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact => f.write_str("exact"),
            Self::Close => f.write_str("close"),
            Self::Wrong => f.write_str("wrong"),
            Self::NoCaps => f.write_str("refused"),
            Self::Failed(said) => write!(f, "fails: {said}"),
            Self::None => f.write_str("-"),
        }
    }
}

/// An element, what leads back to samples, and what is expected of both: the
/// outcomes of [`WAYS`] in their order.
struct Subject {
    chain: &'static str,
    fourcc: Fourcc,
    expected: [&'static str; 5],
}

const LOSSLESS: [&str; 5] = ["refused", "exact", "exact", "exact", "exact"];
const LOSSY: [&str; 5] = ["refused", "close", "close", "close", "close"];
/// The library has one stride for both planes of chroma.
const LOSSLESS_EQUAL: [&str; 5] = ["refused", "exact", "exact", "wrong", "exact"];
const LOSSY_EQUAL: [&str; 5] = ["refused", "close", "close", "wrong", "close"];
/// It unmaps the picture before the library reads it, which only memory of the
/// process survives: it reads what lies there by then, or nothing.
const LOST: &str = "crash or wrong";
/// Two planes.
const INTERLEAVED: [&str; 5] = ["refused", "exact", "exact", "-", "exact"];
const ONE_PLANE: [&str; 5] = ["refused", "exact", "-", "-", "exact"];

impl Subject {
    fn name(&self) -> &'static str {
        self.chain.split(' ').next().unwrap_or_default()
    }
}

const fn subject(chain: &'static str, fourcc: Fourcc, expected: [&'static str; 5]) -> Subject {
    Subject {
        chain,
        fourcc,
        expected,
    }
}

const I420: Fourcc = Fourcc::YUV420;
const X264: &str = "x264enc tune=zerolatency speed-preset=ultrafast pass=quant quantizer=0 qp-min=0 ! h264parse ! avdec_h264";
const X265: &str = "x265enc tune=zerolatency speed-preset=ultrafast option-string=lossless=1 ! h265parse ! avdec_h265";
const AV1: &str = "av1enc usage-profile=realtime cpu-used=10 min-quantizer=0 max-quantizer=20 ! av1parse ! av1dec";
const RAV1E: &str = "rav1enc low-latency=true speed-preset=10 quantizer=40 ! av1parse ! av1dec";
const FLIP: &str = "videoflip method=vertical-flip ! videoflip method=vertical-flip";

const SUBJECTS: &[Subject] = &[
    subject(X264, I420, LOSSLESS),
    subject(X264, Fourcc::NV12, INTERLEAVED),
    subject(X264, Fourcc::YUV444, LOSSLESS),
    subject(X265, I420, LOSSLESS),
    subject("openh264enc ! h264parse ! avdec_h264", I420, LOSSY_EQUAL),
    subject(
        "vp8enc deadline=1 max-quantizer=4 ! vp8dec",
        I420,
        LOSSY_EQUAL,
    ),
    subject(
        "vp9enc deadline=1 max-quantizer=0 ! vp9dec",
        I420,
        LOSSLESS_EQUAL,
    ),
    subject(AV1, I420, ["refused", LOST, LOST, LOST, "close"]),
    subject("svtav1enc preset=12 ! av1parse ! av1dec", I420, LOSSY),
    subject(RAV1E, I420, LOSSY),
    subject("theoraenc quality=60 ! theoradec", I420, LOSSY),
    subject("jpegenc quality=95 ! jpegdec", I420, LOSSY),
    subject("avenc_ffv1 ! avdec_ffv1", I420, LOSSLESS),
    subject("avenc_mpeg4 bitrate=20000000 ! avdec_mpeg4", I420, LOSSY),
    subject("videoconvert", Fourcc::NV12, INTERLEAVED),
    subject("videoconvert", Fourcc::XRGB8888, ONE_PLANE),
    subject(FLIP, I420, LOSSLESS),
];

/// The planes of `fourcc` at places that no default layout has: offsets and
/// strides that are no multiples of pages or cache lines, other ones for each
/// plane. `apart` has each in an object of its own.
fn places(fourcc: Fourcc, way: Way) -> Vec<(u8, u32, u32)> {
    let unequal = if way == Way::PlainUnequal { 16 } else { 0 };
    let strides: &[u32] = match fourcc {
        Fourcc::XRGB8888 => &[4 * 128 + 20],
        Fourcc::NV12 => &[128 + 10, 128 + 38],
        Fourcc::YUV444 => &[128 + 10, 128 + 38, 128 + 38 + unequal],
        _ => &[128 + 10, 64 + 6, 64 + 6 + unequal],
    };
    let mut end = 0;
    let mut places = Vec::new();
    for (object, &stride) in strides.iter().enumerate() {
        let offset = end + 52;
        places.push(match way {
            Way::PlainObjects => (object as u8, 52, stride),
            _ => (0, offset, stride),
        });
        // More rows than any plane has: a gap between planes.
        end = offset + stride * 98;
    }
    places
}

/// Puts one buffer in at the front of the chain and compares what comes out at its end.
fn attempt(subject: &Subject, way: Way, provider: &Provider) -> Outcome {
    let fourcc = subject.fourcc;
    let places = places(fourcc, way);
    let has_way = match way {
        Way::PlainObjects => places.len() > 1,
        Way::PlainUnequal => places.len() > 2,
        _ => true,
    };
    if !has_way {
        return Outcome::None;
    }
    let layout = drawn::layout(fourcc, SIZE, &places);
    let drawn = Drawn::new(provider, &layout, 3);
    let feature = (way == Way::DmaBufCaps).then_some("memory:DMABuf");
    let caps = source::caps(&layout, feature, Form::here(), ColorSpec::DESKTOP).unwrap();
    let buffer = match way {
        Way::Copied => gstreamer::Buffer::from_slice(drawn.pixels.clone()),
        _ => Imports::new().wrap(&drawn.buffer).unwrap(),
    };
    let format = match fourcc {
        Fourcc::XRGB8888 => "RGB",
        Fourcc::YUV444 => "Y444",
        _ => "I420",
    };
    match trial::through(subject.chain, &caps, buffer, format) {
        Ok(seen) => judge(&seen, &planar(fourcc, &drawn.pixels)),
        Err(Refusal::NoCaps) => Outcome::NoCaps,
        Err(Refusal::Failed(said)) => Outcome::Failed(said),
    }
}

/// The pixels as the end of the chain has them: separate planes, or R, G, B.
fn planar(fourcc: Fourcc, pixels: &[u8]) -> Vec<u8> {
    let luma = (SIZE.width * SIZE.height) as usize;
    match fourcc {
        Fourcc::NV12 => {
            let (y, uv) = pixels.split_at(luma);
            let every_other = |from: usize| uv.iter().skip(from).step_by(2);
            let chroma = every_other(0).chain(every_other(1));
            y.iter().chain(chroma).copied().collect()
        }
        Fourcc::XRGB8888 => pixels
            .chunks_exact(4)
            .flat_map(|p| [p[2], p[1], p[0]])
            .collect(),
        _ => pixels.to_vec(),
    }
}

fn judge(seen: &[u8], expected: &[u8]) -> Outcome {
    if seen.len() != expected.len() {
        return Outcome::Failed(format!("{} bytes for {}", seen.len(), expected.len()));
    }
    if seen == expected {
        return Outcome::Exact;
    }
    if psnr(seen, expected) >= 30.0 {
        Outcome::Close
    } else {
        Outcome::Wrong
    }
}

const NAME: &str = "gpu::tests::elements::what_software_elements_make_of_dma_bufs";

/// The outcomes of one subject, tried in processes of their own: some elements
/// crash.
fn outcomes(index: usize) -> Vec<String> {
    let mut outcomes = Vec::new();
    while outcomes.len() < WAYS.len() {
        let task = format!("{index} {}", outcomes.len());
        outcomes.extend(trial::in_child(NAME, &task, &[]));
    }
    outcomes
}

fn be_the_child(task: &str) {
    let (index, way) = task.split_once(' ').unwrap();
    let subject = &SUBJECTS[index.parse::<usize>().unwrap()];
    let provider = drawn::any_provider();
    for way in &WAYS[way.parse().unwrap()..] {
        trial::tell(&attempt(subject, *way, &provider));
    }
}

#[test]
fn what_software_elements_make_of_dma_bufs() {
    gstreamer::init().unwrap();
    if let Some(task) = trial::told() {
        return be_the_child(&task);
    }
    let (major, minor, micro, _) = gstreamer::version();
    let provider = drawn::any_provider();
    println!("GStreamer {major}.{minor}.{micro}, {provider}");
    println!(
        "| element | format | caps of dma-bufs | one dma-buf | one per plane | Cb, Cr unequal | copied |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut differ = Vec::new();
    for (index, subject) in SUBJECTS.iter().enumerate() {
        let (name, fourcc) = (subject.name(), subject.fourcc);
        if gstreamer::ElementFactory::find(name).is_none() {
            println!("| `{name}` | {fourcc} | not installed |");
            continue;
        }
        let seen = outcomes(index);
        println!("| `{name}` | {fourcc} | {} |", seen.join(" | "));
        let as_expected = |(seen, expected): (&String, &&str)| {
            seen == expected || (*expected == LOST && ["crash", "wrong"].contains(&&**seen))
        };
        if !seen.iter().zip(&subject.expected).all(as_expected) {
            let expected = subject.expected;
            differ.push(format!("{name} {fourcc}: {seen:?} for {expected:?}"));
        }
    }
    assert!(differ.is_empty(), "{differ:#?}");
}
