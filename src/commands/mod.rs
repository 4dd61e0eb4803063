//! The subcommands: each reads, decides and writes, and says so in that order.

pub mod build;
pub mod manifests;
pub mod resolve;

use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::path::Path;

use crate::cli::KernelArgs;
use crate::error::Error;
use crate::host::directory::DirectoryFiles;
use crate::image_path::ImagePath;
use crate::kmod::config::ModprobeConfig;
use crate::nearest::nearest;
use crate::root::{FileKind, LookupError, Root};

/// The host's directory as a root.
fn open_root(directory: &Path) -> Result<Root, Error> {
    let files = DirectoryFiles::new(directory).map_err(|source| Error::Host {
        operation: "read",
        path: directory.to_path_buf(),
        source,
    })?;
    Ok(Root::new(Box::new(files)))
}

fn in_root<T>(root: &Root, path: &ImagePath, found: Result<T, LookupError>) -> Result<T, Error> {
    found.map_err(|error| match error {
        LookupError::At { path, source } => Error::Root {
            place: path,
            source: *source,
        },
        source => Error::Root {
            place: root.shown(path),
            source,
        },
    })
}

/// The kernel that is meant: the one named, or the only one there is.
fn choose_kernel(args: &KernelArgs, root: &Root) -> Result<String, Error> {
    let modules = ImagePath::new("lib/modules").unwrap_or_default();
    let (_, names) = in_root(root, &modules, root.list(&modules))?;
    let kernels: Vec<String> = names
        .into_iter()
        .filter(|(_, kind)| matches!(kind, FileKind::Directory | FileKind::Symlink(_)))
        .filter_map(|(name, _)| String::from_utf8(name).ok())
        .collect();
    let there = root.shown(&modules);
    match (&args.kernel, kernels.as_slice()) {
        (Some(named), _) if kernels.contains(named) => Ok(named.clone()),
        (None, [only]) => Ok(only.clone()),
        (_, []) => Err(Error::Usage(format!("there is no kernel in {there}"))),
        (Some(named), _) => {
            let near = nearest(named, kernels.iter().cloned());
            let shown = if near.is_empty() { kernels } else { near };
            let shown = shown.join(", ");
            Err(Error::Usage(format!(
                "no kernel {named} in {there}; did you mean {shown}?"
            )))
        }
        (None, several) => {
            let several = several.join("\n  ");
            Err(Error::Usage(format!(
                "several kernels in {there}; say --kernel with one of\n  {several}"
            )))
        }
    }
}

/// The directory of a kernel's modules in its root.
fn module_directory(kernel: &str) -> ImagePath {
    ImagePath::new(format!("lib/modules/{kernel}")).unwrap_or_default()
}

fn threads(args: &KernelArgs) -> NonZeroUsize {
    let processors = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    args.threads.unwrap_or(processors)
}

/// Where a system keeps what it tells modprobe, the weakest first.
const CONFIG_PLACES: [&str; 5] = [
    "etc/modprobe.conf",
    "lib/modprobe.d",
    "usr/local/lib/modprobe.d",
    "run/modprobe.d",
    "etc/modprobe.d",
];

/// The modules' options and aliases: of the files named, else of the root's own.
fn modprobe_config(args: &KernelArgs, root: &Root) -> Result<ModprobeConfig, Error> {
    let mut config = ModprobeConfig::default();
    for path in &args.modprobe_conf {
        for text in host_configs(path)? {
            config.add(&text);
        }
    }
    if args.modprobe_conf.is_empty() {
        for place in CONFIG_PLACES {
            let path = ImagePath::new(place).unwrap_or_default();
            in_root(root, &path, add_root_config(root, &path, &mut config))?;
        }
    }
    Ok(config)
}

fn host_configs(path: &Path) -> Result<Vec<Vec<u8>>, Error> {
    let read = || -> io::Result<Vec<Vec<u8>>> {
        if !path.is_dir() {
            return Ok(vec![read_text(path)?]);
        }
        let entries = std::fs::read_dir(path)?.map(|entry| Ok(entry?.path()));
        let mut files = entries.collect::<io::Result<Vec<_>>>()?;
        files.retain(|file| {
            file.extension()
                .is_some_and(|extension| extension == "conf")
        });
        files.sort();
        files.iter().map(|file| read_text(file)).collect()
    };
    read().map_err(|source| Error::Host {
        operation: "read",
        path: path.to_path_buf(),
        source,
    })
}

/// A manifest or a configuration is a few pages of text; what is larger is neither.
const TEXT_LIMIT: u64 = 1 << 20;

/// Reads a text of the host. The reading itself is bounded, for a device's size says nothing of how
/// much can be read from it.
fn read_text(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut file = std::fs::File::open(path)?.take(TEXT_LIMIT + 1);
    file.read_to_end(&mut text)?;
    if file.limit() == 0 {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    Ok(text)
}

fn add_root_config(
    root: &Root,
    path: &ImagePath,
    config: &mut ModprobeConfig,
) -> Result<(), LookupError> {
    let kind = match root.resolve(path) {
        Err(error) if error.is_missing() => return Ok(()),
        found => found?.1,
    };
    if kind != FileKind::Directory {
        config.add(&root.read(path)?);
        return Ok(());
    }
    for (name, _) in root.list(path)?.1 {
        if name.ends_with(b".conf") {
            let file = path.join(&name)?;
            config.add(&root.at(&file, root.read(&file))?);
        }
    }
    Ok(())
}

/// Writes results to standard output; that nobody reads them any more is an error without words.
fn print(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(output_error)
}

fn output_error(source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::BrokenPipe => Error::ClosedOutput,
        _ => Error::Host {
            operation: "write",
            path: "standard output".into(),
            source,
        },
    }
}

fn json(value: &impl serde::Serialize) -> Result<String, Error> {
    let text = serde_json::to_string_pretty(value).map_err(|error| output_error(error.into()))?;
    Ok(text + "\n")
}
