//! A module's file: read, unpacked where it is compressed, and what it says of itself.

use std::num::NonZeroUsize;

use super::modinfo::Modinfo;
use crate::arch::ElfKind;
use crate::compress::{UnpackError, detect, unpack};
use crate::elf::module::{ModuleError, ModuleFacts};
use crate::image_path::{BadPath, ImagePath};
use crate::parallel;
use crate::root::{Files, LookupError, OpenFile, Root, read_whole};

/// A module, read whole.
#[derive(Debug)]
pub struct ModuleFile {
    /// The file as it lies in the root, where that is compressed.
    pub packed: Option<Vec<u8>>,
    /// The module itself.
    pub bytes: Vec<u8>,
    /// Class, data order and machine.
    pub kind: ElfKind,
    /// What it says of itself.
    pub modinfo: Modinfo,
    /// Whether it carries the versions of the symbols it uses.
    pub versioned: bool,
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

/// Reads the files at `paths` whole, `threads` at a time, in their order.
pub fn load(
    root: &Root,
    paths: &[Result<ImagePath, BadPath>],
    threads: NonZeroUsize,
) -> Vec<Result<ModuleFile, ModuleFault>> {
    let files = root.files();
    let jobs = resolved(root, paths);
    parallel::map(jobs, threads, |path| load_one(files, &path?))
}

/// Reads the `.modinfo` of the files at `paths`, and no more of them than that takes.
pub fn scan(
    root: &Root,
    paths: &[Result<ImagePath, BadPath>],
    threads: NonZeroUsize,
) -> Vec<Result<Modinfo, ModuleFault>> {
    let files = root.files();
    let jobs = resolved(root, paths);
    parallel::map(jobs, threads, |path| scan_one(files, &path?))
}

/// Where the files really lie: links are followed here, on one thread, and nowhere else.
fn resolved(
    root: &Root,
    paths: &[Result<ImagePath, BadPath>],
) -> Vec<Result<ImagePath, LookupError>> {
    paths
        .iter()
        .map(|path| root.regular_file(path.as_ref().map_err(|bad| *bad)?))
        .collect()
}

fn load_one(files: &dyn Files, path: &ImagePath) -> Result<ModuleFile, ModuleFault> {
    let raw = read_whole(files.open(path).map_err(LookupError::Io)?.as_ref())?;
    let (packed, bytes) = if detect(&raw).is_some() {
        let bytes = unpack(&raw, UNPACKED_LIMIT)?;
        (Some(raw), bytes)
    } else {
        (None, raw)
    };
    let ModuleFacts {
        kind,
        modinfo,
        versioned,
        build_note: _,
    } = ModuleFacts::read(&bytes.as_slice())?;
    Ok(ModuleFile {
        packed,
        bytes,
        kind,
        modinfo: bounded(Modinfo::new(modinfo))?,
        versioned,
    })
}

fn scan_one(files: &dyn Files, path: &ImagePath) -> Result<Modinfo, ModuleFault> {
    let file: Box<dyn OpenFile> = files.open(path).map_err(LookupError::Io)?;
    let mut magic = vec![0; file.size().min(8) as usize];
    file.read_exact_at(&mut magic, 0).map_err(LookupError::Io)?;
    if detect(&magic).is_some() {
        return Ok(load_one(files, path)?.modinfo);
    }
    bounded(Modinfo::new(ModuleFacts::read(file.as_ref())?.modinfo))
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
