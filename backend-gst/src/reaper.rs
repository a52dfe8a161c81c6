//! Where pipelines are taken down: off the caller's thread, because an
//! element's way to NULL may wait for a driver for ever.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use gstreamer::prelude::*;

/// A pipeline that is not down after this time is given up. Software encoders
/// join their threads within a picture's time; a driver that takes seconds to
/// free its surfaces is still served.
const LIMIT: Duration = Duration::from_secs(5);

enum Job {
    TakeDown(gstreamer::Pipeline),
    Tell(Sender<()>),
}

static QUEUE: OnceLock<Mutex<Sender<Job>>> = OnceLock::new();
static GIVEN_UP: AtomicUsize = AtomicUsize::new(0);

/// Takes `pipeline` down soon, on the reaper's thread.
pub(crate) fn take_down(pipeline: gstreamer::Pipeline) {
    let left = match send(Job::TakeDown(pipeline)) {
        Ok(()) => return,
        Err(Job::TakeDown(pipeline)) => pipeline,
        Err(Job::Tell(_)) => return,
    };
    // No thread can be had: the one at hand has to do it.
    tracing::warn!("no reaper thread, taking a pipeline down in place");
    bring_to_null(&left);
}

/// Pipelines that did not come down in time, ever: each is a leak, reported in
/// the log as it happens.
pub fn given_up() -> usize {
    GIVEN_UP.load(Ordering::Relaxed)
}

/// Waits until everything handed over so far is down; false when `limit` has
/// passed before that. For orderly ends of programs and tests.
pub fn settle(limit: Duration) -> bool {
    let (tell, told) = mpsc::channel();
    send(Job::Tell(tell)).is_ok() && told.recv_timeout(limit).is_ok()
}

fn send(job: Job) -> Result<(), Job> {
    let queue = QUEUE.get_or_init(|| {
        let (sender, receiver) = mpsc::channel();
        let spawned = std::thread::Builder::new()
            .name("scanout-reaper".to_owned())
            .spawn(move || reap(&receiver));
        if let Err(error) = spawned {
            tracing::error!(%error, "the reaper's thread does not start");
        }
        Mutex::new(sender)
    });
    queue
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .send(job)
        .map_err(|mpsc::SendError(job)| job)
}

/// Hands each pipeline to a worker thread and leaves the worker behind when it
/// gets stuck.
fn reap(jobs: &Receiver<Job>) {
    let mut worker: Option<(Sender<gstreamer::Pipeline>, Receiver<()>)> = None;
    while let Ok(job) = jobs.recv() {
        let pipeline = match job {
            Job::TakeDown(pipeline) => pipeline,
            Job::Tell(tell) => {
                // Nobody waits any more: their limit has passed.
                let _ = tell.send(());
                continue;
            }
        };
        let name = pipeline.name();
        let started = Instant::now();
        let (work, done) = worker.take().unwrap_or_else(start_worker);
        if let Err(mpsc::SendError(pipeline)) = work.send(pipeline) {
            tracing::warn!("no reaping worker, taking a pipeline down in place");
            bring_to_null(&pipeline);
            continue;
        }
        match done.recv_timeout(LIMIT) {
            Ok(()) => worker = Some((work, done)),
            Err(RecvTimeoutError::Disconnected) => {
                tracing::error!(pipeline = %name, "taking a pipeline down panicked");
            }
            Err(RecvTimeoutError::Timeout) => {
                GIVEN_UP.fetch_add(1, Ordering::Relaxed);
                tracing::error!(pipeline = %name, waited = ?started.elapsed(), "a pipeline does not come down and is given up");
            }
        }
    }
}

fn start_worker() -> (Sender<gstreamer::Pipeline>, Receiver<()>) {
    let (work, jobs) = mpsc::channel::<gstreamer::Pipeline>();
    let (tell, done) = mpsc::channel();
    let spawned = std::thread::Builder::new()
        .name("scanout-reaping".to_owned())
        .spawn(move || {
            while let Ok(pipeline) = jobs.recv() {
                bring_to_null(&pipeline);
                drop(pipeline);
                if tell.send(()).is_err() {
                    return;
                }
            }
        });
    if let Err(error) = spawned {
        tracing::error!(%error, "a reaping worker does not start");
    }
    (work, done)
}

fn bring_to_null(pipeline: &gstreamer::Pipeline) {
    if let Err(error) = pipeline.set_state(gstreamer::State::Null) {
        tracing::warn!(pipeline = %pipeline.name(), %error, "a pipeline refuses to come down");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Condvar};

    use super::*;

    #[test]
    fn a_pipeline_that_does_not_come_down_is_given_up_and_the_next_comes_down() {
        gstreamer::init().unwrap();
        let stuck = Arc::new((Mutex::new(true), Condvar::new()));
        let make = |stuck: Option<Arc<(Mutex<bool>, Condvar)>>| {
            let pipeline = gstreamer::Pipeline::new();
            let element = |name| gstreamer::ElementFactory::make(name).build().unwrap();
            let (source, sink) = (element("fakesrc"), element("fakesink"));
            pipeline.add_many([&source, &sink]).unwrap();
            source.link(&sink).unwrap();
            let (tell, told) = mpsc::channel();
            let pad = source.static_pad("src").unwrap();
            pad.add_probe(gstreamer::PadProbeType::BUFFER, move |_, _| {
                let _ = tell.send(());
                if let Some(stuck) = &stuck {
                    let held = stuck.0.lock().unwrap();
                    drop(stuck.1.wait_while(held, |held| *held).unwrap());
                }
                gstreamer::PadProbeReturn::Ok
            });
            pipeline.set_state(gstreamer::State::Playing).unwrap();
            told.recv_timeout(LIMIT).unwrap();
            pipeline
        };
        take_down(make(Some(Arc::clone(&stuck))));
        let next = make(None);
        take_down(next.clone());
        assert!(settle(2 * LIMIT), "the stuck one stopped the reaper");
        assert_eq!(given_up(), 1);
        assert_eq!(next.current_state(), gstreamer::State::Null);
        *stuck.0.lock().unwrap() = false;
        stuck.1.notify_all();
    }
}
