//! The rules, a file or a folder a topic: each has its `RULES`, and one `check` that says what they find.

pub mod archive;
pub mod drivers;
pub mod elf;
pub mod empty;
pub mod files;
pub mod index;
pub mod init;
pub mod kernels;
pub mod libraries;

pub mod modules;
pub mod scripts;
pub mod symbols;
pub mod unpacking;
pub mod xen;

use std::collections::HashSet;

use super::Case;
use super::finding::{Finding, Rule};
use super::modules::{Member, Modules};
use crate::archive::FlawKind;

/// Every rule, in the order in which `xinitrd explain` prints them, and findings are told: of the archive,
/// of its unpacking, of what is in it.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    let topics: [&[&Rule]; 14] = [
        archive::RULES,
        unpacking::RULES,
        files::RULES,
        xen::RULES,
        elf::RULES,
        empty::RULES,
        libraries::RULES,
        scripts::RULES,
        kernels::RULES,
        modules::RULES,
        index::RULES,
        symbols::RULES,
        drivers::RULES,
        init::RULES,
    ];
    topics.into_iter().flatten().copied()
}

/// Everything that is found in an image.
pub(super) fn check(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    archive::check(case, &mut findings);
    // Of what was not read nothing can be missed.
    if case.picture.segments.is_empty() || case.picture.limit.is_some() {
        return findings;
    }
    unpacking::check(case, &mut findings);
    xen::check(case, &mut findings);
    elf::check(case, &mut findings);
    if case.picture.is_cut() {
        files::check_alone(case, &mut findings);
        of_cut_entries(case, &mut findings);
    } else if let Some(found) = files::top_directory(case) {
        findings.push(found);
    } else {
        check_contents(case, &mut findings);
        files::check(case, &mut findings);
        unpacking::check_losses(case, &mut findings);
    }
    unpacking::check_stop(case, &mut findings);
    findings
}

/// What the files of an image are to each other.
fn check_contents(case: &Case<'_>, findings: &mut Vec<Finding>) {
    libraries::check(case, findings);
    scripts::check(case, findings);
    let root = case.guest.root.as_ref();
    let all = Modules::new(case.tree, root, |_| true);
    // Where its release was said, the guest loads those of no other; unless it has none of its own.
    let is_own = |directory: &[u8]| !case.is_of_other_kernel(directory);
    let mut directories = all.members.iter().filter_map(|member| member.directory);
    let has_own = directories.any(is_own);
    let counts = |directory: &[u8]| !has_own || is_own(directory);
    let is_counted = |member: &Member<'_>| member.directory.is_none_or(counts);
    kernels::check(case, &all, is_counted, findings);
    let modules = match all.members.iter().all(is_counted) {
        false => &Modules::new(case.tree, root, counts),
        true => &all,
    };
    empty::check(case, modules, findings);
    let order = modules.order(case.boot, case.tree);
    modules::check(case, modules, order.as_ref(), findings);
    index::check(case, modules, findings);
    symbols::check(case, modules, findings);
    drivers::check(case, modules, order.as_ref(), findings);
    init::check(case, modules, findings);
}

/// Takes away what is said of entries of which the end is not there, but for that.
fn of_cut_entries(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let cut = case.picture.flaws.iter();
    let cut: HashSet<_> = cut
        .filter(|flaw| matches!(flaw.kind, FlawKind::Cut))
        .filter_map(|flaw| Some((flaw.segment, flaw.entry.as_deref()?)))
        .collect();
    findings.retain(|finding| {
        let place = finding.segment.zip(finding.entry.as_deref());
        let is_of_archive = || archive::RULES.contains(&finding.rule);
        place.is_none_or(|place| !cut.contains(&place)) || is_of_archive()
    });
}

/// Takes away what another finding, which is told, explains: that an entry is cut where the compressed data are,
/// that the next segment begins in its midst, and that the kernel stops in a segment that is no sound archive.
pub(super) fn leave_out_consequences(findings: &mut Vec<Finding>) {
    let segments = |is_cause: &dyn Fn(&Rule) -> bool| -> HashSet<usize> {
        let causes = findings.iter().filter(|finding| is_cause(finding.rule));
        causes.filter_map(|finding| finding.segment).collect()
    };
    let damaged = segments(&|rule| *rule == archive::DAMAGED_COMPRESSION);
    let cut = segments(&|rule| *rule == archive::ENTRY_CUT);
    let unsound = segments(&|rule| archive::STOPPERS.contains(&rule));
    findings.retain(|finding| {
        let is_in =
            |causes: &HashSet<usize>| finding.segment.is_some_and(|one| causes.contains(&one));
        let is_behind = |causes: &HashSet<usize>| {
            finding
                .segment
                .is_some_and(|one| one > 0 && causes.contains(&(one - 1)))
        };
        let is_told = *finding.rule == archive::ENTRY_CUT && is_in(&damaged)
            || *finding.rule == archive::BAD_HEADER && is_behind(&cut)
            || *finding.rule == unpacking::KERNEL_STOPS && is_in(&unsound);
        !is_told
    });
}

/// Where a rule stands among all: causes come before what they bring about.
#[must_use]
pub fn rank(rule: &Rule) -> usize {
    let place = all().position(|other| other.name == rule.name);
    place.unwrap_or(usize::MAX)
}

/// All about every rule, as `docs/rules.md` has it.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(HEAD);
    for rule in all() {
        let Rule {
            name,
            severity,
            meaning,
            reason,
            cure,
        } = rule;
        text +=
            &format!("\n## {name}\n\n*{severity}*: {meaning}\n\n{reason}\n\nWhat to do: {cure}\n");
    }
    text
}

const HEAD: &str = "# What an image is judged by

Made by `xinitrd explain --markdown`. Names are stable. An error makes `xinitrd inspect` exit with 1; a
warning does so with `--deny RULE` or `--deny warnings`; `--allow RULE` passes over what a rule finds.
";
