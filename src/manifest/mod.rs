//! A manifest: what an image of one kind holds, before any file of any guest has been looked at.
//!
//! In: TOML text (docs/manifests.md has the format). Out: a [`Manifest`], or every fault of the
//! text with its line and column.

mod fault;
mod fields;
mod parse;
mod shipped;

pub use fault::{FaultKind, ManifestFault, Occupant};
pub use parse::parse;
pub use shipped::{Choice, NoneServes, SHIPPED, Shipped, choose, find, serving};

use crate::image_path::ImagePath;
use crate::kernel_version::KernelVersion;

/// A manifest, read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The name it is chosen by, `busybox` say.
    pub name: String,
    /// One line for a list of manifests.
    pub summary: String,
    /// The kernels it serves; `auto` chooses by them.
    pub kernels: KernelRange,
    /// The program that runs first, and the language its instructions are written in.
    pub init: InitKind,
    /// The modules, and where in the image they go.
    pub modules: Modules,
    /// Directories that hold nothing at build time.
    pub directories: Vec<Directory>,
    /// Symbolic links.
    pub links: Vec<Link>,
    /// Character and block devices.
    pub nodes: Vec<Node>,
    /// Plain files.
    pub files: Vec<File>,
    /// Executables, each proved to be of the guest's class and machine.
    pub binaries: Vec<Binary>,
}

/// Kernels from a version on, up to, not including, another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KernelRange {
    /// The first kernel inside; `None` is the first of all.
    pub from: Option<KernelVersion>,
    /// The first kernel past the end; `None` is no end.
    pub before: Option<KernelVersion>,
}

impl KernelRange {
    /// Whether `version` lies inside.
    #[must_use]
    pub fn contains(&self, version: KernelVersion) -> bool {
        self.from.is_none_or(|from| from <= version)
            && self.before.is_none_or(|before| version < before)
    }
}

/// What `/init` is, which decides who writes it (see [`crate::init`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InitKind {
    /// A script for the nash of mkinitrd 4.2 (EL4).
    Nash42,
    /// A script for the nash of mkinitrd 5.1 (EL5).
    Nash51,
    /// A script for busybox ash.
    Busybox,
    /// A program that comes with this one.
    Native,
}

impl InitKind {
    /// Whether it activates volume groups and starts arrays.
    #[must_use]
    pub const fn activates(self) -> bool {
        matches!(self, InitKind::Nash42 | InitKind::Nash51)
    }
}

/// Which modules a manifest wants, and how they lie in the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Modules {
    /// How they lie.
    pub layout: ModuleLayout,
    /// The drivers, in load order.
    pub drivers: Vec<Driver>,
    /// The root file system's type where `--rootfs` does not say.
    pub rootfs: String,
    /// Glob patterns over module names: what matches goes in, and is not loaded.
    pub include: Vec<String>,
}

/// Where modules go in the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModuleLayout {
    /// All in `lib/`, by file name, as Red Hat's mkinitrd has them.
    Flat,
    /// Under `lib/modules/RELEASE/` as in the root, with the index files modprobe reads.
    Tree,
}

/// One driver a guest needs, by whatever name its kernel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Driver {
    /// What it is for, in the report: `block`, `net`.
    pub role: String,
    /// The kernels that need it.
    pub kernels: KernelRange,
    /// Names or aliases; the first that the tree, or the kernel itself, has is taken.
    pub any_of: Vec<String>,
}

/// An empty directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// Where.
    pub path: ImagePath,
    /// Permission bits.
    pub mode: u32,
}

/// A symbolic link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Where.
    pub path: ImagePath,
    /// What it points to, as written: absolute or relative, never empty.
    pub target: String,
}

/// Whether a device is read by character or by block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    /// A character device.
    Char,
    /// A block device.
    Block,
}

/// A device node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Where.
    pub path: ImagePath,
    /// Its kind.
    pub kind: NodeKind,
    /// The major number.
    pub major: u32,
    /// The minor number.
    pub minor: u32,
    /// Permission bits.
    pub mode: u32,
}

/// A plain file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Where.
    pub path: ImagePath,
    /// Permission bits.
    pub mode: u32,
    /// What it holds.
    pub content: Content,
    /// When it goes in.
    pub when: When,
}

/// Where a plain file's bytes come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// From the manifest itself.
    Text(String),
    /// From the first of these paths that the root has, or, where none is there, the text.
    FromRoot {
        /// The candidates, in order.
        candidates: Vec<ImagePath>,
        /// What the file holds where the root has none of them; `None` makes that an error.
        otherwise: Option<String>,
    },
}

/// An executable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binary {
    /// Where in the image.
    pub path: ImagePath,
    /// Its name in a `--bins` directory, tried before the candidates.
    pub file_name: String,
    /// Where the root may have it, in order.
    pub candidates: Vec<ImagePath>,
    /// The package it usually comes in, for the message when it is missing.
    pub package: String,
    /// When it goes in.
    pub when: When,
    /// Applets it must have, where it is a multi-call program; each gets a link beside it.
    pub applets: Vec<String>,
}

/// When a file or binary goes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum When {
    /// Always.
    #[default]
    Always,
    /// When the root device is a logical volume.
    LvmRoot,
}
