//! Completion scripts and manual pages, made from the command line's own description.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::{fs, io};

use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use serde::Serialize;

use super::Cli;
use crate::console::Console;
use crate::failure::{Exit, Failure};

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Shell to complete for
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Directory to write scanout.1 and one page per command into; made if it is not there
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(super) const PROBE_EXAMPLES: &str = "\
Examples:
  scanout probe
  scanout probe --size 1920x1080    tried at the size that matters to you
  scanout probe --json > probe.json";

pub(super) const ENCODE_EXAMPLES: &str = "\
Examples:
  scanout encode -o desktop.mp4 --duration 10
  scanout encode --source desktop:typing --realtime --frames 600 -o a.mkv
  scanout encode --source film.y4m -o film.h264 --bitrate 4M
  scanout encode --source raw:a.bgrx:1920x1080:XR24 -o a.ivf --codec vp9
  scanout encode --source qemu-trace:boot.scanrec -o boot.mp4";

#[cfg(feature = "serve")]
pub(super) const SERVE_EXAMPLES: &str = "\
Examples:
  scanout serve --no-password
  scanout serve --source photo.png --password-file pw --write-vv screen.vv
  scanout serve --listen unix:/run/user/1000/spice.sock --no-password
  scanout serve --source film.y4m --loop --password-file pw \\
      --tls-listen 0.0.0.0:5901 --tls-cert cert.pem --tls-key key.pem
  scanout serve --codec h264 --chroma 444 --bitrate 20M --no-password";

#[cfg(feature = "serve")]
const SERVE_NOTES: &str = "\
Password file:
  The first line is the password, 1 to 60 bytes. A second line, if there is
  one, says until when it is good: seconds since 1970, or a time such as
  2031-05-01T12:00:00Z. The file is read again for each client.

The status line, metrics:
  work              a draw's staging was asked for, until the draw was answered
  pacing            a draw came, until its staging was asked for (--max-fps)
  Both are what the source waits for; docs/spice.md has the metrics by name.";

/// The end of `scanout serve --help`.
#[cfg(feature = "serve")]
pub(super) fn serve_notes() -> String {
    format!("{SERVE_EXAMPLES}\n\n{SERVE_NOTES}")
}

pub(super) const TRACE_EXAMPLES: &str = "\
Examples:
  scanout trace --scenario typing --duration 1 -o out/
  scanout trace --size 640x360 --frames 60 -o film.y4m";

/// What the table of times means.
pub(super) const STAGES: &str = "\
Times of a frame:
  wait for staging  handed over, until the session took it up
  wait for fence    until the producer's drawing was done
  read and convert  until the source was read into a picture of ours
  wait for encoder  until the encoder took the picture
  encode            until its packet was out
  source held       handed over, until the producer may draw again
  frame to packet   handed over, until the packet was out

A source is held for the first three. Frames that come faster than they are
coded (without --realtime; in the demo with --every-frame) wait to be staged,
and hold their source meanwhile.";

/// The end of `scanout encode --help`.
pub(super) fn encode_notes() -> String {
    format!("{ENCODE_EXAMPLES}\n\n{STAGES}")
}

/// The end of `--help` and of the manual page.
pub(super) fn exit_codes() -> String {
    let mut text = "Exit codes:".to_owned();
    for (exit, meaning) in Exit::TABLE {
        // Writing to a string does not fail.
        let _ = write!(text, "\n  {:3}  {meaning}", exit.code());
    }
    text
}

pub(super) fn completions(args: &CompletionsArgs, console: &Console) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "scanout", &mut script);
    console.print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}

/// The result of `scanout man --json`.
#[derive(Debug, Serialize)]
struct Written {
    schema: u32,
    command: &'static str,
    pages: Vec<PathBuf>,
}

pub(super) fn manual(args: &ManArgs, console: &Console) -> Result<Exit, Failure> {
    let directory = &args.directory;
    fs::create_dir_all(directory).map_err(|e| Failure::output(directory.display(), &e))?;
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let commands = std::iter::once(&root).chain(root.get_subcommands());
    let mut pages = Vec::new();
    for command in commands {
        let man = Man::new(command.clone()).source(concat!("scanout ", env!("CARGO_PKG_VERSION")));
        let path = directory.join(man.get_filename());
        page(&man, command)
            .and_then(|text| fs::write(&path, text))
            .map_err(|e| Failure::output(path.display(), &e))?;
        pages.push(path);
    }
    let written = Written {
        schema: Console::SCHEMA,
        command: "man",
        pages,
    };
    console.result(&written, |_| {
        format!("manual pages written to {}\n", directory.display())
    })?;
    Ok(Exit::Ok)
}

/// A page whose closing sections have the names that manuals give them.
fn page(man: &Man, command: &Command) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    let after = command
        .get_after_long_help()
        .or_else(|| command.get_after_help());
    if let Some(after) = after {
        text.extend(sections(&after.to_string()).into_bytes());
    }
    Ok(text)
}

/// Turns `Title:` and the indented lines below it into a section of a manual
/// page, printed as it stands; other paragraphs are filled.
fn sections(help: &str) -> String {
    let mut out = String::new();
    for paragraph in help.split("\n\n") {
        let (first, rest) = paragraph.split_once('\n').unwrap_or((paragraph, ""));
        match first.strip_suffix(':') {
            Some(title) if rest.starts_with(' ') => {
                // Writing to a string does not fail.
                let _ = write!(out, ".SH \"{}\"\n.nf\n", title.to_uppercase());
                for line in rest.lines() {
                    let _ = writeln!(out, "{}", escaped(line.strip_prefix("  ").unwrap_or(line)));
                }
                out.push_str(".fi\n");
            }
            _ => {
                let _ = writeln!(out, ".PP\n{}", escaped(paragraph));
            }
        }
    }
    out
}

/// Text that roff takes literally; a hyphen stays one when it is copied.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    text.lines()
        .map(|line| match line.starts_with(['.', '\'']) {
            true => format!("\\&{line}"),
            false => line.to_owned(),
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_text_becomes_sections_that_roff_takes_literally() {
        let text = sections("Exit codes:\n    0  done\n  .x-y\n\nSee also\n.this");
        assert_eq!(
            text,
            ".SH \"EXIT CODES\"\n.nf\n  0  done\n\\&.x\\-y\n.fi\n.PP\nSee also\n\\&.this\n"
        );
    }

    #[test]
    fn every_page_has_its_own_name_and_the_programs_version() {
        let mut root = Cli::command();
        root.build();
        let command = root.find_subcommand("encode").unwrap();
        let man = Man::new(command.clone()).source("scanout 1");
        assert_eq!(man.get_filename(), "scanout-encode.1");
        let text = String::from_utf8(page(&man, command).unwrap()).unwrap();
        assert!(text.contains(".SH \"EXAMPLES\""), "{text}");
        assert!(text.contains(".SH \"TIMES OF A FRAME\""), "{text}");
    }
}
