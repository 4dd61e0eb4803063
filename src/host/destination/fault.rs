//! Why an entry could not be put onto disk.

use std::fmt;
use std::io;

use crate::image_path::{BadPath, ImagePath};
use crate::problem::Explain;

/// An entry that is not there as the archive has it.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {fault}")]
pub struct PlaceError {
    /// The entry's path, as the archive has it.
    pub path: ImagePath,
    /// What stood in the way.
    pub fault: PlaceFault,
}

/// What stood in an entry's way.
#[derive(Debug, thiserror::Error)]
pub enum PlaceFault {
    /// It is to lie where the directory itself is, and is none.
    #[error("it has the place of the directory itself, and is none")]
    Top,
    /// Something is there that the archive did not make.
    #[error("{0} is there already")]
    Exists(Found),
    /// A directory is there, and is never taken away for something else.
    #[error("a directory is there already")]
    DirectoryThere,
    /// A part of its path is no directory but something that lay there before: nothing is written
    /// through a symbolic link.
    #[error("{at} is there already: {found}")]
    Through {
        /// The part.
        at: ImagePath,
        /// What it is.
        found: Found,
    },
    /// A part of its path is a link that lay there before, and leads out of the directory.
    #[error("{at} is there already: a symbolic link that leads out of the directory")]
    LeadsOut {
        /// The link.
        at: ImagePath,
    },
    /// A part of its path is a file, link or node of the archive.
    #[error("{at} is no directory in the archive")]
    UnderFile {
        /// The part.
        at: ImagePath,
    },
    /// Its path leads through more than 40 of the archive's links, as a loop has.
    #[error("it leads through too many symbolic links")]
    LinkLoop,
    /// The archive's links lead it to a path that cannot be.
    #[error("links lead it to a path that cannot be: {0}")]
    Path(#[from] BadPath),
    /// It is another name of something that this run has not made.
    #[error("it is a hard link to {existing}, which was not extracted")]
    LinkSource {
        /// What it is to be another name of.
        existing: ImagePath,
    },
    /// The archive has so many directories, links or file names that what must be kept of them until
    /// the end is more than any real one needs.
    #[error("the paths and targets up to it are more than {limit} bytes")]
    TooMuch {
        /// The most that is kept, in bytes.
        limit: usize,
    },
    /// The system does not let it.
    #[error("{doing}: {source}")]
    System {
        /// What was being done: `make it`.
        doing: &'static str,
        /// What the system says.
        source: io::Error,
    },
}

/// What lies at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, pipe or socket.
    Special,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Found::File => "a file",
            Found::Directory => "a directory",
            Found::Symlink => "a symbolic link",
            Found::Special => "a device, pipe or socket",
        })
    }
}

impl PlaceFault {
    /// What becomes of the system's word on what was being done.
    pub(super) fn system(
        doing: &'static str,
    ) -> impl Fn(rustix::io::Errno) -> PlaceFault + Copy + 'static {
        move |errno| PlaceFault::System {
            doing,
            source: errno.into(),
        }
    }

    /// This, of the entry at `path`.
    pub(super) fn of(path: &ImagePath) -> impl Fn(PlaceFault) -> PlaceError {
        move |fault| PlaceError {
            path: path.clone(),
            fault,
        }
    }
}

impl Explain for PlaceFault {
    fn is_judgement(&self) -> bool {
        match self {
            PlaceFault::Top
            | PlaceFault::UnderFile { .. }
            | PlaceFault::LinkLoop
            | PlaceFault::TooMuch { .. }
            | PlaceFault::Path(_) => true,
            PlaceFault::Exists(_)
            | PlaceFault::DirectoryThere
            | PlaceFault::Through { .. }
            | PlaceFault::LeadsOut { .. }
            | PlaceFault::LinkSource { .. }
            | PlaceFault::System { .. } => false,
        }
    }

    fn found(&self) -> String {
        match self {
            PlaceFault::System { doing, source } => format!("cannot {doing}: {source}"),
            fault => fault.to_string(),
        }
    }

    fn expected(&self) -> String {
        match self {
            PlaceFault::Top => "a directory",
            PlaceFault::Exists(_) => "a name that nothing has yet",
            PlaceFault::DirectoryThere => "no directory, as the entry is none",
            PlaceFault::Through { .. } => "a directory, or nothing yet",
            PlaceFault::LeadsOut { .. } => {
                "a directory, or a link to one inside, without a leading slash"
            }
            PlaceFault::UnderFile { .. } => "a directory above it",
            PlaceFault::LinkLoop => "links that lead to a directory",
            PlaceFault::Path(_) => "a path that the kernel could open",
            PlaceFault::LinkSource { .. } => "a file of the same archive, extracted before",
            PlaceFault::TooMuch { .. } => "some thousand directories and links at most",
            PlaceFault::System { .. } => "a directory that can take what the archive holds",
        }
        .to_owned()
    }

    fn advice(&self) -> String {
        match self {
            PlaceFault::Exists(_) | PlaceFault::Through { .. } => {
                "extract into an empty directory, or say --force to replace it"
            }
            PlaceFault::DirectoryThere => "extract into an empty directory",
            PlaceFault::LeadsOut { .. } => {
                "have the link lead to a path inside, relative to where it lies"
            }
            PlaceFault::LinkSource { .. } => "extract both names into an empty directory",
            PlaceFault::Top
            | PlaceFault::UnderFile { .. }
            | PlaceFault::LinkLoop
            | PlaceFault::Path(_) => "do without the entry: the kernel would not place it either",
            PlaceFault::TooMuch { .. } => "distrust the image: none that boots is like this",
            PlaceFault::System { source, .. } => system_advice(source.kind()),
        }
        .to_owned()
    }
}

fn system_advice(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::PermissionDenied => {
            "give the user who runs this the right to do it; devices and owners need root"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "make room there, or extract to another place"
        }
        _ => "extract to another place",
    }
}
