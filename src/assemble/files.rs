//! The entries a manifest names that are no binaries: directories, links, devices, plain files.

use super::{Assembler, RootDevice};
use crate::image_path::ImagePath;
use crate::manifest::{Content, File, NodeKind, When};
use crate::plan::{Entry, Node, Purpose};
use crate::problem::Fault;
use crate::root::LookupError;

/// A file's bytes, and how a person names it.
type FoundFile = (Vec<u8>, String);

impl Assembler<'_> {
    /// Puts them into the plan.
    pub(super) fn structure(&mut self) {
        let manifest = &self.request.manifest;
        let origin = format!("manifest {}", manifest.name);
        let entry = |node, mode| Entry {
            node,
            mode,
            purpose: Purpose::Structure,
            origin: origin.clone(),
        };
        for directory in &manifest.directories {
            self.add(
                directory.path.clone(),
                entry(Node::Directory, directory.mode),
            );
        }
        for link in &manifest.links {
            let target = Node::Symlink(link.target.clone().into_bytes());
            self.add(link.path.clone(), entry(target, 0o777));
        }
        for node in &manifest.nodes {
            let device = match node.kind {
                NodeKind::Char => Node::CharDevice(node.major, node.minor),
                NodeKind::Block => Node::BlockDevice(node.major, node.minor),
            };
            self.add(node.path.clone(), entry(device, node.mode));
        }
        for file in &manifest.files {
            if self.applies(file.when) {
                self.plain_file(file, &origin);
            }
        }
    }

    /// Whether an entry's condition holds.
    pub(super) fn applies(&self, when: When) -> bool {
        match when {
            When::Always => true,
            When::LvmRoot => matches!(self.root_device(), RootDevice::LogicalVolume { .. }),
        }
    }

    fn plain_file(&mut self, file: &File, manifest: &str) {
        let (bytes, origin) = match &file.content {
            Content::Text(text) => (text.clone().into_bytes(), manifest.to_owned()),
            Content::FromRoot {
                candidates,
                otherwise,
            } => match self.first_of(candidates) {
                Ok(Some(found)) => found,
                Ok(None) => match otherwise {
                    Some(text) => (text.clone().into_bytes(), manifest.to_owned()),
                    None => {
                        let searched = candidates.iter().map(|path| self.root.shown(path));
                        let searched = searched.collect();
                        return self
                            .problem(file.path.to_string(), Fault::FileMissing { searched });
                    }
                },
                Err((place, error)) => return self.problem(place, error),
            },
        };
        self.add_file(file.path.clone(), file.mode, Purpose::File, bytes, origin);
    }

    /// The first of some paths that the root has: its bytes, and how a person names it.
    fn first_of(
        &self,
        candidates: &[ImagePath],
    ) -> Result<Option<FoundFile>, (String, LookupError)> {
        for path in candidates {
            let shown = self.root.shown(path);
            match self.root.read_if_there(path) {
                Ok(Some(bytes)) => return Ok(Some((bytes, shown))),
                Ok(None) => {}
                Err(error) => return Err((shown, error)),
            }
        }
        Ok(None)
    }
}
