//! Pictures: from a stream's batches to the socket, and what the client says of them.

use std::io::IoSlice;
use std::ops::Range;
use std::sync::Arc;

use tokio::time::timeout;

use super::Shared;
use super::ack::{Acks, WINDOW};
use super::channel::{self, Channel, End, Ended, Incoming, Outflow};
use super::console::Joined;
use super::outlet::{Queue, QueueOutlet};
use crate::gl::{Batch, Outgoing, Report, VideoCodec, ViewerCaps};
use crate::wire::base::{BaseClientMessage, BaseServerMessage};
use crate::wire::display::{
    Clip, Codec, DisplayClientMessage, DisplayServerMessage, Rect, SURFACE_FORMAT_XRGB,
    StreamCreate, StreamDataHeader, StreamFlags, StreamReport, SurfaceCreate, SurfaceFlags,
};
use crate::wire::link::{Capabilities, DisplayCap};

pub(super) async fn run(channel: Channel<'_>) -> Ended {
    let Channel {
        incoming,
        outflow,
        claim,
        caps,
        server,
    } = channel;
    let preferred = wait_for_init(incoming, server).await?;
    let mut set_ack = Vec::new();
    BaseServerMessage::SetAck {
        generation: Acks::GENERATION,
        window: WINDOW,
    }
    .encode(&mut set_ack);
    outflow.send(&set_ack).await?;
    let console = claim.channel.id;
    let Some(screen) = server.consoles.get(usize::from(console)) else {
        // The registry lets no other in.
        return Err(End::Gone);
    };
    let queue = Arc::new(Queue::default());
    let outlet = Box::new(QueueOutlet(Arc::clone(&queue)));
    let joined = screen.screen.join(viewer_caps(&caps), outlet);
    let viewer = joined.map_err(|error| End::Goodbye(error.into()))?;
    if let Some(codecs) = preferred {
        viewer.prefer(codecs);
    }
    // Only now: what was made ready for it is in use.
    claim.session.arrived(console);
    tokio::select! {
        end = read(incoming, &*viewer, &queue, server) => end,
        end = write(outflow, &*viewer, &queue, server) => end,
        end = queue.ended() => Err(End::Goodbye(end)),
    }
}

/// What the client prefers, if it has said so before INIT.
async fn wait_for_init(
    incoming: &mut Incoming,
    server: &Shared,
) -> Result<Option<Vec<VideoCodec>>, End> {
    let mut preferred = None;
    loop {
        let (kind, body) = incoming.message().await?;
        match DisplayClientMessage::decode(kind, body)? {
            DisplayClientMessage::Init(_) => return Ok(preferred),
            DisplayClientMessage::Base(message) => channel::base(&message, server)?,
            message @ DisplayClientMessage::PreferredVideoCodecType(_) => {
                preferred = Some(codecs(&message));
            }
            // Nothing is there yet that it could be about.
            _ => server.counters.skipped.add(1),
        }
    }
}

async fn read(
    incoming: &mut Incoming,
    viewer: &dyn Joined,
    queue: &Queue,
    server: &Shared,
) -> Ended {
    loop {
        let (kind, body) = incoming.message().await?;
        match DisplayClientMessage::decode(kind, body)? {
            DisplayClientMessage::Base(BaseClientMessage::Ack) => {
                viewer.progress(queue.acknowledged());
            }
            DisplayClientMessage::Base(message) => channel::base(&message, server)?,
            DisplayClientMessage::StreamReport(r) => viewer.report(report(&r)),
            message @ DisplayClientMessage::PreferredVideoCodecType(_) => {
                viewer.prefer(codecs(&message));
            }
            // Images are not compressed here, scanouts are not passed on.
            DisplayClientMessage::PreferredCompression(_) => {}
            _ => server.counters.skipped.add(1),
        }
    }
}

async fn write(
    outflow: &mut Outflow,
    viewer: &dyn Joined,
    queue: &Queue,
    server: &Shared,
) -> Ended {
    let limit = server.config.limits.write_stall;
    loop {
        // A client that acknowledges nothing takes nothing; one with nothing to wait for
        // may be as quiet as it likes.
        let batch = match timeout(limit, queue.next()).await {
            Ok(batch) => batch,
            Err(_) if queue.waits_for_client() => return Err(End::Stalled(limit)),
            Err(_) => continue,
        };
        let mut heads = Vec::new();
        let places = encode(&batch, &mut heads);
        let (mut pieces, ends) = pieces(&batch, &heads, &places);
        // What the queue counts is the packets: the heads are taken off first, wherever
        // they lie.
        let mut headers = heads.len();
        let written = |bytes: usize| {
            let counted = bytes.saturating_sub(headers);
            headers = headers.saturating_sub(bytes);
            viewer.progress(queue.written(counted));
        };
        outflow.send_pieces(&mut pieces, &ends, written).await?;
        server.counters.display_messages.add(batch.len() as u64);
        viewer.progress(queue.done(batch.len()));
    }
}

/// Appends all of a batch but its packets; where the head of each message lies.
fn encode(batch: &Batch, heads: &mut Vec<u8>) -> Vec<Range<usize>> {
    let mut places = Vec::with_capacity(batch.len());
    for message in batch {
        let start = heads.len();
        match message {
            Outgoing::StreamData {
                stream,
                mm_time,
                payload,
            } => {
                let header = StreamDataHeader {
                    stream_id: *stream,
                    mm_time: *mm_time,
                    size: u32::try_from(payload.len()).unwrap_or(u32::MAX),
                };
                heads.extend_from_slice(&header.encode());
            }
            other => wire(other).encode(heads),
        }
        places.push(start..heads.len());
    }
    places
}

/// A batch as the socket takes it: heads and packets where they lie, and after how many
/// pieces each message ends.
fn pieces<'a>(
    batch: &'a Batch,
    heads: &'a [u8],
    places: &[Range<usize>],
) -> (Vec<IoSlice<'a>>, Vec<usize>) {
    let mut pieces = Vec::with_capacity(batch.len() * 2);
    let mut ends = Vec::with_capacity(batch.len());
    for (message, place) in batch.iter().zip(places) {
        let head = heads.get(place.clone()).unwrap_or_default();
        let payload = match message {
            Outgoing::StreamData { payload, .. } => payload.pieces(),
            _ => [&[][..]; 3],
        };
        let all = std::iter::once(head).chain(payload);
        pieces.extend(all.filter(|piece| !piece.is_empty()).map(IoSlice::new));
        ends.push(pieces.len());
    }
    (pieces, ends)
}

/// All but STREAM_DATA, which does not come here.
fn wire(message: &Outgoing) -> DisplayServerMessage<'static> {
    match message {
        Outgoing::SurfaceCreate { surface, size } => {
            DisplayServerMessage::SurfaceCreate(SurfaceCreate {
                surface_id: *surface,
                width: size.width,
                height: size.height,
                format: SURFACE_FORMAT_XRGB,
                flags: SurfaceFlags::PRIMARY,
            })
        }
        Outgoing::Mark | Outgoing::StreamData { .. } => DisplayServerMessage::Mark,
        Outgoing::SurfaceDestroy { surface } => DisplayServerMessage::SurfaceDestroy {
            surface_id: *surface,
        },
        Outgoing::StreamCreate {
            stream,
            surface,
            codec,
            coded,
            visible,
        } => DisplayServerMessage::StreamCreate(StreamCreate {
            surface_id: *surface,
            id: *stream,
            flags: StreamFlags::TOP_DOWN,
            codec: codec_to_wire(*codec),
            stamp: 0,
            stream_width: coded.width,
            stream_height: coded.height,
            src_width: visible.width,
            src_height: visible.height,
            // Clients scale what they have decoded to this, whatever the sizes above say,
            // and cut it at the surface's edge: an odd size is shown pixel for pixel.
            dest: Rect::of_size(coded.width, coded.height),
            clip: Clip::None,
        }),
        Outgoing::ActivateReport {
            stream,
            unique_id,
            max_window,
            timeout_ms,
        } => DisplayServerMessage::StreamActivateReport {
            stream_id: *stream,
            unique_id: *unique_id,
            max_window_size: *max_window,
            timeout_ms: *timeout_ms,
        },
        Outgoing::StreamDestroy { stream } => {
            DisplayServerMessage::StreamDestroy { stream_id: *stream }
        }
    }
}

fn viewer_caps(caps: &Capabilities) -> ViewerCaps {
    let codecs = if caps.has(DisplayCap::MultiCodec) {
        let shows = |codec: &VideoCodec| caps.has(codec_to_wire(*codec).capability());
        VideoCodec::ALL.into_iter().filter(shows).collect()
    } else {
        vec![VideoCodec::Mjpeg]
    };
    ViewerCaps {
        codecs,
        reports: caps.has(DisplayCap::StreamReport),
    }
}

fn codecs(message: &DisplayClientMessage<'_>) -> Vec<VideoCodec> {
    let mut codecs = Vec::with_capacity(VideoCodec::ALL.len());
    for codec in message.codecs() {
        let known = VideoCodec::ALL
            .into_iter()
            .find(|known| codec_to_wire(*known) == codec);
        // A list that says the same 255 times says it once.
        codecs.extend(known.filter(|known| !codecs.contains(known)));
    }
    codecs
}

fn codec_to_wire(codec: VideoCodec) -> Codec {
    match codec {
        VideoCodec::Mjpeg => Codec::Mjpeg,
        VideoCodec::Vp8 => Codec::Vp8,
        VideoCodec::H264 => Codec::H264,
        VideoCodec::Vp9 => Codec::Vp9,
        VideoCodec::H265 => Codec::H265,
    }
}

fn report(report: &StreamReport) -> Report {
    Report {
        stream: report.stream_id,
        unique_id: report.unique_id,
        start_mm_time: report.start_frame_mm_time,
        end_mm_time: report.end_frame_mm_time,
        frames: report.num_frames,
        drops: report.num_drops,
        last_frame_delay_ms: report.last_frame_delay,
    }
}
