//! What went wrong, as the user sees it: one line, a hint, an exit code.

use std::fmt;
use std::io;

/// How the program ends. The numbers are part of its interface: see `--help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Ok = 0,
    Internal = 1,
    Usage = 2,
    Input = 3,
    NoEncoder = 4,
    Encoder = 5,
    Output = 6,
    Verification = 7,
    Listen = 8,
    Interrupted = 130,
}

impl Exit {
    /// Ends of the program with their meaning, for help text and manual.
    pub(crate) const TABLE: [(Self, &'static str); 10] = [
        (Self::Ok, "done"),
        (Self::Internal, "internal error: a defect of scanout"),
        (
            Self::Usage,
            "wrong usage: an option or a value that cannot be",
        ),
        (Self::Input, "the source cannot be read or is broken"),
        (Self::NoEncoder, "no encoder that does what was asked"),
        (Self::Encoder, "an encoder failed or stopped delivering"),
        (
            Self::Output,
            "the output cannot be written: permission, space, broken pipe",
        ),
        (
            Self::Verification,
            "the demo's stream did not decode to what was encoded",
        ),
        (
            Self::Listen,
            "an address cannot be listened on: in use, not of this machine, not allowed",
        ),
        (
            Self::Interrupted,
            "interrupted (Ctrl-C, TERM, HUP); a file that was begun is whole (twice: NAME.part.EXT is left). serve ends with 0 then",
        ),
    ];

    pub(crate) const fn code(self) -> u8 {
        self as u8
    }
}

/// An error of a command.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    message: String,
    pub(crate) hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self {
            exit,
            message: message.to_string(),
            hint: None,
        }
    }

    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub(crate) fn input(message: impl fmt::Display) -> Self {
        Self::new(Exit::Input, message)
    }

    /// Writing to `what` failed.
    pub(crate) fn output(what: impl fmt::Display, cause: &io::Error) -> Self {
        let failure = Self::new(Exit::Output, format_args!("{what}: {}", reason(cause)));
        match cause.kind() {
            io::ErrorKind::StorageFull => failure.hint("free some space or write elsewhere"),
            io::ErrorKind::FileTooLarge => {
                failure.hint("raise the limit (ulimit -f), or write elsewhere")
            }
            io::ErrorKind::PermissionDenied => failure.hint("write where this user may"),
            io::ErrorKind::NotFound => failure.hint("create the directory first"),
            _ => failure,
        }
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(one_line(&hint.to_string()));
        self
    }

    /// The message in one line.
    pub(crate) fn line(&self) -> String {
        one_line(&self.message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line())
    }
}

/// The cause without the number that the standard library adds.
pub(crate) fn reason(cause: &io::Error) -> String {
    let text = cause.to_string();
    match text.find(" (os error") {
        Some(end) => text.get(..end).unwrap_or(&text).to_lowercase(),
        None => text,
    }
}

/// `text`, which ends with a cause, without the number that the standard
/// library adds to it.
pub(crate) fn without_number(text: &str) -> String {
    let Some(end) = text.find(" (os error") else {
        return text.to_owned();
    };
    let (before, rest) = text.split_at(end);
    let after = rest.split_once(')').map_or("", |(_, after)| after);
    let (what, cause) = before.rsplit_once(": ").unwrap_or(("", before));
    let colon = if what.is_empty() { "" } else { ": " };
    format!("{what}{colon}{}{after}", cause.to_lowercase())
}

/// Libraries' messages may have several lines; ours have one.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_one_line() {
        let failure = Failure::input("first\n  second\r\n").hint("a\nb");
        assert_eq!(failure.to_string(), "first second");
        assert_eq!(failure.hint.as_deref(), Some("a b"));
    }

    #[test]
    fn operating_system_errors_lose_their_number() {
        let error = io::Error::from_raw_os_error(28);
        assert_eq!(
            Failure::output("x", &error).line(),
            "x: no space left on device"
        );
        assert_eq!(
            without_number("a/B.y4m: No such file or directory (os error 2)"),
            "a/B.y4m: no such file or directory"
        );
        assert_eq!(without_number("no Number"), "no Number");
    }
}
