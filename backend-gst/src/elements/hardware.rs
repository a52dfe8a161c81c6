//! Elements that register only where their hardware is.
//!
//! Written from GStreamer's documentation of 1.22 to 1.26; see the notes of
//! each family. No test of ours has seen one of them run.

use scanout_core::encoder::Codec;

use super::{Element, Family, Live, NOTHING, Value, control, set};

pub(super) const ELEMENTS: &[Element] = &[
    VA_H264_LP,
    Element {
        name: "vah264enc",
        rank: 190,
        ..VA_H264_LP
    },
    VA_H265_LP,
    Element {
        name: "vah265enc",
        rank: 190,
        ..VA_H265_LP
    },
    VA_AV1,
    Element {
        name: "vavp9enc",
        codec: Codec::Vp9,
        ..VA_AV1
    },
    MSDK_H264,
    Element {
        name: "msdkh265enc",
        codec: Codec::H265,
        ..MSDK_H264
    },
    MSDK_AV1,
    Element {
        name: "msdkvp9enc",
        codec: Codec::Vp9,
        ..MSDK_AV1
    },
    QSV_H264,
    Element {
        name: "qsvh265enc",
        codec: Codec::H265,
        ..QSV_H264
    },
    QSV_AV1,
    Element {
        name: "qsvvp9enc",
        codec: Codec::Vp9,
        low_delay: &[set("low-latency", Value::Bool(true))],
        constant_qp: &[
            set("rate-control", Value::Nick("cqp")),
            set("qp-i", Value::Qp),
            set("qp-p", Value::Qp),
        ],
        ..QSV_AV1
    },
    NV_H264,
    Element {
        name: "nvh265enc",
        codec: Codec::H265,
        ..NV_H264
    },
    NV_AV1,
    NV_CUDA_H264,
    Element {
        name: "nvcudah265enc",
        codec: Codec::H265,
        ..NV_CUDA_H264
    },
    V4L2_H264,
    Element {
        name: "v4l2h265enc",
        codec: Codec::H265,
        low_delay: &[],
        qp_bounds: &[],
        ..V4L2_H264
    },
    Element {
        name: "v4l2vp8enc",
        codec: Codec::Vp8,
        low_delay: &[],
        constant_qp: &[],
        qp_bounds: &[
            control("vp8_minimum_qp_value", Value::QpMin),
            control("vp8_maximum_qp_value", Value::QpMax),
        ],
        ..V4L2_H264
    },
    VULKAN_H264,
];

/// The low-power entry point is the only one on Flex and later Intel cards, and
/// the faster one where both are.
const VA_H264_LP: Element = Element {
    name: "vah264lpenc",
    codec: Codec::H264,
    family: Family::Va,
    rank: 200,
    live_bitrate: Live::InPlace,
    package: "gstreamer1.0-plugins-bad",
    notes: &["Without is-live on its source the element delays up to four frames."],
    low_delay: &[
        set("b-frames", Value::Int(0)),
        set("aud", Value::Bool(true)),
    ],
    constant_qp: &[
        set("rate-control", Value::Nick("cqp")),
        set("qpi", Value::Qp),
        set("qpp", Value::Qp),
    ],
    constant: &[
        set("rate-control", Value::Nick("cbr")),
        set("bitrate", Value::Kbps),
    ],
    // `bitrate` is the peak and the target a share of it, which the element
    // rounds to whole percent.
    variable: &[],
    window: &[set("cpb-size", Value::WindowKbit)],
    qp_bounds: &[set("min-qp", Value::QpMin), set("max-qp", Value::QpMax)],
    // The property's own maximum.
    on_request: &[set("key-int-max", Value::Int(1024))],
    every: &[set("key-int-max", Value::Interval)],
    effort: [
        &[set("target-usage", Value::Int(7))],
        &[set("target-usage", Value::Int(4))],
        &[set("target-usage", Value::Int(1))],
    ],
    ..NOTHING
};

const VA_H265_LP: Element = Element {
    name: "vah265lpenc",
    codec: Codec::H265,
    ..VA_H264_LP
};

/// From 1.24.
const VA_AV1: Element = Element {
    name: "vaav1enc",
    codec: Codec::Av1,
    low_delay: &[
        set("gf-group-size", Value::Int(1)),
        set("hierarchical-level", Value::Int(1)),
    ],
    constant_qp: &[
        set("rate-control", Value::Nick("cqp")),
        set("qp", Value::Qp),
    ],
    ..VA_H264_LP
};

const MSDK_H264: Element = Element {
    name: "msdkh264enc",
    codec: Codec::H264,
    family: Family::Msdk,
    rank: 150,
    live_bitrate: Live::InPlace,
    package: "gstreamer1.0-plugins-bad",
    low_delay: &[
        set("async-depth", Value::Int(1)),
        set("b-frames", Value::Int(0)),
        set("ref-frames", Value::Int(1)),
    ],
    constant_qp: &[
        set("rate-control", Value::Nick("cqp")),
        set("qpi", Value::Qp),
        set("qpp", Value::Qp),
    ],
    constant: &[
        set("rate-control", Value::Nick("cbr")),
        set("bitrate", Value::Kbps),
    ],
    variable: &[
        set("rate-control", Value::Nick("vbr")),
        set("bitrate", Value::Kbps),
        set("max-vbv-bitrate", Value::PeakKbps),
    ],
    on_request: &[set("gop-size", Value::Int(i32::MAX as i64))],
    every: &[set("gop-size", Value::Interval)],
    effort: [
        &[set("target-usage", Value::Int(7))],
        &[set("target-usage", Value::Int(4))],
        &[set("target-usage", Value::Int(1))],
    ],
    ..NOTHING
};

const MSDK_AV1: Element = Element {
    name: "msdkav1enc",
    codec: Codec::Av1,
    low_delay: &[
        set("async-depth", Value::Int(1)),
        set("b-frames", Value::Int(0)),
    ],
    ..MSDK_H264
};

const QSV_H264: Element = Element {
    name: "qsvh264enc",
    codec: Codec::H264,
    family: Family::Qsv,
    rank: 140,
    live_bitrate: Live::InPlace,
    package: "gstreamer1.0-plugins-bad",
    low_delay: &[
        set("low-latency", Value::Bool(true)),
        set("b-frames", Value::Int(0)),
    ],
    constant_qp: &[
        set("rate-control", Value::Nick("cqp")),
        set("qp-i", Value::Qp),
        set("qp-p", Value::Qp),
    ],
    constant: &[
        set("rate-control", Value::Nick("cbr")),
        set("bitrate", Value::Kbps),
    ],
    variable: &[
        set("rate-control", Value::Nick("vbr")),
        set("bitrate", Value::Kbps),
        set("max-bitrate", Value::PeakKbps),
    ],
    qp_bounds: &[
        set("min-qp-i", Value::QpMin),
        set("min-qp-p", Value::QpMin),
        set("max-qp-i", Value::QpMax),
        set("max-qp-p", Value::QpMax),
    ],
    on_request: &[set("gop-size", Value::Int(0))],
    every: &[set("gop-size", Value::Interval)],
    effort: [
        &[set("target-usage", Value::Int(7))],
        &[set("target-usage", Value::Int(4))],
        &[set("target-usage", Value::Int(1))],
    ],
    ..NOTHING
};

const QSV_AV1: Element = Element {
    name: "qsvav1enc",
    codec: Codec::Av1,
    qp_bounds: &[],
    ..QSV_H264
};

const NV_H264: Element = Element {
    name: "nvh264enc",
    codec: Codec::H264,
    family: Family::Nvcodec,
    rank: 180,
    live_bitrate: Live::InPlace,
    package: "gstreamer1.0-plugins-bad",
    low_delay: &[
        set("zerolatency", Value::Bool(true)),
        set("rc-lookahead", Value::Int(0)),
        set("bframes", Value::Int(0)),
        set("aud", Value::Bool(true)),
    ],
    constant_qp: &[
        set("rc-mode", Value::Nick("constqp")),
        set("qp-const", Value::Qp),
    ],
    constant: &[
        set("rc-mode", Value::Nick("cbr")),
        set("bitrate", Value::Kbps),
    ],
    variable: &[
        set("rc-mode", Value::Nick("vbr")),
        set("bitrate", Value::Kbps),
        set("max-bitrate", Value::PeakKbps),
    ],
    window: &[set("vbv-buffer-size", Value::WindowKbit)],
    qp_bounds: &[set("qp-min", Value::QpMin), set("qp-max", Value::QpMax)],
    on_request: &[set("gop-size", Value::Int(-1))],
    every: &[set("gop-size", Value::Interval)],
    effort: [
        &[set("preset", Value::Nick("low-latency-hp"))],
        &[set("preset", Value::Nick("low-latency"))],
        &[set("preset", Value::Nick("low-latency-hq"))],
    ],
    ..NOTHING
};

/// From 1.26.
const NV_AV1: Element = Element {
    name: "nvav1enc",
    codec: Codec::Av1,
    low_delay: &[
        set("zero-reorder-delay", Value::Bool(true)),
        set("rc-lookahead", Value::Int(0)),
        set("b-frames", Value::Int(0)),
    ],
    ..NV_CUDA_H264
};

/// The family with the presets P1 to P7, from 1.22.
const NV_CUDA_H264: Element = Element {
    name: "nvcudah264enc",
    rank: 185,
    low_delay: &[
        set("zero-reorder-delay", Value::Bool(true)),
        set("tune", Value::Nick("ultra-low-latency")),
        set("rc-lookahead", Value::Int(0)),
        set("b-frames", Value::Int(0)),
        set("repeat-sequence-header", Value::Bool(true)),
    ],
    constant_qp: &[
        set("rate-control", Value::Nick("cqp")),
        set("qp-i", Value::Qp),
        set("qp-p", Value::Qp),
    ],
    constant: &[
        set("rate-control", Value::Nick("cbr")),
        set("bitrate", Value::Kbps),
    ],
    variable: &[
        set("rate-control", Value::Nick("vbr")),
        set("bitrate", Value::Kbps),
        set("max-bitrate", Value::PeakKbps),
    ],
    qp_bounds: &[
        set("qp-min-i", Value::QpMin),
        set("qp-min-p", Value::QpMin),
        set("qp-max-i", Value::QpMax),
        set("qp-max-p", Value::QpMax),
    ],
    effort: [
        &[set("preset", Value::Nick("p1"))],
        &[set("preset", Value::Nick("p3"))],
        &[set("preset", Value::Nick("p5"))],
    ],
    ..NV_H264
};

/// What a stateful V4L2 driver has differs from one to the next; the element
/// passes controls through by name and warns of those that are not there.
const V4L2_H264: Element = Element {
    name: "v4l2h264enc",
    codec: Codec::H264,
    family: Family::V4l2,
    rank: 120,
    package: "gstreamer1.0-plugins-good",
    notes: &["Which controls a V4L2 driver obeys is not known before it runs."],
    low_delay: &[
        control("h264_b_frames", Value::Int(0)),
        control("repeat_sequence_header", Value::Int(1)),
    ],
    constant_qp: &[
        control("frame_level_rate_control_enable", Value::Int(0)),
        control("h264_i_frame_qp_value", Value::Qp),
        control("h264_p_frame_qp_value", Value::Qp),
    ],
    constant: &[
        control("frame_level_rate_control_enable", Value::Int(1)),
        control("video_bitrate_mode", Value::Int(1)),
        control("video_bitrate", Value::Bps),
    ],
    variable: &[
        control("frame_level_rate_control_enable", Value::Int(1)),
        control("video_bitrate_mode", Value::Int(0)),
        control("video_bitrate", Value::Bps),
        control("video_peak_bitrate", Value::PeakBps),
    ],
    qp_bounds: &[
        control("h264_minimum_qp_value", Value::QpMin),
        control("h264_maximum_qp_value", Value::QpMax),
    ],
    on_request: &[control("video_gop_size", Value::Int(65535))],
    every: &[control("video_gop_size", Value::Interval)],
    ..NOTHING
};

/// From 1.26.
const VULKAN_H264: Element = Element {
    name: "vulkanh264enc",
    codec: Codec::H264,
    family: Family::Vulkan,
    rank: 110,
    package: "gstreamer1.0-plugins-bad",
    // The element reads images of the GPU only.
    upload: Some("vulkanupload"),
    low_delay: &[
        set("b-frames", Value::Int(0)),
        set("aud", Value::Bool(true)),
    ],
    constant_qp: &[
        set("rate-control", Value::Nick("cqp")),
        set("qp-i", Value::Qp),
        set("qp-p", Value::Qp),
    ],
    constant: &[
        set("rate-control", Value::Nick("cbr")),
        set("bitrate", Value::Kbps),
    ],
    variable: &[
        set("rate-control", Value::Nick("vbr")),
        set("bitrate", Value::Kbps),
        set("max-bitrate", Value::PeakKbps),
    ],
    qp_bounds: &[set("min-qp", Value::QpMin), set("max-qp", Value::QpMax)],
    on_request: &[set("idr-period", Value::Int(0))],
    every: &[set("idr-period", Value::Interval)],
    ..NOTHING
};
