//! The libraries a dynamic program needs, found as the guest's loader would, without running it.
//!
//! In: a program's facts and where it lies. Out: the loader and every library, each with the path
//! it must have in the image. The search is that of `ld.so(8)`: `DT_RPATH` of the object and of
//! those that led to it unless it has a `DT_RUNPATH`, then `DT_RUNPATH`, then the directories of
//! `ld.so.conf`, then the default ones; an object for another machine is passed over.

use std::collections::{HashSet, VecDeque};

use crate::arch::{Arch, ElfKind};
use crate::elf::program::{ProgramFacts, Role};
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
}

/// A directory to be searched, and the one in the image that the loader would search instead.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SearchDirectory {
    in_root: ImagePath,
    in_image: ImagePath,
}

/// An object whose needs are still to be met.
struct Object {
    facts: ProgramFacts,
    place: String,
    /// Where `$ORIGIN` is, in the root and in the image.
    origin: SearchDirectory,
    /// `DT_RPATH` of the objects that led here.
    inherited: Vec<SearchDirectory>,
}

/// What a search for one name came to.
enum Search {
    Found(Library, ProgramFacts, ImagePath),
    Nowhere(Option<(String, ElfKind)>),
}

/// Nested `include` lines of `ld.so.conf` are followed this far.
const INCLUDE_LIMIT: usize = 8;

impl<'r> Libraries<'r> {
    /// The libraries of `root`, for programs of `guest`; by file name, `bins` precede it.
    ///
    /// # Errors
    /// When `ld.so.conf` is there and cannot be read.
    pub fn new(root: &'r Root, bins: &'r [Root], guest: Arch) -> Result<Self, LookupError> {
        let mut conf = Configuration::new(root);
        conf.read(&ImagePath::new("etc/ld.so.conf")?, 0)?;
        let defaults = guest.library_directories().iter().map(ImagePath::new);
        let defaults = defaults.collect::<Result<_, _>>()?;
        Ok(Libraries {
            root,
            bins,
            guest,
            configured: conf.directories,
            defaults,
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
        let mut found = Vec::new();
        let mut problems = Vec::new();
        let mut known = HashSet::new();
        if let Some(path) = facts.interpreter.clone() {
            match self.interpreter(&path) {
                Ok(library) => {
                    known.insert(String::from_utf8_lossy(library.path.file_name()).into_owned());
                    found.push(library);
                }
                Err(problem) => problems.push(problem),
            }
        }
        let origin = SearchDirectory {
            in_root: in_root.parent().unwrap_or_default(),
            in_image: in_image.parent().unwrap_or_default(),
        };
        let mut queue = VecDeque::from([Object {
            facts,
            place,
            origin,
            inherited: Vec::new(),
        }]);
        while let Some(object) = queue.pop_front() {
            let rpath = self.rpath(&object);
            for name in object
                .facts
                .needed
                .iter()
                .filter(|name| known.insert((*name).clone()))
            {
                let directories = self.search_path(&object, &rpath);
                match self.search(name, &directories) {
                    Search::Found(library, facts, in_root) => {
                        let origin = SearchDirectory {
                            in_root: in_root.parent().unwrap_or_default(),
                            in_image: library.path.parent().unwrap_or_default(),
                        };
                        let place = library.origin.clone();
                        queue.push_back(Object {
                            facts,
                            place,
                            origin,
                            inherited: rpath.clone(),
                        });
                        found.push(library);
                    }
                    Search::Nowhere(misfit) => {
                        problems.push(self.missing(&object, name, &directories, misfit));
                    }
                }
            }
        }
        (found, problems)
    }

    fn missing(
        &self,
        object: &Object,
        needed: &str,
        directories: &[SearchDirectory],
        misfit: Option<(String, ElfKind)>,
    ) -> Problem {
        let searched = directories
            .iter()
            .map(|directory| self.root.shown(&directory.in_root));
        let searched = searched.collect();
        let needed = needed.to_owned();
        Problem::new(
            object.place.clone(),
            Fault::LibraryMissing {
                needed,
                searched,
                misfit,
            },
        )
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
        let judged = ProgramFacts::parse(&library.bytes)
            .and_then(|facts| facts.judge(self.guest.elf(), Role::Library));
        judged.map_err(|fault| {
            let fault = Fault::Program {
                fault,
                guest: self.guest,
                package: None,
            };
            Problem::new(library.origin.clone(), fault)
        })?;
        Ok(library)
    }

    /// `DT_RPATH` as it counts for this object and is handed on to what it loads.
    fn rpath(&self, object: &Object) -> Vec<SearchDirectory> {
        if !object.facts.runpath.is_empty() {
            return Vec::new();
        }
        let mut own = self.expand(&object.facts.rpath, &object.origin);
        own.extend(object.inherited.iter().cloned());
        own.dedup();
        own
    }

    fn search_path(&self, object: &Object, rpath: &[SearchDirectory]) -> Vec<SearchDirectory> {
        let same = |path: &ImagePath| SearchDirectory {
            in_root: path.clone(),
            in_image: path.clone(),
        };
        let mut path = rpath.to_vec();
        path.extend(self.expand(&object.facts.runpath, &object.origin));
        let reachable = self.reachable();
        path.extend(self.configured.iter().map(|directory| {
            SearchDirectory {
                in_root: directory.clone(),
                in_image: if self.defaults.contains(directory) {
                    directory
                } else {
                    &reachable
                }
                .clone(),
            }
        }));
        path.extend(self.defaults.iter().map(same));
        path
    }

    /// A directory the guest's loader searches without a cache: the first default one that the root
    /// has, for that is how its loader was built.
    fn reachable(&self) -> ImagePath {
        let there = |path: &&ImagePath| self.root.list(path).is_ok();
        self.defaults
            .iter()
            .find(there)
            .cloned()
            .unwrap_or_default()
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

    fn search(&self, name: &str, directories: &[SearchDirectory]) -> Search {
        let mut misfit = None;
        for bins in self.bins {
            let path = ImagePath::new(name).unwrap_or_default();
            let in_image = self.reachable();
            let directory = SearchDirectory {
                in_root: ImagePath::default(),
                in_image,
            };
            if let Some(found) = self.try_one(bins, &path, &directory, &mut misfit) {
                return found;
            }
        }
        for directory in directories {
            let path = [directory.in_root.as_bytes(), b"/", name.as_bytes()].concat();
            let path = if name.contains('/') {
                name.as_bytes().to_vec()
            } else {
                path
            };
            let Ok(path) = ImagePath::new(path) else {
                continue;
            };
            if let Some(found) = self.try_one(self.root, &path, directory, &mut misfit) {
                return found;
            }
        }
        Search::Nowhere(misfit)
    }

    /// The library at `path`, if there is one that fits; one that does not is remembered.
    fn try_one(
        &self,
        root: &Root,
        path: &ImagePath,
        directory: &SearchDirectory,
        misfit: &mut Option<(String, ElfKind)>,
    ) -> Option<Search> {
        let (real, _) = root.resolve(path).ok()?;
        let bytes = root.read(&real).ok()?;
        let facts = ProgramFacts::parse(&bytes).ok()?;
        let origin = root.shown(path);
        if facts.judge(self.guest.elf(), Role::Library).is_err() {
            misfit.get_or_insert((origin, facts.kind));
            return None;
        }
        let path = directory.in_image.join(path.file_name()).ok()?;
        Some(Search::Found(
            Library {
                path,
                bytes,
                origin,
            },
            facts,
            real,
        ))
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

/// An `ld.so.conf` with all it includes: a directory a line, `include PATTERN`, `#` begins a comment.
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
        let text = self.root.read_if_there(path)?.unwrap_or_default();
        for line in String::from_utf8_lossy(&text).lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if let Some(pattern) = line.strip_prefix("include ") {
                for included in expand_include(self.root, path, pattern.trim()) {
                    self.read(&included, depth + 1)?;
                }
            } else if let Some(directory) = flatten(line).filter(|path| !path.is_root()) {
                self.directories.push(directory);
            }
        }
        Ok(())
    }
}

/// The files of an `include`: its last component may be a pattern, as it is in every system.
fn expand_include(root: &Root, conf: &ImagePath, pattern: &str) -> Vec<ImagePath> {
    let base = if pattern.starts_with('/') {
        ImagePath::default()
    } else {
        conf.parent().unwrap_or_default()
    };
    let whole = [base.as_bytes(), b"/", pattern.as_bytes()].concat();
    let Some(pattern) = flatten(&String::from_utf8_lossy(&whole)) else {
        return Vec::new();
    };
    let directory = pattern.parent().unwrap_or_default();
    let wanted = String::from_utf8_lossy(pattern.file_name()).into_owned();
    let Ok(glob) = globset::Glob::new(&wanted) else {
        return Vec::new();
    };
    let matcher = glob.compile_matcher();
    let names = root
        .list(&directory)
        .map(|(_, names)| names)
        .unwrap_or_default();
    let names = names
        .iter()
        .filter(|(name, _)| matcher.is_match(&*String::from_utf8_lossy(name)));
    names
        .filter_map(|(name, _)| directory.join(name).ok())
        .collect()
}
