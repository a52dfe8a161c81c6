use std::fmt;
use std::ops::Deref;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arrayvec::ArrayVec;
use scanout_core::buffer::{DmaBuf, ImportError, Layout, Orientation, Plane};
use scanout_core::encoder::{Bitrate, Frame, PacketBytes};
use scanout_core::format::{Fourcc, Modifier};
use scanout_core::geometry::{Damage, Size};

use super::config::{SyncConfig, SyncEncoderError};
use super::pump::{News, Order, Pump};
use super::rate::Rate;
use crate::gl::{Report, VideoCodec};

/// Threads that a driver may keep from ending, of one encoder.
const MAX_PUMPS: usize = 4;

/// Longest wait before an encoder that failed is tried again.
const MAX_BACKOFF: Duration = Duration::from_secs(10);

/// What `encode_dmabuf` is given: one plane, as spice-server has it, and what that leaves out.
#[derive(Clone, Copy, Debug)]
pub struct DmabufFrame<'a> {
    /// The dma-buf; borrowed for the call.
    pub fd: BorrowedFd<'a>,
    /// Pixels.
    pub size: Size,
    /// Bytes from one row to the next.
    pub stride: u32,
    /// Bytes before the first row; 0 where nobody says.
    pub offset: u32,
    /// Pixel format.
    pub fourcc: Fourcc,
    /// Tiling; `None` where nobody says, and then it is linear or refused, as the
    /// [policy](SyncConfig::policy) has it.
    pub modifier: Option<Modifier>,
    /// Which way up.
    pub orientation: Orientation,
}

/// Coded bytes; to be dropped on the thread that encodes, after they were sent.
#[derive(Clone, Debug)]
pub struct VideoBytes {
    bytes: Option<PacketBytes>,
    keyframe: bool,
}

impl VideoBytes {
    const EMPTY: Self = Self {
        bytes: None,
        keyframe: false,
    };

    /// Decoding can start here.
    pub fn is_keyframe(&self) -> bool {
        self.keyframe
    }
}

impl Deref for VideoBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.as_deref().unwrap_or_default()
    }
}

/// What became of a frame.
#[derive(Debug)]
#[must_use = "without DONE it is the caller who has to free the frame"]
pub enum Outcome {
    /// `free` was called, once. The bytes are empty where the frame could not be coded
    /// after that: there is nothing to send then.
    Done(VideoBytes),
    /// Not coded, and `free` not called: the caller frees. The next frame may do better.
    Drop,
    /// Not coded, and `free` not called: the caller frees. The next frame of this kind will
    /// not do better soon; see [`SyncEncoder::last_error`].
    Unsupported,
}

/// An encoder that is called frame by frame on one thread.
///
/// # The rule
///
/// [`Outcome::Done`]: `free` was called exactly once, on the calling thread, before the
/// call returned and after the frame was read. [`Outcome::Drop`] and
/// [`Outcome::Unsupported`]: it was not called and never will be. An encode that fails after
/// the frame was freed is `Done` without bytes, never `Drop`. As `free` is `FnOnce` there is
/// no way to call it twice.
///
/// Whatever was lost on the way to the caller, the next bytes begin with a keyframe.
pub struct SyncEncoder {
    config: SyncConfig,
    codec: VideoCodec,
    rate: Rate,
    pump: Option<Pump>,
    opened: bool,
    alive: Arc<AtomicUsize>,
    number: u64,
    began: Option<u32>,
    /// The frame whose last word the pump has not said.
    inside: Option<u64>,
    /// The next packet must stand on its own: one before it was not delivered.
    keyframe: bool,
    /// The client has said that it cannot decode this codec.
    refused: bool,
    failures: u32,
    retry: Option<Instant>,
    last_error: Option<String>,
}

impl SyncEncoder {
    /// Takes note of what to open; that comes with the first frame, whose size counts.
    pub fn new(config: SyncConfig) -> Result<Self, SyncEncoderError> {
        let choice = &config.encoder;
        let codec = VideoCodec::of(choice.codec).ok_or_else(|| SyncEncoderError::Codec {
            encoder: choice.encoder.clone(),
            codec: choice.codec,
        })?;
        Ok(Self {
            codec,
            rate: Rate::new(config.bitrate),
            config,
            pump: None,
            opened: false,
            alive: Arc::default(),
            number: 0,
            began: None,
            inside: None,
            keyframe: true,
            refused: false,
            failures: 0,
            retry: None,
            last_error: None,
        })
    }

    /// What STREAM_CREATE has to say.
    pub fn codec(&self) -> VideoCodec {
        self.codec
    }

    /// The rate asked of the encoder.
    pub fn bit_rate(&self) -> Bitrate {
        self.rate.now()
    }

    /// The next packet is a keyframe.
    pub fn request_keyframe(&mut self) {
        self.keyframe = true;
    }

    /// A client's STREAM_REPORT. One that says that it cannot decode the codec makes every frame
    /// from here on [`Outcome::Unsupported`].
    pub fn client_stream_report(&mut self, report: &Report) {
        if report.frames == 0 && report.drops == u32::MAX {
            self.refused = true;
            let codec = self.codec;
            self.last_error = Some(format!("the client cannot decode {codec:?}"));
            return;
        }
        let margin = report.last_frame_delay_ms;
        self.rate
            .report(report.frames, report.drops, margin, Instant::now());
    }

    /// The caller had bytes that it did not send: the rate is lowered, and the next packet
    /// is a keyframe.
    pub fn notify_server_frame_drop(&mut self) {
        self.rate.cut(Instant::now());
        self.keyframe = true;
    }

    /// Why the last frame that was not coded was not.
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// Encodes `frame`, which is to be shown at `mm_time`. Returns within
    /// [`SyncConfig::limit`], but for what `free` itself takes. The first frame of a size may
    /// be dropped while an encoder for it is being opened.
    ///
    /// A frame that is dropped because its time is over may still be read for a moment, through a
    /// descriptor of our own; the picture is thrown away.
    pub fn encode_dmabuf(
        &mut self,
        mm_time: u32,
        frame: &DmabufFrame<'_>,
        free: impl FnOnce(),
    ) -> Outcome {
        let now = Instant::now();
        let deadline = now.checked_add(self.config.limit).unwrap_or(now);
        if self.refused {
            return Outcome::Unsupported;
        }
        let buffer = match self.import(frame) {
            Ok(buffer) => buffer,
            Err(error) => {
                self.last_error = Some(error.to_string());
                return Outcome::Unsupported;
            }
        };
        if let Err(outcome) = self.ready(frame.size, deadline) {
            return outcome;
        }
        self.number += 1;
        let number = self.number;
        let began = *self.began.get_or_insert(mm_time);
        let timestamp = Duration::from_millis(mm_time.wrapping_sub(began).into());
        let damage = Damage::full(frame.size);
        let order = Order {
            frame: Frame::new(number, buffer.into(), damage, timestamp),
            keyframe: self.keyframe,
            bitrate: self.rate.now(),
        };
        if !self.pump.as_ref().is_some_and(|pump| pump.order(order)) {
            return self.dropped("the encoder is busy with the frame before");
        }
        self.inside = Some(number);
        // Until its packet is in the caller's hands.
        self.keyframe = true;
        match self.last_word_or_read(number, deadline) {
            Some(News::Read(_)) => {}
            Some(News::NotStaged(_, why)) => return self.dropped(&why),
            Some(_) => return Outcome::Drop,
            None => return self.dropped("the frame was not read in time"),
        }
        free();
        // From here on it is `Done`, whatever comes.
        let Some(News::Coded(_, bytes, keyframe)) = self.last_word_or_read(number, deadline) else {
            return Outcome::Done(VideoBytes::EMPTY);
        };
        self.keyframe = false;
        self.failures = 0;
        Outcome::Done(VideoBytes {
            bytes: Some(bytes),
            keyframe,
        })
    }

    fn import(&self, frame: &DmabufFrame<'_>) -> Result<DmaBuf, ImportError> {
        let plane = Plane {
            object: 0,
            offset: frame.offset,
            stride: frame.stride,
        };
        let layout = Layout {
            fourcc: frame.fourcc,
            modifier: frame.modifier.unwrap_or(Modifier::INVALID),
            size: frame.size,
            planes: ArrayVec::from_iter([plane]),
        };
        let buffer = DmaBuf::import(&[frame.fd], &layout, &self.config.policy)?;
        Ok(buffer.with_orientation(frame.orientation))
    }

    fn dropped(&mut self, why: &str) -> Outcome {
        self.last_error = Some(why.to_owned());
        Outcome::Drop
    }

    /// An encoder for `size` that has nothing inside, or what to answer without one.
    fn ready(&mut self, size: Size, deadline: Instant) -> Result<(), Outcome> {
        if self.pump.as_ref().is_some_and(|pump| pump.size != size) {
            self.close();
            // Another size may well work where the one before did not.
            (self.failures, self.retry) = (0, None);
        }
        if self.pump.is_none() {
            if self.retry.is_some_and(|retry| Instant::now() < retry) {
                return Err(Outcome::Unsupported);
            }
            if self.alive.load(Ordering::Acquire) >= MAX_PUMPS {
                let why = "encoders of before are kept from ending by their driver";
                return Err(self.dropped(why));
            }
            match Pump::start(&self.config, size, self.rate.now(), &self.alive) {
                Ok(pump) => self.pump = Some(pump),
                Err(error) => return Err(self.dropped(&error.to_string())),
            }
            (self.opened, self.inside, self.keyframe) = (false, None, true);
        }
        while !self.opened || self.inside.is_some() {
            match self.news(deadline) {
                Some(News::Ended(_)) => return Err(Outcome::Drop),
                Some(_) => {}
                None if self.opened => {
                    return Err(self.dropped("the encoder is busy with the frame before"));
                }
                None => return Err(self.dropped("the encoder is being opened")),
            }
        }
        Ok(())
    }

    /// That frame `number` was read, or the last word about it; `None` when neither comes
    /// until `deadline`.
    fn last_word_or_read(&mut self, number: u64, deadline: Instant) -> Option<News> {
        loop {
            let news = self.news(deadline)?;
            match &news {
                News::Read(n) | News::NotStaged(n, _) | News::Coded(n, ..) if *n == number => {
                    return Some(news);
                }
                News::Ended(_) => return Some(news),
                _ => {}
            }
        }
    }

    /// What the pump says, with what follows for us.
    fn news(&mut self, deadline: Instant) -> Option<News> {
        let news = self.pump.as_ref()?.news(deadline)?;
        match &news {
            News::Opened => self.opened = true,
            News::Read(_) => {}
            News::NotStaged(n, _) | News::Coded(n, ..) => {
                self.inside.take_if(|inside| inside == n);
            }
            News::Ended(why) => {
                tracing::warn!(why, "an encoder ended");
                self.last_error = Some(why.clone());
                self.failures = self.failures.saturating_add(1);
                // At once the first time; then 200 ms, doubled each time.
                let backoff = Duration::from_millis(50) * (1 << self.failures.min(8));
                self.retry = match self.failures {
                    1 => None,
                    _ => Instant::now().checked_add(backoff.min(MAX_BACKOFF)),
                };
                self.close();
            }
        }
        Some(news)
    }

    /// Ends the pump, without waiting: it tears down on its own thread.
    fn close(&mut self) {
        if let Some(pump) = self.pump.take() {
            pump.end(Instant::now());
        }
        (self.opened, self.inside, self.keyframe) = (false, None, true);
    }
}

impl Drop for SyncEncoder {
    /// Waits for the driver a second at most.
    fn drop(&mut self) {
        let Some(pump) = self.pump.take() else {
            return;
        };
        let now = Instant::now();
        let deadline = now.checked_add(Duration::from_secs(1)).unwrap_or(now);
        if !pump.end(deadline) {
            tracing::error!("an encoder does not end; its thread is left behind");
        }
    }
}

impl fmt::Debug for SyncEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncEncoder")
            .field("encoder", &self.config.encoder)
            .field("bit_rate", &self.rate.now())
            .finish_non_exhaustive()
    }
}
