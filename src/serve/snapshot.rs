//! What a server is doing, for the status line and the metrics.

use std::fmt::Write as _;

use scanout::spice::server::ServerStats;
use scanout::spice::stream::GlStreamStats;
use serde::Serialize;

use super::metrics::codec_name;
use crate::console;

/// Counts and times so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot {
    pub(super) stream: GlStreamStats,
    pub(super) server: ServerStats,
    pub(super) source_frames: u64,
    pub(super) source_ended: bool,
}

impl Snapshot {
    /// One line for people.
    pub(super) fn line(&self) -> String {
        let clients = match self.server.clients.len() {
            0 => "nobody watches".to_owned(),
            1 => "1 client".to_owned(),
            n => format!("{n} clients"),
        };
        let mut line = clients;
        for group in &self.stream.groups {
            // Writing to a string does not fail.
            let _ = write!(
                line,
                ", {} {} {} {:.0} fps {:.2} Mbit/s",
                group.encoder,
                codec_name(group.codec),
                group.size,
                group.fps,
                group.bitrate.as_bps() as f64 / 1e6,
            );
        }
        let (work, pacing) = (&self.stream.work, &self.stream.pacing);
        if work.count > 0 {
            let _ = write!(
                line,
                ", hold p50/p99 {:.1}/{:.1} ms work, {:.1}/{:.1} ms pacing",
                work.p50_ms, work.p99_ms, pacing.p50_ms, pacing.p99_ms
            );
        }
        if self.source_ended {
            line.push_str(", the source has ended");
        }
        line
    }

    /// What is left to say at the end.
    pub(super) fn summary(&self, wall_s: f64) -> Ended {
        let stream = &self.stream;
        Ended {
            wall_s,
            channels: self.server.channels_linked,
            links_refused: self.server.refused.total(),
            inputs: self.server.inputs,
            bytes_written: self.server.bytes_written,
            source_frames: self.source_frames,
            draws: stream.draws,
            staged: stream.staged,
            stagings: stream.stagings,
            overdue: stream.overdue,
            failures: stream.failures,
            hold_work_ms: stream.work,
            hold_pacing_ms: stream.pacing,
        }
    }
}

/// What a run came to.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Ended {
    wall_s: f64,
    channels: u64,
    links_refused: u64,
    inputs: u64,
    bytes_written: u64,
    source_frames: u64,
    draws: u64,
    staged: u64,
    stagings: u64,
    overdue: u64,
    failures: u64,
    hold_work_ms: scanout_core::session::Summary,
    hold_pacing_ms: scanout_core::session::Summary,
}

impl Ended {
    pub(super) fn text(&self) -> String {
        format!(
            "stopped after {:.1} s: {} channels, {} links refused, {} sent, {} draws, {} of them read, \
             hold p99 {:.1} ms work, {:.1} ms pacing\n",
            self.wall_s,
            self.channels,
            self.links_refused,
            console::bytes(self.bytes_written),
            self.draws,
            self.staged,
            self.hold_work_ms.p99_ms,
            self.hold_pacing_ms.p99_ms
        )
    }
}
