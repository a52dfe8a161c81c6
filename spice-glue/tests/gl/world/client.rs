//! Clients, who know the protocol as stock ones do.

use std::collections::BTreeSet;

use scanout_core::codec::annexb::nal_units;
use scanout_core::geometry::Size;
use scanout_spice::gl::{Backlog, Batch, Outgoing, VideoCodec, ViewerCaps};

#[derive(Clone, Debug)]
pub(crate) struct LiveStream {
    pub(crate) codec: VideoCodec,
    pub(crate) coded: Size,
    pub(crate) visible: Size,
    pub(crate) report: Option<(u32, u32)>,
    /// Coder and number of the last packet.
    pub(crate) last: Option<(u64, u64)>,
    pub(crate) stamp: Option<u32>,
    /// The second picture has begun.
    pub(crate) begun: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Client {
    pub(crate) caps: ViewerCaps,
    pub(crate) surface: Option<Size>,
    pub(crate) stream: Option<(u32, LiveStream)>,
    /// Version of the content that it shows.
    pub(crate) shown: Option<u64>,
    pub(crate) queue: Backlog,
    /// Takes all at once.
    pub(crate) healthy: bool,
    pub(crate) unique_ids: BTreeSet<u32>,
    pub(crate) batches: Vec<Batch>,
    pub(crate) frames: u64,
    pub(crate) refuses: Vec<VideoCodec>,
    pub(crate) most_bytes: usize,
}

impl Client {
    /// The protocol, as a stock client keeps it.
    pub(super) fn message(&mut self, message: &Outgoing) {
        match message {
            Outgoing::SurfaceCreate { surface: 0, size } => {
                assert!(self.surface.is_none(), "two primary surfaces");
                assert!(!size.is_empty());
                self.surface = Some(*size);
            }
            Outgoing::Mark => assert!(self.surface.is_some()),
            Outgoing::SurfaceDestroy { surface: 0 } => {
                assert!(self.stream.is_none(), "a stream without a surface");
                assert!(self.surface.take().is_some());
                self.shown = None;
            }
            Outgoing::StreamCreate {
                stream,
                surface: 0,
                codec,
                coded,
                visible,
            } => {
                assert!(self.stream.is_none(), "two streams");
                assert_eq!(self.surface, Some(*visible));
                assert!(*stream < 64);
                assert!(self.caps.codecs.contains(codec), "{codec:?} is not shown");
                assert!(!self.refuses.contains(codec), "{codec:?} was refused");
                let live = LiveStream {
                    codec: *codec,
                    coded: *coded,
                    visible: *visible,
                    report: None,
                    last: None,
                    begun: false,
                    stamp: None,
                };
                self.stream = Some((*stream, live));
            }
            Outgoing::ActivateReport {
                stream,
                unique_id,
                max_window,
                ..
            } => {
                assert!(self.caps.reports);
                assert!(self.unique_ids.insert(*unique_id), "a report id twice");
                let (id, live) = self.stream.as_mut().expect("a stream");
                assert_eq!(id, stream);
                live.report = Some((*unique_id, *max_window));
            }
            Outgoing::StreamData {
                stream,
                mm_time,
                payload,
            } => {
                let (id, live) = self.stream.as_mut().expect("a stream");
                assert_eq!(id, stream);
                assert_ne!(*mm_time, 0);
                if let Some(last) = live.stamp {
                    assert!(
                        mm_time.wrapping_sub(last) as i32 > 0,
                        "{mm_time} after {last}"
                    );
                }
                live.stamp = Some(*mm_time);
                let message = payload.pieces().concat();
                // The first message's own picture has taken its time: the second picture
                // takes that of a message which holds its beginning alone.
                if live.codec == VideoCodec::H264 && live.last.is_some() && !live.begun {
                    let types = nal_units(&message).map(|nal| nal.bytes[0] & 0x1f);
                    assert_eq!(types.collect::<Vec<_>>(), [9, 6]);
                    live.begun = true;
                    return;
                }
                self.shown = Some(live.decode(&message));
                self.frames += 1;
            }
            Outgoing::StreamDestroy { stream } => {
                let (id, _) = self.stream.take().expect("a stream");
                assert_eq!(id, *stream);
            }
            other => panic!("not modelled: {other:?}"),
        }
    }

    /// Names of the messages of the last batch.
    pub(crate) fn last_batch(&self) -> Vec<&'static str> {
        self.batches.last().map_or(Vec::new(), |batch| {
            let mut names: Vec<_> = batch.iter().map(name).collect();
            // The first picture of H.264 is two messages.
            names.dedup();
            names
        })
    }
}

pub(crate) fn name(message: &Outgoing) -> &'static str {
    match message {
        Outgoing::SurfaceCreate { .. } => "surface-create",
        Outgoing::Mark => "mark",
        Outgoing::SurfaceDestroy { .. } => "surface-destroy",
        Outgoing::StreamCreate { .. } => "stream-create",
        Outgoing::ActivateReport { .. } => "activate-report",
        Outgoing::StreamData { .. } => "stream-data",
        Outgoing::StreamDestroy { .. } => "stream-destroy",
    }
}

impl LiveStream {
    /// The version of the content in a message; fails where a decoder would.
    fn decode(&mut self, message: &[u8]) -> u64 {
        let text = if self.codec == VideoCodec::H264 {
            let nals: Vec<_> = nal_units(message).collect();
            let types: Vec<u8> = nals.iter().map(|nal| nal.bytes[0] & 0x1f).collect();
            let first = usize::from(self.last.is_none());
            assert!(
                matches!(types[..], [9, 1 | 5] if first == 1)
                    || matches!(types[..], [1 | 5, 9, 6] if first == 0),
                "NAL units {types:?}, first: {first}"
            );
            &nals[first].bytes[1..]
        } else {
            message
        };
        let text = std::str::from_utf8(text).unwrap();
        let mut words = text.split(' ').map(|word| word.parse::<u64>());
        let mut number = || words.next().unwrap().unwrap();
        let (coder, count, content, keyframe) = (number(), number(), number(), number());
        let follows = self.last == Some((coder, count.wrapping_sub(1)));
        assert!(
            keyframe == 1 || follows,
            "a packet is missing: {:?}, then {coder} {count}",
            self.last
        );
        self.last = Some((coder, count));
        content
    }
}
