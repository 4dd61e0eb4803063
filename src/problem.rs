//! Everything that can be wrong with what an image is to be made of: each with the file, what was
//! found, what was expected, and what to do.

use std::fmt;
use std::io;

use crate::arch::{Arch, ElfKind};
use crate::compress::Compression;
use crate::elf::ElfFault;
use crate::elf::module::ModuleError;
use crate::image_path::{ImagePath, Shown};
use crate::init::{InitFault, Need};
use crate::kernel_version::KernelVersion;
use crate::kmod::module_file::ModuleFault;
use crate::kmod::order::OrderFault;
use crate::kmod::tree::ModuleTree;
use crate::manifest::{FaultKind, ManifestFault};
use crate::plan::PlanFault;
use crate::root::LookupError;

/// One thing that is wrong: with the input as the core sees it, or, at the command's edge, with
/// whatever else can stand in the way (`F`).
#[derive(Debug)]
pub struct Problem<F = Fault> {
    /// The file, or the thing, it is wrong with.
    pub place: String,
    /// What is wrong.
    pub fault: F,
}

/// What a person is told of a fault, each in a line.
pub trait Explain {
    /// Whether something was read and judged bad, rather than not readable at all or not asked for
    /// rightly.
    fn is_judgement(&self) -> bool;

    /// What was found.
    fn found(&self) -> String;

    /// What was expected instead.
    fn expected(&self) -> String;

    /// What to do about it.
    fn advice(&self) -> String;
}

/// What can be wrong.
#[derive(Debug)]
pub enum Fault {
    /// A file cannot be found or read.
    Lookup(LookupError),
    /// A binary or library is not what the guest can run.
    Program {
        /// What is wrong with it.
        fault: ElfFault,
        /// The guest's architecture.
        guest: Arch,
        /// The package it usually comes in, where the manifest says.
        package: Option<String>,
    },
    /// A module's file cannot be used.
    Module(ModuleFault),
    /// A module is of another machine than the rest, or than `--arch` says.
    ModuleKind {
        /// What it is.
        found: ElfKind,
        /// What it must be.
        expected: ElfKind,
    },
    /// All modules are of another architecture than `--arch` says.
    ArchContradicted {
        /// What `--arch` says.
        given: Arch,
        /// What the modules are.
        found: ElfKind,
    },
    /// The modules are of no architecture this program knows.
    ArchUnknown {
        /// What they are.
        found: ElfKind,
    },
    /// A package is for another architecture than the guest's.
    PackageArch {
        /// What it says.
        found: String,
        /// The guest's.
        guest: Arch,
        /// All packages that were given.
        there: Vec<String>,
    },
    /// There is no module to read the architecture from.
    ArchNotSaid,
    /// A module has no vermagic.
    NoVermagic,
    /// A module is of another kernel, or another build of it.
    Vermagic {
        /// Its vermagic.
        found: String,
        /// The kernel, or the vermagic of the other modules.
        expected: String,
    },
    /// The load order cannot be made.
    Order(OrderFault),
    /// None of a driver's names is in the tree or built in.
    DriverMissing {
        /// What the driver is for.
        role: String,
        /// Its names.
        any_of: Vec<String>,
    },
    /// A binary is in none of its places.
    BinaryMissing {
        /// Where it was looked for.
        searched: Vec<String>,
        /// The package it usually comes in.
        package: String,
    },
    /// A library is nowhere.
    LibraryMissing {
        /// Its name, as `DT_NEEDED` has it.
        needed: String,
        /// Where it was looked for.
        searched: Vec<String>,
        /// One of its name that is of another machine.
        misfit: Option<(String, ElfKind)>,
    },
    /// The multi-call program lacks applets that the manifest or the init wants.
    AppletsMissing(Vec<String>),
    /// The image lacks what its init needs.
    InitLacks(Vec<Need>),
    /// The plan cannot hold an entry.
    Plan(PlanFault),
    /// The init cannot be written.
    Init(InitFault),
    /// The init that this program carries is not what the guest can run.
    OwnProgram {
        /// What is wrong with it.
        fault: ElfFault,
        /// The guest's architecture.
        guest: Arch,
    },
    /// The kernel cannot read the compression.
    Compression {
        /// The compression.
        compression: Compression,
        /// The kernel.
        kernel: KernelVersion,
    },
    /// The root device needs what the manifest's init cannot do.
    RootUnsupported {
        /// The root device.
        device: String,
        /// The manifest.
        manifest: String,
        /// The kernel.
        kernel: KernelVersion,
        /// The shipped manifests whose init can, for this kernel.
        able: Vec<&'static str>,
    },
    /// An option leaves out what the root device needs.
    OmitContradicted {
        /// The option.
        option: &'static str,
        /// The root device.
        device: String,
    },
    /// A file is larger than an archive's entry can be.
    EntryTooLarge(ImagePath),
    /// A file that goes in as the root has it is in none of its places.
    FileMissing {
        /// Where it was looked for.
        searched: Vec<String>,
    },
    /// A manifest's text is wrong.
    Manifest(FaultKind),
}

impl<F> Problem<F> {
    /// The problem `fault` with `place`.
    #[must_use]
    pub fn new(place: impl Into<String>, fault: impl Into<F>) -> Self {
        Problem {
            place: place.into(),
            fault: fault.into(),
        }
    }
}

impl Problem {
    /// The problem of a look-up in `place`, told with the very file where that is another one.
    #[must_use]
    pub fn of_lookup(place: String, error: LookupError) -> Problem {
        match error {
            LookupError::At { path, source } => Problem::new(path, *source),
            error => Problem::new(place, error),
        }
    }

    /// The problem of a load order, told with the module of `tree` it is about.
    #[must_use]
    pub fn of_order(tree: &ModuleTree<'_>, fault: OrderFault) -> Problem {
        let place = match &fault {
            OrderFault::NeededMissing { module, .. } | OrderFault::DepFileStale { module, .. } => {
                tree.shown(tree.path(*module))
            }
            OrderFault::NotFound { name, .. } => format!("module {name}"),
            OrderFault::TooDeep { module } => format!("module {module}"),
            OrderFault::Cycle { .. } | OrderFault::Lookup(_) => tree.shown(&ImagePath::default()),
        };
        match fault {
            OrderFault::Lookup(error) => Problem::of_lookup(place, error),
            fault => Problem::new(place, fault),
        }
    }

    /// The problem with a line of a manifest's text, by the name of the manifest or its file.
    #[must_use]
    pub fn of_manifest(name: &str, fault: ManifestFault) -> Problem {
        let ManifestFault { line, column, what } = fault;
        Problem::new(format!("{name}:{line}:{column}"), what)
    }
}

impl Explain for Fault {
    fn is_judgement(&self) -> bool {
        match self {
            Fault::Lookup(error)
            | Fault::Module(ModuleFault::Lookup(error))
            | Fault::Order(OrderFault::Lookup(error)) => !error.is_io(),
            Fault::Module(ModuleFault::Module(ModuleError::Io(_))) => false,
            _ => true,
        }
    }

    fn found(&self) -> String {
        match self {
            Fault::Lookup(error) => error.to_string(),
            Fault::Program { fault, .. } => fault.to_string(),
            Fault::Module(fault) => fault.to_string(),
            Fault::ModuleKind { found, .. }
            | Fault::ArchContradicted { found, .. }
            | Fault::ArchUnknown { found } => format!("a module for {found}"),
            Fault::PackageArch { found, .. } => format!("a package for {found}"),
            Fault::ArchNotSaid => "no module to read the architecture from".to_owned(),
            Fault::NoVermagic => "a module without a vermagic".to_owned(),
            Fault::Vermagic { found, .. } => format!("vermagic `{found}`"),
            Fault::Order(fault) => fault.to_string(),
            Fault::DriverMissing { role, any_of } => {
                format!(
                    "no {role} driver: none of {} is in the tree or built in",
                    any_of.join(", ")
                )
            }
            Fault::BinaryMissing { .. } | Fault::FileMissing { .. } => "not there".to_owned(),
            Fault::LibraryMissing {
                needed,
                misfit: None,
                ..
            } => format!("{needed} is nowhere"),
            Fault::LibraryMissing {
                needed,
                misfit: Some((path, kind)),
                ..
            } => {
                format!("{needed} is only at {path}, for {kind}")
            }
            Fault::AppletsMissing(applets) => format!("no applet {}", applets.join(", ")),
            Fault::InitLacks(needs) => no_such(needs),
            Fault::Plan(fault) => fault.to_string(),
            Fault::OwnProgram { fault, .. } => fault.to_string(),
            Fault::Init(fault) => fault.to_string(),
            Fault::Compression {
                compression,
                kernel,
            } => {
                format!("{} for kernel {kernel}", compression.name())
            }
            Fault::RootUnsupported { device, .. } => format!("root device {device}"),
            Fault::OmitContradicted { option, device } => format!("{option}, and root {device}"),
            Fault::EntryTooLarge(path) => format!("{path} is 4 GiB or more"),
            Fault::Manifest(kind) => kind.to_string(),
        }
    }

    fn expected(&self) -> String {
        match self {
            Fault::Lookup(LookupError::WrongKind { wanted, .. }) => format!("{wanted} in the root"),
            Fault::Lookup(_) => "a readable file inside the root".to_owned(),
            Fault::Program {
                fault: ElfFault::WrongType { expected, .. },
                ..
            } => (*expected).to_owned(),
            Fault::Program {
                fault: ElfFault::LibraryNotProgram,
                ..
            } => "a program that can be run".to_owned(),
            Fault::Program { guest, .. } => format!("{}, as the kernel's modules are", guest.elf()),
            Fault::Module(_) => "a readable, whole kernel module".to_owned(),
            Fault::ModuleKind { expected, .. } => format!("a module for {expected}, as the others"),
            Fault::ArchContradicted { given, .. } => {
                format!("modules for {}, as --arch {given} says", given.elf())
            }
            Fault::PackageArch { guest, there, .. } => format!(
                "one for {guest}, as the kernel's modules are; given are {}",
                there.join(", ")
            ),
            Fault::ArchUnknown { .. } => "modules for x86_64, i386 or aarch64".to_owned(),
            Fault::ArchNotSaid => "an architecture: x86_64, i386 or aarch64".to_owned(),
            Fault::NoVermagic => "a vermagic, by which the kernel knows its modules".to_owned(),
            Fault::Vermagic { expected, .. } => format!("`{expected}`"),
            Fault::DriverMissing { .. } => A_DRIVER.to_owned(),
            Fault::Order(fault) => order_expected(fault).to_owned(),
            Fault::BinaryMissing { searched, .. } if searched.is_empty() => {
                "it in a directory given with --bins".to_owned()
            }
            Fault::BinaryMissing { searched, .. } | Fault::FileMissing { searched } => {
                format!("one of {}", searched.join(", "))
            }
            Fault::LibraryMissing { searched, .. } => {
                format!("it in one of {}", searched.join(", "))
            }
            Fault::AppletsMissing(_) => "every applet the image uses".to_owned(),
            Fault::InitLacks(_) => "everything its init runs, mounts on and writes to".to_owned(),
            Fault::Plan(_) => "one entry a path, in directories".to_owned(),
            Fault::OwnProgram { guest, .. } => {
                format!("a static program for {guest}, {}", guest.elf())
            }
            Fault::Init(InitFault::Unreachable { .. }) => {
                "a root on a disk or a partition, by a name that says which".to_owned()
            }
            Fault::Init(InitFault::BeyondLimit { .. }) => "what the init has room for".to_owned(),
            Fault::Init(_) => "what the init's language can carry".to_owned(),
            Fault::Compression { compression, .. } => {
                format!("kernel {} or later", compression.first_kernel())
            }
            Fault::RootUnsupported { manifest, .. } => format!(
                "a disk or a partition: {manifest} activates no volume group, starts no array and opens no \
                 encrypted disk"
            ),
            Fault::OmitContradicted { .. } => "the modules that the root needs".to_owned(),
            Fault::EntryTooLarge(_) => "a file a cpio entry can hold".to_owned(),
            Fault::Manifest(kind) => kind.expected(),
        }
    }

    fn advice(&self) -> String {
        match self {
            Fault::Lookup(error) => lookup_advice(error).to_owned(),
            Fault::Program {
                fault,
                guest,
                package,
            } => program_advice(fault, *guest, package.as_deref()),
            Fault::Module(_) => "unpack the kernel's package again".to_owned(),
            Fault::ModuleKind { .. } | Fault::Vermagic { .. } | Fault::NoVermagic => {
                "take it out, or take it from the package of this very kernel".to_owned()
            }
            Fault::ArchContradicted { .. } => "leave --arch out, or name the other tree".to_owned(),
            Fault::ArchUnknown { .. } => {
                "check --root and --kernel; no other architecture is supported".to_owned()
            }
            Fault::PackageArch { guest, .. } => {
                format!("take the package for {guest}, or another kernel's")
            }
            Fault::ArchNotSaid => "say which with --arch".to_owned(),
            Fault::Order(fault) => order_advice(fault),
            Fault::DriverMissing { any_of, .. } => {
                unpack_the_rest(any_of.first().map_or("NAME", String::as_str))
            }
            Fault::BinaryMissing { package, .. } => format!(
                "take it from the guest's distribution (package {package}) and give its directory with --bins"
            ),
            Fault::LibraryMissing { .. } => {
                "unpack the library's package into the root, or take a static binary".to_owned()
            }
            Fault::AppletsMissing(_) => "take a busybox built with them".to_owned(),
            Fault::InitLacks(_) => {
                "add it to the manifest; `xinitrd manifests NAME` prints one that has it".to_owned()
            }
            Fault::Plan(_) => {
                "leave one of the two out, of the manifest or of what is asked for".to_owned()
            }
            Fault::OwnProgram { .. } => {
                "get xinitrd anew, or build it from sources that nobody has changed".to_owned()
            }
            Fault::Init(InitFault::Unreachable { why, .. }) => why.advice().to_owned(),
            Fault::Init(_) => "change the option or the configuration it comes from".to_owned(),
            Fault::Compression { .. } => "leave --compress out: every kernel reads gzip".to_owned(),
            Fault::RootUnsupported { kernel, able, .. } => root_advice(*kernel, able),
            Fault::OmitContradicted { option, .. } => format!("leave {option} out"),
            Fault::EntryTooLarge(_) => "leave it out of the image".to_owned(),
            Fault::FileMissing { .. } => {
                "put it into the root, or leave it out of the manifest".to_owned()
            }
            Fault::Manifest(kind) => kind.advice(),
        }
    }
}

fn no_such(needs: &[Need]) -> String {
    let needs: Vec<String> = needs.iter().map(|need| format!("no {need}")).collect();
    needs.join(", ")
}

fn root_advice(kernel: KernelVersion, able: &[&str]) -> String {
    match able {
        [] => format!(
            "give a plain root device; no manifest that comes with xinitrd does more for kernel {kernel}"
        ),
        able => format!("say --manifest {}, whose init does", able.join(" or ")),
    }
}

const A_DRIVER: &str = "a module of the tree, an alias of one, or a built-in driver";

fn unpack_the_rest(driver: &str) -> String {
    format!("unpack the rest of the kernel's packages; if it is built in, say --builtin {driver}")
}

fn lookup_advice(error: &LookupError) -> &'static str {
    match error {
        LookupError::Io(error) => medium_advice(error),
        LookupError::At { source, .. } => lookup_advice(source),
        LookupError::Dangling { .. } | LookupError::Loop { .. } => {
            "mend the link; its target is looked up inside the root, as in a chroot"
        }
        LookupError::Missing => "check the path, and the root that was given",
        LookupError::WrongKind { .. }
        | LookupError::TooLarge { .. }
        | LookupError::UnpacksTooLarge { .. }
        | LookupError::TooMany { .. } => {
            "take it away, and unpack the package it should come from again"
        }
        LookupError::TooMuchTogether { .. } => "ask for fewer modules and programs",
        LookupError::BadTarget(_) => "give it a shorter name, without `..`",
    }
}

/// What to do when the system does not let a file be read.
#[must_use]
pub fn medium_advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "check the path",
        io::ErrorKind::PermissionDenied => "give the user who runs this the right to read it",
        io::ErrorKind::IsADirectory => "name a file; this is a directory",
        io::ErrorKind::NotADirectory => "check the path; a part of it is no directory",
        // Nothing that is read is full, but where a copy of it is kept.
        io::ErrorKind::StorageFull => "have TMPDIR name a directory with room for a copy",
        io::ErrorKind::Other => "check that it is the file you mean",
        _ => "check the disk it is on",
    }
}

/// A sentence as advice is told: it begins small and has no full stop.
pub(crate) fn as_advice(sentence: &str) -> String {
    let mut letters = sentence.trim_end_matches('.').chars();
    let first = letters.next().into_iter().flat_map(char::to_lowercase);
    first.chain(letters).collect()
}

/// A question for one of `nearest`, or, where there is none, something else to do.
#[must_use]
pub fn did_you_mean(nearest: &[String], otherwise: impl FnOnce() -> String) -> String {
    match nearest {
        [] => otherwise(),
        nearest => format!("did you mean {}?", nearest.join(" or ")),
    }
}

fn program_advice(fault: &ElfFault, guest: Arch, package: Option<&str>) -> String {
    match (fault, package) {
        (ElfFault::WrongKind { .. }, Some(package)) => format!(
            "this is the host's, or another guest's: take it from the guest's own distribution (package {package}, {guest})"
        ),
        (ElfFault::WrongKind { .. }, None) => {
            format!("take it from the guest's own distribution, for {guest}")
        }
        (ElfFault::LibraryNotProgram | ElfFault::WrongType { .. }, _) => {
            "name the program itself".to_owned()
        }
        (_, Some(package)) => format!("unpack the package {package} again"),
        (_, None) => "unpack its package again".to_owned(),
    }
}

fn order_expected(fault: &OrderFault) -> &'static str {
    match fault {
        OrderFault::NotFound { .. } => A_DRIVER,
        OrderFault::NeededMissing { .. } => "everything a module needs",
        OrderFault::DepFileStale { .. } => "modules.dep to list everything a module needs",
        OrderFault::Cycle { .. } => "prerequisites that end",
        OrderFault::TooDeep { .. } => "soft dependencies that end",
        OrderFault::Lookup(_) => "a module directory that can be read",
    }
}

fn order_advice(fault: &OrderFault) -> String {
    match fault {
        OrderFault::NotFound { name, nearest } => did_you_mean(nearest, || {
            format!("check the name; if the kernel has it built in, say --builtin {name}")
        }),
        OrderFault::NeededMissing { needed, .. } => unpack_the_rest(&needed.to_string()),
        OrderFault::DepFileStale { .. } => {
            "make modules.dep anew with depmod in the root, or delete it".to_owned()
        }
        OrderFault::Cycle { .. } => {
            "delete modules.dep if there is one, else unpack the kernel's packages again".to_owned()
        }
        OrderFault::TooDeep { .. } => "mend modules.softdep".to_owned(),
        OrderFault::Lookup(error) => lookup_advice(error).to_owned(),
    }
}

impl<F: Explain> Problem<F> {
    /// The place, what was found, what was expected and what to do, each a line that a terminal may
    /// have: parts of them are a foreign file's own words.
    #[must_use]
    pub fn lines(&self) -> [String; 4] {
        let Problem { place, fault } = self;
        let parts = [
            place.clone(),
            fault.found(),
            fault.expected(),
            fault.advice(),
        ];
        parts.map(|part| Shown::words(&part))
    }
}

impl<F: Explain> fmt::Display for Problem<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [place, found, expected, advice] = self.lines();
        writeln!(f, "{place}")?;
        writeln!(f, "    found:    {found}")?;
        writeln!(f, "    expected: {expected}")?;
        write!(f, "    do:       {advice}")
    }
}

impl From<LookupError> for Fault {
    fn from(error: LookupError) -> Self {
        Fault::Lookup(error)
    }
}

impl From<OrderFault> for Fault {
    fn from(fault: OrderFault) -> Self {
        Fault::Order(fault)
    }
}

impl From<FaultKind> for Fault {
    fn from(kind: FaultKind) -> Self {
        Fault::Manifest(kind)
    }
}

impl From<PlanFault> for Fault {
    fn from(fault: PlanFault) -> Self {
        Fault::Plan(fault)
    }
}

impl From<InitFault> for Fault {
    fn from(fault: InitFault) -> Self {
        Fault::Init(fault)
    }
}
