//! Counts and times of a stream.

use scanout_core::encoder::Bitrate;
use scanout_core::geometry::Size;
use scanout_core::session::Summary;

use crate::gl::VideoCodec;

/// One encoder with the viewers that it feeds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GroupStats {
    /// What it codes.
    pub codec: VideoCodec,
    /// The backend's name for it.
    pub encoder: String,
    /// What its pictures show.
    pub size: Size,
    /// Pictures coded per second, over the last two seconds.
    pub fps: f64,
    /// Rate asked of it.
    pub target: Bitrate,
    /// Rate coded, over the last two seconds.
    pub bitrate: Bitrate,
    /// Pictures coded.
    pub pictures: u64,
    /// Of these, keyframes.
    pub keyframes: u64,
    /// Bytes coded.
    pub bytes: u64,
    /// Viewers whose last picture came from it.
    pub viewers: usize,
}

/// A stream's counts and times since its start.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct GlStreamStats {
    /// Scanouts shown.
    pub scanouts: u64,
    /// Draws received.
    pub draws: u64,
    /// Draws whose source was staged before they were answered.
    pub staged: u64,
    /// Draws answered unstaged: nobody watched, or a newer draw or scanout made good for them.
    pub unstaged: u64,
    /// Draws answered because the time that they may be held was over.
    pub overdue: u64,
    /// Draws that changed nothing.
    pub unchanged: u64,
    /// Stagings asked of stagers, those without a draw too.
    pub stagings: u64,
    /// Draw received, until its staging was asked for: what pacing takes.
    pub pacing: Summary,
    /// Staging asked for, until the draw was answered: what work takes.
    pub work: Summary,
    /// Draw received, until it was answered, of all draws.
    pub hold: Summary,
    /// Viewers there.
    pub viewers: usize,
    /// Encoders at work.
    pub groups: Vec<GroupStats>,
    /// Encoders and stagers that could not be opened, or failed later.
    pub failures: u64,
    /// What the last of these said.
    pub last_failure: Option<String>,
}
