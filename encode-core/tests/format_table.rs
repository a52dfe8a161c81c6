//! The rows of the format table agree with each other, with `drm_fourcc.h` as
//! drm-fourcc has it, and with what GStreamer's documentation says.

use std::collections::HashSet;

use drm_fourcc::DrmFourcc;
use scanout_core::format::{self, Component, Family, Fourcc};

/// Codes by name (as in the kernel's header) with GStreamer's names for the same bytes.
const EXPECTED: &[(&str, Option<&str>)] = &[
    ("XR24", Some("BGRx")),
    ("XB24", Some("RGBx")),
    ("RX24", Some("xBGR")),
    ("BX24", Some("xRGB")),
    ("AR24", Some("BGRA")),
    ("AB24", Some("RGBA")),
    ("RA24", Some("ABGR")),
    ("BA24", Some("ARGB")),
    ("RG24", Some("BGR")),
    ("BG24", Some("RGB")),
    ("RG16", Some("RGB16")),
    ("BG16", Some("BGR16")),
    ("XR30", Some("BGR10x2_LE")),
    ("XB30", Some("RGB10x2_LE")),
    ("AR30", Some("BGR10A2_LE")),
    ("AB30", Some("RGB10A2_LE")),
    ("XR48", None),
    ("XB48", None),
    ("AR48", Some("BGRA64_LE")),
    ("AB48", Some("RGBA64_LE")),
    ("NV12", Some("NV12")),
    ("NV21", Some("NV21")),
    ("NV16", Some("NV16")),
    ("NV24", Some("NV24")),
    ("P010", Some("P010_10LE")),
    ("P012", Some("P012_LE")),
    ("P016", Some("P016_LE")),
    ("YU12", Some("I420")),
    ("YV12", Some("YV12")),
    ("YU16", Some("Y42B")),
    ("YU24", Some("Y444")),
    ("YUYV", Some("YUY2")),
    ("UYVY", Some("UYVY")),
    ("AYUV", Some("VUYA")),
    ("XYUV", None),
    ("Y410", Some("Y410")),
    ("Y210", Some("Y210")),
    ("R8  ", Some("GRAY8")),
];

#[test]
fn every_required_format_has_its_gstreamer_name() {
    for (code, gst) in EXPECTED {
        let fourcc: Fourcc = code.parse().unwrap();
        let row = format::info(fourcc).unwrap_or_else(|| panic!("no row for {code}"));
        assert_eq!(row.fourcc, fourcc);
        assert_eq!(row.gst_name, *gst, "{code}");
        if let Some(gst) = gst {
            assert_eq!(format::from_gst_name(gst).unwrap().fourcc, fourcc);
        }
    }
    assert_eq!(format::all().count(), EXPECTED.len());
    assert!(format::info(Fourcc(0)).is_none());
    assert!(format::from_gst_name("NV12_4L4").is_none());
}

#[test]
fn no_format_or_name_stands_twice() {
    let codes: HashSet<u32> = format::all().map(|row| row.fourcc.0).collect();
    assert_eq!(codes.len(), format::all().count());
    let names: Vec<_> = format::all().filter_map(|row| row.gst_name).collect();
    assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
    let va: Vec<_> = format::all().filter_map(|row| row.va).collect();
    let distinct: HashSet<u32> = va.iter().map(|va| va.fourcc).collect();
    assert_eq!(distinct.len(), va.len());
}

#[test]
fn codes_are_those_of_drm_fourcc() {
    let newer = ["XR48", "XB48", "AR48", "AB48"];
    for row in format::all() {
        let known = DrmFourcc::try_from(row.fourcc.0).is_ok();
        assert_eq!(
            known,
            !newer.contains(&row.fourcc.to_string().as_str()),
            "{}",
            row.fourcc
        );
    }
    // From drm_fourcc.h itself.
    assert_eq!(Fourcc::ARGB16161616.0, 0x3834_5241);
    assert_eq!(Fourcc::XRGB8888, Fourcc::from(DrmFourcc::Xrgb8888));
}

#[test]
fn components_agree_with_family_alpha_and_size() {
    for row in format::all() {
        let all: Vec<Component> = row.planes.iter().flat_map(|p| p.order.to_vec()).collect();
        assert_eq!(all.contains(&Component::A), row.alpha, "{}", row.fourcc);
        let needed: &[Component] = match row.family {
            Family::Rgb => &[Component::R, Component::G, Component::B],
            Family::Yuv => &[Component::Y, Component::U, Component::V],
            _ => &[Component::Y],
        };
        for component in needed {
            assert!(
                all.contains(component),
                "{} lacks {component:?}",
                row.fourcc
            );
        }
        for plane in row.planes {
            let bits = usize::from(plane.block_bytes) * 8;
            let used = plane.order.len() * usize::from(row.bits);
            // RGB565 has six bits of green, the 10-bit formats two of padding or alpha.
            assert!(used <= bits + 8 && used * 2 >= bits, "{}", row.fourcc);
            assert!((1..=2).contains(&plane.h_sub) && (1..=2).contains(&plane.v_sub));
        }
        assert!((1..=3).contains(&row.planes.len()));
    }
}

#[test]
fn rgb_orders_are_the_bytes_that_gstreamer_names() {
    for row in format::all().filter(|r| r.family == Family::Rgb && r.bits == 8) {
        let order: String = row.planes[0]
            .order
            .iter()
            .map(|c| format!("{c:?}"))
            .collect();
        let gst = row.gst_name.unwrap().to_uppercase();
        assert_eq!(order, gst, "{}", row.fourcc);
        if let Some(va) = row.va {
            // VA names bytes in memory as well.
            assert_eq!(va.fourcc.to_le_bytes(), *gst.as_bytes(), "{}", row.fourcc);
        }
    }
}

#[test]
fn odd_sizes_round_chroma_up() {
    let nv12 = format::info(Fourcc::NV12).unwrap();
    assert_eq!(nv12.plane_row_bytes(0, 1365), Some(1365));
    assert_eq!(nv12.plane_row_bytes(1, 1365), Some(1366));
    assert_eq!(nv12.plane_rows(1, 767), Some(384));
    assert_eq!(nv12.plane_rows(2, 767), None);
    assert_eq!(nv12.subsampling(), (2, 2));
    let yuyv = format::info(Fourcc::YUYV).unwrap();
    assert_eq!(yuyv.plane_row_bytes(0, 3), Some(8));
    assert_eq!(yuyv.subsampling(), (2, 1));
    let p010 = format::info(Fourcc::P010).unwrap();
    assert_eq!(p010.plane_row_bytes(1, 1), Some(4));
    // The largest width still counts right.
    let deep = format::info(Fourcc::XRGB16161616).unwrap();
    assert_eq!(deep.plane_row_bytes(0, u32::MAX), Some(8 * 0xffff_ffff));
}
