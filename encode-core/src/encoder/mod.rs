//! The contract between programs that have frames and backends that encode
//! them.
//!
//! A [`Backend`] names [`Device`]s and says what each can do; a [`Stager`]
//! turns a source [`Frame`] into a [`Picture`] that we own; an [`Encoder`] turns
//! pictures into [`Packet`]s. Staging is apart from coding so that a source is
//! held for import and conversion only, never for encoding or the network, and
//! so that one staging serves many encoders.
//!
//! All three are object safe. None of the verbs blocks: `stage` and `encode`
//! submit, `poll` harvests, and `wake` is a file descriptor that becomes
//! readable when `poll` may have something new, for any event loop.
//! [`Session`](crate::session::Session) drives them on a thread of its own.

mod caps;
mod config;
mod error;
mod frame;
mod packet;
mod path;
mod picture;
mod rate;
mod traits;

pub use caps::{Capabilities, Device, DeviceKind, EncoderCaps, ImportFormat, RateMode};
pub use config::{
    Adjustment, Applied, Chroma, Codec, Effort, EncoderConfig, Keyframes, ParseNameError,
    StageConfig,
};
pub use error::{BackendError, BoxedError, EncodeError, OpenError, StageError};
pub use frame::{Frame, FrameTimes, Ticket};
pub use packet::{BytesPool, Packet, PacketBytes, PictureId, StreamInfo};
pub use path::PathClass;
pub use picture::{HostSurface, Picture, PictureInfo, PicturePool, Surface, VacantPicture};
pub use rate::{Bitrate, FrameRate, ParseBitrateError, QpBounds, RateControl};
pub use traits::{Backend, BackendName, Encoder, PictureRequest, StageEvent, Stager};
