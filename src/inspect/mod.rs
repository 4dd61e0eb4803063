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

use std::io::Read;
use std::sync::Arc;

use crate::arch::{Arch, ElfKind};
use crate::archive::{Archive, Limits, ReadError};
use crate::kernel_version::KernelVersion;
use crate::unpacker::TODAY;
use crate::xen_version::XenVersion;

use architecture::architecture;
use boot::Boot;
use finding::Finding;
use guest_kernel::GuestKernel;
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
    /// The kernel that the image's modules are of, where none was said and another's unpacker, which does
    /// otherwise, is in [`Inspection::unpacked`]: [`inspect_as`] reads the image again, as that one does.
    pub other_kernel: Option<KernelVersion>,
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
    let kernel = guest.kernel.unwrap_or(TODAY);
    inspect_as(source, limits, guest, depth, kernel)
}

/// As [`inspect`], with the unpacker of `kernel`, whatever is known of the guest's.
///
/// # Errors
/// When the medium fails.
pub fn inspect_as(
    source: Box<dyn Read + Send>,
    limits: Limits,
    guest: &Guest,
    depth: Depth,
    kernel: KernelVersion,
) -> Result<Inspection, ReadError> {
    let mut archive = Archive::with_tap(source, limits, Kernel::new(kernel)).apart();
    let picture = Arc::new(read::read(&mut archive, depth, &limits)?);
    let mut unpacked = archive.into_tap().finish(&picture);
    let tree = Tree::new(Arc::clone(&picture));
    let boot = Boot::of(&tree);
    let is_open = guest.kernel.is_none() && picture.limit.is_none();
    let own = modules_kernel(&picture).filter(|_| is_open);
    let other_kernel = own.and_then(|own| unpacked.told_of(own));
    let findings = rules::check(&Case {
        picture: &picture,
        tree: &tree,
        boot: &boot,
        unpacked: &unpacked,
        guest,
    });
    Ok(Inspection {
        memory: Memory::of(&picture, &tree),
        arch: architecture(guest, &tree).map(|(kind, _)| kind),
        tree,
        picture,
        boot,
        unpacked,
        other_kernel,
        findings,
    })
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
    /// The version of the guest's kernel: as it was said, or as its modules have it.
    #[must_use]
    pub fn kernel_version(&self) -> Option<KernelVersion> {
        self.guest.kernel.or_else(|| modules_kernel(self.picture))
    }
}
