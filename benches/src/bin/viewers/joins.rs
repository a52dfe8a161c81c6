//! Clients that come one after another to a desktop on which nothing happens.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use scanout_benches::Error;
use scanout_benches::clock::{Percentiles, waited_for_cores};
use scanout_core::geometry::Size;
use scanout_spice::server::Sharing;
use scanout_spice_client::Event;
use scanout_trace::desktop::Scenario;
use serde::Serialize;

use super::Aim;
use super::player::Player;
use super::recording::Recording;
use super::serving::{Serving, first_picture, judge, ms};

/// Between two clients, so that what the one before has left behind is gone.
const PAUSE: Duration = Duration::from_millis(20);
/// Keys for links to come: nobody waits for that thread here.
const KEYS_THREAD: &str = "scanout-keys";

/// What the client before does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum How {
    /// It has left, and the encoder is closed.
    AfterTheLast,
    /// It looks still, and is disconnected.
    TakingOver,
}

#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) how: How,
    pub(crate) size: String,
    pub(crate) joins: usize,
    /// DISPLAY INIT about to be written, until the first picture's last byte was read.
    pub(crate) init_to_picture: Percentiles,
    /// Of that, until the stream was announced: the surface, and the keyframe is there.
    pub(crate) init_to_stream: Percentiles,
    /// First byte sent for main's link, until the first picture's last byte was read.
    pub(crate) connect_to_picture: Percentiles,
    /// Of that, until INIT: the links of two channels.
    pub(crate) connect_to_init: Percentiles,
    /// What the process's threads waited for a core meanwhile, all together; those that
    /// have ended by then do not count.
    pub(crate) core_wait: Percentiles,
    /// Each `init_to_picture` in turn, with the waiting for cores.
    pub(crate) each: Vec<(f64, f64)>,
}

impl Row {
    pub(crate) fn name(&self) -> &'static str {
        match self.how {
            How::AfterTheLast => "the one before has left",
            How::TakingOver => "takeover",
        }
    }

    pub(crate) fn aim(&self) -> Aim {
        let what = format!("join to an idle source, {}: p99 ms", self.name());
        Aim::at_most(&what, 50.0, self.init_to_picture.p99)
    }
}

pub(crate) fn run(
    size: Size,
    threads: Option<NonZeroU32>,
    how: How,
    joins: usize,
    violations: &mut Vec<String>,
) -> Result<Row, Error> {
    let serving = Serving::start(threads, Sharing::Takeover)?;
    // A frame a second: only the first is shown.
    let recording = Recording::draw(size, Scenario::Idle, 1)?;
    let _player = Player::new(&recording, &serving.stream)?;
    let (mut pictures, mut streams) = (Vec::new(), Vec::new());
    let (mut whole, mut links) = (Vec::new(), Vec::new());
    let mut before = None;
    // One more: the first loads the encoder's library.
    for join in 0..=joins {
        if how == How::AfterTheLast {
            drop(before.take());
            serving.wait_for_nobody()?;
        }
        serving.wait_for_keys()?;
        std::thread::sleep(PAUSE);
        let waited = waited_for_cores(KEYS_THREAD)?;
        let begun = Instant::now();
        let client = serving.connect(None)?;
        let picture = first_picture(&client)?;
        let waited = waited_for_cores(KEYS_THREAD)?.saturating_sub(waited);
        let display = client.display(0).ok_or("no display")?;
        let (init, stream) = display.look(|log| {
            let mut records = log.records.iter();
            let stream = records.find(|r| matches!(r.event, Event::StreamCreated(_)));
            (log.first_sent, stream.map(|record| record.at))
        });
        let (init, stream) = init.zip(stream).ok_or("a picture without INIT or stream")?;
        if join > 0 {
            pictures.push((ms(picture.at - init), ms(waited)));
            streams.push(ms(stream - init));
            whole.push(ms(picture.at - begun));
            links.push(ms(init - begun));
        }
        judge("joins", &client, violations);
        before = Some(client);
    }
    drop(before);
    serving.stop()?;
    let first = |values: &[(f64, f64)]| values.iter().map(|(first, _)| *first).collect::<Vec<_>>();
    let waits: Vec<_> = pictures.iter().map(|(_, waited)| *waited).collect();
    Ok(Row {
        how,
        size: size.to_string(),
        joins,
        init_to_picture: Percentiles::of(&first(&pictures)),
        init_to_stream: Percentiles::of(&streams),
        connect_to_picture: Percentiles::of(&whole),
        connect_to_init: Percentiles::of(&links),
        core_wait: Percentiles::of(&waits),
        each: pictures,
    })
}
