//! Synthetic desktop workload with ground truth damage, and readers and
//! writers of recorded frames.
//!
//! * [`desktop`] draws a desktop on which something happens, and says exactly
//!   which rectangles changed: the workload of benches and demonstrations.
//! * [`source`] reads Y4M, raw frames and PNG sequences behind one trait.
//! * [`y4m_writer`] and [`damage_log`] write the workload to files and read it back.
//! * [`recording`] is what a real display producer handed over, to be replayed.
//! * [`contact_sheet`](mod@contact_sheet) shows source against decoded frames.
//!
//! ```
//! use scanout_core::geometry::Size;
//! use scanout_trace::desktop::{Desktop, Scenario};
//!
//! let mut desktop = Desktop::new(Size::new(640, 360), Scenario::Typing, 1, 30)?;
//! let mut buffer = vec![0; desktop.stride() * 360];
//! for _ in 0..10 {
//!     let step = desktop.next_frame();
//!     // Only what changed needs to be copied.
//!     desktop.draw_into(&mut buffer, desktop.stride(), &step.damage)?;
//! }
//! assert_eq!(buffer, desktop.pixels());
//! # Ok::<(), scanout_trace::desktop::DesktopError>(())
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used))]

pub mod contact_sheet;
pub mod damage_log;
pub mod desktop;
pub mod recording;
pub mod source;
pub mod y4m_writer;
