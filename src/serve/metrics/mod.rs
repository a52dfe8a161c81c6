//! Counts and times for Prometheus.

mod http;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use scanout::spice::gl::VideoCodec;
use scanout_core::session::Summary;

use super::address::is_local;
use super::snapshot::Snapshot;
use crate::failure::{Exit, Failure};
pub(super) use http::Exporter;

/// Where the numbers come from; asked for each page.
pub(super) type Observe = Arc<dyn Fn() -> Snapshot + Send + Sync>;

/// Serves the metrics at `address`, beyond this machine only where that is `allowed`.
pub(super) fn start(
    address: SocketAddr,
    allowed: bool,
    observe: Observe,
) -> Result<Exporter, Failure> {
    check(address, allowed)?;
    let mut registry = Registry::with_prefix("scanout");
    registry.register_collector(Box::new(Families(observe)));
    let page = move || {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &registry);
        text
    };
    Exporter::start(address, Arc::new(page))
}

/// Refuses an address that others reach, unless that is `allowed`.
pub(super) fn check(address: SocketAddr, allowed: bool) -> Result<(), Failure> {
    if allowed || is_local(&address) {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Listen,
        format_args!("--metrics {address}: others can read it there, without a password"),
    )
    .hint("--metrics-insecure allows it; 127.0.0.1 keeps it on this machine"))
}

struct Families(Observe);

impl fmt::Debug for Families {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Families")
    }
}

#[derive(Clone, Debug, EncodeLabelSet)]
struct Group {
    codec: &'static str,
    encoder: String,
    size: String,
    /// Tells encoders apart that are alike in all else: that of the viewers who keep up,
    /// and that of the slow ones.
    number: usize,
}

#[derive(Clone, Debug, EncodeLabelSet)]
struct Quantile {
    quantile: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet)]
struct Version {
    version: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// One family after the other.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn one(&mut self, name: &str, help: &str, metric: &impl EncodeMetric) -> fmt::Result {
        let encoder = self
            .0
            .encode_descriptor(name, help, None, metric.metric_type())?;
        metric.encode(encoder)
    }

    fn count(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.one(name, help, &ConstCounter::new(value))
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.one(name, help, &ConstGauge::new(value))
    }

    /// A family with labels.
    fn many<L: EncodeLabelSet, M: EncodeMetric>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        rows: impl IntoIterator<Item = (L, M)>,
    ) -> fmt::Result {
        let mut rows = rows.into_iter().peekable();
        let Some((_, first)) = rows.peek() else {
            return Ok(());
        };
        let mut family = self
            .0
            .encode_descriptor(name, help, unit, first.metric_type())?;
        for (labels, metric) in rows {
            metric.encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn times(&mut self, name: &str, help: &str, times: &Summary) -> fmt::Result {
        let rows = [
            ("0.5", times.p50_ms),
            ("0.95", times.p95_ms),
            ("0.99", times.p99_ms),
            ("1", times.max_ms),
        ];
        let rows = rows.map(|(quantile, ms)| (Quantile { quantile }, ConstGauge::new(ms / 1e3)));
        self.many(name, help, Some(&Unit::Seconds), rows)
    }
}

impl Collector for Families {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let now = (self.0)();
        let mut page = Page(encoder);
        let version = Version {
            version: env!("CARGO_PKG_VERSION"),
        };
        page.many(
            "build",
            "The program",
            None,
            [(version, ConstGauge::new(1u64))],
        )?;
        let server = &now.server;
        page.gauge(
            "clients",
            "Clients that are connected",
            server.clients.len() as u64,
        )?;
        page.gauge(
            "links_pending",
            "Connections that have not authenticated yet",
            server.links_pending as u64,
        )?;
        page.count(
            "channels_linked",
            "Channels that were let in",
            server.channels_linked,
        )?;
        page.many(
            "links_refused",
            "Connections that were not let in, by why",
            None,
            server.refused.iter().map(|(refusal, count)| {
                let reason = refusal.name();
                (Reason { reason }, ConstCounter::new(count))
            }),
        )?;
        for (name, help, value) in [
            ("bytes_read", "Bytes that clients sent", server.bytes_read),
            (
                "bytes_written",
                "Bytes sent to clients",
                server.bytes_written,
            ),
            (
                "display_messages",
                "Messages to display channels",
                server.display_messages,
            ),
            (
                "messages_skipped",
                "Messages of clients that are for nobody here",
                server.skipped,
            ),
            (
                "inputs",
                "Keys and pointer events of clients",
                server.inputs,
            ),
            (
                "inputs_ignored",
                "Keys and pointer events of clients that may only look",
                server.inputs_ignored,
            ),
            (
                "clients_silent",
                "Clients disconnected as they gave no sign of life",
                server.silent,
            ),
            (
                "channels_stalled",
                "Channels closed as their peer took nothing",
                server.stalled,
            ),
            (
                "channels_malformed",
                "Channels closed as what came made no sense",
                server.malformed,
            ),
        ] {
            page.count(name, help, value)?;
        }
        page.count("source_frames", "Frames of the source", now.source_frames)?;
        page.gauge(
            "source_ended",
            "1 when the source has ended and its last frame stays",
            now.source_ended.into(),
        )?;
        let stream = &now.stream;
        page.gauge("viewers", "Display channels", stream.viewers as u64)?;
        page.count("scanouts", "Buffers that were shown", stream.scanouts)?;
        page.count("draws", "Draws of the source", stream.draws)?;
        page.count(
            "draws_staged",
            "Draws answered after they were read",
            stream.staged,
        )?;
        page.count(
            "draws_unstaged",
            "Draws answered without being read",
            stream.unstaged,
        )?;
        page.count(
            "draws_unchanged",
            "Draws that changed nothing",
            stream.unchanged,
        )?;
        page.count(
            "draws_overdue",
            "Draws answered because they had waited for too long",
            stream.overdue,
        )?;
        page.count("stagings", "Conversions of the source", stream.stagings)?;
        page.times(
            "hold_work",
            "Staging of a draw was asked for, until it was answered",
            &stream.work,
        )?;
        page.times(
            "hold_pacing",
            "A draw came, until its staging was asked for",
            &stream.pacing,
        )?;
        page.count(
            "failures",
            "Encoders and stagers that failed",
            stream.failures,
        )?;
        groups(&mut page, &now)
    }
}

/// Numbers those that are alike: a page with one series twice is refused as a whole.
fn numbered(groups: impl Iterator<Item = (&'static str, String, String)>) -> Vec<Group> {
    let mut labels: Vec<Group> = Vec::new();
    for (codec, encoder, size) in groups {
        let alike = |l: &&Group| (l.codec, &l.encoder, &l.size) == (codec, &encoder, &size);
        let number = labels.iter().filter(alike).count();
        labels.push(Group {
            codec,
            encoder,
            size,
            number,
        });
    }
    labels
}

fn groups(page: &mut Page<'_>, now: &Snapshot) -> fmt::Result {
    let groups = &now.stream.groups;
    let labels = numbered(groups.iter().map(|group| {
        let (encoder, size) = (group.encoder.clone(), group.size.to_string());
        (codec_name(group.codec), encoder, size)
    }));
    let rows = || labels.iter().cloned().zip(groups);
    page.many(
        "encoder_viewers",
        "Viewers that an encoder feeds",
        None,
        rows().map(|(l, g)| (l, ConstGauge::new(g.viewers as u64))),
    )?;
    page.many(
        "encoder_fps",
        "Pictures per second, over the last two seconds",
        None,
        rows().map(|(l, g)| (l, ConstGauge::new(g.fps))),
    )?;
    page.many(
        "encoder_bits_per_second",
        "Bits per second, over the last two seconds",
        None,
        rows().map(|(l, g)| (l, ConstGauge::new(g.bitrate.as_bps()))),
    )?;
    page.many(
        "encoder_target_bits_per_second",
        "Bits per second asked of the encoder",
        None,
        rows().map(|(l, g)| (l, ConstGauge::new(g.target.as_bps()))),
    )?;
    page.many(
        "encoder_pictures",
        "Pictures coded",
        None,
        rows().map(|(l, g)| (l, ConstCounter::new(g.pictures))),
    )?;
    page.many(
        "encoder_keyframes",
        "Keyframes coded",
        None,
        rows().map(|(l, g)| (l, ConstCounter::new(g.keyframes))),
    )?;
    page.many(
        "encoder_bytes",
        "Bytes coded",
        None,
        rows().map(|(l, g)| (l, ConstCounter::new(g.bytes))),
    )
}

/// As the command line has it.
pub(super) const fn codec_name(codec: VideoCodec) -> &'static str {
    match codec {
        VideoCodec::Mjpeg => "mjpeg",
        VideoCodec::Vp8 => "vp8",
        VideoCodec::H264 => "h264",
        VideoCodec::Vp9 => "vp9",
        VideoCodec::H265 => "h265",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoders_that_are_alike_have_series_of_their_own() {
        let of = |size: &str| ("h264", "x264enc".to_owned(), size.to_owned());
        let labels = numbered([of("64x48"), of("64x48"), of("65x48")].into_iter());
        let numbers: Vec<_> = labels.iter().map(|l| l.number).collect();
        assert_eq!(numbers, [0, 1, 0]);
    }
}
