use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use arrayvec::ArrayVec;
use rustix::io::Errno;

use super::object::exporter_is_linear;
use super::{
    Access, AllowedModifiers, BufferKey, Layout, LayoutError, LayoutLimits, MAX_PLANES, Object,
    ObjectKind, Orientation, View, validate, validate_view,
};
use crate::format::{FormatInfo, Modifier};
use crate::geometry::Rect;

/// What to accept from a producer.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ImportPolicy {
    /// Sizes and modifiers.
    pub limits: LayoutLimits,
    /// Accept memfds in place of dma-bufs. One that is not sealed against shrinking is
    /// read by pread, never mapped.
    pub allow_memfd: bool,
    /// What to make of modifier `INVALID`.
    pub implicit_modifier: ImplicitModifier,
}

impl ImportPolicy {
    /// The policy with memfds accepted.
    #[must_use]
    pub fn with_memfd(mut self) -> Self {
        self.allow_memfd = true;
        self
    }

    /// The policy with these modifiers only.
    #[must_use]
    pub fn with_modifiers(mut self, modifiers: AllowedModifiers) -> Self {
        self.limits.modifiers = modifiers;
        self
    }

    /// The policy with `INVALID` taken as said.
    #[must_use]
    pub fn with_implicit_modifier(mut self, implicit_modifier: ImplicitModifier) -> Self {
        self.implicit_modifier = implicit_modifier;
        self
    }
}

/// What to make of modifier `INVALID`, which QEMU sends for udmabufs and for what
/// its renderer did not name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImplicitModifier {
    /// Linear if every object's exporter is known to make linear memory only
    /// (udmabuf, the dma heaps, memfd), else refused.
    #[default]
    LinearIfExporterKnown,
    /// The caller knows that the producer is linear.
    AssumeLinear,
    /// Always refused.
    Refuse,
}

/// Why a buffer was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// No objects, or more than a buffer can have.
    #[error("{objects} descriptors given where a buffer has 1 to {max}")]
    ObjectCount {
        /// Descriptors seen.
        objects: usize,
        /// Most allowed.
        max: usize,
    },
    /// A system call failed, for example on a closed descriptor.
    #[error("{call} on descriptor {fd} (object {index}) failed: {errno}")]
    Os {
        /// The object.
        index: usize,
        /// The descriptor's number as given.
        fd: i32,
        /// The call.
        call: &'static str,
        /// What the kernel answered.
        errno: Errno,
    },
    /// Something else than a dma-buf.
    #[error(
        "object {index} is {found} (file system {magic:#x}), no dma-buf (file system 0x444d4142)"
    )]
    NotADmaBuf {
        /// The object.
        index: usize,
        /// What it is.
        found: &'static str,
        /// Magic number of its file system.
        magic: u64,
    },
    /// A memfd where the caller wants dma-bufs only.
    #[error("object {index} is a memfd where only dma-bufs are allowed")]
    MemfdNotAllowed {
        /// The object.
        index: usize,
    },
    /// Nothing in it.
    #[error("object {index} has 0 bytes where at least 1 is needed")]
    EmptyObject {
        /// The object.
        index: usize,
    },
    /// An object that no plane lies in.
    #[error("object {index} of {objects} is used by none of the {planes} planes")]
    UnusedObject {
        /// The object.
        index: usize,
        /// Number of objects.
        objects: usize,
        /// Number of planes.
        planes: usize,
    },
    /// `INVALID` from an exporter that may tile.
    #[error(
        "modifier INVALID from exporter {exporter:?}, which may tile: only udmabuf, dma heaps and memfd are known to be linear, else the caller must say so"
    )]
    ImplicitModifier {
        /// The exporter's name, empty when the kernel does not tell it.
        exporter: String,
    },
    /// The layout does not fit.
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

struct Inner {
    objects: ArrayVec<Object, MAX_PLANES>,
    key: BufferKey,
    format: &'static FormatInfo,
}

/// A validated buffer of a producer: shared memory with a layout that stays within
/// it. Cloning is cheap; the descriptors are our own and closed with the last clone.
#[derive(Clone)]
pub struct DmaBuf {
    inner: Arc<Inner>,
    view: View,
}

impl DmaBuf {
    /// Takes duplicates of `fds`, one per object, and checks everything that can be
    /// checked before a driver sees them: that they are dma-bufs, how large they
    /// really are, and that `layout` stays within them and within `policy`.
    ///
    /// Modifier `INVALID` becomes `LINEAR` where `policy` lets it.
    pub fn import(
        fds: &[BorrowedFd<'_>],
        layout: &Layout,
        policy: &ImportPolicy,
    ) -> Result<Self, ImportError> {
        if fds.is_empty() || fds.len() > MAX_PLANES {
            return Err(ImportError::ObjectCount {
                objects: fds.len(),
                max: MAX_PLANES,
            });
        }
        let mut objects = ArrayVec::<Object, MAX_PLANES>::new();
        for (index, fd) in fds.iter().enumerate() {
            objects.push(Object::examine(index, *fd, policy.allow_memfd)?);
        }
        let mut layout = layout.clone();
        if layout.modifier == Modifier::INVALID {
            resolve_implicit(&objects, policy.implicit_modifier)?;
            layout.modifier = Modifier::LINEAR;
        }
        let sizes: ArrayVec<u64, MAX_PLANES> = objects.iter().map(Object::size).collect();
        let format = validate(&layout, &sizes, &policy.limits)?;
        if let Some(index) = (0..objects.len())
            .find(|&index| !layout.planes.iter().any(|p| usize::from(p.object) == index))
        {
            return Err(ImportError::UnusedObject {
                index,
                objects: objects.len(),
                planes: layout.planes.len(),
            });
        }
        let view = View::of(layout.size);
        let key = BufferKey::new(objects.iter().map(Object::id).collect(), layout);
        Ok(Self {
            inner: Arc::new(Inner {
                objects,
                key,
                format,
            }),
            view,
        })
    }

    /// The same buffer with the picture in `content` of it.
    pub fn with_content(mut self, content: Rect) -> Result<Self, LayoutError> {
        self.view.content = content;
        validate_view(&self.view, self.layout().size)?;
        Ok(self)
    }

    /// The same buffer the other way up.
    #[must_use]
    pub fn with_orientation(mut self, orientation: Orientation) -> Self {
        self.view.orientation = orientation;
        self
    }

    /// The validated layout; its modifier is never `INVALID`.
    pub fn layout(&self) -> &Layout {
        self.inner.key.layout()
    }

    /// The format's row of the table.
    pub fn format(&self) -> &'static FormatInfo {
        self.inner.format
    }

    /// What is shown of it, which way up.
    pub fn view(&self) -> View {
        self.view
    }

    /// What identifies it in caches: objects and layout, not the view.
    pub fn key(&self) -> &BufferKey {
        &self.inner.key
    }

    /// The objects, in the order in which planes name them.
    pub fn objects(&self) -> &[Object] {
        &self.inner.objects
    }

    /// The descriptors of the objects.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.inner.objects.iter().map(AsFd::as_fd)
    }

    /// Bytes that it pins.
    pub fn bytes(&self) -> u64 {
        self.inner
            .objects
            .iter()
            .fold(0, |sum, object| sum.saturating_add(object.size()))
    }

    /// True when every object is a real dma-buf, which a driver can import.
    pub fn is_dma_buf(&self) -> bool {
        let mut objects = self.inner.objects.iter();
        objects.all(|object| object.kind() == ObjectKind::DmaBuf)
    }

    /// True when every object may be mapped; else it is read by pread.
    pub fn is_mappable(&self) -> bool {
        let mut objects = self.inner.objects.iter();
        objects.all(|object| object.access() == Access::Map)
    }
}

impl fmt::Debug for DmaBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DmaBuf")
            .field("layout", self.layout())
            .field("objects", &self.inner.objects)
            .field("view", &self.view)
            .finish()
    }
}

/// Whether `INVALID` may be read as `LINEAR`.
fn resolve_implicit(objects: &[Object], policy: ImplicitModifier) -> Result<(), ImportError> {
    match policy {
        ImplicitModifier::AssumeLinear => Ok(()),
        ImplicitModifier::Refuse => Err(LayoutError::ModifierUnknown.into()),
        ImplicitModifier::LinearIfExporterKnown => {
            for object in objects {
                if object.kind() == ObjectKind::Memfd {
                    continue;
                }
                let exporter = object.exporter().unwrap_or_default();
                if !exporter_is_linear(&exporter) {
                    return Err(ImportError::ImplicitModifier { exporter });
                }
            }
            Ok(())
        }
    }
}
