//! The command: arguments in, exit code out.

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use xinitrd::cli::{Cli, Command};
use xinitrd::commands::obstacles::{Audience, document, tell};
use xinitrd::commands::{
    build, cat, diff, explain, extract, import, inspect, list, manifests, resolve,
};
use xinitrd::error::{Error, Obstacle, Writes};

fn main() -> ExitCode {
    let command = Cli::try_parse()
        .unwrap_or_else(|error| misused(&error))
        .command;
    let done = match &command {
        Command::Build(args) => build::run(args),
        Command::Resolve(args) => resolve::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Extract(args) => extract::run(args),
        Command::Import(args) => import::run(args),
        Command::Diff(args) => diff::run(args),
        Command::List(args) => list::run(args),
        Command::Cat(args) => cat::run(args),
        Command::Manifests { name } => manifests::run(name.as_deref()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&error, audience(&command));
            ExitCode::from(error.exit_code())
        }
    }
}

fn audience(command: &Command) -> Audience {
    match command {
        Command::Build(args) => Audience {
            json: args.json,
            quiet: args.quiet,
            image_on_stdout: !args.dry_run && args.output.as_deref() == Some(Path::new("-")),
            writes: Writes::Image,
            lines: false,
        },
        Command::Resolve(args) => of_documents(args.json, false),
        Command::Diff(args) => of_documents(args.json, false),
        Command::Inspect(args) => of_documents(args.json, true),
        Command::List(args) => of_documents(args.json, true),
        Command::Extract(_) => Audience {
            writes: Writes::Entries,
            ..Audience::default()
        },
        Command::Import(_) => Audience {
            writes: Writes::Tree,
            ..Audience::default()
        },
        Command::Cat(_) | Command::Explain(_) | Command::Manifests { .. } => Audience::default(),
    }
}

/// Who asks for a document, if so, and for one a line, if so.
fn of_documents(json: bool, lines: bool) -> Audience {
    Audience {
        json,
        lines,
        ..Audience::default()
    }
}

/// The parser tells people itself; who asked for a document gets one as well.
fn misused(error: &clap::Error) -> ! {
    let typed: Vec<_> = std::env::args_os().collect();
    let holds = |word: &str| typed.iter().any(|argument| argument == word);
    // What should have been an image is no place for a document.
    let image_on_stdout = holds("build") && (holds("-") || holds("-o-") || holds("--output=-"));
    if error.use_stderr() && holds("--json") && !image_on_stdout {
        let text = error.to_string();
        let words = text
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches("error: ");
        let refused = Error::one("the command line", Obstacle::CommandLine(words.to_owned()));
        // Where nobody can be told, the exit code still tells.
        let to = of_documents(true, holds("inspect") || holds("list"));
        let _ = document(&refused, to);
    }
    error.exit()
}
