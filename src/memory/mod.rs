//! Where frames live: a ring of buffers that the producer redraws, as a
//! display server does.

mod flip;
mod gbm;
mod ring;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use scanout_core::buffer::alloc::Provider;
use scanout_core::format::Modifier;

#[cfg(feature = "serve")]
pub(crate) use ring::BUFFERS;
pub(crate) use ring::Ring;

/// Where a ring's buffers come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    /// Plain memory of this process.
    Process,
    /// Shared memory or dma-bufs.
    Provider(Provider),
    /// Buffers of GBM, tiled as the driver likes or as named.
    Gbm {
        node: PathBuf,
        modifier: Option<Modifier>,
    },
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process => f.write_str("memory"),
            Self::Provider(provider) => provider.fmt(f),
            Self::Gbm { node, modifier } => {
                write!(f, "gbm:{}", node.display())?;
                match modifier {
                    Some(modifier) => write!(f, ":{modifier}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl FromStr for Memory {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "memory" {
            return Ok(Self::Process);
        }
        if let Some(rest) = text.strip_prefix("gbm:") {
            let (node, modifier) = match rest.split_once(':') {
                Some((node, name)) => (node, Some(name.parse().map_err(|e| format!("{e}"))?)),
                None => (rest, None),
            };
            return match node {
                "" => Err("gbm: needs a node, for example gbm:/dev/dri/renderD128".to_owned()),
                node => Ok(Self::Gbm {
                    node: node.into(),
                    modifier,
                }),
            };
        }
        if text == "dumb:" {
            return Err("dumb: needs a node, for example dumb:/dev/dri/card0".to_owned());
        }
        text.parse().map(Self::Provider).map_err(|_| {
            format!(
                "{text:?} is no kind of memory: write memory, memfd, udmabuf, dma-heap[:NAME], dumb:NODE or gbm:NODE[:MODIFIER]"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_of_memory_that_needs_a_node_says_so() {
        for kind in ["gbm:", "dumb:"] {
            let error = kind.parse::<Memory>().unwrap_err();
            assert!(error.starts_with(&format!("{kind} needs a node, for example {kind}/dev")));
        }
    }

    #[test]
    fn kinds_of_memory_read_as_written() {
        for text in [
            "memory",
            "memfd",
            "udmabuf",
            "dma-heap:system",
            "dumb:/dev/dri/card0",
            "gbm:/dev/dri/renderD128",
            "gbm:/dev/dri/renderD128:INTEL_X_TILED",
        ] {
            assert_eq!(text.parse::<Memory>().unwrap().to_string(), text);
        }
        for bad in [
            "",
            "ram",
            "gbm:",
            "dumb:",
            "dma-heap:../x",
            "gbm:/dev/x:NO_SUCH",
        ] {
            assert!(bad.parse::<Memory>().is_err(), "{bad}");
        }
    }
}
