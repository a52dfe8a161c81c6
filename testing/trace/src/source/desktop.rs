//! The synthetic desktop as a source of frames.

use scanout_core::format::Fourcc;
use scanout_core::geometry::Size;

use super::{FrameRate, FrameReader, SourceError, SourceFrame, SourcePlane};
use crate::desktop::Desktop;

/// A [`Desktop`] that never ends.
#[derive(Debug)]
pub struct DesktopReader {
    desktop: Desktop,
    planes: [SourcePlane; 1],
}

impl DesktopReader {
    /// Frames of `desktop`.
    pub fn new(desktop: Desktop) -> Self {
        let stride = desktop.stride();
        Self {
            desktop,
            planes: [SourcePlane { offset: 0, stride }],
        }
    }

    /// The desktop, with the last frame in it.
    pub fn desktop(&self) -> &Desktop {
        &self.desktop
    }
}

impl FrameReader for DesktopReader {
    fn size(&self) -> Size {
        self.desktop.size()
    }

    fn fourcc(&self) -> Fourcc {
        Desktop::FOURCC
    }

    fn fps(&self) -> FrameRate {
        FrameRate::whole(self.desktop.fps())
    }

    fn next_frame(&mut self) -> Result<Option<SourceFrame<'_>>, SourceError> {
        let step = self.desktop.next_frame();
        Ok(Some(SourceFrame {
            index: step.frame,
            time: step.time,
            fourcc: Desktop::FOURCC,
            size: self.desktop.size(),
            data: self.desktop.pixels(),
            planes: &self.planes,
            damage: step.damage,
            segment: Some(step.segment),
        }))
    }
}
