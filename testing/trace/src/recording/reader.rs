use std::io::{self, Read};
use std::time::Duration;

use flate2::bufread::ZlibDecoder;

use super::check::Checker;
use super::wire::{self, Record};
use super::{Event, MAGIC, MAX_PRODUCER, MAX_RECORD, RecordingError, VERSION};

/// Bytes before the producer's name.
const HEAD: usize = MAGIC.len() + 4;
/// Deflate makes at most this many bytes of one.
const MAX_RATIO: u64 = 1032;
/// No record is shorter: kind and time, compressed.
const MIN_RECORD: u64 = 9;

/// How a recording ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As its writer meant it to.
    Finished {
        /// How long it is.
        duration: Duration,
    },
    /// The file stops: the recorder was killed, or the disk was full. All that
    /// came before is good.
    Truncated {
        /// Bytes behind the last whole record.
        bytes: u64,
    },
}

/// Reads a recording event by event. Reads in small pieces: give it a
/// `BufReader`.
///
/// Events come as they were written but for rows of patches that changed
/// nothing. All of them hold together: a [`Player`](super::Player) takes them
/// without an error.
#[derive(Debug)]
pub struct RecordingReader<R> {
    input: R,
    producer: String,
    checker: Checker,
    record: u64,
    end: Option<End>,
    failed: bool,
    packed: Vec<u8>,
    payload: Vec<u8>,
}

impl<R: Read> RecordingReader<R> {
    /// Reads the head of the file.
    pub fn new(mut input: R) -> Result<Self, RecordingError> {
        let mut head = Vec::new();
        read_up_to(&mut input, HEAD as u64, &mut head)?;
        let (magic, rest) = head.split_at(head.len().min(MAGIC.len()));
        if !MAGIC.starts_with(magic) {
            let (seen, expected) = (magic.to_vec(), MAGIC);
            return Err(RecordingError::Magic { seen, expected });
        }
        let &[a, b, c, d] = rest else {
            let bytes = head.len() as u64;
            return Err(RecordingError::Head { bytes });
        };
        let version = u16::from_le_bytes([a, b]);
        if version != VERSION {
            return Err(RecordingError::Version { version });
        }
        let bytes = usize::from(u16::from_le_bytes([c, d]));
        if bytes > MAX_PRODUCER {
            return Err(RecordingError::Producer { bytes });
        }
        let mut producer = Vec::new();
        read_up_to(&mut input, bytes as u64, &mut producer)?;
        if producer.len() < bytes {
            let bytes = (HEAD + producer.len()) as u64;
            return Err(RecordingError::Head { bytes });
        }
        let producer = String::from_utf8(producer);
        Ok(Self {
            input,
            producer: producer.map_err(|_| RecordingError::Producer { bytes })?,
            checker: Checker::default(),
            record: 0,
            end: None,
            failed: false,
            packed: Vec::new(),
            payload: Vec::new(),
        })
    }

    /// What was recorded, as its writer says.
    pub fn producer(&self) -> &str {
        &self.producer
    }

    /// How the recording ends; `None` before [`next_event`](Self::next_event) came
    /// to it, and where an error was in the way.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// How long the recording is: until its end, or until the last event where
    /// it is cut short or not yet read to its end.
    pub fn duration(&self) -> Duration {
        match self.end {
            Some(End::Finished { duration }) => duration,
            _ => self.checker.last(),
        }
    }

    /// The next event, or `None` at the end, of whatever kind that is, and after
    /// an error.
    pub fn next_event(&mut self) -> Result<Option<Event>, RecordingError> {
        if self.end.is_some() || self.failed {
            return Ok(None);
        }
        let next = self.read_event();
        self.failed = next.is_err();
        next
    }

    fn read_event(&mut self) -> Result<Option<Event>, RecordingError> {
        self.record += 1;
        let Some(record) = self.read_record()? else {
            return Ok(None);
        };
        match record {
            Record::Event(event) => {
                self.checker.accept(&event)?;
                Ok(Some(event))
            }
            Record::End(duration) => {
                self.checker.time(duration)?;
                let mut after = Vec::new();
                read_up_to(&mut self.input, 1, &mut after)?;
                if !after.is_empty() {
                    return Err(RecordingError::AfterEnd);
                }
                self.end = Some(End::Finished { duration });
                Ok(None)
            }
        }
    }

    /// The next record; at a cut, `None` with the end set.
    fn read_record(&mut self) -> Result<Option<Record>, RecordingError> {
        let record = self.record;
        self.packed.clear();
        read_up_to(&mut self.input, 8, &mut self.packed)?;
        let Ok([a, b, c, d, e, f, g, h]) = <[u8; 8]>::try_from(self.packed.as_slice()) else {
            return Ok(self.cut(0));
        };
        let packed = u64::from(u32::from_le_bytes([a, b, c, d]));
        let raw = u64::from(u32::from_le_bytes([e, f, g, h]));
        bound(record, "size", raw, MIN_RECORD, MAX_RECORD)?;
        // What cannot be compressed grows by a few bytes for each block.
        let (least, most) = (raw / MAX_RATIO, raw + raw / 256 + 64);
        bound(record, "compressed size", packed, least.max(8), most)?;
        self.packed.clear();
        read_up_to(&mut self.input, packed, &mut self.packed)?;
        if (self.packed.len() as u64) < packed {
            return Ok(self.cut(8));
        }
        self.payload.clear();
        let mut decoder = ZlibDecoder::new(self.packed.as_slice());
        // One byte more than said tells a record that goes on, and is all that it gets.
        let inflated = (&mut decoder).take(raw + 1).read_to_end(&mut self.payload);
        inflated.map_err(|source| RecordingError::Deflate { record, source })?;
        let (seen, used) = (self.payload.len() as u64, decoder.total_in());
        for (said, seen) in [(raw, seen), (packed, used)] {
            if said != seen {
                return Err(RecordingError::Length { record, said, seen });
            }
        }
        wire::read(record, &self.payload).map(Some)
    }

    /// The input ended within a record, `before` bytes and what was read of it
    /// behind the last whole one.
    fn cut(&mut self, before: u64) -> Option<Record> {
        let bytes = before + self.packed.len() as u64;
        self.end = Some(End::Truncated { bytes });
        None
    }
}

impl<R: Read> Iterator for RecordingReader<R> {
    type Item = Result<Event, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_event().transpose()
    }
}

/// Reads `count` bytes, or what there is. Memory grows with what is read, not
/// with what is asked for.
fn read_up_to(input: &mut impl Read, count: u64, to: &mut Vec<u8>) -> io::Result<()> {
    input.by_ref().take(count).read_to_end(to)?;
    Ok(())
}

fn bound(
    record: u64,
    what: &'static str,
    value: u64,
    min: u64,
    max: u64,
) -> Result<(), RecordingError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(RecordingError::Bound {
        record,
        what,
        value,
        min,
        max,
    })
}
