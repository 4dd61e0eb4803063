//! What an init loads and the image does not have.

use std::collections::{BTreeSet, HashMap};

use super::INIT_MODULE_MISSING;
use crate::archive::FileType;
use crate::image_path::{ImagePath, Shown};
use crate::inspect::Case;
use crate::inspect::boot::{Load, Loader, base, is_made_at_boot};
use crate::inspect::finding::{Finding, Severity};
use crate::inspect::modules::Modules;
use crate::inspect::picture::Item;
use crate::inspect::rules::drivers::is_served;
use crate::inspect::tree::Tree;
use crate::kmod::aliases::AliasIndex;
use crate::kmod::config::ModprobeConfig;
use crate::kmod::name::ModuleName;
use crate::nearest::nearest;

/// How many names that a script asks modprobe for are looked up among the patterns of all modules, and for how
/// many missing files one that is nearly called so is looked for.
const LOOKED_UP: usize = 32;
/// Among how many files a nearly equal name is looked for.
const CANDIDATES: usize = 4096;

/// What they find: of a list, or of nash, each file; of a script, whose conditions are not followed, what it
/// says in plain words.
pub(super) fn missing(
    case: &Case<'_>,
    modules: &Modules<'_>,
    init: &Item,
    findings: &mut Vec<Finding>,
) {
    let loads = case.boot.loads.iter().filter(|load| load.path.is_none());
    let (severity, missing): (Severity, Vec<&Load>) = if case.boot.loads_are_certain() {
        let files = loads.filter(|load| load.loader == Loader::Insmod);
        (Severity::Error, files.collect())
    } else if case.boot.loads_are_of_a_script() {
        (Severity::Warning, missing_of_script(case, modules, loads))
    } else {
        return;
    };
    let files = (!missing.is_empty()).then(|| Files::of(case));
    for (number, load) in missing.into_iter().enumerate() {
        let near = files.as_ref().filter(|_| number < LOOKED_UP);
        let near = near.and_then(|files| files.near(&load.module));
        let absent = match load.loader {
            Loader::Insmod if load.module.is_empty() => "a line without a path".to_owned(),
            Loader::Insmod => format!("no {}", Shown(load.module.as_bytes())),
            Loader::Modprobe => format!("no module {}", Shown(load.module.as_bytes())),
        };
        let found = match near {
            Some(near) => format!("{absent}, but {}", Shown(near.as_bytes())),
            None => absent,
        };
        let finding = Finding::new(&INIT_MODULE_MISSING, found, "every file that it loads");
        findings.push(finding.weighing(severity).at(init));
    }
}

/// What a script loads and the image does not have. What may be there all the same is left out: in the kernel,
/// in a file that is made or mounted later, or under another name; and so are names past those that are looked up.
fn missing_of_script<'l>(
    case: &Case<'_>,
    modules: &Modules<'_>,
    loads: impl Iterator<Item = &'l Load>,
) -> Vec<&'l Load> {
    let loads: Vec<&Load> = loads.collect();
    let asks = |load: &&&Load| {
        load.loader == Loader::Modprobe && !modules.is_builtin(load.module.as_bytes())
    };
    let names: BTreeSet<&str> = loads
        .iter()
        .filter(asks)
        .map(|load| load.module.as_str())
        .collect();
    let configured = Configured::of(case);
    let unserved: BTreeSet<&str> = names
        .into_iter()
        .filter(|name| !configured.names(name))
        .take(LOOKED_UP)
        .filter(|name| !is_served(modules, name.as_bytes(), |_| true))
        .collect();
    let is_missing = |load: &&Load| match load.loader {
        Loader::Insmod => !is_file_elsewhere(modules, load.module.as_bytes()),
        Loader::Modprobe => unserved.contains(load.module.as_str()),
    };
    loads.into_iter().filter(is_missing).collect()
}

fn is_file_elsewhere(modules: &Modules<'_>, path: &[u8]) -> bool {
    // The script may have changed its directory.
    if !path.starts_with(b"/") || is_made_at_boot(path) {
        return true;
    }
    let name = ModuleName::of_file(base(path));
    name.is_some_and(|name| modules.is_builtin(name.as_bytes()))
}

/// The most bytes of an image's configuration of modprobe that are read: ten times what distributions have.
const CONFIGURATION_LIMIT: usize = 1 << 20;

/// What the image's own configuration of modprobe names (modprobe.d(5)).
struct Configured {
    /// They bound what patterns cost that are made to.
    aliases: AliasIndex,
    installs: BTreeSet<ModuleName>,
    is_whole: bool,
}

impl Configured {
    fn of(case: &Case<'_>) -> Configured {
        let mut config = ModprobeConfig::default();
        let mut left = Some(CONFIGURATION_LIMIT);
        for path in configuration_files(case.tree) {
            let text = case.tree.text(&path).unwrap_or_default();
            left = left.and_then(|left| left.checked_sub(text.len()));
            if left.is_none() {
                break;
            }
            config.add(text);
        }
        let mut aliases = AliasIndex::default();
        for alias in &config.aliases {
            aliases.push(&alias.pattern, &alias.module);
        }
        Configured {
            aliases,
            installs: config.installs.into_iter().collect(),
            is_whole: left.is_some(),
        }
    }

    /// Whether it says what the name stands for, or is more than can be looked through.
    fn names(&self, name: &str) -> bool {
        !self.is_whole
            || self.installs.contains(&ModuleName::new(name))
            || self.aliases.matching(name.as_bytes()).next().is_some()
            || self.aliases.is_spent()
    }
}

fn configuration_files(tree: &Tree) -> Vec<String> {
    let mut files = vec!["etc/modprobe.conf".to_owned()];
    for directory in ["etc", "lib", "usr/lib", "usr/local/lib"] {
        let directory = format!("{directory}/modprobe.d");
        let listed = ImagePath::new(&directory).map(|path| tree.root().list(&path));
        let Ok(Ok((_, names))) = listed else { continue };
        let names = names
            .into_iter()
            .filter(|(name, _)| name.ends_with(b".conf"));
        files.extend(
            names.map(|(name, _)| format!("{directory}/{}", String::from_utf8_lossy(&name))),
        );
    }
    files
}

/// The files of modules in an image.
struct Files<'c> {
    by_name: HashMap<ModuleName, &'c ImagePath>,
    /// The first of them by the names of their files, in the order of their paths.
    first: Vec<(&'c str, &'c ImagePath)>,
}

impl<'c> Files<'c> {
    fn of(case: &Case<'c>) -> Files<'c> {
        let mut files = Files {
            by_name: HashMap::new(),
            first: Vec::new(),
        };
        for (path, item) in case.tree.items() {
            let name = ModuleName::of_file(path.file_name());
            let Some(name) = name.filter(|_| item.file_type() == FileType::Regular) else {
                continue;
            };
            files.by_name.entry(name).or_insert(path);
            let text = std::str::from_utf8(path.file_name()).ok();
            if let Some(text) = text.filter(|_| files.first.len() < CANDIDATES) {
                files.first.push((text, path));
            }
        }
        files
    }

    /// The file of the same module, compressed or elsewhere, or of one that is nearly called so.
    fn near(&self, asked: &str) -> Option<&'c ImagePath> {
        let file_name = asked.rsplit('/').next().unwrap_or(asked);
        let same = self.by_name.get(&ModuleName::new(file_name)).copied();
        same.or_else(|| {
            let names = self.first.iter().map(|(name, _)| *name);
            let nearest = nearest(file_name, names).into_iter().next()?;
            let found = self.first.iter().find(|(name, _)| *name == nearest);
            found.map(|(_, path)| *path)
        })
    }
}
