//! Drives Scanout's whole path: session, staging on the CPU, GStreamer's x264enc.

use std::num::NonZeroU32;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use scanout_core::encoder::{
    Backend, Bitrate, BoxedError, Codec, EncoderConfig, Frame, FrameRate, Packet, PathClass,
    RateControl, StageConfig, Stager, StreamInfo,
};
use scanout_core::session::{PacketSink, Session, SessionConfig, SessionStats, StreamError};
use scanout_core::sync::Release;
use scanout_gst::GstBackend;

use crate::Error;
use crate::clock::cpu_time;
use crate::workload::Workload;

/// How long a packet may take before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is asked of x264.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Threads of the encoder.
    pub threads: u32,
    /// Constant bit rate.
    pub bitrate: Bitrate,
}

impl Settings {
    fn encoder(self, fps: u32) -> EncoderConfig {
        let mut config = EncoderConfig::new(Codec::H264);
        config.encoder = Some("x264enc".to_owned());
        config.rate = RateControl::constant(self.bitrate);
        config.frame_rate = FrameRate::whole(fps);
        config.threads = NonZeroU32::new(self.threads);
        config
    }
}

/// How frames are handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// The next when the packet of the one before is there: per-frame times
    /// hold no queueing.
    OneByOne,
    /// As soon as the session takes them: conversion overlaps coding.
    AsFastAsTaken,
}

/// One run.
#[derive(Debug)]
pub struct Run {
    /// First frame handed over, until the last packet.
    pub wall_s: f64,
    /// CPU time of this process over the same time.
    pub cpu_s: f64,
    /// Handed over, until its packet was there, per coded frame.
    pub frame_ms: Vec<f64>,
    /// The session's own counts and times.
    pub stats: SessionStats,
    /// The coded stream.
    pub stream: Vec<u8>,
}

struct Sink {
    stream: Vec<u8>,
    packets: mpsc::Sender<Event>,
}

enum Event {
    Packet,
    Ended(Vec<u8>, Result<(), StreamError>),
}

impl PacketSink for Sink {
    fn packet(&mut self, _: &StreamInfo, packet: &Packet) -> Result<(), BoxedError> {
        self.stream.extend_from_slice(&packet.bytes);
        // A bench that has given up no longer listens.
        let _ = self.packets.send(Event::Packet);
        Ok(())
    }

    fn ended(&mut self, outcome: Result<(), StreamError>) {
        let stream = std::mem::take(&mut self.stream);
        let _ = self.packets.send(Event::Ended(stream, outcome));
    }
}

/// A stager of GStreamer's software device.
pub fn open(workload: &Workload, niceness: u8) -> Result<Box<dyn Stager>, Error> {
    let backend = GstBackend::new()?.with_niceness(niceness);
    let devices = backend.devices()?;
    let cpu = devices
        .iter()
        .find(|d| d.id == "cpu")
        .ok_or("no device cpu")?;
    let mut config = StageConfig::new(workload.size);
    config.max_path = PathClass::Software;
    Ok(backend.open(cpu, &config)?)
}

/// Codes all frames of `workload`; with `skip_unchanged` only those that changed.
pub fn run(
    workload: &Workload,
    settings: Settings,
    feed: Feed,
    skip_unchanged: bool,
) -> Result<Run, Error> {
    let mut config = SessionConfig::every_frame();
    config.skip_unchanged = skip_unchanged;
    let session = Session::start(open(workload, 0)?, config)?;
    let (sender, packets) = mpsc::channel();
    session.add_stream(
        settings.encoder(workload.fps),
        Box::new(Sink {
            stream: Vec::with_capacity(64 << 20),
            packets: sender,
        }),
    )?;

    let mut frame_ms = Vec::with_capacity(workload.frames.len());
    let mut outstanding = 0;
    let (began, cpu) = (Instant::now(), cpu_time());
    for (number, frame) in workload.frames.iter().enumerate() {
        let coded = !(skip_unchanged && frame.damage.is_none());
        let handed_over = Instant::now();
        session.submit(to_frame(number, frame), Release::noop())?;
        outstanding += usize::from(coded);
        if coded && feed == Feed::OneByOne {
            take(&packets)?;
            outstanding -= 1;
            frame_ms.push(handed_over.elapsed().as_secs_f64() * 1e3);
        }
    }
    for _ in 0..outstanding {
        take(&packets)?;
    }
    let (wall_s, cpu_s) = (
        began.elapsed().as_secs_f64(),
        (cpu_time() - cpu).as_secs_f64(),
    );
    let stats = session.finish(PATIENCE)?;
    let stream = loop {
        match packets.recv_timeout(PATIENCE)? {
            Event::Packet => {}
            Event::Ended(stream, outcome) => {
                outcome?;
                break stream;
            }
        }
    };
    Ok(Run {
        wall_s,
        cpu_s,
        frame_ms,
        stats,
        stream,
    })
}

/// The frame as a session takes it.
pub fn to_frame(number: usize, frame: &crate::workload::Frame) -> Frame {
    Frame::new(
        number as u64,
        frame.image.clone().into(),
        frame.damage.clone(),
        frame.time,
    )
}

fn take(packets: &mpsc::Receiver<Event>) -> Result<(), Error> {
    match packets.recv_timeout(PATIENCE)? {
        Event::Packet => Ok(()),
        Event::Ended(_, outcome) => {
            outcome?;
            Err("the stream ended before its last packet".into())
        }
    }
}
