//! Which file holds which codec.

use std::path::{Path, PathBuf};

use scanout_core::encoder::Codec;
use scanout_core::geometry::Size;

use crate::failure::Failure;

/// How packets are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Container {
    /// Packets one after the other: Annex-B byte streams, AV1 temporal units and JPEGs.
    Raw,
    /// Frames with size and time.
    Ivf,
    /// ISO base media file, by GStreamer.
    Mp4,
    /// Matroska, by GStreamer.
    Mkv,
}

/// Smallest side that GStreamer's `mp4mux` accepts, by its pad templates.
const MP4_MIN_SIDE: u32 = 16;

/// The extensions with the codecs that they can hold, the default first.
const EXTENSIONS: [(&str, Container, &[Codec]); 10] = [
    ("h264", Container::Raw, &[Codec::H264]),
    ("264", Container::Raw, &[Codec::H264]),
    ("h265", Container::Raw, &[Codec::H265]),
    ("265", Container::Raw, &[Codec::H265]),
    ("hevc", Container::Raw, &[Codec::H265]),
    ("obu", Container::Raw, &[Codec::Av1]),
    ("mjpeg", Container::Raw, &[Codec::Mjpeg]),
    ("ivf", Container::Ivf, &[Codec::Vp8, Codec::Vp9, Codec::Av1]),
    (
        "mp4",
        Container::Mp4,
        &[Codec::H264, Codec::H265, Codec::Av1, Codec::Vp9],
    ),
    (
        "mkv",
        Container::Mkv,
        &[
            Codec::H264,
            Codec::H265,
            Codec::Av1,
            Codec::Vp9,
            Codec::Vp8,
            Codec::Mjpeg,
        ],
    ),
];

/// Where the stream goes, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    /// `None` is standard output.
    pub(crate) path: Option<PathBuf>,
    pub(crate) container: Container,
    pub(crate) codec: Codec,
}

impl Destination {
    /// What `output` and the codec asked for amount to.
    pub(crate) fn new(output: &Path, codec: Option<Codec>) -> Result<Self, Failure> {
        if output.as_os_str() == "-" {
            return Self::on_stdout(codec.unwrap_or(Codec::H264));
        }
        let extension = output
            .extension()
            .and_then(|extension| extension.to_str())
            .map(str::to_ascii_lowercase)
            .unwrap_or_default();
        let Some((_, container, codecs)) = EXTENSIONS.iter().find(|(name, ..)| *name == extension)
        else {
            let known: Vec<_> = EXTENSIONS
                .iter()
                .map(|(name, ..)| format!(".{name}"))
                .collect();
            return Err(Failure::usage(format_args!(
                "--output {}: extension {extension:?} names no kind of file",
                output.display()
            ))
            .hint(format_args!(
                "one of {}, or - for standard output",
                known.join(", ")
            )));
        };
        let held = || {
            codecs
                .iter()
                .map(|c| c.name())
                .collect::<Vec<_>>()
                .join(", ")
        };
        let codec = match (codec, codecs.first()) {
            (Some(codec), _) if codecs.contains(&codec) => codec,
            (None, Some(first)) => *first,
            (codec, _) => {
                return Err(Failure::usage(format_args!(
                    "--output {}: a .{extension} file holds {}, not {}",
                    output.display(),
                    held(),
                    codec.map_or("that", Codec::name)
                ))
                .hint("leave --codec out, or name the file after the codec"));
            }
        };
        Ok(Self {
            path: Some(output.to_owned()),
            container: *container,
            codec,
        })
    }

    /// That the container holds pictures of `size`.
    pub(crate) fn check(&self, size: Size) -> Result<(), Failure> {
        if self.container == Container::Mp4 && size.width.min(size.height) < MP4_MIN_SIDE {
            return Err(Failure::usage(format_args!(
                "an MP4 file of {size}: sides must be at least {MP4_MIN_SIDE} pixels"
            ))
            .hint("Matroska (.mkv) and bare streams hold any size"));
        }
        Ok(())
    }

    fn on_stdout(codec: Codec) -> Result<Self, Failure> {
        let container = match codec {
            Codec::Vp8 | Codec::Vp9 => Container::Ivf,
            _ => Container::Raw,
        };
        Ok(Self {
            path: None,
            container,
            codec,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_decides_container_and_default_codec() {
        let of = |name: &str, codec| {
            Destination::new(Path::new(name), codec).map(|d| (d.container, d.codec))
        };
        assert_eq!(of("a.h264", None).unwrap(), (Container::Raw, Codec::H264));
        assert_eq!(of("a.IVF", None).unwrap(), (Container::Ivf, Codec::Vp8));
        assert_eq!(
            of("a.ivf", Some(Codec::Av1)).unwrap(),
            (Container::Ivf, Codec::Av1)
        );
        assert_eq!(
            of("-", Some(Codec::Vp9)).unwrap(),
            (Container::Ivf, Codec::Vp9)
        );
        for (name, codec) in [
            ("a.h264", Some(Codec::Vp8)),
            ("a.mp4", Some(Codec::Vp8)),
            ("a.ivf", Some(Codec::H264)),
            ("a.avi", None),
            ("a", None),
            ("", None),
        ] {
            assert!(of(name, codec).is_err(), "{name} {codec:?}");
        }
    }
}
