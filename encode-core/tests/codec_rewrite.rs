//! Streams whose encoder describes too little, after rewriting, as ffmpeg sees them.
#![allow(missing_docs)]

mod codec_support;

use std::process::Command;

use codec_support::{Folder, decode_strictly, encode, has_tool, trace_headers};
use scanout_core::codec::annexb::nal_units;
use scanout_core::codec::h264::{Rewrite, SpsRewriter, access_units};
use scanout_core::color::ColorSpec;

#[test]
fn rewriting_changes_the_sps_alone_and_once() {
    if !has_tool("ffmpeg") {
        return;
    }
    let folder = Folder::new("rewrite");
    let args = [
        "-c:v",
        "libx264",
        "-pix_fmt",
        "yuv420p",
        "-x264-params",
        "bframes=0:keyint=5:ref=3:aud=1",
    ];
    let stream = encode(&folder, "in.h264", "322x182", 12, &args);
    let rewriter = SpsRewriter::new()
        .color(ColorSpec::DESKTOP)
        .assert_no_reordering();
    let (mut all, mut out, mut again) = (Vec::new(), Vec::new(), Vec::new());
    let mut rewritten = 0;
    for unit in access_units(&stream) {
        match rewriter.rewrite(unit.bytes, &mut out).unwrap() {
            Rewrite::Unchanged => {
                assert!(!unit.keyframe);
                all.extend_from_slice(unit.bytes);
            }
            Rewrite::Rewritten => {
                rewritten += 1;
                all.extend_from_slice(&out);
                let others = |bytes: &[u8]| -> Vec<Vec<u8>> {
                    nal_units(bytes)
                        .filter(|n| n.bytes[0] & 31 != 7)
                        .map(|n| n.bytes.to_vec())
                        .collect()
                };
                assert_eq!(others(&out), others(unit.bytes));
                assert_eq!(
                    rewriter.rewrite(&out, &mut again).unwrap(),
                    Rewrite::Unchanged
                );
            }
        }
    }
    assert_eq!(rewritten, 3);
    assert_eq!(
        decode_strictly(&folder, &all),
        decode_strictly(&folder, &stream)
    );
    let trace = trace_headers(&folder, &all);
    for (element, value) in [
        ("colour_primaries", 1),
        ("transfer_characteristics", 13),
        ("matrix_coefficients", 1),
        ("max_num_reorder_frames", 0),
        ("max_dec_frame_buffering", 3),
    ] {
        assert_eq!(trace.get(element), Some(&value), "{element}");
    }
}

/// openh264enc describes no colours and states no reordering limits.
#[test]
fn openh264_streams_get_colours_and_limits() {
    let folder = Folder::new("openh264");
    let sink = format!("location={}", folder.path("in.h264"));
    let pipeline = "videotestsrc num-buffers=10 ! video/x-raw,format=I420,width=322,height=182 \
        ! openh264enc ! video/x-h264,stream-format=byte-stream,alignment=au ! filesink";
    let ran = Command::new("gst-launch-1.0")
        .arg("-q")
        .args(pipeline.split_whitespace())
        .arg(&sink)
        .status()
        .is_ok_and(|status| status.success());
    if !ran || !has_tool("ffmpeg") {
        let required = std::env::var_os("SCANOUT_REQUIRE_TOOLS").is_some_and(|value| value == "1");
        assert!(!required, "openh264enc is required and does not run");
        eprintln!("skipped: openh264enc or ffmpeg does not run here");
        return;
    }
    let stream = std::fs::read(folder.path("in.h264")).unwrap();
    let rewriter = SpsRewriter::new()
        .color(ColorSpec::DESKTOP)
        .assert_no_reordering();
    let (mut all, mut out) = (Vec::new(), Vec::new());
    let units: Vec<_> = access_units(&stream).collect();
    assert_eq!(units.len(), 10);
    for unit in units {
        match rewriter.rewrite(unit.bytes, &mut out).unwrap() {
            Rewrite::Unchanged => all.extend_from_slice(unit.bytes),
            Rewrite::Rewritten => all.extend_from_slice(&out),
        }
    }
    assert_eq!(
        decode_strictly(&folder, &all),
        decode_strictly(&folder, &stream)
    );
    let trace = trace_headers(&folder, &all);
    assert_eq!(trace.get("transfer_characteristics"), Some(&13));
    assert_eq!(trace.get("max_num_reorder_frames"), Some(&0));
}
