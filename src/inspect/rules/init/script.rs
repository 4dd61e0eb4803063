//! The text of an init that is a script, and of what it reads.

use std::collections::BTreeSet;

use xinitrd_native_logic::modules::modules;

use super::path;
use crate::image_path::Shown;
use crate::init::texts;
use crate::inspect::Case;
use crate::inspect::boot::{self, Generator, Init, ends_script, sourced};
use crate::inspect::finding::{Finding, Rule, Severity};
use crate::inspect::picture::Item;
use crate::inspect::tree::Tree;

/// The init reads what is not there.
pub const INIT_SOURCE_MISSING: Rule = Rule {
    name: "init-source-missing",
    severity: Severity::Error,
    meaning: "The script /init reads in a file, or systemd goes by a unit, that the image does not have.",
    reason: "A shell ends when `.` finds no file (POSIX, special built-ins), and when /init ends the \
             kernel panics: `Attempted to kill init!`. Without the units of bootup(7) the systemd of a known \
             builder's image never changes to the root's own.",
    cure: "Put the file in; make the image again with its builder.",
};

/// Lines end as on other systems.
pub const CARRIAGE_RETURNS: Rule = Rule {
    name: "carriage-returns",
    severity: Severity::Error,
    meaning: "Lines of /init, of the list of modules that it reads, or of a script that it reads in, dracut's hooks \
              among them, end with a carriage return.",
    reason: "To a shell, and to xinitrd's own init, it is part of the last word of the line: `then\\r` is no word it \
             knows, and `ext4.ko\\r` no file. Behind a module's parameters that init hands it to the kernel, to which \
             it is a blank. An editor of another system, or a copy in text mode, puts it there. It is a warning of a file that \
             is read in and gives variables alone, and of a list where udev loads what the devices take.",
    cure: "Take them away: sed -i 's/\\r$//'.",
};

/// The lists of modules that inits read line by line: this program's, and that of initramfs-tools.
const LISTS: [(Generator, &str); 2] = [
    (Generator::Xinitrd, texts::MODULES_PATH),
    (Generator::InitramfsTools, "conf/modules"),
];

/// The lines with carriage returns of the init, or where it has none of each file that it reads.
pub(super) fn carriage_returns(
    case: &Case<'_>,
    init: &Init,
    item: &Item,
    findings: &mut Vec<Finding>,
) {
    let script = init.script.as_deref().unwrap_or_default();
    if let Some(finding) = returned(script, item) {
        findings.push(finding);
        return;
    }
    let lists = LISTS
        .iter()
        .filter(|(generator, _)| *generator == case.boot.generator);
    for (_, list) in lists {
        let list = path(list).and_then(|list| case.tree.find(&list).ok());
        let finding = list.and_then(|(_, item)| {
            let text = case.tree.content(item).text()?;
            match case.boot.is_native() {
                true => told(paths_with_returns(text), item),
                false => returned(text, item),
            }
        });
        findings.extend(finding.map(|finding| match case.boot.on_demand {
            true => finding.weighing(Severity::Warning),
            false => finding,
        }));
    }
    let hooks = case
        .tree
        .items()
        .filter(|_| case.boot.generator == Generator::Dracut);
    let hooks = hooks.filter(|(path, _)| is_hook(path.as_bytes()));
    let hooks = hooks.filter_map(|(_, item)| Some((case.tree.content(item).text()?, item)));
    for (text, item) in read_in(case.tree, script).into_iter().chain(hooks) {
        let severity = match only_assigns(text) {
            true => Severity::Warning,
            false => Severity::Error,
        };
        findings.extend(returned(text, item).map(|finding| finding.weighing(severity)));
    }
}

/// Whether dracut's init reads the file at `path` in on its way to the root (`source_all` of its `dracut-lib.sh`):
/// not what is there for an emergency or the way back.
fn is_hook(path: &[u8]) -> bool {
    let path = path.strip_prefix(b"usr/").unwrap_or(path);
    let hook = path.strip_prefix(b"lib/dracut/hooks/").unwrap_or_default();
    let is_else = |name: &[u8]| hook.starts_with(b"emergency") || name.starts_with(b"shutdown");
    hook.ends_with(b".sh") && !is_else(hook.strip_prefix(b"pre-").unwrap_or(hook))
}

fn returned(text: &[u8], item: &Item) -> Option<Finding> {
    told(harmful(text).count(), item)
}

/// How many lines of a list have a carriage return in the path, as this program's own init reads them.
fn paths_with_returns(list: &[u8]) -> usize {
    let paths = modules(list).map(|module| module.path);
    let returned = paths.filter_map(|path| path.strip_suffix(b"\r"));
    let meant = returned.filter(|path| !path.is_empty() && !path.starts_with(b"#"));
    meant.count()
}

fn told(lines: usize, item: &Item) -> Option<Finding> {
    let expected = "lines that end with a line feed alone";
    let found = match lines {
        0 => return None,
        1 => "1 line that ends with a carriage return".to_owned(),
        lines => format!("{lines} lines that end with a carriage return"),
    };
    Some(Finding::new(&CARRIAGE_RETURNS, found, expected).at(item))
}

/// The most files that are followed which a script and those that it reads in read in, of each and of all.
const FILES_LIMIT: usize = 64;

/// The files that a script reads in whatever happens, and those that these read in.
fn read_in<'t>(tree: &'t Tree, script: &'t [u8]) -> Vec<(&'t [u8], &'t Item)> {
    let (mut seen, mut files) = (BTreeSet::new(), Vec::new());
    let mut waiting = vec![script];
    while let Some(script) = waiting.pop() {
        for (_, file) in sourced(script).take(FILES_LIMIT) {
            let Some((real, item)) = path(&file).and_then(|file| tree.find(&file).ok()) else {
                continue;
            };
            let text = tree.content(item).text();
            let is_new = seen.len() < FILES_LIMIT && seen.insert(real);
            if let Some(text) = text.filter(|_| is_new) {
                files.push((text, item));
                waiting.push(text);
            }
        }
    }
    files
}

/// Whether the lines with carriage returns give variables and do nothing else: each value is wrong by one byte, and
/// may not matter.
fn only_assigns(text: &[u8]) -> bool {
    harmful(text).all(|line| {
        let is_in_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let name = line.split(|&byte| byte == b'=').next().unwrap_or_default();
        name.len() < line.len() && name.iter().all(is_in_name) && !line.contains(&b' ')
    })
}

/// The lines that end with a carriage return that does harm, without it: not those of comments, nor of the data that
/// a script may carry behind its end.
fn harmful(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
    let mut is_over = false;
    let read = text.split_inclusive(|&byte| byte == b'\n');
    let read = read.take_while(move |line| !std::mem::replace(&mut is_over, ends_script(line)));
    let returned = read.filter_map(|line| line.strip_suffix(b"\r\n"));
    let says_something = |line: &&[u8]| !line.is_empty() && !line.starts_with(b"#");
    returned.map(<[u8]>::trim_ascii).filter(says_something)
}

/// The scripts that Debian's init runs on its way to a root on a disk, by directory, each with its order.
const ORDERED: [&str; 6] = [
    "init-top",
    "init-premount",
    "local-top",
    "local-premount",
    "local-bottom",
    "init-bottom",
];

/// The files that say in which order initramfs-tools' init runs the scripts of a directory, and that are missing:
/// `run_scripts` of its `scripts/functions` reads each in where there is the directory.
pub(super) fn missing_orders(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let functions = case.tree.text("scripts/functions").unwrap_or_default();
    let reads_orders = functions.windows(6).any(|word| word == b"/ORDER");
    if case.boot.generator != Generator::InitramfsTools || !reads_orders {
        return;
    }
    for name in ORDERED {
        let directory =
            path(&format!("scripts/{name}")).and_then(|path| case.tree.find(&path).ok());
        let order = format!("scripts/{name}/ORDER");
        if let Some((_, item)) = directory.filter(|_| !case.tree.has(&order)) {
            let found = format!("/scripts/functions reads /{order}, which is not there");
            let finding = Finding::new(&INIT_SOURCE_MISSING, found, "every file that it reads");
            findings.push(finding.at(item));
        }
    }
}

/// The units that systemd needs on its way to the root, and that are missing.
pub(super) fn missing_units(
    case: &Case<'_>,
    init: &Init,
    item: &Item,
    findings: &mut Vec<Finding>,
) {
    let missing = boot::missing_units(case.tree, case.boot.generator, init).into_iter();
    findings.extend(missing.map(|unit| {
        let found = format!("{unit} is not there");
        Finding::new(
            &INIT_SOURCE_MISSING,
            found,
            "every unit on the way to the root",
        )
        .at(item)
    }));
}

/// The files that the script reads in and that are missing.
pub(super) fn missing_sources(
    case: &Case<'_>,
    script: &[u8],
    item: &Item,
    findings: &mut Vec<Finding>,
) {
    let is_there = |file: &str| path(file).is_some_and(|file| case.tree.find(&file).is_ok());
    let missing = sourced(script).filter(|(_, file)| !is_there(file));
    findings.extend(missing.map(|(line, file)| {
        let found = format!(
            "line {line} reads {}, which is not there",
            Shown(file.as_bytes())
        );
        Finding::new(&INIT_SOURCE_MISSING, found, "every file that it reads").at(item)
    }));
}
