//! The file system that a kernel unpacks into: what stands in it, and what its calls do.
//!
//! In: paths as an archive has them, taken from the root. Out: what the calls of the same name
//! answer a kernel's own thread, which may do everything. Content is counted, not kept.

use std::collections::BTreeMap;

#[cfg(doc)]
use super::behaviour::Behaviour;
use super::event::{Kind, Obstacle};
use super::lookup::{Last, Walk};
use crate::digest::Digest;

/// The kernel's `NAME_MAX`.
const NAME_MAX: usize = 255;
/// The kernel's `PATH_MAX`, without the final NUL: of a path, and of a link's target.
const PATH_MAX: usize = 4095;

/// One thing in the file system; its names are [`Tree`]'s matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its type.
    pub kind: Kind,
    /// Its permission bits, with set-uid, set-gid and sticky.
    pub mode: u16,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// The size of a file in bytes, or of a link's target.
    pub size: u64,
    /// The target of a symbolic link; empty for anything else.
    pub target: Vec<u8>,
    /// The number of a device, major and minor; zeros for anything else.
    pub rdev: (u32, u32),
    /// The SHA-256 of a file's content, where it was asked for, and where the archive has given the
    /// whole of it in one piece.
    pub digest: Option<Digest>,
    /// The time it was changed, in seconds since 1970, where the archive has set it.
    pub mtime: Option<u32>,
    /// How many names it has.
    pub links: u32,
}

/// The number of an object, the same for all of its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(usize);

/// What stands in a rootfs.
#[derive(Debug, Clone)]
pub struct Tree {
    nodes: Vec<Node>,
    /// The steps that look-ups may still take, more than any archive asks for whose names are read
    /// once or twice: links can make a look-up of a short name take 80 000.
    steps: u64,
    /// See [`Behaviour::without_calls`].
    without_calls: bool,
}

#[derive(Debug, Clone)]
struct Node {
    object: Object,
    /// What lies in a directory, by name.
    children: BTreeMap<Box<[u8]>, ObjectId>,
    parent: ObjectId,
}

const ROOT: ObjectId = ObjectId(0);
/// The steps that come with nothing read.
const STEPS: u64 = 1 << 22;
/// The steps that each byte of a name or a target brings.
const STEPS_A_BYTE: u64 = 64;

impl Object {
    /// A new object, root's.
    pub(super) fn new(kind: Kind, mode: u16) -> Object {
        Object {
            kind,
            mode: mode & 0o7777,
            uid: 0,
            gid: 0,
            size: 0,
            target: Vec::new(),
            rdev: (0, 0),
            digest: None,
            mtime: None,
            links: 0,
        }
    }
}

impl Tree {
    /// What a kernel without an archive of its own puts in before it unpacks any (`usr/Kconfig`,
    /// `INITRAMFS_SOURCE`): `/dev`, `/dev/console` and `/root`.
    pub(super) fn new(without_calls: bool) -> Tree {
        let mut tree = Tree {
            nodes: Vec::new(),
            steps: STEPS,
            without_calls,
        };
        tree.add(ROOT, Object::new(Kind::Directory, 0o755));
        let mut console = Object::new(Kind::Char, 0o600);
        console.rdev = (5, 1);
        let dev = tree.enter(ROOT, b"dev", Object::new(Kind::Directory, 0o755));
        tree.enter(dev, b"console", console);
        tree.enter(ROOT, b"root", Object::new(Kind::Directory, 0o700));
        tree
    }

    fn add(&mut self, parent: ObjectId, object: Object) -> ObjectId {
        let id = ObjectId(self.nodes.len());
        self.nodes.push(Node {
            object,
            children: BTreeMap::new(),
            parent,
        });
        id
    }

    fn enter(&mut self, parent: ObjectId, name: &[u8], object: Object) -> ObjectId {
        let id = self.add(parent, object);
        self.name(parent, name, id);
        id
    }

    fn name(&mut self, parent: ObjectId, name: &[u8], id: ObjectId) {
        if let Some(directory) = self.nodes.get_mut(parent.0) {
            directory.children.insert(name.into(), id);
        }
        self.change(id, |object| object.links += 1);
    }

    fn unname(&mut self, parent: ObjectId, name: &[u8]) {
        let gone = self.nodes.get_mut(parent.0);
        if let Some(id) = gone.and_then(|directory| directory.children.remove(name)) {
            self.change(id, |object| object.links = object.links.saturating_sub(1));
        }
    }

    /// The object with this number, of this tree.
    #[must_use]
    pub fn get(&self, id: ObjectId) -> Option<&Object> {
        self.nodes.get(id.0).map(|node| &node.object)
    }

    pub(super) fn change(&mut self, id: ObjectId, how: impl FnOnce(&mut Object)) {
        if let Some(node) = self.nodes.get_mut(id.0) {
            how(&mut node.object);
        }
    }

    /// The object that `path` leads to, its last link followed too, as a program's `stat` finds it
    /// that has this for its root.
    ///
    /// # Errors
    /// As `stat`'s.
    pub fn find(&self, path: &[u8]) -> Result<(ObjectId, &Object), Obstacle> {
        let id = self.resolve(path, true, &mut { STEPS })?;
        self.get(id)
            .map(|object| (id, object))
            .ok_or(Obstacle::NotFound)
    }

    /// Shows every name: its path, without a leading slash, and its object. A directory comes
    /// before what lies in it, names in the order of their bytes; the root comes first, its path
    /// empty. Time is that of the names' lengths, whatever the depth.
    pub fn walk(&self, mut show: impl FnMut(&[u8], ObjectId, &Object)) {
        let mut path = Vec::new();
        let mut open = Vec::new();
        if let Some(root) = self.nodes.first() {
            show(&path, ROOT, &root.object);
            open.push((root.children.iter(), 0));
        }
        while let Some((children, length)) = open.last_mut() {
            path.truncate(*length);
            let Some((name, &id)) = children.next() else {
                open.pop();
                continue;
            };
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name);
            if let Some(node) = self.nodes.get(id.0) {
                show(&path, id, &node.object);
                open.push((node.children.iter(), path.len()));
            }
        }
    }

    // ---- Look-ups -------------------------------------------------------------------------------

    pub(super) fn child(&self, directory: ObjectId, name: &[u8]) -> Result<ObjectId, Obstacle> {
        if name.len() > NAME_MAX {
            return Err(Obstacle::LongName);
        }
        let node = self.nodes.get(directory.0);
        let child = node.and_then(|node| node.children.get(name));
        child.copied().ok_or(Obstacle::NotFound)
    }

    pub(super) fn parent(&self, directory: ObjectId) -> ObjectId {
        self.nodes.get(directory.0).map_or(ROOT, |node| node.parent)
    }

    /// A walk along `path` from the root.
    fn walk_along<'t>(&'t self, path: &'t [u8]) -> Result<Walk<'t>, Obstacle> {
        match path.len() {
            0 if !self.without_calls => Err(Obstacle::NotFound),
            0..=PATH_MAX => Ok(Walk::new(self, ROOT, path)),
            _ => Err(Obstacle::LongName),
        }
    }

    /// The object at `path`, its last link followed or not.
    fn resolve(&self, path: &[u8], follow: bool, steps: &mut u64) -> Result<ObjectId, Obstacle> {
        let mut walk = self.walk_along(path)?;
        let mut must_be_directory = false;
        loop {
            let id = match walk.last(steps)? {
                Last::Here => return Ok(walk.at()),
                Last::Name { name, slashes } => {
                    must_be_directory |= slashes;
                    self.child(walk.at(), name)?
                }
            };
            let kind = self.get(id).map(|object| object.kind);
            if kind == Some(Kind::Symlink) && (follow || must_be_directory) {
                walk.follow(id)?;
            } else if must_be_directory && kind != Some(Kind::Directory) {
                return Err(Obstacle::NotDirectory);
            } else {
                return Ok(id);
            }
        }
    }

    /// The directory, name and trailing slashes that `path` ends in, its last link not followed.
    fn place(&mut self, path: &[u8]) -> Result<(ObjectId, Box<[u8]>, bool), Obstacle> {
        let mut steps = self.steps_for(path);
        let mut walk = self.walk_along(path)?;
        let last = walk.last(&mut steps)?;
        let place = match last {
            Last::Here => Err(Obstacle::NoName),
            Last::Name { name, slashes } => Ok((walk.at(), name.into(), slashes)),
        };
        self.steps = steps;
        place
    }

    fn steps_for(&mut self, path: &[u8]) -> u64 {
        self.steps = self.steps.saturating_add(path.len() as u64 * STEPS_A_BYTE);
        self.steps
    }

    fn look_up(&mut self, path: &[u8], follow: bool) -> Result<ObjectId, Obstacle> {
        let mut steps = self.steps_for(path);
        let found = self.resolve(path, follow, &mut steps);
        self.steps = steps;
        found
    }

    // ---- Calls ----------------------------------------------------------------------------------

    /// What stands at `path`; a link there is not followed.
    pub(super) fn lstat(&mut self, path: &[u8]) -> Result<ObjectId, Obstacle> {
        self.look_up(path, false)
    }

    /// `chown` and `chmod`.
    pub(super) fn own(&mut self, path: &[u8], owner: (u32, u32), mode: u16) {
        if let Ok(id) = self.look_up(path, true) {
            self.change(id, |object| {
                (object.uid, object.gid) = owner;
                object.mode = mode & 0o7777;
            });
        }
    }

    /// `lchown`.
    pub(super) fn own_link(&mut self, path: &[u8], owner: (u32, u32)) {
        if let Ok(id) = self.look_up(path, false) {
            self.change(id, |object| {
                (object.uid, object.gid) = owner;
                // `chown` takes set-uid and set-gid away from all but directories.
                if !matches!(object.kind, Kind::Directory | Kind::Symlink) {
                    object.mode &= !0o4000;
                    if object.mode & 0o10 != 0 {
                        object.mode &= !0o2000;
                    }
                }
            });
        }
    }

    /// `utimensat`, a link itself.
    pub(super) fn set_time(&mut self, path: &[u8], mtime: u32) {
        if let Ok(id) = self.look_up(path, false) {
            self.change(id, |object| object.mtime = Some(mtime));
        }
    }

    /// `symlink`.
    pub(super) fn symlink(&mut self, path: &[u8], target: &[u8]) -> Result<ObjectId, Obstacle> {
        if !self.without_calls && target.is_empty() {
            return Err(Obstacle::NoTarget);
        }
        if !self.without_calls && target.len() > PATH_MAX {
            return Err(Obstacle::LongName);
        }
        let mut link = Object::new(Kind::Symlink, 0o777);
        link.size = target.len() as u64;
        // A page is what a target lies in, and its last byte is taken for the NUL.
        link.target = target.get(..PATH_MAX).unwrap_or(target).to_vec();
        self.make(path, link)
    }

    /// `mkdir`, and `mknod` of anything but a file.
    pub(super) fn make(&mut self, path: &[u8], object: Object) -> Result<ObjectId, Obstacle> {
        let (directory, name) = self.vacant(path, object.kind == Kind::Directory)?;
        Ok(self.enter(directory, &name, object))
    }

    /// Where `path` can be made; after a slash only a directory can.
    fn vacant(
        &mut self,
        path: &[u8],
        is_directory: bool,
    ) -> Result<(ObjectId, Box<[u8]>), Obstacle> {
        let (directory, name, slashes) = match self.place(path) {
            Err(Obstacle::NoName) => return Err(Obstacle::Exists),
            place => place?,
        };
        match self.child(directory, &name) {
            Ok(_) => Err(Obstacle::Exists),
            Err(Obstacle::NotFound) if !slashes || is_directory => Ok((directory, name)),
            Err(obstacle) => Err(obstacle),
        }
    }

    /// `link`; a symbolic link at `old` is linked itself.
    pub(super) fn link(&mut self, old: &[u8], new: &[u8]) -> Result<(), Obstacle> {
        let id = self.look_up(old, false)?;
        let (directory, name) = self.vacant(new, false)?;
        if self
            .get(id)
            .is_some_and(|object| object.kind == Kind::Directory)
        {
            return Err(Obstacle::IsDirectory);
        }
        self.name(directory, &name, id);
        Ok(())
    }

    /// `unlink`.
    pub(super) fn unlink(&mut self, path: &[u8]) -> Result<(), Obstacle> {
        let (directory, name, slashes) = self.place(path)?;
        let id = self.child(directory, &name)?;
        match self.get(id).map(|object| object.kind) {
            Some(Kind::Directory) => Err(Obstacle::IsDirectory),
            _ if slashes => Err(Obstacle::NotDirectory),
            _ => {
                self.unname(directory, &name);
                Ok(())
            }
        }
    }

    /// `rmdir`.
    pub(super) fn rmdir(&mut self, path: &[u8]) -> Result<(), Obstacle> {
        let (directory, name, _) = self.place(path)?;
        let id = self.child(directory, &name)?;
        let node = self.nodes.get(id.0).ok_or(Obstacle::NotFound)?;
        if node.object.kind != Kind::Directory {
            return Err(Obstacle::NotDirectory);
        }
        if !node.children.is_empty() {
            return Err(Obstacle::NotEmpty);
        }
        self.unname(directory, &name);
        Ok(())
    }

    /// `open` for writing, which makes a file where none is; says whether one was.
    pub(super) fn open(&mut self, path: &[u8], mode: u16) -> Result<(ObjectId, bool), Obstacle> {
        let mut steps = self.steps_for(path);
        let place = self.opened(path, &mut steps);
        self.steps = steps;
        match place? {
            Opened::Found(id) => Ok((id, true)),
            Opened::Vacant(directory, name) => {
                let file = Object::new(Kind::Regular, mode);
                Ok((self.enter(directory, &name, file), false))
            }
        }
    }

    fn opened(&self, path: &[u8], steps: &mut u64) -> Result<Opened, Obstacle> {
        let mut walk = self.walk_along(path)?;
        loop {
            let name = match walk.last(steps)? {
                Last::Here | Last::Name { slashes: true, .. } => return Err(Obstacle::IsDirectory),
                Last::Name { name, .. } => name,
            };
            let id = match self.child(walk.at(), name) {
                Err(Obstacle::NotFound) => return Ok(Opened::Vacant(walk.at(), name.into())),
                id => id?,
            };
            match self.get(id).map(|object| object.kind) {
                Some(Kind::Symlink) => walk.follow(id)?,
                Some(Kind::Directory) => return Err(Obstacle::IsDirectory),
                Some(Kind::Regular) => return Ok(Opened::Found(id)),
                _ => return Err(Obstacle::NotRegular),
            }
        }
    }
}

/// What `open` comes to.
enum Opened {
    Found(ObjectId),
    Vacant(ObjectId, Box<[u8]>),
}
