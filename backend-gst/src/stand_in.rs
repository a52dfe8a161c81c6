//! Software elements in the places of hardware ones.
//!
//! No machine of ours has a hardware encoder. What stands around one (staging,
//! upload, pipelines, the end of the stream, the choice of an element) is the
//! same code with these rows.

use crate::elements::{Element, Family, Live, NOTHING, Value, set};
use crate::offer::Offer;
use scanout_core::encoder::Codec;

/// Takes NV12, as a driver's encoder does, behind something in the place of an
/// upload.
pub(crate) const H264: Element = Element {
    name: "x264enc",
    codec: Codec::H264,
    family: Family::Va,
    rank: 200,
    live_bitrate: Live::InPlace,
    package: "gstreamer1.0-plugins-ugly",
    upload: Some("identity"),
    low_delay: &[
        set("tune", Value::Nick("zerolatency")),
        set("bframes", Value::Int(0)),
        set("byte-stream", Value::Bool(true)),
        set("threads", Value::Int(2)),
    ],
    constant_qp: &[
        set("pass", Value::Nick("quant")),
        set("quantizer", Value::Qp),
    ],
    constant: &[set("pass", Value::Nick("cbr")), set("bitrate", Value::Kbps)],
    on_request: &[set("key-int-max", Value::Int(1 << 30))],
    ..NOTHING
};

/// A device of one encoder.
pub(crate) fn offer() -> Offer {
    Offer {
        device: "va-stand-in".to_owned(),
        family: Family::Va,
        elements: vec![(&H264, "x264enc".to_owned())],
    }
}

/// Says why a test cannot run; true where the elements are there.
pub(crate) fn installed(names: &[&str]) -> bool {
    gstreamer::init().unwrap();
    let lacking = names
        .iter()
        .find(|name| gstreamer::ElementFactory::find(name).is_none());
    if let Some(name) = lacking {
        eprintln!("SKIPPED: {name} is not installed");
    }
    lacking.is_none()
}
