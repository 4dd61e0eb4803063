//! Rules about the first program, and what it needs.

mod console;
mod directories;
mod idle;
mod loads;
pub(super) mod programs;
mod script;
mod texts;

use crate::archive::FileType;
use crate::image_path::{ImagePath, Shown};
use crate::init::busybox;
use crate::inspect::Case;
use crate::inspect::boot::{Generator, Init, InitKind, Shebang};
use crate::inspect::finding::{Finding, Rule, Severity};
use crate::inspect::modules::Modules;
use crate::inspect::picture::{Content, Item};
use crate::inspect::read::TEXT_LIMIT;

/// There is no init.
pub const NO_INIT: Rule = Rule {
    name: "no-init",
    severity: Severity::Error,
    meaning: "The image has no /init, or one that is a link to nothing.",
    reason: "The kernel then leaves the image alone and mounts root= itself, with what drivers it has \
             built in; most often it ends with `VFS: Unable to mount root fs` (kernel_init_freeable in \
             its init/main.c).",
    cure: "Give the image an executable /init; one of another name takes rdinit= on the kernel's \
           command line.",
};

/// An init of the days of file system images.
pub const LEGACY_LINUXRC: Rule = Rule {
    name: "legacy-linuxrc",
    severity: Severity::Warning,
    meaning: "The image has a /linuxrc and no /init.",
    reason: "The kernel runs /linuxrc from an image of a file system only, never from an archive, whose \
             init is /init (its admin-guide/initrd.rst).",
    cure: "Call it /init, and have it end by switch_root instead of coming back to the kernel.",
};

/// The init's mode does not let it run.
pub const INIT_NOT_EXECUTABLE: Rule = Rule {
    name: "init-not-executable",
    severity: Severity::Error,
    meaning: "/init is a file that nobody may execute.",
    reason: "The kernel says `Failed to execute /init (error -13)`, tries /sbin/init, /etc/init, /bin/init \
             and /bin/sh of the image, and panics without them (kernel_init in its init/main.c).",
    cure: "Set the mode of /init, or of the file it is a link to, to 0755.",
};

/// The init is nothing that runs.
pub const INIT_CANNOT_RUN: Rule = Rule {
    name: "init-cannot-run",
    severity: Severity::Error,
    meaning: "/init is neither a program nor a script that the kernel can start.",
    reason: "The kernel itself starts ELF files, and scripts whose first line names an interpreter as it \
             reads it: a carriage return is part of the name, and of a long line only the first 255 \
             bytes count, 127 before 5.1 (load_script in its fs/binfmt_script.c). It says `Failed to \
             execute /init`, with error -8 or -2.",
    cure: "Make /init an ELF program of the guest's machine, or a script that begins with #! and a short \
           path, its lines ended by newlines alone.",
};

/// The init loads what is not there.
pub const INIT_MODULE_MISSING: Rule = Rule {
    name: "init-module-missing",
    severity: Severity::Error,
    meaning: "/init loads a module that the image does not have.",
    reason: "The module is not loaded, nor are those that need it, and its devices do not appear. It is a warning \
             where /init is a script of no known builder, whose conditions are not followed: then it is told of \
             what the script names in plain words, and nothing known has or is built in.",
    cure: "Put the file in, or take it off the init's list.",
};

/// The init runs what is not there.
pub const INIT_PROGRAM_MISSING: Rule = Rule {
    name: "init-program-missing",
    severity: Severity::Error,
    meaning: "An init of a known builder calls a program that the image does not have, or not so that it runs.",
    reason: "nash and shells say `not found` and go on: without mount there is no /proc, without modprobe no file \
             system, without udev no device, without switch_root no way to the root. What is looked for are the \
             programs that every boot takes, by the names that the image's own scripts and units call. It is a \
             warning where the init's shell is a static busybox, which may run programs of its own without their files \
             once /proc is mounted (FEATURE_SH_STANDALONE).",
    cure: "Put the program in, executable, where it is called or in a directory of the init's PATH; make the image \
           again with its builder.",
};

/// The init has nothing to do.
pub const INIT_WITHOUT_WORK: Rule = Rule {
    name: "init-without-work",
    severity: Severity::Error,
    meaning: "/init is busybox itself, and there is neither /etc/inittab nor /etc/init.d/rcS.",
    reason: "As /init busybox is its init, which does what these two say; without them it asks for a shell on the \
             console (parse_inittab in its init/init.c), and no root is mounted. It is an error where a known builder \
             made the image, whose own init that is not, and a warning of any other, which may be meant to.",
    cure: "Make /init a script that loads the drivers, mounts the root and ends by switch_root; or put /etc/inittab or \
           an executable /etc/init.d/rcS in.",
};

pub use console::{NO_CONSOLE_NODE, WRONG_CONSOLE_NODE};
pub use directories::INIT_DIRECTORY_MISSING;
pub use idle::INIT_LOADS_NOTHING;
pub use script::{CARRIAGE_RETURNS, INIT_SOURCE_MISSING};
pub use texts::{INIT_ROOT_UNKNOWN, INIT_TEXT_CUT};

/// The rules, in order.
pub const RULES: &[&Rule] = &[
    &NO_INIT,
    &LEGACY_LINUXRC,
    &INIT_NOT_EXECUTABLE,
    &INIT_CANNOT_RUN,
    &CARRIAGE_RETURNS,
    &INIT_WITHOUT_WORK,
    &INIT_LOADS_NOTHING,
    &INIT_MODULE_MISSING,
    &INIT_PROGRAM_MISSING,
    &INIT_SOURCE_MISSING,
    &INIT_DIRECTORY_MISSING,
    &INIT_TEXT_CUT,
    &INIT_ROOT_UNKNOWN,
    &NO_CONSOLE_NODE,
    &WRONG_CONSOLE_NODE,
];

/// What they find.
pub fn check(case: &Case<'_>, modules: &Modules<'_>, findings: &mut Vec<Finding>) {
    match &case.boot.init {
        None => no_init(case, findings),
        Some(init) => check_init(case, modules, init, findings),
    }
    findings.extend(console::check(case));
}

fn no_init(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let expected = "an executable file, or a link to one";
    let link = path("init").and_then(|init| {
        let item = case.tree.at(&init)?;
        let error = case.tree.find(&init).err()?;
        Some(Finding::new(&NO_INIT, error.to_string(), expected).at(item))
    });
    findings.push(link.unwrap_or_else(|| Finding::new(&NO_INIT, "no /init", expected)));
    if let Some(item) = path("linuxrc").and_then(|linuxrc| case.tree.at(&linuxrc)) {
        findings.push(Finding::new(&LEGACY_LINUXRC, "a /linuxrc alone", "an /init").at(item));
    }
}

fn check_init(case: &Case<'_>, modules: &Modules<'_>, init: &Init, findings: &mut Vec<Finding>) {
    let Some(item) = case.tree.at(&init.path) else {
        return;
    };
    if item.file_type() == FileType::Regular && item.entry.header.permissions() & 0o111 == 0 {
        let mode = format!("mode {:04o}", item.entry.header.permissions());
        findings.push(Finding::new(&INIT_NOT_EXECUTABLE, mode, "mode 0755").at(item));
    }
    let cannot_run = cannot_run(case, init, item);
    if cannot_run.is_none() {
        script::carriage_returns(case, init, item, findings);
    }
    findings.extend(cannot_run);
    findings.extend(without_work(case, init, item));
    findings.extend(idle::check(case, modules, init, item));
    loads::missing(case, modules, item, findings);
    programs::of_builder(case, modules, item, findings);
    script::missing_units(case, init, item, findings);
    script::missing_orders(case, findings);
    findings.extend(directories::check(case, init, item));
    texts::check(case, findings);
    match &init.script {
        Some(script) if init.is_nash() => programs::of_nash(case, script, item, findings),
        Some(script) => script::missing_sources(case, script, item, findings),
        None => {}
    }
}

/// Whether a script is the beginning of what this program writes, and not all of it: enough to be no other's.
fn is_own_and_cut(script: &[u8]) -> bool {
    const TELLING: usize = 512;
    let rest = busybox::INIT.as_bytes().strip_prefix(script);
    script.len() >= TELLING && rest.is_some_and(|rest| !rest.is_empty())
}

fn cannot_run(case: &Case<'_>, init: &Init, item: &Item) -> Option<Finding> {
    let found = match (item.file_type(), case.tree.content(item), &init.script) {
        (FileType::Regular, _, Some(script)) => {
            let line = Shebang::of(script, case.kernel_version());
            let is_cr = |line: &Shebang| line.interpreter.ends_with(b"\r");
            match line {
                Ok(line) if is_cr(&line) => {
                    let interpreter = Shown(&line.interpreter);
                    format!("a script for `{interpreter}`, with a carriage return")
                }
                Ok(_) if is_own_and_cut(script) => {
                    format!(
                        "this program's own script, cut after {} bytes",
                        script.len()
                    )
                }
                Ok(_) => return None,
                Err(fault) => fault.to_string(),
            }
        }
        (FileType::Regular, _, None) if init.kind != InitKind::Other => return None,
        // What ails an ELF file is told with all others.
        (FileType::Regular, Content::Program(_), None) => return None,
        (FileType::Regular, ..) if item.entry.header.size == 0 => "an empty file".to_owned(),
        (FileType::Regular, Content::Text(text), None) => {
            let fault = Shebang::of(text, case.kernel_version()).err();
            fault.map_or("no script".to_owned(), |fault| {
                format!("a text with {fault}")
            })
        }
        // A text of this size is not kept.
        (FileType::Regular, ..) if u64::from(item.entry.header.size) > TEXT_LIMIT => return None,
        (FileType::Regular, ..) => "neither an ELF file nor a script".to_owned(),
        (other, ..) => describe(other).to_owned(),
    };
    let expected = "an ELF program, or a script that begins with #! and an interpreter";
    Some(Finding::new(&INIT_CANNOT_RUN, found, expected).at(item))
}

fn without_work(case: &Case<'_>, init: &Init, item: &Item) -> Option<Finding> {
    let is_idle = init.kind == InitKind::Busybox { has_work: false };
    let severity = match case.boot.generator {
        Generator::Unknown => Severity::Warning,
        _ => Severity::Error,
    };
    let found = "busybox, and neither /etc/inittab nor /etc/init.d/rcS";
    let finding =
        || Finding::new(&INIT_WITHOUT_WORK, found, "an init that mounts the root").at(item);
    is_idle.then(|| finding().weighing(severity))
}

fn path(path: &str) -> Option<ImagePath> {
    ImagePath::new(path).ok()
}

/// What a type of file is called, with its article.
pub(super) const fn describe(file_type: FileType) -> &'static str {
    match file_type {
        FileType::Regular => "a file",
        FileType::Directory => "a directory",
        FileType::Symlink => "a link",
        FileType::Char => "a character device",
        FileType::Block => "a block device",
        FileType::Fifo => "a named pipe",
        FileType::Socket => "a socket",
        FileType::Unknown => "something of no known type",
    }
}
