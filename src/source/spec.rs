//! What `--source` and its options can say.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use scanout_core::format::{Fourcc, Modifier};
use scanout_core::geometry::Size;
use scanout_trace::desktop::Scenario;

use crate::cli::values;

/// A source by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SourceSpec {
    /// The synthetic desktop.
    Desktop(Scenario),
    /// A YUV4MPEG2 file.
    Y4m(PathBuf),
    /// Frames one after the other without a header.
    Raw(PathBuf),
    /// PNG files in order of their names.
    Png(PathBuf),
}

impl FromStr for SourceSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "desktop" {
            return Ok(Self::Desktop(Scenario::Mixed));
        }
        if let Some(scenario) = text.strip_prefix("desktop:") {
            return scenario
                .parse()
                .map(Self::Desktop)
                .map_err(|error| error.to_string());
        }
        if let Some(path) = text.strip_prefix("raw:") {
            return match path {
                "" => Err("raw: needs the name of a file, for example raw:frames.bgrx".to_owned()),
                path => Ok(Self::Raw(path.into())),
            };
        }
        let path = Path::new(text);
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        match extension.to_ascii_lowercase().as_str() {
            "y4m" => Ok(Self::Y4m(path.into())),
            "png" => Ok(Self::Png(path.into())),
            _ if path.is_dir() => Ok(Self::Png(path.into())),
            _ => Err(format!(
                "{text:?} is no source: write desktop[:SCENARIO], FILE.y4m, raw:FILE, a directory of PNG files or a pattern such as 'shots/*.png'"
            )),
        }
    }
}

/// A source and what must be said beside its name.
#[derive(Clone, Debug, Args)]
pub(crate) struct SourceArgs {
    /// desktop[:SCENARIO] (typing, scroll, drag, video, flip, color-text, idle,
    /// mixed), FILE.y4m, raw:FILE with a layout, a directory of PNG files or a
    /// pattern such as 'shots/*.png'
    #[arg(long, value_name = "SOURCE")]
    pub(crate) source: SourceSpec,
    /// Size of the desktop or of raw frames [default: 1920x1080 for the desktop]
    #[arg(long, value_name = "WxH", value_parser = values::size)]
    pub(crate) size: Option<Size>,
    /// Seed of the synthetic desktop: the same seed draws the same pixels
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) raw: RawOptions,
}

/// The layout of raw frames.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Layout of raw frames")]
pub(crate) struct RawOptions {
    /// DRM format code, for example XR24 (bytes B, G, R, X) or NV12
    #[arg(long = "raw-format", value_name = "FOURCC")]
    pub(crate) format: Option<Fourcc>,
    /// Format modifier; the CPU reads LINEAR only
    #[arg(long = "raw-modifier", value_name = "MODIFIER")]
    pub(crate) modifier: Option<Modifier>,
    /// Where a plane begins in a frame and the bytes of its rows, once per plane
    /// [default: planes one after the other without gaps]
    #[arg(long = "raw-plane", value_name = "OFFSET:STRIDE", value_parser = plane)]
    pub(crate) planes: Vec<(u32, u32)>,
    /// Bytes from one frame to the next [default: as the planes need]
    #[arg(long = "raw-frame-bytes", value_name = "BYTES")]
    pub(crate) frame_bytes: Option<u64>,
}

impl RawOptions {
    /// True when none of them is given.
    pub(crate) fn is_empty(&self) -> bool {
        self.format.is_none()
            && self.modifier.is_none()
            && self.planes.is_empty()
            && self.frame_bytes.is_none()
    }
}

fn plane(text: &str) -> Result<(u32, u32), String> {
    let bad = || format!("{text:?} is no plane: write OFFSET:STRIDE in bytes, for example 0:7680");
    let (offset, stride) = text.split_once(':').ok_or_else(bad)?;
    Ok((
        offset.parse().map_err(|_| bad())?,
        stride.parse().map_err(|_| bad())?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_told_apart_by_name() {
        let of = |text: &str| text.parse::<SourceSpec>();
        assert_eq!(of("desktop"), Ok(SourceSpec::Desktop(Scenario::Mixed)));
        assert_eq!(of("desktop:drag"), Ok(SourceSpec::Desktop(Scenario::Drag)));
        assert_eq!(of("a/b.Y4M"), Ok(SourceSpec::Y4m("a/b.Y4M".into())));
        assert_eq!(of("raw:x.png"), Ok(SourceSpec::Raw("x.png".into())));
        assert_eq!(of("shots/*.png"), Ok(SourceSpec::Png("shots/*.png".into())));
        for bad in ["", "desktop:", "desktop:nap", "raw:", "film.mkv", "nothing"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
