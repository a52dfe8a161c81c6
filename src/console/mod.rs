//! Text for people, JSON for programs, and progress in between.

mod table;

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use serde::Serialize;

use crate::failure::{Exit, Failure};
pub(crate) use table::Table;

pub(crate) use style::{BAD, DIM, GOOD, HEAD, WARN};

mod style {
    use anstyle::{AnsiColor, Style};

    pub(crate) const HEAD: Style = Style::new().bold();
    pub(crate) const DIM: Style = Style::new().dimmed();
    pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
    pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
    pub(crate) const BAD: Style = AnsiColor::Red.on_default();
}

/// Where a command's words go.
#[derive(Clone, Debug)]
pub(crate) struct Console {
    json: bool,
    /// Standard output carries the stream itself: text goes to standard error.
    stream_on_stdout: bool,
}

/// What a program gets instead of a result.
#[derive(Serialize)]
struct JsonFailure<'a> {
    schema: u32,
    error: JsonError<'a>,
}

#[derive(Serialize)]
struct JsonError<'a> {
    exit_code: u8,
    message: String,
    hint: Option<&'a str>,
}

impl Console {
    /// The version of the JSON objects that commands print. It counts up when a
    /// field changes its meaning or goes; new fields leave it as it is.
    pub(crate) const SCHEMA: u32 = 1;

    pub(crate) const fn new(json: bool) -> Self {
        Self {
            json,
            stream_on_stdout: false,
        }
    }

    /// The same while standard output carries a stream.
    pub(crate) const fn beside_stream(&self) -> Self {
        Self {
            json: self.json,
            stream_on_stdout: true,
        }
    }

    /// True when the result is to be JSON.
    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    /// Prints text where it is wanted: not beside JSON.
    pub(crate) fn say(&self, text: &str) -> Result<(), Failure> {
        if self.json { Ok(()) } else { self.print(text) }
    }

    /// Prints text.
    pub(crate) fn print(&self, text: &str) -> Result<(), Failure> {
        let (written, to) = if self.stream_on_stdout {
            let mut stderr = anstream::stderr().lock();
            (write(&mut stderr, text), "standard error")
        } else {
            let mut stdout = anstream::stdout().lock();
            (write(&mut stdout, text), "standard output")
        };
        written.map_err(|error| Failure::output(to, &error))
    }

    /// Prints the result, as JSON or by `text`.
    pub(crate) fn result<T: Serialize>(
        &self,
        result: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        if !self.json {
            return self.print(&text(result));
        }
        let mut json = serde_json::to_string_pretty(result)
            .map_err(|error| Failure::new(Exit::Internal, format_args!("writing JSON: {error}")))?;
        json.push('\n');
        self.print(&json)
    }

    /// Tells why the command failed.
    pub(crate) fn failure(&self, failure: &Failure) {
        let mut stderr = anstream::stderr().lock();
        // Where standard error is closed too, the exit code must do.
        let _ = writeln!(stderr, "scanout: {BAD}error{BAD:#}: {failure}");
        if let Some(hint) = &failure.hint {
            let _ = writeln!(stderr, "{DIM}hint{DIM:#}: {hint}");
        }
        if self.json && !self.stream_on_stdout {
            let told = JsonFailure {
                schema: Self::SCHEMA,
                error: JsonError {
                    exit_code: failure.exit.code(),
                    message: failure.line(),
                    hint: failure.hint.as_deref(),
                },
            };
            if let Ok(json) = serde_json::to_string_pretty(&told) {
                let _ = self.print(&format!("{json}\n"));
            }
        }
    }

    /// A remark that is no error.
    pub(crate) fn warn(&self, text: &str) {
        let mut stderr = anstream::stderr().lock();
        let _ = writeln!(stderr, "scanout: {WARN}warning{WARN:#}: {text}");
    }

    /// A line that is written over, on a terminal only.
    #[cfg(feature = "serve")]
    pub(crate) fn status(&self) -> ProgressBar {
        let bar = self.progress(None, "");
        if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
            bar.set_style(style);
        }
        bar
    }

    /// A bar for `total` steps (unknown: `None`), drawn only on a terminal.
    pub(crate) fn progress(&self, total: Option<u64>, what: &str) -> ProgressBar {
        let bar = match total {
            Some(total) => ProgressBar::new(total),
            None => ProgressBar::no_length(),
        };
        if self.json || !io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
            return bar;
        }
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(8));
        let template = match total {
            Some(_) => "{prefix} {wide_bar} {pos}/{len} {rate} {eta} {msg}",
            None => "{prefix} {spinner} {pos} {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            let rate = |state: &ProgressState, out: &mut dyn fmt::Write| {
                // Drawing is best effort.
                let _ = write!(out, "{:.0}/s", state.per_sec());
            };
            bar.set_style(style.with_key("rate", rate));
        }
        bar.set_prefix(what.to_owned());
        bar
    }
}

fn write(to: &mut impl Write, text: &str) -> io::Result<()> {
    to.write_all(text.as_bytes())?;
    to.flush()
}

/// `1.5 s`, `12.3 ms`
pub(crate) fn time(time: Duration) -> String {
    if time.as_secs() >= 1 {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{:.1} ms", time.as_secs_f64() * 1e3)
    }
}

/// `1.2 MB`, in units of 1000.
pub(crate) fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}
