//! From packets to the batches that viewers get.

use std::time::Instant;

use super::Machine;
use super::groups::Piece;
use super::viewers::{LiveStream, Tier, Viewer};
use crate::gl::access_unit::{payload, split_end};
use crate::gl::{Action, Batch, Outgoing, Report, VideoCodec, ViewerId};

/// The one surface of a display channel.
const PRIMARY: u32 = 0;
/// A client reports at least so often while it sends frames.
const REPORT_TIMEOUT_MS: u32 = 1000;
/// Frames per report while a viewer's clock is being learnt, and for MJPEG always: a
/// report is the only sign that a late last frame was dropped ...
const FIRST_WINDOW: u32 = 1;
/// ... and from then on. Stock clients report after three late frames anyway, and all of
/// ours are late by some milliseconds.
const LATER_WINDOW: u32 = 5;
/// Times that one dropped frame is sent again.
const MAX_RESENDS: u8 = 3;

impl Viewer {
    fn stream_data(stream: &mut LiveStream, piece: &Piece, mm_time: u32) -> Outgoing {
        let payload = payload(piece.codec, &piece.bytes, piece.own_delimiter, stream.begun);
        stream.begun = true;
        Outgoing::StreamData {
            stream: stream.id,
            mm_time,
            payload,
        }
    }

    /// The next packet of the coder that it follows.
    fn next_message(&mut self, piece: &Piece, mm_now: u32) -> Option<Batch> {
        let stream = self.stream.as_mut()?;
        stream.resent = 0;
        let mm_time = self.stamps.stamp(mm_now);
        Some(vec![Self::stream_data(stream, piece, mm_time)])
    }

    /// All that it takes to show a keyframe, from whatever it shows now: one batch.
    fn first_messages(&mut self, piece: &Piece, mm_now: u32) -> Batch {
        let mut batch = Batch::with_capacity(8);
        let same_surface = self.surface == Some(piece.visible);
        let goes_on = |stream: &LiveStream| {
            same_surface
                && stream.offer == piece.offer
                && stream.coded == piece.coded
                && stream.visible == piece.visible
        };
        let mut stream = match self.stream.take() {
            Some(stream) if goes_on(&stream) => stream,
            old => {
                if let Some(old) = old {
                    batch.push(Outgoing::StreamDestroy { stream: old.id });
                }
                if !same_surface {
                    if self.surface.is_some() {
                        batch.push(Outgoing::SurfaceDestroy { surface: PRIMARY });
                    }
                    batch.push(Outgoing::SurfaceCreate {
                        surface: PRIMARY,
                        size: piece.visible,
                    });
                    batch.push(Outgoing::Mark);
                    self.surface = Some(piece.visible);
                }
                self.create_stream(piece, &mut batch)
            }
        };
        stream.resent = 0;
        let begins = !stream.begun;
        let mm_time = self.stamps.stamp(mm_now);
        let mut first = Self::stream_data(&mut stream, piece, mm_time);
        let end = match &mut first {
            Outgoing::StreamData { payload, .. } if begins => split_end(payload),
            _ => None,
        };
        batch.push(first);
        if let Some(payload) = end {
            batch.push(Outgoing::StreamData {
                stream: stream.id,
                mm_time: self.stamps.stamp(mm_now),
                payload,
            });
        }
        self.stream = Some(stream);
        self.following = Some(piece.coder);
        batch
    }

    fn create_stream(&mut self, piece: &Piece, batch: &mut Batch) -> LiveStream {
        let id = self.take_stream_id();
        batch.push(Outgoing::StreamCreate {
            stream: id,
            surface: PRIMARY,
            codec: piece.codec,
            coded: piece.coded,
            visible: piece.visible,
        });
        self.stamps.begin(piece.codec);
        let mut stream = LiveStream {
            id,
            offer: piece.offer,
            codec: piece.codec,
            coded: piece.coded,
            visible: piece.visible,
            report: None,
            begun: false,
            resent: 0,
        };
        if self.reports {
            let window = if self.stamps.settled() && piece.codec != VideoCodec::Mjpeg {
                LATER_WINDOW
            } else {
                FIRST_WINDOW
            };
            batch.push(self.activate(&mut stream, window));
        }
        stream
    }

    fn activate(&mut self, stream: &mut LiveStream, max_window: u32) -> Outgoing {
        let unique_id = self.take_report_id();
        stream.report = Some((unique_id, max_window));
        Outgoing::ActivateReport {
            stream: stream.id,
            unique_id,
            max_window,
            timeout_ms: REPORT_TIMEOUT_MS,
        }
    }

    fn send(&mut self, batch: Batch, now: Instant, actions: &mut Vec<Action>) {
        self.sent(&batch, now);
        actions.push(Action::Send(self.id, batch));
    }
}

impl Machine {
    /// A packet goes to all who follow its coder, and a keyframe to all who wait for one.
    pub(super) fn deliver(
        &mut self,
        group: usize,
        piece: &Piece,
        keyframe: bool,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        let bound = self.bound(Some(piece.offer));
        let mm_now = self.config.clock.mm_time(now);
        let shows = self.source.scanout.is_some();
        let Some(group) = self.groups.get_mut(group) else {
            return;
        };
        let mut overrun = false;
        for viewer in self.viewers.iter_mut().filter(|viewer| group.has(viewer)) {
            if viewer.following == Some(piece.coder) {
                if viewer.is_over(&bound) {
                    // It has missed a packet: nothing until it can begin anew.
                    match viewer.tier {
                        Tier::Shared => viewer.slow_down(now, self.config.recovery),
                        Tier::Slow => {
                            viewer.following = None;
                            viewer.trouble(now);
                            overrun = true;
                        }
                    }
                } else if let Some(batch) = viewer.next_message(piece, mm_now) {
                    viewer.send(batch, now, actions);
                }
            } else if keyframe && shows && viewer.is_ready(&bound) {
                let batch = viewer.first_messages(piece, mm_now);
                viewer.send(batch, now, actions);
            }
        }
        if overrun {
            group.overrun(now, &mut self.late);
        }
    }

    /// Viewers who wait begin with a keyframe that is the newest of its coder's packets.
    pub(super) fn begin_with_kept(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if self.source.scanout.is_none() {
            return;
        }
        let mm_now = self.config.clock.mm_time(now);
        for group in &self.groups {
            let Some(piece) = &group.kept else {
                continue;
            };
            let bound = self.bound(Some(group.offer));
            for viewer in self.viewers.iter_mut().filter(|viewer| group.has(viewer)) {
                if viewer.following != Some(group.coder) && viewer.is_ready(&bound) {
                    let batch = viewer.first_messages(piece, mm_now);
                    viewer.send(batch, now, actions);
                }
            }
        }
    }

    /// The producer shows nothing, and has long enough: so do the viewers.
    pub(super) fn hide(&mut self, now: Instant, actions: &mut Vec<Action>) {
        if self.source.size.is_some() {
            return;
        }
        for index in 0..self.viewers.len() {
            let bound = self.bound(self.viewers.get(index).and_then(|viewer| viewer.offer));
            let Some(viewer) = self.viewers.get_mut(index) else {
                continue;
            };
            if viewer.surface.is_none() || viewer.is_over(&bound) {
                continue;
            }
            let mut batch = Batch::with_capacity(2);
            if let Some(stream) = viewer.stream.take() {
                batch.push(Outgoing::StreamDestroy { stream: stream.id });
            }
            batch.push(Outgoing::SurfaceDestroy { surface: PRIMARY });
            viewer.surface = None;
            viewer.following = None;
            viewer.send(batch, now, actions);
        }
    }

    /// What a client says of its stream.
    pub(super) fn report(
        &mut self,
        id: ViewerId,
        report: &Report,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        let Some(viewer) = self.viewers.iter_mut().find(|viewer| viewer.id == id) else {
            return;
        };
        let Some(mut stream) = viewer.stream.filter(|stream| stream.id == report.stream) else {
            return;
        };
        if report.frames == 0 && report.drops == u32::MAX {
            // Stock clients send this with unique_id 0. The one in place of the stream
            // follows with its first keyframe.
            viewer.taste.refuse(stream.codec);
            viewer.offer = None;
            viewer.following = None;
            return;
        }
        let Some((_, window)) = stream.report.filter(|(id, _)| *id == report.unique_id) else {
            return;
        };
        viewer
            .stamps
            .observe(report.end_mm_time, report.last_frame_delay_ms);
        let bound = self.bound(
            self.viewers
                .iter()
                .find(|v| v.id == id)
                .and_then(|v| v.offer),
        );
        let Some(viewer) = self.viewers.iter_mut().find(|viewer| viewer.id == id) else {
            return;
        };
        if viewer.is_over(&bound) {
            return;
        }
        if stream.codec == VideoCodec::Mjpeg {
            let dropped =
                report.last_frame_delay_ms < 0 && viewer.stamps.last() == Some(report.end_mm_time);
            let kept = self
                .groups
                .iter()
                .find(|group| viewer.following == Some(group.coder))
                .and_then(|group| group.kept.as_ref());
            if let Some(piece) = kept.filter(|_| dropped && stream.resent < MAX_RESENDS) {
                let mm_time = viewer.stamps.stamp(self.config.clock.mm_time(now));
                let data = Viewer::stream_data(&mut stream, piece, mm_time);
                stream.resent += 1;
                viewer.stream = Some(stream);
                viewer.send(vec![data], now, actions);
            }
        } else if window == FIRST_WINDOW && viewer.stamps.settled() {
            let activate = viewer.activate(&mut stream, LATER_WINDOW);
            viewer.stream = Some(stream);
            viewer.send(vec![activate], now, actions);
        }
    }
}
