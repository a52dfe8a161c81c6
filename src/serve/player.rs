//! The producer: shows the source's frames as a display does, and waits for the
//! answers to its draws.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Size};
use scanout_trace::source::{FrameReader, SourceFrame, SourceSpec};

use super::args::PlayArgs;
use super::screen::Screen;
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::memory::Ring;
use crate::source::{self, Declared, SourceArgs};

/// A buffer comes back within this time: many times what a stream may hold a draw.
const BUFFER_LIMIT: Duration = Duration::from_secs(10);

/// How often it is looked whether the user still waits for a pipe.
const OPEN_INTERVAL: Duration = Duration::from_millis(50);

/// A source that is later than this runs on from now, instead of making up for it.
const LATE: Duration = Duration::from_millis(250);

/// What was shown so far.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// Frames of the source.
    pub(super) frames: AtomicU64,
    /// Draws: frames in which something changed.
    pub(super) draws: AtomicU64,
    /// The last frame stays.
    pub(super) ended: AtomicBool,
}

/// Set once, and waited for.
#[derive(Debug, Default)]
pub(super) struct Stop {
    set: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    pub(super) fn set(&self) {
        *self.set.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Sleeps until `until` (`None`: without an end), or until it is set; true then.
    fn sleep(&self, until: Option<Instant>) -> bool {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if *set {
                return true;
            }
            set = match until {
                None => self.changed.wait(set),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return false;
                    }
                    let woken = self.changed.wait_timeout(set, left);
                    woken
                        .map(|(set, _)| set)
                        .map_err(|e| PoisonError::new(e.into_inner().0))
                }
            }
            .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// What a source is.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) description: String,
    pub(super) size: Size,
    pub(super) fourcc: Fourcc,
    pub(super) declared: Declared,
    pub(super) real_dma_bufs: bool,
}

/// A source that is open, on a thread of its own: some buffers are of one thread.
pub(super) struct Source {
    facts: Facts,
    shown: Arc<Shown>,
    stop: Arc<Stop>,
    begin: SyncSender<Screen>,
    thread: JoinHandle<Result<(), Failure>>,
}

impl Source {
    /// Opens the source and makes the buffers. A pipe may take until somebody
    /// writes to it: `None` where the user does not want to wait.
    pub(super) fn open(
        args: &SourceArgs,
        play: &PlayArgs,
        interrupt: &Interrupt,
    ) -> Result<Option<Self>, Failure> {
        let is_desktop = matches!(args.source, SourceSpec::Desktop(_));
        if play.resize_every.is_some() && !is_desktop {
            return Err(Failure::usage(
                "--resize-every: only the desktop has no size of its own",
            ));
        }
        if play.r#loop && args.file().is_some_and(|path| !is_file(path)) {
            return Err(Failure::usage(
                "--loop: what was read of a pipe is gone, it has no beginning",
            )
            .hint("leave --loop out, or name a file"));
        }
        let (shown, stop) = (Arc::new(Shown::default()), Arc::new(Stop::default()));
        let (told, facts) = sync_channel(1);
        let (begin, begun) = sync_channel(1);
        let (args, play) = (args.clone(), play.clone());
        let (theirs, until) = (Arc::clone(&shown), Arc::clone(&stop));
        let thread = std::thread::Builder::new()
            .name("scanout-source".to_owned())
            .spawn(move || {
                let opened = Player::open(args, play, theirs);
                let (told_facts, player) = match opened {
                    Ok(player) => (Ok(player.facts()), Some(player)),
                    Err(failure) => (Err(failure), None),
                };
                // Who is gone wants neither.
                let _ = told.send(told_facts);
                match (player, begun.recv()) {
                    (Some(player), Ok(screen)) => player.run(&screen, &until),
                    _ => Ok(()),
                }
            })
            .map_err(|e| Failure::new(Exit::Internal, format_args!("starting a thread: {e}")))?;
        loop {
            match facts.recv_timeout(OPEN_INTERVAL) {
                Ok(facts) => {
                    return Ok(Some(Self {
                        facts: facts?,
                        shown,
                        stop,
                        begin,
                        thread,
                    }));
                }
                Err(RecvTimeoutError::Timeout) if interrupt.asked() => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(panicked()),
            }
        }
    }

    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }

    pub(super) fn shown(&self) -> &Arc<Shown> {
        &self.shown
    }

    /// Begins to show it.
    pub(super) fn begin(&self, screen: Screen) {
        // A thread that is gone tells why when it is joined.
        let _ = self.begin.send(screen);
    }

    /// True once it has come to its end.
    pub(super) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Shows nothing more.
    pub(super) fn stop(&self) {
        self.stop.set();
    }

    /// What it came to; one that is stuck in a pipe is left behind after `limit`.
    pub(super) fn join(self, limit: Duration) -> Result<(), Failure> {
        let deadline = Instant::now() + limit;
        // A thread that has not begun does so in vain.
        drop(self.begin);
        while !self.thread.is_finished() {
            if Instant::now() >= deadline {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.thread.join().unwrap_or_else(|_| Err(panicked()))
    }
}

fn panicked() -> Failure {
    Failure::new(Exit::Internal, "the source's thread panicked")
}

/// The source's thread.
struct Player {
    args: SourceArgs,
    play: PlayArgs,
    reader: Box<dyn FrameReader>,
    ring: Ring,
    shown: Arc<Shown>,
}

impl Player {
    fn open(args: SourceArgs, play: PlayArgs, shown: Arc<Shown>) -> Result<Self, Failure> {
        let reader = args.open()?;
        let ring = ring(&play, reader.as_ref())?;
        Ok(Self {
            args,
            play,
            reader,
            ring,
            shown,
        })
    }

    fn facts(&self) -> Facts {
        let reader = self.reader.as_ref();
        Facts {
            description: self.args.describe(reader),
            size: reader.size(),
            fourcc: reader.fourcc(),
            declared: self.args.declared(),
            real_dma_bufs: self.ring.real_dma_bufs(),
        }
    }

    fn run(mut self, screen: &Screen, stop: &Stop) -> Result<(), Failure> {
        let mut time = Timeline::start(self.reader.as_ref());
        let mut next_size = self.play.sizes.clone().into_iter().cycle();
        let mut resize = self.play.resize_every.map(|every| time.begun + every);
        loop {
            if stop.sleep(Some(time.due())) {
                return Ok(());
            }
            if let (Some(at), Some(every)) = (resize, self.play.resize_every)
                && Instant::now() >= at
            {
                resize = Some(at + every);
                if let Some(size) = next_size.next() {
                    self.resize(size)?;
                    time = Timeline::start(self.reader.as_ref());
                }
            }
            let first = time.frame == 0;
            let picture = self.reader.next_frame().map_err(|e| source::failed(&e))?;
            let Some(picture) = picture else {
                if self.play.once {
                    return Ok(());
                }
                // A single picture drawn again is the same.
                if self.play.r#loop && time.frame > 1 {
                    self.reader = self.args.open()?;
                    time = Timeline::start(self.reader.as_ref());
                    continue;
                }
                if first && self.shown.frames.load(Ordering::Relaxed) == 0 {
                    return Err(Failure::input("the source has no frames"));
                }
                self.shown.ended.store(true, Ordering::Relaxed);
                tracing::info!("the source has ended: its last frame stays");
                stop.sleep(None);
                return Ok(());
            };
            self.shown.frames.fetch_add(1, Ordering::Relaxed);
            let flips = self.play.buffers > 1;
            if first || !picture.damage.is_none() {
                self.shown.draws.fetch_add(1, Ordering::Relaxed);
                if !show(screen, &mut self.ring, picture, first, flips)? {
                    return Ok(());
                }
            }
            time.next();
        }
    }

    /// Goes on as a desktop of `size`.
    fn resize(&mut self, size: Size) -> Result<(), Failure> {
        tracing::info!(%size, "the desktop changes its size");
        self.args.size = Some(size);
        self.reader = self.args.open()?;
        self.ring = ring(&self.play, self.reader.as_ref())?;
        Ok(())
    }
}

/// Draws `picture` into a buffer and tells the screen; false once that is gone.
fn show(
    screen: &Screen,
    ring: &mut Ring,
    mut picture: SourceFrame<'_>,
    first: bool,
    flips: bool,
) -> Result<bool, Failure> {
    if first {
        // What a source says of its first frame is about one that nobody saw.
        picture.damage = Damage::full(picture.size);
    }
    let (buffer, release) = ring.draw(&picture, BUFFER_LIMIT)?;
    let acquire = ring.acquire();
    let told = screen.with(|stream| {
        if first || flips {
            stream.scanout(buffer);
        }
        stream.draw(picture.damage, acquire, release);
    });
    Ok(told.is_some())
}

fn ring(play: &PlayArgs, reader: &dyn FrameReader) -> Result<Ring, Failure> {
    let buffers = usize::from(play.buffers);
    let ring = Ring::of(buffers, &play.memory, reader.fourcc(), reader.size())?;
    Ok(ring.with_orientation(play.orientation))
}

fn is_file(path: &std::path::Path) -> bool {
    fs::metadata(path).is_ok_and(|there| there.is_file())
}

/// When frames are due.
struct Timeline {
    begun: Instant,
    rate: scanout_trace::source::FrameRate,
    frame: u64,
}

impl Timeline {
    fn start(reader: &dyn FrameReader) -> Self {
        Self {
            begun: Instant::now(),
            rate: reader.fps(),
            frame: 0,
        }
    }

    fn due(&self) -> Instant {
        self.begun + self.rate.time_of(self.frame)
    }

    fn next(&mut self) {
        self.frame += 1;
        let late = Instant::now().saturating_duration_since(self.due());
        if late > LATE {
            self.begun += late;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_was_held_up_runs_on_from_there() {
        let mut time = Timeline {
            begun: Instant::now(),
            rate: scanout_trace::source::FrameRate::whole(10),
            frame: 0,
        };
        time.next();
        assert_eq!(time.due() - time.begun, Duration::from_millis(100));
        let begun = time.begun;
        time.begun -= Duration::from_secs(60);
        time.next();
        // Two hundred milliseconds after the first would be a minute ago.
        assert!(time.due() + LATE >= Instant::now());
        assert!(time.begun >= begun - LATE - Duration::from_millis(200));
    }

    #[test]
    fn who_sleeps_until_the_end_wakes_when_it_comes() {
        let stop = Arc::new(Stop::default());
        assert!(!stop.sleep(Some(Instant::now())));
        let sleeper = std::thread::spawn({
            let stop = Arc::clone(&stop);
            move || stop.sleep(None)
        });
        stop.set();
        assert!(sleeper.join().unwrap());
        assert!(stop.sleep(Some(Instant::now() + Duration::from_secs(600))));
    }
}
