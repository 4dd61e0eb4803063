//! The command: arguments in, exit code out.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use xinitrd::cli::{Cli, Command};
use xinitrd::commands::{build, manifests, resolve};
use xinitrd::error::Error;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Build(args) => build::run(&args),
        Command::Resolve(args) => resolve::run(&args),
        Command::Manifests { name } => manifests::run(name.as_deref()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Error::ClosedOutput) => ExitCode::from(Error::ClosedOutput.exit_code()),
        Err(error) => {
            // Where nobody can be told, the exit code still tells; `eprintln!` would panic.
            let _ = writeln!(std::io::stderr(), "xinitrd: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
