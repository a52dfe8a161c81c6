//! Packets into files, on a thread of their own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use scanout_core::encoder::{BoxedError, FrameRate, Packet, StreamInfo};
use scanout_core::session::{PacketSink, StreamError};

use super::container::{Container, Destination};
use super::file::{OutputFile, Place};
use super::ivf;
use crate::failure::{Exit, Failure};

/// Packets that may wait for the disk: half a second of video. More would
/// hide a disk that does not keep up, fewer would let its hiccups reach the source.
const QUEUE: usize = 32;

/// Something that packets are written to.
pub(super) trait StreamWriter: Send {
    /// The next packet.
    fn packet(&mut self, stream: &StreamInfo, packet: &Packet) -> Result<(), Failure>;
    /// Nothing follows, and what was last is shown until `end`: makes the file
    /// whole. Returns its bytes.
    fn finish(&mut self, end: Duration) -> Result<u64, Failure>;
}

/// Opens what `destination` names, before anything else is started.
pub(super) fn open(
    destination: &Destination,
    rate: FrameRate,
) -> Result<Box<dyn StreamWriter>, Failure> {
    let place = Place::of(destination.path.as_deref())?;
    Ok(match destination.container {
        Container::Raw => Box::new(RawWriter {
            file: OutputFile::create(place)?,
        }),
        Container::Ivf => Box::new(IvfWriter {
            file: OutputFile::create(place)?,
            rate,
            last: None,
        }),
        Container::Mp4 | Container::Mkv => mux(place, rate)?,
    })
}

#[cfg(feature = "gst")]
use super::mux::open as mux;

/// Containers are GStreamer's work.
#[cfg(not(feature = "gst"))]
fn mux(place: Place, _: FrameRate) -> Result<Box<dyn StreamWriter>, Failure> {
    let name = place.name();
    Err(Failure::usage(format_args!(
        "{name}: this scanout was built without muxers"
    ))
    .hint("build it with --features gst, or write a bare stream"))
}

struct RawWriter {
    file: OutputFile,
}

impl StreamWriter for RawWriter {
    fn packet(&mut self, _: &StreamInfo, packet: &Packet) -> Result<(), Failure> {
        self.file.write(&packet.bytes)?;
        self.file.end_of_packet()
    }

    fn finish(&mut self, _: Duration) -> Result<u64, Failure> {
        self.file.finish()
    }
}

struct IvfWriter {
    file: OutputFile,
    rate: FrameRate,
    last: Option<u64>,
}

impl IvfWriter {
    /// `time` in frames of the source.
    fn ticks(&self, time: Duration) -> u64 {
        (time.as_secs_f64() * self.rate.as_f64()).round() as u64
    }
}

impl StreamWriter for IvfWriter {
    fn packet(&mut self, stream: &StreamInfo, packet: &Packet) -> Result<(), Failure> {
        if self.last.is_none() {
            let header =
                ivf::header(stream.codec, stream.visible, self.rate, 0).ok_or_else(|| {
                    Failure::usage(format_args!(
                        "IVF holds no {} of {}: sides are at most 65535",
                        stream.codec, stream.visible
                    ))
                })?;
            self.file.write(&header)?;
        }
        let time = self.ticks(packet.timestamp);
        // Two frames within one interval still come one after the other.
        let time = self.last.map_or(time, |last| time.max(last + 1));
        self.last = Some(time);
        let size = u32::try_from(packet.bytes.len()).map_err(|_| {
            Failure::new(
                Exit::Encoder,
                format_args!("a packet of {} bytes", packet.bytes.len()),
            )
        })?;
        self.file.write(&ivf::frame_header(size, time))?;
        self.file.write(&packet.bytes)?;
        self.file.end_of_packet()?;
        Ok(())
    }

    fn finish(&mut self, end: Duration) -> Result<u64, Failure> {
        if let Some(last) = self.last {
            let end = self.ticks(end).max(last.saturating_add(1));
            let length = u32::try_from(end).unwrap_or(u32::MAX);
            self.file.patch(ivf::LENGTH_OFFSET, &length.to_le_bytes())?;
        }
        self.file.finish()
    }
}

enum Message {
    Packet(Box<(Arc<StreamInfo>, Packet)>),
    Drained,
}

/// What came out of a stream.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// As its sink was told.
    pub(super) ended: Option<Result<(), StreamError>>,
    /// As its first packet showed it.
    pub(super) stream: Option<Arc<StreamInfo>>,
}

/// The session's end of the queue.
pub(super) struct QueueSink {
    queue: Option<SyncSender<Message>>,
    outcome: Arc<Mutex<Outcome>>,
    stream: Option<Arc<StreamInfo>>,
}

/// The packets' way into files.
pub(super) struct WriterThread {
    thread: JoinHandle<Result<Written, Failure>>,
    outcome: Arc<Mutex<Outcome>>,
    /// Nanoseconds.
    end: Arc<AtomicU64>,
}

/// What was written.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Bytes of each writer's file.
    pub(crate) bytes: Vec<u64>,
    /// Numbers of the source frames that were coded, in order.
    pub(crate) frames: Vec<u64>,
    /// The packets themselves, where they were to be kept.
    pub(crate) packets: Vec<Packet>,
}

/// Starts the thread that owns `writers`; each gets every packet.
pub(super) fn start(
    writers: Vec<Box<dyn StreamWriter>>,
    keep: bool,
) -> Result<(QueueSink, WriterThread), Failure> {
    let (queue, packets) = sync_channel(QUEUE);
    let outcome = Arc::new(Mutex::new(Outcome::default()));
    let end = Arc::new(AtomicU64::new(0));
    let source_end = Arc::clone(&end);
    let thread = std::thread::Builder::new()
        .name("scanout-writer".to_owned())
        .spawn(move || write(writers, keep, &packets, &source_end))
        .map_err(|e| Failure::new(Exit::Internal, format_args!("starting a thread: {e}")))?;
    let sink = QueueSink {
        queue: Some(queue),
        outcome: Arc::clone(&outcome),
        stream: None,
    };
    Ok((
        sink,
        WriterThread {
            thread,
            outcome,
            end,
        },
    ))
}

fn write(
    mut writers: Vec<Box<dyn StreamWriter>>,
    keep: bool,
    packets: &Receiver<Message>,
    end: &AtomicU64,
) -> Result<Written, Failure> {
    let mut written = Written::default();
    // The queue closes without `Drained` where the stream failed: what came
    // until then is made a whole file all the same.
    while let Ok(Message::Packet(message)) = packets.recv() {
        let (stream, packet) = *message;
        for writer in &mut writers {
            writer.packet(&stream, &packet)?;
        }
        written.frames.push(packet.number);
        if keep {
            written.packets.push(packet);
        }
    }
    if written.frames.is_empty() {
        // A file of nothing is no video: it does not get its name.
        return Ok(written);
    }
    let end = Duration::from_nanos(end.load(Ordering::Acquire));
    for writer in &mut writers {
        written.bytes.push(writer.finish(end)?);
    }
    Ok(written)
}

impl PacketSink for QueueSink {
    fn packet(&mut self, stream: &StreamInfo, packet: &Packet) -> Result<(), BoxedError> {
        let stream = match &self.stream {
            Some(stream) => Arc::clone(stream),
            None => {
                let stream = Arc::new(stream.clone());
                self.stream = Some(Arc::clone(&stream));
                lock(&self.outcome).stream = Some(Arc::clone(&stream));
                stream
            }
        };
        let closed = || BoxedError::from("the output is closed");
        let queue = self.queue.as_ref().ok_or_else(closed)?;
        let message = Message::Packet(Box::new((stream, packet.clone())));
        queue.send(message).map_err(|_| closed())
    }

    fn ended(&mut self, outcome: Result<(), StreamError>) {
        if let Some(queue) = self.queue.take()
            && outcome.is_ok()
        {
            // A writer that failed tells so by itself.
            let _ = queue.send(Message::Drained);
        }
        lock(&self.outcome).ended = Some(outcome);
    }
}

impl WriterThread {
    /// True once no more packet will come.
    pub(super) fn has_ended(&self) -> bool {
        lock(&self.outcome).ended.is_some() || self.thread.is_finished()
    }

    /// Says when the source ends, before the stream is finished: frames that
    /// were not coded, since nothing changed, count in a file's length.
    pub(super) fn source_ends_at(&self, end: Duration) {
        let nanos = u64::try_from(end.as_nanos()).unwrap_or(u64::MAX);
        self.end.store(nanos, Ordering::Release);
    }

    /// Waits for the files to be whole.
    pub(super) fn join(self) -> (Result<Written, Failure>, Outcome) {
        let written = self
            .thread
            .join()
            .unwrap_or_else(|_| Err(Failure::new(Exit::Internal, "the writing thread panicked")));
        (written, std::mem::take(&mut *lock(&self.outcome)))
    }
}

fn lock(outcome: &Mutex<Outcome>) -> std::sync::MutexGuard<'_, Outcome> {
    outcome.lock().unwrap_or_else(PoisonError::into_inner)
}
