//! Rules about paths, types and modes of the entries.

mod hard_links;
mod top_directory;

use super::archive::NAME_TOO_LONG;
use super::init::describe;
use crate::archive::FileType;
use crate::image_path::{BadPath, ImagePath, Shown};
use crate::inspect::Case;
use crate::inspect::finding::{Finding, Rule, Severity};
use crate::inspect::picture::{Content, Item, Picture};
use crate::inspect::places::{Met, Places};
use hard_links::clashes;
pub use top_directory::top_directory;

/// The directory that a file lies in is not there.
pub const MISSING_PARENT: Rule = Rule {
    name: "missing-parent",
    severity: Severity::Error,
    meaning: "An entry lies in a directory that no entry before it has made.",
    reason: "The kernel makes no directories of its own accord: the entry cannot be made, and is dropped \
             without a word (init/initramfs.c).",
    cure: "Give the directory an entry of its own, before what lies in it: `find` lists them in that \
           order, and `sort` keeps it.",
};
/// A path is there as a directory and as something else.
pub const DUPLICATE_OF_OTHER_TYPE: Rule = Rule {
    name: "duplicate-of-other-type",
    severity: Severity::Error,
    meaning: "A name comes twice, with different types.",
    reason: "The kernel removes the earlier and makes the later (clean_path in init/initramfs.c). Where the \
             later is a directory, what a link of that name led to cannot be reached any more: \
             `lib`, say, above a `lib -> usr/lib`. A directory that is not empty stays, and the later \
             entry is dropped. Between other types it is a warning.",
    cure: "Put the file where the link leads (usr/lib/x instead of lib/x), or leave one of the two out.",
};
/// A path is there twice.
pub const DUPLICATE: Rule = Rule {
    name: "duplicate",
    severity: Severity::Warning,
    meaning: "A name that is no directory's comes twice in one archive.",
    reason: "The later takes the place of the earlier, but for device nodes, of which the earlier stays \
             (init/initramfs.c). An archive behind another is meant to replace files; within one it is \
             most often a mistake of the builder.",
    cure: "Leave one of the two out.",
};
/// Several files that the kernel takes for one.
pub const HARD_LINK_CLASH: Rule = Rule {
    name: "hard-link-clash",
    severity: Severity::Error,
    meaning: "Two different files have the same inode and device number, and say that they have several names.",
    reason: "The kernel makes them one file: the second becomes a hard link to the first, and its data \
             is written over the first one's (maybe_link in init/initramfs.c).",
    cure: "Give each file a number of its own (cpio --renumber-inodes), or a link count of 1.",
};
/// A symbolic link that cannot be made.
pub const BAD_LINK_TARGET: Rule = Rule {
    name: "bad-link-target",
    severity: Severity::Error,
    meaning: "The target of a symbolic link is empty, longer than 4095 bytes, or ended by a NUL within.",
    reason: "Such a link is not made, or leads elsewhere (do_symlink in init/initramfs.c; PATH_MAX).",
    cure: "Make the link again, to a path; no NUL is part of the data.",
};
/// A name with `..`.
pub const PATH_LEAVES_ROOT: Rule = Rule {
    name: "path-leaves-root",
    severity: Severity::Error,
    meaning: "A name has a `..` in it.",
    reason: "No builder writes such a name. Unpacked by a kernel it stays below the root, unpacked on a \
             host it may overwrite files outside the directory it is unpacked in.",
    cure: "Do not unpack the image with other tools; make it again from a source you trust.",
};
/// Data where none belongs.
pub const DATA_ON_NONREGULAR: Rule = Rule {
    name: "data-on-nonregular",
    severity: Severity::Error,
    meaning: "An entry that is neither a file nor a symbolic link has data.",
    reason: "The kernel passes over it without a word: it is not made (do_header in init/initramfs.c).",
    cure: "Write a size of 0 for directories, devices, pipes and sockets.",
};
/// No type at all.
pub const UNKNOWN_TYPE: Rule = Rule {
    name: "unknown-type",
    severity: Severity::Error,
    meaning: "The mode of an entry has the bits of no type of file.",
    reason: "The kernel makes nothing of it, and removes what has its name (do_name in init/initramfs.c).",
    cure: "Write a whole mode, 0100644 for a file say, not the permission bits alone.",
};
/// A set-id file.
pub const SETUID_FILE: Rule = Rule {
    name: "setuid-file",
    severity: Severity::Warning,
    meaning: "A file runs with the rights of its owner or group, whoever starts it.",
    reason: "All that runs before the switch to the root is root's: the bit serves nobody there, and what \
             unpacks the image on a host may keep it.",
    cure: "Take the bits away: chmod u-s,g-s. Where the builder copies them, as dracut does, pass over it: \
           --allow setuid-file.",
};
/// Writable by everybody.
pub const WORLD_WRITABLE: Rule = Rule {
    name: "world-writable",
    severity: Severity::Warning,
    meaning: "Everybody may write to a file, or to a directory that has no sticky bit.",
    reason: "Whoever runs as another user before the switch to the root can change what root runs; where \
             the image is unpacked on a host, everybody there can.",
    cure: "Take the bit away (chmod o-w), or set the sticky bit of the directory (chmod +t).",
};

/// The rules, in order.
pub const RULES: &[&Rule] = &[
    &top_directory::BELOW_ONE_DIRECTORY,
    &MISSING_PARENT,
    &DUPLICATE_OF_OTHER_TYPE,
    &DUPLICATE,
    &HARD_LINK_CLASH,
    &BAD_LINK_TARGET,
    &PATH_LEAVES_ROOT,
    &DATA_ON_NONREGULAR,
    &UNKNOWN_TYPE,
    &SETUID_FILE,
    &WORLD_WRITABLE,
];

/// The longest target of a link, in bytes: the kernel's `PATH_MAX`, less the NUL.
const TARGET_LIMIT: u32 = 4095;
/// What the kernel reads out of an archive at the beginning of the image where it lies there, not as
/// files (`find_cpio_data` in its `lib/earlycpio.c`): builders may leave out the directories.
const EARLY: [&[u8]; 2] = [b"kernel/x86/microcode/", b"kernel/firmware/acpi/"];

/// What they find.
pub fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    check_headers(case, findings);
    check_places(case, findings);
    for clash in clashes(&case.picture.items) {
        let first = Shown(&clash.first.entry.name);
        let found = format!(
            "as if a hard link to {first}, and of another {}",
            clash.differs
        );
        let finding = Finding::new(&HARD_LINK_CLASH, found, "an inode number of its own");
        findings.push(finding.at(clash.second));
    }
    check_modes(case, findings);
}

/// What they find in entries by themselves, whatever others there may be.
pub fn check_alone(case: &Case<'_>, findings: &mut Vec<Finding>) {
    check_headers(case, findings);
    check_modes(case, findings);
}

fn check_headers(case: &Case<'_>, findings: &mut Vec<Finding>) {
    for item in &case.picture.items {
        findings.extend(name(item));
        findings.extend(kind(item));
    }
}

fn check_modes(case: &Case<'_>, findings: &mut Vec<Finding>) {
    findings.extend(case.tree.items().filter_map(|(_, item)| mode(item)));
}

fn name(item: &Item) -> Option<Finding> {
    let (rule, expected) = match item.path.as_ref().err()? {
        BadPath::Climbs => (&PATH_LEAVES_ROOT, "a path without `..`"),
        BadPath::LongName => (&NAME_TOO_LONG, "components of 255 bytes at most"),
        BadPath::LongPath => (&NAME_TOO_LONG, "a path of 4094 bytes at most"),
        // A name ends at its first NUL.
        BadPath::Nul => return None,
    };
    let found = match rule.name == NAME_TOO_LONG.name {
        true => format!("{} bytes", item.entry.name.len()),
        false => "a name with `..`".to_owned(),
    };
    Some(Finding::new(rule, found, expected).at(item))
}

fn kind(item: &Item) -> Option<Finding> {
    let size = item.entry.header.size;
    let finding = match item.file_type() {
        FileType::Symlink => {
            let found = bad_target(size, &item.content)?;
            Finding::new(&BAD_LINK_TARGET, found, "a path of 1 to 4095 bytes")
        }
        FileType::Unknown => {
            let found = format!("mode {:o}", item.entry.header.mode);
            Finding::new(&UNKNOWN_TYPE, found, "a mode with the bits of a type")
        }
        FileType::Regular => return None,
        _ if size == 0 => return None,
        other => {
            let found = format!("{} with {size} bytes of data", describe(other));
            Finding::new(&DATA_ON_NONREGULAR, found, "no data")
        }
    };
    Some(finding.at(item))
}

fn bad_target(size: u32, content: &Content) -> Option<String> {
    match (size, content) {
        (0, _) => Some("an empty target".to_owned()),
        (size, _) if size > TARGET_LIMIT => Some(format!("a target of {size} bytes")),
        (_, Content::Link(target)) => {
            let nul = target.iter().position(|&byte| byte == 0)?;
            Some(format!("a target with a NUL at byte {nul}"))
        }
        _ => None,
    }
}

fn mode(item: &Item) -> Option<Finding> {
    let permissions = item.entry.header.permissions();
    let found = format!("mode {permissions:04o}");
    let finding = match item.file_type() {
        FileType::Regular if permissions & 0o6000 != 0 => Finding::new(
            &SETUID_FILE,
            found,
            format!("mode {:04o}", permissions & 0o1777),
        ),
        FileType::Regular if permissions & 0o002 != 0 => Finding::new(
            &WORLD_WRITABLE,
            found,
            format!("mode {:04o}", permissions & !0o002),
        ),
        FileType::Directory if permissions & 0o1002 == 0o002 => {
            let expected = format!(
                "mode {:04o} or {:04o}",
                permissions & !0o002,
                permissions | 0o1000
            );
            Finding::new(&WORLD_WRITABLE, found, expected)
        }
        _ => return None,
    };
    Some(finding.at(item))
}

/// Unpacks the entries in their order.
fn check_places(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let mut places = Places::of_kernel();
    let is_read =
        |item: &Item| is_read_in_place(case.picture, item.entry.segment, &item.entry.name);
    for item in &case.picture.items {
        let Ok(path) = &item.path else { continue };
        if !is_made(item) {
            continue;
        }
        match places.put(path, item).1 {
            Met::NoParent { .. } if is_read(item) => {}
            Met::NoParent { missing, stands } => {
                findings.push(missing_parent(case, &missing, stands).at(item));
            }
            met => findings.extend(replaced(item, met)),
        }
    }
}

/// Whether the kernel makes anything of an entry, its directory being there.
fn is_made(item: &Item) -> bool {
    match item.file_type() {
        FileType::Regular => true,
        FileType::Symlink => bad_target(item.entry.header.size, &item.content).is_none(),
        FileType::Unknown => false,
        _ => item.entry.header.size == 0,
    }
}

/// Whether the kernel reads the entry of that name where it lies in the image: it does not matter then
/// whether it can be made.
pub(super) fn is_read_in_place(picture: &Picture, segment: usize, name: &[u8]) -> bool {
    let segment = picture.segments.get(segment);
    let is_plain = segment.is_some_and(|segment| segment.start.format.is_none());
    is_plain && EARLY.iter().any(|place| name.starts_with(place))
}

fn missing_parent(case: &Case<'_>, missing: &ImagePath, stands: Option<FileType>) -> Finding {
    let found = match (stands, case.tree.at(missing)) {
        (Some(stands), _) => format!("{missing} is {}", describe(stands)),
        (None, Some(later)) if later.file_type() == FileType::Directory => {
            format!("{missing} has its entry only later")
        }
        (None, _) => format!("{missing} has no entry"),
    };
    let expected = format!("a directory {missing}, made before");
    Finding::new(&MISSING_PARENT, found, expected)
}

/// What is to be said of an entry that met `met` at its path.
fn replaced(item: &Item, met: Met<'_>) -> Option<Finding> {
    let file_type = item.file_type();
    let finding = match met {
        Met::Same(Some(before)) if is_duplicate(before, item) => {
            let found = match file_type {
                FileType::Regular | FileType::Symlink => "it replaces an entry of the same name",
                _ => "an entry of the same name has made it before, and stays",
            };
            Finding::new(&DUPLICATE, found, "one entry of a name")
        }
        Met::Full => {
            let found = format!(
                "{}, and a directory that is not empty stands there",
                describe(file_type)
            );
            Finding::new(&DUPLICATE_OF_OTHER_TYPE, found, "one type for a name")
        }
        // Who replaces the kernel's own console is told so by a rule of its own.
        Met::Other(_, None) => return None,
        Met::Other(was, Some(_)) => {
            let found = format!("{}, in the place of {}", describe(file_type), describe(was));
            let finding = Finding::new(&DUPLICATE_OF_OTHER_TYPE, found, "one type for a name");
            match file_type {
                FileType::Directory => finding,
                _ => finding.weighing(Severity::Warning),
            }
        }
        Met::Nothing | Met::Same(_) | Met::NoParent { .. } => return None,
    };
    Some(finding.at(item))
}

fn is_duplicate(before: &Item, item: &Item) -> bool {
    item.file_type() != FileType::Directory && before.entry.segment == item.entry.segment
}
