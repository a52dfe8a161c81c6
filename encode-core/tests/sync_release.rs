//! A source is given back exactly once on every path.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use scanout_core::sync::{Release, ReleaseSink, SyncFile};

#[derive(Default)]
struct Counter {
    calls: AtomicU64,
    cookies: AtomicU64,
    fences: AtomicU64,
    panics: bool,
}

impl ReleaseSink for Counter {
    fn released(&self, cookie: u64, fence: Option<SyncFile>) {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.cookies.fetch_add(cookie, Ordering::SeqCst);
        self.fences
            .fetch_add(u64::from(fence.is_some()), Ordering::SeqCst);
        assert!(!self.panics, "the sink panics on purpose");
    }
}

fn calls(counter: &Counter) -> u64 {
    counter.calls.load(Ordering::SeqCst)
}

fn some_fence() -> SyncFile {
    SyncFile::new(std::fs::File::open("/dev/null").unwrap().into())
}

#[test]
fn dropping_completes_once_with_the_cookie() {
    let sink = Arc::new(Counter::default());
    drop(Release::new(sink.clone(), 42));
    assert_eq!(calls(&sink), 1);
    assert_eq!(sink.cookies.load(Ordering::SeqCst), 42);
    assert_eq!(sink.fences.load(Ordering::SeqCst), 0);
}

#[test]
fn completing_is_not_repeated_by_the_drop_that_follows() {
    let sink = Arc::new(Counter::default());
    Release::new(sink.clone(), 1).complete();
    assert_eq!(calls(&sink), 1);
    Release::new(sink.clone(), 1).complete_with(some_fence());
    assert_eq!(calls(&sink), 2);
    assert_eq!(sink.fences.load(Ordering::SeqCst), 1);
}

#[test]
fn a_panic_of_the_holder_still_completes() {
    let sink = Arc::new(Counter::default());
    let release = Release::new(sink.clone(), 7);
    let held = catch_unwind(AssertUnwindSafe(move || {
        let _held = release;
        panic!("the holder panics on purpose");
    }));
    assert!(held.is_err());
    assert_eq!(calls(&sink), 1);
}

#[test]
fn a_panicking_sink_is_told_once_only() {
    let sink = Arc::new(Counter {
        panics: true,
        ..Counter::default()
    });
    for complete in [Release::complete, drop::<Release>] {
        let before = calls(&sink);
        let release = Release::new(sink.clone(), 7);
        assert!(catch_unwind(AssertUnwindSafe(move || complete(release))).is_err());
        assert_eq!(calls(&sink), before + 1);
    }
}

#[test]
fn a_panicking_sink_does_not_abort_an_unwinding_holder() {
    let sink = Arc::new(Counter {
        panics: true,
        ..Counter::default()
    });
    let release = Release::new(sink.clone(), 7);
    let held = catch_unwind(AssertUnwindSafe(move || {
        let _held = release;
        panic!("the holder panics on purpose");
    }));
    assert!(held.is_err());
    assert_eq!(calls(&sink), 1);
}

#[test]
fn a_noop_release_tells_nobody() {
    Release::noop().complete();
    drop(Release::noop());
    drop(Release::default());
}

#[test]
fn threads_racing_for_a_slot_complete_once() {
    // The slot of a watchdog: whoever takes the guard out of it completes it.
    let sink = Arc::new(Counter::default());
    for _ in 0..200 {
        let slot = std::sync::Mutex::new(Some(Release::new(sink.clone(), 1)));
        std::thread::scope(|scope| {
            for _ in 0..5 {
                scope.spawn(|| drop(slot.lock().unwrap().take()));
            }
        });
    }
    assert_eq!(calls(&sink), 200);
}
