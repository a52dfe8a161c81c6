//! What the tests in `tests/` share: which sources of real dma-bufs a machine has,
//! fences that a test signals when it likes, and a look at what the process asks of
//! the kernel.
//!
//! * [`machine`]: the sources of dma-bufs that are there;
//! * [`udmabuf`]: dma-bufs over memory that the test can still write to;
//! * [`drawing`]: pixels that differ everywhere, in any arrangement of planes;
//! * [`sw_sync`], [`vgem`], [`fences`]: fences, and fences in dma-bufs;
//! * [`ioctls`]: the ioctls of a piece of work, seen or refused;
//! * [`staged`]: what staging must make of those pixels;
//! * [`process`]: descriptors, maps and memory of this process.
//!
//! The tests run on any machine. Where it has `/dev/udmabuf`, a dma-buf heap or a
//! DRM node they use those; where it has not they say `skip: ...`. In the rig (see
//! `docs/rig.md`), which has all of them, a skip is a failure.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used))]

pub mod drawing;
pub mod fences;
pub mod ioctls;
pub mod machine;
pub mod process;
pub mod staged;
pub mod sw_sync;
mod sys;
pub mod udmabuf;
pub mod vgem;
