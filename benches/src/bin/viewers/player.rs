//! The producer: one buffer, drawn again and again at its rate, as a GL guest does.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use scanout_benches::Error;
use scanout_core::buffer::alloc::{Canvas, Provider};
use scanout_core::buffer::{DmaBuf, ImportPolicy, Layout};
use scanout_core::sync::{Acquire, Release, ReleaseSink, SyncFile};
use scanout_spice::stream::GlStream;
use scanout_trace::desktop::Desktop;

use super::recording::Recording;
use super::serving::{PATIENCE, ms};

/// Hears when a draw's source was read.
struct Answers(Sender<Instant>);

impl ReleaseSink for Answers {
    fn released(&self, _: u64, _: Option<SyncFile>) {
        // The producer may have given up.
        let _ = self.0.send(Instant::now());
    }
}

/// What a producer did.
#[derive(Default)]
pub(crate) struct Played {
    /// When each draw was handed over.
    pub(crate) drawn: Vec<Instant>,
    /// Milliseconds that each was held.
    pub(crate) held: Vec<f64>,
    /// Milliseconds that drawing into the buffer took.
    pub(crate) drawing: Vec<f64>,
    /// Ticks of its rate that it missed: the draw before was not answered, or the machine
    /// did not let it run.
    pub(crate) missed: u64,
}

pub(crate) struct Player<'a> {
    recording: &'a Recording,
    canvas: Canvas,
    stride: usize,
    answers: Receiver<Instant>,
    owner: Arc<dyn ReleaseSink>,
    next: usize,
}

impl<'a> Player<'a> {
    /// Shows the first frame.
    pub(crate) fn new(recording: &'a Recording, stream: &GlStream) -> Result<Self, Error> {
        let (layout, bytes) =
            Layout::packed(Desktop::FOURCC, recording.size, 256).ok_or("no layout of that size")?;
        let canvas = Provider::Memfd.allocate(bytes)?.into_canvas()?;
        let stride = layout.planes.first().ok_or("no plane")?.stride as usize;
        let policy = ImportPolicy::default().with_memfd();
        let buffer = DmaBuf::import(&[canvas.allocation().as_fd()], &layout, &policy)?;
        let (sender, answers) = channel();
        let mut player = Self {
            recording,
            canvas,
            stride,
            answers,
            owner: Arc::new(Answers(sender)),
            next: 0,
        };
        player.draw()?;
        stream.scanout(buffer.into());
        Ok(player)
    }

    /// Draws the next frame into the buffer; its number.
    fn draw(&mut self) -> Result<usize, Error> {
        let number = self.next;
        self.next += 1;
        let (recording, stride) = (self.recording, self.stride);
        self.canvas
            .draw(|bytes| recording.play(number, bytes, stride))?;
        Ok(number)
    }

    /// Draws at the recording's rate for `length`; calls `look` some times a second.
    pub(crate) fn play(
        &mut self,
        stream: &GlStream,
        length: Duration,
        mut look: impl FnMut(Duration),
    ) -> Result<Played, Error> {
        let fps = self.recording.fps;
        let mut played = Played::default();
        let (begun, mut tick) = (Instant::now(), 0_u32);
        let at = |tick: u32| begun + Duration::from_secs(1) * tick / fps;
        while at(tick).duration_since(begun) < length {
            std::thread::sleep(at(tick).saturating_duration_since(Instant::now()));
            if tick.is_multiple_of(fps / 4) {
                look(begun.elapsed());
            }
            let drawing = Instant::now();
            let number = self.draw()?;
            let damage = self.recording.damage(number).clone();
            if !damage.is_none() {
                let now = Instant::now();
                played.drawing.push(ms(now - drawing));
                let release = Release::new(Arc::clone(&self.owner), number as u64);
                stream.draw(damage, Acquire::Ready, release);
                let answered = self.answers.recv_timeout(PATIENCE)?;
                played.held.push(ms(answered - now));
                played.drawn.push(now);
            }
            tick += 1;
            // As a display does: a tick that is over is not made up for.
            while at(tick + 1) <= Instant::now() {
                tick += 1;
                played.missed += 1;
            }
        }
        Ok(played)
    }
}
