//! A screen of one's own, served to SPICE clients: a square that moves in a memfd.
//!
//! `cargo run --release -p scanout-spice --example gl_stream [HOST:PORT]`, then
//! `remote-viewer spice://127.0.0.1:5930`. Ends after a minute, or after as many seconds
//! as the second argument says. Needs GStreamer's x264enc or vp8enc.

use std::error::Error;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use scanout_core::buffer::alloc::{Canvas, Provider};
use scanout_core::buffer::{DmaBuf, ImportPolicy, Layout};
use scanout_core::encoder::{Backend, Codec};
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Rect, Size};
use scanout_core::sync::{Acquire, Release, ReleaseSink, SyncFile};
use scanout_gst::GstBackend;
use scanout_spice::stream::{EncoderChoice, GlStream, GlStreamConfig};

const SIZE: Size = Size::new(1280, 720);
const SIDE: u32 = 96;
const LIMIT: Duration = Duration::from_secs(5);

/// Hears when a draw's source was read: only then is the next drawn.
struct Answers(Sender<u64>);

impl ReleaseSink for Answers {
    fn released(&self, draw: u64, fence: Option<SyncFile>) {
        // A producer that draws with the CPU has to wait for the fence itself.
        if let Some(Err(error)) = fence.map(|fence| fence.wait(LIMIT)) {
            eprintln!("draw {draw}: {error}");
        }
        // Nobody hears it after the end.
        let _ = self.0.send(draw);
    }
}

/// x264 and VP8 on the CPU, as far as they are installed.
fn encoders() -> Result<Vec<EncoderChoice>, Box<dyn Error>> {
    let backend = Arc::new(GstBackend::new()?);
    let mut choices = Vec::new();
    for device in backend.devices()? {
        for encoder in backend.capabilities(&device)?.encoders {
            let codec = match encoder.name.as_str() {
                "x264enc" => Codec::H264,
                "vp8enc" => Codec::Vp8,
                _ => continue,
            };
            let backend = Arc::clone(&backend) as Arc<dyn Backend>;
            choices.push(EncoderChoice::new(
                backend,
                device.clone(),
                encoder.name,
                codec,
            ));
        }
    }
    Ok(choices)
}

fn fill(
    canvas: &mut Canvas,
    stride: usize,
    rect: Rect,
    bgr: [u8; 3],
) -> Result<(), Box<dyn Error>> {
    canvas.draw(|bytes| {
        for row in bytes
            .chunks_exact_mut(stride)
            .skip(rect.y as usize)
            .take(rect.height as usize)
        {
            let pixels = row.chunks_exact_mut(4).skip(rect.x as usize);
            for pixel in pixels.take(rect.width as usize) {
                pixel[..3].copy_from_slice(&bgr);
            }
        }
    })?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:5930".to_owned());
    let seconds: u64 = args.next().map_or(Ok(60), |seconds| seconds.parse())?;

    let stream = GlStream::start(GlStreamConfig::new(encoders()?))?;
    #[cfg(feature = "server")]
    let _server = {
        use scanout_spice::server::{Auth, Console, Listen, NoInput, Running, ServerConfig};
        let config = ServerConfig::new(vec![Listen::Tcp(address.parse()?)], Auth::Open);
        let console = Console::new(stream.viewers(), NoInput);
        let server = Running::start(config, vec![console])?;
        println!("remote-viewer spice://{address}");
        server
    };
    #[cfg(not(feature = "server"))]
    println!("built without the server: nobody comes to {address}");

    let (layout, bytes) = Layout::packed(Fourcc::XRGB8888, SIZE, 64).ok_or("no layout")?;
    let mut canvas = Provider::Memfd.allocate(bytes)?.into_canvas()?;
    let stride = layout.planes[0].stride as usize;
    fill(&mut canvas, stride, Rect::of(SIZE), [96, 64, 32])?;
    let buffer = DmaBuf::import(
        &[canvas.as_fd()],
        &layout,
        &ImportPolicy::default().with_memfd(),
    )?;
    stream.scanout(buffer.into());

    let (sender, answers) = channel();
    let owner: Arc<dyn ReleaseSink> = Arc::new(Answers(sender));
    let mut square = Rect::new(0, 0, SIDE, SIDE);
    let begun = Instant::now();
    for draw in 0.. {
        if begun.elapsed() >= Duration::from_secs(seconds) {
            break;
        }
        let before = square;
        fill(&mut canvas, stride, before, [96, 64, 32])?;
        square.x = (square.x + 7) % (SIZE.width - SIDE);
        square.y = (square.y + 5) % (SIZE.height - SIDE);
        fill(&mut canvas, stride, square, [240, 220, 200])?;

        let damage: Damage = [before, square].into_iter().collect();
        stream.draw(
            damage,
            Acquire::Ready,
            Release::new(Arc::clone(&owner), draw),
        );
        answers.recv_timeout(LIMIT)?;
        // 30 pictures a second, whether anybody watches or not.
        std::thread::sleep(Duration::from_millis(33));
        if draw % 150 == 149 {
            let stats = stream.stats();
            let encoders: Vec<_> = stats
                .groups
                .iter()
                .map(|g| (&g.encoder, g.bitrate))
                .collect();
            println!(
                "{} viewers, {} draws, hold p99 {:.2} ms, {encoders:?}",
                stats.viewers, stats.draws, stats.hold.p99_ms
            );
        }
    }
    let stats = stream.stop(LIMIT)?;
    println!("{} draws, {} staged", stats.draws, stats.staged);
    Ok(())
}
