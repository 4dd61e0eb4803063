//! The lists of modules that the inits of known builders read.

use std::collections::BTreeMap;

use xinitrd_native_logic::modules::modules;

use crate::image_path::ImagePath;
use crate::init::texts::MODULES_PATH;
use crate::inspect::picture::Content;
use crate::inspect::tree::Tree;
use crate::root::FileKind;

use super::Loader;
use super::words::{first, lines, text, unquoted, words};

/// A module that is asked for.
pub(super) struct Asked {
    /// A path, a name or an alias.
    pub module: String,
    /// How it is loaded.
    pub loader: Loader,
    /// Its parameters.
    pub options: String,
}

/// The list of this program's own init, as that reads it. A carriage return at the end of a path, which is no
/// file's then, is told of the whole list, and of a line that has nothing else nothing; nor of one that a person
/// takes for a comment, and the program for a file that nobody misses.
pub(super) fn native(tree: &Tree) -> Vec<Asked> {
    let list = tree.text(MODULES_PATH).unwrap_or_default();
    let is_meant = |path: &[u8]| path != b"\r" && !path.starts_with(b"#");
    let modules = modules(list).filter(|module| is_meant(module.path));
    let files = modules.map(|module| Asked {
        module: text(module.path.strip_suffix(b"\r").unwrap_or(module.path)),
        loader: Loader::Insmod,
        options: text(module.parameters),
    });
    files.collect()
}

/// A list of files, each with its parameters: of this program's busybox script, and of tiny-initramfs.
pub(super) fn files(tree: &Tree, path: &str) -> Vec<Asked> {
    let list = tree.text(path).unwrap_or_default();
    let lines = list.split(|&byte| byte == b'\n');
    let files = lines.filter(|line| !line.is_empty()).map(|line| {
        let (module, options) = first(line);
        Asked {
            module: text(module),
            loader: Loader::Insmod,
            options: text(options),
        }
    });
    files.collect()
}

/// `load_modules` in the `scripts/functions` of initramfs-tools: a name a line, with parameters.
pub(super) fn initramfs_tools(tree: &Tree) -> Vec<Asked> {
    let list = lines(tree.text("conf/modules").unwrap_or_default());
    let asked = list.map(|line| {
        let (module, options) = first(line);
        Asked {
            module: text(module),
            loader: Loader::Modprobe,
            options: text(options),
        }
    });
    asked.collect()
}

/// What mkinitcpio's init sources from `config`, or systemd reads.
pub(super) fn mkinitcpio(tree: &Tree) -> Vec<Asked> {
    let config = tree.text("config").unwrap_or_default();
    let values = lines(config).filter_map(|line| line.strip_prefix(b"MODULES="));
    let names = words(unquoted(values.last().unwrap_or_default()));
    let mut asked: Vec<Asked> = names.map(by_name).collect();
    asked.extend(modules_load(tree));
    asked
}

/// What systemd, and the words of `rd.driver.pre=` and `rd.driver.post=`, load in dracut's images
/// (dracut.cmdline(7)); the first words are those of old versions.
pub(super) fn dracut(tree: &Tree) -> Vec<Asked> {
    let mut asked = modules_load(tree);
    let texts = files_of(tree, "etc/cmdline.d");
    let line: Vec<&[u8]> = tree.text("etc/cmdline").into_iter().chain(texts).collect();
    for options in [
        ["rdloaddriver=", "rd.driver.pre="],
        ["rdinsmodpost=", "rd.driver.post="],
    ] {
        let words = line.iter().flat_map(|line| words(line));
        let lists = words.filter_map(|word| {
            let strip = |option: &&str| word.strip_prefix(option.as_bytes());
            options.iter().find_map(strip).map(unquoted)
        });
        let names = lists.flat_map(|list| list.split(|&byte| byte == b','));
        let names = names.map(|name| name.trim_ascii_start().trim_ascii_end());
        asked.extend(names.filter(|name| !name.is_empty()).map(by_name));
    }
    asked
}

/// `modules-load.d(5)`, where systemd is there to read it: the files of all directories in the order
/// of their names, one of a name.
fn modules_load(tree: &Tree) -> Vec<Asked> {
    let service = ImagePath::new("usr/lib/systemd/systemd-modules-load");
    if !service.is_ok_and(|service| tree.find(&service).is_ok()) {
        return Vec::new();
    }
    let mut files = BTreeMap::new();
    for directory in ["etc", "run", "usr/lib"] {
        for (name, path) in names_of(tree, &format!("{directory}/modules-load.d")) {
            files.entry(name).or_insert(path);
        }
    }
    let files = files.iter().filter(|(name, _)| name.ends_with(b".conf"));
    let texts = files.filter_map(|(_, path)| text_at(tree, path));
    let is_said = |line: &&[u8]| !line.starts_with(b";");
    texts.flat_map(lines).filter(is_said).map(by_name).collect()
}

/// `modulesforceload` of booster's own configuration, which its generator writes: a mapping with a
/// list of plain names below its key.
pub(super) fn booster(tree: &Tree) -> Vec<Asked> {
    let text = tree.text("etc/booster.init.yaml").unwrap_or_default();
    let mut lines = text.split(|&byte| byte == b'\n');
    let is_key = |line: &[u8]| line.trim_ascii_end() == b"modulesforceload:";
    let names = lines
        .by_ref()
        .skip_while(|line| !is_key(line))
        .skip(1)
        .map_while(|line| line.trim_ascii().strip_prefix(b"- "));
    names
        .map(|name| by_name(unquoted(name.trim_ascii())))
        .collect()
}

fn by_name(module: &[u8]) -> Asked {
    Asked {
        module: text(module),
        loader: Loader::Modprobe,
        options: String::new(),
    }
}

/// The files of a directory by name, links among them.
fn names_of(tree: &Tree, directory: &str) -> Vec<(Vec<u8>, ImagePath)> {
    let listed = ImagePath::new(directory).map(|directory| tree.root().list(&directory));
    let Ok(Ok((real, names))) = listed else {
        return Vec::new();
    };
    let names = names
        .into_iter()
        .filter(|(_, kind)| *kind != FileKind::Directory);
    names
        .filter_map(|(name, _)| Some((name.clone(), real.join(&name).ok()?)))
        .collect()
}

fn files_of<'t>(tree: &'t Tree, directory: &str) -> Vec<&'t [u8]> {
    let names = names_of(tree, directory);
    let texts = names.iter().filter_map(|(_, path)| text_at(tree, path));
    texts.collect()
}

fn text_at<'t>(tree: &'t Tree, path: &ImagePath) -> Option<&'t [u8]> {
    match tree.content(tree.find(path).ok()?.1) {
        Content::Text(text) => Some(text),
        _ => None,
    }
}
