//! Sources as a user names them.

use std::ffi::OsString;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use scanout_core::geometry::Size;

use super::{
    DesktopReader, FrameRate, FrameReader, ParseChoiceError, ParseRawLayoutError, PictureChoice,
    PngSequence, RawLayout, RawReader, RecordingSource, SourceError, TracedReader, Y4mReader,
};
use crate::damage_log::DamageLogReader;
use crate::desktop::{Desktop, ParseScenarioError, Scenario};

/// Where frames come from.
///
/// | written | means |
/// |---|---|
/// | `desktop`, `desktop:SCENARIO` | the synthetic desktop |
/// | `FILE.y4m` | Y4M; with the damage in `FILE.y4m.damage.jsonl` where that is there |
/// | `raw:FILE:LAYOUT` | raw frames in a [`RawLayout`] |
/// | `qemu-trace:FILE[:CHOICE]` | a [`recording`](crate::recording), with a [`PictureChoice`] |
/// | a directory, `FILE.png`, a name with `%04d`, `*` or `?` | a [`PngSequence`] |
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceSpec {
    /// The synthetic desktop.
    Desktop(Scenario),
    /// A Y4M file.
    Y4m(PathBuf),
    /// Raw frames.
    Raw {
        /// The file.
        path: PathBuf,
        /// How frames lie in it.
        layout: RawLayout,
    },
    /// PNG files: directory or pattern.
    Png(PathBuf),
    /// A recording of a display producer.
    Recording {
        /// The file.
        path: PathBuf,
        /// Which of its pictures.
        picture: PictureChoice,
    },
}

/// The text names no source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParseSourceError {
    /// None of the forms.
    #[error(
        "{0:?} is no source: write desktop[:SCENARIO], FILE.y4m, raw:FILE:LAYOUT, \
         qemu-trace:FILE[:scanout=N|:size=WxH], a directory of PNG files, or a pattern such as frame-%04d.png"
    )]
    Form(String),
    /// A recording without the word for it.
    #[error("{0:?} is a recording by its name: write qemu-trace:{0}")]
    Recording(String),
    /// An unknown scenario.
    #[error(transparent)]
    Scenario(#[from] ParseScenarioError),
    /// A raw layout that cannot be.
    #[error(transparent)]
    Layout(#[from] ParseRawLayoutError),
    /// Nothing that can be chosen of a recording.
    #[error(transparent)]
    Choice(#[from] ParseChoiceError),
}

impl FromStr for SourceSpec {
    type Err = ParseSourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "desktop" {
            return Ok(Self::Desktop(Scenario::Mixed));
        }
        if let Some(scenario) = text.strip_prefix("desktop:") {
            return Ok(Self::Desktop(scenario.parse()?));
        }
        if let Some(rest) = text.strip_prefix("raw:") {
            // The file's name may hold colons: the layout begins at the first
            // colon that a size follows.
            let start = rest.match_indices(':').map(|(at, _)| at).find(|at| {
                let layout = rest.get(at + 1..).unwrap_or_default();
                layout
                    .split(':')
                    .next()
                    .is_some_and(|size| size.parse::<Size>().is_ok())
            });
            let (path, layout) = match start.and_then(|at| rest.split_at_checked(at)) {
                Some((path, layout)) => (path, layout.trim_start_matches(':')),
                None => return Err(ParseRawLayoutError::Form(rest.to_owned()).into()),
            };
            return Ok(Self::Raw {
                path: path.into(),
                layout: layout.parse()?,
            });
        }
        if let Some(rest) = text.strip_prefix("qemu-trace:") {
            let chosen = rest
                .rsplit_once(':')
                .filter(|(_, last)| last.starts_with("scanout=") || last.starts_with("size="));
            let (path, picture) = match chosen {
                Some((path, choice)) => (path, choice.parse()?),
                None => (rest, PictureChoice::Longest),
            };
            if path.is_empty() {
                return Err(ParseSourceError::Form(text.to_owned()));
            }
            let path = path.into();
            return Ok(Self::Recording { path, picture });
        }
        let path = PathBuf::from(text);
        let ends = |ending: &str| {
            path.extension()
                .is_some_and(|e| e.eq_ignore_ascii_case(ending))
        };
        if ends("y4m") {
            return Ok(Self::Y4m(path));
        }
        if ends("png") || path.is_dir() || text.contains(['%', '*']) {
            return Ok(Self::Png(path));
        }
        if ends("scanrec") {
            return Err(ParseSourceError::Recording(text.to_owned()));
        }
        Err(ParseSourceError::Form(text.to_owned()))
    }
}

impl SourceSpec {
    /// Opens the source. `size` and `seed` are the desktop's; `fps` is that of
    /// sources which state none (whole numbers only for the desktop).
    pub fn open(
        &self,
        size: Size,
        fps: FrameRate,
        seed: u64,
    ) -> Result<Box<dyn FrameReader>, SourceError> {
        Ok(match self {
            Self::Desktop(scenario) => {
                let rate = super::checked_rate(fps.num, fps.den)?;
                let whole = rate.num.div_ceil(rate.den.max(1));
                let desktop = Desktop::new(size, *scenario, seed, whole)?;
                Box::new(DesktopReader::new(desktop))
            }
            Self::Y4m(path) => {
                let frames = Y4mReader::new(open(path)?)?;
                let log = damage_beside(path);
                if log.exists() {
                    let log = DamageLogReader::new(BufReader::new(open(&log)?))?;
                    Box::new(TracedReader::new(frames, log)?)
                } else {
                    Box::new(frames)
                }
            }
            Self::Raw { path, layout } => Box::new(RawReader::open(path, layout.clone(), fps)?),
            Self::Png(path) => Box::new(PngSequence::open(path, fps)?),
            Self::Recording { path, picture } => {
                Box::new(RecordingSource::open(path, *picture, fps)?)
            }
        })
    }
}

fn open(path: &Path) -> Result<File, SourceError> {
    File::open(path).map_err(|source| SourceError::Io {
        path: path.to_owned(),
        source,
    })
}

/// The file beside a Y4M file that holds its damage.
pub fn damage_beside(video: &Path) -> PathBuf {
    let mut name = OsString::from(video.as_os_str());
    name.push(".damage.jsonl");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_read_as_written() {
        let read = |text: &str| text.parse::<SourceSpec>();
        assert_eq!(
            read("desktop").unwrap(),
            SourceSpec::Desktop(Scenario::Mixed)
        );
        assert_eq!(
            read("desktop:color-text").unwrap(),
            SourceSpec::Desktop(Scenario::ColorText)
        );
        assert_eq!(read("a/b.Y4M").unwrap(), SourceSpec::Y4m("a/b.Y4M".into()));
        assert_eq!(
            read("f-%04d.png").unwrap(),
            SourceSpec::Png("f-%04d.png".into())
        );
        match read("raw:a:b.bin:4x2:NV12:offset=3").unwrap() {
            SourceSpec::Raw { path, layout } => {
                assert_eq!(path, Path::new("a:b.bin"));
                assert_eq!((layout.size(), layout.offset()), (Size::new(4, 2), 3));
            }
            other => panic!("{other:?}"),
        }
        let recording = |path: &str, picture| SourceSpec::Recording {
            path: path.into(),
            picture,
        };
        for (text, path, picture) in [
            ("qemu-trace:a", "a", PictureChoice::Longest),
            ("qemu-trace:a:b=1", "a:b=1", PictureChoice::Longest),
            (
                "qemu-trace:a:b.scanrec:scanout=2",
                "a:b.scanrec",
                PictureChoice::Number(2),
            ),
            (
                "qemu-trace:a:size=720x400",
                "a",
                PictureChoice::Size(Size::new(720, 400)),
            ),
        ] {
            assert_eq!(read(text).unwrap(), recording(path, picture), "{text}");
        }
        for (bad, word) in [
            ("qemu-trace:", "qemu-trace:FILE"),
            ("qemu-trace::scanout=1", "qemu-trace:FILE"),
            ("qemu-trace:a:scanout=-1", "scanout=NUMBER"),
            ("qemu-trace:a:size=9", "size=WIDTHxHEIGHT"),
            ("film.mov", "FILE.y4m"),
            ("a.scanrec", "write qemu-trace:a.scanrec"),
            ("desktop:x", "typing"),
            ("raw:a", "FOURCC"),
            ("raw:a:4x2:NV12:stride=1", "4 to"),
        ] {
            let error = read(bad).unwrap_err().to_string();
            assert!(error.contains(word), "{bad}: {error}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let spec: SourceSpec = "not/there.y4m".parse().unwrap();
        let error = spec
            .open(Size::default(), FrameRate::whole(30), 0)
            .err()
            .unwrap();
        assert!(error.to_string().starts_with("not/there.y4m: "), "{error}");
    }
}
