//! The console that the init speaks to.

use super::{describe, path};
use crate::archive::FileType;
use crate::inspect::Case;
use crate::inspect::finding::{Finding, Rule, Severity};

/// No console.
pub const NO_CONSOLE_NODE: Rule = Rule {
    name: "no-console-node",
    severity: Severity::Warning,
    meaning: "Nothing makes /dev/console before devtmpfs is mounted: the image does not, and the kernel's own archive \
              does not or is undone.",
    reason: "The kernel opens it for /init before anything can mount devtmpfs (console_on_rootfs in its \
             init/main.c), and without it all that /init says is lost: `Warning: unable to open an initial console`. \
             Kernels have one in the archive that is built into them, over which an image is unpacked \
             (usr/default_cpio_list), unless they were built with an archive of their own: that is told where \
             --root has the kernel's configuration, and its CONFIG_INITRAMFS_SOURCE names one. xinitrd's own init needs \
             none: it opens the one that is there when devtmpfs is mounted.",
    cure: "Put a character device dev/console, 5:1, mode 0600, into the image.",
};

/// Something else where the console should be.
pub const WRONG_CONSOLE_NODE: Rule = Rule {
    name: "wrong-console-node",
    severity: Severity::Error,
    meaning: "/dev/console is not the character device 5:1.",
    reason: "It takes the place of the node that most kernels bring along, and becomes the input and \
             output of /init (console_on_rootfs in the kernel's init/main.c): nothing that /init says is \
             seen. A character device of another number does so only where the kernel brings none \
             along, and is a warning.",
    cure: "Make dev/console the character device 5:1, mode 0600; packing a directory takes root, \
           fakeroot or a list of nodes for that.",
};

/// What `/dev/console` is to be.
const CONSOLE: &str = "a character device 5:1";

/// What is wrong with it.
pub(super) fn check(case: &Case<'_>) -> Option<Finding> {
    // It has no console opened by the kernel where there is none, and then opens devtmpfs's.
    let brings_its_own = case.boot.is_native();
    let Ok((_, item)) = case.tree.find(&path("dev/console")?) else {
        return no_console(case).filter(|_| !brings_its_own);
    };
    let wrong = |found: String| Finding::new(&WRONG_CONSOLE_NODE, found, CONSOLE).at(item);
    match (item.file_type(), item.entry.header.rdev) {
        (FileType::Char, (5, 1)) => None,
        (FileType::Unknown | FileType::Directory, _) if brings_its_own => None,
        // What has the name of an entry of no type is removed, and nothing made (do_name in init/initramfs.c).
        (FileType::Unknown, _) => {
            let found = "an entry of no type, which takes away the kernel's own";
            Some(Finding::new(&NO_CONSOLE_NODE, found, CONSOLE).at(item))
        }
        (FileType::Char, (major, minor)) => {
            let found = format!("a character device {major}:{minor}");
            Some(wrong(found).weighing(Severity::Warning))
        }
        (other, _) => Some(wrong(describe(other).to_owned())),
    }
}

/// The kernel has a console of its own, but where it was built with another archive than the usual one.
fn no_console(case: &Case<'_>) -> Option<Finding> {
    let own = case.guest.root.as_ref()?.rootfs_source()?;
    let found = format!("no dev/console, and a kernel built with the archive {own}");
    Some(Finding::new(&NO_CONSOLE_NODE, found, CONSOLE))
}
