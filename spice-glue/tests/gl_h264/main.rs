//! What a viewer of H.264 gets, put together, is a valid stream: as h264-reader reads it,
//! as ffmpeg decodes it, with access units of x264.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use h264_reader::annexb::AnnexBReader;
use h264_reader::nal::pps::PicParameterSet;
use h264_reader::nal::sei::{HeaderType, SeiReader};
use h264_reader::nal::slice::SliceHeader;
use h264_reader::nal::sps::SeqParameterSet;
use h264_reader::nal::{Nal, RefNal, UnitType};
use h264_reader::push::NalInterest;
use scanout_core::codec::h264::access_units;
use scanout_core::color::ColorSpec;
use scanout_core::encoder::{
    Backend, BoxedError, Chroma, Codec, EncoderConfig, Frame, FrameTimes, Packet, PictureId,
    StageConfig, StreamInfo,
};
use scanout_core::geometry::{Damage, Size};
use scanout_core::session::{PacketSink, Session, SessionConfig, StreamError, StreamId};
use scanout_core::sync::{Acquire, Release};
use scanout_spice::gl::*;

const LIMIT: Duration = Duration::from_secs(30);

/// A machine with one coder, to which packets are given.
struct Feed {
    machine: Machine,
    now: Instant,
    coder: CoderId,
    keyframes: usize,
    viewers: Vec<(ViewerId, Vec<Vec<u8>>)>,
}

impl Feed {
    fn new(size: Size) -> Self {
        let now = Instant::now();
        let offer = Offer {
            codec: VideoCodec::H264,
            stage: StageSpec {
                device: 0,
                chroma: Chroma::C420,
                color: Some(ColorSpec::DESKTOP),
            },
        };
        let config = MachineConfig::new(StreamClock::showing(now, 1000));
        let mut feed = Self {
            machine: Machine::new(config, vec![offer], now),
            now,
            coder: CoderId(0),
            keyframes: 0,
            viewers: Vec::new(),
        };
        let scanout = ScanoutId(1);
        feed.event(Event::Scanout { scanout, size });
        feed
    }

    fn event(&mut self, event: Event<'_>) {
        let mut actions = Vec::new();
        self.machine.handle(self.now, event, &mut actions);
        for action in actions {
            match action {
                Action::OpenStage { stage, .. } => self.event(Event::StageOpened(stage)),
                Action::OpenCoder { coder, .. } => {
                    self.coder = coder;
                    self.event(Event::CoderOpened(coder));
                }
                Action::Keyframe(_) => self.keyframes += 1,
                Action::Send(viewer, batch) => {
                    for message in batch {
                        if let Outgoing::StreamData { payload, .. } = message {
                            let bytes = payload.pieces().concat();
                            assert_eq!(bytes.len(), payload.len());
                            let mut viewers = self.viewers.iter_mut();
                            viewers.find(|(v, _)| *v == viewer).unwrap().1.push(bytes);
                        }
                    }
                    self.event(Event::Progress(viewer, Backlog::default()));
                }
                _ => {}
            }
        }
    }

    fn join(&mut self) {
        let viewer = ViewerId(self.viewers.len() as u64);
        self.viewers.push((viewer, Vec::new()));
        let caps = ViewerCaps {
            codecs: vec![VideoCodec::H264],
            reports: false,
        };
        self.event(Event::Joined { viewer, caps });
    }

    fn packet(&mut self, info: &StreamInfo, packet: &Packet) {
        self.now += Duration::from_millis(17);
        let coder = self.coder;
        self.event(Event::Packet {
            coder,
            info,
            packet,
        });
    }
}

/// One AUD per access unit and first in it, SEI before the slices, all headers readable;
/// the number of whole pictures.
fn read(messages: &[Vec<u8>]) -> usize {
    let mut context = h264_reader::Context::new();
    let mut order: Vec<UnitType> = Vec::new();
    let mut seis = 0;
    let mut reader = AnnexBReader::accumulate(|nal: RefNal<'_>| {
        if !nal.is_complete() {
            return NalInterest::Buffer;
        }
        let header = nal.header().unwrap();
        let unit = header.nal_unit_type();
        match unit {
            UnitType::SeqParameterSet => {
                let sps = SeqParameterSet::from_bits(nal.rbsp_bits()).unwrap();
                context.put_seq_param_set(sps);
            }
            UnitType::PicParameterSet => {
                let pps = PicParameterSet::from_bits(&context, nal.rbsp_bits()).unwrap();
                context.put_pic_param_set(pps);
            }
            UnitType::SEI => {
                let mut scratch = Vec::new();
                let mut messages = SeiReader::from_rbsp_bytes(nal.rbsp_bytes(), &mut scratch);
                while let Some(message) = messages.next().unwrap() {
                    seis += usize::from(message.payload_type == HeaderType::UserDataUnregistered);
                }
            }
            UnitType::SliceLayerWithoutPartitioningIdr
            | UnitType::SliceLayerWithoutPartitioningNonIdr => {
                SliceHeader::from_bits(&context, &mut nal.rbsp_bits(), header, None).unwrap();
            }
            _ => {}
        }
        order.push(unit);
        NalInterest::Ignore
    });
    for message in messages {
        reader.push(message);
    }
    reader.reset();
    drop(reader);
    assert_eq!(order.first(), Some(&UnitType::AccessUnitDelimiter));
    // One per picture; the first picture's is a message of its own.
    assert!(seis + 1 >= messages.len());
    let units = order.split(|unit| *unit == UnitType::AccessUnitDelimiter);
    let mut pictures = 0;
    for unit in units.skip(1) {
        let slice = |unit: &UnitType| {
            matches!(
                unit,
                UnitType::SliceLayerWithoutPartitioningIdr
                    | UnitType::SliceLayerWithoutPartitioningNonIdr
            )
        };
        let Some(first) = unit.iter().position(slice) else {
            assert_eq!(unit, [UnitType::SEI], "only the last may be begun");
            continue;
        };
        assert!(unit[first..].iter().all(slice), "after a slice: {unit:?}");
        pictures += 1;
    }
    // The one that is begun at the end.
    assert!(order.ends_with(&[UnitType::AccessUnitDelimiter, UnitType::SEI]));
    pictures
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("scanout-gl-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn has_ffmpeg() -> bool {
    let quiet = |tool: &mut Command| tool.stdout(Stdio::null()).stderr(Stdio::null()).status();
    let there = quiet(Command::new("ffmpeg").arg("-version")).is_ok_and(|s| s.success());
    if !there {
        assert!(
            std::env::var_os("SCANOUT_REQUIRE_TOOLS").is_none_or(|value| value != "1"),
            "ffmpeg is required and does not run"
        );
        eprintln!("skipped: ffmpeg does not run here");
    }
    there
}

fn ffmpeg(args: &[&str]) -> Vec<u8> {
    let out = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y"])
        .args(args)
        .output()
        .unwrap();
    let complaints = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "ffmpeg {args:?}: {complaints}");
    out.stdout
}

/// Decodes and stops at the first complaint; a checksum of each picture.
fn decode(folder: &Folder, stream: &[u8]) -> Vec<String> {
    let path = folder.file("viewer.h264");
    std::fs::write(&path, stream).unwrap();
    let strictly = ["-xerror", "-err_detect", "explode", "-f", "h264", "-i"];
    let args = [&strictly[..], &[&path, "-f", "framemd5", "-"]].concat();
    let text = String::from_utf8(ffmpeg(&args)).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit(',').next().unwrap().trim().to_owned())
        .collect()
}

/// A viewer's messages without the beginning of a picture that never came, of which
/// ffmpeg rightly says that it has none.
fn whole_pictures(messages: &[Vec<u8>]) -> Vec<u8> {
    let mut stream = messages.concat();
    let end = stream.windows(5).rposition(|w| w == [0, 0, 0, 1, 9]);
    stream.truncate(end.unwrap());
    stream
}

#[test]
fn with_and_without_the_encoders_own_delimiters_the_messages_are_a_valid_stream() {
    if !has_ffmpeg() {
        return;
    }
    let size = Size::new(322, 182);
    let settings = [
        ("plain", "keyint=8:slices=1"),
        ("delimiters", "keyint=8:aud=1:slices=1"),
        ("slices", "keyint=8:aud=1:slices=4:cabac=0"),
        ("no-delimiters-slices", "keyint=8:slices=3"),
        (
            "hrd",
            "keyint=8:aud=1:nal-hrd=vbr:vbv-maxrate=900:vbv-bufsize=900",
        ),
    ];
    for (name, params) in settings {
        let folder = Folder::new(name);
        let path = folder.file("x264.h264");
        ffmpeg(&[
            "-f",
            "lavfi",
            "-i",
            "testsrc=size=322x182:rate=30",
            "-frames:v",
            "30",
            "-pix_fmt",
            "yuv420p",
            "-c:v",
            "libx264",
            "-tune",
            "zerolatency",
            "-x264-params",
            params,
            "-f",
            "h264",
            &path,
        ]);
        let stream = std::fs::read(&path).unwrap();
        let info = StreamInfo::new(
            Codec::H264,
            "x264",
            size,
            size,
            Chroma::C420,
            ColorSpec::DESKTOP,
        );
        let mut feed = Feed::new(size);
        feed.join();
        for (number, unit) in (0u64..).zip(access_units(&stream)) {
            if number == 11 {
                feed.join();
            }
            let packet = Packet::new(
                PictureId(number),
                number,
                Duration::ZERO,
                unit.bytes.to_vec().into(),
                unit.keyframe,
                FrameTimes::at(feed.now),
            );
            feed.packet(&info, &packet);
        }
        let expected = decode(&folder, &stream);
        assert_eq!(expected.len(), 30);
        let viewers = std::mem::take(&mut feed.viewers);
        for ((_, messages), from) in viewers.iter().zip([0, 16]) {
            let pictures = 30 - from;
            assert_eq!(read(messages), pictures, "{name}");
            assert_eq!(messages.len(), 1 + pictures, "{name}");
            let decoded = decode(&folder, &whole_pictures(messages));
            assert_eq!(decoded, expected[from..], "{name}");
        }
    }
}

struct Packets(mpsc::Sender<(StreamInfo, Packet)>);

impl PacketSink for Packets {
    fn packet(&mut self, stream: &StreamInfo, packet: &Packet) -> Result<(), BoxedError> {
        Ok(self.0.send((stream.clone(), packet.clone()))?)
    }

    fn ended(&mut self, _outcome: Result<(), StreamError>) {}
}

/// A bar that moves.
fn frame(number: u64, size: Size) -> Frame {
    use scanout_core::buffer::{Layout, MemoryImage, SourceBuffer};
    use scanout_core::format::Fourcc;
    let mut bytes = Vec::new();
    for _ in 0..size.height {
        for x in 0..size.width {
            let bar = x as u64 / 8 == number % 40;
            bytes.extend(if bar { [255u8; 4] } else { [40, 80, 120, 0] });
        }
    }
    let (layout, _) = Layout::packed(Fourcc::XRGB8888, size, 4).unwrap();
    let image = MemoryImage::new(std::sync::Arc::new(bytes), layout).unwrap();
    let time = Duration::from_millis(number * 17);
    let mut frame = Frame::new(
        number,
        SourceBuffer::Memory(image),
        Damage::full(size),
        time,
    );
    frame.acquire = Acquire::Ready;
    frame
}

#[test]
fn viewers_of_x264_who_come_one_after_the_other_all_get_a_valid_stream() {
    if !has_ffmpeg() {
        return;
    }
    let backend = scanout_gst::GstBackend::new().unwrap();
    if scanout_gst::elements::find("x264enc").is_none() {
        eprintln!("skipped: no x264enc");
        return;
    }
    let size = Size::new(322, 182);
    let devices = backend.devices().unwrap();
    let cpu = devices.iter().find(|device| device.id == "cpu").unwrap();
    let stager = backend.open(cpu, &StageConfig::new(size)).unwrap();
    let session = Session::start(stager, SessionConfig::every_frame()).unwrap();
    let mut config = EncoderConfig::new(Codec::H264);
    config.encoder = Some("x264enc".to_owned());
    let (sender, packets) = mpsc::channel();
    let stream: StreamId = session
        .add_stream(config, Box::new(Packets(sender)))
        .unwrap();
    let mut feed = Feed::new(size);
    feed.join();
    for number in 0..40 {
        if number % 10 == 5 {
            feed.join();
        }
        if std::mem::take(&mut feed.keyframes) > 0 {
            // The last picture comes once more.
            session.request_keyframe(stream).unwrap();
            let (info, packet) = packets.recv_timeout(LIMIT).unwrap();
            assert!(packet.keyframe);
            feed.packet(&info, &packet);
        }
        session
            .submit(frame(number, size), Release::noop())
            .unwrap();
        let (info, packet) = packets.recv_timeout(LIMIT).unwrap();
        feed.packet(&info, &packet);
    }
    session.finish(LIMIT).unwrap();
    let folder = Folder::new("session");
    assert_eq!(feed.viewers.len(), 5);
    let mut longest = Vec::new();
    for (viewer, messages) in &feed.viewers {
        assert!(messages.len() >= 5, "{viewer}: {}", messages.len());
        let pictures = read(messages);
        assert_eq!(messages.len(), 1 + pictures, "{viewer}");
        let decoded = decode(&folder, &whole_pictures(messages));
        assert_eq!(decoded.len(), pictures, "{viewer}");
        if longest.is_empty() {
            longest.clone_from(&decoded);
        }
        assert!(longest.ends_with(&decoded), "{viewer} sees something else");
    }
}
