//! `xinitrd import`: the files of packages, put below one directory that can be given as a root.

use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{alike, shown};
use crate::cli::ImportArgs;
use crate::error::{Error, Obstacle};
use crate::host::destination::{
    Destination, LinkKey, Meta, PlaceError, PlaceFault, PlacedFile, Special, Staged, Wishes,
};
use crate::host::output::{Signals, outlive_size_limit};
use crate::host::package::{Package, is_stream};
use crate::package::files::{Interest, Keep, PackageFiles};
use crate::package::{self, Entry, Kind, PackageError};
use crate::problem::Problem;

/// So many problems are enough to give up a package: a hostile one has a million.
const ENOUGH: usize = 1000;
/// What is copied at once.
const PIECE: usize = 256 << 10;

/// Unpacks the packages, each over those before it. Into a directory that is new they go all or not at all.
///
/// # Errors
/// Everything that is wrong with the packages, or stands in the way of their files; or a signal.
pub fn run(args: &ImportArgs) -> Result<(), Error> {
    let directory = &args.directory;
    let no_directory = |source| {
        let holds = "what is unpacked";
        Error::one(shown(directory), Obstacle::Directory { holds, source })
    };
    let wishes = Wishes {
        force: args.force,
        owners: args.owners,
        nodes: args.nodes,
        links: true,
    };
    let packages = open(&args.packages)?;
    // What is there already is not to be mixed with half a package; and a read of a pipe goes on when a
    // signal is caught, so that it is to be over by then.
    let is_there = Staged::is_there(directory).map_err(no_directory)?;
    if is_there || packages.iter().any(|(path, _)| is_stream(path)) {
        let judged = packages.iter().map(|(path, package)| judge(path, package));
        refuse(judged.filter_map(Result::err).collect())?;
    }
    outlive_size_limit().map_err(no_directory)?;
    let signals = Signals::catch().map_err(no_directory)?;
    let staged = Staged::new(directory).map_err(no_directory)?;
    let destination = Destination::open(staged.path(), wishes).map_err(no_directory)?;
    let mut import = Import {
        destination,
        problems: Vec::new(),
        buffer: vec![0; PIECE],
        signals: signals.clone(),
    };
    let mut problems: Vec<Problem<Obstacle>> = Vec::new();
    for (path, package) in &packages {
        let done = read(path, package, &signals, &mut |entry, data| {
            import.take(entry, data)
        });
        interrupted(&signals, &staged, &mut import)?;
        problems.extend(import.end_of_package(path));
        problems.extend(done.err());
    }
    problems.extend(import.finish(directory));
    refuse(problems)?;
    staged.commit().map_err(no_directory)
}

/// An error where a signal has come. What is staged is taken away with it; a directory that was there before keeps
/// what is in it by then, its directories with the modes they should have.
fn interrupted(signals: &Signals, staged: &Staged, import: &mut Import) -> Result<(), Error> {
    let Some(signal) = signals.caught() else {
        return Ok(());
    };
    if staged.is_new() {
        let left = "nothing was unpacked";
        return Err(Error::Interrupted { signal, left });
    }
    import.destination.settle();
    let left = "not all was unpacked";
    Err(Error::Interrupted { signal, left })
}

fn refuse(problems: Vec<Problem<Obstacle>>) -> Result<(), Error> {
    match problems.is_empty() {
        true => Ok(()),
        false => Err(Error::Refused(problems)),
    }
}

type Opened<'p> = (&'p Path, Arc<Package>);

/// All packages, each of which can be read more than once.
fn open(paths: &[PathBuf]) -> Result<Vec<Opened<'_>>, Error> {
    let mut problems = Vec::new();
    let mut opened: Vec<Opened<'_>> = Vec::new();
    for path in paths {
        match Package::open(path) {
            Ok(package) => opened.push((path, package)),
            Err(error) => problems.push(trouble(path)(error.into())),
        }
    }
    refuse(problems).map(|()| opened)
}

fn trouble(path: &Path) -> impl Fn(PackageError) -> Problem<Obstacle> {
    move |error| Problem::new(shown(path), Obstacle::Package(error))
}

fn read(
    path: &Path,
    package: &Arc<Package>,
    signals: &Signals,
    visitor: &mut package::Visitor<'_>,
) -> Result<(), Problem<Obstacle>> {
    let source = package.again()(0).map_err(|error| trouble(path)(error.into()))?;
    let source = signals.clone().heeded_by(source);
    let read = package::read(source, &package::LIMITS, visitor);
    read.map(drop).map_err(trouble(path))
}

/// Reads a package, and sees that its paths go together.
fn judge(path: &Path, package: &Arc<Package>) -> Result<(), Problem<Obstacle>> {
    let nothing = Interest {
        keep: &|_, _| Keep::Nothing,
        extract: &|_| None,
        threads: NonZeroUsize::MIN,
    };
    PackageFiles::open(shown(path), package.again(), package::LIMITS, &nothing)
        .map(drop)
        .map_err(trouble(path))
}

/// Files on their way to the disk.
struct Import {
    destination: Destination,
    problems: Vec<(Vec<u8>, Obstacle)>,
    buffer: Vec<u8>,
    signals: Signals,
}

impl Import {
    fn take(&mut self, entry: Entry, data: &mut dyn Read) -> Result<ControlFlow<()>, PackageError> {
        let meta = Meta {
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            mtime: entry.mtime,
        };
        let path = &entry.path;
        let placed = match &entry.kind {
            Kind::Regular { size, group: None } => {
                let file = self.destination.file(path, meta);
                self.fill(file.map(Some), data, *size)?
            }
            Kind::Regular {
                size,
                group: Some(ino),
            } => {
                let key = LinkKey {
                    major: 0,
                    minor: 0,
                    ino: *ino,
                };
                let file = self.destination.linked_file(path, key, meta, *size > 0);
                self.fill(file, data, *size)?
            }
            Kind::Directory => self.destination.directory(path, meta),
            Kind::Symlink(target) => self.destination.symlink(path, target, meta),
            Kind::HardLink(existing) => self.destination.hard_link(path, existing),
            Kind::Char(major, minor) => {
                self.destination
                    .node(path, Special::Char(*major, *minor), meta)
            }
            Kind::Block(major, minor) => {
                self.destination
                    .node(path, Special::Block(*major, *minor), meta)
            }
            Kind::Pipe => self.destination.node(path, Special::Pipe, meta),
            Kind::Socket => self.destination.node(path, Special::Socket, meta),
        };
        self.problems.extend(placed.err().map(obstacle));
        Ok(
            match self.problems.len() < ENOUGH && self.signals.caught().is_none() {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            },
        )
    }

    /// Gives a file its data; within, what the system says of it.
    ///
    /// # Errors
    /// When the package cannot be read.
    fn fill(
        &mut self,
        file: Result<Option<PlacedFile>, PlaceError>,
        data: &mut dyn Read,
        size: u64,
    ) -> Result<Result<(), PlaceError>, PackageError> {
        let mut file = match file {
            Ok(Some(file)) => file,
            other => return Ok(other.map(drop)),
        };
        let mut left = size;
        while left > 0 {
            let room = self
                .buffer
                .len()
                .min(usize::try_from(left).unwrap_or(usize::MAX));
            let piece = self.buffer.get_mut(..room).unwrap_or_default();
            let came = match (data.read(piece), self.signals.check()) {
                (Ok(0), _) => Err(PackageError::Truncated),
                (Err(error), _) | (_, Err(error)) => Err(error.into()),
                (Ok(count), Ok(())) => Ok(count),
            };
            let count = match came {
                Ok(count) => count,
                // Half a file is none.
                Err(error) => {
                    let discarded = self.destination.discard(file);
                    return discarded.map_or_else(|fault| Ok(Err(fault)), |()| Err(error));
                }
            };
            if let Err(error) = file.append(piece.get(..count).unwrap_or_default()) {
                let discarded = self.destination.discard(file);
                return Ok(Err(error).or_else(|error| discarded.and(Err(error))));
            }
            left -= count as u64;
        }
        Ok(file.finish())
    }

    /// What went wrong with the files of the package at `path`.
    fn end_of_package(&mut self, path: &Path) -> Vec<Problem<Obstacle>> {
        self.destination.end_of_archive();
        alike::told(path, std::mem::take(&mut self.problems))
    }

    /// What went wrong with what is done last.
    fn finish(self, directory: &Path) -> Vec<Problem<Obstacle>> {
        let finished = self.destination.finish();
        if finished.nodes_skipped > 0 {
            let skipped = finished.nodes_skipped;
            // That nobody reads it is no reason to fail.
            let _ = writeln!(
                io::stderr(),
                "xinitrd: devices, pipes and sockets not made: {skipped}; --nodes makes them"
            );
        }
        alike::told(
            directory,
            finished.problems.into_iter().map(obstacle).collect(),
        )
    }
}

fn obstacle(error: PlaceError) -> (Vec<u8>, Obstacle) {
    let PlaceError { path, fault } = error;
    let obstacle = match fault {
        // Of a package all is extracted.
        PlaceFault::LinkSource { existing } => {
            Obstacle::Package(PackageError::no_link_source(&path, &existing))
        }
        fault => Obstacle::Place(fault),
    };
    (path.as_bytes().to_vec(), obstacle)
}
