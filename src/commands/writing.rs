//! Writing an image: what has to be known before it is begun, and the writing itself.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{is_closed, shown};
use crate::compress::Encoding;
use crate::error::{Error, Obstacle};
use crate::host::output::{Output, Signals, outlive_size_limit};
use crate::image;
use crate::measured::Measured;
use crate::plan::Plan;
use crate::problem::Problem;
use crate::report::ImageReport;

/// Where an image goes, and how it is written.
pub(super) struct Writing {
    /// Its file; `-` is standard output.
    pub(super) output: PathBuf,
    /// Whether a file that is there is replaced.
    pub(super) force: bool,
    /// How it is compressed.
    pub(super) encoding: Encoding,
    /// The time every entry gets, in seconds since 1970.
    pub(super) mtime: u32,
}

pub(super) fn is_stdout(output: &Path) -> bool {
    output == Path::new("-")
}

pub(super) fn cannot_write(output: &Path, source: io::Error) -> Problem<Obstacle> {
    Problem::new(shown(output), Obstacle::Output(source))
}

/// The time every entry gets: `SOURCE_DATE_EPOCH` (reproducible-builds.org), else 0.
///
/// # Errors
/// When it is no number of seconds that an entry can hold.
pub(super) fn mtime() -> Result<u32, Problem<Obstacle>> {
    let Some(text) = std::env::var_os("SOURCE_DATE_EPOCH") else {
        return Ok(0);
    };
    let seconds = text.to_str().and_then(|text| text.parse().ok());
    seconds.ok_or_else(|| {
        let text = shown(Path::new(&text));
        Problem::new("SOURCE_DATE_EPOCH", Obstacle::SourceDate(text))
    })
}

/// Writes the image to its file, or to standard output.
///
/// # Errors
/// When it cannot be written, or a signal comes.
pub(super) fn write(plan: &Plan, how: &Writing) -> Result<ImageReport, Error> {
    let output = how.output.as_path();
    let refused = |source| match is_stdout(output) {
        true if is_closed(&source) => Error::ClosedOutput,
        true => Error::one("standard output", Obstacle::Stream(source)),
        false => Error::Refused(vec![cannot_write(output, source)]),
    };
    outlive_size_limit().map_err(refused)?;
    let image = if is_stdout(output) {
        // Nothing has to be taken away: a signal ends the process as it ends any other.
        serialise(plan, how, io::stdout().lock())
            .map_err(refused)?
            .1
    } else {
        let signals = Signals::catch().map_err(refused)?;
        write_file(plan, how, &signals).map_err(|source| match signals.caught() {
            Some(signal) => Error::Interrupted { signal },
            None => refused(source),
        })?
    };
    Ok(ImageReport {
        path: shown(output),
        ..image
    })
}

/// Writes the image to its file.
fn write_file(plan: &Plan, how: &Writing, signals: &Signals) -> io::Result<ImageReport> {
    let file = Output::create(&how.output, how.force, signals.clone())?;
    let (file, image) = serialise(plan, how, file)?;
    file.commit()?;
    Ok(image)
}

/// Writes the image to `out`, measuring what goes by.
fn serialise<W: Write>(plan: &Plan, how: &Writing, out: W) -> io::Result<(W, ImageReport)> {
    let archive = image::archive(plan, how.mtime)?;
    let progress = progress_bar(archive.len());
    let mut measured = Measured::new(out);
    image::write(&archive, &how.encoding, &mut measured, &|done| {
        progress.set_position(done)
    })?;
    let (out, size, digest) = measured.finish()?;
    progress.finish_and_clear();
    let report = ImageReport {
        path: String::new(),
        compression: how.encoding.compression().name().to_owned(),
        level: how.encoding.level(),
        archive_size: archive.len(),
        size,
        sha256: digest,
    };
    Ok((out, report))
}

/// A bar on standard error where that is a terminal, and nothing where it is not.
fn progress_bar(length: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes}");
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
