//! MP4 and Matroska, by GStreamer's muxers.

use scanout_core::encoder::FrameRate;

use super::container::Destination;
use super::file::Place;
use super::writer::StreamWriter;
use crate::failure::{Exit, Failure};

/// Opens the muxer.
pub(super) fn open(
    destination: &Destination,
    place: Place,
    rate: FrameRate,
) -> Result<Box<dyn StreamWriter>, Failure> {
    let _ = (destination, rate);
    Err(Failure::new(
        Exit::Output,
        format_args!("{}: no muxer in this build", place.name()),
    ))
}
