//! Raw frames, one after the other, in a layout that the user states.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::str::FromStr;

use scanout_core::format::{self, Fourcc, PlaneInfo};
use scanout_core::geometry::{Damage, Size};

use super::{
    FrameRate, FrameReader, SizeError, SourceError, SourceFrame, SourcePlane, checked_size,
};

/// Largest stride, frame and offset in bytes: generous, and far from overflow.
const MAX_STRIDE: u64 = 1 << 20;
const MAX_FRAME: u64 = 1 << 31;
const MAX_OFFSET: u64 = 1 << 48;

/// How frames lie in a raw file: written `WxH:FOURCC[:stride=N][:offset=N][:frame=N]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawLayout {
    size: Size,
    fourcc: Fourcc,
    planes: Vec<SourcePlane>,
    picture_bytes: u64,
    frame_bytes: u64,
    offset: u64,
}

/// Why a raw layout cannot be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParseRawLayoutError {
    /// The text has another form.
    #[error(
        "{0:?} is no layout: write WIDTHxHEIGHT:FOURCC[:stride=BYTES][:offset=BYTES][:frame=BYTES], for example 1920x1080:XR24"
    )]
    Form(String),
    /// A size out of bounds.
    #[error(transparent)]
    Size(#[from] SizeError),
    /// A format of unknown layout.
    #[error("format {0} cannot be read from a raw file: its layout in memory is not known")]
    Fourcc(Fourcc),
    /// A number out of bounds.
    #[error("{name} of {value} bytes: it must be {min} to {max}")]
    Bound {
        /// stride, offset or frame.
        name: &'static str,
        /// The value seen.
        value: u64,
        /// The least that is needed.
        min: u64,
        /// The most that is allowed.
        max: u64,
    },
}

fn bound(name: &'static str, value: u64, min: u64, max: u64) -> Result<u64, ParseRawLayoutError> {
    if (min..=max).contains(&value) {
        return Ok(value);
    }
    Err(ParseRawLayoutError::Bound {
        name,
        value,
        min,
        max,
    })
}

impl RawLayout {
    /// A layout: `stride` of the first plane (that of the others follows from
    /// it), `offset` of the first frame, `frame` bytes from frame to frame.
    /// What is `None` is as small as possible. Planes follow each other.
    pub fn new(
        size: Size,
        fourcc: Fourcc,
        stride: Option<u64>,
        offset: Option<u64>,
        frame: Option<u64>,
    ) -> Result<Self, ParseRawLayoutError> {
        let size = checked_size(size.width.into(), size.height.into())?;
        let format = format::info(fourcc).ok_or(ParseRawLayoutError::Fourcc(fourcc))?;
        let row = |plane: &PlaneInfo| plane.row_bytes(size.width);
        let mut planes = Vec::with_capacity(format.planes.len());
        let mut end = 0u64;
        let mut picture_bytes = 0;
        // Pixels in a row of the file, padding included: what the first plane's stride says.
        let mut pixels = u64::from(size.width);
        for (n, plane) in format.planes.iter().enumerate() {
            let stride = if n == 0 {
                let least = row(plane);
                let stride = bound("stride", stride.unwrap_or(least), least, MAX_STRIDE)?;
                pixels = stride / u64::from(plane.block_bytes) * u64::from(plane.h_sub);
                stride
            } else {
                pixels.div_ceil(plane.h_sub.into()) * u64::from(plane.block_bytes)
            };
            let rows = plane.rows(size.height);
            planes.push(SourcePlane {
                offset: end as usize,
                stride: stride as usize,
            });
            // The last row of a frame may lack its padding.
            picture_bytes = end + stride * (rows - 1) + row(plane);
            end += stride * rows;
        }
        bound("frame", end, 1, MAX_FRAME)?;
        let frame_bytes = bound("frame", frame.unwrap_or(end), picture_bytes, MAX_FRAME)?;
        Ok(Self {
            size,
            fourcc,
            planes,
            picture_bytes,
            frame_bytes,
            offset: bound("offset", offset.unwrap_or(0), 0, MAX_OFFSET)?,
        })
    }

    /// Width and height.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Format.
    pub fn fourcc(&self) -> Fourcc {
        self.fourcc
    }

    /// Planes within a frame.
    pub fn planes(&self) -> &[SourcePlane] {
        &self.planes
    }

    /// Bytes before the first frame.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes from frame to frame.
    pub fn frame_bytes(&self) -> u64 {
        self.frame_bytes
    }
}

impl FromStr for RawLayout {
    type Err = ParseRawLayoutError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || ParseRawLayoutError::Form(text.to_owned());
        let mut parts = text.split(':');
        let size: Size = parts.next().and_then(|p| p.parse().ok()).ok_or_else(form)?;
        // The code of R8 ends in two spaces, which nobody types.
        let fourcc = parts
            .next()
            .and_then(|p| format!("{p:<4}").parse().ok())
            .ok_or_else(form)?;
        let (mut stride, mut offset, mut frame) = (None, None, None);
        for part in parts {
            let (name, value) = part.split_once('=').ok_or_else(form)?;
            let value = Some(value.parse().map_err(|_| form())?);
            match name {
                "stride" => stride = value,
                "offset" => offset = value,
                "frame" => frame = value,
                _ => return Err(form()),
            }
        }
        Self::new(size, fourcc, stride, offset, frame)
    }
}

/// Reads raw frames from any stream.
#[derive(Debug)]
pub struct RawReader<R> {
    input: R,
    layout: RawLayout,
    fps: FrameRate,
    next: u64,
    /// Bytes to skip before the next frame.
    gap: u64,
    buffer: Vec<u8>,
}

impl RawReader<BufReader<File>> {
    /// Opens a file.
    pub fn open(path: &Path, layout: RawLayout, fps: FrameRate) -> Result<Self, SourceError> {
        let file = File::open(path).map_err(|source| SourceError::Io {
            path: path.to_owned(),
            source,
        })?;
        Self::new(BufReader::new(file), layout, fps)
    }
}

impl<R: Read> RawReader<R> {
    /// Reads frames of `layout` from `input`.
    pub fn new(input: R, layout: RawLayout, fps: FrameRate) -> Result<Self, SourceError> {
        let fps = super::checked_rate(fps.num, fps.den)?;
        Ok(Self {
            input,
            gap: layout.offset,
            layout,
            fps,
            next: 0,
            buffer: Vec::new(),
        })
    }
}

impl<R: Read + Send> FrameReader for RawReader<R> {
    fn size(&self) -> Size {
        self.layout.size
    }

    fn fourcc(&self) -> Fourcc {
        self.layout.fourcc
    }

    fn fps(&self) -> FrameRate {
        self.fps
    }

    fn next_frame(&mut self) -> Result<Option<SourceFrame<'_>>, SourceError> {
        let index = self.next;
        let read = |source| SourceError::Read {
            frame: index,
            source,
        };
        let input = self.input.by_ref();
        std::io::copy(&mut input.take(self.gap), &mut std::io::sink()).map_err(read)?;
        self.buffer.clear();
        let needed = self.layout.picture_bytes;
        let seen = input
            .take(needed)
            .read_to_end(&mut self.buffer)
            .map_err(read)? as u64;
        if seen == 0 && index > 0 {
            return Ok(None);
        }
        if seen < needed {
            return Err(SourceError::Truncated {
                frame: index,
                seen,
                needed,
            });
        }
        self.gap = self.layout.frame_bytes - needed;
        self.next += 1;
        Ok(Some(SourceFrame {
            index,
            time: self.fps.time_of(index),
            fourcc: self.layout.fourcc,
            size: self.layout.size,
            data: &self.buffer,
            planes: &self.layout.planes,
            damage: Damage::full(self.layout.size),
            segment: None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn layouts_read_as_stated() {
        let layout: RawLayout = "5x3:NV12:stride=8:offset=7:frame=60".parse().unwrap();
        let plane = |offset, stride| SourcePlane { offset, stride };
        assert_eq!(layout.planes(), [plane(0, 8), plane(24, 8)]);
        assert_eq!((layout.offset(), layout.frame_bytes()), (7, 60));
        // Odd width: a chroma row of NV12 is one byte longer than a luma row.
        let layout: RawLayout = "5x3:NV12".parse().unwrap();
        assert_eq!(layout.planes(), [plane(0, 5), plane(15, 6)]);
        assert_eq!(layout.frame_bytes(), 15 + 12);
        let layout: RawLayout = "5x3:YU12".parse().unwrap();
        assert_eq!(layout.planes(), [plane(0, 5), plane(15, 3), plane(21, 3)]);
        assert_eq!("4x2:P010".parse::<RawLayout>().unwrap().frame_bytes(), 24);
    }

    #[test]
    fn every_format_of_the_table_has_a_raw_layout() {
        for format in format::all() {
            let layout = RawLayout::new(Size::new(5, 3), format.fourcc, None, None, None).unwrap();
            assert_eq!(layout.planes().len(), format.planes.len(), "{format:?}");
            let packed: u64 = format
                .planes
                .iter()
                .map(|p| p.row_bytes(5) * p.rows(3))
                .sum();
            assert_eq!(layout.frame_bytes(), packed, "{format:?}");
        }
    }

    #[test]
    fn impossible_layouts_are_refused_with_the_bound() {
        for (text, word) in [
            ("", "WIDTHxHEIGHT"),
            ("5x3", "FOURCC"),
            ("5x3:XR24:stride", "stride=BYTES"),
            ("5x3:XR24:pitch=20", "stride=BYTES"),
            ("0x3:XR24", "16384"),
            ("100000x3:XR24", "100000x3"),
            ("5x3:QQQQ", "QQQQ"),
            ("5x3:XR24:stride=19", "20 to"),
            ("5x3:XR24:frame=59", "60 to"),
            ("5x3:XR24:stride=99999999", "1048576"),
            ("1x16384:XR24:stride=1048576", "frame of"),
        ] {
            let error = text.parse::<RawLayout>().unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn frames_are_found_past_offset_and_padding() {
        let layout: RawLayout = "2x2:R8:stride=3:offset=4:frame=10".parse().unwrap();
        let mut file = vec![0xee; 4];
        for n in 0..3u8 {
            file.extend([n, n, 0xee, n, n, 0xee, 0xee, 0xee, 0xee, 0xee]);
        }
        // The padding after the last frame may be missing.
        let mut reader = RawReader::new(&file[..29], layout.clone(), FrameRate::whole(10)).unwrap();
        for n in 0..3u8 {
            let frame = reader.next_frame().unwrap().unwrap();
            assert_eq!(frame.data, [n, n, 0xee, n, n]);
        }
        assert!(reader.next_frame().unwrap().is_none());
        let mut reader = RawReader::new(&file[..17], layout.clone(), FrameRate::whole(10)).unwrap();
        reader.next_frame().unwrap();
        let error = reader.next_frame().unwrap_err().to_string();
        assert_eq!(error, "frame 1 is cut short: 3 bytes of 5");
        // An empty file is no video of zero frames.
        let mut reader = RawReader::new(&[][..], layout, FrameRate::whole(10)).unwrap();
        assert!(reader.next_frame().is_err());
    }

    proptest! {
        /// Whatever is accepted, each plane lies inside the frame and holds its rows.
        #[test]
        fn planes_never_overlap_or_overrun(
            w in 1u32..300, h in 1u32..300, extra in 0u64..70,
            format in prop::sample::select(vec!["XR24", "NV12", "NV21", "YU12", "YU16", "YU24", "P010", "YUYV", "RG24", "NV24", "Y210"]),
        ) {
            let fourcc: Fourcc = format.parse().unwrap();
            let tight = RawLayout::new(Size::new(w, h), fourcc, None, None, None).unwrap();
            let stride = tight.planes[0].stride as u64 + extra;
            let layout = RawLayout::new(Size::new(w, h), fourcc, Some(stride), None, None).unwrap();
            let mut end = 0u128;
            let format = format::info(fourcc).unwrap();
            for (plane, info) in layout.planes.iter().zip(format.planes) {
                let row = u128::from(info.row_bytes(w));
                prop_assert!(plane.stride as u128 >= row, "{plane:?} row {row}");
                prop_assert!(plane.offset as u128 >= end);
                end = plane.offset as u128 + plane.stride as u128 * u128::from(info.rows(h) - 1) + row;
            }
            prop_assert!(end <= u128::from(layout.frame_bytes()));
            prop_assert_eq!(end, u128::from(layout.picture_bytes));
        }
    }
}
