//! The directories that an init mounts on, and does not make.

use super::{describe, path};
use crate::archive::FileType;
use crate::inspect::Case;
use crate::inspect::boot::{Generator, Init, InitKind};
use crate::inspect::finding::{Finding, Rule, Severity};
use crate::inspect::picture::Item;

/// The init mounts on what is not there.
pub const INIT_DIRECTORY_MISSING: Rule = Rule {
    name: "init-directory-missing",
    severity: Severity::Error,
    meaning: "The init of a known builder mounts something on a directory that it does not make and the image does \
              not have, or cannot make.",
    reason: "mount(8) fails where there is no directory: without /proc nothing of the kernel's command line is known, \
             without the one for the root nothing can be mounted there, and the init gives up. xinitrd's own init makes \
             those that it mounts on, but where something else has the name; without /sys, which is a warning, it finds \
             a root by its node alone.",
    cure: "Put the directory in; make the image again with its builder.",
};

/// What the scripts of builders, and tiny-initramfs's program, mount on without making it.
const DIRECTORIES: [(Generator, &[&str]); 4] = [
    (Generator::Xinitrd, &["proc", "sysroot"]),
    (Generator::InitramfsTools, &["run"]),
    (Generator::Dracut, &["proc", "sys", "tmp"]),
    (Generator::TinyInitramfs, &["proc"]),
];

/// The directories that are missing.
pub(super) fn check(case: &Case<'_>, init: &Init, item: &Item) -> Vec<Finding> {
    if init.is_native() {
        return in_the_way(case, item);
    }
    let script = init.script.as_deref();
    let is_by_builder = match &init.kind {
        InitKind::Script(_) => !init.is_nash(),
        InitKind::Program { .. } => case.boot.generator == Generator::TinyInitramfs,
        _ => false,
    };
    let mut builders = DIRECTORIES.iter();
    let of_builder = builders.find(|(generator, _)| *generator == case.boot.generator);
    let directories = of_builder
        .filter(|_| is_by_builder)
        .map_or(&[][..], |(_, directories)| directories);
    let is_used = |name: &str| script.is_none_or(|script| mounts_on(script, name));
    let missing = directories
        .iter()
        .filter(|name| is_used(name) && !is_directory(case, name));
    let finding = |name: &&str| {
        let found = format!("no directory /{name}");
        Finding::new(
            &INIT_DIRECTORY_MISSING,
            found,
            "every directory that it mounts on",
        )
        .at(item)
    };
    missing.map(finding).collect()
}

/// What this program's own init mounts on (`views.rs` and `root.rs` of `native/init`).
const OF_NATIVE_INIT: [&str; 4] = ["proc", "sys", "dev", "sysroot"];

/// What stands where this program's own init would make a directory.
fn in_the_way(case: &Case<'_>, init: &Item) -> Vec<Finding> {
    let named = OF_NATIVE_INIT.iter();
    let named = named.filter(|name| !is_directory(case, name));
    let taken = named.filter_map(|name| Some((*name, case.tree.at(&path(name)?)?)));
    let finding = |(name, item): (&str, &Item)| {
        let found = format!("/{name} is {}", describe(item.file_type()));
        let expected = "a directory, or nothing in its place";
        let finding = Finding::new(&INIT_DIRECTORY_MISSING, found, expected).at(init);
        match name {
            // A root that is named by its node is found without it.
            "sys" => finding.weighing(Severity::Warning),
            _ => finding,
        }
    };
    taken.map(finding).collect()
}

fn is_directory(case: &Case<'_>, name: &str) -> bool {
    let found = path(name).and_then(|path| case.tree.find(&path).ok());
    found.is_some_and(|(_, item)| item.file_type() == FileType::Directory)
}

/// Whether a script uses the directory in some line, and has none that may make it.
fn mounts_on(script: &[u8], name: &str) -> bool {
    let (directory, below) = (format!("/{name}"), format!("/{name}/"));
    let is_it = |word: &[u8]| word == directory.as_bytes();
    let lines = || script.split(|&byte| byte == b'\n').map(words);
    let uses = |word: &[u8]| is_it(word) || word.starts_with(below.as_bytes());
    let makes =
        |line: &[&[u8]]| line.contains(&&b"mkdir"[..]) && line.iter().any(|word| is_it(word));
    lines().flatten().any(uses) && !lines().any(|line| makes(&line))
}

fn words(line: &[u8]) -> Vec<&[u8]> {
    let is_end = |byte: &u8| byte.is_ascii_whitespace() || b"\"'=<>;".contains(byte);
    line.split(is_end).collect()
}
