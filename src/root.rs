//! A foreign system as the core sees it: files under a root, every link resolved inside it.
//!
//! In: a [`Files`], which answers single look-ups and follows nothing. Out: files and directories
//! by path, with symbolic links resolved the way a process chrooted into the root would have them
//! (`path_resolution(7)`): absolute targets start again at the root, `..` stops there. So nothing
//! outside is ever read, whatever a link says.

pub mod layers;
mod resolution;
mod walk;

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::image_path::{BadPath, ImagePath};
use crate::parallel;
use resolution::Resolution;
pub use walk::Walked;

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link and its target, as it stands.
    Symlink(Vec<u8>),
    /// A device, socket or pipe: never opened.
    Special,
}

/// The names in a directory, and what each is.
pub type Names = Vec<(Vec<u8>, FileKind)>;

/// An open regular file.
pub trait OpenFile {
    /// Its size in bytes.
    fn size(&self) -> u64;

    /// What was made of it when it passed by, by whoever knew what would be asked of it; then only this is at
    /// hand, and reading may take long.
    fn extract(&self) -> Option<&[u8]> {
        None
    }

    /// Fills `buf` from `offset` on.
    ///
    /// # Errors
    /// Those of the medium; `UnexpectedEof` when the file ends within `buf`.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;
}

impl OpenFile for [u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let from = usize::try_from(offset).ok();
        let part = from.and_then(|from| self.get(from..from.checked_add(buf.len())?));
        buf.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

impl OpenFile for &[u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        (**self).read_exact_at(buf, offset)
    }
}

/// Whoever is shown files by [`Files::visit`].
pub type Visit<'v> = dyn Fn(usize, io::Result<&dyn OpenFile>) + Sync + 'v;

/// A store of files that is asked one path at a time and follows no link.
///
/// Paths given to it have no link in any component but, for [`Files::kind`], the last.
pub trait Files: Sync {
    /// What lies at `path`; `None` when nothing does.
    ///
    /// # Errors
    /// Those of the medium, permission among them.
    fn kind(&self, path: &ImagePath) -> io::Result<Option<FileKind>>;

    /// Opens a regular file.
    ///
    /// # Errors
    /// Those of the medium.
    fn open(&self, path: &ImagePath) -> io::Result<Box<dyn OpenFile + '_>>;

    /// Opens all of `paths`, and shows `visit` each with its place among them: on `threads` threads at most, in
    /// any order. A store that has to look for its files looks for all of them at once. It may show a file of
    /// which only an extract is at hand, and then, where more was read, the whole: what is shown last counts.
    fn visit(&self, paths: &[ImagePath], threads: NonZeroUsize, visit: &Visit<'_>) {
        let jobs = paths.iter().enumerate().collect();
        parallel::map(jobs, threads, |(index, path)| match self.open(path) {
            Ok(file) => visit(index, Ok(file.as_ref())),
            Err(error) => visit(index, Err(error)),
        });
    }

    /// The names in a directory, in any order.
    ///
    /// # Errors
    /// Those of the medium.
    fn list(&self, directory: &ImagePath) -> io::Result<Names>;

    /// How a person names `path`, the host's directory in front.
    fn shown(&self, path: &ImagePath) -> String;
}

/// The most links one look-up follows, as Linux has it (`MAXSYMLINKS`).
const LINK_LIMIT: usize = 40;

/// The largest file read whole: 512 MiB, above every real module and program, below what a 32-bit
/// host could hold.
pub const FILE_LIMIT: u64 = 512 << 20;

/// The most that is kept of the files of one root together: half of what a process of a 32-bit host can have.
/// Xen takes no ramdisk above 1 GiB (XSA-25).
const TOGETHER: u64 = 3 << 29;

/// How much of a root's files is kept.
#[derive(Default)]
pub struct Budget(AtomicU64);

impl Budget {
    /// Takes so many bytes of it.
    ///
    /// # Errors
    /// When so many are not left.
    pub fn take(&self, bytes: u64) -> Result<(), LookupError> {
        let kept = self.0.fetch_add(bytes, Ordering::Relaxed);
        match kept.saturating_add(bytes) > TOGETHER {
            true => Err(LookupError::TooMuchTogether { limit: TOGETHER }),
            false => Ok(()),
        }
    }
}

/// Why a path leads to no readable file.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// Nothing is there.
    #[error("no such file in the root")]
    Missing,
    /// A link leads to nothing inside the root.
    #[error("the symbolic link {link} -> {target} leads nowhere inside the root")]
    Dangling {
        /// The first link on the way.
        link: ImagePath,
        /// Its target, as it stands.
        target: String,
    },
    /// More than 40 links, as a loop has.
    #[error("the symbolic link {link} -> {target} is part of a loop")]
    Loop {
        /// The first link on the way.
        link: ImagePath,
        /// Its target, as it stands.
        target: String,
    },
    /// It is something else than was asked for.
    #[error("{found}, not {wanted}")]
    WrongKind {
        /// What it is.
        found: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
    /// It is larger than any such file is.
    #[error("{size} bytes, more than the {limit} this program reads of such a file")]
    TooLarge {
        /// Its size in bytes.
        size: u64,
        /// The most that is read.
        limit: u64,
    },
    /// With those that are kept already it is more than an image can be made of.
    #[error(
        "with the files that go in beside it more than the {limit} bytes that an image is made of"
    )]
    TooMuchTogether {
        /// The most that is kept.
        limit: u64,
    },
    /// It is compressed, and larger than any such file is.
    #[error("unpacked more than the {limit} bytes that this program reads of such a file")]
    UnpacksTooLarge {
        /// The most that is read.
        limit: usize,
    },
    /// It lists more than any such file does.
    #[error("more than the {limit} {what} that this program keeps of such files")]
    TooMany {
        /// What it lists.
        what: &'static str,
        /// The most that are kept.
        limit: usize,
    },
    /// A link's target is no path.
    #[error("a symbolic link's target is no path: {0}")]
    BadTarget(#[from] BadPath),
    /// The medium failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It went wrong with a file that was met on the way to what was asked for.
    #[error("{path}: {source}")]
    At {
        /// How a person names the file.
        path: String,
        /// What went wrong.
        source: Box<LookupError>,
    },
}

impl LookupError {
    /// Whether the path, or what a link stands for, is simply not there.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, LookupError::Missing)
    }

    /// Whether the medium failed, so that nothing is known of the file.
    #[must_use]
    pub fn is_io(&self) -> bool {
        match self {
            LookupError::Io(_) => true,
            LookupError::At { source, .. } => source.is_io(),
            _ => false,
        }
    }

    /// Whether there is more of the file than of any such, so that what it says is not known.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        match self {
            LookupError::TooLarge { .. }
            | LookupError::TooMuchTogether { .. }
            | LookupError::UnpacksTooLarge { .. }
            | LookupError::TooMany { .. } => true,
            LookupError::At { source, .. } => source.is_too_large(),
            _ => false,
        }
    }
}

/// What was found, with `None` for what is not there.
///
/// # Errors
/// Those of `found`, but that nothing is there.
pub fn if_there<T>(found: Result<T, LookupError>) -> Result<Option<T>, LookupError> {
    match found {
        Err(error) if error.is_missing() => Ok(None),
        found => found.map(Some),
    }
}

/// A root and what has been learnt of its links.
pub struct Root {
    files: Box<dyn Files>,
    directories: RefCell<Directories>,
    links: RefCell<Links>,
    budget: Budget,
}

/// Directories already resolved.
#[derive(Default)]
struct Directories {
    /// Where each really lies, and how many links led there.
    known: HashMap<ImagePath, (ImagePath, usize)>,
    /// The bytes of all these paths.
    bytes: usize,
}

/// The most bytes of paths that are remembered. Of a real root all fit in; those that hostile links lead
/// to, two thousand directories deep, would fill any memory.
const REMEMBERED: usize = 4 << 20;

impl Directories {
    fn remember(&mut self, path: ImagePath, real: ImagePath, links: usize) {
        let bytes = path.as_bytes().len() + real.as_bytes().len();
        if self.bytes + bytes <= REMEMBERED {
            self.bytes += bytes;
            self.known.insert(path, (real, links));
        }
    }
}

/// Links already followed.
#[derive(Default)]
struct Links {
    /// How the way of each ended, and how many links were on it, itself among them.
    known: HashMap<ImagePath, (End, usize)>,
    /// The bytes of all these paths.
    bytes: usize,
    /// What it cost to follow them, in bytes of the paths that were looked at.
    walked: usize,
}

/// How the way of a link ends.
#[derive(Clone)]
enum End {
    /// At something.
    At(ImagePath, FileKind),
    /// Nowhere.
    Nowhere,
    /// Not before there were more links than one look-up follows.
    TooFar,
}

/// The most that it may cost to follow all links: one of a real root has a few hundred bytes on its way. A
/// hostile one leads through two thousand directories to the next such.
const WALKED: usize = 32 << 20;
/// What it costs to look at a path beside its bytes.
const STEP: usize = 16;

impl Links {
    fn remember(&mut self, link: ImagePath, end: End, links: usize) {
        let real = match &end {
            End::At(real, _) => real.as_bytes().len(),
            _ => 0,
        };
        let bytes = link.as_bytes().len() + real;
        if self.bytes + bytes <= REMEMBERED {
            self.bytes += bytes;
            self.known.insert(link, (end, links));
        }
    }

    /// Goes on from a path.
    fn walk(&mut self, path: &ImagePath) -> Result<(), LookupError> {
        self.walked += STEP + path.as_bytes().len();
        let (what, limit) = ("bytes of paths on the ways of links", WALKED);
        match self.walked > limit {
            true => Err(LookupError::TooMany { what, limit }),
            false => Ok(()),
        }
    }
}

impl Root {
    /// The root over a store of files.
    #[must_use]
    pub fn new(files: Box<dyn Files>) -> Self {
        Root {
            files,
            directories: RefCell::default(),
            links: RefCell::default(),
            budget: Budget::default(),
        }
    }

    /// How a person names `path`.
    #[must_use]
    pub fn shown(&self, path: &ImagePath) -> String {
        self.files.shown(path)
    }

    /// `found`, with `path` named in its error; that nothing is there stays as it is.
    ///
    /// # Errors
    /// Those of `found`.
    pub fn at<T>(&self, path: &ImagePath, found: Result<T, LookupError>) -> Result<T, LookupError> {
        found.map_err(|error| match error {
            LookupError::Missing | LookupError::At { .. } => error,
            error => LookupError::At {
                path: self.shown(path),
                source: Box::new(error),
            },
        })
    }

    /// The files themselves, for readers on several threads; paths must be resolved ones.
    #[must_use]
    pub fn files(&self) -> &dyn Files {
        self.files.as_ref()
    }

    /// How much of its files is kept, for readers on several threads.
    #[must_use]
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The files themselves, without what was learnt of their links.
    #[must_use]
    pub fn into_files(self) -> Box<dyn Files> {
        self.files
    }

    /// Where `path` really lies, every link resolved, and what is there.
    ///
    /// # Errors
    /// When nothing is there, a link dangles or loops, or the medium fails.
    pub fn resolve(&self, path: &ImagePath) -> Result<(ImagePath, FileKind), LookupError> {
        Resolution {
            root: self,
            first_link: None,
            links: 0,
        }
        .resolve(path)
    }

    /// Where the regular file that `path` leads to really lies.
    ///
    /// # Errors
    /// As [`Root::resolve`]; and when it is no regular file.
    pub fn regular_file(&self, path: &ImagePath) -> Result<ImagePath, LookupError> {
        match self.resolve(path)? {
            (real, FileKind::Regular) => Ok(real),
            (_, other) => Err(LookupError::WrongKind {
                found: describe(&other),
                wanted: "a regular file",
            }),
        }
    }

    /// Reads the regular file that `path` leads to, whole, to be kept.
    ///
    /// # Errors
    /// As [`Root::regular_file`]; and when the file is larger than [`FILE_LIMIT`], or all that are kept are
    /// too large together.
    pub fn read(&self, path: &ImagePath) -> Result<Vec<u8>, LookupError> {
        let bytes = self.read_at_most(path, FILE_LIMIT)?;
        self.budget.take(bytes.len() as u64)?;
        Ok(bytes)
    }

    /// Reads the regular file that `path` leads to, whole, if it has `limit` bytes or fewer.
    ///
    /// # Errors
    /// As [`Root::regular_file`]; and when the file is larger.
    pub fn read_at_most(&self, path: &ImagePath, limit: u64) -> Result<Vec<u8>, LookupError> {
        let real = self.regular_file(path)?;
        read_bounded(self.files.open(&real)?.as_ref(), limit)
    }

    /// As [`Root::read`], with `None` for a file that is not there.
    ///
    /// # Errors
    /// As [`Root::read`].
    pub fn read_if_there(&self, path: &ImagePath) -> Result<Option<Vec<u8>>, LookupError> {
        if_there(self.read(path))
    }

    /// The names in the directory that `path` leads to, sorted, and where it really lies.
    ///
    /// # Errors
    /// As [`Root::resolve`]; and when it is no directory.
    pub fn list(&self, path: &ImagePath) -> Result<(ImagePath, Names), LookupError> {
        let (real, kind) = self.resolve(path)?;
        if kind != FileKind::Directory {
            return Err(LookupError::WrongKind {
                found: describe(&kind),
                wanted: "a directory",
            });
        }
        let mut names = self.files.list(&real)?;
        names.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok((real, names))
    }
}

/// What `read` makes of each of `paths`, which it is shown on `threads` threads at most; in their order.
pub fn read_each<T: Send>(
    files: &dyn Files,
    paths: &[ImagePath],
    threads: NonZeroUsize,
    read: impl Fn(&dyn OpenFile) -> T + Sync,
) -> Vec<io::Result<T>> {
    let made: Vec<Mutex<Option<io::Result<T>>>> = paths.iter().map(|_| Mutex::default()).collect();
    files.visit(paths, threads, &|index, file| {
        let result = file.map(&read);
        if let Some(place) = made.get(index) {
            *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        }
    });
    let taken = made
        .into_iter()
        .map(|place| place.into_inner().unwrap_or_else(PoisonError::into_inner));
    taken
        .map(|result| result.unwrap_or_else(|| Err(io::ErrorKind::NotFound.into())))
        .collect()
}

/// Reads an open file whole.
///
/// # Errors
/// When it is larger than [`FILE_LIMIT`], or reading fails.
pub fn read_whole(file: &(dyn OpenFile + '_)) -> Result<Vec<u8>, LookupError> {
    read_bounded(file, FILE_LIMIT)
}

fn read_bounded(file: &(dyn OpenFile + '_), limit: u64) -> Result<Vec<u8>, LookupError> {
    let size = file.size();
    if size > limit {
        return Err(LookupError::TooLarge { size, limit });
    }
    let mut bytes = Vec::new();
    // A host may have less room than that, and must not end for it.
    let room = bytes.try_reserve_exact(size as usize);
    room.map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    bytes.resize(size as usize, 0);
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// What a person calls a kind of file.
fn describe(kind: &FileKind) -> &'static str {
    match kind {
        FileKind::Regular => "a regular file",
        FileKind::Directory => "a directory",
        FileKind::Symlink(_) => "a symbolic link",
        FileKind::Special => "a device, socket or pipe",
    }
}

#[cfg(test)]
pub(crate) mod memory {
    //! A root that is a table, for tests.

    use super::*;
    use std::collections::BTreeMap;

    /// Files by path; directories are implied.
    #[derive(Default)]
    pub struct Memory(pub BTreeMap<ImagePath, Entry>);

    /// What a test's root holds.
    pub enum Entry {
        File(Vec<u8>),
        Link(&'static str),
    }

    impl Files for Memory {
        fn kind(&self, path: &ImagePath) -> io::Result<Option<FileKind>> {
            let below = [path.as_bytes(), b"/"].concat();
            Ok(match self.0.get(path) {
                Some(Entry::File(_)) => Some(FileKind::Regular),
                Some(Entry::Link(target)) => Some(FileKind::Symlink(target.as_bytes().to_vec())),
                None if self.0.keys().any(|p| p.as_bytes().starts_with(&below)) => {
                    Some(FileKind::Directory)
                }
                None => None,
            })
        }

        fn open(&self, path: &ImagePath) -> io::Result<Box<dyn OpenFile + '_>> {
            match self.0.get(path) {
                Some(Entry::File(bytes)) => Ok(Box::new(bytes.as_slice())),
                _ => Err(io::ErrorKind::NotFound.into()),
            }
        }

        fn list(&self, directory: &ImagePath) -> io::Result<Names> {
            let mut names: Vec<Vec<u8>> = Vec::new();
            let depth = directory.components().count();
            for path in self.0.keys() {
                let inside = path.components().take(depth).eq(directory.components());
                if let Some(name) = path.components().nth(depth).filter(|_| inside) {
                    names.push(name.to_vec());
                }
            }
            names.dedup();
            names
                .into_iter()
                .map(|name| {
                    let path = directory.join(&name).map_err(io::Error::other)?;
                    Ok((name, self.kind(&path)?.ok_or(io::ErrorKind::NotFound)?))
                })
                .collect()
        }

        fn shown(&self, path: &ImagePath) -> String {
            path.to_string()
        }
    }

    /// A root of files (`path`, bytes) and links (`path`, target).
    pub fn root(files: &[(&str, &[u8])], links: &[(&str, &'static str)]) -> Root {
        let mut memory = Memory::default();
        for (path, bytes) in files {
            memory
                .0
                .insert(ImagePath::new(path).unwrap(), Entry::File(bytes.to_vec()));
        }
        for (path, target) in links {
            memory
                .0
                .insert(ImagePath::new(path).unwrap(), Entry::Link(target));
        }
        Root::new(Box::new(memory))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn at(path: &str) -> ImagePath {
        ImagePath::new(path).unwrap()
    }

    #[test]
    fn links_resolve_as_they_would_in_a_chroot() {
        let root = memory::root(
            &[("usr/lib/modules/6.1/a.ko", b"a"), ("etc/passwd", b"inner")],
            &[
                ("lib", "usr/lib"),
                ("absolute", "/usr/lib/modules/6.1/a.ko"),
                ("usr/lib/escape", "../../../../../etc/passwd"),
                ("chain", "absolute"),
                ("updir", "lib/modules/../modules/6.1/a.ko"),
            ],
        );
        for (path, real) in [
            ("lib/modules/6.1/a.ko", "usr/lib/modules/6.1/a.ko"),
            ("absolute", "usr/lib/modules/6.1/a.ko"),
            ("lib/escape", "etc/passwd"),
            ("chain", "usr/lib/modules/6.1/a.ko"),
            ("updir", "usr/lib/modules/6.1/a.ko"),
        ] {
            assert_eq!(
                root.resolve(&at(path)).unwrap(),
                (at(real), FileKind::Regular),
                "{path}"
            );
        }
    }

    #[test]
    fn links_that_lead_nowhere_or_round_and_round_are_named() {
        let root = memory::root(
            &[("a", b"")],
            &[
                ("dangling", "/nowhere"),
                ("x", "y"),
                ("y", "x"),
                ("self", "self/self"),
                ("under", "a/b"),
            ],
        );
        let message = |path: &str| root.resolve(&at(path)).unwrap_err().to_string();
        assert_eq!(
            message("dangling"),
            "the symbolic link /dangling -> /nowhere leads nowhere inside the root"
        );
        assert_eq!(message("x"), "the symbolic link /x -> y is part of a loop");
        assert_eq!(
            message("self"),
            "the symbolic link /self -> self/self is part of a loop"
        );
        assert_eq!(
            message("under"),
            "the symbolic link /under -> a/b leads nowhere inside the root"
        );
        assert_eq!(message("missing/file"), "no such file in the root");
        assert_eq!(message("a/file"), "no such file in the root");
    }

    #[test]
    fn what_is_missing_beyond_a_good_link_is_missing_and_no_fault_of_the_link() {
        let root = memory::root(
            &[("usr/sbin/init", b""), ("var/usrlocal/bin/x", b"")],
            &[("sbin", "usr/sbin"), ("usr/local", "../var/usrlocal")],
        );
        for path in [
            "sbin/nash",
            "sbin/nash",
            "sbin/init/nash",
            "usr/local/lib/modprobe.d",
            "usr/local/lib/modprobe.d",
            "usr/local/bin/y",
        ] {
            let missing = root.resolve(&at(path)).unwrap_err();
            assert!(missing.is_missing(), "{path}: {missing}");
        }
    }

    #[test]
    fn a_look_up_is_answered_alike_at_every_time_of_asking() {
        let name = |n: usize| -> &'static str { format!("l{n}").leak() };
        let mut links: Vec<_> = (0..LINK_LIMIT - 1)
            .map(|n| (name(n), name(n + 1)))
            .collect();
        links.extend([(name(LINK_LIMIT - 1), "d"), ("d/one", "file"), ("lib", "d")]);
        let root = memory::root(&[("d/file", b"")], &links);
        for _ in 0..2 {
            let missing = root.resolve(&at("lib/none")).unwrap_err();
            assert!(missing.is_missing(), "{missing}, though lib leads to d");
            assert_eq!(root.resolve(&at("l0/file")).unwrap().0, at("d/file"));
            let one_too_many = root.resolve(&at("l0/one")).unwrap_err();
            assert!(matches!(one_too_many, LookupError::Loop { .. }));
        }
    }

    /// Files that count how often they are asked.
    struct Counted(Box<dyn Files>, Arc<AtomicUsize>);

    impl Files for Counted {
        fn kind(&self, path: &ImagePath) -> io::Result<Option<FileKind>> {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.kind(path)
        }

        fn open(&self, path: &ImagePath) -> io::Result<Box<dyn OpenFile + '_>> {
            self.0.open(path)
        }

        fn list(&self, directory: &ImagePath) -> io::Result<Names> {
            self.0.list(directory)
        }

        fn shown(&self, path: &ImagePath) -> String {
            self.0.shown(path)
        }
    }

    /// A root of links, of which each leads through so many directories to the next, the last to `end`;
    /// and how often it was asked.
    fn chain(links: usize, depth: usize, end: &'static str) -> (Root, Arc<AtomicUsize>) {
        let name = |text: String| -> &'static str { text.leak() };
        let deep = "d/".repeat(depth);
        let link = |n: usize| name(format!("{deep}l{n}"));
        let next = |n: usize| name(format!("/{deep}l{}", n + 1));
        let mut made: Vec<_> = (0..links - 1).map(|n| (link(n), next(n))).collect();
        made.push((link(links - 1), end));
        made.extend([
            ("first", next(links - 2)),
            ("all", name(format!("/{deep}l0"))),
        ]);
        let asked = Arc::default();
        let files = memory::root(&[("file", b"")], &made).into_files();
        let counted = Counted(files, Arc::clone(&asked));
        (Root::new(Box::new(counted)), asked)
    }

    #[test]
    fn a_link_that_was_followed_is_not_followed_again() {
        for (links, end, expected) in [
            (38, "/file", "/file"),
            (39, "/file", "/file"),
            (40, "/file", "loop"),
            (39, "/none", "nowhere"),
            (39, "/file/below", "nowhere"),
        ] {
            let (root, asked) = chain(links, 50, end);
            let mut counts = Vec::new();
            for _ in 0..3 {
                let found = match root.resolve(&at("all")) {
                    Ok((real, _)) => real.to_string(),
                    Err(LookupError::Dangling { .. }) => "nowhere".to_owned(),
                    Err(LookupError::Loop { .. }) => "loop".to_owned(),
                    Err(other) => other.to_string(),
                };
                assert_eq!(found, expected, "{links} {end}");
                counts.push(asked.swap(0, Ordering::Relaxed));
            }
            assert_eq!(counts.split_off(1), [1, 1], "{links} {end}");
        }
    }

    #[test]
    fn what_ended_too_far_for_one_look_up_is_near_enough_for_another() {
        let (root, _) = chain(41, 1, "/file");
        for _ in 0..2 {
            let too_far = root.resolve(&at("all")).unwrap_err();
            assert!(matches!(too_far, LookupError::Loop { .. }));
            assert_eq!(root.resolve(&at("d/l1")).unwrap().0, at("file"));
            assert_eq!(root.resolve(&at("first")).unwrap().0, at("file"));
        }
    }

    #[test]
    fn links_through_more_than_is_walked_are_given_up() {
        let links = [("one", "/d/file"), ("two", "/d/file")];
        let root = memory::root(&[("d/file", b"")], &links);
        root.links.borrow_mut().walked = WALKED - 3 * STEP - "d".len();
        assert!(root.resolve(&at("one")).is_ok());
        assert!(root.resolve(&at("two")).unwrap_err().is_too_large());
        assert!(root.resolve(&at("one")).is_ok());
    }

    #[test]
    fn a_walk_follows_links_and_tells_apart_what_cannot_be_used() {
        let root = memory::root(
            &[
                ("m/build/skipped.ko", b""),
                ("m/k/a.ko", b""),
                ("m/k/b.txt", b""),
                ("m/k/source/skipped.ko", b""),
                ("m/z.ko", b""),
                ("other/c.ko", b""),
                ("other/deep/d.ko", b""),
                ("skipped/e.ko", b""),
            ],
            &[
                ("m/b", "k"),
                ("m/gone", "nowhere"),
                ("m/gone.ko", "nowhere"),
                ("m/k/loop.ko", "loop.ko"),
                ("m/k/round", ".."),
                ("m/link.ko", "/other/c.ko"),
                ("m/linked", "/other"),
                ("m/source", "/skipped"),
                ("other/back", "/m"),
            ],
        );
        let walked = |top: &str| {
            let skipped: [&[u8]; 2] = [b"build", b"source"];
            root.walk(&at(top), &|name| name.ends_with(b".ko"), &skipped)
        };
        let paths = |paths: &[&str]| paths.iter().map(|path| at(path)).collect::<Vec<_>>();
        let files = [
            "m/k/a.ko",
            "m/link.ko",
            "m/linked/c.ko",
            "m/linked/deep/d.ko",
            "m/z.ko",
        ];
        let files = paths(&files);
        let unusable = paths(&["m/gone.ko", "m/k/loop.ko"]);
        assert_eq!(walked("m").unwrap(), Walked { files, unusable });
        assert!(walked("none").unwrap_err().is_missing());
    }

    #[test]
    fn a_walk_keeps_no_more_paths_than_a_kernels_modules_have() {
        struct Endless;
        impl Files for Endless {
            fn kind(&self, _: &ImagePath) -> io::Result<Option<FileKind>> {
                Ok(Some(FileKind::Directory))
            }

            fn open(&self, _: &ImagePath) -> io::Result<Box<dyn OpenFile + '_>> {
                Err(io::ErrorKind::NotFound.into())
            }

            fn list(&self, _: &ImagePath) -> io::Result<Names> {
                let name = |n: usize| (format!("{n:0100}").into_bytes(), FileKind::Directory);
                Ok((0..100).map(name).collect())
            }

            fn shown(&self, path: &ImagePath) -> String {
                path.to_string()
            }
        }
        let walked = Root::new(Box::new(Endless)).walk(&at("d"), &|_| true, &[]);
        assert!(walked.unwrap_err().is_too_large());
    }

    #[test]
    fn a_walk_through_links_that_multiply_ends() {
        let name = |text: String| -> &'static str { text.leak() };
        let mut links = Vec::new();
        for n in 0..30 {
            let next = name(format!("/d{}", n + 1));
            links.extend(["a", "b", "c"].map(|link| (name(format!("d{n}/{link}")), next)));
        }
        let root = memory::root(&[("d30/x.ko", b"")], &links);
        let walked = root.walk(&at("d0"), &|name| name.ends_with(b".ko"), &[]);
        let path = format!("d0/{}x.ko", "a/".repeat(30));
        assert_eq!(walked.unwrap().files, [at(&path)]);
    }
}
