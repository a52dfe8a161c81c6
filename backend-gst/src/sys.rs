//! Descriptors handed to GStreamer.
#![allow(unsafe_code)]

use std::os::fd::OwnedFd;

use gstreamer::glib;
use gstreamer_allocators::prelude::*;

/// The `size` bytes of a dma-buf as GStreamer memory, which closes `fd` when
/// the last reference to it is gone.
pub(crate) fn dma_buf_memory(
    allocator: &gstreamer_allocators::DmaBufAllocator,
    fd: OwnedFd,
    size: usize,
) -> Result<gstreamer::Memory, glib::BoolError> {
    // SAFETY: the descriptor is open and given up by its only owner, so that
    // the memory may close it; whoever maps `size` bytes of it gets an error
    // where they cannot be mapped.
    unsafe { allocator.alloc_dmabuf(fd, size) }
}
