//! The table of encoder elements: one [`Element`] per GStreamer element, with
//! the name, the unit and the value of the property behind each setting.
//!
//! Nothing here is believed at run time: whether a property exists, takes the
//! value's type and has the enum's nick is asked of the installed element's
//! class (`crate::property`), and what is missing becomes a sentence in
//! [`StreamInfo::not_applied`](scanout_core::encoder::StreamInfo::not_applied).
//!
//! The rows of [`Family::Software`] are checked by tests against the installed
//! elements. The rows of the hardware families describe elements that register
//! only where their hardware is: they follow GStreamer's documentation and no
//! test of ours has seen them run.

mod hardware;
mod software;

use std::fmt;

use serde::Serialize;

use scanout_core::encoder::{Chroma, Codec};

/// What an element drives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Family {
    /// A library on the CPU.
    Software,
    /// VA-API, one set of elements per render node.
    Va,
    /// Intel Media SDK or oneVPL.
    Msdk,
    /// oneVPL with DirectX or VA surfaces.
    Qsv,
    /// NVENC.
    Nvcodec,
    /// A stateful V4L2 codec node.
    V4l2,
    /// Vulkan Video.
    Vulkan,
}

impl Family {
    /// As written in device names and documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Software => "software",
            Self::Va => "va",
            Self::Msdk => "msdk",
            Self::Qsv => "qsv",
            Self::Nvcodec => "nvcodec",
            Self::V4l2 => "v4l2",
            Self::Vulkan => "vulkan",
        }
    }

    /// Caps features of the memory that the family's encoders take, best first.
    pub const fn memory(self) -> &'static [&'static str] {
        match self {
            Self::Software => &["memory:SystemMemory"],
            Self::Va => &["memory:VAMemory", "memory:DMABuf", "memory:SystemMemory"],
            Self::Msdk => &["memory:DMABuf", "memory:VAMemory", "memory:SystemMemory"],
            Self::Qsv => &["memory:VAMemory", "memory:SystemMemory"],
            Self::Nvcodec => &[
                "memory:CUDAMemory",
                "memory:GLMemory",
                "memory:SystemMemory",
            ],
            Self::V4l2 => &["memory:DMABuf", "memory:SystemMemory"],
            Self::Vulkan => &["memory:VulkanImage"],
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a value goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A property of the element.
    Property(&'static str),
    /// A key of the library's own options, in the property [`Element::options`].
    Key(&'static str),
    /// A control of the V4L2 node, in the structure `extra-controls`.
    Control(&'static str),
}

/// A value, or the part of the configuration that it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Bool(bool),
    Int(i64),
    /// An enum's value or a flag by its nick.
    Nick(&'static str),
    Text(&'static str),
    /// The rate, or the average where there is a peak: 1000 bit/s.
    Kbps,
    /// The same in bit/s.
    Bps,
    /// The peak, or the rate where there is none: 1000 bit/s.
    PeakKbps,
    /// The same in bit/s.
    PeakBps,
    /// The rate buffer in milliseconds.
    WindowMs,
    /// Parts of the rate buffer in milliseconds: what is full at the start or
    /// aimed at.
    WindowMsTimes(u32, u32),
    /// The rate buffer in 1000 bit at the peak.
    WindowKbit,
    /// The constant quantiser.
    Qp,
    QpMin,
    QpMax,
    /// The constant quantiser as a quality of libjpeg, or one within the bounds
    /// to begin with.
    Quality,
    /// Pictures from one keyframe to the next.
    Interval,
    Threads,
    /// The base-two logarithm of the threads, rounded down.
    ThreadsLog2,
}

impl Value {
    /// True where another bit rate means another value.
    pub(crate) const fn follows_bitrate(self) -> bool {
        matches!(
            self,
            Self::Kbps | Self::Bps | Self::PeakKbps | Self::PeakBps | Self::WindowKbit
        )
    }
}

/// One property with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// A property of the element.
pub(crate) const fn set(name: &'static str, value: Value) -> Setting {
    Setting {
        place: Place::Property(name),
        value,
    }
}

/// A key of the library's own options.
pub(crate) const fn key(name: &'static str, value: Value) -> Setting {
    Setting {
        place: Place::Key(name),
        value,
    }
}

/// A control of the V4L2 node.
pub(crate) const fn control(name: &'static str, value: Value) -> Setting {
    Setting {
        place: Place::Control(name),
        value,
    }
}

/// How a running stream takes another value or a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Live {
    /// By the element, while it plays.
    InPlace,
    /// By a new element, with a keyframe.
    Reopen,
}

/// One encoder element. An empty list is a setting that it lacks.
#[derive(Debug)]
pub struct Element {
    /// Name of the factory; for va, of the first render node's.
    pub name: &'static str,
    /// What it makes.
    pub codec: Codec,
    /// What it drives.
    pub family: Family,
    /// Order of preference among the elements of one device, higher first.
    pub rank: u32,
    /// Chroma formats that we use it with.
    pub chroma: &'static [Chroma],
    /// How another bit rate reaches a running stream.
    pub live_bitrate: Live,
    /// How a keyframe on request comes about.
    pub live_keyframe: Live,
    /// How other quantiser bounds reach a running stream.
    pub live_qp: Live,
    /// Debian package that holds it.
    pub package: &'static str,
    /// The element that brings pictures from host memory to where this one
    /// reads them; `None` where it does that itself.
    pub upload: Option<&'static str>,
    /// Why it keeps a picture's packet until later pictures come: such an
    /// element is listed, and refused when it is to be opened.
    pub withholds: Option<&'static str>,
    /// What a user should know, one sentence each.
    pub notes: &'static [&'static str],
    /// The property that takes `key=value` pairs, separated by colons.
    pub(crate) options: Option<&'static str>,
    /// Always set: no delay, no reordering, no surprises.
    pub(crate) low_delay: &'static [Setting],
    pub(crate) constant_qp: &'static [Setting],
    /// Instead of those for the codec's highest quantiser, where they do not
    /// reach it.
    pub(crate) constant_highest_qp: &'static [Setting],
    /// The lowest quantiser that the library holds, whatever the element's
    /// properties take.
    pub(crate) lowest_qp: u8,
    /// What else a constant quantiser of 0 means, one sentence.
    pub(crate) at_qp_zero: Option<&'static str>,
    pub(crate) constant: &'static [Setting],
    pub(crate) variable: &'static [Setting],
    pub(crate) window: &'static [Setting],
    /// The property of a picture's quality by which we hold the rate ourselves;
    /// `None` where the element does it.
    pub(crate) rate_by_quality: Option<&'static str>,
    pub(crate) qp_bounds: &'static [Setting],
    pub(crate) on_request: &'static [Setting],
    pub(crate) every: &'static [Setting],
    /// Fastest, balanced, quality.
    pub(crate) effort: [&'static [Setting]; 3],
    pub(crate) threads: &'static [Setting],
    /// Set where no number of threads is asked for.
    pub(crate) threads_unasked: &'static [Setting],
}

/// What rows start from.
pub(crate) const NOTHING: Element = Element {
    name: "",
    codec: Codec::H264,
    family: Family::Software,
    rank: 0,
    chroma: &[Chroma::C420],
    live_bitrate: Live::Reopen,
    live_keyframe: Live::InPlace,
    live_qp: Live::Reopen,
    package: "",
    upload: None,
    withholds: None,
    notes: &[],
    options: None,
    low_delay: &[],
    constant_qp: &[],
    constant_highest_qp: &[],
    lowest_qp: 0,
    at_qp_zero: None,
    constant: &[],
    variable: &[],
    window: &[],
    rate_by_quality: None,
    qp_bounds: &[],
    on_request: &[],
    every: &[],
    effort: [&[], &[], &[]],
    threads: &[],
    threads_unasked: &[],
};

impl Element {
    /// Every setting of the row.
    pub(crate) fn settings(&self) -> impl Iterator<Item = &'static Setting> {
        [
            self.low_delay,
            self.constant_qp,
            self.constant_highest_qp,
            self.constant,
            self.variable,
            self.window,
            self.qp_bounds,
            self.on_request,
            self.every,
            self.effort[0],
            self.effort[1],
            self.effort[2],
            self.threads,
            self.threads_unasked,
        ]
        .into_iter()
        .flatten()
    }

    /// The caps feature, format and framing asked of its output.
    pub(crate) fn output_caps(&self) -> gstreamer::Caps {
        let caps = gstreamer::Caps::builder(media_type(self.codec));
        match self.codec {
            Codec::H264 | Codec::H265 => caps
                .field("stream-format", "byte-stream")
                .field("alignment", "au")
                .build(),
            Codec::Av1 => caps
                .field("stream-format", "obu-stream")
                .field("alignment", "tu")
                .build(),
            _ => caps.build(),
        }
    }
}

/// The caps name of a codec.
pub(crate) const fn media_type(codec: Codec) -> &'static str {
    match codec {
        Codec::H264 => "video/x-h264",
        Codec::H265 => "video/x-h265",
        Codec::Vp8 => "video/x-vp8",
        Codec::Vp9 => "video/x-vp9",
        Codec::Mjpeg => "image/jpeg",
        _ => "video/x-av1",
    }
}

/// The whole table.
pub fn table() -> impl Iterator<Item = &'static Element> {
    software::ELEMENTS.iter().chain(hardware::ELEMENTS)
}

/// The row of an element: by its name, or, for va and nvcodec, by the name of
/// another device's (`varenderD129h264enc`, `nvh264device1enc`).
pub fn find(name: &str) -> Option<&'static Element> {
    if let Some(element) = table().find(|e| e.name == name) {
        return Some(element);
    }
    let (generic, _) = generic_name(name)?;
    table().find(|e| e.name == generic)
}

/// Splits the device out of the name of an element that exists once per device.
pub(crate) fn generic_name(name: &str) -> Option<(String, String)> {
    // va: `va` + `renderD` + number + codec + `enc`
    if let Some(rest) = name.strip_prefix("varenderD") {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, codec) = rest.split_at_checked(digits)?;
        return (!number.is_empty()).then(|| (format!("va{codec}"), format!("renderD{number}")));
    }
    // Others: `device` + number before `enc`
    let (head, tail) = name.split_once("device")?;
    let number = tail.strip_suffix("enc")?;
    number
        .parse::<u32>()
        .ok()
        .map(|n| (format!("{head}enc"), format!("device{n}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_can_hold_a_rate_and_names_its_package() {
        for element in table() {
            assert!(
                !element.constant.is_empty() || !element.variable.is_empty(),
                "{}",
                element.name
            );
            assert!(!element.package.is_empty(), "{}", element.name);
            let uses_keys = element.settings().any(|s| matches!(s.place, Place::Key(_)));
            assert_eq!(uses_keys, element.options.is_some(), "{}", element.name);
            assert_eq!(
                table().filter(|e| e.name == element.name).count(),
                1,
                "{} stands twice",
                element.name
            );
        }
    }

    #[test]
    fn elements_of_further_devices_are_found_by_their_first_devices_row() {
        assert_eq!(find("varenderD129h264enc").unwrap().name, "vah264enc");
        assert_eq!(find("nvh264device1enc").unwrap().name, "nvh264enc");
        for strange in [
            "varenderDh264enc",
            "varenderD1",
            "device",
            "",
            "varenderD129é",
        ] {
            assert!(find(strange).is_none(), "{strange}");
        }
    }
}
