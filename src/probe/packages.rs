//! Which package brings an encoder that is not there.

use scanout_core::encoder::Codec;

/// What to install for software encoders of every codec.
pub(crate) const HINT_BASE: &str = "apt install gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly";

const GOOD: &str = "gstreamer1.0-plugins-good";
const BAD: &str = "gstreamer1.0-plugins-bad";
const UGLY: &str = "gstreamer1.0-plugins-ugly";
const VAAPI: &str = "gstreamer1.0-plugins-bad and a VA-API driver (intel-media-va-driver-non-free or mesa-va-drivers)";

/// Elements, the codec that they code, and the package of Debian and Ubuntu
/// that brings them.
pub(crate) const ELEMENTS: [(&str, Codec, &str); 16] = [
    ("x264enc", Codec::H264, UGLY),
    ("openh264enc", Codec::H264, BAD),
    ("x265enc", Codec::H265, BAD),
    ("vp8enc", Codec::Vp8, GOOD),
    ("vp9enc", Codec::Vp9, GOOD),
    ("av1enc", Codec::Av1, BAD),
    ("jpegenc", Codec::Mjpeg, GOOD),
    ("vah264enc", Codec::H264, VAAPI),
    ("vah264lpenc", Codec::H264, VAAPI),
    ("vah265enc", Codec::H265, VAAPI),
    ("vaav1enc", Codec::Av1, VAAPI),
    ("qsvh264enc", Codec::H264, BAD),
    ("msdkh264enc", Codec::H264, BAD),
    ("nvh264enc", Codec::H264, BAD),
    ("v4l2h264enc", Codec::H264, GOOD),
    ("vulkanh264enc", Codec::H264, BAD),
];

/// The package of `element`.
pub(crate) fn of_element(element: &str) -> Option<&'static str> {
    ELEMENTS
        .iter()
        .find(|(name, ..)| *name == element)
        .map(|(.., package)| *package)
}

/// The package with the first software encoder of `codec`.
pub(crate) fn of_codec(codec: Codec) -> &'static str {
    ELEMENTS
        .iter()
        .find(|(_, coded, _)| *coded == codec)
        .map_or(BAD, |(.., package)| *package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_codec_has_a_package() {
        for codec in Codec::ALL {
            assert!(ELEMENTS.iter().any(|(_, c, _)| *c == codec), "{codec}");
        }
        assert_eq!(of_codec(Codec::H264), UGLY);
        assert_eq!(of_element("nosuchenc"), None);
    }
}
