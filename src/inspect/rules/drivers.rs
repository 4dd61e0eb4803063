//! Rules about the drivers that a guest of Xen cannot do without.

use crate::inspect::Case;
use crate::inspect::finding::{Finding, Rule, Severity};
use crate::inspect::modules::{Member, Modules};
use crate::kmod::aliases::Alias;

/// The rules, in order.
pub const RULES: &[&Rule] = &[&NO_BLOCK_DRIVER];

static NO_BLOCK_DRIVER: Rule = Rule {
    name: "no-xen-block-driver",
    severity: Severity::Error,
    meaning: "Neither the image nor the kernel, as far as is known, has the block driver of Xen's guests.",
    reason: "The disks of a guest are devices of XenBus, which only xen-blkfront serves (xenblk in \
             kernels 2.6.9, xen-vbd in 2.6.18): without it no root appears. It is an error where \
             --xen says that the guest is one of Xen, and else a warning.",
    cure: "Put the driver into the image. Where it is built in, --root and --kernel name the guest's \
           root, which tells.",
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
    let severity = match case.guest.xen {
        Some(_) => Severity::Error,
        None => Severity::Warning,
    };
    let found = match modules.members.len() {
        0 => "no modules".to_owned(),
        count => format!("{count} modules, none of them for xen:vbd"),
    };
    let expected = "xen-blkfront, or xenblk or xen-vbd of old kernels";
    findings.push(Finding::new(&NO_BLOCK_DRIVER, found, expected).weighing(severity));
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
