//! When a picture that nothing follows is coded again, and when it is good enough.

use std::time::{Duration, Instant};

use super::config::Refinement;
use crate::encoder::{Adjustment, Bitrate, Codec, EncoderConfig, Packet, RateControl};
use crate::geometry::Size;

/// A packet of at most so many bytes per 1000 pixels adds nothing that is seen: 2 KB
/// of 1080p. Pictures that were skipped over whole have 30 to 150 bytes, those that made
/// one better by half a decibel have 7 KB and more.
const TINY: u64 = 1;

/// So many of them in a row, and more are not worth while. One alone may only say that
/// a keyframe has emptied the rate buffer: x264 skips three pictures after that.
const TINY_IN_A_ROW: u32 = 4;

/// A new picture of at most so many bytes per 1000 pixels (33 KB of 1080p) has
/// changed little of one that was fine: a caret, a clock.
const SMALL: u64 = 16;

/// How often such a picture is coded again: that caret blinks twice a second, all day.
const AFTER_SMALL: u32 = 2;

/// What a stream knows of the picture that it coded last.
#[derive(Debug)]
pub(super) struct Refining {
    /// How often in a row.
    pictures: u32,
    after: Duration,
    pixels: u64,
    /// Where each packet is a whole picture: the rate and its window.
    whole: Option<(Bitrate, Duration)>,
    /// When the last packet of the picture came, and its bytes.
    coded: Option<(Instant, u64)>,
    /// Times that the picture was given to the encoder again.
    given: u32,
    tiny: u32,
    /// A small change of a picture that was fine.
    small: bool,
    /// Another time would not make it better.
    fine: bool,
}

impl Refining {
    /// For an encoder of `config` whose pictures are of `size`.
    pub(super) fn new(refine: Option<Refinement>, config: &EncoderConfig, size: Size) -> Self {
        let (mut pictures, mut after) = refine.map_or((0, Duration::ZERO), |refine| {
            (refine.pictures, refine.after)
        });
        let mut whole = None;
        if config.codec == Codec::Mjpeg {
            match config.rate {
                RateControl::Constant {
                    bitrate, window, ..
                }
                | RateControl::Variable {
                    target: bitrate,
                    window,
                    ..
                } => {
                    // Before a window has passed less is free than a picture may have.
                    after = after.max(window);
                    whole = Some((bitrate, window));
                }
                // It is as good as it is.
                _ => pictures = 0,
            }
        }
        Self {
            pictures,
            after,
            pixels: size.area(),
            whole,
            coded: None,
            given: 0,
            tiny: 0,
            small: false,
            fine: false,
        }
    }

    /// The encoder's rate has changed.
    pub(super) fn adjusted(&mut self, change: &Adjustment) {
        if let (Some((rate, _)), Some(bitrate)) = (&mut self.whole, change.bitrate) {
            *rate = bitrate;
        }
    }

    /// A picture goes to the encoder that is new, or for which a keyframe is asked for.
    pub(super) fn start_over(&mut self) {
        // A small change of a picture that was fine leaves one that nearly is.
        self.small = self.whole.is_none() && (self.fine || self.spent());
        self.coded = None;
        self.given = 0;
        self.tiny = 0;
        self.fine = false;
    }

    /// The picture goes to the encoder again.
    pub(super) fn given_again(&mut self) {
        self.given = self.given.saturating_add(1);
    }

    /// `packet` came out, of a picture that was given again or for the first time.
    pub(super) fn coded(&mut self, packet: &Packet, again: bool) {
        let bytes = packet.bytes.len() as u64;
        let before = self.coded.replace((Instant::now(), bytes));
        let within = |per_1000: u64| bytes.saturating_mul(1000) <= self.pixels * per_1000;
        if let Some((bitrate, window)) = self.whole {
            // A picture gets three quarters of the window's rate, if all of that is free.
            let room = bitrate.as_bps() as f64 / 8.0 * window.as_secs_f64();
            // A plain one has no use for it.
            let grown = before.is_none_or(|(_, before)| bytes > before.saturating_add(before / 8));
            self.fine = bytes as f64 > room / 2.0 || !grown;
        } else if !again {
            self.small &= within(SMALL);
        } else if within(TINY) {
            self.tiny = self.tiny.saturating_add(1);
            self.fine = self.small || self.tiny >= TINY_IN_A_ROW;
        } else {
            self.tiny = 0;
        }
    }

    /// The picture was given again as often as it may be.
    fn spent(&self) -> bool {
        let most = if self.small { AFTER_SMALL } else { u32::MAX };
        self.given >= self.pictures.min(most)
    }

    /// When the picture shall be given again.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.fine || self.spent() {
            return None;
        }
        self.coded?.0.checked_add(self.after)
    }
}
