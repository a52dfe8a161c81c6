//! Buffers of producers: validated before any driver sees them, identified by what
//! they are rather than by a descriptor's number, and read by the CPU without
//! trusting what they hold.
//!
//! A producer may be a guest that means harm. [`DmaBuf::import`] therefore believes
//! nothing: it duplicates the descriptors, asks the kernel what and how large they
//! are, and checks the layout in arithmetic that cannot wrap. What comes out can be
//! handed to drivers and converters that check less.

pub mod alloc;
mod cache;
mod dmabuf;
mod fences;
mod image;
mod layout;
mod object;
mod read;
mod sys;
mod validate;

pub use cache::{BufferKey, CacheBudget, CacheStats, ImportCache};
pub use dmabuf::{DmaBuf, ImplicitModifier, ImportError, ImportPolicy};
pub use fences::{export_read_fence, import_read_fence, wait_acquired, wait_readable};
pub use image::{ImageBytes, MemoryImage, SourceBuffer};
pub use layout::{Layout, MAX_PLANES, Orientation, Plane, View};
pub use object::{Access, Object, ObjectId, ObjectKind, exporter_is_linear};
pub use read::{CpuRead, CpuReader, PlaneView, ReadError};
pub use validate::{AllowedModifiers, LayoutError, LayoutLimits, validate, validate_view};
