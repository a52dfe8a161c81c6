//! What to stage, code and send when: events in, actions out.
//!
//! The machine owns no socket, no thread, no buffer and no clock: whoever drives it
//! (see [`stream`](crate::stream)) keeps the sources, releases and encoders that its
//! ids name, gives it each [`Event`] with the time, and does what the [`Action`]s say,
//! in order.
//!
//! Words: a *stage* is a stager with its pictures, for one device, size, chroma and
//! colour. A *coder* is one encoder that works from a stage's pictures and feeds a
//! *group* of viewers. A *viewer* is one client's display channel.

mod access_unit;
mod action;
mod codec_order;
mod event;
mod machine;
mod offer;
mod outgoing;
mod pacing;
mod slow_rate;
mod stamp;

pub use action::{Action, CloseReason};
pub use event::{Backlog, Event, Report, ViewerCaps};
pub use machine::{Machine, MachineConfig};
pub use offer::{Offer, OfferId, StageSpec};
pub use outgoing::{Batch, Outgoing, Payload, StreamClock, VideoCodec};

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $word:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($word, " {}"), self.0)
            }
        }
    };
}

id!(
    /// One client's display channel; never given twice.
    ViewerId, "viewer"
);
id!(
    /// What the producer shows: a buffer with its geometry; never given twice.
    ScanoutId, "scanout"
);
id!(
    /// One draw of the producer, which waits for its answer; never given twice.
    DrawId, "draw"
);
id!(
    /// A stager with its pictures, of one size and [`StageSpec`]; never given twice.
    StageId, "stage"
);
id!(
    /// An encoder that works from a stage's pictures; never given twice.
    CoderId, "coder"
);
