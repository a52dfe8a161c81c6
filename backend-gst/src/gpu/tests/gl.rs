//! OpenGL as the judge of our wrapping: Mesa imports the dma-bufs by the caps,
//! offsets and strides that we give, and its pixels are compared with those
//! drawn. Needs GStreamer 1.24 or newer with its OpenGL elements, and EGL.

use scanout_core::color::ColorSpec;
use scanout_core::format::Fourcc;
use scanout_core::geometry::Size;
use scanout_rig::machine;

use super::trial::{self, Refusal};
use crate::gpu::source::{self, Form, Imports};
use crate::support::drawn::{self, Drawn};

const SIZE: Size = Size::new(124, 66);
const NAME: &str = "gpu::tests::gl::opengl_sees_in_our_dma_bufs_what_was_drawn";

/// Rows of 124 pixels without gaps begin at multiples of four bytes that are
/// none of 64.
struct Case {
    fourcc: Fourcc,
    /// Object, offset and stride of each plane.
    places: &'static [(u8, u32, u32)],
    /// What the picture becomes in between.
    chain: &'static str,
    /// What comes out.
    format: &'static str,
    expected: &'static str,
}

const PASS: &str = "glupload ! gldownload";
const CONVERT: &str = "glupload ! glcolorconvert ! gldownload";

const fn case(
    fourcc: Fourcc,
    places: &'static [(u8, u32, u32)],
    chain: &'static str,
    format: &'static str,
    expected: &'static str,
) -> Case {
    Case {
        fourcc,
        places,
        chain,
        format,
        expected,
    }
}

const TIGHT: &[(u8, u32, u32)] = &[(0, 0, 496)];
const ALIGNED: &[(u8, u32, u32)] = &[(0, 4096, 512)];
const ODD: &[(u8, u32, u32)] = &[(0, 4096 + 388, 516)];
const NV12_ONE: &[(u8, u32, u32)] = &[(0, 0, 128), (0, 128 * 66, 128)];
const NV12_ODD: &[(u8, u32, u32)] = &[(0, 100, 132), (0, 100 + 132 * 66 + 36, 140)];
const NV12_TWO: &[(u8, u32, u32)] = &[(0, 0, 128), (1, 0, 128)];
const NV12_TWO_ODD: &[(u8, u32, u32)] = &[(0, 4096 + 68, 132), (1, 36, 140)];

const CASES: &[Case] = &[
    case(Fourcc::XRGB8888, TIGHT, CONVERT, "RGBA", "exact"),
    case(Fourcc::XRGB8888, ALIGNED, CONVERT, "RGBA", "exact"),
    case(Fourcc::XRGB8888, ODD, CONVERT, "RGBA", "exact"),
    case(Fourcc::ARGB8888, ODD, CONVERT, "RGBA", "exact"),
    case(Fourcc::XBGR8888, ODD, CONVERT, "RGBA", "exact"),
    case(Fourcc::NV12, NV12_ONE, PASS, "NV12", "exact"),
    case(Fourcc::NV12, NV12_ODD, PASS, "NV12", "exact"),
    case(Fourcc::NV12, NV12_TWO, PASS, "NV12", "exact"),
    case(Fourcc::NV12, NV12_TWO_ODD, PASS, "NV12", "exact"),
];

/// The pixels as they come out.
fn expected(case: &Case, pixels: &[u8]) -> Vec<u8> {
    let pixel = |p: &[u8]| match case.fourcc {
        Fourcc::XRGB8888 => [p[2], p[1], p[0], 255],
        Fourcc::ARGB8888 => [p[2], p[1], p[0], p[3]],
        Fourcc::XBGR8888 => [p[0], p[1], p[2], 255],
        other => panic!("{other}"),
    };
    match case.format {
        "RGBA" => pixels.chunks_exact(4).flat_map(pixel).collect(),
        _ => pixels.to_vec(),
    }
}

fn attempt(case: &Case) -> String {
    let layout = drawn::layout(case.fourcc, SIZE, case.places);
    let drawn = Drawn::new(&drawn::any_provider(), &layout, 7);
    let feature = Some("memory:DMABuf");
    let caps = source::caps(&layout, feature, Form::here(), ColorSpec::DESKTOP).unwrap();
    let buffer = Imports::new().wrap(&drawn.buffer).unwrap();
    match trial::through(case.chain, &caps, buffer, case.format) {
        Ok(unit) => {
            let (seen, drawn) = (trial::rows(&unit), expected(case, &drawn.pixels));
            let differ = seen.iter().zip(&drawn).filter(|(a, b)| a != b).count();
            match (seen.len() == drawn.len(), differ) {
                (true, 0) => "exact".to_owned(),
                (true, _) => format!("{differ} of {} bytes differ", drawn.len()),
                (false, _) => format!("{} bytes for {}", seen.len(), drawn.len()),
            }
        }
        Err(Refusal::NoCaps) => "refused".to_owned(),
        Err(Refusal::Failed(said)) => format!("fails: {said}"),
    }
}

#[test]
fn opengl_sees_in_our_dma_bufs_what_was_drawn() {
    gstreamer::init().unwrap();
    if let Some(task) = trial::told() {
        for case in &CASES[task.parse().unwrap()..] {
            trial::tell(&attempt(case));
        }
        return;
    }
    if drawn::real_providers().is_none() {
        return;
    }
    let elements = ["glupload", "glcolorconvert", "gldownload"];
    let have = |name: &&str| gstreamer::ElementFactory::find(name).is_some();
    let able = Form::here() == Form::DmaDrm && elements.iter().all(|name| have(&name));
    if machine::or_skip("GStreamer 1.24 with OpenGL", able.then_some(())).is_none() {
        return;
    }
    let env = [
        ("GST_GL_PLATFORM", "egl"),
        ("GST_GL_WINDOW", "surfaceless"),
        ("GST_GL_API", "gles2"),
    ];
    let mut seen = Vec::new();
    while seen.len() < CASES.len() {
        seen.extend(trial::in_child(NAME, &seen.len().to_string(), &env));
    }
    let mut differ = Vec::new();
    for (case, seen) in CASES.iter().zip(seen) {
        let (fourcc, places, chain) = (case.fourcc, case.places, case.chain);
        println!("{fourcc} {places:?} {chain}: {seen}");
        if seen != case.expected {
            differ.push(format!("{fourcc} {places:?}: {seen} for {}", case.expected));
        }
    }
    assert!(differ.is_empty(), "{differ:#?}");
}
