//! A rule about programs and libraries of which nothing but the name is there.

use std::collections::HashSet;

use super::init::programs;
use crate::archive::FileType;
use crate::image_path::ImagePath;
use crate::inspect::Case;
use crate::inspect::boot::{InitKind, Shebang};
use crate::inspect::finding::{Finding, Rule, Severity};
use crate::inspect::modules::Modules;
use crate::inspect::picture::{Content, Item};
use crate::inspect::tree::Tree;

/// The rules, in order.
pub const RULES: &[&Rule] = &[&EMPTY_PROGRAM];

static EMPTY_PROGRAM: Rule = Rule {
    name: "empty-program",
    severity: Severity::Error,
    meaning: "A program or library is an empty file.",
    reason: "A disk that was full when the image was made, or a copy that broke off, leaves the name and no content: the \
             kernel refuses it (ENOEXEC), and the loader says `file too short`. It is an error of what others need, an \
             interpreter, a loader, a library, or a program that the init of a known builder cannot do without, and a \
             warning of any other program, for to a shell an empty file is a script that does nothing.",
    cure: "Put the file in whole; make the image again, with room on the disk.",
};

/// What it finds.
pub fn check(case: &Case<'_>, modules: &Modules<'_>, findings: &mut Vec<Finding>) {
    let needed = needed(case, modules);
    for (path, item) in case.tree.items().filter(|entry| is_empty(case, *entry)) {
        let severity = match needed.contains(path) {
            true => Severity::Error,
            false if is_program(path, item) => Severity::Warning,
            false => continue,
        };
        let finding = Finding::new(&EMPTY_PROGRAM, "an empty file", "a program or library");
        findings.push(finding.weighing(severity).at(item));
    }
}

/// Of a file with several names one entry alone has the content.
fn is_empty(case: &Case<'_>, (path, item): (&ImagePath, &Item)) -> bool {
    let number = case.tree.number(path);
    let holder = number.map(|number| case.tree.data_number(number));
    let holder = holder.and_then(|number| case.picture.items.get(number));
    item.file_type() == FileType::Regular && holder.is_some_and(|item| item.entry.header.size == 0)
}

fn is_program(path: &ImagePath, item: &Item) -> bool {
    let directory = path.parent();
    let is_run = directory.is_some_and(|parent| matches!(parent.file_name(), b"bin" | b"sbin"));
    is_run && item.entry.header.permissions() & 0o111 != 0
}

/// The most names of libraries that are followed: real images have a few hundred.
const FOLLOWED: usize = 4096;

/// Where that really lies which other files cannot do without: libraries and loaders, by their file names,
/// the interpreter of the init, and what that calls.
fn needed(case: &Case<'_>, modules: &Modules<'_>) -> HashSet<ImagePath> {
    let programs = case
        .picture
        .items
        .iter()
        .filter_map(|item| match &item.content {
            Content::Program(program) => program.as_ref().as_ref().ok(),
            _ => None,
        });
    let names = programs.flat_map(|program| {
        let interpreter = program.interpreter.as_deref();
        let interpreter = interpreter.and_then(|path| path.rsplit('/').next());
        let libraries = program.needed.iter().map(String::as_str);
        libraries.chain(interpreter).map(str::as_bytes)
    });
    let names: HashSet<&[u8]> = names.collect();
    let paths = case.tree.items().map(|(path, _)| path);
    let called = paths.filter(|path| names.contains(path.file_name()));
    let real = called
        .take(FOLLOWED)
        .filter_map(|path| case.tree.find(path).ok());
    real.map(|(path, _)| path)
        .chain(interpreter(case))
        .chain(called_by_init(case, modules))
        .collect()
}

fn called_by_init(case: &Case<'_>, modules: &Modules<'_>) -> impl Iterator<Item = ImagePath> {
    let programs =
        programs::needed(case, modules).filter(|(_, severity)| *severity == Severity::Error);
    programs.filter_map(|(program, _)| {
        let mut places = program.places.iter();
        places.find_map(|place| Some(case.tree.find(place).ok()?.0))
    })
}

fn interpreter(case: &Case<'_>) -> Option<ImagePath> {
    match &case.boot.init.as_ref()?.kind {
        InitKind::Script(line) => real(case.tree, line),
        _ => None,
    }
}

fn real(tree: &Tree, line: &Shebang) -> Option<ImagePath> {
    let path = ImagePath::new(&line.interpreter).ok()?;
    tree.find(&path).ok().map(|(real, _)| real)
}
