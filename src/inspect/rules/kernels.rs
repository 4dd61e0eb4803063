//! Rules about whose kernel the modules are of.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::image_path::Shown;
use crate::inspect::Case;
use crate::inspect::finding::{Finding, Rule, Severity};
use crate::inspect::modules::{Member, Modules, few};
use crate::kernel_version::{KernelVersion, is_directory_of};
use crate::majority::most_common;

/// The rules, in order.
pub const RULES: &[&Rule] = &[&VERMAGIC, &OTHER_KERNEL, &SEVERAL_KERNELS];

static VERMAGIC: Rule = Rule {
    name: "module-vermagic-mismatch",
    severity: Severity::Error,
    meaning: "A module is of another kernel, or of another build of it, than the modules around it.",
    reason: "The kernel compares a module's vermagic with its own (same_magic in \
             kernel/module/version.c) and refuses what differs: `version magic '...' should be '...'`. Of a \
             module with versions of its symbols it compares these instead of the release: then another \
             release is a warning, and nothing is said of one in weak-updates.",
    cure: "Take the module from the package of the kernel that the guest boots.",
};

static OTHER_KERNEL: Rule = Rule {
    name: "other-kernels-modules",
    severity: Severity::Error,
    meaning: "No module of the image is of the kernel that the guest boots.",
    reason: "Modules lie under the release that `uname -r` gives in the guest, and load into that \
             kernel alone; with those of another one none is found, and none would load.",
    cure: "Make the image anew for the guest's kernel, or name the kernel that it is for.",
};

static SEVERAL_KERNELS: Rule = Rule {
    name: "several-kernels",
    severity: Severity::Warning,
    meaning: "The image holds modules of several kernels.",
    reason: "The guest uses those of one; the others take memory until the image is freed. It often \
             means that an old tree was packed with the new one.",
    cure: "Leave the modules of other kernels out.",
};

/// What they find.
///
/// Of `all` modules those that `count` are judged one by one.
pub fn check(
    case: &Case<'_>,
    all: &Modules<'_>,
    counts: impl Fn(&Member<'_>) -> bool,
    findings: &mut Vec<Finding>,
) {
    let vermagics = Vermagics::of(all);
    let judged = all.members.iter().filter(|member| counts(member));
    findings.extend(judged.filter_map(|member| vermagics.judge(member)));
    findings.extend(vermagics.of_another_kernel(case));
    findings.extend(vermagics.of_several_kernels());
}

/// The vermagics of an image, by directory.
struct Vermagics<'c> {
    /// The usual one of each release's directory, and of the modules that lie in none.
    usual: HashMap<Option<&'c [u8]>, String>,
    /// The releases, and in how many modules.
    releases: BTreeMap<String, usize>,
}

impl<'c> Vermagics<'c> {
    fn of(modules: &Modules<'c>) -> Vermagics<'c> {
        let mut all: HashMap<Option<&[u8]>, Vec<String>> = HashMap::new();
        let mut releases: BTreeMap<String, usize> = BTreeMap::new();
        for member in &modules.members {
            if let Some(vermagic) = member.module.vermagic() {
                all.entry(member.directory).or_default().push(vermagic);
            }
            if let Some(release) = member.module.release() {
                *releases.entry(release).or_default() += 1;
            }
        }
        let usual = all.into_iter().filter_map(|(directory, vermagics)| {
            let own = vermagics
                .iter()
                .filter(|vermagic| is_of(vermagic, directory));
            let usual = most_common(own).or_else(|| most_common(vermagics.iter()));
            Some((directory, usual?.clone()))
        });
        Vermagics {
            usual: usual.collect(),
            releases,
        }
    }

    /// Holds a module against its directory and those beside it.
    fn judge(&self, member: &Member<'_>) -> Option<Finding> {
        let found = member.module.vermagic()?;
        let usual = self.usual.get(&member.directory)?;
        let is_of_directory = is_of(&found, member.directory);
        let is_taken = is_taken_by_versions(member, &found, usual);
        if is_of_directory && found == *usual || is_taken && member.is_weak {
            return None;
        }
        let expected = match is_of_directory {
            true => format!("{:?}, as most modules beside it have", usual.trim_end()),
            false => {
                let directory = Shown(member.directory.unwrap_or_default());
                format!("release {directory}, as its directory is called")
            }
        };
        let found = format!("vermagic {:?}", found.trim_end());
        let finding = Finding::new(&VERMAGIC, found, expected).at(member.item);
        // Where all of a directory are of another release, nobody knows whose versions count.
        Some(match is_taken && is_of(usual, member.directory) {
            true => finding.weighing(Severity::Warning),
            false => finding,
        })
    }

    /// Holds all of them against the kernel that was named.
    fn of_another_kernel(&self, case: &Case<'_>) -> Option<Finding> {
        let guest = case.guest;
        let release = case.release();
        let is_the_guests = |found: &String| match (release, guest.kernel) {
            (Some(release), _) => is_directory_of(release.as_bytes(), found.as_bytes()),
            (None, Some(version)) => found
                .parse()
                .is_ok_and(|found: KernelVersion| found.is_of_series(version)),
            (None, None) => true,
        };
        if self.releases.is_empty() || self.releases.keys().any(is_the_guests) {
            return None;
        }
        let found = format!("modules of {}", self.names());
        let expected = match (release, guest.kernel) {
            (Some(release), _) => format!("modules of {release}"),
            (None, Some(version)) => format!("modules of a kernel {version}"),
            (None, None) => return None,
        };
        Some(Finding::new(&OTHER_KERNEL, found, expected))
    }

    /// Told where each has a directory of its own: one in the wrong directory is told by itself.
    fn of_several_kernels(&self) -> Option<Finding> {
        let usual = self.usual.values();
        let kernels: BTreeSet<&str> = usual.filter_map(|magic| magic.split(' ').next()).collect();
        (kernels.len() > 1).then(|| {
            let found = format!(
                "modules of {}",
                few(kernels.iter().map(|name| name.as_bytes()))
            );
            Finding::new(&SEVERAL_KERNELS, found, "modules of one kernel")
        })
    }

    fn names(&self) -> String {
        few(self.releases.keys().map(|release| release.as_bytes()))
    }
}

/// Whether a module with this vermagic may lie in `directory`.
fn is_of(vermagic: &str, directory: Option<&[u8]>) -> bool {
    let release = vermagic.split(' ').next().unwrap_or_default();
    directory.is_none_or(|directory| is_directory_of(directory, release.as_bytes()))
}

/// Whether the kernel that takes `usual` takes `found` too, though it is of another release: of a module
/// that carries the versions of its symbols the release is not compared, but they are.
fn is_taken_by_versions(member: &Member<'_>, found: &str, usual: &str) -> bool {
    let flags = |vermagic: &str| vermagic.split_once(' ').map(|(_, flags)| flags.to_owned());
    let mut needs = member.module.symbols.needs.iter();
    needs.any(|need| need.crc.is_some()) && flags(found) == flags(usual)
}
