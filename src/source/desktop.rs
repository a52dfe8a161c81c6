use scanout_core::convert::PlaneView;
use scanout_core::encoder::FrameRate;
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Size};
use scanout_trace::desktop::{Desktop, Scenario};

use super::{FrameSource, SourceArgs};
use crate::failure::Failure;

/// The synthetic desktop; it never ends.
pub(super) struct DesktopSource(Desktop);

impl DesktopSource {
    pub(super) fn new(
        args: &SourceArgs,
        scenario: Scenario,
        fps: Option<FrameRate>,
    ) -> Result<Self, Failure> {
        if !args.raw.is_empty() {
            return Err(Failure::usage("the desktop has a layout of its own: --raw options are for raw:FILE"));
        }
        let size = args.size.unwrap_or(Size::new(1920, 1080));
        // The desktop's clock counts whole frames per second.
        let fps = fps.map_or(60.0, FrameRate::as_f64).round().max(1.0) as u32;
        let desktop = Desktop::new(size, scenario, args.seed, fps).map_err(Failure::usage)?;
        Ok(Self(desktop))
    }
}

impl FrameSource for DesktopSource {
    fn size(&self) -> Size {
        self.0.size()
    }

    fn fourcc(&self) -> Fourcc {
        Desktop::FOURCC
    }

    fn frame_rate(&self) -> Option<FrameRate> {
        Some(FrameRate::whole(self.0.fps()))
    }

    fn frames(&self) -> Option<u64> {
        None
    }

    fn advance(&mut self) -> Result<Option<Damage>, Failure> {
        Ok(Some(self.0.next_frame().damage))
    }

    fn planes(&self) -> Vec<PlaneView<'_>> {
        vec![PlaneView::new(self.0.pixels(), self.0.stride())]
    }
}
