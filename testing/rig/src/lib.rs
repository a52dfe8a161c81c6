//! What the tests in `tests/` share: which sources of real dma-bufs a machine has,
//! and fences that a test signals when it likes.
//!
//! The tests run on any machine. Where it has `/dev/udmabuf`, a dma-buf heap or a
//! DRM node they use those; where it has not they say `skip: ...`. In the rig (see
//! `docs/rig.md`), which has all of them, a skip is a failure.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used))]

pub mod machine;
