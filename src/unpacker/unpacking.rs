//! What the kernel does with each entry, on its file system.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::behaviour::Behaviour;
use super::event::{Event, Fault, Kind, Obstacle, Place, Skip, What};
use super::header::Header;
use super::machine::{Next, Unpacks};
use super::tree::{Object, ObjectId, Tree};

/// The name that closes an archive.
const TRAILER: &[u8] = b"TRAILER!!!";

/// The unpacking of one image: the tree as it comes to be, and what happened on the way.
pub(super) struct Unpacking {
    pub tree: Tree,
    pub events: Vec<Event>,
    /// The entry that is read.
    pub place: Place,
    behaviour: Behaviour,
    /// The first name of each file with several, until a trailer.
    links: BTreeMap<LinkKey, Arc<[u8]>>,
    /// The times of directories, which are set last, the last one first.
    times: Vec<(Vec<u8>, u32)>,
    hashes: bool,
    file: Option<File>,
}

/// What makes two entries names of one file: device, inode, type.
type LinkKey = ((u32, u32), u32, u16);

/// A file that is open.
struct File {
    id: ObjectId,
    written: u64,
    /// The sum of its bytes, where the entry has one to compare.
    sum: Option<u32>,
    hash: Option<Sha256>,
}

impl Unpacking {
    pub fn new(behaviour: Behaviour, hashes: bool) -> Self {
        Unpacking {
            tree: Tree::new(behaviour.without_calls),
            events: Vec::new(),
            place: Place::default(),
            behaviour,
            links: BTreeMap::new(),
            times: Vec::new(),
            hashes,
            file: None,
        }
    }

    /// Sets the times of directories, whatever else has happened.
    pub fn finish(&mut self) {
        for (path, mtime) in std::mem::take(&mut self.times).into_iter().rev() {
            self.tree.set_time(&path, mtime);
        }
    }

    fn tell(&mut self, what: What) {
        let place = self.place.clone();
        self.events.push(Event { place, what });
    }

    fn refuse(&mut self, obstacle: Obstacle) {
        self.tell(What::Refused(obstacle));
    }

    /// The name as a C string; `bytes` are the name and its padding.
    fn name(&mut self, header: &Header, bytes: &[u8]) -> Result<Vec<u8>, Fault> {
        let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
        self.place.name = text.to_vec();
        let last = (header.name_size as usize).saturating_sub(1);
        if bytes.get(last) != Some(&0) {
            if self.behaviour.wants_final_nul {
                return Err(Fault::NoFinalNul);
            }
            self.tell(What::NoFinalNul);
        } else if let Some(rest) = bytes.get(text.len()..last)
            && rest.iter().any(|&byte| byte != 0)
        {
            let dropped = rest.len();
            self.tell(What::NameCut { dropped });
        }
        Ok(text.to_vec())
    }

    /// Removes what stands at `path` where it is no `kind`; of `None` everything is another.
    fn clear(&mut self, path: &[u8], kind: Option<Kind>) {
        let Ok(id) = self.tree.lstat(path) else {
            return;
        };
        let Some((was, links)) = self.tree.get(id).map(|object| (object.kind, object.links)) else {
            return;
        };
        let removed = match was {
            _ if Some(was) == kind => return,
            Kind::Directory => self.tree.rmdir(path),
            _ => self.tree.unlink(path),
        };
        if removed.is_ok() {
            self.tell(What::Overrode { was, links });
        }
    }

    fn time(&mut self, path: &[u8], mtime: u32) {
        if self.behaviour.sets_times {
            self.tree.set_time(path, mtime);
        }
    }

    // ---- Kinds of entries -----------------------------------------------------------------------

    fn directory(&mut self, header: &Header, path: &[u8]) {
        match self
            .tree
            .make(path, Object::new(Kind::Directory, header.mode))
        {
            Err(Obstacle::Exists) if self.is_directory(path) => {}
            made => drop(made.map_err(|obstacle| self.refuse(obstacle))),
        }
        self.tree.own(path, (header.uid, header.gid), header.mode);
        if self.behaviour.sets_times {
            self.times.push((path.to_vec(), header.mtime));
        }
    }

    fn is_directory(&mut self, path: &[u8]) -> bool {
        self.object(path)
            .is_some_and(|object| object.kind == Kind::Directory)
    }

    fn object(&mut self, path: &[u8]) -> Option<&Object> {
        let id = self.tree.lstat(path).ok()?;
        self.tree.get(id)
    }

    fn node(&mut self, header: &Header, path: &[u8], kind: Kind) {
        if self.link(header, path) != Link::None {
            return;
        }
        let mut object = Object::new(kind, header.mode);
        if kind.is_device() {
            object.rdev = header.rdev;
        }
        let wanted = object.rdev;
        if let Err(obstacle) = self.tree.make(path, object) {
            match self.object(path).map(|object| (object.kind, object.rdev)) {
                Some(same) if same == (kind, wanted) => {}
                Some((found_kind, found)) if found_kind == kind => {
                    self.tell(What::Kept { found, wanted });
                }
                _ => self.refuse(obstacle),
            }
        }
        self.tree.own(path, (header.uid, header.gid), header.mode);
        self.time(path, header.mtime);
    }

    fn regular(&mut self, header: &Header, path: &[u8]) -> Next {
        let link = self.link(header, path);
        if link == Link::Failed {
            return Next::Skip;
        }
        let (id, was_there) = match self.tree.open(path, header.mode) {
            Ok(opened) => opened,
            Err(obstacle) => {
                self.refuse(obstacle);
                return Next::Skip;
            }
        };
        if was_there && link == Link::None {
            self.replace(id);
        }
        self.open(id, header);
        Next::Copy
    }

    /// A file that was there is emptied, or not.
    fn replace(&mut self, id: ObjectId) {
        let links = self.tree.get(id).map_or(0, |object| object.links);
        self.tell(What::Overrode {
            was: Kind::Regular,
            links,
        });
        if self.behaviour.replaces {
            self.tree.change(id, |object| object.size = 0);
        }
    }

    fn open(&mut self, id: ObjectId, header: &Header) {
        let sizes_first = self.behaviour.sizes_first && header.size > 0;
        self.tree.change(id, |object| {
            (object.uid, object.gid) = (header.uid, header.gid);
            object.mode = header.mode & 0o7777;
            if sizes_first {
                object.size = u64::from(header.size);
            }
            if object.size == 0 || header.size > 0 {
                object.digest = None;
            }
        });
        self.file = Some(File {
            id,
            written: 0,
            sum: header.sum().map(|_| 0),
            hash: self.hashes.then(Sha256::new),
        });
    }

    /// One more name, if the entry is one of a file that has come already.
    fn link(&mut self, header: &Header, path: &[u8]) -> Link {
        if header.nlink < 2 {
            return Link::None;
        }
        let kind = match self.behaviour.links_by_type {
            true => header.mode & 0o170_000,
            false => 0,
        };
        let key = (header.device, header.ino, kind);
        let Some(first) = self.links.get(&key).cloned() else {
            self.links.insert(key, path.into());
            return Link::None;
        };
        if self.behaviour.clears_for_links {
            self.clear(path, None);
        }
        match self.tree.link(&first, path) {
            Ok(()) => {
                self.tell(What::LinkedTo { first });
                Link::Made
            }
            Err(obstacle) => {
                self.tell(What::NotLinked { first, obstacle });
                Link::Failed
            }
        }
    }
}

/// What became of a hard link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    /// The entry is none.
    None,
    Made,
    Failed,
}

impl Unpacks for Unpacking {
    const CHECKS_ONLY: bool = false;

    fn begin(&mut self, offset: u64) {
        self.place.offset = offset;
        self.place.name.clear();
    }

    fn skip(&mut self, _: &Header, why: Skip) {
        self.tell(What::Skipped(why));
    }

    fn lose(&mut self) {
        self.tell(What::LosesMember);
    }

    fn entry(&mut self, header: &Header, name: &[u8]) -> Result<Next, Fault> {
        let path = &*self.name(header, name)?;
        if path == TRAILER {
            self.links.clear();
            return Ok(Next::Trailer);
        }
        let kind = Kind::of(header.mode);
        if self.behaviour.replaces {
            self.clear(path, kind);
        }
        match kind {
            Some(Kind::Regular) => return Ok(self.regular(header, path)),
            Some(Kind::Directory) => self.directory(header, path),
            // Never asked: a link comes with its target.
            Some(Kind::Symlink) => {}
            Some(kind) => self.node(header, path, kind),
            None => self.tell(What::Skipped(Skip::NoType(header.mode))),
        }
        Ok(Next::Skip)
    }

    fn symlink(&mut self, header: &Header, name: &[u8], target: &[u8]) -> Result<(), Fault> {
        let path = &*self.name(header, name)?;
        if self.behaviour.replaces {
            self.clear(path, None);
        }
        let target = target.split(|&byte| byte == 0).next().unwrap_or_default();
        if let Err(obstacle) = self.tree.symlink(path, target) {
            self.refuse(obstacle);
        }
        self.tree.own_link(path, (header.uid, header.gid));
        self.time(path, header.mtime);
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) {
        let Some(file) = &mut self.file else { return };
        file.written += bytes.len() as u64;
        if let Some(sum) = &mut file.sum {
            *sum = bytes
                .iter()
                .fold(*sum, |sum, &byte| sum.wrapping_add(byte.into()));
        }
        if let Some(hash) = &mut file.hash {
            hash.update(bytes);
        }
        let (id, written) = (file.id, file.written);
        self.tree
            .change(id, |object| object.size = object.size.max(written));
    }

    fn data_end(&mut self, header: &Header) -> Result<(), Fault> {
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        let mtime = self.behaviour.sets_times.then_some(header.mtime);
        self.tree.change(file.id, |object| {
            if object.size == file.written {
                object.digest = file.hash.map(Into::into);
            }
            object.mtime = mtime.or(object.mtime);
        });
        match (file.sum, header.sum()) {
            (Some(found), Some(expected)) if found != expected => {
                Err(Fault::Checksum { found, expected })
            }
            _ => Ok(()),
        }
    }
}

/// The check that an old kernel makes first: entries are passed over, trailers known.
#[derive(Default)]
pub(super) struct Check {
    pub events: Vec<Event>,
    pub place: Place,
}

/// The most that the check's buffer for a name takes.
const CHECKED_NAME: u32 = 4098;

impl Unpacks for Check {
    const CHECKS_ONLY: bool = true;

    fn begin(&mut self, offset: u64) {
        self.place.offset = offset;
        self.place.name.clear();
    }

    fn skip(&mut self, _: &Header, _: Skip) {}

    fn lose(&mut self) {}

    fn entry(&mut self, header: &Header, name: &[u8]) -> Result<Next, Fault> {
        let text = name.split(|&byte| byte == 0).next().unwrap_or_default();
        if header.name_size > CHECKED_NAME {
            let size = header.name_size;
            let place = self.place.clone();
            self.events.push(Event {
                place,
                what: What::Overrun { size },
            });
        }
        Ok(match text == TRAILER {
            true => Next::Trailer,
            false => Next::Skip,
        })
    }

    fn symlink(&mut self, _: &Header, _: &[u8], _: &[u8]) -> Result<(), Fault> {
        Ok(())
    }

    fn data(&mut self, _: &[u8]) {}

    fn data_end(&mut self, _: &Header) -> Result<(), Fault> {
        Ok(())
    }
}
