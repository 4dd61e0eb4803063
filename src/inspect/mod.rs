//! An image judged: from its bytes to a picture of what is in it, to findings by rule.
//!
//! In: the image as a stream, and what is known of the guest it is for. Out: a [`Picture`], how it
//! boots ([`boot`]), and [`Finding`]s. The contracts an image is held against are the kernel's
//! (`buffer-format`, `init/initramfs.c`), Xen's toolstack's (`tools/libs/guest`), the loader's
//! (`ld.so(8)`) and the module loader's (`kernel/module/main.c`).

pub mod architecture;
pub mod boot;
pub mod compare;
pub mod compression;
pub mod finding;
pub mod guest_kernel;
pub mod loading;
pub mod memory;
pub mod module;
pub mod modules;
pub mod picture;
pub mod places;
pub mod read;
pub mod report;
pub mod rules;
pub mod tree;
pub mod unpacking;
pub mod verdict;

use std::io::{self, Read};
use std::sync::Arc;

use crate::arch::{Arch, ElfKind};
use crate::archive::{Archive, Limits, ReadError};
use crate::kernel_version::{KernelVersion, is_directory_of};
use crate::unpacker::TODAY;
use crate::xen_version::XenVersion;

use architecture::architecture;
use boot::Boot;
use finding::Finding;
use guest_kernel::GuestKernel;
use loading::Loading;
use memory::Memory;
use picture::{Content, Picture};
use read::Depth;
use tree::Tree;
use unpacking::{Kernel, Unpacked};

/// What is known of the guest, besides the image.
#[derive(Debug, Default)]
pub struct Guest {
    /// The version of its kernel, where it was said.
    pub kernel: Option<KernelVersion>,
    /// Its release, where all of it was said.
    pub release: Option<String>,
    /// Its architecture, where it was said.
    pub arch: Option<Arch>,
    /// The version of Xen that starts it, where it was said.
    pub xen: Option<XenVersion>,
    /// What its root says of its kernel, where that was named.
    pub root: Option<GuestKernel>,
    /// The devices it cannot do without, where they were said: their modaliases, as `/sys` has
    /// them, or the names of their drivers.
    pub devices: Vec<String>,
}

/// An image, read and judged.
pub struct Inspection {
    /// What is in it.
    pub picture: Arc<Picture>,
    /// What stands where when it is unpacked.
    pub tree: Tree,
    /// What its ELF files are for.
    pub arch: Option<ElfKind>,
    /// How it boots.
    pub boot: Boot,
    /// What the guest's kernel makes of it.
    pub unpacked: Unpacked,
    /// What unpacking it takes.
    pub memory: Memory,
    /// What the rules found.
    pub findings: Vec<Finding>,
}

/// Reads the image that `source` gives, as far as `limits` let it be followed, and judges it for `guest`.
/// `depth` says whether its files are digested too.
///
/// # Errors
/// When the medium fails.
pub fn inspect(
    source: Box<dyn Read + Send>,
    limits: Limits,
    guest: &Guest,
    depth: Depth,
) -> Result<Inspection, ReadError> {
    let (picture, unpacked, _) = read(source, limits, guest, depth)?;
    Ok(judged(picture, unpacked, guest))
}

/// As [`inspect`]; where nobody said which kernel the guest has, and that of the modules unpacks otherwise
/// than today's, the image is read `again`, as that one does.
///
/// # Errors
/// When the medium fails, and when the image cannot be had again.
pub fn inspect_for_own_kernel(
    source: Box<dyn Read + Send>,
    again: impl FnOnce() -> io::Result<Box<dyn Read + Send>>,
    limits: Limits,
    guest: &Guest,
    depth: Depth,
) -> Result<Inspection, ReadError> {
    let (picture, mut unpacked, other_kernel) = read(source, limits, guest, depth)?;
    if let Some(kernel) = other_kernel {
        (_, unpacked) = unpack(again()?, limits, Depth::Outline, kernel)?;
    }
    Ok(judged(picture, unpacked, guest))
}

/// What is in an image, what the guest's kernel makes of it, or today's where that is not known; and
/// the one that its modules are of, where that makes something else of it.
fn read(
    source: Box<dyn Read + Send>,
    limits: Limits,
    guest: &Guest,
    depth: Depth,
) -> Result<(Picture, Unpacked, Option<KernelVersion>), ReadError> {
    let (picture, mut unpacked) = unpack(source, limits, depth, guest.kernel.unwrap_or(TODAY))?;
    let is_open = guest.kernel.is_none() && picture.limit.is_none();
    let own = modules_kernel(&picture).filter(|_| is_open);
    let other = own.and_then(|own| unpacked.told_of(own, &picture));
    Ok((picture, unpacked, other))
}

fn unpack(
    source: Box<dyn Read + Send>,
    limits: Limits,
    depth: Depth,
    kernel: KernelVersion,
) -> Result<(Picture, Unpacked), ReadError> {
    let mut archive = Archive::with_tap(source, limits, Kernel::new(kernel)).apart();
    let picture = read::read(&mut archive, depth, &limits)?;
    let unpacked = archive.into_tap().finish(&picture);
    Ok((picture, unpacked))
}

fn judged(picture: Picture, mut unpacked: Unpacked, guest: &Guest) -> Inspection {
    unpacked.is_assumed = guest.kernel.is_none() && modules_kernel(&picture).is_none();
    let picture = Arc::new(picture);
    let tree = Tree::new(Arc::clone(&picture));
    let boot = Boot::of(&tree);
    let findings = rules::check(&Case {
        picture: &picture,
        tree: &tree,
        boot: &boot,
        unpacked: &unpacked,
        guest,
    });
    Inspection {
        memory: Memory::of(&picture, &tree),
        arch: architecture(guest, &tree).map(|(kind, _)| kind),
        tree,
        picture,
        boot,
        unpacked,
        findings,
    }
}

/// The version of the kernel that the first module of an image is of.
fn modules_kernel(picture: &Picture) -> Option<KernelVersion> {
    let releases = picture.items.iter().filter_map(|item| match &item.content {
        Content::Module(module) => module.as_ref().as_ref().ok()?.release(),
        _ => None,
    });
    releases.filter_map(|release| release.parse().ok()).next()
}

/// An image and all that is known of it: what rules look at.
pub struct Case<'c> {
    /// What is in it.
    pub picture: &'c Picture,
    /// What stands where when it is unpacked.
    pub tree: &'c Tree,
    /// How it boots.
    pub boot: &'c Boot,
    /// What the guest's kernel makes of it.
    pub unpacked: &'c Unpacked,
    /// The guest.
    pub guest: &'c Guest,
}

impl Case<'_> {
    /// What loads the image's modules.
    #[must_use]
    pub fn loading(&self) -> Loading {
        match self.boot.is_native() {
            true => Loading::of_native_init(self.tree),
            false => Loading::of(self.tree, self.boot.own_shell(), self.boot.on_demand),
        }
    }

    /// The release of the guest's kernel, where all of it was said: by its root, or by itself.
    #[must_use]
    pub fn release(&self) -> Option<&str> {
        let root = self.guest.root.as_ref().map(|root| &root.release);
        root.or(self.guest.release.as_ref()).map(String::as_str)
    }

    /// Whether the modules in `directory` are of another kernel than the guest's, as far as that is known: it
    /// never loads them.
    #[must_use]
    pub fn is_of_other_kernel(&self, directory: &[u8]) -> bool {
        let is_own = |release: &str| {
            let release = release.as_bytes();
            is_directory_of(directory, release) || is_directory_of(release, directory)
        };
        self.release().is_some_and(|release| !is_own(release))
    }

    /// The version of the guest's kernel: as it was said, or as its modules have it.
    #[must_use]
    pub fn kernel_version(&self) -> Option<KernelVersion> {
        self.guest.kernel.or_else(|| modules_kernel(self.picture))
    }
}
