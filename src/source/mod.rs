//! Where frames come from: the synthetic desktop or files.

mod desktop;
mod files;
mod spec;

use scanout_core::convert::{PlaneView, Source};
use scanout_core::encoder::FrameRate;
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Size};

pub(crate) use spec::{RawOptions, SourceArgs, SourceSpec};

use crate::failure::Failure;

/// A sequence of frames of one size and format.
///
/// Like a display server's front buffer: it holds the newest frame whole, and
/// says of each what changed.
pub(crate) trait FrameSource: Send {
    /// Width and height.
    fn size(&self) -> Size;
    /// Pixel format.
    fn fourcc(&self) -> Fourcc;
    /// The rate that the source itself has.
    fn frame_rate(&self) -> Option<FrameRate>;
    /// Frames in all, where that is known and finite.
    fn frames(&self) -> Option<u64>;
    /// Goes on to the next frame and returns what changed, `None` after the last.
    fn advance(&mut self) -> Result<Option<Damage>, Failure>;
    /// The planes of the newest frame, linear and top-down.
    fn planes(&self) -> Vec<PlaneView<'_>>;

    /// The newest frame, to be converted.
    fn picture(&self) -> Source<'_> {
        Source::new(self.fourcc(), self.size(), self.planes())
    }
}

/// Opens what was asked for.
pub(crate) fn open(args: &SourceArgs, fps: Option<FrameRate>) -> Result<Box<dyn FrameSource>, Failure> {
    match &args.source {
        SourceSpec::Desktop(scenario) => {
            Ok(Box::new(desktop::DesktopSource::new(args, *scenario, fps)?))
        }
        SourceSpec::Y4m(path) => files::y4m(path),
        SourceSpec::Raw(path) => files::raw(path, args),
        SourceSpec::Png(path) => files::png(path),
    }
}
