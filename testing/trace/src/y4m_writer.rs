//! Writes Y4M, alone or with the damage beside it.

use std::io::Write;

use scanout_core::geometry::Size;

use crate::damage_log::{DamageLogError, DamageLogWriter};
use crate::desktop::Step;
use crate::source::{FrameRate, SizeError, Y4mChroma, checked_size};

/// One plane of 8-bit samples: its bytes and its stride.
pub type Plane<'a> = (&'a [u8], usize);

/// Why a frame cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The system refuses.
    #[error("writing frame {frame}: {source}")]
    Io {
        /// Number of the frame.
        frame: u64,
        /// What the system says.
        source: std::io::Error,
    },
    /// A size out of bounds.
    #[error(transparent)]
    Size(#[from] SizeError),
    /// A plane that does not hold its picture.
    #[error("plane {plane}: {bytes} bytes with a stride of {stride} do not hold {size}")]
    Plane {
        /// Number of the plane from 0.
        plane: usize,
        /// Bytes given.
        bytes: usize,
        /// Stride given.
        stride: usize,
        /// Samples needed.
        size: Size,
    },
    /// The damage cannot be written.
    #[error(transparent)]
    Damage(#[from] DamageLogError),
}

/// Writes Y4M.
#[derive(Debug)]
pub struct Y4mWriter<W> {
    output: W,
    sizes: [Size; 3],
    frames: u64,
}

impl<W: Write> Y4mWriter<W> {
    /// Writes the header. `full_range` is stated as ffmpeg does (`XCOLORRANGE`).
    pub fn new(
        mut output: W,
        size: Size,
        fps: FrameRate,
        chroma: Y4mChroma,
        full_range: bool,
    ) -> Result<Self, WriteError> {
        let size = checked_size(size.width.into(), size.height.into())?;
        writeln!(
            output,
            "YUV4MPEG2 W{} H{} F{}:{} Ip A1:1 C{} XCOLORRANGE={}",
            size.width,
            size.height,
            fps.num,
            fps.den,
            chroma.tag(),
            if full_range { "FULL" } else { "LIMITED" },
        )
        .map_err(|source| WriteError::Io { frame: 0, source })?;
        let half = chroma.chroma_size(size);
        Ok(Self {
            output,
            sizes: [size, half, half],
            frames: 0,
        })
    }

    /// Writes the planes Y, U and V of one frame.
    pub fn write(&mut self, planes: [Plane<'_>; 3]) -> Result<(), WriteError> {
        for (plane, ((data, stride), size)) in planes.into_iter().zip(self.sizes).enumerate() {
            let width = size.width as usize;
            let needed = stride
                .checked_mul(size.height as usize - 1)
                .and_then(|bytes| bytes.checked_add(width));
            if stride < width || needed.is_none_or(|needed| data.len() < needed) {
                return Err(WriteError::Plane {
                    plane,
                    bytes: data.len(),
                    stride,
                    size,
                });
            }
        }
        let frame = self.frames;
        self.write_checked(planes)
            .map_err(|source| WriteError::Io { frame, source })?;
        self.frames += 1;
        Ok(())
    }

    fn write_checked(&mut self, planes: [Plane<'_>; 3]) -> std::io::Result<()> {
        self.output.write_all(b"FRAME\n")?;
        for ((data, stride), size) in planes.into_iter().zip(self.sizes) {
            for row in data.chunks(stride).take(size.height as usize) {
                let row = row.get(..size.width as usize).unwrap_or(row);
                self.output.write_all(row)?;
            }
        }
        Ok(())
    }

    /// Frames written.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Flushes, and gives the output back.
    pub fn finish(mut self) -> Result<W, WriteError> {
        self.output.flush().map_err(|source| WriteError::Io {
            frame: self.frames,
            source,
        })?;
        Ok(self.output)
    }
}

/// Writes a video and its damage, which
/// [`SourceSpec`](crate::source::SourceSpec) reads back together when the log
/// lies at [`damage_beside`](crate::source::damage_beside).
#[derive(Debug)]
pub struct TraceWriter<V, L> {
    video: Y4mWriter<V>,
    log: DamageLogWriter<L>,
}

impl<V: Write, L: Write> TraceWriter<V, L> {
    /// Writes both headers.
    pub fn new(
        video: V,
        log: L,
        size: Size,
        fps: FrameRate,
        chroma: Y4mChroma,
        full_range: bool,
    ) -> Result<Self, WriteError> {
        Ok(Self {
            video: Y4mWriter::new(video, size, fps, chroma, full_range)?,
            log: DamageLogWriter::new(log, size, fps)?,
        })
    }

    /// Writes one frame: what [`Desktop::next_frame`](crate::desktop::Desktop::next_frame)
    /// gave, and its picture converted to Y, U and V.
    pub fn write(&mut self, step: &Step, planes: [Plane<'_>; 3]) -> Result<(), WriteError> {
        self.video.write(planes)?;
        self.log.write(step)?;
        Ok(())
    }

    /// Flushes both, and gives them back.
    pub fn finish(self) -> Result<(V, L), WriteError> {
        Ok((self.video.finish()?, self.log.finish()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::damage_log::DamageLogReader;
    use crate::desktop::{Desktop, Scenario};
    use crate::source::{FrameReader, TracedReader, Y4mReader};

    #[test]
    fn a_trace_reads_back_with_its_damage() {
        let size = Size::new(37, 21);
        let fps = FrameRate::whole(10);
        let mut desktop = Desktop::new(size, Scenario::Mixed, 1, 10).unwrap();
        let mut writer = TraceWriter::new(
            Vec::new(),
            Vec::new(),
            size,
            fps,
            Y4mChroma::C420Mpeg2,
            false,
        )
        .unwrap();
        let mut steps = Vec::new();
        for n in 0..20u8 {
            let step = desktop.next_frame();
            // Strides wider than the rows must not show.
            let (luma, chroma) = (vec![n; 40 * 21], vec![n + 100; 24 * 11]);
            writer
                .write(&step, [(&luma, 40), (&chroma, 24), (&chroma, 24)])
                .unwrap();
            steps.push(step);
        }
        let (video, log) = writer.finish().unwrap();
        let frames = Y4mReader::new(&video[..]).unwrap();
        assert_eq!(frames.header().chroma, Y4mChroma::C420Mpeg2);
        let mut reader =
            TracedReader::new(frames, DamageLogReader::new(&log[..]).unwrap()).unwrap();
        for (n, step) in steps.iter().enumerate() {
            let frame = reader.next_frame().unwrap().unwrap();
            assert_eq!(
                (&frame.damage, frame.segment),
                (&step.damage, Some(step.segment))
            );
            assert_eq!(frame.data.len(), 37 * 21 + 2 * 19 * 11);
            assert!(frame.data[..37 * 21].iter().all(|b| usize::from(*b) == n));
            assert!(
                frame.data[37 * 21..]
                    .iter()
                    .all(|b| usize::from(*b) == n + 100)
            );
        }
        assert!(reader.next_frame().unwrap().is_none());

        // A log that is shorter than the video is no silence.
        let short = log.len() - 20;
        let cut = log[..short].iter().rposition(|b| *b == b'\n').unwrap();
        let frames = Y4mReader::new(&video[..]).unwrap();
        let log = DamageLogReader::new(&log[..cut]).unwrap();
        let mut reader = TracedReader::new(frames, log).unwrap();
        let error = loop {
            if let Err(error) = reader.next_frame() {
                break error.to_string();
            }
        };
        assert!(error.contains("ends before frame 19"), "{error}");
    }

    #[test]
    fn planes_that_are_too_small_are_refused_before_anything_is_written() {
        let size = Size::new(4, 4);
        let mut writer =
            Y4mWriter::new(Vec::new(), size, FrameRate::whole(1), Y4mChroma::C444, true).unwrap();
        let before = writer.output.len();
        let good = [0; 16];
        for bad in [(&good[..15], 4), (&good[..], 3), (&good[..], usize::MAX)] {
            let error = writer.write([(&good, 4), (&good, 4), bad]).unwrap_err();
            assert!(
                matches!(error, WriteError::Plane { plane: 2, .. }),
                "{error}"
            );
        }
        assert_eq!(writer.output.len(), before);
        assert!(
            Y4mWriter::new(
                Vec::new(),
                Size::new(0, 4),
                FrameRate::whole(1),
                Y4mChroma::C444,
                true
            )
            .is_err()
        );
    }
}
