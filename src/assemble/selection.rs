//! Which modules an image takes.

use globset::{Glob, GlobSet, GlobSetBuilder};

use super::{Assembler, RootDevice};
use crate::kmod::aliases::normalise;
use crate::kmod::name::ModuleName;
use crate::kmod::order::{LoadOrder, OrderFault, Resolver};
use crate::kmod::tree::{ModuleId, ModuleTree};
use crate::manifest::InitKind;
use crate::problem::{Fault, Problem};

/// RAID personalities, one of which a root on md needs; `raid456` is what `raid5` became in 2.6.18.
const RAID_PERSONALITIES: [&str; 6] = ["linear", "raid0", "raid1", "raid10", "raid5", "raid456"];
/// What the root on a logical volume needs beside `dm-mod`, where the tree has it.
const LVM_TARGETS: [&str; 3] = ["dm-mirror", "dm-zero", "dm-snapshot"];

/// The types of FAT, and the code pages that the kernel asks modprobe for when one is mounted (`load_nls` in
/// its `fs/nls/nls_base.c`), in the kernels of distributions: no module says that it needs them.
const FAT: [&str; 2] = ["vfat", "msdos"];
const CODE_PAGES: [&str; 3] = ["nls_cp437", "nls_ascii", "nls_iso8859-1"];

impl Assembler<'_> {
    /// Which modules go in, and in which order they load: as preloaded, as the manifest's drivers,
    /// for storage, for the root's file system, and as asked for besides.
    pub(super) fn load_order(&mut self, tree: &mut ModuleTree<'_>) -> Option<LoadOrder> {
        let request = self.request;
        for name in &request.builtin {
            tree.assume_builtin(ModuleName::new(name));
        }
        let included = self.included(tree);
        let mut resolver = Resolver::new(tree);
        request
            .preload
            .iter()
            .for_each(|name| resolver.require(name));
        self.drivers(&mut resolver);
        if matches!(request.manifest.init, InitKind::Nash42 | InitKind::Nash51) {
            self.storage_as_mkinitrd(&mut resolver);
        }
        require_file_system(&mut resolver, request.rootfs());
        if matches!(self.root_device(), RootDevice::LogicalVolume { .. }) {
            self.volume_drivers(&mut resolver);
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
    fn storage_as_mkinitrd(&mut self, resolver: &mut Resolver<'_, '_>) {
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
        if matches!(self.root_device(), RootDevice::Raid { .. }) {
            self.array_drivers(resolver);
        }
    }

    /// What a root on an array needs. Which personality it has is known in the guest alone: all
    /// there are go in, and one there must be. `md` itself may be built into a kernel that does not
    /// say so.
    fn array_drivers(&mut self, resolver: &mut Resolver<'_, '_>) {
        if self.request.omit_raid {
            return self.contradicted("--omit-raid-modules");
        }
        resolver.want("md");
        let there = RAID_PERSONALITIES.map(|name| resolver.want(name));
        if !there.contains(&true) {
            let any_of = RAID_PERSONALITIES.map(str::to_owned).to_vec();
            let role = "RAID".to_owned();
            self.problem("--root-device", Fault::DriverMissing { role, any_of });
        }
    }

    /// What a root on a logical volume needs.
    fn volume_drivers(&mut self, resolver: &mut Resolver<'_, '_>) {
        if self.request.omit_lvm {
            return self.contradicted("--omit-lvm-modules");
        }
        resolver.require("dm-mod");
        LVM_TARGETS.iter().for_each(|name| {
            resolver.want(name);
        });
    }

    /// Tells that an option leaves out what the root device needs.
    fn contradicted(&mut self, option: &'static str) {
        let device = self.request.root_device.clone().unwrap_or_default();
        self.problem(option, Fault::OmitContradicted { option, device });
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
}

/// The file system's module, or the kernel's own; some, such as ext3 today, are only an alias.
fn require_file_system(resolver: &mut Resolver<'_, '_>, name: &str) {
    if !resolver.want(name) && !resolver.want(&format!("fs-{name}")) {
        resolver.require(name);
    }
    if FAT.contains(&name) {
        CODE_PAGES.iter().for_each(|name| {
            resolver.want(name);
        });
    }
}

fn matcher(patterns: &[String]) -> GlobSet {
    let mut set = GlobSetBuilder::new();
    // The manifest's reader has refused patterns that do not compile.
    patterns
        .iter()
        .filter_map(|pattern| {
            let normalised = normalise(pattern.as_bytes());
            Glob::new(&String::from_utf8_lossy(&normalised)).ok()
        })
        .for_each(|glob| {
            set.add(glob);
        });
    set.build().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_takes_a_dash_for_an_underscore_but_within_brackets() {
        let patterns = ["dm-*", "ra[a-i]d1"].map(str::to_owned);
        let matcher = matcher(&patterns);
        for (name, want) in [("dm_mod", true), ("raid1", true), ("raxd1", false)] {
            assert_eq!(matcher.is_match(name), want, "{name}");
        }
    }
}
