//! Measures the conversion of a desktop-like BGRX frame on one thread against
//! the crates `yuv` and `dcv-color-primitives`, and counts how often each
//! differs from the exact reference.
//!
//! ```text
//! cargo run --release -p scanout-core --example convert_bench
//! ```
//!
//! The numbers in `docs/decisions/0004-colour-conversion.md` come from it.

use std::hint::black_box;
use std::time::{Duration, Instant};

use dcv_color_primitives as dcv;
use scanout_core::color::{ChromaSite, ColorSpec};
use scanout_core::convert::{
    Converter, PictureFormat, PictureLayout, PlaneView, Source, quality, reference,
};
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Rect, Size};
use yuv::{
    BufferStoreMut, YuvBiPlanarImageMut, YuvConversionMode, YuvPlanarImageMut, YuvRange,
    YuvStandardMatrix,
};

/// Gradients, noise and flat areas with hard coloured edges.
fn desktop(size: Size) -> Vec<u8> {
    let mut seed = 1u32;
    let mut bytes = Vec::with_capacity(size.area() as usize * 4);
    for y in 0..size.height {
        for x in 0..size.width {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let pixel = match (x / 160 + y / 120) % 4 {
                0 => [(x % 256) as u8, (y % 256) as u8, ((x + y) % 256) as u8],
                1 => [(seed >> 24) as u8, (seed >> 16) as u8, (seed >> 8) as u8],
                2 => {
                    [[0x20, 0x20, 0x20], [0xf0, 0x40, 0x30]][(x as usize / 3 + y as usize / 7) % 2]
                }
                _ => [0xee, 0xe8, 0xd5],
            };
            bytes.extend_from_slice(&[pixel[0], pixel[1], pixel[2], 0xff]);
        }
    }
    bytes
}

fn measure(name: &str, size: Size, memcpy: f64, mut work: impl FnMut()) -> f64 {
    work();
    let mut times: Vec<Duration> = Vec::new();
    let until = Instant::now() + Duration::from_millis(1500);
    while Instant::now() < until || times.len() < 50 {
        let start = Instant::now();
        work();
        times.push(start.elapsed());
    }
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    let p50 = at(50);
    println!(
        "{:<10} {name:<44} p50 {p50:6.3} ms  p95 {:6.3}  min {:6.3}  {:5.2} Gpx/s  {:4.1} x memcpy  n={}",
        size.to_string(),
        at(95),
        times[0].as_secs_f64() * 1e3,
        size.area() as f64 / p50 / 1e6,
        if memcpy > 0.0 { p50 / memcpy } else { 1.0 },
        times.len()
    );
    p50
}

/// Differences of each visible plane from the exact picture.
fn judge(name: &str, layout: &PictureLayout, seen: &[u8], exact: &[u8]) {
    for (index, plane) in layout.planes().iter().enumerate() {
        let (mut total, mut off_by_one, mut more, mut largest) = (0u64, 0u64, 0u64, 0u8);
        for y in 0..plane.rows {
            let at = plane.offset + y * plane.stride;
            for (a, b) in seen[at..at + plane.row_bytes]
                .iter()
                .zip(&exact[at..at + plane.row_bytes])
            {
                let difference = a.abs_diff(*b);
                total += 1;
                off_by_one += u64::from(difference == 1);
                more += u64::from(difference > 1);
                largest = largest.max(difference);
            }
        }
        let percent = |n: u64| 100.0 * n as f64 / total as f64;
        println!(
            "           {name:<38} plane {index}: exact {:7.3} %  off by 1 {:7.3} %  more {:7.3} %  max {largest}",
            percent(total - off_by_one - more),
            percent(off_by_one),
            percent(more),
        );
    }
}

fn planar<'a>(layout: &PictureLayout, bytes: &'a mut [u8]) -> YuvPlanarImageMut<'a, u8> {
    let stride = |plane: usize| layout.planes()[plane].stride as u32;
    let strides = [stride(0), stride(1), stride(2)];
    let size = layout.visible();
    let [y, u, v] = layout
        .split_mut(bytes)
        .expect("the buffer has the layout's size");
    YuvPlanarImageMut {
        y_plane: BufferStoreMut::Borrowed(y),
        y_stride: strides[0],
        u_plane: BufferStoreMut::Borrowed(u),
        u_stride: strides[1],
        v_plane: BufferStoreMut::Borrowed(v),
        v_stride: strides[2],
        width: size.width,
        height: size.height,
    }
}

fn biplanar<'a>(layout: &PictureLayout, bytes: &'a mut [u8]) -> YuvBiPlanarImageMut<'a, u8> {
    let stride = |plane: usize| layout.planes()[plane].stride as u32;
    let strides = [stride(0), stride(1)];
    let size = layout.visible();
    let [y, uv, _] = layout
        .split_mut(bytes)
        .expect("the buffer has the layout's size");
    YuvBiPlanarImageMut {
        y_plane: BufferStoreMut::Borrowed(y),
        y_stride: strides[0],
        uv_plane: BufferStoreMut::Borrowed(uv),
        uv_stride: strides[1],
        width: size.width,
        height: size.height,
    }
}

fn dcv_convert(pixels: &[u8], layout: &PictureLayout, bytes: &mut [u8]) {
    let size = layout.visible();
    let (pixel_format, num_planes) = match layout.format() {
        PictureFormat::Nv12 => (dcv::PixelFormat::Nv12, 2),
        PictureFormat::I420 => (dcv::PixelFormat::I420, 3),
        _ => (dcv::PixelFormat::I444, 3),
    };
    let strides: Vec<usize> = layout.planes().iter().map(|p| p.stride).collect();
    let mut planes = layout
        .split_mut(bytes)
        .expect("the buffer has the layout's size");
    dcv::convert_image(
        size.width,
        size.height,
        &dcv::ImageFormat {
            pixel_format: dcv::PixelFormat::Bgra,
            color_space: dcv::ColorSpace::Rgb,
            num_planes: 1,
        },
        Some(&[size.width as usize * 4]),
        &[pixels],
        &dcv::ImageFormat {
            pixel_format,
            color_space: dcv::ColorSpace::Bt709,
            num_planes,
        },
        Some(&strides),
        &mut planes[..num_planes as usize],
    )
    .expect("sizes fit");
}

/// Left-sited 4:2:0 chroma out of two full rows of chroma.
fn downsample(upper: &[u8], lower: &[u8], sums: &mut [u16], out: &mut [u8]) {
    for ((sum, u), l) in sums[1..].iter_mut().zip(upper).zip(lower) {
        *sum = u16::from(*u) + u16::from(*l);
    }
    sums[0] = sums[1];
    for (i, out) in out.iter_mut().enumerate() {
        *out = ((sums[2 * i] + 2 * sums[2 * i + 1] + sums[2 * i + 2] + 4) >> 3) as u8;
    }
}

/// Full-resolution chroma by a crate in bands that fit the second-level
/// cache, brought to left-sited NV12 here.
fn banded(
    pixels: &[u8],
    layout: &PictureLayout,
    bytes: &mut [u8],
    scratch: &mut [u8],
    band: &PictureLayout,
    convert: impl Fn(&[u8], &PictureLayout, &mut [u8]),
) {
    let size = layout.visible();
    let width = size.width as usize;
    let rows = band.visible().height as usize;
    let (luma, chroma) = (layout.planes()[0], layout.planes()[1]);
    let [y_plane, uv_plane, _] = layout
        .split_mut(bytes)
        .expect("the buffer has the layout's size");
    let mut sums = vec![0u16; width + 1];
    let (mut cb, mut cr) = (vec![0u8; width / 2], vec![0u8; width / 2]);
    for top in (0..size.height as usize).step_by(rows) {
        convert(
            &pixels[top * width * 4..(top + rows) * width * 4],
            band,
            scratch,
        );
        let [y, u, v] = band
            .split(scratch)
            .expect("the buffer has the layout's size");
        let stride = band.planes()[0].stride;
        for row in 0..rows {
            y_plane[(top + row) * luma.stride..][..width]
                .copy_from_slice(&y[row * stride..row * stride + width]);
        }
        for row in (0..rows).step_by(2) {
            let line = row * stride..row * stride + width;
            let next = line.start + stride..line.end + stride;
            downsample(&u[line.clone()], &u[next.clone()], &mut sums, &mut cb);
            downsample(&v[line], &v[next], &mut sums, &mut cr);
            let out = &mut uv_plane[(top + row) / 2 * chroma.stride..][..width];
            for ((out, b), r) in out.chunks_exact_mut(2).zip(&cb).zip(&cr) {
                out.copy_from_slice(&[*b, *r]);
            }
        }
    }
}

fn yuv444(pixels: &[u8], layout: &PictureLayout, bytes: &mut [u8]) {
    yuv::bgra_to_yuv444(
        &mut planar(layout, bytes),
        pixels,
        layout.visible().width * 4,
        YuvRange::Limited,
        YuvStandardMatrix::Bt709,
        YuvConversionMode::Balanced,
    )
    .expect("sizes fit");
}

fn main() {
    let center = ColorSpec {
        chroma_site: ChromaSite::Center,
        ..ColorSpec::DESKTOP
    };
    println!("dcv-color-primitives: {}", dcv::describe_acceleration());
    for size in [Size::new(1920, 1080), Size::new(3840, 2160)] {
        let pixels = desktop(size);
        let stride = size.width * 4;
        let source = Source::packed(
            Fourcc::XRGB8888,
            size,
            PlaneView::new(&pixels, stride as usize),
        );
        let mut copy = vec![0u8; pixels.len()];
        let memcpy = measure("memcpy of the BGRX frame", size, 0.0, || {
            copy.copy_from_slice(black_box(&pixels));
        });
        for format in [
            PictureFormat::Nv12,
            PictureFormat::I420,
            PictureFormat::I444,
        ] {
            let layout = PictureLayout::new(format, size).expect("a legal size");
            let mut bytes = vec![0u8; layout.total_bytes()];
            let mut exact = vec![0u8; layout.total_bytes()];
            for spec in [ColorSpec::DESKTOP, center] {
                if format == PictureFormat::I444 && spec == center {
                    continue;
                }
                reference::convert(&source, &layout, spec, &mut exact).expect("sizes fit");
                let mut converter =
                    Converter::new(Fourcc::XRGB8888, size, layout, spec).expect("a supported pair");
                let name = format!("scanout {format:?} {:?}", spec.chroma_site);
                measure(&name, size, memcpy, || {
                    converter
                        .convert(black_box(&source), &mut bytes, &Damage::full(size))
                        .expect("sizes fit");
                });
                judge(&name, &layout, &bytes, &exact);
            }
            // The crates average two by two: judged as centre-sited.
            let name = format!("dcv {format:?}");
            measure(&name, size, memcpy, || {
                dcv_convert(black_box(&pixels), &layout, &mut bytes)
            });
            judge(&name, &layout, &bytes, &exact);
            let name = format!("yuv {format:?} Balanced");
            measure(&name, size, memcpy, || {
                let (range, matrix, mode) = (
                    YuvRange::Limited,
                    YuvStandardMatrix::Bt709,
                    YuvConversionMode::Balanced,
                );
                match format {
                    PictureFormat::Nv12 => yuv::bgra_to_yuv_nv12(
                        &mut biplanar(&layout, &mut bytes),
                        black_box(&pixels),
                        stride,
                        range,
                        matrix,
                        mode,
                    ),
                    PictureFormat::I420 => yuv::bgra_to_yuv420(
                        &mut planar(&layout, &mut bytes),
                        black_box(&pixels),
                        stride,
                        range,
                        matrix,
                        mode,
                    ),
                    _ => yuv::bgra_to_yuv444(
                        &mut planar(&layout, &mut bytes),
                        black_box(&pixels),
                        stride,
                        range,
                        matrix,
                        mode,
                    ),
                }
                .expect("sizes fit");
            });
            judge(&name, &layout, &bytes, &exact);
        }

        // Left-sited NV12 over the crates' full-resolution chroma.
        let layout = PictureLayout::new(PictureFormat::Nv12, size).expect("a legal size");
        let mut bytes = vec![0u8; layout.total_bytes()];
        let mut exact = vec![0u8; layout.total_bytes()];
        reference::convert(&source, &layout, ColorSpec::DESKTOP, &mut exact).expect("sizes fit");
        let band = PictureLayout::new(PictureFormat::I444, Size::new(size.width, 8))
            .expect("a legal size");
        let mut scratch = vec![0u8; band.total_bytes()];
        let name = "dcv I444 bands + own left-sited filter";
        measure(name, size, memcpy, || {
            banded(
                &pixels,
                &layout,
                &mut bytes,
                &mut scratch,
                &band,
                dcv_convert,
            );
        });
        judge(name, &layout, &bytes, &exact);
        let name = "yuv I444 bands + own left-sited filter";
        measure(name, size, memcpy, || {
            banded(&pixels, &layout, &mut bytes, &mut scratch, &band, yuv444);
        });
        judge(name, &layout, &bytes, &exact);

        let luma = PlaneView::new(&exact, layout.planes()[0].stride);
        let seen = PlaneView::new(&bytes, layout.planes()[0].stride);
        measure("SSIM of luma", size, memcpy, || {
            black_box(quality::ssim(luma, seen, size).expect("sizes fit"));
        });
        measure("PSNR of luma", size, memcpy, || {
            black_box(quality::psnr(luma, seen, size).expect("sizes fit"));
        });

        // A typical damaged part: a window of a tenth of the screen.
        let mut converter =
            Converter::new(Fourcc::XRGB8888, size, layout, ColorSpec::DESKTOP).expect("supported");
        let damage = Damage::from(Rect::new(101, 77, size.width / 3, size.height / 3));
        measure("scanout Nv12 Left, a ninth damaged", size, memcpy, || {
            converter
                .convert(&source, &mut bytes, black_box(&damage))
                .expect("sizes fit");
        });
    }
}
