//! Rules about the drivers that a guest of Xen cannot do without.

use crate::inspect::Case;
use crate::inspect::finding::{Finding, Rule, Severity};
use crate::inspect::modules::{Member, Modules};
use crate::kmod::aliases::Alias;

/// The rules, in order.
pub const RULES: &[&Rule] = &[&NO_BLOCK_DRIVER, &BLOCK_DRIVER_UNSEEN];

static NO_BLOCK_DRIVER: Rule = Rule {
    name: "no-xen-block-driver",
    severity: Severity::Error,
    meaning: "The image is for a guest of Xen, and neither it nor the kernel has Xen's block driver.",
    reason: "A guest's disks are devices of XenBus, which only xen-blkfront serves (xenblk in kernels \
             2.6.9, xen-vbd in 2.6.18): without it no root appears.",
    cure: "Put the driver into the image. Where it is built in, name the guest's root with --root and \
           --kernel, which tells.",
};

static BLOCK_DRIVER_UNSEEN: Rule = Rule {
    name: "xen-block-driver-unseen",
    severity: Severity::Warning,
    meaning: "The image has no block driver for guests of Xen: as one it needs a kernel with that built in.",
    reason: "A guest's disks are devices of XenBus, which only xen-blkfront serves (xenblk in kernels \
             2.6.9, xen-vbd in 2.6.18): without it no root appears.",
    cure: "Put the driver into the image, or see that the kernel has it built in \
           (CONFIG_XEN_BLKDEV_FRONTEND=y).",
};

/// Xen's block driver, by the names it has had: in 2.6.9, in 2.6.18, and since 2.6.23.
const DRIVERS: [&str; 3] = ["xenblk", "xen_vbd", "xen_blkfront"];
/// What the driver is an alias for, whatever its name.
const DEVICE: &[u8] = b"xen:vbd";

/// What they find.
pub fn check(case: &Case<'_>, modules: &Modules<'_>, findings: &mut Vec<Finding>) {
    let builtin = DRIVERS
        .iter()
        .any(|name| modules.is_builtin(name.as_bytes()));
    if builtin || modules.is_builtin(DEVICE) || modules.members.iter().any(is_block_driver) {
        return;
    }
    let rule = match case.guest.xen.is_some() {
        true => &NO_BLOCK_DRIVER,
        false => &BLOCK_DRIVER_UNSEEN,
    };
    let found = match modules.members.len() {
        0 => "no modules".to_owned(),
        count => format!("{count} modules, none of them for xen:vbd"),
    };
    let expected = "xen-blkfront, or xenblk or xen-vbd of old kernels";
    findings.push(Finding::new(rule, found, expected));
}

fn is_block_driver(member: &Member<'_>) -> bool {
    let name = member.name.as_bytes();
    let is_for_device = |pattern| Alias::new(pattern, member.name.clone()).matches(DEVICE);
    DRIVERS.iter().any(|driver| driver.as_bytes() == name)
        || member
            .module
            .modinfo
            .all("alias")
            .any(|pattern| pattern.starts_with(b"xen") && is_for_device(pattern))
}
