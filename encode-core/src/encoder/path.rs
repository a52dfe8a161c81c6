use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::config::ParseNameError;

/// How a source's pixels reached the encoder, cheapest first.
///
/// It labels each picture with what happened, and it is the ceiling that a
/// caller sets on what may happen ([`StageConfig::max_path`](super::StageConfig)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PathClass {
    /// The encoder read the source itself.
    ZeroCopy,
    /// The GPU imported the source and converted it into a surface of ours.
    GpuCopy,
    /// The CPU converted; the result was uploaded to a hardware encoder.
    CpuUpload,
    /// A GPU converted; the result was read back for a software encoder.
    Readback,
    /// The CPU converted for a software encoder.
    Software,
}

impl PathClass {
    /// All classes, cheapest first.
    pub const ALL: [Self; 5] = [
        Self::ZeroCopy,
        Self::GpuCopy,
        Self::CpuUpload,
        Self::Readback,
        Self::Software,
    ];

    /// The name that [`Display`](fmt::Display) writes and [`FromStr`] reads.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ZeroCopy => "zero-copy",
            Self::GpuCopy => "gpu-copy",
            Self::CpuUpload => "cpu-upload",
            Self::Readback => "readback",
            Self::Software => "software",
        }
    }
}

impl fmt::Display for PathClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for PathClass {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        ParseNameError::look_up("path class", text, Self::ALL.iter().map(|p| (p.name(), *p)))
    }
}
