//! Rules about the drivers that a guest cannot do without.

use crate::inspect::Case;
use crate::inspect::finding::{Finding, Rule, Severity};
use crate::inspect::modules::{Member, Modules};
use crate::kmod::aliases::{Alias, normalise};
use crate::kmod::name::ModuleName;

/// The rules, in order.
pub const RULES: &[&Rule] = &[&NO_BLOCK_DRIVER, &NO_DRIVER];

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

static NO_DRIVER: Rule = Rule {
    name: "no-driver-for-device",
    severity: Severity::Error,
    meaning: "Neither the image nor the kernel, as far as is known, has a driver for a device that was named.",
    reason: "A device announces itself by its modalias, and a module has patterns of those it serves \
             (Documentation/driver-api/driver-model/binding.rst): where none matches, nobody serves it.",
    cure: "Put the driver into the image. Where it is built in, --root and --kernel name the guest's root, \
           which tells: by the driver's name, for most kernels list no patterns of what is built in.",
};

/// Xen's block driver, by the names it has had: in 2.6.9, in 2.6.18, and since 2.6.23.
const DRIVERS: [&str; 3] = ["xenblk", "xen_vbd", "xen_blkfront"];
/// What the driver is an alias for, whatever its name.
const DEVICE: &str = "xen:vbd";

/// What they find.
pub fn check(case: &Case<'_>, modules: &Modules<'_>, findings: &mut Vec<Finding>) {
    findings.extend(no_block_driver(case, modules));
    let devices = case.guest.devices.iter();
    let unserved = devices.filter(|device| !is_served(modules, device.as_bytes(), |_| true));
    findings.extend(unserved.map(|device| {
        let expected = format!("a driver for {device}");
        Finding::new(&NO_DRIVER, count(modules, device), expected)
    }));
}

fn no_block_driver(case: &Case<'_>, modules: &Modules<'_>) -> Option<Finding> {
    let is_known = |name: &str| is_served(modules, name.as_bytes(), |_| false);
    let is_of_xen = |pattern: &[u8]| pattern.starts_with(b"xen");
    if DRIVERS.into_iter().any(is_known) || is_served(modules, DEVICE.as_bytes(), is_of_xen) {
        return None;
    }
    let severity = match case.guest.xen {
        Some(_) => Severity::Error,
        None => Severity::Warning,
    };
    let expected = "xen-blkfront, or xenblk or xen-vbd of old kernels";
    let finding = Finding::new(&NO_BLOCK_DRIVER, count(modules, DEVICE), expected);
    Some(finding.weighing(severity))
}

/// Whether something serves `device`, the name of a driver or an alias: what is built in, or a module, by
/// one of its patterns that `counts`.
fn is_served(modules: &Modules<'_>, device: &[u8], counts: impl Fn(&[u8]) -> bool) -> bool {
    let (name, alias) = (ModuleName::new(device), normalise(device));
    let serves = |member: &Member<'_>| {
        let mut patterns = member.module.modinfo.all("alias");
        let matches = |pattern| Alias::new(pattern, name.clone()).matches(&alias);
        member.name == name || patterns.any(|pattern| counts(pattern) && matches(pattern))
    };
    modules.is_builtin(device) || modules.members.iter().any(serves)
}

fn count(modules: &Modules<'_>, device: &str) -> String {
    match modules.members.len() {
        0 => "no modules".to_owned(),
        count => format!("{count} modules, none of them for {device}"),
    }
}
