//! The two texts that xinitrd's own init goes by: its list of modules, and its words for the command line.

use xinitrd_native_logic::modules::{Module, PARAMETERS_LIMIT, PATH_LIMIT, modules};
use xinitrd_native_logic::root::{Root, RootFault};
use xinitrd_native_logic::settings::{LINE_LIMIT, Settings};

use super::path;
use crate::image_path::Shown;
use crate::init::texts::{CMDLINE_PATH, MODULES_PATH};
use crate::inspect::Case;
use crate::inspect::finding::{Finding, Rule, Severity};
use crate::inspect::picture::Item;

/// The init reads less than there is.
pub const INIT_TEXT_CUT: Rule = Rule {
    name: "init-text-cut",
    severity: Severity::Error,
    meaning: "A text that xinitrd's own init reads holds more than that has room for.",
    reason: "It takes 1022 bytes of a module's path, 1023 of its parameters, and 4096 of the words in \
             etc/xinitrd/cmdline. A module of which that is not all it does not load (E2BIG). Of the words the \
             last are lost, which is a warning.",
    cure: "Shorten what is named.",
};

/// The init does not know what root is meant.
pub const INIT_ROOT_UNKNOWN: Rule = Rule {
    name: "init-root-unknown",
    severity: Severity::Warning,
    meaning: "The image's own words name a root that its init, which is xinitrd's own program, does not understand.",
    reason: "That init understands /dev/NAME, UUID=, LABEL=, PARTUUID=, PARTLABEL=, udev's links by these four, \
             MAJOR:MINOR and the kernel's hexadecimal number; no other of udev's names, and no network. Unless the \
             kernel's command line has another root=, which goes before these words, it gives up: `no root`.",
    cure: "Build the image anew with --root-device and one of these; or leave it out, and say root= on the kernel's \
           command line.",
};

/// Bytes that are told of a name.
const LONGEST: usize = 80;

/// What is wrong with them, where the init is that program.
pub(super) fn check(case: &Case<'_>, findings: &mut Vec<Finding>) {
    if !case.boot.is_native() {
        return;
    }
    if let Some((list, item)) = text(case, MODULES_PATH) {
        let cut = modules(list).filter_map(|module| cut(&module));
        findings.extend(cut.map(|finding| finding.at(item)));
    }
    if let Some((words, item)) = text(case, CMDLINE_PATH) {
        let told = words_cut(words).into_iter().chain(unknown_root(words));
        findings.extend(told.map(|finding| finding.at(item)));
    }
}

fn text<'c>(case: &'c Case<'_>, at: &str) -> Option<(&'c [u8], &'c Item)> {
    let (_, item) = case.tree.find(&path(at)?).ok()?;
    Some((case.tree.content(item).text()?, item))
}

/// A module of which less than all is read.
fn cut(module: &Module<'_>) -> Option<Finding> {
    let parts = [
        ("a path", module.path.len(), PATH_LIMIT),
        ("parameters", module.parameters.len(), PARAMETERS_LIMIT),
    ];
    let (what, length, limit) = parts
        .into_iter()
        .find(|(_, length, limit)| length > limit)?;
    let name = module.name();
    let name = Shown(name.get(..LONGEST).unwrap_or(name));
    let found = format!("{what} of {length} bytes, of the module {name}");
    Some(Finding::new(
        &INIT_TEXT_CUT,
        found,
        format!("at most {limit}"),
    ))
}

fn words_cut(words: &[u8]) -> Option<Finding> {
    let finding = || {
        let found = format!("words of {} bytes", words.len());
        let expected = format!("at most {LINE_LIMIT}");
        Finding::new(&INIT_TEXT_CUT, found, expected).weighing(Severity::Warning)
    };
    (words.len() > LINE_LIMIT).then(finding)
}

fn unknown_root(words: &[u8]) -> Option<Finding> {
    let read = words.get(..LINE_LIMIT).unwrap_or(words);
    let settings = Settings::of(read, b"");
    let why = match Root::read(settings.root, settings.nfsroot).err()? {
        // The kernel's command line is to say it.
        RootFault::Missing => return None,
        RootFault::Network => "a root on the network",
        RootFault::Udev => "a name that udev gives",
        RootFault::Unknown => "no form that it knows",
    };
    let root = settings.root.get(..LONGEST).unwrap_or(settings.root);
    let found = format!("root={}, {why}", Shown(root));
    Some(Finding::new(
        &INIT_ROOT_UNKNOWN,
        found,
        "a root that it understands, or none",
    ))
}
