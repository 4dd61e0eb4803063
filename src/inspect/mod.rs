//! An image judged: from its bytes to a picture of what is in it, to findings by rule.
//!
//! In: the image as a stream, and what is known of the guest it is for. Out: a [`Picture`], how it
//! boots ([`boot`]), and [`Finding`]s. The contracts an image is held against are the kernel's
//! (`buffer-format`, `init/initramfs.c`), Xen's toolstack's (`tools/libs/guest`), the loader's
//! (`ld.so(8)`) and the module loader's (`kernel/module/main.c`).

pub mod architecture;
pub mod boot;
pub mod finding;
pub mod guest_kernel;
pub mod memory;
pub mod module;
pub mod modules;
pub mod picture;
pub mod read;
pub mod report;
pub mod rules;
pub mod tree;
pub mod verdict;

use std::sync::Arc;

use crate::arch::Arch;
use crate::archive::{Archive, ReadError};
use crate::kernel_version::KernelVersion;
use crate::xen_version::XenVersion;

use boot::Boot;
use finding::Finding;
use guest_kernel::GuestKernel;
use memory::Memory;
use picture::Picture;
use tree::Tree;

/// What is known of the guest, besides the image.
#[derive(Debug, Default)]
pub struct Guest {
    /// The version of its kernel, where it was said.
    pub kernel: Option<KernelVersion>,
    /// Its architecture, where it was said.
    pub arch: Option<Arch>,
    /// What its root says of its kernel, where that was named.
    pub root: Option<GuestKernel>,
    /// The version of Xen that starts it, where it was said.
    pub xen: Option<XenVersion>,
}

/// An image, read and judged.
pub struct Inspection {
    /// What is in it.
    pub picture: Arc<Picture>,
    /// How it boots.
    pub boot: Boot,
    /// What unpacking it takes.
    pub memory: Memory,
    /// What the rules found.
    pub findings: Vec<Finding>,
}

/// Reads `archive` and judges it for `guest`.
///
/// # Errors
/// When the medium fails.
pub fn inspect(archive: &mut Archive, guest: &Guest) -> Result<Inspection, ReadError> {
    let picture = Arc::new(read::read(archive)?);
    let tree = Tree::new(Arc::clone(&picture));
    let boot = Boot::of(&tree);
    let findings = rules::check(&Case {
        picture: &picture,
        tree: &tree,
        boot: &boot,
        guest,
    });
    Ok(Inspection {
        memory: Memory::of(&picture, &tree),
        picture,
        boot,
        findings,
    })
}

/// An image and all that is known of it: what rules look at.
pub struct Case<'c> {
    /// What is in it.
    pub picture: &'c Picture,
    /// What stands where when it is unpacked.
    pub tree: &'c Tree,
    /// How it boots.
    pub boot: &'c Boot,
    /// The guest.
    pub guest: &'c Guest,
}
