//! MP4 and Matroska, by GStreamer's muxers.

use std::fs;
use std::time::Duration;

use scanout_core::encoder::{FrameRate, Packet, StreamInfo};
use scanout_gst::mux::{MuxError, Muxer};

use super::file::{OutputFile, Place};
use super::writer::StreamWriter;
use crate::failure::{Exit, Failure};

/// Writing the index at the end of a file takes no longer, whatever the disk.
const FINISH_LIMIT: Duration = Duration::from_secs(30);

/// Makes sure that the file can be written; the muxer starts with the first
/// packet, whose stream it must know.
pub(super) fn open(place: Place, rate: FrameRate) -> Result<Box<dyn StreamWriter>, Failure> {
    // The muxer opens the file anew by its name.
    let file = OutputFile::create(place.clone())?;
    Ok(Box::new(MuxWriter {
        muxer: None,
        rate,
        place,
        _reserved: file,
    }))
}

struct MuxWriter {
    muxer: Option<Muxer>,
    rate: FrameRate,
    place: Place,
    /// Removes the empty file where nothing was written to it.
    _reserved: OutputFile,
}

impl StreamWriter for MuxWriter {
    fn packet(&mut self, stream: &StreamInfo, packet: &Packet) -> Result<(), Failure> {
        let muxer = match &mut self.muxer {
            Some(muxer) => muxer,
            none => {
                let path = self.place.current().ok_or_else(|| {
                    Failure::usage("containers need a file: standard output takes bare streams")
                })?;
                let muxer = Muxer::open(path, stream, self.rate).map_err(failed)?;
                none.insert(muxer)
            }
        };
        muxer.write(packet).map_err(failed)
    }

    fn finish(&mut self, end: Duration) -> Result<u64, Failure> {
        if let Some(mut muxer) = self.muxer.take() {
            muxer.ends_at(end);
            muxer.finish(FINISH_LIMIT).map_err(failed)?;
        }
        let written = self.place.current().map(fs::metadata);
        self.place.complete()?;
        Ok(written.and_then(Result::ok).map_or(0, |file| file.len()))
    }
}

fn failed(error: MuxError) -> Failure {
    Failure::new(Exit::Output, error)
}
