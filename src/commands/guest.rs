//! What every judgement begins with: the guest's root, which of its kernels, what it tells modprobe.

use std::io;
use std::path::{Path, PathBuf};

use super::obstacles::Obstacles;
use super::{read_text, shown};
use crate::cli::KernelArgs;
use crate::error::Obstacle;
use crate::host::directory::DirectoryFiles;
use crate::image_path::{ImagePath, Shown};
use crate::kmod::config::ModprobeConfig;
use crate::nearest::nearest;
use crate::problem::Problem;
use crate::root::{FileKind, LookupError, Root};

/// A guest, as far as it could be had.
pub(super) struct Guest {
    /// Its root.
    pub(super) root: Option<Root>,
    /// The directory of its kernel's modules, by name.
    pub(super) kernel: Option<String>,
    /// Its modules' options and aliases, less those of files that cannot be read.
    pub(super) config: ModprobeConfig,
}

impl Guest {
    /// The guest that `args` mean.
    pub(super) fn open(args: &KernelArgs, obstacles: &mut Obstacles) -> Guest {
        let root = obstacles.keep(open_root("--root", "the guest's root", &args.root));
        let kernel = root.as_ref().and_then(|root| {
            let kernel = choose_kernel(args.kernel.as_deref(), root);
            obstacles.keep(kernel)
        });
        let mut config = ModprobeConfig::default();
        for text in config_texts(&args.modprobe_conf, root.as_ref()) {
            if let Some(text) = obstacles.keep(text) {
                config.add(&text);
            }
        }
        Guest {
            root,
            kernel,
            config,
        }
    }
}

/// The host's directory that `option` names as a root.
pub(super) fn open_root(
    option: &str,
    holds: &'static str,
    directory: &Path,
) -> Result<Root, Problem<Obstacle>> {
    match DirectoryFiles::new(directory) {
        Ok(files) => Ok(Root::new(Box::new(files))),
        Err(source) => {
            let place = format!("{option} {}", shown(directory));
            Err(Problem::new(place, Obstacle::Directory { holds, source }))
        }
    }
}

/// The kernel that is meant: the one named, or the only one there is.
fn choose_kernel(named: Option<&str>, root: &Root) -> Result<String, Problem<Obstacle>> {
    let modules = ImagePath::new("lib/modules").unwrap_or_default();
    let place = root.shown(&modules);
    let there = match kernels(root, &modules) {
        Ok(there) => there,
        Err(error) => return Err(Problem::of_lookup(place, error).into()),
    };
    match (named, there.as_slice()) {
        (Some(named), _) if there.iter().any(|kernel| kernel == named) => Ok(named.to_owned()),
        (None, [only]) => Ok(only.clone()),
        (_, []) => Err(Problem::new(place, Obstacle::NoKernel)),
        (None, _) => Err(Problem::new(place, Obstacle::KernelNotSaid { there })),
        (Some(named), _) => {
            let nearest = nearest(named, there.iter().cloned());
            let place = format!("{place}/{}", Shown(named.as_bytes()));
            let unknown = Obstacle::KernelUnknown { there, nearest };
            Err(Problem::new(place, unknown))
        }
    }
}

fn kernels(root: &Root, modules: &ImagePath) -> Result<Vec<String>, LookupError> {
    let names = match root.list(modules) {
        Err(error) if error.is_missing() => return Ok(Vec::new()),
        listed => listed?.1,
    };
    let directories = names
        .into_iter()
        .filter(|(_, kind)| matches!(kind, FileKind::Directory | FileKind::Symlink(_)));
    Ok(directories
        .filter_map(|(name, _)| String::from_utf8(name).ok())
        .collect())
}

/// A configuration's text, or why there is none.
type Text = Result<Vec<u8>, Problem<Obstacle>>;

/// Where a system keeps what it tells modprobe, the weakest first.
const CONFIG_PLACES: [&str; 5] = [
    "etc/modprobe.conf",
    "lib/modprobe.d",
    "usr/local/lib/modprobe.d",
    "run/modprobe.d",
    "etc/modprobe.d",
];

/// The texts of the files named, else of the root's own.
fn config_texts(named: &[PathBuf], root: Option<&Root>) -> Vec<Text> {
    if !named.is_empty() {
        return named.iter().flat_map(|path| host_texts(path)).collect();
    }
    let places = CONFIG_PLACES.map(|place| ImagePath::new(place).unwrap_or_default());
    let texts = root.map(|root| places.iter().flat_map(|place| root_texts(root, place)));
    texts.into_iter().flatten().collect()
}

fn host_texts(path: &Path) -> Vec<Text> {
    let told = |path: &Path, read: io::Result<Vec<u8>>| {
        let expected = "a configuration of modprobe, or a directory of *.conf files";
        let text = |source| Problem::new(shown(path), Obstacle::Text { expected, source });
        read.map_err(text)
    };
    if !path.is_dir() {
        return vec![told(path, read_text(path))];
    }
    match conf_files(path) {
        Err(error) => vec![told(path, Err(error))],
        Ok(files) => files
            .iter()
            .map(|file| told(file, read_regular(file)))
            .collect(),
    }
}

fn conf_files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(directory)?.map(|entry| Ok(entry?.path()));
    let mut files = entries.collect::<io::Result<Vec<_>>>()?;
    files.retain(|file| file.extension().is_some_and(|found| found == "conf"));
    files.sort();
    Ok(files)
}

/// Reads a file that nobody named: a pipe among them would be waited for without end.
fn read_regular(file: &Path) -> io::Result<Vec<u8>> {
    if !std::fs::metadata(file)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    read_text(file)
}

fn root_texts(root: &Root, place: &ImagePath) -> Vec<Text> {
    let unreadable = |path: &ImagePath, error| Problem::of_lookup(root.shown(path), error).into();
    match root_files(root, place) {
        Err(error) => vec![Err(unreadable(place, error))],
        Ok(files) => files
            .iter()
            .map(|file| root.read(file).map_err(|error| unreadable(file, error)))
            .collect(),
    }
}

/// The file itself, or the `.conf` files in a directory, or none where nothing is there.
fn root_files(root: &Root, place: &ImagePath) -> Result<Vec<ImagePath>, LookupError> {
    match root.resolve(place) {
        Err(error) if error.is_missing() => Ok(Vec::new()),
        Err(error) => Err(error),
        Ok((real, FileKind::Directory)) => {
            let names = root.list(&real)?.1.into_iter().map(|(name, _)| name);
            let files = names.filter(|name| name.ends_with(b".conf"));
            files.map(|name| Ok(place.join(&name)?)).collect()
        }
        Ok(_) => Ok(vec![place.clone()]),
    }
}
