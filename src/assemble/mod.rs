//! From a manifest, a root and what was asked for, to the plan: every decision of a build.
//!
//! In: a [`Request`] and the files of a foreign system. Out: an [`Assembly`], or every problem
//! there is. Nothing is written, and nothing but the root and the `--bins` directories is read.

mod binaries;
mod files;
mod init;
mod module_index;
mod modules;
mod root_device;

use std::num::NonZeroUsize;

use crate::arch::Arch;
use crate::compress::Compression;
use crate::image_path::ImagePath;
use crate::kernel_version::KernelVersion;
use crate::kmod::config::ModprobeConfig;
use crate::kmod::note::Note;
use crate::kmod::tree::ModuleTree;
use crate::manifest::Manifest;
use crate::plan::{Entry, Node, Plan, Purpose};
use crate::problem::{Fault, Problem};
use crate::report::{BinaryReport, ModuleReport};
use crate::root::Root;

pub use root_device::RootDevice;

/// What is asked for, apart from the files themselves.
#[derive(Debug, Clone)]
pub struct Request {
    /// The name of the directory under `lib/modules`.
    pub kernel: String,
    /// The kernel's version, as that name has it.
    pub version: KernelVersion,
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
    pub modules: Vec<ModuleReport>,
    /// Drivers that were asked for, or needed, and are built in.
    pub builtin: Vec<String>,
    /// Executables and libraries.
    pub binaries: Vec<BinaryReport>,
    /// What does not stop the build and should be known.
    pub notes: Vec<Note>,
}

/// Where a build stands: the plan so far, and the problems so far.
struct Assembler<'a> {
    request: &'a Request,
    root: &'a Root,
    bins: &'a [Root],
    plan: Plan,
    problems: Vec<Problem>,
}

/// Decides what goes into an image.
///
/// # Errors
/// Every problem there is.
pub fn assemble(
    request: &Request,
    root: &Root,
    bins: &[Root],
    tree: &mut ModuleTree<'_>,
) -> Result<Assembly, Vec<Problem>> {
    let mut assembler = Assembler {
        request,
        root,
        bins,
        plan: Plan::default(),
        problems: Vec::new(),
    };
    assembler.check_compression();
    assembler.check_root_device();
    let modules = assembler.modules(tree);
    assembler.structure();
    let arch = modules.arch.or(request.arch);
    let binaries = arch
        .map(|arch| assembler.binaries(arch))
        .unwrap_or_default();
    assembler.init(&modules.loads);
    if let Err(faults) = assembler.plan.add_parents() {
        assembler.problems.extend(
            faults
                .into_iter()
                .map(|fault| Problem::new("the plan", fault)),
        );
    }
    let Assembler { plan, problems, .. } = assembler;
    match arch {
        Some(arch) if problems.is_empty() => Ok(Assembly {
            plan,
            arch,
            release: modules.release,
            modules: modules.reports,
            builtin: modules.builtin,
            binaries,
            notes: tree.notes(),
        }),
        _ => Err(problems),
    }
}

impl Assembler<'_> {
    fn problem(&mut self, place: impl Into<String>, fault: impl Into<Fault>) {
        self.problems.push(Problem::new(place, fault));
    }

    /// Puts an entry into the plan.
    fn add(&mut self, path: ImagePath, entry: Entry) {
        if u32::try_from(entry.data().len()).is_err() {
            return self.problem(entry.origin, Fault::EntryTooLarge(path));
        }
        if let Err(fault) = self.plan.add(path, entry) {
            self.problem("the plan", fault);
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
