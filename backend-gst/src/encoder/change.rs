//! What an [`Adjustment`] makes of a configuration.

use scanout_core::encoder::{
    Adjustment, Bitrate, EncodeError, EncoderConfig, QpBounds, RateControl,
};

use super::GstEncoder;
use crate::settings;

impl GstEncoder {
    /// The configuration after `change`; an error where it makes no sense.
    pub(super) fn changed(&self, change: &Adjustment) -> Result<EncoderConfig, EncodeError> {
        let mut config = self.config.clone();
        if let Some(rate) = change.frame_rate {
            config.frame_rate = rate;
        }
        config.rate = match config.rate {
            RateControl::ConstantQp { qp } => {
                if change.bitrate.is_some() {
                    return Err(self.unsupported(
                        "another bit rate",
                        format!("it holds the quantiser at {qp}"),
                    ));
                }
                match change.qp {
                    None => RateControl::ConstantQp { qp },
                    Some(QpBounds { min, max }) if min == max => {
                        RateControl::ConstantQp { qp: min }
                    }
                    Some(QpBounds { min, max }) => {
                        return Err(self.unsupported(
                            "quantiser bounds",
                            format!("{min} to {max}, while it holds one quantiser"),
                        ));
                    }
                }
            }
            RateControl::Constant {
                bitrate,
                window,
                qp,
            } => RateControl::Constant {
                bitrate: change.bitrate.unwrap_or(bitrate),
                window,
                qp: change.qp.or(qp),
            },
            RateControl::Variable {
                target,
                peak,
                window,
                qp,
            } => {
                let new = change.bitrate.unwrap_or(target);
                // The peak keeps its ratio to the average.
                let ratio = u128::from(peak.as_bps()) * u128::from(new.as_bps())
                    / u128::from(target.as_bps().max(1));
                RateControl::Variable {
                    target: new,
                    peak: Bitrate::bps(u64::try_from(ratio).unwrap_or(u64::MAX)),
                    window,
                    qp: change.qp.or(qp),
                }
            }
            other => other,
        };
        settings::check_bounds(self.row, &config)
            .map_err(|error| self.unsupported("that change", error.to_string()))?;
        Ok(config)
    }
}
