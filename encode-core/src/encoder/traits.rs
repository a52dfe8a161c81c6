use std::fmt;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use serde::Serialize;

use super::{
    Adjustment, Applied, BackendError, Capabilities, Device, EncodeError, EncoderConfig, Frame,
    OpenError, Packet, Picture, PictureId, StageConfig, StageError, StreamInfo, Ticket,
};
use crate::buffer::{BufferKey, DmaBuf};
use crate::geometry::Damage;
use crate::sync::SyncFile;

/// Names a backend: `gst`, `vaapi`, `vulkan`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct BackendName(pub &'static str);

impl fmt::Display for BackendName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A way to reach encoders.
pub trait Backend: Send + Sync {
    /// Its name.
    fn name(&self) -> BackendName;

    /// The devices that it finds now. Does not open them for encoding.
    fn devices(&self) -> Result<Vec<Device>, BackendError>;

    /// What `device` says it can do, without proof.
    fn capabilities(&self, device: &Device) -> Result<Capabilities, BackendError>;

    /// Makes a stager for pictures of one size on `device`. May take as long
    /// as the driver takes to start.
    fn open(&self, device: &Device, config: &StageConfig) -> Result<Box<dyn Stager>, OpenError>;
}

/// What a stager has to tell.
#[derive(Debug)]
#[non_exhaustive]
pub enum StageEvent {
    /// The source was read: it may be released, with the fence where there is one.
    SourceFree(Ticket, Option<SyncFile>),
    /// The picture is complete. Comes after the ticket's `SourceFree`.
    Ready(Ticket, Picture),
    /// Nothing has changed since the frame before: no picture will come, and the source
    /// is no longer read. Comes alone, and only where
    /// [`StageConfig::find_damage`] asks for it.
    Unchanged(Ticket),
    /// The ticket failed: no picture will come, and the source is no longer read. May
    /// come after the ticket's `SourceFree`.
    Failed(Ticket, StageError),
}

/// Turns source frames into pictures of one size and format on one device.
///
/// Each ticket ends in exactly one `Ready`, `Unchanged` or `Failed`, tickets in order.
pub trait Stager: Send {
    /// Frames that [`Stager::stage`] takes at this moment.
    fn room(&self) -> usize;

    /// Submits `frame`. Does not wait for its fence nor for a conversion. The
    /// source must stay untouched until the ticket's `SourceFree`, `Unchanged` or `Failed`;
    /// where this call fails it is not read at all.
    fn stage(&mut self, frame: Frame) -> Result<Ticket, StageError>;

    /// The next event, or `None` when there is none yet. Never waits.
    fn poll(&mut self) -> Result<Option<StageEvent>, StageError>;

    /// Gives up what is kept of a buffer from frame to frame (an import, a map), because
    /// its scanout was replaced or disabled: the kernel does not tell when a producer
    /// closes a buffer, whose memory stays as long as somebody keeps it. Frames of it that
    /// were submitted before are staged all the same. Never waits.
    ///
    /// What is not retired goes when the budget of the stager's cache needs the place.
    fn retire(&mut self, _buffer: &BufferKey) {}

    /// Opens an encoder for this stager's pictures. May take as long as the
    /// driver takes to start.
    fn encoder(&self, config: &EncoderConfig) -> Result<Box<dyn Encoder>, OpenError>;

    /// Lends one of our surfaces to a producer that can draw into it, where
    /// the device can. Its damage history starts anew.
    fn lend(&mut self) -> Result<Option<DmaBuf>, StageError> {
        Ok(None)
    }

    /// Becomes readable when [`Stager::poll`] or [`Stager::room`] may have
    /// something new; `poll` until `None` makes it unreadable again.
    fn wake(&self) -> BorrowedFd<'_>;
}

/// What is asked of one picture.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PictureRequest {
    /// What changed since the picture encoded before this one. It holds more
    /// than the picture's own damage where pictures between the two were
    /// passed over, and `None` where that is not known, or where all of it
    /// shall be coded: one that is coded again to be better is otherwise skipped
    /// by an encoder that passes over what has not changed.
    pub damage: Option<Damage>,
    /// Make it a keyframe: decoding can start here, with parameter sets.
    pub keyframe: bool,
    /// Highest quantiser of this picture, where the encoder has the means.
    pub qp_cap: Option<u8>,
    /// A picture that the receiver has lost, and all that refer to it: do not
    /// refer to them. Encoders without the means make a keyframe.
    pub invalidate: Option<PictureId>,
    /// It is shown so long after the picture's own time: one that is coded again. Rate
    /// controls count the time, and packets carry it.
    pub late: Duration,
}

impl PictureRequest {
    /// Nothing special.
    pub const fn plain() -> Self {
        Self {
            damage: None,
            keyframe: false,
            qp_cap: None,
            invalidate: None,
            late: Duration::ZERO,
        }
    }

    /// A keyframe.
    pub const fn keyframe() -> Self {
        Self {
            damage: None,
            keyframe: true,
            qp_cap: None,
            invalidate: None,
            late: Duration::ZERO,
        }
    }
}

/// Turns pictures into packets: one in, one out, in order, without delay.
pub trait Encoder: Send {
    /// What was granted. Completed by the first packet.
    fn stream(&self) -> &StreamInfo;

    /// Pictures that [`Encoder::encode`] takes at this moment.
    fn room(&self) -> usize;

    /// Submits `picture`, which is held until it is coded.
    fn encode(
        &mut self,
        picture: &Picture,
        request: &PictureRequest,
    ) -> Result<PictureId, EncodeError>;

    /// The next packet, or `None` when there is none yet. Never waits.
    fn poll(&mut self) -> Result<Option<Packet>, EncodeError>;

    /// Changes a running stream, from the next picture on.
    fn adjust(&mut self, change: &Adjustment) -> Result<Applied, EncodeError>;

    /// Says that no picture follows. Packets still come from
    /// [`Encoder::poll`]; [`Encoder::drained`] turns true after the last.
    fn drain(&mut self) -> Result<(), EncodeError>;

    /// True when [`Encoder::drain`] was called and the last packet was taken.
    fn drained(&self) -> bool;

    /// Becomes readable when [`Encoder::poll`] or [`Encoder::room`] may have
    /// something new; `poll` until `None` makes it unreadable again.
    fn wake(&self) -> BorrowedFd<'_>;
}
