//! The subcommands: each reads, decides and writes, and says so in that order.

mod alike;
pub mod build;
pub mod cat;
pub mod diff;
pub mod explain;
pub mod extract;
mod guest;
mod held;
mod image;
pub mod import;
pub mod inspect;
mod layers;
pub mod list;
pub mod manifests;
mod modprobe_conf;
mod observer;
pub mod obstacles;
mod records;
pub mod resolve;
mod writing;

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::cli::KernelArgs;
use crate::error::{Error, Obstacle};
use crate::image_path::Shown;

/// A path of the host as a person may read it.
fn shown(path: &Path) -> String {
    Shown(path.as_os_str().as_bytes()).to_string()
}

fn threads(args: &KernelArgs) -> NonZeroUsize {
    processors(args.threads)
}

/// The number of threads asked for, or one a processor.
fn processors(asked: Option<NonZeroUsize>) -> NonZeroUsize {
    let processors = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    asked.unwrap_or(processors)
}

/// Writes results to standard output; that nobody reads them any more is an error without words.
fn print(text: &str) -> Result<(), Error> {
    write_out(text).map_err(output_error)
}

fn write_out(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn output_error(source: io::Error) -> Error {
    if is_closed(&source) {
        return Error::ClosedOutput;
    }
    Error::one("standard output", Obstacle::Print(source))
}

/// Whether whoever read has gone.
fn is_closed(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

fn json(value: &impl serde::Serialize) -> io::Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}

/// A document in one line, where there are several.
fn json_line(value: &impl serde::Serialize) -> io::Result<String> {
    Ok(serde_json::to_string(value)? + "\n")
}
