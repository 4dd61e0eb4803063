//! Rules about the first program, and what it needs.

use super::loads;
use crate::archive::FileType;
use crate::image_path::{ImagePath, Shown};
use crate::inspect::Case;
use crate::inspect::boot::{Init, InitKind, Shebang, missing_in_nash, sourced};
use crate::inspect::finding::{Finding, Rule, Severity};
use crate::inspect::modules::Modules;
use crate::inspect::picture::{Content, Item};

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

/// No console.
pub const NO_CONSOLE_NODE: Rule = Rule {
    name: "no-console-node",
    severity: Severity::Warning,
    meaning: "Nothing makes /dev/console before devtmpfs is mounted: the image does not, and the kernel's own archive \
              does not or is undone.",
    reason: "The kernel opens it for /init before anything can mount devtmpfs (console_on_rootfs in its \
             init/main.c), and without it all that /init says is lost: `Warning: unable to open an initial console`. \
             Kernels have one in the archive that is built into them, over which an image is unpacked \
             (usr/default_cpio_list), unless they were built with an archive of their own: that is told where \
             --root has the kernel's configuration, and its CONFIG_INITRAMFS_SOURCE names one.",
    cure: "Put a character device dev/console, 5:1, mode 0600, into the image.",
};

/// Something else where the console should be.
pub const WRONG_CONSOLE_NODE: Rule = Rule {
    name: "wrong-console-node",
    severity: Severity::Error,
    meaning: "/dev/console is not the character device 5:1.",
    reason: "It takes the place of the node that most kernels bring along, and becomes the input and \
             output of /init (console_on_rootfs in the kernel's init/main.c): nothing that /init says is \
             seen. A character device of another number does so only where the kernel brings none \
             along, and is a warning.",
    cure: "Make dev/console the character device 5:1, mode 0600; packing a directory takes root, \
           fakeroot or a list of nodes for that.",
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
    meaning: "The nash script /init calls a program that the image does not have.",
    reason: "nash says so and goes on: without insmod no module is loaded, without lvm no volume is there.",
    cure: "Put the program in, where the script calls it, or in /usr/bin, /bin, /sbin or /usr/sbin.",
};

/// The init reads what is not there.
pub const INIT_SOURCE_MISSING: Rule = Rule {
    name: "init-source-missing",
    severity: Severity::Error,
    meaning: "The script /init reads in a file that the image does not have.",
    reason: "A shell ends when `.` finds no file (POSIX, special built-ins), and when /init ends the \
             kernel panics: `Attempted to kill init!`.",
    cure: "Put the file in; make the image again with its builder.",
};

static CARRIAGE_RETURNS: Rule = Rule {
    name: "carriage-returns",
    severity: Severity::Error,
    meaning: "Lines of /init, or of the list of modules that it reads, end with a carriage return.",
    reason: "To a shell it is part of the last word of the line: `then\\r` is no word it knows, and `ext4.ko\\r` no \
             file. An editor of another system, or a copy in text mode, puts it there.",
    cure: "Take them away: sed -i 's/\\r$//'.",
};

static INIT_LOADS_NOTHING: Rule = Rule {
    name: "init-loads-nothing",
    severity: Severity::Error,
    meaning: "The image has modules, and its init, which loads those of a list, has none to load.",
    reason: "The list is gone or empty; this init loads nothing for the devices it finds, so that no disk appears \
             whose driver is a module.",
    cure: "Make the image again with its builder.",
};

/// The rules, in order.
pub const RULES: &[&Rule] = &[
    &NO_INIT,
    &LEGACY_LINUXRC,
    &INIT_NOT_EXECUTABLE,
    &INIT_CANNOT_RUN,
    &CARRIAGE_RETURNS,
    &INIT_LOADS_NOTHING,
    &INIT_MODULE_MISSING,
    &INIT_PROGRAM_MISSING,
    &INIT_SOURCE_MISSING,
    &NO_CONSOLE_NODE,
    &WRONG_CONSOLE_NODE,
];

/// A script that is larger may not have been looked into.
const KEPT: u32 = 2 << 20;

/// What they find.
pub fn check(case: &Case<'_>, modules: &Modules<'_>, findings: &mut Vec<Finding>) {
    match &case.boot.init {
        None => no_init(case, findings),
        Some(init) => check_init(case, modules, init, findings),
    }
    findings.extend(console(case));
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
        findings.extend(carriage_returns(case, init, item));
    }
    findings.extend(cannot_run);
    findings.extend(loads_nothing(case, item));
    loads::missing(case, modules, item, findings);
    if let (InitKind::Script(line), Some(script)) = (&init.kind, &init.script) {
        match line.name() {
            b"nash" => missing_programs(case, script, item, findings),
            _ => missing_sources(case, script, item, findings),
        }
    }
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
        (FileType::Regular, ..) if item.entry.header.size > KEPT => return None,
        (FileType::Regular, ..) => "neither an ELF file nor a script".to_owned(),
        (other, ..) => describe(other).to_owned(),
    };
    let expected = "an ELF program, or a script that begins with #! and an interpreter";
    Some(Finding::new(&INIT_CANNOT_RUN, found, expected).at(item))
}

/// Where this program's own init has its list of modules.
const LIST: &str = "etc/xinitrd/modules";

fn carriage_returns(case: &Case<'_>, init: &Init, item: &Item) -> Option<Finding> {
    let expected = "lines that end with a line feed alone";
    let told = |lines: usize| match lines {
        1 => "1 line that ends with a carriage return".to_owned(),
        _ => format!("{lines} lines that end with a carriage return"),
    };
    let script = init.script.as_deref().map_or(0, returns);
    if script > 0 {
        return Some(Finding::new(&CARRIAGE_RETURNS, told(script), expected).at(item));
    }
    let (_, list) = case.tree.find(&path(LIST)?).ok()?;
    let count = case.tree.text(LIST).map_or(0, returns);
    (count > 0).then(|| Finding::new(&CARRIAGE_RETURNS, told(count), expected).at(list))
}

/// How many lines end with a carriage return that does harm: not those of comments, nor of the data that a
/// script may carry behind its end.
fn returns(text: &[u8]) -> usize {
    let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
    let mut is_over = false;
    let read = text.split_inclusive(|&byte| byte == b'\n');
    let read = read.take_while(|line| !std::mem::replace(&mut is_over, ends_script(line)));
    let returned = read.filter_map(|line| line.strip_suffix(b"\r\n"));
    let says_something = |line: &&[u8]| !line.is_empty() && !line.starts_with(b"#");
    returned
        .map(<[u8]>::trim_ascii)
        .filter(says_something)
        .count()
}

/// Whether no shell reads on behind `line`: it is `exit`, or `exec` of a program, and not indented, as in a
/// condition. `exec` of redirections alone comes back (POSIX, special built-ins).
fn ends_script(line: &[u8]) -> bool {
    let mut words = line.split(u8::is_ascii_whitespace);
    let is_redirection = |word: &[u8]| word.iter().any(|byte| b"<>".contains(byte));
    match words.next() {
        Some(b"exit") => true,
        Some(b"exec") => words.any(|word| !word.is_empty() && !is_redirection(word)),
        _ => false,
    }
}

fn loads_nothing(case: &Case<'_>, item: &Item) -> Option<Finding> {
    let is_module = |item: &Item| matches!(case.tree.content(item), Content::Module(_));
    let modules = case
        .tree
        .items()
        .filter(|(_, item)| is_module(item))
        .count();
    let loads = &case.boot.loads;
    let is_idle = case.boot.loads_are_certain() && !case.boot.on_demand && loads.is_empty();
    let found = format!("{modules} modules, and none that it loads");
    (is_idle && modules > 0)
        .then(|| Finding::new(&INIT_LOADS_NOTHING, found, "a list of modules").at(item))
}

fn missing_programs(case: &Case<'_>, script: &[u8], item: &Item, findings: &mut Vec<Finding>) {
    let missing = missing_in_nash(script, case.tree).into_iter();
    findings.extend(missing.map(|missing| {
        let program = Shown(missing.program.as_bytes());
        let found = format!("line {} calls {program}, which is not there", missing.line);
        Finding::new(&INIT_PROGRAM_MISSING, found, "every program that it calls").at(item)
    }));
}

fn missing_sources(case: &Case<'_>, script: &[u8], item: &Item, findings: &mut Vec<Finding>) {
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

/// What `/dev/console` is to be.
const CONSOLE: &str = "a character device 5:1";

fn console(case: &Case<'_>) -> Option<Finding> {
    let Ok((_, item)) = case.tree.find(&path("dev/console")?) else {
        return no_console(case);
    };
    let wrong = |found: String| Finding::new(&WRONG_CONSOLE_NODE, found, CONSOLE).at(item);
    match (item.file_type(), item.entry.header.rdev) {
        (FileType::Char, (5, 1)) => None,
        // What has the name of an entry of no type is removed, and nothing made (do_name in init/initramfs.c).
        (FileType::Unknown, _) => {
            let found = "an entry of no type, which takes away the kernel's own";
            Some(Finding::new(&NO_CONSOLE_NODE, found, CONSOLE).at(item))
        }
        (FileType::Char, (major, minor)) => {
            let found = format!("a character device {major}:{minor}");
            Some(wrong(found).weighing(Severity::Warning))
        }
        (other, _) => Some(wrong(describe(other).to_owned())),
    }
}

/// The kernel has a console of its own, but where it was built with another archive than the usual one.
fn no_console(case: &Case<'_>) -> Option<Finding> {
    let own = case.guest.root.as_ref()?.rootfs_source()?;
    let found = format!("no dev/console, and a kernel built with the archive {own}");
    Some(Finding::new(&NO_CONSOLE_NODE, found, CONSOLE))
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
