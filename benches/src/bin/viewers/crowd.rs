//! Many viewers of one desktop, and one among them that stops reading.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use scanout_benches::Error;
use scanout_benches::clock::{Percentiles, cpu_time, median};
use scanout_core::geometry::Size;
use scanout_core::session::Summary;
use scanout_spice::server::Sharing;
use scanout_spice_client::Pace;
use scanout_trace::desktop::Scenario;
use serde::Serialize;

use super::Aim;
use super::player::Player;
use super::recording::Recording;
use super::serving::{Serving, first_picture, judge, ms};

/// Viewers that read, in both runs of a round.
const OTHERS: usize = 15;
/// Something changes in every frame, so that gaps are those of the pictures.
const SCENARIO: Scenario = Scenario::Drag;
/// When the one more stops reading.
const STALL: Duration = Duration::from_secs(2);
/// What the kernel may keep for it, so that it is felt soon.
const LITTLE: usize = 16 << 10;

#[derive(Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) size: Size,
    pub(crate) fps: u32,
    pub(crate) rounds: usize,
    pub(crate) length: Duration,
}

/// One run: the fifteen alone, or with one more that stalls.
#[derive(Serialize)]
pub(crate) struct Run {
    pub(crate) stalled: bool,
    pub(crate) drawn: usize,
    pub(crate) missed_ticks: u64,
    /// Of all others together, from when one stalls on.
    pub(crate) gaps: Percentiles,
    /// Pictures that each of the others got, the fewest and the most.
    pub(crate) pictures: (usize, usize),
    /// Of the whole run.
    pub(crate) work: Summary,
    /// Draw to answer, as the producer saw it, from when one stalls on.
    pub(crate) hold: Percentiles,
    pub(crate) cores_used: f64,
    /// Pictures that the stalled one had read at the end.
    pub(crate) stalled_pictures: Option<usize>,
    /// Encoders at a time, at most: a slow viewer may have one of its own.
    pub(crate) most_groups: usize,
}

#[derive(Serialize)]
pub(crate) struct Table {
    pub(crate) work: String,
    /// The fifteen alone, then with the one that stalls, in each round.
    pub(crate) rounds: Vec<[Run; 2]>,
}

impl Table {
    /// The median over rounds of one figure, alone and with the one that stalls.
    pub(crate) fn medians(&self, pick: impl Fn(&Run) -> f64) -> [f64; 2] {
        [0, 1].map(|which| {
            let values: Vec<_> = self.rounds.iter().map(|r| pick(&r[which])).collect();
            median(&values)
        })
    }

    pub(crate) fn aims(&self) -> [Aim; 2] {
        let worse = |pick: fn(&Run) -> f64| {
            let [alone, with] = self.medians(pick);
            (with - alone, (alone * 0.1).max(0.2))
        };
        let (gaps, bound) = worse(|run| run.gaps.p99);
        let gaps = Aim::at_most("crowd: p99 of the others' frame gaps, ms more", bound, gaps);
        let (work, bound) = worse(|run| run.work.p99_ms);
        let work = Aim::at_most("crowd: p99 of the source's hold work, ms more", bound, work);
        [gaps, work]
    }
}

pub(crate) fn run(
    settings: Settings,
    threads: Option<NonZeroU32>,
    violations: &mut Vec<String>,
) -> Result<Table, Error> {
    let Settings { size, fps, .. } = settings;
    eprintln!("drawing the desktop at {size} and {fps} fps ...");
    let recording = Recording::draw(size, SCENARIO, fps)?;
    let mut rounds = Vec::new();
    for round in 0..settings.rounds {
        let mut once = |stalled| one(&recording, settings.length, threads, stalled, violations);
        // The order alternates: what warms up does so for both.
        rounds.push(if round.is_multiple_of(2) {
            let alone = once(false)?;
            [alone, once(true)?]
        } else {
            let with = once(true)?;
            [once(false)?, with]
        });
    }
    Ok(Table {
        work: format!(
            "{OTHERS} viewers that read, {} s of desktop:{SCENARIO} at {size} and {fps} fps; then one more that stops reading after {} s",
            settings.length.as_secs(),
            STALL.as_secs()
        ),
        rounds,
    })
}

fn one(
    recording: &Recording,
    length: Duration,
    threads: Option<NonZeroU32>,
    stalled: bool,
    violations: &mut Vec<String>,
) -> Result<Run, Error> {
    let serving = Serving::start(threads, Sharing::Shared)?;
    let mut player = Player::new(recording, &serving.stream)?;
    let mut others = Vec::new();
    for _ in 0..OTHERS {
        let client = serving.connect(None)?;
        first_picture(&client)?;
        others.push(client);
    }
    let slow = stalled.then(|| serving.connect(Some(LITTLE))).transpose()?;
    if let Some(slow) = &slow {
        first_picture(slow)?;
    }
    let lead_in = player.play(&serving.stream, STALL, |_| {})?;
    if let Some(display) = slow.as_ref().and_then(|slow| slow.display(0)) {
        display.set_pace(Pace::Stalled);
    }
    let (since, cpu) = (Instant::now(), cpu_time());
    let mut most_groups = 0;
    let played = player.play(&serving.stream, length, |_| {
        most_groups = most_groups.max(serving.stream.stats().groups.len());
    })?;
    let cores_used = (cpu_time() - cpu).as_secs_f64() / since.elapsed().as_secs_f64();
    let stats = serving.stream.stats();

    let (mut gaps, mut counts) = (Vec::new(), Vec::new());
    for client in &others {
        let display = client.display(0).ok_or("no display")?;
        display.look(|log| {
            let new = || log.pictures().filter(|picture| picture.at >= since);
            gaps.extend(new().zip(new().skip(1)).map(|(a, b)| ms(b.at - a.at)));
            counts.push(new().count());
        });
    }
    let stalled_display = slow.as_ref().and_then(|slow| slow.display(0));
    let stalled_pictures = stalled_display.map(|d| d.look(|log| log.pictures().count()));
    for client in others.iter().chain(&slow) {
        judge("crowd", client, violations);
    }
    drop((others, slow));
    serving.stop()?;
    Ok(Run {
        stalled,
        drawn: played.drawn.len(),
        missed_ticks: lead_in.missed + played.missed,
        gaps: Percentiles::of(&gaps),
        pictures: (
            counts.iter().copied().min().unwrap_or(0),
            counts.iter().copied().max().unwrap_or(0),
        ),
        work: stats.work,
        hold: Percentiles::of(&played.held),
        cores_used,
        stalled_pictures,
        most_groups,
    })
}
