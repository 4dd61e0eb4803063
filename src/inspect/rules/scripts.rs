//! Rules about scripts: what they are run by.

use crate::image_path::{ImagePath, Shown};
use crate::inspect::Case;
use crate::inspect::boot::{Shebang, base};
use crate::inspect::finding::{Finding, Rule, Severity};
use crate::inspect::picture::Content;
use crate::inspect::tree::Tree;

/// The rules, in order.
pub const RULES: &[&Rule] = &[&INTERPRETER_MISSING, &INTERPRETER_NOT_EXECUTABLE];

static INTERPRETER_MISSING: Rule = Rule {
    name: "script-interpreter-missing",
    severity: Severity::Error,
    meaning: "An executable script names an interpreter that the image does not have.",
    reason: "The kernel starts the program in the first line in the script's place \
             (fs/binfmt_script.c); without it the script ends with `not found`, although it is there, \
             and /init with `Failed to execute /init (error -2)`. It is an error of /init, and a \
             warning of any other script.",
    cure: "Put the interpreter in at that path: for /bin/sh a link to busybox does. Or leave the script \
           out, if it is not /init.",
};

static INTERPRETER_NOT_EXECUTABLE: Rule = Rule {
    name: "script-interpreter-not-executable",
    severity: Severity::Error,
    meaning: "An executable script names an interpreter that nobody may execute.",
    reason: "The kernel starts the interpreter as it would any program, root's too, and refuses a file without an \
             execute bit: `Failed to execute /init (error -13)`. It is an error of /init, and a warning of \
             any other script.",
    cure: "Give the interpreter its execute bits: chmod 0755.",
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
        let Some(line) = line else { continue };
        let severity = match init == Some(path) {
            true => Severity::Error,
            false => Severity::Warning,
        };
        let finding = not_executable(case.tree, &line).or_else(|| not_there(case.tree, line));
        findings.extend(finding.map(|finding| finding.weighing(severity).at(item)));
    }
}

fn not_executable(tree: &Tree, line: &Shebang) -> Option<Finding> {
    let path = ImagePath::new(&line.interpreter).ok()?;
    let (_, interpreter) = tree.find(&path).ok()?;
    let bits = interpreter.entry.header.permissions();
    let found = format!("it is run by {}, mode {bits:04o}", Shown(&line.interpreter));
    (bits & 0o111 == 0).then(|| Finding::new(&INTERPRETER_NOT_EXECUTABLE, found, "mode 0755"))
}

fn not_there(tree: &Tree, line: Shebang) -> Option<Finding> {
    let missing = missing(tree, line)?;
    let found = format!("it is run by {}, not in the image", Shown(&missing));
    let expected = "its interpreter in the image";
    let finding = Finding::new(&INTERPRETER_MISSING, found, expected);
    Some(match cure(tree, &missing) {
        Some(cure) => finding.cured_by(cure),
        None => finding,
    })
}

/// What to do about the shell that is missing; what the rule says is for those that any busybox is.
fn cure(tree: &Tree, interpreter: &[u8]) -> Option<&'static str> {
    match base(interpreter) {
        b"bash" if has(tree, b"/bin/sh") => Some(BASH_OR_SH),
        b"bash" => Some(BASH),
        b"sh" | b"ash" | b"hush" => None,
        b"busybox" => {
            Some("Put a busybox in at that path, a static one, or with its loader and libraries.")
        }
        _ => Some(OTHER),
    }
}

const BASH_OR_SH: &str = "Put bash in at that path, with its loader and libraries; or, where the script keeps to the \
                          words of POSIX, have its first line name /bin/sh, which is there.";
const BASH: &str = "Put bash in at that path, with its loader and libraries; or, where the script keeps to the words \
                    of POSIX, have its first line name a shell that is put in: a link to busybox does for /bin/sh.";
const OTHER: &str = "Put that program in at that path, with all that it takes; or leave the script out, if it is not \
                     /init.";

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
