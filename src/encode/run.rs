//! Frames through a session into files.

use std::time::{Duration, Instant};

use scanout_core::convert::{Converter, PictureFormat};
use scanout_core::encoder::{
    Chroma, EncodeError, EncoderConfig, Frame, FrameRate, StageConfig, StreamInfo,
};
use scanout_core::format::Modifier;
use scanout_core::session::{
    Session, SessionConfig, SessionError, SessionStats, StreamError, SubmitError,
};
use scanout_trace::source::FrameReader;

use super::choose::Choice;
use super::writer::{self, Outcome, StreamWriter, WriterThread, Written};
use crate::cli::Context;
use crate::cost::CpuTime;
use crate::failure::{Exit, Failure};
use crate::memory::Ring;
use crate::source;

/// An encoder gives its last packets within this time. Software encoders at
/// their slowest settings need a few seconds for the few pictures they hold.
const DRAIN_LIMIT: Duration = Duration::from_secs(30);

/// A buffer comes back within this time: longer than a session waits for a
/// place, so that the session is the one to say what is wrong.
const BUFFER_LIMIT: Duration = Duration::from_secs(40);

/// A job, all set.
pub(crate) struct Job<'a> {
    pub(crate) reader: &'a mut dyn FrameReader,
    pub(crate) ring: Ring,
    pub(crate) choice: &'a Choice,
    pub(crate) stage: StageConfig,
    pub(crate) encoder: EncoderConfig,
    pub(crate) rate: FrameRate,
    pub(crate) frames: Option<u64>,
    pub(crate) realtime: bool,
    pub(crate) skip_unchanged: bool,
    /// Keep the packets for a look at them.
    pub(crate) keep: bool,
    pub(super) writers: Vec<Box<dyn StreamWriter>>,
}

/// What a job came to.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) stats: SessionStats,
    pub(crate) stream: StreamInfo,
    pub(crate) written: Written,
    /// Frames taken from the source.
    pub(crate) frames: u64,
    pub(crate) wall: Duration,
    pub(crate) cpu: CpuTime,
    pub(crate) interrupted: bool,
}

/// Runs the job to its end, which may be the user's wish.
pub(crate) fn run(job: Job<'_>, context: &Context) -> Result<Done, Failure> {
    let Job {
        reader,
        mut ring,
        choice,
        stage,
        encoder,
        rate,
        frames,
        realtime,
        skip_unchanged,
        keep,
        writers,
    } = job;
    let modifier = ring.modifier();
    let device = &choice.chosen.candidate.device;
    let open = |e| Failure::new(Exit::NoEncoder, e);
    let stager = choice.backend.open(device, &stage).map_err(open)?;
    let mut config = if realtime {
        SessionConfig::live()
    } else {
        SessionConfig::every_frame()
    };
    config.skip_unchanged = skip_unchanged;
    let session = Session::start(stager, config).map_err(session_failure)?;
    let (sink, files) = writer::start(writers, keep)?;
    let stream = session
        .add_stream(encoder, Box::new(sink))
        .map_err(session_failure)?;
    let granted = session.stream(stream).map_err(session_failure)?;

    let bar = context.console.progress(frames, "encoding");
    let (begun, cpu) = (Instant::now(), CpuTime::now());
    let mut taken = 0;
    let fed = loop {
        let at_end = frames.is_some_and(|frames| taken >= frames);
        if at_end || context.interrupt.asked() || files.has_ended() {
            break Ok(());
        }
        if realtime && !pace(begun, due(taken, rate), &|| context.interrupt.asked()) {
            break Ok(());
        }
        match feed(&session, reader, &mut ring, taken, rate) {
            Ok(true) => taken += 1,
            Ok(false) => break Ok(()),
            Err(failure) => break Err(failure),
        }
        bar.set_position(taken);
    };
    bar.finish_and_clear();
    files.source_ends_at(due(taken, rate));
    let interrupted = context.interrupt.asked();
    let finished = session.finish(DRAIN_LIMIT);
    let (wall, cpu) = (begun.elapsed(), CpuTime::now().since(cpu));
    let (written, outcome) = join(files, &finished);
    // What failed first is what to report: the disk, the encoder, the source.
    let written = written?;
    let partial = |failure: Failure| match written.frames.len() {
        0 => failure,
        frames => failure.hint(format_args!(
            "the output is whole as far as it goes: {frames} frames, up to this error"
        )),
    };
    judge(&outcome).map_err(partial)?;
    fed.map_err(partial)?;
    let stats = finished.map_err(session_failure).map_err(partial)?;
    let count = stats.frames.failed;
    if count > 0 && written.frames.is_empty() {
        let why = stats.first_failure.as_deref().unwrap_or("no reason given");
        return Err(unstaged(count, why, reader, modifier, &granted));
    }
    if count > 0 {
        context.console.warn(&match &stats.first_failure {
            Some(why) => format!("{count} frames could not be staged: {why}"),
            None => format!("{count} frames could not be staged"),
        });
    }
    if written.frames.is_empty() {
        return Err(if interrupted {
            interrupted_early()
        } else {
            Failure::input("the source has no frames")
        });
    }
    Ok(Done {
        stats,
        stream: outcome.stream.map_or(granted, |stream| (*stream).clone()),
        written,
        frames: taken,
        wall,
        cpu,
        interrupted,
    })
}

/// The user's wish came before there was anything to keep.
pub(super) fn interrupted_early() -> Failure {
    Failure::new(
        Exit::Interrupted,
        "interrupted before the first frame was coded: nothing was written",
    )
}

/// The pictures that a converter makes for `chroma`.
pub(super) const fn target(chroma: Chroma) -> PictureFormat {
    match chroma {
        Chroma::C444 => PictureFormat::I444,
        _ => PictureFormat::I420,
    }
}

/// None of `count` frames became a picture: why, and what may help.
fn unstaged(
    count: u64,
    why: &str,
    reader: &dyn FrameReader,
    modifier: Modifier,
    stream: &StreamInfo,
) -> Failure {
    let fourcc = reader.fourcc();
    let failure = |why: &dyn std::fmt::Display| {
        Failure::input(format_args!(
            "none of {count} frames could be staged: {why}"
        ))
    };
    if !Converter::supports(fourcc, target(stream.chroma)) {
        let why = format_args!("there is no conversion from {fourcc} to {}", stream.chroma);
        return failure(&why).hint("-v says why for each frame");
    }
    let failure = failure(&why);
    if modifier.is_linear() {
        failure.hint("-v says why for each frame")
    } else {
        failure.hint(
            "give --memory gbm:NODE:LINEAR, or an encoder that the GPU copies to: --require-path gpu-copy",
        )
    }
}

/// Hands the next frame over; false at the source's end.
fn feed(
    session: &Session,
    reader: &mut dyn FrameReader,
    ring: &mut Ring,
    number: u64,
    rate: FrameRate,
) -> Result<bool, Failure> {
    let Some(picture) = reader.next_frame().map_err(|e| source::failed(&e))? else {
        return Ok(false);
    };
    let (buffer, release) = ring.draw(&picture, BUFFER_LIMIT)?;
    let mut frame = Frame::new(number, buffer, picture.damage, due(number, rate));
    frame.acquire = ring.acquire();
    match session.submit(frame, release) {
        // Why it is closed, its end will tell.
        Ok(()) | Err(SubmitError::Closed) => Ok(true),
        Err(error) => Err(Failure::new(Exit::Encoder, error)),
    }
}

/// When frame `number` is shown.
fn due(number: u64, rate: FrameRate) -> Duration {
    let nanos = u128::from(number) * u128::from(rate.den.get()) * 1_000_000_000
        / u128::from(rate.num.get());
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Sleeps until `due` after `begun`; false when the user wants an end before.
fn pace(begun: Instant, due: Duration, asked: &dyn Fn() -> bool) -> bool {
    loop {
        let left = due.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return true;
        }
        if asked() {
            return false;
        }
        std::thread::sleep(left.min(Duration::from_millis(50)));
    }
}

fn join(
    files: WriterThread,
    finished: &Result<SessionStats, SessionError>,
) -> (Result<Written, Failure>, Outcome) {
    if let Err(SessionError::FinishTimedOut { stuck: true, limit }) = finished {
        // The session's thread holds the queue and does not come back.
        let failure = Failure::new(
            Exit::Encoder,
            format_args!(
                "the encoder did not finish within {limit:?}: a call into it does not come back"
            ),
        )
        .hint("the output is not complete");
        return (Err(failure), Outcome::default());
    }
    files.join()
}

/// Whether the stream came to a good end.
fn judge(outcome: &Outcome) -> Result<(), Failure> {
    match &outcome.ended {
        None | Some(Ok(())) => Ok(()),
        Some(Err(error)) => Err(stream_failure(error)),
    }
}

fn stream_failure(error: &StreamError) -> Failure {
    let failure = Failure::new(Exit::Encoder, error);
    match error {
        StreamError::Sink(_) => Failure::new(Exit::Output, error),
        StreamError::Encode(EncodeError::Stalled { .. }) => failure.hint("try another --encoder"),
        _ => failure,
    }
}

fn session_failure(error: SessionError) -> Failure {
    let exit = match &error {
        SessionError::Open(_) => Exit::NoEncoder,
        SessionError::System { .. } | SessionError::Panicked(_) => Exit::Internal,
        _ => Exit::Encoder,
    };
    Failure::new(exit, error)
}
