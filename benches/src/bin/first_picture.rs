//! What a viewer waits for the first picture of an idle 1080p desktop, and what a
//! session costs while nothing happens: wall time step by step, per codec, for a first
//! viewer (the encoder's library is cold) and for those after it.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use scanout_benches::Error;
use scanout_benches::clock::{Percentiles, cpu_time};
use scanout_benches::scanout::to_frame;
use scanout_benches::workload::Workload;
use scanout_core::encoder::{
    Backend, BoxedError, Codec, EncoderConfig, Packet, StageConfig, StreamInfo,
};
use scanout_core::geometry::{Damage, Size};
use scanout_core::session::{PacketSink, Session, SessionConfig, StreamError};
use scanout_core::sync::Release;
use scanout_gst::GstBackend;
use scanout_trace::desktop::Scenario;

const SIZE: Size = Size::new(1920, 1080);
/// Viewers that join after the first.
const JOINS: usize = 20;
/// How long idling is watched.
const IDLE: Duration = Duration::from_secs(10);
/// Longest wait for a packet.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends the moment of each packet, and when its picture went to the encoder.
struct Viewer(mpsc::Sender<(Instant, Option<Instant>)>);

impl PacketSink for Viewer {
    fn packet(&mut self, _: &StreamInfo, packet: &Packet) -> Result<(), BoxedError> {
        // The bench may have given up.
        let _ = self.0.send((Instant::now(), packet.times.submitted));
        Ok(())
    }

    fn ended(&mut self, _: Result<(), StreamError>) {}
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn main() -> Result<(), Error> {
    let workload = Workload::draw(SIZE, Scenario::Mixed, 30, 1)?;
    let frame = workload.frames.first().ok_or("no frame")?;
    let backend = GstBackend::new()?;
    let devices = backend.devices()?;
    let cpu = devices.iter().find(|d| d.id == "cpu").ok_or("no cpu")?;
    for codec in [
        Codec::H264,
        Codec::Mjpeg,
        Codec::Vp8,
        Codec::Vp9,
        Codec::H265,
    ] {
        let mut stage = StageConfig::new(SIZE);
        stage.color = codec.preferred_color(SIZE);
        let began = Instant::now();
        let stager = backend.open(cpu, &stage)?;
        let opened = began.elapsed();
        let session = Session::start(stager, SessionConfig::live())?;
        let staging = Instant::now();
        let mut first = to_frame(0, frame);
        first.damage = Damage::full(SIZE);
        session.submit(first, Release::noop())?;
        while session.stats().frames.staged == 0 {
            if staging.elapsed() > PATIENCE {
                return Err("the frame is not staged".into());
            }
            std::thread::sleep(Duration::from_micros(100));
        }
        let staged = staging.elapsed();
        println!(
            "{codec}: stager open in {:.1} ms, first frame staged in {:.1} ms",
            ms(opened),
            ms(staged)
        );
        let (mut opens, mut codings, mut joins) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..=JOINS {
            let (sender, packets) = mpsc::channel();
            let joined = Instant::now();
            let stream = session.add_stream(EncoderConfig::new(codec), Box::new(Viewer(sender)))?;
            let (at, submitted) = packets.recv_timeout(PATIENCE)?;
            let submitted = submitted.unwrap_or(at);
            let open = ms(submitted.duration_since(joined));
            let coding = ms(at.duration_since(submitted));
            if number == 0 {
                println!(
                    "  first viewer: encoder ready in {open:.1} ms, keyframe in {coding:.1} ms"
                );
            } else {
                opens.push(open);
                codings.push(coding);
                joins.push(ms(at.duration_since(joined)));
            }
            if number == JOINS && codec == Codec::H264 {
                let (before, began) = (cpu_time(), Instant::now());
                std::thread::sleep(IDLE);
                let used = (cpu_time() - before).as_secs_f64() / began.elapsed().as_secs_f64();
                println!("  idle with one stream: {:.4} % of a core", used * 100.0);
            }
            session.remove_stream(stream)?;
        }
        let print = |what: &str, values: &[f64]| {
            let Percentiles { p50, max, .. } = Percentiles::of(values);
            println!("  {what}: p50 {p50:.1} ms, max {max:.1} ms of {JOINS}");
        };
        print("later viewers: encoder ready", &opens);
        print("later viewers: keyframe", &codings);
        print("later viewers: join to packet", &joins);
        session.finish(PATIENCE)?;
    }
    Ok(())
}
