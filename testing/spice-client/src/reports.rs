//! Reports of streams, as spice-gtk makes them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use scanout_spice::wire::display::{Codec, DisplayClientMessage, StreamReport};

/// Late pictures one after the other that make a report go at once.
const LATE_IN_A_ROW: u32 = 3;

/// What a client says of its streams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reports {
    /// What it saw.
    #[default]
    Honest,
    /// Nothing.
    Never,
    /// That it cannot decode streams of these codecs; of others what it saw.
    Refuse(Vec<Codec>),
}

/// The reports of a display channel.
#[derive(Debug)]
pub(crate) struct Reporter {
    how: Reports,
    streams: HashMap<u32, Window>,
}

#[derive(Debug)]
struct Window {
    unique_id: u32,
    max_frames: u32,
    timeout: Duration,
    began: Instant,
    first: u32,
    frames: u32,
    drops: u32,
    in_a_row: u32,
}

impl Reporter {
    pub(crate) fn new(how: Reports) -> Self {
        Self {
            how,
            streams: HashMap::new(),
        }
    }

    /// A stream begins: whether it is refused, and what is sent then.
    pub(crate) fn created(&mut self, stream_id: u32, codec: Codec) -> Option<StreamReport> {
        self.streams.remove(&stream_id);
        match &self.how {
            Reports::Refuse(codecs) if codecs.contains(&codec) => Some(StreamReport {
                stream_id,
                unique_id: 0,
                start_frame_mm_time: 0,
                end_frame_mm_time: 0,
                num_frames: 0,
                num_drops: u32::MAX,
                last_frame_delay: 0,
                audio_delay: 0,
            }),
            _ => None,
        }
    }

    pub(crate) fn destroyed(&mut self, stream_id: u32) {
        self.streams.remove(&stream_id);
    }

    pub(crate) fn all_destroyed(&mut self) {
        self.streams.clear();
    }

    pub(crate) fn wanted(
        &mut self,
        stream_id: u32,
        unique_id: u32,
        max_frames: u32,
        timeout_ms: u32,
    ) {
        if self.how == Reports::Never {
            return;
        }
        let window = Window {
            unique_id,
            max_frames,
            timeout: Duration::from_millis(timeout_ms.into()),
            began: Instant::now(),
            first: 0,
            frames: 0,
            drops: 0,
            in_a_row: 0,
        };
        self.streams.insert(stream_id, window);
    }

    /// A picture came; the report that is due, if one is.
    pub(crate) fn picture(
        &mut self,
        stream_id: u32,
        mm_time: u32,
        margin_ms: i32,
        now: Instant,
    ) -> Option<StreamReport> {
        let window = self.streams.get_mut(&stream_id)?;
        if window.frames == 0 {
            (window.first, window.began) = (mm_time, now);
        }
        window.frames += 1;
        if margin_ms < 0 {
            window.drops += 1;
            window.in_a_row += 1;
        } else {
            window.in_a_row = 0;
        }
        let due = window.frames >= window.max_frames
            || now.duration_since(window.began) >= window.timeout
            || window.in_a_row >= LATE_IN_A_ROW;
        due.then(|| {
            let report = StreamReport {
                stream_id,
                unique_id: window.unique_id,
                start_frame_mm_time: window.first,
                end_frame_mm_time: mm_time,
                num_frames: window.frames,
                num_drops: window.drops,
                last_frame_delay: margin_ms,
                audio_delay: u32::MAX,
            };
            (window.frames, window.drops, window.in_a_row) = (0, 0, 0);
            report
        })
    }
}

/// A report as a message.
pub(crate) fn message(report: StreamReport) -> Vec<u8> {
    let mut bytes = Vec::new();
    DisplayClientMessage::StreamReport(report).encode(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_goes_after_so_many_pictures_so_much_time_or_three_late_ones() {
        let mut reporter = Reporter::new(Reports::Honest);
        let now = Instant::now();
        assert!(reporter.picture(1, 10, 0, now).is_none(), "nobody asked");
        reporter.wanted(1, 7, 3, 1000);
        assert!(reporter.picture(1, 10, 0, now).is_none());
        assert!(reporter.picture(1, 20, -1, now).is_none());
        let report = reporter.picture(1, 30, 5, now).unwrap();
        assert_eq!(
            (report.unique_id, report.num_frames, report.num_drops),
            (7, 3, 1)
        );
        assert_eq!(
            (report.start_frame_mm_time, report.end_frame_mm_time),
            (10, 30)
        );
        assert_eq!(report.last_frame_delay, 5);

        let later = now + Duration::from_millis(1000);
        assert!(reporter.picture(1, 40, 0, now).is_none());
        let report = reporter.picture(1, 45, 0, later).unwrap();
        assert_eq!(
            (
                report.num_frames,
                report.num_drops,
                report.start_frame_mm_time
            ),
            (2, 0, 40)
        );

        reporter.wanted(1, 8, 100, 100_000);
        assert!(reporter.picture(1, 50, -1, later).is_none());
        assert!(reporter.picture(1, 60, -1, later).is_none());
        assert_eq!(
            reporter
                .picture(1, 70, -1, later)
                .map(|report| report.num_drops),
            Some(3)
        );
        reporter.destroyed(1);
        assert!(reporter.picture(1, 80, -1, later).is_none());
    }

    #[test]
    fn a_codec_is_refused_when_its_stream_begins() {
        let mut reporter = Reporter::new(Reports::Refuse(vec![Codec::H265]));
        assert!(reporter.created(1, Codec::H264).is_none());
        assert!(reporter.created(2, Codec::H265).unwrap().unsupported());
        let mut silent = Reporter::new(Reports::Never);
        silent.wanted(1, 7, 1, 0);
        assert!(silent.picture(1, 10, 0, Instant::now()).is_none());
    }
}
