//! Which modules go in, the proof that they are the kernel's own, and where in the image they lie.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use globset::{Glob, GlobSet, GlobSetBuilder};

use super::{Assembler, PlacedModule, RootDevice};
use crate::arch::{Arch, ElfKind};
use crate::image_path::ImagePath;
use crate::init::ModuleLoad;
use crate::kmod::module_file::{ModuleFault, ModuleFile};
use crate::kmod::name::unpacked_file_name;
use crate::kmod::order::{LoadOrder, OrderFault, Resolver};
use crate::kmod::tree::{ModuleId, ModuleTree};
use crate::manifest::{InitKind, ModuleLayout};
use crate::plan::Purpose;
use crate::problem::{Fault, Problem};
use crate::root::LookupError;

/// What became of the modules.
#[derive(Default)]
pub(super) struct Modules {
    /// The architecture: what `--arch` says, else what the modules are.
    pub arch: Option<Arch>,
    /// The release in their vermagic; without modules, the directory's name.
    pub release: String,
    /// What `/init` loads.
    pub loads: Vec<ModuleLoad>,
    /// What is reported of each.
    pub reports: Vec<PlacedModule>,
    /// What was built in.
    pub builtin: Vec<String>,
}

/// RAID personalities, one of which a root on md needs; `raid456` is what `raid5` became in 2.6.18.
const RAID_PERSONALITIES: [&str; 6] = ["linear", "raid0", "raid1", "raid10", "raid5", "raid456"];
/// What the root on a logical volume needs beside `dm-mod`, where the tree has it.
const LVM_TARGETS: [&str; 3] = ["dm-mirror", "dm-zero", "dm-snapshot"];

impl Assembler<'_> {
    /// Decides on the modules, judges each, and puts them into the plan.
    pub(super) fn modules(&mut self, tree: &mut ModuleTree<'_>) -> Modules {
        let request = self.request;
        let mut modules = Modules {
            release: request.kernel.clone(),
            ..Modules::default()
        };
        let Some(order) = self.load_order(tree) else {
            return modules;
        };
        let wanted: Vec<ModuleId> = order.load.iter().chain(&order.include).copied().collect();
        tree.load(&wanted);
        let sound = self.readable(tree, &wanted);
        modules.arch = self.judge_kinds(tree, &sound);
        self.judge_vermagics(tree, &sound, &mut modules.release);
        modules.builtin = order.builtin.iter().map(ToString::to_string).collect();
        let top = self.top_directory(&modules.release);
        if request.manifest.modules.layout == ModuleLayout::Tree {
            self.module_index(tree, &order, &top);
        }
        let loaded: HashSet<ModuleId> = order.load.iter().copied().collect();
        for &id in &sound {
            self.place(tree, id, &top, loaded.contains(&id), &mut modules);
        }
        modules
    }

    fn load_order(&mut self, tree: &mut ModuleTree<'_>) -> Option<LoadOrder> {
        let request = self.request;
        for name in &request.builtin {
            tree.assume_builtin(crate::kmod::name::ModuleName::new(name));
        }
        let included = self.included(tree);
        let mut resolver = Resolver::new(tree);
        request
            .preload
            .iter()
            .for_each(|name| resolver.require(name));
        self.drivers(&mut resolver);
        if request.manifest.init != InitKind::Busybox {
            self.storage_as_mkinitrd(&mut resolver);
        }
        require_file_system(&mut resolver, request.rootfs());
        if matches!(self.root_device(), RootDevice::LogicalVolume { .. }) && !request.omit_lvm {
            resolver.require("dm-mod");
            LVM_TARGETS.iter().for_each(|name| {
                resolver.want(name);
            });
        }
        request.with.iter().for_each(|name| resolver.require(name));
        included.into_iter().for_each(|id| resolver.include(id));
        let resolved = resolver.finish();
        self.resolved(tree, resolved)
    }

    fn resolved(
        &mut self,
        tree: &ModuleTree<'_>,
        resolved: Result<LoadOrder, Vec<OrderFault>>,
    ) -> Option<LoadOrder> {
        let faults = match resolved {
            Ok(order) => return Some(order),
            Err(faults) => faults,
        };
        let problems = faults.into_iter().map(|f| Problem::of_order(tree, f));
        self.problems.extend(problems);
        None
    }

    /// The manifest's drivers for this kernel, each by the first of its names that is there.
    fn drivers(&mut self, resolver: &mut Resolver<'_, '_>) {
        let request = self.request;
        let all = request.manifest.modules.drivers.iter();
        for driver in all.filter(|driver| driver.kernels.contains(request.version)) {
            if !driver.any_of.iter().any(|name| resolver.want(name)) {
                let (role, any_of) = (driver.role.clone(), driver.any_of.clone());
                let place = format!("manifest {}", request.manifest.name);
                self.problem(place, Fault::DriverMissing { role, any_of });
            }
        }
    }

    /// What mkinitrd adds for disks that are none of Xen's, in its order.
    fn storage_as_mkinitrd(&self, resolver: &mut Resolver<'_, '_>) {
        let request = self.request;
        if !request.omit_scsi {
            resolver.want("scsi_mod");
            resolver.want("sd_mod");
            for adapter in request.config.scsi_host_adapters() {
                resolver.require(&adapter.to_string());
            }
        }
        resolver.want("ide-disk");
        if !request.omit_lvm {
            resolver.want("dm-mod");
        }
        if !request.omit_raid && matches!(self.root_device(), RootDevice::Raid { .. }) {
            resolver.want("md");
            RAID_PERSONALITIES.iter().for_each(|name| {
                resolver.want(name);
            });
        }
    }

    /// The modules the manifest's patterns match.
    fn included(&mut self, tree: &ModuleTree<'_>) -> Vec<ModuleId> {
        let patterns = &self.request.manifest.modules.include;
        if patterns.is_empty() {
            return Vec::new();
        }
        let matcher = matcher(patterns);
        tree.ids()
            .filter(|&id| matcher.is_match(tree.name(id).to_string()))
            .collect()
    }

    /// The modules that could be read; what is wrong with the others is a problem.
    fn readable(&mut self, tree: &ModuleTree<'_>, ids: &[ModuleId]) -> Vec<ModuleId> {
        let faults = tree.take_faults(ids);
        let bad: HashSet<ModuleId> = faults.iter().map(|(id, _)| *id).collect();
        for (id, fault) in faults {
            self.problem(tree.shown(tree.path(id)), located(fault));
        }
        ids.iter().copied().filter(|id| !bad.contains(id)).collect()
    }

    fn judge_kinds(&mut self, tree: &ModuleTree<'_>, ids: &[ModuleId]) -> Option<Arch> {
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

    /// Proves that all modules are of one build of one kernel, the one that was named; finds out
    /// its release.
    fn judge_vermagics(&mut self, tree: &ModuleTree<'_>, ids: &[ModuleId], release: &mut String) {
        let vermagic = |id: ModuleId| tree.modinfo(id).text("vermagic");
        let all: Vec<(ModuleId, Option<String>)> =
            ids.iter().map(|&id| (id, vermagic(id))).collect();
        let Some(usual) = most_common(all.iter().filter_map(|(_, vermagic)| vermagic.clone()))
        else {
            for &id in ids {
                self.problem(tree.shown(tree.path(id)), Fault::NoVermagic);
            }
            return;
        };
        for (id, vermagic) in all {
            let place = tree.shown(tree.path(id));
            match vermagic {
                None => self.problem(place, Fault::NoVermagic),
                Some(found) if !same_kernel(&found, &usual, tree.path(id)) => {
                    self.problem(
                        place,
                        Fault::Vermagic {
                            found,
                            expected: usual.clone(),
                        },
                    );
                }
                Some(_) => {}
            }
        }
        let own = usual.split(' ').next().unwrap_or_default();
        if belongs(&self.request.kernel, own) {
            own.clone_into(release);
        } else {
            let place = tree.shown(&ImagePath::default());
            let expected = format!("kernel {}", self.request.kernel);
            self.problem(
                place,
                Fault::Vermagic {
                    found: usual,
                    expected,
                },
            );
        }
    }

    /// Where the modules lie in the image.
    fn top_directory(&self, release: &str) -> ImagePath {
        let path = match self.request.manifest.modules.layout {
            ModuleLayout::Flat => "lib".to_owned(),
            ModuleLayout::Tree => format!("lib/modules/{release}"),
        };
        ImagePath::new(path).unwrap_or_default()
    }

    fn place(
        &mut self,
        tree: &ModuleTree<'_>,
        id: ModuleId,
        top: &ImagePath,
        loaded: bool,
        modules: &mut Modules,
    ) {
        let Some(file) = tree.take_file(id) else {
            // It was read and judged; should it be gone now, the image must not go without it.
            let place = tree.shown(tree.path(id));
            return self.problem(place, Fault::Lookup(LookupError::Missing));
        };
        let path = self.image_path(tree, id, top, file.packed.is_some());
        let vermagic = file.modinfo.text("vermagic").unwrap_or_default();
        let bytes = match file {
            ModuleFile {
                packed: Some(packed),
                ..
            } if self.request.keep_compressed => packed,
            ModuleFile { bytes, .. } => bytes,
        };
        let options = self.request.config.options_of(tree.name(id));
        let origin = tree.shown(tree.path(id));
        modules.reports.push(PlacedModule {
            name: tree.name(id).to_string(),
            path: path.to_string(),
            source: origin.clone(),
            size: bytes.len() as u64,
            vermagic,
            options: options.clone(),
            loaded,
        });
        if loaded {
            modules.loads.push(ModuleLoad {
                path: path.clone(),
                options,
            });
        }
        self.add_file(path, 0o644, Purpose::Module, bytes, origin);
    }

    /// Where a module lies in the image.
    pub(super) fn image_path(
        &self,
        tree: &ModuleTree<'_>,
        id: ModuleId,
        top: &ImagePath,
        packed: bool,
    ) -> ImagePath {
        let path = tree.path(id);
        let file_name = match packed && !self.request.keep_compressed {
            true => unpacked_file_name(path.file_name()),
            false => path.file_name(),
        };
        let directory = match self.request.manifest.modules.layout {
            ModuleLayout::Flat => ImagePath::default(),
            ModuleLayout::Tree => path.parent().unwrap_or_default(),
        };
        let below = [top.as_bytes(), directory.as_bytes(), file_name].join(&b'/');
        ImagePath::new(below).unwrap_or_default()
    }
}

/// The file system's module, or the kernel's own; some, such as ext3 today, are only an alias.
fn require_file_system(resolver: &mut Resolver<'_, '_>, name: &str) {
    if !resolver.want(name) && !resolver.want(&format!("fs-{name}")) {
        resolver.require(name);
    }
}

/// A module fault as a problem's fault: one of look-up is told as such.
fn located(fault: ModuleFault) -> Fault {
    match fault {
        ModuleFault::Lookup(error) => Fault::Lookup(error),
        other => Fault::Module(other),
    }
}

/// The element that comes most often, the first of several.
fn most_common<T: Eq + Hash + Clone>(items: impl Iterator<Item = T>) -> Option<T> {
    let mut counts: HashMap<T, (usize, usize)> = HashMap::new();
    for (position, item) in items.enumerate() {
        counts.entry(item).or_insert((0, usize::MAX - position)).0 += 1;
    }
    counts
        .into_iter()
        .max_by_key(|(_, rank)| *rank)
        .map(|(item, _)| item)
}

/// Whether the kernel would take a module with the vermagic `found` where it takes `usual`
/// (`same_magic` in `kernel/module/main.c`). Modules in `weak-updates` are made for another release
/// of the same interface: where symbols have versions, the kernel compares the rest alone.
fn same_kernel(found: &str, usual: &str, path: &ImagePath) -> bool {
    let flags = |vermagic: &str| vermagic.split_once(' ').map(|(_, rest)| rest.to_owned());
    let weak = path.components().next() == Some(b"weak-updates");
    found == usual || (weak && usual.contains("modversions") && flags(found) == flags(usual))
}

/// Whether the directory `kernel` may hold modules of `release`: it is called so, or so with a
/// suffix, as administrators name a second tree of one release.
fn belongs(kernel: &str, release: &str) -> bool {
    let suffix = kernel.strip_prefix(release).filter(|_| !release.is_empty());
    suffix.is_some_and(|suffix| !suffix.starts_with(|c: char| c.is_ascii_alphanumeric()))
}

fn matcher(patterns: &[String]) -> GlobSet {
    let mut set = GlobSetBuilder::new();
    // The manifest's reader has refused patterns that do not compile.
    patterns
        .iter()
        .filter_map(|p| Glob::new(&p.replace('-', "_")).ok())
        .for_each(|glob| {
            set.add(glob);
        });
    set.build().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_may_carry_a_suffix_its_modules_lack_and_nothing_else() {
        assert!(belongs("2.6.9-67.0.1.ELxenU-x86_64", "2.6.9-67.0.1.ELxenU"));
        assert!(belongs("6.1.0-56-amd64", "6.1.0-56-amd64"));
        assert!(!belongs("6.1.0-56-amd64", "6.1.0-5"));
        assert!(!belongs("6.1.0-56-amd64", "6.1.0-57-amd64"));
        assert!(!belongs("6.1.0", ""));
    }

    #[test]
    fn what_comes_most_often_is_the_rule_and_of_equals_the_first() {
        assert_eq!(most_common([1, 2, 2, 1, 3].into_iter()), Some(1));
        assert_eq!(most_common([1, 2, 2].into_iter()), Some(2));
        assert_eq!(most_common(Vec::<u8>::new().into_iter()), None);
    }

    #[test]
    fn a_weak_update_may_be_of_another_release_of_the_same_interface() {
        let path = |path: &str| ImagePath::new(path).unwrap();
        let (old, new) = ("2.6.32-1 SMP modversions ", "2.6.32-2 SMP modversions ");
        assert!(same_kernel(old, new, &path("weak-updates/x.ko")));
        assert!(!same_kernel(old, new, &path("extra/x.ko")));
        assert!(!same_kernel(
            "2.6.32-1 SMP ",
            "2.6.32-2 SMP ",
            &path("weak-updates/x.ko")
        ));
    }
}
