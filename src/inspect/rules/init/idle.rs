//! Inits that load none of an image's modules.

use memchr::memmem;

use crate::archive::FileType;
use crate::image_path::ImagePath;
use crate::inspect::Case;
use crate::inspect::boot::{Generator, Init, kernels_modprobe, loads_no_module};
use crate::inspect::finding::{Finding, Rule, Severity};
use crate::inspect::modules::{Member, Modules};
use crate::inspect::picture::Item;
use crate::inspect::tree::Tree;

/// The init leaves the modules where they are.
pub const INIT_LOADS_NOTHING: Rule = Rule {
    name: "init-loads-nothing",
    severity: Severity::Error,
    meaning: "The image has modules, and its init, which loads those of a list, has none to load; or is a script that \
              loads none; or starts a udev without a rule that loads any.",
    reason: "The list is gone or empty; this init loads nothing for the devices it finds, so that no disk appears \
             whose driver is a module. It is a warning of a script of no known builder, all of whose commands are \
             known to load none: the kernel may have the drivers built in. udev loads what its rules say, most \
             often 80-drivers.rules: without that it is an error where the init has no list, and a warning else.",
    cure: "Make the image again with its builder.",
};

/// What is told of an init that leaves the image's modules where they are.
pub(super) fn check(
    case: &Case<'_>,
    modules: &Modules<'_>,
    init: &Init,
    item: &Item,
) -> Option<Finding> {
    let count = modules.members.len();
    if case.boot.on_demand && count > 0 {
        return udev_loads_nothing(case, count).map(|finding| finding.at(item));
    }
    if !case.boot.loads.is_empty() || count == 0 {
        return None;
    }
    if case.boot.loads_are_certain() {
        let found = format!("{count} modules, and none that it loads");
        return Some(Finding::new(&INIT_LOADS_NOTHING, found, "a list of modules").at(item));
    }
    let script = init
        .script
        .as_deref()
        .filter(|_| case.boot.loads_are_of_a_script())?;
    let needs_loading =
        || modules.members.iter().any(serves_a_device) || !asks_modprobe(case.tree, script);
    let is_idle = loads_no_module(script) && !case.tree.has("sbin/hotplug") && needs_loading();
    let found = format!("{count} modules, and no line of the script loads one");
    let finding =
        Finding::new(&INIT_LOADS_NOTHING, found, "a line for each module").cured_by(NO_LINE);
    is_idle.then(|| finding.weighing(Severity::Warning).at(item))
}

/// What to do about a script.
const NO_LINE: &str = "Have /init load the drivers before it mounts the root: insmod with each file in its order, or \
                       modprobe with each name.";

/// Whether it is a driver of devices, whose patterns begin with their bus (`scripts/mod/file2alias.c`): those nobody
/// loads for a mount that is asked for. What is for some processors alone has another to stand in for it; what has the
/// name of a node (`devname:`) is loaded when that is opened.
fn serves_a_device(member: &Member<'_>) -> bool {
    let mut patterns = member.module.modinfo.all("alias");
    patterns.any(|pattern| {
        let bus = pattern.split(|&byte| byte == b':').next();
        bus.is_some_and(|bus| bus.len() < pattern.len() && !matches!(bus, b"cpu" | b"devname"))
    })
}

/// Whether the kernel has a program to ask for a file system that it lacks; busybox's links may be one.
fn asks_modprobe(tree: &Tree, script: &[u8]) -> bool {
    let makes_links = memmem::find(script, b"--install").is_some();
    makes_links || kernels_modprobe().any(|path| tree.find(&path).is_ok())
}

/// udev loads what its rules tell it to, and nothing of its own accord.
fn udev_loads_nothing(case: &Case<'_>, count: usize) -> Option<Finding> {
    let rules = case
        .tree
        .items()
        .filter(|(path, item)| is_of_rules(path) && item.file_type() == FileType::Regular);
    let is_other = matches!(case.boot.generator, Generator::Booster | Generator::Unknown);
    let mut texts = rules.map(|(_, item)| case.tree.content(item).text());
    // booster is no udev, and a script of nobody known may load what it likes. What was not looked into may say it.
    let is_rule = |text: Option<&[u8]>| text.is_none_or(|text| rules_of(text).any(loads_drivers));
    if is_other || texts.any(is_rule) {
        return None;
    }
    let severity = match case.boot.loads.is_empty() {
        true => Severity::Error,
        false => Severity::Warning,
    };
    let found = format!("{count} modules, and no rule of udev's has one loaded");
    let finding = Finding::new(&INIT_LOADS_NOTHING, found, "udev's 80-drivers.rules");
    Some(finding.weighing(severity))
}

/// Whether udev reads the file (udev(7)).
fn is_of_rules(path: &ImagePath) -> bool {
    let directory = path
        .parent()
        .filter(|parent| parent.file_name() == b"rules.d");
    let above = directory.and_then(|directory| directory.parent());
    let is_udevs = above.is_some_and(|above| above.file_name() == b"udev");
    is_udevs && path.file_name().ends_with(b".rules")
}

/// The rules of a file; one goes on behind a backslash at its line's end.
fn rules_of(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut goes_on = false;
    let rules = text.split(move |&byte| {
        let ends = byte == b'\n' && !goes_on;
        goes_on = byte == b'\\';
        ends
    });
    let rules = rules.map(<[u8]>::trim_ascii);
    rules.filter(|rule| !rule.starts_with(b"#"))
}

/// What a device takes, by udev's own command, or by the program, as before 176.
fn loads_drivers(rule: &[u8]) -> bool {
    let says = |word: &[u8]| memmem::find(rule, word).is_some();
    says(b"MODALIAS") && (says(b"kmod") || says(b"modprobe"))
}
