//! Writing an image: what has to be known before it is begun, and the writing itself.

use std::io::{self, IsTerminal, Read, Write};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::held::Held;
use super::image::{Flaws, broken_off};
use super::{is_closed, shown};
use crate::archive::{Limits, ReadError};
use crate::compress::Encoding;
use crate::error::{Error, Obstacle};
use crate::host::output::{Output, Signals, commit_all, outlive_size_limit};
use crate::image;
use crate::image_path::Shown;
use crate::inspect::finding::{Finding, Severity};
use crate::inspect::read::Depth;
use crate::inspect::{Guest, inspect};
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

/// A file that is written beside the image.
pub(super) struct SideFile {
    /// The option that names it.
    pub(super) option: &'static str,
    pub(super) path: PathBuf,
    pub(super) text: Vec<u8>,
}

/// What is to be written beside an image, once that is known.
pub(super) type Beside<'b> = dyn Fn(&ImageReport) -> Result<Vec<SideFile>, Error> + 'b;

pub(super) fn cannot_record(
    option: &'static str,
    path: &Path,
    source: io::Error,
) -> Problem<Obstacle> {
    Problem::new(shown(path), Obstacle::Record { option, source })
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

/// Writes the image to its file, or to standard output, when it has been judged good for `guest`; and what
/// belongs `beside` it. None of the files stands before all are written; the image's comes last.
///
/// # Errors
/// When it cannot be written, is judged bad, or a signal comes; and those of `beside`.
pub(super) fn write(
    plan: &Plan,
    how: &Writing,
    guest: &Guest,
    beside: &Beside<'_>,
) -> Result<ImageReport, Error> {
    let output = how.output.as_path();
    outlive_size_limit().map_err(|source| refused(output, source))?;
    match is_stdout(output) {
        true => write_stream(plan, how, guest, beside),
        false => write_file(plan, how, guest, beside),
    }
}

fn refused(output: &Path, source: io::Error) -> Error {
    match is_stdout(output) {
        true if is_closed(&source) => Error::ClosedOutput,
        true => Error::one("standard output", Obstacle::Stream(source)),
        false => Error::Refused(vec![cannot_write(output, source)]),
    }
}

/// Writes the image to standard output. Nothing has to be taken away: a signal ends the process as it
/// ends any other.
fn write_stream(
    plan: &Plan,
    how: &Writing,
    guest: &Guest,
    beside: &Beside<'_>,
) -> Result<ImageReport, Error> {
    let told = |source| refused(&how.output, source);
    let (held, image, heard) = serialise(plan, how, guest, Held::default()).map_err(told)?;
    let again = || findings(Box::new(held.reader()), guest);
    judge(heard.unwrap_or_else(again), &how.output)?;
    let drafts = Drafts::of(beside(&image)?, how, &Signals::uncaught())?;
    let mut out = io::stdout().lock();
    let written = held.write_to(&mut out).and_then(|()| out.flush());
    written.map_err(told)?;
    drafts.commit(None)?;
    Ok(image)
}

/// Writes the image to its file.
fn write_file(
    plan: &Plan,
    how: &Writing,
    guest: &Guest,
    beside: &Beside<'_>,
) -> Result<ImageReport, Error> {
    let output = how.output.as_path();
    let signals = Signals::catch().map_err(|source| refused(output, source))?;
    let told = |source| match signals.caught() {
        Some(signal) => Error::Interrupted { signal, left: LEFT },
        None => refused(output, source),
    };
    let file = Output::create(output, how.force, signals.clone()).map_err(told)?;
    let (file, image, heard) = serialise(plan, how, guest, file).map_err(told)?;
    let again = |file: &Output| Ok(findings(file.reader()?, guest));
    let found = heard.map_or_else(|| again(&file), Ok).map_err(told)?;
    judge(found, output)?;
    let drafts = Drafts::of(beside(&image)?, how, &signals)?;
    drafts.commit(Some((output, file)))?;
    Ok(image)
}

/// What is written beside an image, and has not its names yet.
struct Drafts {
    files: Vec<(SideFile, Output)>,
    signals: Signals,
}

impl Drafts {
    fn of(files: Vec<SideFile>, how: &Writing, signals: &Signals) -> Result<Drafts, Error> {
        let draft = |file: SideFile| {
            let output = Output::create(&file.path, how.force, signals.clone());
            let written = output.and_then(|mut output| {
                output.write_all(&file.text)?;
                Ok(output)
            });
            match written {
                Ok(output) => Ok((file, output)),
                Err(error) => Err(told_of(
                    signals,
                    cannot_record(file.option, &file.path, error),
                )),
            }
        };
        let files = files.into_iter().map(draft).collect::<Result<_, _>>()?;
        let signals = signals.clone();
        Ok(Drafts { files, signals })
    }

    /// Has them all stand at their paths, and the image after them.
    fn commit(self, image: Option<(&Path, Output)>) -> Result<(), Error> {
        let (sides, mut outputs): (Vec<_>, Vec<_>) = self.files.into_iter().unzip();
        let (image, file) = image.unzip();
        outputs.extend(file);
        commit_all(outputs).map_err(|(path, error)| {
            let side = sides.iter().find(|side| side.path == path);
            let problem = match (side, image) {
                (Some(side), _) => cannot_record(side.option, &path, error),
                (None, image) => cannot_write(image.unwrap_or(&path), error),
            };
            told_of(&self.signals, problem)
        })
    }
}

/// What is left of an image after a signal.
const LEFT: &str = "no image was written";

/// A signal is the reason, where one came.
fn told_of(signals: &Signals, problem: Problem<Obstacle>) -> Error {
    match signals.caught() {
        Some(signal) => Error::Interrupted { signal, left: LEFT },
        None => Error::Refused(vec![problem]),
    }
}

/// What any image would be told of.
type Findings = Result<Vec<Finding>, ReadError>;

fn findings(image: Box<dyn Read + Send>, guest: &Guest) -> Findings {
    Ok(inspect(image, UNBOUNDED, guest, Depth::Facts)?.findings)
}

/// Judges what was written by the rules that any image is judged by.
///
/// # Errors
/// Everything that is wrong with it.
fn judge(findings: Findings, output: &Path) -> Result<(), Error> {
    let told = |error| broken_off(output, &mut Flaws::default(), error);
    let errors = findings.map_err(told)?.into_iter();
    let errors = errors.filter(|finding| finding.severity == Severity::Error);
    let problems: Vec<_> = errors.map(|finding| bad(output, finding)).collect();
    match problems.is_empty() {
        true => Ok(()),
        false => Err(Error::Refused(problems)),
    }
}

fn bad(output: &Path, finding: Finding) -> Problem<Obstacle> {
    let entry = finding
        .entry
        .as_ref()
        .map(|entry| format!(": {}", Shown(entry)));
    let image = match is_stdout(output) {
        true => "the image".to_owned(),
        false => shown(output),
    };
    let place = image + entry.as_deref().unwrap_or_default();
    Problem::new(place, Obstacle::Judged(Box::new(finding)))
}

/// What this program wrote is followed to its end.
const UNBOUNDED: Limits = Limits {
    entries: u64::MAX,
    segments: u64::MAX,
    name: u64::MAX,
    size: u64::MAX,
    ratio: u64::MAX,
    memory: u64::MAX,
};

/// Writes the image to `out`, and has it looked at meanwhile, where the system gives the threads for it.
fn serialise<W: Write>(
    plan: &Plan,
    how: &Writing,
    guest: &Guest,
    out: W,
) -> io::Result<(W, ImageReport, Option<Findings>)> {
    thread::scope(|scope| {
        let (measured, overheard) = Measured::overheard(out);
        let listen = |heard| {
            let look = move || findings(Box::new(heard), guest);
            thread::Builder::new().spawn_scoped(scope, look).ok()
        };
        let listener = overheard.and_then(listen);
        let (out, report) = write_measured(plan, how, measured)?;
        let heard =
            listener.map(|listener| listener.join().unwrap_or_else(|panic| resume_unwind(panic)));
        Ok((out, report, heard))
    })
}

fn write_measured<W: Write>(
    plan: &Plan,
    how: &Writing,
    mut measured: Measured<W>,
) -> io::Result<(W, ImageReport)> {
    let archive = image::archive(plan, how.mtime)?;
    let progress = progress_bar(archive.len());
    image::write(&archive, &how.encoding, &mut measured, &|done| {
        progress.set_position(done)
    })?;
    let (out, size, digest) = measured.finish()?;
    progress.finish_and_clear();
    let report = ImageReport {
        path: shown(&how.output),
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
