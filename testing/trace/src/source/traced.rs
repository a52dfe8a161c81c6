//! Frames of a file together with the damage that was recorded beside it.

use std::io::BufRead;

use scanout_core::format::Fourcc;
use scanout_core::geometry::Size;

use super::{FrameRate, FrameReader, SourceError, SourceFrame};
use crate::damage_log::{DamageLogError, DamageLogReader};

/// Gives the frames of `R` the damage of a log.
#[derive(Debug)]
pub struct TracedReader<R, L> {
    frames: R,
    log: DamageLogReader<L>,
    segment: String,
}

impl<R: FrameReader, L: BufRead + Send> TracedReader<R, L> {
    /// Joins the two; they must be of one size.
    pub fn new(frames: R, log: DamageLogReader<L>) -> Result<Self, SourceError> {
        if log.size() != frames.size() {
            return Err(DamageLogError::OtherSize {
                log: log.size(),
                video: frames.size(),
            }
            .into());
        }
        Ok(Self {
            frames,
            log,
            segment: String::new(),
        })
    }
}

impl<R: FrameReader, L: BufRead + Send> FrameReader for TracedReader<R, L> {
    fn size(&self) -> Size {
        self.frames.size()
    }

    fn fourcc(&self) -> Fourcc {
        self.frames.fourcc()
    }

    fn fps(&self) -> FrameRate {
        self.frames.fps()
    }

    fn next_frame(&mut self) -> Result<Option<SourceFrame<'_>>, SourceError> {
        let Some(frame) = self.frames.next_frame()? else {
            return Ok(None);
        };
        let entry = self
            .log
            .next_entry()?
            .ok_or(DamageLogError::Ends { frame: frame.index })?;
        self.segment = entry.segment;
        Ok(Some(SourceFrame {
            time: entry.time,
            damage: entry.damage,
            segment: Some(&self.segment),
            ..frame
        }))
    }
}
