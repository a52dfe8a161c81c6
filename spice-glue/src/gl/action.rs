//! What the machine wants done.

use scanout_core::encoder::Bitrate;
use scanout_core::geometry::{Damage, Size};

use super::{Batch, CoderId, DrawId, OfferId, ScanoutId, StageId, StageSpec, ViewerId};

/// Why a viewer is sent away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// Every codec that it shows has failed or was refused by it.
    #[error("no codec is left that the client shows and this machine codes")]
    NoCodec,
    /// It took nothing for so long that nothing more is kept for it.
    #[error("the client has taken nothing for {seconds} s")]
    Stalled {
        /// How long.
        seconds: u64,
    },
}

/// Something to do.
#[derive(Clone, Debug)]
#[non_exhaustive]
// Damage lies in it so that a staging allocates little.
#[allow(clippy::large_enum_variant)]
pub enum Action {
    /// Complete this draw's release now: nothing reads its source.
    Answer(DrawId),
    /// Hand the scanout to these stages, all of them open; the releases of `draws` complete when the last
    /// of them has read it. No draws: nobody waits (a viewer has joined an idle source).
    Stage {
        /// Where to.
        stages: Vec<StageId>,
        /// What.
        scanout: ScanoutId,
        /// Who waits for it.
        draws: Vec<DrawId>,
        /// What changed since the last `Stage` of all of `stages`.
        damage: Damage,
    },
    /// Forget this scanout's buffer once nothing reads it.
    Retire(ScanoutId),
    /// Open a stage; answered by `StageOpened` or `StageFailed`.
    OpenStage {
        /// Its id.
        stage: StageId,
        /// Size of its pictures.
        size: Size,
        /// What they are like.
        spec: StageSpec,
    },
    /// Close a stage with all its coders, also one that is opening; no answer, and
    /// those that are on their way are ignored.
    CloseStage(StageId),
    /// Open a coder; answered by `CoderOpened` or `CoderFailed`. Its first packet is a
    /// keyframe, of the stage's last picture where there is one.
    OpenCoder {
        /// Its id.
        coder: CoderId,
        /// Whose pictures.
        stage: StageId,
        /// Which encoder.
        offer: OfferId,
        /// Its rate.
        bitrate: Bitrate,
    },
    /// Close a coder, also one that is opening; no answer.
    CloseCoder(CoderId),
    /// The next packet of this coder is a keyframe, of the last picture if no new one comes.
    Keyframe(CoderId),
    /// A new rate from the next picture on; the coder may still be opening.
    Adjust(CoderId, Bitrate),
    /// While closed the coder takes no picture; the newest waits. A coder begins with an
    /// open gate, and may still be opening.
    Gate {
        /// The coder.
        coder: CoderId,
        /// Pictures may pass.
        open: bool,
    },
    /// Write to a viewer.
    Send(ViewerId, Batch),
    /// Close a viewer's channel.
    Close(ViewerId, CloseReason),
}
