//! The program, serving.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{LIMIT, Ran, scanout};

/// `scanout serve --json`, which is ended when this is dropped.
pub(crate) struct Served {
    child: Child,
    lines: Receiver<String>,
    stderr: Option<JoinHandle<String>>,
    /// What it said when clients could come.
    pub(crate) listening: Value,
}

impl Served {
    /// Serves on a free port of loopback, without a password.
    pub(crate) fn start<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Self {
        let open = ["--listen", "127.0.0.1:0", "--no-password"];
        let open = open.iter().map(OsString::from);
        let args = args.into_iter().map(|arg| arg.as_ref().to_owned());
        Self::start_with(open.chain(args))
    }

    /// Serves as `args` say.
    pub(crate) fn start_with<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Self {
        Self::wait(Self::spawn(args))
    }

    /// Starts it; a pipe may keep it from listening yet.
    pub(crate) fn spawn<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Child {
        let mut command = scanout(["serve", "--json", "-v"]);
        command.args(args).spawn().unwrap()
    }

    /// Waits until clients can come.
    pub(crate) fn wait(mut child: Child) -> Self {
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut stderr = child.stderr.take().unwrap();
        let stderr = std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        let Ok(first) = lines.recv_timeout(LIMIT) else {
            let _ = child.kill();
            panic!("it does not listen: {}", stderr.join().unwrap());
        };
        let listening: Value = serde_json::from_str(&first).unwrap();
        assert_eq!(listening["event"], "listening", "{listening}");
        Self {
            child,
            lines,
            stderr: Some(stderr),
            listening,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The way in with this number.
    pub(crate) fn uri(&self, number: usize) -> String {
        self.listening["uris"][number].as_str().unwrap().to_owned()
    }

    /// Ends it by a signal. Returns its last line, too.
    pub(crate) fn stop(self, signal: &str) -> (Ran, Value) {
        kill(signal, self.child.id());
        self.end()
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> (Ran, Value) {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(begun.elapsed() < LIMIT, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        };
        let stdout: Vec<String> = self.lines.iter().collect();
        let ran = Ran {
            code: status.code(),
            stdout: stdout.join("\n"),
            stderr: self.stderr.take().map(|t| t.join().unwrap()).unwrap(),
        };
        let last = stdout
            .last()
            .map(|line| serde_json::from_str(line).unwrap());
        (ran, last.unwrap_or_default())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if self.stderr.is_none() {
            return;
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Shown where the test has failed.
        if let Some(stderr) = self.stderr.take().and_then(|t| t.join().ok()) {
            println!("the server said:\n{stderr}");
        }
    }
}

/// Sends a signal.
pub(crate) fn kill(signal: &str, pid: u32) {
    let status = Command::new("kill")
        .args(["-s", signal, &pid.to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}
