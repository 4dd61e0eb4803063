//! The modules of a kernel in the guest's root.
//!
//! In: the root, and the kernel's release. Out: each module by its name, read when it is asked for.

use std::collections::HashMap;
use std::fmt;

use super::MODULE_PLACES;
use crate::image_path::ImagePath;
use crate::inspect::module::InspectedModule;
use crate::kmod::name::{ModuleName, is_module_file};
use crate::root::{Files, LookupError, Root, if_there, read_whole};

/// Directories of a kernel's modules in which there are none of its own, but links to where it was built.
const NOT_ENTERED: [&[u8]; 2] = [b"build", b"source"];

/// The modules of a kernel.
pub(super) struct OwnModules {
    files: Box<dyn Files>,
    /// Where those of a name really lie.
    paths: HashMap<ModuleName, Vec<ImagePath>>,
}

impl OwnModules {
    /// Those of the kernel with this release in `root`.
    pub(super) fn find(root: Root, release: &str) -> Result<OwnModules, LookupError> {
        let mut paths: HashMap<ModuleName, Vec<ImagePath>> = HashMap::new();
        for place in MODULE_PLACES {
            let top = ImagePath::new(format!("{place}/{release}"))?;
            let Some(met) = if_there(root.walk(&top, &is_module_file, &NOT_ENTERED))? else {
                continue;
            };
            for path in met.files {
                if let Some(name) = ModuleName::of_file(path.file_name()) {
                    let real = root.regular_file(&path)?;
                    paths.entry(name).or_default().push(real);
                }
            }
            break;
        }
        let files = root.into_files();
        Ok(OwnModules { files, paths })
    }

    /// Those called `name` that can be read, each with where it lies.
    pub(super) fn called(&self, name: &ModuleName) -> Vec<(&ImagePath, InspectedModule)> {
        let paths = self.paths.get(name).into_iter().flatten();
        let read = paths.filter_map(|path| {
            let bytes = read_whole(self.files.open(path).ok()?.as_ref()).ok()?;
            let module = InspectedModule::read(&bytes, &mut u64::from(u32::MAX)).ok()?;
            Some((path, module))
        });
        read.collect()
    }
}

impl fmt::Debug for OwnModules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnModules")
            .field(&self.paths.len())
            .finish()
    }
}
