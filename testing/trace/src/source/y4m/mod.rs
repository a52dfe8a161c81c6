//! YUV4MPEG2: a text header, then frames of planes, as mjpegtools' `yuv4mpeg(5)` describes.

mod header;

use std::io::{BufRead, BufReader, Read};

use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Size};

use super::{FrameRate, FrameReader, SourceError, SourceFrame, SourcePlane};
use header::{MAGIC, MAX_HEADER, text};
pub use header::{Y4mChroma, Y4mError, Y4mHeader, parse_header};

/// Longest frame header.
const MAX_FRAME_HEADER: usize = 1024;

/// Reads Y4M from any stream.
#[derive(Debug)]
pub struct Y4mReader<R> {
    input: BufReader<R>,
    header: Y4mHeader,
    planes: [SourcePlane; 3],
    next: u64,
    buffer: Vec<u8>,
}

impl<R: Read> Y4mReader<R> {
    /// Reads the header.
    pub fn new(input: R) -> Result<Self, SourceError> {
        let mut input = BufReader::new(input);
        let mut buffer = Vec::new();
        read_line(&mut input, MAX_HEADER, &mut buffer)
            .map_err(|source| SourceError::Read { frame: 0, source })?;
        if !buffer.starts_with(MAGIC) {
            return Err(Y4mError::Magic.into());
        }
        if buffer.last() != Some(&b'\n') && buffer.len() < MAX_HEADER {
            return Err(Y4mError::HeaderCut { seen: buffer.len() }.into());
        }
        if buffer.pop() != Some(b'\n') {
            return Err(Y4mError::HeaderLength {
                what: "stream",
                limit: MAX_HEADER,
            }
            .into());
        }
        let header = parse_header(&buffer)?;
        Ok(Self {
            input,
            header,
            planes: header.planes(),
            next: 0,
            buffer,
        })
    }

    /// What the header says.
    pub fn header(&self) -> &Y4mHeader {
        &self.header
    }

    /// Reads past the line that opens a frame; false at the end of the stream.
    fn frame_header(&mut self) -> Result<bool, SourceError> {
        let frame = self.next;
        read_line(&mut self.input, MAX_FRAME_HEADER, &mut self.buffer)
            .map_err(|source| SourceError::Read { frame, source })?;
        if self.buffer.is_empty() {
            return Ok(false);
        }
        let magic = self.buffer.get(..6).unwrap_or(&self.buffer);
        if !b"FRAME\n".starts_with(magic) && magic != b"FRAME " {
            return Err(Y4mError::FrameMagic {
                frame,
                seen: text(magic),
            }
            .into());
        }
        if self.buffer.last() != Some(&b'\n') {
            if self.buffer.len() >= MAX_FRAME_HEADER {
                return Err(Y4mError::HeaderLength {
                    what: "frame",
                    limit: MAX_FRAME_HEADER,
                }
                .into());
            }
            return Err(SourceError::Truncated {
                frame,
                seen: 0,
                needed: self.header.frame_bytes() as u64,
            });
        }
        let parameters = self.buffer.get(5..self.buffer.len() - 1).unwrap_or(&[]);
        for field in parameters.split(|b| *b == b' ') {
            // Ixyz: the first letter tells how the frame is presented; 't',
            // 'T', 'b', 'B' and the like are fields.
            if field.first() == Some(&b'I')
                && !matches!(field.get(1), Some(b'p' | b'1' | b'2' | b'3'))
            {
                return Err(Y4mError::Interlaced(text(field)).into());
            }
        }
        Ok(true)
    }
}

/// Reads a line with its line feed, at most `limit` bytes of it, into `line`.
fn read_line(input: &mut impl BufRead, limit: usize, line: &mut Vec<u8>) -> std::io::Result<()> {
    line.clear();
    input.take(limit as u64).read_until(b'\n', line)?;
    Ok(())
}

impl<R: Read + Send> FrameReader for Y4mReader<R> {
    fn size(&self) -> Size {
        self.header.size
    }

    fn fourcc(&self) -> Fourcc {
        self.header.chroma.fourcc()
    }

    fn fps(&self) -> FrameRate {
        self.header.fps
    }

    fn next_frame(&mut self) -> Result<Option<SourceFrame<'_>>, SourceError> {
        if !self.frame_header()? {
            return Ok(None);
        }
        let index = self.next;
        let needed = self.header.frame_bytes() as u64;
        self.buffer.clear();
        // Grows with what is there, not with what the header promises.
        let seen = self
            .input
            .by_ref()
            .take(needed)
            .read_to_end(&mut self.buffer)
            .map_err(|source| SourceError::Read {
                frame: index,
                source,
            })? as u64;
        if seen < needed {
            return Err(SourceError::Truncated {
                frame: index,
                seen,
                needed,
            });
        }
        self.next += 1;
        Ok(Some(SourceFrame {
            index,
            time: self.header.fps.time_of(index),
            fourcc: self.header.chroma.fourcc(),
            size: self.header.size,
            data: &self.buffer,
            planes: &self.planes,
            damage: Damage::full(self.header.size),
            segment: None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn frames_of_odd_size_come_out_whole_and_a_cut_one_is_named() {
        let mut file = b"YUV4MPEG2 W3 H3 F10:1 C420jpeg\n".to_vec();
        for n in 0..3u8 {
            file.extend_from_slice(if n == 1 { b"FRAME Ip\n" } else { b"FRAME\n" });
            file.extend([n; 17]);
        }
        let mut reader = Y4mReader::new(&file[..]).unwrap();
        for n in 0..3u8 {
            let frame = reader.next_frame().unwrap().unwrap();
            assert_eq!(frame.data, [n; 17]);
            assert_eq!(
                frame.planes[2],
                SourcePlane {
                    offset: 13,
                    stride: 2
                }
            );
            assert_eq!(frame.time.as_millis(), u128::from(n) * 100);
            assert!(frame.damage.covers(frame.size));
        }
        assert!(reader.next_frame().unwrap().is_none());

        for (bad, word) in [
            ("FRAMES\n", "FRAMES"),
            ("FRAMO\n", "FRAMO"),
            ("FRAME It\n", "It"),
        ] {
            let file = format!("YUV4MPEG2 W1 H1 C444\n{bad}abc");
            let mut reader = Y4mReader::new(file.as_bytes()).unwrap();
            let error = reader.next_frame().unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }

        let mut reader = Y4mReader::new(&file[..file.len() - 5]).unwrap();
        reader.next_frame().unwrap();
        reader.next_frame().unwrap();
        let error = reader.next_frame().unwrap_err();
        assert_eq!(error.to_string(), "frame 2 is cut short: 12 bytes of 17");
    }

    #[test]
    fn a_huge_promise_reserves_nothing() {
        let file = b"YUV4MPEG2 W16384 H4096 C444\nFRAME\nabc";
        let mut reader = Y4mReader::new(&file[..]).unwrap();
        assert!(matches!(
            reader.next_frame(),
            Err(SourceError::Truncated { seen: 3, .. })
        ));
        assert!(reader.buffer.capacity() < 1 << 20);
    }

    #[test]
    fn headers_without_end_are_cut_off() {
        let endless = std::io::Read::chain(&b"YUV4MPEG2 W2 H2 X"[..], std::io::repeat(b'a'));
        assert!(matches!(
            Y4mReader::new(endless),
            Err(SourceError::Y4m(Y4mError::HeaderLength { .. }))
        ));
        let endless = std::io::Read::chain(&b"YUV4MPEG2 W2 H2\nFRAME "[..], std::io::repeat(b'a'));
        let mut reader = Y4mReader::new(endless).unwrap();
        assert!(matches!(
            reader.next_frame(),
            Err(SourceError::Y4m(Y4mError::HeaderLength { .. }))
        ));
    }

    proptest! {
        /// No bytes make the reader panic or run for ever.
        #[test]
        fn any_bytes_are_frames_or_an_error(tail in prop::collection::vec(any::<u8>(), 0..200), magic: bool) {
            let mut file = if magic { b"YUV4MPEG2 W2 H2 ".to_vec() } else { Vec::new() };
            file.extend(tail);
            if let Ok(mut reader) = Y4mReader::new(&file[..]) {
                while let Ok(Some(_)) = reader.next_frame() {}
            }
        }
    }
}
