//! Where a loader looks for a library: the order of directories, whoever looks into them.

use std::borrow::Cow;

use indexmap::IndexSet;

use super::configuration::Configuration;
use crate::arch::Arch;
use crate::elf::ElfFault;
use crate::elf::program::{ProgramFacts, bounded};
use crate::image_path::{ImagePath, PATH_LIMIT};
use crate::root::{LookupError, Root};

/// The most bytes that the directories may take in which one object's libraries are looked for: real
/// ones stay under 8 KiB. Each library that is missing is told with all the directories.
const SEARCH_LIMIT: usize = 32 << 10;

/// A directory to be searched, and the one in the image that the loader would search instead.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SearchDirectory {
    /// Where it is looked for.
    pub in_root: ImagePath,
    /// Where the loader will look.
    pub in_image: ImagePath,
}

impl SearchDirectory {
    /// The directory `path`, in the root as in the image.
    #[must_use]
    pub fn same(path: ImagePath) -> Self {
        SearchDirectory {
            in_root: path.clone(),
            in_image: path,
        }
    }

    /// The bytes of both paths' text.
    fn length(&self) -> usize {
        self.in_root.as_bytes().len() + self.in_image.as_bytes().len()
    }
}

/// An object that asks for libraries.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'o> {
    /// What it says.
    pub facts: &'o ProgramFacts,
    /// Where `$ORIGIN` is, in the root and in the image.
    pub origin: &'o SearchDirectory,
    /// `DT_RPATH` of the objects that led to it, the nearest first.
    pub inherited: &'o [SearchDirectory],
}

/// What an object asks for by one `DT_NEEDED`.
#[derive(Debug, Clone)]
pub struct Wanted<'o> {
    /// The entry as it stands.
    pub needed: &'o str,
    /// The file's name.
    pub file_name: &'o str,
    /// Where it is looked for, in order.
    pub directories: Cow<'o, [SearchDirectory]>,
}

/// Where loaders of one architecture look, in one root.
#[derive(Debug)]
pub struct SearchPaths {
    guest: Arch,
    /// From `ld.so.conf`: known to the loader by its cache.
    pub(super) configured: Vec<ImagePath>,
    defaults: Vec<ImagePath>,
    /// The directory the guest's loader searches without a cache: the first default one that the
    /// root has, for that is how its loader was built.
    pub(super) reachable: ImagePath,
}

impl SearchPaths {
    /// The directories of `root`, for programs of `guest`.
    ///
    /// # Errors
    /// When `ld.so.conf`, or a file it includes, is there and cannot be read; told by its name.
    pub fn new(root: &Root, guest: Arch) -> Result<Self, LookupError> {
        let mut conf = Configuration::new(root);
        conf.read(&ImagePath::new("etc/ld.so.conf")?, 0)?;
        Ok(SearchPaths {
            configured: conf.directories,
            ..SearchPaths::unconfigured(root, guest)
        })
    }

    /// The directories of `root` that need no configuration, for programs of `guest`.
    #[must_use]
    pub fn unconfigured(root: &Root, guest: Arch) -> Self {
        let defaults = guest.library_directories().iter().map(ImagePath::new);
        let defaults: Vec<ImagePath> = defaults.filter_map(Result::ok).collect();
        let there = |path: &&ImagePath| root.list(path).is_ok();
        let reachable = defaults.iter().find(there).cloned();
        SearchPaths {
            guest,
            configured: Vec::new(),
            defaults,
            reachable: reachable.unwrap_or_default(),
        }
    }

    /// Has the loader look into `directory` last of all.
    pub fn add_default(&mut self, directory: ImagePath) {
        self.defaults.push(directory);
    }

    /// `DT_RPATH` of the object and of those that led to it, as it is handed on to what the object
    /// loads. A `DT_RUNPATH` voids the object's own and no other.
    #[must_use]
    pub fn rpaths(&self, object: &Asking<'_>) -> Vec<SearchDirectory> {
        let mut rpaths = match object.facts.runpath.as_slice() {
            [] => self.expand(&object.facts.rpath, object.origin),
            _ => Vec::new(),
        };
        rpaths.extend(object.inherited.iter().cloned());
        let each_once: IndexSet<_> = rpaths.into_iter().collect();
        each_once.into_iter().collect()
    }

    /// Where what the object needs is looked for: an object with a `DT_RUNPATH` goes by no
    /// `DT_RPATH` at all.
    #[must_use]
    pub fn search_path(
        &self,
        object: &Asking<'_>,
        rpaths: &[SearchDirectory],
    ) -> Vec<SearchDirectory> {
        let mut path = match object.facts.runpath.as_slice() {
            [] => rpaths.to_vec(),
            runpath => self.expand(runpath, object.origin),
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

    /// What `object` asks for by `needed`; `search_path` is its own ([`SearchPaths::search_path`]).
    #[must_use]
    pub fn wanted<'o>(
        &self,
        object: &Asking<'_>,
        search_path: &'o [SearchDirectory],
        needed: &'o str,
    ) -> Wanted<'o> {
        let (file_name, directories) = match needed.rsplit_once('/') {
            Some((directory, file_name)) => {
                let own = self.expand(&[format!("{directory}/")], object.origin);
                (file_name, Cow::Owned(own))
            }
            None => (needed, Cow::Borrowed(search_path)),
        };
        Wanted {
            needed,
            file_name,
            directories,
        }
    }
}

impl Wanted<'_> {
    /// The directory in the image that the loader goes to, where it is asked for a path and
    /// searches nothing.
    #[must_use]
    pub fn fixed(&self) -> Option<&ImagePath> {
        let first = self.directories.first()?;
        self.needed.contains('/').then_some(&first.in_image)
    }

    /// What `probe` finds in the first of the directories in which it finds anything; it is given
    /// the library's path there.
    ///
    /// # Errors
    /// Those of `probe`, which end the search.
    pub fn search<T, E>(
        &self,
        mut probe: impl FnMut(&SearchDirectory, ImagePath) -> Result<Option<T>, E>,
    ) -> Result<Option<T>, E> {
        for directory in self.directories.iter() {
            if let Some(path) = path_in(&directory.in_root, self.file_name)
                && let Some(found) = probe(directory, path)?
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// The path of the library `file_name` in `directory`, if there can be one.
pub(super) fn path_in(directory: &ImagePath, file_name: &str) -> Option<ImagePath> {
    ImagePath::new([directory.as_bytes(), b"/", file_name.as_bytes()].concat()).ok()
}

/// Proves that the directories of one object can be told.
///
/// # Errors
/// When they are too long.
pub fn search_is_bounded(search_path: &[SearchDirectory]) -> Result<(), ElfFault> {
    let length = search_path.iter().map(SearchDirectory::length).sum();
    bounded("bytes of directories to search", length, SEARCH_LIMIT)
}

/// A path with its `..` taken lexically, as RPATHs use them (`$ORIGIN/../lib`).
pub(super) fn flatten(path: &str) -> Option<ImagePath> {
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
