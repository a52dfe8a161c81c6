//! Core's format table against GStreamer's own mapping of formats to DRM codes,
//! which exists from 1.24 on.

use scanout_core::format;

mod sys {
    //! Symbols that the installed GStreamer may lack.
    #![allow(unsafe_code)]

    use std::ffi::{CStr, c_char, c_int, c_void};

    unsafe extern "C" {
        fn dlsym(handle: *mut c_void, symbol: *const c_char) -> *mut c_void;
    }

    /// `guint32 gst_video_dma_drm_fourcc_from_format (GstVideoFormat)`
    type FourccFromFormat = unsafe extern "C" fn(c_int) -> u32;

    pub(crate) struct Mapping(FourccFromFormat);

    impl Mapping {
        pub(crate) fn find() -> Option<Self> {
            const NAME: &CStr = c"gst_video_dma_drm_fourcc_from_format";
            // SAFETY: a null handle (RTLD_DEFAULT) searches the libraries of the
            // process, of which libgstvideo is one; the name is a C string.
            let symbol = unsafe { dlsym(std::ptr::null_mut(), NAME.as_ptr()) };
            if symbol.is_null() {
                return None;
            }
            // SAFETY: the symbol of that name has had this signature since it
            // came with 1.24.
            Some(Self(unsafe {
                std::mem::transmute::<*mut c_void, FourccFromFormat>(symbol)
            }))
        }

        /// 0 where GStreamer knows no code.
        pub(crate) fn fourcc(&self, format: c_int) -> u32 {
            // SAFETY: takes any number, reads a table and has no preconditions.
            unsafe { (self.0)(format) }
        }
    }
}

#[test]
fn gstreamers_own_drm_codes_agree_with_the_format_table() {
    use gstreamer::glib::translate::IntoGlib;

    gstreamer::init().unwrap();
    let mut named = 0;
    let mapping = sys::Mapping::find();
    let mut compared = 0;
    for info in format::all() {
        let Some(name) = info.gst_name else { continue };
        let Ok(format) = name.parse::<gstreamer_video::VideoFormat>() else {
            continue;
        };
        if format == gstreamer_video::VideoFormat::Unknown {
            continue;
        }
        named += 1;
        if let Some(mapping) = &mapping {
            let code = mapping.fourcc(format.into_glib());
            // GStreamer maps some of its formats to no code.
            if code != 0 {
                compared += 1;
                assert_eq!(code, info.fourcc.0, "{name} is {}", info.fourcc);
            }
        }
    }
    assert!(
        named > 20,
        "GStreamer knows only {named} of the table's names"
    );
    if mapping.is_none() {
        let (major, minor, ..) = gstreamer::version();
        eprintln!(
            "SKIPPED: GStreamer {major}.{minor} has no mapping of formats to DRM codes, {named} formats not compared"
        );
    } else {
        assert!(compared > 20, "only {compared} formats compared");
    }
}
