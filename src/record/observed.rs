//! A store of files that has written down what it was asked.
//!
//! What decides on an image is what was read, and what was not there to be read: a file that appears where one
//! was looked for would be taken. So a journal has the files that were opened, and the directories by whose names
//! something was decided: those that were listed, those in which a name was looked for in vain, and those
//! that hold a link which was followed. Each of these changes when such a name comes, goes, or leads elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};

use crate::digest::Digest;
use crate::image_path::ImagePath;
use crate::root::{FILE_LIMIT, FileKind, Files, Names, OpenFile, Visit};

/// What is digested at once, in bytes.
const PIECE: usize = 256 << 10;

/// What is known of a file that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// Its size in bytes.
    pub size: u64,
    /// The digest of all its bytes: where such are asked for, and the file is not larger than any that is read.
    pub sha256: Option<Digest>,
}

impl Content {
    /// That of a file with these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Content {
        Content {
            size: bytes.len() as u64,
            sha256: Some(Digest::of(bytes)),
        }
    }
}

/// What was asked of one store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// The files that were opened.
    pub files: BTreeMap<ImagePath, Content>,
    /// The directories whose names decided something.
    pub directories: BTreeSet<ImagePath>,
}

/// A journal, that a store writes and others read.
#[derive(Debug, Default)]
pub struct Journal {
    digests: bool,
    seen: Mutex<Seen>,
}

impl Journal {
    /// An empty one. `digests` says whether what is read is digested too, which takes as long as reading it.
    #[must_use]
    pub fn new(digests: bool) -> Journal {
        Journal {
            digests,
            seen: Mutex::default(),
        }
    }

    /// What has been asked so far.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.lock().clone()
    }

    /// Notes a file that was read.
    pub fn file(&self, path: ImagePath, content: Content) {
        self.lock().files.insert(path, content);
    }

    /// Notes a directory whose names decided something.
    pub fn directory(&self, path: ImagePath) {
        self.lock().directories.insert(path);
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a file that is open; what was noted of it before stays.
    fn opened(&self, path: &ImagePath, file: &(dyn OpenFile + '_)) -> io::Result<()> {
        if !self.lock().files.contains_key(path) {
            let (size, wanted) = (file.size(), self.digests && file.size() <= FILE_LIMIT);
            let sha256 = wanted.then(|| digest(file)).transpose()?;
            self.file(path.clone(), Content { size, sha256 });
        }
        Ok(())
    }
}

fn digest(file: &(dyn OpenFile + '_)) -> io::Result<Digest> {
    let (mut state, mut piece) = (Sha256::new(), vec![0; PIECE]);
    let mut offset = 0;
    while offset < file.size() {
        let left = usize::try_from(file.size() - offset).unwrap_or(PIECE);
        let part = piece.get_mut(..left.min(PIECE)).unwrap_or_default();
        file.read_exact_at(part, offset)?;
        state.update(&*part);
        offset += part.len() as u64;
    }
    Ok(state.into())
}

/// A store, and the journal of what it is asked.
pub struct Observed {
    files: Box<dyn Files>,
    journal: Arc<Journal>,
}

impl Observed {
    /// The store `files`, which writes `journal`.
    #[must_use]
    pub fn new(files: Box<dyn Files>, journal: Arc<Journal>) -> Observed {
        Observed { files, journal }
    }

    /// Notes the directory that would change, did something appear at `path`: the nearest there is.
    fn absent(&self, path: &ImagePath) -> io::Result<()> {
        let mut above = path.parent();
        while let Some(directory) = above {
            if self.files.kind(&directory)? == Some(FileKind::Directory) {
                self.journal.directory(directory);
                return Ok(());
            }
            above = directory.parent();
        }
        Ok(())
    }
}

impl Files for Observed {
    fn kind(&self, path: &ImagePath) -> io::Result<Option<FileKind>> {
        let kind = self.files.kind(path)?;
        match &kind {
            None => self.absent(path)?,
            Some(FileKind::Symlink(_)) => self.journal.directory(path.parent().unwrap_or_default()),
            Some(_) => {}
        }
        Ok(kind)
    }

    fn open(&self, path: &ImagePath) -> io::Result<Box<dyn OpenFile + '_>> {
        let file = self.files.open(path)?;
        self.journal.opened(path, file.as_ref())?;
        Ok(file)
    }

    fn visit(&self, paths: &[ImagePath], threads: NonZeroUsize, visit: &Visit<'_>) {
        let noted = |index: usize, file: &dyn OpenFile| match paths.get(index) {
            Some(path) => self.journal.opened(path, file),
            None => Ok(()),
        };
        self.files.visit(paths, threads, &|index, file| {
            let file = file.and_then(|file| noted(index, file).map(|()| file));
            visit(index, file);
        });
    }

    fn list(&self, directory: &ImagePath) -> io::Result<Names> {
        let names = self.files.list(directory)?;
        self.journal.directory(directory.clone());
        Ok(names)
    }

    fn shown(&self, path: &ImagePath) -> String {
        self.files.shown(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Root;
    use crate::root::memory::root;

    fn at(path: &str) -> ImagePath {
        ImagePath::new(path).unwrap()
    }

    #[test]
    fn what_was_read_and_where_something_was_missed_is_written_down() {
        let files: [(&str, &[u8]); 4] = [
            ("usr/lib/a", b"a"),
            ("usr/lib/b", b"b"),
            ("usr/other/c", b"c"),
            ("opt/d", b"d"),
        ];
        let links = [("lib", "usr/lib"), ("usr/other/link", "../lib/b")];
        let journal = Arc::new(Journal::new(true));
        let store = root(&files, &links).into_files();
        let root = Root::new(Box::new(Observed::new(store, Arc::clone(&journal))));
        assert_eq!(root.read(&at("lib/a")).unwrap(), b"a");
        assert!(root.read(&at("usr/lib/none/at/all")).is_err());
        assert!(root.read(&at("opt/d/none")).is_err());
        let paths = [at("usr/lib/b")];
        let threads = NonZeroUsize::MIN;
        root.files().visit(&paths, threads, &|_, file| {
            file.unwrap();
        });
        let seen = journal.seen();
        let names = |paths: Vec<&ImagePath>| {
            let names = paths.into_iter().map(ToString::to_string);
            names.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            names(seen.files.keys().collect()),
            "/usr/lib/a /usr/lib/b",
            "the files that were opened, by where they lie"
        );
        let content = seen.files.get(&at("usr/lib/a"));
        assert_eq!(content, Some(&Content::of(b"a")));
        assert_eq!(
            names(seen.directories.iter().collect()),
            "/ /usr/lib",
            "what holds the link `lib`, and where `none` would lie"
        );
    }

    #[test]
    fn a_directory_that_was_listed_is_written_down_and_nothing_is_digested_in_vain() {
        let journal = Arc::new(Journal::new(false));
        let store = root(&[("a/b", b"b")], &[]).into_files();
        let root = Root::new(Box::new(Observed::new(store, Arc::clone(&journal))));
        root.list(&at("a")).unwrap();
        root.read(&at("a/b")).unwrap();
        let seen = journal.seen();
        assert_eq!(seen.directories, BTreeSet::from([at("a")]));
        let content = Content {
            size: 1,
            sha256: None,
        };
        assert_eq!(seen.files, BTreeMap::from([(at("a/b"), content)]));
    }
}
