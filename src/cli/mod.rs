//! The command line: what can be said, and how it ends.

mod generate;
pub(crate) mod values;

use std::ffi::OsString;
use std::io::IsTerminal;

use clap::error::{ContextKind, ErrorKind};
use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::console::Console;
use crate::failure::{Exit, Failure};
use crate::interrupt::Interrupt;
#[cfg(feature = "serve")]
use crate::serve;
use crate::{demo, encode, probe, trace};

/// Turns the frames of a Linux display into an encoded video stream, on
/// whatever encoder this machine has.
#[derive(Debug, Parser)]
#[command(
    name = "scanout",
    version,
    propagate_version = true,
    max_term_width = 100
)]
#[command(after_help = generate::exit_codes())]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Global {
    /// Print the result as JSON (with a schema version) on standard output
    #[arg(long, global = true, display_order = LAST)]
    json: bool,
    /// Log what happens on standard error; twice for debugging, thrice for every frame
    #[arg(short, long, global = true, action = ArgAction::Count, display_order = LAST)]
    verbose: u8,
    /// Colours in text
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Color::Auto, display_order = LAST)]
    color: Color,
}

/// What every command has stands below what is its own.
const LAST: usize = 900;

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Color {
    /// On terminals
    Auto,
    /// In files and pipes too
    Always,
    /// Nowhere
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show which encoders this machine has, and which of them really encode
    #[command(after_help = generate::PROBE_EXAMPLES)]
    Probe(probe::ProbeArgs),
    /// Encode a source into a file
    #[command(after_help = generate::ENCODE_EXAMPLES, after_long_help = generate::encode_notes())]
    Encode(Box<encode::EncodeArgs>),
    /// Serve a source to SPICE clients (remote-viewer and its like), as the screen of a machine
    #[cfg(feature = "serve")]
    #[command(after_help = generate::SERVE_EXAMPLES, after_long_help = generate::serve_notes())]
    Serve(Box<serve::ServeArgs>),
    /// Write the synthetic desktop's frames and their damage
    #[command(after_help = generate::TRACE_EXAMPLES)]
    Trace(trace::TraceArgs),
    /// Probe, encode ten seconds of desktop, decode them elsewhere and compare
    #[command(after_long_help = generate::STAGES)]
    Demo(demo::DemoArgs),
    /// Write a completion script for a shell to standard output
    Completions(generate::CompletionsArgs),
    /// Write the manual pages into a directory
    Man(generate::ManArgs),
}

/// What every command gets.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) console: Console,
    pub(crate) interrupt: Interrupt,
}

/// Runs the program with its own arguments.
pub(crate) fn main() -> Exit {
    let args: Vec<OsString> = std::env::args_os().collect();
    // Errors of the command line itself are told as asked, too.
    let json = args.iter().any(|arg| arg == "--json");
    let outcome = match Cli::try_parse_from(args) {
        Ok(cli) => {
            let console = Console::new(cli.global.json);
            start(&cli.global);
            run(cli.command, &console).map_err(|failure| (failure, console))
        }
        Err(error) => usage_error(&error, json),
    };
    outcome.unwrap_or_else(|(failure, console)| {
        console.failure(&failure);
        failure.exit
    })
}

fn run(command: Command, console: &Console) -> Result<Exit, Failure> {
    let context = Context {
        console: console.clone(),
        interrupt: Interrupt::install(console)?,
    };
    match command {
        Command::Probe(args) => probe::run(&args, &context),
        Command::Encode(args) => encode::run(&args, &context),
        #[cfg(feature = "serve")]
        Command::Serve(args) => serve::run(&args, &context),
        Command::Trace(args) => trace::run(&args, &context),
        Command::Demo(args) => demo::run(&args, &context),
        Command::Completions(args) => generate::completions(&args, &context.console),
        Command::Man(args) => generate::manual(&args, &context.console),
    }
}

fn start(global: &Global) {
    use tracing_subscriber::filter::LevelFilter;
    match global.color {
        Color::Auto => anstream::ColorChoice::Auto,
        Color::Always => anstream::ColorChoice::Always,
        Color::Never => anstream::ColorChoice::Never,
    }
    .write_global();
    let level = match global.verbose {
        0 => LevelFilter::OFF,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let ansi = match global.color {
        Color::Auto => std::io::stderr().is_terminal(),
        Color::Always => true,
        Color::Never => false,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(ansi)
        .init();
}

/// Help and version are printed; anything else is a failure in one line.
fn usage_error(error: &clap::Error, json: bool) -> Result<Exit, (Failure, Console)> {
    let console = Console::new(json);
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        let text = error.render().ansi().to_string();
        return match console.print(&text) {
            Ok(()) => Ok(Exit::Ok),
            Err(failure) => Err((failure, console)),
        };
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let names: Vec<_> = Cli::command()
            .get_subcommands()
            .map(|c| c.get_name().to_owned())
            .collect();
        let failure = Failure::usage(format_args!(
            "no command given: one of {}",
            names.join(", ")
        ))
        .hint("try 'scanout --help'");
        return Err((failure, console));
    }
    let text = error.render().to_string();
    let message = text.split("\n\n").next().unwrap_or(&text);
    let message = message.strip_prefix("error: ").unwrap_or(message);
    let similar = [
        ContextKind::SuggestedArg,
        ContextKind::SuggestedSubcommand,
        ContextKind::SuggestedValue,
    ];
    let suggested = similar
        .iter()
        .find_map(|kind| error.get(*kind).map(ToString::to_string));
    let hint = match suggested {
        Some(name) => format!("did you mean {name}?"),
        None => "try --help".to_owned(),
    };
    Err((Failure::usage(message).hint(hint), console))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
