//! Stock clients, and a display for those that need one.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::picture::{Picture, psnr};
use crate::support::{LIMIT, Ran, directory, finish, skip};

/// True where all of `programs` are installed; else says that the test is skipped.
pub(crate) fn have_clients(programs: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let missing = programs.iter().find(|program| {
        let mut folders = std::env::split_paths(&path);
        !folders.any(|folder| folder.join(program).is_file())
    });
    if let Some(program) = missing {
        skip(&format!(
            "{program} is not installed (scripts/setup --test)"
        ));
    }
    missing.is_none()
}

/// A client's command: no settings, caches of a run of its own, no audio and no bus.
fn client(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .env("GSETTINGS_BACKEND", "memory")
        .env("NO_AT_BRIDGE", "1")
        // The picture comes through the client's own surface, and not by a window
        // that its video decoder draws into.
        .env("DISABLE_GSTVIDEOOVERLAY", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// What spicy-screenshot saw, if it saw anything.
pub(crate) struct Shot {
    pub(crate) ran: Ran,
    pub(crate) picture: Option<Picture>,
}

/// The first picture that a client shows.
pub(crate) fn screenshot(uri: &str, prepare: impl FnOnce(&mut Command)) -> Shot {
    let file = directory("shot").join("shot.ppm");
    let mut command = client("spicy-screenshot");
    command.arg("--uri").arg(uri).arg("-o").arg(&file);
    prepare(&mut command);
    let ran = finish(command.spawn().unwrap());
    let picture = file.exists().then(|| Picture::read_ppm(&file));
    Shot { ran, picture }
}

/// A program that is ended when this is dropped.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait(&mut self) {
        let begun = Instant::now();
        while self.is_running() {
            assert!(begun.elapsed() < LIMIT, "the client stays");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// spicy-stats, which counts bytes until it is interrupted.
pub(crate) fn stats(uri: &str) -> Child {
    let mut command = client("spicy-stats");
    command.arg("--uri").arg(uri).spawn().unwrap()
}

/// A screen that nobody sees, as a file.
pub(crate) struct Display {
    _xvfb: Running,
    name: String,
    file: PathBuf,
}

impl Display {
    pub(crate) fn start() -> Self {
        let folder = directory("xvfb");
        let mut xvfb = Command::new("Xvfb")
            // It takes a free number and says which.
            .args(["-displayfd", "1", "-screen", "0", "1024x768x24"])
            .args(["-nolisten", "tcp", "-fbdir"])
            .arg(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut number = String::new();
        let stdout = xvfb.stdout.take().unwrap();
        let xvfb = Running(xvfb);
        BufReader::new(stdout).read_line(&mut number).unwrap();
        Self {
            _xvfb: xvfb,
            name: format!(":{}", number.trim()),
            file: folder.join("Xvfb_screen0"),
        }
    }

    /// A viewer on it.
    pub(crate) fn viewer<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Running {
        // Nothing is kept, and nothing is asked of a keyring.
        let home = directory("viewer-home");
        let mut command = client("remote-viewer");
        command
            .args(args)
            .env("DISPLAY", &self.name)
            .env("HOME", &home)
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env("XDG_RUNTIME_DIR", &home)
            .stdout(Stdio::null())
            .stderr(fs::File::create(home.join("stderr")).unwrap());
        Running(command.spawn().unwrap())
    }

    /// All of it.
    pub(crate) fn look(&self) -> Option<Picture> {
        Picture::read_xwd(&self.file)
    }

    /// Waits until `wanted` is somewhere on it; where.
    #[track_caller]
    pub(crate) fn await_picture(&self, wanted: &Picture, bound: f64) -> (usize, usize) {
        let begun = Instant::now();
        let mut best = 0.0f64;
        loop {
            if let Some(screen) = self.look()
                && let Some((x, y)) = screen.find(wanted)
            {
                best = best.max(psnr(&screen.cut(x, y, wanted.width, wanted.height), wanted));
                if best >= bound {
                    return (x, y);
                }
            }
            if begun.elapsed() > PATIENCE {
                self.keep();
                panic!("the viewer does not show {wanted:?}: {best:.1} dB of {bound}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until the picture at a place is `wanted`.
    #[track_caller]
    pub(crate) fn await_at(&self, place: (usize, usize), wanted: &Picture, bound: f64) -> Duration {
        let begun = Instant::now();
        loop {
            let seen = self.look().map_or(0.0, |screen| {
                psnr(
                    &screen.cut(place.0, place.1, wanted.width, wanted.height),
                    wanted,
                )
            });
            if seen >= bound {
                return begun.elapsed();
            }
            if begun.elapsed() > PATIENCE {
                self.keep();
                panic!("the viewer shows something else: {seen:.1} dB of {bound}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Leaves what is on it for a look.
    fn keep(&self) {
        if let Some(screen) = self.look() {
            let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("last-screen.png");
            screen.write_png(&file);
            println!("the screen is in {}", file.display());
        }
    }
}

/// A client on a machine that has much else to do shows a picture within this.
const PATIENCE: Duration = Duration::from_secs(30);
