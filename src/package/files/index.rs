//! What lies where in a package, as if it had been unpacked into an empty directory.

use std::collections::{BTreeMap, HashMap};

use crate::archive::Limits;
use crate::image_path::{ImagePath, Shown};
use crate::package::{Entry, Kind, PackageError};
use crate::root::{FileKind, Names};

/// A file with data; several names may be its.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct FileId(pub usize);

/// What is known of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct File {
    pub size: u64,
    /// The number of the entry that has its data.
    pub ordinal: u64,
}

/// What lies at a path.
enum Node {
    Directory(BTreeMap<Box<[u8]>, usize>),
    File(FileId),
    Symlink(Vec<u8>),
    Special,
}

/// All of it.
pub(super) struct Index {
    /// The root is the first.
    nodes: Vec<Node>,
    files: Vec<File>,
    /// Files of several names, by what these have in common.
    groups: HashMap<u32, FileId>,
    ordinal: u64,
    /// About how many bytes of memory this takes.
    kept: u64,
    /// How many names were passed on the way to entries, those in links' targets among them.
    steps: u64,
    limits: Limits,
}

/// What a name takes of the memory beside its own bytes, about.
const NAME_COST: u64 = 100;
/// The most links that one path leads through, as Linux has it (`MAXSYMLINKS`).
const LINK_LIMIT: usize = 40;
/// The most names that are passed on the way to an entry, on the average of the most entries that there may be.
const STEPS_EACH: u64 = 16;

impl Index {
    pub(super) fn new(limits: Limits) -> Index {
        Index {
            nodes: vec![Node::Directory(BTreeMap::new())],
            files: Vec::new(),
            groups: HashMap::new(),
            ordinal: 0,
            kept: 0,
            steps: 0,
            limits,
        }
    }

    /// Adds an entry; gives the file whose data it has, if it is one.
    pub(super) fn add(&mut self, entry: Entry) -> Result<Option<FileId>, PackageError> {
        let ordinal = self.ordinal;
        self.ordinal += 1;
        let Some(parent) = entry.path.parent() else {
            return Ok(None);
        };
        let Entry { path, kind, .. } = entry;
        let mut links = 0;
        let directory = self.directory(0, &parent, &mut links)?;
        let (node, data) = match kind {
            Kind::Directory => {
                self.make_directory(directory, &path)?;
                return Ok(None);
            }
            Kind::Regular { size, group } => {
                let (id, has_data) = self.file_of(size, group, ordinal);
                (Node::File(id), has_data.then_some(id))
            }
            Kind::Symlink(target) => (Node::Symlink(target), None),
            Kind::HardLink(existing) => (self.same_as(&path, &existing)?, None),
            Kind::Char(..) | Kind::Block(..) | Kind::Pipe | Kind::Socket => (Node::Special, None),
        };
        self.put(directory, path.file_name(), node)?;
        Ok(data)
    }

    /// The file that an entry is a name of, and whether the entry has its data.
    fn file_of(&mut self, size: u64, group: Option<u32>, ordinal: u64) -> (FileId, bool) {
        let file = File { size, ordinal };
        let known = group.and_then(|group| self.groups.get(&group)).copied();
        match known.and_then(|id| Some((id, self.files.get_mut(id.0)?))) {
            // Of the names of one file the last has the data.
            Some((id, known)) if size > 0 => {
                *known = file;
                (id, true)
            }
            Some((id, _)) => (id, false),
            None => {
                let id = FileId(self.files.len());
                self.files.push(file);
                if let Some(group) = group {
                    self.groups.insert(group, id);
                }
                (id, size > 0 || group.is_none())
            }
        }
    }

    fn same_as(&mut self, path: &ImagePath, existing: &ImagePath) -> Result<Node, PackageError> {
        let gone = || PackageError::no_link_source(path, existing);
        let parent = existing.parent().ok_or_else(gone)?;
        let directory = self.directory(0, &parent, &mut 0)?;
        match self
            .child(directory, existing.file_name())
            .and_then(|id| self.nodes.get(id))
        {
            Some(Node::File(id)) => Ok(Node::File(*id)),
            Some(Node::Symlink(target)) => Ok(Node::Symlink(target.clone())),
            Some(Node::Special) => Ok(Node::Special),
            _ => Err(gone()),
        }
    }

    /// A directory that is there stays, and so does a link to one: distributions that have made `lib` a link
    /// still have packages with a directory there.
    fn make_directory(&mut self, parent: usize, path: &ImagePath) -> Result<(), PackageError> {
        match self
            .child(parent, path.file_name())
            .and_then(|id| self.nodes.get(id))
        {
            Some(Node::Directory(_) | Node::Symlink(_)) => Ok(()),
            _ => self
                .put(parent, path.file_name(), Node::Directory(BTreeMap::new()))
                .map(drop),
        }
    }

    fn put(&mut self, directory: usize, name: &[u8], node: Node) -> Result<usize, PackageError> {
        let target = match &node {
            Node::Symlink(target) => target.len() as u64,
            _ => 0,
        };
        self.kept += NAME_COST + name.len() as u64 + target;
        self.limits.hold_kept(self.kept)?;
        let id = self.nodes.len();
        self.nodes.push(node);
        if let Some(Node::Directory(children)) = self.nodes.get_mut(directory) {
            children.insert(name.into(), id);
        }
        Ok(id)
    }

    fn child(&self, directory: usize, name: &[u8]) -> Option<usize> {
        match self.nodes.get(directory)? {
            Node::Directory(children) => children.get(name).copied(),
            _ => None,
        }
    }

    /// The directory at `path` below `top`, made where nothing is; links on the way are followed as a process
    /// chrooted there would.
    fn directory(
        &mut self,
        top: usize,
        path: &ImagePath,
        links: &mut usize,
    ) -> Result<usize, PackageError> {
        let mut way = vec![top];
        for name in path.components() {
            self.step()?;
            self.enter(&mut way, name, links)?;
        }
        Ok(way.last().copied().unwrap_or_default())
    }

    /// Each path alone leads through few links, but all of them together may take days.
    fn step(&mut self) -> Result<(), PackageError> {
        self.steps += 1;
        match self.steps > self.limits.entries.saturating_mul(STEPS_EACH) {
            true => Err(PackageError::Damaged(
                "its paths lead through more directories and links than those of any real package"
                    .to_owned(),
            )),
            false => Ok(()),
        }
    }

    /// Goes from the last directory of `way` into `name`.
    fn enter(
        &mut self,
        way: &mut Vec<usize>,
        name: &[u8],
        links: &mut usize,
    ) -> Result<(), PackageError> {
        let at = way.last().copied().unwrap_or_default();
        let Some(id) = self.child(at, name) else {
            way.push(self.put(at, name, Node::Directory(BTreeMap::new()))?);
            return Ok(());
        };
        match self.nodes.get(id) {
            Some(Node::Directory(_)) => {
                way.push(id);
                Ok(())
            }
            Some(Node::Symlink(target)) => {
                let target = target.clone();
                self.follow(way, &target, links)
            }
            _ => Err(PackageError::Damaged(format!(
                "something lies below {}, which is no directory",
                Shown(name)
            ))),
        }
    }

    fn follow(
        &mut self,
        way: &mut Vec<usize>,
        target: &[u8],
        links: &mut usize,
    ) -> Result<(), PackageError> {
        *links += 1;
        if *links > LINK_LIMIT {
            return Err(PackageError::Damaged(
                "its links lead round in a circle".to_owned(),
            ));
        }
        if target.starts_with(b"/") {
            way.truncate(1);
        }
        for name in target.split(|&byte| byte == b'/') {
            self.step()?;
            match name {
                b"" | b"." => {}
                b".." => way.truncate(way.len().saturating_sub(1).max(1)),
                name => self.enter(way, name, links)?,
            }
        }
        Ok(())
    }

    fn node(&self, path: &ImagePath) -> Option<&Node> {
        let id = path
            .components()
            .try_fold(0, |at, name| self.child(at, name))?;
        self.nodes.get(id)
    }

    /// What lies at `path`, no link followed.
    pub(super) fn kind(&self, path: &ImagePath) -> Option<FileKind> {
        self.node(path).map(kind)
    }

    /// The file at `path`.
    pub(super) fn file_at(&self, path: &ImagePath) -> Option<FileId> {
        match self.node(path)? {
            Node::File(id) => Some(*id),
            _ => None,
        }
    }

    /// All files.
    pub(super) fn files(&self) -> impl Iterator<Item = &File> {
        self.files.iter()
    }

    /// What is known of a file, which is one of this index.
    pub(super) fn file(&self, id: FileId) -> File {
        let nothing = File {
            size: 0,
            ordinal: 0,
        };
        self.files.get(id.0).copied().unwrap_or(nothing)
    }

    /// The names in the directory at `path`.
    pub(super) fn list(&self, path: &ImagePath) -> Option<Names> {
        let Node::Directory(children) = self.node(path)? else {
            return None;
        };
        let mut names = Names::new();
        for (name, &id) in children {
            names.push((name.to_vec(), kind(self.nodes.get(id)?)));
        }
        Some(names)
    }
}

fn kind(node: &Node) -> FileKind {
    match node {
        Node::Directory(_) => FileKind::Directory,
        Node::File(_) => FileKind::Regular,
        Node::Symlink(target) => FileKind::Symlink(target.clone()),
        Node::Special => FileKind::Special,
    }
}
