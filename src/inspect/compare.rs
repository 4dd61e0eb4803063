//! Two images compared by what a guest would get of them: paths, types, modes, content, the versions of
//! modules and the order in which they are loaded. Not by bytes: compression, times, inode numbers
//! and the order of entries change nothing for the guest.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::Inspection;
use super::picture::{self, Item};
use crate::archive::FileType;
use crate::digest::Digest;
use crate::image_path::{ImagePath, Shown};

/// The most bytes of what was and what is that are told in one line.
const LINE: usize = 80;

/// What tells two images apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Comparison {
    /// Paths that only the first has.
    pub removed: Vec<String>,
    /// Paths that only the second has.
    pub added: Vec<String>,
    /// Paths that both have, and what differs there.
    pub changed: Vec<Changed>,
    /// The modules that the init loads, in its order, where that differs: of the first, of the second.
    pub load_order: Option<(Vec<String>, Vec<String>)>,
    /// What differs without the guest's noticing: `compression`, `times` ...
    pub besides: BTreeSet<&'static str>,
}

/// A path that both images have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// The path.
    pub path: String,
    /// What differs.
    pub changes: Vec<Change>,
}

/// A property that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Its name: `type`, `mode`, `owner`, `device`, `target`, `version`, `vermagic`, `size`, `content`.
    pub what: &'static str,
    /// What it is in the first image.
    pub from: String,
    /// What it is in the second.
    pub to: String,
}

impl Comparison {
    /// Compares two images, read with their digests.
    #[must_use]
    pub fn of(first: &Inspection, second: &Inspection) -> Comparison {
        let mut comparison = Comparison::default();
        comparison.compare_files(first, second);
        let loads = |inspection: &Inspection| -> Vec<String> {
            let loads = inspection.boot.loads.iter();
            loads.map(|load| Shown::words(&load.module)).collect()
        };
        let orders = (loads(first), loads(second));
        comparison.load_order = Some(orders).filter(|(first, second)| first != second);
        comparison.compare_besides(first, second);
        comparison
    }

    /// Whether a guest would get the same of both.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.removed.is_empty()
            && self.added.is_empty()
            && self.changed.is_empty()
            && self.load_order.is_none()
    }

    fn compare_files(&mut self, first: &Inspection, second: &Inspection) {
        for (path, before) in first.tree.items() {
            let Some(after) = second.tree.at(path) else {
                self.removed.extend(named(path));
                continue;
            };
            if before.entry.header.mtime != after.entry.header.mtime {
                self.besides.insert("times");
            }
            let mut changes = changes(before, after);
            let (before, after) = (Content::of(first, path), Content::of(second, path));
            changes.extend(change("size", (before.size, after.size)));
            changes.extend(change("content", (before.digest, after.digest)));
            if !changes.is_empty() {
                let path = shown(path);
                self.changed.push(Changed { path, changes });
            }
        }
        let is_new = |path: &&ImagePath| first.tree.at(path).is_none();
        let added = second.tree.items().map(|(path, _)| path).filter(is_new);
        self.added = added.filter_map(named).collect();
    }

    fn compare_besides(&mut self, first: &Inspection, second: &Inspection) {
        let formats = |inspection: &Inspection| -> Vec<_> {
            let segments = inspection.picture.segments.iter();
            segments.map(|segment| segment.start.format).collect()
        };
        let names = |inspection: &Inspection| -> Vec<Vec<u8>> {
            let items = inspection.picture.items.iter();
            items.map(|item| item.entry.name.clone()).collect()
        };
        if formats(first) != formats(second) {
            self.besides.insert("compression");
        } else if first.picture.size != second.picture.size {
            self.besides.insert("size");
        }
        if self.is_same() && names(first) != names(second) {
            self.besides.insert("the order or the spelling of names");
        }
    }
}

/// A path that one image alone has. The top directory is in every guest's, named or not.
fn named(path: &ImagePath) -> Option<String> {
    (!path.is_root()).then(|| shown(path))
}

fn shown(path: &ImagePath) -> String {
    Shown(path.as_bytes()).to_string()
}

/// Something of an entry, as it is told.
type Property = fn(&Item) -> String;

/// What differs between two entries, but their content.
fn changes(before: &Item, after: &Item) -> Vec<Change> {
    let properties: [(&'static str, Property); 7] = [
        ("type", |item| item.file_type().name().to_owned()),
        ("mode", |item| {
            format!("{:04o}", item.entry.header.permissions())
        }),
        ("owner", |item| {
            format!("{}:{}", item.entry.header.uid, item.entry.header.gid)
        }),
        ("device", device),
        ("target", target),
        ("version", |item| modinfo(item, "version")),
        ("vermagic", |item| modinfo(item, "vermagic")),
    ];
    let changes = properties
        .into_iter()
        .filter_map(|(what, of)| change(what, (of(before), of(after))));
    changes.collect()
}

fn change(what: &'static str, (from, to): (String, String)) -> Option<Change> {
    (from != to).then_some(Change { what, from, to })
}

fn device(item: &Item) -> String {
    let (major, minor) = item.entry.header.rdev;
    match item.file_type() {
        FileType::Char | FileType::Block => format!("{major}:{minor}"),
        _ => String::new(),
    }
}

fn target(item: &Item) -> String {
    match &item.content {
        picture::Content::Link(target) => Shown(target).to_string(),
        _ => String::new(),
    }
}

/// A file's content, as it is told; empty of what is no file.
#[derive(Default)]
struct Content {
    /// Its size in bytes.
    size: String,
    /// Its SHA-256, in hexadecimal.
    digest: String,
}

impl Content {
    fn of(inspection: &Inspection, path: &ImagePath) -> Content {
        let number = inspection.tree.number(path);
        let holder = number.map(|number| inspection.tree.data_number(number));
        let item = holder.and_then(|number| inspection.picture.items.get(number));
        match item {
            Some(item) if item.file_type() == FileType::Regular => Content {
                size: item.entry.header.size.to_string(),
                digest: item
                    .digest
                    .as_ref()
                    .map_or_else(String::new, Digest::to_string),
            },
            _ => Content::default(),
        }
    }
}

fn modinfo(item: &Item, tag: &str) -> String {
    match &item.content {
        picture::Content::Module(module) => match module.as_ref() {
            Ok(module) => Shown::words(&module.modinfo.text(tag).unwrap_or_default()),
            Err(_) => String::new(),
        },
        _ => String::new(),
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.removed
            .iter()
            .try_for_each(|path| writeln!(f, "- {path}"))?;
        self.added
            .iter()
            .try_for_each(|path| writeln!(f, "+ {path}"))?;
        for Changed { path, changes } in &self.changed {
            writeln!(f, "~ {path}")?;
            for Change { what, from, to } in changes {
                let (from, to) = (or_none(from), or_none(to));
                match from.len() + to.len() < LINE {
                    true => writeln!(f, "    {what}: {from} -> {to}")?,
                    false => writeln!(f, "    {what}:\n    - {from}\n    + {to}")?,
                }
            }
        }
        if let Some((first, second)) = &self.load_order {
            writeln!(f, "modules are loaded otherwise")?;
            writeln!(f, "    - {}", or_none(&first.join(" ")))?;
            writeln!(f, "    + {}", or_none(&second.join(" ")))?;
        }
        let besides: Vec<&str> = self.besides.iter().copied().collect();
        match (self.is_same(), besides.is_empty()) {
            (true, false) => writeln!(
                f,
                "the same for a guest; different only in {}",
                besides.join(", ")
            ),
            _ => Ok(()),
        }
    }
}

fn or_none(text: &str) -> &str {
    match text {
        "" => "none",
        text => text,
    }
}
