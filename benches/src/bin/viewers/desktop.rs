//! The mixed desktop to one client: does every change come, at the full rate?

use std::num::NonZeroU32;
use std::time::Duration;

use scanout_benches::Error;
use scanout_benches::clock::{Percentiles, cpu_time};
use scanout_core::geometry::Size;
use scanout_core::session::Summary;
use scanout_spice::server::Sharing;
use scanout_spice::stream::GlStreamStats;
use scanout_trace::desktop::Scenario;
use serde::Serialize;

use super::Aim;
use super::player::Player;
use super::recording::Recording;
use super::serving::{Serving, first_picture, judge, ms};

/// Before the desktop begins, and after its end: pictures on their way arrive.
const SETTLE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) size: Size,
    pub(crate) fps: u32,
    pub(crate) length: Duration,
}

#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) work: String,
    /// Ticks of the producer's rate that it missed.
    pub(crate) missed_ticks: u64,
    /// Draws, of frames in which something changed.
    pub(crate) drawn: u64,
    /// Draws answered without a staging of their own or another's.
    pub(crate) unstaged: u64,
    /// Stagings; fewer than draws where several were staged together.
    pub(crate) stagings: u64,
    /// Stagings in which no pixel had changed.
    pub(crate) unchanged: u64,
    /// Pictures coded.
    pub(crate) coded: u64,
    /// Pictures that the client got.
    pub(crate) received: u64,
    /// Changes that reached the client with another's picture, or not at all.
    pub(crate) skipped: u64,
    /// Between two draws.
    pub(crate) draw_gaps: Percentiles,
    /// Between two pictures at the client.
    pub(crate) picture_gaps: Percentiles,
    /// From a draw until the client had its picture; where each draw has one.
    pub(crate) draw_to_picture: Option<Percentiles>,
    pub(crate) drawing: Percentiles,
    pub(crate) hold: Percentiles,
    pub(crate) work_ms: Summary,
    pub(crate) pacing_ms: Summary,
    /// Seconds into the run, bits per second asked of the encoder; where it changed.
    pub(crate) targets: Vec<(f64, u64)>,
    pub(crate) lowest_target_bps: u64,
    pub(crate) highest_target_bps: u64,
    pub(crate) received_bps: f64,
    /// Encoders that fed the client, at the most at a time.
    pub(crate) most_groups: usize,
    /// Of producer, server, encoder and client together.
    pub(crate) cores_used: f64,
}

impl Row {
    pub(crate) fn aims(&self) -> [Aim; 2] {
        let lowered = self.highest_target_bps - self.lowest_target_bps;
        [
            Aim::at_most("desktop: frames skipped", 0.0, self.skipped as f64),
            Aim::at_most(
                "desktop: bits/s by which the target was lowered",
                0.0,
                lowered as f64,
            ),
        ]
    }
}

/// Counts that began at the stream's start, since `before`.
struct Counts {
    draws: u64,
    unstaged: u64,
    stagings: u64,
    unchanged: u64,
    coded: u64,
}

impl Counts {
    fn of(stats: &GlStreamStats) -> Self {
        Self {
            draws: stats.draws,
            unstaged: stats.unstaged,
            stagings: stats.stagings,
            unchanged: stats.unchanged,
            coded: stats.groups.iter().map(|group| group.pictures).sum(),
        }
    }
}

pub(crate) fn run(
    settings: Settings,
    threads: Option<NonZeroU32>,
    violations: &mut Vec<String>,
) -> Result<Row, Error> {
    let Settings { size, fps, length } = settings;
    eprintln!("drawing the desktop at {size} and {fps} fps ...");
    let recording = Recording::draw(size, Scenario::Mixed, fps)?;
    let serving = Serving::start(threads, Sharing::Takeover)?;
    let mut player = Player::new(&recording, &serving.stream)?;
    let client = serving.connect(None)?;
    first_picture(&client)?;
    std::thread::sleep(SETTLE);
    let display = client.display(0).ok_or("no display")?;
    let received = || display.look(|log| log.pictures().count());
    let before = (Counts::of(&serving.stream.stats()), received());

    let (cpu, began) = (cpu_time(), std::time::Instant::now());
    let mut targets: Vec<(f64, u64)> = Vec::new();
    let mut most_groups = 0;
    let played = player.play(&serving.stream, length, |at| {
        let groups = serving.stream.stats().groups;
        most_groups = most_groups.max(groups.len());
        // Where there are several, the client is between them: the lowest counts.
        let target = groups.iter().map(|group| group.target.as_bps()).min();
        if let Some(target) = target
            && targets.last().is_none_or(|(_, last)| *last != target)
        {
            targets.push((at.as_secs_f64(), target));
        }
    })?;
    let cores_used = (cpu_time() - cpu).as_secs_f64() / began.elapsed().as_secs_f64();
    std::thread::sleep(SETTLE);

    let stats = serving.stream.stats();
    let after = Counts::of(&stats);
    let (gaps, bytes, arrived) = display.look(|log| {
        let new = || log.pictures().skip(before.1);
        let gaps: Vec<_> = new()
            .zip(new().skip(1))
            .map(|(a, b)| ms(b.at - a.at))
            .collect();
        (
            gaps,
            new().map(|p| p.size).sum::<usize>(),
            new().map(|p| p.at).collect::<Vec<_>>(),
        )
    });
    judge("desktop", &client, violations);
    drop(client);
    serving.stop()?;

    let before = before.0;
    let unchanged = after.unchanged - before.unchanged;
    let drawn = after.draws - before.draws;
    let pairs = played.drawn.iter().zip(played.drawn.iter().skip(1));
    let draw_gaps: Vec<_> = pairs.map(|(a, b)| ms(*b - *a)).collect();
    let count = arrived.len();
    let delays = played
        .drawn
        .iter()
        .zip(&arrived)
        .map(|(drawn, at)| ms(*at - *drawn));
    let draw_to_picture =
        (count == played.drawn.len()).then(|| Percentiles::of(&delays.collect::<Vec<_>>()));
    let of_targets = || targets.iter().map(|(_, bps)| *bps);
    Ok(Row {
        work: format!(
            "{} s of desktop:mixed at {size} and {fps} fps (a cycle of {} frames, {} of them changing, {} MB of changes drawn beforehand), one memfd that is drawn again and again",
            length.as_secs(),
            recording.frames(),
            recording.changing(),
            recording.bytes() / 1_000_000,
        ),
        missed_ticks: played.missed,
        drawn,
        unstaged: after.unstaged - before.unstaged,
        stagings: after.stagings - before.stagings,
        unchanged,
        coded: after.coded.saturating_sub(before.coded),
        received: count as u64,
        skipped: (drawn - unchanged).saturating_sub(count as u64),
        draw_gaps: Percentiles::of(&draw_gaps),
        picture_gaps: Percentiles::of(&gaps),
        draw_to_picture,
        drawing: Percentiles::of(&played.drawing),
        hold: Percentiles::of(&played.held),
        work_ms: stats.work,
        pacing_ms: stats.pacing,
        lowest_target_bps: of_targets().min().unwrap_or(0),
        highest_target_bps: of_targets().max().unwrap_or(0),
        targets,
        received_bps: bytes as f64 * 8.0 / length.as_secs_f64(),
        most_groups,
        cores_used,
    })
}
