//! Damage beside a video: JSON lines, the first of which names schema,
//! version, size and rate.
//!
//! ```text
//! {"schema":"scanout-damage","version":1,"width":1920,"height":1080,"fps":[60,1]}
//! {"frame":0,"time_us":0,"segment":"typing","rects":[[0,0,1920,1080]]}
//! {"frame":1,"time_us":16666,"segment":"typing","rects":[[129,540,18,18]]}
//! ```

use std::io::{BufRead, Read, Write};
use std::time::Duration;

use scanout_core::geometry::{Damage, Rect, Size};
use serde::{Deserialize, Serialize};

use crate::desktop::Step;
use crate::source::FrameRate;

const SCHEMA: &str = "scanout-damage";
/// The version that is written and read.
pub const VERSION: u32 = 1;
/// Longest line: far more than sixteen rectangles take.
const MAX_LINE: usize = 65536;

#[derive(Serialize, Deserialize)]
struct Header {
    schema: String,
    version: u32,
    width: u32,
    height: u32,
    fps: [u32; 2],
}

#[derive(Serialize, Deserialize)]
struct Line {
    frame: u64,
    time_us: u64,
    segment: String,
    rects: Vec<[u32; 4]>,
}

/// Damage of one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamageEntry {
    /// Number of the frame.
    pub frame: u64,
    /// When it is shown.
    pub time: Duration,
    /// What is happening.
    pub segment: String,
    /// What changed.
    pub damage: Damage,
}

/// Why a damage log cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DamageLogError {
    /// Cannot be read or written.
    #[error("damage log: {0}")]
    Io(#[from] std::io::Error),
    /// Not the JSON that is expected.
    #[error("damage log, line {line}: {source}")]
    Json {
        /// Number from 1.
        line: u64,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A line without end.
    #[error("damage log, line {line}: longer than {MAX_LINE} bytes")]
    Long {
        /// Number from 1.
        line: u64,
    },
    /// Another file or a later version.
    #[error(
        "damage log: schema {schema:?} version {version}, but only {SCHEMA:?} version {VERSION} is read"
    )]
    Schema {
        /// The schema seen.
        schema: String,
        /// The version seen.
        version: u32,
    },
    /// A size or rate that no video has.
    #[error("damage log: {0}")]
    Header(String),
    /// A frame out of order.
    #[error("damage log, line {line}: frame {frame}, but {expected} is next")]
    Order {
        /// Number from 1.
        line: u64,
        /// The frame seen.
        frame: u64,
        /// The frame expected.
        expected: u64,
    },
    /// A rectangle outside of the picture.
    #[error("damage log, line {line}: rectangle {rect} leaves the picture of {size}")]
    Outside {
        /// Number from 1.
        line: u64,
        /// The rectangle.
        rect: Rect,
        /// The picture.
        size: Size,
    },
    /// Shorter than the video.
    #[error("damage log: ends before frame {frame} of the video")]
    Ends {
        /// The frame that is missing.
        frame: u64,
    },
    /// Of some other video.
    #[error("damage log: made for {log}, but the video is {video}")]
    OtherSize {
        /// Size in the log.
        log: Size,
        /// Size of the video.
        video: Size,
    },
}

/// Writes a damage log.
#[derive(Debug)]
pub struct DamageLogWriter<W> {
    output: W,
    line: Vec<u8>,
}

impl<W: Write> DamageLogWriter<W> {
    /// Writes the first line.
    pub fn new(mut output: W, size: Size, fps: FrameRate) -> Result<Self, DamageLogError> {
        let header = Header {
            schema: SCHEMA.to_owned(),
            version: VERSION,
            width: size.width,
            height: size.height,
            fps: [fps.num, fps.den],
        };
        let mut line = serde_json::to_vec(&header).map_err(std::io::Error::from)?;
        line.push(b'\n');
        output.write_all(&line)?;
        Ok(Self { output, line })
    }

    /// Writes the line of one frame.
    pub fn write(&mut self, step: &Step) -> Result<(), DamageLogError> {
        let line = Line {
            frame: step.frame,
            time_us: u64::try_from(step.time.as_micros()).unwrap_or(u64::MAX),
            segment: step.segment.to_owned(),
            rects: step
                .damage
                .rects()
                .iter()
                .map(|r| [r.x, r.y, r.width, r.height])
                .collect(),
        };
        self.line.clear();
        serde_json::to_writer(&mut self.line, &line).map_err(std::io::Error::from)?;
        self.line.push(b'\n');
        self.output.write_all(&self.line)?;
        Ok(())
    }

    /// Flushes, and gives the output back.
    pub fn finish(mut self) -> Result<W, DamageLogError> {
        self.output.flush()?;
        Ok(self.output)
    }
}

/// Reads a damage log line by line.
#[derive(Debug)]
pub struct DamageLogReader<R> {
    input: R,
    size: Size,
    fps: FrameRate,
    line: u64,
    next: u64,
    buffer: Vec<u8>,
}

impl<R: BufRead> DamageLogReader<R> {
    /// Reads the first line.
    pub fn new(input: R) -> Result<Self, DamageLogError> {
        let mut reader = Self {
            input,
            size: Size::default(),
            fps: FrameRate::whole(1),
            line: 0,
            next: 0,
            buffer: Vec::new(),
        };
        reader.read_line()?;
        let header: Header = reader.parse()?;
        if header.schema != SCHEMA || header.version != VERSION {
            return Err(DamageLogError::Schema {
                schema: header.schema.chars().take(32).collect(),
                version: header.version,
            });
        }
        let bad = |error: &dyn std::fmt::Display| DamageLogError::Header(error.to_string());
        reader.size = crate::source::checked_size(header.width.into(), header.height.into())
            .map_err(|e| bad(&e))?;
        let [num, den] = header.fps;
        reader.fps = crate::source::checked_rate(num, den).map_err(|e| bad(&e))?;
        Ok(reader)
    }

    /// Size of the video.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Rate of the video.
    pub fn fps(&self) -> FrameRate {
        self.fps
    }

    /// The damage of the next frame, or `None` at the end.
    pub fn next_entry(&mut self) -> Result<Option<DamageEntry>, DamageLogError> {
        self.read_line()?;
        if self.buffer.is_empty() {
            return Ok(None);
        }
        let line: Line = self.parse()?;
        if line.frame != self.next {
            return Err(DamageLogError::Order {
                line: self.line,
                frame: line.frame,
                expected: self.next,
            });
        }
        self.next += 1;
        let mut damage = Damage::none();
        for [x, y, width, height] in line.rects {
            let rect = Rect::new(x, y, width, height);
            let fits =
                |at: u32, side: u32, of: u32| u64::from(at) + u64::from(side) <= u64::from(of);
            if !fits(x, width, self.size.width) || !fits(y, height, self.size.height) {
                return Err(DamageLogError::Outside {
                    line: self.line,
                    rect,
                    size: self.size,
                });
            }
            damage.add(rect);
        }
        Ok(Some(DamageEntry {
            frame: line.frame,
            time: Duration::from_micros(line.time_us),
            segment: line.segment,
            damage,
        }))
    }

    fn read_line(&mut self) -> Result<(), DamageLogError> {
        self.line += 1;
        self.buffer.clear();
        let limit = MAX_LINE as u64;
        (&mut self.input)
            .take(limit)
            .read_until(b'\n', &mut self.buffer)?;
        if self.buffer.len() >= MAX_LINE && self.buffer.last() != Some(&b'\n') {
            return Err(DamageLogError::Long { line: self.line });
        }
        Ok(())
    }

    fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, DamageLogError> {
        serde_json::from_slice(&self.buffer).map_err(|source| DamageLogError::Json {
            line: self.line,
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desktop::{Desktop, Scenario};
    use proptest::prelude::*;

    #[test]
    fn damage_reads_as_written() {
        let size = Size::new(320, 200);
        let mut desktop = Desktop::new(size, Scenario::Mixed, 4, 15).unwrap();
        let mut writer = DamageLogWriter::new(Vec::new(), size, FrameRate::whole(15)).unwrap();
        let steps: Vec<Step> = (0..60).map(|_| desktop.next_frame()).collect();
        for step in &steps {
            writer.write(step).unwrap();
        }
        let file = writer.finish().unwrap();
        let mut reader = DamageLogReader::new(&file[..]).unwrap();
        assert_eq!((reader.size(), reader.fps()), (size, FrameRate::whole(15)));
        for step in &steps {
            let entry = reader.next_entry().unwrap().unwrap();
            assert_eq!(entry.damage, step.damage);
            assert_eq!(
                (entry.frame, entry.time, &*entry.segment),
                (step.frame, step.time, step.segment)
            );
        }
        assert!(reader.next_entry().unwrap().is_none());
    }

    #[test]
    fn logs_that_lie_are_refused() {
        let head = r#"{"schema":"scanout-damage","version":1,"width":8,"height":8,"fps":[30,1]}"#;
        let read = |text: String| -> Result<(), DamageLogError> {
            let mut reader = DamageLogReader::new(text.as_bytes())?;
            while reader.next_entry()?.is_some() {}
            Ok(())
        };
        let line = |frame: u64, rect: &str| {
            format!(r#"{{"frame":{frame},"time_us":0,"segment":"x","rects":[{rect}]}}"#)
        };
        read(format!("{head}\n{}\n", line(0, "[0,0,8,8]"))).unwrap();
        for (text, word) in [
            (String::new(), "line 1"),
            (head.replace(":1,", ":2,"), "version 2"),
            (head.replace("scanout-damage", "other"), "other"),
            (head.replace(":8,", ":0,"), "16384"),
            (head.replace("[30,1]", "[30,0]"), "30/0"),
            (format!("{head}\n{}", line(1, "")), "frame 1, but 0"),
            (format!("{head}\n{}", line(0, "[1,0,8,8]")), "8x8 leaves"),
            (
                format!("{head}\n{}", line(0, "[4294967295,0,4294967295,1]")),
                "leaves",
            ),
            (format!("{head}\n{}", "a".repeat(70_000)), "65536"),
            (format!("{head}\nnonsense"), "line 2"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    proptest! {
        /// No bytes make the reader panic.
        #[test]
        fn any_bytes_are_damage_or_an_error(tail in "\\PC{0,100}") {
            let head = r#"{"schema":"scanout-damage","version":1,"width":8,"height":8,"fps":[30,1]}"#;
            for text in [tail.clone(), format!("{head}\n{tail}")] {
                if let Ok(mut reader) = DamageLogReader::new(text.as_bytes()) {
                    while let Ok(Some(_)) = reader.next_entry() {}
                }
            }
        }
    }
}
