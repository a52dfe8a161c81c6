use std::path::PathBuf;

use serde::Serialize;

use super::{Chroma, Codec, PathClass};
use crate::format::{Fourcc, Modifier};
use crate::geometry::Size;

/// What kind of machinery a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DeviceKind {
    /// The machine's processor.
    Cpu,
    /// A GPU behind a DRM render node.
    Gpu,
    /// A codec behind a V4L2 node.
    Codec,
}

/// Something that can encode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Device {
    /// Unique within its backend and the same at each start, for example `cpu`
    /// or `renderD129`.
    pub id: String,
    /// For people.
    pub name: String,
    /// What it is.
    pub kind: DeviceKind,
    /// Its device node, where it has one.
    pub node: Option<PathBuf>,
}

impl Device {
    /// A device without a node.
    pub fn new(id: impl Into<String>, name: impl Into<String>, kind: DeviceKind) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            kind,
            node: None,
        }
    }

    /// The same device behind `node`.
    #[must_use]
    pub fn with_node(mut self, node: impl Into<PathBuf>) -> Self {
        self.node = Some(node.into());
        self
    }
}

/// A way of controlling the rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RateMode {
    /// One quantiser.
    ConstantQp,
    /// Constant bit rate.
    Constant,
    /// Average and peak.
    Variable,
}

/// A source format that a device takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ImportFormat {
    /// Pixel format.
    pub fourcc: Fourcc,
    /// Tiling.
    pub modifier: Modifier,
    /// Memory planes.
    pub planes: u8,
    /// What the pixels go through.
    pub path: PathClass,
}

impl ImportFormat {
    /// All fields at once.
    pub const fn new(fourcc: Fourcc, modifier: Modifier, planes: u8, path: PathClass) -> Self {
        Self {
            fourcc,
            modifier,
            planes,
            path,
        }
    }
}

/// One encoder of a device, as advertised.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct EncoderCaps {
    /// The backend's name for it: what [`EncoderConfig::encoder`](super::EncoderConfig::encoder) takes.
    pub name: String,
    /// Coding format.
    pub codec: Codec,
    /// Chroma formats.
    pub chroma: Vec<Chroma>,
    /// Smallest picture.
    pub min_size: Size,
    /// Largest picture.
    pub max_size: Size,
    /// Rate control modes.
    pub rates: Vec<RateMode>,
    /// The bit rate of a running stream can be changed without a keyframe.
    pub live_bitrate: bool,
    /// Bounds of the quantiser can be set.
    pub qp_bounds: bool,
    /// What its pictures go through at best.
    pub path: PathClass,
    /// The backend's own order of preference, higher first.
    pub rank: u32,
    /// What it lacks, one sentence each.
    pub notes: Vec<String>,
}

impl EncoderCaps {
    /// An encoder of 4:2:0 pictures of any size, without rate control modes.
    pub fn new(name: impl Into<String>, codec: Codec) -> Self {
        Self {
            name: name.into(),
            codec,
            chroma: vec![Chroma::C420],
            min_size: Size::new(1, 1),
            max_size: Size::new(u32::MAX, u32::MAX),
            rates: Vec::new(),
            live_bitrate: false,
            qp_bounds: false,
            path: PathClass::Software,
            rank: 0,
            notes: Vec::new(),
        }
    }
}

/// What a device says it can do. What it really does is for a probe to find out.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Capabilities {
    /// Its encoders.
    pub encoders: Vec<EncoderCaps>,
    /// Source formats.
    pub imports: Vec<ImportFormat>,
}
