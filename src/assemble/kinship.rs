//! The proof that modules are the kernel's own: of one machine, of one build, whole.

use std::collections::HashSet;

use super::Assembler;
use crate::arch::{Arch, ElfKind, PackageArch};
use crate::image_path::ImagePath;
use crate::kernel_version::is_directory_of;
use crate::kmod::module_file::ModuleFault;
use crate::kmod::tree::{ModuleId, ModuleTree};
use crate::majority::most_common;
use crate::package::Facts;
use crate::problem::Fault;

impl Assembler<'_> {
    /// The modules that could be read; what is wrong with the others is a problem.
    pub(super) fn readable(&mut self, tree: &ModuleTree<'_>, ids: &[ModuleId]) -> Vec<ModuleId> {
        let faults = tree.take_faults(ids);
        let bad: HashSet<ModuleId> = faults.iter().map(|(id, _)| *id).collect();
        for (id, fault) in faults {
            self.problem(tree.shown(tree.path(id)), located(fault));
        }
        ids.iter().copied().filter(|id| !bad.contains(id)).collect()
    }

    /// Proves that all modules are for one machine, the one that `--arch` says, and finds it out.
    pub(super) fn judge_kinds(&mut self, tree: &ModuleTree<'_>, ids: &[ModuleId]) -> Option<Arch> {
        let kinds: Vec<(ModuleId, ElfKind)> = ids
            .iter()
            .filter_map(|&id| Some((id, tree.ask(id, |file| file.kind)?)))
            .collect();
        let usual = most_common(kinds.iter().map(|(_, kind)| *kind));
        let expected = match (self.request.arch, usual) {
            (Some(given), Some(found)) if given.elf() != found => {
                let place = tree.shown(&ImagePath::default());
                self.problem(place, Fault::ArchContradicted { given, found });
                return None;
            }
            (Some(given), _) => given.elf(),
            (None, Some(usual)) => usual,
            (None, None) => {
                self.problem(tree.shown(&ImagePath::default()), Fault::ArchNotSaid);
                return None;
            }
        };
        for (id, found) in kinds.into_iter().filter(|(_, kind)| *kind != expected) {
            self.problem(
                tree.shown(tree.path(id)),
                Fault::ModuleKind { found, expected },
            );
        }
        let arch = Arch::of_elf(expected);
        if arch.is_none() {
            let place = tree.shown(&ImagePath::default());
            self.problem(place, Fault::ArchUnknown { found: expected });
        }
        arch
    }

    /// Proves that all packages are for the guest, where its architecture could be told.
    pub(super) fn judge_packages(&mut self, guest: Option<Arch>) {
        let Some(guest) = guest else { return };
        let packages = &self.request.packages;
        let is_for_another = |facts: &Facts| {
            let arch = facts.package_arch();
            arch.is_some_and(|arch| ![PackageArch::Any, PackageArch::One(guest)].contains(&arch))
        };
        for (place, facts) in packages.iter().filter(|(_, facts)| is_for_another(facts)) {
            let found = facts.arch.clone().unwrap_or_default();
            let there = packages
                .iter()
                .map(|(_, facts)| facts.to_string())
                .collect();
            self.problem(
                place.as_str(),
                Fault::PackageArch {
                    found,
                    guest,
                    there,
                },
            );
        }
    }

    /// Proves that all modules are of one build of one kernel, the one that was named; its release,
    /// where they say one.
    pub(super) fn judge_vermagics(
        &mut self,
        tree: &ModuleTree<'_>,
        ids: &[ModuleId],
    ) -> Option<String> {
        let magics: Vec<Magic> = ids.iter().map(|&id| Magic::of(tree, id)).collect();
        let own = magics.iter().filter(|magic| !magic.is_weak);
        let usual = most_common(own.filter_map(|magic| magic.text.clone()))
            .or_else(|| most_common(magics.iter().filter_map(|magic| magic.text.clone())));
        for magic in magics {
            let place = tree.shown(tree.path(magic.id));
            match (&magic.text, &usual) {
                (Some(_), Some(usual)) if magic.is_taken_for(usual) => {}
                (Some(found), Some(usual)) => {
                    let (found, expected) = (found.clone(), usual.clone());
                    self.problem(place, Fault::Vermagic { found, expected });
                }
                _ => self.problem(place, Fault::NoVermagic),
            }
        }
        self.release(tree, usual?)
    }

    /// The release that a vermagic begins with, if it is that of the kernel named.
    fn release(&mut self, tree: &ModuleTree<'_>, found: String) -> Option<String> {
        let release = found.split(' ').next().unwrap_or_default();
        if is_directory_of(self.request.kernel.as_bytes(), release.as_bytes()) {
            return Some(release.to_owned());
        }
        let expected = format!("kernel {}", self.request.kernel);
        let place = tree.shown(&ImagePath::default());
        self.problem(place, Fault::Vermagic { found, expected });
        None
    }
}

/// A module fault as a problem's fault: one of look-up is told as such.
fn located(fault: ModuleFault) -> Fault {
    match fault {
        ModuleFault::Lookup(error) => Fault::Lookup(error),
        other => Fault::Module(other),
    }
}

/// A module's vermagic, and what decides how it is compared.
struct Magic {
    id: ModuleId,
    text: Option<String>,
    /// It lies in `weak-updates`: it may be made for another release of the same interface.
    is_weak: bool,
    /// It carries the versions of the symbols it uses.
    versioned: bool,
}

impl Magic {
    fn of(tree: &ModuleTree<'_>, id: ModuleId) -> Magic {
        Magic {
            id,
            text: tree.modinfo(id).text("vermagic"),
            is_weak: tree.path(id).components().next() == Some(b"weak-updates"),
            versioned: tree.ask(id, |file| file.versioned) == Some(true),
        }
    }

    fn is_taken_for(&self, usual: &str) -> bool {
        let found = self.text.as_deref().unwrap_or_default();
        is_taken(found, usual, self.is_weak && self.versioned)
    }
}

/// Whether the kernel would take a module with the vermagic `found` where it takes one with `usual`:
/// of a module with versions of its symbols it compares all but the release (`same_magic` in
/// `kernel/module/version.c`). Here that is done for `weak-updates` alone, where it is meant.
fn is_taken(found: &str, usual: &str, but_for_release: bool) -> bool {
    let flags = |vermagic: &str| vermagic.split_once(' ').map(|(_, flags)| flags.to_owned());
    found == usual || (but_for_release && flags(found) == flags(usual))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weak_update_may_be_of_another_release_of_the_same_interface() {
        let (old, new) = ("2.6.18-1 SMP gcc-4.1", "2.6.18-2 SMP gcc-4.1");
        assert!(is_taken(old, new, true));
        assert!(!is_taken(old, new, false));
        assert!(!is_taken(old, "2.6.18-2 SMP gcc-3.4", true));
        assert!(!is_taken("", new, true));
    }
}
