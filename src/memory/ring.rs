use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use scanout_core::buffer::alloc::{Canvas, Provider};
use scanout_core::buffer::{DmaBuf, ImportPolicy, Layout, MemoryImage, Orientation, SourceBuffer};
use scanout_core::convert::age::DamageHistory;
use scanout_core::format::{self, FormatInfo, Fourcc, Modifier};
use scanout_core::geometry::{Damage, Size};
use scanout_core::sync::{Acquire, Release, ReleaseSink, SyncFile};
use scanout_trace::source::SourceFrame;

use super::Memory;
use super::flip::{self, Flip};
use super::gbm::{self, GbmError};
use crate::failure::{Exit, Failure};

/// One being shown, one waiting, one being read, one being drawn.
pub(crate) const BUFFERS: usize = 4;

const EVERYWHERE: &str = "--memory memfd works everywhere";

/// Strides that every GPU can import are multiples of this.
const STRIDE_ALIGN: u32 = 256;

/// Buffers that come back.
#[derive(Debug, Default)]
struct Returned {
    free: Mutex<VecDeque<(usize, Option<SyncFile>)>>,
    came: Condvar,
}

impl ReleaseSink for Returned {
    fn released(&self, cookie: u64, fence: Option<SyncFile>) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.push_back((cookie as usize, fence));
        drop(free);
        self.came.notify_one();
    }
}

/// One buffer.
#[derive(Debug)]
enum Slot {
    Shared {
        canvas: Canvas,
        buffer: DmaBuf,
        layout: Layout,
    },
    Process {
        bytes: Arc<Vec<u8>>,
        layout: Layout,
    },
    Gbm(gbm::Buffer),
}

impl Slot {
    fn is_dma_buf(&self) -> bool {
        match self {
            Self::Shared { buffer, .. } => buffer.is_dma_buf(),
            Self::Process { .. } => false,
            Self::Gbm(buffer) => buffer.source().is_dma_buf(),
        }
    }

    fn layout(&self) -> &Layout {
        match self {
            Self::Shared { layout, .. } | Self::Process { layout, .. } => layout,
            Self::Gbm(buffer) => buffer.source().layout(),
        }
    }

    /// Draws what `damage` names of `frame`. `None` where the frame does not fit.
    fn draw(
        &mut self,
        format: &FormatInfo,
        frame: &SourceFrame<'_>,
        damage: &Damage,
    ) -> Result<Option<()>, Failure> {
        match self {
            Self::Shared { canvas, layout, .. } => canvas
                .draw(|bytes| copy(format, layout, frame, bytes, damage))
                .map_err(Failure::input),
            // Released, but a frame may live a moment longer: then a copy is drawn.
            Self::Process { bytes, layout } => {
                let bytes: &mut Vec<u8> = Arc::make_mut(bytes);
                Ok(copy(format, layout, frame, bytes, damage))
            }
            Self::Gbm(buffer) => buffer.draw(frame, damage).map_err(Failure::input),
        }
    }

    /// The buffer as a source whose rows lie as `orientation` says.
    fn source(&self, orientation: Orientation) -> Result<SourceBuffer, Failure> {
        let of = |buffer: &DmaBuf| buffer.clone().with_orientation(orientation).into();
        Ok(match self {
            Self::Shared { buffer, .. } => of(buffer),
            Self::Gbm(buffer) => of(buffer.source()),
            Self::Process { bytes, layout } => MemoryImage::new(bytes.clone(), layout.clone())
                .map_err(|e| Failure::new(Exit::Internal, e))?
                .with_orientation(orientation)
                .into(),
        })
    }
}

/// Buffers of one size and format that go round between us, who draw, and a
/// session, which reads.
#[derive(Debug)]
pub(crate) struct Ring {
    slots: Vec<Slot>,
    returned: Arc<Returned>,
    history: DamageHistory,
    format: &'static FormatInfo,
    real_dma_bufs: bool,
    orientation: Orientation,
    flip: Option<Flip>,
}

impl Ring {
    /// Buffers of `memory` for frames of `fourcc` and `size`.
    pub(crate) fn new(memory: &Memory, fourcc: Fourcc, size: Size) -> Result<Self, Failure> {
        Self::of(BUFFERS, memory, fourcc, size)
    }

    /// The same with so many of them.
    pub(crate) fn of(
        buffers: usize,
        memory: &Memory,
        fourcc: Fourcc,
        size: Size,
    ) -> Result<Self, Failure> {
        let unknown = || Failure::input(format_args!("unknown pixel format {fourcc}"));
        let format = format::info(fourcc).ok_or_else(unknown)?;
        let policy = ImportPolicy::default().with_memfd();
        let slots = if let Memory::Gbm { node, modifier } = memory {
            let refused = |error: GbmError| {
                let exit = if error.is_usage() {
                    Exit::Usage
                } else {
                    Exit::Input
                };
                let failure = Failure::new(exit, format_args!("--memory {memory}: {error}"));
                failure.hint(error.hint().unwrap_or(EVERYWHERE))
            };
            let allocator = gbm::Allocator::open(node).map_err(refused)?;
            (0..buffers)
                .map(|_| allocator.allocate(format, size, *modifier, &policy))
                .map(|made| made.map(Slot::Gbm).map_err(refused))
                .collect::<Result<Vec<_>, _>>()?
        } else {
            let (layout, bytes) = Layout::packed(fourcc, size, STRIDE_ALIGN).ok_or_else(unknown)?;
            (0..buffers)
                .map(|_| slot(memory, &layout, bytes, &policy))
                .collect::<Result<Vec<_>, _>>()?
        };
        let returned = Returned::default();
        {
            let mut free = returned.free.lock().unwrap_or_else(PoisonError::into_inner);
            free.extend((0..buffers).map(|index| (index, None)));
        }
        Ok(Self {
            real_dma_bufs: slots.iter().all(Slot::is_dma_buf),
            slots,
            returned: Arc::new(returned),
            history: DamageHistory::new(buffers, size),
            format,
            orientation: Orientation::TopDown,
            flip: None,
        })
    }

    /// The same ring, in whose buffers rows lie as `orientation` says.
    #[cfg(any(feature = "serve", test))]
    pub(crate) fn with_orientation(mut self, orientation: Orientation) -> Self {
        self.orientation = orientation;
        self.flip = (orientation == Orientation::BottomUp).then(Flip::default);
        self
    }

    /// True when the buffers are dma-bufs of the kernel, which drivers can import.
    pub(crate) fn real_dma_bufs(&self) -> bool {
        self.real_dma_bufs
    }

    /// How the buffers are tiled.
    pub(crate) fn modifier(&self) -> Modifier {
        let first = self.slots.first();
        first.map_or(Modifier::LINEAR, |slot| slot.layout().modifier)
    }

    /// What a frame of this ring waits for.
    pub(crate) fn acquire(&self) -> Acquire {
        if self.real_dma_bufs {
            Acquire::Implicit
        } else {
            Acquire::Ready
        }
    }

    /// `frame` in a buffer that nobody reads; the part that this buffer missed
    /// is drawn, no more. Waits for a buffer at most `limit`.
    pub(crate) fn draw(
        &mut self,
        frame: &SourceFrame<'_>,
        limit: Duration,
    ) -> Result<(SourceBuffer, Release), Failure> {
        self.history.note(&frame.damage);
        let index = self.wait(limit)?;
        // Told even where drawing fails below: the buffer is free then, too.
        let release = Release::new(self.returned.clone(), index as u64);
        let missing = self.history.take(index);
        let lost = || {
            Failure::new(
                Exit::Internal,
                "a buffer that is not of this ring came back",
            )
        };
        let slot = self.slots.get_mut(index).ok_or_else(lost)?;
        let drawn = match &mut self.flip {
            None => slot.draw(self.format, frame, &missing),
            Some(flip) => match flip.turn(self.format, frame) {
                Some(turned) => {
                    let missing = flip::turned(&missing, frame.size, self.format);
                    slot.draw(self.format, &turned, &missing)
                }
                None => Ok(None),
            },
        };
        if !matches!(drawn, Ok(Some(()))) {
            self.history.invalidate(index);
        }
        if drawn?.is_none() {
            return Err(Failure::new(
                Exit::Internal,
                format_args!("a frame of {} does not fit its buffer", slot.layout()),
            ));
        }
        Ok((slot.source(self.orientation)?, release))
    }

    fn wait(&self, limit: Duration) -> Result<usize, Failure> {
        let deadline = Instant::now() + limit;
        let stuck = || {
            Failure::new(
                Exit::Encoder,
                format_args!(
                    "none of the {} source buffers came back within {limit:?}",
                    self.slots.len()
                ),
            )
        };
        let mut free = self
            .returned
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some((index, fence)) = free.pop_front() {
                drop(free);
                if let Some(fence) = fence {
                    let left = deadline.saturating_duration_since(Instant::now());
                    fence.wait(left).map_err(|error| {
                        Failure::new(Exit::Encoder, format_args!("waiting for a reader: {error}"))
                    })?;
                }
                return Ok(index);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(stuck());
            }
            free = self
                .returned
                .came
                .wait_timeout(free, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

fn slot(
    memory: &Memory,
    layout: &Layout,
    bytes: u64,
    policy: &ImportPolicy,
) -> Result<Slot, Failure> {
    let refused = |error: &dyn std::fmt::Display| {
        let failure = Failure::input(format_args!("--memory {memory}: {error}"));
        match memory {
            Memory::Provider(Provider::Memfd) => failure,
            _ => failure.hint(EVERYWHERE),
        }
    };
    let Memory::Provider(provider) = memory else {
        let bytes = usize::try_from(bytes).map_err(|e| refused(&e))?;
        return Ok(Slot::Process {
            bytes: Arc::new(vec![0; bytes]),
            layout: layout.clone(),
        });
    };
    let allocation = provider.allocate(bytes).map_err(|e| refused(&e))?;
    let buffer = DmaBuf::import(&[allocation.as_fd()], layout, policy).map_err(|e| refused(&e))?;
    let canvas = allocation.into_canvas().map_err(|e| refused(&e))?;
    Ok(Slot::Shared {
        canvas,
        buffer,
        layout: layout.clone(),
    })
}

/// Copies what `damage` names of `frame` to the same place of `layout` in `to`. `None` where either is too short; some may be copied then.
fn copy(
    format: &FormatInfo,
    layout: &Layout,
    frame: &SourceFrame<'_>,
    to: &mut [u8],
    damage: &Damage,
) -> Option<()> {
    for ((info, from), place) in format.planes.iter().zip(frame.planes).zip(&layout.planes) {
        let (h_sub, v_sub) = (u32::from(info.h_sub), u32::from(info.v_sub));
        let block = usize::from(info.block_bytes);
        for rect in damage.rects() {
            let rect = rect.clip(layout.size);
            let left = (rect.x / h_sub) as usize * block;
            let right = rect.right().div_ceil(h_sub) as usize * block;
            for y in rect.y / v_sub..rect.bottom().div_ceil(v_sub) {
                let row = from.offset + y as usize * from.stride;
                let source = frame.data.get(row + left..row + right)?;
                let row = place.offset as usize + y as usize * place.stride as usize;
                to.get_mut(row + left..row + right)?.copy_from_slice(source);
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use scanout_core::geometry::Rect;
    use scanout_trace::source::SourcePlane;

    use super::*;

    const SIZE: Size = Size::new(33, 21);
    const PLANES: [SourcePlane; 2] = [
        SourcePlane {
            offset: 0,
            stride: 33,
        },
        SourcePlane {
            offset: 33 * 21,
            stride: 34,
        },
    ];

    /// An NV12 picture whose rows are redrawn a few at a time.
    struct Stripes {
        index: u64,
        pixels: Vec<u8>,
    }

    impl Stripes {
        fn new() -> Self {
            Self {
                index: 0,
                pixels: vec![7; 33 * 21 + 34 * 11],
            }
        }

        fn next(&mut self) -> SourceFrame<'_> {
            self.index += 1;
            let y = self.index as usize * 5 % 19;
            self.pixels[y * 33..][..66].fill(self.index as u8);
            self.pixels[33 * 21 + y / 2 * 34..][..34].fill(self.index as u8);
            SourceFrame {
                index: self.index,
                time: Duration::ZERO,
                fourcc: Fourcc::NV12,
                size: SIZE,
                data: &self.pixels,
                planes: &PLANES,
                damage: Damage::from(Rect::new(0, y as u32 / 2 * 2, 33, 3)),
                segment: None,
            }
        }
    }

    #[test]
    fn a_buffer_that_missed_frames_is_brought_up_to_date() {
        for memory in ["memfd", "memory"] {
            goes_round(&memory.parse().unwrap());
        }
    }

    fn goes_round(memory: &Memory) {
        for orientation in [Orientation::TopDown, Orientation::BottomUp] {
            goes_round_as(memory, orientation);
        }
    }

    fn goes_round_as(memory: &Memory, orientation: Orientation) {
        let mut source = Stripes::new();
        let ring = Ring::new(memory, Fourcc::NV12, SIZE).unwrap();
        let mut ring = ring.with_orientation(orientation);
        let mut reader = scanout_core::buffer::CpuReader::default();
        let mut held = Vec::new();
        for round in 0..60 {
            let frame = source.next();
            let (buffer, release) = ring.draw(&frame, Duration::from_secs(1)).unwrap();
            let read = reader.read(&buffer, Duration::from_secs(1)).unwrap();
            assert_eq!(buffer.view().orientation, orientation);
            for (plane, (seen, drawn)) in read.planes().iter().zip(PLANES).enumerate() {
                let rows = [21, 11][plane];
                for y in 0..rows {
                    let row = match orientation {
                        Orientation::TopDown => y,
                        Orientation::BottomUp => rows - 1 - y,
                    };
                    assert_eq!(
                        seen.data[row * seen.stride..][..drawn.stride],
                        frame.data[drawn.offset + y * drawn.stride..][..drawn.stride],
                        "round {round} plane {plane} row {y}"
                    );
                }
            }
            // Held for a while, so that buffers come back out of step.
            held.push(release);
            if round % 3 == 2 {
                held.drain(..).rev().for_each(drop);
            }
        }
    }

    #[test]
    fn a_ring_whose_buffers_do_not_come_back_is_an_error_not_a_hang() {
        let mut source = Stripes::new();
        let memory = "memfd".parse().unwrap();
        let mut ring = Ring::new(&memory, Fourcc::NV12, SIZE).unwrap();
        let mut held = Vec::new();
        for _ in 0..BUFFERS {
            held.push(ring.draw(&source.next(), Duration::from_secs(1)).unwrap());
        }
        let failure = ring
            .draw(&source.next(), Duration::from_millis(20))
            .unwrap_err();
        assert_eq!(failure.exit, Exit::Encoder);
    }
}
