//! What stands in a command's way: gathered until nothing more can be judged, then told.

use std::io::{self, Write};

use super::{json, json_line, write_out};
use crate::error::{Error, Obstacle, Writes};
use crate::problem::Problem;

/// What has been found in the way so far.
#[derive(Default)]
pub(super) struct Obstacles(Vec<Problem<Obstacle>>);

impl Obstacles {
    /// What was got; or nothing, and one problem more.
    pub(super) fn keep<T>(&mut self, got: Result<T, impl Into<Problem<Obstacle>>>) -> Option<T> {
        self.keep_all(got.map_err(|problem| vec![problem]))
    }

    /// What was got; or nothing, and some problems more.
    pub(super) fn keep_all<T, P>(&mut self, got: Result<T, Vec<P>>) -> Option<T>
    where
        P: Into<Problem<Obstacle>>,
    {
        got.map_err(|problems| self.0.extend(problems.into_iter().map(Into::into)))
            .ok()
    }

    /// Some problems more.
    pub(super) fn add(&mut self, problems: impl IntoIterator<Item = Problem<Obstacle>>) {
        self.0.extend(problems);
    }

    /// What was made, when nothing stands in the way.
    ///
    /// # Errors
    /// Everything that does.
    pub(super) fn none_before<T>(self, made: Option<T>) -> Result<T, Error> {
        match made {
            Some(made) if self.0.is_empty() => Ok(made),
            _ => Err(Error::Refused(self.0)),
        }
    }
}

/// Who is to be told of an error, and how.
#[derive(Debug, Clone, Copy, Default)]
pub struct Audience {
    /// A document is asked for.
    pub json: bool,
    /// It is one of several, each in a line.
    pub lines: bool,
    /// What the command writes.
    pub writes: Writes,
    /// The text may be left out where there is a document.
    pub quiet: bool,
    /// Standard output is the image's: a document goes to standard error, and goes there alone.
    pub image_on_stdout: bool,
}

/// Says what stood in the way. Where nobody can be told, the exit code still tells.
pub fn tell(error: &Error, to: Audience) {
    if matches!(error, Error::ClosedOutput | Error::Answered) {
        return;
    }
    let is_printed = matches!(error, Error::Unreadable { .. });
    let documented = to.json && !is_printed && document(error, to).is_ok();
    if !(documented && (to.quiet || to.image_on_stdout)) {
        let left = error.left(to.writes).map(|left| format!("; {left}"));
        // `eprintln!` would panic on a standard error that is full or closed.
        let _ = writeln!(io::stderr(), "xinitrd: {error}{}", left.unwrap_or_default());
    }
}

/// Prints the error as a document.
///
/// # Errors
/// Those of the stream it goes to.
pub fn document(error: &Error, to: Audience) -> io::Result<()> {
    let text = match to.lines {
        true => json_line(&error.report())?,
        false => json(&error.report())?,
    };
    if to.image_on_stdout {
        return io::stderr().write_all(text.as_bytes());
    }
    write_out(&text)
}
