//! What every judgement begins with: the guest's root, which of its kernels, what it tells modprobe.

use super::layers::{OpenedPackage, open_layers};
use super::modprobe_conf::texts;
use super::observer::Observer;
use super::obstacles::Obstacles;
use super::threads;
use crate::cli::KernelArgs;
use crate::error::Obstacle;
use crate::image_path::{ImagePath, Shown};
use crate::kmod::MODULE_PLACES;
use crate::kmod::config::ModprobeConfig;
use crate::kmod::name::is_module_file;
use crate::nearest::nearest;
use crate::problem::Problem;
use crate::root::{FileKind, LookupError, Root, if_there};

/// A guest, as far as it could be had.
pub(super) struct Guest {
    /// Its root.
    pub(super) root: Option<Root>,
    /// The packages that this is made of.
    pub(super) packages: Vec<OpenedPackage>,
    /// Its kernel.
    pub(super) kernel: Option<Kernel>,
    /// Its modules' options and aliases, less those of files that cannot be read.
    pub(super) config: ModprobeConfig,
}

/// A kernel of the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kernel {
    /// The name of its modules' directory.
    pub(super) name: String,
    /// That directory in the root.
    pub(super) modules: ImagePath,
}

impl Guest {
    /// The guest that `args` mean; `observer` is told what is read of it.
    pub(super) fn open(args: &KernelArgs, observer: &Observer, obstacles: &mut Obstacles) -> Guest {
        let opened = open_layers(&args.layers, threads(args), observer, obstacles);
        let (root, packages) = opened.map(|opened| (opened.root, opened.packages)).unzip();
        let packages = packages.unwrap_or_default();
        let kernel = root.as_ref().and_then(|root| {
            let kernel = choose_kernel(args.kernel.as_deref(), root, &packages);
            let kernel = obstacles.keep(kernel)?;
            obstacles.keep(with_modules(kernel, root, &packages))
        });
        let mut config = ModprobeConfig::default();
        for text in texts(&args.modprobe_conf, root.as_ref(), observer) {
            if let Some(text) = obstacles.keep(text) {
                config.add(&text);
            }
        }
        Guest {
            root,
            packages,
            kernel,
            config,
        }
    }
}

/// The kernel that is meant: the one named, or the only one there is.
pub(super) fn choose_kernel(
    named: Option<&str>,
    root: &Root,
    packages: &[OpenedPackage],
) -> Result<Kernel, Problem<Obstacle>> {
    // Without a look at the others: they are nothing that this one depends on.
    if let Some(kernel) = named.and_then(|name| kernel_named(name, root)) {
        return Ok(kernel);
    }
    let kernels = kernels(root)?;
    let place = match kernels.first().and_then(|kernel| kernel.modules.parent()) {
        Some(modules) => root.shown(&modules),
        None => root.shown(&place_of(MODULE_PLACES[0])),
    };
    let there = || kernels.iter().map(|kernel| kernel.name.clone());
    match (named, kernels.as_slice()) {
        (None, [only]) => Ok(only.clone()),
        (_, []) => {
            let given = packages.iter().map(|package| package.facts.to_string());
            let (given, lacking) = (given.collect(), lacking(packages));
            Err(Problem::new(place, Obstacle::NoKernel { given, lacking }))
        }
        (None, kernels) => {
            let there = kernels.iter().map(|kernel| kernel.told(root)).collect();
            Err(Problem::new(place, Obstacle::KernelNotSaid { there }))
        }
        (Some(named), _) => match kernels.iter().find(|kernel| kernel.name == named) {
            Some(kernel) => Ok(kernel.clone()),
            None => {
                let place = format!("{place}/{}", Shown(named.as_bytes()));
                let (nearest, there) = (nearest(named, there()), there().collect());
                Err(Problem::new(
                    place,
                    Obstacle::KernelUnknown { there, nearest },
                ))
            }
        },
    }
}

impl Kernel {
    /// Its name, and the package that it comes from.
    fn told(&self, root: &Root) -> String {
        match root.shown(&self.modules).split_once(": /") {
            Some((package, _)) => format!("{} ({package})", self.name),
            None => self.name.clone(),
        }
    }
}

/// The packages with parts of a kernel that go with `packages`, and are none of them.
fn lacking(packages: &[OpenedPackage]) -> Vec<String> {
    let is_there = |name: &String| {
        let names = packages.iter().map(|package| &package.facts.name);
        names.flatten().any(|there| there == name)
    };
    let parts = packages
        .iter()
        .flat_map(|package| package.facts.parts_of_kernel());
    let mut lacking: Vec<String> = parts.filter(|name| !is_there(name)).collect();
    lacking.sort();
    lacking.dedup();
    lacking
}

/// The kernel, if there is more of it than itself: its modules, and with Debian's the list of what is built in, each in
/// a package of its own.
fn with_modules(
    kernel: Kernel,
    root: &Root,
    packages: &[OpenedPackage],
) -> Result<Kernel, Problem<Obstacle>> {
    if packages.is_empty() {
        return Ok(kernel);
    }
    let place = || root.shown(&kernel.modules);
    let missing = missing_part(&kernel, root, &lacking(packages));
    match missing.map_err(|error| Problem::of_lookup(place(), error))? {
        None => Ok(kernel),
        Some(part) => {
            let lacking = lacking(packages);
            Err(Problem::new(
                place(),
                Obstacle::PartMissing { part, lacking },
            ))
        }
    }
}

/// What is not there of a kernel. One that has all built in has a list of that, and none of modules, or an empty one.
fn missing_part(
    kernel: &Kernel,
    root: &Root,
    lacking: &[String],
) -> Result<Option<&'static str>, LookupError> {
    let (_, names) = root.list(&kernel.modules)?;
    let is_called = |wanted: &[u8]| names.iter().any(|(name, _)| name == wanted);
    let holds_some = |(name, kind): &(Vec<u8>, FileKind)| {
        matches!(kind, FileKind::Directory | FileKind::Symlink(_)) || is_module_file(name)
    };
    let has_list = is_called(b"modules.builtin");
    if names.iter().any(holds_some) || is_called(b"modules.dep") {
        let has_base = !lacking.iter().any(|name| name.starts_with("linux-base-"));
        return Ok((!has_list && !has_base).then_some("the list of what is built into it"));
    }
    let order = root.read_if_there(&kernel.modules.join(b"modules.order")?)?;
    let is_whole = has_list && order.is_none_or(|list| list.is_empty());
    Ok((!is_whole).then_some("modules"))
}

fn place_of(place: &str) -> ImagePath {
    ImagePath::new(place).unwrap_or_default()
}

/// The kernel of that name, in the strongest place that has it, where this can be told.
fn kernel_named(name: &str, root: &Root) -> Option<Kernel> {
    if name.contains('/') || matches!(name, "" | "." | "..") {
        return None;
    }
    for place in MODULE_PLACES.map(place_of) {
        let modules = place.join(name.as_bytes()).ok()?;
        match root.resolve(&modules) {
            Ok((_, FileKind::Directory)) => {
                let name = name.to_owned();
                return Some(Kernel { name, modules });
            }
            Err(LookupError::Missing) => {}
            _ => return None,
        }
    }
    None
}

/// Every kernel of the root, by name: one in two places counts in the stronger.
fn kernels(root: &Root) -> Result<Vec<Kernel>, Problem> {
    let mut kernels: Vec<Kernel> = Vec::new();
    for place in MODULE_PLACES.map(place_of) {
        let listed = kernels_in(root, &place);
        kernels.extend(listed.map_err(|error| Problem::of_lookup(root.shown(&place), error))?);
    }
    // A stable sort: the stronger place stays in front.
    kernels.sort_by(|a, b| a.name.cmp(&b.name));
    kernels.dedup_by(|weaker, stronger| weaker.name == stronger.name);
    Ok(kernels)
}

fn kernels_in(root: &Root, place: &ImagePath) -> Result<Vec<Kernel>, LookupError> {
    let listed = if_there(root.list(place))?;
    let names = listed.map(|(_, names)| names).unwrap_or_default();
    let directories = names
        .into_iter()
        .filter(|(_, kind)| matches!(kind, FileKind::Directory | FileKind::Symlink(_)));
    let names = directories.filter_map(|(name, _)| String::from_utf8(name).ok());
    let kernel = |name: String| {
        let modules = place.join(name.as_bytes())?;
        Ok(Kernel { name, modules })
    };
    names.map(kernel).collect()
}
