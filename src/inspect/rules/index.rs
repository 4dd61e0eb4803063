//! Rules about the index by which modprobe finds modules.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::image_path::ImagePath;
use crate::inspect::Case;
use crate::inspect::boot::Loader;
use crate::inspect::finding::{Finding, Rule, Severity};
use crate::inspect::loading::Program;
use crate::inspect::modules::{Member, Modules, few};
use crate::kmod::MODULE_PLACES;
use crate::kmod::dep_file::DepFile;
use crate::kmod::name::ModuleName;

/// The rules, in order.
pub const RULES: &[&Rule] = &[&INDEX_MISSING, &STALE];

static INDEX_MISSING: Rule = Rule {
    name: "modules-index-missing",
    severity: Severity::Error,
    meaning: "kmod is to load the image's modules, and modules.dep.bin or modules.alias.bin is not there or empty.",
    reason: "kmod's modprobe, and udev by the same library, finds a module by its name in modules.dep.bin and by what a \
             device, a file system or the kernel calls it in modules.alias.bin, and never reads modules.dep and \
             modules.alias (libkmod/libkmod-module.c): without them no driver is loaded for any device.",
    cure: "Run `depmod -b ROOT RELEASE` over the image's tree before it is packed, and pack what it writes.",
};

static STALE: Rule = Rule {
    name: "modules-dep-stale",
    severity: Severity::Error,
    meaning: "modules.dep does not list a module of the image as it lies there, or not all that it needs.",
    reason: "modprobe, and udev by the same library, loads what modules.dep says and nothing else: a module that is \
             not listed is not found, nor one that is listed with another ending, and without what it needs it is \
             `Unknown symbol`. It is a warning where no module of a builder's list is concerned, and where there is \
             a modules.dep.bin, which kmod reads in its place and which is not read here.",
    cure: "Run `depmod -b ROOT RELEASE` over the image's tree before it is packed, after the last change of its \
           modules.",
};

/// What they find.
pub fn check(case: &Case<'_>, modules: &Modules<'_>, findings: &mut Vec<Finding>) {
    findings.extend(missing(case, modules));
    let loads = case.boot.loads.iter();
    let asked: HashSet<&ImagePath> = loads
        .filter(|load| load.loader == Loader::Modprobe)
        .filter_map(|load| load.path.as_ref())
        .collect();
    if asked.is_empty() && !case.boot.on_demand {
        return;
    }
    let directories = modules.members.iter().filter_map(|member| member.directory);
    for release in directories.collect::<BTreeSet<_>>() {
        findings.extend(stale(case, modules, &asked, release));
    }
}

/// The indexes that kmod goes by and that are missing, of each release that has modules.
fn missing(case: &Case<'_>, modules: &Modules<'_>) -> Vec<Finding> {
    let loads = &case.boot.loads;
    let by_name = loads.iter().any(|load| load.loader == Loader::Modprobe);
    if !by_name && !case.boot.on_demand {
        return Vec::new();
    }
    let loading = case.loading();
    let is_kmod = |program: &Program| matches!(program, Program::Kmod(_));
    let for_devices =
        case.boot.on_demand && is_kmod(loading.udev.as_ref().unwrap_or(&loading.modprobe));
    // A busybox that is the shell may be the modprobe too, and reads texts.
    let for_names = by_name && is_kmod(&loading.modprobe) && loading.shell.is_none();
    let own = modules.members.iter().filter(|member| !member.is_weak);
    let releases: BTreeSet<&[u8]> = own.filter_map(|member| member.directory).collect();
    let releases = releases.into_iter().filter(|_| for_devices || for_names);
    let missing = releases.filter_map(|release| {
        let release = String::from_utf8_lossy(release);
        let is_there = |name: &str| has_content(case, &release, name);
        let dep = !is_there("modules.dep.bin");
        // That there is no index at all is another rule's to tell.
        if dep && by_name && !is_there("modules.dep") {
            return None;
        }
        let alias = for_devices && !is_there("modules.alias.bin");
        let names = match (dep, alias) {
            (true, true) => "modules.dep.bin and modules.alias.bin",
            (true, false) => "modules.dep.bin",
            (false, true) => "modules.alias.bin",
            (false, false) => return None,
        };
        let found = format!("/lib/modules/{release} has no {names}");
        Some(Finding::new(
            &INDEX_MISSING,
            found,
            "the indexes that depmod writes",
        ))
    });
    missing.collect()
}

/// Whether a release has a file of this name with something in it.
fn has_content(case: &Case<'_>, release: &str, name: &str) -> bool {
    MODULE_PLACES.into_iter().any(|place| {
        let path = ImagePath::new(format!("{place}/{release}/{name}"));
        let found = path.ok().and_then(|path| case.tree.find(&path).ok());
        // Of a file with several names one entry alone has the content.
        found.is_some_and(|(_, item)| item.entry.header.size > 0 || item.entry.header.nlink > 1)
    })
}

fn stale(
    case: &Case<'_>,
    modules: &Modules<'_>,
    asked: &HashSet<&ImagePath>,
    release: &[u8],
) -> Option<Finding> {
    let index = Index::of(case, release)?;
    let is_own = |member: &&Member<'_>| member.directory == Some(release) && !member.is_weak;
    let members = modules.members.iter().filter(is_own);
    let stale: Vec<&Member<'_>> = members
        .filter(|member| !index.finds(case, modules, member))
        .collect();
    let is_asked = stale.iter().any(|member| asked.contains(member.path));
    // What kmod reads, which may say otherwise.
    let has_binary = case.tree.has(&format!("{}.bin", index.path));
    let is_certain = is_asked && !has_binary && !case.boot.loads_are_of_a_script();
    let severity = match is_certain {
        true => Severity::Error,
        false => Severity::Warning,
    };
    (!stale.is_empty()).then(|| {
        let names = few(stale.iter().map(|member| member.name.as_bytes()));
        let found = format!("{} is wrong about {names}", index.path);
        let expected = "every module as it lies in the image, and all that it needs";
        Finding::new(&STALE, found, expected).weighing(severity)
    })
}

/// The index of a release.
struct Index {
    path: String,
    /// The directory that its paths begin in.
    top: ImagePath,
    /// For each module the file that it names, and the modules that it says are needed.
    lines: HashMap<ModuleName, (ImagePath, HashSet<ModuleName>)>,
}

impl Index {
    fn of(case: &Case<'_>, release: &[u8]) -> Option<Index> {
        let release = std::str::from_utf8(release).ok()?;
        let places = MODULE_PLACES.map(|place| format!("{place}/{release}"));
        let mut found = places.into_iter().filter_map(|place| {
            let path = format!("{place}/modules.dep");
            let text = case.tree.text(&path)?.to_vec();
            Some((path, ImagePath::new(place).ok()?, DepFile::new(text)))
        });
        let (path, top, file) = found.next()?;
        let lines = file.lines().filter_map(|line| {
            let (module, needs) = line.ok()?;
            let needed = file.needs(&needs).flatten();
            let needed = needed.filter_map(|path| ModuleName::of_file(path.file_name()));
            Some((
                ModuleName::of_file(module.file_name())?,
                (module, needed.collect()),
            ))
        });
        Some(Index {
            lines: lines.collect(),
            path,
            top,
        })
    }

    /// Whether modprobe finds the module, or another of its name, and what it needs.
    fn finds(&self, case: &Case<'_>, modules: &Modules<'_>, member: &Member<'_>) -> bool {
        let Some((file, needed)) = self.lines.get(&member.name) else {
            return false;
        };
        let place = self.top.join(file.as_bytes());
        let Some((real, _)) = place.ok().and_then(|place| case.tree.find(&place).ok()) else {
            return false;
        };
        let depends = member.module.modinfo.depends();
        let mut own = depends.iter().filter(|_| real == *member.path);
        own.all(|name| needed.contains(name) || modules.for_user(member, name).next().is_none())
    }
}
