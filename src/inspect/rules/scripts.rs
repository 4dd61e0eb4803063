//! Rules about scripts: what they are run by.

use crate::image_path::{ImagePath, Shown};
use crate::inspect::Case;
use crate::inspect::finding::{Finding, Rule, Severity};
use crate::inspect::picture::Item;
use crate::inspect::tree::Tree;

/// The rules, in order.
pub const RULES: &[&Rule] = &[&INIT_INTERPRETER_MISSING, &INTERPRETER_MISSING];

static INIT_INTERPRETER_MISSING: Rule = Rule {
    name: "init-interpreter-missing",
    severity: Severity::Error,
    meaning: "The init is a script whose interpreter the image does not have.",
    reason: "The kernel starts the program in the first line in the script's place (fs/binfmt_script.c); \
             without it: `Failed to execute /init (error -2)`.",
    cure: "Put the interpreter in at that path: for /bin/sh a link to busybox does.",
};

static INTERPRETER_MISSING: Rule = Rule {
    name: "script-interpreter-missing",
    severity: Severity::Warning,
    meaning: "An executable script names an interpreter that the image does not have.",
    reason: "The kernel starts the program in the first line in the script's place (fs/binfmt_script.c); \
             without it the script ends with `not found`, although it is there.",
    cure: "Put the interpreter in at that path, or leave the script out.",
};

/// The paths the kernel takes for the first program, of an initramfs and of an initrd.
const INITS: [&str; 3] = ["init", "linuxrc", "sbin/init"];
/// Where env(1) finds a program.
const PATH: [&str; 6] = [
    "usr/local/sbin",
    "usr/local/bin",
    "usr/sbin",
    "usr/bin",
    "sbin",
    "bin",
];

/// What they find.
pub fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let init = INITS
        .iter()
        .find_map(|path| Some(case.tree.find(&ImagePath::new(path).ok()?).ok()?.0));
    for (path, item) in case.tree.items() {
        let is_executable = item.entry.header.permissions() & 0o111 != 0;
        let text = item.text().filter(|_| is_executable).unwrap_or_default();
        if let Some(missing) = missing(case.tree, text) {
            let rule = match init.as_ref() == Some(path) {
                true => &INIT_INTERPRETER_MISSING,
                false => &INTERPRETER_MISSING,
            };
            findings.push(told(rule, item, &missing));
        }
    }
}

fn told(rule: &'static Rule, item: &Item, missing: &[u8]) -> Finding {
    let found = format!("it is run by {}, not in the image", Shown(missing));
    Finding::new(rule, found, "its interpreter in the image").at(item)
}

/// The interpreter of a script, or the program that env(1) is to start, where it is missing.
fn missing<'t>(tree: &Tree, text: &'t [u8]) -> Option<&'t [u8]> {
    const LONGEST: usize = 256;
    let line = text.strip_prefix(b"#!")?.split(|&b| b == b'\n').next()?;
    let line = line.get(..LONGEST).unwrap_or(line);
    let mut words = line
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    let interpreter = words.next()?;
    if !has(tree, interpreter) {
        return Some(interpreter);
    }
    let program = words.find(|word| !word.starts_with(b"-") && !word.contains(&b'='))?;
    let is_env = interpreter.ends_with(b"/env") && !program.contains(&b'/');
    let in_path = |directory: &&str| has(tree, &[directory.as_bytes(), b"/", program].concat());
    (is_env && !PATH.iter().any(|directory| in_path(&directory))).then_some(program)
}

fn has(tree: &Tree, path: &[u8]) -> bool {
    ImagePath::new(path).is_ok_and(|path| tree.root().resolve(&path).is_ok())
}
