//! The index files that busybox's modprobe reads, for the modules of an image: the guest's kernel
//! asks `/sbin/modprobe` for more of them by name or alias (`request_module`) once it runs.
//!
//! It reads the texts (`modutils/modprobe.c`), not the `.bin` files of kmod, and no soft
//! dependencies.

use std::collections::HashMap;

use super::Assembler;
use crate::image_path::ImagePath;
use crate::kmod::module_file::ModuleFile;
use crate::kmod::order::LoadOrder;
use crate::kmod::tree::{ModuleId, ModuleTree};
use crate::plan::Purpose;

impl Assembler<'_> {
    /// Adds `modules.dep` and `modules.alias` under `top`.
    pub(super) fn module_index(
        &mut self,
        tree: &ModuleTree<'_>,
        order: &LoadOrder,
        top: &ImagePath,
    ) {
        let ids: Vec<ModuleId> = order.load.iter().chain(&order.include).copied().collect();
        for (name, text) in [
            ("modules.dep", self.dep_text(tree, order, &ids, top)),
            ("modules.alias", alias_text(tree, &ids)),
        ] {
            if let Ok(path) = top.join(name.as_bytes()) {
                self.add_file(
                    path,
                    0o644,
                    Purpose::Module,
                    text,
                    "made for the modules of the image",
                );
            }
        }
    }

    fn dep_text(
        &self,
        tree: &ModuleTree<'_>,
        order: &LoadOrder,
        ids: &[ModuleId],
        top: &ImagePath,
    ) -> Vec<u8> {
        let skip = top.as_bytes().len() + 1;
        let path = |id: ModuleId| {
            let packed = tree.ask(id, ModuleFile::is_packed) == Some(true);
            let path = self.image_path(tree, id, top, packed);
            path.as_bytes().get(skip..).unwrap_or_default().to_vec()
        };
        let paths: HashMap<ModuleId, Vec<u8>> = ids.iter().map(|&id| (id, path(id))).collect();
        let mut text = Vec::new();
        for &id in ids {
            text.extend(path(id));
            text.push(b':');
            let needs = order.needs_of(id).iter().rev();
            for need in needs.filter_map(|need| paths.get(need)) {
                text.push(b' ');
                text.extend(need);
            }
            text.push(b'\n');
        }
        text
    }
}

fn alias_text(tree: &ModuleTree<'_>, ids: &[ModuleId]) -> Vec<u8> {
    let mut text = Vec::new();
    for &id in ids {
        for alias in tree.modinfo(id).all("alias") {
            text.extend([b"alias ", alias, b" ", tree.name(id).as_bytes(), b"\n"].concat());
        }
    }
    text
}
