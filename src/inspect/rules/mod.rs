//! The rules, a file a topic: each file has its `RULES`, and one `check` that says what they find.

pub mod archive;
pub mod drivers;
pub mod elf;
pub mod files;
pub mod index;
pub mod init;
pub mod kernels;
pub mod libraries;
mod loads;
pub mod modules;
pub mod scripts;
pub mod symbols;
pub mod unpacking;
pub mod xen;

use super::Case;
use super::finding::{Finding, Rule};
use super::modules::Modules;

/// Every rule, in the order in which `xinitrd explain` prints them.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    let topics: [&[&Rule]; 13] = [
        archive::RULES,
        unpacking::RULES,
        xen::RULES,
        elf::RULES,
        libraries::RULES,
        scripts::RULES,
        kernels::RULES,
        modules::RULES,
        index::RULES,
        symbols::RULES,
        drivers::RULES,
        init::RULES,
        files::RULES,
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
    libraries::check(case, &mut findings);
    scripts::check(case, &mut findings);
    let modules = Modules::new(case.tree, case.guest.root.as_ref());
    let order = modules.order(case.boot, case.tree);
    kernels::check(case, &modules, &mut findings);
    modules::check(case, &modules, order.as_ref(), &mut findings);
    index::check(case, &modules, &mut findings);
    symbols::check(case, &modules, &mut findings);
    drivers::check(case, &modules, order.as_ref(), &mut findings);
    init::check(case, &modules, &mut findings);
    files::check(case, &mut findings);
    unpacking::check_account(case, &mut findings);
    findings
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
