//! The plan: the image before it is bytes.
//!
//! Everything left of it decides, everything right of it only serialises. Entries own their bytes,
//! so that what was judged is what is written.

use std::collections::BTreeMap;

use crate::image_path::ImagePath;

/// The kernel's `MAXSYMLINKS` (`include/linux/namei.h`).
const LINK_LIMIT: usize = 40;

/// What an entry is, in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A directory.
    Directory,
    /// A regular file and its bytes.
    File(Vec<u8>),
    /// A symbolic link and its target.
    Symlink(Vec<u8>),
    /// A character device: major and minor number.
    CharDevice(u32, u32),
    /// A block device: major and minor number.
    BlockDevice(u32, u32),
}

/// What an entry is for: the kinds sizes are reported by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// A kernel module.
    Module,
    /// An executable.
    Binary,
    /// A shared library, or the loader.
    Library,
    /// `/init` and what it reads.
    Init,
    /// Any other file.
    File,
    /// Directories, links and devices.
    Structure,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub node: Node,
    /// Permission bits.
    pub mode: u32,
    /// What it is for.
    pub purpose: Purpose,
    /// Where it came from, for people: a host's file, `manifest busybox`.
    pub origin: String,
}

impl Entry {
    /// The bytes that follow its header in the archive.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        match &self.node {
            Node::File(bytes) | Node::Symlink(bytes) => bytes,
            Node::Directory | Node::CharDevice(..) | Node::BlockDevice(..) => &[],
        }
    }

    /// Whether the archive would be the same with either.
    fn is_same_as(&self, other: &Entry) -> bool {
        self.node == other.node && self.mode == other.mode
    }
}

/// What the kernel and every tool take for the end of an archive (`buffer-format`).
const TRAILER: &[u8] = b"TRAILER!!!";

/// The entries of one image by path. A path sorts after every directory it lies in, for that is a
/// prefix of it: the order of the map is an order the kernel can unpack.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    entries: BTreeMap<ImagePath, Entry>,
}

/// Why an entry cannot be part of a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanFault {
    /// Another entry, and not the same one, has the path.
    #[error("{path} would come from {first} and, differing, from {second}")]
    Conflict {
        /// The path.
        path: ImagePath,
        /// Where the entry that is there came from.
        first: String,
        /// Where the one that is refused came from.
        second: String,
    },
    /// The path is, or lies under, the name by which an archive's end is known.
    #[error("{path} (from {origin}): an entry called so ends an archive")]
    Trailer {
        /// The path.
        path: ImagePath,
        /// Where the entry came from.
        origin: String,
    },
    /// A parent of the path is no directory.
    #[error("{path} (from {origin}) would lie under {parent}, which is no directory")]
    ParentNotDirectory {
        /// The path.
        path: ImagePath,
        /// Its parent.
        parent: ImagePath,
        /// Where the entry came from.
        origin: String,
    },
}

impl PlanFault {
    /// The path that cannot be had.
    #[must_use]
    pub fn path(&self) -> &ImagePath {
        match self {
            PlanFault::Conflict { path, .. }
            | PlanFault::Trailer { path, .. }
            | PlanFault::ParentNotDirectory { path, .. } => path,
        }
    }
}

impl Plan {
    /// Adds an entry; one that is there already and the same is no fault.
    ///
    /// # Errors
    /// When another entry has the path, or no entry can have it.
    pub fn add(&mut self, path: ImagePath, entry: Entry) -> Result<(), PlanFault> {
        if path.components().next() == Some(TRAILER) {
            let origin = entry.origin;
            return Err(PlanFault::Trailer { path, origin });
        }
        match self.entries.get(&path) {
            Some(first) if !first.is_same_as(&entry) => {
                let (first, second) = (first.origin.clone(), entry.origin);
                Err(PlanFault::Conflict {
                    path,
                    first,
                    second,
                })
            }
            Some(_) => Ok(()),
            None => {
                self.entries.insert(path, entry);
                Ok(())
            }
        }
    }

    /// Adds the directories that entries lie in and nobody named, mode 0755.
    ///
    /// # Errors
    /// Every entry whose parent is something else than a directory.
    pub fn add_parents(&mut self) -> Result<(), Vec<PlanFault>> {
        let mut faults = Vec::new();
        for path in self.entries.keys().cloned().collect::<Vec<_>>() {
            let mut child = path;
            while let Some(parent) = child.parent().filter(|parent| !parent.is_root()) {
                match self.entries.get(&parent).map(|entry| &entry.node) {
                    Some(Node::Directory) => break,
                    Some(_) => {
                        faults.push(self.misplaced(child, parent));
                        break;
                    }
                    None => self.insert_directory(parent.clone()),
                }
                child = parent;
            }
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(faults)
        }
    }

    fn misplaced(&self, path: ImagePath, parent: ImagePath) -> PlanFault {
        let origin = self
            .entries
            .get(&path)
            .map(|entry| entry.origin.clone())
            .unwrap_or_default();
        PlanFault::ParentNotDirectory {
            path,
            parent,
            origin,
        }
    }

    fn insert_directory(&mut self, path: ImagePath) {
        let origin = "an entry in it".to_owned();
        let purpose = Purpose::Structure;
        self.entries.insert(
            path,
            Entry {
                node: Node::Directory,
                mode: 0o755,
                purpose,
                origin,
            },
        );
    }

    /// The entries, sorted by path, parents first.
    pub fn entries(&self) -> impl Iterator<Item = (&ImagePath, &Entry)> {
        self.entries.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Where `path` leads once each link of the plan in it has been followed; what lies there may
    /// be missing. `None` past forty links, as the kernel has it (`MAXSYMLINKS`).
    #[must_use]
    pub fn real_path(&self, path: &ImagePath) -> Option<ImagePath> {
        let mut rest: Vec<&[u8]> = path.components().collect();
        rest.reverse();
        let mut real = ImagePath::default();
        let mut links = 0;
        while let Some(component) = rest.pop() {
            let next = match component {
                b"" | b"." => continue,
                b".." => real.parent().unwrap_or_default(),
                name => real.join(name).ok()?,
            };
            let Some(Node::Symlink(target)) = self.get(&next).map(|entry| &entry.node) else {
                real = next;
                continue;
            };
            links += 1;
            if links > LINK_LIMIT {
                return None;
            }
            if target.starts_with(b"/") {
                real = ImagePath::default();
            }
            rest.extend(target.rsplit(|&b| b == b'/'));
        }
        Some(real)
    }

    /// The entry at `path`.
    #[must_use]
    pub fn get(&self, path: &ImagePath) -> Option<&Entry> {
        self.entries.get(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &str) -> ImagePath {
        ImagePath::new(path).unwrap()
    }

    fn entry(node: Node, origin: &str) -> Entry {
        Entry {
            node,
            mode: 0o755,
            purpose: Purpose::File,
            origin: origin.to_owned(),
        }
    }

    #[test]
    fn the_same_entry_twice_is_one_and_a_different_one_is_refused() {
        let mut plan = Plan::default();
        plan.add(at("a"), entry(Node::File(b"1".to_vec()), "x"))
            .unwrap();
        plan.add(at("a"), entry(Node::File(b"1".to_vec()), "y"))
            .unwrap();
        let refused = plan
            .add(at("a"), entry(Node::File(b"2".to_vec()), "z"))
            .unwrap_err();
        assert_eq!(
            refused.to_string(),
            "/a would come from x and, differing, from z"
        );
        assert_eq!(plan.len(), 1);
    }

    #[test]
    fn a_path_leads_through_the_links_of_the_plan() {
        let mut plan = Plan::default();
        for (path, target) in [
            ("bin", "usr/bin"),
            ("sbin", "/./bin/"),
            ("usr/bin/sh", "../../sbin/busybox"),
            ("up", "../../etc"),
            ("round", "round"),
        ] {
            let link = entry(Node::Symlink(target.into()), "");
            plan.add(at(path), link).unwrap();
        }
        for (path, real) in [
            ("sbin/sh", Some("usr/bin/busybox")),
            ("up/fstab", Some("etc/fstab")),
            ("round", None),
            ("", Some("")),
        ] {
            assert_eq!(plan.real_path(&at(path)), real.map(at), "{path}");
        }
    }

    #[test]
    fn no_entry_is_taken_for_the_end_of_the_archive() {
        for path in ["TRAILER!!!", "TRAILER!!!/a"] {
            let refused = Plan::default().add(at(path), entry(Node::Directory, "x"));
            assert!(matches!(refused, Err(PlanFault::Trailer { .. })), "{path}");
        }
        let mut plan = Plan::default();
        plan.add(at("a/TRAILER!!!"), entry(Node::Directory, "x"))
            .unwrap();
    }

    #[test]
    fn parents_are_added_and_sort_before_what_they_hold() {
        let mut plan = Plan::default();
        plan.add(at("a/b/c"), entry(Node::Directory, "")).unwrap();
        plan.add(at("a-b"), entry(Node::Directory, "")).unwrap();
        plan.add_parents().unwrap();
        let names: Vec<String> = plan.entries().map(|(path, _)| path.to_string()).collect();
        assert_eq!(names, ["/a", "/a-b", "/a/b", "/a/b/c"]);
    }

    #[test]
    fn an_entry_under_a_link_is_refused_for_it_would_land_elsewhere() {
        let mut plan = Plan::default();
        plan.add(
            at("sbin"),
            entry(Node::Symlink(b"bin".to_vec()), "manifest"),
        )
        .unwrap();
        plan.add(at("sbin/udev"), entry(Node::File(vec![]), "root"))
            .unwrap();
        let faults = plan.add_parents().unwrap_err();
        assert_eq!(
            faults[0].to_string(),
            "/sbin/udev (from root) would lie under /sbin, which is no directory"
        );
    }
}
