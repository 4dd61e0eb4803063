//! What this run has made below the top directory, and where paths lead because of it.
//!
//! In: an entry's path. Out: the directories it lies in, the links that this run made resolved as a
//! process chrooted into the top would have them (`path_resolution(7)`), without asking the host. Links
//! that lay there before are those that it is told of; none of them may lead out.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use super::fault::PlaceFault;
use crate::image_path::{BadPath, ImagePath};

/// The most links one path leads through, as Linux has it (`MAXSYMLINKS`).
const LINK_LIMIT: usize = 40;

/// A place below the top: a keyed digest of its path. A whole path for each of a million entries
/// would be a hundred megabytes; the key is chosen anew each run, so nobody can make two places meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PlaceId(u64);

const TOP: PlaceId = PlaceId(0);

/// One component of a path without links.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step<'a> {
    pub(super) name: &'a [u8],
    pub(super) id: PlaceId,
}

/// A link that lay there before.
struct Lain {
    /// Where, without links.
    at: ImagePath,
    target: Box<[u8]>,
}

/// What this run has made, but for directories: those are never taken away, so nothing needs to be
/// known of them.
#[derive(Default)]
pub(super) struct Ledger {
    key: RandomState,
    files: HashSet<PlaceId>,
    links: HashMap<PlaceId, Box<[u8]>>,
    lain: HashMap<PlaceId, Lain>,
}

impl Ledger {
    /// Where an entry at `path` goes: the components of its directory, links resolved, and its place.
    /// An entry's own name is never resolved: the entry takes that very name.
    pub(super) fn place<'a>(
        &'a self,
        path: &'a ImagePath,
    ) -> Result<(Vec<Step<'a>>, PlaceId), PlaceFault> {
        let mut above: Vec<&[u8]> = path.components().collect();
        let name = above.pop().ok_or(PlaceFault::Top)?;
        let way = self.resolve(above)?;
        let id = self.step(&way, name).id;
        Ok((way, id))
    }

    /// The components of the directory that `names` lead to, links resolved.
    fn resolve<'a>(&'a self, names: Vec<&'a [u8]>) -> Result<Vec<Step<'a>>, PlaceFault> {
        let mut way = Vec::with_capacity(names.len());
        // Each name with the link that lay there before and has it in its target.
        let mut left: Vec<(&[u8], Option<&Lain>)> =
            names.into_iter().map(|name| (name, None)).collect();
        left.reverse();
        let mut links = 0;
        while let Some((name, of)) = left.pop() {
            match (name, of) {
                (b"" | b".", _) => continue,
                (b"..", of) => {
                    if let (None, Some(link)) = (way.pop(), of) {
                        return Err(PlaceFault::LeadsOut {
                            at: link.at.clone(),
                        });
                    }
                    continue;
                }
                _ => {}
            }
            let step = self.step(&way, name);
            let lain = self.lain.get(&step.id);
            let Some(target) = self.links.get(&step.id).or(lain.map(|link| &link.target)) else {
                way.push(step);
                continue;
            };
            links += 1;
            if links > LINK_LIMIT {
                return Err(PlaceFault::LinkLoop);
            }
            if target.starts_with(b"/") {
                way.clear();
            }
            left.extend(target.rsplit(|&byte| byte == b'/').map(|name| (name, lain)));
        }
        Ok(way)
    }

    /// Notes a link that lay at `at` before this run.
    pub(super) fn lay(&mut self, at: ImagePath, id: PlaceId, target: Vec<u8>) {
        let target = target.into();
        self.lain.insert(id, Lain { at, target });
    }

    /// Whether this run made a link there.
    pub(super) fn made_link(&self, id: PlaceId) -> bool {
        self.links.contains_key(&id)
    }

    /// The component `name` below the directory that `way` leads to.
    fn step<'a>(&self, way: &[Step<'a>], name: &'a [u8]) -> Step<'a> {
        let above = way.last().map_or(TOP, |step| step.id);
        let id = PlaceId(self.key.hash_one((above, name)));
        Step { name, id }
    }

    /// Whether this run made what lies there, and that is no directory.
    pub(super) fn has(&self, id: PlaceId) -> bool {
        self.files.contains(&id) || self.links.contains_key(&id)
    }

    /// Notes that a directory lies there now.
    pub(super) fn directory(&mut self, id: PlaceId) {
        self.files.remove(&id);
        self.links.remove(&id);
        self.lain.remove(&id);
    }

    /// Notes that a file or node lies there now.
    pub(super) fn file(&mut self, id: PlaceId) {
        self.links.remove(&id);
        self.lain.remove(&id);
        self.files.insert(id);
    }

    /// Notes that a symbolic link lies there now.
    pub(super) fn link(&mut self, id: PlaceId, target: &[u8]) {
        self.files.remove(&id);
        self.lain.remove(&id);
        self.links.insert(id, target.into());
    }

    /// Notes that `id` is now another name of what lies at `existing`.
    pub(super) fn same(&mut self, id: PlaceId, existing: PlaceId) {
        match self.links.get(&existing).cloned() {
            Some(target) => self.link(id, &target),
            None => self.file(id),
        }
    }
}

/// The path of the last of some components.
pub(super) fn path_of(way: &[Step<'_>]) -> Result<ImagePath, BadPath> {
    let mut path = Vec::new();
    for step in way {
        path.push(b'/');
        path.extend_from_slice(step.name);
    }
    ImagePath::new(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where `path` leads, when links have been made at their paths.
    fn led(links: &[(&str, &str)], path: &str) -> Result<String, PlaceFault> {
        let mut ledger = Ledger::default();
        for (link, target) in links {
            let path = ImagePath::new(link).unwrap();
            let (_, id) = ledger.place(&path).unwrap();
            ledger.link(id, target.as_bytes());
        }
        let path = ImagePath::new(path).unwrap();
        let (way, _) = ledger.place(&path)?;
        Ok(path_of(&way)?.join(path.file_name())?.to_string())
    }

    #[test]
    fn links_lead_where_a_chrooted_process_would_go() {
        let table = [
            (&[][..], "usr/lib/x", "/usr/lib/x"),
            (&[("lib", "usr/lib")], "lib/x", "/usr/lib/x"),
            (&[("lib", "/usr/lib")], "lib/x", "/usr/lib/x"),
            (&[("a", "..")], "a/x", "/x"),
            (&[("a/b", "../../../etc")], "a/b/x", "/etc/x"),
            (&[("a", "b"), ("b", "c/d")], "a/x", "/c/d/x"),
            (&[("usr/a", "b//./c/")], "usr/a/x", "/usr/b/c/x"),
            (&[("usr/a", "/")], "usr/a/x", "/x"),
            (&[("a", "b"), ("b/c", "/d")], "a/c/x", "/d/x"),
        ];
        for (links, path, want) in table {
            assert_eq!(led(links, path).unwrap(), want, "{path} with {links:?}");
        }
    }

    #[test]
    fn a_loop_of_links_ends() {
        for links in [&[("a", "a")][..], &[("a", "b"), ("b", "a/a")]] {
            assert!(matches!(led(links, "a/x"), Err(PlaceFault::LinkLoop)));
        }
    }
}
