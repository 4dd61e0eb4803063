//! Everything that can be wrong with what an image is to be made of: each with the file, what was
//! found, what was expected, and what to do.

use std::fmt;

use crate::arch::{Arch, ElfKind};
use crate::compress::Compression;
use crate::elf::ElfFault;
use crate::elf::module::ModuleError;
use crate::image_path::ImagePath;
use crate::init::InitFault;
use crate::kernel_version::KernelVersion;
use crate::kmod::module_file::ModuleFault;
use crate::kmod::order::OrderFault;
use crate::plan::PlanFault;
use crate::root::LookupError;

/// One thing that is wrong.
#[derive(Debug)]
pub struct Problem {
    /// The file, or the thing, it is wrong with.
    pub place: String,
    /// What is wrong.
    pub fault: Fault,
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
    /// The multi-call program lacks applets the init needs.
    AppletsMissing(Vec<String>),
    /// The plan cannot hold an entry.
    Plan(PlanFault),
    /// The init cannot be written.
    Init(InitFault),
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
    },
    /// A file is larger than an archive's entry can be.
    EntryTooLarge(ImagePath),
}

impl Problem {
    /// The problem `fault` with `place`.
    #[must_use]
    pub fn new(place: impl Into<String>, fault: impl Into<Fault>) -> Problem {
        Problem {
            place: place.into(),
            fault: fault.into(),
        }
    }

    /// Whether the input was judged bad, rather than not readable at all.
    #[must_use]
    pub fn is_judgement(&self) -> bool {
        match &self.fault {
            Fault::Lookup(error)
            | Fault::Module(ModuleFault::Lookup(error))
            | Fault::Order(OrderFault::Lookup(error)) => !error.is_io(),
            Fault::Module(ModuleFault::Module(ModuleError::Io(_))) => false,
            _ => true,
        }
    }

    /// What was found.
    #[must_use]
    pub fn found(&self) -> String {
        match &self.fault {
            Fault::Lookup(error) => error.to_string(),
            Fault::Program { fault, .. } => fault.to_string(),
            Fault::Module(fault) => fault.to_string(),
            Fault::ModuleKind { found, .. }
            | Fault::ArchContradicted { found, .. }
            | Fault::ArchUnknown { found } => format!("a module for {found}"),
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
            Fault::BinaryMissing { .. } => "not there".to_owned(),
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
            Fault::Plan(fault) => fault.to_string(),
            Fault::Init(fault) => fault.to_string(),
            Fault::Compression {
                compression,
                kernel,
            } => {
                format!("{} for kernel {kernel}", compression.name())
            }
            Fault::RootUnsupported { device, .. } => format!("root device {device}"),
            Fault::EntryTooLarge(path) => format!("{path} is 4 GiB or more"),
        }
    }

    /// What was expected instead.
    #[must_use]
    pub fn expected(&self) -> String {
        match &self.fault {
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
            Fault::ArchUnknown { .. } => "modules for x86_64, i386 or aarch64".to_owned(),
            Fault::ArchNotSaid => "an architecture: x86_64, i386 or aarch64".to_owned(),
            Fault::NoVermagic => "a vermagic, by which the kernel knows its modules".to_owned(),
            Fault::Vermagic { expected, .. } => format!("`{expected}`"),
            Fault::Order(OrderFault::NotFound { .. }) | Fault::DriverMissing { .. } => {
                "a module of the tree, an alias of one, or a built-in driver".to_owned()
            }
            Fault::Order(OrderFault::Cycle { .. }) => "prerequisites that end".to_owned(),
            Fault::Order(_) => "everything a module needs".to_owned(),
            Fault::BinaryMissing { searched, .. } => format!("one of {}", searched.join(", ")),
            Fault::LibraryMissing { searched, .. } => {
                format!("it in one of {}", searched.join(", "))
            }
            Fault::AppletsMissing(_) => "every applet the init uses".to_owned(),
            Fault::Plan(_) => "one entry a path, in directories".to_owned(),
            Fault::Init(_) => "what the init's language can carry".to_owned(),
            Fault::Compression { compression, .. } => {
                format!("kernel {} or later", compression.first_kernel())
            }
            Fault::RootUnsupported { .. } => "a root device the init can open".to_owned(),
            Fault::EntryTooLarge(_) => "a file a cpio entry can hold".to_owned(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> String {
        match &self.fault {
            Fault::Lookup(LookupError::Io(_)) => "check the file's permissions".to_owned(),
            Fault::Lookup(LookupError::Dangling { .. } | LookupError::Loop { .. }) => {
                "mend the link; its target is looked up inside the root, as in a chroot".to_owned()
            }
            Fault::Lookup(_) => "check the path, and the root that was given".to_owned(),
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
            Fault::ArchUnknown { .. } => "this architecture is not supported".to_owned(),
            Fault::ArchNotSaid => "give --arch".to_owned(),
            Fault::Order(fault) => order_advice(fault),
            Fault::DriverMissing { any_of, .. } => {
                let name = any_of.first().map_or("NAME", String::as_str);
                format!("if the kernel has it built in, say --builtin {name}")
            }
            Fault::BinaryMissing { package, .. } => format!(
                "take it from the guest's distribution (package {package}) and give its directory with --bins"
            ),
            Fault::LibraryMissing { .. } => {
                "unpack the library's package into the root, or take a static binary".to_owned()
            }
            Fault::AppletsMissing(_) => "take a busybox built with them".to_owned(),
            Fault::Plan(_) => "change the manifest".to_owned(),
            Fault::Init(_) => "change the option or the configuration it comes from".to_owned(),
            Fault::Compression { .. } => "leave --compress out: every kernel reads gzip".to_owned(),
            Fault::RootUnsupported { manifest, .. } => {
                format!("the manifest {manifest} cannot do that; el4 and el5 can")
            }
            Fault::EntryTooLarge(_) => "leave it out of the image".to_owned(),
        }
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

fn order_advice(fault: &OrderFault) -> String {
    match fault {
        OrderFault::NotFound { nearest, .. } if !nearest.is_empty() => {
            format!("did you mean {}?", nearest.join(" or "))
        }
        OrderFault::NotFound { name, .. } => {
            format!("check the name; if the kernel has it built in, say --builtin {name}")
        }
        OrderFault::NeededMissing { needed, .. } => format!(
            "unpack the rest of the kernel's packages; if it is built in, say --builtin {needed}"
        ),
        OrderFault::DepFileStale { .. } | OrderFault::Cycle { .. } => {
            "make modules.dep anew with depmod in the root, or delete it".to_owned()
        }
        OrderFault::TooDeep { .. } => "mend modules.softdep".to_owned(),
        OrderFault::Lookup(_) => "check the files of the module directory".to_owned(),
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.place)?;
        writeln!(f, "    found:    {}", self.found())?;
        writeln!(f, "    expected: {}", self.expected())?;
        write!(f, "    do:       {}", self.advice())
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
