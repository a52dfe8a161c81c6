//! Doubles of what a server serves: they note what they are told.

use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::{Duration, Instant};

use scanout_spice::gl::{
    Backlog, Batch, Outgoing, Payload, Report, StreamClock, VideoCodec, ViewerCaps,
};
use scanout_spice::server::{InputSink, Joined, Screen};
use scanout_spice::stream::{Cursor, CursorOutlet, Outlet, ViewerError};
use scanout_spice::wire::inputs::{KeyModifiers, MouseButton};

use super::client::LIMIT;

/// What has happened, for whoever waits for it.
pub(crate) struct Noted<T> {
    events: Mutex<Vec<T>>,
    more: Condvar,
}

impl<T> Default for Noted<T> {
    fn default() -> Self {
        Self {
            events: Mutex::default(),
            more: Condvar::new(),
        }
    }
}

impl<T: Clone> Noted<T> {
    pub(crate) fn note(&self, event: T) {
        self.events.lock().unwrap().push(event);
        self.more.notify_all();
    }

    pub(crate) fn all(&self) -> Vec<T> {
        self.events.lock().unwrap().clone()
    }

    /// Waits until `enough` of what happened.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, enough: impl Fn(&[T]) -> bool) -> Vec<T> {
        let events = self.events.lock().unwrap();
        let (events, timeout) = self
            .more
            .wait_timeout_while(events, LIMIT, |events| !enough(events))
            .unwrap();
        assert!(!timeout.timed_out(), "did not happen: {what}");
        events.clone()
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Seen {
    Expected,
    ExpectedNoMore,
    Joined(ViewerCaps),
    Left,
    Prefers(Vec<VideoCodec>),
    Report(Report),
    Progress(Backlog),
}

/// A screen.
#[derive(Clone, Default)]
pub(crate) struct Double(Arc<Inner>);

#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) seen: Noted<Seen>,
    outlets: Mutex<Vec<Box<dyn Outlet>>>,
    cursors: Mutex<Vec<std::sync::Weak<dyn CursorOutlet>>>,
    cursor: Mutex<Cursor>,
    clock: OnceLock<StreamClock>,
}

impl std::ops::Deref for Double {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Inner {
    /// To the display that joined as the `n`th.
    pub(crate) fn send(&self, n: usize, batch: Batch) -> Backlog {
        self.outlets.lock().unwrap()[n].send(batch)
    }

    pub(crate) fn close(&self, n: usize, reason: scanout_spice::gl::CloseReason) {
        self.outlets.lock().unwrap()[n].close(reason);
    }

    pub(crate) fn wait_joined(&self, n: usize) {
        let joined = |e: &Seen| matches!(e, Seen::Joined(_));
        self.seen.wait("a display joins", |seen| {
            seen.iter().filter(|e| joined(e)).count() >= n
        });
    }

    pub(crate) fn joined(&self) -> usize {
        self.outlets.lock().unwrap().len()
    }

    pub(crate) fn set_cursor(&self, cursor: &Cursor) {
        self.cursor.lock().unwrap().clone_from(cursor);
        for outlet in &*self.cursors.lock().unwrap() {
            if let Some(outlet) = outlet.upgrade() {
                outlet.cursor(cursor);
            }
        }
    }
}

struct Expected(Double);

impl Drop for Expected {
    fn drop(&mut self) {
        self.0.seen.note(Seen::ExpectedNoMore);
    }
}

impl Screen for Double {
    fn clock(&self) -> StreamClock {
        *self.clock.get_or_init(StreamClock::start)
    }

    fn expect(&self) -> Box<dyn Send + Sync> {
        self.seen.note(Seen::Expected);
        Box::new(Expected(self.clone()))
    }

    fn join(
        &self,
        caps: ViewerCaps,
        outlet: Box<dyn Outlet>,
    ) -> Result<Box<dyn Joined>, ViewerError> {
        self.outlets.lock().unwrap().push(outlet);
        self.seen.note(Seen::Joined(caps));
        Ok(Box::new(Viewer(self.clone())))
    }

    fn watch_cursor(&self, outlet: &Arc<dyn CursorOutlet>) {
        outlet.cursor(&self.cursor.lock().unwrap());
        self.cursors.lock().unwrap().push(Arc::downgrade(outlet));
    }
}

struct Viewer(Double);

impl Drop for Viewer {
    fn drop(&mut self) {
        self.0.seen.note(Seen::Left);
    }
}

impl Joined for Viewer {
    fn prefer(&self, codecs: Vec<VideoCodec>) {
        self.0.seen.note(Seen::Prefers(codecs));
    }

    fn report(&self, report: Report) {
        self.0.seen.note(Seen::Report(report));
    }

    fn progress(&self, backlog: Backlog) {
        self.0.seen.note(Seen::Progress(backlog));
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    Key(u8, bool),
    Motion(i32, i32),
    Position(u32, u32),
    Button(MouseButton, bool),
    Wheel(bool),
}

/// What takes keys and pointer.
#[derive(Clone, Default)]
pub(crate) struct Hand(Arc<HandInner>);

#[derive(Default)]
pub(crate) struct HandInner {
    pub(crate) seen: Noted<Input>,
    pub(crate) locks: Mutex<Option<KeyModifiers>>,
    pub(crate) no_tablet: std::sync::atomic::AtomicBool,
}

impl std::ops::Deref for Hand {
    type Target = HandInner;

    fn deref(&self) -> &HandInner {
        &self.0
    }
}

impl InputSink for Hand {
    fn takes_positions(&self) -> bool {
        !self.no_tablet.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn key(&self, qnum: u8, down: bool) {
        self.seen.note(Input::Key(qnum, down));
    }

    fn motion(&self, dx: i32, dy: i32) {
        self.seen.note(Input::Motion(dx, dy));
    }

    fn position(&self, x: u32, y: u32) {
        self.seen.note(Input::Position(x, y));
    }

    fn button(&self, button: MouseButton, down: bool) {
        self.seen.note(Input::Button(button, down));
    }

    fn wheel(&self, up: bool) {
        self.seen.note(Input::Wheel(up));
    }

    fn locks(&self) -> Option<KeyModifiers> {
        *self.locks.lock().unwrap()
    }
}

/// STREAM_DATA of `len` bytes, all of them `fill`.
pub(crate) fn picture(len: usize, fill: u8) -> Batch {
    vec![Outgoing::StreamData {
        stream: 1,
        mm_time: 5,
        payload: Payload {
            head: &[],
            body: vec![fill; len].into(),
            skip: 0,
            tail: &[],
        },
    }]
}

/// Waits for what nobody tells of.
#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < end, "did not happen: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
