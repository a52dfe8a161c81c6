//! Where frames come from, as the command line says it.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use clap::Args;
use scanout_core::color::{ChromaSite, Range};
use scanout_core::encoder::FrameRate;
use scanout_core::geometry::Size;
use scanout_trace::source::{
    self, FrameReader, SourceError, SourceSpec, Y4mChroma, Y4mHeader, Y4mReader,
};

use crate::cli::values;
use crate::failure::{self, Failure};

/// Rate of sources that have none of their own.
const DEFAULT_FPS: u32 = 60;
/// Size of the desktop where none is asked for.
const DEFAULT_SIZE: Size = Size::new(1920, 1080);

/// A source and what must be said beside its name.
#[derive(Clone, Debug, Args)]
pub(crate) struct SourceArgs {
    /// desktop[:SCENARIO] (typing, scroll, drag, video, flip, color-text, idle,
    /// mixed), FILE.y4m (with FILE.y4m.damage.jsonl where that is there),
    /// raw:FILE:WxH:FOURCC[:stride=N][:offset=N][:frame=N],
    /// qemu-trace:FILE[:scanout=N|:size=WxH] (a recording of a display; what was
    /// shown longest unless said), a directory of PNG files, or a pattern such
    /// as frame-%04d.png
    #[arg(long, value_name = "SOURCE", default_value = "desktop")]
    pub(crate) source: SourceSpec,
    /// Size of the desktop [default: 1920x1080]
    #[arg(long, value_name = "WxH", value_parser = values::size)]
    pub(crate) size: Option<Size>,
    /// Frames per second, for sources that do not say it: 60, 59.94 or
    /// 60000/1001 [default: 60]
    #[arg(long, value_name = "RATE", value_parser = values::frame_rate)]
    pub(crate) fps: Option<FrameRate>,
    /// Seed of the desktop: the same seed draws the same pixels
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

/// What a source says about its samples, which are taken as they are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Declared {
    pub(crate) range: Option<Range>,
    /// `None` where it is the one on the left, or unsaid.
    pub(crate) chroma_site: Option<ChromaSite>,
}

impl SourceArgs {
    /// Ten seconds and more of the mixed desktop.
    pub(crate) fn desktop(size: Size, fps: u32, seed: u64) -> Self {
        Self {
            source: SourceSpec::Desktop(scanout_trace::desktop::Scenario::Mixed),
            size: Some(size),
            fps: Some(FrameRate::whole(fps)),
            seed,
        }
    }

    /// Opens the source.
    pub(crate) fn open(&self) -> Result<Box<dyn FrameReader>, Failure> {
        let is_desktop = matches!(self.source, SourceSpec::Desktop(_));
        if let Some(size) = self.size
            && !is_desktop
        {
            return Err(Failure::usage(format_args!(
                "--size {size}: a source of files has a size of its own"
            ))
            .hint(match self.source {
                SourceSpec::Recording { .. } => {
                    "qemu-trace:FILE:size=WxH chooses what of a recording is encoded"
                }
                _ => "--size is for the desktop",
            }));
        }
        let fps = self.fps.unwrap_or(FrameRate::whole(DEFAULT_FPS));
        if is_desktop && fps.den.get() != 1 {
            return Err(Failure::usage(format_args!(
                "--fps {}/{}: the desktop runs at whole rates",
                fps.num, fps.den
            )));
        }
        let fps = source::FrameRate {
            num: fps.num.get(),
            den: fps.den.get(),
        };
        let size = self.size.unwrap_or(DEFAULT_SIZE);
        self.source
            .open(size, fps, self.seed)
            .map_err(|error| failed(&error))
    }

    /// The file, where the source is one.
    pub(crate) fn file(&self) -> Option<&Path> {
        match &self.source {
            SourceSpec::Y4m(path)
            | SourceSpec::Raw { path, .. }
            | SourceSpec::Recording { path, .. } => Some(path),
            _ => None,
        }
    }

    /// True where `path` is the source's own file, by whatever name.
    pub(crate) fn is(&self, path: &Path) -> bool {
        let of = |path: &Path| {
            let file = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
            Some((file.dev(), file.ino()))
        };
        let source = self.file().and_then(of);
        source.is_some() && source == of(path)
    }

    /// What a Y4M file states about its samples. Pipes are not asked: what is
    /// read of them is gone.
    pub(crate) fn declared(&self) -> Declared {
        self.y4m_header().map_or_else(Declared::default, |header| {
            let full = |full| if full { Range::Full } else { Range::Limited };
            Declared {
                range: header.full_range.map(full),
                chroma_site: match header.chroma {
                    Y4mChroma::C420Jpeg => Some(ChromaSite::Center),
                    _ => None,
                },
            }
        })
    }

    fn y4m_header(&self) -> Option<Y4mHeader> {
        let SourceSpec::Y4m(path) = &self.source else {
            return None;
        };
        fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        let reader = Y4mReader::new(File::open(path).ok()?).ok()?;
        Some(*reader.header())
    }

    /// The source's name.
    pub(crate) fn name(&self) -> String {
        match &self.source {
            SourceSpec::Desktop(scenario) => format!("desktop:{scenario}, seed {}", self.seed),
            SourceSpec::Y4m(path) | SourceSpec::Png(path) => path.display().to_string(),
            SourceSpec::Raw { path, layout } => {
                format!("{} ({} {})", path.display(), layout.fourcc(), layout.size())
            }
            SourceSpec::Recording { path, .. } => path.display().to_string(),
            _ => "some source".to_owned(),
        }
    }

    /// The source's name and what belongs to it.
    pub(crate) fn describe(&self, reader: &dyn FrameReader) -> String {
        let name = self.name();
        match reader.details() {
            Some(details) => format!("{name}: {details}"),
            None => name,
        }
    }
}

/// What a source's error means for the program's end.
pub(crate) fn failed(error: &SourceError) -> Failure {
    match error {
        // What the desktop refuses was said on the command line.
        SourceError::Desktop(error) => Failure::usage(error),
        error => Failure::input(failure::without_number(&error.to_string())),
    }
}

/// The rate as encoders take it; one frame per second where a reader says zero.
pub(crate) fn rate_of(reader: &dyn FrameReader) -> FrameRate {
    let rate = reader.fps();
    let at_least_one = |n| std::num::NonZeroU32::new(n).unwrap_or(std::num::NonZeroU32::MIN);
    FrameRate {
        num: at_least_one(rate.num),
        den: at_least_one(rate.den),
    }
}
