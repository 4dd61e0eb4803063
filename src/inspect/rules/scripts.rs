//! Rules about scripts: what they are run by.

use crate::image_path::{ImagePath, Shown};
use crate::inspect::Case;
use crate::inspect::boot::Shebang;
use crate::inspect::finding::{Finding, Rule, Severity};
use crate::inspect::picture::Content;
use crate::inspect::tree::Tree;

/// The rules, in order.
pub const RULES: &[&Rule] = &[&INTERPRETER_MISSING];

static INTERPRETER_MISSING: Rule = Rule {
    name: "script-interpreter-missing",
    severity: Severity::Error,
    meaning: "An executable script names an interpreter that the image does not have.",
    reason: "The kernel starts the program in the first line in the script's place \
             (fs/binfmt_script.c); without it the script ends with `not found`, although it is there, \
             and /init with `Failed to execute /init (error -2)`. It is an error of /init, and a \
             warning of any other script.",
    cure: "Put the interpreter in at that path: for /bin/sh a link to busybox does. Or leave the script \
           out.",
};

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
    let init = case.boot.init.as_ref().map(|init| &init.path);
    let kernel = case.kernel_version();
    for (path, item) in case.tree.items() {
        let is_executable = item.entry.header.permissions() & 0o111 != 0;
        let line = match case.tree.content(item) {
            Content::Text(text) if is_executable => Shebang::of(text, kernel).ok(),
            _ => None,
        };
        if let Some(missing) = line.and_then(|line| missing(case.tree, line)) {
            let found = format!("it is run by {}, not in the image", Shown(&missing));
            let finding = Finding::new(&INTERPRETER_MISSING, found, "its interpreter in the image");
            let severity = match init == Some(path) {
                true => Severity::Error,
                false => Severity::Warning,
            };
            findings.push(finding.weighing(severity).at(item));
        }
    }
}

/// The interpreter of a script, or the program that env(1) is to start, where it is missing.
fn missing(tree: &Tree, line: Shebang) -> Option<Vec<u8>> {
    // A carriage return is told with the init, whatever it leads to.
    if !line.interpreter.ends_with(b"\r") && !has(tree, &line.interpreter) {
        return Some(line.interpreter);
    }
    let argument = line.argument.as_deref().filter(|_| line.name() == b"env")?;
    let mut words = argument.split(u8::is_ascii_whitespace);
    let program =
        words.find(|word| !word.is_empty() && !word.starts_with(b"-") && !word.contains(&b'='))?;
    let is_there = |directory: &str| has(tree, &[directory.as_bytes(), b"/", program].concat());
    let is_known = program.contains(&b'/') || PATH.into_iter().any(is_there);
    (!is_known).then(|| program.to_vec())
}

fn has(tree: &Tree, path: &[u8]) -> bool {
    ImagePath::new(path).is_ok_and(|path| tree.root().resolve(&path).is_ok())
}
