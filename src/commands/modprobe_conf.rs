//! What a system tells modprobe: the texts of its configuration, the weakest first (`modprobe.d(5)`).

use std::collections::BTreeMap;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::observer::Observer;
use super::shown;
use crate::error::Obstacle;
use crate::host::text::{self, conf_files};
use crate::image_path::ImagePath;
use crate::problem::Problem;
use crate::record::lock::Role;
use crate::record::observed::Content;
use crate::root::{FileKind, LookupError, Root, if_there};

/// A configuration's text, or why there is none.
type Text = Result<Vec<u8>, Problem<Obstacle>>;

/// The directories of a system's configuration, the strongest first (libkmod's
/// `default_config_paths`). A file hides those of its name in the directories after its own.
const DIRECTORIES: [&str; 5] = [
    "etc/modprobe.d",
    "run/modprobe.d",
    "usr/local/lib/modprobe.d",
    "usr/lib/modprobe.d",
    "lib/modprobe.d",
];

/// The one file that systems had before the directories.
const SINGLE_FILE: &str = "etc/modprobe.conf";

const EXPECTED: &str = "a configuration of modprobe, or a directory of *.conf files";

/// The texts of the files and directories of the host that are named, else of the root's own.
pub(super) fn texts(named: &[PathBuf], root: Option<&Root>, observer: &Observer) -> Vec<Text> {
    let of_host = |path: &PathBuf| host_texts(path, observer);
    match root {
        _ if !named.is_empty() => named.iter().flat_map(of_host).collect(),
        Some(root) => root_texts(root),
        None => Vec::new(),
    }
}

fn not_read(place: String, source: io::Error) -> Problem<Obstacle> {
    let expected = EXPECTED;
    Problem::new(place, Obstacle::Text { expected, source })
}

fn host_texts(path: &Path, observer: &Observer) -> Vec<Text> {
    let told =
        |path: &Path, read: io::Result<_>| read.map_err(|error| not_read(shown(path), error));
    match conf_files(path) {
        Err(error) => vec![told(path, Err(error))],
        Ok(None) => {
            let text = told(path, text::read(path));
            if let Ok(text) = &text {
                observer.text(Some(Role::ModprobeConf), path, text);
            }
            vec![text]
        }
        Ok(Some(files)) => {
            let texts = files
                .iter()
                .map(|file| told(file, text::read_regular(file)));
            let texts: Vec<Text> = texts.collect();
            observe(path, &files, &texts, observer);
            texts
        }
    }
}

/// Tells of the files of a directory, and that their names were what decided.
fn observe(directory: &Path, files: &[PathBuf], texts: &[Text], observer: &Observer) {
    let Some(journal) = observer.begin(Some(Role::ModprobeConf), directory) else {
        return;
    };
    journal.directory(ImagePath::default());
    for (file, text) in files.iter().zip(texts) {
        let name = file.file_name().unwrap_or_default();
        if let (Ok(path), Ok(text)) = (ImagePath::new(name.as_bytes()), text) {
            journal.file(path, Content::of(text));
        }
    }
}

fn root_texts(root: &Root) -> Vec<Text> {
    let mut texts = Vec::new();
    let mut files = BTreeMap::new();
    for directory in DIRECTORIES.map(place) {
        match conf_names(root, &directory) {
            Err(error) => texts.push(Err(unreadable(root, &directory, error))),
            Ok(names) => {
                for (name, kind) in names {
                    files
                        .entry(name)
                        .or_insert_with(|| (directory.clone(), kind));
                }
            }
        }
    }
    texts.extend(root_text(root, &place(SINGLE_FILE)).transpose());
    let read = |(name, (directory, kind)): (Vec<u8>, (ImagePath, FileKind))| {
        if is_mask(&kind) {
            return None;
        }
        match directory.join(&name) {
            Ok(path) => root_text(root, &path).transpose(),
            Err(bad) => Some(Err(unreadable(root, &directory, bad.into()))),
        }
    };
    texts.extend(files.into_iter().filter_map(read));
    texts
}

fn place(path: &str) -> ImagePath {
    ImagePath::new(path).unwrap_or_default()
}

fn unreadable(root: &Root, path: &ImagePath, error: LookupError) -> Problem<Obstacle> {
    Problem::of_lookup(root.shown(path), error).into()
}

/// The configuration files in a directory, which need not be there; hidden files are none.
fn conf_names(root: &Root, directory: &ImagePath) -> Result<Vec<(Vec<u8>, FileKind)>, LookupError> {
    let listed = if_there(root.list(directory))?;
    let mut names = listed.map(|(_, names)| names).unwrap_or_default();
    names.retain(|(name, _)| name.ends_with(b".conf") && !name.starts_with(b"."));
    Ok(names)
}

/// Whether it is there only to hide weaker files of its name: a link to `/dev/null`, which the root
/// itself need not have.
fn is_mask(kind: &FileKind) -> bool {
    let FileKind::Symlink(target) = kind else {
        return false;
    };
    let mut components = target.split(|&byte| byte == b'/');
    let named = components
        .by_ref()
        .skip_while(|name| matches!(*name, b"" | b"." | b".."));
    named.eq([&b"dev"[..], b"null"])
}

/// A file's text; nothing where there is no file.
fn root_text(root: &Root, path: &ImagePath) -> Result<Option<Vec<u8>>, Problem<Obstacle>> {
    match if_there(root.read_at_most(path, text::LIMIT)) {
        Err(LookupError::TooLarge { .. }) => Err(not_read(root.shown(path), text::too_large())),
        read => read.map_err(|error| unreadable(root, path, error)),
    }
}
