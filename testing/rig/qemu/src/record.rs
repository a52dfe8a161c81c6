//! The loop: a call, the pixels that it brings, the answer, the record.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use scanout_trace::recording::{Event, EventKind, RecordingError};
use zbus::message::Header;

use crate::answer::{ANSWER_LIMIT, Answers, Unanswered};
use crate::call::{BadCall, Call, Request, decode, is_call};
use crate::intake::{Arrival, Intake, IntakeError, Next};
use crate::screen::{Picture, Screen};
use crate::statistics::Statistics;

/// How often the flag to stop is looked at while nothing comes.
const LOOK: Duration = Duration::from_millis(50);

/// When to stop, whichever comes first. QEMU's end always stops it.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// After this long.
    pub duration: Option<Duration>,
    /// After so many updates.
    pub max_updates: Option<u64>,
    /// When a scanout came and for so long nothing else that brings pixels.
    pub until_idle: Option<Duration>,
    /// When this becomes true.
    pub stop: Arc<AtomicBool>,
}

/// What ended a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// Its time was over.
    Duration,
    /// It had all the updates that were asked for.
    Updates,
    /// Nothing happened any more.
    Idle,
    /// It was told to stop.
    Stopped,
    /// QEMU closed the connection, or could not be answered.
    QemuGone,
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Duration => "the time was over",
            Self::Updates => "all updates asked for came",
            Self::Idle => "nothing happened any more",
            Self::Stopped => "told to stop",
            Self::QemuGone => "QEMU left",
        })
    }
}

/// What came of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// Why it ended.
    pub ended: Ended,
    /// How long it took.
    pub duration: Duration,
    /// Counts.
    pub statistics: Statistics,
    /// All of what was shown at the end, read anew; `None` where nothing was shown, or
    /// where it could not be read any more.
    pub last: Option<Picture>,
}

/// Why nothing could be recorded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The connection did not come about.
    #[error(transparent)]
    Intake(#[from] IntakeError),
    /// The recording cannot be written.
    #[error("writing the recording: {0}")]
    Write(RecordingError),
}

/// Records until one of `limits` is reached. `write` gets each event, with its time from
/// now on, after QEMU has its answer, so that it never waits for a disk.
///
/// Calls are handled one after the other in the order in which they came. Every call is
/// answered, those that are refused with an error; those that wait when the end comes are
/// answered without being read.
pub fn record(
    intake: &mut Intake,
    limits: &Limits,
    write: &mut dyn FnMut(&Event) -> Result<(), RecordingError>,
) -> Result<Report, RecordError> {
    let connection = intake.connection()?.clone();
    let mut recorder = Recorder {
        answers: Answers::new(&connection, ANSWER_LIMIT),
        screen: Screen::new(),
        statistics: Statistics::default(),
        begun: Instant::now(),
        last_pixels: None,
        write,
    };
    let ended = recorder.run(intake, limits)?;
    let duration = recorder.begun.elapsed();
    if ended != Ended::QemuGone {
        recorder.dismiss(intake);
    }
    let last = recorder.screen.picture().ok().flatten();
    Ok(Report {
        ended,
        duration,
        statistics: recorder.statistics,
        last,
    })
}

struct Recorder<'a> {
    answers: Answers<'a>,
    screen: Screen,
    statistics: Statistics,
    begun: Instant,
    /// When pixels came last.
    last_pixels: Option<Instant>,
    write: &'a mut dyn FnMut(&Event) -> Result<(), RecordingError>,
}

impl Recorder<'_> {
    fn run(&mut self, intake: &Intake, limits: &Limits) -> Result<Ended, RecordError> {
        loop {
            if let Some(ended) = self.over(limits) {
                return Ok(ended);
            }
            match intake.next(LOOK.min(self.next_limit(limits))) {
                Next::Nothing => {}
                Next::Gone => return Ok(Ended::QemuGone),
                Next::Arrival(arrival) => match self.follow(&arrival)? {
                    Ok(()) => {}
                    Err(Unanswered) => return Ok(Ended::QemuGone),
                },
            }
        }
    }

    fn over(&self, limits: &Limits) -> Option<Ended> {
        let idle = |limit: &Duration| self.last_pixels.is_some_and(|at| at.elapsed() >= *limit);
        if limits.stop.load(Ordering::Relaxed) {
            Some(Ended::Stopped)
        } else if limits.duration.is_some_and(|d| self.begun.elapsed() >= d) {
            Some(Ended::Duration)
        } else if limits
            .max_updates
            .is_some_and(|n| self.statistics.updates >= n)
        {
            Some(Ended::Updates)
        } else if limits.until_idle.as_ref().is_some_and(idle) {
            Some(Ended::Idle)
        } else {
            None
        }
    }

    /// How long until a limit is reached if nothing comes.
    fn next_limit(&self, limits: &Limits) -> Duration {
        let left = |limit: Option<Duration>, since: Option<Instant>| {
            limit
                .zip(since)
                .map(|(l, since)| l.saturating_sub(since.elapsed()))
        };
        let duration = left(limits.duration, Some(self.begun));
        let idle = left(limits.until_idle, self.last_pixels);
        duration.into_iter().chain(idle).min().unwrap_or(LOOK)
    }

    fn follow(&mut self, arrival: &Arrival) -> Result<Result<(), Unanswered>, RecordError> {
        if !is_call(&arrival.message) {
            return Ok(Ok(()));
        }
        self.statistics.calls += 1;
        let header = arrival.message.header();
        let request = match decode(&arrival.message) {
            Ok(request) => request,
            Err(bad) => {
                // Probing for what is not there is no fault of the display's.
                if !matches!(
                    bad,
                    BadCall::NoSuchMethod { .. } | BadCall::NoSuchObject { .. }
                ) {
                    self.statistics.refuse(bad.to_string());
                }
                let sent = self
                    .answers
                    .error(&header, bad.dbus_name(), &bad.to_string());
                return Ok(self.count(sent));
            }
        };
        match request {
            Request::Display(call) => self.display(arrival, &header, call),
            // The intake has answered these.
            _ => Ok(Ok(())),
        }
    }

    fn display(
        &mut self,
        arrival: &Arrival,
        header: &Header<'_>,
        call: Call,
    ) -> Result<Result<(), Unanswered>, RecordError> {
        let (name, is_update) = (call.name(), call.is_update());
        let applied = self.screen.apply(call);
        let sent = match &applied {
            Ok(_) => self.answers.done(header),
            Err(error) => {
                self.statistics.refuse(format!("{name}: {error}"));
                let text = error.to_string();
                self.answers
                    .error(header, "org.freedesktop.DBus.Error.InvalidArgs", &text)
            }
        };
        let reply = arrival.at.elapsed();
        if is_update && sent.is_ok() {
            self.statistics.replied(reply);
        }
        match applied {
            Ok(Some(kind)) => self.keep(arrival.at, reply, kind)?,
            Ok(None) => self.statistics.unseen += 1,
            Err(_) => {}
        }
        Ok(self.count(sent))
    }

    fn keep(&mut self, at: Instant, reply: Duration, kind: EventKind) -> Result<(), RecordError> {
        // What came while the listener was being registered comes at the start.
        let time = at.saturating_duration_since(self.begun);
        if matches!(kind, EventKind::Scanout(_) | EventKind::Update(_)) {
            self.last_pixels = Some(Instant::now());
        }
        self.statistics.took(time, &kind);
        let mut event = Event::new(time, kind);
        event.reply = Some(reply);
        (self.write)(&event).map_err(RecordError::Write)
    }

    fn count(&mut self, sent: Result<(), Unanswered>) -> Result<(), Unanswered> {
        if sent.is_ok() {
            self.statistics.answered += 1;
        }
        sent
    }

    /// Answers what is waiting, so that QEMU need not find out by our leaving.
    fn dismiss(&mut self, intake: &Intake) {
        while let Next::Arrival(arrival) = intake.next(Duration::ZERO) {
            if is_call(&arrival.message) {
                self.statistics.calls += 1;
                let sent = self.answers.done(&arrival.message.header());
                if self.count(sent).is_err() {
                    break;
                }
            }
        }
    }
}
