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
    /// Whether the last picture is coded again, better, while the source is idle.
    /// `None` in both of the configurations below.
    pub refine: Option<Refinement>,
}

/// How the last picture of a source that went idle gets better.
///
/// A rate control gives a picture what its buffer has room for, so that a still
/// desktop, which is one keyframe, stays as coarse as that was. The session gives it
/// to the encoder again, until the encoder has nothing to add to it. Such
/// a picture is a packet like any other, with a later time; it is coded only where the
/// sink has [room](super::PacketSink::room), and whatever is new comes first.
///
/// Times are the clock's: this is for live sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refinement {
    /// A stream's last packet is so old when its picture is given to the encoder
    /// again. 100 ms: a film of ten pictures a second is not idle, and a reader does not
    /// see the wait. MJPEG, where each packet is a whole picture, waits for a full
    /// window of its rate control, before which the picture would get worse, and stops at
    /// half of what that has room for or when it no longer grows.
    pub after: Duration,
    /// At most so often in a row: 32, three seconds and a half. It ends before that where
    /// four packets in a row hold next to nothing (a byte per 1000 pixels), and after two
    /// pictures where little has changed of one that was fine already.
    ///
    /// Measured on a page of text of 1080p at 8 Mbit/s, all pictures given and none spared,
    /// in decibels of PSNR (openh264enc adds nothing for a while, which ends it early here):
    ///
    /// | encoder | keyframe | 8 pictures later | 16 | 32 |
    /// |---|---|---|---|---|
    /// | x264enc | 28.4 | 31.5 | 36.5 | 41.3 |
    /// | vp8enc | 28.2 | 49.2 | 49.4 | 49.4 |
    /// | vp9enc | 35.5 | 39.0 | 44.1 | 48.4 |
    /// | openh264enc | 34.2 | 36.8 | 36.8 | 46.2 |
    ///
    /// libvpx's VP8 counts the time that went by and takes most of its rate for a second or
    /// two; the others grant each picture what one of 60 a second has.
    pub pictures: u32,
}

impl Refinement {
    /// What its fields say.
    pub const fn new() -> Self {
        Self {
            after: Duration::from_millis(100),
            pictures: 32,
        }
    }
}

impl Default for Refinement {
    fn default() -> Self {
        Self::new()
    }
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
            refine: None,
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
