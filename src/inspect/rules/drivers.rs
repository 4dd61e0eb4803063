//! Rules about the drivers that a guest cannot do without.

use crate::inspect::Case;
use crate::inspect::boot::Load;
use crate::inspect::finding::{Finding, Rule, Severity};
use crate::inspect::modules::{Member, Modules, Order};
use crate::kmod::aliases::{Alias, normalise};
use crate::kmod::name::ModuleName;

/// The rules, in order.
pub const RULES: &[&Rule] = &[&NO_BLOCK_DRIVER, &NO_DRIVER];

static NO_BLOCK_DRIVER: Rule = Rule {
    name: "no-xen-block-driver",
    severity: Severity::Error,
    meaning: "Neither the image nor the kernel, as far as is known, has the block driver of Xen's guests; or the init \
              never loads it.",
    reason: "The disks of a guest are devices of XenBus, which only xen-blkfront serves (xenblk in \
             kernels 2.6.9, xen-vbd in 2.6.18): without it no root appears. It is an error where \
             --xen says that the guest is one of Xen, and else a warning.",
    cure: "Put the driver into the image. Where it is built in, --root and --kernel name the guest's \
           root, which tells.",
};

static NO_DRIVER: Rule = Rule {
    name: "no-driver-for-device",
    severity: Severity::Error,
    meaning: "Neither the image nor the kernel, as far as is known, has a driver for a device that was named; or the \
              init never loads it.",
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
pub fn check(
    case: &Case<'_>,
    modules: &Modules<'_>,
    order: Option<&Order>,
    findings: &mut Vec<Finding>,
) {
    findings.extend(
        no_block_driver(case, modules).or_else(|| block_driver_unloaded(case, modules, order)),
    );
    let devices = case.guest.devices.iter();
    findings.extend(devices.filter_map(|device| no_driver(case, modules, order, device)));
}

fn no_driver(
    case: &Case<'_>,
    modules: &Modules<'_>,
    order: Option<&Order>,
    device: &str,
) -> Option<Finding> {
    if modules.is_builtin(device.as_bytes()) {
        return None;
    }
    let (name, alias) = (ModuleName::new(device), normalise(device.as_bytes()));
    let serves = |member: &Member<'_>| serves(member, &name, &alias, |_| true);
    if modules.members.iter().any(serves) {
        return never_loaded(case, modules, order, &NO_DRIVER, serves);
    }
    let expected = format!("a driver for {device}");
    Some(Finding::new(&NO_DRIVER, count(modules, device), expected))
}

fn no_block_driver(case: &Case<'_>, modules: &Modules<'_>) -> Option<Finding> {
    let is_known = |name: &str| is_served(modules, name.as_bytes(), |_| false);
    let is_of_xen = |pattern: &[u8]| pattern.starts_with(b"xen");
    if DRIVERS.into_iter().any(is_known) || is_served(modules, DEVICE.as_bytes(), is_of_xen) {
        return None;
    }
    let expected = "xen-blkfront, or xenblk or xen-vbd of old kernels";
    let finding = Finding::new(&NO_BLOCK_DRIVER, count(modules, DEVICE), expected);
    Some(finding.weighing(severity(case)))
}

/// What to do where it is there.
const NOT_LISTED: &str = "Put the driver into the list of what the init loads, behind what it needs; make the image again.";

fn block_driver_unloaded(
    case: &Case<'_>,
    modules: &Modules<'_>,
    order: Option<&Order>,
) -> Option<Finding> {
    if DRIVERS
        .iter()
        .any(|driver| modules.is_builtin(driver.as_bytes()))
    {
        return None;
    }
    let names = DRIVERS.map(ModuleName::new);
    let is_driver = |member: &Member<'_>| names.contains(&member.name);
    let finding = never_loaded(case, modules, order, &NO_BLOCK_DRIVER, is_driver)?;
    Some(finding.weighing(severity(case)))
}

/// A driver that is there does nothing where an init that loads those of a list has none of them. That an init
/// loads nothing at all is told by a rule about the init.
fn never_loaded(
    case: &Case<'_>,
    modules: &Modules<'_>,
    order: Option<&Order>,
    rule: &'static Rule,
    is_driver: impl Fn(&Member<'_>) -> bool,
) -> Option<Finding> {
    let is_certain = case.boot.loads_are_certain() && !case.boot.on_demand;
    let order = order.filter(|_| is_certain)?;
    let members = modules.members.iter().enumerate();
    let drivers: Vec<_> = members.filter(|(_, member)| is_driver(member)).collect();
    let is_loaded = |(number, _): &(usize, &Member<'_>)| order.place(*number).is_some();
    let (_, driver) = drivers.first().filter(|_| !drivers.iter().any(is_loaded))?;
    // That the list calls it by another path is told with the list.
    let mut lost = case.boot.loads.iter().filter(|load| load.path.is_none());
    if lost.any(|load| names(load, driver)) {
        return None;
    }
    let found = "it is there, and the init never loads it";
    let expected = "it in the list of what the init loads";
    let finding = Finding::new(rule, found, expected);
    Some(finding.cured_by(NOT_LISTED).at(driver.item))
}

/// Whether a load asks for the file of `driver`, wherever that lies.
fn names(load: &Load, driver: &Member<'_>) -> bool {
    let file_name = load.module.rsplit('/').next().unwrap_or_default();
    ModuleName::of_file(file_name.as_bytes()).is_some_and(|name| name == driver.name)
}

/// Without Xen no guest needs its drivers.
fn severity(case: &Case<'_>) -> Severity {
    match case.guest.xen {
        Some(_) => Severity::Error,
        None => Severity::Warning,
    }
}

/// Whether something serves `device`, the name of a driver or an alias: what is built in, or a module, by
/// one of its patterns that `counts`.
pub(super) fn is_served(
    modules: &Modules<'_>,
    device: &[u8],
    counts: impl Fn(&[u8]) -> bool,
) -> bool {
    let (name, alias) = (ModuleName::new(device), normalise(device));
    let serves = |member: &Member<'_>| serves(member, &name, &alias, &counts);
    modules.is_builtin(device) || modules.members.iter().any(serves)
}

/// Whether a module has this name, or a pattern that `counts` and matches what a device is called.
fn serves(
    member: &Member<'_>,
    name: &ModuleName,
    device: &[u8],
    counts: impl Fn(&[u8]) -> bool,
) -> bool {
    let mut patterns = member.module.modinfo.all("alias");
    let matches = |pattern| Alias::new(pattern, name.clone()).matches(device);
    member.name == *name || patterns.any(|pattern| counts(pattern) && matches(pattern))
}

fn count(modules: &Modules<'_>, device: &str) -> String {
    match modules.members.len() {
        0 => "no modules".to_owned(),
        count => format!("{count} modules, none of them for {device}"),
    }
}
