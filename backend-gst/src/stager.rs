//! Pictures in host memory for the elements on the CPU.

use std::os::fd::BorrowedFd;

use scanout_core::encoder::{
    Encoder, EncoderConfig, Frame, OpenError, PathClass, StageConfig, StageError, StageEvent,
    Stager, Ticket,
};
use scanout_core::staging::CpuStaging;

use crate::backend;
use crate::encoder::{GstEncoder, Input};

/// Converts on the CPU; feeds any number of software elements.
#[derive(Debug)]
pub(crate) struct SoftwareStager {
    staging: CpuStaging,
    config: StageConfig,
    niceness: i32,
}

impl SoftwareStager {
    pub(crate) fn new(config: &StageConfig, niceness: i32) -> Result<Self, OpenError> {
        let format = backend::software_format(config.chroma);
        Ok(Self {
            staging: CpuStaging::new(config, format, PathClass::Software)?,
            config: config.clone(),
            niceness,
        })
    }
}

impl Stager for SoftwareStager {
    fn room(&self) -> usize {
        self.staging.room()
    }

    fn stage(&mut self, frame: Frame) -> Result<Ticket, StageError> {
        self.staging.stage(frame)
    }

    fn poll(&mut self) -> Result<Option<StageEvent>, StageError> {
        self.staging.poll()
    }

    fn encoder(&self, config: &EncoderConfig) -> Result<Box<dyn Encoder>, OpenError> {
        let chroma = self.config.chroma;
        let (row, name) = backend::choose(config.codec, config.encoder.as_deref(), chroma)?;
        let input = Input {
            layout: *self.staging.layout(),
            color: self.config.color,
            chroma,
            niceness: self.niceness,
        };
        Ok(Box::new(GstEncoder::open(row, &name, config, input)?))
    }

    fn wake(&self) -> BorrowedFd<'_> {
        self.staging.wake()
    }
}
