//! What the encoders of a machine can really do: each one that is advertised
//! is opened, given a few frames, and judged by what comes out.
//!
//! This runs in the calling process. A driver that crashes takes the process
//! with it; one that hangs is given up after [`ProbeOptions::limit`] where its
//! calls return at all.

mod trial;

use std::time::Duration;

use serde::Serialize;

use crate::encoder::{Backend, BackendName, Capabilities, Device, EncoderCaps, PathClass};
use crate::geometry::Size;
use trial::trial;

/// Version of the report's form; counts up when a field changes its meaning.
pub const SCHEMA: u32 = 1;

/// How thoroughly to look.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ProbeOptions {
    /// Encode for real; without it the report holds what is advertised.
    pub trial: bool,
    /// Size of the trial's pictures.
    pub size: Size,
    /// Pictures per trial.
    pub frames: u32,
    /// Longest wait for any single step of a trial.
    pub limit: Duration,
}

impl Default for ProbeOptions {
    /// Ten pictures of 640x360, five seconds per step.
    fn default() -> Self {
        Self {
            trial: true,
            size: Size::new(640, 360),
            frames: 10,
            limit: Duration::from_secs(5),
        }
    }
}

/// What a machine has.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ProbeReport {
    /// Version of this form, [`SCHEMA`].
    pub schema: u32,
    /// One row per encoder that is advertised.
    pub candidates: Vec<Candidate>,
    /// Backends and devices that could not even be asked.
    pub unavailable: Vec<Unavailable>,
}

/// A backend or device without an answer.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Unavailable {
    /// The backend.
    pub backend: BackendName,
    /// The device, where it came so far.
    pub device: Option<String>,
    /// Why.
    pub reason: String,
}

/// One encoder of one device through one backend.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Candidate {
    /// The backend.
    pub backend: BackendName,
    /// The device.
    pub device: Device,
    /// What is advertised.
    pub advertised: EncoderCaps,
    /// What the trial showed.
    pub verdict: Verdict,
}

/// The outcome of a trial.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Verdict {
    /// It encoded, and the stream is what was asked for.
    Verified(Verified),
    /// It did not.
    Failed {
        /// Why, in a sentence.
        reason: String,
    },
    /// No trial was made.
    Untried,
}

/// What a successful trial showed.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Verified {
    /// Opening the stager and the encoder, in milliseconds.
    pub open_ms: f64,
    /// First frame handed over until its packet was out, in milliseconds: some
    /// encoders do their set-up here.
    pub first_packet_ms: f64,
    /// Shortest time of a further frame in the encoder, in milliseconds, at the
    /// trial's size: the others measure what else the machine was doing.
    pub encode_ms: f64,
    /// Size of the trial's pictures.
    pub size: Size,
    /// Pictures that the encoder holds back before the first comes out.
    pub delay_frames: u32,
    /// Path that the pixels took.
    pub path: PathClass,
    /// RFC 6381 name of the stream.
    pub codec_string: Option<String>,
    /// The stream's headers say what the colours mean.
    pub color_in_headers: Option<bool>,
    /// Pictures that a decoder must hold back, where headers tell.
    pub reorder_depth: Option<u32>,
    /// A keyframe came when it was asked for.
    pub keyframe_on_request: bool,
    /// Settings that the encoder does not have.
    pub not_applied: Vec<String>,
}

/// Says how far a probe has come, for progress bars.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProbeProgress<'a> {
    /// What is tried now.
    pub encoder: &'a str,
    /// Trials finished.
    pub done: usize,
    /// Trials in all, as far as known.
    pub total: usize,
}

/// Asks every backend for its devices and encoders, and tries each.
pub fn probe(
    backends: &[Box<dyn Backend>],
    options: &ProbeOptions,
    progress: &mut dyn FnMut(ProbeProgress<'_>),
) -> ProbeReport {
    probe_while(backends, options, progress, &|| true)
}

/// Like [`probe`] as long as `go_on` says so, which is asked before each picture
/// of a trial. Encoders whose trial has not ended by then are
/// [`Untried`](Verdict::Untried).
pub fn probe_while(
    backends: &[Box<dyn Backend>],
    options: &ProbeOptions,
    progress: &mut dyn FnMut(ProbeProgress<'_>),
    go_on: &dyn Fn() -> bool,
) -> ProbeReport {
    let mut report = ProbeReport {
        schema: SCHEMA,
        candidates: Vec::new(),
        unavailable: Vec::new(),
    };
    let mut trials: Vec<(&dyn Backend, Device, EncoderCaps)> = Vec::new();
    for backend in backends {
        let backend = backend.as_ref();
        let mut refuse = |device: Option<&Device>, reason: String| {
            report.unavailable.push(Unavailable {
                backend: backend.name(),
                device: device.map(|d| d.id.clone()),
                reason,
            });
        };
        let devices = match backend.devices() {
            Ok(devices) => devices,
            Err(error) => {
                refuse(None, error.to_string());
                continue;
            }
        };
        for device in devices {
            match backend.capabilities(&device) {
                Ok(Capabilities { encoders, .. }) => {
                    trials.extend(encoders.into_iter().map(|e| (backend, device.clone(), e)));
                }
                Err(error) => refuse(Some(&device), error.to_string()),
            }
        }
    }
    let total = trials.len();
    for (done, (backend, device, advertised)) in trials.into_iter().enumerate() {
        progress(ProbeProgress {
            encoder: &advertised.name,
            done,
            total,
        });
        let verdict = if !options.trial || !go_on() {
            Verdict::Untried
        } else {
            match trial(backend, &device, &advertised, options, go_on) {
                Ok(verified) => Verdict::Verified(verified),
                Err(_) if !go_on() => Verdict::Untried,
                Err(reason) => Verdict::Failed { reason },
            }
        };
        report.candidates.push(Candidate {
            backend: backend.name(),
            device,
            advertised,
            verdict,
        });
    }
    report
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::noop::NoopBackend;

    fn verdict(prepare: impl FnOnce(&NoopBackend)) -> Verdict {
        let backend = NoopBackend::default();
        prepare(&backend);
        let options = ProbeOptions {
            limit: Duration::from_millis(20),
            ..ProbeOptions::default()
        };
        let mut seen = 0;
        let mut report = probe(&[Box::new(backend)], &options, &mut |_| seen += 1);
        assert_eq!((seen, report.candidates.len()), (1, 1));
        report.candidates.remove(0).verdict
    }

    #[test]
    fn a_probe_that_shall_end_does_so_before_the_next_picture() {
        // Asked before the trial, before each picture, and after a failure.
        for end_after in [0, 1, 4] {
            let backends: [Box<dyn Backend>; 2] = [
                Box::new(NoopBackend::default()),
                Box::new(NoopBackend::default()),
            ];
            let asked = std::cell::Cell::new(0);
            let go_on = || {
                asked.set(asked.get() + 1);
                asked.get() <= end_after
            };
            let report = probe_while(&backends, &ProbeOptions::default(), &mut |_| {}, &go_on);
            assert_eq!(report.candidates.len(), 2);
            let untried = |c: &Candidate| matches!(c.verdict, Verdict::Untried);
            assert!(report.candidates.iter().all(untried), "{end_after}");
            assert!(asked.get() <= end_after + 3, "{end_after}: {asked:?}");
        }
    }

    #[test]
    fn an_encoder_that_works_is_verified() {
        let Verdict::Verified(verified) = verdict(|_| {}) else {
            panic!("not verified");
        };
        assert_eq!(verified.delay_frames, 0);
        assert!(verified.keyframe_on_request);
    }

    #[test]
    fn an_encoder_that_does_not_work_fails_with_the_reason() {
        let reason = |verdict| match verdict {
            Verdict::Failed { reason } => reason,
            other => panic!("{other:?}"),
        };
        let stalled = verdict(|b| b.control.encode_stalls.store(true, Ordering::SeqCst));
        assert!(reason(stalled).contains("holds 1 pictures"));
        let failing = verdict(|b| b.control.encode_fails.store(true, Ordering::SeqCst));
        assert!(reason(failing).contains("asked to"));
        let stuck = verdict(|b| b.control.stage_hangs.store(true, Ordering::SeqCst));
        assert!(reason(stuck).contains("staging took too long"));
        let lost = verdict(|b| b.control.device_lost.store(true, Ordering::SeqCst));
        assert!(reason(lost).contains("device lost"));
    }
}
