//! A package as a store of files.
//!
//! A package can only be read from its beginning, and a kernel's takes seconds. So it is read once to know
//! what is in it; of some files the content is kept then, or an extract of it, as [`Interest`] says and within
//! bounds. Whatever else is asked for takes another reading, one for all the files that are asked for together
//! ([`Files::visit`]). Nothing is written to disk.

mod extract;
mod index;

use std::collections::{HashMap, HashSet};
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::{Entry, Facts, PackageError};
use crate::archive::Limits;
use crate::image_path::ImagePath;
use crate::parallel;
use crate::root::{FILE_LIMIT, FileKind, Files, Names, OpenFile, Visit};
use extract::ExtractedFile;
use index::{FileId, Index};

/// The most bytes of whole files that are kept: those of the programs and the likely modules of a minimal
/// image, some times over.
const WHOLE_KEPT: usize = 16 << 20;
/// The most bytes of extracts that are kept: what all modules of a distribution's kernel say of themselves
/// takes a quarter of it.
const EXTRACTS_KEPT: usize = 16 << 20;
/// The largest file that an extract is made of on another thread, which takes it whole.
const APART: u64 = 2 << 20;
/// What is set aside for a file before its bytes are seen, at most; it is not touched before.
const AT_ONCE: u64 = 64 << 20;

/// How much of a file is wanted before anybody asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// All of it.
    Whole,
    /// What [`Interest::extract`] makes of it.
    Extract,
    /// Nothing but its size.
    Nothing,
}

/// What will be asked of a package, as far as that is known before. It is a matter of time alone: what is
/// not kept is read again.
pub struct Interest<'i> {
    /// How much of a file of this path and size is wanted.
    pub keep: &'i dyn Fn(&ImagePath, u64) -> Keep,
    /// Makes of a file's bytes, which it is given once, what will be asked first: it is given as
    /// [`OpenFile::extract`]. Nothing is kept where that is `None`.
    pub extract: &'i (dyn Fn(&mut dyn Read) -> Option<Vec<u8>> + Sync),
    /// How many threads read and make extracts.
    pub threads: NonZeroUsize,
}

/// Gives the bytes of a package from an offset on, each time anew. The first time it may have them from the
/// first byte alone.
pub type Again = dyn Fn(u64) -> io::Result<Box<dyn Read + Send>> + Send + Sync;

/// The files of one package.
pub struct PackageFiles {
    shown: String,
    facts: Facts,
    index: Index,
    contents: Vec<Content>,
    again: Box<Again>,
    limits: Limits,
    threads: NonZeroUsize,
    /// How many bytes of files may still be kept whole.
    room: AtomicUsize,
}

/// What is at hand of a file.
#[derive(Default)]
struct Content {
    whole: OnceLock<Arc<Vec<u8>>>,
    extract: OnceLock<Box<[u8]>>,
}

impl PackageFiles {
    /// Reads the package that `again` gives for the first time. `shown` is how a person names it.
    ///
    /// # Errors
    /// As [`super::read`]; and when its paths contradict each other, or are more than may be kept.
    pub fn open(
        shown: String,
        again: Box<Again>,
        limits: Limits,
        interest: &Interest<'_>,
    ) -> Result<PackageFiles, PackageError> {
        let extracts = Extracts::default();
        let mut index = Index::new(limits);
        let mut wholes = Vec::new();
        let mut room = WHOLE_KEPT;
        let extract = |(id, ordinal, bytes): (FileId, u64, Vec<u8>)| {
            extracts.keep(id, ordinal, (interest.extract)(&mut bytes.as_slice()));
        };
        let facts = parallel::feed(interest.threads, extract, |feed| {
            super::read_apart(&*again, interest.threads, &limits, &mut |entry, data| {
                let size = entry.size();
                let keep = wanted(interest, &entry, room);
                let Some(id) = index.add(entry)? else {
                    return Ok(ControlFlow::Continue(()));
                };
                let ordinal = index.file(id).ordinal;
                match keep {
                    Keep::Nothing => {}
                    Keep::Extract if size > APART => {
                        extracts.keep(id, ordinal, (interest.extract)(data));
                    }
                    Keep::Extract => feed((id, ordinal, whole(data, size)?)),
                    Keep::Whole => {
                        room -= size as usize;
                        wholes.push((id, ordinal, Arc::new(whole(data, size)?)));
                    }
                }
                Ok(ControlFlow::Continue(()))
            })
        })?;
        let files = PackageFiles {
            shown,
            facts,
            contents: index.files().map(|_| Content::default()).collect(),
            index,
            again,
            limits,
            threads: interest.threads,
            room: AtomicUsize::new(room),
        };
        files.take_kept(wholes, extracts);
        Ok(files)
    }

    /// Takes what was kept of the files; where several entries had data of one, of the last of them.
    fn take_kept(&self, wholes: Vec<(FileId, u64, Arc<Vec<u8>>)>, extracts: Extracts) {
        let is_last = |id, ordinal| self.index.file(id).ordinal == ordinal;
        for (id, ordinal, bytes) in wholes {
            if is_last(id, ordinal) {
                self.keep_whole(id, &bytes);
            }
        }
        for (id, ordinal, extract) in extracts.into_inner() {
            if let Some(content) = self.content(id).filter(|_| is_last(id, ordinal)) {
                let _ = content.extract.set(extract);
            }
        }
    }

    /// What the package says of itself.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Reads the package once more, and gives `each` the files of `ids`, whole, in the order in which they
    /// stand.
    fn reread(
        &self,
        ids: impl Iterator<Item = FileId>,
        each: &mut dyn FnMut(FileId, Vec<u8>),
    ) -> Result<(), PackageError> {
        let ordinals = ids.map(|id| (self.index.file(id).ordinal, id));
        let mut wanted: HashMap<u64, FileId> = ordinals.collect();
        let mut ordinals = 0..;
        super::read_apart(
            &*self.again,
            self.threads,
            &self.limits,
            &mut |entry, data| {
                let ordinal = ordinals.next().unwrap_or_default();
                if let Some(id) = wanted.remove(&ordinal) {
                    each(id, whole(data, entry.size())?);
                }
                Ok(match wanted.is_empty() {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                })
            },
        )?;
        match wanted.is_empty() {
            true => Ok(()),
            false => Err(io::Error::other("the package is not what it was").into()),
        }
    }

    fn id(&self, path: &ImagePath) -> io::Result<FileId> {
        let id = self.index.file_at(path).ok_or(io::ErrorKind::NotFound)?;
        match self.index.file(id).size > FILE_LIMIT {
            true => Err(io::ErrorKind::FileTooLarge.into()),
            false => Ok(id),
        }
    }

    fn content(&self, id: FileId) -> Option<&Content> {
        self.contents.get(id.0)
    }

    fn keep_whole(&self, id: FileId, bytes: &Arc<Vec<u8>>) {
        if let Some(content) = self.content(id) {
            // Another thread may have been faster, with the same bytes.
            let _ = content.whole.set(Arc::clone(bytes));
        }
    }

    /// The whole of a file, read again where it was not kept.
    fn fetch(&self, id: FileId) -> io::Result<Arc<Vec<u8>>> {
        let kept = self.content(id).and_then(|content| content.whole.get());
        if let Some(bytes) = kept {
            return Ok(Arc::clone(bytes));
        }
        let mut fetched = None;
        let ids = std::iter::once(id);
        self.reread(ids, &mut |_, bytes| fetched = Some(bytes))
            .map_err(medium)?;
        let bytes = Arc::new(fetched.unwrap_or_default());
        let less = |room: usize| room.checked_sub(bytes.len());
        let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
        if self.room.fetch_update(set, get, less).is_ok() {
            self.keep_whole(id, &bytes);
        }
        Ok(bytes)
    }

    /// Shows a file to `visit` as far as it is at hand; `false` where that was not enough.
    fn show_kept(&self, index: usize, id: FileId, visit: &Visit<'_>) -> bool {
        let Some(content) = self.content(id) else {
            return false;
        };
        if let Some(bytes) = content.whole.get() {
            visit(index, Ok(&bytes.as_slice()));
            return true;
        }
        let Some(extract) = content.extract.get() else {
            return false;
        };
        let file = ExtractedFile::new(extract, self.index.file(id).size, None);
        visit(index, Ok(&file));
        !file.was_missed()
    }

    /// Reads the package once more for all that was not at hand, and shows it to `visit`, on other threads
    /// while it is read on.
    fn show_reread(&self, missing: &[(usize, FileId)], threads: NonZeroUsize, visit: &Visit<'_>) {
        let mut indices: HashMap<FileId, Vec<usize>> = HashMap::new();
        for (index, id) in missing {
            indices.entry(*id).or_default().push(*index);
        }
        let of = |id: &FileId| indices.get(id).map(Vec::as_slice).unwrap_or_default();
        let show = |(id, bytes): (FileId, Vec<u8>)| {
            for &index in of(&id) {
                visit(index, Ok(&bytes.as_slice()));
            }
        };
        let mut unread: HashSet<FileId> = indices.keys().copied().collect();
        let read = parallel::feed(threads, show, |feed| {
            self.reread(indices.keys().copied(), &mut |id, bytes| {
                unread.remove(&id);
                feed((id, bytes));
            })
        });
        if let Err(error) = read.map_err(medium) {
            for &index in unread.iter().flat_map(of) {
                visit(index, Err(io::Error::new(error.kind(), error.to_string())));
            }
        }
    }
}

/// The package was readable once: that it is no more is the medium's fault.
fn medium(error: PackageError) -> io::Error {
    match error {
        PackageError::Io(error) => error,
        other => io::Error::other(other.to_string()),
    }
}

/// The `size` bytes of a file.
fn whole(data: &mut dyn Read, size: u64) -> Result<Vec<u8>, PackageError> {
    let mut bytes = Vec::new();
    loop {
        let room = (size - bytes.len() as u64).min(AT_ONCE);
        if room == 0 {
            return Ok(bytes);
        }
        // A host may have less room than that, and must not end for it.
        let more = bytes.try_reserve_exact(room as usize);
        more.map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        if data.take(room).read_to_end(&mut bytes)? as u64 != room {
            return Err(PackageError::Truncated);
        }
    }
}

/// How much is wanted of an entry, and may be had.
fn wanted(interest: &Interest<'_>, entry: &Entry, room: usize) -> Keep {
    let size = entry.size();
    match (interest.keep)(&entry.path, size) {
        Keep::Whole if size > room as u64 => Keep::Nothing,
        keep => keep,
    }
}

/// What was made of a file, and the number of the entry that it was made of.
type Extract = (FileId, u64, Box<[u8]>);

/// Extracts as they are made, on any thread.
#[derive(Default)]
struct Extracts {
    made: Mutex<Vec<Extract>>,
    size: AtomicUsize,
}

impl Extracts {
    fn keep(&self, id: FileId, ordinal: u64, extract: Option<Vec<u8>>) {
        let Some(extract) = extract else { return };
        let before = self.size.fetch_add(extract.len(), Ordering::Relaxed);
        if before + extract.len() <= EXTRACTS_KEPT {
            let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            made.push((id, ordinal, extract.into()));
        }
    }

    fn into_inner(self) -> Vec<Extract> {
        let made = self.made.into_inner();
        made.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Files for PackageFiles {
    fn kind(&self, path: &ImagePath) -> io::Result<Option<FileKind>> {
        Ok(self.index.kind(path))
    }

    fn open(&self, path: &ImagePath) -> io::Result<Box<dyn OpenFile + '_>> {
        let id = self.id(path)?;
        let kept = self
            .content(id)
            .map(|content| (content.whole.get(), content.extract.get()));
        let Some((None, Some(extract))) = kept else {
            return Ok(Box::new(Whole(self.fetch(id)?)));
        };
        let fetch = move || self.fetch(id);
        let size = self.index.file(id).size;
        Ok(Box::new(ExtractedFile::new(
            extract,
            size,
            Some(Box::new(fetch)),
        )))
    }

    fn visit(&self, paths: &[ImagePath], threads: NonZeroUsize, visit: &Visit<'_>) {
        let jobs = paths.iter().enumerate().collect();
        let missing = parallel::map(jobs, threads, |(index, path)| match self.id(path) {
            Ok(id) => (!self.show_kept(index, id, visit)).then_some((index, id)),
            Err(error) => {
                visit(index, Err(error));
                None
            }
        });
        let missing: Vec<(usize, FileId)> = missing.into_iter().flatten().collect();
        if !missing.is_empty() {
            self.show_reread(&missing, threads, visit);
        }
    }

    fn list(&self, directory: &ImagePath) -> io::Result<Names> {
        let names = self.index.list(directory);
        names.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn shown(&self, path: &ImagePath) -> String {
        format!("{}: {path}", self.shown)
    }
}

/// A file that is kept whole.
struct Whole(Arc<Vec<u8>>);

impl OpenFile for Whole {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.as_slice().read_exact_at(buf, offset)
    }
}
