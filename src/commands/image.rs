//! An image as every command that reads one has it: opened within limits, its flaws told.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::shown;
use crate::archive::{Archive, Entry, Event, Flaw, FlawKind, Limits, ReadError};
use crate::error::{Error, Obstacle};
use crate::host;
use crate::image_path::Shown;
use crate::inspect::picture::Picture;
use crate::inspect::read::{Depth, read};
use crate::problem::Problem;

/// The most flaws of one image that are told: a hostile one may have one an entry.
const FLAW_LIMIT: usize = 100;
/// The kernel's `PATH_MAX`: a link's target is shorter.
const TARGET_LIMIT: usize = 4096;

/// An image on its way, and its flaws so far.
pub(super) struct Image {
    path: PathBuf,
    archive: Archive,
    flaws: Vec<Problem<Obstacle>>,
}

impl Image {
    /// Opens the image at `path`.
    pub(super) fn open(path: &Path, limits: Limits) -> Result<Image, Error> {
        let source = host::image::open(path)
            .map_err(|source| Error::one(name(path), Obstacle::Unreadable(source)))?;
        Ok(Image::of(path, source, limits))
    }

    /// The image at `path` that `source` gives.
    pub(super) fn of(path: &Path, source: Box<dyn Read + Send>, limits: Limits) -> Image {
        Image {
            path: path.to_owned(),
            archive: Archive::new(source, limits),
            flaws: Vec::new(),
        }
    }

    /// The same, unpacked on a thread of its own.
    pub(super) fn apart(self) -> Image {
        Image {
            archive: self.archive.apart(),
            ..self
        }
    }

    /// What is where in it, without what is in the files.
    pub(super) fn outline(&mut self, limits: Limits) -> Result<Picture, Error> {
        let Image {
            path,
            archive,
            flaws,
        } = self;
        let told = |error| broken_off(path, &mut Vec::new(), error);
        let picture = read(archive, Depth::Outline, &limits).map_err(told)?;
        match picture.limit {
            Some(limit) => Err(broken_off(path, flaws, limit.into())),
            None => Ok(picture),
        }
    }

    /// The next entry; segments are passed over, flaws are kept for [`Image::finish`].
    pub(super) fn next_entry(&mut self) -> Result<Option<Entry>, Error> {
        loop {
            match self.archive.next_event() {
                Ok(Some(Event::Entry(entry))) => return Ok(Some(entry)),
                Ok(Some(Event::Flaw(flaw))) => self.keep(flaw),
                Ok(Some(_)) => {}
                Ok(None) => return Ok(None),
                Err(error) => return Err(broken_off(&self.path, &mut self.flaws, error)),
            }
        }
    }

    /// The next bytes of the entry's data.
    pub(super) fn data(&mut self) -> Result<Option<&[u8]>, Error> {
        let Image {
            path,
            archive,
            flaws,
        } = self;
        archive
            .data()
            .map_err(|error| broken_off(path, flaws, error))
    }

    /// The target that a link's data is. Of a longer one than any file system takes no more is kept than
    /// shows that.
    pub(super) fn target(&mut self) -> Result<Vec<u8>, Error> {
        let mut target = Vec::new();
        while target.len() < TARGET_LIMIT
            && let Some(bytes) = self.data()?
        {
            let room = bytes.len().min(TARGET_LIMIT - target.len());
            target.extend_from_slice(bytes.get(..room).unwrap_or_default());
        }
        Ok(target)
    }

    /// All is well; or else every flaw there was.
    pub(super) fn finish(self) -> Result<(), Error> {
        match self.flaws.is_empty() {
            true => Ok(()),
            false => Err(Error::Refused(self.flaws)),
        }
    }

    /// As [`Image::finish`], with other problems besides.
    pub(super) fn finish_with(mut self, problems: Vec<Problem<Obstacle>>) -> Result<(), Error> {
        self.flaws.extend(problems);
        self.finish()
    }

    fn keep(&mut self, flaw: Flaw) {
        if self.flaws.len() < FLAW_LIMIT {
            self.flaws.push(of_flaw(&self.path, flaw));
        }
    }
}

/// What is told of the first flaws of the image at `path`.
pub(super) fn of_flaws(
    path: &Path,
    flaws: impl IntoIterator<Item = Flaw>,
) -> Vec<Problem<Obstacle>> {
    let flaws = flaws.into_iter().take(FLAW_LIMIT);
    flaws.map(|flaw| of_flaw(path, flaw)).collect()
}

fn of_flaw(path: &Path, flaw: Flaw) -> Problem<Obstacle> {
    let is_all = flaw.segment == 0 && flaw.offset == 0;
    let place = match (&flaw.kind, &flaw.entry) {
        (FlawKind::Empty, _) => name(path),
        (FlawKind::Junk { found, length }, None) if is_all => {
            let (found, size) = (found.clone(), *length);
            return Problem::new(name(path), Obstacle::NotAnImage { found, size });
        }
        (_, Some(entry)) => format!("{}: segment {}, {}", name(path), flaw.segment, Shown(entry)),
        (_, None) => format!(
            "{}: segment {}, byte {}",
            name(path),
            flaw.segment,
            flaw.offset
        ),
    };
    Problem::new(place, Obstacle::Flaw(flaw.kind))
}

/// Reading cannot go on: told with the flaws that may be the reason.
pub(super) fn broken_off(
    path: &Path,
    flaws: &mut Vec<Problem<Obstacle>>,
    error: ReadError,
) -> Error {
    let mut problems = std::mem::take(flaws);
    let obstacle = match error {
        ReadError::Io(source) => Obstacle::Unreadable(source),
        ReadError::Limit(limit) => Obstacle::LimitMet(limit),
        ReadError::Damaged(damage) => Obstacle::Flaw(FlawKind::Damaged(damage)),
    };
    problems.push(Problem::new(name(path), obstacle));
    Error::Refused(problems)
}

/// That standard input is named once at most.
///
/// # Errors
/// When it is not: nothing is left of it for a second reader.
pub(super) fn once<'p>(
    images: impl IntoIterator<Item = &'p PathBuf>,
) -> Result<(), Problem<Obstacle>> {
    let is_input = |path: &&PathBuf| path.as_path() == Path::new("-");
    match images.into_iter().filter(is_input).count() {
        0 | 1 => Ok(()),
        _ => Err(Problem::new("standard input", Obstacle::InputTwice)),
    }
}

/// An image as a person names it.
pub(super) fn name(path: &Path) -> String {
    match path == Path::new("-") {
        true => "standard input".to_owned(),
        false => shown(path),
    }
}
