//! A recording of a display producer as frames of one size.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use scanout_core::buffer::{
    AllowedModifiers, Layout, LayoutError, LayoutLimits, Orientation, exporter_is_linear, validate,
};
use scanout_core::format::{FormatInfo, Fourcc, Modifier};
use scanout_core::geometry::{Damage, Rect, Size};

use super::{FrameRate, FrameReader, SourceError, SourceFrame, SourcePlane};
use crate::recording::{
    Delivery, Event, EventKind, Picture, Player, Recording, RecordingError, RecordingReader,
    Scanout,
};

/// Which of a recording's pictures become frames.
///
/// Written `scanout=N` (numbers from 1, in the order of first appearance) or
/// `size=WxH` (of those of one size the one shown longest).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PictureChoice {
    /// The one that was shown longest.
    #[default]
    Longest,
    /// By its number from 1, in the order of first appearance.
    Number(usize),
    /// By its size; of several the one shown longest.
    Size(Size),
}

/// The text chooses no picture.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} chooses nothing of a recording: write scanout=NUMBER or size=WIDTHxHEIGHT")]
pub struct ParseChoiceError(String);

impl FromStr for PictureChoice {
    type Err = ParseChoiceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let choice = match text.split_once('=') {
            Some(("scanout", number)) => number.parse().ok().map(Self::Number),
            Some(("size", size)) => size.parse().ok().map(Self::Size),
            _ => None,
        };
        choice.ok_or_else(|| ParseChoiceError(text.to_owned()))
    }
}

/// Why a recording makes no frames.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingSourceError {
    /// It cannot be read.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// A pipe, a directory, a device.
    #[error("not a regular file: a recording is read twice")]
    NotAFile,
    /// There is no scanout in it.
    #[error("it shows nothing: {events} events without a scanout")]
    ShowsNothing {
        /// Events that there are.
        events: u64,
    },
    /// None with this number.
    #[error("no scanout {number}: it has {list}")]
    NoSuchNumber {
        /// The number seen.
        number: usize,
        /// What there is.
        list: String,
    },
    /// None of this size.
    #[error("no scanout of {size}: it has {list}")]
    NoSuchSize {
        /// The size seen.
        size: Size,
        /// What there is.
        list: String,
    },
    /// A layout that only a GPU reads.
    #[error(
        "scanout of {size} has modifier {modifier}, which the CPU cannot read as rows: it has {list}"
    )]
    Tiled {
        /// Its size.
        size: Size,
        /// Its modifier.
        modifier: Modifier,
        /// What there is.
        list: String,
    },
    /// A layout that cannot be.
    #[error("scanout at {time:?}: {source}")]
    Layout {
        /// When it came.
        time: Duration,
        /// What is wrong with it.
        source: LayoutError,
    },
    /// A content rectangle that cuts samples of chroma.
    #[error(
        "scanout at {time:?} has its content at {content}, which cuts {fourcc}: it must lie at multiples of {h_sub} and {v_sub}"
    )]
    CutsChroma {
        /// When it came.
        time: Duration,
        /// Its content.
        content: Rect,
        /// Its format.
        fourcc: Fourcc,
        /// Columns of a sample of chroma.
        h_sub: u8,
        /// Rows of a sample of chroma.
        v_sub: u8,
    },
}

/// Frames of one picture of a recording, at a steady rate.
///
/// Frame 0 is the first moment in which the picture is shown. Each frame holds
/// all updates until its time, with their damage united; one in whose slot
/// nothing was drawn has no damage. While something else is shown, or nothing,
/// the last picture stands; the frames end when the picture was last shown.
/// They are top-down and cut to the content, in the format that was recorded.
#[derive(Debug)]
pub struct RecordingSource<R> {
    path: PathBuf,
    reader: RecordingReader<BufReader<R>>,
    player: Player,
    recording: Recording,
    picture: Picture,
    fps: FrameRate,
    next: u64,
    /// Read, but of a later frame.
    pending: Option<Event>,
    /// How the picture lies in memory; `None` while something else is shown.
    shown: Option<Shown>,
    format: &'static FormatInfo,
    pixels: Vec<u8>,
    planes: Vec<SourcePlane>,
}

/// A scanout of the picture, checked.
#[derive(Debug)]
struct Shown {
    layout: Layout,
    content: Rect,
    orientation: Orientation,
}

impl RecordingSource<File> {
    /// Opens a file.
    pub fn open(path: &Path, choice: PictureChoice, fps: FrameRate) -> Result<Self, SourceError> {
        let io = |source| SourceError::Io {
            path: path.to_owned(),
            source,
        };
        // Opening a pipe would wait for who writes to it.
        if !std::fs::metadata(path).map_err(io)?.is_file() {
            return Err(SourceError::Recording {
                path: path.to_owned(),
                source: RecordingSourceError::NotAFile,
            });
        }
        Self::new(path, File::open(path).map_err(io)?, choice, fps)
    }
}

impl<R: Read + Seek> RecordingSource<R> {
    /// Reads `input`, which is called `name` in messages, twice: once to see
    /// what it holds, then as frames come.
    pub fn new(
        name: &Path,
        input: R,
        choice: PictureChoice,
        fps: FrameRate,
    ) -> Result<Self, SourceError> {
        let fps = super::checked_rate(fps.num, fps.den)?;
        Self::prepare(name, input, choice, fps).map_err(|source| SourceError::Recording {
            path: name.to_owned(),
            source,
        })
    }

    fn prepare(
        name: &Path,
        mut input: R,
        choice: PictureChoice,
        fps: FrameRate,
    ) -> Result<Self, RecordingSourceError> {
        let reader = RecordingReader::new(BufReader::new(&mut input))?;
        let recording = Recording::read(reader)?;
        let picture = choose(&recording, choice)?.clone();
        input.rewind().map_err(RecordingError::from)?;
        let reader = RecordingReader::new(BufReader::new(input))?;
        let known = scanout_core::format::info(picture.fourcc);
        let format = known.ok_or(RecordingSourceError::Layout {
            time: picture.first,
            source: LayoutError::UnknownFourcc {
                fourcc: picture.fourcc,
                known: scanout_core::format::all().count(),
            },
        })?;
        let mut planes = Vec::with_capacity(format.planes.len());
        let mut end = 0;
        for plane in format.planes {
            // Sizes of a recording are bounded far below overflow.
            let stride = plane.row_bytes(picture.size.width) as usize;
            let offset = end;
            planes.push(SourcePlane { offset, stride });
            end += stride * plane.rows(picture.size.height) as usize;
        }
        let mut source = Self {
            path: name.to_owned(),
            reader,
            player: Player::new(),
            recording,
            picture,
            fps,
            next: 0,
            pending: None,
            shown: None,
            format,
            pixels: vec![0; end],
            planes,
        };
        // What is wrong with the first buffer is better said before an encoder is opened.
        source.play_until(source.picture.first)?;
        Ok(source)
    }

    /// Which picture the frames are of.
    pub fn picture(&self) -> &Picture {
        &self.picture
    }

    /// What the recording holds.
    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    /// Plays all events up to `time`, and gives their damage.
    fn play_until(&mut self, time: Duration) -> Result<Damage, RecordingSourceError> {
        let mut damage = Damage::none();
        loop {
            let event = match self.pending.take() {
                Some(event) => event,
                None => match self.reader.next_event()? {
                    Some(event) => event,
                    None => return Ok(damage),
                },
            };
            if event.time > time {
                self.pending = Some(event);
                return Ok(damage);
            }
            let changed = self.player.apply(&event)?;
            match &event.kind {
                EventKind::Scanout(scanout) => {
                    self.shown = (key(scanout)
                        == (
                            self.picture.size,
                            self.picture.fourcc,
                            self.picture.modifier,
                        ))
                        .then(|| self.check(scanout, event.time))
                        .transpose()?;
                }
                EventKind::Disable => self.shown = None,
                _ => {}
            }
            if self.shown.is_some() {
                for rect in changed.rects() {
                    let rect = self.whole_samples(*rect);
                    self.copy(rect);
                    damage.add(rect);
                }
            }
        }
    }

    /// That the rows of a scanout of the picture can be read.
    fn check(&self, scanout: &Scanout, time: Duration) -> Result<Shown, RecordingSourceError> {
        let mut layout = scanout.layout.clone();
        if is_linear(scanout) {
            layout.modifier = Modifier::LINEAR;
        }
        let (size, modifier) = (self.picture.size, layout.modifier);
        if !modifier.is_linear() {
            let list = list(&self.recording);
            return Err(RecordingSourceError::Tiled {
                size,
                modifier,
                list,
            });
        }
        let objects: Vec<u64> = scanout.objects.iter().map(|object| object.size).collect();
        let mut limits = LayoutLimits::default();
        limits.modifiers = AllowedModifiers::Linear;
        let format = validate(&layout, &objects, &limits)
            .map_err(|source| RecordingSourceError::Layout { time, source })?;
        let view = scanout.view;
        let (h_sub, v_sub) = sample(format);
        let content = view.content;
        let aligned = |at: u32, step: u8| at.is_multiple_of(step.into());
        // From the bottom up, rows are counted from the other end.
        let upside = view.orientation == Orientation::BottomUp;
        if !aligned(content.x, h_sub)
            || !aligned(content.y, v_sub)
            || (upside && !aligned(content.height, v_sub))
        {
            return Err(RecordingSourceError::CutsChroma {
                time,
                content,
                fourcc: layout.fourcc,
                h_sub,
                v_sub,
            });
        }
        Ok(Shown {
            layout,
            content,
            orientation: view.orientation,
        })
    }

    /// The rectangle with all pixels that share a sample of chroma with it.
    fn whole_samples(&self, rect: Rect) -> Rect {
        let (h_sub, v_sub) = sample(self.format);
        let span = |at: u32, length: u32, step: u32, of: u32| {
            let start = at / step * step;
            let end = (at + length).next_multiple_of(step).min(of);
            (start, end - start)
        };
        let size = self.picture.size;
        // The rectangle lies in the picture: the player has seen to it.
        let (x, width) = span(rect.x, rect.width, h_sub.into(), size.width);
        let (y, height) = span(rect.y, rect.height, v_sub.into(), size.height);
        Rect::new(x, y, width, height)
    }

    /// Copies `rect`, which cuts no samples, out of the objects.
    fn copy(&mut self, rect: Rect) {
        let Some(shown) = &self.shown else {
            return;
        };
        let places = self.format.planes.iter().zip(&self.planes);
        for ((info, to), from) in places.zip(&shown.layout.planes) {
            let (h_sub, v_sub) = (u32::from(info.h_sub), u32::from(info.v_sub));
            let block = usize::from(info.block_bytes);
            let bytes = self.player.object(from.object).unwrap_or_default();
            let (left, right) = (rect.x / h_sub, rect.right().div_ceil(h_sub));
            let length = (right - left) as usize * block;
            let all = shown.content.height.div_ceil(v_sub);
            for row in rect.y / v_sub..rect.bottom().div_ceil(v_sub) {
                let down = match shown.orientation {
                    Orientation::TopDown => row,
                    Orientation::BottomUp => all - 1 - row,
                };
                let line = (shown.content.y / v_sub + down) as usize;
                let column = (shown.content.x / h_sub + left) as usize;
                let at = from.offset as usize + line * from.stride as usize + column * block;
                let place = to.offset + row as usize * to.stride + left as usize * block;
                let parts = (
                    bytes.get(at..at + length),
                    self.pixels.get_mut(place..place + length),
                );
                if let (Some(from), Some(to)) = parts {
                    to.copy_from_slice(from);
                }
            }
        }
    }
}

/// Columns and rows that share a sample.
fn sample(format: &FormatInfo) -> (u8, u8) {
    format.planes.iter().fold((1, 1), |(h, v), plane| {
        (h.max(plane.h_sub), v.max(plane.v_sub))
    })
}

fn key(scanout: &Scanout) -> (Size, Fourcc, Modifier) {
    let layout = &scanout.layout;
    (scanout.view.content.size(), layout.fourcc, layout.modifier)
}

/// Whether its rows lie one after the other. Modifier `INVALID` does not tell:
/// then who made the memory must be one who knows nothing else.
fn is_linear(scanout: &Scanout) -> bool {
    if scanout.layout.modifier != Modifier::INVALID {
        return scanout.layout.modifier.is_linear();
    }
    scanout.delivery != Delivery::DmaBuf
        || (scanout.objects.iter())
            .all(|object| object.exporter.as_deref().is_some_and(exporter_is_linear))
}

fn choose(recording: &Recording, choice: PictureChoice) -> Result<&Picture, RecordingSourceError> {
    if recording.pictures.is_empty() {
        let events = recording.updates + recording.pointer;
        return Err(RecordingSourceError::ShowsNothing { events });
    }
    let list = || list(recording);
    let (found, error) = match choice {
        PictureChoice::Longest => (
            recording.longest(),
            RecordingSourceError::ShowsNothing { events: 0 },
        ),
        PictureChoice::Number(number) => (
            number
                .checked_sub(1)
                .and_then(|at| recording.pictures.get(at)),
            RecordingSourceError::NoSuchNumber {
                number,
                list: list(),
            },
        ),
        PictureChoice::Size(size) => (
            recording.longest_of(|picture| picture.size == size),
            RecordingSourceError::NoSuchSize { size, list: list() },
        ),
    };
    found.ok_or(error)
}

/// `1: 640x480 XR24 for 1.9 s, 2: 720x400 XR24 for 38.2 s`
fn list(recording: &Recording) -> String {
    /// What fits a message.
    const MOST: usize = 8;
    let pictures = recording.pictures.iter().zip(1..);
    let mut names: Vec<String> = pictures
        .take(MOST)
        .map(|(picture, number)| format!("{number}: {picture}"))
        .collect();
    if recording.pictures.len() > MOST {
        names.push(format!("and {} more", recording.pictures.len() - MOST));
    }
    names.join(", ")
}

impl<R: Read + Seek + Send> FrameReader for RecordingSource<R> {
    fn size(&self) -> Size {
        self.picture.size
    }

    fn fourcc(&self) -> Fourcc {
        self.picture.fourcc
    }

    fn fps(&self) -> FrameRate {
        self.fps
    }

    fn details(&self) -> Option<String> {
        Some(self.recording.describe(&self.picture))
    }

    fn next_frame(&mut self) -> Result<Option<SourceFrame<'_>>, SourceError> {
        let (index, first) = (self.next, self.picture.first);
        if let Some(before) = index.checked_sub(1)
            && first.saturating_add(self.fps.time_of(before)) >= self.picture.last
        {
            return Ok(None);
        }
        let time = self.fps.time_of(index);
        let damage = self
            .play_until(first.saturating_add(time))
            .map_err(|source| SourceError::Recording {
                path: self.path.clone(),
                source,
            })?;
        self.next += 1;
        let size = self.picture.size;
        Ok(Some(SourceFrame {
            index,
            time,
            fourcc: self.picture.fourcc,
            size,
            data: &self.pixels,
            planes: &self.planes,
            // The first frame is all new, whatever it took to get there.
            damage: match index {
                0 => Damage::full(size),
                _ => damage,
            },
            segment: None,
        }))
    }
}
