//! What the init calls and the image does not have, or not so that it runs.

use std::collections::HashSet;

use super::INIT_PROGRAM_MISSING;
use crate::archive::FileType;
use crate::image_path::{ImagePath, Shown};
use crate::inspect::Case;
use crate::inspect::boot::{Needed, missing_in_nash};
use crate::inspect::finding::{Finding, Severity};
use crate::inspect::loading::may_run_its_own;
use crate::inspect::modules::Modules;
use crate::inspect::picture::Item;
use crate::inspect::tree::Tree;
use crate::root::LookupError;

const EXPECTED: &str = "every program that it calls";

/// The programs that nash calls by its script and that are missing.
pub(super) fn of_nash(case: &Case<'_>, script: &[u8], init: &Item, findings: &mut Vec<Finding>) {
    let missing = missing_in_nash(script, case.tree).into_iter();
    findings.extend(missing.map(|missing| {
        let program = Shown(missing.program.as_bytes());
        let found = format!("line {} calls {program}, which is not there", missing.line);
        Finding::new(&INIT_PROGRAM_MISSING, found, EXPECTED).at(init)
    }));
}

/// The programs that the init of a known builder cannot do without, and of which none will run.
pub(super) fn of_builder(
    case: &Case<'_>,
    modules: &Modules<'_>,
    init: &Item,
    findings: &mut Vec<Finding>,
) {
    let shell = case.boot.shell();
    let place = shell.and_then(|shell| ImagePath::new(shell).ok());
    // Without its shell an init calls nothing: that is told with all scripts.
    if place.is_some_and(|shell| fault(case.tree, &[shell]).is_some()) {
        return;
    }
    let mut seen = HashSet::new();
    for (needed, severity) in needed(case, modules) {
        let fault = fault(case.tree, &needed.places);
        let Some(fault) = fault.filter(|_| seen.insert(&needed.program)) else {
            continue;
        };
        let program = Shown(needed.program.as_bytes());
        let found = format!("{} calls {program}, {fault}", needed.caller);
        let finding = Finding::new(&INIT_PROGRAM_MISSING, found, EXPECTED);
        findings.push(finding.weighing(severity).at(init));
    }
}

/// The programs that the init of a known builder cannot do without, each with the weight of its absence: those that
/// load modules where there are any.
pub(in crate::inspect::rules) fn needed<'c>(
    case: &'c Case<'_>,
    modules: &Modules<'_>,
) -> impl Iterator<Item = (&'c Needed, Severity)> {
    let shell = case.boot.shell();
    let has_own = shell.is_some_and(|shell| may_run_its_own(case.tree, shell));
    let has_modules = !modules.members.is_empty();
    let programs = case.boot.programs.iter();
    let of_use = programs.filter(move |needed| !needed.loads_modules || has_modules);
    of_use.map(move |needed| match has_own && needed.may_be_shells_own {
        true => (needed, Severity::Warning),
        false => (needed, Severity::Error),
    })
}

/// Why none of `places` has a program that can be started; of the first that has anything.
fn fault(tree: &Tree, places: &[ImagePath]) -> Option<String> {
    let mut first = None;
    for place in places {
        match fault_at(tree, place) {
            Ok(()) => return None,
            Err(fault) => first = first.or(fault),
        }
    }
    Some(first.unwrap_or_else(|| "which is not there".to_owned()))
}

/// What is wrong with what is at `place`; nothing to tell where nothing is.
fn fault_at(tree: &Tree, place: &ImagePath) -> Result<(), Option<String>> {
    let item = match tree.find(place) {
        Ok((_, item)) => item,
        Err(LookupError::Missing | LookupError::WrongKind { .. }) => return Err(None),
        Err(error) => return Err(Some(format!("but {error}"))),
    };
    let mode = item.entry.header.permissions();
    match item.file_type() {
        FileType::Regular if mode & 0o111 != 0 => Ok(()),
        FileType::Regular => Err(Some(format!("which has mode {mode:04o}"))),
        other => Err(Some(format!("which is {}", super::describe(other)))),
    }
}
