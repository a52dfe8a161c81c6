//! The thread that drivers are called on, one frame at a time.

use std::os::fd::BorrowedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use scanout_core::encoder::{
    Adjustment, Bitrate, Encoder, EncoderConfig, Frame, FrameRate, PacketBytes, Picture,
    PictureRequest, RateControl, StageConfig, StageEvent, Stager,
};
use scanout_core::geometry::Size;

use super::SyncConfig;

/// A source that is not read within this, or a packet that does not come out, is given
/// up, and the encoder with it. Callers have long gone on.
const GIVE_UP: Duration = Duration::from_secs(5);

/// Longest sleep between two looks at the clock.
const NAP: Duration = Duration::from_millis(50);

/// One frame to be coded.
pub(super) struct Order {
    pub(super) frame: Frame,
    pub(super) keyframe: bool,
    pub(super) bitrate: Bitrate,
}

#[derive(Debug)]
pub(super) enum News {
    Opened,
    /// The frame's source is no longer read: it lies in a picture of ours.
    Read(u64),
    /// The frame could not be staged; its source is no longer read.
    NotStaged(u64, String),
    /// The frame's packet, which is the last word about it.
    Coded(u64, PacketBytes, bool),
    /// Nothing follows.
    Ended(String),
}

/// What the pump cannot go on after.
struct Failed(String);

impl<E: std::fmt::Display> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// A running encoder for frames of one size.
pub(super) struct Pump {
    pub(super) size: Size,
    orders: SyncSender<Order>,
    news: Receiver<News>,
}

/// Counts a pump as long as its thread runs.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Pump {
    /// Starts the thread, which opens the encoder at once.
    pub(super) fn start(
        config: &SyncConfig,
        size: Size,
        bitrate: Bitrate,
        alive: &Arc<AtomicUsize>,
    ) -> std::io::Result<Self> {
        let (orders, receiver) = sync_channel(1);
        let (sender, news) = channel();
        let config = config.clone();
        alive.fetch_add(1, Ordering::AcqRel);
        let counted = Counted(Arc::clone(alive));
        let thread = std::thread::Builder::new().name("scanout-sync".to_owned());
        thread.spawn(move || {
            let _counted = counted;
            let body = || run(&config, size, bitrate, &receiver, &sender);
            let why = match catch_unwind(AssertUnwindSafe(body)) {
                Ok(Ok(())) => return,
                Ok(Err(Failed(why))) => why,
                Err(_) => "a backend panicked".to_owned(),
            };
            // Nobody listens where the caller has closed it meanwhile.
            let _ = sender.send(News::Ended(why));
        })?;
        Ok(Self { size, orders, news })
    }

    /// False while the frame before has not been taken.
    pub(super) fn order(&self, order: Order) -> bool {
        match self.orders.try_send(order) {
            Ok(()) => true,
            // Of a thread that has ended the news tell.
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }

    /// What happened, waited for until `deadline` at most.
    pub(super) fn news(&self, deadline: Instant) -> Option<News> {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.news.recv_timeout(left) {
            Ok(news) => Some(news),
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => None,
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => {
                Some(News::Ended("its thread has ended".to_owned()))
            }
        }
    }

    /// Ends the thread; true when it has by `deadline`.
    pub(super) fn end(self, deadline: Instant) -> bool {
        let Self { orders, news, .. } = self;
        drop(orders);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match news.recv_timeout(left) {
                Ok(_) => {}
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return true,
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => return false,
            }
        }
    }
}

fn run(
    config: &SyncConfig,
    size: Size,
    bitrate: Bitrate,
    orders: &Receiver<Order>,
    news: &Sender<News>,
) -> Result<(), Failed> {
    let choice = &config.encoder;
    let mut stage = StageConfig::new(size);
    stage.chroma = choice.chroma;
    let preferred = || choice.codec.preferred_color(size);
    stage.color = choice.color.unwrap_or_else(preferred);
    stage.max_path = choice.max_path;
    let mut coder = EncoderConfig::new(choice.codec);
    coder.encoder = Some(choice.encoder.clone());
    coder.rate = RateControl::constant(bitrate);
    coder.bitrate_ceiling = Some(config.bitrate);
    coder.frame_rate = FrameRate::whole(config.fps.get());
    let mut stager = choice.backend.open(&choice.device, &stage)?;
    let mut encoder = stager.encoder(&coder)?;
    let mut rate = bitrate;
    news.send(News::Opened)?;
    while let Ok(order) = orders.recv() {
        let number = order.frame.number;
        let Some(picture) = staged(&mut *stager, order.frame, news)? else {
            continue;
        };
        if order.bitrate != rate {
            rate = order.bitrate;
            if let Err(error) = encoder.adjust(&Adjustment::bitrate(rate)) {
                tracing::warn!(%rate, %error, "rate not changed");
            }
        }
        let request = if order.keyframe {
            PictureRequest::keyframe()
        } else {
            PictureRequest::plain()
        };
        let (bytes, keyframe) = coded(&mut *encoder, &picture, &request)?;
        news.send(News::Coded(number, bytes, keyframe))?;
    }
    Ok(())
}

/// The frame's picture; `None` where that frame failed and the next need not.
fn staged(
    stager: &mut dyn Stager,
    frame: Frame,
    news: &Sender<News>,
) -> Result<Option<Picture>, Failed> {
    let number = frame.number;
    let begun = Instant::now();
    while stager.room() == 0 {
        // A surface comes back when the encoder lets go of it.
        let _ = stager.poll()?;
        wait(stager.wake(), begun, "no surface came back")?;
    }
    if let Err(error) = stager.stage(frame) {
        news.send(News::NotStaged(number, error.to_string()))?;
        return if error.is_device_lost() {
            Err(error.into())
        } else {
            Ok(None)
        };
    }
    loop {
        match stager.poll()? {
            None => wait(stager.wake(), begun, "a source was not read")?,
            // A fence is the GPU's promise; the caller takes none, so that it is kept here.
            Some(StageEvent::SourceFree(_, fence)) => {
                if let Some(fence) = fence {
                    fence.wait(GIVE_UP)?;
                }
                news.send(News::Read(number))?;
            }
            Some(StageEvent::Ready(_, picture)) => return Ok(Some(picture)),
            Some(StageEvent::Failed(_, error)) => {
                news.send(News::NotStaged(number, error.to_string()))?;
                return if error.is_device_lost() {
                    Err(error.into())
                } else {
                    Ok(None)
                };
            }
            // Nothing was asked to look for that; the picture would be missing all the same.
            Some(StageEvent::Unchanged(_)) => {
                let why = "the stager says that nothing has changed".to_owned();
                news.send(News::NotStaged(number, why))?;
                return Ok(None);
            }
            Some(_) => {}
        }
    }
}

fn coded(
    encoder: &mut dyn Encoder,
    picture: &Picture,
    request: &PictureRequest,
) -> Result<(PacketBytes, bool), Failed> {
    let begun = Instant::now();
    let id = encoder.encode(picture, request)?;
    loop {
        match encoder.poll()? {
            Some(packet) if packet.picture == id => return Ok((packet.bytes, packet.keyframe)),
            Some(_) => {}
            None => wait(encoder.wake(), begun, "no packet came out")?,
        }
    }
}

/// Sleeps until `wake` is readable, a little at most.
fn wait(wake: BorrowedFd<'_>, begun: Instant, what: &str) -> Result<(), Failed> {
    if begun.elapsed() >= GIVE_UP {
        return Err(Failed(format!("{what} within {GIVE_UP:?}")));
    }
    let nap = Timespec {
        tv_sec: 0,
        tv_nsec: NAP.subsec_nanos().into(),
    };
    // An interrupted or failed poll is a spurious wake-up.
    let _ = poll(
        &mut [PollFd::from_borrowed_fd(wake, PollFlags::IN)],
        Some(&nap),
    );
    Ok(())
}
