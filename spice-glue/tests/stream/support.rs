//! A producer that counts its answers, viewers that keep what they are sent.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use scanout_core::buffer::{Layout, MemoryImage, SourceBuffer};
use scanout_core::encoder::{Backend, Codec, Device, DeviceKind};
use scanout_core::format::Fourcc;
use scanout_core::geometry::{Damage, Rect, Size};
use scanout_core::noop::{NoopBackend, NoopControl};
use scanout_core::sync::{Acquire, Release, ReleaseSink, SyncFile};
use scanout_spice::gl::{Backlog, Batch, CloseReason, Outgoing, Payload, VideoCodec, ViewerCaps};
use scanout_spice::stream::{EncoderChoice, GlStream, GlStreamConfig, Outlet, ViewerHandle};

/// Long enough for anything on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Tests that count descriptors and threads of the process go one by one, and so do all
/// others with them.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub(crate) fn config_of(backend: Arc<dyn Backend>, encoder: &str, codec: Codec) -> GlStreamConfig {
    let device = backend.devices().unwrap().into_iter().next();
    let device = device.unwrap_or_else(|| Device::new("none", "none", DeviceKind::Cpu));
    GlStreamConfig::new(vec![EncoderChoice::new(backend, device, encoder, codec)])
}

pub(crate) fn noop() -> (GlStreamConfig, Arc<NoopControl>) {
    let noop = NoopBackend::default();
    let control = Arc::clone(&noop.control);
    let mut config = config_of(Arc::new(noop), "noop", Codec::Vp8);
    config.max_fps = NonZeroU32::MIN.saturating_add(239);
    (config, control)
}

/// A buffer that nobody draws into.
pub(crate) fn image(size: Size) -> SourceBuffer {
    let (layout, bytes) = Layout::packed(Fourcc::XRGB8888, size, 64).unwrap();
    MemoryImage::new(Arc::new(vec![0; bytes as usize]), layout)
        .unwrap()
        .into()
}

/// Counts how often each draw was answered.
#[derive(Default)]
pub(crate) struct Owner {
    told: Mutex<Vec<u32>>,
}

impl ReleaseSink for Owner {
    fn released(&self, cookie: u64, fence: Option<SyncFile>) {
        drop(fence);
        self.told.lock().unwrap()[cookie as usize] += 1;
    }
}

impl Owner {
    pub(crate) fn draw(self: &Arc<Self>, stream: &GlStream, damage: Damage) {
        let mut told = self.told.lock().unwrap();
        let cookie = told.len() as u64;
        told.push(0);
        drop(told);
        let release = Release::new(Arc::clone(self) as Arc<dyn ReleaseSink>, cookie);
        stream.draw(damage, Acquire::Implicit, release);
    }

    pub(crate) fn draws(&self) -> usize {
        self.told.lock().unwrap().len()
    }

    pub(crate) fn all_answered(&self) -> bool {
        let told = self.told.lock().unwrap();
        assert!(
            told.iter().all(|count| *count <= 1),
            "a draw was answered twice"
        );
        told.iter().all(|count| *count == 1)
    }

    pub(crate) fn wait(&self) {
        wait_until("all draws are answered", || self.all_answered());
    }
}

#[derive(Default)]
struct Kept {
    messages: Vec<Outgoing>,
    closed: Option<CloseReason>,
    dropped: bool,
}

/// A display channel that takes everything at once.
#[derive(Clone, Default)]
pub(crate) struct Channel(Arc<Mutex<Kept>>);

struct End(Arc<Mutex<Kept>>);

impl Outlet for End {
    fn send(&self, batch: Batch) -> Backlog {
        self.0.lock().unwrap().messages.extend(batch);
        Backlog::default()
    }

    fn close(&self, reason: CloseReason) {
        self.0.lock().unwrap().closed = Some(reason);
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.0.lock().unwrap().dropped = true;
    }
}

impl Channel {
    pub(crate) fn join(stream: &GlStream, codecs: &[VideoCodec]) -> (Self, ViewerHandle) {
        let channel = Self::default();
        let caps = ViewerCaps {
            codecs: codecs.to_vec(),
            reports: true,
        };
        let outlet = Box::new(End(Arc::clone(&channel.0)));
        let handle = stream.viewers().join(caps, outlet).unwrap();
        (channel, handle)
    }

    pub(crate) fn messages(&self) -> Vec<Outgoing> {
        self.0.lock().unwrap().messages.clone()
    }

    pub(crate) fn is_dropped(&self) -> bool {
        self.0.lock().unwrap().dropped
    }

    pub(crate) fn closed(&self) -> Option<CloseReason> {
        self.0.lock().unwrap().closed
    }

    /// The pictures so far.
    pub(crate) fn pictures(&self) -> Vec<Payload> {
        let data = |message: &Outgoing| match message {
            Outgoing::StreamData { payload, .. } => Some(payload.clone()),
            _ => None,
        };
        self.0
            .lock()
            .unwrap()
            .messages
            .iter()
            .filter_map(data)
            .collect()
    }

    pub(crate) fn wait_for_pictures(&self, count: usize) {
        wait_until("pictures come", || self.pictures().len() >= count);
    }
}

pub(crate) fn part(x: u32, y: u32) -> Damage {
    Damage::from(Rect::new(x, y, 16, 16))
}

pub(crate) fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

pub(crate) fn threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| name.starts_with("scanout-"))
        .collect()
}
