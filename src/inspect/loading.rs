//! The programs that load an image's modules, and which compressed ones they can load.
//!
//! In: the tree. Out: [`Loading`]. What busybox reads is said in its `archival/libarchive/open_transformer.c`
//! and `modutils/modutils.c`, what kmod reads in `libkmod/libkmod-file.c`; both may hand a file over as it is
//! and have the kernel unpack it (`kernel/module/decompress.c`).

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
    /// What `insmod` is.
    pub insmod: Program,
    /// What `modprobe` is, which the kernel too runs for what it lacks.
    pub modprobe: Program,
}

/// A program that loads modules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// busybox, as far as it says its version: `(1, 35)`.
    Busybox(Option<(u16, u16)>),
    /// kmod, and the formats that it unpacks itself.
    Kmod(Vec<Format>),
    /// Another, or none: nothing is known of what it reads.
    Other,
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
/// What kmod unpacks by.
const UNPACKERS: [(Format, &str); 3] = [
    (Format::Zstd, "libzstd.so.1"),
    (Format::Xz, "liblzma.so.5"),
    (Format::Gzip, "libz.so.1"),
];
/// The first busybox that lets the kernel unpack what is not called `.ko`.
const BUSYBOX_ASKS_KERNEL: (u16, u16) = (1, 37);

impl Loading {
    /// The programs of `tree`, as a script for the shell at `shell` calls them, where it is one's: busybox may be
    /// built to take its own programs before all others (FEATURE_SH_STANDALONE), as Debian's static one is.
    #[must_use]
    pub fn of(tree: &Tree, shell: Option<&[u8]>) -> Loading {
        let shell = shell.and_then(|shell| tree.find(&ImagePath::new(shell).ok()?).ok());
        let shell = shell.and_then(|(path, item)| Some((path, facts(tree.content(item))?)));
        let standalone = shell.filter(|(_, facts)| !facts.is_dynamic());
        let standalone = standalone.map(Program::of).filter(Program::is_busybox);
        let called = |name| Program::called(name, tree);
        Loading {
            insmod: standalone.clone().unwrap_or_else(|| called("insmod")),
            modprobe: standalone.unwrap_or_else(|| called("modprobe")),
        }
    }

    /// The program that loads what is loaded so.
    #[must_use]
    pub fn by(&self, loader: Loader) -> &Program {
        match loader {
            Loader::Insmod => &self.insmod,
            Loader::Modprobe => &self.modprobe,
        }
    }
}

impl Program {
    /// What is meant by `name`: the file, or the part of busybox where there is no such file.
    fn called(name: &str, tree: &Tree) -> Program {
        let found = program(tree, name).or_else(|| program(tree, "busybox"));
        match found {
            Some((path, facts)) if path.file_name() == b"kmod" => {
                Program::Kmod(kmod_formats(tree, facts))
            }
            Some(other) => Program::of(other),
            None => Program::Other,
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
            Program::Kmod(formats) if formats.contains(&module.format) => None,
            Program::Kmod(_) => by_kernel,
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

/// kmod, or its library, is linked to what it unpacks by; since 33 it may look for that when it needs it, and
/// then what is in the image counts.
fn kmod_formats(tree: &Tree, kmod: &ProgramFacts) -> Vec<Format> {
    let libraries = || tree.items().filter(|(path, _)| is_library(path));
    let own = libraries().filter(|(path, _)| path.file_name().starts_with(b"libkmod.so."));
    let own = own.filter_map(|(_, item)| facts(tree.content(item)));
    let needed: Vec<&str> = own
        .chain([kmod])
        .flat_map(|facts| facts.needed.iter().map(String::as_str))
        .collect();
    let is_linked = UNPACKERS.iter().any(|(_, name)| needed.contains(name));
    let reads = |name: &str| match is_linked {
        true => needed.contains(&name),
        // The file's own name may have more numbers than the link to it.
        false => libraries().any(|(path, _)| path.file_name().starts_with(name.as_bytes())),
    };
    let read = UNPACKERS.into_iter().filter(|(_, name)| reads(name));
    read.map(|(format, _)| format).collect()
}

fn is_library(path: &ImagePath) -> bool {
    let starts: [&[u8]; 4] = [b"libkmod.so.", b"libzstd.so.", b"liblzma.so.", b"libz.so."];
    let name = path.file_name();
    starts.iter().any(|start| name.starts_with(start))
}
