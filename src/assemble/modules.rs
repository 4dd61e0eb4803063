//! The modules of an image: chosen (`selection`), proved to be the kernel's own (`kinship`), and put
//! where they belong.

use std::collections::HashSet;

use super::{Assembler, PlacedModule};
use crate::arch::Arch;
use crate::image_path::ImagePath;
use crate::init::ModuleLoad;
use crate::kmod::name::unpacked_file_name;
use crate::kmod::tree::{ModuleId, ModuleTree};
use crate::manifest::ModuleLayout;
use crate::plan::Purpose;
use crate::problem::Fault;
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
        tree.load_whole(&wanted);
        let sound = self.readable(tree, &wanted);
        modules.arch = self.judge_kinds(tree, &sound);
        if let Some(release) = self.judge_vermagics(tree, &sound) {
            modules.release = release;
        }
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
        let file = tree.take_file(id);
        let Some((modinfo, content)) = file.and_then(|file| Some((file.modinfo, file.content?)))
        else {
            // It was read and judged; should it be gone now, the image must not go without it.
            let place = tree.shown(tree.path(id));
            return self.problem(place, Fault::Lookup(LookupError::Missing));
        };
        let path = self.image_path(tree, id, top, content.packed.is_some());
        let vermagic = modinfo.text("vermagic").unwrap_or_default();
        let bytes = match content.packed {
            Some(packed) if self.request.keep_compressed => packed,
            _ => content.bytes,
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
