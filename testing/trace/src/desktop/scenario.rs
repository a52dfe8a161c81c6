//! What happens on the desktop, and when.

use std::fmt;
use std::str::FromStr;

/// What happens on the desktop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scenario {
    /// Somebody types into an editor: one character cell at a time, and a caret that blinks.
    Typing,
    /// An article is scrolled by the wheel.
    Scroll,
    /// A window is dragged across the others.
    Drag,
    /// A film of 30 frames per second plays in a window.
    Video,
    /// Slides that fill the screen change twice a second.
    Flip,
    /// A terminal prints coloured text on coloured ground, which 4:2:0 blurs most.
    ColorText,
    /// Nothing moves but the seconds of the clock.
    Idle,
    /// All of these in turn, in a cycle of ten seconds.
    Mixed,
}

/// Parts of the mixed session in milliseconds: mostly text, some motion, some
/// rest, and each kind within the ten seconds of a short measurement.
const MIXED: [(Scenario, u64); 7] = [
    (Scenario::Typing, 2_500),
    (Scenario::Scroll, 1_500),
    (Scenario::Idle, 1_500),
    (Scenario::ColorText, 1_000),
    (Scenario::Drag, 1_000),
    (Scenario::Video, 1_500),
    (Scenario::Flip, 1_000),
];

/// A stretch of time in which one thing happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) kind: Scenario,
    /// Counts the segments of the run.
    pub(super) number: u64,
    pub(super) start_us: u64,
}

impl Scenario {
    /// All of them, [`Scenario::Mixed`] last.
    pub const ALL: [Self; 8] = [
        Self::Typing,
        Self::Scroll,
        Self::Drag,
        Self::Video,
        Self::Flip,
        Self::ColorText,
        Self::Idle,
        Self::Mixed,
    ];

    /// The name that [`FromStr`] reads: `typing`, `color-text`, ...
    pub const fn name(self) -> &'static str {
        match self {
            Self::Typing => "typing",
            Self::Scroll => "scroll",
            Self::Drag => "drag",
            Self::Video => "video",
            Self::Flip => "flip",
            Self::ColorText => "color-text",
            Self::Idle => "idle",
            Self::Mixed => "mixed",
        }
    }

    /// What happens at `now_us` after the start.
    pub(super) fn segment_at(self, now_us: u64) -> Segment {
        if self != Self::Mixed {
            return Segment {
                kind: self,
                number: 0,
                start_us: 0,
            };
        }
        let cycle_us: u64 = MIXED.iter().map(|(_, ms)| ms * 1000).sum();
        let round = now_us / cycle_us;
        let mut number = round * MIXED.len() as u64;
        let mut start_us = round * cycle_us;
        let mut current = Self::Idle;
        for (kind, ms) in MIXED {
            current = kind;
            if now_us < start_us + ms * 1000 {
                break;
            }
            start_us += ms * 1000;
            number += 1;
        }
        Segment {
            kind: current,
            number,
            start_us,
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The text names no scenario.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no scenario: write typing, scroll, drag, video, flip, color-text, idle or mixed")]
pub struct ParseScenarioError(String);

impl FromStr for Scenario {
    type Err = ParseScenarioError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|scenario| scenario.name() == text)
            .ok_or_else(|| ParseScenarioError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_read_as_written_and_errors_name_them_all() {
        for scenario in Scenario::ALL {
            assert_eq!(scenario.to_string().parse::<Scenario>().unwrap(), scenario);
        }
        let error = "typin".parse::<Scenario>().unwrap_err().to_string();
        for scenario in Scenario::ALL {
            assert!(error.contains(scenario.name()), "{error}");
        }
    }

    #[test]
    fn mixed_holds_each_kind_within_ten_seconds_and_goes_round() {
        let kinds: Vec<_> = (0..10_000)
            .map(|ms| Scenario::Mixed.segment_at(ms * 1000).kind)
            .collect();
        for scenario in Scenario::ALL.into_iter().filter(|s| *s != Scenario::Mixed) {
            assert!(kinds.contains(&scenario), "{scenario}");
        }
        let second = Scenario::Mixed.segment_at(10_000_000);
        assert_eq!(
            (second.kind, second.number, second.start_us),
            (Scenario::Typing, 7, 10_000_000)
        );
    }
}
