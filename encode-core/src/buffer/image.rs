use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{
    AllowedModifiers, BufferKey, DmaBuf, Layout, LayoutError, LayoutLimits, ObjectId, Orientation,
    View, validate, validate_view,
};
use crate::format::FormatInfo;
use crate::geometry::{Rect, Size};

/// Identities of memory images; the device number says that they are none of the kernel's.
static NEXT_IMAGE: AtomicU64 = AtomicU64::new(1);
const IMAGE_DEV: u64 = u64::MAX;

/// Bytes that may be shared between threads: a `Vec<u8>`, a pool's buffer, a mapped file.
pub type ImageBytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// A picture in memory of this process, linear, validated like any other buffer.
#[derive(Clone)]
pub struct MemoryImage {
    bytes: ImageBytes,
    key: BufferKey,
    format: &'static FormatInfo,
    view: View,
}

impl MemoryImage {
    /// Checks that `layout` is linear and stays within `bytes`.
    pub fn new(bytes: ImageBytes, layout: Layout) -> Result<Self, LayoutError> {
        Self::with_limits(bytes, layout, &LayoutLimits::default())
    }

    /// The same with limits on the size; only linear layouts are taken in any case.
    pub fn with_limits(
        bytes: ImageBytes,
        layout: Layout,
        limits: &LayoutLimits,
    ) -> Result<Self, LayoutError> {
        let limits = LayoutLimits {
            modifiers: AllowedModifiers::Linear,
            ..limits.clone()
        };
        let len = (*bytes).as_ref().len() as u64;
        let format = validate(&layout, &[len], &limits)?;
        let id = ObjectId {
            dev: IMAGE_DEV,
            inode: NEXT_IMAGE.fetch_add(1, Ordering::Relaxed),
        };
        Ok(Self {
            bytes,
            view: View::of(layout.size),
            key: BufferKey::new([id].into_iter().collect(), layout),
            format,
        })
    }

    /// The same image with the picture in `content` of it.
    pub fn with_content(mut self, content: Rect) -> Result<Self, LayoutError> {
        self.view.content = content;
        validate_view(&self.view, self.layout().size)?;
        Ok(self)
    }

    /// The same image the other way up.
    #[must_use]
    pub fn with_orientation(mut self, orientation: Orientation) -> Self {
        self.view.orientation = orientation;
        self
    }

    /// The validated layout.
    pub fn layout(&self) -> &Layout {
        self.key.layout()
    }

    /// The format's row of the table.
    pub fn format(&self) -> &'static FormatInfo {
        self.format
    }

    /// What is shown of it, which way up.
    pub fn view(&self) -> View {
        self.view
    }

    /// What identifies it in caches: unique to each image made by `new`.
    pub fn key(&self) -> &BufferKey {
        &self.key
    }

    /// All of its bytes.
    pub fn bytes(&self) -> &[u8] {
        (*self.bytes).as_ref()
    }
}

impl fmt::Debug for MemoryImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryImage")
            .field("layout", self.layout())
            .field("bytes", &self.bytes().len())
            .field("view", &self.view)
            .finish()
    }
}

/// Where a frame's pixels are.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SourceBuffer {
    /// Shared memory of a producer.
    DmaBuf(DmaBuf),
    /// Memory of this process.
    Memory(MemoryImage),
}

impl SourceBuffer {
    /// The validated layout.
    pub fn layout(&self) -> &Layout {
        self.key().layout()
    }

    /// The format's row of the table.
    pub fn format(&self) -> &'static FormatInfo {
        match self {
            Self::DmaBuf(buffer) => buffer.format(),
            Self::Memory(image) => image.format(),
        }
    }

    /// What is shown of it, which way up.
    pub fn view(&self) -> View {
        match self {
            Self::DmaBuf(buffer) => buffer.view(),
            Self::Memory(image) => image.view(),
        }
    }

    /// Width and height of the picture.
    pub fn content_size(&self) -> Size {
        self.view().content.size()
    }

    /// What identifies it in caches.
    pub fn key(&self) -> &BufferKey {
        match self {
            Self::DmaBuf(buffer) => buffer.key(),
            Self::Memory(image) => image.key(),
        }
    }
}

impl From<DmaBuf> for SourceBuffer {
    fn from(buffer: DmaBuf) -> Self {
        Self::DmaBuf(buffer)
    }
}

impl From<MemoryImage> for SourceBuffer {
    fn from(image: MemoryImage) -> Self {
        Self::Memory(image)
    }
}
