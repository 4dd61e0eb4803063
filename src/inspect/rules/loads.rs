//! What an init loads and the image does not have.

use std::collections::HashMap;

use super::drivers::is_served;
use super::init::INIT_MODULE_MISSING;
use crate::archive::FileType;
use crate::image_path::{ImagePath, Shown};
use crate::inspect::Case;
use crate::inspect::boot::{Load, Loader, is_made_at_boot};
use crate::inspect::finding::{Finding, Severity};
use crate::inspect::modules::Modules;
use crate::inspect::picture::Item;
use crate::kmod::name::ModuleName;
use crate::nearest::nearest;

/// How many names that a script asks modprobe for are looked up, and for how many missing files one that is
/// nearly called so is looked for: each may take a look at all modules.
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
        let missing = loads.filter(|load| !is_known_elsewhere(modules, load));
        (Severity::Warning, missing.collect())
    } else {
        return;
    };
    let files = (!missing.is_empty()).then(|| Files::of(case));
    for (number, load) in missing.into_iter().enumerate() {
        let near = files.as_ref().filter(|_| number < LOOKED_UP);
        let near = near.and_then(|files| files.near(&load.module));
        let absent = match load.loader {
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

/// Whether what a script loads may be there all the same: in the kernel, in a file that is made or mounted
/// later, or under another name.
fn is_known_elsewhere(modules: &Modules<'_>, load: &Load) -> bool {
    let path = load.module.as_bytes();
    match load.loader {
        // The script may have changed its directory.
        Loader::Insmod if !path.starts_with(b"/") || is_made_at_boot(path) => true,
        Loader::Insmod => {
            let name = path
                .rsplit(|&byte| byte == b'/')
                .next()
                .and_then(ModuleName::of_file);
            name.is_some_and(|name| modules.is_builtin(name.as_bytes()))
        }
        Loader::Modprobe => is_served(modules, path, |_| true),
    }
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
