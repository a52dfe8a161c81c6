use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{FrameTimes, PathClass};
use crate::color::ColorSpec;
use crate::convert::PictureLayout;
use crate::geometry::Damage;
use crate::sync::EventFd;

/// Pixel memory that a backend made: a VA surface, a Vulkan image, or
/// [`HostSurface`].
pub trait Surface: Any + Send + Sync + fmt::Debug {}

/// A picture in host memory.
#[derive(Debug)]
pub struct HostSurface {
    layout: PictureLayout,
    bytes: Box<[u8]>,
}

impl HostSurface {
    /// Memory for one picture of `layout`, zeroed.
    pub fn new(layout: PictureLayout) -> Self {
        let bytes = vec![0; layout.total_bytes()].into_boxed_slice();
        Self { layout, bytes }
    }

    /// Where the planes are.
    pub fn layout(&self) -> &PictureLayout {
        &self.layout
    }

    /// All planes, laid out as [`HostSurface::layout`] says.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// All planes, to be written.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Surface for HostSurface {}

/// What is known of a picture beside its pixels.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PictureInfo {
    /// Number of the source frame.
    pub number: u64,
    /// Presentation time of the source frame.
    pub timestamp: Duration,
    /// What changed since the picture staged before this one.
    pub damage: Damage,
    /// The meaning of the numbers, as the converter produced them.
    pub color: ColorSpec,
    /// How the pixels got here.
    pub path: PathClass,
    /// When the stages up to here were reached.
    pub times: FrameTimes,
}

impl PictureInfo {
    /// All fields at once.
    pub const fn new(
        number: u64,
        timestamp: Duration,
        damage: Damage,
        color: ColorSpec,
        path: PathClass,
        times: FrameTimes,
    ) -> Self {
        Self {
            number,
            timestamp,
            damage,
            color,
            path,
            times,
        }
    }
}

#[derive(Debug)]
struct Slot {
    index: usize,
    info: PictureInfo,
    surface: Box<dyn Surface>,
}

/// Signals the pool's event when dropped.
#[derive(Clone, Debug)]
struct GivenBack(Arc<EventFd>);

impl Drop for GivenBack {
    fn drop(&mut self) {
        self.0.signal();
    }
}

/// A staged picture: pixels that we own, in the coded format, top-down.
///
/// Cheap to clone. When the last clone is dropped the surface goes back to the
/// [`PicturePool`] that it came from.
#[derive(Clone, Debug)]
pub struct Picture {
    // Fields drop in this order: the slot is free before the pool's owner is woken.
    slot: Arc<Slot>,
    _given_back: GivenBack,
}

impl Picture {
    /// What is known beside the pixels.
    pub fn info(&self) -> &PictureInfo {
        &self.slot.info
    }

    /// The surface, where it is of type `S`.
    pub fn surface<S: Surface>(&self) -> Option<&S> {
        (&*self.slot.surface as &dyn Any).downcast_ref()
    }

    /// Which of its pool's surfaces this is, counted from 0: a key for what a
    /// backend keeps per surface.
    pub fn slot(&self) -> usize {
        self.slot.index
    }
}

/// A fixed number of surfaces that pictures live in. Lends one at a time to
/// be written, and takes each back when the last [`Picture`] of it is gone.
///
/// Allocates nothing after its creation.
#[derive(Debug)]
pub struct PicturePool {
    slots: Vec<Arc<Slot>>,
    event: Arc<EventFd>,
}

impl PicturePool {
    /// `count` surfaces made by `make`; `event` is signalled when one comes back.
    pub fn new<E>(
        count: usize,
        event: Arc<EventFd>,
        mut make: impl FnMut(usize) -> Result<Box<dyn Surface>, E>,
    ) -> Result<Self, E> {
        let nothing = PictureInfo::new(
            0,
            Duration::ZERO,
            Damage::none(),
            ColorSpec::DESKTOP,
            PathClass::Software,
            FrameTimes::at(Instant::now()),
        );
        let slots = (0..count)
            .map(|index| {
                Ok(Arc::new(Slot {
                    index,
                    info: nothing.clone(),
                    surface: make(index)?,
                }))
            })
            .collect::<Result<_, E>>()?;
        Ok(Self { slots, event })
    }

    /// Number of surfaces.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// True for a pool of no surfaces.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Number of surfaces that nobody holds at this moment.
    pub fn vacant(&self) -> usize {
        self.slots
            .iter()
            .filter(|slot| Arc::strong_count(slot) == 1)
            .count()
    }

    /// A surface that nobody reads, or `None` while all are held.
    pub fn take(&mut self) -> Option<VacantPicture<'_>> {
        let index =
            (0..self.slots.len()).find(|&index| Arc::get_mut(&mut self.slots[index]).is_some())?;
        Some(VacantPicture {
            slot: &mut self.slots[index],
            event: &self.event,
        })
    }
}

/// A surface about to be written. Dropped unpublished it stays vacant.
#[derive(Debug)]
pub struct VacantPicture<'a> {
    slot: &'a mut Arc<Slot>,
    event: &'a Arc<EventFd>,
}

impl VacantPicture<'_> {
    /// Which of its pool's surfaces this is, counted from 0.
    pub fn slot(&self) -> usize {
        self.slot.index
    }

    /// The surface, where it is of type `S`.
    pub fn surface_mut<S: Surface>(&mut self) -> Option<&mut S> {
        let slot = Arc::get_mut(self.slot)?;
        (&mut *slot.surface as &mut dyn Any).downcast_mut()
    }

    /// Makes it a picture that can be read.
    pub fn publish(self, info: PictureInfo) -> Picture {
        if let Some(slot) = Arc::get_mut(self.slot) {
            slot.info = info;
        }
        Picture {
            slot: Arc::clone(self.slot),
            _given_back: GivenBack(Arc::clone(self.event)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Number(u32);
    impl Surface for Number {}

    fn info(number: u64) -> PictureInfo {
        PictureInfo::new(
            number,
            Duration::ZERO,
            Damage::none(),
            ColorSpec::DESKTOP,
            PathClass::Software,
            FrameTimes::at(Instant::now()),
        )
    }

    #[test]
    fn a_surface_is_lent_again_only_when_its_last_picture_is_gone() {
        let event = Arc::new(EventFd::new().unwrap());
        let mut pool = PicturePool::new(2, event, |i| {
            Ok::<_, ()>(Box::new(Number(i as u32)) as Box<dyn Surface>)
        })
        .unwrap();
        let mut vacant = pool.take().unwrap();
        vacant.surface_mut::<Number>().unwrap().0 = 7;
        let first = vacant.publish(info(1));
        let again = first.clone();
        let second = pool.take().unwrap().publish(info(2));
        assert_ne!(first.slot(), second.slot());
        assert!(pool.take().is_none());
        drop(first);
        assert!(pool.take().is_none(), "a clone still reads it");
        assert_eq!(again.surface::<Number>().unwrap().0, 7);
        assert_eq!(again.info().number, 1);
        drop(again);
        assert_eq!(pool.vacant(), 1);
        assert!(pool.take().is_some());
    }

    #[test]
    fn a_surface_dropped_unpublished_stays_vacant() {
        let event = Arc::new(EventFd::new().unwrap());
        let mut pool = PicturePool::new(1, event, |_| {
            Ok::<_, ()>(Box::new(Number(0)) as Box<dyn Surface>)
        })
        .unwrap();
        let _unpublished = pool.take().unwrap();
        assert!(pool.take().is_some());
    }
}
