use std::fmt;
use std::io::Read;
use std::time::Duration;

use scanout_core::format::{Fourcc, Modifier};
use scanout_core::geometry::Size;

use super::{End, EventKind, RecordingError, RecordingReader};

/// What was shown with one size, format and modifier. A producer that flips
/// between buffers shows one picture.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Picture {
    /// Size of the content.
    pub size: Size,
    /// Format.
    pub fourcc: Fourcc,
    /// Modifier.
    pub modifier: Modifier,
    /// When it was first shown.
    pub first: Duration,
    /// When it was last shown: it was replaced, disabled, or the recording ended.
    pub last: Duration,
    /// How long it was shown in all.
    pub shown: Duration,
    /// Scanouts of it.
    pub scanouts: u64,
    /// Updates while it was shown.
    pub updates: u64,
}

impl fmt::Display for Picture {
    /// `720x400 XR24 for 38.2 s`, with the modifier where it is not linear.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.size, self.fourcc)?;
        if !self.modifier.is_linear() {
            write!(f, ":{}", self.modifier)?;
        }
        write!(f, " for {:.1} s", self.shown.as_secs_f64())
    }
}

/// What a recording holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recording {
    /// What was recorded, as its writer says.
    pub producer: String,
    /// How long it is.
    pub duration: Duration,
    /// How it ends.
    pub end: End,
    /// What was shown, in the order of first appearance.
    pub pictures: Vec<Picture>,
    /// Number of scanouts.
    pub scanouts: u64,
    /// Number of updates.
    pub updates: u64,
    /// Changes of the pointer.
    pub pointer: u64,
}

/// Distinct pictures that are told apart: what a file of tiny scanouts could
/// list without end.
const MAX_PICTURES: usize = 4096;

impl Recording {
    /// Reads all of a recording.
    pub fn read<R: Read>(mut reader: RecordingReader<R>) -> Result<Self, RecordingError> {
        let mut recording = Self {
            producer: reader.producer().to_owned(),
            duration: Duration::ZERO,
            end: End::Truncated { bytes: 0 },
            pictures: Vec::new(),
            scanouts: 0,
            updates: 0,
            pointer: 0,
        };
        // Which picture is shown, and since when.
        let mut shown: Option<(usize, Duration)> = None;
        while let Some(event) = reader.next_event()? {
            match event.kind {
                EventKind::Scanout(scanout) => {
                    recording.close(shown.take(), event.time);
                    recording.scanouts += 1;
                    let key = (
                        scanout.view.content.size(),
                        scanout.layout.fourcc,
                        scanout.layout.modifier,
                    );
                    shown = recording
                        .picture(key, event.time)?
                        .map(|at| (at, event.time));
                }
                EventKind::Update(_) => {
                    recording.updates += 1;
                    let picture = shown.and_then(|(at, _)| recording.pictures.get_mut(at));
                    if let Some(picture) = picture {
                        picture.updates += 1;
                    }
                }
                EventKind::Disable => recording.close(shown.take(), event.time),
                EventKind::CursorDefine(_) | EventKind::MouseSet(_) => recording.pointer += 1,
            }
        }
        recording.duration = reader.duration();
        recording.end = reader.end().unwrap_or(recording.end);
        recording.close(shown, recording.duration);
        Ok(recording)
    }

    /// True where the file stops before the recording's end.
    pub fn is_truncated(&self) -> bool {
        matches!(self.end, End::Truncated { .. })
    }

    /// The picture that was shown longest, the first of those shown equally long.
    pub fn longest(&self) -> Option<&Picture> {
        self.longest_of(|_| true)
    }

    /// The picture that was shown longest among those that `fit`.
    pub fn longest_of(&self, fit: impl Fn(&Picture) -> bool) -> Option<&Picture> {
        let pictures = self.pictures.iter().filter(|picture| fit(picture));
        pictures.reduce(|best, next| if next.shown > best.shown { next } else { best })
    }

    /// `2 scanouts, 720x400 XR24 for 38.2 s of 40.1 s, 1312 updates`, with
    /// `picture` as the one of interest.
    pub fn describe(&self, picture: &Picture) -> String {
        let time = self.duration.as_secs_f64();
        let named = format!(", {picture} of {time:.1} s");
        self.sentence(&named)
    }

    fn sentence(&self, named: &str) -> String {
        let plural = |count: u64| if count == 1 { "" } else { "s" };
        let (scanouts, updates) = (self.scanouts, self.updates);
        let (s, u) = (plural(scanouts), plural(updates));
        let cut = if self.is_truncated() {
            ", cut short"
        } else {
            ""
        };
        format!("{scanouts} scanout{s}{named}, {updates} update{u}{cut}")
    }

    /// The place in the list of the picture `key`, which is shown from `time` on.
    fn picture(
        &mut self,
        (size, fourcc, modifier): (Size, Fourcc, Modifier),
        time: Duration,
    ) -> Result<Option<usize>, RecordingError> {
        let same = |p: &Picture| p.size == size && p.fourcc == fourcc && p.modifier == modifier;
        let at = match self.pictures.iter().position(same) {
            Some(at) => at,
            None if self.pictures.len() == MAX_PICTURES => {
                return Err(RecordingError::Count {
                    what: "different pictures",
                    count: MAX_PICTURES + 1,
                    max: MAX_PICTURES,
                });
            }
            None => {
                self.pictures.push(Picture {
                    size,
                    fourcc,
                    modifier,
                    first: time,
                    last: time,
                    shown: Duration::ZERO,
                    scanouts: 0,
                    updates: 0,
                });
                self.pictures.len() - 1
            }
        };
        if let Some(picture) = self.pictures.get_mut(at) {
            picture.scanouts += 1;
        }
        Ok(Some(at))
    }

    /// What was shown ends at `time`.
    fn close(&mut self, shown: Option<(usize, Duration)>, time: Duration) {
        if let Some((at, since)) = shown
            && let Some(picture) = self.pictures.get_mut(at)
        {
            picture.shown += time.saturating_sub(since);
            picture.last = time;
        }
    }
}

impl fmt::Display for Recording {
    /// As [`describe`](Self::describe) says of the picture that was shown longest.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&match self.longest() {
            Some(picture) => self.describe(picture),
            None => self.sentence(""),
        })
    }
}
