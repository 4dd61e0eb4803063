//! The libraries a dynamic program needs, found as the guest's loader would, without running it.
//!
//! In: a program's facts and where it lies. Out: the loader and every library, each with the path
//! it must have in the image. The search is that of `ld.so(8)` and of glibc's `_dl_map_object`
//! (`elf/dl-load.c`): `DT_RPATH` of the object and of those that led to it, then its `DT_RUNPATH`,
//! then the directories of `ld.so.conf`, then the default ones. A name with a slash in it is a path
//! and is searched nowhere. An object for another machine is passed over; any other that the loader
//! could not use ends the search, as it does there.

use std::collections::{HashSet, VecDeque};

use indexmap::IndexSet;

use crate::arch::{Arch, ElfKind};
use crate::elf::ElfFault;
use crate::elf::program::{ProgramFacts, Role, bounded};
use crate::image_path::{ImagePath, PATH_LIMIT};
use crate::problem::{Fault, Problem};
use crate::root::{LookupError, Root};

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
    /// From `ld.so.conf`: known to the loader by a cache that the image will not have.
    configured: Vec<ImagePath>,
    defaults: Vec<ImagePath>,
    /// The directory the guest's loader searches without a cache: the first default one that the
    /// root has, for that is how its loader was built.
    reachable: ImagePath,
}

/// A directory to be searched, and the one in the image that the loader would search instead.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct SearchDirectory {
    in_root: ImagePath,
    in_image: ImagePath,
}

impl SearchDirectory {
    /// The bytes of both paths' text.
    fn length(&self) -> usize {
        self.in_root.as_bytes().len() + self.in_image.as_bytes().len()
    }
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

/// What an object asks for by one `DT_NEEDED`.
struct Wanted<'o> {
    /// Who asks, for people.
    place: &'o str,
    /// The entry as it stands.
    needed: &'o str,
    file_name: &'o str,
    directories: &'o [SearchDirectory],
}

/// A library that was found, and where.
struct Found {
    library: Library,
    facts: ProgramFacts,
    directory: SearchDirectory,
}

/// One of another machine that was passed over: how a person names it, and what it is for.
type Misfit = Option<(String, ElfKind)>;

/// The most libraries one program may lead to, and the most bytes that the directories may take in
/// which one object's are looked for: real ones stay under 300 libraries and 8 KiB. Each that is
/// missing is told with all the directories.
const LIBRARY_LIMIT: usize = 1024;
const SEARCH_LIMIT: usize = 32 << 10;
/// Nested `include` lines of `ld.so.conf` are followed this far.
const INCLUDE_LIMIT: usize = 8;

impl<'r> Libraries<'r> {
    /// The libraries of `root`, for programs of `guest`; by file name, `bins` precede it.
    ///
    /// # Errors
    /// When `ld.so.conf`, or a file it includes, is there and cannot be read; told by its name.
    pub fn new(root: &'r Root, bins: &'r [Root], guest: Arch) -> Result<Self, LookupError> {
        let mut conf = Configuration::new(root);
        conf.read(&ImagePath::new("etc/ld.so.conf")?, 0)?;
        let defaults = guest.library_directories().iter().map(ImagePath::new);
        let defaults: Vec<ImagePath> = defaults.collect::<Result<_, _>>()?;
        let there = |path: &&ImagePath| root.list(path).is_ok();
        let reachable = defaults.iter().find(there).cloned();
        Ok(Libraries {
            root,
            bins,
            guest,
            configured: conf.directories,
            defaults,
            reachable: reachable.unwrap_or_default(),
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

    /// `DT_RPATH` of the object and of those that led to it, as it is handed on to what the object
    /// loads. A `DT_RUNPATH` voids the object's own and no other.
    fn rpaths(&self, object: &Object) -> Vec<SearchDirectory> {
        let mut rpaths = match object.facts.runpath.as_slice() {
            [] => self.expand(&object.facts.rpath, &object.origin),
            _ => Vec::new(),
        };
        rpaths.extend(object.inherited.iter().cloned());
        let each_once: IndexSet<_> = rpaths.into_iter().collect();
        each_once.into_iter().collect()
    }

    /// Where what the object needs is looked for: an object with a `DT_RUNPATH` goes by no
    /// `DT_RPATH` at all.
    fn search_path(&self, object: &Object, rpaths: &[SearchDirectory]) -> Vec<SearchDirectory> {
        let mut path = match object.facts.runpath.as_slice() {
            [] => rpaths.to_vec(),
            runpath => self.expand(runpath, &object.origin),
        };
        let is_default = |directory| self.defaults.contains(directory);
        path.extend(self.configured.iter().map(|directory| SearchDirectory {
            in_root: directory.clone(),
            in_image: match is_default(directory) {
                true => directory.clone(),
                false => self.reachable.clone(),
            },
        }));
        path.extend(self.defaults.iter().map(|directory| SearchDirectory {
            in_root: directory.clone(),
            in_image: directory.clone(),
        }));
        path
    }

    /// Directories of an `RPATH` or `RUNPATH`, its tokens replaced (`ld.so(8)`).
    fn expand(&self, paths: &[String], origin: &SearchDirectory) -> Vec<SearchDirectory> {
        let mut directories = Vec::new();
        // No longer path can be opened, and `$ORIGIN` would make it a thousand times longer.
        for path in paths.iter().filter(|path| path.len() <= PATH_LIMIT) {
            for lib in self.guest.lib_names() {
                let path = path.replace("${LIB}", lib).replace("$LIB", lib);
                let path = path.replace("${PLATFORM}", self.guest.name());
                let path = path.replace("$PLATFORM", self.guest.name());
                let at = |origin: &ImagePath| {
                    let origin = String::from_utf8_lossy(origin.as_bytes()).into_owned();
                    flatten(
                        &path
                            .replace("${ORIGIN}", &origin)
                            .replace("$ORIGIN", &origin),
                    )
                };
                let both = (at(&origin.in_root), at(&origin.in_image));
                if let (Some(in_root), Some(in_image)) = both {
                    directories.push(SearchDirectory { in_root, in_image });
                }
            }
        }
        directories.dedup();
        directories
    }

    /// Finds what is wanted: in the `--bins` directories, by its file's name, or where it is looked
    /// for.
    fn search(&self, wanted: &Wanted<'_>) -> Result<Found, Problem> {
        let mut misfit = None;
        let in_bins = SearchDirectory {
            in_root: ImagePath::default(),
            in_image: wanted.fixed().unwrap_or(&self.reachable).clone(),
        };
        let bins = self.bins.iter().map(|bins| (bins, &in_bins));
        let directories = wanted.directories.iter();
        for (root, directory) in bins.chain(directories.map(|directory| (self.root, directory))) {
            if let Some(found) = self.try_one(root, directory, wanted.file_name, &mut misfit)? {
                return Ok(found);
            }
        }
        Err(self.missing(wanted, misfit))
    }

    /// The library in one directory, if there is one; of one for another machine the first is
    /// remembered.
    fn try_one(
        &self,
        root: &Root,
        directory: &SearchDirectory,
        file_name: &str,
        misfit: &mut Misfit,
    ) -> Result<Option<Found>, Problem> {
        let path = [directory.in_root.as_bytes(), b"/", file_name.as_bytes()].concat();
        let Ok(path) = ImagePath::new(path) else {
            return Ok(None);
        };
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

    fn missing(&self, wanted: &Wanted<'_>, misfit: Misfit) -> Problem {
        let searched = wanted.directories.iter();
        let searched = searched.map(|directory| self.root.shown(&directory.in_root));
        Problem::new(
            wanted.place,
            Fault::LibraryMissing {
                needed: wanted.needed.to_owned(),
                searched: searched.collect(),
                misfit,
            },
        )
    }
}

impl Wanted<'_> {
    /// The directory in the image that the loader goes to, where it is asked for a path and
    /// searches nothing.
    fn fixed(&self) -> Option<&ImagePath> {
        let first = self.directories.first()?;
        self.needed.contains('/').then_some(&first.in_image)
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
        let rpaths = self.libraries.rpaths(object);
        let search_path = self.libraries.search_path(object, &rpaths);
        if let Err(fault) = self.stays_within_limits(&search_path) {
            self.queue.clear();
            let problem = self.libraries.unusable(object.place.clone(), fault);
            return self.problems.push(problem);
        }
        for needed in &object.facts.needed {
            let mut wanted = Wanted {
                place: &object.place,
                needed,
                file_name: needed,
                directories: &search_path,
            };
            let own;
            if let Some((directory, file_name)) = needed.rsplit_once('/') {
                let directory = format!("{directory}/");
                own = self.libraries.expand(&[directory], &object.origin);
                (wanted.file_name, wanted.directories) = (file_name, &own);
            }
            self.take(&wanted, &rpaths);
        }
    }

    fn stays_within_limits(&self, search_path: &[SearchDirectory]) -> Result<(), ElfFault> {
        let length = search_path.iter().map(SearchDirectory::length).sum();
        bounded("bytes of directories to search", length, SEARCH_LIMIT)?;
        bounded("libraries needed in all", self.known.len(), LIBRARY_LIMIT)
    }

    /// Takes what is wanted for the first time.
    fn take(&mut self, wanted: &Wanted<'_>, rpaths: &[SearchDirectory]) {
        let key = (wanted.fixed().cloned(), wanted.needed.to_owned());
        if !self.known.insert(key) {
            return;
        }
        match self.libraries.search(wanted) {
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

/// A path with its `..` taken lexically, as RPATHs use them (`$ORIGIN/../lib`).
fn flatten(path: &str) -> Option<ImagePath> {
    let mut at = ImagePath::default();
    for component in path.split('/') {
        at = match component {
            "" | "." => at,
            ".." => at.parent().unwrap_or_default(),
            name => at.join(name.as_bytes()).ok()?,
        };
    }
    Some(at)
}

/// An `ld.so.conf` with all it includes: a directory a line, `include PATTERN...`, `hwcap` lines that
/// name no directory, and `#` begins a comment (`parse_conf` in glibc's `elf/ldconfig.c`).
struct Configuration<'r> {
    root: &'r Root,
    directories: Vec<ImagePath>,
    /// Files read, each once: two lines that include their own file would make 2^depth readings.
    known: HashSet<ImagePath>,
}

impl<'r> Configuration<'r> {
    fn new(root: &'r Root) -> Self {
        Configuration {
            root,
            directories: Vec::new(),
            known: HashSet::new(),
        }
    }

    fn read(&mut self, path: &ImagePath, depth: usize) -> Result<(), LookupError> {
        if depth > INCLUDE_LIMIT || !self.known.insert(path.clone()) {
            return Ok(());
        }
        let text = self.root.at(path, self.root.read_if_there(path))?;
        for line in String::from_utf8_lossy(&text.unwrap_or_default()).lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if let Some(patterns) = after_word("include", line) {
                for pattern in patterns.split_ascii_whitespace() {
                    for included in expand_include(self.root, path, pattern)? {
                        self.read(&included, depth + 1)?;
                    }
                }
            } else if after_word("hwcap", line).is_none() {
                let directory = flatten(line).filter(|path| !path.is_root());
                self.directories.extend(directory);
            }
        }
        Ok(())
    }
}

/// What follows `word` and a blank in a line that begins with them.
fn after_word<'l>(word: &str, line: &'l str) -> Option<&'l str> {
    let rest = line.strip_prefix(word)?;
    rest.starts_with([' ', '\t']).then_some(rest)
}

/// The files of an `include`: its last component may be a pattern, as it is in every system.
fn expand_include(
    root: &Root,
    conf: &ImagePath,
    pattern: &str,
) -> Result<Vec<ImagePath>, LookupError> {
    let base = match pattern.starts_with('/') {
        true => ImagePath::default(),
        false => conf.parent().unwrap_or_default(),
    };
    let whole = [base.as_bytes(), b"/", pattern.as_bytes()].concat();
    let Some(pattern) = flatten(&String::from_utf8_lossy(&whole)) else {
        return Ok(Vec::new());
    };
    let directory = pattern.parent().unwrap_or_default();
    let Ok(glob) = globset::Glob::new(&String::from_utf8_lossy(pattern.file_name())) else {
        return Ok(Vec::new());
    };
    let matcher = glob.compile_matcher();
    let names = match root.at(&directory, root.list(&directory)) {
        Err(error) if error.is_missing() => Vec::new(),
        listed => listed?.1,
    };
    let names = names
        .iter()
        .filter(|(name, _)| matcher.is_match(&*String::from_utf8_lossy(name)));
    Ok(names
        .filter_map(|(name, _)| directory.join(name).ok())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::memory;

    fn configured(files: &[(&str, &[u8])], links: &[(&str, &'static str)]) -> Vec<String> {
        let root = memory::root(files, links);
        match Libraries::new(&root, &[], Arch::X86_64) {
            Ok(libraries) => {
                let directories = libraries.configured.iter();
                directories.map(ToString::to_string).collect()
            }
            Err(error) => vec![error.to_string()],
        }
    }

    #[test]
    fn a_configuration_names_directories_and_other_files() {
        let conf =
            b"include\t/etc/more/*.conf  one\n/opt/a # here\n\t/opt/../b\nhwcap 0 nosegneg\n\
            include gone/*.conf\nincluded/c\n";
        let files: [(&str, &[u8]); 4] = [
            ("etc/ld.so.conf", conf),
            ("etc/more/x.conf", b"/opt/x\ninclude *.conf\n"),
            ("etc/more/y", b"/opt/y\n"),
            ("etc/one", b"/opt/one"),
        ];
        let expected = ["/opt/x", "/opt/one", "/opt/a", "/b", "/included/c"];
        assert_eq!(configured(&files, &[]), expected);
        assert_eq!(configured(&[], &[]), [""; 0]);
    }

    #[test]
    fn a_configuration_that_cannot_be_read_is_named() {
        let conf = ("etc/ld.so.conf", b"include d/*.conf".as_slice());
        let link = "the symbolic link";
        for (link, target, expected) in [
            (
                "etc/d/x.conf",
                "gone",
                format!("/etc/d/x.conf: {link} /etc/d/x.conf -> gone"),
            ),
            ("etc/d", "gone", format!("/etc/d: {link} /etc/d -> gone")),
        ] {
            let expected = format!("{expected} leads nowhere inside the root");
            assert_eq!(configured(&[conf], &[(link, target)]), [expected]);
        }
    }
}
