//! From a manifest, a root and what was asked for, to the plan: every decision of a build.
//!
//! In: a [`Request`] and the files of a foreign system. Out: an [`Assembly`], or every problem
//! there is. Nothing is written, and nothing but the root and the `--bins` directories is read.

mod binaries;
mod files;
mod init;
mod kinship;
mod module_index;
mod modules;
mod needs;
mod placed;
mod root_device;
mod selection;

use std::num::NonZeroUsize;

use crate::arch::Arch;
use crate::compress::Compression;
use crate::image_path::ImagePath;
use crate::kernel_version::KernelVersion;
use crate::kmod::config::ModprobeConfig;
use crate::kmod::tree::ModuleTree;
use crate::manifest::{self, Manifest};
use crate::package::Facts;
use crate::plan::{Entry, Node, Plan, Purpose};
use crate::problem::{Fault, Problem};
use crate::root::Root;

pub use placed::{BuildNote, PlacedBinary, PlacedModule};
pub use root_device::RootDevice;

/// What is asked for, apart from the files themselves.
#[derive(Debug, Clone)]
pub struct Request {
    /// The name of the directory of the kernel's modules.
    pub kernel: String,
    /// That directory in the root.
    pub modules: ImagePath,
    /// The kernel's version, as that name has it.
    pub version: KernelVersion,
    /// The packages that the root is made of: how a person names each, and what it says of itself.
    pub packages: Vec<(String, Facts)>,
    /// The kind of image.
    pub manifest: Manifest,
    /// The architecture, where the user says it.
    pub arch: Option<Arch>,
    /// Modules to load before all others.
    pub preload: Vec<String>,
    /// Modules to load after all others.
    pub with: Vec<String>,
    /// Modules that count as built in.
    pub builtin: Vec<String>,
    /// Leave out SCSI modules.
    pub omit_scsi: bool,
    /// Leave out RAID modules.
    pub omit_raid: bool,
    /// Leave out device-mapper modules.
    pub omit_lvm: bool,
    /// The root file system's type.
    pub rootfs: Option<String>,
    /// The root device, as the kernel command line would name it.
    pub root_device: Option<String>,
    /// Mount options of the root file system.
    pub root_options: Option<String>,
    /// Leave compressed modules compressed.
    pub keep_compressed: bool,
    /// What the image will be compressed with.
    pub compression: Compression,
    /// The guest's `modprobe.conf`.
    pub config: ModprobeConfig,
    /// How many files are read at a time.
    pub threads: NonZeroUsize,
}

impl Request {
    /// The root file system's type: as asked, or as the manifest has it.
    #[must_use]
    pub fn rootfs(&self) -> &str {
        self.rootfs
            .as_deref()
            .unwrap_or(&self.manifest.modules.rootfs)
    }
}

/// An image, decided.
#[derive(Debug)]
pub struct Assembly {
    /// Its entries.
    pub plan: Plan,
    /// The guest's architecture.
    pub arch: Arch,
    /// The kernel's release, as its modules have it: what `uname -r` says in the guest.
    pub release: String,
    /// The modules, in load order, then those that go in without being loaded.
    pub modules: Vec<PlacedModule>,
    /// Drivers that were asked for, or needed, and are built in.
    pub builtin: Vec<String>,
    /// Executables and libraries.
    pub binaries: Vec<PlacedBinary>,
    /// What does not stop the build and should be known.
    pub notes: Vec<BuildNote>,
}

/// Where a build stands: the plan so far, and the problems so far.
struct Assembler<'a> {
    request: &'a Request,
    root: &'a Root,
    bins: &'a [Root],
    plan: Plan,
    problems: Vec<Problem>,
}

/// Decides what goes into an image. `bins` are the directories that binaries are looked for in
/// first; where one of them cannot be had there are none, and no binary is judged.
///
/// # Errors
/// Every problem there is; and, without one more, that there are no `bins`.
pub fn assemble(
    request: &Request,
    root: &Root,
    bins: Option<&[Root]>,
) -> Result<Assembly, Vec<Problem>> {
    let mut assembler = Assembler {
        request,
        root,
        bins: bins.unwrap_or_default(),
        plan: Plan::default(),
        problems: Vec::new(),
    };
    assembler.check_compression();
    let mut tree = assembler.open_tree();
    let modules = tree.as_mut().map(|tree| assembler.modules(tree));
    let modules = modules.unwrap_or_default();
    assembler.structure();
    let sampled = || tree.as_ref().and_then(sampled_arch);
    let arch = modules.arch.or_else(sampled).or(request.arch);
    assembler.judge_packages(arch);
    let binaries = arch.zip(bins).map(|(arch, _)| assembler.binaries(arch));
    let boot = assembler.boot(&modules.loads);
    let init = assembler.init(&boot, arch);
    let binaries = binaries.map(|binaries| init.into_iter().chain(binaries).collect());
    assembler.add_parents();
    assembler.init_needs(&boot);
    let unused = assembler.unused_bins();
    let Assembler { plan, problems, .. } = assembler;
    match (tree, arch, binaries) {
        (Some(tree), Some(arch), Some(binaries)) if problems.is_empty() => Ok(Assembly {
            plan,
            arch,
            release: modules.release,
            modules: modules.reports,
            builtin: modules.builtin,
            binaries,
            notes: unused
                .into_iter()
                .chain(tree.notes().into_iter().map(BuildNote::Tree))
                .collect(),
        }),
        _ => Err(problems),
    }
}

/// What the first modules of a tree are for, where they agree: enough to judge binaries by when the
/// modules asked for cannot be told.
fn sampled_arch(tree: &ModuleTree<'_>) -> Option<Arch> {
    const SAMPLE: usize = 8;
    let sample = tree.ids().take(SAMPLE);
    let mut kinds: Vec<_> = sample
        .filter_map(|id| tree.ask(id, |file| file.kind))
        .collect();
    kinds.dedup();
    match kinds.as_slice() {
        [kind] => Arch::of_elf(*kind),
        _ => None,
    }
}

impl<'r> Assembler<'r> {
    fn problem(&mut self, place: impl Into<String>, fault: impl Into<Fault>) {
        self.problems.push(Problem::new(place, fault));
    }

    /// The kernel's modules; that they cannot be told is a problem like any other.
    fn open_tree(&mut self) -> Option<ModuleTree<'r>> {
        let Request {
            modules,
            config,
            threads,
            ..
        } = self.request;
        match ModuleTree::open(self.root, modules, config.clone(), *threads) {
            Ok(tree) => Some(tree),
            Err(error) => {
                let place = self.root.shown(modules);
                self.problems.push(Problem::of_lookup(place, error));
                None
            }
        }
    }

    /// That programs were given in vain, for it may be another kind of image that is wanted.
    fn unused_bins(&self) -> Option<BuildNote> {
        let Request {
            manifest, version, ..
        } = self.request;
        let is_unused = !self.bins.is_empty() && manifest.binaries.is_empty();
        is_unused.then(|| BuildNote::BinsUnused {
            manifest: manifest.name.clone(),
            able: manifest::serving(*version, |manifest| !manifest.binaries.is_empty()),
        })
    }

    /// Gives every entry a directory to lie in.
    fn add_parents(&mut self) {
        for fault in self.plan.add_parents().err().unwrap_or_default() {
            self.problem(fault.path().to_string(), fault);
        }
    }

    /// Puts an entry into the plan.
    fn add(&mut self, path: ImagePath, entry: Entry) {
        if u32::try_from(entry.data().len()).is_err() {
            return self.problem(entry.origin, Fault::EntryTooLarge(path));
        }
        if let Err(fault) = self.plan.add(path, entry) {
            self.problem(fault.path().to_string(), fault);
        }
    }

    fn add_file(
        &mut self,
        path: ImagePath,
        mode: u32,
        purpose: Purpose,
        bytes: Vec<u8>,
        origin: impl Into<String>,
    ) {
        self.add(
            path,
            Entry {
                node: Node::File(bytes),
                mode,
                purpose,
                origin: origin.into(),
            },
        );
    }

    fn check_compression(&mut self) {
        let Request {
            compression,
            version: kernel,
            ..
        } = *self.request;
        if kernel < compression.first_kernel() {
            self.problem(
                "--compress",
                Fault::Compression {
                    compression,
                    kernel,
                },
            );
        }
    }
}
