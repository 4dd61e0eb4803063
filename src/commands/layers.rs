//! The directories and packages that options name, as roots: what lies on what, and what of a package is kept
//! before it is asked for.

use std::num::NonZeroUsize;
use std::path::Path;

use super::observer::Observer;
use super::obstacles::Obstacles;
use super::shown;
use crate::cli::{Layer, LayerArgs};
use crate::error::Obstacle;
use crate::host;
use crate::host::directory::DirectoryFiles;
use crate::host::package::Digesting;
use crate::image_path::ImagePath;
use crate::kmod::likely::is_likely;
use crate::kmod::module_file;
use crate::kmod::name::is_module_file;
use crate::package::files::{Interest, Keep, PackageFiles};
use crate::package::{self, Facts};
use crate::problem::Problem;
use crate::record::lock::Role;
use crate::report::PackageReport;
use crate::root::layers::Layers;
use crate::root::{Files, Root};

/// A root, and the packages that it is made of.
pub(super) struct Opened {
    pub(super) root: Root,
    pub(super) packages: Vec<OpenedPackage>,
}

/// A package that was read.
pub(super) struct OpenedPackage {
    /// Its file, as a person may read it.
    pub(super) path: String,
    /// What it says of itself.
    pub(super) facts: Facts,
    digest: Digesting,
}

impl OpenedPackage {
    /// How a person names it, and what it says of itself.
    pub(super) fn claim(&self) -> (String, Facts) {
        (self.path.clone(), self.facts.clone())
    }

    /// What is reported of it.
    ///
    /// # Errors
    /// When its file cannot be read to its end.
    pub(super) fn report(self) -> Result<PackageReport, Problem<Obstacle>> {
        match self.digest.wait() {
            Ok(sha256) => Ok(PackageReport::new(self.path, &self.facts, sha256)),
            Err(error) => Err(Problem::new(self.path, Obstacle::Package(error.into()))),
        }
    }
}

/// The guest's root of all its layers; nothing where one of them cannot be had.
pub(super) fn open_layers(
    LayerArgs(layers): &LayerArgs,
    threads: NonZeroUsize,
    observer: &Observer,
    obstacles: &mut Obstacles,
) -> Option<Opened> {
    let mut packages = Vec::new();
    let host = [Layer::Directory("/".into())];
    let layers = match layers.as_slice() {
        [] => &host,
        layers => layers,
    };
    let opened = layers.iter().map(|layer| match layer {
        Layer::Directory(path) => {
            let opened = open_directory(Role::Root, "the guest's root", path, observer);
            obstacles.keep(opened)
        }
        Layer::Package(path) => {
            observer.package(path);
            let (files, package) = obstacles.keep(open_package(path, threads))?;
            packages.push(package);
            Some(files)
        }
    });
    // Gathered before they are taken together, so that each is tried.
    let opened: Option<Vec<Box<dyn Files>>> = opened.collect::<Vec<_>>().into_iter().collect();
    let root = obstacles.keep(on_each_other(opened?))?;
    Some(Opened { root, packages })
}

fn on_each_other(stores: Vec<Box<dyn Files>>) -> Result<Root, Problem<Obstacle>> {
    let stores = match <[_; 1]>::try_from(stores) {
        Ok([only]) => return Ok(Root::new(only)),
        Err(stores) => stores,
    };
    let holds = "the guest's root";
    let trouble =
        |source| Problem::<Obstacle>::new("--root", Obstacle::Directory { holds, source });
    let layers = Layers::new(stores).map_err(trouble)?;
    Ok(Root::new(Box::new(layers)))
}

fn open_package(
    path: &Path,
    threads: NonZeroUsize,
) -> Result<(Box<dyn Files>, OpenedPackage), Problem<Obstacle>> {
    let trouble = |error| Problem::<Obstacle>::new(shown(path), Obstacle::Package(error));
    let file = host::package::Package::open(path).map_err(|error| trouble(error.into()))?;
    let interest = Interest {
        keep: &keep,
        extract: &module_file::extract,
        threads,
    };
    let name = path.file_name().unwrap_or(path.as_os_str());
    let name = shown(Path::new(name));
    let files = PackageFiles::open(name, file.again(), package::LIMITS, &interest);
    let files = files.map_err(trouble)?;
    let package = OpenedPackage {
        path: shown(path),
        facts: files.facts().clone(),
        digest: file.digest(),
    };
    Ok((Box::new(files), package))
}

/// The largest file that is kept from the first reading of a package: programs, libraries and index files of
/// modules are smaller.
const KEPT: u64 = 4 << 20;
/// Where what a guest's image needs never lies; Debian has the boards' descriptions of a kernel by its package's name.
const NOT_NEEDED: [&str; 9] = [
    "boot/",
    "lib/firmware/",
    "usr/include/",
    "usr/lib/firmware/",
    "usr/lib/linux-image-",
    "usr/share/doc/",
    "usr/share/locale/",
    "usr/share/man/",
    "usr/src/",
];

/// How much of a package's file is kept from its first reading.
fn keep(path: &ImagePath, size: u64) -> Keep {
    let is_below = |top: &&str| path.as_bytes().starts_with(top.as_bytes());
    match is_module_file(path.file_name()) {
        true if !is_likely(path) => Keep::Extract,
        _ if size > KEPT || NOT_NEEDED.iter().any(is_below) => Keep::Nothing,
        _ => Keep::Whole,
    }
}

/// The host's directory that an option names as a root.
pub(super) fn open_root(
    role: Role,
    holds: &'static str,
    directory: &Path,
    observer: &Observer,
) -> Result<Root, Problem<Obstacle>> {
    open_directory(role, holds, directory, observer).map(Root::new)
}

fn open_directory(
    role: Role,
    holds: &'static str,
    directory: &Path,
    observer: &Observer,
) -> Result<Box<dyn Files>, Problem<Obstacle>> {
    match DirectoryFiles::new(directory) {
        Ok(files) => Ok(observer.directory(role, directory, files)),
        Err(source) => {
            let place = format!("{role} {}", shown(directory));
            Err(Problem::new(place, Obstacle::Directory { holds, source }))
        }
    }
}
