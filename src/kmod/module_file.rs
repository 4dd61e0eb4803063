//! A module's file: read, unpacked where it is compressed, and what it says of itself.

use std::num::NonZeroUsize;

use super::modinfo::Modinfo;
use crate::arch::ElfKind;
use crate::compress::{UnpackError, detect, unpack};
use crate::elf::module::{ModuleError, ModuleFacts};
use crate::image_path::{BadPath, ImagePath};
use crate::parallel;
use crate::root::{FILE_LIMIT, Files, LookupError, OpenFile, Root, read_whole};

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
}

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
        let bytes = unpack(&raw, FILE_LIMIT as usize)?;
        (Some(raw), bytes)
    } else {
        (None, raw)
    };
    let facts = ModuleFacts::read(&bytes.as_slice())?;
    let modinfo = Modinfo::new(facts.modinfo);
    Ok(ModuleFile {
        packed,
        bytes,
        kind: facts.kind,
        modinfo,
    })
}

fn scan_one(files: &dyn Files, path: &ImagePath) -> Result<Modinfo, ModuleFault> {
    let file: Box<dyn OpenFile> = files.open(path).map_err(LookupError::Io)?;
    let mut magic = vec![0; file.size().min(8) as usize];
    file.read_exact_at(&mut magic, 0).map_err(LookupError::Io)?;
    if detect(&magic).is_some() {
        return Ok(load_one(files, path)?.modinfo);
    }
    Ok(Modinfo::new(ModuleFacts::read(file.as_ref())?.modinfo))
}
