//! Completion scripts and manual pages, made from the command line's own description.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

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

pub(super) fn manual(args: &ManArgs, console: &Console) -> Result<Exit, Failure> {
    let directory = &args.directory;
    fs::create_dir_all(directory).map_err(|e| Failure::output(directory.display(), &e))?;
    clap_mangen::generate_to(Cli::command(), directory)
        .map_err(|e| Failure::output(directory.display(), &e))?;
    console.print(&format!(
        "manual pages written to {}\n",
        directory.display()
    ))?;
    Ok(Exit::Ok)
}
