use std::time::Duration;

/// What happens to a frame that comes while another waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// The newer one replaces it: least delay, for live sources.
    Newest,
    /// The producer waits for a place, at most so long: every frame is coded,
    /// for files and benchmarks.
    Every {
        /// Longest wait of one [`submit`](super::Session::submit).
        limit: Duration,
    },
}

/// How a session runs.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SessionConfig {
    /// What happens to a frame that comes while another waits.
    pub delivery: Delivery,
    /// A source is let go after this time even where staging does not come
    /// back, and with [`Delivery::Newest`] even where staging has not begun
    /// because the frame before does not come back. 250 ms: long for a
    /// conversion, short for a guest that waits.
    pub hold_limit: Duration,
    /// An encoder that delivers nothing for so long has failed. 5 s: a software
    /// encoder at its slowest setting and largest picture stays below.
    pub encode_limit: Duration,
    /// Longest wait of a control call. 10 s: opening a hardware encoder on a
    /// cold driver takes up to two.
    pub control_limit: Duration,
    /// Frames without damage are released at once, neither staged nor coded.
    pub skip_unchanged: bool,
}

impl SessionConfig {
    /// The newest frame wins; undamaged frames are not coded.
    pub const fn live() -> Self {
        Self {
            delivery: Delivery::Newest,
            hold_limit: Duration::from_millis(250),
            encode_limit: Duration::from_secs(5),
            control_limit: Duration::from_secs(10),
            skip_unchanged: true,
        }
    }

    /// Every frame is coded, changed or not; the producer waits up to 30 s for a place.
    pub const fn every_frame() -> Self {
        Self {
            delivery: Delivery::Every {
                limit: Duration::from_secs(30),
            },
            skip_unchanged: false,
            ..Self::live()
        }
    }
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self::live()
    }
}
