//! A path's way through a [`Tree`], as the kernel goes it (`fs/namei.c`).

use super::event::{Kind, Obstacle};
use super::tree::{ObjectId, Tree};

/// The kernel's `MAXSYMLINKS`.
const LINK_LIMIT: u32 = 40;

/// What a path ends in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last<'t> {
    /// A name in the directory that the walk has come to, and whether slashes follow it.
    Name { name: &'t [u8], slashes: bool },
    /// That directory itself: the path was the root's, or ended in `.` or `..`.
    Here,
}

/// A walk from directory to directory.
pub(super) struct Walk<'t> {
    tree: &'t Tree,
    root: ObjectId,
    at: ObjectId,
    /// What is left of the path, and of each link on the way, the innermost last.
    texts: Vec<&'t [u8]>,
    links: u32,
}

impl<'t> Walk<'t> {
    pub fn new(tree: &'t Tree, root: ObjectId, path: &'t [u8]) -> Self {
        Walk {
            tree,
            root,
            at: root,
            texts: vec![path],
            links: 0,
        }
    }

    /// The directory that the walk has come to.
    pub fn at(&self) -> ObjectId {
        self.at
    }

    /// Goes up to the last name of the path, and follows every link before it.
    pub fn last(&mut self, steps: &mut u64) -> Result<Last<'t>, Obstacle> {
        while let Some(component) = self.next() {
            *steps = steps.checked_sub(1).ok_or(Obstacle::Exhausted)?;
            let Component { name, slashes } = component;
            match name {
                b"." => {}
                b".." => self.at = self.tree.parent(self.at),
                _ if self.is_done() => return Ok(Last::Name { name, slashes }),
                _ => self.enter(name)?,
            }
        }
        Ok(Last::Here)
    }

    /// Goes on along the link `id`, which lies in the directory the walk has come to.
    pub fn follow(&mut self, id: ObjectId) -> Result<(), Obstacle> {
        self.links += 1;
        if self.links > LINK_LIMIT {
            return Err(Obstacle::Loop);
        }
        let link = self.tree.get(id).ok_or(Obstacle::NotFound)?;
        if link.target.starts_with(b"/") {
            self.at = self.root;
        }
        self.texts.push(&link.target);
        Ok(())
    }

    fn enter(&mut self, name: &[u8]) -> Result<(), Obstacle> {
        let id = self.tree.child(self.at, name)?;
        match self.tree.get(id).map(|object| object.kind) {
            Some(Kind::Symlink) => self.follow(id),
            Some(Kind::Directory) => {
                self.at = id;
                Ok(())
            }
            _ => Err(Obstacle::NotDirectory),
        }
    }

    /// Whether no component is left; the slashes after the last one are passed over with it.
    fn is_done(&self) -> bool {
        self.texts.iter().all(|text| text.is_empty())
    }

    fn next(&mut self) -> Option<Component<'t>> {
        while let Some(text) = self.texts.last_mut() {
            let start = text.iter().position(|&byte| byte != b'/');
            let Some(rest) = start.and_then(|start| text.get(start..)) else {
                self.texts.pop();
                continue;
            };
            let end = rest.iter().position(|&byte| byte == b'/');
            let (name, rest) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
            let slashes = !rest.is_empty();
            let more = rest.iter().position(|&byte| byte != b'/');
            *text = more.and_then(|more| rest.get(more..)).unwrap_or_default();
            return Some(Component { name, slashes });
        }
        None
    }
}

struct Component<'t> {
    name: &'t [u8],
    /// Whether slashes follow it.
    slashes: bool,
}
