use scanout_core::color::ColorSpec;
use scanout_core::encoder::Chroma;

use super::VideoCodec;

/// Index into the table of offers that the machine was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OfferId(pub usize);

/// What pictures must be like: coders of equal specs share a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageSpec {
    /// Which of the driver's devices.
    pub device: usize,
    /// Chroma of the pictures.
    pub chroma: Chroma,
    /// The meaning of their numbers; `None`: what clients take pictures of their size for,
    /// which is decided where the stage is opened.
    pub color: Option<ColorSpec>,
}

/// An encoder that can be opened. The table of offers is in the server's order of
/// preference; what a viewer gets is the first that it can show, in its own order of
/// codecs where it has said one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What it codes.
    pub codec: VideoCodec,
    /// From what pictures.
    pub stage: StageSpec,
}
