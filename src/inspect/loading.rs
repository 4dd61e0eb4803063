//! The programs that load an image's modules, and which compressed ones they can load.
//!
//! In: the tree. Out: [`Loading`]. What busybox reads is said in its `archival/libarchive/open_transformer.c`
//! and `modutils/modutils.c`, what kmod reads in `libkmod/libkmod-file.c`; both may hand a file over as it is
//! and have the kernel unpack it (`kernel/module/decompress.c`), as this program's own init does with whatever is not called
//! `.ko`.

use super::boot::Loader;
use super::finding::Severity;
use super::picture::Content;
use super::tree::Tree;
use crate::compress::Format;
use crate::elf::program::ProgramFacts;
use crate::image_path::ImagePath;

/// The programs of an image that load modules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loading {
    /// What `insmod` is, by its file.
    pub insmod: Program,
    /// What `modprobe` is, by its file, which the kernel too runs for what it lacks, whatever the init's shell.
    pub modprobe: Program,
    /// The busybox that runs the init, where it may take its own programs before those files.
    pub shell: Option<Program>,
    /// What udev loads by, where that is kmod's library (systemd's `src/udev/udev-builtin-kmod.c`) and not, as
    /// before 176, `modprobe`.
    pub udev: Option<Program>,
}

/// Who has a module loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// The init, so.
    Init(Loader),
    /// udev, or the kernel, for a device or a name that is met.
    OnDemand,
}

/// That a module is not loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// How certain that is.
    pub severity: Severity,
    /// What was to load it.
    pub program: String,
}

/// A program that loads modules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// busybox, as far as it says its version: `(1, 35)`.
    Busybox(Option<(u16, u16)>),
    /// kmod, or its library.
    Kmod(Kmod),
    /// xinitrd's own init, which unpacks nothing.
    Native,
    /// Another, or none: nothing is known of what it reads.
    Other,
}

/// kmod, as far as compressed modules are concerned.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kmod {
    /// The formats that it unpacks itself.
    pub formats: Vec<Format>,
    /// Whether it is linked to none of the libraries that it unpacks by, and looks for them when it needs them.
    pub looks_for_libraries: bool,
}

/// A compressed module, as far as loading it is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed {
    /// How it is compressed.
    pub format: Format,
    /// Whether its kernel can unpack that; `None` where that is not known.
    pub by_kernel: Option<bool>,
    /// Whether the file is called `.ko`, as one that is not compressed.
    pub is_plainly_called: bool,
}

/// Where programs lie.
const DIRECTORIES: [&str; 4] = ["sbin", "usr/sbin", "bin", "usr/bin"];
/// What busybox is called, where nothing else is.
const BUSYBOXES: [&str; 4] = ["busybox", "busybox.static", "ash", "sh"];
/// What kmod unpacks by.
const UNPACKERS: [(Format, &str); 3] = [
    (Format::Zstd, "libzstd.so.1"),
    (Format::Xz, "liblzma.so.5"),
    (Format::Gzip, "libz.so.1"),
];
/// The first busybox that lets the kernel unpack what is not called `.ko`.
const BUSYBOX_ASKS_KERNEL: (u16, u16) = (1, 37);

impl Loading {
    /// The programs of `tree`, as a script for the shell at `shell` calls them, where it is one's. `has_udev` says
    /// whether udev loads modules.
    #[must_use]
    pub fn of(tree: &Tree, shell: Option<&[u8]>, has_udev: bool) -> Loading {
        let udev = || Kmod::of(tree, None).map(Program::Kmod);
        Loading {
            insmod: Program::called("insmod", tree),
            modprobe: Program::called("modprobe", tree),
            shell: shell.and_then(|shell| standalone(tree, shell)),
            udev: has_udev.then(udev).flatten(),
        }
    }

    /// The same where the init is this program's own, which runs none of them.
    #[must_use]
    pub fn of_native_init(tree: &Tree) -> Loading {
        Loading {
            insmod: Program::Native,
            ..Loading::of(tree, None, false)
        }
    }

    /// Whether `module` is not loaded when it is asked for so. Where the init's shell may take its own program
    /// for the file, both must refuse it.
    #[must_use]
    pub fn refuses(&self, module: Packed, caller: Caller) -> Option<Refusal> {
        let (program, loader) = match (caller, &self.udev) {
            (Caller::Init(Loader::Insmod), _) => (&self.insmod, Loader::Insmod),
            (Caller::OnDemand, Some(udev)) => (udev, Loader::Modprobe),
            _ => (&self.modprobe, Loader::Modprobe),
        };
        let severity = program.refuses(module, loader)?;
        let shell = self.shell.as_ref();
        let severity = match shell.filter(|&shell| caller != Caller::OnDemand && shell != program) {
            None => severity,
            Some(shell) => shell.refuses(module, loader).map(|_| Severity::Warning)?,
        };
        let program = match caller == Caller::OnDemand && self.udev.is_some() {
            true => "udev's libkmod".to_owned(),
            false => program.name(),
        };
        Some(Refusal { severity, program })
    }
}

/// Whether the shell at `shell` may be a busybox that runs its own programs without their files.
#[must_use]
pub fn may_run_its_own(tree: &Tree, shell: &[u8]) -> bool {
    standalone(tree, shell).is_some()
}

/// The busybox at `shell`, where it may be built to take its own programs before all others that are called by
/// their bare names: FEATURE_SH_STANDALONE, which is off where nothing is said, and on in Debian's static one.
fn standalone(tree: &Tree, shell: &[u8]) -> Option<Program> {
    let (path, item) = tree.find(&ImagePath::new(shell).ok()?).ok()?;
    let facts = facts(tree.content(item)).filter(|facts| !facts.is_dynamic())?;
    Some(Program::of((path, facts))).filter(Program::is_busybox)
}

impl Program {
    /// What is meant by `name`: the file, or the part of busybox where there is no such file.
    fn called(name: &str, tree: &Tree) -> Program {
        match program(tree, name) {
            Some((path, facts)) if path.file_name() == b"kmod" => {
                Program::Kmod(Kmod::of(tree, Some(facts)).unwrap_or_default())
            }
            Some(other) => Program::of(other),
            None => {
                let busyboxes = BUSYBOXES.iter().filter_map(|name| program(tree, name));
                let mut busyboxes = busyboxes.map(Program::of).filter(Program::is_busybox);
                busyboxes.next().unwrap_or(Program::Other)
            }
        }
    }

    /// busybox, or another.
    fn of((path, facts): (ImagePath, &ProgramFacts)) -> Program {
        match facts.busybox.is_some() || path.file_name() == b"busybox" {
            true => Program::Busybox(facts.busybox),
            false => Program::Other,
        }
    }

    fn is_busybox(&self) -> bool {
        matches!(self, Program::Busybox(_))
    }

    /// How certainly it cannot load `module`: an error for certain, a warning where it depends on what is
    /// not known, `None` where nothing speaks against it.
    #[must_use]
    pub fn refuses(&self, module: Packed, loader: Loader) -> Option<Severity> {
        let by_kernel = match module.by_kernel {
            Some(true) => None,
            Some(false) => Some(Severity::Error),
            None => Some(Severity::Warning),
        };
        match self {
            Program::Busybox(_) if is_read_by_busybox(module.format) => None,
            Program::Busybox(_) if module.is_plainly_called => Some(Severity::Error),
            Program::Busybox(Some(version)) if *version < BUSYBOX_ASKS_KERNEL => {
                Some(Severity::Error)
            }
            Program::Busybox(None) => by_kernel.or(Some(Severity::Warning)),
            Program::Busybox(Some(_)) => by_kernel,
            Program::Kmod(kmod) if kmod.formats.contains(&module.format) => None,
            // It is younger than what it asks of the kernel, and so are the kernels that it comes with.
            Program::Kmod(kmod) if kmod.looks_for_libraries => {
                by_kernel.filter(|severity| *severity == Severity::Error)
            }
            Program::Kmod(_) => by_kernel,
            Program::Native if module.is_plainly_called => Some(Severity::Error),
            Program::Native => by_kernel,
            // No insmod but these two knows zstd.
            Program::Other => {
                let is_zstd = loader == Loader::Insmod && module.format == Format::Zstd;
                by_kernel.filter(|severity| is_zstd && *severity == Severity::Error)
            }
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Program::Busybox(Some((major, minor))) => format!("busybox {major}.{minor}"),
            Program::Busybox(None) => "busybox".to_owned(),
            Program::Kmod(_) => "kmod".to_owned(),
            Program::Native => "xinitrd's own init".to_owned(),
            Program::Other => "an unknown program".to_owned(),
        }
    }
}

/// Of the formats that modules come in; as it is built where nothing is left out, with FEATURE_SEAMLESS_GZ and
/// FEATURE_SEAMLESS_XZ.
fn is_read_by_busybox(format: Format) -> bool {
    matches!(format, Format::Gzip | Format::Xz)
}

fn program<'t>(tree: &'t Tree, name: &str) -> Option<(ImagePath, &'t ProgramFacts)> {
    let paths = DIRECTORIES.map(|directory| ImagePath::new(format!("{directory}/{name}")));
    let mut found = paths.into_iter().filter_map(|path| {
        let (path, item) = tree.find(&path.ok()?).ok()?;
        Some((path, facts(tree.content(item))?))
    });
    found.next()
}

fn facts(content: &Content) -> Option<&ProgramFacts> {
    match content {
        Content::Program(facts) => facts.as_ref().as_ref().ok(),
        _ => None,
    }
}

impl Kmod {
    /// What `kmod` can unpack, or where none is given what else loads by its library; `None` where there is
    /// neither. They are linked to what they unpack by; since 33 they may, for each format, look for that when they
    /// need it, and then what is in the image counts. What a static one was built with is not known: all is taken
    /// to be read.
    fn of(tree: &Tree, kmod: Option<&ProgramFacts>) -> Option<Kmod> {
        let libraries = || tree.items().filter(|(path, _)| is_library(path));
        let own = libraries().filter(|(path, _)| path.file_name().starts_with(b"libkmod.so."));
        let own = own.filter_map(|(_, item)| facts(tree.content(item)));
        let linked: Vec<&ProgramFacts> = own.chain(kmod).collect();
        if linked.is_empty() {
            return None;
        }
        let needed = |name: &str| {
            let mut needed = linked.iter().flat_map(|facts| &facts.needed);
            needed.any(|own| own == name)
        };
        // The file's own name may have more numbers than the link to it.
        let is_there =
            |name: &str| libraries().any(|(path, _)| path.file_name().starts_with(name.as_bytes()));
        let is_static = kmod.is_some_and(|kmod| !kmod.is_dynamic());
        let read = UNPACKERS.into_iter();
        let read = read.filter(|(_, name)| is_static || needed(name) || is_there(name));
        Some(Kmod {
            formats: read.map(|(format, _)| format).collect(),
            looks_for_libraries: !is_static && !UNPACKERS.iter().any(|(_, name)| needed(name)),
        })
    }
}

fn is_library(path: &ImagePath) -> bool {
    let starts: [&[u8]; 4] = [b"libkmod.so.", b"libzstd.so.", b"liblzma.so.", b"libz.so."];
    let name = path.file_name();
    starts.iter().any(|start| name.starts_with(start))
}
