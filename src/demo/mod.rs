//! `scanout demo`.
use std::path::PathBuf;
use clap::Args;
use crate::cli::Context;
use crate::failure::{Exit, Failure};

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Directory
    #[arg(long, value_name = "DIR", default_value = "out/demo")]
    output_dir: PathBuf,
}

pub(crate) fn run(args: &DemoArgs, context: &Context) -> Result<Exit, Failure> {
    let _ = (args, context);
    Ok(Exit::Ok)
}
