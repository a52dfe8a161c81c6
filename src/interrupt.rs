//! Ctrl-C, `kill` and a terminal that closes: the first finishes the work at
//! hand, the second ends the program, and says what it leaves unfinished.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

use crate::console::Console;
use crate::failure::{Exit, Failure};

/// The same signal so soon after the first is the same wish.
const ECHO: Duration = Duration::from_millis(50);

/// Files that are being written, for the second signal to look at.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A file counts as unfinished until this is dropped.
#[must_use = "the file counts as finished when this is dropped"]
#[derive(Debug)]
pub(crate) struct Unfinished(PathBuf);

impl Unfinished {
    pub(crate) fn new(path: &Path) -> Self {
        unfinished(|files| files.push(path.to_owned()));
        Self(path.to_owned())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        unfinished(|files| {
            if let Some(index) = files.iter().position(|file| *file == self.0) {
                files.swap_remove(index);
            }
        });
    }
}

fn unfinished<R>(act: impl FnOnce(&mut Vec<PathBuf>) -> R) -> R {
    act(&mut UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner))
}

/// True once the user wants an end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt(Arc<Flag>);

#[derive(Debug, Default)]
struct Flag {
    asked: AtomicBool,
    /// Held while `asked` is set, for those who sleep until then.
    lock: Mutex<()>,
    set: Condvar,
}

impl Flag {
    /// Sets it; true where it was set before.
    fn set(&self) -> bool {
        let _held = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.asked.swap(true, Ordering::Relaxed);
        self.set.notify_all();
        before
    }
}

impl Interrupt {
    /// Installs the handlers.
    pub(crate) fn install(console: &Console) -> Result<Self, Failure> {
        let asked = Arc::new(Flag::default());
        let failed = |what: &str, error: std::io::Error| {
            Failure::new(Exit::Internal, format_args!("{what}: {error}"))
        };
        // Should the last words find no way out, the next signal needs no thread.
        let ending = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            let code = Exit::Interrupted.code().into();
            signal_hook::flag::register_conditional_shutdown(signal, code, Arc::clone(&ending))
                .map_err(|e| failed("handling signals", e))?;
        }
        // A handler that does nothing, and the write that is too long fails with
        // EFBIG, which says what happened; by default the signal kills.
        signal_hook::flag::register(SIGXFSZ, Arc::default())
            .map_err(|e| failed("handling signals", e))?;
        let mut wanted = vec![SIGINT, SIGTERM];
        if !ignored(SIGHUP) {
            wanted.push(SIGHUP);
        }
        let mut signals = Signals::new(wanted).map_err(|e| failed("handling signals", e))?;
        // A thread and not a handler: files are looked at and words are said.
        let (flag, console) = (Arc::clone(&asked), console.clone());
        std::thread::Builder::new()
            .name("scanout-signals".to_owned())
            .spawn(move || {
                let mut first: Option<(i32, Instant)> = None;
                for signal in signals.forever() {
                    let now = Instant::now();
                    // `timeout` sends it to the program, and then to its group.
                    let echo = first.is_some_and(|(before, at)| {
                        before == signal && now.duration_since(at) < ECHO
                    });
                    first.get_or_insert((signal, now));
                    // A closed terminal sends it more than once: the shell does,
                    // and then the kernel.
                    if flag.set() && signal != SIGHUP && !echo {
                        ending.store(true, Ordering::Relaxed);
                        end_now(&console);
                    }
                }
            })
            .map_err(|e| failed("starting a thread", e))?;
        Ok(Self(asked))
    }

    pub(crate) fn asked(&self) -> bool {
        self.0.asked.load(Ordering::Relaxed)
    }

    /// Sleeps for `time`, or until the user wants an end; true then.
    #[cfg(feature = "serve")]
    pub(crate) fn sleep(&self, time: Duration) -> bool {
        let held = self.0.lock.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever sets it holds the lock: it cannot be missed.
        let sleeping = |_: &mut ()| !self.asked();
        drop(self.0.set.wait_timeout_while(held, time, sleeping));
        self.asked()
    }
}

/// True where whoever started the program had it ignore `signal`: `nohup` does.
fn ignored(signal: i32) -> bool {
    let Ok(status) = fs::read_to_string("/proc/self/status") else {
        return false;
    };
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
}

/// Ends the program at once, whatever its other threads do.
fn end_now(console: &Console) -> ! {
    // Kept locked, so that nothing is begun or finished meanwhile.
    unfinished(|files| {
        let left: Vec<_> = files.iter().filter_map(|file| left_behind(file)).collect();
        let failure = match left.as_slice() {
            [] => Failure::new(
                Exit::Interrupted,
                "interrupted twice: nothing is left behind",
            ),
            left => Failure::new(
                Exit::Interrupted,
                format_args!("interrupted twice: {} is not complete", left.join(", ")),
            ),
        };
        console.failure(&failure);
        // Not `std::process::exit`: exit handlers of libraries would run while
        // their threads still work.
        signal_hook::low_level::exit(Exit::Interrupted.code().into())
    })
}

/// The name of `file` if there is something in it; an empty one is removed.
fn left_behind(file: &Path) -> Option<String> {
    let there = fs::metadata(file).ok()?;
    if there.is_file() && there.len() == 0 && fs::remove_file(file).is_ok() {
        return None;
    }
    Some(file.display().to_string())
}
