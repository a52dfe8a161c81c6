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
    expected: &'static str,
}

/// To another order of components, so that it is drawn: GStreamer reads nothing
/// back from the texture of an imported buffer itself (1.26), and shows what lay
/// in the memory instead.
const CONVERT: &str = "glupload ! glcolorconvert ! video/x-raw(memory:GLMemory),format=BGRA,texture-target=2D ! gldownload";

const fn case(fourcc: Fourcc, places: &'static [(u8, u32, u32)], expected: &'static str) -> Case {
    Case {
        fourcc,
        places,
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
    case(Fourcc::XRGB8888, TIGHT, "exact"),
    case(Fourcc::XRGB8888, ALIGNED, "exact"),
    case(Fourcc::XRGB8888, ODD, "exact"),
    case(Fourcc::ARGB8888, ODD, "exact"),
    case(Fourcc::XBGR8888, ODD, "exact"),
    case(Fourcc::NV12, NV12_ONE, "within 2"),
    case(Fourcc::NV12, NV12_ODD, "within 2"),
    case(Fourcc::NV12, NV12_TWO, "within 2"),
    case(Fourcc::NV12, NV12_TWO_ODD, "within 2"),
];

/// The pixels as they come out: B, G, R, A.
fn expected(case: &Case, pixels: &[u8]) -> Vec<u8> {
    if case.fourcc == Fourcc::NV12 {
        return from_nv12(pixels);
    }
    let pixel = |p: &[u8]| match case.fourcc {
        Fourcc::XRGB8888 => [p[0], p[1], p[2], 255],
        Fourcc::ARGB8888 => [p[0], p[1], p[2], p[3]],
        Fourcc::XBGR8888 => [p[2], p[1], p[0], 255],
        other => panic!("{other}"),
    };
    pixels.chunks_exact(4).flat_map(pixel).collect()
}

/// BT.709 in limited range, as the caps say and GStreamer hints to EGL, chroma
/// between its samples as OpenGL filters a texture of half the size.
fn from_nv12(pixels: &[u8]) -> Vec<u8> {
    let (width, height) = (SIZE.width as usize, SIZE.height as usize);
    let chroma = |x: usize, y: usize, part: usize| {
        let near = |at: usize, last: usize| {
            let place = ((at as f64 + 0.5) / 2.0 - 0.5).clamp(0.0, last as f64);
            let low = place as usize;
            (low, (low + 1).min(last), place - low as f64)
        };
        let (x0, x1, fx) = near(x, width / 2 - 1);
        let (y0, y1, fy) = near(y, height / 2 - 1);
        let at = |x: usize, y: usize| f64::from(pixels[width * (height + y) + 2 * x + part]);
        let row = |y| at(x0, y) * (1.0 - fx) + at(x1, y) * fx;
        (row(y0) * (1.0 - fy) + row(y1) * fy - 128.0) / 224.0
    };
    let mut out = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let luma = (f64::from(pixels[y * width + x]) - 16.0) / 219.0;
            let (cb, cr) = (chroma(x, y, 0), chroma(x, y, 1));
            let blue = luma + 1.8556 * cb;
            let red = luma + 1.5748 * cr;
            let green = luma - 0.187_324 * cb - 0.468_124 * cr;
            out.extend([blue, green, red].map(|v| (v * 255.0).round() as u8));
            out.push(255);
        }
    }
    out
}

fn attempt(case: &Case) -> String {
    let layout = drawn::layout(case.fourcc, SIZE, case.places);
    let drawn = Drawn::new(&drawn::any_provider(), &layout, 7);
    let feature = Some("memory:DMABuf");
    let caps = source::caps(&layout, feature, Form::here(), ColorSpec::DESKTOP).unwrap();
    let buffer = Imports::new().wrap(&drawn.buffer).unwrap();
    match trial::through(CONVERT, &caps, buffer, "BGRA") {
        Ok(seen) => {
            let drawn = expected(case, &drawn.pixels);
            let pairs = seen.iter().zip(&drawn);
            let furthest = pairs.map(|(a, b)| a.abs_diff(*b)).max();
            match (seen.len() == drawn.len(), furthest) {
                (true, Some(0)) => "exact".to_owned(),
                (true, Some(1 | 2)) => "within 2".to_owned(),
                (true, furthest) => format!("off by {}", furthest.unwrap_or_default()),
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
    let able = Form::here() == Form::DmaDrm && elements.iter().all(have);
    if machine::or_skip("GStreamer 1.24 with OpenGL", able.then_some(())).is_none() {
        return;
    }
    let env = [
        ("GST_GL_PLATFORM", "egl"),
        ("GST_GL_WINDOW", "gbm"),
        ("GST_GL_API", "gles2"),
    ];
    let mut seen = Vec::new();
    while seen.len() < CASES.len() {
        seen.extend(trial::in_child(NAME, &seen.len().to_string(), &env));
    }
    let mut differ = Vec::new();
    for (case, seen) in CASES.iter().zip(seen) {
        let (fourcc, places) = (case.fourcc, case.places);
        println!("{fourcc} {places:?}: {seen}");
        if seen != case.expected {
            differ.push(format!("{fourcc} {places:?}: {seen} for {}", case.expected));
        }
    }
    assert!(differ.is_empty(), "{differ:#?}");
}
