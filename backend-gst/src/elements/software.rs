//! Elements that run a library on the CPU.
//!
//! Quantisers of the VP8, VP9 and AV1 elements are held constant by equal
//! bounds: the elements have no other way that keeps one frame in, one out.

use scanout_core::encoder::{Chroma, Codec};

use super::{Element, Family, Live, NOTHING, Setting, Value, key, set};

/// As rare as 32 bits can say; x264's own "infinite" is 2^30.
const NEVER: i64 = 1 << 30;

const BOTH: &[Chroma] = &[Chroma::C420, Chroma::C444];

pub(super) const ELEMENTS: &[Element] = &[X264, OPENH264, X265, SVTAV1, AOM, RAV1E, VP8, VP9, JPEG];

const X264: Element = Element {
    name: "x264enc",
    codec: Codec::H264,
    rank: 100,
    chroma: BOTH,
    live_bitrate: Live::InPlace,
    live_qp: Live::Reopen,
    package: "gstreamer1.0-plugins-ugly",
    options: Some("option-string"),
    low_delay: &[
        set("tune", Value::Nick("zerolatency")),
        set("bframes", Value::Int(0)),
        set("b-adapt", Value::Bool(false)),
        set("rc-lookahead", Value::Int(0)),
        set("sync-lookahead", Value::Int(0)),
        set("sliced-threads", Value::Bool(true)),
        set("mb-tree", Value::Bool(false)),
        set("byte-stream", Value::Bool(true)),
        set("insert-vui", Value::Bool(true)),
        // Keyframes come when asked for, not when a window opens.
        key("scenecut", Value::Int(0)),
    ],
    constant_qp: &[
        set("pass", Value::Nick("quant")),
        set("quantizer", Value::Qp),
        // The element's own bounds (10 to 51) would clip what was asked for.
        set("qp-min", Value::Int(0)),
        key("ipratio", Value::Text("1.0")),
    ],
    // `quantizer` ends at 50, and the element writes it over a `qp` among the
    // options. A zone of all pictures is what both let through.
    constant_highest_qp: &[
        set("pass", Value::Nick("quant")),
        set("quantizer", Value::Int(50)),
        set("qp-min", Value::Int(0)),
        key("ipratio", Value::Text("1.0")),
        key("zones", Value::Text("0,2147483647,q=51")),
    ],
    at_qp_zero: Some(
        "Quantiser 0 is lossless: the profile is High 4:4:4 Predictive, which few decoders take.",
    ),
    constant: &[
        set("pass", Value::Nick("cbr")),
        set("bitrate", Value::Kbps),
        // The element's default of 10 keeps flat areas coarser than the rate
        // allows; the library's own is 0.
        set("qp-min", Value::Int(0)),
    ],
    // The element writes its `bitrate` into the library's peak in every mode
    // of a target, after it has read the options.
    variable: &[],
    window: &[set("vbv-buf-capacity", Value::WindowMs)],
    qp_bounds: &[set("qp-min", Value::QpMin), set("qp-max", Value::QpMax)],
    on_request: &[set("key-int-max", Value::Int(NEVER))],
    every: &[set("key-int-max", Value::Interval)],
    effort: [
        &[set("speed-preset", Value::Nick("ultrafast"))],
        &[set("speed-preset", Value::Nick("veryfast"))],
        &[set("speed-preset", Value::Nick("medium"))],
    ],
    threads: &[set("threads", Value::Threads)],
    ..NOTHING
};

const OPENH264: Element = Element {
    name: "openh264enc",
    codec: Codec::H264,
    rank: 60,
    live_bitrate: Live::InPlace,
    live_qp: Live::Reopen,
    package: "gstreamer1.0-plugins-bad",
    notes: &[
        "openh264 holds a bit rate roughly: it is not allowed to skip pictures here.",
        "openh264 takes quantisers of 12 to 51.",
    ],
    // The library raises 1 to 11 to 12 without a word, and takes 0 as not set.
    lowest_qp: 12,
    low_delay: &[
        // "screen" clips the quantiser to 26..35 whatever the bounds say.
        set("usage-type", Value::Nick("camera")),
        set("scene-change-detection", Value::Bool(false)),
        set("enable-frame-skip", Value::Bool(false)),
        set("background-detection", Value::Bool(false)),
    ],
    constant_qp: &[
        set("rate-control", Value::Nick("quality")),
        set("qp-min", Value::Qp),
        set("qp-max", Value::Qp),
    ],
    constant: &[
        set("rate-control", Value::Nick("bitrate")),
        set("bitrate", Value::Bps),
        set("max-bitrate", Value::Bps),
    ],
    variable: &[
        set("rate-control", Value::Nick("bitrate")),
        set("bitrate", Value::Bps),
        set("max-bitrate", Value::PeakBps),
    ],
    qp_bounds: &[set("qp-min", Value::QpMin), set("qp-max", Value::QpMax)],
    on_request: &[set("gop-size", Value::Int(0))],
    every: &[set("gop-size", Value::Interval)],
    effort: [
        &[set("complexity", Value::Nick("low"))],
        &[set("complexity", Value::Nick("medium"))],
        &[set("complexity", Value::Nick("high"))],
    ],
    threads: &[
        set("multi-thread", Value::Threads),
        set("slice-mode", Value::Nick("n-slices")),
        set("num-slices", Value::Threads),
    ],
    ..NOTHING
};

const X265: Element = Element {
    name: "x265enc",
    codec: Codec::H265,
    rank: 100,
    chroma: BOTH,
    package: "gstreamer1.0-plugins-bad",
    options: Some("option-string"),
    low_delay: &[
        set("tune", Value::Nick("zerolatency")),
        key("bframes", Value::Int(0)),
        key("rc-lookahead", Value::Int(0)),
        key("frame-threads", Value::Int(1)),
        key("scenecut", Value::Int(0)),
        key("open-gop", Value::Int(0)),
        // Not `repeat-headers`: the element of 1.22 writes broken units with it.
        // Keyframes get their parameter sets from us.
    ],
    constant_qp: &[set("qp", Value::Qp), key("ipratio", Value::Text("1.0"))],
    constant: &[set("bitrate", Value::Kbps), key("vbv-maxrate", Value::Kbps)],
    variable: &[
        set("bitrate", Value::Kbps),
        key("vbv-maxrate", Value::PeakKbps),
    ],
    window: &[key("vbv-bufsize", Value::WindowKbit)],
    qp_bounds: &[key("qpmin", Value::QpMin), key("qpmax", Value::QpMax)],
    on_request: &[set("key-int-max", Value::Int(NEVER))],
    every: &[set("key-int-max", Value::Interval)],
    effort: [
        &[set("speed-preset", Value::Nick("ultrafast"))],
        &[set("speed-preset", Value::Nick("veryfast"))],
        &[set("speed-preset", Value::Nick("medium"))],
    ],
    threads: &[key("pools", Value::Threads)],
    ..NOTHING
};

/// No version of GStreamer before 1.24 has it in Debian.
const SVTAV1: Element = Element {
    name: "svtav1enc",
    codec: Codec::Av1,
    rank: 90,
    package: "gstreamer1.0-plugins-bad",
    // Seen with GStreamer 1.26 and SVT-AV1 2.3, whatever its settings: the
    // element asks the library for packets only when a picture comes in.
    withholds: Some("it asks for a picture's packet only when the next picture comes"),
    options: Some("parameters-string"),
    low_delay: &[
        // Low delay prediction structure.
        key("pred-struct", Value::Int(1)),
        key("lookahead", Value::Int(0)),
        key("scd", Value::Int(0)),
        set("intra-refresh-type", Value::Nick("IDR")),
    ],
    constant_qp: &[
        key("rc", Value::Int(0)),
        key("aq-mode", Value::Int(0)),
        key("qp", Value::Qp),
    ],
    constant: &[key("rc", Value::Int(2)), set("target-bitrate", Value::Kbps)],
    variable: &[
        key("rc", Value::Int(1)),
        set("target-bitrate", Value::Kbps),
        set("max-bitrate", Value::PeakKbps),
    ],
    window: &[key("buf-sz", Value::WindowMs)],
    qp_bounds: &[key("min-qp", Value::QpMin), key("max-qp", Value::QpMax)],
    on_request: &[set("intra-period-length", Value::Int(-1))],
    every: &[set("intra-period-length", Value::Interval)],
    effort: [
        &[set("preset", Value::Int(12))],
        &[set("preset", Value::Int(10))],
        &[set("preset", Value::Int(8))],
    ],
    threads: &[set("logical-processors", Value::Threads)],
    ..NOTHING
};

const AOM: Element = Element {
    name: "av1enc",
    codec: Codec::Av1,
    rank: 80,
    chroma: BOTH,
    // The element of 1.22 does not hand the request on to libaom.
    live_keyframe: Live::Reopen,
    notes: &["A keyframe on request opens the element anew."],
    live_bitrate: Live::InPlace,
    live_qp: Live::InPlace,
    package: "gstreamer1.0-plugins-bad",
    low_delay: &[
        set("usage-profile", Value::Nick("realtime")),
        set("lag-in-frames", Value::Int(0)),
        set("drop-frame", Value::Int(0)),
        set("resize-mode", Value::Nick("none")),
    ],
    constant_qp: &[
        set("end-usage", Value::Nick("vbr")),
        set("min-quantizer", Value::Qp),
        set("max-quantizer", Value::Qp),
    ],
    constant: &[
        set("end-usage", Value::Nick("cbr")),
        set("target-bitrate", Value::Kbps),
        // The element's own default is 0 to 0, at which libaom's rate control
        // aborts the process.
        set("min-quantizer", Value::QpMin),
        set("max-quantizer", Value::QpMax),
    ],
    // Its `vbr` has no peak.
    variable: &[],
    window: &[
        set("buf-sz", Value::WindowMs),
        set("buf-initial-sz", Value::WindowMsTimes(1, 2)),
        set("buf-optimal-sz", Value::WindowMsTimes(2, 3)),
    ],
    qp_bounds: VPX_QP_BOUNDS,
    on_request: &[set("keyframe-mode", Value::Nick("disabled"))],
    every: &[
        set("keyframe-mode", Value::Nick("auto")),
        set("keyframe-max-dist", Value::Interval),
    ],
    effort: [
        &[set("cpu-used", Value::Int(10))],
        &[set("cpu-used", Value::Int(8))],
        &[set("cpu-used", Value::Int(6))],
    ],
    threads: &[
        set("threads", Value::Threads),
        set("row-mt", Value::Bool(true)),
        set("tile-columns", Value::ThreadsLog2),
    ],
    ..NOTHING
};

/// From the Rust plugins, not in Debian 12.
const RAV1E: Element = Element {
    name: "rav1enc",
    codec: Codec::Av1,
    rank: 40,
    package: "gstreamer1.0-plugins-rs",
    low_delay: &[
        set("low-latency", Value::Bool(true)),
        set("rdo-lookahead-frames", Value::Int(1)),
    ],
    constant_qp: &[set("quantizer", Value::Qp)],
    constant: &[set("bitrate", Value::Bps)],
    on_request: &[set("max-key-frame-interval", Value::Int(NEVER))],
    every: &[set("max-key-frame-interval", Value::Interval)],
    effort: [
        &[set("speed-preset", Value::Int(10))],
        &[set("speed-preset", Value::Int(9))],
        &[set("speed-preset", Value::Int(7))],
    ],
    threads: &[set("threads", Value::Threads)],
    notes: &["rav1e counts its quantiser from 0 to 255."],
    ..NOTHING
};

const VPX_ON_REQUEST: &[Setting] = &[set("keyframe-mode", Value::Nick("disabled"))];
const VPX_EVERY: &[Setting] = &[
    set("keyframe-mode", Value::Nick("auto")),
    set("keyframe-max-dist", Value::Interval),
];
const VPX_CONSTANT_QP: &[Setting] = &[
    set("end-usage", Value::Nick("vbr")),
    set("target-bitrate", Value::Int(2_000_000_000)),
    set("min-quantizer", Value::Qp),
    set("max-quantizer", Value::Qp),
];
const VPX_CONSTANT: &[Setting] = &[
    set("end-usage", Value::Nick("cbr")),
    set("target-bitrate", Value::Bps),
];
const VPX_WINDOW: &[Setting] = &[
    set("buffer-size", Value::WindowMs),
    set("buffer-initial-size", Value::WindowMsTimes(1, 2)),
    set("buffer-optimal-size", Value::WindowMsTimes(2, 3)),
];
/// The lower bound goes out of the way first: each property is checked by the
/// library as it is set, and a running element fails where they cross.
const VPX_QP_BOUNDS: &[Setting] = &[
    set("min-quantizer", Value::Int(0)),
    set("max-quantizer", Value::QpMax),
    set("min-quantizer", Value::QpMin),
];

const VP8: Element = Element {
    name: "vp8enc",
    codec: Codec::Vp8,
    rank: 100,
    live_bitrate: Live::InPlace,
    live_qp: Live::InPlace,
    package: "gstreamer1.0-plugins-good",
    low_delay: &[
        // Real time: one frame takes as long as `cpu-used` says.
        set("deadline", Value::Int(1)),
        set("lag-in-frames", Value::Int(0)),
        set("auto-alt-ref", Value::Bool(false)),
        set("dropframe-threshold", Value::Int(0)),
        set("resize-allowed", Value::Bool(false)),
        set("static-threshold", Value::Int(100)),
    ],
    constant_qp: VPX_CONSTANT_QP,
    constant: VPX_CONSTANT,
    window: VPX_WINDOW,
    qp_bounds: VPX_QP_BOUNDS,
    on_request: VPX_ON_REQUEST,
    every: VPX_EVERY,
    effort: [
        &[set("cpu-used", Value::Int(16))],
        &[set("cpu-used", Value::Int(8))],
        &[set("cpu-used", Value::Int(4))],
    ],
    threads: &[set("threads", Value::Threads)],
    ..NOTHING
};

const VP9: Element = Element {
    name: "vp9enc",
    codec: Codec::Vp9,
    rank: 100,
    chroma: BOTH,
    live_bitrate: Live::InPlace,
    live_qp: Live::InPlace,
    package: "gstreamer1.0-plugins-good",
    low_delay: &[
        set("deadline", Value::Int(1)),
        set("lag-in-frames", Value::Int(0)),
        set("auto-alt-ref", Value::Bool(false)),
        set("dropframe-threshold", Value::Int(0)),
        set("resize-allowed", Value::Bool(false)),
        set("static-threshold", Value::Int(100)),
        set("frame-parallel-decoding", Value::Bool(false)),
    ],
    constant_qp: VPX_CONSTANT_QP,
    constant: VPX_CONSTANT,
    window: VPX_WINDOW,
    qp_bounds: VPX_QP_BOUNDS,
    on_request: VPX_ON_REQUEST,
    every: VPX_EVERY,
    effort: [
        &[set("cpu-used", Value::Int(9))],
        &[set("cpu-used", Value::Int(7))],
        &[set("cpu-used", Value::Int(5))],
    ],
    threads: &[
        set("threads", Value::Threads),
        set("row-mt", Value::Bool(true)),
        set("tile-columns", Value::ThreadsLog2),
    ],
    ..NOTHING
};

const JPEG_QUALITY: &[Setting] = &[set("quality", Value::Quality)];

const JPEG: Element = Element {
    name: "jpegenc",
    codec: Codec::Mjpeg,
    rank: 100,
    chroma: BOTH,
    live_bitrate: Live::InPlace,
    live_qp: Live::InPlace,
    package: "gstreamer1.0-plugins-good",
    notes: &[
        "A bit rate is held by the quality of each picture, 30 to 90 if not bounded otherwise.",
    ],
    low_delay: &[set("snapshot", Value::Bool(false))],
    constant_qp: JPEG_QUALITY,
    constant: JPEG_QUALITY,
    rate_by_quality: Some("quality"),
    qp_bounds: JPEG_QUALITY,
    effort: [
        &[set("idct-method", Value::Nick("ifast"))],
        &[set("idct-method", Value::Nick("islow"))],
        &[set("idct-method", Value::Nick("islow"))],
    ],
    ..NOTHING
};

const _: () = assert!(matches!(X264.family, Family::Software));
