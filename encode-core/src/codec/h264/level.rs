//! Levels: what a decoder must be able to hold and to keep up with (table A-1).

use crate::geometry::Size;

/// One row of table A-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// `level_idc`, ten times the level's number.
    pub idc: u8,
    /// `MaxMBPS`: macroblocks per second.
    pub max_mbps: u64,
    /// `MaxFS`: macroblocks of a frame.
    pub max_frame_mbs: u64,
    /// `MaxDpbMbs`: macroblocks of all stored frames.
    pub max_dpb_mbs: u64,
    /// `MaxBR`, in units of 1,000 bit/s times the profile's factor.
    pub max_bit_rate: u64,
    /// `MaxCPB`, in units of 1,000 bits times the profile's factor.
    pub max_cpb: u64,
}

const fn row(
    idc: u8,
    max_mbps: u64,
    max_frame_mbs: u64,
    max_dpb_mbs: u64,
    max_bit_rate: u64,
    max_cpb: u64,
) -> Level {
    Level {
        idc,
        max_mbps,
        max_frame_mbs,
        max_dpb_mbs,
        max_bit_rate,
        max_cpb,
    }
}

/// Table A-1, lowest first. Level 1b is left out: its code point depends on the
/// profile, and 1.1 holds all that it does.
pub const LEVELS: [Level; 19] = [
    row(10, 1_485, 99, 396, 64, 175),
    row(11, 3_000, 396, 900, 192, 500),
    row(12, 6_000, 396, 2_376, 384, 1_000),
    row(13, 11_880, 396, 2_376, 768, 2_000),
    row(20, 11_880, 396, 2_376, 2_000, 2_000),
    row(21, 19_800, 792, 4_752, 4_000, 4_000),
    row(22, 20_250, 1_620, 8_100, 4_000, 4_000),
    row(30, 40_500, 1_620, 8_100, 10_000, 10_000),
    row(31, 108_000, 3_600, 18_000, 14_000, 14_000),
    row(32, 216_000, 5_120, 20_480, 20_000, 20_000),
    row(40, 245_760, 8_192, 32_768, 20_000, 25_000),
    row(41, 245_760, 8_192, 32_768, 50_000, 62_500),
    row(42, 522_240, 8_704, 34_816, 50_000, 62_500),
    row(50, 589_824, 22_080, 110_400, 135_000, 135_000),
    row(51, 983_040, 36_864, 184_320, 240_000, 240_000),
    row(52, 2_073_600, 36_864, 184_320, 240_000, 240_000),
    row(60, 4_177_920, 139_264, 696_320, 240_000, 240_000),
    row(61, 8_355_840, 139_264, 696_320, 480_000, 480_000),
    row(62, 16_711_680, 139_264, 696_320, 800_000, 800_000),
];

/// What a stream asks of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LevelDemand {
    /// Size in macroblocks.
    pub size_in_mbs: Size,
    /// Frames held for reference or output.
    pub dpb_frames: u8,
    /// Frames per second as a fraction; `None` where unknown, which asks nothing.
    pub rate: Option<(u32, u32)>,
    /// Highest bit rate in bit/s; `None` asks nothing.
    pub bit_rate_bps: Option<u64>,
    /// Size of the coded picture buffer in bits; `None` asks nothing.
    pub cpb_bits: Option<u64>,
    /// `cpbBrVclFactor` of the profile: 1000 to 4000 (table A-2).
    pub factor: u64,
}

/// No level holds the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is {value}, the highest level (6.2) allows {max}")]
pub struct LevelError {
    /// The limit that is exceeded.
    pub what: &'static str,
    /// What the stream needs.
    pub value: u64,
    /// What level 6.2 allows.
    pub max: u64,
}

impl Level {
    /// The row with this `level_idc`.
    pub fn of_idc(idc: u8) -> Option<Self> {
        LEVELS.into_iter().find(|level| level.idc == idc)
    }

    /// The lowest level that holds `demand`.
    pub fn lowest(demand: &LevelDemand) -> Result<Self, LevelError> {
        let mut last = Ok(());
        for level in LEVELS {
            last = level.holds(demand);
            if last.is_ok() {
                return Ok(level);
            }
        }
        // The table is not empty, so this is the refusal of its last row.
        last.map(|()| LEVELS[LEVELS.len() - 1])
    }

    /// Frames of `size_in_mbs` that the level stores (`MaxDpbFrames`, A.3.1).
    pub fn dpb_frames(&self, size_in_mbs: Size) -> u64 {
        self.max_dpb_mbs
            .checked_div(size_in_mbs.area())
            .unwrap_or(0)
            .min(16)
    }

    /// Checks each limit; the error names the first that is exceeded.
    pub fn holds(&self, demand: &LevelDemand) -> Result<(), LevelError> {
        let bound = |what, value: u64, max: u64| {
            if value <= max {
                Ok(())
            } else {
                Err(LevelError { what, value, max })
            }
        };
        let mbs = demand.size_in_mbs.area();
        // A.3.1: each side is at most Sqrt(MaxFS * 8) macroblocks.
        let side = (self.max_frame_mbs * 8).isqrt();
        bound(
            "the width in macroblocks",
            demand.size_in_mbs.width.into(),
            side,
        )?;
        bound(
            "the height in macroblocks",
            demand.size_in_mbs.height.into(),
            side,
        )?;
        bound("the frame size in macroblocks", mbs, self.max_frame_mbs)?;
        bound(
            "the number of stored frames",
            demand.dpb_frames.into(),
            self.dpb_frames(demand.size_in_mbs),
        )?;
        if let Some((numerator, denominator)) = demand.rate {
            let per_second = mbs
                .saturating_mul(numerator.into())
                .div_ceil(u64::from(denominator.max(1)));
            bound(
                "the number of macroblocks per second",
                per_second,
                self.max_mbps,
            )?;
        }
        if let Some(rate) = demand.bit_rate_bps {
            bound(
                "the bit rate",
                rate,
                self.max_bit_rate.saturating_mul(demand.factor),
            )?;
        }
        if let Some(bits) = demand.cpb_bits {
            bound(
                "the coded picture buffer in bits",
                bits,
                self.max_cpb.saturating_mul(demand.factor),
            )?;
        }
        Ok(())
    }
}
