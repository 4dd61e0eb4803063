//! The modules of a kernel in the guest's root.
//!
//! In: the root, and the kernel's release. Out: each module by its name, read when it is asked for, and no
//! more of it than that takes.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::{Mutex, PoisonError};

use crate::compress::{detect, unpack};
use crate::elf::module::ModuleFacts;
use crate::image_path::ImagePath;
use crate::inspect::module::{Build, SIGNATURE_END};
use crate::kmod::MODULE_PLACES;
use crate::kmod::modinfo::Modinfo;
use crate::kmod::name::{ModuleName, is_module_file};
use crate::root::{Files, LookupError, OpenFile, Root, if_there};

/// Directories of a kernel's modules in which there are none of its own, but links to where it was built.
const NOT_ENTERED: [&[u8]; 2] = [b"build", b"source"];
/// The most modules of one name that are read: real kernels have one, and one in `updates`.
const ALIKE: usize = 16;
/// The largest compressed module that is read, in bytes, and what it may unpack to: amdgpu, the largest of
/// all, has 20 MiB.
const PACKED_LIMIT: u64 = 12 << 20;
const UNPACKED_LIMIT: usize = 32 << 20;
/// The largest `.modinfo` that is kept, in bytes.
const MODINFO_LIMIT: usize = 1 << 20;
/// The most bytes that are read and unpacked for one image: all modules of a kernel are half of it.
const BYTES_LIMIT: u64 = 1 << 30;

/// The modules of a kernel.
pub(super) struct OwnModules {
    files: Box<dyn Files>,
    /// Where those of a name really lie.
    paths: HashMap<ModuleName, Vec<ImagePath>>,
    /// Images are judged side by side, but no two compressed modules are in memory at a time.
    unpacking: Mutex<()>,
}

/// What is asked of a module in the root.
pub struct OwnModule {
    /// What tells its build.
    pub build: Build,
    /// Whether a signature follows it.
    pub signed: bool,
}

/// How many bytes of modules may still be read and unpacked for one image.
pub struct Budget(Cell<u64>);

impl Default for Budget {
    fn default() -> Self {
        Budget(Cell::new(BYTES_LIMIT))
    }
}

impl Budget {
    fn take(&self, bytes: usize) -> io::Result<()> {
        let left = self.0.get().checked_sub(bytes as u64);
        self.0.set(left.unwrap_or_default());
        left.map(drop).ok_or(io::ErrorKind::QuotaExceeded.into())
    }
}

impl OwnModules {
    /// Those of the kernel with this release in `root`.
    pub(super) fn find(root: Root, release: &str) -> Result<OwnModules, LookupError> {
        let mut paths: HashMap<ModuleName, Vec<ImagePath>> = HashMap::new();
        for place in MODULE_PLACES {
            let top = ImagePath::new(format!("{place}/{release}"))?;
            let Some(met) = if_there(root.walk(&top, &is_module_file, &NOT_ENTERED))? else {
                continue;
            };
            for path in met.files {
                if let Some(name) = ModuleName::of_file(path.file_name()) {
                    let real = root.regular_file(&path)?;
                    paths.entry(name).or_default().push(real);
                }
            }
            break;
        }
        let files = root.into_files();
        Ok(OwnModules {
            files,
            paths,
            unpacking: Mutex::default(),
        })
    }

    /// Those called `name` that can be read within the budget, each with where it lies.
    pub(super) fn called(
        &self,
        name: &ModuleName,
        budget: &Budget,
    ) -> Vec<(&ImagePath, OwnModule)> {
        let paths = self.paths.get(name).into_iter().flatten().take(ALIKE);
        let read = paths.filter_map(|path| {
            let file = self.files.open(path).ok()?;
            let file = Metered {
                file: file.as_ref(),
                budget,
            };
            Some((path, self.read(&file)?))
        });
        read.collect()
    }

    /// What is asked of the module in `file`; nothing where it cannot be read.
    fn read(&self, file: &Metered<'_>) -> Option<OwnModule> {
        if detect(&part(file, 0, file.size().min(8))?).is_none() {
            return module(file);
        }
        if file.size() > PACKED_LIMIT {
            return None;
        }
        let alone = self.unpacking.lock();
        let _alone = alone.unwrap_or_else(PoisonError::into_inner);
        let packed = part(file, 0, file.size())?;
        let unpacked = unpack(&packed, UNPACKED_LIMIT).ok();
        drop(packed);
        let size = unpacked.as_ref().map_or(UNPACKED_LIMIT, Vec::len);
        file.budget.take(size).ok()?;
        module(&unpacked?.as_slice())
    }
}

/// A file whose bytes are counted as they are read.
struct Metered<'f> {
    file: &'f dyn OpenFile,
    budget: &'f Budget,
}

impl OpenFile for Metered<'_> {
    fn size(&self) -> u64 {
        self.file.size()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.budget.take(buf.len())?;
        self.file.read_exact_at(buf, offset)
    }
}

fn module(file: &dyn OpenFile) -> Option<OwnModule> {
    let facts = ModuleFacts::read(file).ok()?;
    let tail = file.size().min(SIGNATURE_END.len() as u64);
    let tail = part(file, file.size() - tail, tail)?;
    (facts.modinfo.len() <= MODINFO_LIMIT).then(|| OwnModule {
        build: Build::new(facts.build_note, Modinfo::new(facts.modinfo)),
        signed: tail == SIGNATURE_END,
    })
}

fn part(file: &dyn OpenFile, offset: u64, length: u64) -> Option<Vec<u8>> {
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, offset).ok()?;
    Some(bytes)
}

impl fmt::Debug for OwnModules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnModules")
            .field(&self.paths.len())
            .finish()
    }
}
