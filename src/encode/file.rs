//! A file that has its name only when it is whole.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::interrupt::Unfinished;

/// Writes of small packets are joined up to so many bytes.
const BUFFER: usize = 1 << 18;

/// Where bytes go.
#[derive(Debug)]
pub(super) struct OutputFile {
    to: Option<BufWriter<Target>>,
    place: Place,
    written: u64,
    /// Until the file has its name.
    unfinished: Option<Unfinished>,
}

#[derive(Debug)]
enum Target {
    File(File),
    Stdout(io::Stdout),
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Stdout(stdout) => stdout.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Stdout(stdout) => stdout.flush(),
        }
    }
}

/// The names of an output while it is written and after.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// `None` is standard output.
    pub(super) path: Option<PathBuf>,
    /// Where a regular file lies until it is whole; pipes and devices are
    /// written directly.
    pub(super) partial: Option<PathBuf>,
}

impl Place {
    /// Finds out what `path` is, without writing.
    pub(super) fn of(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else {
            return Ok(Self {
                path: None,
                partial: None,
            });
        };
        let there = fs::metadata(path).ok();
        if there.as_ref().is_some_and(fs::Metadata::is_dir) {
            return Err(Failure::output(
                path.display(),
                &io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"),
            ));
        }
        let partial = match there {
            Some(there) if !there.is_file() => None,
            _ => {
                // The extension stays: muxers go by it.
                let extension = path.extension().unwrap_or_default();
                let mut end = OsString::from("part.");
                end.push(extension);
                Some(path.with_extension(end))
            }
        };
        Ok(Self {
            path: Some(path.to_owned()),
            partial,
        })
    }

    /// The file to write to now.
    pub(super) fn current(&self) -> Option<&Path> {
        self.partial.as_deref().or(self.path.as_deref())
    }

    /// The file is whole: it gets its name.
    pub(super) fn complete(&self) -> Result<(), Failure> {
        if let (Some(partial), Some(path)) = (&self.partial, &self.path) {
            fs::rename(partial, path).map_err(|e| Failure::output(path.display(), &e))?;
        }
        Ok(())
    }

    /// Removes the partial file if nothing is in it.
    pub(super) fn discard_empty(&self) {
        if let Some(partial) = &self.partial
            && fs::metadata(partial).is_ok_and(|file| file.len() == 0)
        {
            // Best effort: the failure that led here is the one to report.
            let _ = fs::remove_file(partial);
        }
    }

    /// For messages.
    pub(super) fn name(&self) -> String {
        match self.current() {
            Some(path) => path.display().to_string(),
            None => "standard output".to_owned(),
        }
    }
}

impl OutputFile {
    /// Creates the file, empty.
    pub(super) fn create(place: Place) -> Result<Self, Failure> {
        let target = match place.current() {
            None => Target::Stdout(io::stdout()),
            Some(path) => {
                // Told by the name that the user gave.
                let name = place.path.as_deref().unwrap_or(path);
                let opened = match place.partial {
                    Some(_) => reserve(path),
                    None => OpenOptions::new().write(true).open(path),
                };
                Target::File(opened.map_err(|e| Failure::output(name.display(), &e))?)
            }
        };
        Ok(Self {
            to: Some(BufWriter::with_capacity(BUFFER, target)),
            unfinished: place.partial.as_deref().map(Unfinished::new),
            place,
            written: 0,
        })
    }

    fn to(&mut self) -> io::Result<&mut BufWriter<Target>> {
        self.to
            .as_mut()
            .ok_or_else(|| io::Error::other("the file is closed"))
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let done = self.to().and_then(|to| to.write_all(bytes));
        self.written += bytes.len() as u64;
        done.map_err(|e| Failure::output(self.place.name(), &e))
    }

    /// Ends a packet: a reader of a pipe shall have it now.
    pub(super) fn end_of_packet(&mut self) -> Result<(), Failure> {
        if self.place.partial.is_some() {
            return Ok(());
        }
        let done = self.to().and_then(|to| to.flush());
        done.map_err(|e| Failure::output(self.place.name(), &e))
    }

    /// Overwrites bytes at `offset`, where the output can do that.
    pub(super) fn patch(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Failure> {
        if self.place.partial.is_none() {
            return Ok(());
        }
        let done = self.to().and_then(|to| {
            to.seek_to(offset)?;
            to.write_all(bytes)?;
            to.flush()
        });
        done.map_err(|e| Failure::output(self.place.name(), &e))
    }

    /// Nothing follows. Returns the bytes written.
    pub(super) fn finish(&mut self) -> Result<u64, Failure> {
        let done = self.to().and_then(|to| to.flush());
        done.map_err(|e| Failure::output(self.place.name(), &e))?;
        // Named before it is closed: until then the file is locked.
        self.place.complete()?;
        self.to = None;
        self.unfinished = None;
        Ok(self.written)
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        // A writer dropped with bytes inside would write them once more, to
        // what has just failed.
        if let Some(to) = self.to.take() {
            let _ = to.into_parts();
            if self.written == 0 {
                self.place.discard_empty();
            }
        }
    }
}

/// Opens the file at `path`, empty, for this process alone: two that write to
/// one file would both end well and leave a mixture.
fn reserve(path: &Path) -> io::Result<File> {
    loop {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                let why = "another program is writing it at this moment";
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, why));
            }
            // A file system without locks: as good as can be.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        // Whoever had the lock may have given the file its name meanwhile.
        let is_this = |there: fs::Metadata| {
            file.metadata()
                .is_ok_and(|open| (open.dev(), open.ino()) == (there.dev(), there.ino()))
        };
        if fs::metadata(path).is_ok_and(is_this) {
            file.set_len(0)?;
            return Ok(file);
        }
    }
}

trait SeekTo {
    fn seek_to(&mut self, offset: u64) -> io::Result<()>;
}

impl SeekTo for BufWriter<Target> {
    fn seek_to(&mut self, offset: u64) -> io::Result<()> {
        self.flush()?;
        match self.get_mut() {
            Target::File(file) => file.seek(SeekFrom::Start(offset)).map(drop),
            Target::Stdout(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}
