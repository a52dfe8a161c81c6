//! Frames of the mixed desktop, in memory and in files.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use scanout_core::buffer::{Layout, MemoryImage};
use scanout_core::color::ColorSpec;
use scanout_core::convert::age::DamageHistory;
use scanout_core::convert::{Converter, PictureFormat, PictureLayout, PlaneView, Source};
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Size};
use scanout_trace::desktop::{Desktop, Scenario};

use crate::Error;

/// What the desktop draws: BGRx in memory.
pub const FOURCC: Fourcc = Fourcc::XRGB8888;

/// One frame, ready in memory.
pub struct Frame {
    /// The pixels, rows without padding.
    pub image: MemoryImage,
    /// What changed since the frame before.
    pub damage: Damage,
    /// When it is shown.
    pub time: Duration,
}

/// A recorded desktop.
pub struct Workload {
    /// Width and height.
    pub size: Size,
    /// Frames per second.
    pub fps: u32,
    /// What happens.
    pub scenario: Scenario,
    /// The frames.
    pub frames: Vec<Frame>,
}

impl Workload {
    /// Draws `count` frames; the same arguments give the same pixels anywhere.
    pub fn draw(size: Size, scenario: Scenario, fps: u32, count: usize) -> Result<Self, Error> {
        let mut desktop = Desktop::new(size, scenario, 1, fps)?;
        let (layout, bytes) = Layout::packed(FOURCC, size, 4).ok_or("no layout of that size")?;
        let mut frames = Vec::with_capacity(count);
        for _ in 0..count {
            let step = desktop.next_frame();
            let pixels = desktop.pixels().to_vec();
            assert_eq!(pixels.len() as u64, bytes);
            frames.push(Frame {
                image: MemoryImage::new(Arc::new(pixels), layout.clone())?,
                damage: step.damage,
                time: step.time,
            });
        }
        Ok(Self {
            size,
            fps,
            scenario,
            frames,
        })
    }

    /// Frames in which nothing changed.
    pub fn unchanged(&self) -> usize {
        self.frames.iter().filter(|f| f.damage.is_none()).count()
    }

    /// Mean share of the picture that is damaged.
    pub fn damaged_share(&self) -> f64 {
        let damaged: u64 = self.frames.iter().map(|f| f.damage.area()).sum();
        damaged as f64 / (self.size.area() as f64 * self.frames.len() as f64)
    }

    /// Writes all frames one after the other, as they are.
    pub fn write_bgrx(&self, path: &Path) -> Result<(), Error> {
        let mut file = BufWriter::new(File::create(path)?);
        for frame in &self.frames {
            file.write_all(frame.image.bytes())?;
        }
        Ok(file.flush()?)
    }

    /// Writes all frames as I420, converted whole by our converter.
    pub fn write_i420(&self, path: &Path) -> Result<(), Error> {
        // Rows without padding, as readers of raw files expect them.
        let layout = PictureLayout::with_alignment(PictureFormat::I420, self.size, 2, 1)?;
        let mut converter = Converter::new(FOURCC, self.size, layout, ColorSpec::DESKTOP)?;
        let mut picture = vec![0; layout.total_bytes()];
        let mut file = BufWriter::new(File::create(path)?);
        for frame in &self.frames {
            converter.convert(&source(frame), &mut picture, &Damage::full(self.size))?;
            file.write_all(&picture)?;
        }
        Ok(file.flush()?)
    }

    /// Milliseconds that converting each frame takes where it was damaged,
    /// with `pictures` in circulation as in a session. On this thread.
    pub fn convert(&self, format: PictureFormat, pictures: usize) -> Result<Vec<f64>, Error> {
        let layout = PictureLayout::new(format, self.size)?;
        let mut converter = Converter::new(FOURCC, self.size, layout, ColorSpec::DESKTOP)?;
        let mut history = DamageHistory::new(pictures, self.size);
        // Written once before, as a session's are: no page fault is measured.
        let mut pool = vec![vec![1; layout.total_bytes()]; pictures];
        let mut times = Vec::with_capacity(self.frames.len());
        for (index, frame) in self.frames.iter().enumerate() {
            let slot = index % pictures;
            history.note(&frame.damage);
            let began = std::time::Instant::now();
            converter.convert(&source(frame), &mut pool[slot], &history.take(slot))?;
            times.push(began.elapsed().as_secs_f64() * 1e3);
        }
        Ok(times)
    }
}

/// A frame's pixels for a converter.
pub fn source(frame: &Frame) -> Source<'_> {
    let layout = frame.image.layout();
    let stride = layout.planes.first().map_or(0, |plane| plane.stride);
    Source::packed(
        layout.fourcc,
        layout.size,
        PlaneView::new(frame.image.bytes(), stride as usize),
    )
}

/// Files of a workload that are removed with this.
pub struct Files {
    dir: PathBuf,
    /// Frames as drawn.
    pub bgrx: PathBuf,
    /// Frames as I420.
    pub i420: PathBuf,
}

impl Files {
    /// Writes both files into a new directory below `parent`.
    pub fn write(workload: &Workload, parent: &Path) -> Result<Self, Error> {
        let dir = parent.join(format!("scanout-bench-{}", std::process::id()));
        std::fs::create_dir_all(&dir)?;
        let files = Self {
            bgrx: dir.join("frames.bgrx"),
            i420: dir.join("frames.i420"),
            dir,
        };
        workload.write_bgrx(&files.bgrx)?;
        workload.write_i420(&files.i420)?;
        Ok(files)
    }

    /// A path for a further file.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
