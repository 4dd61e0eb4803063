//! The libraries a dynamic program needs, found as the guest's loader would, without running it.
//!
//! In: a program's facts and where it lies. Out: the loader and every library, each with the path
//! it must have in the image. The search is that of `ld.so(8)` and of glibc's `_dl_map_object`
//! (`elf/dl-load.c`): `DT_RPATH` of the object and of those that led to it, then its `DT_RUNPATH`,
//! then the directories of `ld.so.conf`, then the default ones. A name with a slash in it is a path
//! and is searched nowhere. An object for another machine is passed over; any other that the loader
//! could not use ends the search, as it does there.

mod configuration;
pub mod search;

use std::collections::{HashSet, VecDeque};

use crate::arch::{Arch, ElfKind};
use crate::elf::ElfFault;
use crate::elf::program::{ProgramFacts, Role, bounded};
use crate::image_path::ImagePath;
use crate::problem::{Fault, Problem};
use crate::root::{LookupError, Root};

use search::{Asking, SearchDirectory, SearchPaths, Wanted, path_in, search_is_bounded};

/// A library to go into the image.
#[derive(Debug)]
pub struct Library {
    /// Where the guest's loader will look for it.
    pub path: ImagePath,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Where it was found, for people.
    pub origin: String,
}

/// Where libraries are looked for.
pub struct Libraries<'r> {
    root: &'r Root,
    bins: &'r [Root],
    guest: Arch,
    paths: SearchPaths,
}

/// An object whose needs are still to be met.
struct Object {
    facts: ProgramFacts,
    place: String,
    /// Where `$ORIGIN` is, in the root and in the image.
    origin: SearchDirectory,
    /// `DT_RPATH` of the objects that led here, the nearest first.
    inherited: Vec<SearchDirectory>,
}

/// A library that was found, and where.
struct Found {
    library: Library,
    facts: ProgramFacts,
    directory: SearchDirectory,
}

/// One of another machine that was passed over: how a person names it, and what it is for.
type Misfit = Option<(String, ElfKind)>;

/// The most libraries one program may lead to: real ones stay under 300.
const LIBRARY_LIMIT: usize = 1024;

impl<'r> Libraries<'r> {
    /// The libraries of `root`, for programs of `guest`; by file name, `bins` precede it.
    ///
    /// # Errors
    /// When `ld.so.conf`, or a file it includes, is there and cannot be read; told by its name.
    pub fn new(root: &'r Root, bins: &'r [Root], guest: Arch) -> Result<Self, LookupError> {
        Ok(Libraries {
            root,
            bins,
            guest,
            paths: SearchPaths::new(root, guest)?,
        })
    }

    /// Everything that `facts`, of the program at `in_root` (in the image at `in_image`), needs;
    /// and what is wrong with it.
    #[must_use]
    pub fn needed_by(
        &self,
        facts: ProgramFacts,
        place: String,
        in_root: &ImagePath,
        in_image: &ImagePath,
    ) -> (Vec<Library>, Vec<Problem>) {
        let mut closure = Closure::new(self);
        if let Some(path) = &facts.interpreter {
            closure.take_loader(path);
        }
        closure.queue.push_back(Object {
            facts,
            place,
            origin: SearchDirectory {
                in_root: in_root.parent().unwrap_or_default(),
                in_image: in_image.parent().unwrap_or_default(),
            },
            inherited: Vec::new(),
        });
        while let Some(object) = closure.queue.pop_front() {
            closure.take_needs(&object);
        }
        (closure.found, closure.problems)
    }

    /// The loader itself: it lies in the image at the very path the program names.
    fn interpreter(&self, path: &str) -> Result<Library, Problem> {
        let found = ImagePath::new(path)
            .map_err(LookupError::from)
            .and_then(|path| {
                let bytes = self.root.read(&path)?;
                Ok(Library {
                    origin: self.root.shown(&path),
                    path,
                    bytes,
                })
            });
        let library = found.map_err(|error| Problem::new(format!("the loader {path}"), error))?;
        self.judge(&library.bytes)
            .map_err(|fault| self.unusable(library.origin.clone(), fault))?;
        Ok(library)
    }

    fn judge(&self, bytes: &[u8]) -> Result<ProgramFacts, ElfFault> {
        let facts = ProgramFacts::parse(bytes)?;
        facts.judge(self.guest.elf(), Role::Library)?;
        Ok(facts)
    }

    fn unusable(&self, place: String, fault: ElfFault) -> Problem {
        let (guest, package) = (self.guest, None);
        Problem::new(
            place,
            Fault::Program {
                fault,
                guest,
                package,
            },
        )
    }

    /// Finds what `place` wants: in the `--bins` directories, by its file's name, or where it is
    /// looked for.
    fn search(&self, place: &str, wanted: &Wanted<'_>) -> Result<Found, Problem> {
        let mut misfit = None;
        let in_bins = SearchDirectory {
            in_root: ImagePath::default(),
            in_image: wanted.fixed().unwrap_or(&self.paths.reachable).clone(),
        };
        for root in self.bins {
            if let Some(path) = path_in(&in_bins.in_root, wanted.file_name)
                && let Some(found) = self.try_one(root, &in_bins, path, &mut misfit)?
            {
                return Ok(found);
            }
        }
        let found =
            wanted.search(|directory, path| self.try_one(self.root, directory, path, &mut misfit));
        found?.ok_or_else(|| self.missing(place, wanted, misfit))
    }

    /// The library in one directory, if there is one; of one for another machine the first is
    /// remembered.
    fn try_one(
        &self,
        root: &Root,
        directory: &SearchDirectory,
        path: ImagePath,
        misfit: &mut Misfit,
    ) -> Result<Option<Found>, Problem> {
        let origin = root.shown(&path);
        let bytes = match read_in(root, &directory.in_root, &path) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(None),
            Err(error) => return Err(Problem::of_lookup(origin, error)),
        };
        let facts = match self.judge(&bytes) {
            Ok(facts) => facts,
            Err(ElfFault::WrongKind { found, .. }) => {
                misfit.get_or_insert((origin, found));
                return Ok(None);
            }
            Err(fault) => return Err(self.unusable(origin, fault)),
        };
        let in_image = directory.in_image.join(path.file_name());
        let path = in_image.map_err(|bad| Problem::new(origin.clone(), LookupError::from(bad)))?;
        let library = Library {
            path,
            bytes,
            origin,
        };
        let directory = directory.clone();
        Ok(Some(Found {
            library,
            facts,
            directory,
        }))
    }

    fn missing(&self, place: &str, wanted: &Wanted<'_>, misfit: Misfit) -> Problem {
        let searched = wanted.directories.iter();
        let searched = searched.map(|directory| self.root.shown(&directory.in_root));
        Problem::new(
            place,
            Fault::LibraryMissing {
                needed: wanted.needed.to_owned(),
                searched: searched.collect(),
                misfit,
            },
        )
    }
}

/// The file at `path`, in `directory`; nothing where there is no such file, or no such directory:
/// search paths name many that are gone.
fn read_in(
    root: &Root,
    directory: &ImagePath,
    path: &ImagePath,
) -> Result<Option<Vec<u8>>, LookupError> {
    match root.resolve(directory) {
        Err(error) if !error.is_io() => Ok(None),
        there => there.and_then(|_| root.read_if_there(path)),
    }
}

/// A program's libraries on their way: who asks, what was found, what is wrong.
struct Closure<'l, 'r> {
    libraries: &'l Libraries<'r>,
    /// Objects whose needs are still to be met, in the order the loader maps them.
    queue: VecDeque<Object>,
    /// What was asked for, with the directory in the image where it was a path.
    known: HashSet<(Option<ImagePath>, String)>,
    found: Vec<Library>,
    problems: Vec<Problem>,
}

impl<'l, 'r> Closure<'l, 'r> {
    fn new(libraries: &'l Libraries<'r>) -> Self {
        Closure {
            libraries,
            queue: VecDeque::new(),
            known: HashSet::new(),
            found: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// The loader is a library too, and is not loaded again where one needs it.
    fn take_loader(&mut self, path: &str) {
        match self.libraries.interpreter(path) {
            Ok(library) => {
                let name = String::from_utf8_lossy(library.path.file_name());
                self.known.insert((None, name.into_owned()));
                self.found.push(library);
            }
            Err(problem) => self.problems.push(problem),
        }
    }

    fn take_needs(&mut self, object: &Object) {
        let paths = &self.libraries.paths;
        let asking = Asking {
            facts: &object.facts,
            origin: &object.origin,
            inherited: &object.inherited,
        };
        let rpaths = paths.rpaths(&asking);
        let search_path = paths.search_path(&asking, &rpaths);
        if let Err(fault) = self.stays_within_limits(&search_path) {
            self.queue.clear();
            let problem = self.libraries.unusable(object.place.clone(), fault);
            return self.problems.push(problem);
        }
        for needed in &object.facts.needed {
            let wanted = paths.wanted(&asking, &search_path, needed);
            self.take(&object.place, &wanted, &rpaths);
        }
    }

    fn stays_within_limits(&self, search_path: &[SearchDirectory]) -> Result<(), ElfFault> {
        search_is_bounded(search_path)?;
        bounded("libraries needed in all", self.known.len(), LIBRARY_LIMIT)
    }

    /// Takes what is wanted for the first time.
    fn take(&mut self, place: &str, wanted: &Wanted<'_>, rpaths: &[SearchDirectory]) {
        let key = (wanted.fixed().cloned(), wanted.needed.to_owned());
        if !self.known.insert(key) {
            return;
        }
        match self.libraries.search(place, wanted) {
            Ok(Found {
                library,
                facts,
                directory,
            }) => {
                self.queue.push_back(Object {
                    facts,
                    place: library.origin.clone(),
                    origin: directory,
                    inherited: rpaths.to_vec(),
                });
                self.found.push(library);
            }
            Err(problem) => self.problems.push(problem),
        }
    }
}
