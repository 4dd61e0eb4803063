//! A module's file: read, unpacked where it is compressed, and what it says of itself.

use std::io::{self, BufRead, Read};
use std::num::NonZeroUsize;

use super::modinfo::Modinfo;
use super::sieve::Sieve;
use crate::arch::ElfKind;
use crate::compress::source::Source;
use crate::compress::{UnpackError, detect, unpack, unpack_pieces};
use crate::elf::module::{ModuleError, ModuleFacts};
use crate::image_path::{BadPath, ImagePath};
use crate::root::{Budget, FILE_LIMIT, LookupError, OpenFile, Root, read_each, read_whole};

/// A module, as far as it was read.
#[derive(Debug)]
pub struct ModuleFile {
    /// All of it, where it was read whole.
    pub content: Option<Content>,
    /// Class, data order and machine.
    pub kind: ElfKind,
    /// What it says of itself.
    pub modinfo: Modinfo,
    /// Whether it carries the versions of the symbols it uses.
    pub versioned: bool,
}

/// A module whole.
#[derive(Debug)]
pub struct Content {
    /// The file as it lies in the root, where that is compressed.
    pub packed: Option<Vec<u8>>,
    /// The module itself.
    pub bytes: Vec<u8>,
}

/// Why a module's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModuleFault {
    /// It cannot be found or read.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// It is compressed, and damaged.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// It is no module, or a damaged one.
    #[error(transparent)]
    Module(#[from] ModuleError),
    /// It names more modules than any could need.
    #[error("it depends on {0} names, more than the {NAME_LIMIT} any module could need")]
    TooManyNames(usize),
}

/// The most names that a module's dependencies may hold: real ones stay under 50.
const NAME_LIMIT: usize = 1024;
/// The largest module that is unpacked, in bytes: several are at a time. Real ones stay under 64 MiB.
const UNPACKED_LIMIT: usize = 128 << 20;
/// How many bytes tell whether a module is compressed.
const TELLING: usize = 8;

/// How much of a module's file is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// What it says of itself; the whole where that is at hand at once.
    Facts,
    /// All of it.
    Whole,
}

/// Reads the files at `paths`, `threads` at a time, in their order.
pub fn load(
    root: &Root,
    paths: &[Result<ImagePath, BadPath>],
    depth: Depth,
    threads: NonZeroUsize,
) -> Vec<Result<ModuleFile, ModuleFault>> {
    let budget = root.budget();
    read(root, paths, threads, |file| match depth {
        Depth::Facts => match file.extract() {
            Some(extract) => extracted(extract),
            None => load_kept(file, budget),
        },
        Depth::Whole => {
            if file.extract().is_some() {
                // Where no more than that is at hand, it is shown once more, whole; nothing is taken for it before.
                file.read_exact_at(&mut [0], 0).map_err(LookupError::Io)?;
            }
            load_kept(file, budget)
        }
    })
}

/// Reads the `.modinfo` of the files at `paths`, and no more of them than that takes.
pub fn scan(
    root: &Root,
    paths: &[Result<ImagePath, BadPath>],
    threads: NonZeroUsize,
) -> Vec<Result<Modinfo, ModuleFault>> {
    read(root, paths, threads, |file| {
        facts_of(file).map(|file| file.modinfo)
    })
}

/// What will be asked of the module that `data` gives before the whole of it is; nothing where it cannot be used,
/// which is told when it is asked for. A store whose files take long to be had keeps this of each that passes by, and
/// gives it as [`OpenFile::extract`]. Whatever the size of the module, this takes some megabytes.
#[must_use]
pub fn extract(data: &mut dyn Read) -> Option<Vec<u8>> {
    let mut sieve = Sieve::default();
    let mut source = Source::new(data);
    match detect(source.peek(TELLING).ok()?) {
        Some(_) => {
            unpack_pieces(source, UNPACKED_LIMIT, &mut |piece| {
                sieve.take(piece);
                Ok(())
            })
            .ok()?;
        }
        None => loop {
            let ahead = source.fill_buf().ok()?;
            if ahead.is_empty() {
                break;
            }
            sieve.take(ahead);
            let count = ahead.len();
            source.consume(count);
        },
    }
    let facts = ModuleFacts::read(&sieve).ok()?;
    let ElfKind {
        class,
        data,
        machine,
    } = facts.kind;
    let [low, high] = machine.to_le_bytes();
    let mut extract = vec![class, data, low, high, u8::from(facts.versioned)];
    extract.extend_from_slice(&facts.modinfo);
    Some(extract)
}

/// The module that [`extract`] made `bytes` of.
fn extracted(bytes: &[u8]) -> Result<ModuleFile, ModuleFault> {
    let Some((&[class, data, low, high, versioned], modinfo)) = bytes.split_first_chunk() else {
        return Err(LookupError::Io(io::ErrorKind::InvalidData.into()).into());
    };
    let machine = u16::from_le_bytes([low, high]);
    Ok(ModuleFile {
        kind: ElfKind {
            class,
            data,
            machine,
        },
        modinfo: bounded(Modinfo::new(modinfo.to_vec()))?,
        versioned: versioned != 0,
        content: None,
    })
}

/// What `read` makes of the files: links are followed here, on one thread, and nowhere else.
fn read<T: Send>(
    root: &Root,
    paths: &[Result<ImagePath, BadPath>],
    threads: NonZeroUsize,
    read: impl Fn(&dyn OpenFile) -> Result<T, ModuleFault> + Sync,
) -> Vec<Result<T, ModuleFault>> {
    let resolve =
        |path: &Result<ImagePath, BadPath>| root.regular_file(path.as_ref().map_err(|bad| *bad)?);
    let resolved: Vec<Result<ImagePath, LookupError>> = paths.iter().map(resolve).collect();
    let there: Vec<ImagePath> = resolved.iter().flatten().cloned().collect();
    let mut made = read_each(root.files(), &there, threads, read).into_iter();
    let next = |path: Result<ImagePath, LookupError>| {
        path?;
        let made = made
            .next()
            .unwrap_or_else(|| Err(io::ErrorKind::NotFound.into()));
        made.map_err(LookupError::Io)?
    };
    resolved.into_iter().map(next).collect()
}

/// The module, which will be kept.
fn load_kept(file: &dyn OpenFile, budget: &Budget) -> Result<ModuleFile, ModuleFault> {
    // What is too large by itself takes nothing from the others.
    budget.take(
        Some(file.size())
            .filter(|&size| size <= FILE_LIMIT)
            .unwrap_or(0),
    )?;
    let module = load_one(file)?;
    if let Some(content) = &module.content
        && content.packed.is_some()
    {
        budget.take(content.bytes.len() as u64)?;
    }
    Ok(module)
}

fn load_one(file: &dyn OpenFile) -> Result<ModuleFile, ModuleFault> {
    let raw = read_whole(file)?;
    let (packed, bytes) = if detect(&raw).is_some() {
        let bytes = unpack(&raw, UNPACKED_LIMIT)?;
        (Some(raw), bytes)
    } else {
        (None, raw)
    };
    let facts = ModuleFacts::read(&bytes.as_slice())?;
    ModuleFile::new(facts, Some(Content { packed, bytes }))
}

/// What the module says of itself; of one that is compressed the whole has to be read for it.
fn facts_of(file: &dyn OpenFile) -> Result<ModuleFile, ModuleFault> {
    if let Some(extract) = file.extract() {
        return extracted(extract);
    }
    let mut magic = vec![0; file.size().min(8) as usize];
    file.read_exact_at(&mut magic, 0).map_err(LookupError::Io)?;
    match detect(&magic) {
        Some(_) => load_one(file),
        None => ModuleFile::new(ModuleFacts::read(file)?, None),
    }
}

impl ModuleFile {
    /// Whether the file is compressed: such a one is always read whole.
    #[must_use]
    pub fn is_packed(&self) -> bool {
        self.content
            .as_ref()
            .is_some_and(|content| content.packed.is_some())
    }

    fn new(facts: ModuleFacts, content: Option<Content>) -> Result<ModuleFile, ModuleFault> {
        Ok(ModuleFile {
            kind: facts.kind,
            modinfo: bounded(Modinfo::new(facts.modinfo))?,
            versioned: facts.versioned,
            content,
        })
    }
}

/// Proves that what a module says of itself can be followed.
///
/// # Errors
/// When it names too many modules.
pub fn bounded(modinfo: Modinfo) -> Result<Modinfo, ModuleFault> {
    match modinfo.names() {
        names if names > NAME_LIMIT => Err(ModuleFault::TooManyNames(names)),
        _ => Ok(modinfo),
    }
}
